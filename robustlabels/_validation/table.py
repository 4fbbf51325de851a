"""check_table: one look at a table before its labels are judged."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import column_or_1d

from .._plotting import import_pandas
from .._typing import Features
from . import findings as look
from .answers import Answers, read_labels
from .findings import Finding
from .labels import encode, find_classes

__all__ = ["TableWarning", "check_table"]


class TableWarning(UserWarning):
    """A finding of :func:`check_table` that changes the result of a fit or of a prediction.

    See Also
    --------
    check_table : Lists all findings.

    Examples
    --------
    >>> import warnings
    >>> from robustlabels import TableWarning
    >>> warnings.simplefilter("ignore", TableWarning)  # after a look at them
    """


def check_table(
    X: Features, y: ArrayLike, groups: ArrayLike | None = None, X_test: Features = None
) -> list[Finding]:
    """Look for what is wrong with a table, before its labels are judged.

    Parameters
    ----------
    X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
        The features as they come from the file. The columns of a sparse matrix are not looked at.
    y : array-like of shape (n_samples,) or (n_samples, n_annotators)
        The labels, or the answers of several annotators.
    groups : array-like of shape (n_samples,) or None, default=None
        Samples that depend on each other share a value here. Copies within a group are expected,
        and not reported.
    X_test : data of the kind of X, of shape (n_test_samples, n_features), or None, default=None
        Other samples, by which a model will be judged, or which it will predict.

    Returns
    -------
    findings : list of Finding
        Named tuples with a `kind`; the names or positions of the `columns`, or of the annotators;
        the positions of the `rows`; the names of the `classes`; a sentence `why` and a `remedy`.

    Raises
    ------
    ImportError
        If pandas is missing.
    ValueError
        If X and y have different numbers of rows, X or X_test is not a table, or y has no labels.

    See Also
    --------
    find_wrong_labels : Lists the wrong labels of a table that was looked at.

    Notes
    -----
    The kinds, and what fits of this package do about them:

    - "numbers_as_texts": texts that are nearly all numbers. They are read as numbers, the others as
      missing values, with a warning.
    - "id", "constant": a value in each row, or the same in all. Rare texts get no column.
    - "label_column", "label_by_missing": a column that has a value for each class, or is missing
      for one. Fits warn: no label looks wrong to a model that sees it.
    - "tells_label": another column that tells the class alone on 99 % of the rows.
    - "same_class", "mistyped_class", "empty_label": classes that differ by case, spaces or marks;
      rare ones that look like a frequent one; "nan" and the like. Fits warn.
    - "rare_class": classes of one or two rows.
    - "equal_annotators": the same answers, also where they are against all others. Fits warn.
    - "copies", "copies_with_other_labels": rows that are equal. Fits hold them out together.
    - "test_rows_in_training", "date_for_number", "new_categories": what `X_test` shows.

    Of long tables, an even selection of 5000 rows is compared with the labels.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from robustlabels import check_table
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> X["species"] = y.map({0: "setosa", 1: "versicolor", 2: "virginica"})
    >>> [(finding.kind, finding.columns) for finding in check_table(X, y)]
    [('label_column', ['species']), ('copies', [])]
    """
    pd = import_pandas("check_table")
    labels = read_labels(y)
    if len(labels) != (X.shape[0] if hasattr(X, "shape") else len(X)):
        raise ValueError(f"X and y have different numbers of rows. Got {len(labels)} in y.")
    codes, classes = None, labels.classes if isinstance(labels, Answers) else find_classes(labels)
    found: list[Finding] = []
    if isinstance(labels, Answers):
        found += look.find_equal_annotators(labels)
        given = labels.codes[labels.codes >= 0]
        found += [f._replace(rows=[]) for f in look.find_spellings(given, classes)]
    else:
        codes = encode(labels, classes)
        found += look.find_spellings(codes, classes)
        typos = {name for finding in found for name in finding.classes}
        rare = look.find_rare_classes(codes, classes)
        found += [finding for finding in rare if not {*finding.classes} <= typos]
    if hasattr(X, "tocsr"):
        return found
    table, test = (_as_frame(pd, data) for data in (X, X_test))
    if not table.columns.is_unique:
        raise ValueError("X has several columns of one name. Rename them.")
    found += [*look.find_number_texts(table), *look.find_ids(table), *look.find_constants(table)]
    if codes is not None:
        leaks = [*look.find_label_columns(table, codes, classes)]
        named = {finding.columns[0] for finding in leaks + found if finding.columns}
        rest = table[[name for name in table if name not in named]]
        found += [*leaks, *look.find_features_that_tell(rest, codes, len(classes))]
    ids = [finding.columns[0] for finding in found if finding.kind == "id"]
    features = table.drop(columns=ids)
    if len(features.columns):
        number = None if groups is None else np.unique(column_or_1d(groups), return_inverse=True)[1]
        found += look.find_copies(features, codes, number)
    if test is not None:
        found += [*look.find_shared_rows(features, test), *look.find_new_values(table, test)]
    return found


def _as_frame(pd: Any, X: Any) -> Any:
    if X is None:
        return None
    X = X.to_pandas() if hasattr(X, "to_pandas") else X
    X = X if hasattr(X, "ndim") else pd.DataFrame(X)
    if X.ndim != 2:
        raise ValueError(f"A table has rows and columns. Got data of {X.ndim} dimension(s).")
    return X if hasattr(X, "iloc") else pd.DataFrame(X)


def warn_of_findings(
    X: Any, rows: NDArray, codes: NDArray | None, labels: Any, classes: NDArray, stacklevel: int
) -> None:
    """Warn of what changes the result of a fit to the samples at the positions `rows`.

    `codes` are their labels, -1 where unknown, or None if `labels` are answers of annotators.
    """
    X = X.to_pandas() if hasattr(X, "to_pandas") else X
    found = [*look.find_number_texts(X)]
    if codes is None:
        found += look.find_equal_annotators(labels)
        found += look.find_spellings(labels.codes[labels.codes >= 0], classes)
    else:
        spread = np.full(rows.max() + 1, -1)
        spread[rows] = codes
        found += [
            *look.find_label_columns(X, spread, classes),
            *look.find_spellings(codes, classes),
        ]
    for finding in found:
        warnings.warn(str(finding), TableWarning, stacklevel=stacklevel + 1)

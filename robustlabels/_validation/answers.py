"""Checked answers of several annotators, and checked masks of trusted labels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.multiclass import check_classification_targets

from .._plotting import import_pandas
from .labels import check_labels, find_missing, shorten

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["pivot_answers"]


class Answers:
    """Answers of several annotators: positions in the sorted classes, -1 where there is none.

    `codes` have the shape (n_samples, n_annotators). Classes without an answer are dropped.
    """

    def __init__(self, codes: NDArray, classes: NDArray, annotators: Sequence[str]) -> None:
        given = np.unique(codes[codes >= 0])
        if len(given) < len(classes):
            position = np.full(len(classes) + 1, -1)
            position[given] = np.arange(len(given))
            codes, classes = position[codes], classes[given]
        self.codes, self.classes, self.annotators = codes, classes, annotators

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Any) -> Answers:
        return Answers(self.codes[rows], self.classes, self.annotators)

    def count_votes(self) -> NDArray:
        """Return the number of votes for each class, of shape (n_samples, n_classes)."""
        return np.stack([(self.codes == k).sum(axis=1) for k in range(len(self.classes))], axis=1)


def read_labels(y: Any) -> Any:
    """Return checked labels as a one-dimensional array, or the Answers of several annotators."""
    if isinstance(y, Answers):
        return y
    try:
        # Not np.shape, which asks array-likes with functions of their own.
        shape: Any = y.shape if hasattr(y, "shape") else np.asarray(y).shape
    except ValueError:  # rows of several lengths
        shape = ()
    if len(shape) != 2 or shape[1] <= 1:  # one column is a label per row, as in scikit-learn
        y = check_labels(y)
        check_classification_targets(y)
        return y
    names = [str(name) for name in y.columns] if hasattr(y, "columns") else None
    if hasattr(y, "to_pandas"):
        y = y.to_pandas()
    if hasattr(y, "compute"):
        raise TypeError("y is not in memory. Pass y.compute().")
    if hasattr(y, "toarray"):
        raise TypeError("y is a sparse matrix, where a missing answer is 0. Pass an array and NaN.")
    answers = np.asarray(y, dtype=object)
    missing = find_missing(answers.ravel()).reshape(answers.shape) | np.ma.getmaskarray(y)
    if missing.all():
        raise ValueError("y has no answer of any annotator.")
    given = check_labels(answers[~missing])
    # Integers beside missing values have become floats.
    if given.dtype.kind == "f" and (given == np.round(given)).all():
        given = given.astype(np.int64)
    check_classification_targets(given)
    classes, found = np.unique(given, return_inverse=True)
    codes: NDArray = np.full(answers.shape, -1)
    codes[~missing] = found
    if given.dtype.kind == "i" and not missing.any() and len(classes) > 2 and classes[0] == -1:
        warnings.warn(
            "y has several columns, contains -1 and has no missing answer; -1 is taken for a "
            "class. If it stands for a missing answer, pass np.where(y == -1, np.nan, y).",
            stacklevel=3,
        )
    return Answers(codes, classes, names or [str(a) for a in range(codes.shape[1])])


def check_trusted(trusted: ArrayLike | None, y: Any) -> tuple[NDArray | None, NDArray | None]:
    """Return which labels or answers are known to be right, and true labels if these were passed.

    Both are None if nothing is known. True labels are arbitrary where they are unknown.
    """
    if trusted is None:
        return None, None
    if np.ndim(trusted) == 0:
        raise ValueError(f"trusted must be True or False for each row. Got {trusted!r}.")
    is_array = hasattr(trusted, "__array__")
    values = np.asarray(trusted) if is_array else np.array(trusted, dtype=object)
    several = isinstance(y, Answers)
    shapes = [(len(y),), y.codes.shape] if several else [(len(y),)]
    if values.shape not in shapes:
        raise ValueError(
            f"trusted must have the shape {' or '.join(map(str, shapes))}, a value for each row"
            f"{' or each answer' * several}. Got {values.shape}."
        )
    unknown = find_missing(values.ravel()).reshape(values.shape)
    if isinstance(trusted, np.ma.MaskedArray):
        unknown |= np.ma.getmaskarray(trusted)
    booleans = values.dtype == bool or all(isinstance(v, bool | np.bool_) for v in values.flat)
    if unknown.any() or not booleans:
        if several or (not unknown.any() and np.isin(values, [0, 1]).all()):
            raise ValueError(
                "trusted must be True or False for each row"
                + (" or each answer" if several else ", or its true label, None where unknown")
                + f". Got {shorten(values)}."
            )
        labels = check_labels(values[~unknown], "trusted") if not unknown.all() else np.zeros(0)
        truth = np.empty(len(values), dtype=labels.dtype)
        truth[~unknown] = labels
        return (None, None) if unknown.all() else (~unknown, truth)
    mask = values.astype(bool)
    if several:
        mask = (mask if mask.ndim == 2 else mask[:, None]) & (y.codes >= 0)
        lowest = np.where(mask, y.codes, len(y.classes)).min(axis=1)
        against = mask.any(axis=1) & (np.where(mask, y.codes, -1).max(axis=1) != lowest)
        if against.any():
            rows = shorten(against.nonzero()[0])
            raise ValueError(f"Trusted answers contradict each other in the rows {rows}.")
    return (mask if mask.any() else None), None


def check_at_random(at_random: ArrayLike, trusted: NDArray | None, n_rows: int) -> NDArray:
    """Return which samples are trusted and were drawn at random."""
    if np.ndim(at_random) == 0 and isinstance(at_random, bool | np.bool_):
        mask, listed = np.full(n_rows, at_random), False
    else:
        mask, listed = np.asarray(at_random), True
        if mask.shape != (n_rows,) or mask.dtype != bool:
            raise ValueError(
                "trusted_at_random must be True, False, or an array of these of shape "
                f"({n_rows},), a value for each row. Got {shorten(np.atleast_1d(mask))}."
            )
    known = np.zeros(n_rows, dtype=bool)
    if trusted is not None:
        known = trusted if trusted.ndim == 1 else trusted.any(axis=1)
    if listed and (mask & ~known).any():
        rows = shorten((mask & ~known).nonzero()[0])
        raise ValueError(f"trusted_at_random is True in the rows {rows}, which are not trusted.")
    return mask & known


def _as_objects(values: ArrayLike) -> NDArray:
    """Return values as they are: NumPy would turn 1 beside "1" into a text."""
    return np.asarray(values if hasattr(values, "__array__") else np.array(values, dtype=object))


def pivot_answers(
    rows: ArrayLike, annotators: ArrayLike, answers: ArrayLike, *, index: ArrayLike | None = None
) -> pd.DataFrame:
    """Turn a long list of answers into a table with a row per sample and a column per annotator.

    Parameters
    ----------
    rows : array-like of shape (n_answers,)
        The sample that each answer is about.
    annotators : array-like of shape (n_answers,)
        Who gave it.
    answers : array-like of shape (n_answers,)
        The answers, labels of one kind. None, NaN, NA and blank texts are no answers.
    index : array-like of shape (n_samples,) or None, default=None
        All values that `rows` may have, in the order of the rows of X, such as ``X.index``. None
        takes the values that occur, in the order of their first answers. Where X has the same
        index, the classifiers and :class:`LabelRefiner` bring the answers into its order.

    Returns
    -------
    table : pandas.DataFrame of shape (n_samples, n_annotators)
        The answers, missing where an annotator gave none.

    Raises
    ------
    ImportError
        If pandas is missing.
    ValueError
        If an annotator answers twice for a sample, a sample is not in `index`, `rows` or
        `annotators` has missing values, or answers are of several kinds, such as 1 and "1".

    See Also
    --------
    LabelRefiner : Learns from such a table.

    Examples
    --------
    >>> from robustlabels import pivot_answers
    >>> pivot_answers([0, 0, 2], ["ann", "bob", "ann"], ["cat", "dog", "cat"], index=range(3))
       ann  bob
    0  cat  dog
    1  NaN  NaN
    2  cat  NaN
    """
    pd = import_pandas("pivot_answers")
    columns = {"rows": rows, "annotators": annotators, "answers": answers}
    long = pd.DataFrame({name: _as_objects(column) for name, column in columns.items()})
    for name in ("rows", "annotators"):
        if long[name].isna().any():
            raise ValueError(f"{name} has missing values. Say who answered for which sample.")
    blank = [isinstance(v, str) and not v.strip() for v in long["answers"]]
    given = long["answers"].notna() & ~np.array(blank, dtype=bool)
    if given.any():
        check_labels(long["answers"][given].to_numpy(), "answers")
    order, names = (long[name].drop_duplicates() for name in ("rows", "annotators"))
    long = long[given].infer_objects()
    twice = long.duplicated(["rows", "annotators"])
    if twice.any():
        first = long[twice].iloc[0]
        raise ValueError(
            f"Annotator {first['annotators']!r} answers twice for the row {first['rows']!r}, and "
            f"{twice.sum() - 1} more answers are repeated. Keep one of each."
        )
    table = long.pivot(index="rows", columns="annotators", values="answers")
    table = table.rename_axis(index=None, columns=None)
    table = table.reindex(index=pd.Index(order.tolist()), columns=sorted(names))
    if index is None:
        return table
    index = pd.Index(index)
    if not index.is_unique:
        raise ValueError("index must contain each row once.")
    strangers = table.index.difference(index)
    if len(strangers):
        raise ValueError(f"rows has {shorten(strangers)}, which are not in index.")
    return table.reindex(index)

"""Labels of which a row may have several: answers of annotators; and labels that are trusted."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array

from .._plotting import import_pandas
from .labels import check_labels, find_missing, shorten

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["pivot_answers"]


class Answers:
    """What several annotators say of the same rows.

    `codes`, of shape (n_samples, n_annotators), are positions in the sorted `classes`, or -1 where
    there is no answer; `annotators` are their names.
    """

    def __init__(self, codes, classes, annotators):
        given = np.unique(codes[codes >= 0])
        if len(given) < len(classes):
            position = np.full(len(classes) + 1, -1)
            position[given] = np.arange(len(given))
            codes, classes = position[codes], classes[given]
        self.codes, self.classes, self.annotators = codes, classes, annotators

    def __len__(self):
        return len(self.codes)

    def __getitem__(self, rows):
        return Answers(self.codes[rows], self.classes, self.annotators)

    def count_votes(self):
        """Return how many annotators name each class, of shape (n_samples, n_classes)."""
        return np.stack([(self.codes == k).sum(axis=1) for k in range(len(self.classes))], axis=1)


def read_labels(y):
    """Return the checked labels, an array of one dimension, or the answers of several annotators.

    A single column is a label for each row, as everywhere in scikit-learn.
    """
    if isinstance(y, Answers):
        return y
    if not _has_columns(y):
        y = check_labels(y)
        check_classification_targets(y)
        return y
    names = [str(name) for name in y.columns] if hasattr(y, "columns") else None
    answers = _as_objects(y)
    missing = find_missing(answers.ravel()).reshape(answers.shape)
    if missing.all():
        raise ValueError("y has no answer of any annotator.")
    given = check_labels(answers[~missing])
    # Whole numbers beside missing ones are floats.
    if given.dtype.kind == "f" and (given == np.round(given)).all():
        given = given.astype(np.int64)
    check_classification_targets(given)
    classes, found = np.unique(given, return_inverse=True)
    codes = np.full(answers.shape, -1)
    codes[~missing] = found
    if given.dtype.kind == "i" and not missing.any() and len(classes) > 2 and classes[0] == -1:
        warnings.warn(
            "y has several columns, -1 among the answers and none missing; -1 is taken for a "
            "class. Where it means that there is no answer pass np.where(y == -1, np.nan, y).",
            stacklevel=3,
        )
    return Answers(codes, classes, names or [str(a) for a in range(codes.shape[1])])


def _has_columns(y):
    """Tell whether there are several labels for each row."""
    shape = getattr(y, "shape", None)
    if shape is None:
        try:
            shape = np.asarray(y).shape
        except ValueError:  # rows of several lengths
            return False
    return len(shape) == 2 and shape[1] > 1


def _as_objects(y):
    if hasattr(y, "to_pandas"):
        y = y.to_pandas()
    if hasattr(y, "compute"):
        raise TypeError("y is not in memory. Pass y.compute().")
    if hasattr(y, "toarray"):
        raise TypeError(
            "y is a sparse matrix, where a missing answer is 0. Pass an array with NaN."
        )
    return np.asarray(y, dtype=object)


def check_trusted(trusted, y):
    """Return which labels are known to be right, in the shape of the labels; None if none is."""
    if trusted is None:
        return None
    if np.ndim(trusted) == 0:
        raise ValueError(f"trusted must be True or False for each row. Got {trusted!r}.")
    trusted = check_array(trusted, ensure_2d=False, dtype=None, input_name="trusted")
    if not np.isin(trusted, [False, True]).all():
        raise ValueError(f"trusted must be True or False for each row. Got {shorten(trusted)}.")
    trusted = trusted.astype(bool)
    shapes = [(len(y),)]
    if isinstance(y, Answers):
        shapes.append(y.codes.shape)
    if trusted.shape not in shapes:
        raise ValueError(
            f"trusted must have the shape {' or '.join(map(str, shapes))}, a value for each row"
            f"{' or each answer' if len(shapes) > 1 else ''}. Got {trusted.shape}."
        )
    if isinstance(y, Answers):
        trusted = (trusted if trusted.ndim == 2 else trusted[:, None]) & (y.codes >= 0)
        lowest = np.where(trusted, y.codes, len(y.classes)).min(axis=1)
        against = trusted.any(axis=1) & (np.where(trusted, y.codes, -1).max(axis=1) != lowest)
        if against.any():
            rows = shorten(against.nonzero()[0])
            raise ValueError(f"Trusted answers contradict each other in the rows {rows}.")
    return trusted if trusted.any() else None


def leave_out_unanswered(weight, y):
    """Return the weights of rows, 0 for those without an answer."""
    if not isinstance(y, Answers):
        return weight
    return weight * (y.codes >= 0).any(axis=1)


def pivot_answers(
    rows: ArrayLike, annotators: ArrayLike, answers: ArrayLike, *, index: ArrayLike | None = None
) -> pd.DataFrame:
    """Make a table of answers, a row each and a column for each annotator, from a long list.

    Parameters
    ----------
    rows : array-like of shape (n_answers,)
        Which row each answer is about.
    annotators : array-like of shape (n_answers,)
        Who gave it.
    answers : array-like of shape (n_answers,)
        The answers, labels of any kind.
    index : array-like of shape (n_samples,) or None, default=None
        The names of the rows of X in order, as `rows` calls them: ``X.index`` of a data frame,
        ``range(len(X))`` where they are positions. None takes the rows that occur, sorted.

    Returns
    -------
    table : pandas.DataFrame of shape (n_samples, n_annotators)
        The answers, missing where an annotator gave none.

    Raises
    ------
    ImportError
        If pandas is missing.
    ValueError
        If an annotator answers twice for a row, or a row is not in `index`.

    See Also
    --------
    LabelRefiner : What learns from such a table.

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
    long = pd.DataFrame(
        {
            "row": np.asarray(rows),
            "annotator": np.asarray(annotators),
            "answer": np.asarray(answers),
        }
    )
    twice = long.duplicated(["row", "annotator"])
    if twice.any():
        first = long[twice].iloc[0]
        raise ValueError(
            f"Annotator {first['annotator']!r} answers twice for the row {first['row']!r}, and "
            f"{twice.sum() - 1} more answers are repeated. Keep one of each."
        )
    table = long.pivot(index="row", columns="annotator", values="answer")
    table = table.rename_axis(index=None, columns=None)
    if index is None:
        return table
    index = pd.Index(index)
    if not index.is_unique:
        raise ValueError("index must name each row once.")
    strangers = table.index.difference(index)
    if len(strangers):
        raise ValueError(f"rows has {shorten(strangers)}, which are not in index.")
    return table.reindex(index)

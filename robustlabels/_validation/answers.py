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
    missing = find_missing(answers.ravel()).reshape(answers.shape)
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
        The answers, labels of any kind.
    index : array-like of shape (n_samples,) or None, default=None
        All values that `rows` may have, in the order of the rows of X, such as ``X.index``. None
        takes the values that occur, sorted.

    Returns
    -------
    table : pandas.DataFrame of shape (n_samples, n_annotators)
        The answers, missing where an annotator gave none.

    Raises
    ------
    ImportError
        If pandas is missing.
    ValueError
        If an annotator answers twice for a sample, or a sample is not in `index`.

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
    columns = {"row": rows, "annotator": annotators, "answer": answers}
    long = pd.DataFrame({name: np.asarray(column) for name, column in columns.items()})
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
        raise ValueError("index must contain each row once.")
    strangers = table.index.difference(index)
    if len(strangers):
        raise ValueError(f"rows has {shorten(strangers)}, which are not in index.")
    return table.reindex(index)

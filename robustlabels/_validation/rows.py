"""The training samples of a fit, read and checked once."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_consistent_length

from .answers import Answers, check_trusted, read_labels
from .labels import check_two_classes, encode, find_classes
from .sklearn_private import _check_sample_weight, _safe_indexing


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Checked training samples. Samples without a weight or a label are left out.

    Attributes
    ----------
    X : array-like of shape (n_samples, ...) or None
        Features as a network or a teacher takes them; None where only trees look at them.
    numbers : {ndarray, sparse matrix} of shape (n_samples, n_columns) or None
        Features as trees take them; None if only a teacher understands them.
    codes : ndarray of shape (n_samples,) or None
        Label of each sample, as a position in `classes`. None before answers are aggregated.
    answers : Answers or None
        Answers of several annotators.
    classes : ndarray of shape (n_classes,)
        The sorted classes.
    weight : ndarray of shape (n_samples,)
        Positive sample weights, as they were given.
    trusted : ndarray of bool or None
        Labels that are known to be right, in the shape of `codes` or of the answers.
    kept : ndarray of shape (n_samples,)
        Positions of these samples among those that were passed.
    n_passed : int
        Number of samples that were passed.
    """

    X: Any
    numbers: Any
    codes: Any
    answers: Answers | None
    classes: NDArray
    weight: NDArray
    trusted: NDArray | None
    kept: NDArray
    n_passed: int

    def __len__(self) -> int:
        return len(self.kept)

    def with_codes(self, codes: NDArray) -> Self:
        """Return the same samples with one label each."""
        return replace(self, codes=codes)

    def spread(self, values: NDArray, fill: float = np.nan) -> NDArray:
        """Return an array with an entry for each sample that was passed, `fill` where left out."""
        spread = np.full((self.n_passed, *values.shape[1:]), fill, dtype=values.dtype)
        spread[self.kept] = values
        return spread


def read_rows(
    estimator: Any,
    read_features: Callable[[], tuple[Any, Any]],
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    trusted: ArrayLike | None,
) -> TrainingRows:
    """Check what was passed to the `fit` of an estimator.

    Parameters
    ----------
    estimator : estimator
        Named in messages.
    read_features : callable
        Returns the checked `X` and `numbers` of all samples. It is called after the cheaper check
        of the labels.
    y : array-like of shape (n_samples,) or (n_samples, n_annotators)
        Labels, or answers of several annotators.
    sample_weight : array-like of shape (n_samples,) or None
        Non-negative weights.
    trusted : array-like of bool or None
        Labels that are known to be right.

    Returns
    -------
    rows : TrainingRows
        The samples that count.
    """
    labels = read_labels(y)
    X, numbers = read_features()
    check_consistent_length(X if numbers is None else numbers, labels)
    known = check_trusted(trusted, labels)
    n_passed = len(labels)
    weight = _check_sample_weight(
        sample_weight, np.empty((n_passed, 1)), dtype=np.float64, ensure_non_negative=True
    )
    several = isinstance(labels, Answers)
    if several:
        weight = weight * (labels.codes >= 0).any(axis=1)
    kept = np.flatnonzero(weight)
    if not len(kept):
        raise ValueError("All sample weights are zero: there is no row to learn from.")
    if len(kept) < n_passed:
        X = None if X is None else _safe_indexing(X, kept)
        numbers = None if numbers is None else numbers[kept]
        labels, weight = labels[kept], weight[kept]
        known = None if known is None else known[kept]
    classes = find_classes(labels)
    check_two_classes(estimator, classes)
    return TrainingRows(
        X=X,
        numbers=numbers,
        codes=None if several else encode(labels, classes),
        answers=labels if several else None,
        classes=classes,
        weight=weight,
        trusted=known,
        kept=kept,
        n_passed=n_passed,
    )

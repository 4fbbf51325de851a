"""The training samples of a fit, read and checked once."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_consistent_length, column_or_1d

from .alignment import align_rows
from .answers import Answers, check_at_random, check_trusted, read_labels
from .labels import encode, find_missing, find_rows_and_classes
from .sklearn_private import _check_sample_weight, _safe_indexing
from .table import warn_of_findings

#: Rows of a class that does not count in how many rows an estimate of the noise needs.
_FEW_ROWS = 2

#: Groups that are needed to predict some from the others.
MIN_GROUPS = 10


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Checked training samples. Samples without a weight or a label are left out."""

    X: Any  # features as a network or a teacher takes them; None where only trees look at them
    numbers: Any  # features as trees take them; None if only a teacher understands them
    codes: Any  # labels to learn, as positions in `classes`; None before answers are aggregated
    given: Any  # labels that may be wrong, -1 where unknown; None for the answers of annotators
    answers: Answers | None  # answers of several annotators
    classes: NDArray  # sorted
    weight: NDArray  # positive sample weights, as they were given
    trusted: NDArray | None  # labels known to be right, in the shape of `codes` or of the answers
    at_random: NDArray  # trusted samples that were drawn at random
    groups: NDArray | None  # numbers shared by samples that depend on each other
    kept: NDArray  # positions of these samples among those that were passed
    n_passed: int

    def __len__(self) -> int:
        return len(self.kept)

    @property
    def n_known_classes(self) -> int:
        """Number of classes of three rows or more: fewer may be mistyped, and say nothing.

        All classes, before the answers of annotators are aggregated.
        """
        if self.codes is None:
            return len(self.classes)
        return int((np.bincount(self.codes, minlength=len(self.classes)) > _FEW_ROWS).sum())

    def with_codes(self, codes: NDArray) -> Self:
        """Return the same samples with one label each to learn."""
        return replace(self, codes=codes)

    def spread(self, values: NDArray, fill: float = np.nan) -> NDArray:
        """Return an array with an entry for each sample that was passed, `fill` where left out."""
        spread = np.full((self.n_passed, *values.shape[1:]), fill, dtype=values.dtype)
        spread[self.kept] = values
        return spread


def check_groups(groups: ArrayLike | None, n_rows: int) -> NDArray | None:
    """Return the number of the group of each sample, from 0, or None."""
    if groups is None:
        return None
    values = column_or_1d(groups)
    if len(values) != n_rows:
        raise ValueError(
            f"groups must have a value for each of the {n_rows} rows. Got {len(values)}."
        )
    if find_missing(values).any():
        raise ValueError(
            "groups has missing values. Give each row without a group a value of its own."
        )
    names, number = np.unique(values, return_inverse=True)
    if len(names) < MIN_GROUPS:
        raise ValueError(
            f"groups has {len(names)} different values. At least {MIN_GROUPS} are needed, to "
            "predict the labels of some groups from those of others."
        )
    return number


def read_rows(
    estimator: Any,
    X: Any,
    read_features: Callable[[Any], tuple[Any, Any]],
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    trusted: ArrayLike | None,
    trusted_at_random: ArrayLike = False,
    groups: ArrayLike | None = None,
) -> TrainingRows:
    """Check what was passed to the `fit` of an estimator, which messages name.

    Values with the index of X in another order are brought into that of X.
    `read_features` returns the checked features and `numbers` of all samples. It is called after
    the cheaper check of the labels.
    """
    passed = X
    y, sample_weight, trusted, trusted_at_random, groups = (
        align_rows(X, values, name)
        for name, values in (
            ("y", y),
            ("sample_weight", sample_weight),
            ("trusted", trusted),
            ("trusted_at_random", trusted_at_random),
            ("groups", groups),
        )
    )
    labels = read_labels(y)
    X, numbers = read_features(X)
    check_consistent_length(X if numbers is None else numbers, labels)
    known, truth = check_trusted(trusted, labels)
    at_random = check_at_random(trusted_at_random, known, len(labels))
    n_passed = len(labels)
    group = check_groups(groups, n_passed)
    weight = _check_sample_weight(
        sample_weight, np.empty((n_passed, 1)), dtype=np.float64, ensure_non_negative=True
    )
    several = isinstance(labels, Answers)
    if several:
        weight = weight * (labels.codes >= 0).any(axis=1)
    kept, classes = find_rows_and_classes(estimator, labels, weight)
    if len(kept) < n_passed:
        X = None if X is None else _safe_indexing(X, kept)
        numbers = None if numbers is None else numbers[kept]
        labels, weight = labels[kept], weight[kept]
        at_random = at_random[kept]
        known, truth, group = (
            None if values is None else values[kept] for values in (known, truth, group)
        )
    codes = given = None
    if not several:
        codes = given = encode(labels, classes)
        if truth is not None:
            codes = given.copy()
            codes[known] = encode(truth[known], classes, "trusted")
        elif known is not None:
            given = np.where(known, -1, codes)
    warn_of_findings(passed, kept, given, labels, classes, stacklevel=5)
    return TrainingRows(
        X=X,
        numbers=numbers,
        codes=codes,
        given=given,
        answers=labels if several else None,
        classes=classes,
        weight=weight,
        trusted=known,
        at_random=at_random,
        groups=group,
        kept=kept,
        n_passed=n_passed,
    )

"""Samples repeated for each probable class, and splits that keep these copies together."""

from dataclasses import dataclass
from inspect import signature
from numbers import Integral

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from .folds import assign_folds
from .sample_weight import find_last_step


@dataclass(frozen=True)
class CopySettings:
    """Which copies there are, and what scikit-learn's defaults mean for them."""

    negligible: float = 0.01  # share of the largest below which a class gets no copy (speed)
    n_folds: int = 5  # of ``cv=None``, as in scikit-learn
    many_rows: int = 10_000  # more make boosting stop early by default, as in scikit-learn


_SETTINGS = CopySettings()


def expand(label_probabilities):
    """Repeat each sample once for each of its probable classes. Every class occurs.

    Returns the sample of each copy, ascending, its class, and its share, of sum 1 in each sample.
    """
    largest = label_probabilities.max(axis=1, keepdims=True)
    probable = label_probabilities > _SETTINGS.negligible * largest
    n_classes = label_probabilities.shape[1]
    probable[label_probabilities.argmax(axis=0), np.arange(n_classes)] = True
    copies, codes = np.nonzero(probable)
    shares = label_probabilities[copies, codes]
    return copies, codes, shares / np.bincount(copies, weights=shares)[copies]


class ExpandedRows:
    """The copies of each sample, and splits that keep copies and near-duplicates together."""

    def __init__(self, copies, groups, codes, rng):
        # Of each copy its sample, ascending; of each sample its group of near-duplicates, and the
        # class by which splits are stratified.
        self.groups, self.codes, self.rng = groups, codes, rng
        self._ends = np.searchsorted(copies, np.arange(len(groups) + 1))

    def __len__(self):
        return len(self.groups)

    def copies_of(self, samples):
        """Return the positions of all copies of the given samples."""
        parts = [np.arange(self._ends[i], self._ends[i + 1]) for i in samples]
        return np.concatenate([np.arange(0), *parts])

    def split(self, cv, training):
        """Return the folds of a `cv` parameter, as pairs of positions of copies.

        The pairs of an iterable are positions among the samples that were passed to `fit`.
        """
        if cv is None or isinstance(cv, Integral):
            pairs = self._fold(_SETTINGS.n_folds if cv is None else cv)
        elif hasattr(cv, "split"):
            pairs = cv.split(training.X, self.codes)
        elif np.iterable(cv):
            position = training.spread(np.arange(len(self)), -1)
            pairs = ([position[side] for side in pair] for pair in cv)
            pairs = ([side[side >= 0] for side in pair] for pair in pairs)
        else:
            kinds = "a number of folds, a splitter or a list of pairs of positions"
            raise ValueError(f"cv={cv!r} is not supported. Pass {kinds}.")
        return [(self.copies_of(train), self.copies_of(test)) for train, test in pairs]

    def _fold(self, n_folds):
        n_groups = self.groups.max() + 1
        if not 2 <= n_folds <= n_groups:
            raise ValueError(
                f"cv={n_folds} must be at least 2 and at most {n_groups}, the number of samples "
                f"that are not near-duplicates of each other."
            )
        folds = assign_folds(self.groups, self.codes, n_folds, self.rng)
        return [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(n_folds)]

    def hold_out(self, share, needed):
        """Return the positions of copies to train on and to stop early by.

        The latter are a share of the groups of each class, without the samples that are `needed`.
        """
        _, first = np.unique(self.groups, return_index=True)
        free = np.setdiff1d(np.arange(len(first)), self.groups[needed])
        free = self.rng.permutation(free)
        free = free[np.argsort(self.codes[first[free]], kind="stable")]
        # Of the groups in the order of their classes, take each that brings the running count to
        # a new integer.
        count = np.floor(np.arange(len(free) + 1) * share * len(first) / max(len(free), 1))
        held_out = np.isin(self.groups, free[np.diff(count) > 0])
        if not held_out.any():
            raise ValueError(
                f"{len(first)} samples are too few to hold some out for early stopping. Set "
                f"early_stopping=False."
            )
        return self.copies_of(np.flatnonzero(~held_out)), self.copies_of(np.flatnonzero(held_out))


def set_inner_folds(estimator, expanded, training):
    """Replace the `cv` of an estimator, or of a pipeline's last step, by folds of the copies."""
    prefix, last = find_last_step(estimator)
    cv = last.get_params(deep=False).get("cv", "none")
    if not isinstance(cv, str):
        estimator.set_params(**{f"{prefix}cv": expanded.split(cv, training)})


def set_early_stopping(estimator, n_samples):
    """Let early stopping depend on samples rather than copies, and reject splits of copies.

    Returns the share of the samples that boosting needs to be held out, or None.
    """
    _, last = find_last_step(estimator)
    share = None
    for name, part in [("estimator", estimator), *estimator.get_params(deep=True).items()]:
        if isinstance(part, type) or not hasattr(part, "fit") or not hasattr(part, "get_params"):
            continue
        if part is not last:
            _reject_inner_folds(name, part)
        if not isinstance(part, HistGradientBoostingClassifier):
            _reject_random_split(part)
            continue
        early = part.early_stopping
        early = n_samples > _SETTINGS.many_rows if early == "auto" else bool(early)
        part.set_params(early_stopping=early)
        if early and part.validation_fraction is not None:
            _check_can_hold_out(part, is_alone=part is estimator)
            share = part.validation_fraction
            share = share if share < 1 else share / n_samples
    return share


def _check_can_hold_out(boosting, is_alone):
    if not is_alone:
        raise ValueError(
            "HistGradientBoostingClassifier inside another estimator cannot stop early: copies of "
            "a sample would be on both sides of its split. Set early_stopping=False, or put the "
            "pipeline around RefinedClassifier(HistGradientBoostingClassifier(...))."
        )
    if "X_val" not in signature(boosting.fit).parameters:
        raise ValueError(
            "Early stopping of HistGradientBoostingClassifier needs scikit-learn 1.7 here. Update "
            "scikit-learn or set early_stopping=False."
        )


def _reject_inner_folds(name, part):
    if not isinstance(part.get_params(deep=False).get("cv", "none"), str):
        raise ValueError(
            f"{type(part).__name__} ({name}) would split copies of a sample by its own cv. Only "
            f"the cv of the outermost estimator, or of the last step of a pipeline, is adapted. "
            f"Pass the innermost classifier to RefinedClassifier, and put the others around it."
        )


def _reject_random_split(part):
    params = part.get_params(deep=False)
    if params.get("oob_score"):
        raise ValueError(
            f"{type(part).__name__} has oob_score={params['oob_score']!r}, but each sample is in "
            "several rows here, with other labels: their score would mean nothing. Set "
            "oob_score=False, and see CleanScores for what the classifier is worth."
        )
    if params.get("early_stopping") is True:
        remedy = "early_stopping=False"
    elif (
        "early_stopping" not in params
        and "validation_fraction" in params
        and params.get("n_iter_no_change") is not None
    ):
        remedy = "n_iter_no_change=None"
    else:
        return
    raise ValueError(
        f"{type(part).__name__} stops early by samples that it holds out at random, and copies of "
        f"a sample would be on both sides. Set {remedy}."
    )

"""The noise that scores and prediction sets account for: known, found in training, or estimated."""

import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import binom

from .._validation.labels import find_classes, shorten
from .._validation.sklearn_private import HasMethods, StrOptions
from .._validation.transitions import check_correctable
from ..refinement import LabelRefiner
from ..refinement._duplicates import group_duplicates
from ..refinement._noise_model import NoisePosterior, known_noise
from ..refinement._refiner import read_features

#: What a `transition_matrix` parameter accepts where the noise can be estimated.
NOISE_CONSTRAINTS = ["array-like", StrOptions({"auto", "estimate"}), HasMethods("fit"), None]


@dataclass(frozen=True)
class Settings:
    """Constants of the scores and prediction sets under noise that may be estimated."""

    smallest_singular_value: float = 1e-3  # of possible matrices that are kept (numerics)
    extra_labels: int = 2  # added to standard errors: those of equal values are 0 by theory
    shown_recalls: int = 30  # in a table or figure, to fit on a page
    # Shares of the samples, the most confident ones, whose labels are compared with the
    # predictions, and the level of the test: false alarms are rare.
    confident_shares: tuple[float, ...] = (1, 0.5, 0.25, 0.125)
    level: float = 1e-4


SETTINGS = Settings()


class PossibleNoise(NamedTuple):
    """The possible transition matrices that can be inverted; the rest is as in NoisePosterior."""

    matrices: np.ndarray
    inverses: np.ndarray
    weights: np.ndarray
    conservative_weights: np.ndarray
    n_rows: np.ndarray

    @property
    def expected(self):
        """The posterior mean of the transition matrix."""
        return np.tensordot(self.weights, self.matrices, 1)


class Predictions(NamedTuple):
    """Labels and predictions as positions in the classes, and how sure the predictions are."""

    codes: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray | None


def resolve_noise(
    transition_matrix, classes, estimator=None, X=None, y=None, random_state=None, predictions=None
):
    """Return the noise that a `transition_matrix` parameter stands for, in the order of `classes`.

    A string needs the fitted `estimator`, `X` and `y` that it was not trained on, and its
    `predictions`.
    """
    if transition_matrix is None:
        found = known_noise(np.eye(len(classes))), classes
    elif isinstance(transition_matrix, str):
        found = _find_posterior(estimator) if transition_matrix == "auto" else None
        if found is not None:
            noise = _invert(_reorder(*found, classes))
            if _agree_too_often(noise, predictions):
                warnings.warn(
                    "These labels agree with the predictions more often than the noise allows "
                    "that was found in training. The noise of these labels is estimated instead. "
                    "Pass transition_matrix=None if they were checked, or 'estimate'.",
                    stacklevel=4,
                )
                found = None
        if found is None:
            return _invert(_reorder(*_estimate(X, y, random_state), classes))
    elif hasattr(transition_matrix, "fit"):
        found = _find_posterior(transition_matrix)
        if found is None:
            raise ValueError(
                f"transition_matrix={transition_matrix!r} has not found any noise. Pass a "
                f"LabelRefiner or a classifier that was fitted to single labels of enough samples."
            )
    else:
        found = known_noise(check_correctable(transition_matrix, classes)), classes
    if random_state is not None:
        source = "estimator" if isinstance(transition_matrix, str) else "transition_matrix"
        raise ValueError(
            f"random_state={random_state!r} would have no effect: it seeds the estimate of the "
            f"noise, which {source} already provides. Leave it out, or pass 'estimate'."
        )
    return _invert(_reorder(*found, classes))


def _agree_too_often(noise, predictions):
    """Return whether labels agree with predictions more often than the noise allows.

    A label agrees with the prediction k with a probability of at most the largest entry of column k
    of the transition matrix, whatever the true class is. The number of agreements exceeds a
    binomial quantile under most of the matrices that are possible.
    """
    codes, predicted, confidence = predictions
    largest = noise.matrices.max(axis=1)[:, predicted]
    shares, order = SETTINGS.confident_shares, np.arange(len(codes))
    if confidence is None:
        shares = shares[:1]
    else:
        order = np.argsort(-confidence, kind="stable")
    p_value = np.ones(len(largest))
    for share in shares:
        rows = order[: int(np.ceil(share * len(order)))]
        agreements = np.count_nonzero(codes[rows] == predicted[rows])
        chance = binom.sf(agreements - 1, len(rows), largest[:, rows].mean(axis=1))
        p_value = np.minimum(p_value, len(shares) * chance)
    return noise.weights @ (p_value < SETTINGS.level) > 0.5


def _estimate(X, y, random_state):
    """Return the noise found by a LabelRefiner in these samples, and its classes."""
    refiner = LabelRefiner(random_state=random_state)
    found = _find_posterior(refiner.fit(X, y) if len(find_classes(y)) > 1 else refiner)
    if found is None:
        raise ValueError(
            f"{len(y)} samples are too few to estimate the noise of their labels: at least 50 are "
            f"needed, and 10 per class. Pass transition_matrix: the matrix if you know it, or a "
            f"LabelRefiner fitted to more samples, such as the training set."
        )
    return found


def group_copies(X, n_rows, n_classes):
    """Return group numbers shared by copies of a sample, and by copies and near copies."""
    try:
        _, numbers = read_features(LabelRefiner(), X)
    except (TypeError, ValueError):  # not a table: images, texts
        return np.arange(n_rows), np.arange(n_rows)
    return group_duplicates(numbers, n_classes)


def _find_posterior(estimator):
    """Return the noise that a fitted estimator found and its classes, or None."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    refiner = getattr(estimator, "refiner_", estimator)
    if getattr(refiner, "noise_posterior_", None) is None:
        return None
    return refiner.noise_posterior_, refiner.classes_


def _reorder(posterior, known, classes):
    """Return a noise in the order of `classes`; classes not in `known` have no noise."""
    if np.array_equal(known, classes):
        return posterior
    unknown = np.setdiff1d(known, classes)
    if len(unknown):
        raise ValueError(
            f"The noise was found in labels with the classes {shorten(unknown)}, which are not "
            f"among {shorten(classes)}."
        )
    places = np.array([np.flatnonzero(classes == label)[0] for label in known])
    matrices = np.tile(np.eye(len(classes)), (len(posterior.weights), 1, 1))
    matrices[:, places[:, None], places] = posterior.matrices
    n_rows = np.full(len(classes), np.inf)
    n_rows[places] = posterior.n_rows
    return posterior._replace(matrices=matrices, n_rows=n_rows)


def _invert(posterior: NoisePosterior) -> PossibleNoise:
    """Return the invertible matrices of a posterior; a known one has been checked already."""
    matrices = posterior.matrices
    kept = np.linalg.svd(matrices, compute_uv=False)[:, -1] >= SETTINGS.smallest_singular_value
    kept |= len(kept) == 1
    both = posterior.weights, posterior.conservative_weights
    weights, conservative = (w[kept] / w[kept].sum() for w in both)
    inverses = np.linalg.inv(matrices[kept])
    return PossibleNoise(matrices[kept], inverses, weights, conservative, posterior.n_rows)

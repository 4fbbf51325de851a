"""The noise that scores and prediction sets account for: known, found in training, or estimated."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .._validation.labels import find_classes, shorten
from .._validation.sklearn_private import HasMethods, StrOptions
from .._validation.transitions import check_correctable
from ..refinement import LabelRefiner
from ..refinement._noise_model import NoisePosterior, known_noise

#: What a `transition_matrix` parameter accepts where the noise can be estimated.
NOISE_CONSTRAINTS = ["array-like", StrOptions({"auto", "estimate"}), HasMethods("fit"), None]


@dataclass(frozen=True)
class Settings:
    """Constants of the scores and prediction sets under noise that may be estimated."""

    smallest_singular_value: float = 1e-3  # of possible matrices that are kept (numerics)
    extra_labels: int = 2  # added to standard errors: those of equal values are 0 by theory
    shown_recalls: int = 30  # in a table or figure, to fit on a page


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


def resolve_noise(transition_matrix, classes, estimator=None, X=None, y=None, random_state=None):
    """Return the noise that a `transition_matrix` parameter stands for, in the order of `classes`.

    A string needs the fitted `estimator`, and `X` and `y` that it was not trained on.
    """
    if transition_matrix is None:
        found = known_noise(np.eye(len(classes))), classes
    elif isinstance(transition_matrix, str):
        found = _find_posterior(estimator) if transition_matrix == "auto" else None
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

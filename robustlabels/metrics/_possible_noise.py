"""The noise that scores and prediction sets reckon with: known, found, or yet to be estimated."""

import numpy as np

from .._validation.labels import find_classes, shorten
from .._validation.transitions import check_correctable
from ..refinement import LabelRefiner
from ..refinement._noise_model import known_noise

#: A matrix whose smallest singular value is less says nothing of true classes.
_SINGULAR = 1e-3


def find_posterior(transition_matrix, estimator, X, y, classes, random_state):
    """Return what the noise of labels may be.

    Parameters
    ----------
    transition_matrix : array-like, "auto", "estimate" or estimator
        The matrix; or what found it, a LabelRefiner or a classifier that has one; "estimate" finds
        it in the rows, "auto" only where `estimator` has not found it.
    estimator : estimator or None
        The classifier that is looked at.
    X : array-like of shape (n_samples, n_features) or None
        Rows that the estimator has not learned from.
    y : ndarray of shape (n_samples,)
        Their noisy labels.
    classes : ndarray of shape (n_classes,)
        The classes.
    random_state : int, RandomState instance or None
        Source of an estimate's randomness.

    Returns
    -------
    posterior : NoisePosterior
        The noise, in the order of the classes.
    """
    if isinstance(transition_matrix, str):
        if transition_matrix == "auto":
            found = _posterior_of(estimator)
            if found is not None:
                return _in_order(*found, classes)
        refiner = LabelRefiner(random_state=random_state)
        if len(find_classes(y)) > 1:
            refiner.fit(X, y)
        if getattr(refiner, "noise_posterior_", None) is None:
            raise ValueError(
                f"{len(y)} rows are too few to estimate the noise of their labels: 50 are needed, "
                f"and 10 for each class. Pass transition_matrix: the matrix if you know it, or a "
                f"LabelRefiner fitted to more rows, such as those for training."
            )
        return _in_order(refiner.noise_posterior_, refiner.classes_, classes)
    if hasattr(transition_matrix, "fit"):
        found = _posterior_of(transition_matrix)
        if found is None:
            raise ValueError(
                f"transition_matrix={transition_matrix!r} has found no noise. Pass a fitted "
                f"LabelRefiner, or a classifier that found the noise of single labels in enough "
                f"rows."
            )
        return _in_order(*found, classes)
    return known_noise(check_correctable(transition_matrix, classes))


def _posterior_of(estimator):
    """Return the noise that an estimator has found and its classes, or None."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    refiner = getattr(estimator, "refiner_", estimator)
    if getattr(refiner, "noise_posterior_", None) is None:
        return None
    return refiner.noise_posterior_, refiner.classes_


def _in_order(posterior, known, classes):
    """Return a noise in the order of the classes; those it does not know are labelled right."""
    if np.array_equal(known, classes):
        return posterior
    strangers = np.setdiff1d(known, classes)
    if len(strangers):
        raise ValueError(
            f"The noise was found among labels with the classes {shorten(strangers)}, which are "
            f"not among {shorten(classes)}."
        )
    places = np.array([np.flatnonzero(classes == label)[0] for label in known])
    counted = np.eye(len(classes))
    counted[np.ix_(places, places)] = posterior.counted
    n_rows = np.full(len(classes), np.inf)
    n_rows[places] = posterior.n_rows
    return posterior._replace(counted=counted, n_rows=n_rows)


def correctable_part(posterior):
    """Return the matrices that can be inverted, which of the weights are theirs, and the inverses.

    Of shape (n_matrices, n_classes, n_classes), (n_shares,) and as the first.
    """
    matrices = posterior.transition_matrices()
    kept = np.linalg.svd(matrices, compute_uv=False)[:, -1] >= _SINGULAR
    # A known one has been checked.
    kept |= len(kept) == 1
    return matrices[kept], kept, np.linalg.inv(matrices[kept])

"""Soft labels for each fold that are estimated without the labels of that fold."""

import numpy as np
from numpy.typing import NDArray

from ._bayes import make_soft_labels
from ._observed_labels import ObservedLabels
from ._probabilities import out_of_bag_probabilities

#: Trees for each fold.
_TREES = 60

#: Smallest probability of a label.
_SMALLEST = 1e-6


def cross_fitted_soft_labels(
    X: NDArray,
    observed: ObservedLabels,
    n_classes: int,
    weight: NDArray,
    folds: NDArray,
    rng: np.random.RandomState,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> NDArray:
    """Refine the labels of the samples outside of each fold.

    The label of a sample contributes to the soft labels of its neighbours. A learner trained on
    these cannot be judged by that label, even if it left out the sample itself.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Features.
    observed : ObservedLabels
        The labels, and how probable each true class makes them.
    n_classes : int
        Number of classes.
    weight : ndarray of shape (n_samples,)
        Positive weights.
    folds : ndarray of shape (n_samples,)
        The fold of each sample, from 0.
    rng : numpy.random.RandomState
        Source of the trees' randomness.
    n_jobs : int or None, default=None
        Trees that are grown at the same time.
    verbose : int, default=0
        1 shows a progress bar over the trees of each fold.

    Returns
    -------
    soft_labels : ndarray of shape (n_samples, n_folds, n_classes)
        ``soft_labels[:, f]`` are probabilities of the true labels, estimated without the labels of
        fold f. For the samples of fold f itself they are the labels as given and must not be
        learned.
    """
    n_folds, codes = folds.max() + 1, observed.codes
    given = np.eye(n_classes, dtype=np.float32)[codes]
    soft_labels = np.repeat(given[:, None], n_folds, axis=1)
    if observed.transition is None:
        return soft_labels
    for fold in range(n_folds):
        learn = np.flatnonzero(folds != fold)
        present, labels = np.unique(codes[learn], return_inverse=True)
        if len(present) < 2:
            continue
        proba = np.full((len(learn), n_classes), _SMALLEST)
        proba[:, present] += out_of_bag_probabilities(
            X[learn], labels, len(present), weight[learn], rng, n_jobs, _TREES, verbose,
            random_splits=True,
        )[0]  # fmt: skip
        proba /= proba.sum(axis=1, keepdims=True)
        soft_labels[learn, fold] = make_soft_labels(
            observed.likelihood[learn], proba, observed.transition
        )
    return soft_labels

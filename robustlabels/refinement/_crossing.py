"""Soft labels that know nothing of the labels of some rows, for learners to be judged by these."""

import numpy as np

from ._noise_model import make_soft_labels
from ._probabilities import out_of_bag_probabilities

#: Trees for each fold.
_TREES = 60


def cross_fitted_soft_labels(X, observed, n_classes, weight, folds, rng, n_jobs=None, verbose=0):
    """Refine the labels of each table that is left if a fold is taken away.

    The label of a row is part of the soft labels of its neighbours. A learner that learned from
    those is no judge of that label, even if it did not learn from the row.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Features.
    observed : ObservedLabels
        What the rows say of their classes.
    n_classes : int
        Number of classes.
    weight : ndarray of shape (n_samples,)
        Positive weights.
    folds : ndarray of shape (n_samples,)
        Numbers of the folds, from 0.
    rng : numpy.random.RandomState
        Source of the trees' randomness.
    n_jobs : int or None, default=None
        Trees that are grown at the same time.
    verbose : int, default=0
        1 shows a progress bar over the trees of each fold.

    Returns
    -------
    soft_labels : ndarray of shape (n_samples, n_folds, n_classes)
        Probabilities of the true labels, for each fold by the other folds alone. Those of the
        rows of the fold itself are made of their labels and nobody may learn from them.
    """
    n_folds, codes = folds.max() + 1, observed.codes
    given = np.eye(n_classes, dtype=np.float32)[codes]
    soft_labels = np.repeat(given[:, None], n_folds, axis=1)
    if observed.transition is None:
        return soft_labels
    for fold in range(n_folds):
        learn = np.flatnonzero(folds != fold)
        present, of_present = np.unique(codes[learn], return_inverse=True)
        if len(present) < 2:
            continue
        proba = np.full((len(learn), n_classes), 1e-6)
        proba[:, present] += out_of_bag_probabilities(
            X[learn], of_present, len(present), weight[learn], rng, n_jobs, _TREES, verbose,
            random_splits=True,
        )[0]  # fmt: skip
        proba /= proba.sum(axis=1, keepdims=True)
        soft_labels[learn, fold] = make_soft_labels(
            observed.likelihood[learn], proba, observed.transition
        )
    return soft_labels

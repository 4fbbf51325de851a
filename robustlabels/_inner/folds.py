"""Folds and weights, for scores of labels that a classifier has not learned from."""

from numbers import Integral

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, check_cv

from .._validation.sklearn_private import _check_sample_weight


def make_folds(cv, X, labels, groups, seed):
    """Return the folds of a splitter, or of so many stratified ones, shuffled, as a list."""
    if isinstance(cv, Integral):
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
        splitter = kind(cv, shuffle=True, random_state=seed)
    else:
        splitter = check_cv(cv, labels, classifier=True)
    return list(splitter.split(X, labels, groups))


def weight_params(estimator, sample_weight, labels):
    """Return what the `fit` of an estimator is to be given for rows of such weights."""
    if sample_weight is None:
        return {}
    # It imports much of scikit-learn.
    from .sample_weight import need_weight_parameter

    weight = _check_sample_weight(sample_weight, labels, ensure_non_negative=True)
    return {need_weight_parameter(estimator): weight}


def assign_folds(number, codes, n_folds, rng):
    """Deal the rows to folds, those of a number to the same, and the classes evenly otherwise.

    Parameters
    ----------
    number : ndarray of shape (n_samples,)
        Numbers from 0, as from :func:`group_duplicates`.
    codes : ndarray of shape (n_samples,)
        Noisy labels. Of rows of the same number that of the first counts.
    n_folds : int
        Number of folds.
    rng : numpy.random.RandomState
        Source of the order.

    Returns
    -------
    folds : ndarray of shape (n_samples,)
        Numbers of the folds, from 0.
    """
    _, first = np.unique(number, return_index=True)
    order = rng.permutation(len(first))
    order = order[np.argsort(codes[first[order]], kind="stable")]
    folds = np.empty(len(first), dtype=np.intp)
    folds[order] = np.arange(len(first)) % n_folds
    return folds[number]

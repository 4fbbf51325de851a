"""Cross-validation folds, and sample weights for the fits in them."""

from numbers import Integral

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, check_cv

from .._validation.sklearn_private import _check_sample_weight


def make_folds(cv, X, labels, groups, seed):
    """Return the folds of a splitter as a list; an int stands for shuffled stratified folds."""
    if isinstance(cv, Integral):
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
        splitter = kind(cv, shuffle=True, random_state=seed)
    else:
        splitter = check_cv(cv, labels, classifier=True)
    return list(splitter.split(X, labels, groups))


def weight_params(estimator, sample_weight, labels):
    """Return the keyword arguments that pass sample weights to the `fit` of an estimator."""
    if sample_weight is None:
        return {}
    # This import loads much of scikit-learn.
    from .sample_weight import need_weight_parameter

    weight = _check_sample_weight(sample_weight, labels, ensure_non_negative=True)
    return {need_weight_parameter(estimator): weight}


def assign_folds(groups, codes, n_folds, rng):
    """Return the fold of each row, stratified by label, with each group of rows in one fold.

    Groups are numbered from 0. Each counts by the label code of its first row.
    """
    _, first = np.unique(groups, return_index=True)
    order = rng.permutation(len(first))
    order = order[np.argsort(codes[first[order]], kind="stable")]
    folds = np.empty(len(first), dtype=np.intp)
    folds[order] = np.arange(len(first)) % n_folds
    return folds[groups]

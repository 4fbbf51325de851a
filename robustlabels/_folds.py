"""Folds and weights, for scores of labels that a classifier has not learned from."""

from numbers import Integral

from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, check_cv

from ._sklearn import _check_sample_weight


def deal_rows(cv, X, labels, groups, seed):
    """Return the folds of a splitter, or of so many stratified ones, shuffled, as a list."""
    if isinstance(cv, Integral):
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
        splitter = kind(cv, shuffle=True, random_state=seed)
    else:
        splitter = check_cv(cv, labels, classifier=True)
    return list(splitter.split(X, labels, groups))


def weigh_fit(estimator, sample_weight, labels):
    """Return what the `fit` of an estimator is to be given for rows of such weights."""
    if sample_weight is None:
        return {}
    # It imports much of scikit-learn.
    from ._inner_fit import need_weight_parameter

    weight = _check_sample_weight(sample_weight, labels, ensure_non_negative=True)
    return {need_weight_parameter(estimator): weight}

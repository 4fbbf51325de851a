"""Probabilities of the labels of rows, by classifiers that have not learned from these rows."""

import numpy as np
from joblib import Parallel, delayed
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from .._sklearn import _safe_indexing
from ._copies import deal_folds, number_rows, on_a_common_scale

#: Trees, rows of their leaves at least, and rows that one looks at, at most.
_TREES = 200
_LEAF = 5
_ROWS_PER_TREE = 20_000

#: Folds for a classifier of the user's.
_FOLDS = 5


def out_of_bag_probabilities(X, codes, n_classes, weight, rng, n_jobs=None, n_trees=_TREES):
    """Estimate the probabilities of the labels, for each row by trees that did not learn from it.

    A random forest's out-of-bag probabilities. Rows that are copies of each other, or nearly,
    are drawn together.

    Parameters
    ----------
    X : {ndarray, sparse matrix} of shape (n_samples, n_features)
        Features; missing values are NaN.
    codes : ndarray of shape (n_samples,)
        Noisy labels from 0 to n_classes - 1.
    n_classes : int
        Number of classes.
    weight : ndarray of shape (n_samples,)
        Positive weights.
    rng : numpy.random.RandomState
        Source of the trees' randomness.
    n_jobs : int or None, default=None
        Trees that are grown at the same time, in threads.
    n_trees : int, default=200
        Trees.

    Returns
    -------
    proba : ndarray of shape (n_samples, n_classes)
        Positive probabilities; they sum to 1.
    cluster : ndarray of shape (n_samples,)
        Numbers from 0, the same for rows that were drawn together.
    """
    from sklearn.tree import DecisionTreeClassifier  # not for those who only import the package

    copy, cluster = number_rows(X, n_classes)
    # Of copies with the same label one is enough. What it weighs counts instead.
    _, first, pair = np.unique(copy * n_classes + codes, return_index=True, return_inverse=True)
    X, codes, group = on_a_common_scale(X[first]), codes[first], cluster[first]
    # Sums of weights far from 1 would under- or overflow in a tree.
    weight = np.bincount(pair, weight / weight.max())
    weight = np.maximum(weight / weight.max(), 1e-12)
    present, codes = np.unique(codes, return_inverse=True)
    n_groups = cluster.max() + 1
    to_fit = X.tocsc() if issparse(X) else X

    def grow(seed):
        rng = np.random.RandomState(seed)
        drawn = rng.randint(n_groups, size=min(n_groups, _ROWS_PER_TREE))
        drawn = np.bincount(drawn, minlength=n_groups)[group]
        tree = DecisionTreeClassifier(
            min_samples_leaf=_LEAF, max_features="sqrt", random_state=rng.randint(2**31)
        )
        # Checked once; it would take as long as a small tree.
        tree.fit(to_fit, codes, weight * drawn, check_input=False)
        unseen = np.flatnonzero(drawn == 0)
        return unseen, tree.predict_proba(X[unseen], check_input=False)

    votes = np.full((X.shape[0], n_classes), 1e-6)
    seeds = rng.randint(2**31, size=n_trees)
    # In the order of the seeds, so that sums do not depend on n_jobs.
    parallel = Parallel(n_jobs, prefer="threads", return_as="generator")
    for unseen, proba in parallel(delayed(grow)(seed) for seed in seeds):
        votes[unseen[:, None], present] += proba
    return (votes / votes.sum(axis=1, keepdims=True))[pair], cluster


def out_of_fold_probabilities(teacher, X, numbers, codes, n_classes, weight, rng, n_jobs=None):
    """Estimate the probabilities of the labels, for each row by a classifier without its fold.

    Parameters
    ----------
    teacher : classifier
        What is cloned and fitted to all folds but one, to `X` as it is and to `codes`.
    X : array-like of shape (n_samples, n_features)
        Whatever the teacher takes.
    numbers : {ndarray, sparse matrix} of shape (n_samples, n_columns) or None
        The features as numbers, to tell copies; None if they are not known.
    codes, n_classes, weight, rng
        As in :func:`out_of_bag_probabilities`.
    n_jobs : int or None, default=None
        Folds that are fitted at the same time.

    Returns
    -------
    proba, cluster
        As of :func:`out_of_bag_probabilities`.
    """
    cluster = np.arange(len(codes))
    if numbers is not None:
        _, cluster = number_rows(numbers, n_classes)
    weighted = np.ptp(weight) > 0
    if weighted and not has_fit_parameter(teacher, "sample_weight"):
        raise ValueError(f"sample_weight needs a teacher whose fit takes it. {teacher!r} does not.")
    folds = deal_folds(cluster, codes, _FOLDS, rng)

    def predict(fold):
        learn, left_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        given = {"sample_weight": weight[learn]} if weighted else {}
        fitted = clone(teacher).fit(_safe_indexing(X, learn), codes[learn], **given)
        found = np.asarray(fitted.predict_proba(_safe_indexing(X, left_out)))
        learned = np.asarray(getattr(fitted, "classes_", ()))
        if (
            found.shape != (len(left_out), len(learned))
            or not np.isin(learned, range(n_classes)).all()
        ):
            raise ValueError(
                f"teacher={teacher!r} must keep the labels that it is fitted to, 0 to "
                f"{n_classes - 1} here, as classes_, and give a probability for each. Got classes_ "
                f"{learned.tolist()} and probabilities of shape {found.shape} for {len(left_out)} "
                f"rows."
            )
        if not (found >= 0).all():
            raise ValueError(f"teacher={teacher!r} gives probabilities that are negative or NaN.")
        proba = np.full((len(left_out), n_classes), 1e-6)
        proba[:, learned.astype(np.intp)] += found
        return left_out, proba

    proba = np.empty((len(codes), n_classes))
    for left_out, found in Parallel(n_jobs)(delayed(predict)(fold) for fold in np.unique(folds)):
        proba[left_out] = found
    return proba / proba.sum(axis=1, keepdims=True), cluster

"""Probabilities of the labels of rows, by classifiers that have not learned from these rows."""

import math

import numpy as np
from joblib import Parallel, delayed
from scipy.sparse import csr_matrix, issparse
from sklearn.base import clone
from sklearn.preprocessing import normalize
from sklearn.utils.validation import has_fit_parameter

from .._inner.folds import assign_folds
from .._validation.sklearn_private import _safe_indexing
from ._duplicates import group_duplicates, scale_features

#: Trees where each draws as many rows as there are, and rows of their leaves at least.
_TREES = 200
_LEAF = 5

#: Rows up to which a tree draws as many as there are, and rows that it draws at most. Between
#: these it draws more by the root of their number.
_ROWS = 5000
_ROWS_PER_TREE = 20_000

#: Features that a tree of random splits looks at, in roots of their number. Of more than `_ROWS`
#: rows most trees may be such, which grow in much less time.
_RANDOM_FEATURES = 2

#: Rows that a tree draws times classes that it tells apart, at most, if that leaves more than so
#: many classes.
_ENTRIES = 2**18
_CLASSES = 32

#: Folds for a classifier of the user's.
_FOLDS = 5


def out_of_bag_probabilities(
    X, codes, n_classes, weight, rng, n_jobs=None, n_trees=_TREES, verbose=0, random_splits=False
):
    """Estimate the probabilities of the labels, for each row by trees that did not learn from it.

    A random forest's out-of-bag probabilities. Rows that are copies of each other, or nearly,
    are drawn together. Of many rows a tree draws a part, and there are fewer trees then, so that
    as many speak for a row. Of many classes it tells groups apart, drawn at random for each tree,
    and its leaves hold the classes.

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
        Trees where each draws as many rows as there are.
    verbose : int, default=0
        1 shows a progress bar over the trees.
    random_splits : bool, default=False
        Whether most trees draw their splits where rows are many, which is quicker. What they find
        is worse by itself, but several learners together do not lose by it.

    Returns
    -------
    proba : ndarray of shape (n_samples, n_classes)
        Positive probabilities; they sum to 1.
    cluster : ndarray of shape (n_samples,)
        Numbers from 0, the same for rows that were drawn together.
    """
    # Not for those who only import the package.
    from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier
    from tqdm.auto import tqdm

    progress = tqdm(
        total=n_trees, desc="Looking for copies", unit="tree", leave=False, disable=not verbose
    )
    copy, cluster = group_duplicates(X, n_classes)
    progress.set_description("Refining labels")
    # Of copies with the same label one is enough. What it weighs counts instead.
    _, first, pair = np.unique(copy * n_classes + codes, return_index=True, return_inverse=True)
    X, codes, group = scale_features(X[first]), codes[first], cluster[first]
    # Sums of weights far from 1 would under- or overflow in a tree.
    weight = np.bincount(pair, weight / weight.max())
    weight = np.maximum(weight / weight.max(), 1e-12)
    n_groups = cluster.max() + 1
    n_drawn, n_parts, n_trees = _size_forest(n_groups, n_classes, n_trees)
    progress.reset(n_trees)
    n_features = max(1, min(X.shape[1], round(_RANDOM_FEATURES * math.sqrt(X.shape[1]))))

    def make_tree(rng):
        if random_splits and n_groups > _ROWS and rng.uniform() > _ROWS / n_groups:
            kind, max_features = ExtraTreeClassifier, n_features
        else:
            kind, max_features = DecisionTreeClassifier, "sqrt"
        return kind(
            min_samples_leaf=_LEAF, max_features=max_features, random_state=rng.randint(2**31)
        )

    def grow(seed):
        rng = np.random.RandomState(seed)
        drawn = rng.randint(n_groups, size=n_drawn)
        drawn = np.bincount(drawn, minlength=n_groups)[group]
        tree = make_tree(rng)
        learn, unseen = np.flatnonzero(drawn), np.flatnonzero(drawn == 0)
        X_learn = X[learn].tocsc() if issparse(X) else X[learn]
        of_learn, labels = weight[learn] * drawn[learn], codes[learn]
        if n_parts < n_classes:
            labels = (rng.permutation(n_classes) % n_parts)[labels]
        # Checked once; it would take as long as a small tree.
        tree.fit(X_learn, labels, of_learn, check_input=False)
        if n_parts == n_classes:
            known = tree.classes_
            place = unseen if len(known) == n_classes else np.ix_(unseen, known)
            return place, tree.predict_proba(X[unseen], check_input=False)
        leaf, shape = tree.apply(X[learn], check_input=False), (tree.tree_.node_count, n_classes)
        in_leaves = normalize(csr_matrix((of_learn, (leaf, codes[learn])), shape), "l1")
        # Sparse: a leaf of few rows has few of so many classes.
        proba = in_leaves[tree.apply(X[unseen], check_input=False)]
        return (unseen.repeat(np.diff(proba.indptr)), proba.indices), proba.data

    votes = np.full((X.shape[0], n_classes), 1e-6)
    seeds = rng.randint(2**31, size=n_trees)
    # In the order of the seeds, so that sums do not depend on n_jobs.
    parallel = Parallel(n_jobs, prefer="threads", return_as="generator")
    for place, proba in parallel(delayed(grow)(seed) for seed in seeds):
        votes[place] += proba
        progress.update()
    progress.close()
    return (votes / votes.sum(axis=1, keepdims=True))[pair], cluster


def _size_forest(n_rows, n_classes, n_trees):
    """Return how many rows a tree draws, how many groups of classes it knows, and of how many.

    A row is left out by a share of ``exp(-n_drawn / n_rows)`` of the trees, about.
    """
    n_drawn = min(n_rows, math.isqrt(_ROWS * n_rows), _ROWS_PER_TREE)
    n_parts = min(n_classes, max(_CLASSES, _ENTRIES // n_drawn))
    return n_drawn, n_parts, round(n_trees * math.exp(n_drawn / n_rows - 1))


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
        _, cluster = group_duplicates(numbers, n_classes)
    weighted = np.ptp(weight) > 0
    if weighted and not has_fit_parameter(teacher, "sample_weight"):
        raise ValueError(f"sample_weight needs a teacher whose fit takes it. {teacher!r} does not.")
    folds = assign_folds(cluster, codes, _FOLDS, rng)

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

"""Extremely randomised trees that learn the probabilities of many classes."""

import numpy as np
from joblib import Parallel, delayed
from scipy.sparse import csr_matrix
from sklearn.preprocessing import normalize
from sklearn.tree import ExtraTreeRegressor

#: Smallest probability that is learned, as a share of a row's largest, so that few classes are.
_SMALLEST = 1e-3


class GroupedTrees:
    """Trees whose splits tell groups of classes apart, and whose leaves hold the classes.

    A tree of scikit-learn has a number for each node and class: a forest of a thousand classes
    would fill memory. Here a split looks at groups alone, which each tree draws anew, and a leaf of
    few rows keeps the few classes that they have.

    Parameters
    ----------
    n_trees, n_groups : int
        Numbers of trees, and of groups of classes.
    min_samples_leaf, max_features
        As of ``sklearn.tree.ExtraTreeRegressor``.
    max_samples : int or None
        Rows that a tree draws with replacement; None takes all rows.
    n_jobs : int or None
        Trees that grow at the same time.
    random_state : int
        Seed of the trees.
    """

    def __init__(
        self, n_trees, n_groups, *, min_samples_leaf, max_features, max_samples, n_jobs,
        random_state,
    ):  # fmt: skip
        self.n_trees = n_trees
        self.n_groups = n_groups
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.max_samples = max_samples
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X, targets, weight):
        """Grow trees on probabilities of shape (n_samples, n_classes)."""
        n_rows, self._n_classes = targets.shape
        probable = targets > _SMALLEST * targets.max(axis=1, keepdims=True)
        targets = csr_matrix(np.where(probable, targets, 0))

        def grow(seed):
            rng = np.random.RandomState(seed)
            rows, of_rows = np.arange(n_rows), weight
            if self.max_samples is not None:
                drawn = np.bincount(rng.randint(n_rows, size=self.max_samples), minlength=n_rows)
                rows = np.flatnonzero(drawn)
                of_rows = (weight * drawn)[rows]
            group = rng.permutation(self._n_classes) % self.n_groups
            ones = np.ones(self._n_classes)
            groups = csr_matrix((ones, (np.arange(self._n_classes), group)))
            tree = ExtraTreeRegressor(
                min_samples_leaf=self.min_samples_leaf,
                max_features=self.max_features,
                random_state=rng.randint(2**31),
            ).fit(X[rows], (targets[rows] @ groups).toarray(), of_rows)
            shape = tree.tree_.node_count, len(rows)
            in_leaves = csr_matrix((of_rows, (tree.apply(X[rows]), np.arange(len(rows)))), shape)
            leaves = normalize(in_leaves @ targets[rows], "l1").astype(np.float32)
            return _without_values(tree.tree_), leaves

        seeds = np.random.RandomState(self.random_state).randint(2**31, size=self.n_trees)
        self._trees = Parallel(self.n_jobs, prefer="threads")(map(delayed(grow), seeds))
        return self

    def predict(self, X):
        """Return the mean of the trees' probabilities, of shape (n_samples, n_classes)."""
        proba = np.zeros((len(X), self._n_classes))
        X = np.ascontiguousarray(X, dtype=np.float32)  # what the tree inside another takes
        for tree, leaves in self._trees:
            proba += leaves[tree.apply(X)].toarray()
        return proba / self.n_trees


def _without_values(tree):
    """Return a tree that knows its splits alone: the numbers in its nodes take most memory."""
    state = tree.__getstate__()
    state["values"] = np.zeros((tree.node_count, 1, 1))
    splits = type(tree)(tree.n_features, np.ones(1, dtype=np.intp), 1)
    splits.__setstate__(state)
    return splits

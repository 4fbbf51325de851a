"""Extremely randomised trees that learn the probabilities of many classes."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.preprocessing import normalize
from sklearn.tree import ExtraTreeRegressor

#: Smallest probability that is learned, as a share of the largest of a sample: keeps leaves sparse.
_SMALLEST = 1e-3


@dataclass(kw_only=True)
class GroupedTrees:
    """Trees whose splits separate groups of classes, and whose leaves hold the classes.

    A tree of scikit-learn has a number for each node and class: a forest of a thousand classes
    would fill memory. Here splits are chosen by groups of classes, which each tree draws anew, and
    a leaf of few samples stores the few classes that these have.
    """

    n_trees: int
    n_groups: int
    min_samples_leaf: int
    max_features: int | str
    max_samples: int | None  # samples that a tree draws with replacement; None takes all
    n_jobs: int | None
    random_state: int

    def fit(self, X: NDArray, targets: NDArray, weight: NDArray) -> Self:
        """Grow trees on probabilities of shape (n_samples, n_classes)."""
        n_rows, self._n_classes = targets.shape
        probable = targets > _SMALLEST * targets.max(axis=1, keepdims=True)
        targets = csr_matrix(np.where(probable, targets, 0))

        def grow(seed: int) -> tuple[csr_matrix, NDArray, NDArray, NDArray]:
            rng = np.random.RandomState(seed)
            rows, row_weight = np.arange(n_rows), weight
            if self.max_samples is not None:
                drawn = np.bincount(rng.randint(n_rows, size=self.max_samples), minlength=n_rows)
                rows = np.flatnonzero(drawn)
                row_weight = (weight * drawn)[rows]
            group = rng.permutation(self._n_classes) % self.n_groups
            ones = np.ones(self._n_classes)
            groups = csr_matrix((ones, (np.arange(self._n_classes), group)))
            tree = ExtraTreeRegressor(
                min_samples_leaf=self.min_samples_leaf,
                max_features=self.max_features,
                random_state=rng.randint(2**31),
            ).fit(X[rows], (targets[rows] @ groups).toarray(), row_weight)
            shape = tree.tree_.node_count, len(rows)
            in_leaves = csr_matrix((row_weight, (tree.apply(X[rows]), np.arange(len(rows)))), shape)
            leaves = normalize(in_leaves @ targets[rows], "l1").astype(np.float32)
            # Copies of the splits alone: the values of the nodes take most of the memory.
            splits = tree.tree_
            children = np.stack([splits.children_right, splits.children_left], 1).astype(np.int32)
            feature = splits.feature.clip(0).astype(np.int32)  # of a leaf it is negative
            return leaves, children, feature, splits.threshold.copy()

        seeds = np.random.RandomState(self.random_state).randint(2**31, size=self.n_trees)
        grown = Parallel(self.n_jobs, prefer="threads")(map(delayed(grow), seeds))
        self._leaves, children, features, thresholds = zip(*grown, strict=True)
        # All trees in one table of nodes, which is faster for few samples.
        self._roots = np.cumsum([0, *map(len, features[:-1])], dtype=np.int32)
        pairs = zip(children, self._roots, strict=True)
        self._children = np.concatenate([np.where(c < 0, -1, c + root) for c, root in pairs])
        self._feature, self._threshold = np.concatenate(features), np.concatenate(thresholds)
        return self

    def predict(self, X: NDArray) -> NDArray:
        """Return the mean of the trees' probabilities, of shape (n_samples, n_classes)."""
        proba = np.zeros((len(X), self._n_classes))
        for leaves, leaf in zip(self._leaves, self._find_leaves(X).T, strict=True):
            proba += leaves[leaf].toarray()
        return proba / self.n_trees

    def _find_leaves(self, X: NDArray) -> NDArray:
        """Return the leaf of each sample in each tree, of shape (n_samples, n_trees)."""
        X = np.asarray(X, dtype=np.float32)  # as the trees were fitted
        node, active = np.tile(self._roots, len(X)), np.arange(len(X) * self.n_trees)
        while len(active):
            at = node[active]
            left = X[active // self.n_trees, self._feature[at]] <= self._threshold[at]
            below = self._children[at, left.astype(np.int8)]
            active, below = active[below >= 0], below[below >= 0]
            node[active] = below
        return node.reshape(len(X), self.n_trees) - self._roots

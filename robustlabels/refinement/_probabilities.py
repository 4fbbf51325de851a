"""Out-of-sample probabilities of the labels: trees and classifiers that did not see the sample.

In this module `codes`, of shape (n_samples,), are noisy labels from 0 to n_classes - 1, and
`weight`, of that shape, are positive sample weights. Duplicates and near-duplicates share a number
in `groups`, of that shape, and are held out together.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, issparse
from sklearn.base import clone
from sklearn.preprocessing import normalize
from sklearn.utils.validation import has_fit_parameter

from .._inner.folds import assign_folds
from .._typing import Features
from .._validation.sklearn_private import (
    _num_samples,
    _safe_indexing,
    apply_tree,
    fit_tree,
    predict_proba_of_tree,
)
from ._duplicates import fit_scale, group_duplicates, scale_features
from ._settings import TreeSettings

_SETTINGS = TreeSettings()


class FittedTrees(NamedTuple):
    """Trees that predict labels of later samples, each with the classes in its leaves or None."""

    trees: list[tuple[Any, Any]]
    scale: tuple[NDArray, NDArray]
    n_classes: int

    def predict(self, _: Features, numbers: Features) -> NDArray:
        """Return label probabilities of shape (n_samples, n_classes), given features as numbers."""
        numbers = scale_features(numbers, self.scale)
        votes = np.full((numbers.shape[0], self.n_classes), 1e-6)
        for tree, in_leaves in self.trees:
            if in_leaves is None:
                votes[:, tree.classes_] += predict_proba_of_tree(tree, numbers)
            else:
                votes += in_leaves[apply_tree(tree, numbers)]
        return votes / votes.sum(axis=1, keepdims=True)


class FittedTeachers(NamedTuple):
    """Classifiers, each fitted to all folds but one, that predict labels of later samples."""

    teachers: list[Any]
    n_classes: int

    def predict(self, X: Features, _: Features | None) -> NDArray:
        """Return label probabilities of shape (n_samples, n_classes)."""
        proba = np.full((_num_samples(X), self.n_classes), 1e-6)
        for teacher in self.teachers:
            proba[:, teacher.classes_.astype(np.intp)] += teacher.predict_proba(X)
        return proba / proba.sum(axis=1, keepdims=True)


class OutOfSample(NamedTuple):
    """Label probabilities of samples that were not learned from, and what predicts later ones.

    Attributes
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        Positive probabilities.
    groups : ndarray of shape (n_samples,)
        Numbers shared by samples that were held out together.
    fitted : FittedTrees, FittedTeachers or None
        Predicts later samples.
    """

    proba: NDArray
    groups: NDArray
    fitted: FittedTrees | FittedTeachers | None


def out_of_bag_probabilities(
    X: Features, codes: NDArray, n_classes: int, weight: NDArray, rng: np.random.RandomState,
    n_jobs: int | None = None, n_trees: int = _SETTINGS.n_trees, verbose: int = 0,
    random_splits: bool = False, groups: NDArray | None = None, keep: bool = False,
) -> OutOfSample:  # fmt: skip
    """Estimate label probabilities by the out-of-bag predictions of a random forest.

    In large tables a tree draws a part of the samples. There are fewer trees then than `n_trees`,
    but as many predict each sample. With many classes a tree separates random groups of classes,
    and its leaves hold the classes. With `random_splits` most trees of a large table draw their
    splits at random: that is faster and less accurate, but costs nothing where several learners are
    pooled. Missing values in X are NaN; `n_jobs` is the number of threads. With `keep` the result
    predicts later samples, by as many trees as predict one of these.
    """
    # Slow to import.
    from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier
    from tqdm.auto import tqdm

    progress = tqdm(
        total=n_trees, desc="Looking for copies", unit="tree", leave=False, disable=not verbose
    )
    copy, groups = group_duplicates(X, n_classes, groups)
    progress.set_description("Refining labels")
    # Equal samples with the same label are merged, and their weights added.
    _, first, pair = np.unique(copy * n_classes + codes, return_index=True, return_inverse=True)
    scale = fit_scale(X[first])
    X, codes, group = scale_features(X[first], scale), codes[first], groups[first]
    # Sums of weights far from 1 would under- or overflow in a tree.
    weight = np.bincount(pair, weight / weight.max())
    weight = np.maximum(weight / weight.max(), 1e-12)
    n_groups = groups.max() + 1
    n_drawn, n_parts, n_trees = _size_forest(n_groups, n_classes, n_trees)
    progress.reset(n_trees)
    full = _SETTINGS.full_rows
    n_tried = round(_SETTINGS.random_features * math.sqrt(X.shape[1]))

    def grow(seed: int) -> tuple[Any, NDArray, Any]:
        rng = np.random.RandomState(seed)
        drawn = np.bincount(rng.randint(n_groups, size=n_drawn), minlength=n_groups)[group]
        if random_splits and n_groups > full and rng.uniform() > full / n_groups:
            kind, max_features = ExtraTreeClassifier, max(1, min(X.shape[1], n_tried))
        else:
            kind, max_features = DecisionTreeClassifier, "sqrt"
        tree = kind(
            min_samples_leaf=_SETTINGS.min_samples_leaf,
            max_features=max_features,
            random_state=rng.randint(2**31),
        )
        learn, unseen = np.flatnonzero(drawn), np.flatnonzero(drawn == 0)
        X_learn = X[learn].tocsc() if issparse(X) else X[learn]
        drawn_weight, labels = weight[learn] * drawn[learn], codes[learn]
        if n_parts < n_classes:
            labels = (rng.permutation(n_classes) % n_parts)[labels]
        fit_tree(tree, X_learn, labels, drawn_weight)
        if n_parts == n_classes:
            known = tree.classes_
            place = unseen if len(known) == n_classes else np.ix_(unseen, known)
            return place, predict_proba_of_tree(tree, X[unseen]), (tree, None)
        leaf, shape = apply_tree(tree, X[learn]), (tree.tree_.node_count, n_classes)
        in_leaves = normalize(csr_matrix((drawn_weight, (leaf, codes[learn])), shape), "l1")
        # Sparse: a leaf of few samples has few of that many classes.
        proba = in_leaves[apply_tree(tree, X[unseen])]
        place = unseen.repeat(np.diff(proba.indptr)), proba.indices
        return place, proba.data, (tree, in_leaves)

    votes = np.full((X.shape[0], n_classes), 1e-6)
    seeds = rng.randint(2**31, size=n_trees)
    # In the order of the seeds, so that sums do not depend on n_jobs.
    parallel = Parallel(n_jobs, prefer="threads", return_as="generator")
    n_kept = math.ceil(n_trees * math.exp(-n_drawn / n_groups)) if keep else 0
    trees: list[tuple[Any, Any]] = []
    for place, proba, tree in parallel(delayed(grow)(seed) for seed in seeds):
        votes[place] += proba
        trees += [tree] * (len(trees) < n_kept)
        progress.update()
    progress.close()
    proba = (votes / votes.sum(axis=1, keepdims=True))[pair]
    return OutOfSample(proba, groups, FittedTrees(trees, scale, n_classes) if keep else None)


def _size_forest(n_rows: int, n_classes: int, n_trees: int) -> tuple[int, int, int]:
    """Return the samples per tree, the groups of classes per tree, and the number of trees.

    A share of about ``exp(-n_drawn / n_rows)`` of the trees leaves out a given sample.
    """
    n_drawn = min(n_rows, math.isqrt(_SETTINGS.full_rows * n_rows), _SETTINGS.max_rows_per_tree)
    n_parts = min(n_classes, max(_SETTINGS.min_parts, _SETTINGS.max_entries // n_drawn))
    return n_drawn, n_parts, round(n_trees * math.exp(n_drawn / n_rows - 1))


def out_of_fold_probabilities(
    teacher: Any, X: Features, numbers: Features | None, codes: NDArray, n_classes: int,
    weight: NDArray, rng: np.random.RandomState, n_jobs: int | None = None,
    groups: NDArray | None = None,
) -> OutOfSample:  # fmt: skip
    """Estimate label probabilities by a classifier that is fitted to all folds but one.

    The `teacher` is cloned, and gets X, of shape (n_samples, n_features), as it is. `numbers` are
    the features as numbers, by which duplicates are found, or None. `n_jobs` folds are fitted at
    the same time. Returns the same as :func:`out_of_bag_probabilities`.
    """
    if numbers is not None:
        _, groups = group_duplicates(numbers, n_classes, groups)
    elif groups is None:
        groups = np.arange(len(codes))
    weighted = np.ptp(weight) > 0
    if weighted and not has_fit_parameter(teacher, "sample_weight"):
        raise ValueError(f"sample_weight needs a teacher whose fit takes it. {teacher!r} does not.")
    folds = assign_folds(groups, codes, _SETTINGS.n_folds, rng)

    def predict(fold: int) -> tuple[NDArray, NDArray, Any]:
        learn, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        params = {"sample_weight": weight[learn]} if weighted else {}
        fitted = clone(teacher).fit(_safe_indexing(X, learn), codes[learn], **params)
        found = np.asarray(fitted.predict_proba(_safe_indexing(X, held_out)))
        learned = np.asarray(getattr(fitted, "classes_", ()))
        if (
            found.shape != (len(held_out), len(learned))
            or not np.isin(learned, range(n_classes)).all()
        ):
            raise ValueError(
                f"teacher={teacher!r} must keep the labels that it is fitted to, here 0 to "
                f"{n_classes - 1}, as classes_, and return a probability for each of them. Got "
                f"classes_ {learned.tolist()} and probabilities of shape {found.shape} for "
                f"{len(held_out)} samples."
            )
        if not (found >= 0).all():
            raise ValueError(f"teacher={teacher!r} returns probabilities that are negative or NaN.")
        proba = np.full((len(held_out), n_classes), 1e-6)
        proba[:, learned.astype(np.intp)] += found
        return held_out, proba, fitted

    proba, teachers = np.empty((len(codes), n_classes)), []
    parallel = Parallel(n_jobs)
    for held_out, found, fitted in parallel(delayed(predict)(fold) for fold in np.unique(folds)):
        proba[held_out] = found
        teachers.append(fitted)
    proba /= proba.sum(axis=1, keepdims=True)
    return OutOfSample(proba, groups, FittedTeachers(teachers, n_classes))

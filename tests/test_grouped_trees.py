"""Trees of many classes: as good as those that know all classes at each split, in less memory."""

import pickle

import numpy as np
import pytest
from robustlabels._ensemble.ensemble.grouped_trees import GroupedTrees
from sklearn.ensemble import ExtraTreesRegressor

from robustlabels import RobustEnsembleClassifier
from robustlabels._ensemble import learners as room

N_CLASSES = 40
SETTINGS = {"min_samples_leaf": 2, "max_features": "sqrt", "n_jobs": None, "random_state": 0}


@pytest.fixture(scope="module")
def blobs():
    """Rows around a centre for each class, soft labels right by nine tenths, and weights."""
    rng = np.random.RandomState(0)
    y = rng.permutation(1200) % N_CLASSES
    X = 3 * rng.normal(size=(N_CLASSES, 6))[y] + rng.normal(size=(1200, 6))
    soft = 0.9 * np.eye(N_CLASSES)[y]
    soft[np.arange(1200), (y + 1) % N_CLASSES] += 0.1
    return X.astype(np.float32), y, soft, rng.uniform(0.5, 2, size=1200)


@pytest.mark.parametrize("max_samples", [None, 500])
def test_they_are_as_good_as_trees_that_know_all_classes(blobs, max_samples):
    X, y, soft, weight = blobs
    learn, rest = slice(800), slice(800, None)
    trees = GroupedTrees(30, 8, max_samples=max_samples, **SETTINGS)
    proba = trees.fit(X[learn], soft[learn], weight[learn]).predict(X[rest])
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    whole = ExtraTreesRegressor(
        30, bootstrap=max_samples is not None, max_samples=max_samples, **SETTINGS
    ).fit(X[learn], soft[learn], weight[learn])
    accuracy = np.mean(proba.argmax(axis=1) == y[rest])
    assert accuracy > np.mean(whole.predict(X[rest]).argmax(axis=1) == y[rest]) - 0.05 > 0.5


def test_leaves_hold_the_weighted_mean_of_their_rows(blobs):
    X, _, soft, weight = blobs
    (tree, leaves), *_ = (
        GroupedTrees(1, 8, max_samples=None, **SETTINGS).fit(X, soft, weight)._trees
    )
    leaf = tree.apply(X)
    rows = leaf == leaf[0]
    expected = np.average(soft[rows], axis=0, weights=weight[rows])
    np.testing.assert_allclose(leaves[leaf[0]].toarray()[0], expected, rtol=1e-5)


def test_they_do_not_depend_on_the_number_of_jobs(blobs):
    X, _, soft, weight = blobs
    alone, together = (
        GroupedTrees(6, 8, max_samples=300, **{**SETTINGS, "n_jobs": n_jobs}).fit(X, soft, weight)
        for n_jobs in (None, 2)
    )
    np.testing.assert_array_equal(alone.predict(X), together.predict(X))


def test_the_ensemble_of_many_classes_learns_by_them(blobs, monkeypatch):
    X, y, _, _ = blobs
    monkeypatch.setattr(room, "_ENTRIES", 1)
    clf = RobustEnsembleClassifier(max_epochs=3, transition_matrix=None, random_state=0)
    assert clf.fit(X[:800], y[:800]).score(X[800:], y[800:]) > 0.5
    forests = clf._learners[1]._forests
    assert [type(forest) for forest in forests] == [GroupedTrees] * 4


def test_rows_of_which_nothing_is_known():
    X = np.random.RandomState(0).normal(size=(60, 3)).astype(np.float32)
    uniform = np.full((60, 2000), 1 / 2000)
    proba = GroupedTrees(2, 8, max_samples=None, **SETTINGS).fit(X, uniform, np.ones(60)).predict(X)
    np.testing.assert_allclose(proba, 1 / 2000, rtol=1e-5)


def test_what_is_kept_of_trees_is_what_predictions_need(blobs):
    X, _, soft, weight = blobs
    trees = GroupedTrees(10, 8, max_samples=None, **SETTINGS).fit(X, soft, weight)
    n_nodes = sum(tree.node_count for tree, _ in trees._trees)
    stored = pickle.dumps(trees)
    assert len(stored) < 120 * n_nodes
    np.testing.assert_array_equal(pickle.loads(stored).predict(X), trees.predict(X))

"""Trees of many classes: as good as those that know all classes at each split, in less memory."""

import pickle

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor

from robustlabels import RobustEnsembleClassifier
from robustlabels._ensemble.grouped_trees import GroupedTrees
from robustlabels._ensemble.settings import Settings

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
    trees = GroupedTrees(n_trees=30, n_groups=8, max_samples=max_samples, **SETTINGS)
    proba = trees.fit(X[learn], soft[learn], weight[learn]).predict(X[rest])
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    whole = ExtraTreesRegressor(
        30, bootstrap=max_samples is not None, max_samples=max_samples, **SETTINGS
    ).fit(X[learn], soft[learn], weight[learn])
    accuracy = np.mean(proba.argmax(axis=1) == y[rest])
    assert accuracy > np.mean(whole.predict(X[rest]).argmax(axis=1) == y[rest]) - 0.05 > 0.5


def test_leaves_hold_the_weighted_mean_of_their_rows(blobs):
    X, _, soft, weight = blobs
    one = GroupedTrees(n_trees=1, n_groups=8, max_samples=None, **SETTINGS).fit(X, soft, weight)
    proba = one.predict(X)
    mixed = np.flatnonzero(proba.max(axis=1) < 0.8)[:20]
    assert len(mixed) == 20
    for row in mixed:
        in_leaf = (proba == proba[row]).all(axis=1)
        expected = np.average(soft[in_leaf], axis=0, weights=weight[in_leaf])
        np.testing.assert_allclose(proba[row], expected, rtol=1e-5)


def test_they_do_not_depend_on_the_number_of_jobs(blobs):
    X, _, soft, weight = blobs
    alone, together = (
        GroupedTrees(n_trees=6, n_groups=8, max_samples=300, **{**SETTINGS, "n_jobs": n_jobs}).fit(
            X, soft, weight
        )
        for n_jobs in (None, 2)
    )
    np.testing.assert_array_equal(alone.predict(X), together.predict(X))


def test_the_ensemble_of_many_classes_learns_by_them(blobs, monkeypatch):
    X, y, _, _ = blobs
    few = Settings(entries_per_tree=1)
    monkeypatch.setattr("robustlabels._ensemble.ensemble._SETTINGS", few)
    monkeypatch.setattr("robustlabels._ensemble.built_in.ExtraTreesRegressor", pytest.fail)
    clf = RobustEnsembleClassifier(None, learners=["trees"], random_state=0)
    assert clf.fit(X[:800], y[:800]).score(X[800:], y[800:]) > 0.5


def test_rows_of_which_nothing_is_known():
    X = np.random.RandomState(0).normal(size=(60, 3)).astype(np.float32)
    uniform = np.full((60, 2000), 1 / 2000)
    trees = GroupedTrees(n_trees=2, n_groups=8, max_samples=None, **SETTINGS)
    proba = trees.fit(X, uniform, np.ones(60)).predict(X)
    np.testing.assert_allclose(proba, 1 / 2000, rtol=1e-5)


def test_a_single_feature_and_a_tree_without_a_split(blobs):
    X, _, soft, weight = blobs
    trees = GroupedTrees(n_trees=5, n_groups=8, max_samples=None, **SETTINGS)
    np.testing.assert_allclose(trees.fit(X[:, :1], soft, weight).predict(X[:, :1]).sum(axis=1), 1)
    trees.fit(X[:3, :1], soft[:3], weight[:3])
    mean = np.average(soft[:3], axis=0, weights=weight[:3])
    np.testing.assert_allclose(trees.predict(X[:5, :1]), np.tile(mean, (5, 1)), rtol=1e-5)


def test_what_is_kept_of_trees_is_what_predictions_need(blobs):
    X, _, soft, weight = blobs
    trees = GroupedTrees(n_trees=10, n_groups=8, max_samples=None, **SETTINGS).fit(X, soft, weight)
    whole = ExtraTreesRegressor(10, **SETTINGS).fit(X, soft, weight)
    stored = pickle.dumps(trees)
    assert len(stored) < 0.25 * len(pickle.dumps(whole))
    np.testing.assert_array_equal(pickle.loads(stored).predict(X), trees.predict(X))

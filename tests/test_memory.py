"""What is found about the noise is kept between fits, and all else stays the same."""

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from robustlabels import (
    LabelRefiner,
    RefinedClassifier,
    RobustClassifier,
    RobustEnsembleClassifier,
    UnhingedClassifier,
    corrupt_labels,
)
from robustlabels.refinement import _crossing, _refiner

X, Y = load_iris(return_X_y=True)
Y_NOISY = corrupt_labels(Y, "symmetric", 0.2, random_state=0)
NETWORK = RobustClassifier(max_epochs=2, hidden_layer_sizes=4, random_state=0)

ESTIMATORS = [
    LabelRefiner(random_state=0),
    NETWORK,
    RobustEnsembleClassifier(max_epochs=1, random_state=0),
    RefinedClassifier(LogisticRegression(max_iter=1000), random_state=0),
    UnhingedClassifier(transition_matrix="estimate", random_state=0),
]


@pytest.fixture
def grown(monkeypatch):
    """Count the forests that are grown."""
    forests = []

    def grow(*args, **settings):
        forests.append(len(args[1]))
        return out_of_bag(*args, **settings)

    out_of_bag = _refiner.out_of_bag_probabilities
    for module in (_refiner, _crossing):
        monkeypatch.setattr(module, "out_of_bag_probabilities", grow)
    return forests


def found(estimator):
    if isinstance(estimator, LabelRefiner):
        return estimator.label_probabilities_, estimator.soft_labels_, estimator.row_groups_
    return estimator.predict_proba(X), estimator.transition_matrix_ if hasattr(
        estimator, "transition_matrix_"
    ) else estimator.refiner_.transition_matrix_


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_another_fit_grows_no_forest_and_is_the_same(estimator, tmp_path, grown):
    one = clone(estimator).set_params(memory=str(tmp_path)).fit(X, Y_NOISY)
    n_forests = len(grown)
    assert n_forests >= 1
    memory = joblib.Memory(str(tmp_path), verbose=0)
    other = clone(estimator).set_params(memory=memory).fit(X, Y_NOISY)
    assert len(grown) == n_forests
    for a, b in zip(found(one), found(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_other_rows_weights_or_seeds_are_found_anew(tmp_path, grown):
    refiner = LabelRefiner(random_state=0, memory=str(tmp_path))
    refiner.fit(X, Y_NOISY)
    weight = np.linspace(1, 2, len(X))
    for n_grown, fit in enumerate(
        [
            lambda: refiner.fit(X[1:], Y_NOISY[1:]),
            lambda: refiner.fit(X, Y_NOISY, weight),
            lambda: refiner.set_params(random_state=1).fit(X, Y_NOISY),
            lambda: refiner.set_params(transition_matrix=np.eye(3)).fit(X, Y_NOISY),
        ],
        start=2,
    ):
        fit()
        assert len(grown) == n_grown
    refiner.set_params(n_jobs=2).fit(X, Y_NOISY)
    assert len(grown) == 5


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_what_fresh_entropy_finds_is_not_kept(estimator, tmp_path):
    clone(estimator).set_params(random_state=None, memory=str(tmp_path)).fit(X, Y_NOISY)
    assert [*tmp_path.rglob("*.pkl")] == []


def test_the_random_state_goes_on_as_if_the_trees_were_grown(tmp_path):
    drawn = []
    for memory in (None, str(tmp_path), str(tmp_path)):
        rng = np.random.RandomState(np.random.PCG64(3))
        LabelRefiner(random_state=rng, memory=memory).fit(X, Y_NOISY)
        drawn.append(rng.randint(2**31))
    assert len(set(drawn)) == 1


def test_grid_search_grows_a_forest_for_each_split(tmp_path, grown):
    network = clone(NETWORK).set_params(memory=str(tmp_path))
    search = GridSearchCV(network, {"loss": ["ce", "sgce", "mae"]}, cv=2, error_score="raise")
    search.fit(X, Y_NOISY)
    assert len(grown) == 3  # and one to fit the best


def test_what_another_version_found_is_found_anew(tmp_path, grown, monkeypatch):
    refiner = LabelRefiner(random_state=0, memory=str(tmp_path)).fit(X, Y_NOISY)
    monkeypatch.setattr("robustlabels._fitting.version", lambda name: "0.0")
    refiner.fit(X, Y_NOISY)
    assert len(grown) == 2

"""Tools that people use beside this package: those of scikit-learn and some small packages.

Tools that are heavy to install are tested in `tests/interoperation`. docs/interoperation.md lists
all of them with their tests.
"""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from cleanlab.classification import CleanLearning
from cleanlab.filter import find_label_issues
from fairlearn.metrics import MetricFrame
from fairlearn.postprocessing import ThresholdOptimizer
from fairlearn.reductions import DemographicParity, ExponentiatedGradient
from imblearn.ensemble import BalancedBaggingClassifier, EasyEnsembleClassifier
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline as make_sampling_pipeline
from mapie.classification import SplitConformalClassifier
from safetensors.torch import load_file, save_file
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_blobs
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import DecisionBoundaryDisplay, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import (
    HalvingGridSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
)
from sklearn.semi_supervised import SelfTrainingClassifier
from skops.io import dumps, get_untrusted_types, loads

from robustlabels import RobustClassifier, UnhingedClassifier, corrupt_labels, to_torch

X, CLEAN = make_blobs(90, centers=[[0, 3], [3, -2], [-3, -2]], random_state=0)
NAMES = np.array(["ham", "eggs", "spam"])
CLEAN = NAMES[CLEAN]
Y, WRONG = corrupt_labels(CLEAN, "symmetric", 0.2, exact=True, random_state=0, return_mask=True)
TWO = np.where(CLEAN == "spam", "yes", "no")


def network(**params):
    """Return a small network that takes labels as given."""
    defaults = {
        "transition_matrix": None,
        "n_members": 1,
        "max_epochs": 40,
        "batch_size": 32,
        "hidden_layer_sizes": (16,),
        "dropout": 0.0,
        "random_state": 0,
    }
    return RobustClassifier(**{**defaults, **params})


CLASSIFIERS = pytest.mark.parametrize(
    "clf", [network(), UnhingedClassifier()], ids=["network", "linear"]
)


@pytest.fixture(scope="module")
def fitted():
    return network().fit(X, Y)


# scikit-learn


@CLASSIFIERS
def test_calibration(clf):
    calibrated = CalibratedClassifierCV(clf, cv=2, ensemble=False).fit(X, Y)
    assert calibrated.score(X, CLEAN) > 0.8
    # A fifth of the labels is wrong: calibrated probabilities are not near 1.
    assert 0.6 < calibrated.predict_proba(X).max(axis=1).mean() < 0.95


def test_frozen(fitted):
    calibrated = CalibratedClassifierCV(FrozenEstimator(fitted)).fit(X, Y)
    (inner,) = calibrated.calibrated_classifiers_
    assert inner.estimator.estimator is fitted
    assert calibrated.score(X, CLEAN) > 0.8


def test_halving_search():
    grid = {"loss": ["ce", "sgce"], "q": [0.3, 0.7]}
    search = HalvingGridSearchCV(network(), grid, cv=2, random_state=0).fit(X, Y)
    assert search.n_candidates_ == [4, 2]
    assert search.score(X, CLEAN) > 0.8


def test_halving_search_over_epochs():
    search = HalvingGridSearchCV(
        network(), {"lr": [1e-5, 1e-2]}, resource="max_epochs", min_resources=20, max_resources=40,
        factor=2, cv=2, random_state=0,
    ).fit(X, Y)  # fmt: skip
    assert search.best_params_["lr"] == 1e-2


@CLASSIFIERS
def test_stacking_and_voting(clf):
    learners = [("ours", clf), ("logistic", LogisticRegression())]
    assert StackingClassifier(learners, cv=2).fit(X, Y).score(X, CLEAN) > 0.8
    vote = VotingClassifier(learners, voting="soft").fit(X, Y)
    means = np.mean([learner.predict_proba(X) for learner in vote.estimators_], axis=0)
    np.testing.assert_array_equal(vote.predict_proba(X), means)


@CLASSIFIERS
def test_bagging_and_adaboost(clf):
    bagging = BaggingClassifier(clf, 2, max_samples=0.7, random_state=0).fit(X, Y)
    assert bagging.score(X, CLEAN) > 0.8
    boosting = AdaBoostClassifier(clf, n_estimators=2, random_state=0).fit(X, Y)
    assert boosting.score(X, CLEAN) > 0.8


@CLASSIFIERS
def test_self_training(clf):
    known = np.arange(len(X)) < 60
    y = np.where(known, np.unique(CLEAN, return_inverse=True)[1], -1)
    trained = SelfTrainingClassifier(clf, threshold=0.6, max_iter=1).fit(X, y)
    assert (trained.labeled_iter_[~known] == 1).any()
    assert trained.predict_proba(X).shape == (90, 3)


@CLASSIFIERS
def test_tuned_threshold(clf):
    tuned = TunedThresholdClassifierCV(clf, cv=2, scoring="balanced_accuracy").fit(X, TWO)
    assert tuned.score(X, TWO) > 0.8


def test_permutation_importance():
    noise = np.random.RandomState(0).normal(size=(90, 1))
    clf = network().fit(np.hstack([X, noise]), Y)
    found = permutation_importance(
        clf, np.hstack([X, noise]), CLEAN, n_repeats=3, random_state=0
    ).importances_mean
    assert found[:2].min() > 0.1 > abs(found[2])


def test_decision_boundary(fitted):
    display = DecisionBoundaryDisplay.from_estimator(
        fitted, X, grid_resolution=5, response_method="predict"
    )
    assert set(np.unique(display.response)) == {0, 1, 2}


# Wrong labels


def test_cleanlab_finds_wrong_labels():
    proba = cross_val_predict(network(), X, Y, cv=3, method="predict_proba")
    codes = np.unique(Y, return_inverse=True)[1]
    issues = find_label_issues(codes, proba)
    assert WRONG[issues].mean() > 0.8
    assert issues[WRONG].mean() > 0.8


@pytest.mark.filterwarnings("ignore::DeprecationWarning:cleanlab")
def test_clean_learning():
    codes = np.unique(Y, return_inverse=True)[1]
    learning = CleanLearning(network(), cv_n_folds=3, seed=0).fit(X, codes)
    issues = learning.get_label_issues()["is_label_issue"].to_numpy()
    assert WRONG[issues].mean() > 0.8
    np.testing.assert_array_equal(learning.predict(X), learning.clf.predict(X))


# Classes of unequal frequency


def test_imbalanced_learn():
    rare = np.r_[np.flatnonzero(TWO == "no"), np.flatnonzero(TWO == "yes")[:8]]
    model = make_sampling_pipeline(SMOTE(k_neighbors=3, random_state=0), network())
    assert model.fit(X[rare], TWO[rare]).score(X, TWO) > 0.8
    for ensemble in (EasyEnsembleClassifier, BalancedBaggingClassifier):
        balanced = ensemble(n_estimators=2, estimator=UnhingedClassifier(), random_state=0)
        assert balanced.fit(X[rare], TWO[rare]).score(X, TWO) > 0.8


# Statements about predictions


@CLASSIFIERS
def test_mapie(clf):
    half = np.arange(90) % 2 == 0
    conformal = SplitConformalClassifier(
        clf.fit(X[half], CLEAN[half]), confidence_level=0.8, prefit=True
    ).conformalize(X[~half], CLEAN[~half])
    predicted, sets = conformal.predict_set(X[~half])
    position = np.searchsorted(clf.classes_, CLEAN[~half])
    assert sets[np.arange(45), position, 0].mean() >= 0.8
    np.testing.assert_array_equal(predicted, clf.predict(X[~half]))


@CLASSIFIERS
@pytest.mark.filterwarnings("default::DeprecationWarning")  # pandas, of what fairlearn does
def test_fairlearn(clf):
    group = np.where(np.arange(90) % 3 == 0, "a", "b")
    y = (TWO == "yes").astype(int)
    reduced = ExponentiatedGradient(clf, DemographicParity(), max_iter=2)
    reduced.fit(X, y, sensitive_features=group)
    assert accuracy_score(y, reduced.predict(X, random_state=0)) > 0.7
    fair = ThresholdOptimizer(estimator=clf.fit(X, y), prefit=True, predict_method="predict_proba")
    predicted = fair.fit(X, y, sensitive_features=group).predict(
        X, sensitive_features=group, random_state=0
    )
    frame = MetricFrame(
        metrics=accuracy_score, y_true=y, y_pred=predicted, sensitive_features=group
    )
    assert frame.by_group.min() > 0.7


# Storage


def test_skops(fitted):
    for clf, types in (
        (
            fitted,
            {
                "robustlabels._network.engine.NetworkEngine",
                "robustlabels._network.robust.RobustClassifier",
                "robustlabels.losses._symmetrized.SGCE",
                "torch.optim.adamw.AdamW",
            },
        ),
        (
            UnhingedClassifier().fit(X, Y),
            {
                "robustlabels._linear.statistics.ClassStatistics",
                "robustlabels._linear.unhinged.UnhingedClassifier",
            },
        ),
    ):
        data = dumps(clf)
        assert set(get_untrusted_types(data=data)) == types
        loaded = loads(data, trusted=sorted(types))
        np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


def test_safetensors(fitted, tmp_path):
    save_file(fitted.net_.module_.state_dict(), tmp_path / "weights.safetensors")
    other = network(random_state=1).fit(X, Y)
    other.net_.module_.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    np.testing.assert_array_equal(other.predict_proba(X), fitted.predict_proba(X))


def test_safetensors_by_skorch(fitted, tmp_path):
    fitted.net_.save_params(f_params=tmp_path / "net.safetensors", use_safetensors=True)
    other = network(random_state=1).fit(X, Y)
    other.net_.load_params(f_params=tmp_path / "net.safetensors", use_safetensors=True)
    np.testing.assert_array_equal(other.predict_proba(X), fitted.predict_proba(X))


# torch


@pytest.mark.parametrize(
    ("clf", "y", "dtype"),
    [
        (network(), Y, np.float64),
        (network(loss="ce", priors=[0.5, 0.3, 0.2]), Y, np.float32),
        (network(loss="auto", n_members=4, transition_matrix="estimate"), TWO, np.float32),
        (network(n_members=2, priors="balanced"), TWO, np.float64),
        (UnhingedClassifier(), Y, np.float32),
        (UnhingedClassifier(), TWO, np.float64),
    ],
)
def test_a_torch_module_of_the_same_probabilities(clf, y, dtype):
    clf.fit(X.astype(dtype), y)
    proba = to_torch(clf)(torch.from_numpy(X.astype(dtype))).numpy()
    assert proba.dtype == dtype
    np.testing.assert_allclose(proba, clf.predict_proba(X.astype(dtype)), atol=1e-6)


def test_a_torch_module_is_a_copy_that_is_not_trained(fitted):
    before = fitted.predict_proba(X)
    module = to_torch(fitted)
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())
    for parameter in module.parameters():
        parameter.zero_()
    np.testing.assert_array_equal(fitted.predict_proba(X), before)


def test_what_cannot_become_a_torch_module_is_rejected():
    with pytest.raises(TypeError, match="takes a RobustClassifier or an UnhingedClassifier, not"):
        to_torch(LogisticRegression())
    statistics = UnhingedClassifier().fit(X, Y).statistics_
    with pytest.raises(ValueError, match="temperature"):
        to_torch(UnhingedClassifier().fit_statistics(statistics))


def test_the_page_lists_the_tests_and_the_versions():
    root = Path(__file__).parents[1]
    page = (root / "docs" / "interoperation.md").read_text()
    rows = re.findall(r"^\|[^|]+\| ([\w-]+) (\S+) \|.+\| `(test_\w+)` \|$", page, re.M)
    assert len(rows) == page.count("\n| ") - 1  # and a header
    pins = dict(re.findall(r"^([\w-]+)==(\S+)", (root / "constraints.txt").read_text(), re.M))
    assert [row for row in rows if pins[row[0]] != row[1]] == []
    files = [Path(__file__), *(root / "tests" / "interoperation").glob("test_*.py")]
    defined = re.findall(r"^def (test_\w+)", "".join(map(Path.read_text, files)), re.M)
    assert {row[2] for row in rows} <= set(defined)

"""RobustSearchCV beside GridSearchCV: the same search, and scores that account for noise."""

import pickle
from inspect import signature

import numpy as np
import pandas as pd
import pytest
from joblib import Memory, parallel_config
from scipy.stats import uniform
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    RandomizedSearchCV,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, EpochTimer

from robustlabels import (
    LabelRefiner,
    RobustClassifier,
    RobustSearchCV,
    UnhingedClassifier,
    corrupt_labels,
)
from robustlabels import _search as room
from robustlabels.metrics import forward_log_loss
from robustlabels.noise import pair_transition

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])
NOISY = NAMES[corrupt_labels(Y, "symmetric", 0.2, random_state=0)]
NETWORK = RobustClassifier(
    hidden_layer_sizes=8, max_epochs=3, lr=0.05, random_state=0, transition_matrix=None
)
LOSSES = {"loss": ["ce", "sgce"], "n_members": [1, 2]}


@pytest.fixture
def trained(monkeypatch):
    """List how many classifiers each joint training had."""
    sizes = []

    def fit(classifiers, *data):
        fitted = room_fit(classifiers, *data)
        sizes.append(len(fitted))
        return fitted

    room_fit = room.fit_jointly
    monkeypatch.setattr(room, "fit_jointly", fit)
    return sizes


def searched(search, estimator, *grid, y=NOISY, X=X, fit_params=None, **params):
    return search(estimator, *grid, **params).fit(X, y, **(fit_params or {}))


def assert_same_search(one, other):
    """Assert that all attributes are equal, except times and what only one of the two has."""
    of_one, of_other = one.cv_results_, other.cv_results_
    own = {name for name in of_one if name.startswith("std_error_test_")}
    assert set(of_one) - own == set(of_other)
    assert of_one["params"] == of_other["params"]
    for name, values in of_other.items():
        if name.startswith("param_"):
            assert of_one[name].tolist() == values.tolist()
            assert of_one[name].dtype == values.dtype
        elif name.startswith("rank_"):
            # Scores that differ by rounding have no order.
            scores = np.round(of_other[name.replace("rank", "mean")], 5)
            for ranks in (of_one[name], values):
                assert (np.diff(scores[np.argsort(ranks)]) <= 0).all()
        elif "score" in name and "time" not in name:
            np.testing.assert_allclose(of_one[name], values, atol=1e-6, err_msg=name)
    new = {"transition_matrix_"}
    assert {a for a in vars(one) if a.endswith("_")} - new == {
        a for a in vars(other) if a.endswith("_") and not a.startswith("_")
    } - new
    for name in ("best_index_", "best_params_", "n_splits_", "multimetric_"):
        assert getattr(one, name, None) == getattr(other, name, None)
    if hasattr(other, "best_estimator_"):
        np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
        np.testing.assert_array_equal(one.classes_, other.classes_)
        assert one.n_features_in_ == other.n_features_in_
        assert one.score(X, NOISY) == other.score(X, NOISY)


@pytest.mark.parametrize(
    "params",
    [
        {"scoring": "accuracy", "return_train_score": True},
        {"scoring": "neg_log_loss", "cv": 2, "refit": False},
        {
            "scoring": ["accuracy", "neg_log_loss"],
            "refit": "neg_log_loss",
            "cv": StratifiedKFold(2, shuffle=True, random_state=0),
        },
        {"scoring": {"a": "accuracy", "f": "f1_macro"}, "refit": False, "cv": 2},
        {"scoring": lambda model, X, y: {"a": model.score(X, y)}, "refit": "a", "cv": 2},
        {"scoring": "accuracy", "cv": 2, "refit": lambda results: 2},
    ],
)
def test_it_is_grid_search_with_candidates_trained_together(params, trained):
    params = {"cv": 3, **params}
    one = searched(RobustSearchCV, NETWORK, LOSSES, **params)
    assert_same_search(one, searched(GridSearchCV, NETWORK, LOSSES, **params))
    assert trained == [4] * one.n_splits_


def test_the_default_network_with_estimated_noise(trained, tmp_path):
    network = clone(NETWORK).set_params(transition_matrix="estimate")
    network.set_params(memory=Memory(str(tmp_path), verbose=0))
    grid = {"loss": ["auto", "sgce"], "n_members": [1, 4]}
    one = searched(RobustSearchCV, network, grid, scoring="neg_log_loss", cv=2)
    other = searched(GridSearchCV, network, grid, scoring="neg_log_loss", cv=2)
    assert_same_search(one, other)
    assert trained == [4, 4]


def test_what_cannot_train_together_is_fitted_alone(trained):
    class Local(Callback):
        """Does not pickle, and others are compared by their pickle."""

    grid = [
        {"callbacks": [[Local()]], "loss": ["ce", "sgce"]},
        {"callbacks": [[EpochTimer()]], "loss": ["ce", "sgce"]},
        {"dropout": [0.0, 0.5], "loss": ["ce", "sgce"]},
    ]
    one = searched(RobustSearchCV, NETWORK, grid, scoring="accuracy", cv=2, refit=False)
    other = searched(GridSearchCV, NETWORK, grid, scoring="accuracy", cv=2, refit=False)
    name = "mean_test_score"
    np.testing.assert_allclose(one.cv_results_[name], other.cv_results_[name], atol=1e-9)
    assert trained == [2] * 4


def test_steps_before_the_last(trained):
    pipeline = make_pipeline(StandardScaler(), clone(NETWORK))
    grid = {
        "standardscaler__with_mean": [True, False],
        "robustclassifier__loss": ["ce", "sgce"],
    }
    weight = np.random.default_rng(0).random(len(X))
    given = {"robustclassifier__sample_weight": weight}
    params = {"scoring": "neg_log_loss", "cv": 2, "fit_params": given}
    one = searched(RobustSearchCV, pipeline, grid, **params)
    assert_same_search(one, searched(GridSearchCV, pipeline, grid, **params))
    assert trained == [2] * 4
    default = RobustSearchCV(pipeline, {"robustclassifier__loss": ["ce", "mae"]}, cv=2)
    assert default.fit(X, NOISY, **given).transition_matrix_.shape == (3, 3)


@pytest.mark.parametrize("estimator", [LogisticRegression(max_iter=1000), Ridge()])
def test_any_estimator(estimator):
    name = "C" if isinstance(estimator, LogisticRegression) else "alpha"
    y = NOISY if name == "C" else X[:, 0] + Y
    score = "accuracy" if name == "C" else None
    params = {"scoring": score, "y": y, "cv": 3, "refit": False}
    one = searched(RobustSearchCV, estimator, {name: [0.1, 1.0]}, **params)
    assert_same_search(one, searched(GridSearchCV, estimator, {name: [0.1, 1.0]}, **params))


def test_drawn_candidates(trained):
    space = [{"q": uniform(0.1, 0.8), "loss": ["sgce", "gce"]}]
    params = {"n_iter": 4, "random_state": 1, "cv": 2, "scoring": "accuracy"}
    one = searched(RobustSearchCV, NETWORK, space, **params)
    assert_same_search(one, searched(RandomizedSearchCV, NETWORK, space, **params))
    assert trained == [4, 4]
    with pytest.raises(TypeError, match="needs to be a list"):
        RobustSearchCV(NETWORK, space).fit(X, NOISY)


def test_weights_groups_and_data_frames():
    table = pd.DataFrame(X, columns=[f"f{i}" for i in range(4)])
    y = pd.Series(NOISY, index=np.arange(len(X))[::-1] + 1000)  # says nothing of the table
    rng = np.random.default_rng(0)
    given = {"sample_weight": rng.random(len(X)), "groups": rng.integers(5, size=len(X))}
    params = {"scoring": "accuracy", "cv": GroupKFold(2), "fit_params": given, "y": y}
    one = searched(RobustSearchCV, NETWORK, LOSSES, X=table, **params)
    other = searched(GridSearchCV, NETWORK, LOSSES, X=table, **params)
    for name in ("mean_test_score", "std_test_score", "split1_test_score"):
        np.testing.assert_allclose(one.cv_results_[name], other.cv_results_[name], atol=1e-6)
    assert one.feature_names_in_.tolist() == other.feature_names_in_.tolist()
    params = {"cv": GroupKFold(2), "fit_params": given, "y": y, "refit": False}
    default = searched(RobustSearchCV, NETWORK, {"loss": ["ce", "sgce"]}, X=table, **params)
    assert np.isfinite(default.cv_results_["mean_test_score"]).all()


def test_a_candidate_that_fails_fails_alone():
    grid = {"loss": ["ce", "sgce"], "q": [0.5, 5.0]}  # SGCE has a q up to 1
    params = {"scoring": "accuracy", "cv": 2, "error_score": -1.0}
    found = []
    for search in (RobustSearchCV, GridSearchCV):
        with pytest.warns(FitFailedWarning, match="2 fits failed out of a total of 8"):
            found.append(searched(search, NETWORK, grid, **params))
        with pytest.raises(ValueError, match="q"):
            searched(search, NETWORK, grid, **{**params, "error_score": "raise"})
        with pytest.raises(ValueError, match="'q' parameter of SGCE"):
            searched(search, NETWORK, {"q": [5.0]}, **params)
    assert_same_search(*found)
    assert found[0].cv_results_["mean_test_score"].tolist().count(-1.0) == 1


def test_after_an_error_it_is_unchanged():
    search = searched(RobustSearchCV, NETWORK, LOSSES, cv=2, scoring="accuracy")
    before = dict(vars(search))
    search.set_params(error_score="raise")
    with pytest.raises(ValueError, match="NaN"):
        search.fit(np.where(X > 7, np.nan, X), NOISY)
    assert {**vars(search), "error_score": search.cv} == {**before, "error_score": search.cv}


def test_the_same_for_any_number_of_processes(trained):
    params = {"cv": 2, "random_state": 0, "refit": False}
    network = clone(NETWORK).set_params(random_state=None)
    params["scoring"] = "neg_log_loss"
    grid = {"loss": ["ce", "sgce", "mae"], "n_members": [1, 2]}
    with parallel_config("threading"):  # processes would import torch, which takes seconds
        scores = [
            searched(RobustSearchCV, network, grid, n_jobs=n_jobs, **params).cv_results_
            for n_jobs in (1, 2)
        ]
    assert trained == [6, 6, 2, 2, 2, 2]  # the other parts have one candidate each
    name = "mean_test_score"
    np.testing.assert_allclose(scores[0][name], scores[1][name], atol=1e-6)


def test_clone_pickle_and_nested_cross_validation():
    search = RobustSearchCV(NETWORK, {"loss": ["ce", "sgce"]}, cv=2, scoring="accuracy")
    grid = GridSearchCV(NETWORK, {"loss": ["ce", "sgce"]}, cv=2)
    twin = clone(search).fit(X, NOISY)
    loaded = pickle.loads(pickle.dumps(twin))
    np.testing.assert_array_equal(loaded.predict(X), twin.predict(X))
    assert loaded.best_params_ == twin.best_params_
    outer = StratifiedKFold(2)
    np.testing.assert_array_equal(
        cross_val_score(search, X, NOISY, cv=outer), cross_val_score(grid, X, NOISY, cv=outer)
    )


def test_the_parameters_are_those_of_the_searches_it_replaces():
    own = signature(RobustSearchCV).parameters
    assert {*signature(GridSearchCV).parameters} <= {*own}
    assert {*signature(RandomizedSearchCV).parameters} - {"param_distributions"} <= {*own}
    for name in {*own} & {*signature(GridSearchCV).parameters}:
        assert own[name].default == signature(GridSearchCV).parameters[name].default or (
            name == "error_score"
        )


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_are_the_log_likelihood_under_a_given_noise(weighted):
    T = pair_transition(3, 0.3)
    y = NAMES[corrupt_labels(Y, T, random_state=0)]
    weight = np.random.default_rng(0).integers(3, size=len(X)) if weighted else np.ones(len(X), int)
    given = {"sample_weight": weight} if weighted else {}
    rule, cv = UnhingedClassifier(transition_matrix=T), StratifiedKFold(3)
    search = RobustSearchCV(rule, {"alpha": [0.1]}, cv=cv, refit=False).fit(X, y, **given)
    np.testing.assert_array_equal(search.transition_matrix_, T)
    scores = []
    for train, test in cv.split(X, y):
        proba = rule.fit(X[train], y[train], weight[train]).predict_proba(X[test])
        copies = np.repeat(np.arange(len(test)), weight[test])
        scores.append(-forward_log_loss(y[test][copies], proba[copies], T))
    results = search.cv_results_
    np.testing.assert_allclose(results["mean_test_score"], np.mean(scores))
    error = np.std(scores, ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(results["std_error_test_score"], error)


def test_samples_without_weight_do_not_change_the_noise_of_the_scores():
    weight = (np.arange(len(X)) % 3 > 0).astype(float)
    search = RobustSearchCV(GaussianNB(), {}, cv=2, refit=False, random_state=0)
    weighted = search.fit(X, NOISY, sample_weight=weight).transition_matrix_
    kept = weight > 0
    np.testing.assert_array_equal(weighted, search.fit(X[kept], NOISY[kept]).transition_matrix_)


def test_scores_account_for_an_estimated_noise():
    search = RobustSearchCV(NETWORK, {"loss": ["ce", "sgce"]}, cv=2, random_state=0)
    assert search.fit(X, NOISY).transition_matrix_[0, 0] < 0.95
    # What is scored afterwards may be clean labels: they are taken as they are.
    assert search.score(X, NAMES[Y]) == np.mean(search.predict(X) == NAMES[Y])
    few = np.r_[0:12, 50:62, 100:112]
    assert search.fit(X[few], NOISY[few]).transition_matrix_ is None


def test_progress(capsys):
    searched(RobustSearchCV, NETWORK, LOSSES, cv=2, scoring="accuracy", verbose=1)
    shown = capsys.readouterr()
    assert "8/8" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"param_grid": 3}, "'param_grid' parameter"),
        ({"n_iter": 0}, "'n_iter' parameter"),
        ({"param_grid": {"los": ["ce"]}}, "Invalid parameter 'los'"),
        ({"scoring": ["accuracy", "f1_macro"]}, "refit"),
        ({"cv": []}, "makes no split"),
    ],
)
def test_bad_parameters(params, message):
    search = RobustSearchCV(NETWORK, {"loss": ["ce"]}).set_params(**params)
    with pytest.raises(ValueError, match=message):
        search.fit(X, NOISY)
    assert not hasattr(search, "cv_results_")


def test_answers_of_several_annotators_are_rejected():
    with pytest.raises(ValueError, match="one label for each sample.*cv=KFold"):
        RobustSearchCV(NETWORK, {"loss": ["ce"]}).fit(X, np.column_stack([NOISY, NOISY]))


def test_the_noise_of_a_split_is_estimated_once(monkeypatch):
    grown = []

    def grow(*args, **settings):
        grown.append(1)
        return out_of_bag(*args, **settings)

    from robustlabels.refinement import _refiner

    out_of_bag = _refiner.out_of_bag_probabilities
    monkeypatch.setattr(_refiner, "out_of_bag_probabilities", grow)
    network = clone(NETWORK).set_params(transition_matrix="estimate", random_state=None)
    grid = {"dropout": [0.0, 0.5], "loss": ["ce", "sgce"]}
    searched(RobustSearchCV, network, grid, cv=2, scoring="accuracy", refit=False)
    assert len(grown) == 2


@pytest.mark.parametrize("grid", [{"lr": [-1, 0]}, {"loss": ["cee"]}], ids=["lr", "loss"])
def test_candidates_are_checked_before_noise_is_estimated(grid, monkeypatch):
    monkeypatch.setattr(LabelRefiner, "fit_rows", lambda *args: pytest.fail("labels were refined"))
    for error_score in (np.nan, "raise"):
        with pytest.raises(ValueError, match="'lr' parameter|'cee'"):
            RobustSearchCV(NETWORK, grid, error_score=error_score).fit(X, NOISY)


def test_useless_trainings_warn_as_in_grid_search():
    network, texts = clone(NETWORK).set_params(lr=1e4), []
    for search in (GridSearchCV, RobustSearchCV):
        with pytest.warns(ConvergenceWarning, match="Lower lr=10000.0") as warned:
            searched(search, network, {"loss": ["ce", "unhinged"]}, cv=2, refit=False)
        texts.append(sorted(str(warning.message) for warning in warned))
    assert texts[0] == texts[1]

"""Tools that are heavy to install, such as Optuna and ONNX, or slow to start, such as Dask."""

import logging
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import optuna
import pandas as pd
import polars as pl
import pytest
import shap
import skrub
import torch
from cleanlab import Datalab
from dask.distributed import Client, LocalCluster
from joblib import parallel_config
from optuna.integration import OptunaSearchCV, SkorchPruningCallback
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.preprocessing import StandardScaler
from skorch.dataset import ValidSplit

from robustlabels import (
    RobustClassifier,
    RobustEnsembleClassifier,
    UnhingedClassifier,
    corrupt_labels,
    to_torch,
)

#: Only this package's own warnings are errors here.
pytestmark = pytest.mark.filterwarnings("default", "error:::robustlabels")

X, CODES = make_blobs(90, centers=[[0, 3], [3, -2], [-3, -2]], random_state=0)
CLEAN = np.array(["eggs", "ham", "spam"])[CODES]
Y, WRONG = corrupt_labels(CLEAN, "symmetric", 0.1, exact=True, random_state=0, return_mask=True)

optuna.logging.set_verbosity(optuna.logging.ERROR)


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


# Searches


def test_optuna():
    def objective(trial):
        lr = trial.suggest_float("lr", 5e-3, 1e-1, log=True)
        clf = network(loss=trial.suggest_categorical("loss", ["ce", "sgce"]), lr=lr)
        return cross_val_score(clf, X, Y, cv=2).mean()

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(0))
    study.optimize(objective, n_trials=6)
    assert study.best_value > 0.7
    assert network(**study.best_params).fit(X, Y).score(X, CLEAN) > 0.8


def test_optuna_search():
    space = {"q": optuna.distributions.FloatDistribution(0.1, 0.9)}
    search = OptunaSearchCV(network(), space, n_trials=2, cv=2, random_state=0).fit(X, Y)
    assert 0.1 <= search.best_params_["q"] <= 0.9
    assert search.score(X, CLEAN) > 0.8


def test_optuna_prunes():
    """The user's own callback reports to the trial, and hopeless trials are stopped."""

    def objective(trial):
        callback = SkorchPruningCallback(trial, "valid_acc")
        lr = [1e-2, 1e-9][trial.number]
        clf = network(
            lr=lr, callbacks=[callback], net_params={"train_split": ValidSplit(3)}, max_epochs=8
        )
        return clf.fit(X, Y).history_[-1, "valid_acc"]

    pruner = optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=2)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    study.optimize(objective, n_trials=2)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED"]
    assert len(study.trials[0].intermediate_values) == 8
    assert len(study.trials[1].intermediate_values) < 8


def test_search_in_processes_of_dask():
    grid = {"q": [0.3, 0.7], "lr": [1e-4, 1e-2]}
    alone = GridSearchCV(network(max_epochs=3), grid, cv=2).fit(X, Y)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
        parallel_config("dask"),
    ):
        search = GridSearchCV(network(max_epochs=3), grid, cv=2).fit(X, Y)
    for name in ("mean_test_score", "split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(search.cv_results_[name], alone.cv_results_[name])
    np.testing.assert_array_equal(search.predict_proba(X), alone.predict_proba(X))


# Explanations


@pytest.mark.parametrize("clf", [network(), UnhingedClassifier()], ids=["network", "linear"])
def test_shap(clf):
    clf.fit(X, Y)
    expected = clf.predict_proba(X[:3])
    kernel = shap.KernelExplainer(clf.predict_proba, X[:10])
    values = kernel.shap_values(X[:3], silent=True)
    np.testing.assert_allclose(values.sum(axis=1) + kernel.expected_value, expected, atol=1e-6)
    found = shap.PermutationExplainer(clf.predict_proba, X[:10])(X[:3], silent=True)
    np.testing.assert_allclose(found.values.sum(axis=1) + found.base_values, expected, atol=1e-6)


def test_shap_by_gradients():
    clf = network().fit(X, Y)
    rows = torch.from_numpy(X)
    explainer = shap.GradientExplainer(to_torch(clf), rows[:50])
    values = explainer.shap_values(rows[:2], nsamples=2000, rseed=0)
    moved = clf.predict_proba(X[:2]) - clf.predict_proba(X[:50]).mean(axis=0)
    np.testing.assert_allclose(values.sum(axis=1), moved, atol=0.1)


# Tables


@pytest.mark.parametrize(
    "clf",
    [network(max_epochs=20), RobustEnsembleClassifier(max_epochs=1, random_state=0)],
    ids=["network", "ensemble"],
)
def test_skrub_on_mixed_frames_of_pandas_and_polars(clf):
    table = {
        "length": X[:, 0],
        "width": np.where(np.arange(90) % 10 == 3, np.nan, X[:, 1]),
        "colour": np.where(CLEAN == "ham", "pink", "white"),
        "day": pd.date_range("2024-01-01", periods=90).to_numpy(),
    }
    found = []
    for frame in (pd.DataFrame(table), pl.DataFrame(table)):
        model = skrub.tabular_pipeline(clf).fit(frame, Y)
        assert model.score(frame, CLEAN) > 0.8
        found.append(model.predict(frame))
    # skrub makes float32 of the one and float64 of the other.
    assert np.mean(found[0] == found[1]) > 0.95


def test_frames_of_pandas_and_polars_without_skrub():
    table = {"length": X[:, 0], "colour": np.where(CLEAN == "ham", "pink", "white")}
    found = [
        RobustEnsembleClassifier(max_epochs=1, random_state=0).fit(frame, Y).predict_proba(frame)
        for frame in (pd.DataFrame(table), pl.DataFrame(table))
    ]
    np.testing.assert_array_equal(*found)


# Wrong labels


def test_datalab():
    proba = cross_val_predict(network(), X, Y, cv=3, method="predict_proba")
    lab = Datalab({"X": X, "y": Y}, label_name="y", verbosity=0)
    lab.find_issues(pred_probs=proba, issue_types={"label": {}})
    found = lab.get_issues("label")["is_label_issue"].to_numpy()
    assert WRONG[found].mean() > 0.8
    assert found[WRONG].mean() > 0.8


# Deployment


@pytest.mark.parametrize(
    ("clf", "dtype"),
    [
        (RobustClassifier(max_epochs=2, priors="balanced", random_state=0), np.float32),
        (network(), np.float64),
        (UnhingedClassifier(), np.float64),
    ],
    ids=["networks", "network", "linear"],
)
def test_onnx(clf, dtype, tmp_path, caplog):
    caplog.set_level(logging.ERROR)
    rows = StandardScaler().fit_transform(X).astype(dtype)
    clf.fit(rows, Y)
    torch.onnx.export(
        to_torch(clf),
        (torch.from_numpy(rows[:2]),),
        tmp_path / "clf.onnx",
        input_names=["X"],
        output_names=["proba"],
        dynamic_shapes=({0: torch.export.Dim("n_samples")},),
        dynamo=True,
    )
    session = onnxruntime.InferenceSession(tmp_path / "clf.onnx")
    (proba,) = session.run(None, {"X": rows})
    np.testing.assert_allclose(proba, clf.predict_proba(rows), atol=1e-6)
    np.testing.assert_array_equal(clf.classes_[proba.argmax(axis=1)], clf.predict(rows))


def recipes_of(page):
    text = (Path(__file__).parents[2] / "docs" / page).read_text()
    return re.findall(r"```py\n(.*?)```", text, flags=re.DOTALL)


def test_recipes_of_the_page_run(tmp_path):
    recipes = recipes_of("interoperation.md")
    assert len(recipes) == 2
    for recipe in recipes:
        subprocess.run([sys.executable, "-c", recipe], check=True, cwd=tmp_path)


def test_accelerate_trains_a_network_on_two_processes(tmp_path):
    (recipe,) = recipes_of("large_data.md")
    (tmp_path / "train.py").write_text(recipe)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "train.py"]
    done = subprocess.run(launch, check=True, cwd=tmp_path, capture_output=True, text=True)
    assert re.search(r"2 processes, accuracy 0\.9", done.stdout)

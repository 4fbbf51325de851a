"""MLflow logs the user's estimator and none of those inside."""

import os
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

import mlflow
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from robustlabels import (
    LabelRefiner,
    RefinedClassifier,
    RobustClassifier,
    RobustEnsembleClassifier,
    UnhingedClassifier,
    corrupt_labels,
)

RNG = np.random.RandomState(0)
X = RNG.normal(size=(80, 3))
Y = np.where(X[:, 0] > 0, "yes", "no")


#: Only this package's own warnings are errors here.
pytestmark = pytest.mark.filterwarnings("default", "error:::robustlabels")


@pytest.fixture(scope="module", autouse=True)
def autolog(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow")
    # MLflow passes the experiment to other processes in an environment variable.
    with patch.dict(os.environ):
        mlflow.set_tracking_uri(f"sqlite:///{folder}/runs.db")
        mlflow.create_experiment("tests", artifact_location=folder.as_uri())
        mlflow.set_experiment("tests")
        mlflow.sklearn.autolog(silent=True, log_datasets=False, log_models=False)
        yield
        mlflow.sklearn.autolog(disable=True)


def list_runs():
    return mlflow.search_runs(output_format="list")


@pytest.mark.parametrize(
    "fit",
    [
        lambda: LabelRefiner(random_state=0).fit(X, Y),
        lambda: LabelRefiner(teacher=LogisticRegression(), random_state=0).fit(X, Y),
        lambda: RobustClassifier(max_epochs=1, random_state=0).fit(X, Y),
        lambda: RobustEnsembleClassifier(max_epochs=1, random_state=0).fit(X, Y),
        lambda: RefinedClassifier(DecisionTreeClassifier(), random_state=0).fit(X, Y),
        lambda: UnhingedClassifier(transition_matrix="estimate").fit(X, Y),
        lambda: corrupt_labels(Y, "boundary", 0.2, X=X, random_state=0),
    ],
)
def test_mlflow_sees_no_inner_estimator(fit):
    before = list_runs()
    fit()
    assert list_runs() == before


def test_mlflow_logs_the_estimator_of_a_pipeline():
    before = len(list_runs())
    make_pipeline(RobustClassifier(max_epochs=1, q=0.3, random_state=0)).fit(X, Y)
    newest, *older = list_runs()
    assert len(older) == before
    assert newest.data.params["robustclassifier__q"] == "0.3"
    assert "training_accuracy_score" in newest.data.metrics


def test_overlapping_fits_leave_autologging_on():
    """The fit that ends first does not turn it on for the others."""
    before = len(list_runs())
    with ThreadPoolExecutor(3) as pool:
        refiners = [LabelRefiner(random_state=seed) for seed in range(3)]
        list(pool.map(lambda refiner: refiner.fit(X, Y), refiners))
    assert len(list_runs()) == before
    LogisticRegression().fit(X, Y)
    assert len(list_runs()) == before + 1


def test_mlflow_keeps_the_model(tmp_path):
    clf = UnhingedClassifier().fit(X, Y)
    mlflow.sklearn.save_model(
        clf, tmp_path / "model", serialization_format="cloudpickle", pip_requirements=[]
    )
    loaded = mlflow.sklearn.load_model((tmp_path / "model").as_uri())
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))

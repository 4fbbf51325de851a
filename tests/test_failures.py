"""Ctrl-C, a full disk, a killed worker: nothing is lost that was complete."""

import contextlib
import os
import pickle
import resource
import signal

import joblib
import numpy as np
import pytest
from joblib.externals.loky.process_executor import TerminatedWorkerError
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import TrainEndCheckpoint

from robustlabels import (
    LabelNoiseInjector,
    LabelRefiner,
    NoiseInjectedClassifier,
    RefinedClassifier,
    RobustClassifier,
    RobustEnsembleClassifier,
    UnhingedClassifier,
)

RNG = np.random.RandomState(0)
X = RNG.normal(size=(40, 3))
Y = np.where(X[:, 0] > 0, "yes", "no")

ESTIMATORS = [
    LabelRefiner(random_state=0),
    NoiseInjectedClassifier(GaussianNB(), LabelNoiseInjector(random_state=0)),
    RefinedClassifier(GaussianNB(), random_state=0),
    RobustClassifier(max_epochs=1, hidden_layer_sizes=(4,), random_state=0),
    RobustEnsembleClassifier(transition_matrix=None, max_epochs=1, random_state=0),
    UnhingedClassifier(),
]


def name_of(estimator):
    return type(estimator).__name__


class Interrupting:
    """Weights that meet a real Ctrl-C while they are read, after the features were."""

    def __len__(self):
        return len(X)

    def __array__(self, dtype=None, copy=None):
        signal.raise_signal(signal.SIGINT)
        return np.ones(len(X))


@contextlib.contextmanager
def full_disk():
    """Let no file grow beyond some hundred bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
def test_after_ctrl_c_a_fitted_estimator_is_what_it_was(estimator):
    estimator.fit(X, Y)
    before = dict(vars(estimator))
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X[:, :2], Y, sample_weight=Interrupting())
    assert vars(estimator).keys() == before.keys()
    assert all(vars(estimator)[name] is value for name, value in before.items())


@pytest.mark.parametrize(
    "clf", [RobustClassifier(hidden_layer_sizes=(4,)), UnhingedClassifier()], ids=name_of
)
def test_after_ctrl_c_in_a_block_the_rows_before_are_there(clf):
    clf.partial_fit(X, Y, classes=["no", "yes"])
    expected = clf.predict_proba(X)
    with pytest.raises(KeyboardInterrupt):
        clf.partial_fit(X, Y, sample_weight=Interrupting())
    np.testing.assert_array_equal(clf.predict_proba(X), expected)


@pytest.mark.parametrize("dump", [pickle.dump, joblib.dump])
@pytest.mark.parametrize("estimator", ESTIMATORS[-3:], ids=name_of)
def test_a_full_disk_leaves_the_estimator(estimator, dump, tmp_path):
    estimator.fit(X, Y)
    expected = estimator.predict_proba(X)
    with full_disk(), pytest.raises(OSError, match="large"), open(tmp_path / "full", "wb") as file:
        dump(estimator, file)
    np.testing.assert_array_equal(estimator.predict_proba(X), expected)
    with open(tmp_path / "free", "wb") as file:
        dump(estimator, file)
    np.testing.assert_array_equal(joblib.load(tmp_path / "free").predict_proba(X), expected)


def test_a_disk_that_is_full_at_a_checkpoint_costs_the_checkpoint_alone(tmp_path):
    clf = RobustClassifier(
        max_epochs=1,
        hidden_layer_sizes=(4,),
        callbacks=[TrainEndCheckpoint(dirname=tmp_path)],
        random_state=0,
    )
    expected = clf.fit(X, Y).predict_proba(X)
    with full_disk():
        clf.fit(X, Y)
    np.testing.assert_array_equal(clf.predict_proba(X), expected)


def test_a_full_cache_leaves_the_fitted_pipeline(tmp_path):
    model = make_pipeline(StandardScaler(), UnhingedClassifier()).fit(X, Y)
    expected = model.predict_proba(X)
    model.set_params(memory=str(tmp_path))
    with full_disk(), pytest.raises(OSError, match="large"):
        model.fit(X[::2], Y[::2])
    np.testing.assert_array_equal(model.predict_proba(X), expected)


@pytest.mark.slow
def test_after_a_killed_worker_a_refiner_is_what_it_was():
    class Killed(GaussianNB):
        def fit(self, X, y, sample_weight=None):
            os.kill(os.getpid(), signal.SIGKILL)

    X, y = np.repeat(globals()["X"], 2, axis=0), np.repeat(Y, 2)
    refiner = LabelRefiner(teacher=GaussianNB(), random_state=0).fit(X, y)
    before = dict(vars(refiner))
    refiner.set_params(teacher=Killed(), n_jobs=2)
    with pytest.raises(TerminatedWorkerError):
        refiner.fit(X[:, :2], y)
    assert vars(refiner) == before | {"teacher": refiner.teacher, "n_jobs": 2}

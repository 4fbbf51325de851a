"""Ctrl-C, a full disk, a killed worker: nothing is lost that was complete."""

import contextlib
import os
import pickle
import signal

import joblib
import numpy as np
import pytest
from joblib.externals.loky.process_executor import TerminatedWorkerError
from sklearn.datasets import load_iris
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, TrainEndCheckpoint

from robustlabels import (
    LabelNoiseInjector,
    LabelRefiner,
    NoiseInjectedClassifier,
    RefinedClassifier,
    RobustClassifier,
    RobustEnsembleClassifier,
    UnhingedClassifier,
    corrupt_labels,
)
from robustlabels._network.batches import BatchIterator

try:
    import resource
except ImportError:  # on Windows
    resource = None

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
    if resource is None:
        pytest.skip("This system does not limit the size of files.")
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


# Ctrl-C while a network trains


IRIS, CLEAN = load_iris(return_X_y=True)
NOISY = corrupt_labels(CLEAN, "symmetric", 0.3, exact=True, random_state=1)


class InterruptingIterator(BatchIterator):
    """Sends the process a real SIGINT after some batches."""

    left = 0

    def __iter__(self):
        for batch in super().__iter__():
            InterruptingIterator.left -= 1
            if InterruptingIterator.left == 0:
                signal.raise_signal(signal.SIGINT)
            yield batch


class Rates(Callback):
    """Keeps the learning rate of each step."""

    def on_train_begin(self, net, **kwargs):
        self.rates_ = []

    def on_batch_begin(self, net, training=False, **kwargs):
        self.rates_.append(net.optimizer_.param_groups[0]["lr"])


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("trees"))


def interruptible(**params):
    small = {"hidden_layer_sizes": (64,), "max_epochs": 20, "lr": 0.01, "random_state": 0}
    return RobustClassifier(
        net_params={"iterator_train": InterruptingIterator}, batch_size=50, **{**small, **params}
    )


def stop(classifier, n_batches):
    InterruptingIterator.left = n_batches
    with pytest.raises(KeyboardInterrupt) as stopped:
        classifier.fit(IRIS, NOISY)
    return stopped.value.__notes__


def test_a_stopped_network_is_calibrated_and_shifted_by_priors(cache):
    classifier = interruptible(priors=[0.2, 0.2, 0.6], memory=cache)
    (note,) = stop(classifier, 50)
    usable, further = note.split(". ")
    assert usable == "The network of 16 epochs is usable"
    assert further == "With warm_start=True, fit trains it further."
    assert classifier.n_iter_ == len(classifier.history_[:, "train_loss"]) == 16
    assert classifier.temperature_ != 1
    assert {group["lr"] for group in classifier.net_.optimizer_.param_groups} == {0.01}
    plain = interruptible(memory=cache)
    stop(plain, 50)
    shift = np.log(classifier.priors / classifier.class_prior_) * classifier.temperature_
    shifted = plain.decision_function(IRIS) + shift
    np.testing.assert_allclose(classifier.decision_function(IRIS), shifted, rtol=1e-5, atol=1e-5)


def test_a_stopped_network_is_trained_further_with_a_new_cycle(cache):
    classifier = interruptible(callbacks=[Rates()], warm_start=True, max_epochs=10, memory=cache)
    stop(classifier, 13)
    classifier = pickle.loads(pickle.dumps(classifier))
    (note,) = stop(classifier, 13)
    assert "The network of 8 epochs is usable" in note
    classifier.set_params(max_epochs=4).fit(IRIS, NOISY)
    assert classifier.n_iter_ == 12
    rates = classifier.callbacks[0].rates_
    assert len(rates) == 12
    assert rates[0] == pytest.approx(0.01 / 25)
    assert max(rates) == pytest.approx(0.01, rel=0.1)
    assert rates[-1] < rates[0]
    assert classifier.score(IRIS, CLEAN) > 0.7


def test_nothing_is_kept_of_a_first_epoch_that_is_stopped(cache):
    classifier = interruptible(memory=cache)
    assert "Nothing was learned" in stop(classifier, 2)[0]
    assert not hasattr(classifier, "net_")
    InterruptingIterator.left = -1
    before = classifier.fit(IRIS, NOISY).predict_proba(IRIS)
    assert "the estimator is as it was before" in stop(classifier, 2)[0]
    np.testing.assert_array_equal(classifier.predict_proba(IRIS), before)


def test_a_second_ctrl_c_leaves_the_network(monkeypatch, cache):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    classifier = interruptible(memory=cache)
    monkeypatch.setattr("robustlabels._network.engine.calibrate", interrupted)
    (note,) = stop(classifier, 50)
    assert "usable, but neither calibrated nor shifted by priors" in note
    assert classifier.temperature_ == 1
    assert classifier.score(IRIS, CLEAN) > 0.7


def test_notes_say_that_nothing_was_learned(monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("sklearn.tree.DecisionTreeClassifier.fit", interrupted)
    for estimator in (
        interruptible(),
        LabelRefiner(),
        UnhingedClassifier(transition_matrix="estimate"),
    ):
        with pytest.raises(KeyboardInterrupt) as stopped:
            estimator.fit(IRIS, NOISY)
        assert stopped.value.__notes__ == [
            "Nothing was learned: the estimator is as it was before."
        ]
        assert not hasattr(estimator, "classes_")
        assert not hasattr(estimator, "transition_matrix_")


def test_partial_fit_that_is_stopped():
    classifier = interruptible().partial_fit(IRIS, NOISY)
    before = classifier.predict_proba(IRIS)
    InterruptingIterator.left = 3
    with pytest.raises(KeyboardInterrupt) as stopped:
        classifier.partial_fit(IRIS, NOISY)
    assert "learned a part of this block" in stopped.value.__notes__[0]
    assert np.abs(classifier.predict_proba(IRIS) - before).max() > 0

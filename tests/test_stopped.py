"""Ctrl-C: what is usable after it, and how the training goes on."""

import pickle
import signal

import numpy as np
import pytest
from sklearn.datasets import load_iris
from skorch.callbacks import Callback

from robustlabels import LabelRefiner, RobustClassifier, UnhingedClassifier, corrupt_labels
from robustlabels._network.batches import BatchIterator

X, Y = load_iris(return_X_y=True)
NOISY = corrupt_labels(Y, "symmetric", 0.3, exact=True, random_state=1)


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


def interruptible(**params):
    small = {"hidden_layer_sizes": (64,), "max_epochs": 20, "lr": 0.01, "random_state": 0}
    return RobustClassifier(
        net_params={"iterator_train": InterruptingIterator}, batch_size=50, **{**small, **params}
    )


def stop(classifier, n_batches, X=X, y=NOISY):
    InterruptingIterator.left = n_batches
    with pytest.raises(KeyboardInterrupt) as stopped:
        classifier.fit(X, y)
    return stopped.value.__notes__


def test_a_stopped_network_is_calibrated_and_shifted_by_priors():
    classifier = interruptible(priors=[0.2, 0.2, 0.6])
    (note,) = stop(classifier, 50)
    assert note == ("The network of 16 epochs is usable. With warm_start=True fit goes on with it.")
    assert classifier.n_iter_ == 16
    assert classifier.temperature_ != 1
    shifted = classifier.decision_function(X)
    classifier._offset = None
    assert not np.allclose(shifted, classifier.decision_function(X))


def test_of_a_first_epoch_that_is_stopped_nothing_is_kept():
    classifier = interruptible()
    assert "Nothing was learned" in stop(classifier, 2)[0]
    assert not hasattr(classifier, "net_")
    InterruptingIterator.left = -1
    before = classifier.fit(X, NOISY).predict_proba(X)
    assert "what was fitted before is as it was" in stop(classifier, 2)[0]
    np.testing.assert_array_equal(classifier.predict_proba(X), before)


def test_a_second_ctrl_c_leaves_the_network(monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    classifier = interruptible()
    monkeypatch.setattr("robustlabels._network.robust.calibrate", interrupted)
    (note,) = stop(classifier, 50)
    assert "usable, but neither calibrated nor shifted by priors" in note
    assert classifier.temperature_ == 1
    assert classifier.score(X, Y) > 0.7


def test_a_stopped_training_goes_on_with_what_it_knows(monkeypatch):
    rates = Rates()
    whole = interruptible(callbacks=[Rates()]).fit(X, NOISY)
    expected = whole.callbacks[0].rates_
    classifier = interruptible(callbacks=[rates], warm_start=True)
    stop(classifier, 32)  # in the eleventh of 20 epochs
    beliefs = classifier._stopped.beliefs
    classifier = pickle.loads(pickle.dumps(classifier))
    rates = classifier.callbacks[0]

    def refused(*args):
        raise AssertionError("Labels are refined once.")

    monkeypatch.setattr(LabelRefiner, "fit", refused)
    classifier.set_params(max_epochs=10).fit(X, NOISY)
    assert classifier.n_iter_ == 20
    np.testing.assert_allclose(rates.rates_, expected[30:])
    assert classifier.transition_matrix_ is not None
    assert classifier._stopped is None
    assert beliefs is not None
    assert classifier.score(X, Y) > 0.7


@pytest.mark.parametrize("change", ["data", "class_weight", "finished"])
def test_another_training_starts_its_own_cycle(change):
    classifier = interruptible(callbacks=[Rates()], warm_start=True, transition_matrix=None)
    stop(classifier, 32)
    y = NOISY
    if change == "data":
        y = Y
    elif change == "class_weight":
        classifier.set_params(class_weight={0: 1, 1: 1, 2: 2})
    else:
        classifier.fit(X, y)
    classifier.fit(X, y)
    rates = classifier.callbacks[0].rates_
    assert len(rates) == 60
    assert rates[0] == pytest.approx(0.01 / 25)


def test_twice_stopped():
    classifier = interruptible(callbacks=[Rates()], warm_start=True, max_epochs=10)
    stop(classifier, 13)
    stop(classifier, 13)
    assert classifier._stopped.n_epochs == 8
    classifier.set_params(max_epochs=2).fit(X, NOISY)
    assert classifier.callbacks[0].rates_[-1] < 1e-4
    assert classifier.n_iter_ == 10


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
            estimator.fit(X, NOISY)
        assert stopped.value.__notes__ == [
            "Nothing was learned; what was fitted before is as it was."
        ]
        assert not hasattr(estimator, "classes_")
        assert not hasattr(estimator, "transition_matrix_")


def test_partial_fit_that_is_stopped():
    classifier = interruptible().partial_fit(X, NOISY)
    InterruptingIterator.left = 2
    with pytest.raises(KeyboardInterrupt) as stopped:
        classifier.partial_fit(X, NOISY)
    assert "learned a part of this block" in stopped.value.__notes__[0]
    assert classifier.predict(X).shape == (150,)


def test_a_stopped_training_goes_on_with_the_loss_that_it_has_learned():
    classifier = interruptible(loss="gce", adapt=True, warm_start=True)
    stop(classifier, 50)
    learned = classifier.loss_.q
    assert learned != 0.7
    classifier.set_params(max_epochs=4).fit(X, NOISY)
    path = classifier.history_[:, "loss__q"]
    assert len(path) == 20
    assert path[15] == pytest.approx(learned)
    assert abs(path[16] - learned) < min(0.1, abs(path[16] - 0.7))
    assert classifier.loss_.q == path[-1] != learned

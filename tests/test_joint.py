"""Fitting classifiers jointly: each becomes what its own fit would have made of it."""

import os
import signal

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from skorch.dataset import ValidSplit
from torch.utils.data import DataLoader

from robustlabels import RobustClassifier, corrupt_labels
from robustlabels._network.batches import BatchIterator
from robustlabels._network.joint import fit_jointly
from robustlabels.losses import AGCE, NCE, SGCE

X, Y = load_iris(return_X_y=True)


def candidates(**kwargs):
    model = RobustClassifier(hidden_layer_sizes=(16, 8), n_members=1, max_epochs=5, random_state=3)
    model.set_params(transition_matrix=None)
    losses = ["sgce", "ce", "unhinged", SGCE(q=0.2), NCE() + 2 * AGCE()]
    return [clone(model).set_params(loss=loss, **kwargs) for loss in losses]


def test_members_and_refined_labels(tmp_path):
    y = corrupt_labels(Y, "symmetric", 0.3, random_state=0)

    def make():
        made = candidates(transition_matrix="estimate", memory=str(tmp_path))[:3]
        made[0].set_params(loss="auto", n_members=4)
        made[1].set_params(n_members=6, priors="balanced")
        return made

    for one, other in zip(fit_jointly(make(), X, y), make(), strict=True):
        other.fit(X, y)
        np.testing.assert_array_equal(one.transition_matrix_, other.transition_matrix_)
        assert one.noise_rate_ == other.noise_rate_
        np.testing.assert_allclose(one.loss_weights_, other.loss_weights_, atol=1e-6)
        np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-6)
        assert len(one.history_[-1, "batches", 0, "train_losses"]) == one.n_members
        for name in ("train_loss", "train_loss_best"):
            np.testing.assert_allclose(one.history_[:, name], other.history_[:, name])


def scores(classifiers):
    return [classifier.decision_function(X) for classifier in classifiers]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("params", [{}, {"dropout": 0.0, "l1_penalty": 1e-3, "batch_size": -1}])
def test_each_is_what_its_own_fit_makes_of_it(params, weighted):
    labels = np.array(["a", "b", "c"])[Y]
    weight = np.random.default_rng(0).random(len(X)) if weighted else None
    together = candidates(**params)
    assert fit_jointly(together, X, labels, weight) == together
    alone = [c.fit(X, labels, weight) for c in candidates(**params)]
    np.testing.assert_allclose(scores(together), scores(alone), rtol=1e-9, atol=1e-9)
    for a, b in zip(together, alone, strict=True):
        assert a.classes_.tolist() == b.classes_.tolist()
        np.testing.assert_allclose(a.history_[:, "train_loss"], b.history_[:, "train_loss"])
        assert a.history_[:, "train_loss_best"] == b.history_[:, "train_loss_best"]
    # The optimizer, the moments and the random streams go on alike, too.
    for classifier in (*together, *alone):
        classifier.partial_fit(X[:50] + 1, labels[:50])
    np.testing.assert_allclose(scores(together), scores(alone), rtol=1e-8, atol=1e-8)


def test_one_is_fitted_by_its_own_fit():
    assert fit_jointly([], X, Y) == []
    one, twin = candidates()[:1], candidates()[0].fit(X, Y)
    np.testing.assert_array_equal(fit_jointly(one, X, Y)[0].predict_proba(X), twin.predict_proba(X))


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        ({"lr": 0.1}, "lr=0.1 cannot train jointly"),
        ({"random_state": 4}, "random_state=4 cannot"),
        ({"transition_matrix": np.eye(3)}, "transition_matrix=array"),
    ],
)
def test_other_differences_are_refused(odd, message):
    classifiers = candidates()
    classifiers[2].set_params(**odd)
    with pytest.raises(ValueError, match=message):
        fit_jointly(classifiers, X, Y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"random_state": None}, "random_state=None cannot train jointly"),
        ({"warm_start": True}, "warm_start"),
        ({"callbacks": [("a", None)]}, "callbacks"),
        ({"module": torch.nn.Linear(4, 3)}, "module"),
        ({"optimizer": torch.optim.LBFGS}, "optimizer=.*LBFGS"),
        ({"net_params": {"train_split": ValidSplit(5)}}, "train_split"),
        ({"dropout": 2.0}, "'dropout' parameter"),
    ],
)
def test_what_cannot_be_shared_is_refused(params, message):
    with pytest.raises(ValueError, match=message):
        fit_jointly(candidates(**params), X, Y)


def test_after_an_error_all_are_what_they_were():
    classifiers = candidates()
    fit_jointly(classifiers, X, Y)
    before = scores(classifiers)
    with pytest.raises(ValueError, match="NaN"):
        fit_jointly(classifiers, np.where(X > 7, np.nan, X), Y)
    for classifier in classifiers:
        classifier.set_params(lr=1e300)
    with pytest.raises(ValueError, match="diverged"):
        fit_jointly(classifiers, X, Y)
    np.testing.assert_array_equal(scores(classifiers), before)


def test_the_error_is_that_of_the_training():
    drop_last = {"iterator_train": DataLoader, "iterator_train__drop_last": True}
    classifiers = candidates(batch_size=1000, net_params=drop_last)
    with pytest.raises(ValueError, match="no batch"):
        fit_jointly(classifiers, X, Y)
    assert not hasattr(classifiers[0], "net_")


class InterruptingIterator(BatchIterator):
    """Sends the process a real SIGINT in the third pass."""

    passes = 0

    def __iter__(self):
        type(self).passes += 1
        if type(self).passes == 3:
            os.kill(os.getpid(), signal.SIGINT)
        yield from super().__iter__()


def test_an_interrupt_leaves_the_networks_so_far():
    classifiers = candidates(net_params={"iterator_train": InterruptingIterator})
    with pytest.raises(KeyboardInterrupt):
        fit_jointly(classifiers, X, Y)
    assert [classifier.n_iter_ for classifier in classifiers] == [2] * 5
    InterruptingIterator.passes = 0
    alone = candidates(net_params={"iterator_train": InterruptingIterator})[1]
    with pytest.raises(KeyboardInterrupt):
        alone.fit(X, Y)
    np.testing.assert_allclose(scores(classifiers[1:2]), scores([alone]), rtol=1e-9)

"""RobustClassifier: what it learns, what it takes, what it rejects, what it leaves alone."""

import copy
import dataclasses
import functools
import io
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix
from scipy.special import log_softmax, softmax
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import log_loss, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    Freezer,
    Initializer,
    LRScheduler,
    TrainEndCheckpoint,
)
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.data import Subset

from robustlabels import LabelRefiner, RobustClassifier, RobustEnsembleClassifier, corrupt_labels
from robustlabels._network.joint import fit_jointly
from robustlabels._network.settings import NETWORK
from robustlabels._network.training import prepare_training, read_training_rows
from robustlabels.losses import (
    AGCE,
    CE,
    GCE,
    SGCE,
    BackwardCorrected,
    ForwardCorrected,
    Loss,
    Unhinged,
    available_losses,
)
from robustlabels.noise import pair_transition, symmetric_transition
from robustlabels.refinement._temperatures import find_temperature

IRIS = load_iris(return_X_y=True)
CACHE = None


@pytest.fixture(autouse=True, scope="module")
def _cache(tmp_path_factory):
    """Refine the labels of a table once: the trees take longer than the small networks."""
    global CACHE
    CACHE = str(tmp_path_factory.mktemp("trees"))
    yield
    CACHE = None


def small(*args, **kwargs):
    """A classifier that fits in a few hundredths of a second, on the labels as given."""
    defaults = {"hidden_layer_sizes": (16,), "n_members": 1, "max_epochs": 5, "lr": 0.01}
    defaults |= {"transition_matrix": None, "random_state": 0, "memory": CACHE}
    return RobustClassifier(*args, **{**defaults, **kwargs})


def prepare(clf, X, y, sample_weight=None):
    """What a fit of a copy of a classifier would learn, with the networks before they learn it."""
    clf = clone(clf)
    return prepare_training(clf, read_training_rows(clf, X, y, sample_weight))


@functools.cache
def digits(noise_rate, seed):
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X.astype(np.float32), y, test_size=0.3, stratify=y, random_state=seed
    )
    if noise_rate:
        y_train = corrupt_labels(y_train, "symmetric", noise_rate, random_state=seed)
    return X_train, y_train, X_test, y_test


# What it learns


@functools.cache
def default_network(n_members=4, **params):
    """Fitted to digits with 40 % noise."""
    X_train, y_train, _, _ = digits(0.4, 0)
    clf = RobustClassifier(n_members=n_members, random_state=0, memory=CACHE, **params)
    return clf.fit(X_train, y_train)


@pytest.mark.slow
def test_defaults_survive_40_percent_noise():
    X_train, y_train, X_test, y_test = digits(0, 0)
    # Without noise one member is enough to compare with.
    clean = RobustClassifier(n_members=1, random_state=0).fit(X_train, y_train)
    score = default_network().score(X_test, y_test)
    assert score >= 0.945
    assert clean.score(X_test, y_test) - score <= 0.03


@pytest.mark.slow
def test_losses_under_noise():
    combinations = [name for name in available_losses() if "+" in name]
    combinations += ["anl-ce", "jal-ce", "jal-fl"]
    assert len(combinations) >= 10
    core = ["mae", "gce", "unhinged", "alpha-mae", "agce", "aul", "ael"]
    names = ["ce", "sgce", *core, *combinations]
    pinned = {"hidden_layer_sizes": (128,), "dropout": 0.5, "n_members": 1}
    pinned |= {"max_epochs": 40, "lr": 0.004, "transition_matrix": None}
    X_train, y_train, X_test, y_test = digits(0.4, 0)
    classifiers = [RobustClassifier(name, **pinned, random_state=0) for name in names]
    fitted = fit_jointly(classifiers, X_train, y_train)
    score = {clf.loss: clf.score(X_test, y_test) for clf in fitted}
    assert score["sgce"] >= score["ce"] + 0.015, score
    assert min(score.values()) == score["ce"], score
    for name in combinations:
        assert score[name] >= score["sgce"] - 0.01, score


@pytest.mark.slow
@pytest.mark.parametrize("loss", [SGCE(q=0.01), Unhinged()], ids=repr)
def test_losses_without_a_lower_bound_do_not_run_away(loss):
    X_train, y_train, X_test, y_test = digits(0.4, 0)
    clf = small(loss, hidden_layer_sizes=256, max_epochs=40).fit(X_train, y_train)
    assert clf.score(X_test, y_test) > 0.9
    assert np.abs(clf.decision_function(X_test)).max() <= 10
    free = clone(clf).set_params(loss__radius=None).fit(X_train, y_train)
    assert np.abs(free.decision_function(X_test)).max() > 100


@pytest.mark.parametrize("scale", [1e-3, 1e6])
def test_raw_features_on_any_scale(scale):
    X, y = IRIS
    X = X * np.array([scale, 1, 1 / scale, 1])
    clf = small(transition_matrix="estimate", max_epochs=60)
    assert clf.fit(X, y).score(X, y) > 0.9


# What it makes of the noise


@pytest.mark.slow
def test_noise_that_depends_on_the_class_is_found_and_taken_out():
    X_train, y_train, X_test, y_test = digits(0, 0)
    names = np.array(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    )
    # In the sorted order of the names, not in that of the digits.
    T = pair_transition(10, 0.4)
    y_noisy = corrupt_labels(names[y_train], T, random_state=1)
    kwargs = {"n_members": 1, "max_epochs": 25, "hidden_layer_sizes": 128, "random_state": 0}
    score = {}
    for given in (None, "estimate", T):
        clf = RobustClassifier(transition_matrix=given, memory=CACHE, **kwargs)
        clf.fit(X_train, y_noisy)
        score[str(given)] = clf.score(X_test, names[y_test])
        if given is None:
            assert clf.transition_matrix_ is clf.noise_rate_ is None
        elif isinstance(given, str):
            assert np.abs(clf.transition_matrix_ - T).sum(axis=1).mean() / 2 < 0.1
            assert clf.noise_rate_ == pytest.approx(0.4, abs=0.1)
        else:
            np.testing.assert_array_equal(clf.transition_matrix_, T)
            assert clf.noise_rate_ == pytest.approx(0.4, abs=0.05)
    assert score["estimate"] > score["None"] + 0.1
    assert score[str(T)] > 0.95


@pytest.mark.slow
def test_networks_of_two_losses_are_weighed_by_labels_they_have_not_seen():
    X, y = load_breast_cancer(return_X_y=True)
    y_noisy = corrupt_labels(y, "symmetric", 0.3, random_state=0)
    clf = small(transition_matrix="estimate", n_members=4, max_epochs=40).fit(X, y_noisy)
    assert [type(loss) for loss in clf.loss_] == [CE, SGCE]
    assert clf.loss_weights_.shape == (2,)
    assert clf.loss_weights_.sum() == pytest.approx(1)
    # The members have the losses in turn; the folds of the first pair are known to no member of it.
    training = prepare(clf, X, y_noisy)
    codes, calibration = training.codes, training.calibration
    assert len(calibration.rows) == len(X)
    with torch.no_grad():
        scores = clf.net_.module_(torch.as_tensor(X)).double().numpy()
    net, logits, given = clf.net_, torch.as_tensor(scores), torch.as_tensor(codes)
    losses = net._member_losses(logits, given, None, training=False)
    expected = [loss(logits[:, member], given) for member, loss in enumerate(net.losses_)]
    np.testing.assert_allclose(losses, expected)
    p = 0.99 * softmax(scores, axis=2) + 0.005
    rows = np.flatnonzero(calibration.folds < 2)
    folds = calibration.folds[rows]
    unseen = np.log(np.stack([p[rows, 2 * folds + loss] for loss in (0, 1)]))
    likelihood = []
    weights = clf.loss_weights_ / clf.temperature_
    # Networks learn under the noise if there is any.
    matrices, chance = clf.noise_posterior_.matrices, clf.noise_posterior_.weights.copy()
    chance[(matrices == np.eye(2)).all(axis=(1, 2))] = 0
    T = np.tensordot(chance / chance.sum(), matrices, 1)
    for change in ((1, 1), (1.5, 1), (1 / 1.5, 1), (1, 1.5), (1, 1 / 1.5)):
        w = weights * change
        pool = softmax(np.tensordot(w, unseen, 1), axis=1)
        seen = np.log((pool @ T)[np.arange(len(rows)), codes[rows]]).sum()
        apart = np.log(w) - np.log(w).mean()
        likelihood.append(seen - 0.15 * apart @ apart - 1.5 * np.log(w.sum()) ** 2)
    assert np.argmax(likelihood) == 0
    of_losses = np.log(np.stack([p[:, ::2].mean(axis=1), p[:, 1::2].mean(axis=1)]))
    pooled = np.tensordot(clf.loss_weights_, of_losses, 1)
    np.testing.assert_allclose(clf.decision_function(X), pooled[:, 1] - pooled[:, 0], rtol=1e-4)
    loaded = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert [type(loss) for loss in loaded.net_.losses_] == [CE, SGCE] * 2


def test_which_loss_auto_is():
    X, y = IRIS
    T = symmetric_transition(3, 0.2)
    assert isinstance(small(transition_matrix=T).fit(X, y).loss_, CE)
    assert isinstance(small(transition_matrix=T, module=nn.Linear(4, 3)).fit(X, y).loss_, CE)
    assert isinstance(small(n_members=4).fit(X, y).loss_, SGCE)
    assert repr(small(transition_matrix=T, n_members=2, q=0.4).fit(X, y).loss_) == "SGCE(q=0.4)"
    assert isinstance(small("sgce", transition_matrix=T, n_members=2).fit(X, y).loss_, SGCE)
    three = small(transition_matrix=T, n_members=3).fit(X, y)
    assert [type(loss) for loss in three.net_.losses_] == [CE, SGCE, CE]
    assert small("gce", transition_matrix=T, n_members=2).fit(X, y).loss_weights_.tolist() == [1]


@pytest.mark.slow
def test_a_rare_class_is_predicted_where_a_robust_loss_alone_would_not():
    rng = np.random.RandomState(1)
    y = (rng.uniform(size=3000) < 0.1).astype(int)
    X = rng.normal(size=(3000, 6))
    X[y == 1, :4] += 1.5
    y_noisy = corrupt_labels(y[:1500], "symmetric", 0.1, random_state=0)
    recall = {}
    params = {"n_members": 2, "hidden_layer_sizes": (128, 128), "memory": CACHE}
    for loss in ("auto", "sgce"):
        clf = RobustClassifier(loss, max_epochs=20, random_state=0, **params)
        clf.fit(X[:1500], y_noisy)
        recall[loss] = clf.predict(X[1500:])[y[1500:] == 1].mean()
    assert recall["auto"] > max(0.4, recall["sgce"] + 0.3)


@pytest.mark.slow
def test_class_weights_bring_a_rare_class_back_under_noise():
    rng = np.random.RandomState(1)  # not the seed of the noise: these draws are the labels
    y, y_test = (rng.uniform(size=2000) < share for share in (0.08, 0.5))
    X, X_test = (
        rng.normal(size=(2000, 8)) + 2 * np.outer(t, np.arange(8) < 2) for t in (y, y_test)
    )
    y_noisy = corrupt_labels(y, "symmetric", 0.2, random_state=0)
    clf = small(transition_matrix="estimate", max_epochs=20, class_weight="balanced", dropout=0.2)
    balanced = clf.fit(X, y_noisy).score(X_test, y_test)
    plain = clf.set_params(class_weight=None).fit(X, y_noisy).score(X_test, y_test)
    assert balanced > max(0.8, plain + 0.05)


@pytest.mark.parametrize("warm_start", [False, True])
def test_an_interrupt_before_the_first_step_loses_nothing(warm_start, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    X, y = IRIS
    clf = small(transition_matrix="estimate", warm_start=warm_start, memory=None).fit(X, y)
    before = dict(vars(clf)), clf.predict_proba(X)
    monkeypatch.setattr("sklearn.tree.DecisionTreeClassifier.fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X[::2], y[::2])
    assert vars(clf) == before[0]
    np.testing.assert_array_equal(clf.predict_proba(X), before[1])


def test_small_tables_get_enough_steps():
    X, y = IRIS
    clf = small(max_epochs="auto", batch_size=-1, hidden_layer_sizes=()).fit(X, y)
    assert clf.n_iter_ == 600


def test_partial_fit_goes_on_with_labels_as_given_and_a_robust_loss():
    X, y = load_breast_cancer(return_X_y=True)
    clf = small(transition_matrix="estimate").fit(X, y)
    before = clf.decision_function(X)
    clf.set_params(lr=1e-6).partial_fit(X, y)
    assert isinstance(clf.loss_, SGCE)
    assert clf.transition_matrix_ is clf.noise_rate_ is clf.noise_evidence_ is None
    assert clf.temperature_ == 1
    np.testing.assert_allclose(clf.decision_function(X), before, atol=0.01)


def test_labels_of_small_tables_are_taken_as_given():
    X, y = IRIS
    few = np.r_[0:15, 50:65, 100:119]
    clf = small(transition_matrix="estimate").fit(X[few], y[few])
    assert clf.transition_matrix_ is None
    as_given = small().fit(X[few], y[few])
    np.testing.assert_array_equal(clf.predict_proba(X), as_given.predict_proba(X))
    assert small(transition_matrix="estimate").fit(X, y).transition_matrix_ is not None


def test_a_failed_or_new_fit_leaves_no_old_noise():
    X, y = IRIS
    clf = small(transition_matrix="estimate").fit(X, y)
    transition = clf.transition_matrix_
    with pytest.raises(ValueError, match="transition"):
        clf.set_params(transition_matrix=np.eye(2)).fit(X, y)
    assert clf.transition_matrix_ is transition
    assert clf.set_params(transition_matrix=None).fit(X, y).transition_matrix_ is None


def test_partial_fit_refuses_a_transition_matrix():
    X, y = IRIS
    with pytest.raises(ValueError, match="ForwardCorrected"):
        small(transition_matrix=np.eye(3)).partial_fit(X, y)
    assert small(transition_matrix="estimate").partial_fit(X, y).noise_rate_ is None


def test_estimated_noise_is_the_same_for_the_same_seed_and_survives_pickle():
    X, y = IRIS
    y = corrupt_labels(y, "pair", 0.3, random_state=0)
    state = np.random.get_state()[1].copy(), torch.get_rng_state()
    first, second = (small(transition_matrix="estimate").fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(np.random.get_state()[1], state[0])
    assert torch.equal(torch.get_rng_state(), state[1])
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    loaded = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(loaded.transition_matrix_, second.transition_matrix_)
    np.testing.assert_array_equal(loaded.predict_proba(X), second.predict_proba(X))


def test_noise_is_estimated_for_a_custom_module_and_validation_rows_keep_their_labels():
    X, y = IRIS
    y = corrupt_labels(y, "symmetric", 0.3, random_state=0)
    clf = small(
        transition_matrix="estimate",
        module=nn.Linear(4, 3),
        net_params={"train_split": ValidSplit(5, stratified=True)},
        max_epochs=100,
        lr=0.1,
    ).fit(X, y)
    assert clf.transition_matrix_.shape == (3, 3)
    rows = ValidSplit(5, stratified=True)(Dataset(X, y), y)[1].indices
    assert clf.history_[-1, "valid_acc"] == pytest.approx((clf.predict(X[rows]) == y[rows]).mean())
    loss = clf.loss_(torch.from_numpy(clf.decision_function(X[rows])), torch.from_numpy(y[rows]))
    assert clf.history_[-1, "valid_loss"] == pytest.approx(loss.item())


def test_class_weights_that_leave_nothing_of_refined_labels():
    with pytest.raises(ValueError, match="leaves no row with a weight"):
        small(transition_matrix="estimate", class_weight={0: 0, 1: 0, 2: 0}).fit(*IRIS)


# Probabilities


def calibration_error(proba, y, n_bins=15):
    """Expected calibration error: how far shares of right predictions are from what is said."""
    sure, right = proba.max(axis=1), proba.argmax(axis=1) == y
    bins = np.minimum((sure * n_bins).astype(int), n_bins - 1)
    return sum(abs((sure - right)[bins == b].sum()) for b in range(n_bins)) / len(y)


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "n_members"), [("auto", 1), ("ce", 1), ("auto", 4)])
def test_probabilities_are_those_of_clean_labels(loss, n_members):
    _, _, X_test, y_test = digits(0.4, 0)
    proba = default_network(n_members, loss=loss).predict_proba(X_test)
    uncorrected = default_network(1, loss="ce", transition_matrix=None).predict_proba(X_test)
    assert calibration_error(proba, y_test) < calibration_error(uncorrected, y_test) / 2
    assert log_loss(y_test, proba) < log_loss(y_test, uncorrected) / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "n_members", "n_copies"), [("ce", 2, 3), ("ce", 4, 1), ("auto", 4, 1)]
)
def test_members_are_calibrated_by_rows_they_have_not_seen(loss, n_members, n_copies):
    # The labels say nothing and are said to be right: to be sure of them is to know them by heart.
    rng = np.random.RandomState(0)
    X, y = np.float32(rng.normal(size=(600, 8))), rng.randint(2, size=600)
    X_train, y_train = np.repeat(X[:300], n_copies, axis=0), np.repeat(y[:300], n_copies)
    params = {"hidden_layer_sizes": 64, "n_members": n_members, "dropout": 0, "max_epochs": 150}
    clf = small(loss, transition_matrix=np.eye(2), batch_size=300, **params).fit(X_train, y_train)
    assert clf.score(X_train, y_train) > 0.8
    assert log_loss(y[300:], clf.predict_proba(X[300:])) < 0.75


@pytest.mark.slow
def test_members_are_calibrated_where_many_rows_have_the_same_features():
    rng = np.random.RandomState(0)
    X = np.float32(rng.randint(2, size=(4000, 6)))
    p = 1 / (1 + np.exp(-(X - 0.5) @ [3, -2, 1, 1, -1, 0]))
    y = np.int64(rng.uniform(size=4000) < p)
    clf = small(n_members=4, max_epochs=40, transition_matrix="estimate").fit(X[:2000], y[:2000])
    assert clf.noise_rate_ < 0.05
    best = log_loss(y[2000:], p[2000:])
    assert log_loss(y[2000:], clf.predict_proba(X[2000:])) < 1.1 * best


def test_no_row_that_a_member_has_not_seen(monkeypatch):
    # Rows of the same features are held out together: hardly any sample has another.
    few = dataclasses.replace(NETWORK, calibration_rows=8)
    monkeypatch.setattr("robustlabels._network.training.NETWORK", few)
    X = np.repeat(np.arange(30.0), np.where(np.isin(np.arange(30), (3, 20)), 500, 1))
    X = np.tile(X[:, None], 12)  # in one column they would be equal by chance
    y = np.int64(X[:, 0] >= 15)
    params = {"hidden_layer_sizes": (), "n_members": 2, "batch_size": -1, "max_epochs": 1}
    n_held_out = set()
    for seed in range(6):
        clf = small(transition_matrix=np.eye(2), **params, random_state=seed)
        n_held_out.add(sum(prepare(clf, X, y).calibration.folds < 1))
        assert np.isfinite(clf.fit(X, y).predict_proba(X)).all()
    assert 0 in n_held_out


@pytest.mark.slow
def test_temperature_brings_the_ensemble_to_the_mean_of_its_members():
    X, y = digits(0.4, 0)[:2]
    T = symmetric_transition(10, 0.4)
    params = {"hidden_layer_sizes": 256, "n_members": 4, "max_epochs": 20, "dropout": 0}
    clf = small("sgce", **params, transition_matrix=T).fit(X, y)
    training = prepare(clf, X, y)
    codes, calibration = training.codes, training.calibration
    assert len(calibration.rows) == len(X)
    with torch.no_grad():
        scores = clf.loss_.scores(clf.net_.module_(torch.as_tensor(X)).double()).numpy()
    unseen = scores[np.arange(len(X)), calibration.folds]
    temperatures, expected = np.geomspace(0.5, 50, 400), calibration.label_probabilities
    # What the noise makes of the probabilities of the members, for rows they have not seen; the
    # label probabilities count for 20 labels.
    of_labels = [
        np.log((softmax(unseen / t, axis=1) @ T)[np.arange(len(X)), codes]).sum()
        + 20 * (expected * log_softmax(unseen / t, axis=1)).sum(axis=1).mean()
        for t in temperatures
    ]
    of_members = temperatures[np.argmax(of_labels)]
    mean = softmax(scores / of_members, axis=2).mean(axis=1)
    merged = clf.decision_function(X)
    likeness = [(mean * log_softmax(merged / t, axis=1)).sum() for t in temperatures]
    assert clf.temperature_ == pytest.approx(temperatures[np.argmax(likeness)], rel=0.02)
    assert clf.temperature_ < 0.95 * of_members


@pytest.mark.parametrize("n_members", [1, 4])
def test_weights_equal_repetition_with_a_transition_matrix_too(n_members):
    X, y = IRIS
    # Of the heavy rows many are wrong, so that weights say to be less sure.
    y = np.where(np.arange(150) % 3 == 0, corrupt_labels(y, "symmetric", 0.6, random_state=3), y)
    weight = np.where(np.arange(150) % 3 == 0, 4, 1)
    clf = small(
        "sgce",
        batch_size=-1,
        transition_matrix=symmetric_transition(3, 0.2),
        n_members=n_members,
        max_epochs=60,
    )
    weighted = clone(clf).fit(X, y, sample_weight=weight)
    repeated = clone(clf).fit(X.repeat(weight, axis=0), y.repeat(weight))
    np.testing.assert_allclose(
        # Scores of up to 5 in float32 steps that add up; some are next to 0.
        weighted.decision_function(X),
        repeated.decision_function(X),
        rtol=1e-4,
        atol=5e-5,
    )
    # What is known before the labels counts for more of few rows than of many; but weights count
    # for most of what repetition does.
    plain = clone(clf).fit(X, y)
    gap = abs(plain.temperature_ - repeated.temperature_)
    assert abs(weighted.temperature_ - repeated.temperature_) < 0.4 * gap


def test_class_weights_count_in_the_temperature():
    X, y = IRIS
    y = corrupt_labels(y, np.array([[1, 0, 0], [0, 1, 0], [0, 0.4, 0.6]]), random_state=0)
    weight = np.array([1.0, 1.0, 20.0])
    clf = small(class_weight=dict(enumerate(weight)), transition_matrix=np.eye(3)).fit(X, y)
    expected, even = (
        find_temperature(clf.decision_function(X), targets)
        for targets in (np.eye(3)[y] * weight, np.eye(3)[y])
    )
    assert clf.temperature_ == pytest.approx(expected, rel=0.01)
    assert clf.temperature_ != pytest.approx(even, rel=0.05)


def test_members_without_a_fold_learn_as_much_as_with_all():
    # The loss of the first step, before anything is learned, which is of all rows.
    params = {"n_members": 4, "batch_size": -1, "max_epochs": 1}
    without, all_rows = (
        small("ce", **params, transition_matrix=T).fit(*IRIS).history_[0, "train_loss"]
        for T in (np.eye(3), None)
    )
    assert without == pytest.approx(all_rows, rel=0.02)


def test_going_on_leaves_no_row_to_calibrate_by():
    X, y = IRIS
    params = {"n_members": 4, "warm_start": True, "max_epochs": 50, "lr": 1e-9}
    clf = small("sgce", transition_matrix=np.eye(3), **params).fit(X, y)
    scores = clf.decision_function(X)
    clf.fit(X, y)
    np.testing.assert_allclose(clf.decision_function(X), scores, atol=1e-3)
    expected = find_temperature(scores, np.eye(3)[y])
    assert clf.temperature_ == pytest.approx(expected, rel=0.02)


def test_temperature_scales_the_scores_and_is_1_for_labels_as_given():
    X, y = IRIS
    y = corrupt_labels(y, "symmetric", 0.3, random_state=0)
    clf = small(transition_matrix="estimate", max_epochs=50).fit(X, y)
    assert clf.temperature_ not in (1, pytest.approx(1, abs=1e-3))
    scores = clf.decision_function(X) / clf.temperature_
    np.testing.assert_allclose(clf.predict_proba(X), softmax(scores, axis=1))
    clf.set_params(transition_matrix=None).fit(X, y)
    assert clf.temperature_ == 1
    np.testing.assert_allclose(clf.predict_proba(X), softmax(clf.decision_function(X), axis=1))


@pytest.mark.parametrize("transition_matrix", [None, "estimate"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_priors_shift_the_probabilities_by_their_ratio(n_classes, transition_matrix):
    X, y = (part[: 50 * n_classes] for part in IRIS)
    y = corrupt_labels(y, "symmetric", 0.3, random_state=0)
    weight = np.where(y == 0, 3.0, 1.0)
    priors = np.arange(1, n_classes + 1) / np.arange(1, n_classes + 1).sum()
    plain = small(transition_matrix=transition_matrix).fit(X, y, weight)
    np.testing.assert_allclose(plain.class_prior_.sum(), 1)
    if transition_matrix is None:
        np.testing.assert_allclose(plain.class_prior_, np.bincount(y, weight) / weight.sum())
    for given, meant in ((priors, priors), ("balanced", np.full(n_classes, 1 / n_classes))):
        clf = clone(plain).set_params(priors=given).fit(X, y, weight)
        expected = plain.predict_proba(X) * meant / plain.class_prior_
        expected /= expected.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(clf.predict_proba(X), expected)
        np.testing.assert_array_equal(clf.predict(X), expected.argmax(axis=1))
        scores = clf.decision_function(X)
        best = scores > 0 if n_classes == 2 else scores.argmax(axis=1)
        np.testing.assert_array_equal(clf.predict(X), best)
        loaded = pickle.loads(pickle.dumps(clf))
        np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


def test_class_prior_of_refined_labels_counts_weights():
    X, y = IRIS
    weight = np.where(y == 0, 4.0, 1.0)
    clf = small(transition_matrix=symmetric_transition(3, 0.01)).fit(X, y, weight)
    np.testing.assert_allclose(clf.class_prior_, [2 / 3, 1 / 6, 1 / 6], atol=0.02)


@pytest.mark.slow
def test_frequencies_of_the_true_classes_are_found():
    rng = np.random.RandomState(0)
    y = (rng.uniform(size=3000) < 0.1).astype(int)
    X = rng.normal(size=(3000, 4)) + 4 * y[:, None]
    y_noisy = corrupt_labels(y, "symmetric", 0.3, random_state=1)
    clf = small(transition_matrix="estimate").fit(X, y_noisy)
    assert np.mean(y_noisy) == pytest.approx(0.34, abs=0.03)
    assert 0.08 < clf.class_prior_[1] < 0.2  # much nearer to 0.1, but cautious
    balanced = clf.set_params(class_weight="balanced").fit(X, y_noisy)
    np.testing.assert_allclose(balanced.class_prior_, 0.5)


@pytest.mark.parametrize("priors", [[0.5, 0.5], [0.2, 0.2, 0.2], [1.0, 0.5, -0.5], [0.5, 0.5, 0]])
def test_bad_priors_are_refused_before_training(priors):
    clf = small().fit(*IRIS)
    before = clf.predict_proba(IRIS[0])
    with pytest.raises(ValueError, match="priors must be positive, of sum 1"):
        clf.set_params(priors=priors).fit(*IRIS)
    np.testing.assert_array_equal(clf.predict_proba(IRIS[0]), before)


def test_partial_fit_refuses_priors_and_forgets_those_of_a_fit():
    X, y = IRIS
    clf = small(priors=[0.01, 0.01, 0.98]).fit(X, y)
    with pytest.raises(ValueError, match="priors need all labels at once"):
        clf.partial_fit(X, y)
    clf.set_params(priors=None).partial_fit(X, y)
    np.testing.assert_allclose(clf.predict_proba(X), softmax(clf.decision_function(X), axis=1))
    assert len(np.unique(clf.predict(X))) > 1


def test_evidence_is_kept_where_the_noise_was_estimated():
    X, y = IRIS
    y = corrupt_labels(y, "symmetric", 0.2, random_state=0)
    clf = small(transition_matrix="estimate").fit(X, y)
    assert max(clf.noise_evidence_, key=clf.noise_evidence_.get) == "symmetric"
    assert clf.set_params(transition_matrix=np.eye(3)).fit(X, y).noise_evidence_ is None


# What it takes


@pytest.mark.parametrize(
    "convert",
    [
        lambda y: np.array(["setosa", "versicolor", "virginica"])[y],
        lambda y: y * 10 - 10,
        lambda y: y.astype(float),
        lambda y: pd.Series(y, index=np.arange(150) * 3).map({0: "a", 1: "b", 2: "c"}),
        lambda y: pd.Series(y).astype("category"),
        lambda y: list(y),
    ],
    ids=["strings", "negative", "floats", "series", "category", "list"],
)
def test_labels_of_any_kind(convert):
    X, y = IRIS
    given = convert(y)
    clf = small().fit(X, given)
    assert set(clf.classes_) == set(given)
    predicted = clf.predict(X)
    np.testing.assert_array_equal(predicted, clf.classes_[clf.predict_proba(X).argmax(axis=1)])
    np.testing.assert_array_equal(predicted, clf.classes_[small().fit(X, y).predict(X)])


def test_data_frames_and_dtypes():
    X, y = IRIS
    frame = pd.DataFrame(X, columns=list("abcd"))
    clf = small().fit(frame, y)
    assert list(clf.feature_names_in_) == list("abcd")
    expected = small().fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(clf.predict_proba(frame), expected)
    assert expected.dtype == np.float64
    single = small().fit(X.astype(np.float32), y).predict_proba(X.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, atol=1e-4)
    np.testing.assert_allclose(single.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(small().fit(X, y).predict_proba(X[::-1])[::-1], expected)
    read_only = X.copy()
    read_only.flags.writeable = False
    np.testing.assert_array_equal(small().fit(read_only, y).predict_proba(read_only), expected)
    fortran = np.asfortranarray(X)
    np.testing.assert_array_equal(small().fit(fortran, y).predict_proba(fortran), expected)


def test_a_class_seen_twice_and_labels_that_are_mostly_wrong():
    X, y = IRIS
    keep = np.r_[0:2, 50:150]
    clf = small(transition_matrix="estimate", n_members=4)
    assert len(clf.fit(X[keep], y[keep]).classes_) == 3
    y_noisy = corrupt_labels(y, "symmetric", 0.6, random_state=0)
    assert clf.fit(X, y_noisy).predict_proba(X).shape == (150, 3)


def test_integer_weights_equal_repetition():
    X, y = IRIS
    weight = np.arange(150) % 3
    # All rows in one batch; with more, the two agree only in expectation.
    weighted = small(batch_size=-1).fit(X, y, sample_weight=weight)
    repeated = small(batch_size=-1).fit(X.repeat(weight, axis=0), y.repeat(weight))
    np.testing.assert_allclose(
        weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-7, atol=1e-9
    )


def test_scale_of_weights_does_not_matter():
    X, y = IRIS
    weight = np.random.RandomState(0).uniform(0.5, 2, size=150)
    np.testing.assert_allclose(
        small().fit(X, y, weight).predict_proba(X),
        small().fit(X, y, 1e3 * weight).predict_proba(X),
        rtol=1e-7,
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_weights(dtype):
    X, y = IRIS
    clf = small().fit(X.astype(dtype), y, sample_weight=np.exp(-np.linspace(0, 700, 150)))
    assert len(clf.classes_) == 3
    small().fit(X.astype(dtype), y, sample_weight=np.full(150, 1e308))


def test_class_weights_multiply_sample_weights():
    X, y = IRIS
    weight = np.array([1.0, 2.0, 5.0])
    by_class = small(class_weight={0: 1, 1: 2, 2: 5}).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(by_class, small().fit(X, y, weight[y]).predict_proba(X))
    few = np.r_[0:10, 50:100, 100:130]
    balanced = small(class_weight="balanced").fit(X[few], y[few]).predict_proba(X)
    weight = 1 / np.bincount(y[few])
    np.testing.assert_allclose(
        balanced, small().fit(X[few], y[few], weight[y[few]]).predict_proba(X)
    )


def test_decision_function_and_probabilities_agree():
    X, y = IRIS
    clf = small().fit(X, y)
    np.testing.assert_allclose(softmax(clf.decision_function(X), axis=1), clf.predict_proba(X))
    binary = small().fit(X[:100], y[:100])
    score = binary.decision_function(X)
    assert score.shape == (150,)
    np.testing.assert_allclose(1 / (1 + np.exp(-score)), binary.predict_proba(X)[:, 1])
    np.testing.assert_array_equal(binary.predict(X), (score > 0).astype(int))


def test_prediction_in_blocks_is_prediction_at_once(monkeypatch):
    X, y = IRIS
    clf = small().fit(X, y)
    at_once = clf.decision_function(X)
    few = dataclasses.replace(NETWORK, block=7)
    monkeypatch.setattr("robustlabels._network.engine.NETWORK", few)
    np.testing.assert_allclose(clf.decision_function(X), at_once, rtol=1e-10)


def test_skorch_net_predicts_the_same():
    X, y = IRIS
    clf = small().fit(X, y)
    np.testing.assert_allclose(clf.net_.predict_proba(X), clf.predict_proba(X))
    np.testing.assert_array_equal(clf.net_.predict(X), clf.predict(X))
    assert clf.history_ is clf.net_.history
    assert clf.n_iter_ == len(clf.history_) == 5


def test_values_far_beyond_the_training_rows():
    X, y = (a.astype(np.float32) for a in IRIS)
    for loss in ("ce", "unhinged"):
        clf = small(loss).fit(X, y)
        far, farther = clf.predict_proba(X * 1e15), clf.predict_proba(X * 1e22)
        np.testing.assert_array_equal(far.argmax(axis=1), farther.argmax(axis=1))
        with pytest.raises(ValueError, match="outputs are not finite"):
            clf.predict(X.astype(np.float64) * 1e200)


def test_l1_penalty_shrinks_the_weights():
    def total(clf):
        return sum(p.abs().sum().item() for p in clf.net_.module_.parameters())

    X, y = IRIS
    free, shrunk = (small(l1_penalty=p, weight_decay=0.0).fit(X, y) for p in (0.0, 0.1))
    assert total(shrunk) < 0.9 * total(free)


def test_works_in_calibration():
    X, y = IRIS
    calibrated = CalibratedClassifierCV(RobustClassifier(max_epochs=40, random_state=0), cv=3).fit(
        X, y
    )
    assert calibrated.score(X, y) > 0.9


# Losses and their hyperparameters


def test_shortcuts_reach_the_loss_and_are_ignored_where_there_is_none():
    X, y = IRIS
    assert repr(small("sgce", q=0.4).fit(X, y).loss_) == "SGCE(q=0.4)"
    assert repr(small("agce", q=0.3).fit(X, y).loss_) == "AGCE(q=0.3)"
    assert repr(small("alpha-mae", alpha=0.1, q=0.3).fit(X, y).loss_) == "AlphaMAE(alpha=0.1)"
    assert repr(small("mae", alpha=0.1, q=0.3).fit(X, y).loss_) == "MAE()"


def test_name_and_object_train_the_same_network():
    X, y = IRIS
    by_name = small("sgce", q=0.3).fit(X, y)
    given = SGCE(q=0.3)
    by_object = small(given).fit(X, y)
    np.testing.assert_array_equal(by_name.predict_proba(X), by_object.predict_proba(X))
    assert by_object.loss_ is not given


def test_nested_parameters_of_a_loss_object():
    clf = small(AGCE())
    assert clf.get_params()["loss__a"] == 1.0
    clone(clf).set_params(loss__a=6)
    assert clf.loss.a == 1.0
    assert repr(clf.set_params(loss=GCE(), loss__q=0.2).loss) == "GCE(q=0.2)"


def test_a_loss_of_ones_own():
    class Brier(Loss):
        def class_losses(self, log_p):
            p = log_p.exp()
            return (p**2).sum(-1, keepdim=True) - 2 * p + 1

    X, y = IRIS
    assert RobustClassifier(Brier(), max_epochs=40, random_state=0).fit(X, y).score(X, y) > 0.9


@pytest.mark.slow
def test_other_processes_search_and_predict_the_same():
    X, y = IRIS
    y = corrupt_labels(y, "symmetric", 0.3, random_state=0)
    grid = [
        {"clf__loss": ["ce", "sgce", "mae", GCE(q=0.3), AGCE(a=6, q=1.5)], "clf__q": [None]},
        {"clf__loss": ["ce", "sgce"], "clf__q": [0.2, 0.8]},
        {"clf__loss": [GCE()], "clf__loss__q": [0.2, 0.5, 0.8]},
        {"clf__optimizer__betas": [(0.5, 0.9), (0.9, 0.99)]},
    ]
    pipeline = Pipeline([("scale", StandardScaler()), ("clf", small("sgce", max_epochs=3))])
    one, two = (
        GridSearchCV(pipeline, grid, scoring="neg_log_loss", cv=3, n_jobs=n_jobs, refit=False)
        .fit(X, y)
        .cv_results_
        for n_jobs in (1, 2)
    )
    assert list(map(repr, one["params"])) == list(map(repr, two["params"]))
    assert len(np.unique(one["mean_test_score"])) > 10
    for key in one:
        if key.endswith("_test_score"):
            np.testing.assert_array_equal(one[key], two[key])
    clf = small().fit(X, y)
    for proba in joblib.Parallel(n_jobs=2)(joblib.delayed(clf.predict_proba)(X) for _ in range(2)):
        np.testing.assert_array_equal(proba, clf.predict_proba(X))


def test_nested_parameter_of_a_name_says_what_to_do():
    with pytest.raises(ValueError, match=r"'loss__q'.*loss='gce' is a name.*get_loss\('gce'\)"):
        RobustClassifier("gce").set_params(loss__q=0.3)


# skorch's parameters


def test_routes_live_in_net_params():
    clf = small(net_params={"optimizer__betas": (0.5, 0.9)})
    twin = clone(clf).set_params(optimizer__eps=1e-6, module__dropout=0.1)
    assert clf.net_params == {"optimizer__betas": (0.5, 0.9)}
    assert twin.get_params()["optimizer__betas"] == (0.5, 0.9)
    twin.fit(*IRIS)
    assert twin.net_.optimizer_.param_groups[0]["eps"] == 1e-6
    assert twin.net_.optimizer_.param_groups[0]["betas"] == (0.5, 0.9)
    assert twin.net_.module_.dropout == 0.1


@pytest.mark.parametrize("params", [{"lrr": 1}, {"optimiser__lr": 1}])
def test_mistyped_parameters(params):
    with pytest.raises(ValueError, match="Invalid parameter"):
        RobustClassifier().set_params(**params)


@pytest.mark.parametrize(
    ("params", "plain"),
    [
        (
            {"loss": np.str_("gce"), "q": np.float32(0.5), "n_members": np.uint8(2)}
            | {"max_epochs": np.int64(3), "batch_size": np.uint8(32), "lr": np.float32(0.0078125)}
            | {"hidden_layer_sizes": np.int64(8), "dropout": np.float16(0.5)}
            | {"weight_decay": np.int64(0), "l1_penalty": np.float16(0.0009765625)}
            | {"warm_start": np.bool_(True), "device": np.str_("cpu"), "n_threads": np.uint8(1)}
            | {"n_jobs": np.int8(1), "verbose": np.uint8(0), "random_state": np.uint8(3)},
            {"loss": "gce", "q": 0.5, "n_members": 2, "max_epochs": 3, "batch_size": 32}
            | {"lr": 0.0078125, "hidden_layer_sizes": 8, "dropout": 0.5, "weight_decay": 0}
            | {"l1_penalty": 0.0009765625, "warm_start": True, "device": "cpu", "n_threads": 1}
            | {"n_jobs": 1, "verbose": 0, "random_state": 3},
        ),
        # Numbers of 8 bits: 255 + 1, -1, and more rows than 127.
        (
            {"max_epochs": np.uint8(255), "batch_size": np.int8(-1)},
            {"max_epochs": 255, "batch_size": -1},
        ),
        ({"batch_size": np.int8(64)}, {"batch_size": 64}),
        ({"hidden_layer_sizes": np.array([8, 8], np.uint8)}, {"hidden_layer_sizes": (8, 8)}),
    ],
    ids=["all", "largest", "int8", "array"],
)
def test_parameters_may_be_numbers_of_numpy(params, plain):
    X, y = IRIS
    clf, twin = (
        RobustClassifier(**{"random_state": 0, "hidden_layer_sizes": 8, "max_epochs": 3, **given})
        .set_params(transition_matrix=None)
        .fit(X, y)
        .partial_fit(X, y)
        for given in (params, plain)
    )
    np.testing.assert_array_equal(clf.predict_proba(X), twin.predict_proba(X))
    assert clf.n_iter_ == twin.n_iter_


def test_mistyped_net_parameter():
    with pytest.raises(ValueError, match="no parameter of a skorch net.*train_split"):
        small(net_params={"train_spli": None}).fit(*IRIS)


@pytest.mark.parametrize(
    "optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.Adagrad, torch.optim.LBFGS]
)
def test_other_optimizers(optimizer):
    X, y = IRIS
    params = {"lr": 0.05, "batch_size": -1, "dropout": 0.0}
    params["max_epochs"] = 8 if optimizer is torch.optim.LBFGS else 40
    clf = small("ce", hidden_layer_sizes=64, optimizer=optimizer, **params)
    assert clf.fit(X, y).score(X, y) > 0.8
    assert type(clf.net_.optimizer_) is optimizer


def test_learning_rate_makes_one_cycle_and_comes_back():
    class Watch(Callback):
        rates = ()

        def on_batch_end(self, net, training=False, **kwargs):
            self.rates = (*self.rates, net.optimizer_.param_groups[0]["lr"])

    watch = ("watch", Watch())
    clf = small(callbacks=[watch], batch_size=15, max_epochs=10).fit(*IRIS)
    rates = np.array(dict(clf.net_.callbacks_)["watch"].rates)
    assert len(rates) == 100
    assert rates.max() == pytest.approx(0.01, rel=1e-2)
    assert rates[-1] < 1e-3 * rates.max()
    assert np.argmax(rates) == pytest.approx(30, abs=2)
    clf.partial_fit(*IRIS)
    assert set(dict(clf.net_.callbacks_)["watch"].rates[100:]) == {0.01}


def test_a_schedule_of_ones_own_replaces_the_cycle():
    schedule = LRScheduler("StepLR", step_size=1, gamma=0.5, event_name="lr")
    clf = small(callbacks=[schedule]).fit(*IRIS)
    np.testing.assert_allclose(clf.history_[:, "lr"], 0.01 * 0.5 ** np.arange(5))


def test_early_stopping_and_scoring():
    X, y = IRIS
    stop = EarlyStopping(monitor="valid_loss", patience=2, threshold=0.5, sink=lambda text: None)
    clf = small(
        "ce",
        callbacks=[("stop", stop), EpochScoring("accuracy", name="valid_accuracy")],
        net_params={"train_split": ValidSplit(5, stratified=True)},
        max_epochs=50,
    ).fit(X, y)
    assert 2 <= clf.n_iter_ < 50
    assert max(clf.history_[:, "valid_accuracy"]) <= 1
    assert stop.best_epoch_ == clf.n_iter_ - 2
    longer = clone(clf).set_params(callbacks__stop__patience=4).fit(X, y)
    assert longer.n_iter_ == clf.n_iter_ + 2


def test_validation_on_rows_of_ones_own():
    X, y = IRIS
    trusted = predefined_split(Dataset(X[::10], y[::10]))
    clf = small(net_params={"train_split": trusted}).fit(X, y)
    assert len(clf.history_[:, "valid_loss"]) == 5
    assert clf.net_.partial_fit(X, y).history[-1, "valid_acc"] > 0


class Rows(torch.utils.data.Dataset):
    """A data set of torch alone, in which labels are looked up row by row."""

    def __init__(self, X, y):
        self.X, self.y = X, y

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return self.X[i], self.y[i]


@pytest.mark.parametrize("kind", ["Dataset", "Subset", "other"])
@pytest.mark.parametrize("names", [[-5, 7, 8], ["c", "a", "b"]], ids=str)
def test_validation_rows_of_ones_own_have_the_labels_of_fit(names, kind):
    X, y = IRIS
    y_train, names = np.array(names)[y], np.array(names)
    rows = np.arange(0, 150, 10)
    own = {
        "Dataset": Dataset(X[rows], names[y[rows]]),
        "Subset": Subset(Dataset(X, names[y]), rows),
        "other": Rows(X[rows].astype(np.float32), list(names[y[rows]])),
    }[kind]
    net_params = {"train_split": predefined_split(own)}
    if kind == "other":
        net_params["iterator_valid"] = torch.utils.data.DataLoader
    score = EpochScoring("accuracy", name="accuracy", lower_is_better=False)
    clf = small("ce", callbacks=[score], net_params=net_params, max_epochs=15, lr=0.05)
    clf.fit(X, y_train)
    assert clf.score(X[rows], names[y[rows]]) == pytest.approx(clf.history_[-1, "accuracy"])
    assert clf.history_[-1, "valid_acc"] > 0.8
    assert clf.history_[-1, "valid_loss"] < 0.5
    if kind == "Dataset":
        np.testing.assert_array_equal(own.y, names[y[rows]])


def test_validation_rows_of_a_class_that_fit_has_not_seen():
    X, y = IRIS
    own = predefined_split(Dataset(X[::10], y[::10] + 1))
    with pytest.raises(ValueError, match=r"labels \[3\].* not among the classes \[0, 1, 2\]"):
        small(net_params={"train_split": own}).fit(X, y)


@pytest.mark.parametrize("loss", ["ce", "sgce"])
def test_early_stopping_without_validation_rows(loss, monkeypatch):
    clf = small(loss, callbacks=[EarlyStopping()], transition_matrix="estimate")
    monkeypatch.setattr(LabelRefiner, "fit_rows", lambda *args: pytest.fail("labels were refined"))
    with pytest.raises(ValueError, match=r"'valid_loss'.*train_split.*ValidSplit"):
        clf.fit(*IRIS)


NEGATIVE = ["auto", "unhinged", "sgce", "alpha-mae", "ldr", CE() + 2 * Unhinged()]
PLATEAU = torch.optim.lr_scheduler.ReduceLROnPlateau


@pytest.mark.parametrize("loss", NEGATIVE, ids=str)
@pytest.mark.parametrize(
    "callback",
    [
        EarlyStopping("valid_loss"),
        EarlyStopping("train_loss"),
        LRScheduler("ReduceLROnPlateau", monitor="valid_loss"),
        LRScheduler(PLATEAU, threshold_mode="rel"),
    ],
    ids=lambda callback: type(callback).__name__,
)
def test_relative_thresholds_of_a_loss_that_can_be_negative_are_refused(
    loss, callback, monkeypatch
):
    net_params = {"train_split": ValidSplit(5)}
    clf = small(loss, n_members=2, callbacks=[callback], net_params=net_params)
    clf.set_params(transition_matrix="estimate", memory=None)
    monkeypatch.setattr(LabelRefiner, "fit_rows", lambda *args: pytest.fail("labels were refined"))
    message = r"monitors '(train|valid)_loss', which can be negative.*threshold_mode='abs'"
    with pytest.raises(ValueError, match=message):
        clf.fit(*IRIS)


@pytest.mark.parametrize(
    ("loss", "callback"),
    [
        ("gce", EarlyStopping("train_loss")),
        (ForwardCorrected(symmetric_transition(3, 0.1)), EarlyStopping("train_loss")),
        ("sgce", EarlyStopping("valid_acc", lower_is_better=False)),
        ("sgce", EarlyStopping("valid_loss", threshold=0)),
        ("sgce", LRScheduler(PLATEAU, threshold_mode="abs")),
        ("sgce", LRScheduler("StepLR", step_size=1)),
    ],
)
def test_other_monitors_are_allowed(loss, callback):
    small(loss, callbacks=[callback], net_params={"train_split": ValidSplit(5)}).fit(*IRIS)


def test_early_stopping_by_a_loss_that_is_negative():
    net_params = {"train_split": ValidSplit(5, stratified=True)}
    stop = EarlyStopping(patience=3, threshold=0.05, threshold_mode="abs", sink=lambda text: None)
    clf = small("unhinged", callbacks=[stop], net_params=net_params, max_epochs=200, lr=0.01)
    assert 3 < clf.fit(*IRIS).n_iter_ < 200
    assert clf.history_[-1, "valid_loss"] < 0
    with pytest.raises(ValueError, match="threshold_mode='abs'"):
        clf.set_params(callbacks__EarlyStopping__threshold_mode="rel").fit(*IRIS)


def test_verbose_shows_a_progress_bar(capsys):
    small(verbose=1).fit(*IRIS)
    captured = capsys.readouterr()
    assert "Training" in captured.err
    assert "5/5" in captured.err
    assert captured.out == ""
    small(verbose=2).fit(*IRIS)
    assert "train_loss" in capsys.readouterr().out
    small().fit(*IRIS)
    assert capsys.readouterr() == ("", "")


# A module of one's own


class Tower(nn.Module):
    def __init__(self, n_features, n_classes, width=8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_features, width),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(width, n_classes),
        )

    def forward(self, x):
        return self.layers(x)


def test_module_class_is_told_the_sizes():
    X, y = IRIS
    clf = make_pipeline(
        StandardScaler(),
        RobustClassifier(
            "ce",
            module=Tower,
            net_params={"module__width": 12},
            batch_size=149,
            lr=0.02,
            max_epochs=200,
            random_state=0,
        ),
    ).fit(X, y)
    assert clf.score(X, y) > 0.9
    assert clf[-1].net_.module_.layers[0].out_features == 12


def test_module_instance_is_copied():
    with torch.random.fork_rng():
        torch.manual_seed(0)  # of some weights a short training is of no use, which is told
        module = Tower(4, 3)
    before = copy.deepcopy(module.state_dict())
    clf = small(module=module).fit(*IRIS)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
    assert clf.net_.module_.layers[0].weight.dtype == torch.float64


@pytest.mark.parametrize("n_outputs", [1, 2, 5])
def test_module_with_another_number_of_outputs(n_outputs):
    with pytest.raises(ValueError, match=r"here \(2, 3\).* Got \(2, "):
        small(module=nn.Linear(4, n_outputs)).fit(*IRIS)


def test_module_that_returns_no_logits():
    with pytest.raises(ValueError, match=r"logits of shape \(n, n_classes\).* Got \(6,\)"):
        small(module=nn.Sequential(nn.Linear(4, 3), nn.Flatten(0))).fit(*IRIS)


# Going on


def test_warm_start_goes_on():
    X, y = IRIS
    clf = small(warm_start=True).fit(X, y)
    loss_before = clf.history_[-1, "train_loss"]
    clf.fit(X, y)
    assert clf.n_iter_ == 10
    assert clf.history_[-1, "train_loss"] < loss_before
    with pytest.raises(ValueError, match=r"classes of the previous fit, \[0, 1, 2\]"):
        clf.fit(X[:100], y[:100])
    with pytest.raises(ValueError, match=r"labels \[3\].*not among the classes"):
        clf.fit(X, np.where(y == 2, 3, y))
    assert clf.predict(X).shape == (150,)


def test_warm_start_takes_changed_parameters():
    X, y = IRIS
    clf = small(warm_start=True).fit(X, y)
    before = clf.predict_proba(X)
    clf.set_params(loss="mae", lr=1e-12, weight_decay=0.0, batch_size=30, max_epochs=2).fit(X, y)
    assert repr(clf.loss_) == "MAE()"
    assert clf.history_[-1, "train_batch_count"] == 5
    assert clf.n_iter_ == 7
    # With that learning rate the network has not moved; only its bound has gone with the loss.
    np.testing.assert_array_equal(clf.predict_proba(X).argmax(axis=1), before.argmax(axis=1))
    with pytest.raises(ValueError, match="does not fit into the layers"):
        clf.set_params(hidden_layer_sizes=(5,)).fit(X, y)
    with pytest.raises(ValueError, match="Unknown loss 'foo'"):
        clf.set_params(hidden_layer_sizes=(16,), loss="foo").fit(X, y)


def test_partial_fit_takes_changed_parameters():
    X, y = IRIS
    clf = small("gce", q=0.5).fit(X, y)
    clf.set_params(lr=1e-4, q=0.2).partial_fit(X, y)
    assert repr(clf.loss_) == "GCE(q=0.2)"
    assert clf.net_.optimizer_.param_groups[0]["lr"] == 1e-4
    assert clf.n_iter_ == 6


def test_fit_starts_anew_without_warm_start():
    X, y = IRIS
    clf = small().fit(X, y)
    once = clf.predict_proba(X)
    np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), once)
    assert clf.n_iter_ == 5


class Watcher(Callback):
    """Looks at every batch."""

    def initialize(self):
        self.seen_ = []
        return self

    def on_batch_end(self, net, training=False, loss=None, **kwargs):
        self.seen_.append((training, loss.item(), torch.get_num_threads()))


@pytest.mark.parametrize("n_members", [1, 3])
def test_batches_are_recorded_only_where_a_callback_looks(n_members):
    X, y = IRIS
    quiet = small(n_members=n_members).fit(X, y)
    watched = small(n_members=n_members, callbacks=[("watcher", Watcher())]).fit(X, y)
    np.testing.assert_array_equal(watched.predict_proba(X), quiet.predict_proba(X))
    np.testing.assert_allclose(
        watched.history_[:, "train_loss"], quiet.history_[:, "train_loss"], rtol=1e-12
    )
    assert len(dict(watched.net_.callbacks_)["watcher"].seen_) == 10
    assert [len(epoch["batches"]) for epoch in watched.history_] == [2] * 5
    assert [len(epoch["batches"]) for epoch in quiet.history_] == [1] * 5


def test_members_vote_by_their_mean_probabilities():
    X, y = IRIS
    clf = small(n_members=3).fit(X, y)
    with torch.no_grad():
        logits = clf.net_.module_(torch.as_tensor(X))
    assert logits.shape == (150, 3, 3)
    mean = softmax(clf.loss_.scores(logits).numpy(), axis=-1).mean(1)
    np.testing.assert_allclose(clf.predict_proba(X), mean)
    np.testing.assert_allclose(softmax(clf.decision_function(X), axis=1), mean)
    np.testing.assert_allclose(clf.net_.predict_proba(X), mean)
    assert abs(logits[:, 0] - logits[:, 1]).max() > 0.01
    copied = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(copied.predict_proba(X), clf.predict_proba(X))
    twin = small(n_members=3).fit(X, y)
    np.testing.assert_array_equal(twin.predict_proba(X), clf.predict_proba(X))


@pytest.mark.parametrize("loss", ["sgce", "nce+agce", "unhinged"])
@pytest.mark.parametrize("watched", [False, True])
def test_members_learn_as_if_each_were_alone(loss, watched):
    X, y = IRIS
    weight = np.linspace(0.5, 2, len(y))
    params = {"dropout": 0.0, "batch_size": 64, "l1_penalty": 1e-3}
    params["callbacks"] = [Watcher()] if watched else None
    together = small(loss, n_members=3, **params)
    together.partial_fit(X, y, sample_weight=weight)
    first = prepare(small(loss, n_members=3, **params), X, y, weight).engine.net
    for member in range(3):
        alone = prepare(small(loss, **params), X, y, weight)
        pairs = zip(first.module_.parameters(), alone.engine.net.module_.parameters(), strict=True)
        for weights, own in pairs:
            own.data = weights.data[member].reshape(own.shape)
        alone.engine.train(alone.X, alone.codes, alone.weight, one_pass=True)
        pairs = [net.module_.parameters() for net in (together.net_, alone.engine.net)]
        for weights, own in zip(*pairs, strict=True):
            torch.testing.assert_close(own, weights[member].reshape(own.shape))


def test_validation_loss_of_members_is_their_mean():
    X, y = IRIS
    folds = StratifiedKFold(3)
    valid = next(folds.split(X, y))[1]
    for T in (None, symmetric_transition(3, 0.2)):
        clf = small(
            "sgce",
            n_members=3,
            transition_matrix=T,
            net_params={"train_split": ValidSplit(folds)},
        ).fit(X, y)
        with torch.no_grad():
            logits = clf.net_.module_(torch.as_tensor(X[valid]))
            losses = [clf.loss_(part, torch.as_tensor(y[valid])) for part in logits.unbind(1)]
        np.testing.assert_allclose(clf.history_[-1, "valid_loss"], np.mean(losses))


def test_members_are_for_the_built_in_network():
    clf = small(module=nn.Linear(4, 3), n_members=2).fit(*IRIS)
    assert clf.net_.module_.weight.shape == (3, 4)
    with pytest.raises(ValueError, match="Set n_members"):
        small(net_params={"module__n_members": 2}).fit(*IRIS)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # from inside the compiler
def test_a_compiled_network_is_the_same_network():
    X, y = IRIS
    compiled = small(net_params={"compile": True, "compile__backend": "eager"}).fit(X, y)
    assert compiled.net_.module_ is not compiled.net_.mlp_
    np.testing.assert_allclose(compiled.predict_proba(X), small().fit(X, y).predict_proba(X))


class Several(nn.Module):
    """Returns one axis too many."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, X):
        return self.layer(X).unsqueeze(1).expand(-1, 2, -1)


def test_outputs_of_the_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r"here \(2, 3\).* Got \(2, 2, 3\)"):
        small(module=Several).fit(*IRIS)


class RecordReader(Callback):
    """Reads the record of the batches at the end of an epoch."""

    def on_epoch_end(self, net, **kwargs):
        self.losses_ = net.history[-1, "batches", :, "train_loss"]


def test_callbacks_find_the_records_they_read(tmp_path):
    X, y = IRIS
    clf = small(callbacks=[("reader", RecordReader())]).fit(X, y)
    assert len(dict(clf.net_.callbacks_)["reader"].losses_) == 2
    checkpoint = Checkpoint(monitor="train_loss_best", dirname=tmp_path)
    small(callbacks=[checkpoint, TrainEndCheckpoint(dirname=tmp_path, fn_prefix="end_")]).fit(X, y)
    assert {"params.pt", "end_params.pt"} <= {path.name for path in tmp_path.iterdir()}


class Losses(Callback):
    """Keeps its records in a list, its own or one that is handed in under another name."""

    def __init__(self, into=None):
        self.losses = [] if into is None else into

    def on_epoch_end(self, net, **kwargs):
        self.losses.append(net.history[-1, "train_loss"])


def test_callbacks_are_the_users_own_objects():
    X, y = IRIS
    handed_in = []
    own, named, bare = Losses(), Losses(handed_in), Callback()
    clf = small(callbacks=[own, ("named", named), bare]).fit(X, y)
    assert own.losses == handed_in == clf.history_[:, "train_loss"]
    assert dict(clf.net_.callbacks_)["named"] is named
    assert clf.callbacks == [own, ("named", named), bare]
    # What a callback does not reset it keeps in the next fit.
    clf.fit(X, y).partial_fit(X, y)
    assert len(own.losses) == 11


def test_a_clone_has_callbacks_of_its_own():
    X, y = IRIS
    stop = EarlyStopping("train_loss", patience=2, threshold=0.5, sink=lambda text: None)
    clf = small("ce", callbacks=[("stop", stop)], max_epochs=50).fit(X, y)
    assert stop.best_epoch_ > 0
    twin = clone(clf)
    assert twin.callbacks[0][1] is not stop
    assert not hasattr(twin.callbacks[0][1], "best_epoch_")
    assert twin.set_params(callbacks__stop__patience=4).fit(X, y).n_iter_ == clf.n_iter_ + 2
    assert stop.patience == 2
    assert clf.fit(X, y).n_iter_ == twin.n_iter_ - 2


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda clf: pickle.loads(pickle.dumps(clf))])
def test_a_copy_keeps_what_callbacks_have_recorded(copied):
    X, y = IRIS
    schedule = LRScheduler("StepLR", step_size=1)
    clf = small(callbacks=[Losses(), schedule, EarlyStopping("train_loss", threshold=0)]).fit(X, y)
    twin = copied(clf)
    assert twin.callbacks[0].losses == clf.callbacks[0].losses
    assert twin.callbacks[0] is not clf.callbacks[0]
    np.testing.assert_array_equal(twin.predict_proba(X), clf.predict_proba(X))
    assert len(twin.partial_fit(X, y).callbacks[0].losses) == 6
    assert len(clf.callbacks[0].losses) == 5


def test_penalty_of_parameters_in_any_order():
    module = nn.Sequential(nn.Linear(4, 3))
    module[0].weight.data = module[0].weight.data.t().contiguous().t()
    small(module=module, l1_penalty=1e-3).fit(*IRIS)


@pytest.mark.parametrize(("n_threads", "expected"), [("auto", 1), (2, 2)])
def test_threads_are_those_asked_for_and_restored(n_threads, expected):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        clf = small(n_threads=n_threads, callbacks=[("watcher", Watcher())]).fit(*IRIS)
        assert {n for _, _, n in dict(clf.net_.callbacks_)["watcher"].seen_} == {expected}
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("first", [2, 37])
def test_partial_fit_follows_the_moments_of_all_blocks(first):
    X, y = load_breast_cancer(return_X_y=True)
    order = np.random.RandomState(1).permutation(len(y))
    X, y = X[order], y[order]
    clf = small(max_epochs="auto", n_members=2, hidden_layer_sizes=64)
    for _ in range(10):
        start = 0
        for stop in [*range(first, len(y), 64), len(y)]:
            clf.partial_fit(X[start:stop], y[start:stop], classes=[0, 1])
            start = stop
    assert clf.score(X, y) > 0.95
    scaler = StandardScaler().fit(X)
    np.testing.assert_allclose(clf.net_.module_.standardize.mean, scaler.mean_, rtol=1e-9)
    np.testing.assert_allclose(clf.net_.module_.standardize.scale, scaler.scale_, rtol=1e-9)


def test_refused_rows_leave_no_trace_in_the_moments():
    X, y = IRIS
    clf, twin = (small().partial_fit(X, y) for _ in range(2))
    with pytest.raises(ValueError, match="too large to standardise"):
        clf.partial_fit(X * 1e300, y)
    further = twin.partial_fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(clf.partial_fit(X, y).predict_proba(X), further)


def test_partial_fit_after_fit_and_its_errors():
    X, y = IRIS
    clf = small().fit(X, y)
    before = clf.predict_proba(X)
    clf.partial_fit(X[:50], y[:50])
    assert clf.n_iter_ == 6
    assert np.abs(clf.predict_proba(X) - before).max() > 1e-4
    with pytest.raises(ValueError, match=r"classes=\[0, 1\] differ"):
        clf.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"labels \[7\].*not among"):
        clf.partial_fit(X, np.full(150, 7))
    with pytest.raises(ValueError, match="balanced"):
        small(class_weight="balanced").partial_fit(X, y)
    with pytest.raises(ValueError, match="only one class"):
        small().partial_fit(X[:50], y[:50])


# Randomness


@pytest.mark.parametrize("params", [{}, {"module": Tower}, {"random_state": None}], ids=repr)
def test_global_random_states_are_untouched(params):
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    clf = small(**params).fit(*IRIS).partial_fit(*IRIS)
    pickle.loads(pickle.dumps(clf)).predict(IRIS[0])
    assert torch.equal(torch.get_rng_state(), torch_before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"module": Tower},
        {"net_params": {"train_split": ValidSplit(0.2)}},
        {"callbacks": [Initializer("*.weight", fn=nn.init.normal_)]},
    ],
    ids=["default", "module", "split", "callback"],
)
def test_same_seed_same_network(params):
    X, y = IRIS
    before = np.random.get_state()[1].copy()
    fits = [small(batch_size=32, **params).fit(X, y).predict_proba(X) for _ in range(2)]
    np.testing.assert_array_equal(*fits)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    other = small(batch_size=32, random_state=1, **params).fit(X, y).predict_proba(X)
    assert np.abs(other - fits[0]).max() > 1e-3


def test_none_draws_anew():
    X, y = IRIS
    a, b = (small(random_state=None).fit(X, y).predict_proba(X) for _ in range(2))
    assert np.abs(a - b).max() > 1e-6


@pytest.mark.parametrize("module", [None, Tower])
def test_threads_give_the_same_networks(module):
    X, y = IRIS
    clf = small(module=module, batch_size=32)
    alone = cross_val_score(clf, X, y, cv=6, scoring="neg_log_loss")
    with joblib.parallel_config("threading", n_jobs=3):
        together = cross_val_score(clf, X, y, cv=6, scoring="neg_log_loss", n_jobs=3)
    np.testing.assert_array_equal(alone, together)


def test_number_of_threads_is_restored():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        seen = []
        watch = EpochScoring(lambda *_: seen.append(torch.get_num_threads()) or 0.0, on_train=True)
        small(callbacks=[watch]).fit(*IRIS)
        assert set(seen) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# Storing


@pytest.mark.parametrize("module", [None, Tower])
@pytest.mark.parametrize("loss", ["sgce", GCE(q=0.3)])
def test_copies_predict_and_go_on_alike(module, loss):
    X, y = IRIS
    clf = small(loss, module=module).fit(X, y)
    buffer = io.BytesIO()
    joblib.dump(clf, buffer)
    buffer.seek(0)
    copies = [pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf), joblib.load(buffer)]
    expected = clf.predict_proba(X)
    further = clf.partial_fit(X, y).predict_proba(X)
    for twin in copies:
        np.testing.assert_array_equal(twin.predict_proba(X), expected)
        assert twin.n_iter_ == 5
        np.testing.assert_array_equal(twin.partial_fit(X, y).predict_proba(X), further)


def test_changed_parameters_do_not_spoil_a_copy():
    X, y = IRIS
    clf = small().fit(X, y)
    expected = clf.predict_proba(X)
    clf.set_params(hidden_layer_sizes=(5,), optimizer=torch.optim.SGD, loss="mae", device="cuda:9")
    for twin in (pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf)):
        np.testing.assert_array_equal(twin.predict_proba(X), expected)
        assert twin.hidden_layer_sizes == (5,)


def test_frozen_layers_stay_frozen_in_a_copy():
    X, y = IRIS
    module = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3))
    clf = pickle.loads(pickle.dumps(small(module=module, callbacks=[Freezer("0.*")]).fit(X, y)))
    before = clf.net_.module_[0].weight.clone()
    clf.partial_fit(X, y)
    assert torch.equal(clf.net_.module_[0].weight, before)


def test_stored_state_is_plain_arrays():
    stored = small().fit(*IRIS)._engine.__getstate__()["net"]
    assert all(isinstance(value, np.ndarray) for value in stored["module"].values())
    assert "torch.Tensor" not in repr(stored)


# What it rejects


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"loss": "sgceq"}, "Unknown loss 'sgceq'. Did you mean 'sgce'.*'alpha-mae'"),
        ({"loss": nn.CrossEntropyLoss()}, "'loss' parameter.*'robustlabels.losses._loss.Loss'"),
        ({"q": -1}, r"'q' parameter of RobustClassifier .*\[0.0, inf\).* Got -1"),
        ({"q": 1.5}, r"'q' parameter of SGCE .*\[0.0, 1.0\].* Got 1.5"),
        ({"loss": GCE(q=-1)}, r"'q' parameter of GCE .* Got -1"),
        ({"loss": GCE(), "q": 0.3}, r"q=0.3 is for a loss given by name.*set_params\(loss__q=0.3"),
        ({"alpha": -0.5}, "'alpha' parameter .* Got -0.5"),
        ({"dropout": 1.0}, r"'dropout' parameter .*\[0.0, 1.0\).* Got 1.0"),
        (
            {"hidden_layer_sizes": (8, 0)},
            r"must be positive integers. Got \(8, 0\)",
        ),
        ({"hidden_layer_sizes": (4.7,)}, r"must be positive integers. Got \(4.7,\)"),
        ({"class_weight": {0: -1, 1: 1, 2: 1}}, "class_weight must be finite and not negative"),
        ({"class_weight": {0: 0, 1: 0, 2: 0}}, "class_weight=.* leaves no row with a weight"),
        ({"net_params": {"max_epochs": 9}}, "net_params has 'max_epochs', which"),
        ({"net_params": {"criterion__q": 0.1}}, "net_params has 'criterion__q', which"),
        ({"callbacks__es__patience": 3}, "'callbacks__es__patience' names no callback"),
        (
            {"module": nn.Linear(4, 3), "module__bias": False},
            "'module__bias' is for a module class, but module is an instance",
        ),
        ({"max_epochs": 0}, "'max_epochs' parameter .* Got 0"),
        ({"lr": 0}, "'lr' parameter .* Got 0"),
        ({"batch_size": 0}, "'batch_size' parameter .* Got 0"),
        ({"device": "cuda:99"}, "device='cuda:99' is not available. Choose 'auto' or one of cpu"),
        ({"device": "meta"}, "device='meta' is not available. Choose 'auto' or one of cpu"),
        ({"device": torch.device("meta")}, "is not available. Choose 'auto' or one of cpu"),
        ({"callbacks": [3]}, r"callbacks must be .*\(name, callback\) pairs.* Got 3"),
        ({"callbacks": [("stop", 3)]}, r"\(name, callback\) pairs.* Got \('stop', 3\)"),
        ({"callbacks": [("stop",)]}, r"\(name, callback\) pairs.* Got \('stop',\)"),
        ({"callbacks": [(3, Callback())]}, r"\(name, callback\) pairs.* Got \(3, "),
        ({"callbacks": ["EarlyStopping"]}, r"pairs.* Got 'EarlyStopping'"),
        ({"callbacks": [print]}, r"pairs.* Got <built-in function print>"),
        ({"callbacks": [int]}, r"pairs.* Got <class 'int'>"),
        ({"net_params": {3: 4}}, r"names of net_params must be strings. Got 3"),
        ({"module": lambda: 3}, r"module must make a torch.nn.Module.* Got .*, which makes 3"),
        ({"device": "gpu"}, "device='gpu' is not available. Choose 'auto' or one of cpu"),
        ({"class_weight": "even"}, "'class_weight' parameter .*'balanced'.* Got 'even'"),
    ],
)
def test_bad_parameters(params, message):
    clf = small().fit(*IRIS)
    before = clf.predict_proba(IRIS[0])
    with pytest.raises(ValueError, match=message):
        clf.set_params(**params).fit(*IRIS)
    # What was fitted is not lost.
    np.testing.assert_array_equal(clf.predict_proba(IRIS[0]), before)


@pytest.mark.parametrize(
    ("X", "y", "weight", "message"),
    [
        ([[0.0], [np.nan], [1.0]], [0, 1, 1], None, "Input X contains NaN"),
        ([[0.0], [np.inf], [1.0]], [0, 1, 1], None, "Input X contains infinity"),
        ([[0.0], [2.0], [1.0]], [0.1, 1.5, 2.2], None, "Unknown label type: continuous"),
        ([[0.0], [2.0], [1.0]], [0, np.nan, 1], None, "y has 1 missing label among 3"),
        ([[0.0], [2.0], [1.0]], ["a", "a", "a"], None, r"only one class, \['a'\]"),
        ([[0.0], [2.0], [1.0]], [0, 1, 1], [1, 0, 0], r"only one class, \[0\]"),
        ([[0.0], [2.0], [1.0]], [0, 1, 1], [1, -1, 1], "Negative values in data.*sample_weight"),
        ([[0.0], [2.0], [1.0]], [0, 1, 1], [0, 0, 0], "weight"),
        ([[0.0], [2.0], [1.0]], [0, 1, 1], [1, np.nan, 1], "Input sample_weight contains NaN"),
        ([[0.0], [2.0], [1.0]], [0, 1], None, "inconsistent numbers of samples"),
        ([[1e300], [-1e300], [1.0]], [0, 1, 1], None, "Feature 0 .*1e.300.*too large"),
    ],
)
def test_bad_data(X, y, weight, message):
    with pytest.raises(ValueError, match=message):
        small().fit(X, y, weight)
    clf = small().fit(*IRIS)
    with pytest.raises(ValueError, match=message):
        clf.fit(X, y, weight)
    # What was fitted is not lost.
    assert clf.n_features_in_ == 4
    assert pickle.loads(pickle.dumps(clf)).score(*IRIS) == clf.score(*IRIS)


def two_outputs(n_features):
    return nn.Linear(n_features, 2)


@pytest.mark.parametrize(
    "params",
    [
        {"loss": "sgceq"},
        {"loss": GCE(q=-1)},
        {"loss": BackwardCorrected(symmetric_transition(4, 0.1), CE())},
        {"loss": GCE(), "q": 0.3},
        {"q": 1.5},
        {"device": "cuda:99"},
        {"priors": [0.5, 0.5]},
        {"class_weight": {0: -1, 1: 1, 2: 1}},
        {"class_weight": {0: 0, 1: 0, 2: 0}},
        {"hidden_layer_sizes": (4.7,)},
        {"module": two_outputs},
        {"net_params": {"train_spli": None}},
        {"net_params": {"max_epochs": 9}},
        {"net_params": {"optimizer__beta": 9}},
        {"net_params": {"callbacks__es__patience": 3}},
        {"net_params": {"iterator_train__shufle": True}},
        {"net_params": {"iterator_train": 3}},
        {"net_params": {"train_split": 3}},
        {"hidden_layer_sizes": (5,), "warm_start": True},
    ],
    ids=lambda params: ", ".join(params),
)
def test_parameters_are_checked_before_labels_are_refined(params, monkeypatch):
    clf = small().fit(*IRIS).set_params(transition_matrix="estimate", **params)
    monkeypatch.setattr(LabelRefiner, "fit_rows", lambda *args: pytest.fail("labels were refined"))
    with pytest.raises((ValueError, TypeError)):
        clf.fit(*IRIS)


@pytest.mark.parametrize("n_threads", [0, -1, 1.5, "all"])
def test_number_of_threads_set_after_the_fit_is_checked_and_does_no_harm(n_threads):
    before = torch.get_num_threads()
    clf = small().fit(*IRIS)
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(ValueError, match=rf"n_threads must be .* Got {n_threads!r}"):
            getattr(clf.set_params(n_threads=n_threads), method)(IRIS[0])
    assert torch.get_num_threads() == before
    clf.set_params(n_threads=before + 1).predict(IRIS[0])
    assert torch.get_num_threads() == before


def test_not_fitted():
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(NotFittedError):
            getattr(RobustClassifier(), method)(IRIS[0])
    for name in ("history_", "n_iter_", "classes_"):
        assert not hasattr(RobustClassifier(), name)


# What goes wrong in training


def test_divergence_raises_with_the_epoch():
    X, y = IRIS
    clf = small("ce", module=nn.Linear(4, 3), optimizer=torch.optim.SGD, lr=1e300, max_epochs=20)
    with pytest.raises(ValueError, match=r"diverged in epoch \d+.*Lower lr=1e\+300"):
        clf.fit(X, y)
    with pytest.raises(NotFittedError):
        clf.predict(X)
    good = small("ce").fit(X, y)
    before = good.predict_proba(X)
    with pytest.raises(ValueError, match="diverged"):
        good.set_params(optimizer=torch.optim.SGD, lr=1e300, max_epochs=20, dropout=0.0).fit(X, y)
    np.testing.assert_array_equal(good.predict_proba(X), before)


def test_outputs_that_overflow_in_the_last_step_are_a_divergence():
    # The loss is looked at before that step.
    with pytest.raises(ValueError, match=r"diverged in epoch 3.*Lower lr=1e\+30"):
        small("ce", lr=1e30, max_epochs=3).fit(*IRIS)


def test_saturated_start_warns():
    X, y = IRIS
    clf = small("mae", module=nn.Linear(4, 3), batch_size=-1)
    with pytest.warns(ConvergenceWarning, match=r"MAE\(\) gave the network no gradient"):
        clf.fit(X * 1e6, y)


def test_a_training_without_batches():
    params = {
        "iterator_train": torch.utils.data.DataLoader,
        "iterator_train__drop_last": True,
        "iterator_valid": torch.utils.data.DataLoader,
    }
    with pytest.raises(ValueError, match="An epoch had no batch: 150 rows"):
        small(batch_size=1000, net_params=params).fit(*IRIS)


def test_torch_data_loader_can_be_used():
    params = dict.fromkeys(("iterator_train", "iterator_valid"), torch.utils.data.DataLoader)
    assert small(net_params=params, max_epochs=20).fit(*IRIS).score(*IRIS) > 0.8


class Stopping(Callback):
    """Stops the training from a helper."""

    def on_epoch_end(self, net, **kwargs):
        self.stop()

    @staticmethod
    def stop():
        raise KeyboardInterrupt


def test_a_keyboard_interrupt_of_a_callback_stops_the_training_quietly():
    clf = small("ce", callbacks=[Stopping()], transition_matrix=np.eye(3)).fit(*IRIS)
    assert clf.n_iter_ == 1
    assert clf.temperature_ != 1


def test_names_of_classes_are_heeded():
    X, y = IRIS
    names = np.array(["low", "mid", "high"])[y]
    T = np.array([[0.9, 0.1, 0], [0, 1, 0], [0, 0.2, 0.8]])  # of low, mid, high
    as_given = ["low", "mid", "high"]
    by_sorted = np.argsort(as_given)
    expected = small(transition_matrix=T[np.ix_(by_sorted, by_sorted)], priors=[0.5, 0.2, 0.3])
    expected = expected.fit(X, names)
    named = pd.DataFrame(T, as_given, as_given)
    for priors in (
        {"low": 0.2, "mid": 0.3, "high": 0.5},
        pd.Series([0.2, 0.3, 0.5], as_given),
    ):
        found = small(transition_matrix=named, priors=priors).fit(X, names)
        np.testing.assert_array_equal(found.transition_matrix_, expected.transition_matrix_)
        np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    with pytest.raises(ValueError, match="names"):
        small(transition_matrix=named.rename(index={"low": "LOW"})).fit(X, names)
    with pytest.raises(ValueError, match="names"):
        small(priors={"low": 0.5, "mid": 0.5}).fit(X, names)


class Own(nn.Module):
    """Makes tensors of a dtype of its own."""

    def __init__(self, dtype):
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.dtype = dtype

    def forward(self, x):
        return self.linear(x) + torch.ones(4, dtype=self.dtype) @ self.linear.weight.mT


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(("given", "made"), [("float64", "float32"), ("float32", "float64")])
def test_a_module_that_makes_tensors_of_its_own_dtype(given, made, method):
    X, y = IRIS
    clf = small(module=Own(getattr(torch, made)))
    with pytest.raises(ValueError, match=rf"fails on {given}.*Pass X.astype\(np.{made}\)"):
        getattr(clf, method)(X.astype(given), y)
    getattr(clf, method)(X.astype(made), y)


def test_images_reach_a_module_as_they_are():
    X, y = load_digits(return_X_y=True)
    X, y = X[:200].reshape(-1, 1, 8, 8).astype(np.float32), y[:200]
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    clf = small(module=module, transition_matrix="estimate").fit(X, y)
    assert clf.transition_matrix_.shape == (10, 10)
    assert clf.predict(X).shape == (200,)
    with pytest.raises(
        ValueError, match=r"rows of shape \(1, 64, 1\); in fit they had \(1, 8, 8\)"
    ):
        clf.predict(X.reshape(200, 1, 64, 1))
    with pytest.raises(ValueError, match="dim 4"):
        small().fit(X, y)


@pytest.mark.parametrize("params", [{}, {"module": nn.Linear(4, 3)}], ids=["mlp", "module"])
def test_sparse_rows_train_the_same_network(params):
    X, y = IRIS
    dense = small(**params).fit(X, y)
    sparse = clone(dense).fit(csr_matrix(X), y)
    np.testing.assert_allclose(sparse.predict_proba(csr_matrix(X)), dense.predict_proba(X))
    np.testing.assert_array_equal(sparse.predict_proba(X), sparse.predict_proba(csr_matrix(X)))
    sparse.set_params(transition_matrix="estimate").fit(csr_matrix(X), y)
    assert sparse.noise_rate_ < 0.1


def test_progress_of_the_trees(capsys):
    small(transition_matrix="estimate", verbose=1, memory=None).fit(*IRIS)
    shown = capsys.readouterr().err
    assert shown.index("Looking for copies") < shown.index("Refining labels")
    assert shown.index("Refining labels") < shown.index("Training")
    small(transition_matrix="estimate", memory=None).fit(*IRIS)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("loss", ["ce", "sgce", "auto"])
def test_a_learning_rate_that_is_much_too_high_warns(loss):
    clf = small(loss, lr=1e4, transition_matrix="estimate", n_members=2)
    with pytest.warns(ConvergenceWarning, match=r"increased the loss .*useless. Lower lr=10000.0"):
        clf.fit(*IRIS)


def test_n_jobs_reaches_the_trees(monkeypatch):
    seen = []

    class Watched(LabelRefiner):
        def fit_rows(self, rows):
            seen.append(self.n_jobs)
            return super().fit_rows(rows)

    alone = small(transition_matrix="estimate", memory=None).fit(*IRIS).predict_proba(IRIS[0])
    monkeypatch.setattr("robustlabels._network.training.LabelRefiner", Watched)
    clf = small(transition_matrix="estimate", memory=None, n_jobs=2)
    np.testing.assert_array_equal(clone(clf).fit(*IRIS).predict_proba(IRIS[0]), alone)
    fit_jointly([clf, clone(clf).set_params(n_jobs=None, loss="sgce")], *IRIS)
    assert seen == [2, 2, None]


def test_features_that_are_too_small_to_standardise(monkeypatch):
    monkeypatch.setattr("robustlabels._network.training.LabelRefiner", None)  # which takes longer
    X = (1e-42 * IRIS[0]).astype(np.float32)
    with pytest.raises(ValueError, match="Feature 0 has a standard deviation of 8.*float32"):
        RobustClassifier().fit(X, IRIS[1])


def test_features_that_are_too_large_for_float32_are_told_as_such():
    X = IRIS[0].copy()
    X[3, 1] = 1e155
    with pytest.raises(ValueError, match=r"Feature 1 .*1e\+155, too large to standardise"):
        small(transition_matrix="estimate").fit(X, IRIS[1])


@pytest.mark.parametrize(
    "T", [np.full((3, 3), 1 / 3), [[1, 0, 0], [0, 1, 0], [0, 1, 0]]], ids=["uniform", "rank 2"]
)
@pytest.mark.parametrize(
    "classifier", [RobustClassifier(), LabelRefiner(), RobustEnsembleClassifier()]
)
def test_noise_that_leaves_nothing_to_learn_is_refused(classifier, T):
    with pytest.raises(ValueError, match="singular"):
        clone(classifier).set_params(transition_matrix=T).fit(*IRIS)


def test_mistyped_parameters_that_are_nearly_right():
    with pytest.raises(ValueError, match="Did you mean 'max_epochs'"):
        small(net_params={"max_epoch": 3}).fit(*IRIS)
    with pytest.raises(ValueError, match="'max_epoch' for .*Did you mean 'max_epochs'"):
        small().set_params(max_epoch=3)


def test_scores_that_are_negative_have_no_relative_threshold():
    split = {"train_split": ValidSplit(3, stratified=True)}

    def callbacks(scoring, **params):
        score = EpochScoring(scoring, name="score", lower_is_better=False)
        return [score, EarlyStopping("score", lower_is_better=False, **params)]

    for scoring in ("neg_log_loss", make_scorer(log_loss, greater_is_better=False)):
        with pytest.raises(ValueError, match="monitors 'score', which is negative"):
            small(callbacks=callbacks(scoring), net_params=split).fit(*IRIS)
    small(callbacks=callbacks("neg_log_loss", threshold_mode="abs"), net_params=split).fit(*IRIS)
    small(callbacks=callbacks("accuracy"), net_params=split).fit(*IRIS)


class Counting(Callback):
    """Counts how often it was started."""

    def initialize(self):
        self.started_ = getattr(self, "started_", 0) + 1


def test_copies_do_not_start_callbacks_anew():
    clf = small(callbacks=[Counting()]).fit(*IRIS)
    copied = pickle.loads(pickle.dumps(clf))
    assert copied.callbacks[0].started_ == clf.callbacks[0].started_ == 1
    copied.fit(*IRIS)
    assert copied.callbacks[0].started_ == 2


def test_a_trained_network_is_changed_in_no_place_and_its_device_has_a_name():
    net = small(hidden_layer_sizes=(8, 8)).fit(*IRIS).net_
    graph = make_fx(net.module_)(torch.as_tensor(IRIS[0]))
    assert not [node.name for node in graph.graph.nodes if "relu_" in str(node.target)]
    assert net.device == "cpu"  # the name, which safetensors asks for


def test_an_iterator_that_needs_the_whole_table():
    class Balanced(torch.utils.data.DataLoader):
        def __init__(self, dataset, batch_size, **kwargs):
            rows = [np.flatnonzero(np.asarray(dataset.y) == code) for code in range(3)]
            batches = [np.concatenate([r[i : i + 4] for r in rows]).tolist() for i in (0, 4)]
            assert all(map(len, rows))
            super().__init__(dataset, batch_sampler=batches)

    clf = small(net_params={"iterator_train": Balanced}).fit(*IRIS)
    assert clf.history_[-1, "train_batch_count"] == 2

"""Losses that tune themselves: the meta-gradient, what is learned and rejected, the display."""

import dataclasses
import math
import pickle

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from torch import nn

from robustlabels import AdaptationDisplay, RobustClassifier, RobustSearchCV, corrupt_labels
from robustlabels._network.adaptation.hyperparameters import TunableLoss, find_hyperparameters
from robustlabels._network.adaptation.learning import Adaptation, meta_gradient
from robustlabels._network.joint import fit_jointly
from robustlabels._network.settings import ADAPTATION
from robustlabels._network.training import prepare_training, read_training_rows
from robustlabels.losses import (
    AEL,
    AGCE,
    AUL,
    CE,
    GCE,
    MAE,
    NCE,
    SCE,
    SGCE,
    AlphaMAE,
    EpsSoftmax,
    Symmetrized,
    TaylorCE,
    Unhinged,
    available_losses,
    get_loss,
)
from robustlabels.noise import symmetric_transition

mpl.use("agg")

X, Y = load_iris(return_X_y=True)
Y_NOISY = corrupt_labels(Y, "symmetric", 0.3, exact=True, random_state=0)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def make(loss="gce", adapt=True, **params):
    small = {"hidden_layer_sizes": 16, "max_epochs": 12, "batch_size": 16, "lr": 0.03}
    small["random_state"] = 0
    # Known noise, for the trees that estimate it take longer than the network.
    small["transition_matrix"] = symmetric_transition(3, 0.3)
    return RobustClassifier(loss, adapt=adapt, **{**small, **params})


# The losses of all classes, by the papers, and the value of a hyperparameter for its place on the
# unconstrained scale: the logistic function between two ends, the exponential above one.
FORMULAS = [
    (GCE(0.6), lambda p, f, q: (1 - p**q) / q, {"q": torch.sigmoid}),
    (
        SGCE(0.4),
        lambda p, f, q: ((p**q).mean(-1, keepdim=True) - p**q) / q,
        {"q": torch.sigmoid},
    ),
    (
        AGCE(a=0.7, q=0.6),
        lambda p, f, a, q: ((a + 1) ** q - (a + p) ** q) / q,
        {"a": torch.exp, "q": torch.exp},
    ),
    (
        AUL(a=2.5, p=1.7),
        lambda p, f, a, power: ((a - p) ** power - (a - 1) ** power) / power,
        {"a": lambda u: 1 + torch.exp(u), "p": torch.exp},
    ),
    (AEL(1.5), lambda p, f, a: torch.exp(-p / a), {"a": torch.exp}),
    (
        SCE(alpha=0.3, beta=1.2, A=-4.0),
        lambda p, f, A, alpha, beta: -alpha * torch.log(p) - beta * A * (1 - p),
        {"A": lambda u: -torch.exp(-u), "alpha": torch.exp, "beta": torch.exp},
    ),
    (
        AlphaMAE(alpha=0.8, radius=None),
        lambda p, f, alpha: (1 / f.shape[-1] - torch.softmax(alpha * f, -1)) / alpha,
        {"alpha": torch.exp},
    ),
    (
        2 * GCE(0.5) + 0.5 * MAE(),
        lambda p, f, w, v, q: w * (1 - p**q) / q + v * (1 - p),
        {"weights[gce]": torch.exp, "weights[mae]": torch.exp, "gce__q": torch.sigmoid},
    ),
]


@pytest.mark.parametrize(("loss", "formula", "shrink"), FORMULAS, ids=lambda part: repr(part)[:9])
def test_meta_gradient_is_that_of_double_back_propagation(loss, formula, shrink):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    n, d, h, n_classes, lr = 30, 5, 8, 4, 0.05
    rows, asked, weight = draw(n, d), draw(n, d), draw(n).abs()
    targets = torch.softmax(2 * draw(n, n_classes), -1)
    labels = torch.randint(n_classes, (n,), generator=generator)
    weights = [draw(h, d) / 2, draw(h) / 2, draw(n_classes, h) / 2, draw(n_classes) / 2]
    weights = [w.requires_grad_() for w in weights]

    def network(x, W1, b1, W2, b2):
        return torch.tanh(x @ W1.T + b1) @ W2.T + b2

    tunable = TunableLoss(loss)
    assert list(tunable.hyperparameters) == list(shrink)
    places = [torch.tensor(place, requires_grad=True) for place in tunable.unconstrained()]
    logits = network(rows, *weights)
    values = [to_value(place) for to_value, place in zip(shrink.values(), places, strict=True)]
    of_classes = formula(torch.softmax(logits, -1), logits, *values)
    mean = (weight * (targets * of_classes).sum(-1)).mean()
    (slope,) = torch.autograd.grad(mean, logits, create_graph=True)
    # The gradient of the mean, divided by a length that has no part in the step itself.
    step = torch.autograd.grad(logits, weights, slope / slope.norm(), create_graph=True)
    moved = [w - lr * s for w, s in zip(weights, step, strict=True)]
    judged = nn.functional.cross_entropy(network(asked, *moved), labels)
    expected = np.array([g.item() for g in torch.autograd.grad(judged, places, retain_graph=True)])

    along = torch.autograd.grad(judged, moved)
    _, tangent = torch.autograd.functional.jvp(
        lambda *w: network(rows, *w), tuple(weights), tuple(along)
    )
    found = lr * meta_gradient(tunable, logits, targets, weight, tangent)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("name", available_losses())
def test_places_of_hyperparameters_are_within_their_domains(name):
    loss = get_loss(name)
    tunable = TunableLoss(loss)
    places, values = tunable.unconstrained(), tunable.values
    tunable.set_unconstrained(places)
    assert tunable.values == pytest.approx(values, rel=1e-9)
    for shift in (-9.0, 9.0):
        tunable.set_unconstrained(places + shift)
        loss._validate_params()
        assert all(tunable.values[known] != value for known, value in values.items())


def test_which_hyperparameters_can_be_learned():
    for loss in (CE(), MAE(), Unhinged(), TaylorCE(), SGCE(0.0), GCE(1.0)):
        assert find_hyperparameters(loss) == {}
    # Those inside of other losses by the names of `set_params`; weights of 0 have no sign.
    assert list(find_hyperparameters(Symmetrized(GCE(), radius=3.0))) == ["loss__q"]
    assert list(find_hyperparameters(EpsSoftmax(AGCE()))) == ["loss__a", "loss__q", "m"]
    assert list(find_hyperparameters(NCE() + AEL())) == [
        "weights[nce]",
        "weights[ael]",
        "ael__a",
    ]
    negative = TunableLoss(CE() + -2 * MAE() + 0 * AlphaMAE(0.0))
    negative.set_unconstrained(negative.unconstrained() + 1)
    assert list(negative.values.values()) == pytest.approx([math.e, -2 / math.e])
    assert negative.loss.weights == pytest.approx([math.e, -2 / math.e, 0])


@pytest.fixture(scope="module")
def fitted():
    return make(AGCE(), max_epochs=6).fit(X, Y_NOISY)


def test_what_is_learned_is_recorded_and_repeated(fitted):
    clf, loss = fitted, fitted.loss
    assert loss.get_params() == AGCE().get_params()
    for name in ("a", "q"):
        path = clf.history_[:, f"loss__{name}"]
        assert len(set(path)) == len(path)
        assert path[-1] == getattr(clf.loss_, name) > 0
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    again = clone(clf).fit(X, Y_NOISY)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])
    np.testing.assert_array_equal(clf.predict_proba(X), again.predict_proba(X))
    assert again.loss_.get_params() == clf.loss_.get_params()
    loaded = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(clf.predict_proba(X), loaded.predict_proba(X))
    assert repr(loaded.loss_) == repr(clf.loss_)
    fixed = make(clf.loss_, adapt=False, max_epochs=1).fit(X, Y_NOISY)
    assert "loss__a" not in fixed.history_[-1]
    assert clone(clf).loss.get_params() == loss.get_params()


def test_the_more_labels_are_wrong_the_more_a_larger_q_would_help():
    rng = np.random.default_rng(0)
    n, n_classes = 600, 3
    labels = torch.from_numpy(rng.integers(n_classes, size=n))
    rows = torch.from_numpy(rng.normal(size=(n, n_classes))) / 2
    rows = rows + 2 * nn.functional.one_hot(labels)
    weights = (torch.eye(n_classes, dtype=torch.float64) / 2).requires_grad_()  # half-way trained
    asked = nn.functional.cross_entropy(rows @ weights, labels)
    (slope,) = torch.autograd.grad(asked, weights)

    def derive(rate):
        wrong = torch.from_numpy(rng.random(n) < rate)
        given = nn.functional.one_hot(torch.where(wrong, (labels + 1) % n_classes, labels)).double()
        parts = rows @ weights, given, torch.ones(n), rows @ slope
        return meta_gradient(TunableLoss(GCE(0.5)), *parts)[0]

    none, few, many = derive(0.0), derive(0.2), derive(0.4)
    assert many < few < 3 * none < 0


def test_factor_of_a_loss_is_not_learned():
    clf = make(3.0 * GCE(), max_epochs=3).fit(X, Y_NOISY)
    assert clf.loss_.weights == pytest.approx([3.0], rel=1e-3)
    assert clf.loss_.get_params()["gce__q"] != 0.7


def test_auto_learns_that_of_its_robust_loss():
    clf = make("auto").fit(X, Y_NOISY)
    ce, sgce = clf.loss_
    assert repr(ce) == "CE()"
    assert sgce.q == clf.history_[-1, "loss__q"] != 0.3


class Watching(Callback):
    """Looks at every batch, so that skorch's own loop trains."""

    def __init__(self):
        self.seen = 0

    def on_batch_end(self, net, training=False, **kwargs):
        self.seen += training


def test_callbacks_that_look_at_batches_change_nothing():
    watching = Watching()
    clf, plain = make(callbacks=[watching], max_epochs=4), make(max_epochs=4)
    assert (
        clf.fit(X, Y_NOISY).history_[:, "loss__q"] == plain.fit(X, Y_NOISY).history_[:, "loss__q"]
    )
    assert watching.seen == 4 * 10


@pytest.mark.parametrize(
    "params",
    [
        {"n_members": 1},
        {"n_members": 1, "module": nn.Sequential(nn.Linear(4, 9), nn.BatchNorm1d(9), nn.Tanh(),
                                                 nn.Linear(9, 3))},
    ],
    ids=["built-in", "module"],
)  # fmt: skip
def test_single_network_leaves_out_rows(params):
    clf = make(**params, max_epochs=30).fit(X, Y_NOISY)
    assert clf.loss_.q != 0.7
    assert clf.score(X, Y) > 0.8
    assert clf.temperature_ != 1


def test_weights_of_rows_and_classes_sparse_rows_and_float32():
    weight = np.random.default_rng(0).random(len(X))
    clf = make(class_weight="balanced", max_epochs=2).fit(X, Y_NOISY, weight)
    assert clone(clf).fit(X, Y_NOISY).loss_.q != clf.loss_.q
    for rows in (csr_matrix(X), X.astype(np.float32)):
        assert clone(clf).fit(rows, Y_NOISY, weight).loss_.q != 0.7


def test_trusted_labels_are_asked():
    trusted = np.arange(len(Y)) % 2 == 1
    y = np.where(trusted, Y, Y_NOISY)
    clf = make("sgce").fit(X, y, trusted=trusted)
    assert clf.score(X, Y) > 0.85
    assert clone(clf).fit(X, y).loss_.q != clf.loss_.q


@pytest.mark.parametrize("loss", ["ce", "mae", "unhinged", SGCE(0.0), NCE()])
def test_losses_without_hyperparameters_are_refused(loss):
    with pytest.raises(ValueError, match="adapt=True has nothing to learn with .* adapt=False"):
        make(loss).fit(X, Y_NOISY)


def test_what_cannot_adapt_is_refused():
    with pytest.raises(ValueError, match="nothing to learn with CE"):
        make("auto", n_members=1).fit(X, Y_NOISY)
    with pytest.raises(ValueError, match="whose noise has to be known"):
        make(transition_matrix=None).fit(X, Y_NOISY)
    with pytest.raises(ValueError, match="partial_fit cannot adapt"):
        make().partial_fit(X, Y_NOISY)
    clf = make(warm_start=True, max_epochs=3).fit(X, Y_NOISY)
    before = clf.predict_proba(X)
    with pytest.raises(ValueError, match="rows that the network has not learned from"):
        clf.fit(X, Y_NOISY)
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    clf.set_params(adapt=False, loss=clf.loss_).fit(X, Y_NOISY)
    assert clf.n_iter_ == 6
    with pytest.raises(ValueError, match="adapt=True cannot train jointly"):
        fit_jointly([make(), make("sgce")], X, Y_NOISY)


def test_few_rows_keep_the_hyperparameters():
    few = np.r_[:10, 50:60, 100:110]
    with pytest.warns(UserWarning, match="adapt=True has no effect: the rows are too few"):
        clf = make(transition_matrix="estimate", max_epochs=2).fit(X[few], Y[few])
    assert clf.loss_.q == 0.7


def test_searches_compare_adapted_and_fixed_losses():
    grid = {"adapt": [False, True], "loss": ["gce", "sgce"]}
    scores = []
    for search in (GridSearchCV, RobustSearchCV):
        network = make(max_epochs=3, n_members=2)
        found = search(network, grid, cv=2, scoring="accuracy", error_score="raise", refit=False)
        scores.append(found.fit(X, Y_NOISY).cv_results_["mean_test_score"])
    assert len(set(scores[0])) > 1
    np.testing.assert_allclose(*scores, atol=0.02)


def test_display_shows_the_history(fitted):
    clf = fitted
    display = AdaptationDisplay.from_estimator(clf).plot()
    assert list(display.lines_) == ["a", "q"] == [ax.get_ylabel() for ax in display.axes_]
    np.testing.assert_array_equal(display.lines_["q"].get_xdata(), np.arange(1, 7))
    np.testing.assert_array_equal(display.lines_["q"].get_ydata(), clf.history_[:, "loss__q"])
    frame = display.frame()
    assert frame["hyperparameter"].tolist() == ["a"] * 6 + ["q"] * 6
    assert frame["value"].iloc[-1] == clf.loss_.q
    figure, axis = plt.subplots()
    single = AdaptationDisplay.from_estimator(make("auto", max_epochs=2).fit(X, Y_NOISY))
    assert single.plot(axis).figure_ is figure
    with pytest.raises(ValueError, match="Fit it with adapt=True"):
        AdaptationDisplay.from_estimator(make(adapt=False, max_epochs=2).fit(X, Y_NOISY))


def test_rows_without_weight_are_not_asked():
    weight = np.where(np.arange(len(X)) < 20, 1.0, 1e-60)
    clf = make(n_members=1, max_epochs=4).fit(X.astype(np.float32), Y_NOISY, weight)
    assert 0 < clf.loss_.q < 1
    # Of three rows that weigh there may be none that the network has left out.
    weight = np.where(np.arange(len(X)) % 50 == 0, 1.0, 1e-60)
    for seed in range(4):
        clf = make(n_members=1, random_state=seed, max_epochs=2)
        assert 0 < clf.fit(X.astype(np.float32), Y_NOISY, weight).loss_.q < 1
    nothing = make(class_weight={0: 0, 1: 0, 2: 1}, max_epochs=4)
    nothing.fit(X, Y, trusted=np.ones(len(X), dtype=bool))
    assert 0 < nothing.loss_.q < 1


def test_gradients_that_somebody_has_turned_off():
    plain = make(max_epochs=2).fit(X, Y_NOISY)
    with torch.no_grad():
        clf = make(max_epochs=2).fit(X, Y_NOISY)
    assert clf.loss_.q == plain.loss_.q != GCE().q


def test_warnings_name_the_line_of_the_user():
    with pytest.warns(UserWarning, match="has no effect") as told:
        make(transition_matrix="estimate", max_epochs=1).fit(X[::8], Y_NOISY[::8])
    assert told[0].filename == __file__


def adapted(calibration, training):
    """The hyperparameters after some steps that these rows judge."""
    net = training.engine.net
    net.minimise([clone(loss) for loss in training.engine.losses])
    adaptation = Adaptation(net, training.X, calibration, len(net.losses_), seed=0)
    batch = {"X": training.X[:30], "soft_labels": training.soft_labels[:30]}
    for _ in range(5 * ADAPTATION.steps):
        tensors = {name: torch.as_tensor(array) for name, array in batch.items()}
        adaptation.on_batch_end(net, batch=(tensors, None), training=True)
    return adaptation.tunable.values


@pytest.mark.parametrize("idle", ["seen in training", "of little weight"])
def test_held_out_rows_judge_by_their_weight(idle):
    clf = make(n_members=1)
    training = prepare_training(clf, read_training_rows(clf, X, Y_NOISY, None))
    calibration = training.calibration
    if idle == "seen in training":
        silent = calibration.folds != 0
    else:
        silent = calibration.label_probabilities[:, 0] > 0.5
        weight = np.where(silent, 1e-30, 1.0)
        calibration = dataclasses.replace(calibration, weight=weight)
    expected = adapted(calibration, training)

    def with_other_labels(rows):
        likelihood = np.where(
            rows[:, None], calibration.likelihood[:, ::-1], calibration.likelihood
        )
        return adapted(dataclasses.replace(calibration, likelihood=likelihood), training)

    assert with_other_labels(silent) == pytest.approx(expected, rel=1e-12)
    assert with_other_labels(~silent) != pytest.approx(expected, rel=1e-4)

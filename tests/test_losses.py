"""The losses: values, gradients, limits and symmetry, against formulas written independently."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone

from robustlabels.losses import (
    AEL,
    AGCE,
    AUL,
    CE,
    GCE,
    MAE,
    SGCE,
    AlphaMAE,
    Loss,
    ProbabilityLoss,
    Symmetrized,
    Unhinged,
    available_losses,
    get_loss,
)

CLASS_COUNTS = [2, 3, 10, 100]
SYMMETRIC = {
    "MAE": MAE(),
    "Unhinged": Unhinged(),
    "Unhinged free": Unhinged(radius=None),
    "SGCE": SGCE(),
    "SGCE .2 free": SGCE(q=0.2, radius=None),
    "SGCE 0": SGCE(q=0),
    "AlphaMAE": AlphaMAE(),
    "AlphaMAE 2 free": AlphaMAE(alpha=2.0, radius=None),
    "AlphaMAE 0": AlphaMAE(alpha=0),
    "Symmetrized AGCE": Symmetrized(AGCE()),
}
ALL = {**{name: get_loss(name) for name in available_losses()}, **SYMMETRIC}
each_loss = pytest.mark.parametrize("loss", ALL.values(), ids=ALL.keys())
each_class_count = pytest.mark.parametrize("n_classes", CLASS_COUNTS)


def draw_logits(n_classes, n_rows=20, scale=3.0):
    logits = scale * np.random.RandomState(n_classes).normal(size=(n_rows, n_classes))
    return logits, np.arange(n_rows) % n_classes


def softmax(logits):
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def of_probability(value, omega):
    """Value and gradient of a loss l(p_y) from l and omega(u) = -u l'(u)."""

    def formula(logits, y):
        p = softmax(logits)
        u = p[np.arange(len(y)), y]
        return value(u), -omega(u)[:, None] * (np.eye(p.shape[1])[y] - p)

    return formula


def sgce(q):
    def formula(logits, y):
        p, n_classes = softmax(logits), logits.shape[1]
        label = np.eye(n_classes)[y]
        u = p[label == 1]
        total = (p**q).sum(axis=1, keepdims=True)
        gradient = (p**q - p * total) / n_classes - (u**q)[:, None] * (label - p)
        return ((p**q).mean(axis=1) - u**q) / q, gradient

    return formula


def alpha_mae(alpha):
    def formula(logits, y):
        s, label = softmax(alpha * logits), np.eye(logits.shape[1])[y]
        s_y = s[label == 1]
        return (1 / logits.shape[1] - s_y) / alpha, -s_y[:, None] * (label - s)

    return formula


def unhinged(logits, y):
    label = np.eye(logits.shape[1])[y]
    return logits.mean(axis=1) - logits[label == 1], 1 / logits.shape[1] - label


def bounded(formula, radius):
    """Value and gradient of a loss on scores in a ball, by the chain rule."""

    def on_ball(logits, y):
        centred = logits - logits.mean(axis=1, keepdims=True)
        norm = np.linalg.norm(centred, axis=1, keepdims=True)
        shrink = 1 / (1 + norm / radius)
        value, gradient = formula(centred * shrink, y)
        along = (gradient * centred).sum(axis=1, keepdims=True)
        gradient = shrink * gradient - shrink**2 / (radius * norm) * along * centred
        return value, gradient - gradient.mean(axis=1, keepdims=True)

    return on_ball


FORMULAS = [
    (CE(), of_probability(lambda u: -np.log(u), np.ones_like)),
    (MAE(), of_probability(lambda u: 1 - u, lambda u: u)),
    (GCE(q=0.7), of_probability(lambda u: (1 - u**0.7) / 0.7, lambda u: u**0.7)),
    (GCE(q=0.1), of_probability(lambda u: (1 - u**0.1) / 0.1, lambda u: u**0.1)),
    (
        AGCE(a=1.0, q=0.5),
        of_probability(lambda u: 2 * (np.sqrt(2) - np.sqrt(1 + u)), lambda u: u / np.sqrt(1 + u)),
    ),
    (
        AGCE(a=6.0, q=1.5),
        of_probability(lambda u: (7**1.5 - (6 + u) ** 1.5) / 1.5, lambda u: u * np.sqrt(6 + u)),
    ),
    (
        AUL(a=5.5, p=3.0),
        of_probability(lambda u: ((5.5 - u) ** 3 - 4.5**3) / 3, lambda u: u * (5.5 - u) ** 2),
    ),
    (
        AUL(a=3.0, p=0.1),
        of_probability(lambda u: 10 * ((3 - u) ** 0.1 - 2**0.1), lambda u: u * (3 - u) ** -0.9),
    ),
    (AEL(a=2.5), of_probability(lambda u: np.exp(-u / 2.5), lambda u: u / 2.5 * np.exp(-u / 2.5))),
    (Unhinged(radius=None), unhinged),
    (Unhinged(radius=4.0), bounded(unhinged, 4.0)),
    (SGCE(q=0.6, radius=None), sgce(0.6)),
    (SGCE(q=0.05, radius=None), sgce(0.05)),
    (SGCE(), bounded(sgce(0.6), 10.0)),
    (AlphaMAE(alpha=0.5, radius=None), alpha_mae(0.5)),
    (AlphaMAE(alpha=2.0, radius=None), alpha_mae(2.0)),
    (AlphaMAE(), bounded(alpha_mae(0.5), 20.0)),
]


@each_class_count
@pytest.mark.parametrize(("loss", "formula"), FORMULAS, ids=[repr(loss) for loss, _ in FORMULAS])
def test_value_and_gradient(loss, formula, n_classes):
    logits, y = draw_logits(n_classes)
    value, gradient = formula(logits, y)
    f = torch.tensor(logits, requires_grad=True)
    got = clone(loss).set_params(reduction="none")(f, torch.tensor(y))
    got.sum().backward()
    np.testing.assert_allclose(got.detach(), value, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(f.grad, gradient, rtol=1e-10, atol=1e-10)


@each_class_count
@pytest.mark.parametrize("loss", SYMMETRIC.values(), ids=SYMMETRIC.keys())
def test_symmetric_losses_have_a_constant_class_sum(loss, n_classes):
    logits = torch.tensor(draw_logits(n_classes, n_rows=200)[0])
    total = loss.class_losses(torch.log_softmax(logits, dim=-1)).sum(-1)
    expected = n_classes - 1 if isinstance(loss, MAE) else 0
    torch.testing.assert_close(total, torch.full_like(total, expected), rtol=0, atol=1e-10)


@each_class_count
@pytest.mark.parametrize("loss", [CE(), GCE(), AGCE(), AUL(), AEL()], ids=repr)
def test_the_other_losses_have_not(loss, n_classes):
    # So the test above can fail.
    logits = torch.tensor(draw_logits(n_classes)[0])
    total = loss.class_losses(torch.log_softmax(logits, dim=-1)).sum(-1)
    assert total.max() - total.min() > 1e-4 * total.abs().max()


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("loss", [GCE(), SGCE(), Unhinged(), AlphaMAE(), AGCE()], ids=repr)
def test_symmetrized_is_a_projection(loss, n_classes):
    log_p = torch.log_softmax(torch.tensor(draw_logits(n_classes)[0]), dim=-1)
    once = Symmetrized(loss).class_losses(log_p)
    torch.testing.assert_close(Symmetrized(Symmetrized(loss)).class_losses(log_p), once)
    rest = loss.class_losses(log_p) - once
    torch.testing.assert_close(rest, rest[:, :1].expand_as(rest))


@each_class_count
@pytest.mark.parametrize(
    ("near", "limit", "scale", "shift"),
    [
        (GCE(q=1e-9), CE(), 1, 0),
        (GCE(q=0), CE(), 1, 0),
        (GCE(q=1), MAE(), 1, 0),
        (SGCE(q=1e-9, radius=None), Unhinged(radius=None), 1, 0),
        (SGCE(q=0), Unhinged(), 1, 0),
        (SGCE(q=1, radius=None), MAE(), 1, 1),
        (AlphaMAE(alpha=1e-8, radius=None), Unhinged(radius=None), "1/K", 0),
        (AlphaMAE(alpha=0, radius=5.0), Unhinged(radius=5.0), "1/K", 0),
        (AlphaMAE(alpha=1, radius=None), MAE(), 1, 1),
        (AGCE(a=1e-12, q=0.7), GCE(q=0.7), 1, 0),
        (AGCE(q=1), MAE(), 1, 0),
        (AUL(p=1), MAE(), 1, 0),
        (SGCE(radius=1e12), SGCE(radius=None), 1, 0),
    ],
    ids=repr,
)
def test_limits(near, limit, scale, shift, n_classes):
    log_p = torch.log_softmax(torch.tensor(draw_logits(n_classes)[0]), dim=-1)
    expected = limit.class_losses(log_p)
    expected = expected / n_classes if scale == "1/K" else expected
    expected = expected - shift * (1 - 1 / n_classes)
    torch.testing.assert_close(near.class_losses(log_p), expected, rtol=1e-6, atol=1e-6)


def test_ael_nears_mae():
    log_p = torch.log_softmax(torch.tensor(draw_logits(4)[0]), dim=-1)
    a = 1e6
    scaled = a * (AEL(a=a).class_losses(log_p) - 1) + 1
    torch.testing.assert_close(scaled, MAE().class_losses(log_p), rtol=0, atol=1e-5)


@each_class_count
@each_loss
def test_finite_at_extreme_logits_in_float32(loss, n_classes):
    corners = 1e4 * torch.tensor(np.sign(draw_logits(n_classes)[0]), dtype=torch.float32)
    corners = torch.cat([corners, torch.zeros(1, n_classes), 1e4 * torch.eye(n_classes)])
    corners.requires_grad_()
    for k in range(min(n_classes, 3)):
        value = clone(loss).set_params(reduction="sum")(corners, torch.full((len(corners),), k))
        (gradient,) = torch.autograd.grad(value, corners)
        assert value.isfinite()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("n_classes", [2, 5])
@each_loss
def test_gradcheck(loss, n_classes):
    logits, y = draw_logits(n_classes, n_rows=4)
    f = torch.tensor(logits, requires_grad=True)
    assert torch.autograd.gradcheck(loss, (f, torch.tensor(y)))
    assert torch.autograd.gradgradcheck(loss, (f, torch.tensor(y)))


@each_loss
def test_the_right_label_costs_least(loss):
    logits, _ = draw_logits(5)
    losses = loss.class_losses(torch.log_softmax(torch.tensor(logits), dim=-1))
    np.testing.assert_array_equal(losses.argmin(-1), logits.argmax(axis=1))


@given(
    arrays(np.float64, (3, 4), elements=st.floats(-30, 30)),
    arrays(np.int64, 3, elements=st.integers(0, 3)),
    st.floats(-50, 50),
)
@each_loss
def test_sample_losses_are_columns_and_blind_to_a_shift(loss, logits, y, shift):
    log_p = torch.log_softmax(torch.tensor(logits), dim=-1)
    losses = loss.class_losses(log_p)
    torch.testing.assert_close(
        loss.sample_losses(log_p, torch.tensor(y)), losses[torch.arange(3), torch.tensor(y)]
    )
    shifted = clone(loss).set_params(reduction="none")(
        torch.tensor(logits + shift), torch.tensor(y)
    )
    torch.testing.assert_close(shifted, losses[torch.arange(3), torch.tensor(y)])


@given(
    arrays(np.float64, (2, 3), elements=st.floats(-20, 20)),
    arrays(np.float64, (2, 3), elements=st.floats(0, 1)),
)
@each_loss
def test_soft_targets_are_weighted_sums(loss, logits, target):
    loss = clone(loss).set_params(reduction="none")
    logits, target = torch.tensor(logits), torch.tensor(target)
    hard = torch.stack([loss(logits, torch.full((2,), k)) for k in range(3)], dim=-1)
    torch.testing.assert_close(loss(logits, target), (target * hard).sum(-1))
    torch.testing.assert_close(loss(logits, torch.eye(3).double()[:2]), hard.diagonal())


def test_reductions():
    logits, y = (torch.tensor(a) for a in draw_logits(3))
    rows = GCE(reduction="none")(logits, y)
    assert rows.shape == (20,)
    torch.testing.assert_close(GCE(reduction="sum")(logits, y), rows.sum())
    torch.testing.assert_close(GCE()(logits, y), rows.mean())


def test_agrees_with_torch_cross_entropy():
    logits, y = (torch.tensor(a) for a in draw_logits(7))
    torch.testing.assert_close(CE()(logits, y), torch.nn.CrossEntropyLoss()(logits, y))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@each_loss
def test_half_precision_is_computed_in_float32(loss, dtype):
    logits = torch.tensor(draw_logits(4)[0]).to(dtype)
    y = torch.arange(20) % 4
    value = loss(logits, y)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(logits.float(), y))


@given(arrays(np.float64, (2, 5), elements=st.floats(-1e6, 1e6)))
def test_bounded_scores_stay_in_the_ball_and_keep_the_order(logits):
    scores = SGCE(radius=3.0).scores(torch.tensor(logits)).numpy()
    assert (np.linalg.norm(scores, axis=1) <= 3.0 * (1 + 1e-12)).all()
    np.testing.assert_allclose(scores.sum(axis=1), 0, atol=1e-9)
    order = np.argsort(logits, axis=1)
    assert (np.diff(np.take_along_axis(scores, order, axis=1)) >= 0).all()


def test_scores_are_the_logits_without_a_radius():
    logits = torch.tensor(draw_logits(3)[0])
    for loss in (CE(), Unhinged(radius=None)):
        assert loss.scores(logits) is logits


@each_loss
def test_objects_behave_like_scikit_learn_ones(loss):
    logits, y = (torch.tensor(a) for a in draw_logits(4))
    for twin in (clone(loss), pickle.loads(pickle.dumps(loss)), copy.deepcopy(loss)):
        assert repr(twin) == repr(loss)
        assert twin.get_params().keys() == loss.get_params().keys()
        assert torch.equal(twin(logits, y), loss(logits, y))
    assert not list(loss.parameters())


def test_parameters_can_be_set():
    loss = SGCE().set_params(q=0.2, radius=5.0)
    assert repr(loss) == "SGCE(q=0.2, radius=5.0)"
    logits, y = (torch.tensor(a) for a in draw_logits(4))
    assert torch.equal(loss(logits, y), SGCE(q=0.2, radius=5.0)(logits, y))
    nested = Symmetrized(GCE()).set_params(loss__q=0.2, radius=5.0)
    torch.testing.assert_close(nested(logits, y), loss(logits, y))


def test_names():
    assert available_losses()[0] == "ce"
    for name in available_losses():
        assert isinstance(get_loss(name), Loss)
    assert repr(get_loss("agce", a=6, q=1.5)) == "AGCE(a=6, q=1.5)"


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("SGCEE", {}, "Unknown loss 'SGCEE'. Did you mean 'sgce'.*'alpha-mae'"),
        ("Alpha_MAE", {}, "Did you mean 'alpha-mae'"),
        (3, {}, "Unknown loss 3"),
        ("mae", {"q": 0.3}, "'mae' has no parameter 'q'. It has 'reduction'"),
        ("gce", {"q": -1}, r"'q' parameter of GCE must be .*\[0.0, 1.0\]. Got -1"),
        ("sgce", {"q": 1.1}, "'q' parameter of SGCE .* Got 1.1"),
        ("sgce", {"radius": 0}, "'radius' parameter of SGCE .* Got 0"),
        ("agce", {"a": 0}, "'a' parameter of AGCE .* Got 0"),
        ("aul", {"a": 1}, "'a' parameter of AUL .* Got 1"),
        ("alpha-mae", {"alpha": -0.1}, "'alpha' parameter of AlphaMAE .* Got -0.1"),
        ("ce", {"reduction": "avg"}, "'reduction' parameter of CE .*'mean'.* Got 'avg'"),
    ],
)
def test_bad_names_and_parameters(name, params, message):
    with pytest.raises(ValueError, match=message):
        get_loss(name, **params)


@pytest.mark.parametrize("loss", [GCE(q=-1), Symmetrized(MAE).set_params(radius=-1)], ids=repr)
def test_bad_parameters_also_raise_in_a_call(loss):
    with pytest.raises(ValueError, match="parameter of"):
        loss(torch.zeros(2, 2), torch.tensor([0, 1]))


@pytest.mark.parametrize(
    ("logits", "target"),
    [
        (torch.zeros(3, 2), torch.zeros(3)),
        (torch.zeros(3, 2), torch.tensor([0, 1])),
        (torch.zeros(3), torch.tensor([0, 1, 1])),
        (torch.zeros(3, 2), torch.tensor([[0, 1], [0, 1], [1, 0]])),
    ],
)
def test_shapes_that_do_not_fit(logits, target):
    with pytest.raises(ValueError, match="logits must have shape"):
        CE()(logits, target)


def test_subclasses_must_say_what_they_are():
    with pytest.raises(NotImplementedError, match=r"Loss must implement class_losses"):
        Loss()(torch.zeros(1, 2), torch.tensor([0]))
    with pytest.raises(NotImplementedError, match=r"ProbabilityLoss must implement phi"):
        ProbabilityLoss()(torch.zeros(1, 2), torch.tensor([0]))

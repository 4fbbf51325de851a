"""The losses: values, gradients, limits and symmetry, against formulas written independently."""

import copy
import pickle
from numbers import Real

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import brentq
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetClassifier

from robustlabels import RobustClassifier
from robustlabels.losses import (
    AEL,
    AGCE,
    AMSE,
    AUL,
    CE,
    GCE,
    LDR,
    MAE,
    NCE,
    NFL,
    NGCE,
    NNCE,
    RCE,
    SCE,
    SGCE,
    AlphaMAE,
    BackwardCorrected,
    BiTempered,
    ClassMean,
    EpsSoftmax,
    Focal,
    ForwardCorrected,
    JensenShannon,
    LogitClip,
    Loss,
    MarginShift,
    Normalized,
    ProbabilityLoss,
    SoftBootstrap,
    Sum,
    Symmetrized,
    TaylorCE,
    TruncatedGCE,
    Unhinged,
    _loss,
    _names,
    available_losses,
    get_loss,
)
from robustlabels.losses.theory import initial_gain
from robustlabels.noise import pair_transition, symmetric_transition

CLASS_COUNTS = [2, 3, 10, 100]
#: Other settings of the losses in the catalogue, and the operators.
VARIANTS = {
    "Unhinged free": Unhinged(radius=None),
    "SGCE .2 free": SGCE(q=0.2, radius=None),
    "SGCE 0": SGCE(q=0),
    "AlphaMAE 2 free": AlphaMAE(alpha=2.0, radius=None),
    "AlphaMAE 0": AlphaMAE(alpha=0),
    "Symmetrized AGCE": Symmetrized(AGCE()),
    "NFL detached": NFL(detach_modulator=True),
    "NGCE .7": NGCE(q=0.7),
    "NNCE .001": NNCE(p_min=1e-3),
    "Normalized AGCE": Normalized(AGCE()),
    "ClassMean": ClassMean(GCE()),
    "LogitClip": LogitClip(CE(), tau=2.0),
    "EpsSoftmax": EpsSoftmax(GCE(), m=3.0),
    "LDR margin": LDR(lam=0.1, margin=2.0),
    "MarginShift": MarginShift(AGCE(), margin=0.5),
    "Sum": 0.3 * SGCE() + AUL() + AUL(p=0.5),
}
CATALOGUE = {name: get_loss(name) for name in available_losses()}
#: Of the sums in the catalogue, all of whose terms are here, one.
ALL = {name: loss for name, loss in CATALOGUE.items() if not isinstance(loss, Sum)}
ALL |= {"nce+agce": CATALOGUE["nce+agce"], **VARIANTS}
#: One loss for each implementation of the sample losses.
KINDS = [CE(), AMSE(), SGCE(), NCE(), MarginShift(AGCE(), margin=0.5), NCE() + 2 * AGCE()]
each_loss = pytest.mark.parametrize("loss", ALL.values(), ids=ALL.keys())
each_kind = pytest.mark.parametrize("loss", KINDS, ids=repr)
each_class_count = pytest.mark.parametrize("n_classes", CLASS_COUNTS)
#: Class sums that are constant, of K classes.
CLASS_SUMS = {
    "mae": lambda K: K - 1,
    "rce": lambda K: 4 * (K - 1),
    "nnce": lambda K: K - 1,
    "NNCE .001": lambda K: K - 1,
    "nce+mae": lambda K: K,
    "nce+rce": lambda K: 1 + 4 * (K - 1),
    "nfl+mae": lambda K: K,
    "nfl+rce": lambda K: 1 + 4 * (K - 1),
    "anl-ce": lambda K: 5 * K,
    **dict.fromkeys(
        ["nce", "nfl", "ngce", "NFL detached", "NGCE .7", "Normalized AGCE"], lambda K: 1
    ),
    **dict.fromkeys(["unhinged", "sgce", "alpha-mae", *list(VARIANTS)[:6]], lambda K: 0),
}


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


def jensen_shannon(pi):
    rest = 1 - pi

    def value(u):
        m = pi + rest * u
        total = -pi * np.log(m) + rest * (u * np.log(u / m) - (1 - u) * np.log(rest))
        return total / (-rest * np.log(rest))

    return of_probability(value, lambda u: u * np.log(rest * u / (pi + rest * u)) / np.log(rest))


def margin_shift(q, margin):
    """Shifted GCE: the odds of the label times e^s."""

    def formula(logits, y):
        shift = max(0, np.log(logits.shape[1] - 1) - margin) if logits.shape[1] > 2 else 0
        p, label = softmax(logits), np.eye(logits.shape[1])[y]
        odds = np.exp(shift) * p[label == 1] / (1 - p[label == 1])
        u = odds / (1 + odds)
        # du/df = u (1 - u) d(log odds), and the log odds have the slope (e_y - p) / (1 - p_y).
        slope = -(u**q) * (1 - u) / (1 - p[label == 1])
        return (1 - u**q) / q, slope[:, None] * (label - p)

    return formula


def amse(a):
    def formula(logits, y):
        p, n_classes = softmax(logits), logits.shape[1]
        label = np.eye(n_classes)[y]
        inner = p - a * label - (p**2).sum(1, keepdims=True) + a * p[label == 1][:, None]
        return ((a * label - p) ** 2).mean(axis=1), 2 / n_classes * p * inner

    return formula


def ldr(lam, margin):
    def formula(logits, y):
        label = np.eye(logits.shape[1])[y]
        lifted = (logits + margin * (1 - label)) / lam
        top = lifted.max(axis=1)
        mean = np.exp(lifted - top[:, None]).mean(axis=1)
        value = lam * (top + np.log(mean)) - logits[label == 1]
        return value, softmax(lifted) - label

    return formula


def bi_tempered(t1, t2):
    def solve(logits):
        """The tempered softmax of one row, its shift found by a root finder."""

        def total(shift):
            return ((1 + (1 - t2) * (logits - shift)) ** (1 / (1 - t2))).sum() - 1

        high = logits.max() + 1
        while total(high) > 0:
            high = logits.max() + 2 * (high - logits.max())
        shift = brentq(total, logits.max(), high, xtol=1e-15, rtol=1e-15)
        return (1 + (1 - t2) * (logits - shift)) ** (1 / (1 - t2))

    def formula(logits, y):
        p = np.array([solve(row) for row in logits])
        label = np.eye(logits.shape[1])[y]
        u = p[label == 1]
        log = np.log(u) if t1 == 1 else (u ** (1 - t1) - 1) / (1 - t1)
        d = (p - label) * p ** (t2 - t1)
        escort = p**t2 / (p**t2).sum(axis=1, keepdims=True)
        value = -log - (1 - (p ** (2 - t1)).sum(axis=1)) / (2 - t1)
        return value, d - escort * d.sum(axis=1, keepdims=True)

    return formula


def soft_bootstrap(beta):
    def formula(logits, y):
        p = softmax(logits)
        label, entropy = np.eye(logits.shape[1])[y], -(p * np.log(p)).sum(axis=1, keepdims=True)
        value = -beta * np.log(p[label == 1]) + (1 - beta) * entropy[:, 0]
        return value, beta * (p - label) - (1 - beta) * p * (np.log(p) + entropy)

    return formula


def normalized(parts):
    """Value and gradient of a normalised l(p_k), from l(p) and omega(p) of all classes."""

    def formula(logits, y):
        p, label = softmax(logits), np.eye(logits.shape[1])[y]
        losses, omega = parts(p)
        total = losses.sum(axis=1, keepdims=True)
        share = losses[label == 1][:, None] / total
        of_label = -omega[label == 1][:, None] * (label - p)
        of_total = -omega + omega.sum(axis=1, keepdims=True) * p
        return share[:, 0], (of_label - share * of_total) / total

    return formula


def ce_parts(p):
    return -np.log(p), np.ones_like(p)


def gce_parts(q):
    return lambda p: ((1 - p**q) / q, p**q)


def focal_parts(gamma):
    return lambda p: (
        -((1 - p) ** gamma) * np.log(p),
        (1 - p) ** gamma - gamma * p * (1 - p) ** (gamma - 1) * np.log(p),
    )


def nnce(p_min):
    def formula(logits, y):
        p, label = softmax(logits), np.eye(logits.shape[1])[y]
        heights = np.maximum(np.log(p), np.log(p_min)) - np.log(p_min)
        total = heights.sum(axis=1, keepdims=True)
        above = (p > p_min).astype(float)
        own, height = above[label == 1][:, None], heights[label == 1][:, None]
        slope = total * own * (label - p) - height * (above - above.sum(1, keepdims=True) * p)
        return 1 - (height / total)[:, 0], -slope / total**2

    return formula


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
    (SGCE(), sgce(0.3)),
    (SGCE(radius=10.0), bounded(sgce(0.3), 10.0)),
    (SGCE(q=0.05), bounded(sgce(0.05), 10.0)),
    (AlphaMAE(alpha=0.5, radius=None), alpha_mae(0.5)),
    (AlphaMAE(alpha=2.0, radius=None), alpha_mae(2.0)),
    (AlphaMAE(alpha=0.4), bounded(alpha_mae(0.4), 20.0)),
    (AlphaMAE(), alpha_mae(0.5)),
    (RCE(A=-9.2), of_probability(lambda u: 9.2 * (1 - u), lambda u: 9.2 * u)),
    (
        SCE(alpha=0.1, beta=2.0),
        of_probability(lambda u: -0.1 * np.log(u) + 8 * (1 - u), lambda u: 0.1 + 8 * u),
    ),
    (
        Focal(gamma=2.0),
        of_probability(
            lambda u: -((1 - u) ** 2) * np.log(u),
            lambda u: (1 - u) ** 2 - 2 * u * (1 - u) * np.log(u),
        ),
    ),
    (
        Focal(gamma=2.0, detach_modulator=True),
        of_probability(lambda u: -((1 - u) ** 2) * np.log(u), lambda u: (1 - u) ** 2),
    ),
    (
        TaylorCE(t=3),
        of_probability(
            lambda u: (1 - u) + (1 - u) ** 2 / 2 + (1 - u) ** 3 / 3, lambda u: 1 - (1 - u) ** 3
        ),
    ),
    (
        TruncatedGCE(q=0.7, k=0.3),
        of_probability(
            lambda u: (1 - np.maximum(u, 0.3) ** 0.7) / 0.7, lambda u: np.where(u > 0.3, u**0.7, 0)
        ),
    ),
    (JensenShannon(pi=0.3), jensen_shannon(0.3)),
    (JensenShannon(pi=0.9), jensen_shannon(0.9)),
    (MarginShift(GCE(q=0.7), margin=1.5), margin_shift(0.7, 1.5)),
    (AMSE(a=4.0), amse(4.0)),
    (LDR(lam=1.0), ldr(1.0, 0.0)),
    (LDR(lam=3.0, margin=0.5), ldr(3.0, 0.5)),
    (LDR(lam=0.1, margin=5.0), ldr(0.1, 5.0)),
    (
        AGCE(a=1e-5, q=0.5),
        of_probability(
            lambda u: 2 * (np.sqrt(1 + 1e-5) - np.sqrt(1e-5 + u)), lambda u: u / np.sqrt(1e-5 + u)
        ),
    ),
    (BiTempered(t1=0.5, t2=4.0), bi_tempered(0.5, 4.0)),
    (BiTempered(t1=0.3, t2=1.5), bi_tempered(0.3, 1.5)),
    (BiTempered(t1=1.0, t2=1.2), bi_tempered(1.0, 1.2)),
    (SoftBootstrap(beta=0.8), soft_bootstrap(0.8)),
    (NCE(), normalized(ce_parts)),
    (NFL(gamma=0.5), normalized(focal_parts(0.5))),
    (NGCE(q=0.7), normalized(gce_parts(0.7))),
    (NNCE(p_min=1e-3), nnce(1e-3)),
    (NCE() + 4 * AGCE(a=6.0, q=1.5), None),
    (get_loss("anl-ce"), None),
    (get_loss("jal-fl"), None),
]


def sum_of_formulas(loss):
    """The formula of a sum, from the formulas of its terms."""
    known = {repr(term): formula for term, formula in FORMULAS if formula is not None}
    known |= {"NNCE()": nnce(1e-7), "AMSE()": amse(30.0), "NFL()": normalized(focal_parts(0.5))}

    def formula(logits, y):
        parts = [known[repr(term)](logits, y) for _, term in loss.terms]
        value = sum(w * part[0] for w, part in zip(loss.weights, parts, strict=True))
        return value, sum(w * part[1] for w, part in zip(loss.weights, parts, strict=True))

    return formula


FORMULAS = [(loss, formula or sum_of_formulas(loss)) for loss, formula in FORMULAS]


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


@pytest.mark.parametrize("name", CLASS_SUMS)
def test_symmetric_losses_have_a_constant_class_sum(name):
    loss = {**CATALOGUE, **VARIANTS}[name]
    for n_classes in CLASS_COUNTS:
        logits = torch.tensor(draw_logits(n_classes, n_rows=200)[0])
        total = loss.class_losses(torch.log_softmax(logits, dim=-1)).sum(-1)
        expected = torch.full_like(total, CLASS_SUMS[name](n_classes))
        torch.testing.assert_close(total, expected, rtol=0, atol=1e-10)


@each_class_count
@pytest.mark.parametrize(
    "loss", [CE(), GCE(), AGCE(), AUL(), AEL(), AMSE(), LDR(), SoftBootstrap()], ids=repr
)
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
        (Focal(gamma=0), CE(), 1, 0),
        (SCE(alpha=0, A=-1), MAE(), 1, 0),
        (TaylorCE(t=1), MAE(), 1, 0),
        (LDR(lam=1e9), Unhinged(radius=None), 1, 0),
        (BiTempered(t1=1, t2=1), CE(), 1, 0),
        (BiTempered(t1=1, t2=1 + 1e-9), CE(), 1, 0),
        (SoftBootstrap(beta=1), CE(), 1, 0),
        (NGCE(q=0), NCE(), 1, 0),
        (NFL(gamma=0), NCE(), 1, 0),
        (LogitClip(CE(), tau=1e9), CE(), 1, 0),
        (EpsSoftmax(CE(), m=1e-9), CE(), 1, 0),
        (ForwardCorrected(None), CE(), 1, 0),
        (BackwardCorrected(None, GCE()), GCE(), 1, 0),
    ],
    ids=repr,
)
def test_limits(near, limit, scale, shift, n_classes):
    log_p = torch.log_softmax(torch.tensor(draw_logits(n_classes)[0]), dim=-1)
    if isinstance(near, (ForwardCorrected, BackwardCorrected)):
        near = clone(near).set_params(transition_matrix=np.eye(n_classes))
    expected = limit.class_losses(log_p)
    expected = expected / n_classes if scale == "1/K" else expected
    expected = expected - shift * (1 - 1 / n_classes)
    torch.testing.assert_close(near.class_losses(log_p), expected, rtol=1e-6, atol=1e-6)


def test_jensen_shannon_nears_ce_and_mae():
    log_p = torch.log_softmax(torch.tensor(draw_logits(4)[0]) / 3, dim=-1)

    def distance(pi, limit):
        difference = JensenShannon(pi).class_losses(log_p) - limit.class_losses(log_p)
        return difference.abs().max().item()

    assert distance(1e-6, CE()) < 1e-3
    # Towards 1 the error falls like the inverse of a logarithm only.
    far, near = distance(1 - 1e-3, MAE()), distance(1 - 1e-12, MAE())
    assert near == pytest.approx(far / 4, rel=0.1)


def test_ael_nears_mae():
    log_p = torch.log_softmax(torch.tensor(draw_logits(4)[0]), dim=-1)
    a = 1e6
    scaled = a * (AEL(a=a).class_losses(log_p) - 1) + 1
    torch.testing.assert_close(scaled, MAE().class_losses(log_p), rtol=0, atol=1e-5)


@each_loss
def test_finite_at_extreme_logits_in_float32(loss):
    for n_classes in CLASS_COUNTS:
        corners = 1e4 * torch.tensor(np.sign(draw_logits(n_classes)[0]), dtype=torch.float32)
        corners = torch.cat([corners, torch.zeros(1, n_classes), 1e4 * torch.eye(n_classes)])
        corners.requires_grad_()
        for k in range(min(n_classes, 3)):
            value = clone(loss).set_params(reduction="sum")(corners, torch.full((len(corners),), k))
            (gradient,) = torch.autograd.grad(value, corners)
            assert value.isfinite()
            assert gradient.isfinite().all()


@each_loss
def test_gradcheck(loss):
    for n_classes in (2, 3, 10):
        logits, y = draw_logits(n_classes, n_rows=2)
        given = torch.tensor(logits, requires_grad=True), torch.tensor(y)
        if getattr(loss, "detach_modulator", False):
            # Published code: the gradient is not that of the value, and that is the point.
            assert not torch.autograd.gradcheck(loss, given, raise_exception=False)
            continue
        assert torch.autograd.gradcheck(loss, given)
        assert n_classes == 10 or torch.autograd.gradgradcheck(loss, given)


@each_loss
def test_the_right_label_costs_least_and_classes_are_equal(loss):
    for n_classes in CLASS_COUNTS:
        log_p = torch.log_softmax(torch.tensor(draw_logits(n_classes)[0]), dim=-1)
        losses = loss.class_losses(log_p)
        best = losses.gather(-1, log_p.argmax(-1, keepdim=True)).squeeze(-1)
        torch.testing.assert_close(best, losses.min(-1).values)
        order = np.random.RandomState(0).permutation(n_classes)
        torch.testing.assert_close(loss.class_losses(log_p[:, order]), losses[:, order])


@given(
    arrays(np.float64, (3, 4), elements=st.floats(-30, 30)),
    arrays(np.int64, 3, elements=st.integers(0, 3)),
    st.floats(-50, 50),
)
def test_sample_losses_are_columns_and_blind_to_a_shift(logits, y, shift):
    # A shift may round two that are nearly the greatest to the same one.
    lead = np.diff(np.sort(logits)[:, -2:])
    assume(((lead == 0) | (lead > 1e-9)).all())
    log_p, target = torch.log_softmax(torch.tensor(logits), dim=-1), torch.tensor(y)
    for name, loss in ALL.items():
        column = loss.class_losses(log_p)[torch.arange(3), target]
        shifted = clone(loss).set_params(reduction="none")(torch.tensor(logits + shift), target)
        for found in (loss.sample_losses(log_p, target), shifted):
            torch.testing.assert_close(found, column, msg=lambda text, name=name: f"{name}: {text}")


@each_loss
def test_reductions_and_soft_targets(loss):
    for n_classes in CLASS_COUNTS:
        logits, y = (torch.tensor(a) for a in draw_logits(n_classes, scale=6.0))

        def reduced(reduction, target, logits=logits):
            return clone(loss).set_params(reduction=reduction)(logits, target)

        losses = reduced("none", y)
        assert losses.shape == (20,)
        torch.testing.assert_close(reduced("sum", y), losses.sum())
        torch.testing.assert_close(reduced("mean", y), losses.mean())
        one_hot = torch.nn.functional.one_hot(y, n_classes).double()
        torch.testing.assert_close(reduced("none", one_hot), losses)
        others = [reduced("none", (y + k) % n_classes) for k in range(min(n_classes, 3))]
        weights = np.random.RandomState(0).uniform(size=(len(others), 20, 1))
        soft = sum(w * torch.roll(one_hot, k, -1) for k, w in enumerate(torch.tensor(weights)))
        expected = sum(w[:, 0] * o for w, o in zip(torch.tensor(weights), others, strict=True))
        torch.testing.assert_close(reduced("none", soft), expected)


def test_agrees_with_torch_cross_entropy():
    logits, y = (torch.tensor(a) for a in draw_logits(7))
    torch.testing.assert_close(CE()(logits, y), torch.nn.CrossEntropyLoss()(logits, y))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@each_kind
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
    names = available_losses()
    assert names == sorted(names)
    assert {"ce", "sgce", "alpha-mae", "nce+agce", "jal-fl"} < set(names)
    for name in names:
        assert isinstance(get_loss(name), Loss)
    assert get_loss("nce+agce", agce__a=2.0, weights=[1, 1]).get_params()["agce__a"] == 2.0
    assert repr(get_loss("agce", a=6, q=1.5)) == "AGCE(a=6, q=1.5)"


def test_a_class_declares_its_name(monkeypatch):
    monkeypatch.setattr(_loss, "CATALOGUE", dict(_loss.CATALOGUE))
    monkeypatch.setattr(_names, "CATALOGUE", _loss.CATALOGUE)

    def define(scale):
        class Scaled(ProbabilityLoss, name="scaled"):
            def phi(self, log_p):
                return -scale * log_p

        class Unnamed(Scaled):
            pass

        return Scaled

    assert type(get_loss("ce")) is CE
    assert type(get_loss("mae")) is MAE
    assert "scaled" not in available_losses()
    define(1.0)
    again = define(2.0)  # as in a notebook
    assert type(get_loss("scaled")) is again
    with pytest.raises(ValueError, match="The name 'ce' is taken by .*CE"):
        type("Other", (CE,), {}, name="ce")


def test_constraints_are_inherited():
    class Powered(GCE):
        _parameter_constraints = {"power": [Real]}

        def __init__(self, q=0.7, power=1.0, *, reduction="mean"):
            super().__init__(q, reduction=reduction)
            self.power = power

    for name, value in {"q": 2.0, "power": "large", "reduction": "avg"}.items():
        with pytest.raises(ValueError, match=f"'{name}' parameter of Powered"):
            Powered(**{name: value})(torch.zeros(1, 2), torch.tensor([0]))


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("SGCEE", {}, "Unknown loss 'SGCEE'. Did you mean 'sgce'.*'alpha-mae'"),
        ("Alpha_MAE", {}, "Did you mean 'alpha-mae'"),
        (3, {}, "Unknown loss 3"),
        ("mae", {"q": 0.3}, "Invalid parameter 'q' for estimator MAE.*'reduction'"),
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


@pytest.mark.parametrize("loss", [GCE(q=-1), Symmetrized(MAE()).set_params(radius=-1)], ids=repr)
def test_bad_parameters_also_raise_in_a_call(loss):
    with pytest.raises(ValueError, match="parameter of"):
        loss(torch.zeros(2, 2), torch.tensor([0, 1]))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int32])
@each_kind
def test_integers_of_any_width_are_labels(loss, dtype):
    logits, y = (torch.tensor(a) for a in draw_logits(3))
    assert torch.equal(loss(logits, y.to(dtype)), loss(logits, y))


@pytest.mark.parametrize("label", [-100, -1, 3, 2**40])
@each_kind
def test_labels_that_are_no_class(loss, label):
    with pytest.raises(ValueError, match=rf"labels from 0 to 2.* Got {label}\."):
        loss(torch.zeros(2, 3), torch.tensor([0, label]))


def test_booleans_are_no_labels():
    with pytest.raises(ValueError, match=r"target must hold integers .*torch.bool"):
        CE()(torch.zeros(2, 2), torch.tensor([True, False]))


@pytest.mark.parametrize("loss", [SGCE(radius=3.0), Unhinged(), AlphaMAE(0.4)], ids=repr)
def test_bounded_scores_at_equal_and_at_huge_logits(loss):
    zeros = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(zeros, torch.tensor([0])), zeros)
    expected = initial_gain(loss, 3) * (1 / 3 - torch.tensor([1.0, 0, 0], dtype=torch.float64))
    torch.testing.assert_close(gradient[0], expected)
    huge = torch.tensor([[1e18, -1e15, 0.0]])
    torch.testing.assert_close(loss.scores(huge), loss.scores(huge.double()).float())


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


# Operators


def test_sums_copy_their_operands():
    nce, agce = NCE(), AGCE(a=6)
    loss = nce + 4 * agce
    loss.set_params(agce__a=2.0, weights=[1, 1])
    assert agce.a == 6
    agce.q = 3.0
    assert loss.get_params()["agce__q"] == 0.5
    assert repr(loss) == "Sum(terms=[('nce', NCE()), ('agce', AGCE(a=2.0))], weights=[1, 1])"


def test_sums_are_flat_and_name_their_terms():
    loss = 2 * (GCE() + 3 * MAE()) + GCE(q=0.1) * 0.5
    assert [name for name, _ in loss.terms] == ["gce-1", "mae", "gce-2"]
    assert loss.weights == [2.0, 6.0, 0.5]
    logits, y = (torch.tensor(a) for a in draw_logits(4))
    expected = 2 * GCE()(logits, y) + 6 * MAE()(logits, y) + 0.5 * GCE(q=0.1)(logits, y)
    torch.testing.assert_close(loss(logits, y), expected)
    replaced = loss.set_params(mae=CE())
    assert repr(replaced.terms[1]) == "('mae', CE())"


@pytest.mark.parametrize("other", [3, "mae", None])
def test_only_losses_add_up(other):
    with pytest.raises(TypeError, match="unsupported operand"):
        MAE() + other
    with pytest.raises(TypeError, match="unsupported operand"):
        MAE() * MAE()


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (Symmetrized(GCE(q=4)), "'q' parameter of GCE"),
        (LogitClip(Normalized(GCE(q=4))), "'q' parameter of GCE"),
        (Sum([]), "terms must be a nonempty list"),
        (Sum([("a", MAE())], [1, 2]), r"a finite number for each of the 1 terms. Got \[1, 2\]"),
        (Sum([("a", GCE(q=-1))]), "'q' parameter of GCE"),
        (Sum([("a", MAE()), ("a", CE())]), "Names provided are not unique"),
        (Normalized(SGCE()), "cannot be normalised"),
        (Normalized(Unhinged()), "cannot be normalised"),
        (Normalized(AlphaMAE()), "cannot be normalised"),
        (Normalized(LogitClip(SGCE())), "cannot be normalised"),
        (Normalized(NCE() + Symmetrized(CE())), "cannot be normalised"),
    ],
    ids=lambda v: repr(v)[:40],
)
def test_bad_operators(loss, message):
    with pytest.raises(ValueError, match=message):
        loss(torch.zeros(1, 2), torch.tensor([0]))


def test_nested_parameters_in_a_grid():
    X, y = load_iris(return_X_y=True)
    grid = {"loss__agce__a": [1.0, 6.0], "loss__weights": [[1, 1], [1, 4]]}
    small = {"max_epochs": 2, "hidden_layer_sizes": 8, "transition_matrix": None}
    clf = RobustClassifier(NCE() + AGCE(), random_state=0, **small)
    search = GridSearchCV(clf, grid, cv=2).fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_.loss_
    assert best.get_params()["agce__a"] == search.best_params_["loss__agce__a"]


@pytest.mark.parametrize("name", available_losses())
def test_a_network_learns_on_it_and_sets_its_parameters(name):
    # With three classes k = 0.5 would give no gradient from scratch.
    loss = get_loss(name, **({"k": 0.2} if name == "truncated-gce" else {}))
    own = {f"loss__{k}": v for k, v in loss.get_params().items() if isinstance(v, float)}
    X, y = load_iris(return_X_y=True)
    small = {"max_epochs": 1, "hidden_layer_sizes": 4, "n_members": 1, "transition_matrix": None}
    clf = RobustClassifier(loss, random_state=0, **small)
    clf.set_params(**own).fit(X[::2], y[::2])
    assert np.isfinite(clf.predict_proba(X)).all()


# Corrections


def noise(n_classes, seed=0):
    """A diagonally dominant transition matrix."""
    rows = np.random.RandomState(seed).dirichlet(np.ones(n_classes), size=n_classes)
    return 0.6 * np.eye(n_classes) + 0.4 * rows


@each_class_count
@pytest.mark.parametrize("loss", [CE(), GCE(), SGCE(), AGCE(), AMSE()], ids=repr)
def test_backward_correction_is_unbiased(loss, n_classes):
    transition = noise(n_classes)
    log_p = torch.log_softmax(torch.tensor(draw_logits(n_classes)[0]), dim=-1)
    corrected = BackwardCorrected(transition, loss).class_losses(log_p)
    mean_under_noise = corrected @ torch.tensor(transition).T
    torch.testing.assert_close(mean_under_noise, loss.class_losses(log_p))


@pytest.mark.parametrize(
    "make", [lambda T: ForwardCorrected(T), lambda T: BackwardCorrected(T, CE())]
)
@pytest.mark.parametrize("n_classes", [2, 3, 6])
def test_corrected_minimiser_is_the_clean_posterior(make, n_classes):
    transition = noise(n_classes)
    posterior = np.random.RandomState(1).dirichlet(2 * np.ones(n_classes), size=5)
    noisy = torch.tensor(posterior @ transition)
    scores = torch.zeros(5, n_classes, dtype=torch.float64, requires_grad=True)
    loss = make(transition).set_params(reduction="sum")
    optimizer = torch.optim.LBFGS([scores], max_iter=500, line_search_fn="strong_wolfe")

    def risk():
        optimizer.zero_grad()
        value = loss(scores, noisy)
        value.backward()
        return value

    optimizer.step(risk)
    np.testing.assert_allclose(torch.softmax(scores, -1).detach(), posterior, atol=1e-3)


def test_symmetrised_loss_is_the_limit_of_the_backward_correction():
    n_classes = 5
    log_p = torch.log_softmax(torch.tensor(draw_logits(n_classes)[0]), dim=-1)
    rate = (n_classes - 1) / n_classes - 1e-5
    contraction = 1 - rate * n_classes / (n_classes - 1)
    corrected = BackwardCorrected(symmetric_transition(n_classes, rate), GCE())
    torch.testing.assert_close(
        contraction * corrected.class_losses(log_p),
        Symmetrized(GCE()).class_losses(log_p),
        atol=1e-3,
        rtol=0,
    )


@pytest.mark.parametrize("make", [ForwardCorrected, lambda T: BackwardCorrected(T, GCE())])
def test_names_on_a_matrix_are_heeded_or_rejected(make):
    logits, y = torch.randn(5, 2, generator=torch.Generator().manual_seed(0)), torch.arange(5) % 2
    frame = pd.DataFrame([[0.9, 0.1], [0.4, 0.6]])
    expected = make(frame.to_numpy())(logits, y)
    torch.testing.assert_close(make(frame)(logits, y), expected)
    torch.testing.assert_close(make(frame.loc[[1, 0], [1, 0]])(logits, y), expected)
    named = frame.set_axis(["low", "high"]).set_axis(["low", "high"], axis=1)
    with pytest.raises(ValueError, match="transition_matrix has the names .*pass a NumPy array"):
        make(named)(logits, y)


@pytest.mark.parametrize("make", [ForwardCorrected, lambda T: BackwardCorrected(T, GCE())])
@pytest.mark.parametrize("n_classes", [2, 5])
def test_corrected_gradients(make, n_classes):
    logits, y = (torch.tensor(a) for a in draw_logits(n_classes, n_rows=4))
    for transition in (noise(n_classes), pair_transition(n_classes, 0.3)):
        loss = make(transition)
        assert torch.autograd.gradcheck(loss, (logits.requires_grad_(), y))
    extreme = (1e4 * torch.eye(n_classes)).requires_grad_()
    value = loss(extreme, torch.zeros(n_classes, dtype=torch.int64))
    value.backward()
    assert value.isfinite()
    assert extreme.grad.isfinite().all()


@pytest.mark.parametrize("make", [ForwardCorrected, lambda T: BackwardCorrected(T, GCE())])
@pytest.mark.parametrize(
    ("transition", "message"),
    [
        (symmetric_transition(2, 0.5), "singular: its smallest singular value is"),
        (np.eye(3), r"shape \(2, 2\).*Got shape \(3, 3\)"),
        ([[0.5, 0.4], [0.0, 1.0]], "must be a probability distribution"),
    ],
    ids=["singular", "shape", "rows"],
)
def test_bad_transition_matrices(make, transition, message):
    with pytest.raises(ValueError, match=message):
        make(transition)(torch.zeros(1, 2), torch.tensor([0]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nce+mae", NCE() + MAE()),
        ("nce+rce", NCE() + RCE(A=-4)),
        ("nfl+mae", NFL(gamma=0.5) + MAE()),
        ("nfl+rce", NFL(gamma=0.5) + RCE(A=-4)),
        ("nce+agce", NCE() + AGCE(a=6, q=1.5)),
        ("nce+aul", NCE() + AUL(a=6.3, p=1.5)),
        ("nce+ael", NCE() + 4 * AEL(a=5)),
        ("anl-ce", 5 * NCE() + 5 * NNCE(p_min=1e-7)),
        ("jal-ce", NCE() + AMSE(a=30)),
        ("jal-fl", NFL(gamma=0.5) + AMSE(a=30)),
    ],
)
def test_named_combinations(name, expected):
    logits, y = (torch.tensor(a) for a in draw_logits(5))
    torch.testing.assert_close(get_loss(name)(logits, y), expected(logits, y))


def test_changed_parameters_are_validated_again():
    logits, y = (torch.tensor(a) for a in draw_logits(3))
    for loss in (
        ForwardCorrected(noise(3), reduction="avg"),
        Unhinged(radius=None, reduction="avg"),
    ):
        with pytest.raises(ValueError, match="'reduction' parameter"):
            loss(logits, y)
    loss = Normalized(NCE() + MAE())
    loss(logits, y)
    with pytest.raises(ValueError, match="cannot be normalised"):
        loss.set_params(loss__weights=[1, -1])(logits, y)
    loss = Symmetrized(GCE())
    loss(logits, y)
    with pytest.raises(ValueError, match="'q' parameter of GCE"):
        loss.set_params(loss__q=4)(logits, y)
    forward = ForwardCorrected(noise(3), GCE()).set_params(loss=None)
    torch.testing.assert_close(forward(logits, y), ForwardCorrected(noise(3))(logits, y))


@pytest.mark.parametrize("weights", [["1", "2"], [[1, 2], [3, 4]], [np.nan, 1], [1]])
def test_bad_weights(weights):
    with pytest.raises(ValueError, match="weights must hold a finite number for each of the 2"):
        Sum([("a", MAE()), ("b", CE())], weights)(torch.zeros(1, 2), torch.tensor([0]))


def test_nnce_needs_room_below_equal_scores():
    with pytest.raises(ValueError, match="p_min=0.2 for K=10"):
        NNCE(p_min=0.2)(torch.zeros(1, 10), torch.tensor([0]))


def test_sums_keep_names_and_reduction():
    named = Sum([("first", MAE()), ("second", MAE())], reduction="none")
    assert [name for name, _ in (2 * named).terms] == ["first", "second"]
    assert (2 * named)(torch.zeros(3, 2), torch.tensor([0, 1, 1])).shape == (3,)


def test_eps_softmax_keeps_its_digits():
    logits = torch.tensor([[6.0, 0.0, 0.0]])
    loss = EpsSoftmax(CE(), m=1e5)
    exact = loss(logits.double(), torch.tensor([0]))
    torch.testing.assert_close(loss(logits, torch.tensor([0])).double(), exact, rtol=1e-4, atol=0)


def test_correction_follows_a_new_matrix():
    logits, y = (torch.tensor(a) for a in draw_logits(3))
    loss = ForwardCorrected(np.eye(3))
    before = loss(logits, y)
    loss.set_params(transition_matrix=noise(3))
    assert not torch.equal(loss(logits, y), before)
    assert loss(logits.float(), y).dtype == torch.float32
    matrix = noise(3)
    loss.set_params(transition_matrix=matrix)
    loss(logits, y)
    matrix[:] = np.eye(3)  # in place
    torch.testing.assert_close(loss(logits, y), CE()(logits, y))
    for _ in range(20):
        loss.set_params(transition_matrix=None)
        loss.set_params(transition_matrix=noise(3, seed=1))
        first = loss(logits, y)
        loss.set_params(transition_matrix=None)
        loss.set_params(transition_matrix=noise(3, seed=2))
        assert not torch.equal(loss(logits, y), first)
    with torch.inference_mode():
        fresh = BackwardCorrected(noise(3), GCE())
        fresh(logits, y)
    fresh(logits.requires_grad_(), y).backward()


def test_use_leaves_no_trace_in_a_loss():
    logits, y = (torch.tensor(a) for a in draw_logits(3))
    for loss in (GCE(), ForwardCorrected(noise(3)), NCE() + MAE()):
        before = joblib.hash(loss)
        loss(logits, y)
        assert joblib.hash(loss) == before


# Wrappers


def test_logit_clip_bounds_any_loss():
    logits = torch.tensor([[1e4, -1e4, 0.0], [0.1, 0.0, -0.1]])
    loss = LogitClip(CE(), tau=1.0)
    assert torch.linalg.vector_norm(loss.scores(logits), dim=-1).max() <= 1 + 1e-6
    assert loss.class_losses(torch.log_softmax(logits, -1)).max() < 3
    torch.testing.assert_close(loss.scores(logits)[1], logits[1])


def test_eps_softmax_nears_a_vertex():
    m, n_classes = 50.0, 7
    log_p = torch.log_softmax(torch.tensor(draw_logits(n_classes)[0]), dim=-1)
    raised = torch.exp(-EpsSoftmax(CE(), m).class_losses(log_p))
    torch.testing.assert_close(raised.sum(-1), torch.ones(20).double())
    vertex = torch.nn.functional.one_hot(log_p.argmax(-1), n_classes)
    distance = torch.linalg.vector_norm(raised - vertex, dim=-1)
    assert distance.max() <= np.sqrt(1 - 1 / n_classes) / (m + 1) + 1e-12


def test_margin_shift_sets_where_the_label_starts():
    zeros = torch.zeros(1, 100, dtype=torch.float64)
    start = 1 - MarginShift(MAE(), margin=2.6)(zeros, torch.tensor([0]))
    assert torch.logit(start).item() == pytest.approx(-2.6)
    few = torch.zeros(1, 10, dtype=torch.float64)
    assert MarginShift(MAE())(few, torch.tensor([0])) == MAE()(few, torch.tensor([0]))
    with pytest.raises(ValueError, match="'loss' parameter of MarginShift"):
        MarginShift(SGCE())(few, torch.tensor([0]))


@pytest.mark.parametrize(
    ("logits", "target"),
    [
        (np.zeros((2, 3)), torch.tensor([0, 1])),
        (torch.zeros(2, 3), np.array([0, 1])),
        (torch.zeros(2, 3), [0, 1]),
    ],
    ids=["logits", "target", "list"],
)
def test_arrays_that_are_no_tensors_are_rejected(logits, target):
    with pytest.raises(TypeError, match=r"must be tensors.* Got (ndarray|list).*torch.as_tensor"):
        CE()(logits, target)


@pytest.mark.parametrize("name", ["ce", "unhinged", "nce+agce"])
def test_checks_do_not_keep_a_loss_from_being_mapped(name):
    loss, logits, target = get_loss(name), torch.randn(4, 5, 3), torch.randint(3, (4, 5))
    expected = torch.stack([loss(*pair) for pair in zip(logits, target, strict=True)])
    torch.testing.assert_close(torch.vmap(loss)(logits, target), expected)


@pytest.mark.parametrize("loss", [GCE(), SGCE()], ids=repr)
def test_skorch_predicts_probabilities_as_the_readme_says(loss):
    X, y = load_iris(return_X_y=True)
    net = NeuralNetClassifier(
        torch.nn.Linear(4, 3),
        criterion=loss,
        predict_nonlinearity=lambda logits: loss.scores(logits).softmax(-1),
        verbose=0,
    )
    proba = net.fit(X.astype(np.float32), y).predict_proba(X.astype(np.float32))
    assert proba.min() >= 0
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)


MASKED = {
    **ALL,
    "SCE 0": SCE(alpha=0),
    "Symmetrized CE": Symmetrized(CE()),
    "BackwardCorrected": BackwardCorrected(symmetric_transition(4, 0.3), CE()),
    "ForwardCorrected": ForwardCorrected(symmetric_transition(4, 0.3)),
}


#: Losses that are infinite at a label of probability 0.
INFINITE = {"ce", "focal", "sce", "soft-bootstrap", "ldr", "LDR margin"}


@pytest.mark.parametrize("name", MASKED)
def test_masked_classes_are_the_limit_of_very_small_logits(name):
    loss = clone(MASKED[name])
    visible = torch.tensor([[1.0, -0.5, 2.0, 0.3]]).repeat(12, 1)
    target, mask = torch.arange(12) % 4, torch.zeros(12, 4, dtype=torch.bool)
    mask[:4, 0] = mask[4:8, :2] = mask[8:, :3] = True
    at_label = mask[torch.arange(12), target]

    def losses_and_gradient(low, rows, soft):
        logits = visible.masked_fill(mask, low)[rows].requires_grad_()
        labels = torch.nn.functional.one_hot(target[rows], 4).float() if soft else target[rows]
        losses = loss.set_params(reduction="none")(logits, labels)
        return losses.detach(), torch.autograd.grad(losses.sum(), logits)[0]

    every = torch.arange(12)
    unbounded = losses_and_gradient(-1e12, every[at_label], False)[0].min() > 1e6
    for soft in (False, True):
        found, _ = losses_and_gradient(-np.inf, every, soft)
        assert not found.isnan().any()
        assert found[~at_label].isfinite().all()
        if name in INFINITE:
            assert (found[at_label] == np.inf).all()
        assert unbounded or found.isfinite().all()
        finite = every[found.isfinite()]
        if len(finite):
            expected, slope = losses_and_gradient(-1e12, finite, soft)
            found, gradient = losses_and_gradient(-np.inf, finite, soft)
            assert gradient.isfinite().all()
            if expected.abs().max() < 1e6:
                torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
                torch.testing.assert_close(gradient, slope, rtol=1e-4, atol=1e-5)


def test_digits_at_the_ends_of_the_domains():
    scores = torch.tensor([[2.0, 0.0, -1.0]])
    target = torch.tensor([1])
    cross_entropy = CE()(scores.double(), target).item()
    for pi, dtype in ((1e-8, torch.float32), (1e-8, torch.float64), (1e-17, torch.float64)):
        value = JensenShannon(pi)(scores.to(dtype), target).item()
        assert value == pytest.approx(cross_entropy, abs=1e-5)
    unhinged = Unhinged(radius=None)(scores, target).item()
    assert LDR(lam=1e4)(scores, target).item() == pytest.approx(unhinged, abs=2e-4)
    values = AlphaMAE(1e-6, radius=None).class_losses(torch.log_softmax(scores, dim=-1))
    linear = Unhinged(radius=None).class_losses(scores) / 3
    torch.testing.assert_close(values, linear, atol=1e-5, rtol=0)


def test_balls_where_free_scores_are_worse():
    balls = {Unhinged(): 10, SGCE(q=0.0): 10, SGCE(q=0.05): 10, SGCE(q=0.1): None, SGCE(): None}
    balls |= {AlphaMAE(): None, AlphaMAE(alpha=0.0): 20, AlphaMAE(alpha=0.4): 20}
    for loss, radius in balls.items():
        assert loss.ball_radius == radius

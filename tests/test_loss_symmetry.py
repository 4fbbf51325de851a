"""Theorems of symmetric losses, and how far a loss is from being one."""

import math

import numpy as np
import pytest
import torch

from robustlabels.losses import (
    AEL,
    AGCE,
    AMSE,
    AUL,
    CE,
    GCE,
    MAE,
    SCE,
    Focal,
    Unhinged,
    available_losses,
    class_sum_gap,
    decompose,
    get_loss,
    initial_gain,
    is_symmetric,
    smoothness,
)

SYMMETRIC = ["mae", "unhinged", "sgce", "alpha-mae", "rce", "nce", "nfl", "ngce", "nnce"]
SYMMETRIC += ["nce+mae", "nce+rce", "nfl+mae", "nfl+rce", "anl-ce"]
each_class_count = pytest.mark.parametrize("n_classes", [2, 3, 10, 100])


@pytest.mark.parametrize("name", available_losses())
def test_decomposition(name):
    loss = get_loss(name)
    scores = torch.randn(30, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    log_p = torch.log_softmax(3 * scores, dim=-1)
    symmetric, rest = (part.class_losses(log_p) for part in decompose(loss))
    torch.testing.assert_close(symmetric + rest, loss.class_losses(log_p))
    torch.testing.assert_close(symmetric.sum(-1), torch.zeros(30).double(), atol=1e-9, rtol=0)
    torch.testing.assert_close(rest, rest[:, :1].expand_as(rest))


@each_class_count
@pytest.mark.parametrize("name", available_losses())
def test_symmetry_is_recognised(name, n_classes):
    assert is_symmetric(get_loss(name), n_classes) == (name in SYMMETRIC)


@each_class_count
@pytest.mark.parametrize("q", [0.1, 0.7])
def test_class_sum_gap_closed_forms(n_classes, q):
    K = n_classes
    assert class_sum_gap(GCE(q), K) == pytest.approx((K ** (1 - q) - 1) / q, rel=1e-6)
    for a in (0.5, 4.0):
        agce = abs(K * (a + 1 / K) ** q - (a + 1) ** q - (K - 1) * a**q) / q
        assert class_sum_gap(AGCE(a, q), K) == pytest.approx(agce, rel=1e-6)
        ael = abs(K * np.exp(-1 / (a * K)) - np.exp(-1 / a) - (K - 1))
        assert class_sum_gap(AEL(a), K) == pytest.approx(ael, rel=1e-6)
    for a, p in ((5.5, 3.0), (3.0, 0.1)):
        aul = abs(K * (a - 1 / K) ** p - (a - 1) ** p - (K - 1) * a**p) / p
        assert class_sum_gap(AUL(a, p), K) == pytest.approx(aul, rel=1e-6)
    assert class_sum_gap(AMSE(), K) == pytest.approx(1 - 1 / K, rel=1e-6)


@pytest.mark.parametrize("loss", [CE(), Focal(), SCE(), get_loss("ldr")], ids=repr)
def test_class_sum_without_bound(loss):
    assert class_sum_gap(loss, 5) == math.inf


@each_class_count
@pytest.mark.parametrize("name", SYMMETRIC)
def test_symmetric_losses_are_the_unhinged_loss_at_equal_scores(name, n_classes):
    # The local theorem: to first order, L(f) - L(0) is proportional to mean(f) - f_y.
    step = 1e-5 * torch.randn(50, n_classes, dtype=torch.float64)
    at_zero = get_loss(name).class_losses(torch.log_softmax(torch.zeros_like(step), dim=-1))
    near = get_loss(name).class_losses(torch.log_softmax(step, dim=-1))
    unhinged = Unhinged(radius=None).class_losses(torch.log_softmax(step, dim=-1))
    expected = initial_gain(get_loss(name), n_classes) * unhinged
    error = (near - at_zero - expected).abs().max()
    assert error < 1e-4 * expected.abs().max()


@each_class_count
def test_unhinged_is_the_only_convex_one(n_classes):
    # A symmetric loss that is convex is affine: its curvature vanishes. The others bend both ways.
    assert smoothness(Unhinged(), n_classes if n_classes < 100 else 20) == pytest.approx(
        0, abs=1e-9
    )
    points = 3 * torch.randn(200, n_classes, dtype=torch.float64)
    along = torch.randn(200, n_classes, dtype=torch.float64)
    for name in SYMMETRIC:
        loss = get_loss(name)
        if loss.ball_radius is not None:
            loss.set_params(radius=None)

        def value(t, loss=loss):
            return loss.class_losses(torch.log_softmax(points + t * along, dim=-1))[:, 0]

        bend = value(1e-2) + value(-1e-2) - 2 * value(0)
        if name == "unhinged":
            assert bend.abs().max() < 1e-10
        else:
            assert bend.max() > 1e-12
            assert bend.min() < -1e-12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: class_sum_gap(MAE(), 1), "'n_classes' parameter .* Got 1"),
        (lambda: class_sum_gap("mae", 3), "'loss' parameter"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()

"""The pull of a loss at equal scores, and its smoothness."""

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
    NCE,
    RCE,
    SCE,
    SGCE,
    AlphaMAE,
    TaylorCE,
    Unhinged,
    get_loss,
    initial_gain,
    smoothness,
)

each_class_count = pytest.mark.parametrize("n_classes", [2, 3, 10, 100])


@each_class_count
def test_initial_gain_closed_forms(n_classes):
    K = n_classes
    expected = {
        CE(): 1,
        MAE(): 1 / K,
        GCE(q=0.7): K**-0.7,
        SGCE(q=0.3): K**-0.3,
        AGCE(a=2.0, q=0.5): (2 + 1 / K) ** -0.5 / K,
        AUL(a=5.5, p=3.0): (5.5 - 1 / K) ** 2 / K,
        AEL(a=2.5): np.exp(-1 / (2.5 * K)) / (2.5 * K),
        RCE(A=-9.2): 9.2 / K,
        SCE(alpha=0.1, beta=2.0): 0.1 + 8 / K,
        TaylorCE(t=3): 1 - (1 - 1 / K) ** 3,
        AlphaMAE(alpha=0.3): 1 / K,
        NCE(): 1 / (K * np.log(K)),
        AMSE(a=4.0): 8 / K**2,
        get_loss("ldr"): 1,
        Unhinged(): 1,
        3 * CE() + MAE(): 3 + 1 / K,
    }
    for loss, gain in expected.items():
        assert initial_gain(loss, K) == pytest.approx(gain, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_smoothness_of_known_constants(n_classes):
    third = 1 / (3 * math.sqrt(3))
    assert smoothness(CE(), n_classes) == pytest.approx(0.5, rel=1e-3)
    assert smoothness(MAE(), n_classes) == pytest.approx(third, rel=1e-3)
    assert smoothness(RCE(), n_classes) == pytest.approx(4 * third, rel=1e-3)
    for alpha in (0.1, 0.5, 2.0):
        assert smoothness(AlphaMAE(alpha), n_classes) == pytest.approx(alpha * third, rel=1e-3)
    for q, beta in ((0.1, 0.4285), (0.5, 0.2762), (0.7, 0.2351), (1, third)):
        assert smoothness(GCE(q), n_classes) == pytest.approx(beta, rel=1e-3)


@pytest.mark.slow
def test_smoothness_of_sgce():
    binary = {0.01: 0.0101, 0.1: 0.0810, 0.3: 0.1657, 0.5: 0.1992, 0.7: 0.2065, 0.9: 0.1993}
    for q, beta in binary.items():
        assert smoothness(SGCE(q), 2) == pytest.approx(beta, rel=1e-2)
    # With three classes and more it does not vanish with q, unless the scores are bounded.
    assert smoothness(SGCE(0.001), 10) > 0.4
    assert smoothness(SGCE(0.001), 10) < (1 - 1 / 10) / 2
    # Against a dense search: with two classes only the difference of the scores counts.
    for bound in (0.3, 1.0):
        difference = torch.linspace(-2 * bound, 2 * bound, 2001, dtype=torch.float64)
        u = torch.sigmoid(difference)
        curvature = u**0.1 * (1 - u) * (u - 0.1 * (1 - u))
        dense = 2 * curvature.abs().max().item()
        assert smoothness(GCE(0.1), 2, score_bound=bound) == pytest.approx(dense, rel=1e-3)
    bounded = [smoothness(SGCE(q), 10, score_bound=3.0) for q in (0.1, 0.01, 0.001)]
    assert bounded[0] > 5 * bounded[1] > 25 * bounded[2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: smoothness(MAE(), 3, score_bound=-1), "'score_bound' parameter .* Got -1"),
        (lambda: initial_gain(GCE(q=3), 3), "'q' parameter of .* Got 3"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()

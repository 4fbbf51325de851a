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
    SGCE,
    AlphaMAE,
    BackwardCorrected,
    BiTempered,
    ClassMean,
    Focal,
    Sum,
    Symmetrized,
    TruncatedGCE,
    Unhinged,
    available_losses,
    get_loss,
)
from robustlabels.losses.theory import (
    LinearLoss,
    class_sum_gap,
    is_symmetric,
    linear_part,
    unhinged_violations,
)
from robustlabels.noise import symmetric_transition

SYMMETRIC = ["mae", "unhinged", "sgce", "alpha-mae", "rce", "nce", "nfl", "ngce", "nnce"]
SYMMETRIC += ["nce+mae", "nce+rce", "nfl+mae", "nfl+rce", "anl-ce"]
NOT_SYMMETRIC = [
    "ce",
    "gce",
    "agce",
    "aul",
    "ael",
    "amse",
    "focal",
    "sce",
    "taylor-ce",
    "js",
    "ldr",
]
NOT_SYMMETRIC += ["truncated-gce", "bi-tempered", "soft-bootstrap", "nce+agce", "nce+aul"]
NOT_SYMMETRIC += ["nce+ael", "jal-ce", "jal-fl"]
each_class_count = pytest.mark.parametrize("n_classes", [2, 3, 10, 100])


@pytest.mark.parametrize("name", available_losses())
def test_decomposition(name):
    loss = get_loss(name)
    scores = torch.randn(30, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    log_p = torch.log_softmax(3 * scores, dim=-1)
    symmetric, rest = (part(loss).class_losses(log_p) for part in (Symmetrized, ClassMean))
    torch.testing.assert_close(symmetric + rest, loss.class_losses(log_p))
    torch.testing.assert_close(symmetric.sum(-1), torch.zeros(30).double(), atol=1e-9, rtol=0)
    torch.testing.assert_close(rest, rest[:, :1].expand_as(rest))


@pytest.mark.parametrize("name", SYMMETRIC + NOT_SYMMETRIC)
def test_symmetry_is_recognised(name):
    for n_classes in (2, 3, 10, 100):
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


@pytest.mark.parametrize("n_classes", [2, 3, 10, 100])
def test_class_sum_gap_of_a_heavy_tail(n_classes):
    # From a vertex to equal probabilities; hardly any scores are certain for a heavy tail.
    K, t1 = n_classes, 0.5
    power = K * (1 - K ** (t1 - 1)) * (1 / (1 - t1) - 1 / (2 - t1))
    gap = class_sum_gap(BiTempered(t1, 4.0), K)
    assert gap == pytest.approx(abs((K - 1) / (1 - t1) - power), rel=1e-6)


def test_class_sum_gap_of_a_loss_with_a_kink():
    # Highest for four equal classes, lowest where nine classes have exactly k each.
    q, k = 0.7, 0.05
    highest, lowest = 4 * 0.25**q + 6 * k**q, 9 * k**q + 0.55**q
    gap = class_sum_gap(TruncatedGCE(q, k), 10)
    assert gap == pytest.approx((highest - lowest) / q, rel=1e-6)


@pytest.mark.parametrize("alpha", [0, 1e-9, 1e-6, 1e-3, 50.0])
def test_alpha_mae_is_symmetric_for_every_alpha(alpha):
    assert all(is_symmetric(AlphaMAE(alpha), n_classes) for n_classes in (2, 3, 4, 10, 100))


@pytest.mark.parametrize("n_classes", [2, 3, 4, 10, 100])
def test_a_linear_loss_is_symmetric_for_specific_coefficients_only(n_classes):
    for b in (0.7, -2.0):
        specific = -(n_classes - 1) * b
        assert is_symmetric(LinearLoss(specific, b), n_classes)
        for other in (1.01 * specific, -specific, specific + b):
            assert not is_symmetric(LinearLoss(other, b), n_classes)
    assert unhinged_violations(LinearLoss(-(n_classes - 1), 1.0), n_classes) == {}


@pytest.mark.parametrize("loss", [CE(), Focal(), SCE(), get_loss("ldr")], ids=repr)
def test_class_sum_without_bound(loss):
    assert class_sum_gap(loss, 5) == math.inf


@pytest.mark.parametrize("name", SYMMETRIC)
def test_symmetric_noise_scales_the_risk_of_a_symmetric_loss(name):
    K, noise_rate = 5, 0.6
    scores = torch.randn(30, K, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    losses = get_loss(name).class_losses(torch.log_softmax(3 * scores, dim=-1))
    transition = torch.as_tensor(symmetric_transition(K, noise_rate))
    noisy = losses @ transition.T
    scaled = (1 - noise_rate * K / (K - 1)) * losses
    constant = noise_rate / (K - 1) * losses[0].sum()
    torch.testing.assert_close(noisy, scaled + constant)
    assert is_symmetric(get_loss(name), K)


@pytest.mark.parametrize(
    "loss", [MAE(), GCE(), AGCE(), AUL(), AEL(), AMSE(5.0), get_loss("nce+agce")], ids=repr
)
def test_the_class_sum_gap_bounds_the_harm_of_symmetric_noise(loss):
    # The best of 50 functions, by the noisy risk, on problems of four points of features.
    K, noise_rate = 3, 0.5
    rng = np.random.RandomState(0)
    transition = torch.as_tensor(symmetric_transition(K, noise_rate))
    scores = torch.as_tensor(rng.normal(size=(100, 50, 4, K)) * 3)
    losses = loss.class_losses(torch.log_softmax(scores, dim=-1).view(-1, K)).view(scores.shape)
    clean = torch.as_tensor(rng.dirichlet(np.ones(K), size=(100, 1, 4)))
    risk = (losses * clean).sum((-1, -2)) / 4
    noisy_risk = (losses * (clean @ transition)).sum((-1, -2)) / 4
    chosen = risk.gather(1, noisy_risk.argmin(1, keepdim=True))[:, 0]
    harm = (chosen - risk.min(1).values).max().item()
    scale = 1 - noise_rate * K / (K - 1)
    assert harm <= noise_rate * class_sum_gap(loss, K) / ((K - 1) * scale) + 1e-12
    assert (harm > 0) == (not is_symmetric(loss, K))


@pytest.mark.parametrize("name", available_losses())
def test_unhinged_is_the_only_convex_symmetric_loss_of_the_catalogue(name):
    for n_classes in (2, 3, 5):
        violations = unhinged_violations(get_loss(name), n_classes)
        assert (violations == {}) == (name == "unhinged")
        assert ("symmetric" in violations) == (not is_symmetric(get_loss(name), n_classes))
        assert set(violations) <= {"symmetric", "convex"}
        losses = class_losses_of(get_loss(name))
        for violated, (a, b) in violations.items():
            if violated == "symmetric":
                assert abs(losses(a).sum() - losses(b).sum()) > 1e-6
            else:
                assert losses((a + b) / 2)[0] > (losses(a)[0] + losses(b)[0]) / 2


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize(
    "loss",
    [Symmetrized(CE()), SGCE(q=0), AlphaMAE(alpha=0), 3 * Unhinged(), Unhinged() + 0 * CE()],
    ids=repr,
)
def test_a_loss_without_violation_is_the_unhinged_one(loss, n_classes):
    assert unhinged_violations(loss, n_classes) == {}
    scores = torch.randn(50, n_classes, generator=torch.Generator().manual_seed(0)).double()
    log_p = torch.log_softmax(scores, dim=-1)
    if "radius" in loss.get_params():
        loss = loss.set_params(radius=None)
    elif isinstance(loss, Sum):
        loss = loss.set_params(unhinged__radius=None)
    torch.testing.assert_close(
        loss.class_losses(log_p), linear_part(loss, n_classes).class_losses(log_p)
    )


def test_violations_that_no_loss_of_the_catalogue_has():
    (a, b) = unhinged_violations(-1 * Unhinged(), 3)["non-increasing"]
    losses = class_losses_of(-1 * Unhinged(radius=None))
    raised = np.flatnonzero(a != b)
    assert len(raised) == 1
    assert b[raised] > a[raised]
    assert losses(b)[raised] > losses(a)[raised]
    transition = [[0.6, 0.4, 0], [0, 0.6, 0.4], [0.4, 0, 0.6]]
    cyclic = BackwardCorrected(transition, CE())
    (a, b) = unhinged_violations(cyclic, 3)["permutation-invariant"]
    np.testing.assert_array_equal(np.sort(a), np.sort(b))
    losses = class_losses_of(cyclic)
    assert abs(np.sort(losses(a)) - np.sort(losses(b))).max() > 1e-3
    assert list(unhinged_violations(0 * CE(), 3)) == ["non-trivial"]


def class_losses_of(loss):
    """Return the class losses of one score vector as a function of it."""
    for name in loss.get_params():
        if name.split("__")[-1] == "radius":
            loss.set_params(**{name: None})

    def losses(scores):
        log_p = torch.log_softmax(torch.as_tensor(scores)[None], dim=-1)
        return loss.class_losses(log_p)[0].numpy()

    return losses


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

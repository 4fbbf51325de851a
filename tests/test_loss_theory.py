"""Theorems of the losses, and the functions that state them as numbers."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from robustlabels import pair_transition, symmetric_transition
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
    Focal,
    JensenShannon,
    LossProperties,
    Normalized,
    ProbabilityLoss,
    Symmetrized,
    TaylorCE,
    Unhinged,
    asymmetry_ratio,
    available_losses,
    class_sum_gap,
    decompose,
    get_loss,
    initial_gain,
    is_asymmetric,
    is_symmetric,
    max_tolerable_noise,
    properties,
    smoothness,
)

SYMMETRIC = ["mae", "unhinged", "sgce", "alpha-mae", "rce", "nce", "nfl", "ngce", "nnce"]
SYMMETRIC += ["nce+mae", "nce+rce", "nfl+mae", "nfl+rce", "anl-ce"]
each_class_count = pytest.mark.parametrize("n_classes", [2, 3, 10, 100])


# Decomposition and symmetry


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


# Asymmetry


@pytest.mark.parametrize(
    "loss",
    [
        *(AGCE(a, q) for a, q in ((0.6, 0.6), (4.0, 0.2), (1.0, 0.5), (6.0, 1.5), (1.8, 3.0))),
        *(AUL(a, p) for a, p in ((5.5, 3.0), (6.3, 1.5), (6.0, 3.0), (3.0, 0.1), (2.0, 2.0))),
        *(AEL(a) for a in (2.5, 3.5, 5.0, 1.5, 0.5)),
        *(TaylorCE(t) for t in (1, 2, 3, 4, 6)),
    ],
    ids=repr,
)
def test_asymmetry_ratio_is_the_infimum(loss):
    closed = asymmetry_ratio(loss)
    assert asymmetry_ratio(loss, method="numeric") == pytest.approx(closed, abs=1e-4)


def test_asymmetry_ratios_of_published_settings():
    known = {(0.6, 0.6): 0.6755, (4.0, 0.2): 0.8365, (6.0, 1.5): 1.0}
    for (a, q), ratio in known.items():
        assert asymmetry_ratio(AGCE(a, q)) == pytest.approx(ratio, abs=5e-5)
    assert asymmetry_ratio(AUL(5.5, 3.0)) == pytest.approx(0.6694, abs=5e-5)
    assert asymmetry_ratio(AEL(2.5)) == pytest.approx(0.6703, abs=5e-5)
    for loss in (CE(), GCE(), Focal(), SCE(), JensenShannon()):
        assert asymmetry_ratio(loss) == 0
    for loss in (CE(), Focal(), SCE()):
        assert asymmetry_ratio(loss, method="numeric") == pytest.approx(0, abs=1e-6)
    for loss in (MAE(), RCE(), AlphaMAE(), GCE(q=1)):
        assert asymmetry_ratio(loss) == 1


def test_asymmetry_ratio_of_sums():
    low, high = asymmetry_ratio(AEL(1.5)), asymmetry_ratio(MAE())
    assert low < asymmetry_ratio(AEL(1.5) + MAE()) < high
    # l'(1) / l'(0) of the sum of two convex losses
    a, w = 1.5, 100.0
    expected = (math.exp(-1 / a) / a + w) / (1 / a + w)
    assert asymmetry_ratio(AEL(a) + w * MAE()) == pytest.approx(expected, abs=1e-4)
    assert asymmetry_ratio(0 * CE() + MAE()) == 1
    assert asymmetry_ratio(CE() + MAE()) == 0
    with pytest.raises(ValueError, match="has no asymmetry ratio"):
        asymmetry_ratio(-1 * MAE())
    assert not is_asymmetric(-1 * MAE(), pair_transition(3, 0.1))


def test_the_unhinged_loss_under_any_name():
    for loss in (SGCE(q=0), Symmetrized(CE()), Unhinged(), 2 * Unhinged()):
        assert asymmetry_ratio(loss) == 1
        assert smoothness(loss, 3) == pytest.approx(0, abs=1e-9)
    assert smoothness(2 * SGCE(q=0.1), 3) == pytest.approx(2 * smoothness(SGCE(q=0.1), 3))


@pytest.mark.parametrize("loss", [NCE(), SGCE(), AMSE()], ids=repr)
def test_losses_without_a_ratio(loss):
    with pytest.raises(ValueError, match=r"is_asymmetric\(loss, transition_matrix\)"):
        asymmetry_ratio(loss)


def wins_by_search(loss, weights, label):
    """Whether no prediction beats certainty of the label, by search over the simplex."""
    K = len(weights)

    def risk(p):
        log_p = torch.as_tensor(np.log(np.clip(p, 1e-30, 1)))
        return float((torch.as_tensor(weights) * loss.class_losses(log_p)).sum(-1))

    certain = np.eye(K)[label]
    value = risk(certain)
    rng = np.random.RandomState(0)
    starts = [np.full(K, 1 / K), weights, *rng.dirichlet(np.ones(K), size=3)]
    # Near the corner, where the first-order condition decides.
    starts += [0.98 * certain + 0.02 * np.eye(K)[k] for k in range(K) if k != label]
    for start in starts:
        found = minimize(
            risk,
            start,
            method="SLSQP",
            bounds=[(0, 1)] * K,
            constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
            options={"maxiter": 100, "ftol": 1e-13},
        )
        if found.success and risk(found.x / found.x.sum()) < value - 1e-8:
            return False
    return True


def test_is_asymmetric_agrees_with_search_on_200_matrices():
    rng = np.random.RandomState(0)
    losses = [AGCE(1.0, 0.5), AGCE(0.5, 2.0), AUL(2.0, 3.0), AEL(1.0), TaylorCE(2), AMSE(5.0)]
    losses += [MAE(), AEL(1.0) + 2 * MAE(), SGCE()]
    outcomes = []
    while len(outcomes) < 200:
        loss = losses[len(outcomes) % len(losses)]
        leads = rng.uniform(0.45, 1, size=3)
        rows = [np.append(lead, (1 - lead) * rng.dirichlet(np.ones(2))) for lead in leads]
        transition = np.array([np.roll(row, k) for k, row in enumerate(rows)])
        if min(abs(distance(loss, row)) for row in rows) < 0.02:
            continue  # too close to the threshold for a search to decide
        expected = all(wins_by_search(loss, transition[k], k) for k in range(3))
        assert is_asymmetric(loss, transition) == expected, (loss, transition)
        outcomes.append(expected)
    assert 0.2 < np.mean(outcomes) < 0.8


def distance(loss, row):
    """How far weights, that of the label first, are from the threshold of a loss."""
    lead, rival = row[0], row[1:].max()
    if isinstance(loss, AMSE):
        return loss.a * (lead - rival) - 1
    if isinstance(loss, SGCE):
        return 1 / 3 - rival
    return lead * asymmetry_ratio(loss) - rival


@pytest.mark.parametrize("n_classes", [2, 10])
def test_tolerable_noise_of_symmetric_and_normalised_losses(n_classes):
    most = (n_classes - 1) / n_classes
    for name in ("mae", "alpha-mae", "unhinged", "nce", "nce+rce", "nce+agce", "sgce"):
        assert max_tolerable_noise(get_loss(name), n_classes) == pytest.approx(most, abs=2e-3)
    assert max_tolerable_noise(MAE(), n_classes, "pair") == pytest.approx(0.5, abs=1e-3)
    assert max_tolerable_noise(CE(), n_classes, "pair") == 0


def test_tolerable_noise_is_where_asymmetry_ends():
    for loss in (AGCE(0.6, 0.6), AUL(), AEL(), AMSE(5.0), SGCE()):
        for family, make in (("symmetric", symmetric_transition), ("pair", pair_transition)):
            limit = max_tolerable_noise(loss, 6, family)
            assert is_asymmetric(loss, make(6, limit - 1e-3))
            assert not is_asymmetric(loss, make(6, limit + 1e-3))


def test_amse_needs_the_height_that_theory_says():
    for a in (1.5, 5.0, 9.0):
        assert max_tolerable_noise(AMSE(a), 10) == pytest.approx(0.9 * (1 - 1 / a), abs=1e-3)
        assert max_tolerable_noise(AMSE(a), 10, "pair") == pytest.approx((1 - 1 / a) / 2, abs=1e-3)


def test_nce_alone_can_prefer_a_wrong_class():
    log_p = torch.log(torch.tensor([[0.3, 0.7, 1e-300], [0.98, 0.01, 0.01]], dtype=torch.float64))
    wrong, right = NCE().class_losses(log_p)[:, 0]
    assert wrong < right


# Smoothness


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


# Inverse links and the record


@pytest.mark.parametrize("loss", [CE(), GCE(q=0.5), AGCE(a=0.05, q=0.5)], ids=repr)
def test_inverse_link_recovers_the_posterior(loss):
    posterior = torch.tensor([[0.5, 0.3, 0.2], [0.4, 0.35, 0.25]], dtype=torch.float64)
    scores = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([scores], max_iter=1000, line_search_fn="strong_wolfe")

    def risk():
        optimizer.zero_grad()
        value = (posterior * loss.class_losses(torch.log_softmax(scores, dim=-1))).sum()
        value.backward()
        return value

    for _ in range(5):
        optimizer.step(risk)
    p = torch.softmax(scores, dim=-1).detach()
    torch.testing.assert_close(loss.inverse_link(p), posterior, atol=1e-4, rtol=0)


@pytest.mark.parametrize("loss", [MAE(), GCE(q=1), AGCE(q=1), SGCE()], ids=repr)
def test_no_inverse_link(loss):
    with pytest.raises(ValueError, match="do not determine class probabilities"):
        loss.inverse_link(torch.tensor([[0.5, 0.5]]))


def test_inverse_link_is_recorded_where_it_exists():
    assert properties(GCE(), 3).has_inverse_link
    assert not properties(GCE(q=1), 3).has_inverse_link
    assert not properties(AGCE(q=1.5), 3).has_inverse_link


def test_properties_gather_the_functions():
    record = properties(GCE(), 4)
    assert record == LossProperties(
        loss="GCE()",
        n_classes=4,
        symmetric=False,
        class_sum_gap=class_sum_gap(GCE(), 4),
        initial_gain=initial_gain(GCE(), 4),
        max_symmetric_noise=0.0,
        max_pair_noise=0.0,
        smoothness=smoothness(GCE(), 4),
        has_inverse_link=True,
    )


def test_theory_looks_at_any_loss():
    class Squared(ProbabilityLoss):
        def phi(self, log_p):
            return torch.expm1(log_p) ** 2

    # l(u) = (1 - u)^2 is convex with l'(1) = 0.
    assert asymmetry_ratio(Squared()) == pytest.approx(0, abs=1e-4)
    assert class_sum_gap(Squared(), 2) == pytest.approx(0.5)
    assert is_symmetric(Normalized(Squared()), 5)
    assert is_symmetric(Symmetrized(Squared()), 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: class_sum_gap(MAE(), 1), "'n_classes' parameter .* Got 1"),
        (lambda: class_sum_gap("mae", 3), "'loss' parameter"),
        (lambda: max_tolerable_noise(MAE(), 3, "flip"), "'family' parameter .*'pair'.* Got 'flip'"),
        (lambda: is_asymmetric(MAE(), np.ones((2, 3))), r"must be square. Got shape \(2, 3\)"),
        (lambda: smoothness(MAE(), 3, score_bound=-1), "'score_bound' parameter .* Got -1"),
        (lambda: initial_gain(GCE(q=3), 3), "'q' parameter of .* Got 3"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()

"""Asymmetric losses, and the noise that they tolerate."""

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
    LDR,
    MAE,
    NCE,
    RCE,
    SCE,
    SGCE,
    AlphaMAE,
    BiTempered,
    Focal,
    JensenShannon,
    MarginShift,
    ProbabilityLoss,
    Symmetrized,
    TaylorCE,
    Unhinged,
    get_loss,
)
from robustlabels.losses.theory import (
    asymmetry_ratio,
    is_asymmetric,
    max_tolerable_noise,
    smoothness,
)
from robustlabels.noise import pair_transition, symmetric_transition


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


def simplex_grid():
    """Return log-probabilities of three classes, dense near the corners of the simplex."""
    small = np.append(0, np.geomspace(1e-14, 1, 60))
    second, third = np.array([(u, v) for u in small for v in small if u + v <= 1]).T
    p = torch.as_tensor(np.stack([1 - second - third, second, third], axis=1).clip(min=0))
    log_p = torch.log(p).clamp(min=-1e4)
    log_p[:, 0] = torch.log1p(torch.as_tensor(-second - third).clamp(min=-1)).clamp(min=-1e4)
    return log_p


def distance(loss, ratio, row):
    """Return how far weights, that of the label first, are from the threshold of a loss."""
    lead, rival = row[0], row[1:].max()
    if isinstance(loss, AMSE):
        return loss.a * (lead - rival) - 1
    return 1 / 3 - rival if isinstance(loss, SGCE) else lead * ratio - rival


@pytest.mark.parametrize(
    ("loss", "n_matrices"),
    [
        *((loss, 30) for loss in (AGCE(1.0, 0.5), AGCE(0.5, 2.0), AUL(2.0, 3.0), AEL(1.0))),
        *((loss, 30) for loss in (TaylorCE(2), AMSE(5.0), MAE(), SGCE())),
        (AEL(1.0) + 2 * MAE(), 8),
    ],
    ids=repr,
)
def test_is_asymmetric_agrees_with_search(loss, n_matrices):
    rng = np.random.RandomState(0)
    values = loss.class_losses(simplex_grid()).numpy()
    ratio = None if isinstance(loss, AMSE | SGCE) else asymmetry_ratio(loss)
    outcomes = []
    while len(outcomes) < n_matrices:
        leads = rng.uniform(0.45, 1, size=3)
        rows = [np.append(lead, (1 - lead) * rng.dirichlet(np.ones(2))) for lead in leads]
        if min(abs(distance(loss, ratio, row)) for row in rows) < 0.01:
            continue  # too close to the threshold for a search to decide
        transition = np.array([np.roll(row, k) for k, row in enumerate(rows)])
        # The first point of the grid is certainty of the label.
        risks = [values @ row for row in rows]
        expected = all(risk[0] <= risk.min() + 1e-14 for risk in risks)
        assert is_asymmetric(loss, transition) == expected, transition
        outcomes.append(expected)
    assert 0 < np.mean(outcomes) < 1


def random_losses(rng):
    """Draw hyperparameters for each loss of the label's probability that has a ratio."""
    return [
        CE(),
        MAE(),
        RCE(-rng.uniform(0.5, 9)),
        AlphaMAE(rng.uniform(0.1, 3)),
        GCE(rng.uniform(0.05, 0.9)),
        SCE(rng.uniform(0.01, 5), rng.uniform(0.01, 5)),
        Focal(rng.uniform(0, 4)),
        JensenShannon(rng.uniform(0.05, 0.9)),
        TaylorCE(rng.randint(1, 9)),
        AGCE(10 ** rng.uniform(-1, 1), rng.uniform(0.1, 3)),
        AUL(1 + 10 ** rng.uniform(-0.5, 1), rng.uniform(0.1, 4)),
        AEL(10 ** rng.uniform(-0.3, 1)),
    ]


@pytest.mark.parametrize("seed", range(5))
def test_the_ratio_is_necessary_and_sufficient(seed):
    # Certainty of the most frequent label wins over all predictions up to the ratio of weights
    # that asymmetry_ratio says, and loses beyond it.
    rng = np.random.RandomState(seed)
    log_p = simplex_grid()
    for loss in random_losses(rng):
        if isinstance(loss, AlphaMAE):
            loss.set_params(radius=None)
        losses = loss.class_losses(log_p)
        ratio = asymmetry_ratio(loss)
        for weight_ratio in (0.97 * ratio, min(1.03 * ratio + 0.15 * (ratio == 0), 1.03)):
            weights = torch.tensor([1.0, weight_ratio, weight_ratio * rng.uniform()]).double()
            risks = losses @ weights
            gain = (risks[0] - risks.min()).item()
            assert (gain <= 1e-15) == (weight_ratio <= ratio), (loss, weight_ratio)


@pytest.mark.parametrize("n_classes", [2, 10])
def test_tolerable_noise_of_symmetric_and_normalised_losses(n_classes):
    most = (n_classes - 1) / n_classes
    for name in ("mae", "alpha-mae", "unhinged", "nce", "nce+rce", "nce+agce", "sgce"):
        assert max_tolerable_noise(get_loss(name), n_classes) == pytest.approx(most, abs=2e-3)
    assert max_tolerable_noise(MAE(), n_classes, "pair") == pytest.approx(0.5, abs=1e-3)
    assert max_tolerable_noise(CE(), n_classes, "pair") == 0


def test_tolerable_noise_is_where_asymmetry_ends():
    for loss in (AGCE(0.6, 0.6), AUL(), AEL(), AMSE(5.0), SGCE()):
        for noise, make in (("symmetric", symmetric_transition), ("pair", pair_transition)):
            limit = max_tolerable_noise(loss, 6, noise)
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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: max_tolerable_noise(MAE(), 3, "flip"), "'noise' parameter .*'pair'.* Got 'flip'"),
        (lambda: is_asymmetric(MAE(), np.ones((2, 3))), r"must be square. Got shape \(2, 3\)"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_certainty_loses_where_the_minimiser_is_finite():
    heavy = BiTempered(0.5, 4.0)
    assert not is_asymmetric(heavy, symmetric_transition(10, 0.5))
    for loss in (heavy, BiTempered(0.8, 1.2), LDR(lam=3.0), LDR(lam=10.0), LDR(lam=1e4)):
        assert max_tolerable_noise(loss, 10) == 0
        assert max_tolerable_noise(loss, 10, "pair") == 0


@pytest.mark.parametrize("n_classes", [2, 20, 100])
def test_a_margin_shift_lowers_the_ratio_of_mae(n_classes):
    shift = max(0, math.log(n_classes - 1) - 2.6)
    ratio = math.exp(-2 * shift)  # l'(1) / l'(0)
    for noise, rivals in (("pair", 1), ("symmetric", n_classes - 1)):
        limit = max_tolerable_noise(MarginShift(MAE()), n_classes, noise)
        assert limit == pytest.approx(rivals * ratio / (1 + rivals * ratio), rel=1e-3)


@pytest.mark.parametrize("a", [1e-7, 1e-5, 1e-2])
def test_the_ratio_of_a_steep_sum(a):
    expected = (0.5 * 2 * (a + 1) ** -0.5 + 1) / (0.5 * 2 * a**-0.5 + 1)
    assert asymmetry_ratio(AGCE(a, 0.5) + MAE()) == pytest.approx(expected, rel=1e-3)


def test_the_ratio_of_a_sum_with_a_loss_that_is_flat_at_certainty():
    class Hinge(ProbabilityLoss):
        def phi(self, log_p):
            return (0.5 - log_p.exp()).clamp(min=0)

    assert asymmetry_ratio(Hinge()) == 0
    assert asymmetry_ratio(Hinge() + MAE()) == pytest.approx(0.5, abs=1e-6)

"""The pull of a loss at equal scores, and its smoothness."""

import math

import numpy as np
import pytest
import torch

from robustlabels import UnhingedClassifier
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
    NNCE,
    RCE,
    SCE,
    SGCE,
    AlphaMAE,
    BackwardCorrected,
    ClassMean,
    EpsSoftmax,
    Focal,
    ProbabilityLoss,
    TaylorCE,
    TruncatedGCE,
    Unhinged,
    available_losses,
    get_loss,
)
from robustlabels.losses.theory import (
    initial_gain,
    is_convex_on,
    linear_part,
    max_tolerable_noise,
    properties,
    smoothness,
    strong_l2_bound,
)
from robustlabels.noise import symmetric_transition

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
    known = {CE(): 0.5, MAE(): third, AlphaMAE(0.1): 0.1 * third, AlphaMAE(2.0): 2 * third}
    known |= {GCE(0.1): 0.4285, GCE(0.7): 0.2351}
    for loss, beta in known.items():
        assert smoothness(loss, n_classes) == pytest.approx(beta, rel=1e-3)


@pytest.mark.slow
def test_smoothness_of_sgce():
    binary = {0.01: 0.0101, 0.1: 0.0810, 0.3: 0.1657, 0.5: 0.1992, 0.7: 0.2065, 0.9: 0.1993}
    for q, beta in binary.items():
        assert smoothness(SGCE(q), 2) == pytest.approx(beta, rel=1e-2)
    # With three classes and more it does not vanish with q, unless the scores are bounded.
    assert 0.4 < smoothness(SGCE(0.001), 10) < (1 - 1 / 10) / 2
    # Against a dense search: with two classes only the difference of the scores counts.
    for q, bound in ((0.1, 1.0), (0.7, 0.3)):
        difference = torch.linspace(-2 * bound, 2 * bound, 2001, dtype=torch.float64)
        u = torch.sigmoid(difference)
        curvature = u**q * (1 - u) * (u - q * (1 - u))
        dense = 2 * curvature.abs().max().item()
        assert smoothness(GCE(q), 2, score_bound=bound) == pytest.approx(dense, rel=1e-3)
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


@pytest.mark.parametrize("n_classes", [2, 10])
@pytest.mark.parametrize("name", available_losses())
def test_linear_part_errs_quadratically(name, n_classes):
    loss = get_loss(name)
    if loss.ball_radius is not None:
        loss.set_params(radius=None)
    if name == "truncated-gce" and n_classes == 2:
        with pytest.raises(ValueError, match="no initial gain at equal scores: it has a kink"):
            linear_part(loss, n_classes)
        return
    linear = linear_part(loss, n_classes)
    direction = torch.randn(20, n_classes, generator=torch.Generator().manual_seed(0)).double()

    def error(step):
        def value(loss, scores):
            return loss.class_losses(torch.log_softmax(scores, dim=-1))

        near = value(loss, step * direction) - value(loss, 0 * direction)
        return (near - value(linear, step * direction)).abs().max().item()

    # Half of the way, a quarter of the error, or less.
    assert error(1e-3) <= error(2e-3) / 3.7 + 1e-14


@pytest.mark.parametrize("loss", [CE(), SGCE(), AGCE(q=1.5)], ids=repr)
def test_strong_l2_gives_the_unhinged_solution(loss):
    rng = np.random.RandomState(0)
    K = 3
    y = rng.randint(K, size=60)
    X = rng.normal(size=(60, 3)) * [1, 2, 0.5] + y[:, None]
    X -= X.mean(axis=0)
    target = torch.as_tensor(y)
    of_one = strong_l2_bound(loss, X, K, l2_penalty=1.0)
    moments = (np.eye(K)[y] - 1 / K).T @ X / len(X)
    for bound in (0.5, 0.05):
        penalty = of_one / bound
        V = torch.tensor(rng.normal(size=(K, 3)), requires_grad=True)
        optimizer = torch.optim.LBFGS(
            [V], max_iter=500, tolerance_grad=1e-12, line_search_fn="strong_wolfe"
        )

        def risk(V=V, penalty=penalty, optimizer=optimizer):
            optimizer.zero_grad()
            value = loss(torch.as_tensor(X) @ V.T, target) + penalty / 2 * (V**2).sum()
            value.backward()
            return value

        optimizer.step(risk)
        found = V.detach().numpy()
        unhinged = initial_gain(loss, K) * moments / penalty
        distance = np.linalg.norm(found - unhinged) / np.linalg.norm(found)
        assert 0 < distance <= bound
    # The closed form has the same direction.
    slopes = UnhingedClassifier(metric="euclidean", intercept="none").fit(X, y).coef_
    slopes, expected = slopes - slopes.mean(axis=0), moments - moments.mean(axis=0)
    np.testing.assert_allclose(
        slopes / np.linalg.norm(slopes), expected / np.linalg.norm(expected), atol=1e-12
    )


@pytest.mark.parametrize(
    "loss", [TruncatedGCE(), TruncatedGCE(k=0.34), NNCE(), get_loss("anl-ce")], ids=repr
)
def test_a_kink_has_no_smoothness(loss):
    assert smoothness(loss, 3) == math.inf
    assert strong_l2_bound(loss, np.ones((1, 1)), 3, 5.0) == math.inf
    assert smoothness(EpsSoftmax(loss), 3) == math.inf


def test_a_kink_that_a_loss_does_not_tell_of():
    class Clamped(ProbabilityLoss):
        def phi(self, log_p):
            return -log_p.clamp(min=-1)

    assert smoothness(Clamped(), 4) == math.inf
    assert smoothness(Clamped(), 2, score_bound=0.1) < 1


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_second_derivatives_are_finite(n_classes):
    for loss, beta in {AGCE(1e-5, 0.5): 0.2762, LDR(margin=0.1): 0.5, LDR(lam=0.5): 1.0}.items():
        assert smoothness(loss, n_classes) == pytest.approx(beta, rel=1e-3)
    for loss in (Unhinged(), SGCE(0.05), AlphaMAE(0.3)):
        scores = torch.zeros(n_classes, dtype=torch.float64)
        hessian = torch.autograd.functional.hessian(
            lambda f, loss=loss: loss(f[None], torch.tensor([0])), scores
        )
        assert hessian.isfinite().all()


def test_smoothness_of_aul():
    # For two classes the curvature is 2 u (1 - u) (w - (1 - u) w') with w = -u l'(u).
    u = torch.linspace(0, 1, 100_001, dtype=torch.float64)
    weight, slope = u * (5.5 - u) ** 2, (5.5 - u) ** 2 - 2 * u * (5.5 - u)
    exact = (2 * u * (1 - u) * (weight - (1 - u) * slope)).abs().max()
    assert smoothness(AUL(), 2) == pytest.approx(exact.item(), rel=1e-6)
    assert smoothness(AUL(), 10) == pytest.approx(4.8985, abs=1e-4)


def test_strong_l2_bound_of_the_cross_entropy():
    # Smoothness 1/2, largest eigenvalue of the second moment 9/2.
    X = np.array([[3.0, 0.0], [0.0, 1.0]])
    assert strong_l2_bound(CE(), X, 2, l2_penalty=9.0) == pytest.approx(0.25, rel=1e-3)


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_convexity_of_losses_where_it_is_known(n_classes):
    # Backward correction keeps the cross-entropy convex: its softmax part is the same for all.
    corrected = BackwardCorrected(symmetric_transition(n_classes, 0.3), CE())
    convex = [CE(), Unhinged(), get_loss("ldr"), 2 * CE() + Unhinged(), corrected, ClassMean(CE())]
    assert all(is_convex_on(loss, n_classes) for loss in convex)
    for loss in (MAE(), GCE(), NCE(), Focal(gamma=2.0), AMSE(), EpsSoftmax(CE()), TruncatedGCE()):
        convex, (a, b) = is_convex_on(loss, n_classes, return_witness=True)
        assert not convex
        values = loss.class_losses(
            torch.log_softmax(torch.as_tensor(np.array([a, (a + b) / 2, b])), -1)
        )
        low, middle, high = values[:, 0]
        assert middle > (low + high) / 2


def test_convexity_within_a_bound():
    # Two classes, f_y - f_o = z: MAE is sigmoid(-z), convex where z > 0 only, GCE from where
    # p = q / (1 + q) on.
    assert not is_convex_on(MAE(), 2, 0.1)
    edge = abs(math.log(0.25)) / 2
    assert is_convex_on(GCE(q=0.25), 2, 0.98 * edge)
    assert not is_convex_on(GCE(q=0.25), 2, 1.05 * edge)
    _, witness = is_convex_on(GCE(q=0.25), 3, 1.0, return_witness=True)
    assert np.ptp(witness, axis=1).max() <= 2


def test_a_loss_that_favours_classes_is_looked_at_from_all_of_them():
    transition = np.array([[1, 0], [0.4, 0.6]])
    loss, turned = (BackwardCorrected(T, MAE()) for T in (transition, transition[::-1, ::-1]))
    assert smoothness(loss, 2) == pytest.approx(smoothness(turned, 2), rel=1e-6)
    assert max_tolerable_noise(loss, 2, "pair") == max_tolerable_noise(turned, 2, "pair")
    with pytest.raises(ValueError, match="it does not treat all classes equally"):
        initial_gain(loss, 2)
    with pytest.raises(ValueError, match="it has a kink there"):
        initial_gain(EpsSoftmax(CE()), 3)
    assert math.isnan(properties(TruncatedGCE(), 2).initial_gain)

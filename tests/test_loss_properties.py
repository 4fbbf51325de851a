"""Inverse links, and the record of all properties of a loss."""

import pytest
import torch

from robustlabels.losses import (
    AGCE,
    CE,
    GCE,
    MAE,
    SGCE,
    Normalized,
    ProbabilityLoss,
    Symmetrized,
    available_losses,
    get_loss,
)
from robustlabels.losses.theory import (
    Conjugate,
    LossProperties,
    asymmetry_ratio,
    class_sum_gap,
    initial_gain,
    is_symmetric,
    properties,
    smoothness,
)


@pytest.mark.parametrize("loss", [CE(), GCE(q=0.5), AGCE(a=0.05, q=0.3)], ids=repr)
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


def has_link(name):
    try:
        return get_loss(name).inverse_link(torch.tensor([[0.5, 0.5]])) is not None
    except ValueError:
        return False


LINKED = [*map(get_loss, filter(has_link, available_losses()))]
LINKED += [GCE(q=0.05), GCE(q=0.9), AGCE(a=0.05, q=0.5), AGCE(a=4.0, q=0.2)]


@pytest.mark.parametrize("loss", LINKED, ids=repr)
def test_conjugate_is_the_expected_loss_of_its_predictions(loss):
    scores = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)).double() * 3
    p = torch.softmax(scores, dim=-1)
    expected = (loss.inverse_link(p) * loss.class_losses(p.log())).sum(-1)
    target = torch.arange(50) % 4
    value = Conjugate(loss, reduction="none")(scores, target)
    torch.testing.assert_close(value, expected, atol=1e-12, rtol=1e-12)
    if isinstance(loss, CE):
        entropy = torch.distributions.Categorical(p).entropy()
        torch.testing.assert_close(value, entropy, atol=1e-10, rtol=0)
    soft = torch.rand(50, 4, dtype=torch.float64)
    soft /= soft.sum(-1, keepdim=True)
    torch.testing.assert_close(Conjugate(loss, reduction="none")(scores, soft), expected)


@pytest.mark.parametrize("loss", LINKED, ids=repr)
@pytest.mark.parametrize("size", [1e2, 1e4])
def test_conjugate_and_its_gradient_are_finite(loss, size):
    scores = (size * torch.randn(20, 5, generator=torch.Generator().manual_seed(0))).float()
    scores.requires_grad_()
    value = Conjugate(loss)(scores, torch.zeros(20, dtype=torch.int64))
    value.backward()
    assert value.isfinite()
    assert scores.grad.isfinite().all()


def test_conjugate_needs_a_link():
    with pytest.raises(ValueError, match="do not determine class probabilities under MAE"):
        Conjugate(MAE())(torch.zeros(2, 3), torch.tensor([0, 1]))


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

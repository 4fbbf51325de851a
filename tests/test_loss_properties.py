"""Inverse links, and the record of all properties of a loss."""

import pytest
import torch

from robustlabels.losses import (
    AGCE,
    CE,
    GCE,
    MAE,
    SGCE,
    LossProperties,
    Normalized,
    ProbabilityLoss,
    Symmetrized,
    asymmetry_ratio,
    class_sum_gap,
    initial_gain,
    is_symmetric,
    properties,
    smoothness,
)


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

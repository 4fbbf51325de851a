"""One call that checks a loss, on the catalogue and on losses that are wrong."""

import numpy as np
import pytest

from robustlabels.losses import (
    CE,
    Focal,
    Normalized,
    ProbabilityLoss,
    available_losses,
    get_loss,
)
from robustlabels.losses.theory import check_loss


@pytest.mark.parametrize("name", available_losses())
def test_the_catalogue_has_no_faults(name):
    check = check_loss(get_loss(name), 3)
    assert check.faults == {}
    assert "WRONG" not in repr(check)


class WrongSign(ProbabilityLoss):
    def phi(self, log_p):
        return log_p


class WrongSum(Normalized):
    def class_losses(self, log_p):
        losses = self.loss.class_losses(log_p)
        return losses / losses.mean(-1, keepdim=True)


class Detached(ProbabilityLoss):
    def phi(self, log_p):
        return -log_p * (1 - log_p.exp()).detach()


class Undeclared(ProbabilityLoss):
    def phi(self, log_p):
        return -log_p.clamp(min=-1)


@pytest.mark.parametrize(
    ("loss", "faults"),
    [
        (WrongSign(), ["order", "positive"]),
        (WrongSum(CE()), ["class sum", "bounds"]),
        (Detached(), ["gradient"]),
        (Focal(detach_modulator=True), ["gradient"]),
        (Undeclared(), ["kinks"]),
    ],
    ids=repr,
)
def test_wrong_losses_are_told_what_is_wrong(loss, faults):
    check = check_loss(loss, 3)
    assert set(faults) <= set(check.faults)
    for fault in faults:
        assert f"WRONG {fault}: {check.faults[fault]}" in repr(check)
    for fault in set(faults) - {"kinks"}:
        assert np.isfinite(check.witnesses[fault]).all()

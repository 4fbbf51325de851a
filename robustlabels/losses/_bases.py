"""Base classes of losses of the label's probability alone, and of losses made from another."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from ._loss import Loss

__all__ = ["ProbabilityLoss"]


class ProbabilityLoss(Loss):
    r"""Base class of losses :math:`\ell(p_y)` that depend on the label's probability alone.

    A subclass implements :meth:`phi`. The gradient with respect to the logits is
    :math:`-\omega(p_y)(e_y - p)` with :math:`\omega(u) = -u\,\ell'(u)`, that of a cross-entropy
    with sample weights.

    Parameters
    ----------
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    Loss : The general protocol, for losses that depend on all probabilities.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import ProbabilityLoss
    >>> class SquaredError(ProbabilityLoss):
    ...     def phi(self, log_p):
    ...         return torch.expm1(log_p) ** 2
    >>> SquaredError()(torch.zeros(3, 2), torch.tensor([0, 1, 1]))
    tensor(0.2500)
    """

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        """Compute the loss from the log-probability of the label.

        Parameters
        ----------
        log_p : Tensor of any shape
            Log-probabilities of labels.

        Returns
        -------
        losses : Tensor of the same shape
            The losses of these labels.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement phi(log_p).")

    continuous = True

    def _label_function(self, n_classes):
        return self.phi

    def bounds(self, n_classes: int) -> tuple[float, float] | None:
        # Every loss of the package that depends on the label's probability alone decreases in it.
        ends = self.phi(torch.tensor([0.0, -math.inf], dtype=torch.float64))
        return ends[0].item(), ends[1].item()

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        return self.phi(log_p)

    def sample_losses(self, log_p: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        # nll_loss is faster than gather, forward and backward. It must not ignore any label:
        # torch's default, -100, would count as a perfect prediction.
        none = torch.iinfo(torch.int64).min
        picked = nn.functional.nll_loss(log_p, target, reduction="none", ignore_index=none)
        return self.phi(-picked)


class WrappedLoss(Loss):
    """Base class of losses that are made from another loss."""

    _parameter_constraints = {"loss": [Loss]}

    def __init__(self, loss: Loss, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.loss: Any = loss

    @property
    def positive(self) -> bool:
        return self.loss.positive

    @property
    def kinks(self) -> bool:
        return self.loss.kinks

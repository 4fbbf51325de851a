"""Conjugate losses: what a loss says of rows without labels."""

import math

import torch

from .._loss import Loss

__all__ = ["Conjugate"]


class Conjugate(Loss):
    r"""The loss that a network expects of its own predictions, for rows without labels.

    .. math:: C(p) = \sum_k w_k(p) L(p, k)

    The class probabilities w are those that the network, trained on L, says: the
    :meth:`~Loss.inverse_link` of its predictions. For the cross-entropy it is the entropy. No
    label changes it: a call may have any target, as ``torch.zeros(n, dtype=torch.int64)``.

    Parameters
    ----------
    loss : Loss
        The loss that the network was trained on. It must have an inverse link, as CE, GCE for
        q < 1 and AGCE for q < 1 have.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum.

    See Also
    --------
    ClassMean : The mean over the classes, which no label changes either.

    Notes
    -----
    Minimised over rows from where the classifier will be used, it adapts a network to features
    that have shifted [1]_. It rewards being sure, not being right: with too many or too large
    steps rows end up in wrong classes, all of them in one at worst, at a loss near 0. Take few
    small steps, and look at how often each class is predicted.

    References
    ----------
    .. [1] Goyal, Sun, Raghunathan and Kolter, "Test-Time Adaptation via Conjugate Pseudo-labels",
       NeurIPS 2022.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import CE
    >>> from robustlabels.losses.theory import Conjugate
    >>> p = torch.tensor([[0.5, 0.5], [0.9, 0.1]])
    >>> Conjugate(CE(), reduction="none")(p.log(), torch.tensor([0, 0]))
    tensor([0.6931, 0.3251])
    """

    _parameter_constraints = {**Loss._parameter_constraints, "loss": [Loss]}

    def __init__(self, loss: Loss, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.loss = loss

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        # A power of exactly 0 has no finite derivative.
        log_p = log_p.clamp(min=math.log(torch.finfo(log_p.dtype).tiny))
        weights = self.loss.inverse_link(log_p.exp())
        return (weights * self.loss.class_losses(log_p)).sum(-1, keepdim=True).expand_as(log_p)

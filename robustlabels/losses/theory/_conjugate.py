"""Conjugate losses: training on samples without labels."""

import math

import torch

from .._bases import WrappedLoss

__all__ = ["Conjugate"]


class Conjugate(WrappedLoss):
    r"""The expected loss under a network's own predictions, for samples without labels.

    .. math:: C(p) = \sum_k w_k(p) L(p, k)

    The class probabilities w are the :meth:`~robustlabels.losses.Loss.inverse_link` of the
    predictions of a network that was trained on L. For the cross-entropy, C is the entropy. The
    target of a call has no effect and can be ``torch.zeros(n, dtype=torch.int64)``.

    Minimised over samples from where the classifier will be used, it adapts a network to features
    that have shifted [1]_. It rewards confidence, correct or not: take few small steps, and check
    how often each class is predicted. At worst all samples move into one class.

    Parameters
    ----------
    loss : Loss
        The loss that the network was trained on. It must have an inverse link, as CE, GCE for
        q < 1 and AGCE for q < 1 have.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    robustlabels.losses.ClassMean : The mean over the classes, independent of the label too.

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

    positive = True

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        # A power of exactly 0 has no finite derivative.
        log_p = log_p.clamp(min=math.log(torch.finfo(log_p.dtype).tiny))
        weights = self.loss.inverse_link(log_p.exp())
        return (weights * self.loss.class_losses(log_p)).sum(-1, keepdim=True).expand_as(log_p)

"""Losses on changed predictions: clipped scores, sharpened probabilities, shifted margins."""

import math

import torch

from ._bases import ProbabilityLoss, WrappedLoss
from ._loss import POSITIVE, Loss, unmasked

__all__ = ["EpsSoftmax", "LogitClip", "MarginShift"]


class LogitClip(WrappedLoss):
    r"""A loss on scores whose norm is clipped.

    .. math::
        L_\tau(f, y) = L\Bigl(\min\bigl(1, \frac{\tau}{\lVert c \rVert}\bigr)\, c, y\Bigr), \qquad
        c = f - \bar f

    It bounds any loss [1]_. Unlike in the paper, the logits are centred first, because a constant
    added to all of them does not change a prediction.

    Parameters
    ----------
    loss : Loss
        The loss to bound.
    tau : float > 0, default=1.0
        Largest Euclidean norm of the centred scores.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    Loss.scores : The smooth bound of the losses that need one.

    References
    ----------
    .. [1] Wei, Zhuang, Xie, Feng, Niu, An and Li, "Mitigating Memorization of Noisy Labels by
       Clipping the Model Prediction", ICML 2023.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import CE, LogitClip
    >>> LogitClip(CE())(torch.tensor([[1e4, -1e4]]), torch.tensor([1]))
    tensor(1.6318)
    """

    _parameter_constraints = {"tau": POSITIVE}
    kinks = True

    def __init__(self, loss: Loss, tau: float = 1.0, *, reduction: str = "mean") -> None:
        super().__init__(loss, reduction=reduction)
        self.tau = tau

    def scores(self, logits: torch.Tensor) -> torch.Tensor:
        logits = unmasked(logits)
        centred = logits - logits.mean(-1, keepdim=True)
        square = centred.square().sum(-1, keepdim=True)
        return centred * (self.tau / square.clamp(min=self.tau**2).sqrt())

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        return self.loss.class_losses(torch.log_softmax(self.scores(log_p), dim=-1))


class EpsSoftmax(WrappedLoss):
    r"""A loss on probabilities of which the largest was raised (epsilon-softmax).

    .. math:: L_\epsilon(p, y) = L(p', y), \qquad p'_k = \frac{p_k + m [k = \arg\max p]}{1 + m}

    The probabilities are within :math:`\sqrt{1 - 1/K} / (m + 1)` of a vertex of the simplex,
    which bounds the excess risk [1]_. Correctly predicted samples have almost no gradient.

    Parameters
    ----------
    loss : Loss
        The loss to relax.
    m : float > 0, default=1e4
        How far the largest probability is raised.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    LogitClip : Bounds the scores from above instead.

    References
    ----------
    .. [1] Wang, Zhou, Zhao and others, "epsilon-Softmax: Approximating One-Hot Vectors for
       Mitigating Label Noise", NeurIPS 2024.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import MAE, EpsSoftmax
    >>> EpsSoftmax(MAE(), m=1.0)(torch.tensor([[50.0, -50.0]]), torch.tensor([1]))
    tensor(1.)
    """

    _parameter_constraints = {"m": POSITIVE}
    kinks = True

    def __init__(self, loss: Loss, m: float = 1e4, *, reduction: str = "mean") -> None:
        super().__init__(loss, reduction=reduction)
        self.m = m

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        top = log_p.max(-1, keepdim=True)
        # (p + m) / (1 + m) = 1 - (1 - p) / (1 + m)
        raised = torch.log1p(torch.expm1(top.values) / (1 + self.m))
        return self.loss.class_losses((log_p - math.log1p(self.m)).scatter(-1, top.indices, raised))


class MarginShift(WrappedLoss):
    r"""A loss that gives the label a head start, for many classes.

    .. math::
        L_s(p, y) = \ell\Bigl(\frac{e^s p_y}{1 + (e^s - 1) p_y}\Bigr), \qquad
        s = \max(0, \log(K-1) - m)

    With many classes the gradients of MAE, AGCE and similar losses nearly vanish at equal scores.
    The shift moves the start to where the loss has a gradient. It destroys a constant class sum.
    The paper [1]_ uses m = 2.6 for MAE and 4.5 for AGCE, and estimates the shift from the scores.

    Parameters
    ----------
    loss : ProbabilityLoss
        The loss to shift, such as MAE or AGCE.
    margin : float > 0, default=2.6
        Log odds m of all other classes together against the label, at the start. With few
        classes these are smaller than m and nothing is shifted: up to 14 classes for the default.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    robustlabels.losses.theory.initial_gain : How small the gradient of a loss is at the start.

    References
    ----------
    .. [1] "Robust Loss Functions for Training with Noisy Labels: a Curriculum View".

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import MAE, MarginShift
    >>> MarginShift(MAE())(torch.zeros(1, 100), torch.tensor([0]))
    tensor(0.9309)
    """

    _parameter_constraints = {"loss": [ProbabilityLoss], "margin": POSITIVE}

    def __init__(self, loss: Loss, margin: float = 2.6, *, reduction: str = "mean") -> None:
        super().__init__(loss, reduction=reduction)
        self.margin = margin

    continuous = True

    def _label_function(self, n_classes):
        return lambda log_p: self.loss.phi(self._shift(log_p, n_classes))

    def bounds(self, n_classes: int) -> tuple[float, float] | None:
        return self.loss.bounds(n_classes)

    def _shift(self, log_p, n_classes):
        shift = math.log(n_classes - 1) - self.margin
        if shift <= 0:
            return log_p
        return log_p + shift - torch.log1p(math.expm1(shift) * log_p.exp())

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        return self.loss.phi(self._shift(log_p, log_p.shape[-1]))

    def sample_losses(self, log_p: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        picked = log_p.gather(-1, target.unsqueeze(-1)).squeeze(-1)
        return self.loss.phi(self._shift(picked, log_p.shape[-1]))

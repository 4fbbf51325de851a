"""Losses of the whole predicted distribution, not of the label's probability alone."""

import math
from numbers import Real

import torch

from .._validation.sklearn_private import Interval
from ._cross_entropy import gce
from ._loss import NONNEGATIVE, POSITIVE, UNIT, Loss, unmasked

__all__ = ["LDR", "BiTempered", "SoftBootstrap"]


class LDR(Loss, name="ldr"):
    r"""Label-distributionally robust loss (LDR-KL).

    .. math::
        L(f, y) = \lambda \log \Bigl( \frac{1}{K} \sum_k
        \exp \frac{f_k - f_y + c [k \ne y]}{\lambda} \Bigr)

    Convex in the scores and unbounded. Symmetric only in the limit of large temperatures. With a
    margin, :meth:`Loss.class_losses` needs memory for n K^2 numbers; a call with integer labels
    needs n K.

    Parameters
    ----------
    lam : float > 0, default=1.0
        Temperature. For c = 0, 1 is the cross-entropy minus log K, the limit 0 is the multi-class
        hinge loss, and the limit of large values the unhinged loss.
    margin : float >= 0, default=0.0
        Lead c that the loss demands of the label.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    Unhinged : The limit of large temperatures.

    References
    ----------
    .. [1] Zhu, Ying and Yang, "Label Distributionally Robust Losses for Multi-class
       Classification: Consistency, Robustness and Adaptivity", ICML 2023.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import LDR
    >>> LDR(margin=1.0)(torch.zeros(1, 2), torch.tensor([0]))
    tensor(0.6201)
    """

    _parameter_constraints = {"lam": POSITIVE, "margin": NONNEGATIVE}
    positive = False
    continuous = True

    def __init__(self, lam: float = 1.0, margin: float = 0.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.lam = lam
        self.margin = margin

    def _certainty_wins(self, lead, rival, weights):
        # Unbounded: without a margin the minimiser is lam * log(weights).
        return rival == 0

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        if self.margin == 0:
            return self._soft_maximum(unmasked(log_p)).unsqueeze(-1) - log_p
        labels = torch.eye(log_p.shape[-1], dtype=log_p.dtype, device=log_p.device)
        leads = unmasked(log_p).unsqueeze(-2) + self.margin * (1 - labels)
        return self._soft_maximum(leads) - log_p

    def sample_losses(self, log_p: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        target = target.unsqueeze(-1)
        own = log_p.gather(-1, target).squeeze(-1)
        leads = unmasked(log_p)
        if self.margin:
            leads = leads + self.margin - torch.zeros_like(leads).scatter(-1, target, self.margin)
        return self._soft_maximum(leads) - own

    def _soft_maximum(self, scores):
        """Return the logarithm of the mean exponential at the temperature; accurate if it is high.

        A softmax that is certain has finite second derivatives.
        """
        top = scores.detach().amax(-1, keepdim=True)
        mean = torch.expm1((scores - top) / self.lam).mean(-1)
        return top.squeeze(-1) + self.lam * torch.log1p(mean)


class BiTempered(Loss, name="bi-tempered"):
    r"""Bi-tempered logistic loss: a bounded logarithm and a heavy-tailed softmax.

    .. math::
        L(f, y) = -\log_{t_1} u_y - \frac{1 - \sum_k u_k^{2 - t_1}}{2 - t_1}, \qquad
        u = \exp_{t_2}(f - \lambda(f)), \quad \sum_k u_k = 1

    with :math:`\log_t x = (x^{1-t} - 1) / (1 - t)` and :math:`\exp_t` its inverse.

    t1 = t2 = 1 is the cross-entropy. Not symmetric.

    Parameters
    ----------
    t1 : float in [0, 1], default=0.8
        Temperature of the logarithm; below 1 the loss is bounded by 1 / (1 - t1).
    t2 : float >= 1, default=1.2
        Temperature of the softmax; above 1 its tails are heavy.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    GCE : The case t2 = 1 with q = 1 - t1, up to a term of all probabilities.

    References
    ----------
    .. [1] Amid, Warmuth, Anil and Koren, "Robust Bi-Tempered Logistic Loss Based on Bregman
       Divergences", NeurIPS 2019.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import BiTempered
    >>> BiTempered(t1=1.0, t2=1.0)(torch.zeros(1, 4), torch.tensor([2]))
    tensor(1.3863)
    """

    _parameter_constraints = {"t1": UNIT, "t2": [Interval(Real, 1, None, closed="left")]}
    continuous = True

    def __init__(self, t1: float = 0.8, t2: float = 1.2, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.t1 = t1
        self.t2 = t2

    def bounds(self, n_classes: int) -> tuple[float, float] | None:
        # Certainty of the label; certainty of another class.
        return 0.0, math.inf if self.t1 == 1 else 1 / (1 - self.t1)

    def _certainty_wins(self, lead, rival, weights):
        # A Bregman divergence: the minimiser is u = w.
        return rival == 0

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        log_p = self._log_tempered_softmax(log_p)
        total = ((2 - self.t1) * log_p).exp().sum(-1, keepdim=True)
        return gce(log_p, 1 - self.t1) - (1 - total) / (2 - self.t1)

    def _log_tempered_softmax(self, scores):
        """Return the logarithm of the tempered softmax."""
        if self.t2 == 1:
            return scores
        heat = self.t2 - 1

        def log_exp(shift):
            return -torch.log1p(heat * (shift - scores)) / heat

        def newton(shift):
            log_p = log_exp(shift)
            excess = log_p.exp().sum(-1, keepdim=True) - 1
            return shift + excess / (self.t2 * log_p).exp().sum(-1, keepdim=True)

        # The sum is convex and decreasing in the shift, and at least 1 at the largest score. From
        # there Newton's method increases monotonically to the solution.
        shift, eps = scores.detach().max(-1, keepdim=True).values, torch.finfo(scores.dtype).eps
        with torch.no_grad():
            for _ in range(100):
                last, shift = shift, newton(shift)
                if (shift - last).abs().max() <= 1e-15 + eps * last.abs().max():
                    break
        # Two more steps carry the first and second derivatives of the solution.
        return log_exp(newton(newton(shift)))


class SoftBootstrap(Loss, name="soft-bootstrap"):
    r"""Soft bootstrapping: part of the target is the network's own prediction.

    .. math:: L(p, y) = -\beta \log p_y - (1 - \beta) \sum_k p_k \log p_k

    Cross-entropy plus an entropy penalty; no theorem says that it is robust. Without the gradient
    of the prediction in the target, it would be the cross-entropy times beta.

    Parameters
    ----------
    beta : float in [0, 1], default=0.95
        Share of the given label; 1 is the cross-entropy.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    CE : The cross-entropy.

    References
    ----------
    .. [1] Reed, Lee, Anguelov, Szegedy, Erhan and Rabinovich, "Training Deep Neural Networks on
       Noisy Labels with Bootstrapping", ICLR 2015 workshop.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import SoftBootstrap
    >>> SoftBootstrap()(torch.zeros(1, 4), torch.tensor([2]))
    tensor(1.3863)
    """

    _parameter_constraints = {"beta": UNIT}
    continuous = True

    def __init__(self, beta: float = 0.95, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.beta = beta

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        entropy = -(log_p.exp() * unmasked(log_p)).sum(-1, keepdim=True)
        return (1 - self.beta) * entropy - self.beta * log_p

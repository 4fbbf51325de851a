"""Symmetric losses made by subtracting the mean over the classes."""

import torch

from .._validation.sklearn_private import StrOptions
from ._bases import WrappedLoss
from ._cross_entropy import CE, GCE, gce, mae_excess
from ._loss import NONNEGATIVE, POSITIVE, UNIT, Loss, unmasked

__all__ = ["SGCE", "AlphaMAE", "ClassMean", "Symmetrized", "Unhinged"]

RADIUS = [*POSITIVE, None]


class Symmetrized(WrappedLoss):
    r"""The symmetric part of a loss.

    .. math:: S(f, y) = L(f, y) - \frac{1}{K} \sum_k L(f, k)

    A linear projection: every loss is, in a unique way, the sum of this part, with class sum 0,
    and one that does not depend on the label, :class:`ClassMean` [1]_. Under symmetric label noise
    of rate :math:`\eta < (K-1)/K` the risk of a symmetric loss is the clean risk times
    :math:`1 - \eta K / (K-1)` plus a constant, so both have the same minimisers [2]_.

    Parameters
    ----------
    loss : Loss
        The loss to symmetrise.
    radius : float > 0 or None, default=None
        Radius of the ball that confines the scores, see :meth:`Loss.scores`. Without it a network
        diverges on most symmetric parts: their infimum lies at infinite scores.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    Unhinged, SGCE : The symmetric parts of CE and GCE.

    References
    ----------
    .. [1] Lemire Paquin, Chaib-Draa and Giguère, "Symmetrization of Loss Functions for Robust
       Training of Neural Networks in the Presence of Noisy Labels", arXiv:2605.20347.
    .. [2] Ghosh, Kumar and Sastry, "Robust Loss Functions under Label Noise for Deep Neural
       Networks", AAAI 2017.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import CE, Symmetrized
    >>> log_p = torch.log_softmax(torch.tensor([[4.0, 0.0, 2.0]]), -1)
    >>> Symmetrized(CE()).class_losses(log_p).round(decimals=4) + 0.0
    tensor([[-2.,  2.,  0.]])
    """

    _parameter_constraints = {"radius": RADIUS}
    positive = False

    def __init__(self, loss: Loss, *, radius: float | None = None, reduction: str = "mean") -> None:
        super().__init__(loss, reduction=reduction)
        self.radius = radius

    @property
    def asymmetry_ratio(self) -> float | None:
        # The minimisers of the unhinged loss lie at infinity, certain of the largest weight.
        return 1.0 if self.loss.symmetric_part_is_linear else None

    def class_sum(self, n_classes: int) -> float | None:
        return 0.0

    def _losses_before(self, log_p):
        return self.loss.class_losses(self._bounded(unmasked(log_p)))

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        losses = self._losses_before(log_p)
        return losses - losses.mean(-1, keepdim=True)

    def sample_losses(self, log_p: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        losses = self._losses_before(log_p)
        return losses.gather(-1, target.unsqueeze(-1)).squeeze(-1) - losses.mean(-1)


class ClassMean(WrappedLoss):
    r"""The part of a loss that does not depend on the label.

    .. math:: M(f) = \frac{1}{K} \sum_k L(f, k)

    For the cross-entropy it penalises confident predictions; its minimum is at equal scores.

    Parameters
    ----------
    loss : Loss
        The loss to average over the classes.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    Symmetrized : The other part. The two add up to the loss.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import CE, ClassMean
    >>> ClassMean(CE())(torch.zeros(1, 4), torch.tensor([2]))
    tensor(1.3863)
    """

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        return self.loss.class_losses(log_p).mean(-1, keepdim=True).expand_as(log_p)


class Unhinged(Symmetrized, name="unhinged"):
    r"""Multi-class unhinged loss, the symmetric part of the cross-entropy.

    .. math:: L(s, y) = \bar{s} - s_y, \qquad \bar{s} = \frac{1}{K} \sum_k s_k

    Symmetric with class sum 0, for any radius. Without a radius it is, up to scale and a
    constant, the only convex symmetric loss that treats all classes equally [1]_; for two
    classes it is the unhinged loss of [2]_.

    Parameters
    ----------
    radius : float > 0 or None, default=10
        Radius of the ball that confines the scores s, see :meth:`Loss.scores`. None gives the
        linear loss of the literature, for penalised linear models. A network diverges on it.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    SGCE : Interpolates between this loss and MAE.

    References
    ----------
    .. [1] Lemire Paquin, Chaib-Draa and Giguère, "Symmetrization of Loss Functions for Robust
       Training of Neural Networks in the Presence of Noisy Labels", arXiv:2605.20347.
    .. [2] van Rooyen, Menon and Williamson, "Learning with Symmetric Label Noise: The
       Importance of Being Unhinged", NeurIPS 2015.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import Unhinged
    >>> Unhinged(radius=None)(torch.tensor([[4.0, 0.0, 2.0]]), torch.tensor([0])).round(decimals=4)
    tensor(-2.)
    """

    def __init__(self, *, radius: float | None = 10.0, reduction: str = "mean") -> None:
        super().__init__(CE(), radius=radius, reduction=reduction)


class SGCE(Symmetrized, name="sgce"):
    r"""Symmetrised generalised cross-entropy, the symmetric part of GCE.

    .. math:: L(p, y) = \frac{1}{q} \Bigl( \frac{1}{K} \sum_k p_k^q - p_y^q \Bigr)

    Symmetric with class sum 0 for every q and radius.

    Parameters
    ----------
    q : float in [0, 1], default=0.3
        0 is the unhinged loss, 1 is MAE minus a constant. A larger value ignores mislabelled
        samples more, but gives samples with the right label smaller gradients.
    radius : float > 0, "auto" or None, default="auto"
        Radius of the ball that confines the scores, see :meth:`Loss.scores`. Without it, as in
        the paper, logits drift away as q nears 0. "auto" is 10 for q < 0.1 and None otherwise,
        where free scores do better.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    AlphaMAE : Another interpolation between the unhinged loss and MAE.

    References
    ----------
    .. [1] Lemire Paquin, Chaib-Draa and Giguère, "Symmetrization of Loss Functions for Robust
       Training of Neural Networks in the Presence of Noisy Labels", arXiv:2605.20347.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import SGCE
    >>> loss = SGCE(q=0.3)
    >>> loss.class_losses(torch.log_softmax(torch.randn(4, 3), -1)).sum(-1).abs().max() < 1e-6
    tensor(True)
    """

    _parameter_constraints = {"q": UNIT, "radius": [*RADIUS, StrOptions({"auto"})]}

    def __init__(
        self, q: float = 0.3, *, radius: float | str | None = "auto", reduction: str = "mean"
    ) -> None:
        Loss.__init__(self, reduction=reduction)
        self.q = q
        self.radius = radius

    @property
    def loss(self) -> Loss:
        return GCE(self.q)

    @property
    def ball_radius(self) -> float | None:
        if self.radius == "auto":
            return 10.0 if self.q < 0.1 else None
        return self.radius

    @property
    def asymmetry_ratio(self) -> float | None:
        return 1.0 if self.q in (0, 1) else None

    @property
    def continuous(self) -> bool:
        return self.q > 0 and self.ball_radius is None

    def bounds(self, n_classes: int) -> tuple[float, float] | None:
        if self.q == 0 or self.ball_radius is not None:
            return None
        shares = (1 - 1 / n_classes, (n_classes - 1) ** (1 - self.q) / n_classes)
        return -shares[0] / self.q, shares[1] / self.q

    def _least_excess(self, error, n_classes):
        return mae_excess(error, n_classes) if self.q == 1 and self.ball_radius is None else None

    def _certainty_wins(self, lead, rival, weights):
        return rival <= weights.mean() if 0 < self.q < 1 else None

    def _losses_before(self, log_p):
        # Making a GCE object takes longer than the formula.
        return gce(self._bounded(unmasked(log_p)), self.q)


class AlphaMAE(Loss, name="alpha-mae"):
    r"""MAE at a temperature: symmetric, with a curvature proportional to alpha.

    .. math:: L(f, y) = \frac{1}{\alpha} \Bigl( \frac{1}{K} - \mathrm{softmax}(\alpha f)_y \Bigr)

    Symmetric with class sum 0 for every alpha and radius. Without a radius its gradient is
    :math:`-s_y (e_y - s)` with :math:`s = \mathrm{softmax}(\alpha f)`, and the spectral norm of
    its Hessian is at most :math:`\alpha / (3 \sqrt{3})`. The formula is derived from the
    properties that [1]_ states.

    Parameters
    ----------
    alpha : float >= 0, default=0.5
        1 is MAE minus a constant, the limit 0 is the unhinged loss divided by K.
    radius : float > 0, "auto" or None, default="auto"
        Radius of the ball that confines the scores f, see :meth:`Loss.scores`. Without it the
        logits of a network drift away as alpha nears 0. "auto" is 20 for alpha < 0.5 and None
        otherwise, where free scores do better.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    SGCE : Another interpolation between the unhinged loss and MAE.

    References
    ----------
    .. [1] Lemire Paquin, Chaib-Draa and Giguère, "Symmetrization of Loss Functions for Robust
       Training of Neural Networks in the Presence of Noisy Labels", arXiv:2605.20347.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import AlphaMAE
    >>> AlphaMAE(alpha=1.0, radius=None)(torch.tensor([[9.0, 0.0]]), torch.tensor([0]))
    tensor(-0.4999)
    """

    _parameter_constraints = {"alpha": NONNEGATIVE, "radius": [*RADIUS, StrOptions({"auto"})]}
    positive = False
    asymmetry_ratio = 1.0

    def __init__(
        self,
        alpha: float = 0.5,
        *,
        radius: float | str | None = "auto",
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        self.alpha = alpha
        self.radius = radius

    @property
    def ball_radius(self) -> float | None:
        if self.radius == "auto":
            return 20.0 if self.alpha < 0.5 else None
        return self.radius

    @property
    def continuous(self) -> bool:
        return self.alpha > 0 and self.ball_radius is None

    def bounds(self, n_classes: int) -> tuple[float, float] | None:
        if not self.continuous:
            return None
        return (1 / n_classes - 1) / self.alpha, 1 / (n_classes * self.alpha)

    def class_sum(self, n_classes: int) -> float | None:
        return 0.0

    def _least_excess(self, error, n_classes):
        return mae_excess(error, n_classes) / self.alpha if self.continuous else None

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        scores = self._bounded(unmasked(log_p))
        n_classes = scores.shape[-1]
        if self.alpha == 0:
            return (scores.mean(-1, keepdim=True) - scores) / n_classes
        # The logarithm of K softmax(alpha f), accurate for small alpha.
        lead = self.alpha * (scores - scores.detach().amax(-1, keepdim=True))
        log_ratio = lead - torch.log1p(torch.expm1(lead).mean(-1, keepdim=True))
        return -torch.expm1(log_ratio) / (self.alpha * n_classes)

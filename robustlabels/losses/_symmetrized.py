"""Symmetric losses: what is left of a loss when its mean over the classes is taken away."""

import math
from numbers import Real

import torch

from .._validation.sklearn_private import Interval, StrOptions
from ._cross_entropy import CE, GCE, gce
from ._loss import (
    RADIUS,
    UNIT,
    Loss,
    unmasked,
)

__all__ = ["SGCE", "AlphaMAE", "ClassMean", "Symmetrized", "Unhinged"]


class Symmetrized(Loss):
    r"""The symmetric part of a loss.

    .. math:: S(f, y) = L(f, y) - \frac{1}{K} \sum_k L(f, k)

    Every loss splits uniquely into a symmetric part with class sum 0 and a part that no
    label can change [1]_; this is the former.

    Parameters
    ----------
    loss : Loss
        The loss to symmetrise.
    radius : float > 0 or None, default=None
        Radius of the ball that confines the scores, see :meth:`Loss.scores`; None leaves
        them free. A symmetric part mostly has no lower bound, or reaches it only at
        infinite scores, so that a network trained on it diverges without this bound.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum.

    See Also
    --------
    Unhinged : The symmetric part of the cross-entropy.
    SGCE : The symmetric part of the generalised cross-entropy.

    Notes
    -----
    Under symmetric label noise of rate :math:`\eta < (K-1)/K` the risk of a symmetric loss
    is the clean risk times :math:`1 - \eta K / (K-1)` plus a constant, so that both have the
    same minimisers [2]_. The operator is a projection: it is linear in L, idempotent, and
    blind to multiples of one function of f alone.

    References
    ----------
    .. [1] Lemire Paquin, Chaib-Draa and Giguere, "Symmetrization of Loss Functions for Robust
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

    _parameter_constraints = {**Loss._parameter_constraints, "loss": [Loss], "radius": RADIUS}
    positive = False

    def __init__(self, loss: Loss, *, radius: float | None = None, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.loss = loss
        self.radius = radius

    def _losses_before(self, log_p):
        return self.loss.class_losses(self.bounded(unmasked(log_p)))

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        losses = self._losses_before(log_p)
        return losses - losses.mean(-1, keepdim=True)

    def sample_losses(self, log_p: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        losses = self._losses_before(log_p)
        return losses.gather(-1, target.unsqueeze(-1)).squeeze(-1) - losses.mean(-1)


class ClassMean(Loss):
    r"""The part of a loss that no label can change.

    .. math:: M(f) = \frac{1}{K} \sum_k L(f, k)

    Parameters
    ----------
    loss : Loss
        The loss to average over the classes.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum.

    See Also
    --------
    Symmetrized : The other part; both add up to the loss.

    Notes
    -----
    Of the cross-entropy it is a penalty on confident predictions, least at equal scores.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import CE, ClassMean
    >>> ClassMean(CE())(torch.zeros(1, 4), torch.tensor([2]))
    tensor(1.3863)
    """

    _parameter_constraints = {**Loss._parameter_constraints, "loss": [Loss]}

    def __init__(self, loss: Loss, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.loss = loss

    @property
    def positive(self) -> bool:
        """Whether the class losses are not negative and their sum is positive."""
        return self.loss.positive

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        return self.loss.class_losses(log_p).mean(-1, keepdim=True).expand_as(log_p)


class Unhinged(Symmetrized):
    r"""Multi-class unhinged loss, the symmetric part of the cross-entropy.

    .. math:: L(s, y) = \bar{s} - s_y, \qquad \bar{s} = \frac{1}{K} \sum_k s_k

    Parameters
    ----------
    radius : float > 0 or None, default=10
        Radius of the ball that confines the scores s, see :meth:`Loss.scores`. None gives
        the loss of the literature, linear and unbounded in the scores: for linear models
        with a penalty, not for networks, whose logits run away on it.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum.

    See Also
    --------
    SGCE : Interpolates between this loss and MAE.
    AlphaMAE : Another interpolation of the two.

    Notes
    -----
    Symmetric with class sum 0, for any radius. Without a bound it is, up to scale and a
    constant, the only convex symmetric loss that treats all classes alike [1]_; for two
    classes it is the unhinged loss of [2]_.

    References
    ----------
    .. [1] Lemire Paquin, Chaib-Draa and Giguere, "Symmetrization of Loss Functions for Robust
       Training of Neural Networks in the Presence of Noisy Labels", arXiv:2605.20347.
    .. [2] van Rooyen, Menon and Williamson, "Learning with Symmetric Label Noise: The
       Importance of Being Unhinged", NeurIPS 2015.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import Unhinged
    >>> loss = Unhinged(radius=None)
    >>> round(loss(torch.tensor([[4.0, 0.0, 2.0]]), torch.tensor([0])).item(), 4)
    -2.0
    """

    _parameter_constraints = {**Loss._parameter_constraints, "radius": RADIUS}

    def __init__(self, radius: float | None = 10.0, *, reduction: str = "mean") -> None:
        super().__init__(CE(), radius=radius, reduction=reduction)


class SGCE(Symmetrized):
    r"""Symmetrised generalised cross-entropy, the symmetric part of GCE.

    .. math:: L(p, y) = \frac{1}{q} \Bigl( \frac{1}{K} \sum_k p_k^q - p_y^q \Bigr)

    Parameters
    ----------
    q : float in [0, 1], default=0.3
        0 is the unhinged loss, 1 is MAE less a constant. Towards 0 clean rows pull harder,
        towards 1 wrong rows are ignored more.
    radius : float > 0, "auto" or None, default="auto"
        Radius of the ball that confines the scores, see :meth:`Loss.scores`. None gives the
        loss of the literature, on which the logits of a network drift away as q nears 0.
        "auto" is 10 for q < 0.3 and None otherwise.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum.

    See Also
    --------
    GCE : The loss that is symmetrised here.
    Unhinged : The limit q = 0.
    MAE : The limit q = 1, up to a constant.

    Notes
    -----
    Symmetric with class sum 0 for every q and radius.

    References
    ----------
    .. [1] Lemire Paquin, Chaib-Draa and Giguere, "Symmetrization of Loss Functions for Robust
       Training of Neural Networks in the Presence of Noisy Labels", arXiv:2605.20347.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import SGCE
    >>> loss = SGCE(q=0.3)
    >>> loss.class_losses(torch.log_softmax(torch.randn(4, 3), -1)).sum(-1).abs().max() < 1e-6
    tensor(True)
    """

    _parameter_constraints = {
        **Loss._parameter_constraints,
        "q": UNIT,
        "radius": [*RADIUS, StrOptions({"auto"})],
    }

    def __init__(
        self, q: float = 0.3, *, radius: float | str | None = "auto", reduction: str = "mean"
    ) -> None:
        Loss.__init__(self, reduction=reduction)
        self.q = q
        self.radius = radius

    @property
    def loss(self) -> Loss:
        """GCE at the present q."""
        return GCE(self.q)

    @property
    def ball_radius(self) -> float | None:
        """Radius of the ball to which the loss confines the scores, or None where it does not."""
        if self.radius == "auto":
            return 10.0 if self.q < 0.3 else None
        return self.radius

    def _losses_before(self, log_p):
        # Without making a GCE object, which takes longer than the formula.
        return gce(self.bounded(unmasked(log_p)), self.q)


class AlphaMAE(Loss):
    r"""MAE at a temperature: symmetric, with a curvature in proportion to alpha.

    .. math:: L(f, y) = \frac{1}{\alpha} \Bigl( \frac{1}{K} - \mathrm{softmax}(\alpha f)_y \Bigr)

    Parameters
    ----------
    alpha : float >= 0, default=0.5
        1 is MAE less a constant, the limit 0 is the unhinged loss divided by K.
    radius : float > 0 or None, default=20
        Radius of the ball that confines the scores f, see :meth:`Loss.scores`. None gives
        the loss without a bound, on which the logits of a network drift away as alpha
        nears 0.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum.

    See Also
    --------
    MAE : The case alpha = 1, up to a constant.
    Unhinged : The limit alpha = 0, up to the factor K.
    SGCE : Another interpolation of the two.

    Notes
    -----
    Symmetric with class sum 0 for every alpha and radius. Without a bound its gradient is
    :math:`-s_y (e_y - s)` with :math:`s = \mathrm{softmax}(\alpha f)`, and the spectral norm
    of its Hessian is at most :math:`\alpha / (3 \sqrt{3})`. The paper [1]_ names the loss and
    its properties; the formula here is derived from them.

    References
    ----------
    .. [1] Lemire Paquin, Chaib-Draa and Giguere, "Symmetrization of Loss Functions for Robust
       Training of Neural Networks in the Presence of Noisy Labels", arXiv:2605.20347.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import AlphaMAE
    >>> loss = AlphaMAE(alpha=1.0, radius=None)
    >>> round(loss(torch.tensor([[9.0, 0.0]]), torch.tensor([0])).item(), 3)
    -0.5
    """

    _parameter_constraints = {
        **Loss._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="left")],
        "radius": RADIUS,
    }
    positive = False

    def __init__(
        self, alpha: float = 0.5, *, radius: float = 20.0, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction=reduction)
        self.alpha = alpha
        self.radius = radius

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        scores = self.bounded(unmasked(log_p))
        n_classes = scores.shape[-1]
        if self.alpha == 0:
            return (scores.mean(-1, keepdim=True) - scores) / n_classes
        log_ratio = torch.log_softmax(self.alpha * scores, dim=-1) + math.log(n_classes)
        return -torch.expm1(log_ratio) / (self.alpha * n_classes)

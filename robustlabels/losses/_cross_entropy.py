"""Cross-entropy and its bounded relatives: functions of the label's probability."""

import math
from numbers import Integral, Real

import numpy as np
import torch
from scipy.special import xlogy

from .._validation.sklearn_private import Interval
from ._bases import ProbabilityLoss
from ._loss import INSIDE_UNIT, NONNEGATIVE, UNIT, unmasked

__all__ = ["CE", "GCE", "MAE", "RCE", "SCE", "Focal", "JensenShannon", "TaylorCE", "TruncatedGCE"]

NEGATIVE = [Interval(Real, None, 0, closed="neither")]


class CE(ProbabilityLoss, name="ce"):
    r"""Cross-entropy, which is not robust.

    .. math:: \ell(u) = -\log u

    Convex in the logits and unbounded; neither symmetric nor asymmetric (ratio 0). A network
    with enough capacity ends up reproducing the wrong labels.

    Parameters
    ----------
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    GCE : A family between this loss and MAE.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import CE
    >>> CE()(torch.zeros(1, 4), torch.tensor([2]))
    tensor(1.3863)
    """

    asymmetry_ratio = 0.0
    symmetric_part_is_linear = True

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        return -log_p

    def _least_excess(self, error, n_classes):
        return cross_entropy_excess(error)

    def inverse_link(self, p: torch.Tensor) -> torch.Tensor:
        return p


class MAE(ProbabilityLoss, name="mae"):
    r"""Mean absolute error.

    .. math:: \ell(u) = 1 - u

    Symmetric with class sum K - 1, bounded by 1 [1]_. Its gradient at equal scores is 1/K of that
    of the cross-entropy, so it learns slowly with many classes.

    Parameters
    ----------
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    AlphaMAE : Keeps the symmetry and bounds the curvature.

    References
    ----------
    .. [1] Ghosh, Kumar and Sastry, "Robust Loss Functions under Label Noise for Deep Neural
       Networks", AAAI 2017.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import MAE
    >>> MAE()(torch.zeros(1, 4), torch.tensor([2]))
    tensor(0.7500)
    """

    asymmetry_ratio = 1.0

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        return -torch.expm1(log_p)

    def class_sum(self, n_classes: int) -> float | None:
        return n_classes - 1.0

    def _least_excess(self, error, n_classes):
        return mae_excess(error, n_classes)


def mae_excess(error, n_classes):
    """Return the least excess risk of MAE for an excess error.

    The extreme problems have n equally probable classes, and a class without probability that is
    predicted by equal scores of these n + 1: excess risk 1 / (n (n + 1)), excess error 1/n.
    """
    n = np.arange(n_classes - 1, 0, -1)
    return np.interp(error, np.append(0, 1 / n), np.append(0, 1 / (n * (n + 1))))


def cross_entropy_excess(error):
    """Return the least excess risk of the cross-entropy for an excess error.

    The extreme problem has two classes with equal scores; it implies Pinsker's inequality.
    """
    sides = np.array([1 + np.asarray(error), 1 - np.asarray(error)]) / 2
    return math.log(2) + xlogy(sides, sides).sum(0)


def gce(log_p, q):
    """Return (1 - u^q) / q, the cross-entropy for q = 0."""
    return -log_p if q == 0 else torch.expm1(q * log_p) / -q


class GCE(ProbabilityLoss, name="gce"):
    r"""Generalised cross-entropy.

    .. math:: \ell(u) = \frac{1 - u^q}{q}

    Bounded by 1/q; symmetric for q = 1 only. Its class sum lies between
    :math:`(K-1)/q` and :math:`(K - K^{1-q})/q` [1]_.

    Parameters
    ----------
    q : float in [0, 1], default=0.7
        0 is the cross-entropy, 1 is MAE; the paper uses 0.7. Larger is more robust and slower.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    SGCE : Its symmetric part.

    References
    ----------
    .. [1] Zhang and Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural
       Networks with Noisy Labels", NeurIPS 2018.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import GCE
    >>> GCE(q=0.5)(torch.zeros(1, 4), torch.tensor([2]))
    tensor(1.)
    """

    _parameter_constraints = {"q": UNIT}

    def __init__(self, q: float = 0.7, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.q = q

    @property
    def asymmetry_ratio(self) -> float:
        return 1.0 if self.q == 1 else 0.0

    @property
    def symmetric_part_is_linear(self) -> bool:
        return self.q == 0

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        return gce(log_p, self.q)

    def _least_excess(self, error, n_classes):
        if self.q == 0:
            return cross_entropy_excess(error)
        return mae_excess(error, n_classes) if self.q == 1 else None

    def inverse_link(self, p: torch.Tensor) -> torch.Tensor:
        if self.q == 1:
            return super().inverse_link(p)
        weight = p ** (1 - self.q)
        return weight / weight.sum(-1, keepdim=True)


class Focal(ProbabilityLoss, name="focal"):
    r"""Focal loss: cross-entropy with less weight on samples that are already predicted well.

    .. math:: \ell(u) = -(1-u)^\gamma \log u

    Unbounded, neither symmetric nor asymmetric (ratio 0). It focuses on hard samples, which under
    label noise are often the mislabelled ones; alone it is not robust.

    Parameters
    ----------
    gamma : float >= 0, default=2.0
        0 is the cross-entropy. 2 is the classic value; the papers on label noise use 0.5.
    detach_modulator : bool, default=False
        Whether the gradient ignores :math:`(1-u)^\gamma`, as in code of papers on label noise.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    NFL : Its normalised form.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He and Dollár, "Focal Loss for Dense Object Detection", ICCV 2017.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import Focal
    >>> Focal(gamma=1.0)(torch.zeros(1, 2), torch.tensor([0]))
    tensor(0.3466)
    """

    _parameter_constraints = {"gamma": NONNEGATIVE, "detach_modulator": ["boolean"]}
    asymmetry_ratio = 0.0

    def __init__(
        self, gamma: float = 2.0, *, detach_modulator: bool = False, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction=reduction)
        self.gamma = gamma
        self.detach_modulator = detach_modulator

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        below_one = log_p
        if self.gamma < 1:
            # At u = 1 the slope of the power is infinite, that of the loss is not.
            below_one = log_p.clamp(max=-torch.finfo(log_p.dtype).eps)
        modulator = (-torch.expm1(below_one)) ** self.gamma
        return (modulator.detach() if self.detach_modulator else modulator) * -log_p


class RCE(ProbabilityLoss, name="rce"):
    r"""Reverse cross-entropy: MAE times -A.

    .. math:: \ell(u) = -A (1 - u)

    Symmetric with class sum :math:`-A (K - 1)`.

    Parameters
    ----------
    A : float < 0, default=-4.0
        Replaces log 0. The paper says -4; its code has log 1e-4 = -9.21.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    SCE : Its sum with the cross-entropy.

    References
    ----------
    .. [1] Wang, Ma, Chen, Luo, Yi and Bailey, "Symmetric Cross Entropy for Robust Learning
       with Noisy Labels", ICCV 2019.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import RCE
    >>> RCE()(torch.zeros(1, 4), torch.tensor([2]))
    tensor(3.)
    """

    _parameter_constraints = {"A": NEGATIVE}
    asymmetry_ratio = 1.0

    def __init__(self, A: float = -4.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.A = A

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        return self.A * torch.expm1(log_p)

    def class_sum(self, n_classes: int) -> float | None:
        return -self.A * (n_classes - 1)

    def _least_excess(self, error, n_classes):
        return -self.A * mae_excess(error, n_classes)


class SCE(ProbabilityLoss, name="sce"):
    r"""Symmetric cross-entropy: cross-entropy plus reverse cross-entropy.

    .. math:: \ell(u) = -\alpha \log u - \beta A (1 - u)

    For alpha > 0 neither symmetric, despite its name, nor asymmetric (ratio 0).

    Parameters
    ----------
    alpha : float >= 0, default=0.1
        Weight of the cross-entropy.
    beta : float >= 0, default=1.0
        Weight of the reverse cross-entropy.
    A : float < 0, default=-4.0
        Replaces log 0, see :class:`RCE`.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    RCE : The robust term.

    References
    ----------
    .. [1] Wang, Ma, Chen, Luo, Yi and Bailey, "Symmetric Cross Entropy for Robust Learning
       with Noisy Labels", ICCV 2019.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import SCE
    >>> SCE(alpha=0.0)(torch.zeros(1, 4), torch.tensor([2]))
    tensor(3.)
    """

    _parameter_constraints = {"alpha": NONNEGATIVE, "beta": NONNEGATIVE, "A": NEGATIVE}

    def __init__(
        self, alpha: float = 0.1, beta: float = 1.0, *, A: float = -4.0, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction=reduction)
        self.alpha = alpha
        self.beta = beta
        self.A = A

    @property
    def asymmetry_ratio(self) -> float:
        return 1.0 if self.alpha == 0 else 0.0

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        reverse = self.beta * self.A * torch.expm1(log_p)
        return reverse if self.alpha == 0 else reverse - self.alpha * log_p


class TaylorCE(ProbabilityLoss, name="taylor-ce"):
    r"""Taylor cross-entropy: the first terms of the Taylor series of the cross-entropy.

    .. math:: \ell(u) = \sum_{i=1}^{t} \frac{(1-u)^i}{i}

    Bounded; asymmetric with ratio 1/t.

    Parameters
    ----------
    t : int >= 1, default=2
        Number of terms: 1 is MAE, the limit of many is the cross-entropy. Published: 2 to 6.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    GCE : Another family between MAE and the cross-entropy.

    References
    ----------
    .. [1] Feng, Shu, Lin, Lv, Li and An, "Can Cross Entropy Loss Be Robust to Label Noise?",
       IJCAI 2020.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import TaylorCE
    >>> TaylorCE(t=2)(torch.zeros(1, 2), torch.tensor([0]))
    tensor(0.6250)
    """

    _parameter_constraints = {"t": [Interval(Integral, 1, None, closed="left")]}

    def __init__(self, t: int = 2, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.t = t

    @property
    def asymmetry_ratio(self) -> float:
        return 1 / self.t

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        missing = -torch.expm1(log_p)
        total = torch.zeros_like(missing)
        for i in range(self.t, 0, -1):
            total = (total + 1 / i) * missing
        return total


class TruncatedGCE(ProbabilityLoss, name="truncated-gce"):
    r"""Generalised cross-entropy that ignores samples whose label has a small probability.

    .. math:: \ell(u) = \frac{1 - \max(u, k)^q}{q}

    It needs a trained network: at equal scores no sample has a gradient if ``k > 1/K``. Train
    with GCE first and continue with ``warm_start``. The paper does so from epoch 40 of 120 on.

    Parameters
    ----------
    q : float in [0, 1], default=0.7
        Exponent, see :class:`GCE`.
    k : float in (0, 1), default=0.5
        Probability below which a sample has no gradient.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    GCE : The loss without truncation.

    References
    ----------
    .. [1] Zhang and Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural
       Networks with Noisy Labels", NeurIPS 2018.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import TruncatedGCE
    >>> TruncatedGCE(q=1.0)(torch.zeros(1, 4), torch.tensor([2]))
    tensor(0.5000)
    """

    _parameter_constraints = {"q": UNIT, "k": INSIDE_UNIT}
    kinks = True

    def __init__(self, q: float = 0.7, k: float = 0.5, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.q = q
        self.k = k

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        return gce(log_p.clamp(min=math.log(self.k)), self.q)


class JensenShannon(ProbabilityLoss, name="js"):
    r"""Scaled Jensen-Shannon divergence between the label and the prediction.

    .. math::
        \ell(u) = \frac{-\pi \log m + \pi' \bigl(u \log \tfrac{u}{m} - (1-u) \log \pi'\bigr)}
        {-\pi' \log \pi'}, \qquad m = \pi + \pi' u, \quad \pi' = 1 - \pi

    Bounded; not asymmetric (ratio 0). This is the form of the paper for one view of an image.

    Parameters
    ----------
    pi : float in (0, 1), default=0.5
        Weight of the label. The limit 0 is the cross-entropy, the limit 1 is MAE.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    GCE : Another family between the cross-entropy and MAE.

    References
    ----------
    .. [1] Englesson and Azizpour, "Generalized Jensen-Shannon Divergence Loss for Learning
       with Noisy Labels", NeurIPS 2021.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import JensenShannon
    >>> JensenShannon()(torch.zeros(1, 2), torch.tensor([0]))
    tensor(0.6226)
    """

    _parameter_constraints = {"pi": INSIDE_UNIT}
    asymmetry_ratio = 0.0

    def __init__(self, pi: float = 0.5, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.pi = pi

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        rest, log_rest, log_pi = 1 - self.pi, math.log1p(-self.pi), math.log(self.pi)
        log_p = unmasked(log_p)
        u, missing = log_p.exp(), -torch.expm1(log_p)
        # Two forms each of log m and log (u / m): one loses digits at large u, one at small u.
        log_m = torch.where(u < 0.5, torch.log(self.pi + rest * u), torch.log1p(-rest * missing))
        log_u = log_p.clamp(min=log_pi)
        log_share = -torch.log1p(-self.pi * torch.expm1(log_u) * torch.exp(-log_u))
        log_share = torch.where(log_p < log_pi, log_p - log_m, log_share)
        total = rest * (u * log_share - missing * log_rest) - self.pi * log_m
        return total / (-rest * log_rest)

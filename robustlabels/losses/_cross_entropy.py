"""Cross-entropy and the losses that bend it: functions of the probability of the label."""

import math
from numbers import Integral, Real

import torch

from .._validation.sklearn_private import Interval
from ._loss import (
    UNIT,
    Loss,
    ProbabilityLoss,
    unmasked,
)

__all__ = ["CE", "GCE", "MAE", "RCE", "SCE", "Focal", "JensenShannon", "TaylorCE", "TruncatedGCE"]


class CE(ProbabilityLoss):
    r"""Cross-entropy, the loss that is not robust.

    .. math:: \ell(u) = -\log u

    Parameters
    ----------
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum.

    See Also
    --------
    GCE : A family that leads from here to MAE.

    Notes
    -----
    Convex in the logits and unbounded; neither symmetric nor asymmetric: its asymmetry ratio
    is 0. A network with the capacity to do so ends up reproducing the wrong labels.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import CE
    >>> CE()(torch.zeros(1, 4), torch.tensor([2]))
    tensor(1.3863)
    """

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        return -log_p

    def inverse_link(self, p: torch.Tensor) -> torch.Tensor:
        return p


class MAE(ProbabilityLoss):
    r"""Mean absolute error.

    .. math:: \ell(u) = 1 - u

    Parameters
    ----------
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum.

    See Also
    --------
    AlphaMAE : Keeps the symmetry and bounds the curvature.

    Notes
    -----
    Symmetric with class sum K - 1, bounded by 1 [1]_. Its gradient is 1/K of that of the
    cross-entropy at the start, so that it learns slowly with many classes. This is half of
    the sum of absolute differences to the one-hot label, which some published code uses:
    multiply by 2 to convert.

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

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        return -torch.expm1(log_p)


def gce(log_p, q):
    """Return (1 - u^q) / q elementwise, the cross-entropy for q = 0."""
    return -log_p if q == 0 else torch.expm1(q * log_p) / -q


class GCE(ProbabilityLoss):
    r"""Generalised cross-entropy.

    .. math:: \ell(u) = \frac{1 - u^q}{q}

    Parameters
    ----------
    q : float in [0, 1], default=0.7
        0 is the cross-entropy, 1 is MAE; the larger, the more robust and the slower to
        learn. The paper uses 0.7.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum.

    See Also
    --------
    SGCE : Its symmetric part.
    AGCE : An asymmetric relative.

    Notes
    -----
    Bounded by 1/q; symmetric for q = 1 only. Its class sum lies between
    :math:`(K-1)/q` and :math:`(K - K^{1-q})/q` [1]_.

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

    _parameter_constraints = {
        **Loss._parameter_constraints,
        "q": UNIT,
    }

    def __init__(self, q: float = 0.7, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.q = q

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        return gce(log_p, self.q)

    def inverse_link(self, p: torch.Tensor) -> torch.Tensor:
        if self.q == 1:
            return super().inverse_link(p)
        weight = p ** (1 - self.q)
        return weight / weight.sum(-1, keepdim=True)


class Focal(ProbabilityLoss):
    r"""Focal loss: cross-entropy that looks away from rows it already gets right.

    .. math:: \ell(u) = -(1-u)^\gamma \log u

    Parameters
    ----------
    gamma : float >= 0, default=2.0
        0 is the cross-entropy. 2 is the classic value; the papers on label noise use 0.5.
    detach_modulator : bool, default=False
        Whether the gradient ignores the factor :math:`(1-u)^\gamma`. True reproduces the
        published code of the papers on label noise, False is the gradient of the formula.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum.

    See Also
    --------
    NFL : Its normalised form.

    Notes
    -----
    Unbounded, neither symmetric nor asymmetric (ratio 0). It turns to hard rows, which under
    label noise are often the wrong ones; alone it is not robust.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He and Dollar, "Focal Loss for Dense Object Detection",
       ICCV 2017.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import Focal
    >>> Focal(gamma=1.0)(torch.zeros(1, 2), torch.tensor([0]))
    tensor(0.3466)
    """

    _parameter_constraints = {
        **Loss._parameter_constraints,
        "gamma": [Interval(Real, 0, None, closed="left")],
        "detach_modulator": ["boolean"],
    }

    def __init__(
        self, gamma: float = 2.0, *, detach_modulator: bool = False, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction=reduction)
        self.gamma = gamma
        self.detach_modulator = detach_modulator

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        below_one = log_p
        if self.gamma < 1:
            # At u = 1 the power of 1 - u has an infinite slope then; the loss has none.
            below_one = log_p.clamp(max=-torch.finfo(log_p.dtype).eps)
        modulator = (-torch.expm1(below_one)) ** self.gamma
        return (modulator.detach() if self.detach_modulator else modulator) * -log_p


class RCE(ProbabilityLoss):
    r"""Reverse cross-entropy, MAE on another scale.

    .. math:: \ell(u) = -A (1 - u)

    Parameters
    ----------
    A : float < 0, default=-4.0
        What stands for log 0. The papers quote -4; their code clamps at 1e-4, which is
        A = log 1e-4 = -9.21. To convert, multiply a weight of that code by 2.303.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum.

    See Also
    --------
    MAE : The same with A = -1.
    SCE : Its sum with the cross-entropy.

    Notes
    -----
    Symmetric with class sum :math:`-A (K - 1)`.

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

    _parameter_constraints = {
        **Loss._parameter_constraints,
        "A": [Interval(Real, None, 0, closed="neither")],
    }

    def __init__(self, A: float = -4.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.A = A

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        return self.A * torch.expm1(log_p)


class SCE(ProbabilityLoss):
    r"""Symmetric cross-entropy: cross-entropy plus reverse cross-entropy.

    .. math:: \ell(u) = -\alpha \log u - \beta A (1 - u)

    Parameters
    ----------
    alpha : float >= 0, default=0.1
        Weight of the cross-entropy.
    beta : float >= 0, default=1.0
        Weight of the reverse cross-entropy.
    A : float < 0, default=-4.0
        What stands for log 0, see :class:`RCE`.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum.

    See Also
    --------
    RCE : The robust term.

    Notes
    -----
    In spite of its name not symmetric in the sense of a constant class sum, for alpha > 0,
    and not asymmetric (ratio 0). Published (alpha, beta), for A = -9.21: (0.01, 1) on MNIST,
    (0.1, 1) on CIFAR-10, (6, 0.1) on CIFAR-100, (10, 1) on WebVision.

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

    _parameter_constraints = {
        **Loss._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="left")],
        "A": [Interval(Real, None, 0, closed="neither")],
    }

    def __init__(
        self, alpha: float = 0.1, beta: float = 1.0, *, A: float = -4.0, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction=reduction)
        self.alpha = alpha
        self.beta = beta
        self.A = A

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        reverse = self.beta * self.A * torch.expm1(log_p)
        return reverse if self.alpha == 0 else reverse - self.alpha * log_p


class TaylorCE(ProbabilityLoss):
    r"""Taylor cross-entropy: the first terms of the series of the cross-entropy.

    .. math:: \ell(u) = \sum_{i=1}^{t} \frac{(1-u)^i}{i}

    Parameters
    ----------
    t : int >= 1, default=2
        Number of terms. 1 is MAE, the limit of many is the cross-entropy. Published values
        lie between 2 and 6.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum.

    See Also
    --------
    GCE : Another family between the same two.

    Notes
    -----
    Bounded; asymmetric with ratio 1/t.

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

    _parameter_constraints = {
        **Loss._parameter_constraints,
        "t": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, t: int = 2, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.t = t

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        missing = -torch.expm1(log_p)
        total = torch.zeros_like(missing)
        for i in range(self.t, 0, -1):
            total = (total + 1 / i) * missing
        return total


class TruncatedGCE(ProbabilityLoss):
    r"""Generalised cross-entropy that gives up rows of small probability.

    .. math:: \ell(u) = \frac{1 - \max(u, k)^q}{q}

    Parameters
    ----------
    q : float in [0, 1], default=0.7
        Exponent, see :class:`GCE`.
    k : float in (0, 1), default=0.5
        Probability below which a row gives no gradient.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum.

    See Also
    --------
    GCE : The loss without truncation.

    Notes
    -----
    For a network that has learned already: at equal scores all probabilities are 1/K, and
    for ``k >= 1/K`` no row gives a gradient. Train with GCE first and go on with
    ``warm_start``. The paper uses q = 0.7, k = 0.5 from epoch 40 of 120 on.

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

    _parameter_constraints = {
        **Loss._parameter_constraints,
        "q": UNIT,
        "k": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(self, q: float = 0.7, k: float = 0.5, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.q = q
        self.k = k

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        return gce(log_p.clamp(min=math.log(self.k)), self.q)


class JensenShannon(ProbabilityLoss):
    r"""Scaled Jensen-Shannon divergence between the label and the prediction.

    .. math::
        \ell(u) = \frac{-\pi \log m + \pi' \bigl(u \log \tfrac{u}{m} - (1-u) \log \pi'\bigr)}
        {-\pi' \log \pi'}, \qquad m = \pi + \pi' u, \quad \pi' = 1 - \pi

    Parameters
    ----------
    pi : float in (0, 1), default=0.5
        Weight of the label. The limit 0 is the cross-entropy, the limit 1 is MAE.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum.

    See Also
    --------
    GCE : Another family between the same two.

    Notes
    -----
    Bounded; not asymmetric (ratio 0). Published pi on CIFAR-10: 0.1 on clean labels, 0.7 at 20 and
    40 %, 0.9 at 60 and 80 % symmetric noise; on CIFAR-100 0.1, 0.1, 0.3, 0.5, 0.3. The paper's
    generalised form compares several augmented views of an image; this is the form for one.

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

    _parameter_constraints = {
        **Loss._parameter_constraints,
        "pi": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(self, pi: float = 0.5, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.pi = pi

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        # With a = m - 1 and few operations: the numerator is
        # rest * u * log_p - (1 + a) * log_m + a * log(rest).
        rest = 1 - self.pi
        a = rest * torch.expm1(log_p)
        log_m = torch.log1p(a)
        numerator = torch.sub(torch.addcmul(log_m, a, log_m), a, alpha=math.log(rest))
        numerator = torch.addcmul(numerator, log_p.exp(), unmasked(log_p), value=-rest)
        return numerator / (rest * math.log(rest))

"""The catalogue: losses of the probability of the label, and alpha-MAE."""

import math
from numbers import Real

import torch
from sklearn.utils._param_validation import Interval

from ._loss import RADIUS, Loss, ProbabilityLoss

__all__ = ["AEL", "AGCE", "AUL", "CE", "GCE", "MAE", "AlphaMAE"]

_POSITIVE = [Interval(Real, 0, None, closed="neither")]


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

    def phi(self, log_p):
        return -log_p


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

    def phi(self, log_p):
        return -torch.expm1(log_p)


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
        "q": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(self, q=0.7, *, reduction="mean"):
        super().__init__(reduction=reduction)
        self.q = q

    def phi(self, log_p):
        return -log_p if self.q == 0 else -torch.expm1(self.q * log_p) / self.q


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

    def __init__(self, alpha=0.5, *, radius=20.0, reduction="mean"):
        super().__init__(reduction=reduction)
        self.alpha = alpha
        self.radius = radius

    def class_losses(self, log_p):
        scores = self.bounded(log_p)
        n_classes = scores.shape[-1]
        if self.alpha == 0:
            return (scores.mean(-1, keepdim=True) - scores) / n_classes
        log_ratio = torch.log_softmax(self.alpha * scores, dim=-1) + math.log(n_classes)
        return -torch.expm1(log_ratio) / (self.alpha * n_classes)


class AGCE(ProbabilityLoss):
    r"""Asymmetric generalised cross-entropy.

    .. math:: \ell(u) = \frac{(a+1)^q - (a+u)^q}{q}

    Parameters
    ----------
    a : float > 0, default=1.0
        Shift; the limit 0 is GCE. The larger, the more robust.
    q : float > 0, default=0.5
        Exponent; completely asymmetric from 1 on.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum.

    See Also
    --------
    AUL : Asymmetric unhinged loss.
    AEL : Asymmetric exponential loss.

    Notes
    -----
    Asymmetric on labels whose weights satisfy :math:`w_m / w_n \ge ((a+1)/a)^{1-q}` if
    :math:`q \le 1`, and on any labels with :math:`w_m > w_n` otherwise [1]_: the clean label
    needs no majority, only that lead over the most frequent wrong one. Published (a, q):
    (4, 0.2) on MNIST, (0.6, 0.6) on CIFAR-10 and CIFAR-100, (1e-5, 0.5) on WebVision. The
    default is one that learns on tables.

    References
    ----------
    .. [1] Zhou, Liu, Jiang, Gao and Ji, "Asymmetric Loss Functions for Learning with Noisy
       Labels", ICML 2021, arXiv:2106.03110.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import AGCE
    >>> AGCE(a=1.0, q=2.0)(torch.zeros(1, 2), torch.tensor([0]))
    tensor(0.8750)
    """

    _parameter_constraints = {**Loss._parameter_constraints, "a": _POSITIVE, "q": _POSITIVE}

    def __init__(self, a=1.0, q=0.5, *, reduction="mean"):
        super().__init__(reduction=reduction)
        self.a = a
        self.q = q

    def phi(self, log_p):
        # The difference of powers as a product: it keeps its digits where a >> 1.
        base = self.a + log_p.exp()
        return base**self.q * torch.expm1(self.q * torch.log1p(-torch.expm1(log_p) / base)) / self.q


class AUL(ProbabilityLoss):
    r"""Asymmetric unhinged loss.

    .. math:: \ell(u) = \frac{(a-u)^p - (a-1)^p}{p}

    Parameters
    ----------
    a : float > 1, default=5.5
        Shift; the larger, the closer to MAE.
    p : float > 0, default=3.0
        Exponent; completely asymmetric up to 1.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum.

    See Also
    --------
    AGCE : Asymmetric generalised cross-entropy.
    AEL : Asymmetric exponential loss.

    Notes
    -----
    Asymmetric on labels whose weights satisfy :math:`w_m / w_n \ge (a/(a-1))^{p-1}` if
    :math:`p > 1`, and on any labels with :math:`w_m > w_n` otherwise [1]_. Published (a, p):
    (3, 0.1) on MNIST, (5.5, 3) on CIFAR-10 and CIFAR-100; published code calls the loss AUE
    and p there q.

    References
    ----------
    .. [1] Zhou, Liu, Jiang, Gao and Ji, "Asymmetric Loss Functions for Learning with Noisy
       Labels", ICML 2021, arXiv:2106.03110.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import AUL
    >>> AUL(a=2.0, p=2.0)(torch.zeros(1, 2), torch.tensor([0]))
    tensor(0.6250)
    """

    _parameter_constraints = {
        **Loss._parameter_constraints,
        "a": [Interval(Real, 1, None, closed="neither")],
        "p": _POSITIVE,
    }

    def __init__(self, a=5.5, p=3.0, *, reduction="mean"):
        super().__init__(reduction=reduction)
        self.a = a
        self.p = p

    def phi(self, log_p):
        # The difference of powers as a product: it keeps its digits where a >> 1.
        least = self.a - 1
        growth = torch.expm1(self.p * torch.log1p(-torch.expm1(log_p) / least))
        return least**self.p * growth / self.p


class AEL(ProbabilityLoss):
    r"""Asymmetric exponential loss.

    .. math:: \ell(u) = e^{-u/a}

    Parameters
    ----------
    a : float > 0, default=2.5
        Scale of the probability; the larger, the closer to MAE divided by a.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum.

    See Also
    --------
    AGCE : Asymmetric generalised cross-entropy.
    AUL : Asymmetric unhinged loss.

    Notes
    -----
    Asymmetric on labels whose weights satisfy :math:`w_m / w_n \ge e^{1/a}` [1]_. Its least
    value is :math:`e^{-1/a}`, not 0. Published a: 3.5 on MNIST, 2.5 on CIFAR-10 and
    CIFAR-100.

    References
    ----------
    .. [1] Zhou, Liu, Jiang, Gao and Ji, "Asymmetric Loss Functions for Learning with Noisy
       Labels", ICML 2021, arXiv:2106.03110.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import AEL
    >>> AEL(a=0.5)(torch.zeros(1, 2), torch.tensor([0]))
    tensor(0.3679)
    """

    _parameter_constraints = {**Loss._parameter_constraints, "a": _POSITIVE}

    def __init__(self, a=2.5, *, reduction="mean"):
        super().__init__(reduction=reduction)
        self.a = a

    def phi(self, log_p):
        return torch.exp(-log_p.exp() / self.a)

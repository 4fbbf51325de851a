"""Asymmetric losses: the most frequent label wins if its lead is large enough."""

import math
from numbers import Real

import torch
from torch import nn

from .._validation.sklearn_private import Interval
from ._bases import ProbabilityLoss
from ._loss import POSITIVE, Loss, unmasked

__all__ = ["AEL", "AGCE", "AMSE", "AUL"]


class AGCE(ProbabilityLoss, name="agce"):
    r"""Asymmetric generalised cross-entropy.

    .. math:: \ell(u) = \frac{(a+1)^q - (a+u)^q}{q}

    Asymmetric on labels whose weights satisfy :math:`w_m / w_n \ge ((a+1)/a)^{1-q}` if
    :math:`q \le 1`, and on any labels with :math:`w_m > w_n` otherwise [1]_: the clean label
    needs no majority, only that lead over the most frequent wrong one.

    Parameters
    ----------
    a : float > 0, default=1.0
        Shift; the limit 0 is GCE. A larger value is more robust.
    q : float > 0, default=0.5
        Exponent; completely asymmetric for q >= 1.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    AUL : Asymmetric unhinged loss.

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

    _parameter_constraints = {"a": POSITIVE, "q": POSITIVE}

    def __init__(self, a: float = 1.0, q: float = 0.5, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.a = a
        self.q = q

    @property
    def asymmetry_ratio(self) -> float:
        return (self.a / (self.a + 1)) ** max(0, 1 - self.q)

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        # The logarithm of (a + u) / (a + 1), accurate for small and for large a.
        if self.a < 0.1:
            # Unlike those of logaddexp, second derivatives of logsigmoid are finite.
            log_a = math.log(self.a)
            log_sum = log_a - nn.functional.logsigmoid(log_a - unmasked(log_p))
            log_ratio = log_sum - math.log1p(self.a)
        else:
            log_ratio = torch.log1p(torch.expm1(log_p) * (1 / (self.a + 1)))
        return torch.expm1(self.q * log_ratio) * (-((self.a + 1) ** self.q) / self.q)

    def inverse_link(self, p: torch.Tensor) -> torch.Tensor:
        if self.q >= 1:
            return super().inverse_link(p)
        # A class of probability 0 can have any posterior below a threshold; 0 is taken.
        weight = torch.where(p > 0, (self.a + p) ** (1 - self.q), 0)
        return weight / weight.sum(-1, keepdim=True)


class AUL(ProbabilityLoss, name="aul"):
    r"""Asymmetric unhinged loss.

    .. math:: \ell(u) = \frac{(a-u)^p - (a-1)^p}{p}

    Asymmetric on labels whose weights satisfy :math:`w_m / w_n \ge (a/(a-1))^{p-1}` if
    :math:`p > 1`, and on any labels with :math:`w_m > w_n` otherwise [1]_.

    Parameters
    ----------
    a : float > 1, default=5.5
        Shift. The loss approaches MAE, up to a factor, as a grows.
    p : float > 0, default=3.0
        Exponent; completely asymmetric for p <= 1.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    AEL : Asymmetric exponential loss.

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

    _parameter_constraints = {"a": [Interval(Real, 1, None, closed="neither")], "p": POSITIVE}

    def __init__(self, a: float = 5.5, p: float = 3.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.a = a
        self.p = p

    @property
    def asymmetry_ratio(self) -> float:
        return ((self.a - 1) / self.a) ** max(0, self.p - 1)

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        # a - u = (a - 1) (1 + (1 - u) / (a - 1)), accurate for large a.
        share = torch.expm1(log_p) * (-1 / (self.a - 1))
        return torch.expm1(self.p * torch.log1p(share)) * ((self.a - 1) ** self.p / self.p)


class AEL(ProbabilityLoss, name="ael"):
    r"""Asymmetric exponential loss.

    .. math:: \ell(u) = e^{-u/a}

    Asymmetric on labels whose weights satisfy :math:`w_m / w_n \ge e^{1/a}` [1]_. Its minimum is
    :math:`e^{-1/a}`, not 0.

    Parameters
    ----------
    a : float > 0, default=2.5
        Scale of the probability. The loss approaches a constant plus MAE / a as a grows.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    AGCE : Asymmetric generalised cross-entropy.

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

    _parameter_constraints = {"a": POSITIVE}

    def __init__(self, a: float = 2.5, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.a = a

    @property
    def asymmetry_ratio(self) -> float:
        return math.exp(-1 / self.a)

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        return torch.exp(-log_p.exp() / self.a)


class AMSE(Loss, name="amse"):
    r"""Asymmetric mean squared error: its target for the label is larger than any probability.

    .. math:: L(p, y) = \frac{1}{K} \lVert a e_y - p \rVert^2

    Asymmetric on labels whose weights satisfy :math:`a (w_m - w_n) \ge \sum_i w_i` [1]_: for
    symmetric noise of rate :math:`\eta` if :math:`a \ge 1 / (1 - \eta K / (K-1))`, for pair
    noise if :math:`a \ge 1 / (1 - 2 \eta)`.

    Parameters
    ----------
    a : float >= 1, default=30.0
        Target for the label. 1 is the mean squared error, the Brier score divided by K.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    AGCE : An asymmetric function of the label's probability alone.

    References
    ----------
    .. [1] "Joint Asymmetric Loss for Learning with Noisy Labels", ICCV 2025.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import AMSE
    >>> AMSE(a=2.0)(torch.zeros(1, 2), torch.tensor([0]))
    tensor(1.2500)
    """

    _parameter_constraints = {"a": [Interval(Real, 1, None, closed="left")]}

    def __init__(self, a: float = 30.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.a = a

    continuous = True

    def bounds(self, n_classes: int) -> tuple[float, float] | None:
        # Certainty of the label; certainty of another class.
        return (self.a - 1) ** 2 / n_classes, (self.a**2 + 1) / n_classes

    def _certainty_wins(self, lead, rival, weights):
        return self.a * (lead - rival) >= weights.sum()

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        p = log_p.exp()
        return ((p**2).sum(-1, keepdim=True) + self.a * (self.a - 2 * p)) / p.shape[-1]

"""Normalised losses: the loss of the label divided by the sum over all classes."""

import math

import torch

from ._bases import WrappedLoss
from ._cross_entropy import CE, GCE, Focal
from ._loss import INSIDE_UNIT, NONNEGATIVE, UNIT, Loss, unmasked

__all__ = ["NCE", "NFL", "NGCE", "NNCE", "Normalized"]


class Normalized(WrappedLoss):
    r"""A loss divided by its class sum, which makes it symmetric.

    .. math:: N(f, y) = \frac{L(f, y)}{\sum_k L(f, k)}

    Symmetric with class sum 1, between 0 and 1 [1]_. Training on it alone is slow and often
    fails: it also decreases as the losses of the other classes grow, and for three classes and
    more its minimiser need not be the most probable class. Papers add a second loss ("nce+mae").

    Parameters
    ----------
    loss : Loss
        The loss to normalise. Its class losses must be nonnegative and not all 0, which excludes
        the unhinged loss, SGCE, alpha-MAE and other losses of class sum 0.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    Symmetrized : Makes a loss symmetric by subtraction.

    References
    ----------
    .. [1] Ma, Huang, Wang, Romano, Erfani and Bailey, "Normalized Loss Functions for Deep
       Learning with Noisy Labels", ICML 2020, arXiv:2006.13554.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import AGCE, Normalized
    >>> Normalized(AGCE())(torch.zeros(1, 4), torch.tensor([2]))
    tensor(0.2500)
    """

    positive = True

    def _validate_changed_params(self):
        super()._validate_changed_params()
        self._check_positive()

    def _validate_params(self):
        super()._validate_params()
        self._check_positive()

    def _check_positive(self):
        if not self.loss.positive:
            raise ValueError(
                f"{self.loss!r} cannot be normalised: its class sum can be zero or negative. "
                f"If it is symmetric, it needs no normalisation."
            )

    def bounds(self, n_classes: int) -> tuple[float, float] | None:
        return 0.0, 1.0

    def class_sum(self, n_classes: int) -> float | None:
        return 1.0

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        losses = self.loss.class_losses(unmasked(log_p))
        return losses / losses.sum(-1, keepdim=True)

    def sample_losses(self, log_p: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        losses = self.loss.class_losses(unmasked(log_p))
        return losses.gather(-1, target.unsqueeze(-1)).squeeze(-1) / losses.sum(-1)


class NCE(Normalized, name="nce"):
    r"""Normalised cross-entropy.

    .. math:: L(p, y) = \frac{\log p_y}{\sum_k \log p_k}

    Symmetric with class sum 1. Not calibrated for three classes and more: with the label's
    class first, p = (0.3, 0.7, 1e-300) costs 0.0017 and p = (0.98, 0.01, 0.01) costs 0.0022.

    Parameters
    ----------
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    Normalized : The operator, with the caveats of normalised losses.

    References
    ----------
    .. [1] Ma, Huang, Wang, Romano, Erfani and Bailey, "Normalized Loss Functions for Deep
       Learning with Noisy Labels", ICML 2020, arXiv:2006.13554.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import NCE
    >>> NCE()(torch.zeros(1, 4), torch.tensor([2]))
    tensor(0.2500)
    """

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__(CE(), reduction=reduction)


class NFL(Normalized, name="nfl"):
    r"""Normalised focal loss.

    .. math:: L(p, y) = \frac{(1-p_y)^\gamma \log p_y}{\sum_k (1-p_k)^\gamma \log p_k}

    Symmetric with class sum 1.

    Parameters
    ----------
    gamma : float >= 0, default=0.5
        Exponent of the focal loss; the papers use 0.5.
    detach_modulator : bool, default=False
        Whether the gradient ignores the powers, as in published code, see :class:`Focal`.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    Normalized : The operator, with the caveats of normalised losses.

    References
    ----------
    .. [1] Ma, Huang, Wang, Romano, Erfani and Bailey, "Normalized Loss Functions for Deep
       Learning with Noisy Labels", ICML 2020, arXiv:2006.13554.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import NFL
    >>> NFL()(torch.zeros(1, 4), torch.tensor([2]))
    tensor(0.2500)
    """

    _parameter_constraints = {"gamma": NONNEGATIVE, "detach_modulator": ["boolean"]}

    def __init__(
        self, gamma: float = 0.5, *, detach_modulator: bool = False, reduction: str = "mean"
    ) -> None:
        Loss.__init__(self, reduction=reduction)
        self.gamma = gamma
        self.detach_modulator = detach_modulator

    @property
    def loss(self) -> Loss:
        return Focal(self.gamma, detach_modulator=self.detach_modulator)


class NGCE(Normalized, name="ngce"):
    r"""Normalised generalised cross-entropy.

    .. math:: L(p, y) = \frac{1 - p_y^q}{\sum_k (1 - p_k^q)}

    Symmetric with class sum 1.

    Parameters
    ----------
    q : float in [0, 1], default=0.1
        0 is NCE, 1 is MAE / (K - 1).
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    Normalized : The operator, with the caveats of normalised losses.

    References
    ----------
    .. [1] Ma, Huang, Wang, Romano, Erfani and Bailey, "Normalized Loss Functions for Deep
       Learning with Noisy Labels", ICML 2020, arXiv:2006.13554.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import NGCE
    >>> NGCE()(torch.zeros(1, 4), torch.tensor([2]))
    tensor(0.2500)
    """

    _parameter_constraints = {"q": UNIT}

    def __init__(self, q: float = 0.1, *, reduction: str = "mean") -> None:
        Loss.__init__(self, reduction=reduction)
        self.q = q

    @property
    def loss(self) -> Loss:
        return GCE(self.q)


class NNCE(Loss, name="nnce"):
    r"""Normalised negative cross-entropy.

    .. math::
        L(p, y) = 1 - \frac{a_y}{\sum_k a_k}, \qquad
        a_k = \max(\log p_k, \log p_{min}) - \log p_{min}

    Symmetric with class sum K - 1, between 0 and 1.

    Parameters
    ----------
    p_min : float in (0, 1), default=1e-7
        Probability below which a class has no gradient; it must be less than 1/K.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    NCE : Its active counterpart; "anl-ce" is the sum of both.

    References
    ----------
    .. [1] Ye, Wu, Yin, Zhang, Liu, Lyu and others, "Active Negative Loss Functions for
       Learning with Noisy Labels", NeurIPS 2023.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import NNCE
    >>> NNCE()(torch.zeros(1, 4), torch.tensor([2]))
    tensor(0.7500)
    """

    _parameter_constraints = {"p_min": INSIDE_UNIT}
    kinks = True

    def __init__(self, p_min: float = 1e-7, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.p_min = p_min

    def bounds(self, n_classes: int) -> tuple[float, float] | None:
        return 0.0, 1.0

    def class_sum(self, n_classes: int) -> float | None:
        return n_classes - 1.0

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        if self.p_min * log_p.shape[-1] >= 1:
            raise ValueError(
                f"p_min must be less than 1/K, or the loss is 0/0 at equal scores. Got "
                f"p_min={self.p_min} for K={log_p.shape[-1]} classes."
            )
        heights = (log_p - math.log(self.p_min)).clamp(min=0)
        return 1 - heights / heights.sum(-1, keepdim=True)

"""Symmetry of a loss: how much the sum over the classes varies, and what is left without it."""

import math

import torch
from sklearn.base import clone

from .._sklearn import validate_params
from ._loss import N_CLASSES, Loss, without_radius
from ._symmetrized import ClassMean, Symmetrized

__all__ = ["class_sum_gap", "decompose", "is_symmetric"]


def decompose(loss):
    """Split a loss into its symmetric part and the part that no label can change.

    Parameters
    ----------
    loss : Loss
        The loss to split.

    Returns
    -------
    symmetric : Symmetrized
        The part with class sum 0.
    class_insensitive : ClassMean
        The mean over the classes. Both parts add up to the loss, and up to a constant there
        is no other way to split it so.

    See Also
    --------
    class_sum_gap : How far a loss is from being symmetric.

    Examples
    --------
    >>> from robustlabels.losses import CE, decompose
    >>> decompose(CE())
    (Symmetrized(loss=CE()), ClassMean(loss=CE()))
    """
    return Symmetrized(clone(loss)), ClassMean(clone(loss))


@validate_params({"loss": [Loss], "n_classes": N_CLASSES}, prefer_skip_nested_validation=True)
def class_sum_gap(loss, n_classes):
    r"""Compute how much the class sum of a loss varies.

    Parameters
    ----------
    loss : Loss
        The loss.
    n_classes : int
        Number of classes K.

    Returns
    -------
    gap : float
        :math:`\sup_p \sum_k L(p, k) - \inf_p \sum_k L(p, k)` over all predictions; 0 for
        symmetric losses, inf where the sum has no bound.

    See Also
    --------
    is_symmetric : Whether the gap is 0.

    Notes
    -----
    Under symmetric noise of rate :math:`\eta`, the clean risk of the minimiser of the noisy risk
    exceeds the least clean risk by at most
    :math:`\eta\, \mathrm{gap} / ((K-1)(1 - \eta K/(K-1)))`. The extremes are sought among
    predictions that spread evenly over some classes, predictions with one class apart, and
    random ones; for functions of the label's probability that are convex or concave the former
    hold them exactly.

    Examples
    --------
    >>> from robustlabels.losses import GCE, MAE, class_sum_gap
    >>> class_sum_gap(MAE(), 10)
    0.0
    >>> round(class_sum_gap(GCE(q=0.5), 4), 6)
    2.0
    """
    loss = without_radius(loss)
    log_p = _predictions(n_classes)
    total = loss.class_losses(log_p).sum(-1)
    # Ever more confident predictions: does the sum go on growing?
    far = torch.full((3, n_classes), -1.0, dtype=torch.float64)
    far[:, 0] = 0
    far = torch.log_softmax(far * torch.tensor([[1e2], [1e3], [1e4]]), dim=-1)
    near, middle, end = loss.class_losses(far).sum(-1).tolist()
    if abs(end - middle) > 1e-6 * max(1.0, abs(middle)) and abs(end - middle) > abs(middle - near):
        return math.inf
    total = torch.cat([total, torch.tensor([near, middle, end], dtype=total.dtype)])
    gap = (total.max() - total.min()).item()
    return 0.0 if gap <= 1e-9 * max(1.0, total.abs().max().item()) else gap


def is_symmetric(loss, n_classes):
    """Tell whether the class sum of a loss is constant.

    Parameters
    ----------
    loss : Loss
        The loss.
    n_classes : int
        Number of classes K.

    Returns
    -------
    symmetric : bool
        Whether :func:`class_sum_gap` is 0.

    See Also
    --------
    class_sum_gap : How much the class sum varies.

    Examples
    --------
    >>> from robustlabels.losses import CE, SGCE, is_symmetric
    >>> is_symmetric(CE(), 10), is_symmetric(SGCE(), 10)
    (False, True)
    """
    return class_sum_gap(loss, n_classes) == 0


def _predictions(n_classes):
    """Return log-probabilities in all corners of the simplex where a class sum may be extreme."""
    scores = [torch.zeros(1, n_classes)]
    for n_even in {1, 2, 3, n_classes // 2, n_classes - 1}:
        if 1 <= n_even < n_classes:
            even = torch.full((1, n_classes), -1e4)
            even[0, :n_even] = 0
            scores.append(even)
    apart = torch.zeros(200, n_classes)
    apart[:, 0] = torch.linspace(-50, 50, 200)
    generator = torch.Generator().manual_seed(0)
    spread = torch.tensor([0.3, 3.0, 30.0]).repeat_interleave(300).unsqueeze(-1)
    scattered = spread * torch.randn(900, n_classes, generator=generator)
    return torch.log_softmax(torch.cat([*scores, apart, scattered]).double(), dim=-1)

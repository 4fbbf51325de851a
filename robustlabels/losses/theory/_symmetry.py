"""Symmetry of a loss: how much the class sum varies, what is left without it, what it excludes."""

import math

import torch
from numpy.typing import NDArray
from sklearn.base import clone

from ..._validation.sklearn_private import validate_params
from .._loss import (
    N_CLASSES,
    Loss,
    distinct_labels,
    permutation_witness,
    without_radius,
)
from .._symmetrized import ClassMean, Symmetrized
from ._derivatives import is_convex_on

__all__ = ["class_sum_gap", "decompose", "is_symmetric", "unhinged_violations"]


def decompose(loss: Loss) -> tuple[Symmetrized, ClassMean]:
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
    >>> from robustlabels.losses import CE
    >>> from robustlabels.losses.theory import decompose
    >>> decompose(CE())
    (Symmetrized(loss=CE()), ClassMean(loss=CE()))
    """
    return Symmetrized(clone(loss)), ClassMean(clone(loss))


@validate_params({"loss": [Loss], "n_classes": N_CLASSES}, prefer_skip_nested_validation=True)
def class_sum_gap(loss: Loss, n_classes: int) -> float:
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
    >>> from robustlabels.losses import GCE, MAE
    >>> from robustlabels.losses.theory import class_sum_gap
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


def is_symmetric(loss: Loss, n_classes: int) -> bool:
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
    >>> from robustlabels.losses import CE, SGCE
    >>> from robustlabels.losses.theory import is_symmetric
    >>> is_symmetric(CE(), 10), is_symmetric(SGCE(), 10)
    (False, True)
    """
    return class_sum_gap(loss, n_classes) == 0


@validate_params({"loss": [Loss], "n_classes": N_CLASSES}, prefer_skip_nested_validation=True)
def unhinged_violations(loss: Loss, n_classes: int) -> dict[str, NDArray]:
    r"""Say why a loss is not the unhinged one, with scores that show it.

    Parameters
    ----------
    loss : Loss
        The loss.
    n_classes : int
        Number of classes K.

    Returns
    -------
    violations : dict of str to ndarray of shape (2, n_classes)
        The properties that the loss lacks and, for each, two score vectors a and b that show it:

        - "symmetric": the class sums at a and b differ;
        - "convex": half-way between a and b the loss of a label, the first if all are alike, is
          above the mean of its values at both;
        - "permutation-invariant": b is a permutation of a, its class losses are not that of
          those of a;
        - "non-increasing": b is a with a higher score of one label, whose loss is higher, too;
        - "non-trivial": the class losses at a and b are all the same, as everywhere.

        It is empty for multiples of the unhinged loss, plus a constant, and for them alone.

    See Also
    --------
    Unhinged : The only loss without a violation.
    is_convex_on : Convexity alone.

    Notes
    -----
    The theorem is that of [1]_. The proof derived here: a symmetric loss is a constant less the
    losses of the other classes, so that it is concave if those are convex, and affine if it is
    convex, too; of affine losses only those of :class:`Unhinged` treat all classes alike. Losses
    that confine the scores to a ball are looked at without that bound.

    References
    ----------
    .. [1] Lemire Paquin, Chaib-Draa and Giguere, "Symmetrization of Loss Functions for Robust
       Training of Neural Networks in the Presence of Noisy Labels", arXiv:2605.20347.

    Examples
    --------
    >>> from robustlabels.losses import CE, MAE, Unhinged
    >>> from robustlabels.losses.theory import unhinged_violations
    >>> [list(unhinged_violations(loss, 3)) for loss in (CE(), MAE(), Unhinged())]
    [['symmetric'], ['convex'], []]
    """
    loss = without_radius(loss)
    log_p = _predictions(n_classes)
    losses = loss.class_losses(log_p)
    total = losses.sum(-1)
    violations = {
        "convex": is_convex_on(loss, n_classes, return_witness=True)[1],
        "permutation-invariant": permutation_witness(loss, n_classes),
        "non-increasing": _increase(loss, log_p),
    }
    if class_sum_gap(loss, n_classes) > 0:
        violations["symmetric"] = torch.stack(
            [log_p[total.argmin()], log_p[total.argmax()]]
        ).numpy()
    if (losses - losses[0, 0]).abs().max() <= 1e-10 * abs(losses[0, 0]):
        violations["non-trivial"] = log_p[[0, -1]].numpy()
    return {name: pair for name, pair in violations.items() if pair is not None}


def _increase(loss, log_p):
    """Seek scores of which a higher one of a label means a higher loss of it."""
    for label in distinct_labels(loss, log_p.shape[1]):
        before = loss.class_losses(log_p)[:, label]
        for step in (0.01, 0.1, 1.0):
            raised = log_p.clone()
            raised[:, label] += step
            after = loss.class_losses(torch.log_softmax(raised, dim=-1))[:, label]
            rise = after - before
            worst = rise.argmax()
            if rise[worst] > 1e-10 * max(abs(before[worst]), abs(after[worst])):
                return torch.stack([log_p[worst], raised[worst]]).numpy()
    return None


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

"""Asymmetry of a loss: the noise under which the right label still wins."""

import contextlib
import math

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import minimize

from ..._validation.sklearn_private import StrOptions
from ...noise._transitions import pair_transition, symmetric_transition
from .._loss import Loss, ProbabilityLoss, Sum
from ._arguments import checked, distinct_labels, without_radius

__all__ = ["asymmetry_ratio", "is_asymmetric", "max_tolerable_noise"]


@checked(method=[StrOptions({"auto", "numeric"})])
def asymmetry_ratio(loss: Loss, *, method: str = "auto") -> float:
    r"""Compute the asymmetry ratio of a loss.

    Parameters
    ----------
    loss : Loss
        A :class:`~robustlabels.losses.ProbabilityLoss`, a sum of them, AlphaMAE or Unhinged.
    method : {"auto", "numeric"}, default="auto"
        "auto" uses the closed form if one is known, "numeric" searches for the infimum on a grid
        if the loss is a function of the label's probability.

    Returns
    -------
    ratio : float in [0, 1]
        .. math::
            r = \inf_{0 \le u \le u + \Delta \le 1}
            \frac{\ell(u) - \ell(u + \Delta)}{\ell(0) - \ell(\Delta)}

        The loss is asymmetric on weights with :math:`w_n / w_m \le r` (Zhou and others, ICML
        2021, arXiv:2106.03110), and, if it is convex or concave, on no others.

    Raises
    ------
    ValueError
        If the loss depends on more than the label's probability and no closed form is known. Use
        :func:`is_asymmetric` with a given noise instead.

    See Also
    --------
    max_tolerable_noise : The noise rates that follow from it.

    Examples
    --------
    >>> from robustlabels.losses import AGCE
    >>> from robustlabels.losses.theory import asymmetry_ratio
    >>> round(asymmetry_ratio(AGCE(a=0.6, q=0.6)), 4)
    0.6755
    """
    if isinstance(loss, Sum):
        active = [(weight, term) for weight, term in loss._weighted() if weight != 0]
        if len(active) == 1 and active[0][0] > 0:
            return asymmetry_ratio(active[0][1], method=method)
        numeric = all(w > 0 and isinstance(term, ProbabilityLoss) for w, term in active)
        if numeric and any(asymmetry_ratio(term, method=method) == 0 for _, term in active):
            return 0.0
    else:
        numeric = isinstance(loss, ProbabilityLoss)
        if loss.asymmetry_ratio is not None and not (numeric and method == "numeric"):
            return loss.asymmetry_ratio
    if not numeric:
        raise ValueError(
            f"{loss!r} is not a function of the label's probability alone and has no asymmetry "
            f"ratio. Use is_asymmetric(loss, transition_matrix) with a given noise."
        )
    ends = _phi(loss, torch.tensor([0.0, 0.4]))
    if ends[0] > 1e3 * (1 + abs(ends[1])):
        return 0.0
    u = torch.linspace(0, 1, 4001, dtype=torch.float64)
    ratio = math.inf
    for delta in torch.logspace(-5, 0, 101, dtype=torch.float64):
        low = torch.cat([u[u <= 1 - delta], (1 - delta).reshape(1)])
        drop = _phi(loss, low) - _phi(loss, (low + delta).clamp(max=1))
        first = _phi(loss, torch.zeros(1)) - _phi(loss, delta.reshape(1))
        if first[0] > 0:
            ratio = min(ratio, (drop.min() / first[0]).item())
    return max(0.0, ratio)


@checked(transition_matrix=["array-like"])
def is_asymmetric(loss: Loss, transition_matrix: ArrayLike) -> bool:
    r"""Return whether the right label wins under a loss and a noise.

    Parameters
    ----------
    loss : Loss
        The loss.
    transition_matrix : array-like of shape (K, K)
        Noise, ``T[i, j] = P(noisy label j | true class i)``.

    Returns
    -------
    asymmetric : bool
        Whether, for each true class i, certainty of i, :math:`e_i`, minimises the expected loss
        :math:`\sum_j T_{ij} L(p, j)`. False if another label is as frequent as i.

    See Also
    --------
    max_tolerable_noise : The largest noise rate for which this holds.

    Notes
    -----
    In closed form for AMSE and for losses with an :func:`asymmetry_ratio`, otherwise by
    minimisation from many starts. A loss that fails here may still predict class i as the most
    probable one.

    Examples
    --------
    >>> from robustlabels.noise import pair_transition
    >>> from robustlabels.losses import AGCE
    >>> from robustlabels.losses.theory import is_asymmetric
    >>> [is_asymmetric(AGCE(a=0.6, q=0.6), pair_transition(10, rate)) for rate in (0.40, 0.41)]
    [True, False]
    """
    transition = np.asarray(transition_matrix, dtype=float)
    if transition.ndim != 2 or transition.shape[0] != transition.shape[1]:
        raise ValueError(f"transition_matrix must be square. Got shape {transition.shape}.")
    return all(_wins(loss, weights, label) for label, weights in enumerate(transition))


@checked(noise=[StrOptions({"symmetric", "pair"})])
def max_tolerable_noise(loss: Loss, n_classes: int, noise: str = "symmetric") -> float:
    r"""Compute the noise rate up to which the right label wins.

    Parameters
    ----------
    loss : Loss
        The loss.
    n_classes : int
        Number of classes K.
    noise : {"symmetric", "pair"}, default="symmetric"
        Kind of noise.

    Returns
    -------
    noise_rate : float
        Least upper bound of the rates at which the loss :func:`is_asymmetric`.

    See Also
    --------
    asymmetry_ratio : The number behind it for losses of the label's probability.

    Notes
    -----
    With an asymmetry ratio r it is :math:`(K-1) r / (1 + (K-1) r)` for symmetric noise and
    :math:`r / (1 + r)` for pair noise; otherwise it is found by bisection. Accuracy need not fall
    at larger rates.

    Examples
    --------
    >>> from robustlabels.losses import AEL
    >>> from robustlabels.losses.theory import max_tolerable_noise
    >>> round(max_tolerable_noise(AEL(a=1.5), 10, "pair"), 4)
    0.3392
    """
    try:
        ratio = asymmetry_ratio(loss)
    except ValueError:
        make = symmetric_transition if noise == "symmetric" else pair_transition
        labels = distinct_labels(without_radius(loss), n_classes)
        low, high = 0.0, 1.0
        for _ in range(14):
            middle = (low + high) / 2
            transition = make(n_classes, middle)
            tolerated = all(_wins(loss, transition[label], label) for label in labels)
            low, high = (middle, high) if tolerated else (low, middle)
        return low
    rivals = n_classes - 1 if noise == "symmetric" else 1
    return rivals * ratio / (1 + rivals * ratio)


def _wins(loss, weights, label):
    """Return whether certainty of a label minimises the weighted sum of class losses."""
    lead, rival = weights[label], np.delete(weights, label).max()
    if lead <= rival:
        return False
    known = loss._certainty_wins(lead, rival, weights)
    if known is not None:
        return bool(known)
    with contextlib.suppress(ValueError):
        return bool(rival <= asymmetry_ratio(loss) * lead)
    loss = without_radius(loss)
    w = torch.as_tensor(weights)
    # The limit of a normalised loss depends on the path to the corner. On the best path the
    # labels that never occur are the least probable.
    certain = -torch.tensor([25.0, 1e2, 1e3, 1e4], dtype=torch.float64).unsqueeze(-1)
    certain = torch.where(w > 0, certain, -1e12)
    certain[:, label] = 0
    values = loss.class_losses(torch.log_softmax(certain, dim=-1))
    value = (w * values).sum(-1).min().item()

    def risk(scores):
        f = torch.tensor(scores[None], requires_grad=True)
        total = (w * loss.class_losses(torch.log_softmax(f, dim=-1))).sum()
        total.backward()
        return total.item(), f.grad[0].numpy()

    starts = np.vstack([np.zeros(len(weights)), 4 * np.eye(len(weights)), np.log(weights + 1e-3)])
    found = [
        minimize(risk, start, jac=True, method="L-BFGS-B", options={"maxiter": 200})
        for start in starts
    ]
    best = min(found, key=lambda result: result.fun)
    if best.fun >= value - 1e-7 * max(1, abs(value)):
        return True
    # A loss without a lower bound keeps falling on the way to certainty.
    p = torch.softmax(torch.as_tensor(best.x), dim=-1)
    return bool(p[label] > 1 - 1e-6)


def _phi(loss, u):
    """Evaluate a loss of the label's probability at probabilities, 0 included."""
    return loss.class_losses(u.double().log().clamp(min=-1e4))

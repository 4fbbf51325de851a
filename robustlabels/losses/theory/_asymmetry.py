"""Asymmetry of a loss: the noise under which the right label still wins."""

import math

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import minimize

from ..._validation.sklearn_private import StrOptions
from ...noise._transitions import pair_transition, symmetric_transition
from .._loss import Loss
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
        "auto" uses the closed form if one is known. "numeric" computes the infimum from derivatives
        and searches on a grid, if the loss is a function of the label's probability.

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
    if loss.asymmetry_ratio is not None and method == "auto":
        return loss.asymmetry_ratio
    phi = loss._label_function(2)
    # A function that depends on the number of classes has a ratio for each of them.
    if phi is None or not _same(phi, loss._label_function(1000)):
        if loss.asymmetry_ratio is not None:
            return loss.asymmetry_ratio
        raise ValueError(
            f"{loss!r} is not a function of the label's probability alone and has no asymmetry "
            f"ratio. Use is_asymmetric(loss, transition_matrix) with a given noise."
        )
    return _infimum(phi)


def _ratio(loss, n_classes):
    """Return the asymmetry ratio for a number of classes, None if there is none."""
    if loss.asymmetry_ratio is not None:
        return loss.asymmetry_ratio
    phi = loss._label_function(n_classes)
    return None if phi is None else _infimum(phi)


def _same(phi, other):
    log_p = torch.linspace(-5, 0, 20, dtype=torch.float64)
    return torch.allclose(phi(log_p), other(log_p))


def _infimum(phi):
    """Return the asymmetry ratio of a function of the label's log-probability."""
    if torch.isinf(phi(torch.tensor([-math.inf], dtype=torch.float64))).any():
        return 0.0
    ends = phi(torch.tensor([-math.inf, 0.0], dtype=torch.float64))
    if ends[0] <= ends[1]:  # certainty costs most
        return 0.0
    # Small steps: derivatives, at 0 from points close to it. Those of expm1 vanish below exp(-36).
    small = torch.logspace(-12, 0, 1000, dtype=torch.float64)
    u = torch.cat([small, 1 - small[:-1], torch.linspace(0.001, 0.999, 999, dtype=torch.float64)])
    log_p = torch.cat([torch.tensor([-100.0, -200.0, -23.0], dtype=torch.float64), u.log()])
    (change,) = torch.autograd.grad(phi(log_p.requires_grad_()).sum(), log_p)
    slopes = (change / log_p.exp()).detach()
    before, last, _ = slopes[:3].tolist()
    ratio, first = 1.0, slopes[:3].min().item()
    if first < 0:
        if last < min(0.0, 1.9 * before):  # infinite at 0
            return 0.0
        ratio = min(ratio, (slopes[3:].max() / first).item())
    # Large steps, from a grid.
    u = torch.linspace(0, 1, 2001, dtype=torch.float64)
    for delta in torch.logspace(-5, 0, 101, dtype=torch.float64):
        low = torch.cat([u[u <= 1 - delta], (1 - delta).reshape(1)])
        drop = phi(low.log()) - phi((low + delta).clamp(max=1).log())
        whole = (phi(u[:1].log()) - phi(delta.reshape(1).log())).item()
        if whole > 1e-12:
            ratio = min(ratio, drop.min().item() / whole)
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
        Whether, for each true class i, certainty of i, :math:`e_i`, is among the minimisers of the
        expected loss :math:`\sum_j T_{ij} L(p, j)`, or its limit among the paths to an infimum that
        is not reached. There may be others. False if another label is as frequent as i.

    See Also
    --------
    max_tolerable_noise : The largest noise rate for which this holds.

    Notes
    -----
    In closed form for losses with an :func:`asymmetry_ratio`, and where a loss of the package has
    one of its own. Otherwise a search: False has a witness, a prediction of a lower expected loss;
    True means that minimisation from many starts found none. A loss that fails here may still
    predict class i as the most probable one.

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
    :math:`r / (1 + r)` for pair noise; otherwise a search by bisection finds it, to 0.01 %.
    Accuracy need not fall at larger rates.

    Examples
    --------
    >>> from robustlabels.losses import AEL
    >>> from robustlabels.losses.theory import max_tolerable_noise
    >>> round(max_tolerable_noise(AEL(a=1.5), 10, "pair"), 4)
    0.3392
    """
    rivals = n_classes - 1 if noise == "symmetric" else 1
    ratio = _ratio(loss, n_classes)
    if ratio is not None:
        return rivals * ratio / (1 + rivals * ratio)
    make = symmetric_transition if noise == "symmetric" else pair_transition
    labels = distinct_labels(without_radius(loss), n_classes)
    # At the largest rate another label is as frequent as the true one.
    low, high = 0.0, rivals / (1 + rivals)
    middle = high * (1 - 1e-6)
    for _ in range(20):
        transition = make(n_classes, middle)
        if all(_wins(loss, transition[label], label) for label in labels):
            low = middle
        else:
            high = middle
        if high - low < 1e-4 * high:
            return high
        middle = (low + high) / 2
    return low


def _wins(loss, weights, label):
    """Return whether certainty of a label minimises the weighted sum of class losses."""
    lead, rival = weights[label], np.delete(weights, label).max()
    if lead <= rival:
        return False
    known = loss._certainty_wins(lead, rival, weights)
    if known is not None:
        return bool(known)
    ratio = _ratio(loss, len(weights))
    if ratio is not None and rival > 0:
        return bool(rival <= ratio * lead)
    loss = without_radius(loss)
    w = torch.as_tensor(weights)
    # The limit of a normalised loss depends on the path to the corner. On the best path the
    # labels that never occur are the least probable. Other losses have their limit at -inf alone.
    certain = torch.tensor([-1e8, -1e12, -math.inf], dtype=torch.float64).unsqueeze(-1)
    certain = torch.where(w > 0, certain, -math.inf)
    certain[:, label] = 0
    value = _risks(loss, w, certain).min().item()
    if value == math.inf:
        return False

    def risk(scores):
        f = torch.tensor(scores[None], requires_grad=True)
        total = _risks(loss, w, f).sum()
        total.backward()
        return total.item(), f.grad[0].numpy()

    # Minimisers of tempered losses are multiples of log w.
    log_w = np.log(weights + 1e-3)
    multiples = [scale * log_w for scale in (1, 10, 1e2, 1e3, 1e4)]
    starts = np.vstack([np.zeros(len(weights)), 4 * np.eye(len(weights)), *multiples])
    found = [
        minimize(risk, start, jac=True, method="L-BFGS-B", options={"maxiter": 200})
        for start in starts
    ]
    best = min(result.fun for result in found)
    # A loss without a lower bound keeps falling, farther than the search goes.
    return bool(best >= value - 1e-7 * max(1, abs(value)))


def _risks(loss, weights, scores):
    losses = loss.class_losses(torch.log_softmax(scores, dim=-1))
    return torch.where(weights > 0, weights * losses, 0.0).sum(-1)

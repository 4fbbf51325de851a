"""Asymmetry of a loss: the noise under which the right label still wins."""

import math

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import minimize

from ..._validation.sklearn_private import StrOptions, validate_params
from ...noise._transitions import pair_transition, symmetric_transition
from .._asymmetric import (
    AEL,
    AGCE,
    AMSE,
    AUL,
)
from .._cross_entropy import (
    CE,
    GCE,
    MAE,
    RCE,
    SCE,
    Focal,
    JensenShannon,
    TaylorCE,
)
from .._loss import (
    N_CLASSES,
    Loss,
    ProbabilityLoss,
    Sum,
    distinct_labels,
    without_radius,
)
from .._symmetrized import SGCE, AlphaMAE, Symmetrized

__all__ = ["asymmetry_ratio", "is_asymmetric", "max_tolerable_noise"]

#: Asymmetry ratios in closed form: 1 for concave l(u), l'(1)/l'(0) for convex ones.
_RATIOS = {
    CE: lambda loss: 0.0,
    MAE: lambda loss: 1.0,
    RCE: lambda loss: 1.0,
    AlphaMAE: lambda loss: 1.0,
    Focal: lambda loss: 0.0,
    JensenShannon: lambda loss: 0.0,
    GCE: lambda loss: 1.0 if loss.q == 1 else 0.0,
    SCE: lambda loss: 1.0 if loss.alpha == 0 else 0.0,
    TaylorCE: lambda loss: 1 / loss.t,
    AGCE: lambda loss: (loss.a / (loss.a + 1)) ** max(0, 1 - loss.q),
    AUL: lambda loss: ((loss.a - 1) / loss.a) ** max(0, loss.p - 1),
    AEL: lambda loss: math.exp(-1 / loss.a),
}


@validate_params(
    {"loss": [Loss], "method": [StrOptions({"auto", "numeric"})]},
    prefer_skip_nested_validation=True,
)
def asymmetry_ratio(loss: Loss, *, method: str = "auto") -> float:
    r"""Compute the asymmetry ratio of a loss of the label's probability.

    Parameters
    ----------
    loss : Loss
        A :class:`ProbabilityLoss`, a sum of such, alpha-MAE or the unhinged loss.
    method : {"auto", "numeric"}, default="auto"
        "auto" takes the closed form where one is known, "numeric" seeks the infimum on a
        grid.

    Returns
    -------
    ratio : float in [0, 1]
        .. math::
            r = \inf_{0 \le u \le u + \Delta \le 1}
            \frac{\ell(u) - \ell(u + \Delta)}{\ell(0) - \ell(\Delta)}

        The loss is asymmetric on weights with :math:`w_n / w_m \le r`.

    Raises
    ------
    ValueError
        If the loss looks at more than the label's probability: :func:`is_asymmetric` decides
        for a given noise then.

    See Also
    --------
    max_tolerable_noise : The noise rates that go with it.

    References
    ----------
    .. [1] Zhou, Liu, Jiang, Gao and Ji, "Asymmetric Loss Functions for Learning with Noisy
       Labels", ICML 2021, arXiv:2106.03110.

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
        known = all(w > 0 and isinstance(term, ProbabilityLoss) for w, term in active)
        if known and any(asymmetry_ratio(term, method=method) == 0 for _, term in active):
            return 0.0
    else:
        known = isinstance(loss, ProbabilityLoss)
        if method == "auto" and type(loss) in _RATIOS:
            return _RATIOS[type(loss)](loss)
        if _is_unhinged(loss):
            # Its minimisers lie at infinity, where the softmax is certain of the largest weight.
            return 1.0
    if not known:
        raise ValueError(
            f"{loss!r} is no function of the label's probability alone and has no asymmetry "
            f"ratio. Ask is_asymmetric(loss, transition_matrix) for a noise you have in mind."
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


@validate_params(
    {"loss": [Loss], "transition_matrix": ["array-like"]}, prefer_skip_nested_validation=True
)
def is_asymmetric(loss: Loss, transition_matrix: ArrayLike) -> bool:
    r"""Tell whether the right label wins under a loss and a noise.

    Parameters
    ----------
    loss : Loss
        The loss.
    transition_matrix : array-like of shape (K, K)
        Noise, ``T[i, j] = P(noisy label j | true class i)``.

    Returns
    -------
    asymmetric : bool
        Whether, for each true class i, the prediction that minimises the expected loss
        :math:`\sum_j T_{ij} L(p, j)` is :math:`e_i`: certain of i; False where
        another label is as frequent as i.

    See Also
    --------
    max_tolerable_noise : The largest noise rate for which this holds.

    Notes
    -----
    In closed form for losses with an :func:`asymmetry_ratio`, where the condition
    :math:`T_{in} / T_{ii} \le r` is also necessary for convex and concave functions of the
    probability, and for AMSE; else by minimisation from many starts. A loss that fails here
    may still predict class i as the most probable one.

    Examples
    --------
    >>> from robustlabels import pair_transition
    >>> from robustlabels.losses import AGCE
    >>> from robustlabels.losses.theory import is_asymmetric
    >>> is_asymmetric(AGCE(a=0.6, q=0.6), pair_transition(10, 0.40))
    True
    >>> is_asymmetric(AGCE(a=0.6, q=0.6), pair_transition(10, 0.41))
    False
    """
    transition = np.asarray(transition_matrix, dtype=float)
    if transition.ndim != 2 or transition.shape[0] != transition.shape[1]:
        raise ValueError(f"transition_matrix must be square. Got shape {transition.shape}.")
    return all(_wins(loss, weights, label) for label, weights in enumerate(transition))


@validate_params(
    {
        "loss": [Loss],
        "n_classes": N_CLASSES,
        "family": [StrOptions({"symmetric", "pair"})],
    },
    prefer_skip_nested_validation=True,
)
def max_tolerable_noise(loss: Loss, n_classes: int, family: str = "symmetric") -> float:
    r"""Compute the noise rate up to which the right label wins.

    Parameters
    ----------
    loss : Loss
        The loss.
    n_classes : int
        Number of classes K.
    family : {"symmetric", "pair"}, default="symmetric"
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
    :math:`r / (1 + r)` for pair noise; else it is found by bisection. It is about predictions
    that are certain: a smaller number does not say that accuracy falls there.

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
        make = {"symmetric": symmetric_transition, "pair": pair_transition}[family]
        labels = distinct_labels(without_radius(loss), n_classes)
        low, high = 0.0, 1.0
        for _ in range(14):
            middle = (low + high) / 2
            transition = make(n_classes, middle)
            tolerated = all(_wins(loss, transition[label], label) for label in labels)
            low, high = (middle, high) if tolerated else (low, middle)
        return low
    rivals = n_classes - 1 if family == "symmetric" else 1
    return rivals * ratio / (1 + rivals * ratio)


def _wins(loss, weights, label):
    """Tell whether certainty of a label minimises the weighted sum of class losses."""
    lead = weights[label]
    rival = np.delete(weights, label).max()
    if lead <= rival:
        return False
    if isinstance(loss, AMSE):
        return bool(loss.a * (lead - rival) >= weights.sum())
    if isinstance(loss, SGCE) and 0 < loss.q < 1:
        return bool(rival <= weights.mean())
    try:
        return bool(rival <= asymmetry_ratio(loss) * lead)
    except ValueError:
        pass
    loss = without_radius(loss)
    w = torch.as_tensor(weights)
    # Normalised losses have different limits along different ways into the corner. On the best
    # way, labels that never occur are the most unlikely.
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
    # A loss without a lower bound falls further on the way to certainty.
    p = torch.softmax(torch.as_tensor(best.x), dim=-1)
    return bool(p[label] > 1 - 1e-6)


def _is_unhinged(loss):
    """Tell whether a loss is the unhinged one, under whichever name."""
    if not isinstance(loss, Symmetrized):
        return False
    base = loss.loss
    return isinstance(base, CE) or (isinstance(base, GCE) and base.q == 0)


def _phi(loss, u):
    """Evaluate a loss of the label's probability at probabilities, 0 included."""
    log_u = u.double().log().clamp(min=-1e4)
    if isinstance(loss, Sum):
        return sum(weight * term.phi(log_u) for weight, term in loss._weighted())
    return loss.phi(log_u)

"""What theory says of a loss, as numbers: symmetry, asymmetry, gain, smoothness.

Everything here is computed in float64 on the CPU from ``class_losses``, in closed form where one is
known. Losses that confine the scores to a ball are looked at without that bound.
"""

import math
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import torch
from scipy.optimize import minimize
from sklearn.base import clone

from .._sklearn import Interval, StrOptions, validate_params
from ..noise import pair_transition, symmetric_transition
from ._asymmetric import AEL, AGCE, AMSE, AUL
from ._cross_entropy import CE, GCE, MAE, RCE, SCE, Focal, JensenShannon, TaylorCE
from ._loss import Loss, ProbabilityLoss, Sum
from ._symmetrized import SGCE, AlphaMAE, ClassMean, Symmetrized

__all__ = [
    "LossProperties",
    "asymmetry_ratio",
    "class_sum_gap",
    "decompose",
    "initial_gain",
    "is_asymmetric",
    "is_symmetric",
    "max_tolerable_noise",
    "properties",
    "smoothness",
]

_N_CLASSES = [Interval(Integral, 2, None, closed="left")]


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


@validate_params({"loss": [Loss], "n_classes": _N_CLASSES}, prefer_skip_nested_validation=True)
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
    loss = _free(loss)
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


@validate_params({"loss": [Loss], "n_classes": _N_CLASSES}, prefer_skip_nested_validation=True)
def initial_gain(loss, n_classes):
    r"""Compute how strongly a loss pulls at the start of a training.

    Parameters
    ----------
    loss : Loss
        The loss.
    n_classes : int
        Number of classes K.

    Returns
    -------
    gain : float
        The c in :math:`L(f, y) \approx const + c (\bar f - f_y)` near equal scores; 1 for the
        cross-entropy and the unhinged loss, 1/K for MAE.

    See Also
    --------
    properties : This and all other properties.

    Notes
    -----
    Near equal scores every loss that treats all classes alike is the unhinged loss times this
    number. Under plain gradient descent it multiplies the learning rate; Adam and its kin
    divide it out again.

    Examples
    --------
    >>> from robustlabels.losses import GCE, initial_gain
    >>> round(initial_gain(GCE(q=0.5), 100), 6)
    0.1
    """
    scores = torch.zeros(1, n_classes, dtype=torch.float64, requires_grad=True)
    value = _free(loss).class_losses(torch.log_softmax(scores, dim=-1))[0, 0]
    (gradient,) = torch.autograd.grad(value, scores)
    return -gradient[0, 0].item() * n_classes / (n_classes - 1)


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
def asymmetry_ratio(loss, *, method="auto"):
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
    >>> from robustlabels.losses import AGCE, asymmetry_ratio
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
def is_asymmetric(loss, transition_matrix):
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
    >>> from robustlabels.losses import AGCE, is_asymmetric
    >>> is_asymmetric(AGCE(a=0.6, q=0.6), pair_transition(10, 0.40))
    True
    >>> is_asymmetric(AGCE(a=0.6, q=0.6), pair_transition(10, 0.41))
    False
    """
    transition = np.asarray(transition_matrix, dtype=float)
    if transition.ndim != 2 or transition.shape[0] != transition.shape[1]:
        raise ValueError(f"transition_matrix must be square. Got shape {transition.shape}.")
    return all(_wins(loss, weights, label) for label, weights in enumerate(transition))


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
    loss = _free(loss)
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


@validate_params(
    {
        "loss": [Loss],
        "n_classes": _N_CLASSES,
        "family": [StrOptions({"symmetric", "pair"})],
    },
    prefer_skip_nested_validation=True,
)
def max_tolerable_noise(loss, n_classes, family="symmetric"):
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
    >>> from robustlabels.losses import AEL, max_tolerable_noise
    >>> round(max_tolerable_noise(AEL(a=1.5), 10, "pair"), 4)
    0.3392
    """
    try:
        ratio = asymmetry_ratio(loss)
    except ValueError:
        make = {"symmetric": symmetric_transition, "pair": pair_transition}[family]
        low, high = 0.0, 1.0
        for _ in range(14):
            middle = (low + high) / 2
            # All rows of these matrices are alike: the first stands for them.
            tolerated = _wins(loss, make(n_classes, middle)[0], 0)
            low, high = (middle, high) if tolerated else (low, middle)
        return low
    rivals = n_classes - 1 if family == "symmetric" else 1
    return rivals * ratio / (1 + rivals * ratio)


@validate_params(
    {
        "loss": [Loss],
        "n_classes": _N_CLASSES,
        "score_bound": [Interval(Real, 0, None, closed="neither"), None],
    },
    prefer_skip_nested_validation=True,
)
def smoothness(loss, n_classes, score_bound=None):
    r"""Compute the smoothness constant of a loss.

    Parameters
    ----------
    loss : Loss
        The loss.
    n_classes : int
        Number of classes K.
    score_bound : float > 0 or None, default=None
        Largest absolute score; None is no bound.

    Returns
    -------
    beta : float
        :math:`\sup_f \lVert \nabla^2_f L(f, y) \rVert_2`. Gradient descent on the scores is
        safe with steps up to 1/beta.

    See Also
    --------
    properties : This and all other properties.

    Notes
    -----
    Found by maximisation over scores of three levels: the label's, those of some other
    classes, and those of the rest. It is a lower bound, which meets the known constants: 1/2
    for the cross-entropy, :math:`1 / (3 \sqrt 3)` for MAE, :math:`\alpha / (3 \sqrt 3)` for
    alpha-MAE, 0 for the unhinged loss. For SGCE and three classes and more it does not vanish
    as q does, but tends to :math:`(1 - 1/K) / 2` at least, unless the scores are bounded.

    Examples
    --------
    >>> from robustlabels.losses import MAE, smoothness
    >>> round(smoothness(MAE(), 3), 4)
    0.1925
    """
    loss = _free(loss)
    # Levels: the label at `lead` against some classes at 0, the rest `gap` below the higher one.
    far = np.array([15.0, 50.0, 300.0, 3000.0, 3e4])
    leads = np.concatenate([-far, np.linspace(-8, 8, 65), far])
    gaps = np.concatenate([[0, 0.5, 1, 2, 3, 5, 8], far])
    grid = np.array(np.meshgrid(leads, gaps)).reshape(2, -1).T
    widest = math.inf if score_bound is None else 2 * score_bound

    def curvature(levels, n_active):
        lead, gap = torch.as_tensor(levels.T)
        scores = (lead.clamp(min=0) - gap.abs()).unsqueeze(-1).repeat(1, n_classes)
        scores[:, 0] = lead
        scores[:, 1 : 1 + n_active] = 0
        width = scores.amax(-1) - scores.amin(-1)
        norms = torch.linalg.matrix_norm(_hessians(loss, scores), 2)
        return torch.where(width <= widest * (1 + 1e-12), norms, 0.0).detach().numpy()

    found = []
    for n_active in {1, 2, (n_classes - 1) // 2, n_classes - 1} & set(range(1, n_classes)):
        values = curvature(grid, n_active)
        found += [(v, n_active, x) for v, x in zip(values, grid, strict=True)]
    found.sort(key=lambda entry: -entry[0])
    best = found[0][0]
    for _, n_active, start in found[:4]:
        peak = minimize(
            lambda x, n=n_active: -curvature(x[None], n)[0],
            start,
            method="Nelder-Mead",
            options={"maxiter": 200, "xatol": 1e-6, "fatol": 1e-9},
        )
        best = max(best, -peak.fun)
    return float(best)


@dataclass(frozen=True)
class LossProperties:
    """All properties of a loss for a number of classes.

    Parameters
    ----------
    loss : str
        The loss, as it prints.
    n_classes : int
        Number of classes K.
    symmetric : bool
        See :func:`is_symmetric`.
    class_sum_gap : float
        See :func:`class_sum_gap`.
    initial_gain : float
        See :func:`initial_gain`.
    max_symmetric_noise : float
        See :func:`max_tolerable_noise`.
    max_pair_noise : float
        See :func:`max_tolerable_noise`.
    smoothness : float
        See :func:`smoothness`.
    has_inverse_link : bool
        Whether :meth:`Loss.inverse_link` turns its minimiser into class probabilities.

    See Also
    --------
    properties : Computes them.

    Examples
    --------
    >>> from robustlabels.losses import MAE, properties
    >>> properties(MAE(), 10).symmetric
    True
    """

    loss: str
    n_classes: int
    symmetric: bool
    class_sum_gap: float
    initial_gain: float
    max_symmetric_noise: float
    max_pair_noise: float
    smoothness: float
    has_inverse_link: bool


def properties(loss, n_classes):
    """Compute all properties of a loss for a number of classes.

    Parameters
    ----------
    loss : Loss
        The loss.
    n_classes : int
        Number of classes K.

    Returns
    -------
    record : LossProperties
        The properties.

    See Also
    --------
    LossProperties : What they mean.

    Examples
    --------
    >>> from robustlabels.losses import MAE, properties
    >>> round(properties(MAE(), 10).max_symmetric_noise, 3)
    0.9
    """
    gap = class_sum_gap(loss, n_classes)
    return LossProperties(
        loss=repr(loss),
        n_classes=n_classes,
        symmetric=gap == 0,
        class_sum_gap=gap,
        initial_gain=initial_gain(loss, n_classes),
        max_symmetric_noise=max_tolerable_noise(loss, n_classes, "symmetric"),
        max_pair_noise=max_tolerable_noise(loss, n_classes, "pair"),
        smoothness=smoothness(loss, n_classes),
        has_inverse_link=_has_inverse_link(loss),
    )


def _has_inverse_link(loss):
    try:
        loss.inverse_link(torch.full((1, 2), 0.5))
    except ValueError:
        return False
    return True


def _free(loss):
    """Copy a loss without the bounds on its scores."""
    loss = clone(loss)
    loss._validate_params()
    radii = [name for name in loss.get_params() if name.split("__")[-1] == "radius"]
    return loss.set_params(**dict.fromkeys(radii))


def _hessians(loss, scores):
    """Compute the Hessian matrices of the loss of class 0 at rows of scores."""
    scores = scores.requires_grad_()
    value = loss.class_losses(torch.log_softmax(scores, dim=-1))[:, 0].sum()
    (gradient,) = torch.autograd.grad(value, scores, create_graph=True)
    if not gradient.requires_grad:  # linear in the scores
        return torch.zeros(*scores.shape, scores.shape[1], dtype=scores.dtype)
    rows = [
        torch.autograd.grad(column.sum(), scores, retain_graph=True)[0]
        for column in gradient.unbind(-1)
    ]
    return torch.stack(rows, dim=-2)


def _phi(loss, u):
    """Evaluate a loss of the label's probability at probabilities, 0 included."""
    log_u = u.double().log().clamp(min=-1e4)
    if isinstance(loss, Sum):
        return sum(weight * term.phi(log_u) for weight, term in loss._weighted())
    return loss.phi(log_u)


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

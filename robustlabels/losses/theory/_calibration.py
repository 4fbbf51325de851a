"""Classification calibration: whether a low risk of a loss means few errors, and how few."""

from typing import Any

import numpy as np
import torch
from scipy.optimize import brentq

from .._loss import NONNEGATIVE, Loss
from ._arguments import checked, permutation_witness

__all__ = ["excess_risk_bound", "is_classification_calibrated"]


@checked(return_witness=["boolean"])
def is_classification_calibrated(
    loss: Loss, n_classes: int, *, return_witness: bool = False
) -> Any:
    r"""Return whether minimising a loss means predicting the most probable class.

    Parameters
    ----------
    loss : Loss
        The loss. It must treat all classes equally.
    n_classes : int
        Number of classes K.
    return_witness : bool, default=False
        Whether to return also a prediction that shows that the loss is not calibrated.

    Returns
    -------
    calibrated : bool or None
        Whether, for all class probabilities w with a most probable class, every prediction of
        another class has an expected loss :math:`\sum_k w_k L(f, k)` above the minimum. True means
        that the conditions of a theorem hold, as far as random scores show, False that there is a
        witness, None that neither was found.
    witness : ndarray of shape (2, n_classes) or None
        Class probabilities w, the first class the most probable, and scores f that predict another
        class with the least expected loss, up to a millionth. None if there is no witness.
        Only with ``return_witness=True``.

    Raises
    ------
    ValueError
        If the loss does not treat all classes equally.

    See Also
    --------
    excess_risk_bound : How many errors an excess risk can mean.

    Notes
    -----
    A network that minimises a loss without calibration can predict wrong classes, however many
    samples it learns from. The theorem: exchanging two scores shows that a wrong class costs more,
    if a higher score always means a lower loss; the minimum is attained, if the loss is continuous
    up to the boundary of the simplex, as the loss says (`continuous`). The order is checked at 200
    random scores. The witness comes from a search among class probabilities of three levels and
    scores of three. A radius of the loss is kept: without one, the unhinged loss is not calibrated.

    Examples
    --------
    >>> from robustlabels.losses import CE, NCE
    >>> from robustlabels.losses.theory import is_classification_calibrated
    >>> [is_classification_calibrated(loss, 3) for loss in (CE(), NCE(), NCE() + CE())]
    [True, False, None]
    """
    _check_invariant(loss, n_classes)
    rng = np.random.RandomState(0)
    # The best class, a rival, and equal others, of which none is better than the first.
    weights = rng.dirichlet(np.ones(min(n_classes, 3)), size=200)
    n_rest = n_classes - 2
    if n_rest:
        weights = np.hstack([weights[:, :2], np.repeat(weights[:, 2:] / n_rest, n_rest, axis=1)])
    weights = weights[weights[:, 0] - weights[:, 1:].max(1) > 0.02]
    calibrated, witness = _orders(loss, n_classes), None
    if not calibrated:
        gaps, scores, gain = _gaps(loss, torch.as_tensor(weights.copy()), 1, n_classes - 2)
        worst = gaps.argmin()
        if gaps[worst] <= 1e-6 * gain:
            calibrated, witness = False, np.stack([weights[worst], scores[worst].numpy()])
    return (calibrated, witness) if return_witness else calibrated


def _orders(loss, n_classes):
    """Return True if the loss is continuous, and a higher score always means a lower loss.

    A swap of two scores then lowers the risk of every prediction of a less probable class, and a
    step from a tie does. None if this is not known.
    """
    if not loss.continuous or loss.kinks:
        return None
    generator = torch.Generator().manual_seed(0)
    size = torch.logspace(-1, 2, 200, dtype=torch.float64).unsqueeze(-1)
    scores = size * torch.randn(200, n_classes, generator=generator, dtype=torch.float64)
    scores[::2, 1] = scores[::2, 0]
    scores.requires_grad_()
    losses = loss.class_losses(torch.log_softmax(scores, dim=-1))
    (slope,) = torch.autograd.grad((losses[:, 0] - losses[:, 1]).sum(), scores)
    lead, cost = (scores[:, 0] - scores[:, 1]).detach(), (losses[:, 0] - losses[:, 1]).detach()
    # Where both classes have hardly any probability nothing is left of the differences.
    seen = torch.softmax(scores, dim=-1)[:, :2].detach().amax(-1) > 1e-6
    ordered = torch.where(lead == 0, slope[:, 0] < slope[:, 1], lead * cost < 0)
    return True if ordered[seen].all() else None


@checked(excess=NONNEGATIVE)
def excess_risk_bound(loss: Loss, n_classes: int, excess: float) -> float:
    r"""Bound the excess error rate of a classifier by its excess risk.

    Parameters
    ----------
    loss : Loss
        The loss. It must treat all classes equally.
    n_classes : int
        Number of classes K.
    excess : float >= 0
        Mean loss of the classifier minus the least that any function of the features can have.

    Returns
    -------
    bound : float in [0, 1]
        Bound on its error rate minus that of the best classifier. 1 where there is none, as for
        losses that are not calibrated. Where it is searched, 0.005 stands for smaller bounds.

    Raises
    ------
    ValueError
        If the loss does not treat all classes equally.

    See Also
    --------
    is_classification_calibrated : Whether the bound falls to 0 with the excess.

    Notes
    -----
    The bound is :math:`\psi^{-1}(\mathrm{excess})`, where :math:`\psi(\varepsilon)` is the convex
    hull of the least excess of a prediction of a class that is less probable by
    :math:`\varepsilon` than the most probable one [1]_ [2]_. It is exact for MAE and its
    multiples, linear between the points :math:`(1 / (n (n+1)), 1/n)`, n = 1, ..., K - 1, and K
    times the excess below them;
    and for the cross-entropy, at most :math:`\sqrt{2\, \mathrm{excess}}`. For other losses it is
    a search: over problems with n equally probable best classes, for all n, and one other class or
    all others, and scores of four levels. Its steps can make the bound a few per cent larger, or a
    thousandth smaller. Both risks are those of one distribution. To bound clean error rates by
    noisy ones, under symmetric noise of rate :math:`\eta`, divide by :math:`1 - \eta K / (K-1)`.

    References
    ----------
    .. [1] Zhou, Liu, Jiang, Gao and Ji, "Asymmetric Loss Functions for Learning with Noisy
       Labels", ICML 2021, arXiv:2106.03110.
    .. [2] Bartlett, Jordan and McAuliffe, "Convexity, Classification, and Risk Bounds", Journal
       of the American Statistical Association 101(473), 2006.

    Examples
    --------
    >>> from robustlabels.losses import CE, MAE
    >>> from robustlabels.losses.theory import excess_risk_bound
    >>> [round(excess_risk_bound(loss, 3, 0.02), 2) for loss in (MAE(), CE())]
    [0.06, 0.2]
    """
    _check_invariant(loss, n_classes)
    steps = np.geomspace(0.005, 1, 71)
    psi = loss._least_excess(steps, n_classes)
    if psi is not None:
        return _inverse(lambda error: loss._least_excess(error, n_classes), excess)
    found = [(0.0, 0.0)]
    for n_leading, n_others in _numbers_of_classes(n_classes):
        rows, errors = _extreme_rows(n_leading, n_others, n_classes, steps)
        gaps, _, gain = _gaps(loss, torch.as_tensor(rows), n_leading, n_others)
        gaps = torch.where(gaps > 1e-6 * gain, gaps, 0.0)  # smaller ones are rounding errors
        found += zip(errors, gaps.tolist(), strict=True)
    found.sort()
    errors, gaps = np.array(found).T
    steps = np.unique(np.append(steps, errors[1:]))
    psi = np.interp(steps, *_convex_hull(errors, gaps))
    after = np.searchsorted(psi, excess, side="right")
    if after == len(psi):
        return 1.0
    if after == 0:
        return float(steps[0])
    # Between steps the error grows at most as the root of the excess, so this is no smaller.
    around = slice(after - 1, after + 1)
    return float(np.interp(np.sqrt(excess), np.sqrt(psi[around]), steps[around]))


def _inverse(psi, excess):
    """Return where an increasing function of errors from 0 to 1 has a value."""
    if excess >= psi(1.0):
        return 1.0
    return float(brentq(lambda error: psi(error) - excess, 0.0, 1.0, xtol=1e-14))


def _numbers_of_classes(n_classes):
    """Yield numbers of leading classes, and of others that have some probability.

    One other class, or all.
    """
    for n_leading in range(1, n_classes):
        n_rest = n_classes - n_leading - 1
        for n_others in {min(1, n_rest), n_rest}:
            yield n_leading, n_others


def _extreme_rows(n_leading, n_others, n_classes, steps):
    """Return class probabilities, and by how much the last of the leading classes leads its rival.

    The first classes are equally probable, the next one is the rival, and the others are equal. The
    rest have no probability. Many leading classes cost least where the rival has none, too.
    """
    if n_leading > 1:
        steps = np.array([0.3, 0.5, 0.65, 0.8, 0.9, 0.97, 1.0]) / n_leading
    rows, errors = [], []
    rest = [0.0] * (n_classes - n_leading - 1 - n_others)
    for step in steps:
        highest = (1 + step) / (n_leading + 1)
        lowest = max(step, (1 + step) / (n_leading + 1 + n_others))
        for lead in [highest] if n_others == 0 else np.linspace(lowest, highest, 4):
            left = max(0.0, 1 + step - (n_leading + 1) * lead)
            others = [left / n_others] * n_others if n_others else []
            rows.append([lead] * n_leading + [max(0.0, lead - step)] + others + rest)
            errors.append(step)
    return np.array(rows), errors


def _check_invariant(loss, n_classes):
    if permutation_witness(loss, n_classes) is not None:
        raise ValueError(
            f"{loss!r} does not treat all classes equally. Whether it leads to the right class "
            f"depends on the noise that it is made for."
        )


def _gaps(loss, weights, n_leading, n_others):
    """Return the least excess risk of predicting the class after the leading ones, for each row.

    Also the scores that have it, and the largest excess risk of equal scores. A search over scores
    of four levels: of the first class, the other leading ones, their rival, and the others. The
    rest of the classes have no probability, and hardly any by the scores.
    """
    n_classes = weights.shape[1]
    sizes = [1, n_leading - 1, 1, n_others, n_classes - n_leading - 1 - n_others]
    free = [i for i in (1, 2, 3) if sizes[i]]
    line = torch.tensor([-1e9, -30, -6, -2, -0.7, -0.2, 0, 0.2, 0.7, 2, 6, 30, 1e9]).double()
    grid = torch.cartesian_prod(*[line] * len(free)).view(-1, len(free))

    def scores_of(levels):
        each = torch.zeros(*levels.shape[:-1], 5, dtype=torch.float64)
        each[..., free] = levels
        each[..., 4] = -1e9
        return each.repeat_interleave(torch.tensor(sizes), dim=-1)

    def rival_first(levels):
        # Ahead by a little: a loss may have a jump at ties.
        levels, rival = levels.clone(), free.index(2)
        highest = levels[..., [i for i in range(len(free)) if i != rival]]
        highest = highest.amax(-1).clamp(min=0) if len(free) > 1 else torch.zeros(levels.shape[:-1])
        ahead = highest + 1e-9 * (1 + highest.abs())
        levels[..., rival] = torch.maximum(levels[..., rival], ahead)
        return levels

    def losses_of(levels):
        scores = scores_of(levels)
        log_p = torch.log_softmax(scores.view(-1, n_classes), dim=-1)
        return loss.class_losses(log_p).reshape(scores.shape)

    def least(allowed):
        levels = allowed(grid)
        risk, best = (weights @ losses_of(levels).T).min(1)
        levels = levels[best]
        # Descend from the best grid point, one level at a time, with steps that find their size.
        step = torch.full((len(weights), 1, 1), 0.5, dtype=torch.float64)
        ways = torch.cat([torch.eye(len(free)), -torch.eye(len(free)), torch.ones(1, len(free)),
                          -torch.ones(1, len(free))]).double()  # fmt: skip
        for _ in range(60):
            tried = allowed(levels[:, None] + step * ways)
            values = (losses_of(tried) * weights[:, None]).sum(-1)
            value, way = values.min(1)
            better = value < risk
            risk = torch.where(better, value, risk)
            moved = tried[torch.arange(len(tried)), way]
            levels = torch.where(better[:, None], moved, levels)
            step = torch.where(better[:, None, None], 2 * step, step / 2)
        return risk, levels

    best, _ = least(lambda levels: levels)
    wrong, levels = least(rival_first)
    # The search for a wrong prediction may come closer to the infimum than the other.
    best = torch.minimum(best, wrong)
    equal = (losses_of(torch.zeros(1, len(free), dtype=torch.float64)) * weights).sum(-1)
    return wrong - best, scores_of(levels), (equal - best).max()


def _convex_hull(x, y):
    """Return the corners of the largest convex function below the points, x in ascending order."""
    hull: list[int] = []
    for i in range(len(x)):
        while hull and x[hull[-1]] == x[i] and y[hull[-1]] >= y[i]:
            hull.pop()
        if hull and x[hull[-1]] == x[i]:
            continue
        while len(hull) > 1:
            a, b = hull[-2], hull[-1]
            if (y[b] - y[a]) * (x[i] - x[a]) < (y[i] - y[a]) * (x[b] - x[a]):
                break
            hull.pop()
        hull.append(i)
    return x[hull], y[hull]

"""Classification calibration: whether a low risk of a loss means few errors, and how few."""

from typing import Any

import numpy as np
import torch

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
    calibrated : bool
        Whether, for all class probabilities w with a most probable class, every prediction of
        another class has an expected loss :math:`\sum_k w_k L(f, k)` above the minimum.
    witness : ndarray of shape (2, n_classes) or None
        Class probabilities w, the first class the most probable, and scores f that predict another
        class with the least expected loss, up to a millionth. None if the loss is calibrated.
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
    samples it learns from. Asymmetric losses are calibrated (Zhou and others, ICML 2021). The
    witness is searched among class probabilities and scores of four levels; finding none proves
    nothing. A radius of the loss is kept: without one, the unhinged loss is not calibrated.

    Examples
    --------
    >>> from robustlabels.losses import CE, NCE
    >>> from robustlabels.losses.theory import is_classification_calibrated
    >>> [is_classification_calibrated(loss, 3) for loss in (CE(), NCE(), NCE() + CE())]
    [True, False, True]
    """
    _check_invariant(loss, n_classes)
    rng = np.random.RandomState(0)
    weights = rng.dirichlet(np.ones(min(n_classes, 4)), size=80)
    weights = np.sort(_spread(weights, n_classes), axis=1)[:, ::-1]
    weights = weights[weights[:, 0] - weights[:, 1] > 0.02]
    # Any class may be the rival.
    for row in weights:
        rng.shuffle(row[1:])
    gaps, scores, gain = _gaps(loss, torch.as_tensor(weights.copy()))
    worst = gaps.argmin()
    witness = None
    if gaps[worst] <= 1e-6 * gain:
        witness = np.stack([weights[worst], scores[worst].numpy()])
    return (witness is None, witness) if return_witness else witness is None


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
    bound : float in [0.01, 1]
        Bound on its error rate minus that of the best classifier, to about 1 %. 1 where there is
        none, as for losses that are not calibrated; 0.01 stands for smaller bounds.

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
    :math:`\varepsilon` than the most probable one [1]_ [2]_. For MAE it is K times the excess, for
    the cross-entropy about :math:`\sqrt{2\, \mathrm{excess}}`. Both risks are those of one
    distribution. To bound clean error rates by noisy ones, under symmetric noise of rate
    :math:`\eta`, divide by :math:`1 - \eta K / (K-1)`.

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
    weights, steps = [], np.geomspace(0.01, 1, 41)
    for step in steps:
        # The best class, the rival, a third class, and the rest.
        for lead in np.linspace(max(step, (1 + step) / n_classes), (1 + step) / 2, 9):
            left = 1 - 2 * lead + step
            for share in (0.0, 0.3, 1.0):
                row = np.array([lead, lead - step, share * left, (1 - share) * left])
                row = _spread(row[None, : min(n_classes, 4)], n_classes)[0]
                if abs(row.sum() - 1) < 1e-9 and row.max() <= lead + 1e-12:
                    weights.append(np.append(row, step))
    weights = np.array(weights)
    gaps, _, gain = _gaps(loss, torch.as_tensor(weights[:, :-1].copy()))
    gaps = torch.where(gaps > 1e-6 * gain, gaps, 0.0)  # smaller ones are rounding errors
    least = np.array([gaps[np.isclose(weights[:, -1], step)].min().item() for step in steps])
    psi = _convex_hull(np.append(0, steps), np.append(0, least))[1:]
    after = np.searchsorted(psi, excess, side="right")
    if after == len(psi):
        return 1.0
    around = slice(max(after - 1, 0), after + 1)
    return float(np.interp(excess, psi[around], steps[around]))


def _check_invariant(loss, n_classes):
    if permutation_witness(loss, n_classes) is not None:
        raise ValueError(
            f"{loss!r} does not treat all classes equally. Whether it leads to the right class "
            f"depends on the noise that it is made for."
        )


def _spread(levels, n_classes):
    """Split the last of four levels evenly among all remaining classes."""
    if n_classes <= 4:
        return levels
    rest = levels[:, 3:] / (n_classes - 3)
    return np.hstack([levels[:, :3], np.repeat(rest, n_classes - 3, axis=1)])


def _gaps(loss, weights):
    """Return the least excess risk of predicting the second class, for each row of `weights`.

    Also the scores that have it, and the largest excess risk of equal scores.
    """
    n_levels = min(weights.shape[1], 4) - 1
    far = torch.tensor([50.0, 300.0, 1e4, 1e6, 1e9], dtype=torch.float64)
    near = torch.linspace(-12, 12, {1: 241, 2: 33, 3: 13}[n_levels], dtype=torch.float64)
    line = torch.cat([-far.flip(0), near, far])
    grid = torch.cartesian_prod(*[line] * n_levels).view(-1, n_levels)

    def rival_first(levels):
        levels = levels.clone()
        levels[..., 0] = levels.amax(-1).clamp(min=0)
        return levels

    def scores_of(levels):
        scores = torch.zeros(*levels.shape[:-1], weights.shape[1], dtype=torch.float64)
        scores[..., 1:] = levels[..., -1:]
        scores[..., 1 : 1 + n_levels] = levels
        return scores

    def losses_of(levels):
        scores = scores_of(levels)
        log_p = torch.log_softmax(scores.view(-1, weights.shape[1]), dim=-1)
        return loss.class_losses(log_p).view(scores.shape)

    def least(allowed):
        levels = allowed(grid)
        risk, best = (weights @ losses_of(levels).T).min(1)
        levels = levels[best]
        # Descend from the best grid point, one level at a time.
        step = torch.full((len(weights), 1, 1), 0.5, dtype=torch.float64)
        ways = torch.cat([torch.eye(n_levels), -torch.eye(n_levels)]).double()
        for _ in range(60):
            tried = allowed(levels[:, None] + step * ways)
            values = (losses_of(tried) * weights[:, None]).sum(-1)
            value, way = values.min(1)
            better = value < risk
            risk = torch.where(better, value, risk)
            moved = tried[torch.arange(len(tried)), way]
            levels = torch.where(better[:, None], moved, levels)
            step = torch.where(better[:, None, None], step, step / 2)
        return risk, levels

    best, _ = least(lambda levels: levels)
    wrong, levels = least(rival_first)
    equal = (losses_of(torch.zeros(1, n_levels, dtype=torch.float64)) * weights).sum(-1)
    return wrong - best, scores_of(levels), (equal - best).max()


def _convex_hull(x, y):
    """Return the largest convex function below the points (x, y), at x in ascending order."""
    hull = [0]
    for i in range(1, len(x)):
        while len(hull) > 1:
            a, b = hull[-2], hull[-1]
            if (y[b] - y[a]) * (x[i] - x[a]) < (y[i] - y[a]) * (x[b] - x[a]):
                break
            hull.pop()
        hull.append(i)
    return np.interp(x, x[hull], y[hull])

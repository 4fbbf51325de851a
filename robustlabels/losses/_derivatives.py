"""Derivatives of a loss: how strongly it pulls at first, and how much it bends."""

import math
from numbers import Real

import numpy as np
import torch
from scipy.optimize import minimize

from .._sklearn import Interval, validate_params
from ._loss import N_CLASSES, Loss, without_radius

__all__ = ["initial_gain", "smoothness"]


@validate_params({"loss": [Loss], "n_classes": N_CLASSES}, prefer_skip_nested_validation=True)
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
    value = without_radius(loss).class_losses(torch.log_softmax(scores, dim=-1))[0, 0]
    (gradient,) = torch.autograd.grad(value, scores)
    return -gradient[0, 0].item() * n_classes / (n_classes - 1)


@validate_params(
    {
        "loss": [Loss],
        "n_classes": N_CLASSES,
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
    loss = without_radius(loss)
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

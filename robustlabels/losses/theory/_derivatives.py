"""Derivatives of a loss: its gradient at equal scores, its curvature and its convexity."""

import math
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from sklearn.utils import check_array

from .._loss import POSITIVE, Loss, Sum
from .._symmetrized import Unhinged
from ._arguments import checked, distinct_labels, permutation_witness, without_radius

__all__ = ["initial_gain", "is_convex_on", "linear_part", "smoothness", "strong_l2_bound"]


@checked()
def initial_gain(loss: Loss, n_classes: int) -> float:
    r"""Compute the size of the gradient of a loss at the start of training.

    Near equal scores every loss that treats all classes equally is the unhinged loss times this
    number. Under plain gradient descent it multiplies the learning rate; Adam cancels it.

    Parameters
    ----------
    loss : Loss
        The loss. A radius that confines its scores is ignored.
    n_classes : int
        Number of classes K.

    Returns
    -------
    gain : float
        The c in :math:`L(f, y) \approx const + c (\bar f - f_y)` near equal scores; 1 for the
        cross-entropy and the unhinged loss, 1/K for MAE.

    Raises
    ------
    ValueError
        If the loss does not treat all classes equally, or has a kink at equal scores.

    See Also
    --------
    linear_part : The loss c times Unhinged.

    Examples
    --------
    >>> from robustlabels.losses import GCE
    >>> from robustlabels.losses.theory import initial_gain
    >>> round(initial_gain(GCE(q=0.5), 100), 6)
    0.1
    """
    free = without_radius(loss)
    # At equal scores and slightly to both sides: at a kink there is no linear part.
    scores = torch.zeros(3, n_classes, dtype=torch.float64)
    scores[1:, 0] = torch.tensor([-1e-9, 1e-9])
    value = free.class_losses(torch.log_softmax(scores.requires_grad_(), dim=-1))[:, 0].sum()
    (gradient,) = torch.autograd.grad(value, scores)
    kink = (gradient - gradient[0]).abs().max() > 1e-6 * gradient.abs().max() + 1e-8
    if kink or permutation_witness(free, n_classes) is not None:
        why = "has a kink there" if kink else "does not treat all classes equally"
        raise ValueError(f"{loss!r} has no initial gain at equal scores: it {why}.")
    return -gradient[0, 0].item() * n_classes / (n_classes - 1)


def linear_part(loss: Loss, n_classes: int) -> Sum:
    r"""Make the linear loss that approximates a loss near equal scores.

    Lemire Paquin and others, arXiv:2605.20347, state this for symmetric losses and the
    cross-entropy. It holds for every loss of the softmax that treats all classes equally: the
    part that does not depend on the label has a zero gradient at equal scores.

    Parameters
    ----------
    loss : Loss
        The loss. It must treat all classes equally.
    n_classes : int
        Number of classes K.

    Returns
    -------
    linear : Sum
        The :func:`initial_gain` times the unhinged loss:
        :math:`L(f, y) = L(0, y) + c (\bar f - f_y) + O(\lVert f \rVert^2)`.

    Raises
    ------
    ValueError
        If the loss does not treat all classes equally, or has a kink at equal scores.

    See Also
    --------
    strong_l2_bound : What follows for models with a strong penalty.

    Examples
    --------
    >>> from robustlabels.losses import GCE
    >>> from robustlabels.losses.theory import linear_part
    >>> linear_part(GCE(q=0.5), 4)
    Sum(terms=[('unhinged', Unhinged(radius=None))], weights=[0.5])
    """
    return Unhinged(radius=None) * initial_gain(loss, n_classes)


@checked(score_bound=[*POSITIVE, None])
def smoothness(loss: Loss, n_classes: int, score_bound: float | None = None) -> float:
    r"""Compute the smoothness constant of a loss.

    Parameters
    ----------
    loss : Loss
        The loss. A radius that confines its scores is ignored.
    n_classes : int
        Number of classes K.
    score_bound : float > 0 or None, default=None
        Largest absolute score; None is no bound.

    Returns
    -------
    beta : float
        :math:`\sup_f \lVert \nabla^2_f L(f, y) \rVert_2`; inf if the gradient jumps. Gradient
        descent on the scores is safe with steps up to 1/beta.

    See Also
    --------
    properties : This and all other properties.

    Notes
    -----
    Infinite if the gradient jumps, as the loss says (`kinks`) or a search along lines shows.
    Otherwise a search: over scores of three levels, and from the best on over all scores and
    directions. What it returns is the curvature at some scores, hence a lower bound. It agrees with
    the known constants: 1/2 for the cross-entropy, :math:`1 / (3 \sqrt 3)` for MAE,
    :math:`\alpha / (3 \sqrt 3)` for alpha-MAE, 0 for the unhinged loss. For SGCE and three classes
    and more it tends to at least :math:`(1 - 1/K) / 2` as q vanishes, unless scores are bounded.

    Examples
    --------
    >>> from robustlabels.losses import MAE
    >>> from robustlabels.losses.theory import smoothness
    >>> round(smoothness(MAE(), 3), 4)
    0.1925
    """
    loss = without_radius(loss)
    grid = _levels()
    widest = math.inf if score_bound is None else 2 * score_bound
    if (loss.kinks and score_bound is None) or _kink(loss, n_classes, widest) is not None:
        return math.inf

    def curvature(levels, n_active, label):
        scores = _three_levels(levels, n_active, n_classes, label)
        norms = torch.linalg.matrix_norm(_hessians(loss, scores, label), 2)
        return torch.where(_width(scores) <= widest * (1 + 1e-12), norms, 0.0).detach().numpy()

    found = []
    for kind in product(_numbers_active(n_classes), distinct_labels(loss, n_classes)):
        values = curvature(grid, *kind)
        found += [(v, kind, x) for v, x in zip(values, grid, strict=True)]
    found.sort(key=lambda entry: -entry[0])
    best = found[0][0]
    # Equal curvatures are mostly the same scores.
    distinct = {round(value, 9): (kind, peak) for value, kind, peak in found}
    for (n_active, label), peak in list(distinct.values())[:8]:
        scores = _three_levels(peak[None], n_active, n_classes, label)
        best = max(best, _sharpest(loss, scores[0], label, score_bound))
    return float(best)


def _sharpest(loss, scores, label, score_bound):
    """Maximise the curvature over scores and directions together, from these scores on."""
    values, vectors = torch.linalg.eigh(_hessians(loss, scores[None].clone(), label)[0].detach())
    last = values.abs().argmax()
    sign, start = values[last].sign().item(), [scores, vectors[:, last]]
    if score_bound is not None:
        middle = (scores.amax() + scores.amin()) / 2
        inside = ((scores - middle) / score_bound).clamp(-1 + 1e-9, 1 - 1e-9)
        start[0] = torch.atanh(inside)

    def negative(flat):
        flat = torch.tensor(flat, requires_grad=True)
        f, v = flat.view(2, -1)
        if score_bound is not None:
            f = score_bound * torch.tanh(f)
        v = v / v.norm()
        value = loss.class_losses(torch.log_softmax(f[None], dim=-1))[0, label]
        (gradient,) = torch.autograd.grad(value, f, create_graph=True)
        if not gradient.requires_grad:  # linear in the scores
            return 0.0, np.zeros(len(flat))
        (product,) = torch.autograd.grad(gradient @ v.detach(), f, create_graph=True)
        curvature = sign * (product @ v)
        # The product holds v fixed: by symmetry its derivative in v is half of the whole.
        (slope,) = torch.autograd.grad(curvature, flat, retain_graph=True)
        (by_v,) = torch.autograd.grad(curvature, v, retain_graph=True)
        (through,) = torch.autograd.grad(v, flat, by_v.detach())
        return -curvature.item(), -(slope + through).numpy()

    found = minimize(negative, torch.cat(start).numpy(), jac=True, method="L-BFGS-B")
    return -found.fun if np.isfinite(found.fun) else 0.0


def _kink(loss, n_classes, widest):
    """Search for two scores, next to each other, between which the gradient of a loss jumps."""
    generator = torch.Generator().manual_seed(0)
    t = torch.linspace(-40, 40, 1601, dtype=torch.float64)
    lines = torch.randn(6, n_classes, generator=generator, dtype=torch.float64)
    lines[0] = torch.eye(n_classes)[0]
    centres = torch.randn(6, n_classes, generator=generator, dtype=torch.float64)
    for label in distinct_labels(loss, n_classes):
        for line, centre in zip(lines, centres, strict=True):
            points = centre + t[:, None] * line
            points = points[_width(points) <= widest]
            if len(points) < 2:
                continue
            change = (_gradients(loss, points, label).diff(dim=0)).norm(dim=-1)
            for i in change.argsort(descending=True)[:3].tolist():
                a, b = points[i], points[i + 1]
                while (b - a).norm() > 1e-7 * (1 + a.norm()):
                    five = a + torch.linspace(0, 1, 5, dtype=torch.float64)[:, None] * (b - a)
                    steps = _gradients(loss, five, label).diff(dim=0).norm(dim=-1)
                    j = int(steps.argmax())
                    a, b = five[j], five[j + 1]
                size = _gradients(loss, torch.stack([a, b]), label)
                if (size[1] - size[0]).norm() > 1e-4 * size.norm() + 1e-9:
                    return torch.stack([a, b]).numpy()
    return None


def _gradients(loss, scores, label):
    scores = scores.detach().requires_grad_()
    value = loss.class_losses(torch.log_softmax(scores, dim=-1))[:, label].sum()
    return torch.autograd.grad(value, scores)[0]


@checked(score_bound=[*POSITIVE, None], return_witness=["boolean"])
def is_convex_on(
    loss: Loss, n_classes: int, score_bound: float | None = None, *, return_witness: bool = False
) -> Any:
    r"""Return whether a loss is convex in the scores.

    Parameters
    ----------
    loss : Loss
        The loss. A radius that confines its scores is ignored.
    n_classes : int
        Number of classes K.
    score_bound : float > 0 or None, default=None
        Largest absolute score; None is no bound.
    return_witness : bool, default=False
        Whether to return also scores that show that the loss is not convex.

    Returns
    -------
    convex : bool
        Whether :math:`L(f, y)` is a convex function of the scores f.
    witness : ndarray of shape (2, n_classes) or None
        Two score vectors half-way between which the loss of a label is above the mean of its
        values at both. The label is the first if the loss treats all classes equally. None if the
        loss is convex. Only with ``return_witness=True``.

    See Also
    --------
    unhinged_violations : The one convex symmetric loss, and why the others are not.

    Notes
    -----
    Convexity is tested where the Hessian has its least eigenvalues, among scores of three levels
    and random ones. A witness is a proof, up to rounding. Finding none proves nothing.

    Examples
    --------
    >>> from robustlabels.losses import CE, GCE
    >>> from robustlabels.losses.theory import is_convex_on
    >>> is_convex_on(CE(), 3), is_convex_on(GCE(), 3)
    (True, False)
    """
    loss = without_radius(loss)
    widest = math.inf if score_bound is None else 2 * score_bound
    found = [_bulge(loss, n_classes, label, widest) for label in distinct_labels(loss, n_classes)]
    _, witness = max(found, key=lambda pair: pair[0])
    return (witness is None, witness) if return_witness else witness is None


@checked(X=["array-like"], l2_penalty=POSITIVE)
def strong_l2_bound(loss: Loss, X: ArrayLike, n_classes: int, l2_penalty: float) -> float:
    r"""Bound the distance of a linear model under a strong penalty from the unhinged solution.

    Parameters
    ----------
    loss : Loss
        The loss. It must treat all classes equally.
    X : array-like of shape (n_samples, n_features)
        Training features.
    n_classes : int
        Number of classes K.
    l2_penalty : float > 0
        The factor :math:`\lambda`.

    Returns
    -------
    bound : float
        Bound on :math:`\lVert V - V_0 \rVert / \lVert V \rVert`, in the Frobenius norm, for
        every stationary point V of
        :math:`\frac{1}{n} \sum_i L(V x_i, y_i) + \frac{\lambda}{2} \lVert V \rVert^2`, where
        :math:`V_0 = \frac{c}{\lambda n} \sum_i (e_{y_i} - 1/K) x_i^\top` is that of the
        :func:`linear_part`. It does not depend on the labels.

    See Also
    --------
    robustlabels.UnhingedClassifier : The linear classifier with these weights, in closed form.

    Notes
    -----
    The gradient G of the risk, with :math:`\lambda V = -G(V)` and :math:`\lambda V_0 = -G(0)`, is
    Lipschitz with the constant :math:`\beta\, \lambda_{\max}(X^\top X / n)`, where :math:`\beta`
    is the :func:`smoothness`, which is a search. The bound is this constant divided by
    :math:`\lambda`; infinite for losses with kinks.

    Examples
    --------
    >>> import numpy as np
    >>> from robustlabels.losses import CE
    >>> from robustlabels.losses.theory import strong_l2_bound
    >>> round(strong_l2_bound(CE(), np.eye(4), 3, l2_penalty=10.0), 4)
    0.0125
    """
    initial_gain(loss, n_classes)  # raises for losses that have no bound
    X = check_array(X, dtype=np.float64)
    largest = np.linalg.norm(X, 2) ** 2 / len(X)
    # Without features every model is the same.
    return float(smoothness(loss, n_classes) * largest / l2_penalty) if largest > 0 else 0.0


def _bulge(loss, n_classes, label, widest):
    """Search for two scores half-way between which the loss is above the mean of its values."""
    numbers = _numbers_active(n_classes)
    scores = [_three_levels(_levels(), n, n_classes, label) for n in numbers]
    generator, n_random = torch.Generator().manual_seed(0), 200
    scores.append(3 * torch.randn(n_random, n_classes, generator=generator, dtype=torch.float64))
    scores = torch.cat(scores)
    # Only differences of scores count. Scores that are too far apart are drawn together, to where
    # there is room for a step to both sides.
    scores = scores * (0.99 * widest / _width(scores)).clamp(max=1).unsqueeze(-1)
    values, vectors = torch.linalg.eigh(_hessians(loss, scores, label).detach())
    worst = values[:, 0].argsort()[:10]
    # A negative eigenvalue may be a rounding error, and a kink has none. So compare values of the
    # loss, along the eigenvectors, and along the label's score at the random scores.
    along = torch.eye(n_classes, dtype=torch.float64)[label].expand(n_random, -1)
    directions = torch.cat([vectors[worst, :, 0], along])
    steps = torch.logspace(-3, 0.5, 15, dtype=torch.float64).view(-1, 1, 1)
    centre, step = scores.detach()[[*worst, *range(-n_random, 0)]], steps * directions
    points = torch.stack([centre - step, centre.expand_as(step), centre + step])
    losses = loss.class_losses(torch.log_softmax(points, dim=-1).flatten(0, 2))[:, label]
    low, middle, high = losses.view(points.shape[:-1])
    excess = middle - (low + high) / 2
    size = torch.stack([low, middle, high]).abs().amax(0)
    inside = _width(points).amax(0) <= widest
    shown = torch.where(inside & (excess > 1e-10 * size), excess, 0.0)
    most = shown.max().item()
    if most == 0:
        return 0.0, None
    i, j = np.unravel_index(shown.argmax().item(), shown.shape)
    return most, points[0::2, i, j].numpy()


def _levels():
    """Return pairs of levels: the label's over some classes, and how far the rest are below."""
    far = np.array([15.0, 50.0, 300.0, 3000.0, 3e4])
    leads = np.concatenate([-far, np.linspace(-8, 8, 65), far])
    gaps = np.concatenate([[0, 0.5, 1, 2, 3, 5, 8], far])
    return np.array(np.meshgrid(leads, gaps)).reshape(2, -1).T


def _numbers_active(n_classes):
    """Return how many classes besides the label may be on a level of their own."""
    return {1, 2, (n_classes - 1) // 2, n_classes - 1} & set(range(1, n_classes))


def _three_levels(levels, n_active, n_classes, label):
    """Make scores: the label at `lead` over some classes at 0, the rest `gap` below the higher."""
    lead, gap = torch.as_tensor(levels.T)
    scores = (lead.clamp(min=0) - gap.abs()).unsqueeze(-1).repeat(1, n_classes)
    scores[:, 0] = lead
    scores[:, 1 : 1 + n_active] = 0
    return scores.roll(label, dims=-1)


def _width(scores):
    return scores.amax(-1) - scores.amin(-1)


def _hessians(loss, scores, label):
    """Compute the Hessian matrices of the loss of a label at each row of scores."""
    scores = scores.requires_grad_()
    value = loss.class_losses(torch.log_softmax(scores, dim=-1))[:, label].sum()
    (gradient,) = torch.autograd.grad(value, scores, create_graph=True)
    if not gradient.requires_grad:  # linear in the scores
        return torch.zeros(*scores.shape, scores.shape[1], dtype=scores.dtype)
    rows = [
        torch.autograd.grad(column.sum(), scores, retain_graph=True)[0]
        for column in gradient.unbind(-1)
    ]
    return torch.stack(rows, dim=-2)

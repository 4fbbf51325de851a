"""Symmetry of a loss: how much its class sum varies, and which losses are symmetric and convex."""

import math
from numbers import Real

import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from .._loss import Loss, unmasked
from ._arguments import checked, distinct_labels, permutation_witness, without_radius
from ._derivatives import is_convex_on

__all__ = ["LinearLoss", "class_sum_gap", "is_symmetric", "unhinged_violations"]


class LinearLoss(Loss):
    r"""Linear loss with one coefficient for the label and one for all other classes.

    .. math:: L(f, y) = a s_y + b \sum_{k \ne y} s_k, \qquad s = \log p

    It is symmetric, for K classes, exactly if :math:`a = -(K - 1) b`. With a < 0 it then is a
    multiple of the unhinged loss [1]_.

    Parameters
    ----------
    a : float, default=-1.0
        Coefficient of the label's log-probability.
    b : float, default=0.0
        Coefficient of those of all other classes.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    robustlabels.losses.Unhinged : The symmetric one, within a ball.

    References
    ----------
    .. [1] Lemire Paquin, Chaib-Draa and Giguère, "Symmetrization of Loss Functions for Robust
       Training of Neural Networks in the Presence of Noisy Labels", arXiv:2605.20347.

    Examples
    --------
    >>> from robustlabels.losses.theory import LinearLoss, is_symmetric
    >>> [is_symmetric(LinearLoss(a, b=1.0), 4) for a in (-3.0, -2.0)]
    [True, False]
    """

    _parameter_constraints = {"a": [Real], "b": [Real]}
    positive = False

    def __init__(self, a: float = -1.0, b: float = 0.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.a = a
        self.b = b

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        log_p = unmasked(log_p)
        return (self.a - self.b) * log_p + self.b * log_p.sum(-1, keepdim=True)


@checked()
def class_sum_gap(loss: Loss, n_classes: int) -> float:
    r"""Compute how much the class sum of a loss varies.

    Parameters
    ----------
    loss : Loss
        The loss. A radius that confines its scores is ignored.
    n_classes : int
        Number of classes K.

    Returns
    -------
    gap : float
        :math:`\sup_p \sum_k L(p, k) - \inf_p \sum_k L(p, k)` over all predictions; 0 for
        symmetric losses, inf if the sum is unbounded.

    See Also
    --------
    is_symmetric : Whether the gap is 0.

    Notes
    -----
    Under symmetric noise of rate :math:`\eta`, the clean risk of the minimiser of the noisy risk
    exceeds the least clean risk by at most
    :math:`\eta\, \mathrm{gap} / ((K-1)(1 - \eta K/(K-1)))`.

    A search among predictions that are uniform on n classes, of any probability on one more, and 0
    on the rest, for all n. The extremes are among them for convex and for concave functions of the
    label's probability, and for those that change from one to the other once. For other losses
    random predictions are tried, too; the gap may then be larger.

    Examples
    --------
    >>> from robustlabels.losses import GCE
    >>> from robustlabels.losses.theory import class_sum_gap
    >>> round(class_sum_gap(GCE(q=0.5), 4), 6)
    2.0
    """
    loss = without_radius(loss)
    label_function = loss._label_function(n_classes)

    def extent(n_even, lead):
        """Return the highest and lowest class sums, each less than it by its rounding error."""
        lead = torch.as_tensor(lead, dtype=torch.float64)
        # The class apart, one of the even classes, one of the rest.
        three = torch.stack([lead, torch.zeros_like(lead), torch.full_like(lead, -math.inf)], -1)
        counts = torch.tensor([1, n_even, n_classes - 1 - n_even])
        weights = counts.double()
        if label_function is not None:
            total = torch.logsumexp(three + weights.log(), dim=-1, keepdim=True)
            values = label_function(three - total)
            values = torch.where(counts > 0, weights * values, 0.0)
        else:
            scores = three.repeat_interleave(counts, dim=-1)
            values = loss.class_losses(torch.log_softmax(scores, dim=-1))
        return _sum_and_error(values)

    leads = torch.cat([torch.linspace(-30, 30, 241), torch.tensor([-math.inf, -1e3, 1e3])]).double()
    found = []
    for n_even in range(1, n_classes):
        total, error = extent(n_even, leads)
        if total.isinf().any():
            return math.inf
        for sign in (1, -1):
            best = (sign * total - error).argmax()
            value = (sign * total - error)[best].item()
            found.append((sign, value, n_even, leads[best].item()))
    ends = []
    for sign in (1, -1):
        _, value, n_even, lead = max((f for f in found if f[0] == sign), key=lambda f: f[1])

        def below(lead, sign=sign, n_even=n_even):
            total, error = extent(n_even, [lead])
            return (error - sign * total).item()

        if abs(lead) <= 30:
            around = (lead - 0.5, lead + 0.5)
            fine = minimize_scalar(below, bounds=around, method="bounded", options={"xatol": 1e-9})
            value = max(value, -float(fine.fun))
        if label_function is None:
            total, error = _sum_and_error(loss.class_losses(_predictions(n_classes)))
            value = max(value, (sign * total - error).max().item())
        ends.append(value)
    gap = sum(ends)
    if gap > 1e9:  # the score -inf is a large number in some losses
        return math.inf
    return gap if gap > 0 else 0.0


def _sum_and_error(values):
    """Return sums over classes, and how much of them rounding may be."""
    return values.sum(-1), 1e-12 * values.shape[-1] + 1e-11 * values.abs().sum(-1)


def is_symmetric(loss: Loss, n_classes: int) -> bool:
    """Return whether the class sum of a loss is constant.

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


@checked()
def unhinged_violations(loss: Loss, n_classes: int) -> dict[str, NDArray]:
    r"""Return which properties of the unhinged loss a loss lacks, with scores that show it.

    Parameters
    ----------
    loss : Loss
        The loss. A radius that confines its scores is ignored.
    n_classes : int
        Number of classes K.

    Returns
    -------
    violations : dict of str to ndarray of shape (2, n_classes)
        The properties that the loss lacks and, for each, two score vectors a and b that show it:

        - "symmetric": the class sums at a and b differ;
        - "convex": half-way between a and b the loss of a label is above the mean of its values
          at both; the label is the first if the loss treats all classes equally;
        - "permutation-invariant": b is a permutation of a, but its class losses are not this
          permutation of those of a;
        - "non-increasing": b is a with a higher score of one label, whose loss is also higher;
        - "non-trivial": all class losses at a and b are equal, as everywhere.

        The dict is empty for multiples of the unhinged loss, plus a constant, and only for them.

    See Also
    --------
    is_convex_on : Convexity alone.

    Notes
    -----
    A search: the scores that are returned prove a violation, but that none is found proves nothing.

    The theorem is that of Lemire Paquin and others, arXiv:2605.20347. A symmetric loss is a
    constant minus the losses of the other classes. If all are convex, all are affine. Among affine
    losses, only multiples of :class:`~robustlabels.losses.Unhinged` treat all classes equally.

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
        violations["symmetric"] = log_p[[int(total.argmin()), int(total.argmax())]].numpy()
    if (losses - losses[0, 0]).abs().max() <= 1e-10 * abs(losses[0, 0]):
        violations["non-trivial"] = log_p[[0, -1]].numpy()
    return {name: pair for name, pair in violations.items() if pair is not None}


def _increase(loss, log_p):
    """Search for scores where a higher score of a label raises its loss."""
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
    """Return log-probabilities from all over the simplex, where a class sum may be extreme."""
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

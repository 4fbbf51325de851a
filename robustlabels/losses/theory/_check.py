"""What theory says of a loss, and whether the loss computes what it says, in one call."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from .._loss import Loss
from ._arguments import checked, permutation_witness, without_radius
from ._calibration import is_classification_calibrated
from ._derivatives import is_convex_on
from ._properties import properties

__all__ = ["LossCheck", "check_loss"]


@dataclass(frozen=True)
class LossCheck:
    """What :func:`check_loss` found of a loss.

    Parameters
    ----------
    loss : str
        The ``repr`` of the loss.
    n_classes : int
        Number of classes K.
    faults : dict of str to str
        What is wrong with the loss, by the name of the check.
    findings : dict of str to object
        Numbers and answers of the theory functions.
    witnesses : dict of str to ndarray
        Scores that show a fault or a negative finding, by the same names.

    See Also
    --------
    check_loss : Makes it.

    Examples
    --------
    >>> from robustlabels.losses import MAE
    >>> from robustlabels.losses.theory import check_loss
    >>> check_loss(MAE(), 3).faults
    {}
    """

    loss: str
    n_classes: int
    faults: dict[str, str] = field(default_factory=dict)
    findings: dict[str, Any] = field(default_factory=dict)
    witnesses: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        lines = [f"{self.loss}, {self.n_classes} classes"]
        lines += [f"  WRONG {name}: {text}" for name, text in self.faults.items()]
        for name, value in self.findings.items():
            shown = f"{value:.4g}" if isinstance(value, float) else value
            witness = "  (see witnesses)" if name in self.witnesses else ""
            lines.append(f"  {name}: {'unknown' if shown is None else shown}{witness}")
        return "\n".join(lines)


@checked()
def check_loss(loss: Loss, n_classes: int = 4) -> LossCheck:
    """Check a loss against its class vector, and compute what theory says of it.

    Parameters
    ----------
    loss : Loss
        The loss.
    n_classes : int, default=4
        Number of classes K.

    Returns
    -------
    check : LossCheck
        Its `faults` say what is wrong, an empty dict if nothing is: a value or a gradient that
        does not fit the class vector, a class vector that is not finite, grows with the score of
        its class or is outside the bounds that the loss states, a sign or a kink that it denies,
        a symmetry that it claims. Its `findings` are the symmetry, tolerable noise, calibration,
        convexity, smoothness and bounds. Both have `witnesses` where there are some.

    See Also
    --------
    properties : Numbers alone, for tables.

    Notes
    -----
    Values are compared at random scores and gradients with central differences. Finding no fault
    proves nothing.

    Examples
    --------
    >>> from robustlabels.losses import CE
    >>> from robustlabels.losses.theory import check_loss
    >>> check_loss(CE(), 3)
    CE(), 3 classes
      class sum gap: inf
      tolerable symmetric noise: 0
      tolerable pair noise: 0
      calibrated: True
      convex: True
      smoothness: 0.5
      bounds: (-0.0, inf)
    """
    loss._validate_params()
    faults: dict[str, str] = {}
    witnesses: dict[str, Any] = {}
    generator = torch.Generator().manual_seed(0)
    size = torch.tensor([0.3, 1.0, 3.0, 10.0], dtype=torch.float64).repeat(10).unsqueeze(-1)
    scores = size * torch.randn(40, n_classes, generator=generator, dtype=torch.float64)
    target = torch.arange(40) % n_classes

    def fault(name, wrong, text):
        """Note a fault at the first row of scores where it shows."""
        if wrong.any():
            faults[name] = text
            witnesses[name] = scores[wrong.reshape(len(scores), -1).any(1)][0].numpy()

    def values(at):
        return loss.class_losses(loss.log_probabilities(at))

    def of_label(at):
        return loss.sample_losses(loss.log_probabilities(at), target)

    losses = values(scores)
    if losses.shape != scores.shape:
        text = f"has shape {tuple(losses.shape)} for scores of shape {tuple(scores.shape)}"
        return LossCheck(repr(loss), n_classes, {"class vector": text})
    fault("class vector", ~losses.isfinite(), "is not finite at finite scores")
    own = losses.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    size = 1e-9 * (1 + own.abs())
    fault("value", (of_label(scores) - own).abs() > size, "differs from the class vector")
    fault("gradient", _gradient_errors(of_label, values, scores, target), _GRADIENT)
    # With the shift to the scores alone, the order of the classes stays what it was.
    raised = scores.clone()
    raised[torch.arange(40), target] += 0.1
    higher = values(raised).gather(-1, target.unsqueeze(-1)).squeeze(-1)
    fault("order", higher - own > size, "the loss of a label grows with its score")
    if loss.positive:
        fault("positive", losses < -1e-12, "a class loss is negative; set positive = False")
    bounds = loss.bounds(n_classes)
    if bounds is not None:
        slack = 1e-9 * max(1.0, *(abs(b) for b in bounds if math.isfinite(b)))
        outside = (losses < bounds[0] - slack) | (losses > bounds[1] + slack)
        fault("bounds", outside, f"a class loss is outside the bounds {bounds}")
    total = losses.sum(-1)
    claimed = loss.class_sum(n_classes)
    if claimed is not None:
        off = (total - claimed).abs() > 1e-8 * (1 + losses.abs().sum(-1))
        fault("class sum", off, f"is not the constant {claimed:g}")
    numbers = properties(loss, n_classes)
    if math.isinf(numbers.smoothness) and not loss.kinks:
        faults["kinks"] = "the gradient jumps; set kinks = True"

    equal = permutation_witness(without_radius(loss), n_classes)
    calibrated, calibration = None, None
    if equal is None:
        calibrated, calibration = is_classification_calibrated(loss, n_classes, return_witness=True)
    convex, bulge = is_convex_on(loss, n_classes, return_witness=True)
    findings = {
        "class sum gap": numbers.class_sum_gap,
        "tolerable symmetric noise": numbers.max_symmetric_noise,
        "tolerable pair noise": numbers.max_pair_noise,
        "calibrated": calibrated,
        "convex": convex,
        "smoothness": numbers.smoothness,
        "bounds": bounds,
    }
    shown = {"calibrated": calibration, "convex": bulge, "permutation-invariant": equal}
    witnesses |= {name: witness for name, witness in shown.items() if witness is not None}
    if equal is not None:
        findings["permutation-invariant"] = False
    return LossCheck(repr(loss), n_classes, faults, findings, witnesses)


_GRADIENT = "differs from differences of the values; is a term detached?"


def _gradient_errors(of_label, values, scores, target):
    """Return the rows where the gradient differs from differences of the class vector."""
    f = scores.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(of_label(f).sum(), f)
    step = 1e-5
    differences = []
    for k in range(scores.shape[1]):
        shift = step * torch.eye(scores.shape[1], dtype=torch.float64)[k]
        high, low = (
            values(scores + sign * shift).gather(-1, target.unsqueeze(-1)).squeeze(-1)
            for sign in (1, -1)
        )
        differences.append((high - low) / (2 * step))
    numeric = torch.stack(differences, dim=-1)
    size = np.maximum(1.0, values(scores).abs().amax().item())
    return (gradient - numeric).abs().amax(-1) > 1e-5 * size

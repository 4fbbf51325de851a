"""All theoretical properties of a loss in one record."""

import contextlib
import math
from dataclasses import dataclass

import torch

from .._loss import Loss
from ._asymmetry import max_tolerable_noise
from ._derivatives import initial_gain, smoothness
from ._symmetry import class_sum_gap

__all__ = ["LossProperties", "properties"]


@dataclass(frozen=True)
class LossProperties:
    """Theoretical properties of a loss for a number of classes.

    Parameters
    ----------
    loss : str
        The ``repr`` of the loss.
    n_classes : int
        Number of classes K.
    symmetric : bool
        See :func:`is_symmetric`.
    class_sum_gap : float
        See :func:`class_sum_gap`.
    initial_gain : float
        See :func:`initial_gain`; nan where there is none.
    max_symmetric_noise, max_pair_noise : float
        See :func:`max_tolerable_noise`.
    smoothness : float
        See :func:`smoothness`.
    has_inverse_link : bool
        Whether the loss has a :meth:`~robustlabels.losses.Loss.inverse_link`.

    See Also
    --------
    properties : Computes them.

    Examples
    --------
    >>> from robustlabels.losses import MAE
    >>> from robustlabels.losses.theory import properties
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


def properties(loss: Loss, n_classes: int) -> LossProperties:
    """Compute the theoretical properties of a loss for a number of classes.

    Parameters
    ----------
    loss : Loss
        The loss. A radius that confines its scores is ignored.
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
    >>> from robustlabels.losses import MAE
    >>> from robustlabels.losses.theory import properties
    >>> round(properties(MAE(), 10).max_symmetric_noise, 3)
    0.9
    """
    gap, gain, linked = class_sum_gap(loss, n_classes), math.nan, False
    with contextlib.suppress(ValueError):
        gain = initial_gain(loss, n_classes)
    with contextlib.suppress(ValueError):
        linked = loss.inverse_link(torch.full((1, 2), 0.5)) is not None
    return LossProperties(
        loss=repr(loss),
        n_classes=n_classes,
        symmetric=gap == 0,
        class_sum_gap=gap,
        initial_gain=gain,
        max_symmetric_noise=max_tolerable_noise(loss, n_classes, "symmetric"),
        max_pair_noise=max_tolerable_noise(loss, n_classes, "pair"),
        smoothness=smoothness(loss, n_classes),
        has_inverse_link=linked,
    )

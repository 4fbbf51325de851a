"""Curves of losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from numpy.typing import NDArray

from .._plotting import COLORS, import_pandas, make_axes, style_axes
from ._loss import Loss

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["LossDisplay"]


class LossDisplay:
    r"""Losses against the probability of the label.

    Three panels: the loss, the weight of its gradient, and its class sum. The other classes share
    the remaining probability evenly. Make it with :meth:`from_losses`.

    The gradient weight is :math:`-\partial L / \partial f_y` divided by 1 - p_y: how much a
    sample counts to which the network gives this probability. It is 1 for the cross-entropy and
    :math:`p_y^q` for GCE. The class sum of a symmetric loss is a flat line.

    Parameters
    ----------
    probability : ndarray of shape (n_points,)
        Probabilities of the label.
    curves : dict of str to dict
        The ``"loss"``, ``"gradient weight"`` and ``"class sum"`` of each loss, of that shape.
    n_classes : int
        Number of classes.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure, after :meth:`plot`.
    axes_ : ndarray of shape (3,) of matplotlib.axes.Axes
        Its panels.
    lines_ : dict of str to list of matplotlib.lines.Line2D
        The curves of each loss.

    See Also
    --------
    robustlabels.losses.theory.properties : Numbers instead of curves.

    Examples
    --------
    >>> from robustlabels.losses import GCE, LossDisplay
    >>> display = LossDisplay.from_losses([GCE()], n_classes=10)
    >>> display.frame().columns.tolist()
    ['name', 'probability', 'loss', 'gradient weight', 'class sum']
    """

    def __init__(
        self, probability: NDArray, curves: Mapping[str, dict[str, NDArray]], n_classes: int
    ) -> None:
        self.probability = probability
        self.curves = curves
        self.n_classes = n_classes

    @classmethod
    def from_losses(cls, losses: dict[str, Loss] | Sequence[Loss], *, n_classes: int = 10) -> Self:
        """Compute the curves of losses.

        Parameters
        ----------
        losses : list of Loss or dict of str to Loss
            The losses, with names for the legend if it is a dict.
        n_classes : int, default=10
            Number of classes.

        Returns
        -------
        display : LossDisplay
            The curves, not yet drawn.

        Raises
        ------
        ValueError
            If there is no loss, one is not a Loss, or `n_classes` is less than 2.
        """
        if not isinstance(losses, dict):
            losses = {repr(loss): loss for loss in losses}
        if not losses or not all(isinstance(loss, Loss) for loss in losses.values()):
            raise ValueError(f"losses must be one or more Loss objects. Got {losses!r}.")
        if n_classes < 2:
            raise ValueError(f"n_classes must be at least 2. Got {n_classes!r}.")
        probability = np.linspace(0.005, 0.995, 199)
        p = torch.as_tensor(probability)
        log_rest = torch.log((1 - p) / (n_classes - 1)).unsqueeze(-1).expand(-1, n_classes - 1)
        scores = torch.cat([torch.log(p).unsqueeze(-1), log_rest], dim=-1).requires_grad_()
        curves = {}
        for name, loss in losses.items():
            loss._validate_params()
            values = loss.class_losses(torch.log_softmax(scores, dim=-1))
            (gradient,) = torch.autograd.grad(values[:, 0].sum(), scores)
            curves[name] = {
                "loss": values[:, 0].detach().numpy(),
                "gradient weight": (-gradient[:, 0] / (1 - p)).numpy(),
                "class sum": values.sum(-1).detach().numpy(),
            }
        return cls(probability, curves, n_classes)

    def plot(self, ax: Sequence[Axes] | None = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : array-like of 3 matplotlib axes or None, default=None
            Axes for loss, gradient weight and class sum; None makes a figure.

        Returns
        -------
        display : LossDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        self.axes_ = np.asarray(make_axes(ax, "LossDisplay.plot", 1, 3, figsize=(12, 3.6)))
        self.figure_ = self.axes_[0].figure
        dashes = ["-", "--", "-.", ":"]
        self.lines_: dict[str, list] = {name: [] for name in self.curves}
        for panel, axis in zip(("loss", "gradient weight", "class sum"), self.axes_, strict=True):
            for i, (name, curve) in enumerate(self.curves.items()):
                style = {"color": COLORS[i % len(COLORS)], "linestyle": dashes[i % len(dashes)]}
                self.lines_[name] += axis.plot(self.probability, curve[panel], label=name, **style)
            axis.set(xlabel="Probability of the label", title=panel.capitalize(), xlim=(0, 1))
            style_axes(axis)
        self.axes_[-1].legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        return self

    def frame(self) -> pd.DataFrame:
        """Return the curves as a table.

        Returns
        -------
        frame : pandas.DataFrame
            One row per loss and probability. Columns: name, probability and the three curves.

        Raises
        ------
        ImportError
            If pandas is missing.
        """
        pd = import_pandas("LossDisplay.frame")
        frames = [
            pd.DataFrame({"name": name, "probability": self.probability, **curve})
            for name, curve in self.curves.items()
        ]
        return pd.concat(frames, ignore_index=True)

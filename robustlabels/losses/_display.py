"""Losses in one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from numpy.typing import NDArray

from .._plotting import COLORS, import_pandas, import_pyplot
from ._loss import Loss

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["LossDisplay"]


class LossDisplay:
    r"""Losses against the probability of the label.

    Three panels: the loss of the label, the weight of the gradient, and the class sum. The
    other classes share what the label leaves evenly. Make it with :meth:`from_loss` or
    :meth:`from_losses`.

    Parameters
    ----------
    probability : ndarray of shape (n_points,)
        Probabilities of the label.
    curves : dict of str to dict
        For each loss its ``"loss"``, ``"gradient weight"`` and ``"class sum"``, arrays of
        shape (n_points,).
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
    properties : Numbers instead of curves.

    Notes
    -----
    The gradient weight is :math:`-\partial L / \partial f_y` divided by 1 - p_y. Of the
    cross-entropy it is 1, of GCE :math:`p_y^q`: how much a row counts that the network gives this
    probability. A flat class sum is a symmetric loss.

    Examples
    --------
    >>> from robustlabels.losses import GCE, LossDisplay
    >>> display = LossDisplay.from_loss(GCE(), n_classes=10)
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
    def from_loss(cls, loss: Loss, *, n_classes: int = 10, name: str | None = None) -> Self:
        """Compute the curves of one loss.

        Parameters
        ----------
        loss : Loss
            The loss.
        n_classes : int, default=10
            Number of classes.
        name : str or None, default=None
            Name in the legend; None takes how the loss prints.

        Returns
        -------
        display : LossDisplay
            The curves, not yet drawn.
        """
        return cls.from_losses({name or repr(loss): loss}, n_classes=n_classes)

    @classmethod
    def from_losses(cls, losses: dict[str, Loss] | Sequence[Loss], *, n_classes: int = 10) -> Self:
        """Compute the curves of several losses.

        Parameters
        ----------
        losses : list of Loss or dict of str to Loss
            The losses, with the names for the legend if it is a dict.
        n_classes : int, default=10
            Number of classes.

        Returns
        -------
        display : LossDisplay
            The curves, not yet drawn.

        Raises
        ------
        ValueError
            If there is no loss, one is not a Loss, or fewer than 2 classes are asked for.
        """
        if not isinstance(losses, dict):
            losses = {repr(loss): loss for loss in losses}
        if not losses or not all(isinstance(loss, Loss) for loss in losses.values()):
            raise ValueError(f"losses must be Loss objects, one at least. Got {losses!r}.")
        if n_classes < 2:
            raise ValueError(f"n_classes must be 2 at least. Got {n_classes!r}.")
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
            Where to draw loss, gradient weight and class sum; None makes a figure.

        Returns
        -------
        display : LossDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        plt = import_pyplot("LossDisplay.plot")
        if ax is None:
            _, ax = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
        self.axes_ = np.asarray(ax)
        self.figure_ = self.axes_[0].figure
        dashes = ["-", "--", "-.", ":"]
        self.lines_: dict[str, list] = {name: [] for name in self.curves}
        for panel, axis in zip(("loss", "gradient weight", "class sum"), self.axes_, strict=True):
            for i, (name, curve) in enumerate(self.curves.items()):
                self.lines_[name] += axis.plot(
                    self.probability,
                    curve[panel],
                    color=COLORS[i % len(COLORS)],
                    linestyle=dashes[i % len(dashes)],
                    label=name,
                )
            axis.set(xlabel="Probability of the label", title=panel.capitalize(), xlim=(0, 1))
            axis.spines[["top", "right"]].set_visible(False)
            axis.grid(alpha=0.3)
        self.axes_[-1].legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        return self

    def frame(self) -> pd.DataFrame:
        """Return the curves as a table.

        Returns
        -------
        frame : pandas.DataFrame
            A row for each loss and probability, with the columns name, probability, loss,
            gradient weight and class sum.

        Raises
        ------
        ImportError
            If pandas is missing.
        """
        pd = import_pandas("LossDisplay.frame")
        return pd.concat(
            [
                pd.DataFrame({"name": name, "probability": self.probability, **curve})
                for name, curve in self.curves.items()
            ],
            ignore_index=True,
        )

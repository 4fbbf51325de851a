"""Hyperparameters that a classifier learned while it trained, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ..._plotting import COLORS, import_pandas, make_axes, style_axes
from ..robust import RobustClassifier
from .hyperparameters import find_hyperparameters

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["AdaptationDisplay"]


class AdaptationDisplay:
    """Plot of the hyperparameters that a loss learned in a fit with ``adapt=True``.

    It has a panel for each hyperparameter. Use :meth:`from_estimator` to create it.

    Parameters
    ----------
    epoch : ndarray of shape (n_epochs,)
        Numbers of the epochs, from 1.
    values : dict of str to ndarray of shape (n_epochs,)
        Value of each hyperparameter at the end of each epoch.

    Attributes
    ----------
    figure_, axes_ : matplotlib figure and ndarray of its axes of shape (n_hyperparameters,)
        The figure and its panels, after :meth:`plot`.
    lines_ : dict of str to matplotlib.lines.Line2D
        The curve of each hyperparameter.

    See Also
    --------
    RobustClassifier : Learns them, with ``adapt=True``.

    Examples
    --------
    >>> from robustlabels import AdaptationDisplay, RobustClassifier, corrupt_labels
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> y_noisy = corrupt_labels(y, "symmetric", 0.3, random_state=0)
    >>> clf = RobustClassifier("gce", adapt=True, max_epochs=20, random_state=0).fit(X, y_noisy)
    >>> display = AdaptationDisplay.from_estimator(clf)
    >>> display.frame().columns.tolist()
    ['epoch', 'hyperparameter', 'value']
    """

    def __init__(self, epoch: NDArray, values: Mapping[str, NDArray]) -> None:
        self.epoch = epoch
        self.values = values

    @classmethod
    def from_estimator(cls, estimator: RobustClassifier) -> Self:
        """Read the history of a fitted classifier.

        Parameters
        ----------
        estimator : RobustClassifier
            Fitted with ``adapt=True``.

        Returns
        -------
        display : AdaptationDisplay
            The curves, not yet drawn.

        Raises
        ------
        ValueError
            If the classifier has not learned a hyperparameter.
        """
        check_is_fitted(estimator)
        history, losses = estimator.history_, estimator.loss_
        losses = losses if isinstance(losses, tuple) else (losses,)
        names = [name for loss in losses for name in find_hyperparameters(loss)]
        names = [name for name in names if history and f"loss__{name}" in history[-1]]
        if not names:
            raise ValueError(
                f"The classifier has not learned a hyperparameter of {estimator.loss_!r}. Fit it "
                f"with adapt=True."
            )
        values = {name: np.array(history[:, f"loss__{name}"]) for name in names}
        return cls(np.arange(1, len(history) + 1), values)

    def plot(self, ax: Sequence[Axes] | Axes | None = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib axes, array-like of them or None, default=None
            A panel for each hyperparameter; None makes a figure.

        Returns
        -------
        display : AdaptationDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        n_panels = len(self.values)
        ax = make_axes(ax, "AdaptationDisplay.plot", 1, n_panels, figsize=(3.6 * n_panels, 3.2))
        self.axes_ = np.atleast_1d(np.asarray(ax, dtype=object))
        self.figure_ = self.axes_[0].figure
        self.lines_ = {}
        for (name, values), axis in zip(self.values.items(), self.axes_, strict=True):
            (self.lines_[name],) = axis.plot(self.epoch, values, color=COLORS[0])
            axis.set(xlabel="Epoch", ylabel=name)
            style_axes(axis)
        return self

    def frame(self) -> pd.DataFrame:
        """Return the curves as a table.

        Returns
        -------
        frame : pandas.DataFrame
            A row for each hyperparameter and epoch: epoch, hyperparameter, value.

        Raises
        ------
        ImportError
            If pandas is missing.
        """
        pd = import_pandas("AdaptationDisplay.frame")
        wide = pd.DataFrame({"epoch": self.epoch, **self.values})
        return wide.melt("epoch", var_name="hyperparameter")

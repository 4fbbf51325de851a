"""Plot of a transition matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._plotting import import_pandas, make_axes
from .._validation.transitions import check_transition

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class TransitionMatrixDisplay:
    """Heat map of a transition matrix, the probability of each label given the true class.

    Create it with :meth:`from_matrix`.

    Parameters
    ----------
    transition_matrix : ndarray of shape (n_classes, n_classes)
        Entry (i, j) is the probability of label j where the true class is i.
    display_labels : array-like of shape (n_classes,)
        Names of the classes.

    Attributes
    ----------
    figure_, ax_ : matplotlib.figure.Figure and matplotlib.axes.Axes
        The figure and its axes, after :meth:`plot`.
    image_ : matplotlib.image.AxesImage
        The heat map.

    See Also
    --------
    robustlabels.metrics.estimate_transition_matrix : Estimate the matrix behind noisy labels.

    Examples
    --------
    >>> from robustlabels import TransitionMatrixDisplay
    >>> from robustlabels.noise import pair_transition
    >>> display = TransitionMatrixDisplay.from_matrix(pair_transition(3, 0.2))
    >>> display.frame().shape
    (9, 3)
    """

    def __init__(self, transition_matrix: NDArray, display_labels: NDArray) -> None:
        self.transition_matrix = transition_matrix
        self.display_labels = display_labels

    @classmethod
    def from_matrix(
        cls, transition_matrix: Any, *, display_labels: ArrayLike | None = None
    ) -> Self:
        """Check a matrix and the names of its classes.

        Parameters
        ----------
        transition_matrix : array-like of shape (n_classes, n_classes)
            Rows are true classes and columns labels. A data frame is aligned by its names.
        display_labels : array-like of shape (n_classes,), default=None
            Names of the classes, in the order in which they are shown. None uses the names of
            the rows, or numbers from 0.

        Returns
        -------
        display : TransitionMatrixDisplay
            The matrix, not yet drawn.

        Raises
        ------
        ValueError
            If it is not a transition matrix, or the names do not match it.
        """
        n_classes = len(transition_matrix)
        if display_labels is None:
            named = hasattr(transition_matrix, "iloc")
            display_labels = transition_matrix.index if named else range(n_classes)
        names = np.asarray(display_labels)
        if names.shape != (n_classes,):
            raise ValueError(
                f"display_labels must name each of the {n_classes} classes. Got {names.tolist()}."
            )
        return cls(check_transition(transition_matrix, n_classes, names), names)

    def plot(
        self, ax: Axes | None = None, *, include_values: bool | None = None, colorbar: bool = True
    ) -> Self:
        """Draw the heat map with matplotlib.

        Parameters
        ----------
        ax : matplotlib axes or None, default=None
            Axes to draw on. None creates a figure.
        include_values : bool or None, default=None
            Whether to write the probabilities into the cells. None does so up to 12 classes.
        colorbar : bool, default=True
            Whether to draw a colour bar.

        Returns
        -------
        display : TransitionMatrixDisplay
            This display.
        """
        ax = make_axes(ax, "TransitionMatrixDisplay.plot")
        self.ax_, self.figure_ = ax, ax.figure
        n_classes = len(self.transition_matrix)
        self.image_ = ax.imshow(self.transition_matrix, cmap="Blues", vmin=0, vmax=1)
        if include_values or (include_values is None and n_classes <= 12):
            for (i, j), value in np.ndenumerate(self.transition_matrix):
                text = f"{value:.2f}".replace("0.", ".", 1) if value < 0.995 else "1"
                color = "white" if value > 0.5 else "black"
                if value >= 0.005:
                    ax.text(j, i, text, ha="center", va="center", color=color, fontsize="small")
        ax.set(xlabel="Label", ylabel="True class")
        if n_classes <= 30:
            for axis in (ax.xaxis, ax.yaxis):
                axis.set_ticks(np.arange(n_classes), self.display_labels)
            if max(len(str(name)) for name in self.display_labels) > 3:
                ax.tick_params(axis="x", rotation=45)
        if colorbar:
            self.figure_.colorbar(self.image_, ax=ax, label="Probability")
        return self

    def frame(self) -> pd.DataFrame:
        """Return the matrix as a pandas data frame.

        Returns
        -------
        frame : pandas.DataFrame
            One row for each pair, with the columns true class, label and probability.
        """
        pd = import_pandas("TransitionMatrixDisplay.frame")
        names = self.display_labels
        cells = np.ndenumerate(self.transition_matrix)
        rows = [(names[i], names[j], value) for (i, j), value in cells]
        return pd.DataFrame(rows, columns=["true class", "label", "probability"])

"""Checked transition matrices."""

import warnings

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning

from .labels import NO_CLASSES, align, shorten


def check_transition(transition, n_classes, classes=None):
    """Return a transition matrix as floats, in the order of `classes` if it has names."""
    if classes is not None:
        transition = align(transition, classes, "The transition matrix", axes=(0, 1))
    transition = np.array(transition, dtype=float)
    if transition.shape != (n_classes, n_classes):
        names = "class" if classes is None else f"of the classes {shorten(classes)}"
        raise ValueError(
            f"The transition matrix must have shape ({n_classes}, {n_classes}), a row and a "
            f"column for each {names}. Got shape {transition.shape}."
            f"{f' {NO_CLASSES}' * (len(transition) > n_classes)}"
        )
    if not (transition >= 0).all() or not np.allclose(transition.sum(axis=1), 1):
        raise ValueError(
            f"Each row of the transition matrix must be a probability distribution: "
            f"transition[i, j] = P(noisy label j | true class i). Got row sums "
            f"{shorten(transition.sum(axis=1))} and a least entry of {transition.min()}."
        )
    return transition


def check_invertible(transition, n_classes, classes=None):
    """Return a transition matrix that has an inverse; raise if it has none."""
    matrix = check_transition(transition, n_classes, classes)
    smallest = np.linalg.svd(matrix, compute_uv=False)[-1]
    if smallest < 1e-6:
        raise ValueError(
            f"transition_matrix is singular: its smallest singular value is {smallest:.2g}. "
            f"Under such noise the noisy labels cannot distinguish some classes."
        )
    return matrix


def check_correctable(transition, classes):
    """Return a transition matrix that has an inverse; warn if it amplifies errors."""
    matrix = check_invertible(transition, len(classes), classes)
    gain = 1 / np.linalg.svd(matrix, compute_uv=False)[-1]
    if gain > 20:
        warnings.warn(
            f"The transition matrix is nearly singular: estimates that use it have an error of up "
            f"to {gain:.0f} times that on clean labels.",
            UndefinedMetricWarning,
            stacklevel=5,
        )
    return matrix

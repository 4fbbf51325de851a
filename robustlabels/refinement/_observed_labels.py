"""What the labels of rows say of their true classes, for all who learn and judge by them."""

from typing import NamedTuple

import numpy as np

from ._noise_model import noise_beside_trusted


class ObservedLabels(NamedTuple):
    """What the labels of rows say.

    `codes`, of shape (n_samples,), is a label for each row: the one given, or what several
    annotators agree on. `transition`, of shape (n_classes, n_classes), is the noise of these
    labels, or None where they are believed. `of_rows`, of shape (n_samples, n_classes), is how
    probable all that was said of a row is where its true class is k, up to a factor; None if that
    is no more than the label, of that noise.
    """

    codes: np.ndarray
    transition: np.ndarray | None
    of_rows: np.ndarray | None = None

    @property
    def likelihood(self):
        """How probable the labels of a row are where its true class is k, up to a factor."""
        return self.transition.T[self.codes] if self.of_rows is None else self.of_rows

    def take(self, rows):
        """Return that of some rows."""
        of_rows = None if self.of_rows is None else self.of_rows[rows]
        return ObservedLabels(self.codes[rows], self.transition, of_rows)


def observe_labels(codes, transition, trusted=None):
    """Return what labels of a noise say, one for each row; trusted ones are right."""
    if trusted is None:
        return ObservedLabels(codes, transition)
    of_rows = transition.T[codes]
    of_rows[trusted] = np.eye(len(transition))[codes[trusted]]
    return ObservedLabels(codes, noise_beside_trusted(transition, trusted), of_rows)

"""What was seen of each sample, as likelihoods of its true class."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ._noise_model import noise_beside_trusted


class ObservedLabels(NamedTuple):
    """The labels of the samples, and how probable each true class makes them.

    Attributes
    ----------
    codes : ndarray of shape (n_samples,)
        One label for each sample: the given one, or what several annotators agree on.
    transition : ndarray of shape (n_classes, n_classes) or None
        Noise of these labels; None where labels are taken as given.
    likelihood : ndarray of shape (n_samples, n_classes)
        Probability of all that was seen of a sample, under each true class, up to a factor.
    """

    codes: NDArray
    transition: NDArray | None
    likelihood: NDArray

    def take(self, rows: NDArray) -> Self:
        """Return the labels of some samples."""
        return self._replace(codes=self.codes[rows], likelihood=self.likelihood[rows])


def labels_as_given(codes: NDArray, n_classes: int) -> ObservedLabels:
    """Return labels that are taken to be right."""
    return ObservedLabels(codes, None, np.eye(n_classes)[codes])


def observe_labels(
    codes: NDArray, transition: NDArray, trusted: NDArray | None = None
) -> ObservedLabels:
    """Return labels under a known noise; trusted labels are right."""
    likelihood = transition.T[codes]
    if trusted is not None:
        likelihood[trusted] = np.eye(len(transition))[codes[trusted]]
        transition = noise_beside_trusted(transition, trusted)
    return ObservedLabels(codes, transition, likelihood)

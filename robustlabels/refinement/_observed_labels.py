"""What was observed of each sample, as likelihoods of its true class."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ._bayes import make_soft_labels, scale_noise


class ObservedLabels(NamedTuple):
    """The labels of the samples, and their likelihood under each true class.

    Attributes
    ----------
    codes : ndarray of shape (n_samples,)
        One label for each sample: the given one, or what several annotators agree on.
    transition : ndarray of shape (n_classes, n_classes) or None
        Noise of these labels; None where labels are taken as given.
    likelihood : ndarray of shape (n_samples, n_classes)
        Likelihood of all that was observed of a sample, up to a factor.
    """

    codes: NDArray
    transition: NDArray | None
    likelihood: NDArray

    def take(self, rows: NDArray) -> Self:
        """Return the labels of some samples."""
        return self._replace(codes=self.codes[rows], likelihood=self.likelihood[rows])

    def soft_labels(self, proba: NDArray) -> NDArray:
        """Return the labels to learn from, given out-of-sample probabilities of the codes."""
        if self.transition is None:
            return self.likelihood
        return make_soft_labels(self.likelihood, proba, self.transition)


def labels_as_given(codes: NDArray, n_classes: int) -> ObservedLabels:
    """Return labels that are assumed to be right."""
    return ObservedLabels(codes, None, np.eye(n_classes)[codes])


def observe_labels(
    codes: NDArray, transition: NDArray, trusted: NDArray | None = None
) -> ObservedLabels:
    """Return labels under a known noise; trusted labels are right."""
    likelihood = transition.T[codes]
    if trusted is not None:
        likelihood[trusted] = np.eye(len(transition))[codes[trusted]]
        transition = scale_noise(transition, 1 - trusted.mean())
    return ObservedLabels(codes, transition, likelihood)

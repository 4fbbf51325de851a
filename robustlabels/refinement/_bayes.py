"""Bayes' rule under a noise, and its inverse: probabilities of labels and of true classes.

In this module `proba`, of shape (n_samples, n_classes), are out-of-sample probabilities of noisy
labels, and `transition`, of shape (n_classes, n_classes), is a transition matrix.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from ._settings import NoiseSettings

_SETTINGS = NoiseSettings()

#: Probabilities that stay in the processor's cache.
_IN_CACHE = 2**15

#: Smallest probability of a class, and of a label that cannot occur.
SMALLEST_CLASS, SMALLEST_LABEL = 1e-4, 1e-12


def subsample_rows(n_rows: int, n_classes: int) -> NDArray:
    """Return enough rows to fit a few numbers, always the same.

    They are a random sample because the order of the rows may be periodic.
    """
    n_drawn = min(_SETTINGS.max_rows, max(1000, _SETTINGS.max_probabilities // n_classes))
    return np.random.RandomState(0).permutation(n_rows)[:n_drawn]


def scale_noise(transition: NDArray, share: float) -> NDArray:
    """Return ``(1 - share) * I + share * transition``."""
    return (1 - share) * np.eye(transition.shape[-1]) + share * transition


def make_soft_labels(likelihood: NDArray, proba: NDArray, transition: NDArray) -> NDArray:
    """Return label probabilities to learn from: Bayes' rule without calibrating `proba`.

    `likelihood`, of shape (n_samples, n_classes), is that of the observed labels under each class.
    """
    p = np.maximum(remove_noise(proba, transition), SMALLEST_CLASS)
    posterior = p * (likelihood + SMALLEST_LABEL)
    return posterior / posterior.sum(axis=1, keepdims=True)


def fit_label_prior(proba: NDArray) -> NDArray:
    """Return the class probabilities at which noise removal starts.

    They are proportional to the square root of how often a class is the most probable one. Where
    labels hardly separate two classes, the frequent one stays ahead.
    """
    often = np.sqrt(np.bincount(proba.argmax(axis=1), minlength=proba.shape[1]) + 1.0)
    return often / often.sum()


def remove_noise(proba: NDArray, transition: NDArray, start: NDArray | None = None) -> NDArray:
    """Return class probabilities p for which ``p @ transition`` is close to `proba`.

    A fixed number of steps of expectation maximisation keeps p between the exact solution and
    `start`, of shape (n_classes,), by default the :func:`fit_label_prior` of all rows. Several
    matrices, of shape (n_matrices, n_classes, n_classes), give as many results.
    """
    start = fit_label_prior(proba) if start is None else start
    found = np.empty((*transition.shape[:-2], *proba.shape))
    found[:] = start
    back = transition.swapaxes(-1, -2)
    change = transition[..., :1, -1:]
    keep = transition[..., :1, :1] - change
    symmetric = keep * np.eye(proba.shape[1]) + change
    product: Callable[[NDArray, NDArray], Any] = np.matmul
    if np.allclose(transition, symmetric, rtol=0, atol=1e-12):

        def product(p: NDArray, _: NDArray) -> NDArray:  # without n K^2 multiplications
            return keep * p + change * p.sum(axis=-1, keepdims=True)

    size = max(1, _IN_CACHE // found[..., 0, :].size)
    for rows in gen_batches(len(proba), size):
        p, labels = found[..., rows, :], proba[rows]
        for _ in range(_SETTINGS.n_steps):
            p *= product(labels / np.maximum(product(p, transition), 1e-12), back)
    return found

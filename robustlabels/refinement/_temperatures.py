"""Temperatures: what scores are divided by before their softmax."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import log_softmax, softmax

from ._settings import TemperatureSettings

_SETTINGS = TemperatureSettings()


def find_temperature(scores: NDArray, targets: NDArray) -> float:
    r"""Return the temperature that makes the softmax of scores most like given probabilities.

    It maximises :math:`\sum_{ik} t_{ik} \log \mathrm{softmax}(s_i / \tau)_k`. Both arrays have the
    shape (n_samples, n_classes); `targets` are probabilities times sample weights.
    """
    weight = targets.sum(axis=1)

    def slope(log_inverse: float) -> float:
        expected = softmax(np.exp(log_inverse) * scores, axis=1)
        return ((targets - weight[:, None] * expected) * scores).sum()

    # The slope decreases in the inverse temperature.
    low, high = -_SETTINGS.max_log_temperature, _SETTINGS.max_log_temperature
    if slope(low) <= 0:
        return float(np.exp(-low))
    if slope(high) >= 0:
        return float(np.exp(-high))
    return float(np.exp(-brentq(slope, low, high)))


def find_temperature_by_labels(scores: NDArray, likelihood: NDArray, targets: NDArray) -> float:
    r"""Return the temperature that makes held-out noisy labels most probable.

    It maximises :math:`\sum_i \log \sum_k p_{ik} T_{k \tilde{y}_i}`, where p is the softmax of the
    divided scores. The label probabilities in `targets` count as much as a few labels; they decide
    where labels are few or uninformative.

    All three have the shape (n_samples, n_classes): `scores` are from a network that has not
    learned from the sample, `likelihood` is that of the observed labels, up to a factor, and
    `targets` are label probabilities times sample weights.
    """
    weight = targets.sum(axis=1)

    def misfit(log_inverse: float) -> float:
        log_p = log_softmax(np.exp(log_inverse) * scores, axis=1)
        labels = weight @ np.log(np.maximum((np.exp(log_p) * likelihood).sum(axis=1), 1e-15))
        prior = (targets * log_p).sum()
        return -(labels + _SETTINGS.prior_labels / len(scores) * prior)

    bounds = -_SETTINGS.max_log_temperature, _SETTINGS.max_log_temperature
    return float(np.exp(-minimize_scalar(misfit, bounds=bounds, method="bounded").x))


def break_ties(proba: NDArray, best: NDArray) -> NDArray:
    """Give the class `best` of each sample the largest probability where rounding made a tie.

    Scores whose difference vanishes beside the temperature have the same softmax. `proba`, of
    shape (n_samples, n_classes), is changed in place; `best` has the shape (n_samples,).
    """
    tied = np.flatnonzero(proba.argmax(axis=1) != best)
    largest = proba[tied].max(axis=1)
    proba[tied, best[tied]] = np.nextafter(largest, np.ones_like(largest))
    return proba

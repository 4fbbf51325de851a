"""What scores are divided by for their softmax to be probabilities of the true labels."""

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import log_softmax, softmax

#: Largest logarithm of a temperature.
_MAX_LOG_TEMPERATURE = 5.0

#: Labels that beliefs count for where a temperature is found.
_LABELS_OF_BELIEFS = 20


def find_temperature(scores, targets):
    r"""Find what scores are divided by for their softmax to be most like other probabilities.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_classes)
        Scores of the classes.
    targets : ndarray of shape (n_samples, n_classes)
        Probabilities, times the weights of the rows.

    Returns
    -------
    temperature : float
        What maximises :math:`\sum_{ik} t_{ik} \log \mathrm{softmax}(s_i / \tau)_k`.
    """
    weight = targets.sum(axis=1)

    def slope(log_inverse):
        expected = softmax(np.exp(log_inverse) * scores, axis=1)
        return ((targets - weight[:, None] * expected) * scores).sum()

    # The slope falls with the inverse temperature.
    low, high = -_MAX_LOG_TEMPERATURE, _MAX_LOG_TEMPERATURE
    if slope(low) <= 0:
        return float(np.exp(-low))
    if slope(high) >= 0:
        return float(np.exp(-high))
    return float(np.exp(-brentq(slope, low, high)))


def find_temperature_by_labels(scores, likelihood, targets):
    r"""Find what scores are divided by for noisy labels that they do not know of.

    The labels are most probable, :math:`\sum_k p_k T_{k\tilde{y}}` with p the softmax of the
    divided scores. Where they leave much open, that is, are few or hardly known to be right, the
    beliefs decide, which count for as much as a few labels.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_classes)
        Scores of the classes, by a network that did not learn from the row.
    likelihood : ndarray of shape (n_samples, n_classes)
        How probable the labels of a row are where its true class is k; the scale does not count.
    targets : ndarray of shape (n_samples, n_classes)
        Beliefs, times the weights of the rows.

    Returns
    -------
    temperature : float
        The divisor.
    """
    weight = targets.sum(axis=1)

    def misfit(log_inverse):
        log_p = log_softmax(np.exp(log_inverse) * scores, axis=1)
        labels = weight @ np.log(np.maximum((np.exp(log_p) * likelihood).sum(axis=1), 1e-15))
        beliefs = (targets * log_p).sum()
        return -(labels + _LABELS_OF_BELIEFS / len(scores) * beliefs)

    bounds = -_MAX_LOG_TEMPERATURE, _MAX_LOG_TEMPERATURE
    return float(np.exp(-minimize_scalar(misfit, bounds=bounds, method="bounded").x))


def break_ties(proba, best):
    """Let the class `best` of each row have the largest probability where rounding made a tie.

    Of scores that differ by less than rounding times the temperature the softmax is the same.
    `proba` has the shape (n_samples, n_classes), `best` (n_samples,); the former is changed.
    """
    tied = np.flatnonzero(proba.argmax(axis=1) != best)
    largest = proba[tied].max(axis=1)
    proba[tied, best[tied]] = np.nextafter(largest, np.ones_like(largest))
    return proba

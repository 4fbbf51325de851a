"""The temperature of the scores, fitted by leave-one-out scores, and probabilities."""

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, log_expit, log_softmax, softmax

from .._validation.labels import encode
from .leave_one_out import left_out_scores
from .settings import SETTINGS


def fit_temperature(form, statistics, samples, factors, transition, before=None):
    """Return the temperature and its precision, by leave-one-out scores of some samples.

    `samples` are X, y and the weights or None, `factors` those of the classes or None. `before` is
    the pair that earlier samples gave, which is the prior of these. Without samples it is unknown.
    """
    if samples is None:
        return np.nan, np.nan
    X, y, weight = samples
    kept = None if weight is None else np.flatnonzero(weight)
    n_samples = len(y) if kept is None else len(kept)
    limit = SETTINGS.temperature_scores // len(statistics.classes)
    n_some = min(max(1, min(SETTINGS.temperature_samples, limit)), n_samples)
    # Drawn at random since rows may be periodic, with a fixed seed to be reproducible.
    some = np.random.default_rng(0).choice(n_samples, n_some, replace=False, shuffle=False)
    rows = np.sort(some) if kept is None else kept[np.sort(some)]
    weight = np.ones(n_some) if weight is None else weight[rows]
    codes = encode(y[rows], statistics.classes)
    factor = 1.0 if factors is None else factors[codes]
    # A weight above 1 counts as repeated rows, of which one is left out.
    left_out = factor * np.minimum(weight, 1.0)
    scores = left_out_scores(form, statistics, X[rows], codes, left_out)
    weight = weight * factor * (n_samples / max(1, n_some))
    return _maximise_posterior(scores, codes, weight, transition, before)


def find_probabilities(scores, temperature, log=False):
    """Return the softmax of scores divided by the temperature, or its logarithm."""
    if np.isnan(temperature):
        raise ValueError(
            "The temperature of the probabilities is not known: pass some rows to "
            "fit_statistics, or use decision_function."
        )
    scores = scores / temperature
    if scores.ndim == 1:
        sigmoid = log_expit if log else expit
        return np.column_stack([sigmoid(-scores), sigmoid(scores)])
    return log_softmax(scores, axis=1) if log else softmax(scores, axis=1)


def _maximise_posterior(scores, codes, weight, transition, before):
    """Maximise the posterior of the log inverse temperature, with a normal prior.

    Samples whose score is not finite at their label are left out.
    """
    usable = np.isfinite(scores[np.arange(len(codes)), codes])
    scores, codes, weight = scores[usable], codes[usable], weight[usable]
    # With the classes first, sums over them add whole rows: several times as fast.
    scores = np.ascontiguousarray(scores.T)
    scores -= np.where(np.isfinite(scores), scores, -np.inf).max(axis=0)
    finite = np.where(np.isfinite(scores), scores, 0.0)
    if before is not None and np.isfinite(before[0]):
        centre, precision = -np.log(before[0]), before[1]
    else:
        spread = np.sqrt(np.average((finite**2).mean(axis=0), weights=weight)) if len(codes) else 0
        centre, precision = -np.log(spread or 1.0), SETTINGS.temperature_precision
    if transition is None:
        at_given = finite[codes, np.arange(len(codes))]
    else:
        with np.errstate(divide="ignore"):
            log_likelihood = np.log(transition)[:, codes]

    def slope(log_inverse):
        inverse = np.exp(log_inverse)
        expected = _weighted_mean(finite, inverse * scores)
        if transition is None:
            at_label = at_given
        else:
            at_label = _weighted_mean(finite, inverse * scores + log_likelihood)
        return inverse * (weight @ (expected - at_label)) + precision * (log_inverse - centre)

    low, high = centre - SETTINGS.temperature_range, centre + SETTINGS.temperature_range
    if slope(low) >= 0:
        best = low
    elif slope(high) <= 0:
        best = high
    else:
        best = brentq(slope, low, high, xtol=1e-12)
    return float(np.exp(-best)), max(precision, (slope(best + 1e-3) - slope(best)) / 1e-3)


def _weighted_mean(values, log_weights):
    """Return the weighted mean of each column of `values`."""
    # In place: allocating new arrays would take longer than the computation.
    log_weights -= log_weights.max(axis=0)
    with np.errstate(under="ignore"):
        np.exp(log_weights, out=log_weights)
        return np.einsum("kn,kn->n", log_weights, values) / log_weights.sum(axis=0)

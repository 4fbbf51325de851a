"""The temperature of scores, by labels that they have not learned from, and probabilities."""

import numpy as np
from scipy.optimize import brentq


def most_probable_temperature(scores, codes, weight, transition=None, before=None):
    """Return the temperature under which the labels are most probable, and its precision.

    The likelihood of the labels, seen through the transition matrix if there is one, is
    maximised over the logarithm of the inverse temperature, under a normal prior. `before` is
    the pair that earlier rows gave, which makes the prior of these; without it the prior is
    weak, about the spread of the scores. Rows whose score at their label is not finite are left
    out.
    """
    usable = np.isfinite(scores[np.arange(len(codes)), codes])
    scores, codes, weight = scores[usable], codes[usable], weight[usable]
    # Classes along the first axis: sums over them are of whole rows, several times as fast.
    scores = np.ascontiguousarray(scores.T)
    scores -= np.where(np.isfinite(scores), scores, -np.inf).max(axis=0)
    finite = np.where(np.isfinite(scores), scores, 0.0)
    spread = np.sqrt(np.average((finite**2).mean(axis=0), weights=weight)) if len(codes) else 0
    if before is not None:
        centre, precision = -np.log(before[0]), before[1]
    else:
        centre, precision = -np.log(spread or 1.0), 1.0
    if transition is None:
        at_given = finite[codes, np.arange(len(codes))]
    else:
        # How probable the label of each row is in each true class.
        with np.errstate(divide="ignore"):
            log_seen = np.log(transition)[:, codes]

    def slope(log_inverse):
        inverse = np.exp(log_inverse)
        expected = _weighted_mean(finite, inverse * scores)
        if transition is None:
            at_label = at_given
        else:
            at_label = _weighted_mean(finite, inverse * scores + log_seen)
        return inverse * (weight @ (expected - at_label)) + precision * (log_inverse - centre)

    low, high = centre - 12, centre + 12
    if slope(low) >= 0:
        best = low
    elif slope(high) <= 0:
        best = high
    else:
        best = brentq(slope, low, high, xtol=1e-12)
    return float(np.exp(-best)), max(precision, (slope(best + 1e-3) - slope(best)) / 1e-3)


def _weighted_mean(values, weights):
    """Return the mean of each column of `values`, by weights given as their logarithms.

    These are overwritten: memory for new arrays takes longer than what is computed in it.
    """
    weights -= weights.max(axis=0)
    with np.errstate(under="ignore"):
        np.exp(weights, out=weights)
        return np.einsum("kn,kn->n", weights, values) / weights.sum(axis=0)

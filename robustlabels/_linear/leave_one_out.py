"""Leave-one-out scores: the score of each sample without it in training."""

import numpy as np
from scipy.linalg import eigh
from scipy.sparse import issparse
from sklearn.utils import gen_batches

from .closed_form import make_solver

#: Numbers in an array of a block of rows: few enough to stay in the processor's cache.
_BLOCK_SIZE = 2**16


def left_out_scores(form, statistics, X, codes, weight):
    """Return scores of shape (n_samples, n_classes) by a ClosedForm without `weight` of each."""
    total = statistics.class_weight.sum()
    frequencies, sums = form.correct(statistics)
    # All weights are shares of the total from here on.
    weight = weight / total
    alone = 1 - weight <= 1e-12
    others = np.where(alone, 1.0, 1 - weight)
    euclidean, equal = form.metric == "euclidean", np.ptp(weight) == 0
    if euclidean:
        squares = (sums**2).sum(axis=1) / form.alpha
    elif equal:
        solve = make_solver(statistics.scatter / total, form.alpha * others[0])
        squares = (sums * solve(sums)).sum(axis=1)
    else:
        distinct = np.unique(weight)
        few = len(distinct) <= 8
        if not few:
            values, vectors = eigh(statistics.scatter / total)
        if few or values[-1] > 1e7 * form.alpha:
            # A factor for each weight: eigenvectors lose digits where scales differ much.
            scores = np.empty((len(codes), len(statistics.classes)))
            for value in distinct:
                rows = np.flatnonzero(weight == value)
                scores[rows] = left_out_scores(
                    form, statistics, X[rows], codes[rows], weight[rows] * total
                )
            return scores
        turned = sums @ vectors
    scores = np.empty((len(codes), len(statistics.classes)))
    for rows in gen_batches(len(codes), max(1, _BLOCK_SIZE // max(X.shape[1], scores.shape[1]))):
        block = X[rows].toarray() if issparse(X) else X[rows]
        z = block.astype(np.float64) - statistics.mean
        w, rest = weight[rows, None], others[rows, None]
        share = w / rest
        # The sums of all classes about the new mean are A_k + a_k z.
        if form.inverse is None:
            own = w * (codes[rows, None] == np.arange(scores.shape[1]))
        else:
            own = w * form.inverse[codes[rows]]
        left = frequencies - own
        a = share * left - own
        if euclidean:
            projected, h = z @ sums.T / form.alpha, (z**2).sum(1, keepdims=True) / form.alpha
            lost, scale = 0.0, 1 / rest
        else:
            # The second moment loses lost * z z^T and its inverse changes by rank one.
            lost, scale = w * (1 + share), 1.0
            if equal:
                solved = solve(z)
                projected, h = solved @ sums.T, (solved * z).sum(1, keepdims=True)
            else:
                turned_z = z @ vectors
                inverse = 1 / (values + form.alpha * rest)
                projected = (turned_z * inverse) @ turned.T
                h = (turned_z**2 * inverse).sum(1, keepdims=True)
                squares = inverse @ (turned**2).T
        kept = np.where(alone[rows, None], 1.0, 1 - lost * h)
        product = (1 + share) * (projected + a * h) / kept
        lengths = squares + (lost * projected**2 + 2 * a * projected + a**2 * h) / kept
        # Directions are made of mean sums: those of the other samples are divided by their weight.
        divisor, offset = form.divide(left / rest, scale * lengths / rest)
        scores[rows] = scale * product / divisor + offset
    scores[alone] = np.nan
    return scores

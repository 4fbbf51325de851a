"""Which labels to check: strata by the probability of a wrong label, and their order."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

# Chosen by the widths of benchmarks/label_audit.py.

#: Smallest standard deviation of a label's being wrong: probabilities of 0 and 1 may err.
_FLOOR = 0.05

#: Part of a sample that Neyman's allocation distributes. The rest is even: where no label is wrong,
#: or the label probabilities mislead, an even sample says more.
_NEYMAN = 1 / 3

#: Probabilities of a wrong label are kept that far from 0 and 1 where their log-odds are needed.
_CLIP = 1e-4

#: Samples of each stratum that are drawn before others.
_FIRST = 3


class Strata(NamedTuple):
    """The order in which labels are drawn, fixed before any is seen.

    Attributes
    ----------
    stratum : ndarray of shape (n_samples,)
        The stratum of each sample, 0 or 1.
    order : ndarray of shape (n_samples,)
        Positions in the order in which they are drawn: within each stratum a random permutation.
    ranking : ndarray of shape (n_samples,)
        Positions from the most to the least probably wrong label, ties in random order.
    """

    stratum: NDArray
    order: NDArray
    ranking: NDArray


def make_strata(wrong_probability: NDArray, rng: np.random.RandomState) -> Strata:
    r"""Divide samples in two strata, and decide on the order in which they are drawn.

    The strata have equal sums of :math:`\sqrt{b (1 - b)}` and a constant, b being the probability
    of a wrong label. The next sample is drawn from the stratum that is furthest behind its share, a
    third by Neyman's allocation and two thirds by its size. Sizes never depend on what is found.
    """
    n_rows = len(wrong_probability)
    shuffled = rng.permutation(n_rows)
    ranking = shuffled[np.argsort(-wrong_probability[shuffled], kind="stable")]
    doubt = np.sqrt(wrong_probability * (1 - wrong_probability)) + _FLOOR
    half = doubt[ranking].cumsum() <= doubt.sum() / 2
    stratum = np.empty(n_rows, dtype=np.intp)
    stratum[ranking] = ~half
    shares = _shares_of_draws(wrong_probability, stratum)
    shuffled = rng.permutation(n_rows)
    # A sample is due when its stratum has got that many of its share.
    due = np.empty(n_rows)
    for h in range(len(shares)):
        rows = shuffled[stratum[shuffled] == h]
        number = np.arange(len(rows))
        due[rows] = np.where(number < _FIRST, number - n_rows, (number + 0.5) / shares[h])
    return Strata(stratum, np.argsort(due, kind="stable"), ranking)


def _shares_of_draws(wrong_probability: NDArray, stratum: NDArray) -> NDArray:
    """Return the share of the drawn samples that comes from each stratum."""
    sizes = np.bincount(stratum)
    variance = wrong_probability * (1 - wrong_probability)
    deviations = np.sqrt(np.bincount(stratum, variance) / np.maximum(sizes, 1))
    optimal = sizes * np.maximum(deviations, _FLOOR)
    return _NEYMAN * optimal / optimal.sum() + (1 - _NEYMAN) * sizes / len(stratum)


def rows_needed(
    wrong_probability: NDArray, stratum: NDArray, shares: NDArray, half_width: float, z: float
) -> int:
    r"""Return how many samples an interval of a number takes, of a half-width of at most w.

    With n samples of N it is about :math:`z \sqrt{\sum_h N_h s_h^2 (N_h / (n a_h) - 1)}
    + N / (2 n)`, z being the normal quantile, a the share of the draws, and :math:`s_h^2 = p_h
    (1 - p_h)`, where :math:`p_h`, of `shares`, is the share of samples of the stratum that count.
    The second term is half a step of the exact interval.
    """
    sizes, n_rows = np.bincount(stratum), len(stratum)
    variance = sizes * np.maximum(shares * (1 - shares), _FLOOR**2)
    drawn = _shares_of_draws(wrong_probability, stratum)
    spread = np.divide(variance * sizes, drawn, out=np.zeros(len(sizes)), where=sizes > 0)
    n_drawn = np.arange(1, n_rows)
    errors = np.sqrt(np.maximum(spread.sum() / n_drawn - variance.sum(), 0))
    enough = z * errors + n_rows / (2 * n_drawn) <= half_width
    return 1 + int(np.argmax(enough)) if enough.any() else n_rows


def recalibrate(probability: NDArray, rows: NDArray, wrong: NDArray) -> NDArray:
    r"""Return probabilities of wrong labels that agree better with what was found.

    The log-odds are shifted and stretched, :math:`a + s \, \mathrm{logit}(b)`. Both follow from
    logistic regression on the checked `rows`, with a and s - 1 from a standard normal prior. The
    rows must have been chosen by chance or by `probability`. The ranking stays the same.
    """
    if len(rows) == 0:
        return probability
    log_odds = logit(np.clip(probability, _CLIP, 1 - _CLIP))
    known = log_odds[rows]

    def loss(parameters: NDArray) -> tuple[float, NDArray]:
        shift, stretch = parameters
        score = shift + stretch * known
        off = expit(score) - wrong
        value = np.logaddexp(0, score).sum() - score[wrong].sum()
        prior = np.array([shift, stretch - 1])
        return value + prior @ prior / 2, np.array([off.sum(), off @ known]) + prior

    shift, stretch = minimize(loss, [0.0, 1.0], jac=True, bounds=[(None, None), (0, None)]).x
    return expit(shift + stretch * log_odds)

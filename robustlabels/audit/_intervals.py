"""Intervals of a number of samples in a table, from random samples of its strata.

The number M of marked samples, those with a wrong label for instance, is a sum over strata. From
each a simple random sample has been drawn without replacement. Nothing else is assumed.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln
from scipy.stats import hypergeom

#: Points at which distributions over a stratum are computed, at most; ends are rounded outwards.
_POINTS = 4096


class Sample(NamedTuple):
    """What was found in a random sample of a stratum, and in other samples of it.

    Attributes
    ----------
    size : int
        Samples in the stratum.
    n_drawn : int
        Samples that were drawn.
    low, high : int
        Marked ones among these. They differ by those of which nobody could tell.
    known, known_not : int
        Marked ones, and unmarked ones, among all samples of the stratum that somebody looked at.
    """

    size: int
    n_drawn: int
    low: int
    high: int
    known: int
    known_not: int


def melded_interval(samples: list[Sample], level: float) -> tuple[int, int]:
    r"""Return an interval of the number of marked samples for a sample size that is fixed.

    In each stratum the exact interval of a hypergeometric number has the confidence distributions
    :math:`P(L \le M) = P(X \ge k \mid M)` and :math:`P(U \ge M) = P(X \le k \mid M)`. The ends are
    quantiles of their sums over strata [1]_. With one stratum the interval is exact; with more it
    has been found to be conservative in simulations. Where nothing is marked in any sample, the
    upper end is that of the exact joint test.

    References
    ----------
    .. [1] Fay, Proschan and Brittain, "Combining One-Sample Confidence Procedures for Inference in
       the Two-Sample Case", Biometrics 71, 2015.
    """
    tail = (1 - level) / 2
    step = max(1, -(-sum(sample.size for sample in samples) // _POINTS))
    low, high = np.ones(1), np.ones(1)
    for sample in samples:
        grid = np.arange(0, sample.size + step, step)
        # Rounded down, L is at most a grid point if it is below the next one.
        below = _chance_of_at_least(sample, np.minimum(grid + step - 1, sample.size))
        below[grid + step > sample.size] = 1
        low = np.convolve(low, np.diff(below, prepend=0))
        # Rounded up, U is at least a grid point if it is above the one before.
        above = _chance_of_at_most(sample, np.maximum(grid - step + 1, 0))
        above[grid == 0] = 1
        above[grid - step >= sample.size] = 0
        reached = 1 - np.append(above[1:], 0)  # P(U <= grid point)
        high = np.convolve(high, np.diff(reached, prepend=0))
    known = sum(sample.known for sample in samples)
    total = sum(sample.size for sample in samples)
    possible = total - sum(sample.known_not for sample in samples)
    lower = step * int(np.searchsorted(low.cumsum(), tail + 1e-9))
    if any(sample.high for sample in samples):
        upper = step * int(np.searchsorted(high.cumsum(), 1 - tail - 1e-9))
    else:
        upper = _largest_without_a_find(samples, tail)
    return min(max(lower, known), possible), max(min(upper, possible), known)


def _chance_of_at_least(sample: Sample, marked: NDArray) -> NDArray:
    """Return P(X >= low) for each number of marked samples."""
    return hypergeom.sf(sample.low - 1, sample.size, marked, sample.n_drawn)


def _chance_of_at_most(sample: Sample, marked: NDArray) -> NDArray:
    """Return P(X <= high) for each number of marked samples."""
    return hypergeom.cdf(sample.high, sample.size, marked, sample.n_drawn)


def _largest_without_a_find(samples: list[Sample], tail: float) -> int:
    """Return the largest number with a probability above `tail` of no find in any sample.

    The logarithm of this probability is a sum of concave functions, one for each stratum. Its
    maximum over all splits of a number takes the smallest decrements first.
    """
    decrements = []
    for size, n_drawn, *_ in samples:
        marked = np.arange(size - n_drawn)
        decrements.append(np.log1p(-n_drawn / (size - marked)))
    sorted_ = np.sort(np.concatenate(decrements))[::-1]
    return int(np.count_nonzero(sorted_.cumsum() > np.log(tail)))


def anytime_interval(samples: list[Sample], level: float) -> tuple[int, int]:
    r"""Return an interval that holds at all times at once, however often somebody looks.

    In a stratum the ratio of the prior of M to its posterior, under a uniform prior, is a
    martingale: it exceeds :math:`1 / \alpha` at any time with a probability of at most
    :math:`\alpha`, one minus the level [1]_. So does the product over strata. The interval has all
    M for which a split over the strata has a smaller product.

    References
    ----------
    .. [1] Waudby-Smith and Ramdas, "Confidence Sequences for Sampling Without Replacement", NeurIPS
       2020.
    """
    limit = -np.log1p(-level)
    low = min(_possible_numbers(samples, "low", limit), default=0)
    high = max(_possible_numbers(samples, "high", limit), default=0)
    known = sum(sample.known for sample in samples)
    possible = sum(sample.size - sample.known_not for sample in samples)
    return min(max(low, known), possible), max(min(high, possible), known)


def _possible_numbers(samples: list[Sample], end: str, limit: float) -> Iterator[int]:
    """Yield the smallest and the largest number whose best split has a log-ratio up to `limit`."""
    start, least, increments = 0, 0.0, []
    for sample in samples:
        ratio = _log_ratio(sample, getattr(sample, end))
        start += getattr(sample, end)
        least += ratio[0]
        increments.append(np.diff(ratio))
    # Log-ratios are convex: the best splits take the smallest increments first.
    total = least + np.append(0, np.sort(np.concatenate(increments)).cumsum())
    inside = np.flatnonzero(total <= limit)
    if len(inside):
        yield start + int(inside[0])
        yield start + int(inside[-1])


def _log_ratio(sample: Sample, found: int) -> NDArray:
    """Return the log-ratio of prior and posterior for each number from `found` on."""
    n_drawn, size = sample.n_drawn, sample.size
    marked = np.arange(found, size - n_drawn + found + 1)

    def log_choose(n: NDArray | int, k: NDArray | int) -> NDArray:
        return gammaln(np.add(n, 1)) - gammaln(np.add(k, 1)) - gammaln(np.subtract(n, k) + 1)

    chance = log_choose(marked, found) + log_choose(size - marked, n_drawn - found)
    return log_choose(size, n_drawn) - chance - np.log(n_drawn + 1)

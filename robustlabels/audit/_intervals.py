"""Intervals of what is true of a table, from random samples of its strata.

From each stratum a simple random sample has been drawn without replacement. Nothing else is
assumed. A number of samples, those with a wrong label for instance, has an exact interval, and one
that holds at all times. Ratios of two numbers, and sums of other values, have a bootstrap.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

#: Numbers of marked samples in a stratum that are looked at, at most, and entries of the table of
#: their chances. Ends are rounded outwards.
_POINTS, _ENTRIES = 512, 2**21

#: Share of the error of an end that is spent on which splits of a number are possible.
_SPENT_ON_SPLITS = 0.02

#: Draws of the bootstrap.
_DRAWS = 4000


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
    known: int = 0
    known_not: int = 0


class RatioSample(NamedTuple):
    """What was found in a random sample of a stratum for a ratio of hits to hits and misses.

    Attributes
    ----------
    size, n_drawn : int
        Samples in the stratum, and those that were drawn.
    hits, misses : int
        Hits and misses among these. The others count for nothing.
    unclear_hits, unclear_misses : int
        Drawn samples of which nobody could tell, that are a hit, or a miss, or nothing.
    may_hit, may_miss : bool
        Whether a sample that was not drawn may be a hit, or a miss.
    """

    size: int
    n_drawn: int
    hits: int
    misses: int
    unclear_hits: int
    unclear_misses: int
    may_hit: bool
    may_miss: bool


def exact_interval(samples: Sequence[Sample], level: float) -> tuple[int, int]:
    r"""Return an interval of the number of marked samples for a sample size that is fixed.

    The upper end is the largest number that a test of the stratified estimate
    :math:`t = \sum_h N_h k_h / m_h` does not reject [1]_. The distribution of the estimate depends
    on how the number is split over the strata. The test takes the split with the largest p-value
    among those that the sample does not rule out, and adds the error of ruling them out [2]_. So
    the interval holds with the probability `level` or more, whatever is marked.

    Parameters
    ----------
    samples : sequence of Sample
        One or two strata.
    level : float
        Probability that the interval holds the number.

    Returns
    -------
    low, high : int
        The ends.

    References
    ----------
    .. [1] Wendell and Schmee, "Exact Inference for Proportions From a Stratified Finite
       Population", Journal of the American Statistical Association 91, 1996.
    .. [2] Berger and Boos, "P Values Maximized Over a Confidence Set for the Nuisance Parameter",
       Journal of the American Statistical Association 89, 1994.
    """
    tail = (1 - level) / 2
    total = sum(sample.size for sample in samples)
    known = sum(sample.known for sample in samples)
    possible = total - sum(sample.known_not for sample in samples)
    high = _largest_number([(s.size, s.n_drawn, s.high) for s in samples], tail)
    low = total - _largest_number([(s.size, s.n_drawn, s.n_drawn - s.low) for s in samples], tail)
    return min(max(low, known), possible), max(min(high, possible), known)


def _largest_number(strata: list[tuple[int, int, int]], tail: float) -> int:
    """Return the largest number of marked samples that is not rejected at the level `tail`.

    Each stratum has a size, a number of drawn samples, and a number of marked ones among these.
    """
    strata = [stratum for stratum in strata if stratum[0]]
    if len(strata) < 2:
        return sum(int(_possible_numbers(*stratum, tail)[1][-1]) for stratum in strata)
    spent = _SPENT_ON_SPLITS * tail / 4  # for two ends in two strata
    starts, ends = zip(*(_possible_numbers(*stratum, spent) for stratum in strata), strict=True)
    weights = [size / max(n_drawn, 1) for size, n_drawn, _ in strata]
    reached = sum(weight * k for weight, (_, _, k) in zip(weights, strata, strict=True))
    # P(estimate <= reached) for each split; the more samples are marked, the smaller it is.
    (size_1, n_1, _), (size_2, n_2, _) = strata
    left = (reached - weights[0] * np.arange(n_1 + 1)) / weights[1]
    most = np.floor(left + 1e-9).astype(np.intp)
    at_most = _chances(size_2, n_2, starts[1]).cumsum(axis=1)[:, np.clip(most, 0, n_2)]
    p_values = _chances(size_1, n_1, starts[0]) @ np.where(most >= 0, at_most, 0).T
    accepted = p_values > tail - 4 * spent
    numbers = ends[0][:, None] + ends[1]
    return int(numbers[accepted].max(initial=int(starts[0][0] + starts[1][0])))


def _possible_numbers(size: int, n_drawn: int, k: int, tail: float) -> tuple[NDArray, NDArray]:
    """Return the ends of ranges of the numbers of marked samples that the sample allows."""

    # The exact interval of one stratum.
    def chances(marked: int) -> NDArray:
        return _chances(size, n_drawn, np.array([marked]))[0]

    low, high = k, size - n_drawn + k
    if k > 0:
        low = _first(lambda marked: chances(marked)[k:].sum() > tail, low, high)
    last = _first(lambda marked: chances(marked)[: k + 1].sum() <= tail, low + 1, high + 1) - 1
    n_points = np.clip(_ENTRIES // (n_drawn + 1), 16, _POINTS)
    step = int(np.ceil((last - low + 1) / n_points))
    starts = np.arange(low, last + 1, step)
    return starts, np.minimum(starts + step - 1, last)


@lru_cache(maxsize=4)
def _log_factorials(size: int) -> NDArray:
    """Return the logarithms of 0!, ..., size!."""
    return gammaln(np.arange(1.0, size + 2))


def _chances(size: int, n_drawn: int, marked: NDArray) -> NDArray:
    """Return P(k marked ones are drawn), of shape (n_numbers, n_drawn + 1)."""
    # A table of log-factorials is 50 times as fast as scipy.stats.hypergeom.
    log_factorial = _log_factorials(size)
    marked = marked[:, None]
    k = np.arange(n_drawn + 1)
    possible = (k <= marked) & (n_drawn - k <= size - marked)
    k = np.clip(k, np.maximum(n_drawn - size + marked, 0), np.minimum(marked, n_drawn))

    def log_choose(n: NDArray | int, k: NDArray | int) -> NDArray:
        return log_factorial[n] - log_factorial[k] - log_factorial[n - k]

    log_chance = log_choose(marked, k) + log_choose(size - marked, n_drawn - k)
    return np.where(possible, np.exp(log_chance - log_choose(size, n_drawn)), 0)


class History(NamedTuple):
    """What was drawn from a stratum, one sample after the other, while others were looked at.

    Attributes
    ----------
    marked : ndarray of bool of shape (n_drawn,)
        Whether each drawn sample is marked.
    n_unseen : ndarray of shape (n_drawn,)
        How many samples of the stratum nobody had looked at, before each was drawn from them.
    later : ndarray of shape (n_drawn,)
        How many marked ones among these have been found since, the drawn one included.
    forecast : ndarray of shape (n_drawn,)
        A probability that the drawn sample is marked, from what was seen before.
    n_left : int
        Samples that nobody has looked at.
    """

    marked: NDArray
    n_unseen: NDArray
    later: NDArray
    forecast: NDArray
    n_left: int

    def log_ratio(self, left: int) -> float:
        """Return the log-likelihood of the forecasts less that of a number of marked ones left."""
        share = (self.later + left) / self.n_unseen
        chance = np.where(self.marked, share, 1 - share)
        forecast = np.where(self.marked, self.forecast, 1 - self.forecast)
        return float(np.log(forecast / chance).sum())


def anytime_interval(histories: Sequence[History], level: float) -> tuple[int, int]:
    r"""Return an interval of the number of marked samples that nobody has looked at.

    It holds at all times at once, however often somebody looks, and whatever decides which samples
    are looked at besides those that are drawn. If the number is true, the number of marked samples
    was known up to it whenever a sample was drawn. The ratio of the likelihood of any forecasts of
    the drawn samples to the likelihood of the number is a martingale then. It exceeds
    :math:`1 / \alpha` at any time with a probability of at most :math:`\alpha`, one minus the
    level. The interval has all numbers for which a split over the strata has a smaller ratio. With
    the forecasts of a beta-binomial prior, and where only drawn samples are looked at, it is the
    prior-posterior-ratio confidence sequence [1]_.

    References
    ----------
    .. [1] Waudby-Smith and Ramdas, "Confidence Sequences for Sampling Without Replacement", NeurIPS
       2020.
    """
    limit = -np.log1p(-level)
    histories = [history for history in histories if history.n_left]
    # Log-ratios are convex, so all searches below halve.
    best = [_minimize(history.log_ratio, 0, history.n_left) for history in histories]

    def least(number: int) -> float:
        """Return the smallest log-ratio over all splits."""
        if len(histories) == 1:
            return histories[0].log_ratio(number)
        one, other = histories

        def of_split(first: int) -> float:
            return one.log_ratio(first) + other.log_ratio(number - first)

        first = _minimize(of_split, max(0, number - other.n_left), min(one.n_left, number))
        return of_split(first)

    middle, n_left = sum(best), sum(history.n_left for history in histories)
    if not histories or least(middle) > limit:
        return middle, middle
    lowest = _first(lambda number: least(number) <= limit, 0, middle)
    return lowest, _first(lambda number: least(number) > limit, middle + 1, n_left + 1) - 1


def _first(condition: Callable[[int], bool], low: int, high: int) -> int:
    """Return the first number from `low` on that fulfils a condition, `high` if none below does."""
    while low < high:
        middle = (low + high) // 2
        if condition(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _minimize(function: Callable[[int], float], low: int, high: int) -> int:
    """Return where a convex function is smallest, from `low` to `high`."""
    return _first(lambda number: function(number + 1) >= function(number), low, high)


def draw_totals(
    size: int, drawn: NDArray, bound: NDArray, counts: NDArray, rng: np.random.RandomState
) -> NDArray:
    r"""Return draws of an upper, or lower, bound of sums of values over a stratum.

    The bound of Gaffke [1]_: to the values of the n drawn samples one more is added, the largest
    (or smallest) that a sample may have; the n + 1 values get weights from a flat Dirichlet
    distribution. For values of 0 and 1 the quantiles are those of Clopper and Pearson. For other
    values it has been found to hold in simulations. The deviation from the mean is multiplied by
    :math:`f / (-\log(1 - f))` for the share f that was drawn, as for a sample without any mark.

    Parameters
    ----------
    size : int
        Samples in the stratum.
    drawn : ndarray of shape (n_different, n_values)
        The different values of the drawn samples.
    bound : ndarray of shape (n_values,)
        Values of one more sample.
    counts : ndarray of shape (n_different,)
        How many drawn samples have the values.
    rng : RandomState
        Source of the weights.

    Returns
    -------
    totals : ndarray of shape (n_draws, n_values)
        Sums over the stratum.

    References
    ----------
    .. [1] Learned-Miller and Thomas, "A New Confidence Interval for the Mean of a Bounded Random
       Variable", arXiv 1905.06208, 2019.
    """
    n_drawn = int(counts.sum())
    weights = rng.standard_gamma(np.append(counts, 1.0), size=(_DRAWS, len(counts) + 1))
    weights /= weights.sum(axis=1, keepdims=True)
    mean = weights @ np.vstack([drawn, bound])
    if n_drawn == 0:
        return size * mean
    center, share = counts @ drawn / n_drawn, n_drawn / size
    shrink = 0.0 if share == 1 else share / -np.log1p(-share)
    return size * (center + shrink * (mean - center))


def draw_ratios(samples: Sequence[RatioSample], hits: int, misses: int, seed: int) -> NDArray:
    """Return draws of a lower and of an upper bound of a ratio, of shape (n_draws, 2).

    A quantile of the draws of a bound is the ratio r for which the same quantile of the bound of
    the sum of hits - r (hits + misses) is zero: such sums are linear in r.

    Parameters
    ----------
    samples : sequence of RatioSample
        The strata.
    hits, misses : int
        Hits and misses that are known and outside of the strata.
    seed : int
        Seed of the draws.
    """
    values = np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])  # hit or not, counts or not
    ends = []
    for upper in (False, True):
        rng = np.random.RandomState(seed)
        total = np.array([hits, hits + misses], dtype=np.float64)
        for s in samples:
            if upper:
                n_hits, n_misses = s.hits + s.unclear_hits, s.misses
                bound = values[0 if s.may_hit else 2]
            else:
                n_hits, n_misses = s.hits, s.misses + s.unclear_misses
                bound = values[1 if s.may_miss else 2]
            counts = np.array([n_hits, n_misses, s.n_drawn - n_hits - n_misses])
            if s.size:
                total = total + draw_totals(s.size, values, bound, counts, rng)
        n_right, n_counted = np.broadcast_to(total, (_DRAWS, 2)).T
        ratio = np.full(_DRAWS, float(upper))
        ends.append(np.divide(n_right, n_counted, out=ratio, where=n_counted > 1e-9))
    return np.stack(ends, axis=1)


@lru_cache(maxsize=4096)  # the entries of a large matrix have few different samples
def ratio_interval(
    samples: tuple[RatioSample, ...], hits: int, misses: int, seed: int, level: float
) -> tuple[float, float]:
    """Return an interval of a ratio, see `draw_ratios`."""
    return ends_of_bounds(draw_ratios(samples, hits, misses, seed), level)


def ends_of_bounds(draws: NDArray, level: float) -> tuple[float, float]:
    """Return the ends of an interval from draws of its lower and of its upper bound."""
    tail = (1 - level) / 2
    low, high = np.quantile(draws[:, 0], tail), np.quantile(draws[:, 1], 1 - tail)
    return float(low), float(high)

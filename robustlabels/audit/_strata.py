"""Which labels to check: strata by the probability of a wrong label, and the order within them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Smallest standard deviation of a label's being wrong: probabilities of 0 and 1 may err. With it a
#: table without wrong labels is sampled almost evenly.
_FLOOR = 0.1

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
    of a wrong label. The next sample is drawn from the stratum that is furthest behind its share:
    half of Neyman's allocation, half of its share of the samples. Sizes never depend on what is
    found.
    """
    n_rows = len(wrong_probability)
    shuffled = rng.permutation(n_rows)
    ranking = shuffled[np.argsort(-wrong_probability[shuffled], kind="stable")]
    doubt = np.sqrt(wrong_probability * (1 - wrong_probability)) + _FLOOR
    half = doubt[ranking].cumsum() <= doubt.sum() / 2
    stratum = np.empty(n_rows, dtype=np.intp)
    stratum[ranking] = ~half
    sizes, deviations = _sizes_and_deviations(wrong_probability, stratum)
    shares = (sizes * deviations / (sizes @ deviations) + sizes / n_rows) / 2
    shuffled = rng.permutation(n_rows)
    # A sample is due when its stratum has got that many of its share.
    due = np.empty(n_rows)
    for h in range(len(sizes)):
        rows = shuffled[stratum[shuffled] == h]
        number = np.arange(len(rows))
        due[rows] = np.where(number < _FIRST, number - n_rows, (number + 0.5) / shares[h])
    return Strata(stratum, np.argsort(due, kind="stable"), ranking)


def _sizes_and_deviations(wrong_probability: NDArray, stratum: NDArray) -> tuple[NDArray, NDArray]:
    """Return the size of each stratum, and the standard deviation of a label's being wrong."""
    sizes = np.bincount(stratum).astype(np.float64)
    variance = wrong_probability * (1 - wrong_probability)
    deviations = np.sqrt(np.bincount(stratum, variance) / np.maximum(sizes, 1))
    return sizes, np.maximum(deviations, _FLOOR)


def rows_needed(sizes: NDArray, shares: NDArray, half_width: float, z: float) -> int:
    r"""Return how many samples an interval of a number takes under Neyman's allocation.

    :math:`(\sum_h N_h s_h)^2 / ((w / z)^2 + \sum_h N_h s_h^2)` with the half-width w, the normal
    quantile z, and :math:`s_h^2 = p_h (1 - p_h)`, where :math:`p_h` is the share of samples of the
    stratum h that count.
    """
    deviations = np.maximum(np.sqrt(shares * (1 - shares)), _FLOOR)
    needed = (sizes @ deviations) ** 2 / ((half_width / z) ** 2 + sizes @ deviations**2)
    return int(min(np.ceil(needed), sizes.sum()))

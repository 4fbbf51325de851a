"""The rows of an audit: which were drawn, what was found, and numbers that follow from both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ._intervals import (
    History,
    RatioSample,
    Sample,
    anytime_interval,
    draw_totals,
    exact_interval,
    ratio_interval,
)
from ._strata import Strata

#: What `_answers` holds where nobody has looked, and where somebody could not tell.
UNSEEN, UNCLEAR = -2, -1

#: The time at which a row is looked at that nobody has looked at.
NEVER = np.iinfo(np.int64).max


class CheckedEstimate(NamedTuple):
    """An estimate from checked labels, and the ends of its interval."""

    value: float
    low: float
    high: float


class _Counted(NamedTuple):
    """What there is to know of a number of rows: samples of strata, and rows outside of them."""

    marked: NDArray
    value: float
    samples: list[Sample]
    low: int
    high: int


class AuditedRows(BaseEstimator):
    """What :class:`LabelAudit` estimates its numbers from."""

    level: float
    anytime: bool
    classes_: NDArray
    label_probabilities_: NDArray
    _given: NDArray  # positions of the labels in classes_
    _y: ArrayLike
    _answers: NDArray  # positions in classes_, UNSEEN or UNCLEAR
    _wrong_probability: NDArray  # before anything was checked
    _strata: Strata
    _seed: int
    _n_ordered: int  # how far the order of drawing has been gone through
    _n_ranked: int  # how far the ranking
    _offered: NDArray  # whether `draw` has returned a row
    _times: NDArray  # the place of each row among all that were drawn or looked at

    @property
    def checked_(self) -> NDArray:
        """Whether the true label of each row is known."""
        check_is_fitted(self)
        return self._answers >= 0

    def _n_found(self) -> int:
        """Return how many wrong labels have been found."""
        return int(np.count_nonzero(self.checked_ & (self._answers != self._given)))

    def _corrected(self) -> NDArray:
        """Return the rows at the top of the ranking that somebody has looked at."""
        top = self._strata.ranking[: self._n_ranked]
        return top[: length_of_run(self._answers[top] != UNSEEN)]

    def _samples(self, rest: NDArray) -> Iterator[tuple[NDArray, NDArray]]:
        """Yield the rows of each stratum, and those drawn and looked at, both within `rest`."""
        strata = self._strata
        order = strata.order[: self._n_ordered]
        for h in range(strata.stratum.max() + 1):
            drawn = order[strata.stratum[order] == h]
            drawn = drawn[: length_of_run(self._answers[drawn] != UNSEEN)]
            yield np.flatnonzero(rest & (strata.stratum == h)), drawn[rest[drawn]]

    def _rest(self, within: NDArray | None, corrected: bool) -> tuple[NDArray, NDArray]:
        """Return the rows at the top that have been corrected, and which of all others remain.

        The top is known, and no part of the population. Without `corrected` it is empty.
        """
        rest = np.ones(len(self._given), dtype=bool) if within is None else within.copy()
        top = self._corrected() if corrected else np.empty(0, dtype=np.intp)
        top = top[rest[top]]
        rest[top] = False
        return top, rest

    def _count_wrong(
        self, within: NDArray | None = None, anytime: bool | None = None
    ) -> CheckedEstimate:
        check_is_fitted(self)
        return self._count(
            lambda rows, codes: codes != self._given[rows], self._wrong_probability, within,
            anytime=anytime,
        )  # fmt: skip

    def _count_left(self, anytime: bool | None = None) -> CheckedEstimate:
        """Estimate the number of wrong labels that nobody has put right."""
        n_found = self._n_found()
        value, low, high = (n - n_found for n in self._count_wrong(anytime=anytime))
        return CheckedEstimate(max(value, 0.0), max(low, 0), high)

    def _count(
        self, counts: Callable[[NDArray, NDArray], NDArray], expected: NDArray,
        within: NDArray | None = None, level: float | None = None,
        anytime: bool | None = None,
    ) -> CheckedEstimate:  # fmt: skip
        """Estimate how many rows count.

        `counts` says it of rows and their true classes, `expected` are its probabilities by the
        label probabilities, and rows that are not `within` never count.
        """
        level = self.level if level is None else level
        anytime = self.anytime if anytime is None else anytime
        found = self._look(counts, expected, within, corrected=not anytime)
        if anytime:
            low, high = self._count_at_all_times(found.marked, within, level)
        else:
            low, high = exact_interval(found.samples, level)
            low, high = low + found.low, high + found.high
        return CheckedEstimate(float(np.clip(found.value, low, high)), low, high)

    def _count_at_all_times(
        self, marked: NDArray, within: NDArray | None, level: float
    ) -> tuple[int, int]:
        """Return an interval of the number of marked rows that holds at all times at once."""
        seen, stratum = self._answers != UNSEEN, self._strata.stratum
        within = np.ones(len(seen), dtype=bool) if within is None else within

        def interval(counted: NDArray) -> tuple[int, int]:
            histories = [
                self._history(counted, np.flatnonzero(within & (stratum == h)))
                for h in range(stratum.max() + 1)
            ]
            known = int(counted[seen & within].sum())
            low, high = anytime_interval(histories, level)
            return known + low, known + high

        low, high = interval(marked)
        unclear = within & (self._answers == UNCLEAR)
        if unclear.any():
            _, high = interval(marked | unclear)
        return low, high

    def _history(self, marked: NDArray, rows: NDArray) -> History:
        """Return what was drawn from the rows of a stratum, in the order of time.

        Forecasts are those of a beta-binomial prior with Jeffreys' parameters.
        """
        ranking, times = self._strata.ranking, self._times
        seen = self._answers != UNSEEN
        when = np.where(seen, times, NEVER)
        drawn = rows[self._offered[rows]]
        drawn = drawn[np.argsort(times[drawn])]
        drawn = drawn[: length_of_run(seen[drawn])]
        at = times[drawn]
        n_unseen = len(rows) - np.searchsorted(np.sort(when[rows]), at)
        of_marked = np.sort(when[rows[marked[rows]]])
        later = np.searchsorted(of_marked, NEVER) - np.searchsorted(of_marked, at)
        # Forecasts leave out drawn rows whose neighbours in the ranking have been corrected.
        n_top = np.searchsorted(np.maximum.accumulate(when[ranking]), at)
        place = np.empty(len(ranking), dtype=np.intp)
        place[ranking] = np.arange(len(ranking))
        numbers = np.arange(len(drawn))
        leaves = np.maximum(np.searchsorted(n_top, place[drawn], side="right"), numbers + 1)
        forecasts = []
        for weight in (marked[drawn] * 1.0, np.ones(len(drawn))):
            change = np.zeros(len(drawn) + 1)
            change[1:] = weight
            np.subtract.at(change, leaves, weight)
            forecasts.append(change.cumsum()[:-1])
        forecast = (forecasts[0] + 0.5) / (forecasts[1] + 1)
        return History(marked[drawn], n_unseen, later, forecast, int((~seen[rows]).sum()))

    def _look(
        self, counts: Callable[[NDArray, NDArray], NDArray], expected: NDArray,
        within: NDArray | None, corrected: bool,
    ) -> _Counted:  # fmt: skip
        """Return what has been found of a number of rows, see `_count`."""
        answers = self._answers
        marked = np.zeros(len(answers), dtype=bool)
        known = np.flatnonzero(answers >= 0)
        marked[known] = counts(known, answers[known])
        unclear = answers == UNCLEAR
        top, rest = self._rest(within, corrected)
        value, samples = marked[top].sum() + expected[top[unclear[top]]].sum(), []
        for rows, drawn in self._samples(rest):
            found, n_marked = int(marked[drawn].sum()), int(marked[rows].sum())
            samples.append(
                Sample(
                    len(rows), len(drawn), found, found + int(unclear[drawn].sum()),
                    n_marked, int((answers[rows] >= 0).sum()) - n_marked,
                )
            )  # fmt: skip
            value += expected[rows].sum()
            if len(drawn):
                off = np.where(unclear[drawn], 0.0, marked[drawn] - expected[drawn])
                value += len(rows) * off.mean()
        low = int(marked[top].sum())
        return _Counted(marked, float(value), samples, low, low + int(unclear[top].sum()))

    def _sum(
        self, values: Callable[[NDArray, NDArray], NDArray], lowest: NDArray, highest: NDArray,
        expected: NDArray, within: NDArray,
    ) -> CheckedEstimate:  # fmt: skip
        """Estimate the sum of values over the rows `within`; see `_count`.

        `lowest` and `highest` are the values of each row that are possible.
        """
        answers = self._answers
        known = np.flatnonzero(answers >= 0)
        lowest, highest = lowest.astype(np.float64), highest.astype(np.float64)
        lowest[known] = highest[known] = values(known, answers[known])
        unclear = answers == UNCLEAR
        top, rest = self._rest(within, corrected=True)
        strata = [(rows, drawn) for rows, drawn in self._samples(rest) if len(rows)]

        def draw_bound(possible: NDArray, extreme: Callable[[NDArray], float]) -> NDArray:
            rng, total = np.random.RandomState(self._seed), np.full(1, possible[top].sum())
            for rows, drawn in strata:
                different, numbers = np.unique(possible[drawn], return_counts=True)
                bound = np.array([extreme(possible[rows])])
                draws = draw_totals(len(rows), different[:, None], bound, numbers, rng)
                total = total + draws[:, 0]
            return total

        tail = (1 - self.level) / 2
        low = np.quantile(draw_bound(lowest, np.min), tail)
        high = np.quantile(draw_bound(highest, np.max), 1 - tail)
        low = max(low, lowest[top].sum() + lowest[rest].sum())
        high = min(high, highest[top].sum() + highest[rest].sum())
        guess = np.where(unclear, expected, lowest)
        value = guess[top].sum()
        for rows, drawn in strata:
            value += expected[rows].sum()
            if len(drawn):
                value += len(rows) * (guess[drawn] - expected[drawn]).mean()
        return CheckedEstimate(float(np.clip(value, low, high)), float(low), float(high))

    def _share_of_class(
        self, assigned: NDArray, true: int, other: int, level: float
    ) -> CheckedEstimate:
        """Estimate the share of rows with `assigned` equal to `other` among those of class `true`.

        Its interval is a bootstrap, see `draw_ratios`; at all times at once it follows from the
        intervals of two numbers that hold together.
        """
        corrected = not self.anytime
        hits = assigned == other
        counts, expected = partial(is_class, true), self.label_probabilities_[:, true]
        n_hits, n_misses = (
            max(self._look(counts, expected, within, corrected).value, 0.0)
            for within in (hits, ~hits)
        )
        if self.anytime:
            _, hits_low, hits_high = self._count(counts, expected, hits, (1 + level) / 2)
            _, misses_low, misses_high = self._count(counts, expected, ~hits, (1 + level) / 2)
            low = hits_low / max(hits_low + misses_high, 1)
            high = hits_high / (hits_high + misses_low) if hits_high + misses_low else 1.0
        else:
            found = self._look_at_class(assigned, true, other)
            low, high = ratio_interval(*found, self._seed, level)
        value = n_hits / (n_hits + n_misses) if n_hits + n_misses > 0 else (low + high) / 2
        return CheckedEstimate(float(np.clip(value, low, high)), low, high)

    def _look_at_class(
        self, assigned: NDArray, true: int, other: int
    ) -> tuple[tuple[RatioSample, ...], int, int]:
        """Return what has been found of `_share_of_class`, and hits and misses at the top."""
        top, rest = self._rest(None, corrected=True)
        of_class, unclear = self._answers == true, self._answers == UNCLEAR
        hits = assigned == other
        samples = []
        for rows, drawn in self._samples(rest):
            n_rows, n_hits = len(rows), int(hits[rows].sum())
            right, known, unknown = hits[drawn], of_class[drawn], unclear[drawn]
            samples.append(
                RatioSample(
                    n_rows, len(drawn), int((known & right).sum()), int((known & ~right).sum()),
                    int((unknown & right).sum()), int((unknown & ~right).sum()),
                    n_hits > 0, n_hits < n_rows,
                )
            )  # fmt: skip
        n_right, n_known = int((of_class & hits)[top].sum()), int(of_class[top].sum())
        return tuple(samples), n_right, n_known - n_right


def is_class(position: int, rows: NDArray, codes: NDArray) -> NDArray:
    """Return whether the true classes of rows are a certain one."""
    return codes == position


def length_of_run(seen: NDArray) -> int:
    """Return how many entries are True before the first that is False."""
    return len(seen) if seen.all() else int(np.argmin(seen))

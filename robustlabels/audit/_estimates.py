"""What checked labels say of all rows: numbers, rates and scores, with their intervals."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted

from .._plotting import COLORS, import_pandas, make_axes, style_axes
from .._validation.labels import as_given, check_labels, encode
from ._intervals import draw_ratios, ends_of_bounds
from ._population import UNSEEN, AuditedRows, CheckedEstimate, is_class
from ._strata import recalibrate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


#: Classes that a notebook shows, at most.
_MAX_SHOWN = 10


class CheckedMatrix(NamedTuple):
    """Estimates from checked labels, and the ends of their intervals, each a matrix."""

    value: NDArray
    low: NDArray
    high: NDArray


class AuditEstimates(AuditedRows):
    """The numbers that :class:`LabelAudit` estimates."""

    @property
    def given_labels_(self) -> NDArray:
        """The labels as they were given."""
        check_is_fitted(self)
        return as_given(self.classes_[self._given], self._y)

    @property
    def drawn_(self) -> NDArray:
        """Whether each row was drawn at random, and its true label is known."""
        check_is_fitted(self)
        drawn = np.zeros(len(self._given), dtype=bool)
        drawn[self._strata.order[: self._n_ordered]] = True
        return drawn & self.checked_

    @property
    def labels_(self) -> NDArray:
        """The labels, put right where somebody has looked."""
        codes = np.where(self.checked_, self._answers, self._given)
        return as_given(self.classes_[codes], self._y)

    @property
    def true_labels_(self) -> NDArray:
        """The true labels where somebody has looked, None elsewhere."""
        known = np.full(len(self._given), None, dtype=object)
        known[self.checked_] = self.classes_[self._answers[self.checked_]].tolist()
        return known

    @property
    def wrong_probability_(self) -> NDArray:
        """Probability that each given label is wrong, adjusted to what the checked rows show."""
        check_is_fitted(self)
        chosen = self.drawn_
        chosen[self._corrected()] = True
        rows = np.flatnonzero(chosen & self.checked_)
        wrong = self._answers != self._given
        probability = recalibrate(self._wrong_probability, rows, wrong[rows])
        return np.where(self.checked_, wrong.astype(np.float64), probability)

    @property
    def n_wrong_(self) -> float:
        """Estimated number of wrong labels among all that were given."""
        return self._count_wrong().value

    @property
    def n_wrong_interval_(self) -> tuple[int, int]:
        """Interval of the number of wrong labels."""
        _, low, high = self._count_wrong()
        return int(low), int(high)

    @property
    def n_left_(self) -> float:
        """Estimated number of wrong labels that nobody has put right."""
        return self._count_left().value

    @property
    def n_left_interval_(self) -> tuple[int, int]:
        """Interval of the number of wrong labels that nobody has put right."""
        _, low, high = self._count_left()
        return int(low), int(high)

    @property
    def noise_rate_(self) -> float:
        """Estimated share of wrong labels among all that were given."""
        return self.n_wrong_ / len(self._given)

    @property
    def noise_rate_interval_(self) -> tuple[float, float]:
        """Interval of the share of wrong labels."""
        low, high = self.n_wrong_interval_
        return low / len(self._given), high / len(self._given)

    @property
    def transition_matrix_(self) -> NDArray:
        """Estimated share of each label among the rows of each true class."""
        check_is_fitted(self)
        return self._shares_of_classes(self._given).value

    @property
    def transition_matrix_interval_(self) -> tuple[NDArray, NDArray]:
        """Lower and upper ends of the intervals of its entries."""
        check_is_fitted(self)
        _, low, high = self._shares_of_classes(self._given)
        return low, high

    def n_wrong_by(self, groups: ArrayLike | None = None) -> pd.DataFrame:
        """Estimate the number of wrong labels in each group of rows.

        Parameters
        ----------
        groups : array-like of shape (n_samples,) or None, default=None
            The group of each row, such as the site that it comes from. None takes the given labels.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_groups, 7)
            Under the names of the groups: "n_rows"; "n_wrong" with the ends "low" and "high" of its
            interval; and the same as a "rate", "rate_low" and "rate_high". Each interval holds its
            number with the probability `level`.
        """
        pd = import_pandas("LabelAudit.n_wrong_by")
        check_is_fitted(self)
        values = self.classes_[self._given] if groups is None else np.asarray(groups)
        check_consistent_length(values, self._given)
        codes, names = pd.factorize(values, sort=True)
        rows = []
        for code in range(len(names)):
            within = codes == code
            found = self._count_wrong(within)
            n_rows = int(within.sum())
            rows.append((n_rows, *found, *(number / n_rows for number in found)))
        columns = ["n_rows", "n_wrong", "low", "high", "rate", "rate_low", "rate_high"]
        return pd.DataFrame(rows, index=pd.Index(names, name="group"), columns=columns)

    def estimate(self, values: ArrayLike) -> CheckedEstimate:
        """Estimate the sum over all rows of a value that their true labels decide.

        Parameters
        ----------
        values : array-like of shape (n_samples, n_classes)
            The value of each row if its true class is this one: True where a row counts, or any
            number, such as a cost.

        Returns
        -------
        estimate : tuple of float
            The sum: "value", and the ends "low" and "high" of its interval. The interval of a
            number of rows, of values that are all 0 or 1, is exact. For other values it is a
            bootstrap with a bound for rows that were not drawn; it has been found to hold in
            simulations.

        Raises
        ------
        ValueError
            If the shape does not fit, a value is not finite, or `anytime` is True and the values
            are not all 0 or 1.
        """
        check_is_fitted(self)
        table = check_array(values, dtype=np.float64, input_name="values")
        if table.shape != self.label_probabilities_.shape:
            raise ValueError(
                f"values must have the shape {self.label_probabilities_.shape}, a column for each "
                f"class. Got {table.shape}."
            )
        lowest, highest = table.min(axis=1), table.max(axis=1)
        expected = (self.label_probabilities_ * table).sum(axis=1)
        within = lowest < highest
        constant = float(lowest[~within].sum())
        if np.isin(table[within], [0, 1]).all():
            found = self._count(lambda rows, codes: table[rows, codes] == 1, expected, within)
        elif self.anytime:
            raise ValueError(
                "Intervals that hold at all times exist for values of 0 and 1. Use anytime=False "
                "for others, and decide beforehand how many rows to check."
            )
        else:
            found = self._sum(
                lambda rows, codes: table[rows, codes], lowest, highest, expected, within
            )
        return CheckedEstimate(*(number + constant for number in found))

    def accuracy(self, y_pred: ArrayLike) -> CheckedEstimate:
        """Estimate the accuracy of predictions of these rows on their true labels.

        Parameters
        ----------
        y_pred : array-like of shape (n_samples,)
            Predictions of a classifier that has not learned from these rows.

        Returns
        -------
        estimate : tuple of float
            The accuracy: "value", and the ends "low" and "high" of its interval.

        Raises
        ------
        ValueError
            If the length or the classes do not fit.
        """
        predicted = self._encode(y_pred, "y_pred")
        n_rows = len(predicted)
        found = self._count(
            lambda rows, codes: predicted[rows] == codes,
            self.label_probabilities_[np.arange(n_rows), predicted],
        )
        return CheckedEstimate(*(number / n_rows for number in found))

    def compare(self, y_pred: ArrayLike, y_other: ArrayLike) -> CheckedEstimate:
        """Estimate by how much the accuracy of one classifier is above that of another.

        Parameters
        ----------
        y_pred, y_other : array-like of shape (n_samples,)
            Predictions of two classifiers that have not learned from these rows.

        Returns
        -------
        estimate : tuple of float
            The accuracy of the first less that of the second: "value", and the ends "low" and
            "high" of its interval. Rows with equal predictions do not matter for it.
        """
        first, second = self._encode(y_pred, "y_pred"), self._encode(y_other, "y_other")
        differs, n_rows = first != second, len(first)
        proba, every = self.label_probabilities_, np.arange(n_rows)
        if self.anytime:
            half = (1 + self.level) / 2
            better = self._count(
                lambda rows, codes: first[rows] == codes, proba[every, first], differs, half
            )
            worse = self._count(
                lambda rows, codes: second[rows] == codes, proba[every, second], differs, half
            )
            found = (better.value - worse.value, better.low - worse.high, better.high - worse.low)
        else:
            ones = np.ones(n_rows)
            found = self._sum(
                lambda rows, codes: (first[rows] == codes) * 1.0 - (second[rows] == codes),
                -ones, ones, proba[every, first] - proba[every, second], differs,
            )  # fmt: skip
        return CheckedEstimate(*(number / n_rows for number in found))

    def recalls(self, y_pred: ArrayLike) -> CheckedMatrix:
        """Estimate the recall of each class.

        Parameters
        ----------
        y_pred : array-like of shape (n_samples,)
            Predictions of a classifier that has not learned from these rows.

        Returns
        -------
        estimates : tuple of ndarray of shape (n_classes,)
            The shares of the rows of each class that are predicted right: "value", and the ends
            "low" and "high" of an interval each.
        """
        predicted = self._encode(y_pred, "y_pred")
        classes = range(len(self.classes_))
        found = [self._share_of_class(predicted, c, c, self.level) for c in classes]
        return CheckedMatrix(*np.transpose(found))

    def balanced_accuracy(self, y_pred: ArrayLike) -> CheckedEstimate:
        """Estimate the mean of the recalls.

        Parameters
        ----------
        y_pred : array-like of shape (n_samples,)
            Predictions of a classifier that has not learned from these rows.

        Returns
        -------
        estimate : tuple of float
            The balanced accuracy: "value", and the ends "low" and "high" of an interval, which has
            been found to hold in simulations. It is that of the mean of the bounds of all recalls;
            if `anytime`, the mean of intervals that hold together.
        """
        predicted = self._encode(y_pred, "y_pred")
        n_classes = len(self.classes_)
        if self.anytime:
            level = 1 - (1 - self.level) / n_classes
            found = [self._share_of_class(predicted, c, c, level) for c in range(n_classes)]
            return CheckedEstimate(*np.mean(found, axis=0).tolist())
        values = self.recalls(y_pred).value
        draws = [
            draw_ratios(*self._look_at_class(predicted, c, c), self._seed + c)
            for c in range(n_classes)
        ]
        low, high = ends_of_bounds(np.mean(draws, axis=0), self.level)
        return CheckedEstimate(float(np.clip(values.mean(), low, high)), low, high)

    def confusion_matrix(self, y_pred: ArrayLike) -> CheckedMatrix:
        """Estimate the confusion matrix on the true labels.

        Parameters
        ----------
        y_pred : array-like of shape (n_samples,)
            Predictions of a classifier that has not learned from these rows.

        Returns
        -------
        estimates : tuple of ndarray of shape (n_classes, n_classes)
            Entry (i, j) of "value" is the estimated number of rows with true class i and prediction
            j; "low" and "high" are the ends of its interval.
        """
        predicted = self._encode(y_pred, "y_pred")
        return _make_matrix(
            len(self.classes_),
            lambda i, j: self._count(
                partial(is_class, i), self.label_probabilities_[:, i], predicted == j
            ),
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the interval of the number of wrong labels against the number of drawn rows.

        Parameters
        ----------
        ax : matplotlib axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        ax : matplotlib.axes.Axes
            The axes. If a refiner was fitted, the grey area is what the labels alone say.
        """
        check_is_fitted(self)
        ax = make_axes(ax, "LabelAudit.plot", figsize=(6.4, 3.6))
        drawn = self._strata.order[: self._n_ordered]
        numbers = np.unique(np.linspace(0, len(drawn), 41).astype(int))
        found = [self._after(drawn[:number]) for number in numbers]
        value, low, high = np.transpose(found)
        if self._labels_alone is not None:
            ax.axhspan(*self._labels_alone, color="#dddddd", label="the labels alone")
        label = f"{self.level:.0%} interval"
        ax.fill_between(numbers, low, high, color=COLORS[5], alpha=0.4, label=label)
        ax.plot(numbers, value, color=COLORS[0], label="estimate")
        ax.set(xlabel="Checked rows, drawn at random", ylabel="Wrong labels", ylim=(0, None))
        style_axes(ax)
        ax.legend(fontsize="small")
        return ax

    def _after(self, drawn: NDArray) -> CheckedEstimate:
        """Return the number of wrong labels as it was when only these rows had been drawn."""
        past = copy.copy(self)
        past._answers = np.full(len(self._given), UNSEEN)
        past._answers[drawn] = self._answers[drawn]
        past._n_ordered, past._n_ranked = len(drawn), 0
        return past._count_wrong()

    def _repr_html_(self) -> str:
        """Return the numbers as a table, all and by given label, and how many rows are checked."""
        if not hasattr(self, "_answers"):
            return super()._repr_html_()
        names = [str(name) for name in self.classes_[:_MAX_SHOWN]]
        shown = {"wrong": self._count_wrong(), "left": self._count_left()}
        for code, name in enumerate(names):
            shown[f"wrong of those called {name}"] = self._count_wrong(self._given == code)
        rows = "".join(
            f"<tr><td>{escape(name)}</td><td>{value:.0f}</td><td>{low:.0f} to {high:.0f}</td></tr>"
            for name, (value, low, high) in shown.items()
        )
        head = f"<tr><th>labels</th><th>estimate</th><th>{self.level:.0%} interval</th></tr>"
        caption = f"{self.checked_.sum()} of {len(self._given)} labels are checked"
        return f"<table><caption>{caption}</caption>{head}{rows}</table>"

    def __str__(self) -> str:
        if not hasattr(self, "_answers"):
            return repr(self)
        n_wrong, low, high = self._count_wrong()
        n_left, left_low, left_high = self._count_left()
        waiting = np.count_nonzero(self._offered & (self._answers == UNSEEN))
        return (
            f"{self.checked_.sum()} of {len(self._given)} labels checked: {n_wrong:.0f} are wrong, "
            f"{low} to {high} at {self.level:.0%}; {n_left:.0f} are left, {left_low} to {left_high}"
        ) + (f"; {waiting} drawn rows wait for an answer" if waiting else "")

    def _encode(self, labels: ArrayLike, name: str) -> NDArray:
        check_is_fitted(self)
        codes = encode(check_labels(labels, name), self.classes_, name)
        check_consistent_length(codes, self._given)
        return codes

    def _shares_of_classes(self, assigned: NDArray) -> CheckedMatrix:
        """Estimate the share of each assigned class among the rows of each true one."""
        return _make_matrix(
            len(self.classes_),
            lambda i, j: self._share_of_class(assigned, i, j, self.level),
        )


def _make_matrix(n_classes: int, estimate: Callable[[int, int], CheckedEstimate]) -> CheckedMatrix:
    """Return the estimates of all pairs of classes."""
    found = np.empty((3, n_classes, n_classes))
    for i, j in np.ndindex(n_classes, n_classes):
        found[:, i, j] = estimate(i, j)
    return CheckedMatrix(*found)

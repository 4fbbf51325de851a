"""LabelAudit: which labels to check, and how many are wrong, whatever the noise is."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted

from .._fitting import take_attributes, unchanged_on_error
from .._plotting import import_pandas
from .._typing import Features, Seed
from .._validation.labels import as_given, check_labels, encode, find_missing, shorten
from .._validation.sklearn_private import HasMethods, Interval, _fit_context
from ..refinement import LabelRefiner
from ._intervals import Sample, anytime_interval, melded_interval
from ._strata import make_strata, rows_needed

if TYPE_CHECKING:
    import pandas as pd

#: What `_answers` holds where nobody has looked, and where somebody could not tell.
_UNSEEN, _UNCLEAR = -2, -1

#: Checked rows of a stratum that label probabilities are worth, where only sizes are planned.
_BELIEF_ROWS = 10


class CheckedEstimate(NamedTuple):
    """An estimate from checked labels, and the ends of its interval."""

    value: float
    low: float
    high: float


class LabelAudit(BaseEstimator):
    r"""Check a few labels, and know how many of all are wrong.

    Labels alone cannot tell wrong labels from hard samples. A random sample that somebody has
    checked can. The audit says which labels to check, and estimates from the answers the number of
    wrong labels, and any other number that the true labels decide. The intervals hold whatever the
    noise is: label probabilities only make them shorter.

    Parameters
    ----------
    refiner : LabelRefiner or None, default=None
        Estimates the label probabilities; it is cloned, unless it is `prefit`. None takes
        ``LabelRefiner()``.
    prefit : bool, default=False
        Whether `refiner` is fitted, to these samples or others, and shall be used as it is.
    level : float, default=0.9
        Probability that an interval holds the number.
    anytime : bool, default=False
        Whether the intervals hold at all times at once. Set it if you look at them after each
        answer and stop when they please you; they are about 1.7 times as wide. False is right if
        you decide beforehand how many labels to check.
    random_state : int, RandomState instance or None, default=None
        Randomness of the drawn samples, and of the refiner if it is None.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted class labels.
    label_probabilities_ : ndarray of shape (n_samples, n_classes)
        Probabilities of the true labels that the strata and the ranking are made from.
    refiner_ : LabelRefiner or None
        The fitted refiner. None if label probabilities were passed.
    labels_ : ndarray of shape (n_samples,)
        The labels, put right where somebody has looked.
    true_labels_ : ndarray of shape (n_samples,)
        True labels as objects where somebody has looked, None elsewhere: what `trusted` takes in
        the `fit` of a classifier.
    checked_ : ndarray of bool of shape (n_samples,)
        Whether the true label is known.
    n_wrong_ : float
        Estimated number of wrong labels among all that were given.
    n_wrong_interval_ : tuple of int
        Interval that holds it with the probability `level`.
    n_left_ : float
        The same for wrong labels that nobody has put right.
    n_left_interval_ : tuple of int
        Interval of that number.

    See Also
    --------
    LabelRefiner : Estimates the same numbers from the labels alone, or with checked ones.
    find_wrong_labels : The whole ranking of `worst`.

    Notes
    -----
    **Design.** The samples are divided in two strata of more and less doubtful labels. From each a
    simple random sample is drawn, in an order that is fixed in `fit`. The doubtful stratum gets
    more than its share. Its size never depends on what was found.

    **Estimate.** With b the label probabilities, :math:`v_i(k)` whether sample i counts if its true
    class is k, and :math:`m_i = \sum_k b_{ik} v_i(k)`, the estimate is the difference estimator

    .. math:: \sum_h \Bigl[\sum_{i \in h} m_i
        + N_h \, \mathrm{mean}_{i \in s_h} (v_i(y_i) - m_i)\Bigr],

    where :math:`s_h` is the sample drawn from the stratum h of :math:`N_h` samples. It is unbiased
    for any b. [1]_ [2]_

    **Interval.** The exact hypergeometric intervals of the strata are melded [3]_. That has been
    found to be conservative in simulations.

    **Labels that are put right.** The rows that `worst` returns are the top of a ranking. Once they
    are recorded they leave the population, those among them that had been drawn included, and the
    drawn ones of the rest stay a random sample of the rest.

    **Unclear labels.** A sample of which nobody can tell the true label counts as right in the
    lower end of an interval and as wrong in the upper end.

    References
    ----------
    .. [1] Sarndal, Swensson and Wretman, "Model Assisted Survey Sampling", Springer 1992.
    .. [2] Angelopoulos et al., "Prediction-Powered Inference", Science 382, 2023.
    .. [3] Fay, Proschan and Brittain, "Combining One-Sample Confidence Procedures for Inference in
       the Two-Sample Case", Biometrics 71, 2015.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from robustlabels import LabelAudit, corrupt_labels
    >>> X, y = load_digits(return_X_y=True)
    >>> y_noisy = corrupt_labels(y, "symmetric", 0.2, exact=True, random_state=0)
    >>> audit = LabelAudit(random_state=0).fit(X, y_noisy)
    >>> rows = audit.draw(50)
    >>> audit.record(rows, y[rows])  # what a person says of these rows
    LabelAudit(random_state=0)
    >>> low, high = audit.n_wrong_interval_
    >>> bool(low <= (y != y_noisy).sum() <= high)
    True
    """

    _parameter_constraints = {
        "refiner": [HasMethods(["fit", "refine"]), None],
        "prefit": ["boolean"],
        "level": [Interval(Real, 0, 1, closed="neither")],
        "anytime": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        refiner: LabelRefiner | None = None,
        *,
        prefit: bool = False,
        level: float = 0.9,
        anytime: bool = False,
        random_state: Seed = None,
    ) -> None:
        self.refiner = refiner
        self.prefit = prefit
        self.level = level
        self.anytime = anytime
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: Features, y: ArrayLike, *, label_probabilities: ArrayLike | None = None
    ) -> Self:
        """Estimate the label probabilities, and fix which labels are drawn.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Features, as :class:`LabelRefiner` takes them. Not looked at if label probabilities are
            passed.
        y : array-like of shape (n_samples,)
            The labels, some of them wrong.
        label_probabilities : array-like of shape (n_samples, n_classes) or None, default=None
            Probabilities of the true labels from any source, for the sorted classes in y. No
            refiner is fitted then.

        Returns
        -------
        self : LabelAudit
            The audit, with no label checked.

        Raises
        ------
        ValueError
            If the data are invalid, or `prefit` is True without a fitted refiner.
        """
        with unchanged_on_error(self):
            rng = check_random_state(self.random_state)
            labels = check_labels(y)
            self.refiner_ = None
            if label_probabilities is not None:
                self.classes_ = np.unique(labels)
                proba = _check_label_probabilities(label_probabilities, labels, self.classes_)
            else:
                self.refiner_, proba = self._refine(X, labels, rng)
                self.classes_ = self.refiner_.classes_
                take_attributes(self, self.refiner_, "n_features_in_", "feature_names_in_")
            self.label_probabilities_ = proba
            self._given = encode(labels, self.classes_)
            self._y = y
            wrong = 1 - proba[np.arange(len(labels)), self._given]
            self._wrong_probability = np.clip(wrong, 0, 1)
            self._strata = make_strata(self._wrong_probability, rng)
            self._answers = np.full(len(labels), _UNSEEN)
            # How far the order of drawing and the ranking have been gone through, and how often.
            self._n_ordered = self._n_ranked = self._n_prefixes = 0
        return self

    def _refine(
        self, X: Features, labels: NDArray, rng: np.random.RandomState
    ) -> tuple[LabelRefiner, NDArray]:
        """Return the fitted refiner, and the label probabilities."""
        if self.prefit:
            if self.refiner is None:
                raise ValueError("prefit=True takes a fitted refiner as it is: pass one.")
            return self.refiner, self.refiner.refine(X, labels)
        refiner = self.refiner
        refiner = LabelRefiner(random_state=rng.randint(2**31)) if refiner is None else refiner
        refiner = clone(refiner).fit(X, labels)
        return refiner, refiner.label_probabilities_

    def draw(self, n: int) -> NDArray:
        """Return which rows to check next, to know how many labels are wrong.

        Parameters
        ----------
        n : int
            Number of rows.

        Returns
        -------
        rows : ndarray of shape (n,)
            Positions of rows that nobody has looked at, fewer if there are no more.
        """
        check_is_fitted(self)
        _check_number(n)
        order = self._strata.order
        waiting = self._n_ordered + np.flatnonzero(
            self._answers[order[self._n_ordered :]] == _UNSEEN
        )
        if len(waiting):
            self._n_ordered = int(waiting[:n][-1]) + 1
        return order[waiting[:n]]

    def worst(self, n: int) -> NDArray:
        """Return the rows of the next `n` places of the ranking, to put their labels right.

        Parameters
        ----------
        n : int
            Number of places.

        Returns
        -------
        rows : ndarray of shape (n_rows,)
            Positions of the rows with the most probably wrong labels. Rows that somebody has
            already looked at are left out.
        """
        check_is_fitted(self)
        _check_number(n)
        rows = self._strata.ranking[self._n_ranked : self._n_ranked + n]
        self._n_ranked += len(rows)
        self._n_prefixes += 1
        return rows[self._answers[rows] == _UNSEEN]

    def record(self, rows: ArrayLike, labels: ArrayLike) -> Self:
        """Record what a person says of some rows.

        Parameters
        ----------
        rows : array-like of int of shape (n_rows,)
            Positions of the rows, drawn or not. A row that was recorded before gets the new answer.
        labels : array-like of shape (n_rows,)
            Their true labels, among the classes; None, NaN or NA where the person cannot tell.

        Returns
        -------
        self : LabelAudit
            The audit.

        Raises
        ------
        ValueError
            If a row or a label does not exist, or a row is listed twice.
        """
        check_is_fitted(self)
        rows = np.atleast_1d(np.asarray(rows))
        values = np.atleast_1d(
            np.asarray(labels) if hasattr(labels, "__array__") else np.array(labels, dtype=object)
        )
        n_rows = len(self._given)
        if rows.dtype.kind not in "iu" and len(rows):
            raise ValueError(f"rows must be positions, integers from 0. Got {shorten(rows)}.")
        check_consistent_length(rows, values)
        strange = rows[(rows < 0) | (rows >= n_rows)]
        if len(strange):
            raise ValueError(f"rows has {shorten(strange)}, but there are {n_rows} rows.")
        if len(np.unique(rows)) < len(rows):
            raise ValueError("rows names a row twice.")
        unclear = find_missing(values)
        answers = np.full(len(rows), _UNCLEAR)
        if not unclear.all():
            answers[~unclear] = encode(
                check_labels(values[~unclear], "labels"), self.classes_, "labels"
            )
        self._answers[rows.astype(np.intp)] = answers
        return self

    def estimate(self, values: ArrayLike) -> CheckedEstimate:
        """Estimate how many rows count, if the true label decides whether a row does.

        Parameters
        ----------
        values : array-like of bool of shape (n_samples, n_classes)
            Whether a row counts if its true class is this one.

        Returns
        -------
        estimate : tuple of float
            The number of rows: "value", and the ends "low" and "high" of its interval.

        Raises
        ------
        ValueError
            If the shape does not fit, or a value is neither 0 nor 1.
        """
        check_is_fitted(self)
        table = check_array(values, dtype=None, input_name="values")
        if table.shape != self.label_probabilities_.shape or not np.isin(table, [0, 1]).all():
            raise ValueError(
                f"values must be True or False for each row and class, of shape "
                f"{self.label_probabilities_.shape}. Got the shape {table.shape}."
            )
        table = table.astype(bool)
        expected = (self.label_probabilities_ * table).sum(axis=1)
        return self._total(lambda rows, codes: table[rows, codes], expected)

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
        check_is_fitted(self)
        predicted = encode(check_labels(y_pred, "y_pred"), self.classes_, "y_pred")
        n_rows = len(self._given)
        check_consistent_length(predicted, self._given)
        found = self._total(
            lambda rows, codes: predicted[rows] == codes,
            self.label_probabilities_[np.arange(n_rows), predicted],
        )
        return CheckedEstimate(*(number / n_rows for number in found))

    def rows_needed(self, half_width: float) -> int:
        """Return about how many rows to draw for an interval of the number of wrong labels.

        Parameters
        ----------
        half_width : float
            Half of the width of the interval, in rows.

        Returns
        -------
        n_rows : int
            Number of rows to draw in all. It rests on the label probabilities until some rows are
            checked; the interval does not.
        """
        check_is_fitted(self)
        if not half_width > 0:
            raise ValueError(f"half_width must be a positive number of rows. Got {half_width!r}.")
        stratum = self._strata.stratum
        drawn = self._strata.order[: self._n_ordered]
        drawn = drawn[self._answers[drawn] >= 0]
        wrong = self._answers[drawn] != self._given[drawn]
        # The label probabilities count as much as that many checked rows.
        sizes, before = np.bincount(stratum), _BELIEF_ROWS
        beliefs = np.bincount(stratum, self._wrong_probability) / np.maximum(sizes, 1)
        found = np.bincount(stratum[drawn], wrong, len(sizes))
        n_drawn = np.bincount(stratum[drawn], minlength=len(sizes))
        shares = (before * beliefs + found) / (before + n_drawn)
        return rows_needed(sizes, shares, half_width, norm.ppf((1 + self.level) / 2))

    def done(self, at_most: float = 0.01) -> bool:
        r"""Return whether enough labels have been put right.

        It may be asked as often as you like: the bound holds at all times, whatever `anytime` is.
        Each call of `worst` makes another population, and the j-th one gets the error
        :math:`\alpha / (j (j + 1))`, with :math:`\alpha` one minus the level.

        Parameters
        ----------
        at_most : float, default=0.01
            Share of all rows.

        Returns
        -------
        done : bool
            Whether at most that share of the rows still has a wrong label, with the probability
            `level`.
        """
        check_is_fitted(self)
        j = self._n_prefixes + 1
        level = 1 - (1 - self.level) / (j * (j + 1))
        high = self._count_wrong(level, anytime=True).high - self._n_found()
        return bool(high <= at_most * len(self._given))

    @property
    def checked_(self) -> NDArray:
        """Whether the true label of each row is known."""
        check_is_fitted(self)
        return self._answers >= 0

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
    def n_wrong_(self) -> float:
        """Estimated number of wrong labels."""
        return self._count_wrong(self.level, self.anytime).value

    @property
    def n_wrong_interval_(self) -> tuple[int, int]:
        """Interval of the number of wrong labels."""
        _, low, high = self._count_wrong(self.level, self.anytime)
        return int(low), int(high)

    @property
    def n_left_(self) -> float:
        """Estimated number of wrong labels that nobody has put right."""
        return max(self.n_wrong_ - self._n_found(), 0.0)

    @property
    def n_left_interval_(self) -> tuple[int, int]:
        """Interval of the number of wrong labels that nobody has put right."""
        low, high = self.n_wrong_interval_
        return max(low - self._n_found(), 0), high - self._n_found()

    def to_frame(self) -> pd.DataFrame:
        """Return all rows with what is known of them.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_samples, 4)
            Under the index of y: "label", the label that was given; "wrong_probability"; "drawn",
            whether the row was drawn at random so far; and "true_label", None where nobody has
            looked or could tell.
        """
        pd = import_pandas("LabelAudit.to_frame")
        check_is_fitted(self)
        drawn = np.zeros(len(self._given), dtype=bool)
        drawn[self._strata.order[: self._n_ordered]] = True
        return pd.DataFrame(
            {
                "label": as_given(self.classes_[self._given], self._y),
                "wrong_probability": self._wrong_probability,
                "drawn": drawn,
                "true_label": self.true_labels_,
            },
            index=self._y.index if isinstance(self._y, pd.Series | pd.DataFrame) else None,
        )

    def __str__(self) -> str:
        if not hasattr(self, "_answers"):
            return repr(self)
        n_rows, (low, high), (left_low, left_high) = (
            len(self._given), self.n_wrong_interval_, self.n_left_interval_,
        )  # fmt: skip
        return (
            f"{self.checked_.sum()} of {n_rows} labels checked: {self.n_wrong_:.0f} are wrong, "
            f"{low} to {high} at {self.level:.0%}; {self.n_left_:.0f} are left, {left_low} to "
            f"{left_high}"
        )

    def _n_found(self) -> int:
        """Return how many wrong labels have been found."""
        return int(np.count_nonzero(self.checked_ & (self._answers != self._given)))

    def _count_wrong(self, level: float, anytime: bool) -> CheckedEstimate:
        return self._total(
            lambda rows, codes: codes != self._given[rows], self._wrong_probability, level, anytime
        )

    def _total(
        self, counts: Callable[[NDArray, NDArray], NDArray], expected: NDArray,
        level: float | None = None, anytime: bool | None = None,
    ) -> CheckedEstimate:  # fmt: skip
        """Estimate how many rows count.

        `counts` says it of rows and their true classes; `expected` are its probabilities by the
        label probabilities.
        """
        check_is_fitted(self)
        strata, answers = self._strata, self._answers
        seen = answers != _UNSEEN
        marked = np.zeros(len(answers), dtype=bool)
        known = np.flatnonzero(answers >= 0)
        marked[known] = counts(known, answers[known])
        unclear = answers == _UNCLEAR
        # The top of the ranking that has been put right is known, and no part of the population.
        top = strata.ranking[: self._n_ranked]
        top = top[: _length_of_run(seen[top])]
        rest = np.ones(len(answers), dtype=bool)
        rest[top] = False
        value = marked[top].sum() + expected[top[unclear[top]]].sum()
        order = strata.order[: self._n_ordered]
        samples = []
        for h in range(strata.stratum.max() + 1):
            rows = np.flatnonzero(rest & (strata.stratum == h))
            drawn = order[rest[order] & (strata.stratum[order] == h)]
            drawn = drawn[: _length_of_run(seen[drawn])]
            found = int(marked[drawn].sum())
            samples.append(
                Sample(
                    len(rows), len(drawn), found, found + int(unclear[drawn].sum()),
                    int(marked[rows].sum()), int((answers[rows] >= 0).sum() - marked[rows].sum()),
                )
            )  # fmt: skip
            value += expected[rows].sum()
            if len(drawn):
                off = np.where(unclear[drawn], 0.0, marked[drawn] - expected[drawn])
                value += len(rows) * off.mean()
        interval = anytime_interval if (self.anytime if anytime is None else anytime) else None
        interval = melded_interval if interval is None else interval
        low, high = interval(samples, self.level if level is None else level)
        low += int(marked[top].sum())
        high += int(marked[top].sum() + unclear[top].sum())
        return CheckedEstimate(float(np.clip(value, low, high)), low, high)


def _length_of_run(seen: NDArray) -> int:
    """Return how many entries are True before the first that is False."""
    return len(seen) if seen.all() else int(np.argmin(seen))


def _check_number(n: Any) -> None:
    if not isinstance(n, Integral) or n < 1:
        raise ValueError(f"n must be a positive whole number of rows. Got {n!r}.")


def _check_label_probabilities(proba: ArrayLike, labels: NDArray, classes: NDArray) -> NDArray:
    """Return label probabilities of the shape that the labels need."""
    checked = check_array(proba, dtype=np.float64, input_name="label_probabilities")
    shape = (len(labels), len(classes))
    if checked.shape != shape:
        raise ValueError(
            f"label_probabilities must have the shape {shape}, a column for each class "
            f"{shorten(classes)}. Got {checked.shape}."
        )
    if (checked < 0).any() or not np.allclose(checked.sum(axis=1), 1, atol=1e-3):
        raise ValueError("label_probabilities must be from 0 to 1 and sum to 1 in each row.")
    return checked

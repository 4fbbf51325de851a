"""LabelAudit: which labels to check, and how many are wrong, whatever the noise is."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from os import PathLike
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from .._fitting import take_attributes, unchanged_on_error
from .._plotting import import_pandas
from .._typing import Features, Seed
from .._validation.alignment import align_rows
from .._validation.labels import (
    check_labels,
    check_probabilities,
    encode,
    find_missing,
    shorten,
)
from .._validation.sklearn_private import HasMethods, Interval, _fit_context
from ..refinement import LabelRefiner
from ..refinement._bayes import SMALLEST_LABEL
from ..refinement._refiner import refine_with_interval
from ._estimates import AuditEstimates
from ._population import NEVER, UNCLEAR, UNSEEN, length_of_run
from ._storage import check_table, hash_table, read_decisions, read_state, write_state
from ._strata import Strata, make_strata, rows_needed

if TYPE_CHECKING:
    import pandas as pd

#: Checked rows of a stratum that label probabilities are worth, where only sizes are planned.
_BELIEF_ROWS = 10

#: Whole numbers that are stored.
_COUNTERS = ("seed", "n_ordered", "n_ranked", "clock")


class LabelAudit(AuditEstimates):
    r"""Check a few labels, and know how many of all are wrong.

    Labels alone cannot tell wrong labels from hard samples. A random sample that somebody has
    checked can. The audit says which labels to check, and estimates from the answers the number of
    wrong labels, and any other number that the true labels decide. The intervals hold whatever the
    noise is: label probabilities only make them shorter.

    Parameters
    ----------
    refiner : LabelRefiner, classifier or None, default=None
        Estimates the label probabilities; it is cloned, unless it is `prefit`. None takes
        ``LabelRefiner()``.
    prefit : bool, default=False
        Whether `refiner` is fitted and shall be used as it is. Then it may be a classifier that has
        not learned from these samples: its predictions are combined with the labels by its
        ``transition_matrix_``, if it has one.
    level : float, default=0.9
        Probability that an interval holds the number.
    anytime : bool, default=False
        Whether the intervals hold at all times at once. Set it if you look at them after each
        answer and stop when they please you; they are about twice as wide. False is right if
        you decide beforehand how many labels to check.
    random_state : int, RandomState instance or None, default=None
        Randomness of the drawn samples, and of the refiner if it is None.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted class labels.
    label_probabilities_ : ndarray of shape (n_samples, n_classes)
        Probabilities of the true labels that the strata and the ranking are made from.
    refiner_ : LabelRefiner, classifier or None
        The fitted refiner. None if label probabilities were passed.
    given_labels_, labels_ : ndarray of shape (n_samples,)
        The labels as they were given, and put right where somebody has looked.
    true_labels_ : ndarray of shape (n_samples,)
        True labels as objects where somebody has looked, None elsewhere: what `trusted` takes in
        the `fit` of a classifier.
    checked_ : ndarray of bool of shape (n_samples,)
        Whether the true label is known.
    drawn_ : ndarray of bool of shape (n_samples,)
        Whether the true label is known of a sample that was drawn at random: what
        `trusted_at_random` takes.
    wrong_probability_ : ndarray of shape (n_samples,)
        Probability that each label is wrong, adjusted to what the checked samples show.
    n_wrong_ : float
        Estimated number of wrong labels among all that were given.
    n_wrong_interval_ : tuple of int
        Interval that holds it with the probability `level`.
    n_left_, n_left_interval_ : float and tuple of int
        The same for wrong labels that nobody has put right.
    noise_rate_, noise_rate_interval_ : float and tuple of float
        The share of wrong labels, and its interval.
    transition_matrix_ : ndarray of shape (n_classes, n_classes)
        Estimated share of each label among the samples of each true class.
    transition_matrix_interval_ : tuple of ndarray
        Lower and upper ends of the interval of each entry.
    table_hash_ : str
        Tells this table from others, see :meth:`save`.

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

    **Interval.** That of a number of samples is exact: it has the numbers that a test of the
    stratified estimate does not reject for some split over the strata [3]_. If `anytime`, it is a
    confidence sequence [4]_. Intervals of ratios, such as recalls, and of sums of other values are
    a bootstrap with a bound for what was not drawn [5]_. It has been found to hold in simulations.

    **Labels that are put right.** The rows that `worst` returns are the top of a ranking. Once they
    are recorded they leave the population, those among them that had been drawn included, and the
    drawn ones of the rest stay a random sample of the rest. How many rows are put right may depend
    on what is found among them, but not on the drawn ones. If `anytime`, it may depend on all: each
    drawn row counts as drawn from those that nobody had looked at then.

    **Unclear labels.** A sample of which nobody can tell the true label counts as right in the
    lower end of an interval and as wrong in the upper end.

    References
    ----------
    .. [1] Sarndal, Swensson and Wretman, "Model Assisted Survey Sampling", Springer 1992.
    .. [2] Angelopoulos et al., "Prediction-Powered Inference", Science 382, 2023.
    .. [3] Wendell and Schmee, "Exact Inference for Proportions From a Stratified Finite
       Population", Journal of the American Statistical Association 91, 1996.
    .. [4] Waudby-Smith and Ramdas, "Confidence Sequences for Sampling Without Replacement", NeurIPS
       2020.
    .. [5] Learned-Miller and Thomas, "A New Confidence Interval for the Mean of a Bounded Random
       Variable", arXiv 1905.06208, 2019.

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
        "refiner": [HasMethods(["fit"]), None],
        "prefit": ["boolean"],
        "level": [Interval(Real, 0, 1, closed="neither")],
        "anytime": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        refiner: Any = None,
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
            Probabilities of the true labels from any source, for the sorted classes in y, or for
            those that name the columns of a data frame. No refiner is fitted then.

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
            y = align_rows(X, y, "y")
            labels = check_labels(y)
            self.refiner_ = self._labels_alone = None
            if label_probabilities is not None:
                self.classes_ = np.unique(labels)
                proba = _check_label_probabilities(label_probabilities, labels, self.classes_)
            else:
                self.refiner_, proba, self._labels_alone = self._refine(X, labels, rng)
                self.classes_ = self.refiner_.classes_
                take_attributes(self, self.refiner_, "n_features_in_", "feature_names_in_")
            self.table_hash_ = hash_table(X, labels)
            self._set_labels(y, labels, proba)
            self._strata = make_strata(self._wrong_probability, rng)
            self._seed = int(rng.randint(2**31))
            self._answers = np.full(len(labels), UNSEEN)
            self._offered, self._times = (
                np.zeros(len(labels), dtype=bool),
                np.full(len(labels), NEVER),
            )
            # How far the order of drawing and the ranking have been gone through, and the time.
            self._n_ordered = self._n_ranked = self._clock = 0
        return self

    def _set_labels(self, y: ArrayLike, labels: NDArray, proba: NDArray) -> None:
        """Keep what was given: labels, and probabilities of the true ones."""
        self.label_probabilities_, self._y = proba, y
        self._given = encode(labels, self.classes_)
        self._wrong_probability = np.clip(1 - proba[np.arange(len(labels)), self._given], 0, 1)

    def _refine(
        self, X: Features, labels: NDArray, rng: np.random.RandomState
    ) -> tuple[Any, NDArray, tuple[int, int] | None]:
        """Return the fitted refiner, the label probabilities, and what the labels alone say."""
        refiner = self.refiner
        if refiner is None:
            if self.prefit:
                raise ValueError("prefit=True takes a fitted refiner or classifier: pass one.")
            refiner = LabelRefiner(random_state=rng.randint(2**31))
        if hasattr(refiner, "refine"):
            if self.prefit:
                return refiner, *refine_with_interval(refiner, X, labels)
            refiner = clone(refiner).fit(X, labels)
            return refiner, refiner.label_probabilities_, refiner.n_wrong_interval_
        if not (self.prefit and hasattr(refiner, "predict_proba")):
            raise ValueError(
                "refiner must be a LabelRefiner or, with prefit=True, a fitted classifier with "
                f"predict_proba. Got {type(refiner).__name__}."
            )
        proba = refiner.predict_proba(X)
        codes = encode(labels, refiner.classes_)
        transition = getattr(refiner, "transition_matrix_", None)
        if transition is not None:
            proba = proba * (transition.T[codes] + SMALLEST_LABEL)  # impossible labels say nothing
        return refiner, proba / proba.sum(axis=1, keepdims=True), None

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
            self._answers[order[self._n_ordered :]] == UNSEEN
        )
        if len(waiting):
            self._n_ordered = int(waiting[:n][-1]) + 1
        rows = order[waiting[:n]]
        self._offered[rows] = True
        self._pass(rows)
        return rows

    def _pass(self, rows: NDArray) -> None:
        """Note the time at which rows are drawn or looked at."""
        rows = rows[self._times[rows] == NEVER]
        self._times[rows] = self._clock + np.arange(len(rows))
        self._clock += len(rows)

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
        return rows[self._answers[rows] == UNSEEN]

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
        answers = np.full(len(rows), UNCLEAR)
        if not unclear.all():
            answers[~unclear] = encode(
                check_labels(values[~unclear], "labels"), self.classes_, "labels"
            )
        rows = rows.astype(np.intp)
        self._answers[rows] = answers
        self._pass(rows)
        return self

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
        z = norm.ppf((1 + self.level) / 2)
        return rows_needed(self._wrong_probability, stratum, shares, half_width, z)

    def done(self, at_most: float = 0.01) -> bool:
        """Return whether enough labels have been put right.

        It may be asked as often as you like: the bound holds at all times, whatever `anytime` is,
        and however `worst` and `draw` take turns.

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
        return self._count_left(anytime=True).high <= at_most * len(self._given)

    def to_frame(self) -> pd.DataFrame:
        """Return all rows with what is known of them.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_samples, 6)
            Under the index of y: "label", the label that was given; "wrong_probability"; "drawn"
            and "worst", whether :meth:`draw` and :meth:`worst` have returned the row; "status",
            which is "checked", "cannot tell" or empty; and "true_label", None if it is not known.
        """
        pd = import_pandas("LabelAudit.to_frame")
        check_is_fitted(self)
        offered = np.zeros((2, len(self._given)), dtype=bool)
        offered[0, self._strata.order[: self._n_ordered]] = True
        offered[1, self._strata.ranking[: self._n_ranked]] = True
        unclear = self._answers == UNCLEAR
        return pd.DataFrame(
            {
                "label": self.given_labels_,
                "wrong_probability": self.wrong_probability_,
                "drawn": offered[0],
                "worst": offered[1],
                "status": np.where(
                    self.checked_, "checked", np.where(unclear, "cannot tell", "")
                ).astype(object),
                "true_label": self.true_labels_,
            },
            index=self._y.index if isinstance(self._y, pd.Series | pd.DataFrame) else None,
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write the audit to a file, to go on later or elsewhere.

        Parameters
        ----------
        path : str or path-like
            The file. It is JSON, and has the design, the label probabilities and all answers, but
            neither the features nor the refiner.
        """
        write_state(path, self._state())

    def _state(self) -> dict[str, Any]:
        check_is_fitted(self)
        return {
            "table": self.table_hash_, "level": float(self.level), "anytime": bool(self.anytime),
            "classes": [str(name) for name in self.classes_], "labels_alone": self._labels_alone,
            **{name: getattr(self, f"_{name}") for name in _COUNTERS},
            **dict(zip(Strata._fields, self._strata, strict=True)), "answers": self._answers,
            "offered": self._offered, "times": self._times,
            "label_probabilities": self.label_probabilities_,
        }  # fmt: skip

    @classmethod
    def load(cls, path: str | PathLike[str], X: Features | None, y: ArrayLike) -> Self:
        """Read an audit that :meth:`save` has written.

        Parameters
        ----------
        path : str or path-like
            The file.
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features) or None
            The features that were passed to `fit`.
        y : array-like of shape (n_samples,)
            The labels that were passed to `fit`.

        Returns
        -------
        audit : LabelAudit
            The audit. It has no ``refiner_``.

        Raises
        ------
        ValueError
            If the file is not from :meth:`save`, or belongs to another table.
        """
        return cls._restore(path, read_state(path), X, y)

    @classmethod
    def _restore(
        cls, path: str | PathLike[str], state: dict[str, Any], X: Features | None, y: ArrayLike
    ) -> Self:
        y = align_rows(X, y, "y")
        labels = check_labels(y)
        check_table(path, state["table"], hash_table(X, labels))
        audit = cls(level=state["level"], anytime=state["anytime"])
        audit.refiner_, audit.classes_ = None, np.unique(labels)
        audit._set_labels(y, labels, state["label_probabilities"])
        audit._strata = Strata(*(state[name] for name in Strata._fields))
        alone = state["labels_alone"]
        audit._labels_alone = None if alone is None else tuple(alone)
        audit.table_hash_, audit._answers = state["table"], state["answers"]
        audit._offered, audit._times = state["offered"].astype(bool), state["times"]
        for name in _COUNTERS:
            setattr(audit, f"_{name}", state[name])
        return audit

    def read_decisions(self, path: str | PathLike[str]) -> Self:
        """Record decisions from a CSV file, such as that of the page of an audit.

        Parameters
        ----------
        path : str or path-like
            The file. Its first line is ``# robustlabels audit`` and the `table_hash_`. The columns
            are "row", the position from 0; "label"; "status", which is "checked" or "cannot tell";
            and "origin", which is "drawn", "worst" or "own". If a row is listed more than once, the
            last line counts.

        Returns
        -------
        self : LabelAudit
            The audit. Rows that the file has drawn, or taken from the top of the ranking, count as
            if :meth:`draw` and :meth:`worst` had returned them.

        Raises
        ------
        ValueError
            If the file belongs to another table, or a line is invalid. Nothing is recorded then.

        Warns
        -----
        UserWarning
            If drawn rows are left out, or come from another order of drawing. Those behind the
            first that is left out count as known, not as drawn.
        """
        check_is_fitted(self)
        n_rows = len(self._given)
        found = read_decisions(path, self.table_hash_, n_rows, self.classes_)
        if not self._take_decisions(*found):
            warnings.warn(
                f"{path} leaves out drawn rows, or follows another order of drawing. Rows that it "
                f"has drawn behind the first that is left out count as known, but not as drawn.",
                stacklevel=2,
            )
        return self

    def _take_decisions(self, rows: NDArray, labels: list[Any], origins: NDArray) -> bool:
        """Record decisions, and return whether the drawn ones follow the order of drawing."""
        if len(rows):
            self.record(rows, labels)
        drawn, worst = rows[origins == "drawn"], rows[origins == "worst"]
        order = self._strata.order
        run = order[: length_of_run(self._answers[order] != UNSEEN)]
        follows = self._offered[drawn] | np.isin(drawn, run)
        self._offered[drawn[follows]] = True
        self._n_ordered = max(self._n_ordered, _reach(order, drawn[follows]))
        self._n_ranked = max(self._n_ranked, _reach(self._strata.ranking, worst))
        return bool(follows.all())


def _reach(order: NDArray, rows: NDArray) -> int:
    """Return how many places of an order it takes to hold the rows."""
    return int(np.flatnonzero(np.isin(order, rows)).max(initial=-1)) + 1


def _check_number(n: Any) -> None:
    if not isinstance(n, Integral) or n < 1:
        raise ValueError(f"n must be a positive whole number of rows. Got {n!r}.")


def _check_label_probabilities(proba: ArrayLike, labels: NDArray, classes: NDArray) -> NDArray:
    """Return label probabilities of the shape that the labels need, in the order of classes."""
    name, shape = "label_probabilities", (len(labels), len(classes))
    if np.shape(proba) != shape:
        raise ValueError(
            f"{name} must have the shape {shape}, a column for each class {shorten(classes)}. Got "
            f"{np.shape(proba)}."
        )
    return check_probabilities(labels, proba, classes, name)[1]

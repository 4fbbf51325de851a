"""UnhingedClassifier: the minimiser of the multi-class unhinged loss, in closed form."""

import sys
from collections.abc import Mapping
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import gen_batches
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .._fitting import unchanged_on_error
from .._typing import Features
from .._validation.labels import (
    check_labels,
    check_same_classes,
    check_two_classes,
    class_factors,
    encode,
    find_classes,
    reject_balanced,
)
from .._validation.sklearn_private import (
    HasMethods,
    Interval,
    StrOptions,
    _check_sample_weight,
    _fit_context,
)
from .._validation.transitions import check_correctable
from ..refinement._temperatures import break_ties
from .closed_form import ClosedForm
from .leave_one_out import left_out_scores
from .statistics import ClassStatistics
from .temperature import most_probable_temperature

__all__ = ["UnhingedClassifier"]

#: Rows whose leave-one-out scores set the temperature, and scores of these, at most.
_CALIBRATION_ROWS = 2048
_CALIBRATION_SCORES = 2**21

_FLOATS = (np.float64, np.float32)


class UnhingedClassifier(ClassifierMixin, BaseEstimator):
    r"""Linear classifier that minimises the unhinged loss in closed form.

    One pass over the rows gives the class sums, and with them the classifier. It is the same
    whether the rows come at once, in blocks, from several machines, or are taken away again.

    Parameters
    ----------
    alpha : float > 0, default=0.1
        Penalty on the squared coefficients, in units of squared features: scale these to unit
        variance. With ``metric="euclidean"`` it only scales the scores, beside which the
        log-frequencies of ``intercept="prior"`` weigh less the smaller alpha is.
    metric : {"covariance", "euclidean"}, default="covariance"
        "euclidean" penalises the coefficients alone: the plain unhinged solution, in time
        O(n d). "covariance" penalises the scores' second moment too, in O(n d^2): ridge
        regression on the centred one-hot labels, with ``intercept="penalized"``.
    intercept : {"prior", "midpoint", "penalized", "none"}, default="prior"
        "prior" is the rule of linear discriminant analysis: nearest class mean in the metric,
        plus the logarithm of the class frequency. "midpoint" leaves the frequencies out: the
        nearest class mean. Both divide the slope of a class by its frequency. "penalized" is
        what the objective asks for. "none" is no offset for centred features. "prior" was the
        most accurate one on a mixed lot of tables, with and without noise, "midpoint" on
        balanced ones (``benchmarks/unhinged_intercepts.py``); "penalized" is exactly robust to
        symmetric noise, "none" also to any replacement noise, see the notes.
    transition_matrix : array-like of shape (n_classes, n_classes), "estimate" or None, default=None
        ``transition_matrix[i, j]`` is the probability of the label j where the true class is
        i, the classes in sorted order, or in a data frame by the names of its rows and columns.
        The statistics are corrected with its inverse. That helps where classes are confused
        unequally, as under pair-flip noise. Leave it out under symmetric noise, where the
        correction is only a rescaling for the intercepts "penalized" and "none" and adds variance
        for the others, which divide by corrected class frequencies (at least 0.01 of an equal
        share). "estimate" estimates it in `fit` as
        :class:`RobustClassifier` does, by trees, from rows in memory, at least 50 and 10
        a class; where the noise is found symmetric the probabilities alone are corrected.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied into the weights of the rows. "balanced" makes all
        classes weigh the same. Not together with `transition_matrix`: the classes would be
        weighed by their noisy labels.
    memory : joblib.Memory, str or None, default=None
        Where the estimate of the noise is kept, see :class:`LabelRefiner`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    coef_ : ndarray of shape (n_classes, n_features), or (1, n_features) for two classes
        Coefficients of the scores.
    intercept_ : ndarray of shape (n_classes,), or (1,) for two classes
        Intercepts of the scores for features that are not centred; infinite so as to rule out
        a class that had no row so far, without a transition matrix.
    statistics_ : ClassStatistics
        All that was kept of the rows. Statistics can be added, subtracted and given to
        :meth:`fit_statistics`.
    transition_matrix_ : ndarray of shape (n_classes, n_classes) or None
        The noise reckoned with, as given or estimated.
    noise_posterior_ : NoisePosterior or None
        What the noise may be, as in :class:`LabelRefiner`; :class:`CleanScores` reckons with it.
    noise_evidence_ : dict or None
        Why an estimated noise is as it is, see :class:`RobustClassifier`.
    temperature_ : float
        What the scores are divided by for :meth:`predict_proba`; nan where it is not known.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where `X` has names that are all strings.

    See Also
    --------
    RobustClassifier : A network, for what no linear function separates.
    ClassStatistics : Statistics of rows that add up.

    Notes
    -----
    With weights :math:`w_i` of sum W, targets :math:`t_i = e_{y_i} - 1/K`, features centred
    at their mean and scores :math:`f = V x + b`, the objective is

    .. math:: \frac{1}{W} \sum_i w_i (\bar{f}_i - f_{i, y_i}) + \frac{\alpha}{2} \|V\|^2
        + \frac{\alpha}{2} \|b\|^2

    and with the covariance metric, where the last term is :math:`\frac{1}{2} \|b\|^2`, also
    :math:`\frac{1}{2W} \sum_i w_i \|V x_i\|^2`. Its minimiser is
    :math:`V = M (S + \alpha I)^{-1}`, :math:`b = m`, with :math:`M = \frac{1}{W} \sum_i w_i
    t_i x_i^\top`, S the covariance and m the class frequencies less 1/K; for "euclidean"
    :math:`V = M / \alpha`, :math:`b = m / \alpha`. It is the rule of Hebb, and with the
    covariance metric the pseudo-inverse rule, of associative memories.

    Symmetric label noise multiplies the expected M and m by one constant, replacing labels by
    draws from any fixed distribution multiplies M alone. So predictions stay the same under
    the former for the intercepts "penalized" and "none", under the latter for "none"; for
    "prior" and "midpoint" nearly so. The sampling error grows, as with any method.

    A linear classifier trained on the unhinged loss can fail on separable data that has a few
    far points [2]_: it averages, and a point far out weighs as much as many near ones. Clip
    or squash such features, or use the covariance metric, which is hurt less.

    The time of a fit is that of a few passes over X. Memory beyond X: a block of 32768 rows,
    and n_features squared numbers for the covariance metric.

    References
    ----------
    .. [1] van Rooyen, Menon and Williamson, "Learning with Symmetric Label Noise: The
       Importance of Being Unhinged", NeurIPS 2015.
    .. [2] Long and Servedio, "The Perils of Being Unhinged: On the Accuracy of Classifiers
       Minimizing a Noise-Robust Convex Loss", Neural Computation 34(6), 2022.
    .. [3] Lemire Paquin, Chaib-Draa and Giguere, "Symmetrization of Loss Functions for Robust
       Training of Neural Networks in the Presence of Noisy Labels", arXiv:2605.20347.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from robustlabels import UnhingedClassifier, corrupt_labels
    >>> X, y = load_wine(return_X_y=True)
    >>> y_noisy = corrupt_labels(y, "symmetric", 0.3, random_state=0)
    >>> model = make_pipeline(StandardScaler(), UnhingedClassifier()).fit(X, y_noisy)
    >>> model.score(X, y) > 0.9
    True
    """

    _parameter_constraints = {
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "metric": [StrOptions({"covariance", "euclidean"})],
        "intercept": [StrOptions({"prior", "midpoint", "penalized", "none"})],
        "transition_matrix": ["array-like", StrOptions({"estimate"}), None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "memory": [str, HasMethods(["cache"]), None],
    }

    def __init__(
        self,
        alpha: float = 0.1,
        *,
        metric: str = "covariance",
        intercept: str = "prior",
        transition_matrix: ArrayLike | None = None,
        class_weight: Mapping | str | None = None,
        memory: Any = None,
    ) -> None:
        self.alpha = alpha
        self.metric = metric
        self.intercept = intercept
        self.transition_matrix = transition_matrix
        self.class_weight = class_weight
        self.memory = memory

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    @np.errstate(under="ignore")  # what becomes 0 may, even where users have made it an error
    def fit(self, X: Features, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the classifier to labels that may be wrong.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite features. A Dask array or data frame is reduced block by block on the
            scheduler in force; y and the weights are then Dask collections too, arrays or
            partitioned alike.
        y : array-like of shape (n_samples,)
            Labels of any kind.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, not negative; an integer weight is the same as as many rows.

        Returns
        -------
        self : UnhingedClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter or the data are unfit, there are fewer than two classes, or the
            transition matrix is singular.

        Warns
        -----
        UndefinedMetricWarning
            If the transition matrix is nearly singular, so that the correction is all variance.
        """
        if _is_dask(X):
            return self._fit_collection(X, y, sample_weight)
        with unchanged_on_error(self):
            X, y, weight = self._validate(X, y, sample_weight, reset=True, is_summed=True)
            classes = find_classes(y if weight is None or weight.all() else y[weight > 0])
            statistics = self._statistics_of(X, y, weight, classes, self._scatter)
            self._find_noise(classes, (X, y, weight))
            self._solve(statistics)
            self._calibrate(X, y, weight)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    @np.errstate(under="ignore")
    def partial_fit(
        self,
        X: Features,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Add rows to those seen before.

        The coefficients are those of one fit on all rows so far, in any order of the blocks.
        The temperature of :meth:`predict_proba` is a running estimate.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite features.
        y : array-like of shape (n_samples,)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever occur; needed in the first call.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, not negative.

        Returns
        -------
        self : UnhingedClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter or the data are unfit, `classes` is missing in the first call or
            another one later, or ``class_weight="balanced"``, which needs all labels at once.
        """
        go_on = hasattr(self, "statistics_")
        self._validate_params()
        reject_balanced(self.class_weight)
        if classes is not None:
            classes = find_classes(check_labels(classes, "classes"))
        elif not go_on:
            raise ValueError("The first call of partial_fit needs classes, all labels to come.")
        with unchanged_on_error(self):
            X, y, weight = self._validate(X, y, sample_weight, reset=not go_on, is_summed=True)
            if go_on:
                if classes is not None:
                    check_same_classes(classes, self.classes_)
                classes = self.classes_
            scatter = self._scatter
            if go_on and self.metric == "euclidean":
                scatter = self.statistics_.scatter is not None
            before = go_on and self._solved_with == self._recipe()
            self._find_noise(classes)
            statistics = self._statistics_of(X, y, weight, classes, scatter)
            self._solve(self.statistics_ + statistics if go_on else statistics)
            self._calibrate(X, y, weight, before=before)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    @np.errstate(under="ignore")
    def fit_statistics(
        self,
        statistics: ClassStatistics,
        X: Features = None,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit the classifier to statistics of rows that need not be at hand.

        Parameters
        ----------
        statistics : ClassStatistics
            Such as the sum of the `statistics_` of several classifiers, or the difference
            where rows are to be forgotten. The parameter `class_weight` is not looked at:
            class weights are in the statistics already, or not at all.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Some of the rows in the statistics, which set the temperature of
            :meth:`predict_proba`. None leaves it unknown.
        y : array-like of shape (n_samples,), default=None
            Labels of these rows.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of these rows, multiplied by those of their classes where the statistics
            have class weights in them.

        Returns
        -------
        self : UnhingedClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter, the statistics or the rows are unfit.
        """
        if not isinstance(statistics, ClassStatistics):
            raise ValueError(f"statistics must be ClassStatistics. Got {statistics!r}.")
        if self.metric == "covariance" and statistics.scatter is None:
            raise ValueError(
                "metric='covariance' needs a second moment. Compute the statistics with "
                "scatter=True, or use metric='euclidean'."
            )
        with unchanged_on_error(self):
            self.__dict__.pop("feature_names_in_", None)
            rows = None if X is None else self._validate(X, y, sample_weight, reset=True)
            if rows is not None and self.n_features_in_ != len(statistics.mean):
                raise ValueError(
                    f"X has {self.n_features_in_} features, the statistics have "
                    f"{len(statistics.mean)}."
                )
            self._class_factors = None
            self._find_noise(statistics.classes)
            self._solve(statistics)
            self.temperature_ = np.nan
            if rows is not None:
                self._calibrate(*rows)
        return self

    @np.errstate(under="ignore")
    def decision_function(self, X: Features) -> NDArray:
        """Compute the scores of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite features.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            Linear scores, float64. For two classes, that of ``classes_[1]`` less the other.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, accept_sparse="csr", dtype=_FLOATS)
        scores = np.empty((X.shape[0], len(self.intercept_)))
        # In blocks, so that no second copy of X in float64 is made.
        for rows in gen_batches(X.shape[0], 8192):
            scores[rows] = safe_sparse_dot(X[rows], self.coef_.T, dense_output=True)
        scores += self.intercept_
        return scores.ravel() if scores.shape[1] == 1 else scores

    def predict(self, X: Features) -> NDArray:
        """Predict the class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite features.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Class labels.
        """
        scores = self.decision_function(X)
        return self.classes_[_best(scores)]

    @np.errstate(under="ignore")
    def predict_proba(self, X: Features) -> NDArray:
        """Estimate class probabilities.

        They are the softmax of the scores divided by `temperature_`, under which the labels
        of at most 2048 rows, fewer where there are more than 1024 classes, are most probable, by
        their leave-one-out scores and with a weak prior; weights above 1 count as repeated rows.
        Without a transition matrix they estimate the probabilities of the labels as they are
        given, wrong ones included; with one, those of the true classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite features.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.

        Raises
        ------
        ValueError
            If the classifier was fitted to statistics alone, which hold no temperature.
        """
        scores = self.decision_function(X)
        best, scores = _best(scores), self._divided(scores)
        if scores.ndim == 1:
            proba = np.column_stack([expit(-scores), expit(scores)])
        else:
            proba = softmax(scores, axis=1)
        return break_ties(proba, best)

    @np.errstate(under="ignore")
    def predict_log_proba(self, X: Features) -> NDArray:
        """Estimate the logarithms of the class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite features.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Those of :meth:`predict_proba`, also where these round to 0.

        Raises
        ------
        ValueError
            If the classifier was fitted to statistics alone, which hold no temperature.
        """
        scores = self._divided(self.decision_function(X))
        if scores.ndim == 1:
            return np.column_stack([log_expit(-scores), log_expit(scores)])
        return log_softmax(scores, axis=1)

    def _divided(self, scores):
        """Divide scores by the temperature."""
        if np.isnan(self.temperature_):
            raise ValueError(
                "The temperature of the probabilities is not known: pass some rows to "
                "fit_statistics, or use decision_function."
            )
        return scores / self.temperature_

    @np.errstate(under="ignore")
    def loo_decision_function(
        self, X: Features, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> NDArray:
        """Compute the scores that each training row would get without it in training.

        They equal those of as many refits, in O(n d K) operations, with the covariance metric
        O(n d^2): out-of-sample scores for finding wrong labels and for estimating a transition
        matrix. Class weights, of ``class_weight="balanced"`` too, are kept as they are.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows the classifier was fitted to, all or some.
        y : array-like of shape (n_samples,)
            Their labels.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Their weights.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            Scores as of :meth:`decision_function`. A class that loses its only row has the
            score -inf; without a transition matrix, that is. If there is no other row at all
            the scores are nan.

        Raises
        ------
        ValueError
            If a label or a weight is not one of the fit, or parameters have changed since.
        """
        check_is_fitted(self)
        if self._solved_with != self._recipe():
            raise ValueError("Parameters have changed since the fit. Fit again first.")
        X, y, weight = self._validate(X, y, sample_weight, reset=False)
        codes = encode(y, self.classes_)
        weight = np.ones(len(y)) if weight is None else weight
        if self._class_factors is not None:
            weight = weight * self._class_factors[codes]
        if (weight > self.statistics_.class_weight[codes] * (1 + 1e-9)).any():
            raise ValueError("A row weighs more than its class did in the fit: it was not in it.")
        scores = left_out_scores(self._closed_form(), self.statistics_, X, codes, weight)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def _recipe(self):
        """Return what the coefficients depend on beside the statistics, to be compared."""
        transition = self.transition_matrix
        if transition is not None and not isinstance(transition, str):
            transition = np.asarray(transition, dtype=float).tolist()
        return self.alpha, self.metric, self.intercept, transition

    @property
    def _scatter(self):
        return self.metric == "covariance"

    def _validate(self, X, y, sample_weight, reset, is_summed=False):
        y = check_labels(y)
        # Sums of all rows tell whether these are finite.
        weighted = sample_weight is not None or self.class_weight is not None
        X, y = validate_data(
            self,
            X,
            y,
            reset=reset,
            accept_sparse="csr",
            dtype=_FLOATS,
            ensure_all_finite=weighted or not is_summed,
        )
        if y.dtype.kind not in "iub":
            check_classification_targets(y)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
            if not sample_weight.any():
                raise ValueError("All values of sample_weight are zero: there is no row.")
        return X, y, sample_weight

    def _statistics_of(self, X, y, weight, classes, scatter):
        self._class_factors = None
        if self.class_weight is not None:
            weight = np.ones(len(y)) if weight is None else weight.copy()
            kept = weight > 0
            codes = encode(y[kept], classes)
            totals = np.bincount(codes, weight[kept], minlength=len(classes))
            weight[kept] *= self._set_class_factors(classes, totals)[codes]
        return ClassStatistics._from_checked_rows(
            X, y, classes, weight, scatter, type(self).__name__
        )

    def _set_class_factors(self, classes, totals):
        """Set and return what the class weights multiply the weights of the rows by, or None."""
        self._class_factors = None
        if self.class_weight is not None:
            if self.transition_matrix is not None:
                raise ValueError(
                    "class_weight weighs the labels as they are, wrong ones included, and cannot "
                    "be combined with a transition_matrix. Use intercept='midpoint' to treat all "
                    "classes alike."
                )
            self._class_factors = class_factors(self.class_weight, classes, totals)
            if not (self._class_factors * totals).any():
                raise ValueError(f"class_weight={self.class_weight!r} leaves no row with a weight.")
        return self._class_factors

    def _fit_collection(self, X, y, sample_weight):
        from .dask_statistics import classes_of_collection, statistics_of_collection

        with unchanged_on_error(self):
            classes, totals, n_rows = classes_of_collection(X, y, sample_weight)
            self._find_noise(classes)
            factors = self._set_class_factors(classes, totals)
            statistics, rows = statistics_of_collection(
                X, y, sample_weight, classes, factors, self._scatter, _CALIBRATION_ROWS / n_rows
            )
            names = np.asarray(getattr(X, "columns", []), dtype=object)
            self.__dict__.pop("feature_names_in_", None)
            if len(names) and all(isinstance(name, str) for name in names):
                self.feature_names_in_ = names
            self._solve(statistics)
            self._calibrate(*rows)
        return self

    def _find_noise(self, classes, rows=None):
        """Set the noise to reckon with: none, the given one, or one estimated from rows."""
        self.transition_matrix_ = self.noise_posterior_ = self.noise_evidence_ = None
        if self.transition_matrix is None:
            return
        # Not for those who only import the class: it takes time.
        from ..refinement import LabelRefiner
        from ..refinement._noise_model import known_noise

        if not isinstance(self.transition_matrix, str):
            self.transition_matrix_ = check_correctable(self.transition_matrix, classes)
            self.noise_posterior_ = known_noise(self.transition_matrix_)
            return
        if rows is None:
            raise ValueError(
                "transition_matrix='estimate' needs all rows at once, in memory, and fit. "
                "Elsewhere estimate the matrix from some rows, with LabelRefiner, and pass it."
            )
        refiner = LabelRefiner(random_state=0, memory=self.memory).fit(*rows)
        self.transition_matrix_ = refiner.transition_matrix_
        self.noise_posterior_ = refiner.noise_posterior_
        self.noise_evidence_ = refiner.noise_evidence_
        if self._corrects:
            check_correctable(self.transition_matrix_, classes)

    @property
    def _corrects(self):
        """Whether the statistics are corrected, not the probabilities alone."""
        symmetric = self.noise_evidence_ and self.noise_evidence_["form"] == "symmetric"
        return self.transition_matrix_ is not None and not symmetric

    def _closed_form(self):
        """Return how scores follow from statistics by the parameters and the noise."""
        inverse = np.linalg.inv(self.transition_matrix_) if self._corrects else None
        return ClosedForm(self.alpha, self.metric, self.intercept, inverse)

    def _solve(self, statistics):
        """Set the coefficients that the statistics ask for."""
        n_classes, n_features = statistics.class_sums.shape
        check_two_classes(self, statistics.classes)
        if statistics.class_weight.sum() == 0:
            raise ValueError("The statistics are of no row at all.")
        slopes, offset = self._closed_form().coefficients(statistics)
        if n_classes == 2:
            slopes, offset = slopes[1:] - slopes[:1], offset[1:] - offset[:1]
        self.statistics_ = statistics
        self.classes_ = statistics.classes
        self.n_features_in_ = n_features
        self.coef_, self.intercept_ = slopes, offset
        self._solved_with = self._recipe()

    def _calibrate(self, X, y, weight=None, before=False):
        """Set the temperature by leave-one-out scores of some rows.

        `before` says that the rows come after others, whose temperature is where to start.
        """
        kept = None if weight is None else np.flatnonzero(weight)
        n_rows = len(y) if kept is None else len(kept)
        n_some = max(1, min(_CALIBRATION_ROWS, _CALIBRATION_SCORES // len(self.classes_)))
        n_some = min(n_some, n_rows)
        # Drawn at random, for rows may come in periods; always the same.
        draws = np.random.default_rng(0)
        some = np.sort(draws.choice(n_rows, n_some, replace=False, shuffle=False))
        rows, step = some if kept is None else kept[some], n_rows / max(1, n_some)
        X, y = X[rows], y[rows]
        weight = np.ones(n_some) if weight is None else weight[rows]
        codes = encode(y, self.classes_)
        factor = 1.0 if self._class_factors is None else self._class_factors[codes]
        # A weight above 1 counts as repeated rows, of which one is left out.
        scores = left_out_scores(
            self._closed_form(), self.statistics_, X, codes, factor * np.minimum(weight, 1.0)
        )
        go_on = before and not np.isnan(self.temperature_)
        self.temperature_, self._temperature_precision = most_probable_temperature(
            scores,
            codes,
            weight * factor * step,
            self.transition_matrix_,
            (self.temperature_, self._temperature_precision) if go_on else None,
        )


def _best(scores):
    """Return the positions of the classes of the largest scores."""
    return (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)


def _is_dask(X):
    dask = sys.modules.get("dask")
    return dask is not None and dask.is_dask_collection(X)

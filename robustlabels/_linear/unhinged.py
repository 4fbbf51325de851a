"""UnhingedClassifier: the minimiser of the multi-class unhinged loss, in closed form."""

import sys
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import gen_batches
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .._fitting import unchanged_on_error
from .._typing import Features, Seed
from .._validation.alignment import align_rows
from .._validation.features import explained_texts
from .._validation.labels import (
    check_labels,
    check_same_classes,
    check_two_classes,
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
    validate_parameters,
)
from ..refinement._temperatures import break_ties
from .closed_form import ClosedForm
from .leave_one_out import left_out_scores
from .noise import find_noise
from .statistics import ClassStatistics, find_factors, reduce_rows
from .temperature import find_probabilities, fit_temperature

__all__ = ["UnhingedClassifier"]

_FLOATS = (np.float64, np.float32)


class UnhingedClassifier(ClassifierMixin, BaseEstimator):
    r"""Linear classifier that minimises the unhinged loss in closed form.

    The coefficients are a function of class sums, which take one pass over the samples. Blocks of
    samples, from several machines too, can be added in any order, and taken out again.

    Parameters
    ----------
    alpha : float > 0, default=0.1
        Strength of the L2 penalty, in units of squared features: scale these to unit variance.
        With "euclidean" it only scales the scores, but for the log-frequencies of "prior".
    metric : {"covariance", "euclidean"}, default="covariance"
        "euclidean" penalises the coefficients alone, in time O(n d). "covariance" also penalises
        the second moment of the scores, in time O(n d^2): with ``intercept="penalized"`` this is
        ridge regression on centred one-hot labels.
    intercept : {"prior", "midpoint", "penalized", "none"}, default="prior"
        "prior" is the rule of linear discriminant analysis: the nearest class mean in the metric,
        plus the logarithm of the class frequency. "midpoint" omits the latter, which is better on
        balanced tables. Both divide the slopes of a class by its frequency. "penalized" minimises
        the objective. "none" is no intercept for centred features.
    transition_matrix : array-like, "estimate" or None, default=None
        The noise, of shape (n_classes, n_classes): ``T[i, j]`` is the probability of the label j
        where the true class is i, the classes in sorted order, or in a data frame by the names of
        its rows and columns. Its inverse corrects the statistics, which helps if classes are
        confused unequally. Under symmetric noise leave it out: the correction rescales the scores
        or adds variance. "estimate" estimates it in `fit` with a :class:`LabelRefiner`, from
        samples in memory, at least 50 and 10 per class; if it is symmetric, only the probabilities
        are corrected. None takes the labels as given, in one pass over them.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with `sample_weight`. "balanced" makes all classes weigh
        the same. Not allowed with a `transition_matrix`: it would apply to the noisy labels.
    n_jobs : int or None, default=None
        Number of trees that "estimate" grows in parallel, with the same result for any.
    verbose : int, default=0
        1 shows a progress bar over the trees that "estimate" grows.
    random_state : int, RandomState instance or None, default=None
        Randomness of the trees that "estimate" grows; None draws fresh entropy. Unused otherwise.
    memory : joblib.Memory, str or None, default=None
        Cache of what "estimate" finds, an object or the path of a folder. With None, or without a
        `random_state`, nothing is cached.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    coef_ : ndarray of shape (n_classes, n_features), or (1, n_features) for two classes
        Coefficients of the scores.
    intercept_ : ndarray of shape (n_classes,), or (1,) for two classes
        Intercepts of the scores, for features that are not centred. Without a transition matrix
        infinite values rule out classes that have had no samples so far.
    statistics_ : ClassStatistics
        Statistics of the samples, to be added, subtracted and passed to :meth:`fit_statistics`.
    transition_matrix_ : ndarray of shape (n_classes, n_classes) or None
        The noise, as given or estimated. None if the labels were taken as given.
    noise_rate_ : float or None
        Estimated share of wrong labels. None if the noise was not estimated.
    noise_evidence_ : dict or None
        Why the estimated noise has its form, see :class:`LabelRefiner`.
    noise_posterior_ : NoisePosterior or None
        Posterior of the noise, as in :class:`LabelRefiner`; :class:`CleanScores` uses it.
    temperature_ : float
        Divisor of the scores in :meth:`predict_proba`; nan if unknown.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X has names that are all strings.

    See Also
    --------
    RobustClassifier : A network, for classes that no linear function separates.
    ClassStatistics : Statistics of samples that add up.

    Notes
    -----
    With weights :math:`w_i` of sum W, targets :math:`t_i = e_{y_i} - 1/K`, features centred
    at their mean and scores :math:`f = V x + b`, the objective is

    .. math:: \frac{1}{W} \sum_i w_i (\bar{f}_i - f_{i, y_i}) + \frac{\alpha}{2} \|V\|^2
        + \frac{\alpha}{2} \|b\|^2

    With the covariance metric the last term is :math:`\frac{1}{2} \|b\|^2`, and
    :math:`\frac{1}{2W} \sum_i w_i \|V x_i\|^2` is added. The minimiser is then
    :math:`V = M (S + \alpha I)^{-1}`, :math:`b = m`, with :math:`M = \frac{1}{W} \sum_i w_i
    t_i x_i^\top`, S the covariance and m the class frequencies minus 1/K: the pseudo-inverse rule
    of associative memories. For "euclidean" it is the Hebbian rule, :math:`V = M / \alpha`,
    :math:`b = m / \alpha`.

    Symmetric label noise multiplies the expected M and m by one constant. So in expectation it
    changes no prediction for the intercepts "penalized" and "none", and hardly any for "prior" and
    "midpoint". A linear classifier trained on the unhinged loss [1]_ can fail on separable data
    with a few outliers [2]_: a point far out weighs as much as many near ones. Clip such features,
    or use the covariance metric, which suffers less.

    References
    ----------
    .. [1] van Rooyen, Menon and Williamson, "Learning with Symmetric Label Noise: The
       Importance of Being Unhinged", NeurIPS 2015.
    .. [2] Long and Servedio, "The Perils of Being Unhinged: On the Accuracy of Classifiers
       Minimizing a Noise-Robust Convex Loss", Neural Computation 34(6), 2022.

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

    #: The matrix that corrects statistics for the noise, set by `fit`.
    _inverse: NDArray | None

    _parameter_constraints = {
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "metric": [StrOptions({"covariance", "euclidean"})],
        "intercept": [StrOptions({"prior", "midpoint", "penalized", "none"})],
        "transition_matrix": ["array-like", StrOptions({"estimate"}), None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
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
        n_jobs: int | None = None,
        verbose: int = 0,
        random_state: Seed = None,
        memory: Any = None,
    ) -> None:
        self.alpha = alpha
        self.metric = metric
        self.intercept = intercept
        self.transition_matrix = transition_matrix
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state
        self.memory = memory

    @_fit_context(prefer_skip_nested_validation=True)
    @np.errstate(under="ignore")  # harmless, even where users turn it into an error
    def fit(self, X: Features, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the classifier to labels that may be wrong.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite features. A Dask array or data frame is reduced block by block on the current
            scheduler; then y and the weights are Dask collections too, with matching partitions.
        y : array-like of shape (n_samples,)
            Labels of any kind.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the samples, not negative. An integer weight equals that many copies.

        Returns
        -------
        self : UnhingedClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter or the data are invalid, or the transition matrix is singular.

        Warns
        -----
        UndefinedMetricWarning
            If the transition matrix is nearly singular: the correction then adds mostly variance.
        """
        with unchanged_on_error(self):
            dask = sys.modules.get("dask")
            if dask is not None and dask.is_dask_collection(X):
                statistics, samples = self._reduce_collection(X, y, sample_weight)
            else:
                samples = _, y, weight = self._validate(X, y, sample_weight, is_summed=True)
                classes = find_classes(y if weight is None or weight.all() else y[weight > 0])
                scatter = self.metric == "covariance"
                statistics, self._class_factors = reduce_rows(self, samples, classes, scatter)
                self.__dict__.update(find_noise(self, classes, samples))
            self._solve(statistics, samples)
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
        """Add samples to those seen before.

        The coefficients are those of one fit to all samples so far; the temperature of
        :meth:`predict_proba` is a running estimate.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite features.
        y : array-like of shape (n_samples,)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever occur. Required in the first call.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the samples, not negative.

        Returns
        -------
        self : UnhingedClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter or the data are invalid, `classes` is missing in the first call or
            changes later, or "balanced" or "estimate" would need all samples at once.
        """
        validate_parameters(self)
        reject_balanced(self.class_weight)
        started = hasattr(self, "statistics_")
        if classes is not None:
            classes = find_classes(check_labels(classes, "classes"))
        elif not started:
            raise ValueError("The first call of partial_fit needs classes, all labels to come.")
        with unchanged_on_error(self):
            samples = self._validate(X, y, sample_weight, reset=not started, is_summed=True)
            scatter, before = self.metric == "covariance", None
            if started:
                if classes is not None:
                    check_same_classes(classes, self.classes_)
                classes = self.classes_
                scatter = scatter or self.statistics_.scatter is not None
                if self._solved_with == self._recipe():
                    before = self.temperature_, self._temperature_precision
            self.__dict__.update(find_noise(self, classes))
            statistics, self._class_factors = reduce_rows(self, samples, classes, scatter)
            self._solve(self.statistics_ + statistics if started else statistics, samples, before)
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
        """Fit the classifier to the statistics of samples that need not be available.

        Parameters
        ----------
        statistics : ClassStatistics
            Such as the sum of the `statistics_` of several classifiers, or a difference that
            forgets samples. They include any class weights; `class_weight` is ignored.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Some of the samples, which set `temperature_`. None leaves it unknown.
        y : array-like of shape (n_samples,), default=None
            Labels of these samples.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of these samples, including any class weights.

        Returns
        -------
        self : UnhingedClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter, the statistics or the samples are invalid.
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
            samples = None if X is None else self._validate(X, y, sample_weight)
            n_features = len(statistics.mean)
            if samples is not None and self.n_features_in_ != n_features:
                raise ValueError(
                    f"X has {self.n_features_in_} features, the statistics have {n_features}."
                )
            self._class_factors = None
            self.__dict__.update(find_noise(self, statistics.classes))
            self._solve(statistics, samples)
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
            Linear scores, float64. With two classes, the score of ``classes_[1]`` minus the other.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, accept_sparse="csr", dtype=_FLOATS)
        scores = np.empty((X.shape[0], len(self.intercept_)))
        # Block by block, which avoids a copy of X in float64.
        for rows in gen_batches(X.shape[0], 8192):
            scores[rows] = safe_sparse_dot(X[rows], self.coef_.T, dense_output=True)
        scores += self.intercept_
        return scores.ravel() if scores.shape[1] == 1 else scores

    def predict(self, X: Features) -> NDArray:
        """Predict the classes.

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
        return self.classes_[_best_codes(scores)]

    @np.errstate(under="ignore")
    def predict_proba(self, X: Features) -> NDArray:
        """Estimate class probabilities, the softmax of the scores divided by `temperature_`.

        Without a transition matrix these are probabilities of the labels as given, including
        wrong ones; with one, probabilities of the true classes. The temperature is the most
        probable one by the leave-one-out scores of at most 2048 samples, under a weak prior.

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
            If the classifier was fitted to statistics alone.
        """
        scores = self.decision_function(X)
        return break_ties(find_probabilities(scores, self.temperature_), _best_codes(scores))

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
            Logarithms of :meth:`predict_proba`, also where these round to 0.

        Raises
        ------
        ValueError
            If the classifier was fitted to statistics alone.
        """
        return find_probabilities(self.decision_function(X), self.temperature_, log=True)

    @np.errstate(under="ignore")
    def loo_decision_function(
        self, X: Features, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> NDArray:
        """Compute the score of each training sample without it in training.

        The scores equal those of refits with the same class weights, in time O(n d K), or O(n d^2)
        for the covariance metric. Use them to find wrong labels or estimate a transition matrix.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples the classifier was fitted to, all or some.
        y : array-like of shape (n_samples,)
            Their labels.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Their weights.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            Scores as in :meth:`decision_function`. Without a transition matrix a class that loses
            its only sample has the score -inf. Scores are nan if no other sample is left.

        Raises
        ------
        ValueError
            If a label or a weight was not part of the fit, or parameters have changed since.
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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _validate(self, X, y, sample_weight, reset=True, is_summed=False):
        y = check_labels(align_rows(X, y, "y"))
        sample_weight = align_rows(X, sample_weight, "sample_weight")
        # Without weights the sums are finite only if all rows are: a pass over X is saved.
        finite = sample_weight is not None or self.class_weight is not None or not is_summed
        with explained_texts():
            X, y = validate_data(
                self, X, y, reset=reset, accept_sparse="csr", dtype=_FLOATS,
                ensure_all_finite=finite,
            )  # fmt: skip
        if y.dtype.kind not in "iub":
            check_classification_targets(y)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
            if not sample_weight.any():
                raise ValueError("All values of sample_weight are zero: there is no row.")
        return X, y, sample_weight

    def _reduce_collection(self, X, y, sample_weight):
        """Return the statistics of Dask collections, and some of the samples."""
        from . import dask_statistics as of_dask

        blocks = of_dask.make_blocks(X, y, sample_weight)
        classes, totals, n_samples = of_dask.count_classes(blocks)
        self.__dict__.update(find_noise(self, classes))
        self._class_factors = find_factors(self, classes, totals)
        names = np.asarray(getattr(X, "columns", []), dtype=object)
        self.__dict__.pop("feature_names_in_", None)
        if len(names) and all(isinstance(name, str) for name in names):
            self.feature_names_in_ = names
        scatter = self.metric == "covariance"
        return of_dask.reduce_blocks(blocks, n_samples, classes, self._class_factors, scatter)

    def _closed_form(self):
        return ClosedForm(self.alpha, self.metric, self.intercept, self._inverse)

    def _recipe(self):
        """Return the parameters that the coefficients depend on, in a form to be compared."""
        T = self.transition_matrix
        T = T if T is None or isinstance(T, str) else np.asarray(T, dtype=float).tolist()
        return self.alpha, self.metric, self.intercept, T

    def _solve(self, statistics, samples, before=None):
        """Set the coefficients, and the temperature if there are samples."""
        check_two_classes(self, statistics.classes)
        if statistics.class_weight.sum() == 0:
            raise ValueError("The statistics are of no row at all.")
        form = self._closed_form()
        slopes, offset = form.solve(statistics)
        if len(offset) == 2:
            slopes, offset = slopes[1:] - slopes[:1], offset[1:] - offset[:1]
        self.statistics_, self.classes_ = statistics, statistics.classes
        self.n_features_in_ = len(statistics.mean)
        self.coef_, self.intercept_ = slopes, offset
        self._solved_with = self._recipe()
        self.temperature_, self._temperature_precision = fit_temperature(
            form, statistics, samples, self._class_factors, self.transition_matrix_, before
        )


def _best_codes(scores):
    """Return the positions of the classes with the largest scores."""
    return (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)

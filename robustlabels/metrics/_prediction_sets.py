"""NoisyConformalClassifier: sets of classes that hold the true one, found by noisy labels."""

from collections.abc import Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.isotonic import isotonic_regression
from sklearn.utils import get_tags
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from .._fitting import unchanged_on_error
from .._typing import Features, Seed
from .._validation.answers import read_labels
from .._validation.labels import check_labels, encode
from .._validation.sklearn_private import (
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
)
from ._possible_noise import correctable_part, find_posterior

__all__ = ["NoisyConformalClassifier"]


class NoisyConformalClassifier(ClassifierMixin, BaseEstimator):
    r"""Prediction sets that hold the true label, from labels that are partly wrong.

    Sets that are conformalized by noisy labels as they are hold the noisy label as often as asked
    for, and are far larger than the true one takes. Here the noise is reckoned with. Methods and
    parameters are called as those of MAPIE's ``SplitConformalClassifier``.

    Parameters
    ----------
    estimator : classifier
        What predicts probabilities, of any kind.
    confidence_level : float or list of float, default=0.9
        Probability with which a set is to hold the true label, or several.
    conformity_score : {"lac", "aps"}, default="lac"
        By what sets are built up. "lac" takes the classes of high probability: sets are small on
        average, and of a hard row may be empty. "aps" takes classes from the most probable one on
        until their probabilities, that of the last one by half, sum to a threshold: sets are
        larger, and adapt to how hard a row is.
    transition_matrix : array-like, "auto", "estimate" or estimator, default="auto"
        The noise of the labels in `conformalize`: a matrix of shape (n_classes, n_classes),
        ``T[i, j]`` the probability of the label j where the true class is i, if it is known; or a
        fitted :class:`LabelRefiner`, or a classifier that found the noise. "estimate" finds it
        in the rows of `conformalize`, "auto" does so unless `estimator` found it.
    prefit : bool, default=True
        Whether `estimator` is fitted already. Otherwise `fit` fits a clone of it.
    random_state : int, RandomState instance or None, default=None
        Source of the trees that estimate the noise. That of `estimator` is left as it is.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    classes_ : ndarray of shape (n_classes,)
        Its classes, the order of the columns of the sets.
    thresholds_ : ndarray of shape (n_levels,)
        The largest conformity score that is in a set, for each confidence level; after
        `conformalize`.
    transition_matrix_ : ndarray of shape (n_classes, n_classes)
        The noise, or what is expected of it; after `conformalize`.
    n_features_in_ : int
        Number of features, if `estimator` knows it.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if `estimator` knows them.

    See Also
    --------
    RobustEnsembleClassifier : A classifier to wrap, which knows its noise.
    CleanScores : What a classifier is worth on clean labels.

    Notes
    -----
    With the scores :math:`s_k(x)` of the classes, 1 less their probability for "lac", and for "aps"
    the sum of greater ones and half their own, where a random share of it is usual, the share of
    rows whose set :math:`\{k: s_k(x) \le q\}` holds the true label is estimated without bias by

    .. math:: B(q) = \frac{1}{n} \sum_i \sum_k [T^{-1}]_{\tilde{y}_i k} \, 1[s_k(x_i) \le q],

    made monotone in q, and averaged over what the noise may be if it is estimated. The threshold is
    the smallest q with :math:`B(q) \ge (n + 1) \alpha / n`, where :math:`\alpha` is
    the confidence level. Without noise that is split conformal prediction. For noise that replaces
    labels at random it is the method of [1]_.

    There is no guarantee in finite samples, as there is for clean labels: the level holds on
    average over draws of the noise, nearly, and that of one draw varies with the standard error of
    B, which grows with the noise, like that of an accuracy corrected for it. With 1000 rows of two
    classes of which 40 % are labelled wrong it is several points. If the noise is estimated, the
    level is off by as much as the noise is; where it is overlooked sets are too large. The noise
    must depend on the true class alone.

    References
    ----------
    .. [1] Penso, Goldberger and Fetaya, "Conformal Prediction of Classifiers with Many Classes
       based on Noisy Labels", COPA 2025.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.model_selection import train_test_split
    >>> from robustlabels import NoisyConformalClassifier, corrupt_labels, symmetric_transition
    >>> X, y = load_digits(return_X_y=True)
    >>> X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    >>> T = symmetric_transition(10, 0.3)
    >>> y = corrupt_labels(y, T, random_state=0)
    >>> clf = RandomForestClassifier(min_samples_leaf=5, random_state=0).fit(X[:700], y[:700])
    >>> sets = NoisyConformalClassifier(clf, confidence_level=0.9, transition_matrix=T)
    >>> y_pred, y_set = sets.conformalize(X[700:], y[700:]).predict_set(X_test)
    >>> y_set.shape
    (450, 10, 1)
    >>> holds = y_set[range(450), y_test, 0]
    >>> bool(0.85 < holds.mean() < 0.97), bool(y_set.sum(axis=(1, 2)).mean() < 1.5)
    (True, True)
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "confidence_level": [Interval(Real, 0, 1, closed="neither"), list, tuple],
        "conformity_score": [StrOptions({"lac", "aps"})],
        "transition_matrix": ["array-like", StrOptions({"auto", "estimate"}), HasMethods("fit")],
        "prefit": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        confidence_level: float | Sequence[float] = 0.9,
        *,
        conformity_score: str = "lac",
        transition_matrix: ArrayLike | None = "auto",
        prefit: bool = True,
        random_state: Seed = None,
    ) -> None:
        self.estimator = estimator
        self.confidence_level = confidence_level
        self.conformity_score = conformity_score
        self.transition_matrix = transition_matrix
        self.prefit = prefit
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        if inner.classifier_tags is not None:
            tags.classifier_tags = inner.classifier_tags
        return tags

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Features, y: ArrayLike, **fit_params: Any) -> Self:
        """Fit the classifier. Sets take other rows, see :meth:`conformalize`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Whatever the classifier takes.
        y : array-like of shape (n_samples,)
            Labels, some of them wrong.
        **fit_params : dict
            Passed on to the ``fit`` of the classifier.

        Returns
        -------
        self : NoisyConformalClassifier
            With a classifier that is fitted.

        Raises
        ------
        ValueError
            With ``prefit=True``.
        """
        y = read_labels(y)
        if self.prefit:
            raise ValueError(
                "estimator is taken to be fitted: call conformalize. To have it fitted here pass "
                "prefit=False."
            )
        with unchanged_on_error(self):
            for name in ("thresholds_", "transition_matrix_"):
                self.__dict__.pop(name, None)
            self._take(clone(self.estimator).fit(X, y, **fit_params))
        return self

    @_fit_context(prefer_skip_nested_validation=False)
    def conformalize(self, X: Features, y: ArrayLike) -> Self:
        """Find the thresholds of the sets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows that the classifier has not learned from.
        y : array-like of shape (n_samples,)
            Their labels, some of them wrong.

        Returns
        -------
        self : NoisyConformalClassifier
            Ready for `predict_set`.

        Raises
        ------
        ValueError
            If the labels are not classes of the classifier, the matrix is singular, or the rows are
            too few to estimate it: fewer than 50, or 10 for each class.
        """
        levels = self._check_levels()
        with unchanged_on_error(self):
            if self.prefit:
                self._take(self.estimator)
            check_is_fitted(self)
            labels = check_labels(y)
            check_consistent_length(X, labels)
            codes = encode(labels, self.classes_)
            scores = self._conformity_scores(X)
            posterior = find_posterior(
                self.transition_matrix, self.estimator_, X, labels, self.classes_,
                self.random_state,
            )  # fmt: skip
            coverage, scores, self.transition_matrix_ = _coverage(codes, scores, posterior)
            n_samples = len(codes)
            asked = (n_samples + 1) * levels / n_samples
            first = np.searchsorted(coverage, np.round(asked, 9))
            self.thresholds_ = np.append(scores, np.inf)[first]
        return self

    def predict_set(self, X: Features) -> tuple[NDArray, NDArray]:
        """Predict the set of the classes that may be the true one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Whatever the classifier takes.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Predictions of the classifier.
        y_set : ndarray of bool of shape (n_samples, n_classes, n_levels)
            Whether a class, in the order of ``classes_``, is in the set, for each confidence
            level.
        """
        check_is_fitted(self, "thresholds_")
        scores = self._conformity_scores(X)
        return self.predict(X), scores[:, :, None] <= self.thresholds_

    def predict(self, X: Features) -> NDArray:
        """Predict the class of each row by the classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Whatever the classifier takes.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Class labels.
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    def predict_proba(self, X: Features) -> NDArray:
        """Predict the probabilities of the classes by the classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Whatever the classifier takes.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    def _check_levels(self):
        """Return the confidence levels as an array."""
        try:
            levels = np.atleast_1d(np.asarray(self.confidence_level, dtype=float))
        except ValueError:
            levels = np.empty(0)
        if levels.ndim != 1 or not len(levels) or not ((levels > 0) & (levels < 1)).all():
            raise ValueError(
                f"confidence_level must be a number between 0 and 1, or a list of such. Got "
                f"{self.confidence_level!r}."
            )
        return levels

    def _take(self, estimator):
        """Take a fitted classifier."""
        check_is_fitted(estimator)
        self.estimator_, self.classes_ = estimator, estimator.classes_
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            if hasattr(estimator, name):
                setattr(self, name, getattr(estimator, name))

    def _conformity_scores(self, X):
        """Return the score of each class of each row; a set is the classes of the lowest ones."""
        proba = np.asarray(self.estimator_.predict_proba(X), dtype=np.float64)
        if self.conformity_score == "lac":
            return 1 - proba
        order = np.argsort(-proba, axis=1, kind="stable")
        ordered, scores = np.take_along_axis(proba, order, axis=1), np.empty_like(proba)
        # By half: in full the last class of each row would have the same score, of all rows with
        # it or of none.
        np.put_along_axis(scores, order, ordered.cumsum(axis=1) - ordered / 2, axis=1)
        return scores


def _coverage(codes, scores, posterior):
    """Return the share of true labels whose score is at most that of each threshold.

    With the thresholds, all scores there are in rising order, and the expected noise.
    """
    matrices, kept, inverses = correctable_part(posterior)
    weights = posterior.weights[kept] / posterior.weights[kept].sum()
    thresholds, place = np.unique(scores, return_inverse=True)
    coverage = np.zeros(len(thresholds))
    for weight, inverse in zip(weights, inverses, strict=True):
        of_scores = np.bincount(place.ravel(), inverse[codes].ravel(), minlength=len(thresholds))
        holds = of_scores.cumsum() / len(codes)
        coverage += weight * isotonic_regression(holds, y_min=0, y_max=1)
    # The sums are rounded.
    return np.round(coverage, 9), thresholds, np.tensordot(weights, matrices, 1)

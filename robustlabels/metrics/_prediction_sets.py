"""NoisyConformalClassifier: prediction sets that contain the true class, from noisy labels."""

from collections.abc import Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.isotonic import isotonic_regression
from sklearn.utils import get_tags
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from .._fitting import take_attributes, unchanged_on_error
from .._typing import Features, Seed
from .._validation.answers import read_labels
from .._validation.labels import check_labels, encode
from .._validation.sklearn_private import HasMethods, Interval, StrOptions, _fit_context
from ._possible_noise import NOISE_CONSTRAINTS, Predictions, group_copies, resolve_noise


class NoisyConformalClassifier(ClassifierMixin, BaseEstimator):
    r"""Prediction sets that contain the true label, from partly wrong labels.

    Sets that are conformalized on noisy labels contain the *noisy* label as often as requested, and
    are far larger than the true one needs. This class accounts for the noise. Its interface is that
    of MAPIE's ``SplitConformalClassifier``.

    Parameters
    ----------
    estimator : classifier
        Any classifier with ``predict_proba``.
    confidence_level : float or list of float, default=0.9
        Probability that a set contains the true label, or several such levels.
    conformity_score : {"lac", "aps"}, default="lac"
        Sets by "lac" are small on average, and may be empty for a hard sample. Sets by "aps" are
        larger and adapt to how hard a sample is.
    transition_matrix : array-like, "auto", "estimate", estimator or None, default="auto"
        The noise of the labels in `conformalize`, see :meth:`CleanScores.from_estimator`: a known
        matrix of shape (n_classes, n_classes), the noise that `estimator` found in training
        ("auto"), that of these samples ("estimate") or of a fitted estimator; None if the labels
        are right.
    prefit : bool, default=True
        Whether `estimator` is already fitted. If False, `fit` fits a clone of it.
    random_state : int, RandomState instance or None, default=None
        Seed of the trees that estimate the noise. An error in `conformalize` where nothing is
        estimated.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    classes_ : ndarray of shape (n_classes,)
        Its classes, in the order of the sets.
    thresholds_ : ndarray of shape (n_levels,)
        The largest conformity score in a set, for each confidence level; after `conformalize`.
    transition_matrix_ : ndarray of shape (n_classes, n_classes)
        The noise: the known matrix, or its posterior mean; after `conformalize`.
    n_features_in_, feature_names_in_ : int and ndarray of shape (`n_features_in_`,)
        Number and names of the features, if `estimator` has them.

    See Also
    --------
    CleanScores : Scores of a classifier on clean labels.

    Notes
    -----
    Let :math:`s_k(x)` be the conformity score of class k: 1 minus its probability for "lac", and
    for "aps" the sum of all greater probabilities and half of its own, where others take a random
    share. The share of samples whose set :math:`\{k: s_k(x) \le q\}` contains the true label is
    estimated without bias by

    .. math:: B(q) = \frac{1}{n} \sum_i \sum_k [T^{-1}]_{\tilde{y}_i k} \, 1[s_k(x_i) \le q],

    made monotone in q by isotonic regression, and averaged over the posterior of an estimated noise
    under even prior odds for no noise. The threshold is the smallest q with
    :math:`B(q) \ge (m + 1) (1 - \alpha) / m`, where :math:`1 - \alpha` is the confidence level and
    m the number of distinct samples. Without noise this is split conformal prediction. For noise
    that replaces labels at random it is the method of [1]_.

    Unlike with clean labels, there is no finite-sample guarantee. The level holds approximately, on
    average over draws of the noise, which must depend on the true class alone. An error of an
    estimated noise carries over to the level; overlooked noise makes the sets too large, and noise
    where there is none too small.

    References
    ----------
    .. [1] Penso, Goldberger and Fetaya, "Conformal Prediction of Classifiers with Many Classes
       based on Noisy Labels", COPA 2025.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from robustlabels import NoisyConformalClassifier, corrupt_labels
    >>> from robustlabels.noise import symmetric_transition
    >>> X, y = load_digits(return_X_y=True)
    >>> T = symmetric_transition(10, 0.3)
    >>> y_noisy = corrupt_labels(y, T, random_state=0)
    >>> clf = KNeighborsClassifier(20).fit(X[::3], y_noisy[::3])
    >>> sets = NoisyConformalClassifier(clf, confidence_level=0.9, transition_matrix=T)
    >>> y_pred, y_set = sets.conformalize(X[1::3], y_noisy[1::3]).predict_set(X[2::3])
    >>> y_set.shape
    (599, 10, 1)
    >>> bool(0.85 < y_set[range(599), y[2::3], 0].mean() < 0.97)
    True
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "confidence_level": [Interval(Real, 0, 1, closed="neither"), list, tuple],
        "conformity_score": [StrOptions({"lac", "aps"})],
        "transition_matrix": NOISE_CONSTRAINTS,
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
        """Fit the classifier; :meth:`conformalize` needs other samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Anything the classifier takes.
        y : array-like of shape (n_samples,)
            Labels, some of them wrong.
        **fit_params : dict
            Passed to the ``fit`` of the classifier.

        Returns
        -------
        self : NoisyConformalClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            With ``prefit=True``.
        """
        y = read_labels(y)
        if self.prefit:
            raise ValueError(
                "estimator is already fitted: call conformalize. Pass prefit=False to fit it here."
            )
        with unchanged_on_error(self):
            self._set_estimator(clone(self.estimator).fit(X, y, **fit_params))
        return self

    @_fit_context(prefer_skip_nested_validation=False)
    def conformalize(self, X: Features, y: ArrayLike) -> Self:
        """Find the thresholds of the sets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples that the classifier was not trained on.
        y : array-like of shape (n_samples,)
            Their labels, some of them wrong.

        Returns
        -------
        self : NoisyConformalClassifier
            Ready for `predict_set`.

        Raises
        ------
        ValueError
            If labels are unknown to the classifier, the matrix is singular or needs more samples
            to be estimated (50, and 10 per class), or `random_state` would have no effect.
        """
        levels = np.atleast_1d(self.confidence_level)
        is_list = levels.ndim == 1 and levels.dtype.kind == "f" and len(levels) > 0
        if not is_list or not ((levels > 0) & (levels < 1)).all():
            raise ValueError(
                f"confidence_level must be a number between 0 and 1, or a list of such numbers. "
                f"Got {self.confidence_level!r}."
            )
        with unchanged_on_error(self):
            if self.prefit:
                self._set_estimator(self.estimator)
            check_is_fitted(self)
            labels, classes = check_labels(y), self.classes_
            check_consistent_length(X, labels)
            codes = encode(labels, classes)
            proba = self._proba(X)
            noise = resolve_noise(
                self.transition_matrix, classes, self.estimator_, X, labels, self.random_state,
                Predictions(codes, proba.argmax(axis=1), proba.max(axis=1)),
            )  # fmt: skip
            coverage, thresholds = _coverage(codes, self._conformity_scores(proba), noise)
            copies, _ = group_copies(X, len(codes), len(classes))
            n_distinct = len(np.unique(copies))
            required = (n_distinct + 1) * levels / n_distinct
            first = np.searchsorted(coverage, np.round(required, 9))
            self.thresholds_ = np.append(thresholds, np.inf)[first]
            self.transition_matrix_ = noise.expected
        return self

    def predict_set(self, X: Features) -> tuple[NDArray, NDArray]:
        """Predict the set of possible true classes of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Anything the classifier takes.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Predictions of the classifier.
        y_set : ndarray of bool of shape (n_samples, n_classes, n_levels)
            Whether each class is in the set, for each confidence level.
        """
        check_is_fitted(self, "thresholds_")
        scores = self._conformity_scores(self._proba(X))
        return self.predict(X), scores[:, :, None] <= self.thresholds_

    def predict(self, X: Features) -> NDArray:
        """Predict classes with the fitted classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Anything the classifier takes.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Class labels.
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    def predict_proba(self, X: Features) -> NDArray:
        """Predict class probabilities with the fitted classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Anything the classifier takes.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    def _set_estimator(self, estimator):
        """Store a fitted classifier, and drop what was found for another one."""
        check_is_fitted(estimator)
        for name in ("thresholds_", "transition_matrix_"):
            self.__dict__.pop(name, None)
        take_attributes(self, estimator, "classes_", "n_features_in_", "feature_names_in_")
        self.estimator_ = estimator

    def _proba(self, X):
        return np.asarray(self.estimator_.predict_proba(X), dtype=np.float64)

    def _conformity_scores(self, proba):
        """Return the conformity scores, of shape (n_samples, n_classes); low ones are in sets."""
        if self.conformity_score == "lac":
            return 1 - proba
        order = np.argsort(-proba, axis=1, kind="stable")
        ordered, scores = np.take_along_axis(proba, order, axis=1), np.empty_like(proba)
        # Counted in full, the last class would have the score 1 in all samples.
        np.put_along_axis(scores, order, ordered.cumsum(axis=1) - ordered / 2, axis=1)
        return scores


def _coverage(codes, scores, noise):
    """Return the estimated coverage of the sets of each threshold, and the sorted thresholds."""
    thresholds, place = np.unique(scores, return_inverse=True)
    coverage = np.zeros(len(thresholds))
    for weight, inverse in zip(noise.conservative_weights, noise.inverses, strict=True):
        steps = np.bincount(place.ravel(), inverse[codes].ravel(), minlength=len(thresholds))
        contained = steps.cumsum() / len(codes)
        coverage += weight * isotonic_regression(contained, y_min=0, y_max=1)
    # The sums have rounding errors, which searchsorted must not see.
    return np.round(coverage, 9), thresholds

"""Label noise inside pipelines and searches: on the training folds, and there only."""

import dataclasses
import sys
from collections.abc import Mapping
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    OneToOneFeatureMixin,
    clone,
)
from sklearn.utils import check_consistent_length, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from .._fitting import fresh_random_state, unchanged_on_error
from .._typing import Features, Seed
from .._validation.labels import check_labels, find_classes
from .._validation.sklearn_private import (
    HasMethods,
    Interval,
    StrOptions,
    _check_sample_weight,
    _fit_context,
    available_if,
)
from ._corruption import (
    INSTANCE_NOISES,
    NOISES,
    corrupted,
    find_confusable,
)

__all__ = ["LabelNoiseInjector", "NoiseInjectedClassifier"]


def _learned_labels(injector):
    if not getattr(injector, "_of_labels", False):
        raise AttributeError(
            "transform is there after fit(y), for labels alone. Use corrupt(y), or fit_resample(X, "
            "y), which imbalanced-learn's Pipeline calls."
        )
    return True


class LabelNoiseInjector(OneToOneFeatureMixin, BaseEstimator):
    """Corrupts labels: by itself, like a LabelEncoder, or as a step of a pipeline.

    As a step of imbalanced-learn's ``Pipeline`` it corrupts the labels of the training rows, and
    predictions and scores see clean ones. A ``Pipeline`` of scikit-learn cannot change labels:
    there, use :class:`NoiseInjectedClassifier`.

    Parameters
    ----------
    noise : {"symmetric", "pair", "instance", "margin", "boundary"}, dict or array-like of \
            shape (n_classes, n_classes), default="symmetric"
        What the wrong label depends on, see :func:`corrupt_labels`.
    noise_rate : float in [0, 1], default=0.2
        Probability that a label is wrong; with a dict, of the mapped classes alone. A matrix
        holds its own rate, and this one is not looked at.
    exact : bool, default=False
        Whether the number of wrong labels is exact, see :func:`corrupt_labels`.
    random_state : int, RandomState instance or None, default=None
        Where the labels are drawn from. With an int all candidates of a search meet the same
        noise in a fold, which compares them fairly; with None each meets its own.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    transition_matrix_ : ndarray of shape (n_classes, n_classes)
        Probability of the label j where the true class is i; the mean over the rows of a class
        where the noise depends on them. Not there after ``fit(X, y)`` alone in that case.
    noise_rate_ : float
        Share of labels that were wrong in the last corruption.
    flipped_ : ndarray of bool, shape (n_samples,)
        Which labels were wrong in the last corruption.
    sampling_strategy_ : dict
        Empty: no row is added or dropped. imbalanced-learn asks for it.
    n_features_in_ : int
        Number of features, where there were any.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where `X` has names that are all strings.

    See Also
    --------
    corrupt_labels : The function.
    NoiseInjectedClassifier : The same inside any estimator.

    Examples
    --------
    >>> from robustlabels import LabelNoiseInjector
    >>> injector = LabelNoiseInjector("pair", 0.25, exact=True, random_state=0)
    >>> injector.corrupt(["ham", "spam", "ham", "ham"])
    array(['ham', 'spam', 'ham', 'spam'], dtype='<U4')
    >>> injector.noise_rate_
    0.25
    """

    _parameter_constraints = {
        "noise": [
            StrOptions(NOISES),
            Mapping,
            "array-like",
        ],
        "noise_rate": [Interval(Real, 0, 1, closed="both")],
        "exact": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        noise: str | Mapping | ArrayLike = "symmetric",
        noise_rate: float | None = 0.2,
        *,
        exact: bool = False,
        random_state: Seed = None,
    ) -> None:
        self.noise = noise
        self.noise_rate = noise_rate
        self.exact = exact
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = tags.input_tags.string = not self._looks_at_rows
        tags.no_validation = not self._looks_at_rows
        if "imblearn" not in sys.modules:
            return tags
        from imblearn.utils._tags import InputTags, SamplerTags, Tags

        inputs = InputTags(**_fields(tags.input_tags), dataframe=True)
        return Tags(
            **{**_fields(tags), "estimator_type": "sampler", "input_tags": inputs},
            sampler_tags=SamplerTags(),
        )

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Features, y: Any = None) -> Self:
        """Learn the classes: of the labels alone, ``fit(y)``, or beside rows, ``fit(X, y)``.

        Parameters
        ----------
        X : array-like of shape (n_samples,), or {array-like, sparse matrix} of shape \
                (n_samples, n_features)
            Labels, where they are the only argument; rows otherwise.
        y : array-like of shape (n_samples,), default=None
            Labels, where they are the second argument.

        Returns
        -------
        self : LabelNoiseInjector
            The fitted injector.

        Raises
        ------
        ValueError
            If a parameter or the labels are unfit, or there are fewer than two classes.
        """
        with unchanged_on_error(self):
            for name in ("n_features_in_", "feature_names_in_", "transition_matrix_"):
                self.__dict__.pop(name, None)
            self._of_labels = y is None
            if self._of_labels:
                labels = check_labels(X)
            else:
                _, labels = self._validate(X, y)
            if self._looks_at_rows:
                self.classes_ = find_confusable(labels)
            else:
                self._draw(labels, None)
            for name in ("flipped_", "noise_rate_"):
                self.__dict__.pop(name, None)
        return self

    @available_if(_learned_labels)
    def transform(self, y: ArrayLike) -> Any:
        """Corrupt labels of the classes learned by ``fit(y)``.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            True labels.

        Returns
        -------
        y_noisy : ndarray or Series of shape (n_samples,)
            Noisy labels in the dtype of `y`.
        """
        check_is_fitted(self)
        self._validate_params()
        return self._draw(y, None, self.classes_)

    @_fit_context(prefer_skip_nested_validation=True)
    def corrupt(self, y: ArrayLike, X: Features = None) -> Any:
        """Learn the classes of labels and corrupt them, at once.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            True labels.
        X : array-like of shape (n_samples, n_features), default=None
            Rows, for noise that depends on them.

        Returns
        -------
        y_noisy : ndarray or Series of shape (n_samples,)
            Noisy labels in the dtype of `y`.

        Raises
        ------
        ValueError
            If a parameter or the labels are unfit, there are fewer than two classes, or X is
            missing.
        """
        with unchanged_on_error(self):
            self._of_labels = True
            return self._draw(y, X)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_resample(self, X: Features, y: ArrayLike) -> tuple[Any, Any]:
        """Corrupt the labels of a training set, as a step of imbalanced-learn's pipeline.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or one-hot of shape (n_samples, n_classes)
            True labels.

        Returns
        -------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows that were given, untouched.
        y_noisy : array-like of the shape and type of `y`
            Noisy labels.

        Raises
        ------
        ValueError
            If a parameter or the data are unfit, or there are fewer than two classes.
        """
        shape = np.shape(y)
        if len(shape) == 2 and shape[1] > 1:
            one_hot = np.asarray(y)
            if type_of_target(one_hot) != "multilabel-indicator" or (one_hot.sum(1) != 1).any():
                raise ValueError("Multilabel and multioutput targets are not supported.")
            X, codes = self.fit_resample(X, one_hot.argmax(axis=1))
            return X, np.eye(shape[1], dtype=one_hot.dtype)[codes]
        with unchanged_on_error(self):
            self._of_labels = False
            self.sampling_strategy_: dict = {}
            column = y
            if len(shape) == 2:
                column = y.iloc[:, 0] if hasattr(y, "iloc") else np.ravel(y)
            checked, _ = self._validate(X, column)
            y_noisy = self._draw(column, checked)
            if column is not y:
                is_series = hasattr(y_noisy, "iloc")
                y_noisy = y_noisy.to_frame() if is_series else y_noisy.reshape(-1, 1)
            if isinstance(y, list):
                y_noisy = y_noisy.tolist()
        return X, y_noisy

    def _validate(self, X, y):
        labels = check_labels(y)
        check_classification_targets(labels)
        if not hasattr(X, "__dask_graph__"):  # to know its length takes computing it
            check_consistent_length(X, labels)
        if self._looks_at_rows:
            return validate_data(self, X, accept_sparse=["csr", "csc"]), labels
        # Rows that are only passed on can be anything.
        return validate_data(self, X, skip_check_array=True), labels

    @property
    def _looks_at_rows(self):
        return isinstance(self.noise, str) and self.noise in INSTANCE_NOISES

    def _draw(self, y, X, classes=None):
        by_matrix = not isinstance(self.noise, (str, Mapping))
        y_noisy, self.flipped_, self.transition_matrix_, self.classes_ = corrupted(
            y,
            self.noise,
            None if by_matrix else self.noise_rate,
            X,
            self.random_state,
            self.exact,
            classes,
        )
        self.noise_rate_ = float(self.flipped_.mean())
        return y_noisy


def _has(name):
    """Make a check of whether the estimator inside has a method."""
    return lambda self: hasattr(getattr(self, "estimator_", self.estimator), name)


class NoiseInjectedClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Fits a classifier to corrupted labels and leaves scoring on clean ones.

    ``cross_val_score``, ``GridSearchCV`` and ``learning_curve`` then measure how robust a
    classifier is: the noise is injected into the training folds inside of ``fit``.

    Parameters
    ----------
    estimator : classifier
        What is fitted, a pipeline as well.
    injector : LabelNoiseInjector
        What corrupts the labels.
    random_state : int, RandomState instance or None, default=None
        Where the `random_state` of the injector, of the estimator and of all steps inside of
        it are drawn from. None leaves them as they are.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    injector_ : LabelNoiseInjector
        The injector, which knows the realised noise; without it where the labels are of one
        class only, which cannot be confused.
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    n_features_in_ : int
        Number of features, where the classifier knows it.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where the classifier knows them.

    See Also
    --------
    LabelNoiseInjector : Also a step of imbalanced-learn's pipeline.

    Notes
    -----
    With weights, labels of rows without weight are corrupted as well, but play no part. A class
    of which the noise leaves no label is unknown to the classifier: ``classes_`` lacks it.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import cross_val_score
    >>> from robustlabels import LabelNoiseInjector, NoiseInjectedClassifier, UnhingedClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> noisy = NoiseInjectedClassifier(UnhingedClassifier(), LabelNoiseInjector(), random_state=0)
    >>> for rate in (0.0, 0.4):
    ...     noisy.set_params(injector__noise_rate=rate)
    ...     print(cross_val_score(noisy, X, y).mean() > 0.85)
    NoiseInjectedClassifier(...)
    True
    NoiseInjectedClassifier(...)
    True
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict"])],
        "injector": [LabelNoiseInjector],
        "random_state": ["random_state"],
    }

    def __init__(
        self, estimator: Any, injector: LabelNoiseInjector, random_state: Seed = None
    ) -> None:
        self.estimator = estimator
        self.injector = injector
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.classifier_tags = inner.classifier_tags
        return tags

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Features, y: ArrayLike, **fit_params: Any) -> Self:
        """Corrupt the labels and fit the classifier to them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Whatever the classifier takes.
        y : array-like of shape (n_samples,)
            True labels.
        **fit_params : dict
            Passed on to the classifier, such as `sample_weight`.

        Returns
        -------
        self : NoiseInjectedClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter or the data are unfit.
        """
        y = check_labels(y)
        check_classification_targets(y)
        estimator, injector = clone(self.estimator), clone(self.injector)
        if self.random_state is not None:
            rng = fresh_random_state(self.random_state)
            for part in (injector, estimator):
                _reseed(part, rng)
        if get_config()["enable_metadata_routing"]:
            fit_params = process_routing(self, "fit", **fit_params).estimator.fit
        weight = fit_params.get("sample_weight")
        # Labels of one class cannot be confused; the classifier says what it makes of them.
        confused = len(find_classes(y)) > 1
        if confused and weight is not None:
            weight = _check_sample_weight(weight, y, ensure_non_negative=True)
            if len(find_classes(y[weight > 0])) < 2:
                raise ValueError(
                    "sample_weight leaves rows of fewer than two classes: there is nothing to "
                    "confuse."
                )
        if confused:
            y = injector.corrupt(y, X)
        fitted = estimator.fit(X, y, **fit_params)
        for name in ("injector_", "n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            if hasattr(fitted, name):
                setattr(self, name, getattr(fitted, name))
        if confused:
            self.injector_ = injector
        self.estimator_ = fitted
        self.classes_ = fitted.classes_
        return self

    def get_metadata_routing(self) -> MetadataRouter:
        """Say that what `fit` is given goes to the `fit` of the classifier.

        Returns
        -------
        routing : MetadataRouter
            The routing, for scikit-learn's metadata routing.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        return router.add(estimator=self.estimator, method_mapping=mapping)

    def predict(self, X: Features) -> NDArray:
        """Predict the class of each row.

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

    @available_if(_has("predict_proba"))
    def predict_proba(self, X: Features) -> NDArray:
        """Compute the class probabilities of the classifier.

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

    @available_if(_has("decision_function"))
    def decision_function(self, X: Features) -> NDArray:
        """Compute the scores of the classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Whatever the classifier takes.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes) or (n_samples,)
            Whatever the classifier returns.
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)


def _fields(tags):
    return {field.name: getattr(tags, field.name) for field in dataclasses.fields(tags)}


def _reseed(estimator, rng):
    """Set the `random_state` of an estimator and of all estimators inside of it."""
    names = [n for n in sorted(estimator.get_params()) if n.split("__")[-1] == "random_state"]
    estimator.set_params(**{name: rng.randint(np.iinfo(np.int32).max) for name in names})

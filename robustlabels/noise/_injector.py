"""Label noise inside pipelines and searches: on the training folds only."""

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import clone, get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, OneToOneFeatureMixin
from sklearn.utils import check_consistent_length, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from .._fitting import fresh_random_state, take_attributes, unchanged_on_error
from .._typing import Features, Seed
from .._validation.labels import as_given, check_labels, find_classes
from .._validation.sklearn_private import (
    HasMethods,
    _check_sample_weight,
    _fit_context,
    available_if,
)
from ._corruption import NOISE, class_transition, corrupt_checked, find_confusable, needs_features
from ._transitions import RATE


def _has_labels_only(injector):
    if not getattr(injector, "_labels_only", False):
        raise AttributeError("transform requires fit(y), with labels alone. Otherwise use corrupt.")
    return True


class LabelNoiseInjector(OneToOneFeatureMixin, BaseEstimator):
    """Corrupts labels: by itself, like a LabelEncoder, or as a step of a pipeline.

    As a step of imbalanced-learn's ``Pipeline`` it corrupts training labels only. A ``Pipeline`` of
    scikit-learn cannot change labels. Use :class:`NoiseInjectedClassifier` there.

    Parameters
    ----------
    noise : str, dict or array-like of shape (n_classes, n_classes), default="symmetric"
        Kind of noise, see :func:`corrupt_labels`.
    noise_rate : float in [0, 1], default=0.2
        Probability that a label is wrong; with a dict, of the mapped classes only. Ignored for
        a matrix, which implies its own rate.
    exact : bool, default=False
        Whether the number of wrong labels is exact, see :func:`corrupt_labels`.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws. With an int, all candidates of a search get the same noise in a fold,
        so they compare fairly. With None, each gets its own.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    transition_matrix_ : ndarray of shape (n_classes, n_classes)
        Probability of label j where the true class is i. If the noise depends on the features,
        this is the mean over the samples of class i, and is missing after ``fit``.
    noise_rate_ : float
        Share of wrong labels in the last corruption.
    flipped_ : ndarray of bool, shape (n_samples,)
        Which labels were wrong in the last corruption.
    sampling_strategy_ : dict
        Empty. imbalanced-learn requires it.
    n_features_in_, feature_names_in_ : int and ndarray of shape (`n_features_in_`,)
        Number of features, if `X` was given, and their names, if these are all strings.

    See Also
    --------
    corrupt_labels : The same as a function.
    NoiseInjectedClassifier : The same inside any estimator.

    Examples
    --------
    >>> from robustlabels import LabelNoiseInjector
    >>> injector = LabelNoiseInjector("pair", 0.25, exact=True, random_state=0)
    >>> injector.corrupt(["ham", "spam", "ham", "ham"])
    array(['ham', 'spam', 'spam', 'ham'], dtype='<U4')
    >>> injector.noise_rate_
    0.25
    """

    _parameter_constraints = {
        "noise": NOISE,
        "noise_rate": [RATE],
        "exact": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        noise: str | Mapping | ArrayLike = "symmetric",
        noise_rate: float = 0.2,
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
        by_features = needs_features(self.noise)
        tags.target_tags.required = tags.input_tags.sparse = True
        tags.input_tags.allow_nan = tags.input_tags.string = not by_features
        tags.no_validation = not by_features
        if "imblearn" not in sys.modules:
            return tags
        from imblearn.utils._tags import InputTags, SamplerTags, Tags

        fields = {**_fields(tags), "estimator_type": "sampler", "sampler_tags": SamplerTags()}
        fields["input_tags"] = InputTags(**_fields(tags.input_tags), dataframe=True)
        return Tags(**fields)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Features, y: Any = None) -> Self:
        """Learn the classes from labels alone, ``fit(y)``, or from samples, ``fit(X, y)``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_features)
            Labels if this is the only argument, features otherwise.
        y : array-like of shape (n_samples,), default=None
            Labels, if the first argument has the features.

        Returns
        -------
        self : LabelNoiseInjector
            The fitted injector.

        Raises
        ------
        ValueError
            If there are fewer than two classes.
        """
        with unchanged_on_error(self):
            for name in [name for name in vars(self) if name.endswith("_")]:
                delattr(self, name)
            self._labels_only = y is None
            by_features = needs_features(self.noise)
            labels = check_labels(X) if y is None else self._check(X, y, by_features)
            self.classes_ = find_confusable(labels)
            if not by_features:
                self.transition_matrix_ = class_transition(
                    self.noise, self.noise_rate, self.classes_
                )
        return self

    @available_if(_has_labels_only)
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
        self._validate_params()
        return self._corrupt(y, check_labels(y), classes=self.classes_)

    @_fit_context(prefer_skip_nested_validation=True)
    def corrupt(self, y: ArrayLike, X: Features = None) -> Any:
        """Learn the classes of labels and corrupt these labels.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            True labels.
        X : array-like of shape (n_samples, n_features), default=None
            Features, for noise that depends on them.

        Returns
        -------
        y_noisy : ndarray or Series of shape (n_samples,)
            Noisy labels in the dtype of `y`.

        Raises
        ------
        ValueError
            If there are fewer than two classes, or X is needed and missing.
        """
        with unchanged_on_error(self):
            self._labels_only = True
            return self._corrupt(y, check_labels(y), X)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_resample(self, X: Features, y: ArrayLike) -> tuple[Any, Any]:
        """Corrupt the labels of a training set, as a step of imbalanced-learn's pipeline.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or one-hot of shape (n_samples, n_classes)
            True labels.

        Returns
        -------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The features as they were passed.
        y_noisy : array-like of the shape and type of `y`
            Noisy labels.
        """
        shape = np.shape(y)
        if len(shape) == 2 and shape[1] > 1:
            one_hot = np.asarray(y)
            if type_of_target(one_hot) != "multilabel-indicator" or (one_hot.sum(1) != 1).any():
                raise ValueError("Multilabel and multioutput targets are not supported.")
            X, codes = self.fit_resample(X, one_hot.argmax(axis=1))
            return X, np.eye(shape[1], dtype=one_hot.dtype)[codes]
        column = y
        if len(shape) == 2:
            column = y.iloc[:, 0] if hasattr(y, "iloc") else np.ravel(y)
        with unchanged_on_error(self):
            self._labels_only = False
            self.sampling_strategy_: dict = {}
            y_noisy = self._corrupt(column, self._check(X, column), X)
        if column is not y:
            y_noisy = y_noisy.to_frame() if hasattr(y, "iloc") else y_noisy.reshape(-1, 1)
        return X, y_noisy.tolist() if isinstance(y, list) else y_noisy

    def _check(self, X, y, check_values=False):
        """Return checked labels. Features can be anything unless their values are checked."""
        labels = check_labels(y)
        check_classification_targets(labels)
        if not hasattr(X, "__dask_graph__"):  # its length may be known only after computing it
            check_consistent_length(X, labels)
        validate_data(self, X, skip_check_array=not check_values, accept_sparse=["csr", "csc"])
        return labels

    def _corrupt(self, y, labels, X=None, classes=None):
        y_noisy, self.flipped_, self.transition_matrix_, self.classes_ = corrupt_checked(
            labels, self.noise, self.noise_rate, X, self.random_state, self.exact, classes
        )
        self.noise_rate_ = float(self.flipped_.mean())
        return as_given(y_noisy, y)


def _inner_has(name):
    return lambda self: hasattr(getattr(self, "estimator_", self.estimator), name)


class NoiseInjectedClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Fits a classifier to corrupted labels, so that it can be scored on clean ones.

    The noise is injected inside ``fit``, so ``cross_val_score``, ``GridSearchCV`` and
    ``learning_curve`` corrupt the training folds only and measure how robust a classifier is.

    Parameters
    ----------
    estimator : classifier
        Classifier to fit, possibly a pipeline.
    injector : LabelNoiseInjector
        Corrupts the labels.
    random_state : int, RandomState instance or None, default=None
        Seed of the `random_state` of the injector, the estimator and all steps inside it. None
        leaves them as they are.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    injector_ : LabelNoiseInjector
        The fitted injector, with the realised noise. Missing if there was only one class.
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    n_features_in_, feature_names_in_ : int and ndarray of shape (`n_features_in_`,)
        Number and names of the features, if the classifier knows them.

    See Also
    --------
    LabelNoiseInjector : Also a step of imbalanced-learn's pipeline.

    Notes
    -----
    Labels of samples without weight are corrupted too, but have no influence. If the noise
    removes all labels of a class, ``classes_`` does not contain it.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import cross_val_score
    >>> from robustlabels import LabelNoiseInjector, NoiseInjectedClassifier, UnhingedClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> injector = LabelNoiseInjector("symmetric", 0.4)
    >>> noisy = NoiseInjectedClassifier(UnhingedClassifier(), injector, random_state=0)
    >>> bool(cross_val_score(noisy, X, y).mean() > 0.85)
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
        tags.input_tags, tags.classifier_tags = inner.input_tags, inner.classifier_tags
        return tags

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Features, y: ArrayLike, **fit_params: Any) -> Self:
        """Corrupt the labels and fit the classifier to them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, in any form that the classifier accepts.
        y : array-like of shape (n_samples,)
            True labels.
        **fit_params : dict
            Passed to the ``fit`` of the classifier, for example `sample_weight`.

        Returns
        -------
        self : NoiseInjectedClassifier
            The fitted classifier.
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
        # A single class cannot be confused. The classifier decides whether it accepts that.
        if len(find_classes(y)) > 1:
            weight = fit_params.get("sample_weight")
            weight = _check_sample_weight(weight, y, ensure_non_negative=True)
            if len(find_classes(y[weight > 0])) < 2:
                raise ValueError("Fewer than two classes have samples of positive sample_weight.")
            y = injector.corrupt(y, X)
        self.estimator_ = estimator.fit(X, y, **fit_params)
        self.classes_ = self.estimator_.classes_
        take_attributes(self, self.estimator_, "n_features_in_", "feature_names_in_")
        self.__dict__.pop("injector_", None)
        if hasattr(injector, "classes_"):
            self.injector_ = injector
        return self

    def get_metadata_routing(self) -> MetadataRouter:
        """Route what `fit` receives to the `fit` of the classifier.

        Returns
        -------
        routing : MetadataRouter
            The routing, for scikit-learn's metadata routing.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        return router.add(estimator=self.estimator, method_mapping=mapping)

    def predict(self, X: Features) -> NDArray:
        """Predict the class of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, in any form that the classifier accepts.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Class labels.
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    @available_if(_inner_has("predict_proba"))
    def predict_proba(self, X: Features) -> NDArray:
        """Return the class probabilities of the classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, in any form that the classifier accepts.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(_inner_has("predict_log_proba"))
    def predict_log_proba(self, X: Features) -> NDArray:
        """Return the logarithms of the class probabilities of the classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, in any form that the classifier accepts.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        check_is_fitted(self)
        return self.estimator_.predict_log_proba(X)

    @available_if(_inner_has("decision_function"))
    def decision_function(self, X: Features) -> NDArray:
        """Return the scores of the classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, in any form that the classifier accepts.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes) or (n_samples,)
            Decision function of the classifier.
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)


def _fields(tags):
    return {field.name: getattr(tags, field.name) for field in dataclasses.fields(tags)}


def _reseed(estimator, rng):
    """Set the `random_state` of an estimator and of all estimators inside it."""
    names = [n for n in sorted(estimator.get_params()) if n.split("__")[-1] == "random_state"]
    estimator.set_params(**{name: rng.randint(np.iinfo(np.int32).max) for name in names})

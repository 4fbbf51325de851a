"""RefinedClassifier: any classifier, trained on the probabilities of the true labels."""

from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone, is_regressor
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from ._fitting import fresh_random_state, take_attributes, unchanged_on_error, without_autologging
from ._inner.boosters import BoosterTable, check_booster
from ._inner.expanded_rows import ExpandedRows, expand, set_early_stopping, set_inner_folds
from ._inner.sample_weight import (
    check_parameters,
    check_weights_reach,
    encode_class_weight,
    need_weight_parameter,
)
from ._typing import Features, Seed
from ._validation.rows import read_rows
from ._validation.sklearn_private import (
    HasMethods,
    _fit_context,
    _num_samples,
    _safe_indexing,
    available_if,
)
from .refinement import LabelRefiner
from .refinement._refiner import read_features

__all__ = ["RefinedClassifier"]


def _has_probabilities(self):
    inner = getattr(self, "estimator_", self.estimator)
    return is_regressor(inner) or hasattr(inner, "predict_proba")


def _has_scores(self):
    inner = getattr(self, "estimator_", self.estimator)
    return not is_regressor(inner) and hasattr(inner, "decision_function")


class RefinedClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    r"""Trains any classifier on the probabilities of the true labels.

    A :class:`LabelRefiner` estimates which labels are wrong and what the true ones probably are.
    The classifier then learns these probabilities instead of the labels.

    Parameters
    ----------
    estimator : classifier or regressor
        A classifier whose `fit` takes `sample_weight`, or a multi-output regressor, which learns
        the probabilities as targets, such as ``ExtraTreesRegressor(min_samples_leaf=5)``. A
        pipeline passes the weights to its last step; with scikit-learn's metadata routing, to the
        steps that request them.
    refiner : LabelRefiner or None, default=None
        Estimates the probabilities. None stands for a :class:`LabelRefiner` with the `n_jobs`,
        `verbose`, `random_state` and `memory` given here. A refiner that is passed keeps its own.
    n_jobs : int or None, default=None
        Number of trees that the default refiner grows at the same time.
    verbose : int, default=0
        1 shows a progress bar over the trees of the default refiner.
    random_state : int, RandomState instance or None, default=None
        Source of the default refiner and, with any refiner, of the folds inside `estimator`. None
        draws fresh entropy. The `random_state` of `estimator` is left as it is.
    memory : joblib.Memory, str or None, default=None
        Where the default refiner caches its results, see :class:`LabelRefiner`.

    Attributes
    ----------
    estimator_ : classifier or regressor
        The fitted estimator. A classifier knows the classes as 0 to n_classes - 1.
    refiner_ : LabelRefiner
        The fitted refiner, with the noise and the labels that are probably wrong.
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    n_features_in_ : int
        Number of features, where the refiner knows it.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has names that are all strings.

    See Also
    --------
    LabelRefiner : Estimates the probabilities.
    RobustClassifier : Networks, which learn them with a robust loss.

    Notes
    -----
    With sample weights w and probabilities B of the true labels, a classifier that uses the log
    loss minimises

    .. math:: \sum_i w_i \sum_k B_{ik} \left(-\log p_k(x_i)\right) :

    each sample is repeated once for each class, with weight :math:`w_i B_{ik}`. Classes below a
    hundredth of the sample's largest probability are dropped, and the others rescaled to sum to 1.
    Parameters that count samples, such as ``min_samples_leaf``, count these copies. If all
    probabilities are 0 or 1, the data are passed on unchanged.

    Copies of a sample stay on one side of each split inside the estimator, and so do near-duplicate
    samples. For this, the parameter `cv` of the estimator, or of the last step of a pipeline, is
    replaced by a list of folds; a splitter or a list of folds refers to the samples of X.
    :class:`~sklearn.ensemble.HistGradientBoostingClassifier` stops early on samples that are held
    out; estimators that hold out copies at random are rejected. A search inside RefinedClassifier
    selects by the probabilities of the true labels if its scorer takes weights, which
    scikit-learn 1.9 passes to it. A search around it selects by the labels as given.

    ``class_weight`` inside `estimator` refers to the labels in y. "balanced" gives each class the
    same total probability.

    Of a data frame, LightGBM, XGBoost, CatBoost and
    :class:`~sklearn.ensemble.HistGradientBoostingClassifier` get columns of texts as categories of
    pandas, at most the 255 most frequent ones, and texts that are numbers as numbers. Other
    classifiers need a pipeline that encodes texts.

    Predicted probabilities are about the true labels, and not calibrated any further. To calibrate,
    use ``RefinedClassifier(CalibratedClassifierCV(estimator))``; calibration around
    RefinedClassifier would fit the noisy labels. Predictions of a regressor are clipped at 0 and
    normalised.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.ensemble import HistGradientBoostingClassifier
    >>> from robustlabels import RefinedClassifier, corrupt_labels
    >>> X, y = load_wine(return_X_y=True)
    >>> y_noisy = corrupt_labels(y, "symmetric", 0.3, exact=True, random_state=0)
    >>> boosting = HistGradientBoostingClassifier(max_iter=20, random_state=0)
    >>> refined = RefinedClassifier(boosting, random_state=0).fit(X, y_noisy)
    >>> bool(refined.score(X, y) > boosting.fit(X, y_noisy).score(X, y))
    True
    """

    _parameter_constraints = {
        "estimator": [HasMethods("fit")],
        "refiner": [LabelRefiner, None],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
        "memory": [str, HasMethods(["cache"]), None],
    }

    def __init__(
        self,
        estimator: Any,
        refiner: LabelRefiner | None = None,
        *,
        n_jobs: int | None = None,
        verbose: int = 0,
        random_state: Seed = None,
        memory: Any = None,
    ) -> None:
        self.estimator = estimator
        self.refiner = refiner
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state
        self.memory = memory

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        refiner = get_tags(LabelRefiner() if self.refiner is None else self.refiner)
        tags.input_tags = inner.input_tags
        for name in ("sparse", "allow_nan", "categorical", "string"):
            both = getattr(inner.input_tags, name) and getattr(refiner.input_tags, name)
            setattr(tags.input_tags, name, both)
        if inner.classifier_tags is not None:
            tags.classifier_tags = inner.classifier_tags
        tags.classifier_tags.multi_label = False
        return tags

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Features,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        trusted: ArrayLike | None = None,
        trusted_at_random: ArrayLike = False,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Estimate the probabilities of the true labels, and fit the estimator to them.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Anything that both the refiner and the estimator take.
        y : array-like of shape (n_samples,) or (n_samples, n_annotators)
            Labels of any kind, at least two classes; some may be wrong. Several columns are the
            answers of several annotators, some of them missing, see :class:`LabelRefiner`.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Non-negative weights. Only their ratios matter to the refiner.
        trusted : array-like of shape (n_samples,) or None, default=None
            Booleans that say which labels are right, with several annotators also in the shape of
            y; or the true labels, and None or NaN where they are unknown. See
            :meth:`LabelRefiner.fit`.
        trusted_at_random : bool or array-like of bool of shape (n_samples,), default=False
            Which of the trusted samples were drawn at random.
        groups : array-like of shape (n_samples,) or None, default=None
            Samples that depend on each other share a value here, such as those of one patient. They
            are held out together. At least 10 groups.

        Returns
        -------
        self : RefinedClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter or the data are invalid, the estimator takes no weights, it would split
            copies of a sample, or it is to stop early by rows that it does not get.
        """
        with unchanged_on_error(self), without_autologging():
            check_booster(self.estimator)
            estimator, refiner = clone(self.estimator), self._make_refiner()
            check_parameters(estimator)
            check_parameters(refiner)
            self._table = BoosterTable(estimator, X)
            X = self._table.take(X)
            if not is_regressor(estimator):
                weight_name = check_weights_reach(estimator)
            else:
                weight_name = None if sample_weight is None else need_weight_parameter(estimator)
            passed = y, sample_weight, trusted, trusted_at_random, groups
            rows = read_rows(self, X, lambda X: read_features(refiner, X), *passed)
            found = refiner.fit_rows(rows)
            self.refiner_, self.classes_ = refiner, rows.classes
            take_attributes(self, refiner, "n_features_in_", "feature_names_in_")
            fit = self._fit_regressor if is_regressor(estimator) else self._fit_classifier
            self.estimator_ = fit(estimator, weight_name, rows, found.soft_labels, found.groups)
        return self

    def _make_refiner(self):
        if self.refiner is not None:
            return clone(self.refiner)
        names = ("n_jobs", "verbose", "random_state", "memory")
        return LabelRefiner(**{name: getattr(self, name) for name in names})

    def _fit_regressor(self, estimator, weight_name, rows, soft_labels, groups):
        """Fit a regressor to the probabilities as targets."""
        expanded = self._expanded(np.arange(len(rows)), soft_labels, groups)
        set_inner_folds(estimator, expanded, rows)
        weights = {} if weight_name is None else {weight_name: rows.weight}
        return estimator.fit(rows.X, soft_labels, **weights)

    def _fit_classifier(self, estimator, weight_name, rows, soft_labels, groups):
        """Fit a classifier to the samples, each repeated for each of its probable classes."""
        copies, codes, shares = expand(soft_labels)
        weight = rows.weight[copies] * shares
        totals = np.bincount(codes, weights=weight, minlength=len(self.classes_))
        encode_class_weight(estimator, self.classes_, totals)
        expanded = self._expanded(copies, soft_labels, groups)
        set_inner_folds(estimator, expanded, rows)
        held_out_share = set_early_stopping(estimator, len(rows))
        X, validation = _safe_indexing(rows.X, copies), {}
        if held_out_share is not None:
            # Holding out the surest sample of a class could hide the class from the estimator.
            train, held_out = expanded.hold_out(held_out_share, soft_labels.argmax(axis=0))
            validation = {
                "X_val": _safe_indexing(X, held_out),
                "y_val": codes[held_out],
                "sample_weight_val": weight[held_out],
            }
            X, codes, weight = _safe_indexing(X, train), codes[train], weight[train]
        # Weights of 1 may draw other bootstrap samples than no weights.
        weights = {} if (weight == 1).all() else {weight_name: weight}
        return estimator.fit(X, codes, **weights, **validation)

    def _expanded(self, copies, soft_labels, groups):
        rng = fresh_random_state(self.random_state)
        return ExpandedRows(copies, groups, soft_labels.argmax(axis=1), rng)

    def predict(self, X: Features) -> NDArray:
        """Predict the true class of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Anything that the estimator takes.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Class labels.
        """
        check_is_fitted(self)
        if is_regressor(self.estimator_):
            return self.classes_[self.predict_proba(X).argmax(axis=1)]
        predicted = np.ravel(
            self.estimator_.predict(self._table.take(X))
        )  # CatBoost returns a column
        known = np.isin(predicted, range(len(self.classes_))).all()
        if not known or len(predicted) != _num_samples(X):
            raise ValueError(
                f"estimator={self.estimator!r} predicts values other than the labels 0 to "
                f"{len(self.classes_) - 1} that it was fitted to. With a custom objective LightGBM "
                f"predicts raw scores: use one of its own objectives here."
            )
        return self.classes_[predicted.astype(np.intp)]

    @available_if(_has_probabilities)
    @np.errstate(under="ignore")  # harmless, even where users have made it an error
    def predict_proba(self, X: Features) -> NDArray:
        """Predict the probabilities of the true classes.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Anything that the estimator takes.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        check_is_fitted(self)
        if not is_regressor(self.estimator_):
            return self.estimator_.predict_proba(self._table.take(X))
        proba = np.maximum(self.estimator_.predict(self._table.take(X)), 0)
        total = proba.sum(axis=1, keepdims=True)
        return np.where(total > 0, proba / np.where(total > 0, total, 1), 1 / proba.shape[1])

    @available_if(_has_probabilities)
    def predict_log_proba(self, X: Features) -> NDArray:
        """Predict the logarithms of the probabilities of the true classes.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Anything that the estimator takes.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Logarithms of :meth:`predict_proba`, -inf where it is 0.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    @available_if(_has_scores)
    def decision_function(self, X: Features) -> NDArray:
        """Compute the scores of the classifier.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Anything that the classifier takes.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes) or (n_samples,)
            What the classifier returns.
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(self._table.take(X))

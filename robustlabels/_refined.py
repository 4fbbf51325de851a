"""RefinedClassifier: any classifier learns the probabilities of the true labels."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone, is_regressor
from sklearn.utils import get_tags, indexable
from sklearn.utils.validation import check_is_fitted

from ._fitting import fresh_random_state, unchanged_on_error, without_autologging
from ._inner.expanded_rows import ExpandedRows, expand
from ._inner.sample_weight import (
    check_parameters,
    check_weights_reach,
    encode_class_weight,
    hold_out_for_boosting,
    keep_duplicates_together,
    need_weight_parameter,
)
from ._typing import Features, Seed
from ._validation.answers import read_labels
from ._validation.sklearn_private import (
    HasMethods,
    _check_sample_weight,
    _fit_context,
    _num_samples,
    _safe_indexing,
    available_if,
)
from .refinement import LabelRefiner

__all__ = ["RefinedClassifier"]


def _inner(self):
    return getattr(self, "estimator_", self.estimator)


def _has_probabilities(self):
    return is_regressor(_inner(self)) or hasattr(_inner(self), "predict_proba")


def _has_scores(self):
    return not is_regressor(_inner(self)) and hasattr(_inner(self), "decision_function")


class RefinedClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    r"""Trains any classifier on the probabilities of the true labels.

    A :class:`LabelRefiner` finds out which labels are probably wrong and what the true ones are;
    the classifier learns from that instead of the labels.

    Parameters
    ----------
    estimator : classifier or regressor
        What is fitted: a classifier whose `fit` takes `sample_weight`, or a regressor of several
        outputs, which learns the probabilities as targets. For forests this is the natural form:
        ``ExtraTreesRegressor(min_samples_leaf=5)``. A pipeline passes the weights to its last
        step; with scikit-learn's metadata routing, to the steps that request them.
    refiner : LabelRefiner or None, default=None
        What finds the probabilities. None stands for ``LabelRefiner(random_state=random_state,
        memory=memory)``.
    random_state : int, RandomState instance or None, default=None
        Source of the default `refiner` and of the folds inside of `estimator`. None draws fresh
        entropy. Those of `estimator` and of a `refiner` that is given are left as they are.
    memory : joblib.Memory, str or None, default=None
        Where the default `refiner` keeps what it finds, see :class:`LabelRefiner`.

    Attributes
    ----------
    estimator_ : classifier or regressor
        The fitted estimator. A classifier knows the classes as 0 to n_classes - 1.
    refiner_ : LabelRefiner
        The fitted refiner, which knows the noise and the labels that are probably wrong.
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    n_features_in_ : int
        Number of features, where the refiner knows it.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has names that are all strings.

    See Also
    --------
    LabelRefiner : What finds the probabilities.
    RobustClassifier : Networks, which learn them by a robust loss.

    Notes
    -----
    With weights w of the rows and probabilities B of their true labels, a classifier of the log
    loss minimises

    .. math:: \sum_i w_i \sum_k B_{ik} \left(-\log p_k(x_i)\right) :

    each row is there once for each class, with weight :math:`w_i B_{ik}`. Classes of less than a
    hundredth of the greatest probability of the row are left out, and the others rescaled to sum
    1. Estimators that count rows, as by ``min_samples_leaf``, count these copies. Where all labels
    are believed as they are, rows are as they were.

    Copies of a row, and rows that the refiner takes for copies of each other, stay on one side of
    the splits inside the estimator. Its parameter `cv`, or that of the last step of a pipeline,
    becomes a list of folds: a number deals the rows anew, a splitter splits the rows as the user
    knows them, a list names rows of X. :class:`~sklearn.ensemble.HistGradientBoostingClassifier`
    stops early by rows that are held out; others that hold out rows at random are refused. A
    search inside of RefinedClassifier chooses by the probabilities of the true labels if its score
    takes weights, which scikit-learn 1.9 gives it; a search around it by the labels as given.

    ``class_weight`` inside of `estimator` names the labels of y. "balanced" makes the total
    probabilities of the classes equal.

    Probabilities are about the true labels. They are those of the classifier trained on weighted
    copies, not calibrated any further. Calibrate inside,
    ``RefinedClassifier(CalibratedClassifierCV(estimator))``: calibration outside would be to
    noisy labels. Predictions of a regressor are clipped at 0 and divided by their sum.

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
        "random_state": ["random_state"],
        "memory": [str, HasMethods(["cache"]), None],
    }

    def __init__(
        self,
        estimator: Any,
        refiner: LabelRefiner | None = None,
        *,
        random_state: Seed = None,
        memory: Any = None,
    ) -> None:
        self.estimator = estimator
        self.refiner = refiner
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
    ) -> Self:
        """Find the probabilities of the true labels, and fit the estimator to them.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Whatever both the refiner and the estimator take.
        y : array-like of shape (n_samples,) or (n_samples, n_annotators)
            Labels of any kind, two classes at least; some of them may be wrong. With several
            columns the answers of several annotators, some of them missing, see
            :class:`LabelRefiner`.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, not negative. The refiner looks at their ratios only.
        trusted : array-like of bool of shape (n_samples,) or None, default=None
            Which labels are known to be right; with several annotators also in the shape of y.

        Returns
        -------
        self : RefinedClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter or the data are unfit, the estimator takes no weights, or it splits
            rows in a way that does not keep copies together.
        """
        y = read_labels(y)
        with unchanged_on_error(self), without_autologging():
            estimator = clone(self.estimator)
            check_parameters(estimator)
            parameter = self._check_weights(estimator, sample_weight)
            # A refiner of the user's may know of no trusted labels.
            trusted = {} if trusted is None else {"trusted": trusted}
            self.refiner_ = self._make_refiner().fit(X, y, sample_weight, **trusted)
            self.classes_ = self.refiner_.classes_
            for name in ("n_features_in_", "feature_names_in_"):
                self.__dict__.pop(name, None)
                if hasattr(self.refiner_, name):
                    setattr(self, name, getattr(self.refiner_, name))
            beliefs = self.refiner_.soft_labels_
            n_rows = len(beliefs)
            weight = _check_sample_weight(
                sample_weight, np.empty((n_rows, 1)), dtype=np.float64, ensure_non_negative=True
            )
            kept = np.flatnonzero(self.refiner_.row_groups_ >= 0)  # those that count
            (X,) = indexable(X)
            if len(kept) < n_rows:
                X, beliefs, weight = _safe_indexing(X, kept), beliefs[kept], weight[kept]
            fit = self._fit_regressor if is_regressor(estimator) else self._fit_classifier
            self.estimator_ = fit(estimator, parameter, X, beliefs, weight, kept, n_rows)
        return self

    def _make_refiner(self):
        if self.refiner is None:
            return LabelRefiner(random_state=self.random_state, memory=self.memory)
        return clone(self.refiner)

    def _check_weights(self, estimator, sample_weight):
        """Return the name by which the estimator takes weights, None if it needs none."""
        if not is_regressor(estimator):
            return check_weights_reach(estimator)
        return None if sample_weight is None else need_weight_parameter(estimator)

    def _fit_regressor(self, estimator, parameter, X, beliefs, weight, kept, n_rows):
        """Fit a regressor to the beliefs as targets: each row is there once."""
        rows = self._expanded(np.arange(len(beliefs)), beliefs, kept)
        keep_duplicates_together(estimator, rows, X, kept, n_rows, of_copies=False)
        weights = {} if parameter is None else {parameter: weight}
        return estimator.fit(X, beliefs, **weights)

    def _fit_classifier(self, estimator, parameter, X, beliefs, weight, kept, n_rows):
        """Fit a classifier to the rows, each once for each of its probable classes."""
        rows, codes, shares = expand(beliefs)
        weight = weight[rows] * shares
        totals = np.bincount(codes, weights=weight, minlength=len(self.classes_))
        encode_class_weight(estimator, self.classes_, totals)
        expanded = self._expanded(rows, beliefs, kept)
        share = keep_duplicates_together(estimator, expanded, X, kept, n_rows, of_copies=True)
        X, validation = _safe_indexing(X, rows), {}
        if share is not None:
            # A class whose surest row was held out might be unknown to the estimator.
            surest = beliefs.argmax(axis=0)
            X, codes, weight, validation = hold_out_for_boosting(
                expanded, share, surest, X, codes, weight
            )
        # Weights of 1 may draw other bootstrap samples than none do.
        weights = {} if (weight == 1).all() else {parameter: weight}
        return estimator.fit(X, codes, **weights, **validation)

    def _expanded(self, rows, beliefs, kept):
        groups, codes = self.refiner_.row_groups_[kept], beliefs.argmax(axis=1)
        return ExpandedRows(rows, groups, codes, fresh_random_state(self.random_state))

    def predict(self, X: Features) -> NDArray:
        """Predict the true class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Whatever the estimator takes.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Class labels.
        """
        check_is_fitted(self)
        if is_regressor(self.estimator_):
            codes = self.predict_proba(X).argmax(axis=1)
        else:
            # CatBoost returns a column.
            predicted = np.ravel(self.estimator_.predict(X))
            codes = predicted.astype(np.intp)
            known = np.isin(predicted, range(len(self.classes_))).all()
            if not known or len(codes) != _num_samples(X):
                raise ValueError(
                    f"estimator={self.estimator!r} predicts other values than the labels 0 to "
                    f"{len(self.classes_) - 1} that it was fitted to. With an objective of one's "
                    f"own LightGBM predicts raw scores: use its own objective here."
                )
        return self.classes_[codes]

    @available_if(_has_probabilities)
    @np.errstate(under="ignore")  # what becomes 0 may, even where users have made it an error
    def predict_proba(self, X: Features) -> NDArray:
        """Compute the probabilities of the true classes, as the estimator sees them.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Whatever the estimator takes.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        check_is_fitted(self)
        if not is_regressor(self.estimator_):
            return self.estimator_.predict_proba(X)
        proba = np.maximum(self.estimator_.predict(X), 0)
        total = proba.sum(axis=1, keepdims=True)
        return np.where(total > 0, proba / np.where(total > 0, total, 1), 1 / proba.shape[1])

    @available_if(_has_probabilities)
    def predict_log_proba(self, X: Features) -> NDArray:
        """Compute the logarithms of the probabilities of the true classes.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Whatever the estimator takes.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Those of :meth:`predict_proba`, -inf where it is 0.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    @available_if(_has_scores)
    def decision_function(self, X: Features) -> NDArray:
        """Compute the scores of the classifier.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Whatever the classifier takes.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes) or (n_samples,)
            Whatever the classifier returns.
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

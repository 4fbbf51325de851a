"""RobustEnsembleClassifier: learners of several kinds, weighted by held-out labels."""

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.impute import SimpleImputer
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from .._fitting import (
    cached_call,
    fresh_random_state,
    unchanged_on_error,
    usable_memory,
    warn_unpredicted_classes,
    without_autologging,
)
from .._inner.folds import assign_folds
from .._network.calibration import DOUBT
from .._network.parameters import find_device
from .._typing import Features, Seed
from .._validation.features import TableNumbers
from .._validation.labels import class_factors
from .._validation.rows import TrainingRows, read_rows
from .._validation.sklearn_private import (
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
)
from ..refinement import LabelRefiner
from ..refinement._annotators import aggregate_labels
from ..refinement._crossing import cross_fitted_soft_labels
from ..refinement._duplicates import (
    fit_scale,
    group_duplicates,
    group_equal_rows,
    has_enough_rows,
    join_groups,
    scale_features,
)
from ..refinement._observed_labels import ObservedLabels, labels_as_given
from ..refinement._pooling import fit_pool
from .built_in import make_learners
from .estimators import check_learners, named_estimators
from .learners import TrainingData
from .settings import Settings

__all__ = ["RobustEnsembleClassifier"]

_SETTINGS = Settings()


class RobustEnsembleClassifier(ClassifierMixin, BaseEstimator):
    r"""Pool networks, trees and a linear rule, trained on partly wrong labels.

    The classifier to start with. It takes tables as they are, with categories and missing values.
    Which kind of model fits a table is unknown in advance. The ensemble weights its models by how
    well they predict held-out noisy labels.

    Parameters
    ----------
    transition_matrix : array-like, "estimate" or None, default="estimate"
        The noise, of shape (n_classes, n_classes): ``T[i, j]`` is the probability of the label j
        where the true class is i, the classes in sorted order. "estimate" estimates it; tables with
        fewer than 50 rows, or 10 per class, are too small for that, and their labels are taken as
        given. None always takes the labels as given.
    learners : list or "auto", default="auto"
        The models to pool. "auto" is "networks", "trees", "trees_many_features", "linear" and, on
        tables with more than 2000 rows and up to 100 classes, "boosting". A list has any of
        these names and pairs ``(name, estimator)`` with estimators of your own:
        ``["auto", ("knn", KNeighborsClassifier())]`` adds one to the default. Their parameters are
        reached as ``knn__n_neighbors``; see the notes.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with `sample_weight`. The weights apply to the estimated
        true-class probabilities, and "balanced" is computed from them.
    max_epochs : int or "auto", default="auto"
        Number of passes of the networks over the data. "auto" is 27; more on small tables, to
        reach 400 steps; fewer on large ones, to stay below 6000 steps, but at least 2.
    device : str or torch.device, default="auto"
        Where the networks compute. "auto" is a CUDA device if torch sees one, else the CPU.
    n_jobs : int or None, default=None
        Number of trees, and of folds of boosting, that are fitted at the same time. The result does
        not depend on it. Estimators of your own have their own `n_jobs`.
    n_threads : int or "auto", default="auto"
        Threads of torch, as in :class:`RobustClassifier`.
    verbose : int, default=0
        1 shows progress bars over the trees that refine labels and the epochs of the networks.
    random_state : int, RandomState instance or None, default=None
        Source of all randomness. An int gives the same classifier every time. None draws fresh
        entropy.
    memory : joblib.Memory, str or None, default=None
        Where what the trees find about the noise is kept, see :class:`LabelRefiner`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    learner_weights_ : dict of str to float
        The weight of each learner in the pool. The networks have two, "networks_ce" and
        "networks_sgce", one per loss; others go by the name in `learners`.
    class_log_offsets_ : ndarray of shape (n_classes,)
        What is added to the pooled log-probabilities of each class.
    refiner_ : LabelRefiner or None
        The fitted refiner, with the noise and the labels that are probably wrong; None if labels
        were taken as given without estimating the noise.
    transition_matrix_ : ndarray of shape (n_classes, n_classes) or None
        The noise, as given or estimated; None if labels were taken as given.
    noise_rate_ : float or None
        Share of wrong labels under that noise.
    noise_evidence_ : dict or None
        Why the estimated noise is as it is, see :class:`LabelRefiner`.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had any that are all strings.

    See Also
    --------
    RobustClassifier : The networks alone, with losses and layers of your choice.
    RefinedClassifier : A single classifier of your choice, on the same soft labels.
    LabelRefiner : Estimates the noise.

    Notes
    -----
    The samples are split into four folds. For each fold the labels of the other samples are refined
    by trees that do not see the fold, and each learner is trained on the result: two multi-layer
    perceptrons [1]_ with two layers of 128 units, one with the cross-entropy and one with SGCE; two
    forests of 35 extremely randomised trees, whose splits try few or many features, up to 40; and
    the closed form of the unhinged loss. Gradient boosting learns the labels as given, and the
    noise is removed from its probabilities; the more rows, the more steps it makes, up to 100.
    Every sample thus gets cross-fitted predictions: its own label enters only through the estimated
    transition matrix. The predictions are pooled as

    .. math:: p_k(x) \propto e^{b_k} \prod_l p_{lk}(x)^{w_l}.

    The weights w and the offsets b maximise the likelihood of the noisy labels,

    .. math:: \sum_i \log \sum_k T_{k \tilde{y}_i} \, p_k(x_i),

    under a weak prior that the weights are equal and sum to 1, and that b is 0. They also set how
    confident the probabilities are, and how frequent each class is. For new samples the four models
    of a learner are averaged.

    An estimator of your own is cloned for each fold, and all its parameters named `random_state`
    are set. It gets an array of numbers, with a column for each category. Columns are centred by
    their median and divided by their interquartile range; missing values are the median. Classes
    are coded from 0 on. A classifier whose `fit` takes `sample_weight` learns label probabilities:
    each sample is repeated for each probable class, weighted by its probability. One without, or
    one that splits its samples (`cv`, early stopping), learns labels drawn from the probabilities.
    A regressor with several outputs learns the probabilities as targets; its predictions are
    clipped at 0 and divided by their sum.

    If `fit` fails or is stopped, the estimator stays as it was before.

    References
    ----------
    .. [1] Lemire Paquin, Chaib-Draa and Giguere, "Symmetrization of Loss Functions for Robust
       Training of Neural Networks in the Presence of Noisy Labels", arXiv:2605.20347.

    Examples
    --------
    >>> from robustlabels import RobustEnsembleClassifier, corrupt_labels
    >>> from sklearn.datasets import load_wine
    >>> X, y = load_wine(return_X_y=True)
    >>> y_noisy = corrupt_labels(y, "symmetric", 0.3, exact=True, random_state=0)
    >>> clf = RobustEnsembleClassifier(random_state=0).fit(X, y_noisy)
    >>> clf.score(X, y) > 0.9
    True
    """

    _parameter_constraints = {
        "transition_matrix": ["array-like", StrOptions({"estimate"}), None],
        "learners": [list, StrOptions({"auto"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "device": [str, torch.device],
        "n_jobs": [Integral, None],
        "n_threads": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
        "memory": [str, HasMethods(["cache"]), None],
    }

    def __init__(
        self,
        transition_matrix: ArrayLike | None = "estimate",
        *,
        learners: str | list = "auto",
        class_weight: Mapping | str | None = None,
        max_epochs: int | str = "auto",
        device: str | torch.device = "auto",
        n_jobs: int | None = None,
        n_threads: int | str = "auto",
        verbose: int = 0,
        random_state: Seed = None,
        memory: Any = None,
    ) -> None:
        self.transition_matrix = transition_matrix
        self.learners = learners
        self.class_weight = class_weight
        self.max_epochs = max_epochs
        self.device = device
        self.n_jobs = n_jobs
        self.n_threads = n_threads
        self.verbose = verbose
        self.random_state = random_state
        self.memory = memory

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        params = super().get_params(deep=deep)
        for name, estimator in named_estimators(self.learners) if deep else ():
            params[name] = estimator
            if hasattr(estimator, "get_params") and not isinstance(estimator, type):
                inner = estimator.get_params(deep=True)
                params.update({f"{name}__{key}": value for key, value in inner.items()})
        return params

    def set_params(self, **params: Any) -> Self:
        # First the list, then whole estimators in it, then their parameters.
        if "learners" in params:
            self.learners = params.pop("learners")
        own = dict(named_estimators(self.learners))
        new = {name: params.pop(name) for name in [*params] if name in own}
        if new:
            self.learners = [
                (item[0], new.get(item[0], item[1])) if isinstance(item, tuple) else item
                for item in self.learners
            ]
        return super().set_params(**params)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
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
        """Estimate the noise, train the learners and weight them.

        Parameters
        ----------
        X : {array-like, data frame} of shape (n_samples, n_features)
            Features on any scale. Numbers may be missing. In a data frame columns may hold
            categories or texts, of which the 255 most frequent are used.
        y : array-like of shape (n_samples,) or (n_samples, n_annotators)
            Labels of any kind, with at least two classes; some of them may be wrong. Several
            columns are the answers of several annotators, some of them missing, see
            :class:`LabelRefiner`.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Non-negative weights; only their ratios matter.
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
        self : RobustEnsembleClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter or the data are invalid. An error raised by a learner names the learner.
        """
        find_device(self.device)
        chosen = check_learners(self.learners, super().get_params(deep=False))
        # Small probabilities may become 0, even where the user has made that an error.
        with unchanged_on_error(self), without_autologging(), np.errstate(under="ignore"):
            for name in ("n_features_in_", "feature_names_in_"):
                self.__dict__.pop(name, None)
            passed = y, sample_weight, trusted, trusted_at_random, groups
            rows = read_rows(self, X, self._read_features, *passed)
            self._fit_rows(rows, chosen)
        return self

    def _read_features(self, X: Features) -> tuple[None, NDArray]:
        self._numbers = TableNumbers(accept_sparse=False)
        return None, self._numbers.fit_transform(self, X)

    def _fit_rows(self, rows: TrainingRows, chosen: tuple[list[str], list]) -> None:
        self.classes_ = rows.classes
        n_classes = len(self.classes_)
        if self.class_weight is not None:
            # Raise errors in it before the noise is estimated, which takes longer.
            factors = class_factors(self.class_weight, self.classes_, np.ones(n_classes))
            self._check_any_weight(factors)
        rng = fresh_random_state(self.random_state)
        observed, groups = self._refine(rows, rng)
        X, weight = rows.numbers, rows.weight / rows.weight.max()
        folds = assign_folds(groups, observed.codes, _SETTINGS.n_folds, rng)
        plain = rows.answers is None and rows.trusted is None and observed.transition is not None
        X, observed, folds, weight = _merge_copies(X, observed, plain, folds, weight)
        # Use the posterior mean of T, including "no noise". Underestimating the noise does little
        # harm here, because models are weighted by held-out labels.
        soft_labels = cached_call(
            usable_memory(self), cross_fitted_soft_labels, X, observed, n_classes, weight, folds,
            rng=rng, n_jobs=self.n_jobs, verbose=self.verbose,
        )  # fmt: skip
        weight = weight / weight.mean()
        self._factors = self._find_factors(soft_labels, folds, weight)
        self._scale = fit_scale(X)
        imputer = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        imputer.set_output(transform="default")
        self._imputer = imputer.fit(scale_features(X, self._scale))
        X = self._complete(X)
        self._learners = make_learners(self, *chosen, (*X.shape, n_classes), _SETTINGS)
        to_learn = soft_labels * (weight[:, None, None] * self._factors).astype(np.float32)
        data = TrainingData(X, to_learn, folds, weight, observed)
        log_proba = self._log_probabilities([lrn.fit(data, rng) for lrn in self._learners])
        # The learners know nothing of classes without weight: samples of these are no test.
        weight = weight * (self._factors[observed.codes] > 0)
        self._pool_weights, self.class_log_offsets_ = fit_pool(
            log_proba, observed.likelihood, weight, fit_offsets=True
        )
        names = [name for learner in self._learners for name in learner.names]
        self.learner_weights_ = dict(zip(names, self._pool_weights.tolist(), strict=True))
        held_out = self._pool(log_proba).argmax(axis=1)
        warn_unpredicted_classes(
            self, self._factors > 0, len(held_out), lambda rows: held_out[rows], stacklevel=5
        )

    def _refine(
        self, rows: TrainingRows, rng: np.random.RandomState
    ) -> tuple[ObservedLabels, NDArray]:
        """Return the observed labels and groups of near-duplicates; set the noise."""
        self.refiner_ = self.transition_matrix_ = self.noise_rate_ = self.noise_evidence_ = None
        if self.transition_matrix is None:
            codes = aggregate_labels(rows).codes
            observed = labels_as_given(codes, len(rows.classes))
            groups = group_duplicates(rows.numbers, len(rows.classes), rows.groups)[1]
        else:
            self.refiner_ = LabelRefiner(
                self.transition_matrix, n_jobs=self.n_jobs, verbose=self.verbose, random_state=rng,
                memory=usable_memory(self),
            )  # fmt: skip
            found = self.refiner_.fit_rows(rows)
            observed, groups = found.observed, found.groups
            if found.transition is not None:
                for name in ("transition_matrix_", "noise_rate_", "noise_evidence_"):
                    setattr(self, name, getattr(self.refiner_, name))
        if not has_enough_rows(len(rows), rows.n_known_classes):
            copies = group_equal_rows(rows.numbers)[1]
            groups = copies if copies.any() else np.arange(len(rows))
            groups = join_groups(groups, rows.groups)
        return observed, groups

    def _find_factors(self, soft_labels: NDArray, folds: NDArray, weight: NDArray) -> NDArray:
        """Return factors of the classes, scaled so that the mean weight of what is learned is 1."""
        known = folds[:, None] != np.arange(soft_labels.shape[1])
        totals = np.einsum("i,if,ifk->k", weight, known, soft_labels)
        totals /= totals.sum()
        if self.class_weight is None:
            factors = np.ones(len(self.classes_))
        else:
            factors = class_factors(self.class_weight, self.classes_, totals)
        self._check_any_weight(factors @ totals)
        return factors / (factors @ totals)

    def _check_any_weight(self, weights: NDArray) -> None:
        if not np.any(weights):
            raise ValueError(f"class_weight={self.class_weight!r} leaves no row with a weight.")

    def _log_probabilities(self, proba: Sequence[NDArray]) -> NDArray:
        """Return log-probabilities of the learners, without class weights and without zeros.

        Learners of soft labels were trained with class weights, but labels are about classes as
        they are.
        """
        there = self._factors > 0
        factors = np.where(there, self._factors, 1)
        # In place: with many samples and classes each copy would take as much memory as all else.
        proba = np.concatenate(proba, dtype=np.float64)
        weighted = [learner.class_weighted for learner in self._learners for _ in learner.names]
        proba[weighted] /= factors
        proba *= there
        total = proba.sum(axis=2, keepdims=True)
        proba /= np.where(total > 0, total, 1)
        proba += (total <= 0) / proba.shape[2]
        proba *= 1 - DOUBT
        proba += DOUBT / proba.shape[2]
        return np.log(proba, out=proba)

    def _pool(self, log_proba: NDArray) -> NDArray:
        """Return the pooled log-probabilities, up to a constant for each sample."""
        with np.errstate(divide="ignore"):
            offsets = self.class_log_offsets_ + np.log(self._factors)
            return np.tensordot(self._pool_weights, log_proba, 1) + offsets

    def _complete(self, X: NDArray) -> NDArray:
        """Return the features on a common scale, without missing values."""
        return self._imputer.transform(scale_features(X, self._scale))

    def predict_proba(self, X: Features) -> NDArray:
        """Estimate the probabilities of the true classes.

        Parameters
        ----------
        X : {array-like, data frame} of shape (n_samples, n_features)
            Features, as in `fit`.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        with np.errstate(under="ignore"):
            return softmax(self._scores(X), axis=1)

    def predict_log_proba(self, X: Features) -> NDArray:
        """Estimate the logarithms of the probabilities of the true classes.

        Parameters
        ----------
        X : {array-like, data frame} of shape (n_samples, n_features)
            Features, as in `fit`.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Those of :meth:`predict_proba`.
        """
        with np.errstate(under="ignore"):
            return log_softmax(self._scores(X), axis=1)

    def _scores(self, X: Features) -> NDArray:
        check_is_fitted(self)
        X = self._numbers.transform(self, X)
        scores = np.empty((len(X), len(self.classes_)))
        # In blocks, to limit the memory that the predictions of all learners take.
        for rows in gen_batches(len(X), _SETTINGS.block):
            block = self._complete(X[rows])
            proba = [learner.predict(block) for learner in self._learners]
            scores[rows] = self._pool(self._log_probabilities(proba))
        return scores

    def predict(self, X: Features) -> NDArray:
        """Predict the true class of each row.

        Parameters
        ----------
        X : {array-like, data frame} of shape (n_samples, n_features)
            Features, as in `fit`.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Class labels.
        """
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "learner_weights_")


def _merge_copies(
    X: NDArray, observed: ObservedLabels, plain: bool, folds: NDArray, weight: NDArray
) -> tuple[NDArray, ObservedLabels, NDArray, NDArray]:
    """Merge equal samples of a fold with equal labels into one sample of their total weight."""
    _, copy = group_equal_rows(X)
    seen = observed.codes if plain else group_equal_rows(observed.likelihood)[1]
    key = (copy * (seen.max() + 1) + seen) * _SETTINGS.n_folds + folds
    _, first, merged = np.unique(key, return_index=True, return_inverse=True)
    return X[first], observed.take(first), folds[first], np.bincount(merged, weight)

"""RobustEnsembleClassifier: learners of several kinds, weighed by labels they have not seen."""

from collections.abc import Mapping
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
from .._network.parameters import find_device
from .._network.scores import DOUBT
from .._typing import Features, Seed
from .._validation.features import TableNumbers
from .._validation.labels import class_factors
from .._validation.rows import read_rows
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
    scale_features,
)
from ..refinement._observed_labels import labels_as_given
from ..refinement._pooling import fit_pool
from .learners import make_learners

__all__ = ["RobustEnsembleClassifier"]

#: Parts that the rows are dealt to. Each learner has a part of its own for each, without it.
_FOLDS = 4

#: Rows that are predicted at once.
_BLOCK = 2**13


class RobustEnsembleClassifier(ClassifierMixin, BaseEstimator):
    r"""Networks, trees and a linear rule, which learn from labels that are partly wrong.

    The classifier to start with. It takes tables as they are, with categories and missing values.
    What suits a table, a network, trees or a linear rule, nobody knows beforehand; its noisy labels
    tell, if those who learned from others are judged by them.

    Parameters
    ----------
    transition_matrix : array-like, "estimate" or None, default="estimate"
        The noise, of shape (n_classes, n_classes): ``T[i, j]`` is the probability of the label j
        where the true class is i, the classes in sorted order. "estimate" estimates it; tables of
        fewer than 50 rows, or 10 a class, are too small for that, and their labels are taken as
        given. None takes the labels as given always.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with `sample_weight`. They weigh, and "balanced" counts,
        the probabilities of the true labels.
    max_epochs : int or "auto", default="auto"
        Passes of the networks over the data. "auto" is 27; as many as make 400 steps where rows
        are few, and 6000 where they are many, but no fewer than 2.
    device : str or torch.device, default="auto"
        Where the networks compute. "auto" is a CUDA device if torch sees one, else the CPU.
    n_jobs : int or None, default=None
        Trees that grow at the same time, and parts of boosting. The result is the same for any.
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
    weights_ : dict of str to float
        How much each learner counts.
    intercept_ : ndarray of shape (n_classes,)
        What is added to the logarithm of the probability of each class.
    refiner_ : LabelRefiner or None
        What found the noise and the labels that are probably wrong; None if labels were taken as
        given without looking.
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
    RobustClassifier : The networks alone, with losses and layers of one's own choice.
    RefinedClassifier : Any other classifier, on the same soft labels.
    LabelRefiner : What finds the noise.

    Notes
    -----
    The rows are dealt to four folds. For each fold the labels of the other rows are refined by
    trees that know nothing of the fold, and each learner learns these: two multi-layer perceptrons
    [1]_ of two layers of 128 units, with the cross-entropy and with SGCE; two forests of 35
    extremely randomised trees, whose splits choose among few or among many features, up to 40; and
    the closed form of the unhinged loss. With more than 2000 rows and up to 100 classes there is
    gradient boosting, too, the more of it the more rows, up to 100 steps; it learns the labels as
    given, and the noise is taken out of its probabilities. So each row has opinions that know
    nothing of its label, not even by its neighbours' soft labels, but for the noise, which all
    labels tell. Their pool is

    .. math:: p_k(x) \propto e^{b_k} \prod_l p_{lk}(x)^{w_l},

    by weights w and an intercept b that make the noisy labels most probable where the noise is
    what was found,

    .. math:: \sum_i \log \sum_k T_{k \tilde{y}_i} \, p_k(x_i),

    under a weak prior that the weights are alike and sum to 1, and that b is 0. They set how sure
    the probabilities are, and how frequent a class is, too. The four parts of a learner predict
    together, by their mean.

    `fit` keeps what the estimator was if it fails, or is stopped.

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
        self.class_weight = class_weight
        self.max_epochs = max_epochs
        self.device = device
        self.n_jobs = n_jobs
        self.n_threads = n_threads
        self.verbose = verbose
        self.random_state = random_state
        self.memory = memory

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Features,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        trusted: ArrayLike | None = None,
    ) -> Self:
        """Find the noise, train the learners, and weigh them.

        Parameters
        ----------
        X : {array-like, data frame} of shape (n_samples, n_features)
            Features on any scale. Numbers may be missing; in a data frame columns of categories
            and texts are taken as they are, but for the rarest of more than 31.
        y : array-like of shape (n_samples,) or (n_samples, n_annotators)
            Labels of any kind, two classes at least; some of them may be wrong. With several
            columns the answers of several annotators, some of them missing, see
            :class:`LabelRefiner`.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Non-negative weights; only their ratios matter.
        trusted : array-like of bool of shape (n_samples,) or None, default=None
            Which labels are known to be right; with several annotators also in the shape of y.

        Returns
        -------
        self : RobustEnsembleClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter or the data are unfit.
        """
        find_device(self.device)
        # Small probabilities may become 0, even where the user has made that an error.
        with unchanged_on_error(self), without_autologging(), np.errstate(under="ignore"):
            for name in ("n_features_in_", "feature_names_in_"):
                self.__dict__.pop(name, None)
            self._fit_rows(
                read_rows(self, lambda: self._read_features(X), y, sample_weight, trusted)
            )
        return self

    def _read_features(self, X):
        self._numbers = TableNumbers(accept_sparse=False)
        return None, self._numbers.fit_transform(self, X)

    def _fit_rows(self, rows):
        self.classes_ = rows.classes
        n_classes = len(self.classes_)
        if self.class_weight is not None:
            # Errors in it show here; finding the noise takes longer.
            factors = class_factors(self.class_weight, self.classes_, np.ones(n_classes))
            self._check_any_weight(factors)
        rng = fresh_random_state(self.random_state)
        observed, groups = self._refine(rows, rng)
        X, weight = rows.numbers, rows.weight / rows.weight.max()
        folds = assign_folds(groups, observed.codes, _FOLDS, rng)
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
        self._learners = make_learners(
            X, n_classes, self.max_epochs, self.device, self.n_jobs, self.n_threads, self.verbose
        )
        to_learn = soft_labels * (weight[:, None, None] * self._factors).astype(np.float32)
        unseen = [
            learner.fit(X, to_learn, folds, weight, observed, rng) for learner in self._learners
        ]
        # Of classes without weight nobody has an opinion.
        weight *= self._factors[observed.codes] > 0
        opinions = self._opinions(unseen)
        self._weights, self.intercept_ = fit_pool(
            opinions, observed.likelihood, weight, fit_intercept=True
        )
        names = [name for learner in self._learners for name in learner.names]
        self.weights_ = dict(zip(names, self._weights.tolist(), strict=True))
        unseen = self._pool(opinions).argmax(axis=1)
        warn_unpredicted_classes(
            self, self._factors > 0, len(unseen), lambda rows: unseen[rows], stacklevel=5
        )

    def _refine(self, rows, rng):
        """Return what the labels say, and groups of near-duplicates; set the noise."""
        self.refiner_ = self.transition_matrix_ = self.noise_rate_ = self.noise_evidence_ = None
        if self.transition_matrix is None:
            codes = aggregate_labels(rows).codes
            observed = labels_as_given(codes, len(rows.classes))
            groups = group_duplicates(rows.numbers, len(rows.classes))[1]
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
        if not has_enough_rows(len(rows), len(rows.classes)):
            copies = group_equal_rows(rows.numbers)[1]
            groups = copies if copies.any() else np.arange(len(rows))
        return observed, groups

    def _find_factors(self, soft_labels, folds, weight):
        """Return the factors of the classes, such that what is learned weighs 1 in the mean."""
        known = folds[:, None] != np.arange(soft_labels.shape[1])
        totals = np.einsum("i,if,ifk->k", weight, known, soft_labels)
        totals /= totals.sum()
        if self.class_weight is None:
            factors = np.ones(len(self.classes_))
        else:
            factors = class_factors(self.class_weight, self.classes_, totals)
        self._check_any_weight(factors @ totals)
        return factors / (factors @ totals)

    def _check_any_weight(self, weights):
        if not np.any(weights):
            raise ValueError(f"class_weight={self.class_weight!r} leaves no row with a weight.")

    def _opinions(self, proba):
        """Return logarithms of the learners' probabilities of classes that weigh as they do.

        They were trained on classes with factors, but labels are about classes as they are. None
        of the probabilities is certain.
        """
        there = self._factors > 0
        factors = np.where(there, self._factors, 1)
        # In place: with many rows and classes each copy would take as much memory as all else.
        opinions = np.concatenate(proba, dtype=np.float64)
        weighted = [learner.weighted for learner in self._learners for _ in learner.names]
        opinions[weighted] /= factors
        opinions *= there
        total = opinions.sum(axis=2, keepdims=True)
        opinions /= np.where(total > 0, total, 1)
        opinions += (total <= 0) / opinions.shape[2]
        opinions *= 1 - DOUBT
        opinions += DOUBT / opinions.shape[2]
        return np.log(opinions, out=opinions)

    def _pool(self, opinions):
        """Return logarithms of the probabilities that opinions make together, up to constants."""
        with np.errstate(divide="ignore"):
            shifts = self.intercept_ + np.log(self._factors)
            return np.tensordot(self._weights, opinions, 1) + shifts

    def _complete(self, X):
        """Return the features on a common scale, none of them missing."""
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

    def _scores(self, X):
        check_is_fitted(self)
        X = self._numbers.transform(self, X)
        scores = np.empty((len(X), len(self.classes_)))
        # In blocks, so that memory does not grow by all that the learners say.
        for rows in gen_batches(len(X), _BLOCK):
            block = self._complete(X[rows])
            scores[rows] = self._pool(
                self._opinions([learner.predict(block) for learner in self._learners])
            )
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

    def __sklearn_is_fitted__(self):
        return hasattr(self, "weights_")


def _merge_copies(X, observed, plain, folds, weight):
    """Merge samples of a fold that are equal and have the same labels into one, of their weight."""
    _, copy = group_equal_rows(X)
    seen = observed.codes if plain else group_equal_rows(observed.likelihood)[1]
    key = (copy * (seen.max() + 1) + seen) * _FOLDS + folds
    _, first, merged = np.unique(key, return_index=True, return_inverse=True)
    return X[first], observed.take(first), folds[first], np.bincount(merged, weight)

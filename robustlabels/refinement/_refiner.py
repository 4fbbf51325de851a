"""LabelRefiner: the noise of a table, and what its true labels probably are."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_consistent_length

from .._fitting import (
    cached_call,
    fresh_random_state,
    unchanged_on_error,
    usable_memory,
    without_autologging,
)
from .._plotting import import_pandas
from .._typing import Features, Seed
from .._validation.answers import (
    Answers,
    check_trusted,
    leave_out_unanswered,
    read_labels,
)
from .._validation.features import TableNumbers
from .._validation.labels import find_rows_and_classes
from .._validation.sklearn_private import (
    HasMethods,
    StrOptions,
    _check_sample_weight,
    _fit_context,
    _safe_indexing,
)
from .._validation.transitions import check_invertible
from ._annotators import aggregate_labels, fit_annotators_with_features
from ._duplicates import has_enough_rows
from ._noise_model import (
    NoisePosterior,
    estimate_noise,
    fit_noise,
    make_soft_labels,
)
from ._observed_labels import ObservedLabels, observe_labels
from ._probabilities import out_of_bag_probabilities, out_of_fold_probabilities

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LabelRefiner"]

#: Probability with which the number of wrong labels lies in its interval.
_LEVEL = 0.9


class LabelRefiner(BaseEstimator):
    r"""Finds out how many labels of a table are wrong, and what the true ones probably are.

    It takes tables as they are, with categories and missing values. What it finds serves any
    classifier, see :class:`RefinedClassifier`.

    Parameters
    ----------
    transition_matrix : array-like or "estimate", default="estimate"
        The noise, of shape (n_classes, n_classes): ``T[i, j]`` is the probability of the label j
        where the true class is i, the classes in sorted order, or in a data frame by the names of
        its rows and columns. "estimate" estimates it from the data.
    teacher : classifier or None, default=None
        What says how probable the labels of a row are, from its features, without having seen
        it. None grows a random forest, whose trees speak for the rows that they were not grown
        from. A classifier with ``predict_proba`` speaks for folds that it was not fitted to; it
        gets X as it is, and labels as integers from 0.
    n_jobs : int or None, default=None
        Trees, or folds, that are fitted at the same time. The result is the same for any.
    verbose : int, default=0
        1 shows a progress bar over the trees.
    random_state : int, RandomState instance or None, default=None
        Source of the trees and of the folds. None draws fresh entropy. That of `teacher` is left
        as it is.
    memory : joblib.Memory, str or None, default=None
        Where what is found is kept, an object or the path of a folder: another fit of the same
        rows with the same parameters, in a search say, then looks it up. None, or no
        `random_state`, keeps nothing; with an int it is found again.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    label_probabilities_ : ndarray of shape (n_samples, n_classes)
        Probabilities of the true labels of the rows in `fit`, given their features and labels:
        the beliefs. NaN for rows without weight.
    soft_labels_ : ndarray of shape (n_samples, n_classes)
        More cautious probabilities, to learn from: see the notes.
    wrong_probability_ : ndarray of the shape of y
        Probability that the label of a row, or each answer of an annotator, is wrong. NaN where
        there is none, or nothing is known, see the notes.
    n_wrong_ : float
        Expected number of wrong labels: the sum of these.
    n_wrong_interval_ : tuple of int
        Lower and upper end of the number of wrong labels, with a probability of 90 %. None with
        several annotators.
    noise_rate_ : float
        Expected share of wrong labels.
    transition_matrix_ : ndarray of shape (n_classes, n_classes) or None
        The noise, as given or estimated, with several annotators that of all answers. None where
        there are too few rows for an estimate.
    noise_posterior_ : NoisePosterior or None
        What the noise may be, a named tuple: "counted" is the transition matrix if all that looks
        like noise is, "shares", of shape (n_shares,), are the multiples of it that are weighed
        against each other, "weights" their probabilities, and "n_rows", of shape (n_classes,), the
        rows of each class that the matrix was counted from. The property "conservative_weights" has
        the probabilities to somebody who doubts that there is any noise, the method
        ``transition_matrices()`` the matrix of each share. A known noise has the one share 1. None
        with several annotators, or too few rows.
    annotator_transitions_ : ndarray of shape (n_annotators, n_classes, n_classes) or None
        The noise of each annotator; None with one label for each row, or too few rows.
    annotator_quality_ : pandas.DataFrame or None
        A row for each annotator: "n_answers", how many there are, and "quality", the probability
        that one is right where classes are as frequent as in these rows. Needs pandas. None as
        above.
    noise_evidence_ : dict or None
        Why the estimated noise has the form it has: "form", "symmetric" or "class-dependent";
        "explained", the share of the entropy of wrong labels that their true class explains, or
        with two classes "rate_difference", that of their noise rates; "threshold", what this has
        to exceed for a matrix that depends on the class; "tenable", whether the data allow for one
        at all; and "none", the probability that no label is wrong, to a sceptic. None if the noise
        is known or there are several annotators.
    row_groups_ : ndarray of shape (n_samples,)
        Numbers from 0, the same for rows that are copies of each other, or nearly. Keep these on
        one side of a split. -1 for rows without weight.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had any that are all strings.

    See Also
    --------
    find_wrong_labels : A list of the labels that are probably wrong.
    RefinedClassifier : Any classifier, trained on these probabilities.

    Notes
    -----
    The probabilities of labels given features come from trees, or a `teacher`, that have not
    learned from the row. Rows of the same features are left out together, and so are rows whose
    distance is less than a tenth of that to their tenth neighbour: copies vouch for each other.
    Of more than 5000 rows a tree draws a part, and of many classes it tells groups apart, drawn
    anew for each tree, so that the trees take less time than what is trained on their labels.

    The confident joint [1]_ counts labels that these probabilities contradict. Among them are
    rows that are hard to place. Noise strikes rows that are easy to place as well: what share s of
    the counted matrix T is noise has a posterior distribution. Its prior is 1/10 for no noise at
    all and normal otherwise, with mean 0.9 and standard deviation 0.25, from 0 to 1.2. The matrix
    depends on the class where the class explains at least
    half of the entropy of the wrong labels, or, with two classes, their noise rates differ by
    more than 1/4; otherwise it is symmetric. Then Bayes' rule gives the probabilities of the true
    label, :math:`P(k \mid x, \tilde{y}) \propto q_k(x) \, T_s[k, \tilde{y}]`, averaged over s.
    q is raised to the power, averaged over as well, that makes it as sure as the labels say it
    can be. `soft_labels_` leave that out and take the mean of s if there is any noise: learners
    generalise better from these.

    The upper end of `n_wrong_interval_` is the 95 % quantile of the posterior. The lower end is
    the 5 % quantile to a sceptic, who gives even odds to no noise: where it is 0 the labels can be
    explained without a wrong one.

    With several annotators :math:`P(k \mid x, \tilde{y}) \propto q_k(x)^\beta \prod_a T^a[k,
    \tilde{y}_a]` over the answers that there are [2]_: the answers of annotators who are right more
    often count for more. Each T^a is found by expectation maximisation, where the trees are one
    more annotator, and drawn to the common matrix by as much as 5 answers for each class: first to
    a share of its noise, as large as the wrong answers of the annotator say. An annotator may be
    wrong more often than right. The trees learn what the answers agree on, and q is what these say
    without the noise that is left in it; the power :math:`\beta` is the one that makes the answers
    most probable. Where annotators are misled together, as a real crowd was, the beliefs are too
    sure.

    Trusted labels are beliefs of 1. They also tell how hard rows are, free of noise, and so what of
    the rest is noise.

    Noise that depends on the row sits on hard rows, and passes for hardness in part: the number
    found is too low then. Labels that look random throughout are noise, or a task that is hard
    throughout; the data cannot tell.

    Fewer than 50 rows, or 10 for each class, are too few for an estimate. Then labels are believed
    as they are, `transition_matrix_` is None, `noise_rate_` and `wrong_probability_` are NaN, and
    the interval of the number of wrong labels is from 0 to all. Rows of sample weight 0 are left
    out, and a class that has no others. Rates and numbers count rows, whatever they weigh.

    References
    ----------
    .. [1] Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset
       Labels", Journal of Artificial Intelligence Research 70, 2021.
    .. [2] Dawid and Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM
       Algorithm", Journal of the Royal Statistical Society C 28, 1979; with features in the place
       of class frequencies: Raykar et al., "Learning from Crowds", JMLR 11, 2010.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from robustlabels import LabelRefiner, corrupt_labels
    >>> X, y = load_digits(return_X_y=True)
    >>> y_noisy, wrong = corrupt_labels(
    ...     y, "symmetric", 0.2, exact=True, random_state=0, return_mask=True
    ... )
    >>> refiner = LabelRefiner(random_state=0).fit(X, y_noisy)
    >>> low, high = refiner.n_wrong_interval_
    >>> bool(low <= wrong.sum() <= high)
    True
    >>> guessed = refiner.classes_[refiner.label_probabilities_.argmax(axis=1)]
    >>> float((guessed == y).mean().round(2))
    0.98
    """

    _parameter_constraints = {
        "transition_matrix": ["array-like", StrOptions({"estimate"})],
        "teacher": [HasMethods(["fit", "predict_proba"]), None],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
        "memory": [str, HasMethods(["cache"]), None],
    }

    def __init__(
        self,
        transition_matrix: ArrayLike | None = "estimate",
        *,
        teacher: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        random_state: Seed = None,
        memory: Any = None,
    ) -> None:
        self.transition_matrix = transition_matrix
        self.teacher = teacher
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state
        self.memory = memory

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = False
        return tags

    @_fit_context(prefer_skip_nested_validation=False)
    @np.errstate(under="ignore")  # what becomes 0 may, even where users have made it an error
    def fit(
        self,
        X: Features,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        trusted: ArrayLike | None = None,
    ) -> Self:
        """Find the noise and the probabilities of the true labels.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Features on any scale. Numbers may be missing; in a data frame columns of categories
            and texts are taken as they are, but for the rarest of more than 31. With a `teacher`,
            whatever it takes.
        y : array-like of shape (n_samples,) or (n_samples, n_annotators)
            Labels of any kind, two classes at least; some of them may be wrong. With several
            columns the answers of several annotators, missing where they are None, NaN or NA; see
            :func:`pivot_answers`. Rows without an answer count as rows without weight.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, not negative; only their ratios matter.
        trusted : array-like of bool of shape (n_samples,) or None, default=None
            Which labels are known to be right; with several annotators also in the shape of y.

        Returns
        -------
        self : LabelRefiner
            The fitted refiner.

        Raises
        ------
        ValueError
            If a parameter or the data are unfit.
        """
        y = read_labels(y)
        with unchanged_on_error(self), without_autologging():
            for name in ("n_features_in_", "feature_names_in_"):
                self.__dict__.pop(name, None)
            numbers = self._check_features(X)
            check_consistent_length(X if numbers is None else numbers, y)
            trusted = check_trusted(trusted, y)
            n_rows = len(y)
            weight = _check_sample_weight(
                sample_weight, np.empty((n_rows, 1)), dtype=np.float64, ensure_non_negative=True
            )
            weight = leave_out_unanswered(weight, y)
            kept, classes = find_rows_and_classes(self, y, weight)
            if len(kept) < n_rows:
                X, y, weight = _safe_indexing(X, kept), y[kept], weight[kept]
                numbers = None if numbers is None else numbers[kept]
                trusted = None if trusted is None else trusted[kept]
            self.classes_ = classes
            self._refine(X, numbers, y, trusted, weight, kept, n_rows)
        return self

    @property
    def annotator_quality_(self) -> pd.DataFrame | None:
        """How many answers each annotator gave, and how many of them are right."""
        if self.annotator_transitions_ is None:
            return None
        pd = import_pandas("annotator_quality_")
        given = ~np.isnan(self.wrong_probability_)
        right = self.annotator_transitions_.diagonal(axis1=1, axis2=2)
        frequency = np.nanmean(self.label_probabilities_, axis=0)
        return pd.DataFrame(
            {"n_answers": given.sum(axis=0), "quality": right @ frequency},
            index=pd.Index(self._annotators, name="annotator"),
        )

    def _check_features(self, X):
        """Return the features as numbers, or None if a teacher knows what to do with them."""
        try:
            return TableNumbers().fit_transform(self, X)
        except (TypeError, ValueError):
            if self.teacher is None:
                raise
            # Images and texts are the teacher's business.
            return None

    def _refine(self, X, numbers, y, trusted, weight, kept, n_rows):
        """Set what is found, for all of so many rows, of which those that are `kept` count."""
        n_classes = len(self.classes_)
        estimate = isinstance(self.transition_matrix, str)
        known = (
            None if estimate else check_invertible(self.transition_matrix, n_classes, self.classes_)
        )
        several = isinstance(y, Answers)
        codes = aggregate_labels(y, self.classes_, trusted, weight)
        self._annotators = y.annotators if several else None
        self.noise_evidence_ = self.noise_posterior_ = self.annotator_transitions_ = None
        if estimate and not has_enough_rows(len(codes), n_classes):
            self.transition_matrix_, self.noise_rate_, self.n_wrong_ = None, np.nan, np.nan
            self.n_wrong_interval_ = (0, len(codes))
            as_given = np.eye(n_classes)[codes]
            unknown = np.full((y.codes if several else codes).shape, np.nan)
            alone, self._observed_labels = (
                np.arange(len(codes)),
                ObservedLabels(codes, None, as_given),
            )
            self._spread(as_given, as_given, unknown, alone, kept, n_rows)
            return
        found = cached_call(
            usable_memory(self), _find, X if numbers is None or self.teacher is not None else None,
            self.teacher, numbers, y, codes, trusted, self.classes_, weight, known,
            rng=fresh_random_state(self.random_state), n_jobs=self.n_jobs, verbose=self.verbose,
        )  # fmt: skip
        self.transition_matrix_, self.noise_posterior_ = found.transition, found.posterior
        self.annotator_transitions_ = found.of_annotators
        self.noise_evidence_, self._observed_labels = found.form, found.evidence
        self.n_wrong_interval_ = found.interval
        if several:
            wrong = 1 - np.take_along_axis(found.beliefs, y.codes, axis=1)
            wrong[y.codes < 0] = np.nan
        else:
            wrong = 1 - found.beliefs[np.arange(len(codes)), codes]
        self.n_wrong_, self.noise_rate_ = float(np.nansum(wrong)), float(np.nanmean(wrong))
        self._spread(found.beliefs, found.soft_labels, wrong, found.groups, kept, n_rows)

    def _spread(self, beliefs, soft_labels, wrong, groups, kept, n_rows):
        """Set the attributes that have an entry for each row."""
        self.label_probabilities_ = np.full((n_rows, beliefs.shape[1]), np.nan)
        self.soft_labels_ = self.label_probabilities_.copy()
        self.wrong_probability_ = np.full((n_rows, *wrong.shape[1:]), np.nan)
        self.row_groups_ = np.full(n_rows, -1)
        self.label_probabilities_[kept] = beliefs
        self.soft_labels_[kept] = soft_labels
        self.wrong_probability_[kept] = wrong
        self.row_groups_[kept] = groups


class _Findings(NamedTuple):
    """What is found about the rows: see the attributes of LabelRefiner."""

    transition: np.ndarray
    posterior: NoisePosterior | None
    of_annotators: np.ndarray | None
    form: dict | None
    evidence: ObservedLabels
    beliefs: np.ndarray
    soft_labels: np.ndarray
    interval: tuple | None
    groups: np.ndarray


def _find(X, teacher, numbers, y, codes, trusted, classes, weight, known, rng, n_jobs, verbose):
    """Find the noise, unless it is `known`, and what the true labels probably are."""
    rest = codes, len(classes), weight, rng, n_jobs
    if teacher is None:
        proba, groups = out_of_bag_probabilities(numbers, *rest, verbose=verbose)
    else:
        proba, groups = out_of_fold_probabilities(teacher, X, numbers, *rest)
    if isinstance(y, Answers):
        found, evidence, soft_labels = fit_annotators_with_features(
            y, trusted, weight, codes, proba, known
        )
        return _Findings(
            found.common, None, found.transitions, None, evidence, found.beliefs, soft_labels,
            None, groups,
        )  # fmt: skip
    transition, form = known, None
    if known is None:
        transition, form = estimate_noise(codes, proba, classes, trusted)
    found = fit_noise(codes, proba, transition, known is not None, weight / weight.max(), trusted)
    if known is None:
        form["none"] = float(found.posterior.conservative_weights[0])
    # A learner loses more by noise that is overlooked than by some that is not there.
    if_noisy = observe_labels(codes, found.if_noisy, trusted)
    return _Findings(
        found.transition, found.posterior, None, form, observe_labels(codes, found.transition, trusted),
        found.beliefs, make_soft_labels(if_noisy.likelihood, proba, if_noisy.transition),
        found.count_wrong(codes, _LEVEL), groups,
    )  # fmt: skip

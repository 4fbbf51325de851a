"""LabelRefiner: the noise of a table, and what its true labels probably are."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from .._fitting import (
    cached_call,
    fresh_random_state,
    unchanged_on_error,
    usable_memory,
    without_autologging,
)
from .._plotting import import_pandas
from .._typing import Features, Seed
from .._validation.features import TableNumbers
from .._validation.rows import TrainingRows, read_rows
from .._validation.sklearn_private import (
    HasMethods,
    StrOptions,
    _fit_context,
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
from ._observed_labels import ObservedLabels, labels_as_given, observe_labels
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
    likelihood_ : ndarray of shape (n_samples, n_classes)
        Probability of what was seen of a row, its label or answers, under each true class, up to a
        factor. NaN for rows without weight.
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
        with unchanged_on_error(self), without_autologging():
            for name in ("n_features_in_", "feature_names_in_"):
                self.__dict__.pop(name, None)
            self.fit_rows(
                read_rows(self, lambda: self._read_features(X), y, sample_weight, trusted)
            )
        return self

    def fit_rows(self, rows: TrainingRows) -> Refinement:
        """Find the noise and the probabilities of the true labels of rows that are checked.

        For estimators of this package, which have read their table before.

        Parameters
        ----------
        rows : TrainingRows
            The samples.

        Returns
        -------
        refinement : Refinement
            What was found about these samples. The attributes of the refiner hold it for all
            samples that were passed.
        """
        rows = aggregate_labels(rows)
        n_classes = len(rows.classes)
        known = None
        if not isinstance(self.transition_matrix, str):
            known = check_invertible(self.transition_matrix, n_classes, rows.classes)
        if known is None and not has_enough_rows(len(rows), n_classes):
            found = _labels_as_given(rows)
        else:
            found = cached_call(
                usable_memory(self), _refine, None if self.teacher is None else rows.X,
                self.teacher, rows.numbers, rows.answers, rows.codes, rows.trusted, rows.classes,
                rows.weight, known, rng=fresh_random_state(self.random_state),
                n_jobs=self.n_jobs, verbose=self.verbose,
            )  # fmt: skip
        self.classes_ = rows.classes
        self.transition_matrix_, self.noise_posterior_ = found.transition, found.posterior
        self.noise_evidence_ = found.evidence
        self.annotator_transitions_ = found.annotator_transitions
        self._annotators = None if rows.answers is None else rows.answers.annotators
        self.n_wrong_, self.n_wrong_interval_ = found.n_wrong, found.n_wrong_interval
        self.noise_rate_ = found.noise_rate
        self.label_probabilities_ = rows.spread(found.label_probabilities)
        self.soft_labels_ = rows.spread(found.soft_labels)
        self.wrong_probability_ = rows.spread(found.wrong_probability)
        self.likelihood_ = rows.spread(found.observed.likelihood)
        self.row_groups_ = rows.spread(found.groups, -1)
        return found

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

    def _read_features(self, X):
        """Return the features as they are, and as numbers, or None if only a teacher reads them."""
        try:
            return X, TableNumbers().fit_transform(self, X)
        except (TypeError, ValueError):
            if self.teacher is None:
                raise
            # Images and texts are the teacher's business.
            return X, None


class Refinement(NamedTuple):
    """What was found about the samples of a fit; see the attributes of LabelRefiner."""

    observed: ObservedLabels
    label_probabilities: NDArray
    soft_labels: NDArray
    wrong_probability: NDArray
    groups: NDArray
    transition: NDArray | None = None
    posterior: NoisePosterior | None = None
    evidence: dict | None = None
    annotator_transitions: NDArray | None = None
    n_wrong_interval: tuple[int, int] | None = None

    @property
    def n_wrong(self) -> float:
        """Expected number of wrong labels."""
        return np.nan if self.transition is None else float(np.nansum(self.wrong_probability))

    @property
    def noise_rate(self) -> float:
        """Expected share of wrong labels."""
        return np.nan if self.transition is None else float(np.nanmean(self.wrong_probability))


def _labels_as_given(rows):
    """Return what is known of too few samples: their labels."""
    observed = labels_as_given(rows.codes, len(rows.classes))
    labels = rows.codes if rows.answers is None else rows.answers.codes
    return Refinement(
        observed=observed,
        label_probabilities=observed.likelihood,
        soft_labels=observed.likelihood,
        wrong_probability=np.full(labels.shape, np.nan),
        groups=np.arange(len(rows)),
        n_wrong_interval=(0, len(rows)),
    )


def _refine(
    X, teacher, numbers, answers, codes, trusted, classes, weight, known, rng, n_jobs, verbose
):
    """Find the noise, unless it is `known`, and the probabilities of the true labels."""
    rest = codes, len(classes), weight, rng, n_jobs
    if teacher is None:
        proba, groups = out_of_bag_probabilities(numbers, *rest, verbose=verbose)
    else:
        proba, groups = out_of_fold_probabilities(teacher, X, numbers, *rest)
    if answers is not None:
        found, observed, soft_labels = fit_annotators_with_features(
            answers, trusted, weight, codes, proba, known
        )
        wrong = 1 - np.take_along_axis(found.beliefs, answers.codes, axis=1)
        wrong[answers.codes < 0] = np.nan
        return Refinement(
            observed, found.beliefs, soft_labels, wrong, groups,
            transition=found.common, annotator_transitions=found.transitions,
        )  # fmt: skip
    transition, evidence = known, None
    if known is None:
        transition, evidence = estimate_noise(codes, proba, classes, trusted)
    found = fit_noise(codes, proba, transition, known is not None, weight / weight.max(), trusted)
    if known is None:
        evidence["none"] = float(found.posterior.conservative_weights[0])
    # Overlooked noise costs a learner more than noise that is not there.
    if_noisy = observe_labels(codes, found.if_noisy, trusted)
    return Refinement(
        observe_labels(codes, found.transition, trusted), found.beliefs,
        make_soft_labels(if_noisy.likelihood, proba, if_noisy.transition),
        1 - found.beliefs[np.arange(len(codes)), codes], groups,
        transition=found.transition, posterior=found.posterior, evidence=evidence,
        n_wrong_interval=found.count_wrong(codes, _LEVEL),
    )  # fmt: skip

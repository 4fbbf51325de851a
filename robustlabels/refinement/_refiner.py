"""LabelRefiner: the noise of a table, and the probabilities of its true labels."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import indexable
from sklearn.utils.validation import check_consistent_length, check_is_fitted

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
from .._validation.labels import check_labels, encode
from .._validation.rows import TrainingRows, read_rows
from .._validation.sklearn_private import HasMethods, StrOptions, _fit_context, _safe_indexing
from .._validation.transitions import check_invertible
from ._annotators import aggregate_labels, fit_annotators_with_features
from ._duplicates import has_enough_rows, join_groups
from ._forms import make_known_prior, make_noise_prior
from ._later import LaterLabels, RefinedLabels, SeenRows
from ._noise_model import NoisePosterior, fit_noise
from ._observed_labels import ObservedLabels, labels_as_given, observe_labels
from ._probabilities import out_of_bag_probabilities, out_of_fold_probabilities

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LabelRefiner"]

#: What classifiers that have a LabelRefiner say of the noise, too.
NOISE_ATTRIBUTES = ("transition_matrix_", "noise_rate_", "noise_evidence_", "noise_posterior_")

#: Probability that the interval of the number of wrong labels holds it.
_LEVEL = 0.9


class LabelRefiner(BaseEstimator):
    r"""Estimate label noise and the probabilities of the true labels.

    Works on tables as they are, with categories and missing values. Its results help to clean the
    labels, and to train any classifier, see :class:`RefinedClassifier`.

    Parameters
    ----------
    transition_matrix : array-like or "estimate", default="estimate"
        Noise of shape (n_classes, n_classes): ``T[i, j]`` is the probability of the label j given
        the true class i. The classes are in sorted order, or named by the rows and columns of a
        data frame. "estimate" estimates it from the data.
    teacher : classifier or None, default=None
        Predicts the label of each sample from its features without having learned from it. None
        uses the out-of-bag predictions of a random forest. A classifier with ``predict_proba`` is
        cross-fitted; it gets X as it is, and labels as integers from 0.
    n_jobs : int or None, default=None
        Number of trees or folds fitted in parallel. It does not change the result.
    verbose : int, default=0
        1 shows a progress bar over the trees.
    random_state : int, RandomState instance or None, default=None
        Randomness of the trees and the folds. None draws fresh entropy. The random state of
        `teacher` is not changed.
    memory : joblib.Memory, str or None, default=None
        Cache, or the path of its folder. Another fit to the same samples with the same parameters,
        for example in a search, then reuses the result. Nothing is cached if `memory` or
        `random_state` is None.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted class labels.
    label_probabilities_ : ndarray of shape (n_samples, n_classes)
        Probabilities of the true labels given features and labels. NaN for samples without weight.
    soft_labels_ : ndarray of shape (n_samples, n_classes)
        More cautious label probabilities to train on, see Notes.
    wrong_probability_ : ndarray of the shape of y
        Probability that a label, or an annotator's answer, is wrong. NaN where there is none, and
        where nothing is known, see Notes.
    n_wrong_ : float
        Expected number of wrong labels, the sum of `wrong_probability_`.
    n_wrong_interval_ : tuple of int
        Interval that holds the number of wrong labels with a probability of 90 %. None with several
        annotators.
    noise_rate_ : float
        Expected share of wrong labels. Under a known noise T, :math:`\sum_k \pi_k (1 - T_{kk})`
        with the frequencies :math:`\pi` of the true classes.
    transition_matrix_ : ndarray of shape (n_classes, n_classes) or None
        Given or estimated noise; with several annotators, that of all answers. None if there are
        too few samples for an estimate.
    noise_posterior_ : NoisePosterior or None
        Posterior of the noise, a named tuple: "matrices", of shape (n_matrices, n_classes,
        n_classes), the transition matrices that are possible; "weights", their probabilities, and
        "conservative_weights", the same under even prior odds for no noise; "n_rows", of shape
        (n_classes,), the samples behind each row of the matrices. A known noise has one matrix.
        None with several annotators or too few samples.
    annotator_transitions_ : ndarray of shape (n_annotators, n_classes, n_classes) or None
        Noise of each annotator. None with one label per sample or too few samples.
    annotator_quality_ : pandas.DataFrame or None
        A row for each annotator: "n_answers", and "quality", the probability that an answer is
        right given the class frequencies in these samples. Needs pandas. None as above.
    noise_evidence_ : dict or None
        Probability of each form of the noise, see Notes: "none", "hard_samples" (no noise but on
        these), "symmetric", "sparse" and "full". None if the noise is known or there are several
        annotators.
    row_groups_ : ndarray of shape (n_samples,)
        Group numbers from 0, shared by duplicates and near-duplicates: keep each group on one side
        of a split. -1 for samples without weight.
    likelihood_ : ndarray of shape (n_samples, n_classes)
        Likelihood of the label or the answers of a sample under each true class, up to a factor.
        NaN for samples without weight.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Feature names, if X has names that are all strings.

    See Also
    --------
    find_wrong_labels : List the labels that are probably wrong.
    RefinedClassifier : Train any classifier on the soft labels.

    Notes
    -----
    **Label predictions.** The model starts from probabilities of the labels given the features, by
    trees or a `teacher` that have not learned from the sample. Duplicates are held out together,
    and so are near-duplicates, whose distance is less than a tenth of that to the tenth neighbour,
    or to the first one behind a larger group: a copied label would confirm itself. To save time, a
    tree draws a part of more than 5000 samples, and separates random groups of many classes.

    **Forms of noise.** The noise T may have one of four forms: *none*; *symmetric*, where all wrong
    labels are equally probable; *sparse*, where the labels of one of two classes are all right or,
    with more classes, all wrong labels of a class name one other class; and *full*, any matrix.
    A priori they have the probabilities .15, .5, .2 and .15. Sparse and full noises of two classes
    are a grid over both rates. All others are shares of the noise that the confident joint [1]_
    counts, which takes right labels of hard samples for wrong ones. No form is chosen: all results
    are averaged over the posterior of the forms and amounts.

    **Amount of noise.** A label has the probability

    .. math:: \sum_k T[k, \tilde{y}] \, q_k(x)^\beta / \sum_k q_k(x)^\beta,

    where q are the predictions with the noise removed, and the power :math:`\beta` makes them as
    confident as the labels justify. Wrong labels on easy samples tell noise from hardness. The
    log-likelihood of a label counts .3 times with two classes and .1 times with more, because
    predictions of neighbours depend on each other.

    **Label probabilities.** Bayes' rule gives

    .. math:: P(k \mid x, \tilde{y}) \propto q_k(x)^\beta \, T[k, \tilde{y}],

    averaged over the posterior of T and :math:`\beta`. `soft_labels_` omit the power, and use the
    mean of T given that there is noise: learners generalise better from these.

    **Noise on hard samples.** People err on samples that are hard. If such errors agree with how
    hard the samples are, no label shows them. A label that contradicts the prediction, and that T
    does not explain, is therefore wrong with a probability that has a prior and no evidence: with
    probability .4 where there is no noise of another form and .04 elsewhere, a share of these
    labels, up to all, is wrong. The interval spans this, and only checked labels narrow it.

    **Interval.** The upper end of `n_wrong_interval_` is the 95 % quantile of the posterior. The
    lower end is the 5 % quantile under even prior odds for no noise; if it is 0, the data can be
    explained without a wrong label. Under a known noise, :math:`\beta` is such that the number of
    wrong labels agrees with the rates, and the interval is that of the draws. Predictions are taken
    to err independently of each other: with tens of thousands of samples the interval is too short.

    **Several annotators.** The answers of a sample are combined as [2]_

    .. math:: P(k \mid x, \tilde{y}) \propto q_k(x)^\beta \prod_a T^a[k, \tilde{y}_a],

    where accurate annotators count for more; an annotator may even be wrong more often than right.
    Each :math:`T^a` is fitted by expectation maximisation, with the trees as one more annotator. It
    is shrunk, with the weight of 5 answers per class, towards a multiple of the common noise that
    matches the number of the annotator's wrong answers. The trees learn the aggregated answers; q
    are their predictions with the remaining noise removed, and :math:`\beta` is the power that
    makes the answers most probable. Answers are assumed to be independent given the true class. If
    annotators are misled together, as in real crowds, the probabilities are overconfident.

    **True labels.** A known true label has probability 1. If the given label is known, too, the
    pair enters the likelihood with :math:`P(k \mid x, \tilde{y})`: it shows the noise, and which
    share of the doubtful labels is wrong. That holds even for samples that were picked by their
    features and labels. A label that was put right enters with :math:`P(k \mid x)` if it was drawn
    at random, and not at all if it was picked.

    **Assumptions.** T depends on the class alone. Errors that follow the features as a rule does,
    such as those of a keyword search, look like classes and cannot be found.

    **Few samples.** With fewer than 50 samples, or 10 times the number of classes, the noise is not
    estimated. Labels are taken as they are: `transition_matrix_` is None, `noise_rate_` and
    `wrong_probability_` are NaN, and the interval ranges from 0 to all samples.

    **Weights.** Samples of weight 0 are left out, and so are classes without other samples. Rates
    and numbers count samples, whatever their weights.

    References
    ----------
    .. [1] Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset
       Labels", Journal of Artificial Intelligence Research 70, 2021.
    .. [2] Dawid and Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM
       Algorithm", Journal of the Royal Statistical Society C 28, 1979; with features in place of
       class frequencies: Raykar et al., "Learning from Crowds", JMLR 11, 2010.

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
    >>> predicted = refiner.classes_[refiner.label_probabilities_.argmax(axis=1)]
    >>> float((predicted == y).mean().round(2))
    0.99
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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = False
        return tags

    @_fit_context(prefer_skip_nested_validation=False)
    @np.errstate(under="ignore")  # underflow is harmless, even where users made it an error
    def fit(
        self,
        X: Features,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        trusted: ArrayLike | None = None,
        trusted_at_random: ArrayLike = False,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Estimate the noise and the probabilities of the true labels.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Features on any scale. Numbers may be missing. In a data frame, columns of categories
            and of strings are encoded, the rarest of more than 255 categories as none, and from 50
            rows on those of fewer than four rows or than one of 2000, and so ids. Texts that are
            numbers become numbers. See :func:`check_table`. A `teacher` may take anything.
        y : array-like of shape (n_samples,) or (n_samples, n_annotators)
            Noisy labels of two or more classes. Several columns are the answers of several
            annotators, missing where they are None, NaN or NA; see :func:`pivot_answers`. Samples
            without an answer count as samples without weight.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Non-negative weights; only their ratios matter.
        trusted : array-like of shape (n_samples,) or None, default=None
            What is known of the true labels. Either booleans: which labels are right, because they
            were put right or confirmed; with several annotators also of the shape of y. Or true
            labels, and None, NaN or NA where nobody has looked: y then keeps the labels that were
            given, and the comparison says most about the others, however the samples were picked.
        trusted_at_random : bool or array-like of bool of shape (n_samples,), default=False
            Which of the trusted samples were drawn at random. If y has been put right, only these
            show how hard samples are: samples that were picked because their labels look doubtful
            do not. With true labels as `trusted` it makes no difference.
        groups : array-like of shape (n_samples,) or None, default=None
            Samples that depend on each other share a value here, such as those of one patient. They
            are held out together, and count as much as one sample. At least 10 groups. Copies and
            near-duplicates of a sample are found without it.

        Returns
        -------
        self : LabelRefiner
            The fitted refiner.

        Raises
        ------
        ValueError
            If a parameter or the data are invalid.
        """
        with unchanged_on_error(self):
            for name in ("n_features_in_", "feature_names_in_"):
                self.__dict__.pop(name, None)
            rest = y, sample_weight, trusted, trusted_at_random, groups
            rows = read_rows(self, X, lambda X: read_features(self, X), *rest)
            self._later = self.fit_rows(rows, keep=True).later
            self._seen = None
            if self._later is not None and rows.numbers is not None:
                passed = np.where(rows.given < 0, rows.codes, rows.given)
                self._seen = SeenRows(rows.numbers, passed, rows.kept)
        return self

    @np.errstate(under="ignore")
    def refine(self, X: Features, y: ArrayLike) -> NDArray:
        """Return the probabilities of the true labels of later samples.

        The noise and the trees are those of `fit`. A sample that was in `fit` with the same label
        gets its probabilities from there.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Features, as in `fit`.
        y : array-like of shape (n_samples,)
            Noisy labels, among the classes of `fit`.

        Returns
        -------
        label_probabilities : ndarray of shape (n_samples, n_classes)
            Probabilities of the true labels given features and labels.

        Raises
        ------
        ValueError
            If features or labels do not fit those of `fit`, or `fit` had several annotators or too
            few samples.

        Warns
        -----
        UserWarning
            If these labels agree with the predictions less often, or more often, than those of
            `fit`: the noise or the samples have changed.
        """
        return refine_with_interval(self, X, y).label_probabilities

    @np.errstate(under="ignore")
    @without_autologging()
    def fit_rows(self, rows: TrainingRows, keep: bool = False) -> Refinement:
        """Fit to samples that an estimator of this package has already checked.

        Parameters
        ----------
        rows : TrainingRows
            The samples that have a weight and a label.
        keep : bool, default=False
            Whether to keep what refines the labels of later samples.

        Returns
        -------
        refinement : Refinement
            What was found about these samples. The attributes hold the same for all samples that
            were passed.
        """
        rows = aggregate_labels(rows)
        n_classes = len(rows.classes)
        known = None
        if not isinstance(self.transition_matrix, str):
            known = check_invertible(self.transition_matrix, n_classes, rows.classes)
        if known is None and not has_enough_rows(len(rows), rows.n_known_classes):
            found = _take_as_given(rows)
        else:
            # Only a teacher looks at these, and the cache would compare them.
            rows = rows if self.teacher is not None else replace(rows, X=None)
            found = cached_call(
                usable_memory(self), _refine, rows, self.teacher, known, keep,
                rng=fresh_random_state(self.random_state), n_jobs=self.n_jobs, verbose=self.verbose,
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
        """Number of answers, and share of right ones, of each annotator."""
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


def refine_with_interval(refiner: LabelRefiner, X: Features, y: ArrayLike) -> RefinedLabels:
    """Return what `refine` does, and an interval of the number of wrong labels."""
    check_is_fitted(refiner)
    later: LaterLabels | None = getattr(refiner, "_later", None)
    if later is None:
        raise ValueError(
            "This LabelRefiner cannot refine other labels. That takes a fit of its own, with "
            "one label for each of at least 50 samples and 10 per class."
        )
    codes, (X,) = encode(check_labels(y), refiner.classes_), indexable(X)
    numbers = None if refiner._table is None else refiner._table.transform(refiner, X)
    check_consistent_length(X if numbers is None else numbers, codes)
    place = np.full(len(codes), -1)
    if refiner._seen is not None:
        place = refiner._seen.find(numbers, codes)
    known, new = np.flatnonzero(place >= 0), np.flatnonzero(place < 0)
    proba = np.empty((len(codes), len(refiner.classes_)))
    proba[known] = refiner.label_probabilities_[place[known]]
    n_wrong, interval = len(known) - proba[known, codes[known]].sum(), (0, 0)
    if len(new):
        numbers = None if numbers is None else numbers[new]
        proba[new], interval = later.refine(_safe_indexing(X, new), numbers, codes[new], _LEVEL)
    low, high = (int(np.rint(n_wrong + end)) for end in interval)
    return RefinedLabels(proba, (low, high))


def read_features(refiner: LabelRefiner, X: Features) -> tuple[Any, Any]:
    """Return the features, and the same as numbers or None if only a teacher takes them."""
    (X,) = indexable(X)
    refiner._table = TableNumbers()
    try:
        return X, refiner._table.fit_transform(refiner, X)
    except (TypeError, ValueError):
        if refiner.teacher is None:
            raise
        refiner._table = None
        return X, None


class Refinement(NamedTuple):
    """Result for the samples of a fit; see the attributes of LabelRefiner."""

    observed: ObservedLabels
    label_probabilities: NDArray
    soft_labels: NDArray
    wrong_probability: NDArray
    groups: NDArray
    noise_rate: float = np.nan
    transition: NDArray | None = None
    posterior: NoisePosterior | None = None
    evidence: dict | None = None
    annotator_transitions: NDArray | None = None
    n_wrong_interval: tuple[int, int] | None = None
    later: LaterLabels | None = None

    @property
    def n_wrong(self) -> float:
        """Expected number of wrong labels."""
        return np.nan if self.transition is None else float(np.nansum(self.wrong_probability))


def _take_as_given(rows: TrainingRows) -> Refinement:
    """Return the result for too few samples: labels as they are."""
    observed = labels_as_given(rows.codes, len(rows.classes))
    labels = rows.codes if rows.answers is None else rows.answers.codes
    return Refinement(
        observed=observed,
        label_probabilities=observed.likelihood,
        soft_labels=observed.likelihood,
        wrong_probability=np.full(labels.shape, np.nan),
        groups=join_groups(np.arange(len(rows)), rows.groups),
        n_wrong_interval=(0, len(rows)),
    )


def _refine(
    rows: TrainingRows, teacher: Any, known: NDArray | None, keep: bool,
    rng: np.random.RandomState, n_jobs: int | None, verbose: int,
) -> Refinement:  # fmt: skip
    """Estimate the noise, unless it is `known`, and the probabilities of the true labels."""
    codes, given, trusted, weight = rows.codes, rows.given, rows.trusted, rows.weight
    rest = codes, len(rows.classes), weight, rng, n_jobs
    if teacher is None:
        proba, groups, fitted = out_of_bag_probabilities(
            rows.numbers, *rest, verbose=verbose, groups=rows.groups, keep=keep
        )
    else:
        proba, groups, fitted = out_of_fold_probabilities(
            teacher, rows.X, rows.numbers, *rest, groups=rows.groups
        )
    if rows.answers is not None:
        answers = rows.answers
        annotators, observed, soft_labels = fit_annotators_with_features(
            answers, trusted, weight, codes, proba, known
        )
        wrong = 1 - np.take_along_axis(annotators.label_probabilities, answers.codes, axis=1)
        wrong[answers.codes < 0] = np.nan
        return Refinement(
            observed, annotators.label_probabilities, soft_labels, wrong, groups,
            float(np.nanmean(wrong)), transition=annotators.common,
            annotator_transitions=annotators.transitions,
        )  # fmt: skip
    truth, counted = None, weight / weight.max()
    if trusted is not None:
        truth = np.where(trusted, codes, -1)
        # Mended labels that were picked say nothing of how hard other samples are.
        counted = np.where((given < 0) & ~rows.at_random, 0, counted)
    if known is None:
        prior = make_noise_prior(given, proba, rows.classes, truth)
    else:
        prior = make_known_prior(known)
    if rows.groups is not None:
        # The labels of a group may have one cause: they count as much as one label.
        share = len(np.unique(rows.groups)) / len(codes)
        prior = prior._replace(label_weight=share * prior.label_weight)
    found = fit_noise(given, proba, prior, counted, truth)
    wrong = np.where(given < 0, 0, 1 - found.label_probabilities[np.arange(len(codes)), given])
    rates = wrong
    if known is not None:
        # The number of wrong labels in these samples varies about the rate of a known noise.
        rates = found.label_probabilities @ (1 - known.diagonal())
        rates = rates if trusted is None else np.where(trusted, wrong, rates)
    later = None
    if keep and fitted is not None:
        agree = int(np.count_nonzero(proba.argmax(axis=1) == codes))
        later = LaterLabels(fitted, found.model, (agree, len(codes)))
    # Overlooking noise costs a learner more than assuming noise that is not there.
    observed = observe_labels(codes, found.if_noisy, trusted)
    return Refinement(
        observed, found.label_probabilities, observed.soft_labels(proba), wrong, groups,
        noise_rate=float(rates.mean()), transition=found.transition, posterior=found.posterior,
        evidence=found.evidence if known is None else None,
        n_wrong_interval=found.number_of_wrong.interval(len(codes), _LEVEL), later=later,
    )  # fmt: skip

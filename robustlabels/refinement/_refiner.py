"""LabelRefiner: the noise of a table, and what its true labels probably are."""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length

from .._autologging import unseen_by_autologging
from .._labels import check_labels, encode, find_rows_and_classes, require_labels
from .._random_state import draw_from
from .._sklearn import (
    HasMethods,
    StrOptions,
    _check_sample_weight,
    _fit_context,
    _safe_indexing,
)
from .._unchanged import unchanged_on_error
from ..noise import check_transition
from ._copies import enough_rows
from ._features import TableNumbers
from ._noise_model import estimate_noise, find_noise, soften
from ._probabilities import out_of_bag_probabilities, out_of_fold_probabilities

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
    random_state : int, RandomState instance or None, default=None
        Source of the trees and of the folds. None draws fresh entropy. That of `teacher` is left
        as it is.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    label_probabilities_ : ndarray of shape (n_samples, n_classes)
        Probabilities of the true labels of the rows in `fit`, given their features and labels:
        the beliefs. NaN for rows without weight.
    soft_labels_ : ndarray of shape (n_samples, n_classes)
        More cautious probabilities, to learn from: see the notes.
    wrong_probability_ : ndarray of shape (n_samples,)
        Probability that the label of a row is wrong. NaN where nothing is known, see the notes.
    n_wrong_ : float
        Expected number of wrong labels: the sum of these.
    n_wrong_interval_ : tuple of int
        Lower and upper end of the number of wrong labels, with a probability of 90 %.
    noise_rate_ : float
        Expected share of wrong labels.
    transition_matrix_ : ndarray of shape (n_classes, n_classes) or None
        The noise, as given or estimated. None where there are too few rows for an estimate.
    noise_evidence_ : dict or None
        Why the estimated noise has the form it has: "form", "symmetric" or "class-dependent";
        "explained", the share of the entropy of wrong labels that their true class explains, or
        with two classes "rate_difference", that of their noise rates; "threshold", what this has
        to exceed for a matrix that depends on the class; "tenable", whether the data allow for one
        at all; and "none", the probability that no label is wrong, to a sceptic. None if the noise
        is known.
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
        "random_state": ["random_state"],
    }

    def __init__(
        self, transition_matrix="estimate", *, teacher=None, n_jobs=None, random_state=None
    ):
        self.transition_matrix = transition_matrix
        self.teacher = teacher
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = False
        return tags

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Find the noise and the probabilities of the true labels.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Features on any scale. Numbers may be missing; in a data frame columns of categories
            and texts are taken as they are, but for the rarest of more than 31. With a `teacher`,
            whatever it takes.
        y : array-like of shape (n_samples,)
            Labels of any kind, two classes at least; some of them may be wrong.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, not negative; only their ratios matter.

        Returns
        -------
        self : LabelRefiner
            The fitted refiner.

        Raises
        ------
        ValueError
            If a parameter or the data are unfit.
        """
        require_labels(self, y)
        with unchanged_on_error(self), unseen_by_autologging():
            for name in ("n_features_in_", "feature_names_in_"):
                vars(self).pop(name, None)
            numbers = self._check_features(X)
            y = check_labels(y)
            check_consistent_length(X if numbers is None else numbers, y)
            check_classification_targets(y)
            n_rows = len(y)
            weight = _check_sample_weight(
                sample_weight, np.empty((n_rows, 1)), dtype=np.float64, ensure_non_negative=True
            )
            kept, classes = find_rows_and_classes(self, y, weight)
            if len(kept) < n_rows:
                X, y, weight = _safe_indexing(X, kept), y[kept], weight[kept]
                numbers = None if numbers is None else numbers[kept]
            self.classes_ = classes
            self._refine(X, numbers, encode(y, classes), weight, kept, n_rows)
        return self

    def _check_features(self, X):
        """Return the features as numbers, or None if a teacher knows what to do with them."""
        try:
            return TableNumbers().fit_transform(self, X)
        except (TypeError, ValueError):
            if self.teacher is None:
                raise
            # Images and texts are the teacher's business.
            return None

    def _refine(self, X, numbers, codes, weight, kept, n_rows):
        """Set what is found, for all of so many rows, of which those that are `kept` count."""
        n_classes = len(self.classes_)
        estimate = isinstance(self.transition_matrix, str)
        known = (
            None if estimate else check_transition(self.transition_matrix, n_classes, self.classes_)
        )
        self.noise_evidence_ = None
        if estimate and not enough_rows(len(codes), n_classes):
            self.transition_matrix_, self.noise_rate_, self.n_wrong_ = None, np.nan, np.nan
            self.n_wrong_interval_ = (0, len(codes))
            as_given = np.eye(n_classes)[codes]
            unknown, alone = np.full(len(codes), np.nan), np.arange(len(codes))
            self._spread(as_given, as_given, unknown, alone, kept, n_rows)
            return
        rng = draw_from(self.random_state)
        rest = codes, n_classes, weight, rng, self.n_jobs
        if self.teacher is None:
            proba, groups = out_of_bag_probabilities(numbers, *rest)
        else:
            proba, groups = out_of_fold_probabilities(self.teacher, X, numbers, *rest)
        if estimate:
            transition, self.noise_evidence_ = estimate_noise(codes, proba, self.classes_)
            found = find_noise(codes, proba, transition, False, weight / weight.max())
            self.noise_evidence_["none"] = float(found.sceptical_weights[0])
        else:
            found = find_noise(codes, proba, known, True, weight / weight.max())
        # A learner loses more by noise that is overlooked than by some that is not there.
        soft_labels = soften(codes, proba, found.if_noisy)
        wrong = 1 - found.beliefs[np.arange(len(codes)), codes]
        self.transition_matrix_ = found.transition
        self.n_wrong_, self.noise_rate_ = float(wrong.sum()), float(wrong.mean())
        self.n_wrong_interval_ = found.count_wrong(codes, _LEVEL)
        self._spread(found.beliefs, soft_labels, wrong, groups, kept, n_rows)

    def _spread(self, beliefs, soft_labels, wrong, groups, kept, n_rows):
        """Set the attributes that have an entry for each row."""
        self.label_probabilities_ = np.full((n_rows, beliefs.shape[1]), np.nan)
        self.soft_labels_ = self.label_probabilities_.copy()
        self.wrong_probability_ = np.full(n_rows, np.nan)
        self.row_groups_ = np.full(n_rows, -1)
        self.label_probabilities_[kept] = beliefs
        self.soft_labels_[kept] = soft_labels
        self.wrong_probability_[kept] = wrong
        self.row_groups_[kept] = groups

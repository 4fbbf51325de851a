"""The noise of labels, from probabilities that have not seen them: the confident joint."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2
from sklearn.exceptions import UndefinedMetricWarning

from .._validation.labels import check_probabilities, shorten
from .._validation.sklearn_private import validate_params
from ..noise._transitions import symmetric_transition

__all__ = ["estimate_noise_rate", "estimate_transition_matrix"]

#: Nothing is known of a class if rows with its label have less probability of it, on average, than
#: this part of an equal share, and than so many times the share of its label.
_PART_OF_EQUAL_SHARE, _TIMES_OWN_SHARE = 0.1, 3


@validate_params(
    {
        "y_noisy": ["array-like"],
        "pred_proba": ["array-like"],
        "labels": ["array-like", None],
        "refine": ["boolean"],
        "return_std_error": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def estimate_transition_matrix(
    y_noisy: ArrayLike,
    pred_proba: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    refine: bool = True,
    return_std_error: bool = False,
) -> Any:
    """Estimate how probable each label is given the true class.

    Parameters
    ----------
    y_noisy : array-like of shape (n_samples,)
        Noisy labels.
    pred_proba : array-like of shape (n_samples, n_classes)
        Out-of-sample probabilities of the labels, the classes in the order of `labels`, or in a
        data frame by the names of its columns: from
        ``cross_val_predict(..., method="predict_proba")`` or the leave-one-out scores of
        :class:`~robustlabels.UnhingedClassifier`. Those of rows that were learned from would
        find no noise.
    labels : array-like of shape (n_classes,), default=None
        The classes. None takes the sorted ones of `y_noisy`.
    refine : bool, default=True
        Whether few rows and misplaced ones are made up for, see the notes. False is the
        plain confident joint.
    return_std_error : bool, default=False
        Whether to return standard errors also.

    Returns
    -------
    transition : ndarray of shape (n_classes, n_classes)
        Entry (i, j) estimates the probability of the label j where the true class is i.
    std_error : ndarray of shape (n_classes, n_classes)
        Standard errors from the number of rows alone, as if their true classes were known: a
        lower limit; nan for a class about which nothing can be estimated. Only with
        ``return_std_error=True``.

    Raises
    ------
    ValueError
        If the shapes do not fit, or there are fewer than two classes.

    Warns
    -----
    UndefinedMetricWarning
        If nothing can be estimated about a class: there is no row with its label, or so few that
        the probabilities do not know it, as with a mistyped label. The class is taken to be
        labelled right. Its labels on rows that are like another class count as wrong ones.

    See Also
    --------
    estimate_noise_rate : The share of wrong labels.
    robustlabels.UnhingedClassifier : Takes the matrix, as do BackwardCorrected and
        ForwardCorrected.

    Notes
    -----
    The confident joint of [1]_: a row counts as a member of the most probable class among those
    whose probability reaches the mean that rows with that label have; rows that reach none
    count for nothing. Counts by label and membership, scaled to the number of labels of each
    class, give the joint distribution.

    Where a chi-squared test at 5 % does not speak against symmetric noise the matrix is that of
    symmetric noise, and else, where it finds no difference between the wrong labels of a class,
    they are taken to be equally probable. Otherwise, for three classes and more, the counts
    are made once more of the 70 % of the members of each class that lead by the largest
    margin, among which fewer are misplaced, and the distribution over wrong labels in each
    row is shrunk towards the uniform one by the intensity of [2]_.

    Valid where the noise depends on the class, the true class is the most frequent label, and
    the probabilities order the rows well; it gets worse as pair-flip noise nears one half. Rows
    that are hard to place count as wrong labels: put into a corrected score, the matrix makes
    it too high, see :class:`~robustlabels.CleanScores`.

    References
    ----------
    .. [1] Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset
       Labels", Journal of Artificial Intelligence Research 70, 2021.
    .. [2] Hausser and Strimmer, "Entropy Inference and the James-Stein Estimator, with
       Application to Nonlinear Gene Association Networks", JMLR 10, 2009.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import cross_val_predict
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from robustlabels import corrupt_labels
    >>> from robustlabels.metrics import estimate_transition_matrix
    >>> X, y = load_digits(return_X_y=True)
    >>> y_noisy = corrupt_labels(y, "pair", 0.3, random_state=0)
    >>> model = KNeighborsClassifier(30)
    >>> proba = cross_val_predict(model, X, y_noisy, method="predict_proba")
    >>> estimate_transition_matrix(y_noisy, proba)[2, :4].round(1)
    array([0. , 0. , 0.7, 0.3])
    """
    codes, proba, known = _check(y_noisy, pred_proba, labels)
    transition = np.eye(len(known))
    std_error = np.full_like(transition, np.nan)
    if known.any():
        inner = restrict_to_known(codes, proba, known)
        found, rows = _transition_and_rows(_confident_joint(*inner), inner[0])
        if refine and known.sum() > 1:
            found, rows = _refined(found, rows, *inner)
        strange = _count_strange_labels(codes, proba, known)
        rows = rows + strange.sum(axis=1, keepdims=True)
        transition[np.ix_(known, known)] = found * (1 - strange.sum(axis=1, keepdims=True) / rows)
        transition[np.ix_(known, ~known)] = strange / rows
        std_error[known] = np.sqrt(transition[known] * (1 - transition[known]) / rows)
    return (transition, std_error) if return_std_error else transition


@validate_params(
    {"y_noisy": ["array-like"], "pred_proba": ["array-like"], "labels": ["array-like", None]},
    prefer_skip_nested_validation=True,
)
def estimate_noise_rate(
    y_noisy: ArrayLike, pred_proba: ArrayLike, *, labels: ArrayLike | None = None
) -> float:
    """Estimate the share of wrong labels.

    Parameters
    ----------
    y_noisy : array-like of shape (n_samples,)
        Noisy labels.
    pred_proba : array-like of shape (n_samples, n_classes)
        Out-of-sample probabilities of the labels, see :func:`estimate_transition_matrix`.
    labels : array-like of shape (n_classes,), default=None
        The classes. None takes the sorted ones of `y_noisy`.

    Returns
    -------
    rate : float
        Estimated share of labels that differ from the true class.

    Raises
    ------
    ValueError
        If the shapes do not fit, or there are fewer than two classes.

    Warns
    -----
    UndefinedMetricWarning
        If nothing can be estimated about a class, see :func:`estimate_transition_matrix`.

    See Also
    --------
    estimate_transition_matrix : Which classes are mistaken for which; when it is valid.

    Notes
    -----
    Rows that a classifier gets wrong on clean labels count as wrong labels too, so that the
    estimate is high where the task is hard.

    Examples
    --------
    >>> import numpy as np
    >>> from robustlabels.metrics import estimate_noise_rate
    >>> proba = np.repeat([[0.9, 0.1], [0.1, 0.9]], 10, axis=0)
    >>> y_noisy = [1] * 2 + [0] * 8 + [1] * 10
    >>> round(estimate_noise_rate(y_noisy, proba), 6)
    0.1
    """
    codes, proba, known = _check(y_noisy, pred_proba, labels)
    if not known.any():
        return 0.0
    inner = restrict_to_known(codes, proba, known)
    n_wrong = len(inner[0]) * (1 - np.trace(_confident_joint(*inner)))
    return float((n_wrong + _count_strange_labels(codes, proba, known).sum()) / len(codes))


def _check(y_noisy, pred_proba, labels):
    """Return labels as positions, probabilities, and of which classes these know something."""
    codes, proba, classes = check_probabilities(y_noisy, pred_proba, labels, "pred_proba")
    n_classes = len(classes)
    if n_classes < 2:
        raise ValueError(
            f"Noise takes at least 2 classes to confuse. Got only {classes.tolist()}; pass "
            f"labels if there are classes that are not in y_noisy."
        )
    known = find_known_classes(codes, proba)
    if not known.all():
        numbers = np.bincount(codes, minlength=n_classes)
        warnings.warn(
            f"Nothing can be estimated about the classes {shorten(classes[~known])}, which have "
            f"{numbers[~known].sum()} of {len(codes)} labels: rows with these labels, if any, have "
            f"next to no probability of them. They have no part in the noise. If they are "
            f"mistyped, mend them or drop the rows.",
            UndefinedMetricWarning,
            stacklevel=4,
        )
    return codes, proba, known


def find_known_classes(codes, proba):
    """Tell of which classes probabilities of labels know something, an array of booleans."""
    n_classes = proba.shape[1]
    numbers = np.bincount(codes, minlength=n_classes)
    least = np.minimum(_PART_OF_EQUAL_SHARE / n_classes, _TIMES_OWN_SHARE * numbers / len(codes))
    # Any row would reach a lower threshold, so that the class would draw rows of all others.
    return (numbers > 0) & (_thresholds(codes, proba) >= least)


def restrict_to_known(codes, proba, known):
    """Return labels and probabilities of the known classes alone, of the rows labelled so."""
    kept = known[codes]
    return (known.cumsum() - 1)[codes[kept]], proba[kept][:, known]


def _count_strange_labels(codes, proba, known):
    """Count the members of each known class (row) with the label of each unknown one (column)."""
    kept = known[codes]
    thresholds = _thresholds(*restrict_to_known(codes, proba, known))
    member, confident = _find_members(proba[~kept][:, known], thresholds)
    strange = ((~known).cumsum() - 1)[codes[~kept]]
    counts = np.zeros((known.sum(), (~known).sum()))
    np.add.at(counts, (member[confident], strange[confident]), 1)
    return counts


def _find_members(proba, thresholds):
    """Return the class that each row is counted as, and whether it is counted at all."""
    # Probabilities that are equal up to rounding reach the threshold.
    reached = proba >= thresholds - 1e-6
    return np.where(reached, proba, -1.0).argmax(axis=1), reached.any(axis=1)


def _thresholds(codes, proba):
    """Return the mean probability of each class among the rows with its label; 0 for no rows."""
    n_classes = proba.shape[1]
    totals = np.bincount(codes, proba[np.arange(len(codes)), codes], minlength=n_classes)
    return totals / np.maximum(np.bincount(codes, minlength=n_classes), 1)


def _confident_joint(codes, proba, share=1.0):
    """Return the joint distribution of label (row) and estimated class (column).

    Of the members of each class, the share that leads by the largest margin is counted.
    """
    n_classes = proba.shape[1]
    numbers = np.bincount(codes, minlength=n_classes)
    member, confident = _find_members(proba, _thresholds(codes, proba))
    counts = np.zeros((n_classes, n_classes))
    others = proba.copy()
    others[np.arange(len(codes)), member] = -1.0
    margin = proba[np.arange(len(codes)), member] - others.max(axis=1)
    for k in range(n_classes):
        members = np.flatnonzero(confident & (member == k))
        n_counted = max(30, int(np.ceil(share * len(members))))
        members = members[np.argsort(-margin[members], kind="stable")[:n_counted]]
        np.add.at(counts, (codes[members], k), 1)
    # A class of which no row is confident is believed to be labelled right.
    diagonal = np.arange(n_classes)
    counts[diagonal, diagonal] = np.maximum(counts[diagonal, diagonal], 1)
    joint = counts / counts.sum(axis=1, keepdims=True) * numbers[:, None]
    return joint / joint.sum()


def _transition_and_rows(joint, codes):
    """Return the transition matrix, and how many rows of each true class there are."""
    of_class = joint.sum(axis=0)
    return (joint / of_class).T, np.maximum(len(codes) * of_class[:, None], 1.0)


def _refined(transition, rows, codes, proba):
    """Return a transition matrix with fewer parameters if the data do not speak against it."""
    n_classes = len(transition)
    wrong = ~np.eye(n_classes, dtype=bool)
    rates = 1 - transition.diagonal()[:, None]
    pooled = symmetric_transition(n_classes, (rows * rates).sum() / rows.sum())
    if _fits(transition, pooled, rows, n_classes * (n_classes - 1) - 1):
        return pooled, rows
    if n_classes == 2:
        return transition, rows
    alike = np.where(wrong, rates / (n_classes - 1), transition)
    if _fits(transition, alike, rows, np.count_nonzero(rates) * (n_classes - 2)):
        return alike, rows
    joint = _confident_joint(codes, proba, share=0.7)
    transition, rows = _transition_and_rows(joint, codes)
    return _shrunk(transition, rows), rows


def _fits(transition, model, rows, freedom):
    """Test at 5 % whether so many rows could come from a model instead of the matrix found."""
    misfit = (transition - model) ** 2 / np.where(model > 0, model, 1.0)
    return chi2.sf((rows * misfit).sum(), freedom) > 0.05


def _shrunk(transition, rows):
    """Shrink the distribution over wrong labels in each row, of so many rows of the data."""
    n_classes = len(transition)
    wrong = ~np.eye(n_classes, dtype=bool)
    off = transition[wrong].reshape(n_classes, -1)
    rate = off.sum(axis=1, keepdims=True)
    share = off / np.where(rate > 0, rate, 1.0)
    uniform = 1 / (n_classes - 1)
    distance = ((share - uniform) ** 2).sum(axis=1, keepdims=True)
    spread = (1 - (share**2).sum(axis=1, keepdims=True)) / np.maximum(rows * rate - 1, 1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        intensity = np.where(distance > 0, np.clip(spread / distance, 0.0, 1.0), 1.0)
    shrunk = transition.copy()
    shrunk[wrong] = (rate * (intensity * uniform + (1 - intensity) * share)).ravel()
    return shrunk

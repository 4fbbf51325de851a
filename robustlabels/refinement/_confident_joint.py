"""The confident joint: a transition matrix counted with out-of-sample probabilities."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2
from sklearn.exceptions import UndefinedMetricWarning

from .._validation.labels import check_probabilities, shorten
from .._validation.sklearn_private import validate_params
from ..noise._transitions import symmetric_transition
from ._settings import ConfidentJointSettings

__all__ = ["estimate_noise_rate", "estimate_transition_matrix"]

_SETTINGS = ConfidentJointSettings()


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
    """Estimate the probability of each label given the true class.

    Parameters
    ----------
    y_noisy : array-like of shape (n_samples,)
        Noisy labels.
    pred_proba : array-like of shape (n_samples, n_classes)
        Out-of-sample probabilities of the labels, from ``cross_val_predict(...,
        method="predict_proba")`` or the leave-one-out scores of
        :class:`~robustlabels.UnhingedClassifier`. Predictions for samples that were learned from
        would show no noise. The columns are in the order of `labels`, or named by a data frame.
    labels : array-like of shape (n_classes,), default=None
        The classes. None takes the sorted labels in `y_noisy`.
    refine : bool, default=True
        Whether to correct for small samples and misplaced ones, see Notes. False returns the plain
        confident joint.
    return_std_error : bool, default=False
        Whether to return standard errors, too.

    Returns
    -------
    transition : ndarray of shape (n_classes, n_classes)
        Entry (i, j) estimates the probability of the label j given the true class i.
    std_error : ndarray of shape (n_classes, n_classes)
        Standard errors due to the number of samples alone, as if their true classes were known:
        lower bounds. NaN for a class about which nothing is known. Only with
        ``return_std_error=True``.

    Raises
    ------
    ValueError
        If the shapes do not match, or there are fewer than two classes.

    Warns
    -----
    UndefinedMetricWarning
        If nothing can be estimated about a class: no sample has its label, or so few that the
        probabilities ignore it, as with a misspelt label. Its own samples are assumed to be
        labelled correctly. Its labels on samples that resemble another class count as wrong.

    See Also
    --------
    estimate_noise_rate : Estimate the share of wrong labels.
    robustlabels.UnhingedClassifier : Takes the matrix, as do BackwardCorrected and
        ForwardCorrected.

    Notes
    -----
    The confident joint [1]_ assigns a sample to the most probable class among those whose
    probability reaches the mean over the samples with that label. A sample that reaches no mean is
    not counted. The counts by label and assigned class, scaled to the number of labels of each
    class, estimate the joint distribution.

    If a chi-squared test at 5 % does not reject symmetric noise, the matrix is symmetric.
    Otherwise, if it finds no difference between the wrong labels of a class, these are taken to be
    equally probable. If both are rejected and there are three or more classes, the counts are
    repeated with the 70 % of the members of each class that have the largest margins, fewer of
    which are misplaced. The distribution over wrong labels in each row is then shrunk towards the
    uniform one by the intensity of [2]_.

    The estimate is valid if the noise depends on the class, the true class is its most frequent
    label, and the probabilities rank the samples well. It degrades as pair-flip noise approaches
    one half. Samples that are hard to classify count as wrong labels: a score that is corrected by
    this matrix is too high, see :class:`~robustlabels.CleanScores`.

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
            found, rows = _simplify(found, rows, *inner)
        unknown = _count_unknown_labels(codes, proba, known)
        rows = rows + unknown.sum(axis=1, keepdims=True)
        transition[np.ix_(known, known)] = found * (1 - unknown.sum(axis=1, keepdims=True) / rows)
        transition[np.ix_(known, ~known)] = unknown / rows
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
        The classes. None takes the sorted labels in `y_noisy`.

    Returns
    -------
    rate : float
        Estimated share of labels that differ from the true class. It is too high if classes are
        hard to separate: samples that are misclassified even with clean labels count as wrong.

    Raises
    ------
    ValueError
        If the shapes do not match, or there are fewer than two classes.

    Warns
    -----
    UndefinedMetricWarning
        If nothing can be estimated about a class, see :func:`estimate_transition_matrix`.

    See Also
    --------
    estimate_transition_matrix : Which classes are mistaken for which; when it is valid.

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
    return float((n_wrong + _count_unknown_labels(codes, proba, known).sum()) / len(codes))


def _check(
    y_noisy: ArrayLike, pred_proba: ArrayLike, labels: ArrayLike | None
) -> tuple[NDArray, NDArray, NDArray]:
    """Return labels as positions in the classes, probabilities, and the known classes."""
    codes, proba, classes = check_probabilities(y_noisy, pred_proba, labels, "pred_proba")
    n_classes = len(classes)
    if n_classes < 2:
        raise ValueError(
            f"Estimating the noise needs at least 2 classes. Got only {classes.tolist()}; pass "
            f"labels if there are classes that are not in y_noisy."
        )
    known = find_known_classes(codes, proba)
    if not known.all():
        numbers = np.bincount(codes, minlength=n_classes)
        warnings.warn(
            f"Nothing can be estimated about the classes {shorten(classes[~known])}, which have "
            f"{numbers[~known].sum()} of {len(codes)} labels: their predicted probabilities are "
            f"next to zero. They are left out of the noise. If these labels are misspelt, correct "
            f"them or drop the rows.",
            UndefinedMetricWarning,
            stacklevel=4,
        )
    return codes, proba, known


def find_known_classes(codes: NDArray, proba: NDArray) -> NDArray:
    """Return which classes the probabilities of the labels know, as booleans.

    A class is unknown if its mean predicted probability, over samples with its label, is below both
    0.1 / K and 3 times its label frequency. Its threshold would be so low that samples of all
    other classes would be assigned to it.
    """
    n_classes = proba.shape[1]
    numbers = np.bincount(codes, minlength=n_classes)
    least = np.minimum(
        _SETTINGS.known_share / n_classes, _SETTINGS.known_multiple * numbers / len(codes)
    )
    return (numbers > 0) & (_thresholds(codes, proba) >= least)


def restrict_to_known(codes: NDArray, proba: NDArray, known: NDArray) -> tuple[NDArray, NDArray]:
    """Return labels and probabilities of known classes, for the samples with such labels."""
    kept = known[codes]
    return (known.cumsum() - 1)[codes[kept]], proba[kept][:, known]


def _count_unknown_labels(codes: NDArray, proba: NDArray, known: NDArray) -> NDArray:
    """Count the members of each known class (row) with the label of each unknown one (column)."""
    kept = known[codes]
    thresholds = _thresholds(*restrict_to_known(codes, proba, known))
    member, confident = _assign_members(proba[~kept][:, known], thresholds)
    unknown = ((~known).cumsum() - 1)[codes[~kept]]
    counts = np.zeros((known.sum(), (~known).sum()))
    np.add.at(counts, (member[confident], unknown[confident]), 1)
    return counts


def _thresholds(codes: NDArray, proba: NDArray) -> NDArray:
    """Return the mean probability of each class over samples with its label; 0 for none."""
    n_classes = proba.shape[1]
    totals = np.bincount(codes, proba[np.arange(len(codes)), codes], minlength=n_classes)
    return totals / np.maximum(np.bincount(codes, minlength=n_classes), 1)


def _assign_members(proba: NDArray, thresholds: NDArray) -> tuple[NDArray, NDArray]:
    """Return the class of each sample, and whether its probability reaches any threshold."""
    # Probabilities that are equal up to rounding reach the threshold.
    reached = proba >= thresholds - 1e-6
    return np.where(reached, proba, -1.0).argmax(axis=1), np.any(reached, axis=1)


def _confident_joint(codes: NDArray, proba: NDArray, share: float = 1.0) -> NDArray:
    """Return the joint distribution of label (row) and estimated class (column).

    Only the given share of the members of each class, those with the largest margins, is counted.
    """
    n_classes = proba.shape[1]
    numbers = np.bincount(codes, minlength=n_classes)
    member, confident = _assign_members(proba, _thresholds(codes, proba))
    counts = np.zeros((n_classes, n_classes))
    others = proba.copy()
    others[np.arange(len(codes)), member] = -1.0
    margin = proba[np.arange(len(codes)), member] - others.max(axis=1)
    for k in range(n_classes):
        members = np.flatnonzero(confident & (member == k))
        n_counted = max(_SETTINGS.min_counted, int(np.ceil(share * len(members))))
        members = members[np.argsort(-margin[members], kind="stable")[:n_counted]]
        counts[:, k] = np.bincount(codes[members], minlength=n_classes)
    # A class without members is assumed to be labelled correctly.
    diagonal = np.arange(n_classes)
    counts[diagonal, diagonal] = np.maximum(counts[diagonal, diagonal], 1)
    joint = counts / counts.sum(axis=1, keepdims=True) * numbers[:, None]
    return joint / joint.sum()


def _transition_and_rows(joint: NDArray, codes: NDArray) -> tuple[NDArray, NDArray]:
    """Return the transition matrix, and the number of samples of each true class as a column."""
    of_class = joint.sum(axis=0)
    return (joint / of_class).T, np.maximum(len(codes) * of_class[:, None], 1.0)


def _simplify(
    transition: NDArray, rows: NDArray, codes: NDArray, proba: NDArray
) -> tuple[NDArray, NDArray]:
    """Return a matrix with fewer parameters if the data do not reject it, or a shrunk one."""
    n_classes = len(transition)
    wrong = ~np.eye(n_classes, dtype=bool)
    rates = 1 - transition.diagonal()[:, None]
    symmetric = symmetric_transition(n_classes, (rows * rates).sum() / rows.sum())
    if _fits(transition, symmetric, rows, n_classes * (n_classes - 1) - 1):
        return symmetric, rows
    if n_classes == 2:
        return transition, rows
    uniform = np.where(wrong, rates / (n_classes - 1), transition)
    if _fits(transition, uniform, rows, int(np.count_nonzero(rates)) * (n_classes - 2)):
        return uniform, rows
    joint = _confident_joint(codes, proba, _SETTINGS.counted_share)
    transition, rows = _transition_and_rows(joint, codes)
    return _shrink(transition, rows), rows


def _fits(transition: NDArray, model: NDArray, rows: NDArray, freedom: float) -> bool:
    """Return whether a chi-squared test does not reject a model of the matrix."""
    misfit = (transition - model) ** 2 / np.where(model > 0, model, 1.0)
    return chi2.sf((rows * misfit).sum(), freedom) > _SETTINGS.test_level


def _shrink(transition: NDArray, rows: NDArray) -> NDArray:
    """Shrink the distribution over wrong labels of each class towards the uniform one."""
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

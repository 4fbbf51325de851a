"""What scores on noisy labels say about clean ones, and how the noise is estimated."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls
from sklearn.metrics import confusion_matrix
from sklearn.utils import check_consistent_length

from .._validation.labels import check_labels, check_probabilities, encode_together
from .._validation.sklearn_private import StrOptions, _check_sample_weight, validate_params
from .._validation.transitions import check_correctable, check_transition
from ..refinement._confident_joint import estimate_noise_rate, estimate_transition_matrix
from ._label_quality import label_quality

__all__ = [
    "estimate_noise_rate",
    "estimate_transition_matrix",
    "forward_log_loss",
    "label_quality",
    "make_noise_corrected_scorer",
    "noise_corrected_accuracy",
    "noise_corrected_balanced_accuracy",
    "noise_corrected_confusion_matrix",
    "noise_corrected_difference",
    "noise_corrected_f1",
]


@validate_params(
    {
        "y_noisy": ["array-like"],
        "y_pred": ["array-like"],
        "transition_matrix": ["array-like"],
        "labels": ["array-like", None],
        "sample_weight": ["array-like", None],
        "groups": ["array-like", None],
        "return_std_error": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def noise_corrected_accuracy(
    y_noisy: ArrayLike,
    y_pred: ArrayLike,
    transition_matrix: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    return_std_error: bool = False,
) -> Any:
    r"""Estimate the accuracy on clean labels from noisy ones.

    .. math:: \hat{A} = \frac{1}{W} \sum_i w_i a_i, \qquad
        a_i = [T^{-1}]_{\tilde{y}_i, h(x_i)}, \qquad W = \sum_i w_i

    Parameters
    ----------
    y_noisy : array-like of shape (n_samples,)
        Noisy labels.
    y_pred : array-like of shape (n_samples,)
        Predictions of a classifier that has not seen these labels.
    transition_matrix : array-like of shape (n_classes, n_classes)
        ``transition_matrix[i, j]`` is the probability of the label j where the true class is
        i, the classes in the order of `labels`; in a data frame by the names of its rows and
        columns.
    labels : array-like of shape (n_classes,), default=None
        The classes. None takes the sorted ones of `y_noisy` and `y_pred` together.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the rows, not negative; None weighs all alike.
    groups : array-like of shape (n_samples,), default=None
        Rows that are not independent, such as those of one person, have the same value here. The
        standard error takes that into account.
    return_std_error : bool, default=False
        Whether to return the standard error also.

    Returns
    -------
    accuracy : float
        Unbiased estimate, which can lie outside of [0, 1] where it is uncertain.
    std_error : float
        Its standard error; the estimate plus and minus 1.96 of it is a 95 % confidence
        interval for many rows. Only with ``return_std_error=True``.

    Raises
    ------
    ValueError
        If the transition matrix is singular or does not fit the labels.

    Warns
    -----
    UndefinedMetricWarning
        If the transition matrix is nearly singular, so that the estimate is all variance.

    See Also
    --------
    robustlabels.CleanScores : All scores, with intervals, also where the noise is estimated.
    noise_corrected_difference : Which of two classifiers is better.
    make_noise_corrected_scorer : The same for GridSearchCV.

    Notes
    -----
    Valid where the noise depends on the true class alone, as the transition matrix says,
    given which the label is independent of the prediction. The matrix is taken for the truth: an
    error in it is one in the estimate, which the standard error leaves out. With an estimated
    matrix use :class:`~robustlabels.CleanScores`, which does not. Under symmetric noise the plain
    accuracy on noisy labels ranks classifiers the same way; under other noise it need not.

    The standard error is that of a weighted mean with weights that are fixed, over the n rows
    with a weight,

    .. math:: \sqrt{\frac{n}{n - 1} \sum_i \left(\frac{w_i}{W} (a_i - \hat{A})\right)^2},

    and with `groups` that of a mean over clusters [1]_: the terms of each group are added up
    before they are squared, and n is the number of groups, of which there should be dozens. A
    weight is no count of rows: doubling all weights leaves the error as it is.

    References
    ----------
    .. [1] Cameron and Miller, "A Practitioner's Guide to Cluster-Robust Inference", Journal of
       Human Resources 50(2), 2015.

    Examples
    --------
    >>> from robustlabels import symmetric_transition
    >>> from robustlabels.metrics import noise_corrected_accuracy
    >>> T = symmetric_transition(2, 0.2)
    >>> round(noise_corrected_accuracy([0, 0, 0, 1], [0, 0, 1, 1], T), 3)
    0.917
    """
    y_noisy, y_pred, labels = encode_together(labels, y_noisy=y_noisy, y_pred=y_pred)
    _, inverse = _invert(transition_matrix, labels)
    values = inverse[y_noisy, y_pred]
    return _mean_and_error(values, sample_weight, groups, return_std_error)


@validate_params(
    {
        "y_noisy": ["array-like"],
        "y_pred_a": ["array-like"],
        "y_pred_b": ["array-like"],
        "transition_matrix": ["array-like"],
        "labels": ["array-like", None],
        "sample_weight": ["array-like", None],
        "groups": ["array-like", None],
        "return_std_error": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def noise_corrected_difference(
    y_noisy: ArrayLike,
    y_pred_a: ArrayLike,
    y_pred_b: ArrayLike,
    transition_matrix: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    return_std_error: bool = True,
) -> Any:
    """Estimate by how much one classifier is more accurate on clean labels than another.

    Only rows on which they disagree contribute, so that the standard error is that of a paired
    comparison: less than two separate accuracies would suggest.

    Parameters
    ----------
    y_noisy : array-like of shape (n_samples,)
        Noisy labels.
    y_pred_a : array-like of shape (n_samples,)
        Predictions of the one.
    y_pred_b : array-like of shape (n_samples,)
        Predictions of the other.
    transition_matrix : array-like of shape (n_classes, n_classes)
        Probability of the label j where the true class is i, see
        :func:`noise_corrected_accuracy`.
    labels : array-like of shape (n_classes,), default=None
        The classes. None takes the sorted ones of all three together.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the rows, not negative; None weighs all alike.
    groups : array-like of shape (n_samples,), default=None
        Rows that are not independent, such as those of one person, have the same value here. The
        standard error takes that into account.
    return_std_error : bool, default=True
        Whether to return the standard error also.

    Returns
    -------
    difference : float
        Unbiased estimate of the accuracy of `a` less that of `b`.
    std_error : float
        Its standard error. Only with ``return_std_error=True``.

    Raises
    ------
    ValueError
        If the transition matrix is singular or does not fit the labels.

    Warns
    -----
    UndefinedMetricWarning
        If the transition matrix is nearly singular, so that the estimate is all variance.

    See Also
    --------
    noise_corrected_accuracy : The accuracy of one classifier, and when it is valid.

    Examples
    --------
    >>> from robustlabels import symmetric_transition
    >>> from robustlabels.metrics import noise_corrected_difference
    >>> T = symmetric_transition(2, 0.2)
    >>> difference, std_error = noise_corrected_difference(
    ...     [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 1, 1], T
    ... )
    >>> round(difference, 3), round(std_error, 3)
    (0.417, 0.417)
    """
    y_noisy, a, b, labels = encode_together(
        labels, y_noisy=y_noisy, y_pred_a=y_pred_a, y_pred_b=y_pred_b
    )
    _, inverse = _invert(transition_matrix, labels)
    values = inverse[y_noisy, a] - inverse[y_noisy, b]
    return _mean_and_error(values, sample_weight, groups, return_std_error)


@validate_params(
    {
        "y_noisy": ["array-like"],
        "y_pred": ["array-like"],
        "transition_matrix": ["array-like"],
        "labels": ["array-like", None],
        "sample_weight": ["array-like", None],
        "method": [StrOptions({"constrained", "inverse"})],
    },
    prefer_skip_nested_validation=True,
)
def noise_corrected_confusion_matrix(
    y_noisy: ArrayLike,
    y_pred: ArrayLike,
    transition_matrix: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    method: str = "constrained",
) -> NDArray:
    r"""Estimate the confusion matrix on clean labels from noisy ones.

    Parameters
    ----------
    y_noisy : array-like of shape (n_samples,)
        Noisy labels.
    y_pred : array-like of shape (n_samples,)
        Predictions of a classifier that has not seen these labels.
    transition_matrix : array-like of shape (n_classes, n_classes)
        Probability of the label j where the true class is i, see
        :func:`noise_corrected_accuracy`.
    labels : array-like of shape (n_classes,), default=None
        The classes. None takes the sorted ones of `y_noisy` and `y_pred` together.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the rows, not negative; None weighs all alike.
    method : {"constrained", "inverse"}, default="constrained"
        "inverse" is unbiased, and can have negative entries. "constrained" takes the nearest
        matrix without, by least squares, each column scaled to its number of predictions.

    Returns
    -------
    matrix : ndarray of shape (n_classes, n_classes)
        Entry (i, j) estimates the number of rows of true class i that are predicted as j, or
        their weight.

    Raises
    ------
    ValueError
        If the transition matrix is singular or does not fit the labels.

    Warns
    -----
    UndefinedMetricWarning
        If the transition matrix is nearly singular, so that the estimate is all variance.

    See Also
    --------
    noise_corrected_accuracy : The trace of the "inverse" as a share; when it is valid.

    Notes
    -----
    With the matrix :math:`\tilde{C}` of counts by noisy label and prediction it is the solution
    of :math:`T^\top C = \tilde{C}`.

    Examples
    --------
    >>> from robustlabels import symmetric_transition
    >>> from robustlabels.metrics import noise_corrected_confusion_matrix
    >>> T = symmetric_transition(2, 0.2)
    >>> y_noisy, y_pred = [0] * 8 + [1] * 2 + [0] * 2 + [1] * 8, [0] * 10 + [1] * 10
    >>> noise_corrected_confusion_matrix(y_noisy, y_pred, T).round(6) + 0.0
    array([[10.,  0.],
           [ 0., 10.]])
    """
    y_noisy, y_pred, labels = encode_together(labels, y_noisy=y_noisy, y_pred=y_pred)
    transition, inverse = _invert(transition_matrix, labels)
    counts = confusion_matrix(
        y_noisy,
        y_pred,
        labels=np.arange(len(labels)),
        sample_weight=_check_weight(sample_weight, y_noisy),
    )
    if method == "inverse":
        return inverse.T @ counts
    columns = np.stack([nnls(transition.T, column.astype(float))[0] for column in counts.T], axis=1)
    totals = columns.sum(axis=0)
    return columns * counts.sum(axis=0) / np.where(totals > 0, totals, 1.0)


def noise_corrected_balanced_accuracy(
    y_noisy: ArrayLike,
    y_pred: ArrayLike,
    transition_matrix: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Estimate the balanced accuracy on clean labels from noisy ones.

    Parameters
    ----------
    y_noisy : array-like of shape (n_samples,)
        Noisy labels.
    y_pred : array-like of shape (n_samples,)
        Predictions of a classifier that has not seen these labels.
    transition_matrix : array-like of shape (n_classes, n_classes)
        Probability of the label j where the true class is i, see
        :func:`noise_corrected_accuracy`.
    labels : array-like of shape (n_classes,), default=None
        The classes. None takes the sorted ones of `y_noisy` and `y_pred` together.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the rows, not negative; None weighs all alike.

    Returns
    -------
    score : float
        Mean over the classes of the estimated share of their rows that is recognised. Classes
        of which no true row is estimated to exist are left out.

    Raises
    ------
    ValueError
        If the transition matrix is singular or does not fit the labels.

    See Also
    --------
    noise_corrected_confusion_matrix : What it is computed from, with method="constrained".

    Examples
    --------
    >>> from robustlabels import symmetric_transition
    >>> from robustlabels.metrics import noise_corrected_balanced_accuracy
    >>> T = symmetric_transition(2, 0.2)
    >>> y_noisy, y_pred = [0] * 8 + [1] * 2 + [0] * 2 + [1] * 8, [0] * 10 + [1] * 10
    >>> round(noise_corrected_balanced_accuracy(y_noisy, y_pred, T), 6)
    1.0
    """
    matrix = noise_corrected_confusion_matrix(
        y_noisy, y_pred, transition_matrix, labels=labels, sample_weight=sample_weight
    )
    # The least squares leave rounding errors where there is nothing.
    there = matrix.sum(axis=1) > 1e-9 * matrix.sum()
    return float(np.mean(matrix.diagonal()[there] / matrix.sum(axis=1)[there]))


def noise_corrected_f1(
    y_noisy: ArrayLike,
    y_pred: ArrayLike,
    transition_matrix: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Estimate the macro-averaged F1 score on clean labels from noisy ones.

    Parameters
    ----------
    y_noisy : array-like of shape (n_samples,)
        Noisy labels.
    y_pred : array-like of shape (n_samples,)
        Predictions of a classifier that has not seen these labels.
    transition_matrix : array-like of shape (n_classes, n_classes)
        Probability of the label j where the true class is i, see
        :func:`noise_corrected_accuracy`.
    labels : array-like of shape (n_classes,), default=None
        The classes. None takes the sorted ones of `y_noisy` and `y_pred` together.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the rows, not negative; None weighs all alike.

    Returns
    -------
    score : float
        Mean over the classes of ``2 * hits / (true rows + predicted rows)``. Classes with
        neither are left out.

    Raises
    ------
    ValueError
        If the transition matrix is singular or does not fit the labels.

    See Also
    --------
    noise_corrected_confusion_matrix : What it is computed from, with method="constrained".

    Examples
    --------
    >>> from robustlabels import symmetric_transition
    >>> from robustlabels.metrics import noise_corrected_f1
    >>> T = symmetric_transition(2, 0.2)
    >>> y_noisy, y_pred = [0] * 8 + [1] * 2 + [0] * 2 + [1] * 8, [0] * 10 + [1] * 10
    >>> round(noise_corrected_f1(y_noisy, y_pred, T), 6)
    1.0
    """
    matrix = noise_corrected_confusion_matrix(
        y_noisy, y_pred, transition_matrix, labels=labels, sample_weight=sample_weight
    )
    both = matrix.sum(axis=0) + matrix.sum(axis=1)
    there = both > 1e-9 * matrix.sum()
    return float(np.mean(2 * matrix.diagonal()[there] / both[there]))


def make_noise_corrected_scorer(transition_matrix: ArrayLike) -> Callable[..., float]:
    """Make a scorer that estimates the accuracy on clean labels from noisy ones.

    Parameters
    ----------
    transition_matrix : array-like of shape (n_classes, n_classes)
        Probability of the label j where the true class is i, the classes in sorted order.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y_noisy, sample_weight=None)``, for the parameter `scoring` of
        scikit-learn's searches and cross-validation. The classes are those the estimator was
        fitted to, which must be all: stratify the folds where some are rare.

    Raises
    ------
    ValueError
        When it is called, if the transition matrix is singular or does not fit the classes.

    See Also
    --------
    noise_corrected_accuracy : What it computes, and when it is valid.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from robustlabels import UnhingedClassifier, corrupt_labels, pair_transition
    >>> from robustlabels.metrics import make_noise_corrected_scorer
    >>> X, y = load_iris(return_X_y=True)
    >>> T = pair_transition(3, 0.3)
    >>> y_noisy = corrupt_labels(y, T, random_state=0)
    >>> search = GridSearchCV(
    ...     UnhingedClassifier(transition_matrix=T),
    ...     {"alpha": [0.01, 0.1, 1.0]},
    ...     scoring=make_noise_corrected_scorer(T),
    ... ).fit(X, y_noisy)
    >>> search.best_estimator_.score(X, y) > 0.8
    True
    """
    return functools.partial(_corrected_score, transition_matrix=transition_matrix)


def _corrected_score(estimator, X, y, sample_weight=None, *, transition_matrix):
    return noise_corrected_accuracy(
        y,
        estimator.predict(X),
        transition_matrix,
        labels=estimator.classes_,
        sample_weight=sample_weight,
    )


@validate_params(
    {
        "y_noisy": ["array-like"],
        "y_proba": ["array-like"],
        "transition_matrix": ["array-like"],
        "labels": ["array-like", None],
        "sample_weight": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
@np.errstate(under="ignore")  # what becomes 0 may, even where users have made it an error
def forward_log_loss(
    y_noisy: ArrayLike,
    y_proba: ArrayLike,
    transition_matrix: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Log loss of noisy labels under clean class probabilities and known noise.

    .. math:: -\frac{1}{\sum_i w_i} \sum_i w_i \log \sum_k p_{ik} T_{k \tilde{y}_i}

    Parameters
    ----------
    y_noisy : array-like of shape (n_samples,)
        Noisy labels.
    y_proba : array-like of shape (n_samples, n_classes)
        Predicted probabilities of the clean classes, the classes in the order of `labels`, or in
        a data frame by the names of its columns.
    transition_matrix : array-like of shape (n_classes, n_classes)
        Probability of the label j where the true class is i.
    labels : array-like of shape (n_classes,), default=None
        The classes. None takes the sorted ones of `y_noisy`.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the rows, not negative; None weighs all alike.

    Returns
    -------
    loss : float
        The lower the better. Least, in expectation, for the true clean probabilities; it is
        not an estimate of the log loss on clean labels.

    Raises
    ------
    ValueError
        If the shapes do not fit, or probabilities are negative or do not sum to 1.

    See Also
    --------
    noise_corrected_accuracy : An unbiased estimate on clean labels.

    Examples
    --------
    >>> from robustlabels import symmetric_transition
    >>> from robustlabels.metrics import forward_log_loss
    >>> T = symmetric_transition(2, 0.2)
    >>> round(forward_log_loss([0, 1], [[1.0, 0.0], [0.5, 0.5]], T), 4)
    0.4581
    """
    codes, proba, labels = check_probabilities(y_noisy, y_proba, labels, "y_proba")
    transition = check_transition(transition_matrix, len(labels), labels)
    likelihood = (proba @ transition)[np.arange(len(codes)), codes]
    losses = -np.log(np.maximum(likelihood, np.finfo(float).tiny))
    return float(np.average(losses, weights=_check_weight(sample_weight, codes)))


def _invert(transition_matrix, classes):
    """Return a checked transition matrix, and its inverse."""
    transition = check_correctable(transition_matrix, classes)
    return transition, np.linalg.inv(transition)


def _check_weight(sample_weight, rows):
    """Return checked weights of rows, or None."""
    if sample_weight is None:
        return None
    weight = _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
    if not weight.any():
        raise ValueError("All sample weights are zero: there is no row to score.")
    return weight


def _mean_and_error(values, sample_weight, groups, return_std_error):
    weight = _check_weight(sample_weight, values)
    mean = float(np.average(values, weights=weight))
    if not return_std_error:
        return mean
    counts = np.ones(len(values), dtype=bool) if weight is None else weight > 0
    terms = (values - mean) * (1 / len(values) if weight is None else weight / weight.sum())
    if groups is None:
        n = np.count_nonzero(counts)
    else:
        groups = check_labels(groups, "groups")
        check_consistent_length(values, groups)
        names, codes = np.unique(groups[counts], return_inverse=True)
        n, terms = len(names), np.bincount(codes, terms[counts])
    if n < 2:
        raise ValueError("A standard error needs two rows at least, or two groups.")
    return mean, float(np.sqrt(n / (n - 1) * (terms @ terms)))

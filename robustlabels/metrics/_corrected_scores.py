"""Scores on clean labels, estimated from noisy labels under a known transition matrix."""

from functools import reduce
from operator import sub
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls
from sklearn.base import BaseEstimator
from sklearn.metrics import confusion_matrix
from sklearn.utils import check_consistent_length
from sklearn.utils.metadata_routing import UNUSED

from .._typing import Features
from .._validation.labels import check_labels, check_probabilities, encode_together
from .._validation.sklearn_private import StrOptions, _check_sample_weight, validate_params
from .._validation.transitions import check_correctable, check_transition


def _balanced_accuracy(matrix):
    """Return the mean recall over the classes that have true samples."""
    # Least squares leave rounding errors in rows that are zero.
    present = matrix.sum(axis=1) > 1e-9 * matrix.sum()
    return np.mean(matrix.diagonal()[present] / matrix.sum(axis=1)[present])


def _f1(matrix):
    """Return the mean F1 score over the classes that have true or predicted samples."""
    both = matrix.sum(axis=0) + matrix.sum(axis=1)
    present = both > 1e-9 * matrix.sum()
    return np.mean(2 * matrix.diagonal()[present] / both[present])


#: Metrics as functions of the confusion matrix on clean labels, with the true classes in its rows.
#: Accuracy is not among them: it is a mean over samples, which has an unbiased estimate.
_METRICS = {"balanced_accuracy": _balanced_accuracy, "f1": _f1}

#: What the parameters of the functions below may be.
_CONSTRAINTS = {
    "y_noisy": ["array-like"],
    "y_pred": ["array-like"],
    "y_proba": ["array-like"],
    "transition_matrix": ["array-like"],
    "metric": [StrOptions({"accuracy", *_METRICS})],
    "method": [StrOptions({"constrained", "inverse"})],
    "y_pred_baseline": ["array-like", None],
    "labels": ["array-like", None],
    "sample_weight": ["array-like", None],
    "groups": ["array-like", None],
    "return_std_error": ["boolean"],
}


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def noise_corrected_score(
    y_noisy: ArrayLike,
    y_pred: ArrayLike,
    transition_matrix: ArrayLike,
    *,
    metric: str = "accuracy",
    y_pred_baseline: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    return_std_error: bool = False,
) -> Any:
    r"""Estimate a score on clean labels from noisy ones.

    Parameters
    ----------
    y_noisy : array-like of shape (n_samples,)
        Noisy labels.
    y_pred : array-like of shape (n_samples,)
        Predictions of a classifier that was not trained on these labels.
    transition_matrix : array-like of shape (n_classes, n_classes)
        The known noise: ``transition_matrix[i, j]`` is the probability of label j if the true
        class is i. Classes are in the order of `labels`, or named by a data frame.
    metric : {"accuracy", "balanced_accuracy", "f1"}, default="accuracy"
        The score. "balanced_accuracy" is the mean recall over the classes estimated to occur, "f1"
        the macro average over those that occur or are predicted.
    y_pred_baseline : array-like of shape (n_samples,), default=None
        Predictions of a second classifier, whose score is subtracted.
    labels : array-like of shape (n_classes,), default=None
        The classes. None takes the sorted classes found in the labels and predictions.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Non-negative sample weights; None weights all samples equally.
    groups : array-like of shape (n_samples,), default=None
        Group of each sample, such as the person it belongs to, for the standard error.
    return_std_error : bool, default=False
        Whether to return the standard error, too. Only for ``metric="accuracy"``.

    Returns
    -------
    score : float
        The estimate. For "accuracy" it is unbiased and can lie outside [0, 1].
    std_error : float
        Its standard error. Only with ``return_std_error=True``.

    Raises
    ------
    ValueError
        If the transition matrix is singular or does not fit the labels, or if a standard error or
        `groups` are not available in this combination.

    Warns
    -----
    UndefinedMetricWarning
        If the transition matrix is nearly singular, which makes the variance very large.

    See Also
    --------
    robustlabels.CleanScores : All scores with intervals, also for estimated noise.
    make_noise_corrected_scorer : The same score for GridSearchCV.

    Notes
    -----
    The estimates assume that the noisy label depends only on the true class, with the given
    probabilities. If the matrix is estimated, use :class:`~robustlabels.CleanScores`: the standard
    error here ignores errors of the matrix.

    The accuracy and its standard error, that of a weighted mean over the n samples with positive
    weight, are

    .. math:: \hat{A} = \sum_i \frac{w_i}{W} a_i, \qquad a_i = [T^{-1}]_{\tilde{y}_i, h(x_i)},
        \qquad W = \sum_i w_i, \qquad
        \sqrt{\frac{n}{n - 1} \sum_i \left(\frac{w_i}{W} (a_i - \hat{A})\right)^2}.

    With `groups` the error is cluster-robust [1]_: terms are summed within each group before
    squaring, and n is the number of groups, which should be dozens. Weights are not counts:
    doubling all of them leaves the error unchanged. With `y_pred_baseline` the comparison is
    paired, and :math:`a_i` is a difference. Other metrics are computed from
    :func:`noise_corrected_confusion_matrix`, "constrained".

    References
    ----------
    .. [1] Cameron and Miller, "A Practitioner's Guide to Cluster-Robust Inference", Journal of
       Human Resources 50(2), 2015.

    Examples
    --------
    >>> from robustlabels.noise import symmetric_transition
    >>> from robustlabels.metrics import noise_corrected_score
    >>> T = symmetric_transition(2, 0.2)
    >>> round(noise_corrected_score([0, 0, 0, 1], [0, 0, 1, 1], T), 3)
    0.917
    """
    if return_std_error and metric != "accuracy":
        raise ValueError(
            f"return_std_error=True is only available for metric='accuracy', got {metric!r}. "
            f"robustlabels.CleanScores has intervals for balanced accuracy and recalls."
        )
    if groups is not None and not return_std_error:
        raise ValueError("groups only affects the standard error: pass return_std_error=True.")
    columns = {"y_noisy": y_noisy, "y_pred": y_pred}
    if y_pred_baseline is not None:
        columns["y_pred_baseline"] = y_pred_baseline
    y_noisy, *predictions, labels = encode_together(labels, **columns)
    transition, inverse = _invert(transition_matrix, labels)
    weight = _check_weight(sample_weight, y_noisy)
    if metric == "accuracy":
        values = reduce(sub, [inverse[y_noisy, codes] for codes in predictions])
        return _mean_and_error(values, weight, groups, return_std_error)
    counts = [count_labels(y_noisy, codes, len(labels), weight) for codes in predictions]
    return float(reduce(sub, [_METRICS[metric](clean_counts(c, transition)) for c in counts]))


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
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

    It solves :math:`T^\top C = \tilde{C}`, with :math:`\tilde{C}` the counts by noisy label and
    prediction.

    Parameters
    ----------
    y_noisy : array-like of shape (n_samples,)
        Noisy labels.
    y_pred : array-like of shape (n_samples,)
        Predictions of a classifier that was not trained on these labels.
    transition_matrix : array-like of shape (n_classes, n_classes)
        Probability of label j if the true class is i, see :func:`noise_corrected_score`.
    labels : array-like of shape (n_classes,), default=None
        The classes. None takes the sorted classes found in `y_noisy` and `y_pred`.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Non-negative sample weights; None weights all samples equally.
    method : {"constrained", "inverse"}, default="constrained"
        "inverse" is unbiased and can have negative entries. "constrained" is the non-negative
        least-squares solution, with each column scaled to its number of predictions.

    Returns
    -------
    matrix : ndarray of shape (n_classes, n_classes)
        Entry (i, j) estimates the weight of the samples with true class i and prediction j.

    Raises
    ------
    ValueError
        If the transition matrix is singular or does not fit the labels.

    See Also
    --------
    noise_corrected_score : Scores, and the assumptions they need.

    Examples
    --------
    >>> from robustlabels.noise import symmetric_transition
    >>> from robustlabels.metrics import noise_corrected_confusion_matrix
    >>> T = symmetric_transition(2, 0.2)
    >>> y_noisy, y_pred = [0] * 8 + [1] * 2 + [0] * 2 + [1] * 8, [0] * 10 + [1] * 10
    >>> noise_corrected_confusion_matrix(y_noisy, y_pred, T).round(6) + 0.0
    array([[10.,  0.],
           [ 0., 10.]])
    """
    y_noisy, y_pred, labels = encode_together(labels, y_noisy=y_noisy, y_pred=y_pred)
    transition, inverse = _invert(transition_matrix, labels)
    counts = count_labels(y_noisy, y_pred, len(labels), _check_weight(sample_weight, y_noisy))
    if method == "inverse":
        return inverse.T @ counts
    return clean_counts(counts, transition)


def count_labels(y_noisy, y_pred, n_classes, weight=None):
    """Return the counts, or weights, by noisy label and prediction."""
    return confusion_matrix(y_noisy, y_pred, labels=np.arange(n_classes), sample_weight=weight)


def clean_counts(counts, transition):
    """Return non-negative counts by true class and prediction."""
    columns = np.stack([nnls(transition.T, column.astype(float))[0] for column in counts.T], axis=1)
    totals = columns.sum(axis=0)
    return columns * counts.sum(axis=0) / np.where(totals > 0, totals, 1.0)


class NoiseCorrectedScorer(BaseEstimator):
    """A scorer with the repr, the parameters and the metadata requests of ``BaseEstimator``."""

    # The first argument of `score` is not metadata.
    __metadata_request__score = {"estimator": UNUSED}

    def __init__(self, transition_matrix: ArrayLike, metric: str = "accuracy") -> None:
        self.transition_matrix = transition_matrix
        self.metric = metric

    def score(
        self, estimator: Any, X: Features, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the score of a fitted classifier."""
        y_pred, classes, T = estimator.predict(X), estimator.classes_, self.transition_matrix
        score: float = noise_corrected_score(
            y, y_pred, T, metric=self.metric, labels=classes, sample_weight=sample_weight
        )
        return score

    __call__ = score


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def make_noise_corrected_scorer(
    transition_matrix: ArrayLike, metric: str = "accuracy"
) -> NoiseCorrectedScorer:
    """Make a scorer that estimates a score on clean labels from noisy ones.

    Parameters
    ----------
    transition_matrix : array-like of shape (n_classes, n_classes)
        Probability of label j if the true class is i, with the classes in sorted order.
    metric : str, default="accuracy"
        The score, any `metric` of :func:`noise_corrected_score`.

    Returns
    -------
    scorer : callable
        Called as ``scorer(estimator, X, y_noisy, sample_weight=None)``. ``set_score_request``
        routes weights to it. The estimator must know all classes: stratify folds if some are rare.

    See Also
    --------
    noise_corrected_score : The score, its assumptions, and further errors.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import cross_val_score
    >>> from robustlabels import UnhingedClassifier, corrupt_labels
    >>> from robustlabels.noise import pair_transition
    >>> from robustlabels.metrics import make_noise_corrected_scorer
    >>> X, y = load_iris(return_X_y=True)
    >>> T = pair_transition(3, 0.3)
    >>> y_noisy = corrupt_labels(y, T, random_state=0)
    >>> scorer = make_noise_corrected_scorer(T)
    >>> bool(cross_val_score(UnhingedClassifier(), X, y_noisy, scoring=scorer).mean() > 0.8)
    True
    """
    return NoiseCorrectedScorer(transition_matrix, metric)


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
@np.errstate(under="ignore")  # underflow to 0 is harmless, even if the user made it an error
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
        Predicted probabilities of the true classes, in the order of `labels`; the columns of a
        data frame name the classes.
    transition_matrix : array-like of shape (n_classes, n_classes)
        Probability of label j if the true class is i.
    labels : array-like of shape (n_classes,), default=None
        The classes. None takes the sorted classes of `y_noisy`.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Non-negative sample weights; None weights all samples equally.

    Returns
    -------
    loss : float
        Lower is better. The true clean probabilities minimise its expectation; it does not estimate
        the log loss on clean labels.

    Raises
    ------
    ValueError
        If the shapes do not fit, or if probabilities are negative or do not sum to 1.

    See Also
    --------
    noise_corrected_score : Estimates of scores on clean labels.

    Examples
    --------
    >>> from robustlabels.noise import symmetric_transition
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
    """Return a checked transition matrix and its inverse."""
    transition = check_correctable(transition_matrix, classes)
    return transition, np.linalg.inv(transition)


def _check_weight(sample_weight, samples):
    """Return checked sample weights, or None."""
    if sample_weight is None:
        return None
    weight = _check_sample_weight(sample_weight, samples, dtype=float, ensure_non_negative=True)
    if not weight.any():
        raise ValueError("All sample weights are zero: there is no sample to score.")
    return weight


def _mean_and_error(values, weight, groups, return_std_error):
    """Return the weighted mean, and its standard error if requested."""
    mean = float(np.average(values, weights=weight))
    if not return_std_error:
        return mean
    counted = np.ones(len(values), dtype=bool) if weight is None else weight > 0
    terms = (values - mean) * (1 / len(values) if weight is None else weight / weight.sum())
    if groups is None:
        n = np.count_nonzero(counted)
    else:
        groups = check_labels(groups, "groups")
        check_consistent_length(values, groups)
        names, codes = np.unique(groups[counted], return_inverse=True)
        n, terms = len(names), np.bincount(codes, terms[counted])
    if n < 2:
        raise ValueError("A standard error needs at least two samples, or two groups.")
    return mean, float(np.sqrt(n / (n - 1) * (terms @ terms)))

"""label_quality: a score of each label by a classifier that was not trained on it."""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import cross_val_predict
from sklearn.utils.multiclass import check_classification_targets

from .._fitting import fresh_random_state
from .._inner.folds import make_folds, weight_params
from .._typing import Features, Seed
from .._validation.labels import check_labels, encode, find_classes
from .._validation.sklearn_private import HasMethods, validate_params


@validate_params(
    {
        "estimator": [HasMethods(["fit", "predict"])],
        "sample_weight": ["array-like", None],
        "groups": ["array-like", None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=False,
)
def label_quality(
    estimator: Any,
    X: Features,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    cv: Any = 5,
    n_jobs: int | None = None,
    random_state: Seed = None,
) -> tuple[NDArray, NDArray]:
    """Score each label with a classifier that was not trained on it.

    Sort by the score to look at the most doubtful labels first.

    Parameters
    ----------
    estimator : classifier
        A robust classifier, such as :class:`~robustlabels.RobustClassifier`.
    X : array-like of shape (n_samples, n_features)
        Samples.
    y : array-like of shape (n_samples,)
        Labels, some of them wrong.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Non-negative sample weights for the fits. With metadata routing the classifier must request
        them.
    groups : array-like of shape (n_samples,), default=None
        Group of each sample, such as the person it belongs to. No group is split over folds.
    cv : int or cross-validation splitter, default=5
        Folds. An int shuffles stratified folds, which keep `groups` together if given.
    n_jobs : int or None, default=None
        Number of folds that are fitted in parallel.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds. It does not affect the estimator.

    Returns
    -------
    quality : ndarray of shape (n_samples,)
        Score of the label minus the largest score of another class: negative where the classifier
        suggests another label, 0 where two classes tie. With ``decision_function`` it is divided by
        the median of the absolute differences. Otherwise, with ``predict_proba``, it is between -1
        and 1.
    suggested : ndarray of shape (n_samples,)
        The label that the classifier suggests.

    Raises
    ------
    ValueError
        If the data are invalid, or the classifier has neither method.

    See Also
    --------
    robustlabels.find_wrong_labels : Probabilities that labels are wrong, and their number.

    Notes
    -----
    A low score is a reason to look, not a proof. Hard samples get one as well. A class that some
    folds have not seen counts there with probability 0, or with the lowest score of any class.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from robustlabels import UnhingedClassifier, corrupt_labels
    >>> from robustlabels.metrics import label_quality
    >>> X, y = load_digits(return_X_y=True)
    >>> y_noisy, wrong = corrupt_labels(y, "pair", 0.1, random_state=0, return_mask=True)
    >>> quality, suggested = label_quality(UnhingedClassifier(), X, y_noisy, random_state=0)
    >>> bool(wrong[quality.argsort()[:50]].mean() > 0.9)
    True
    """
    labels = check_labels(y)
    check_classification_targets(labels)
    classes = find_classes(labels)
    methods = [m for m in ("decision_function", "predict_proba") if hasattr(estimator, m)]
    if not methods:
        raise ValueError(f"{estimator!r} needs decision_function or predict_proba.")
    shapes = [v for k, v in estimator.get_params().items() if k.endswith("decision_function_shape")]
    if methods[0] == "decision_function" and "ovo" in shapes:
        raise ValueError("A score for each class is needed: use 'ovr' as decision_function_shape.")
    if len(classes) < 2:
        raise ValueError(f"label_quality needs at least 2 classes. Got {classes.tolist()}.")
    weights = weight_params(estimator, sample_weight, labels)
    seed = fresh_random_state(random_state).randint(np.iinfo(np.int32).max)
    folds = make_folds(cv, X, labels, groups, seed)
    scores = cross_val_predict(
        estimator, X, labels, cv=folds, n_jobs=n_jobs, method=methods[0], params=weights
    )
    if scores.ndim == 1:
        scores = np.column_stack([np.zeros(len(scores)), scores])
    if scores.shape[1] != len(classes):
        of_each = f"{scores.shape[1]} columns for {len(classes)} classes"
        raise ValueError(f"label_quality needs a score for each class. Got {of_each}.")
    # What cross_val_predict fills in for a class that the fold has not seen, or -inf.
    unseen = scores <= np.finfo(scores.dtype if scores.dtype.kind == "f" else float).min
    if unseen.any() and not unseen.all():
        scores = np.where(unseen, scores[~unseen].min(), scores)
    largest = np.finfo(np.float64).max / 4
    scores = np.clip(scores.astype(np.float64), -largest, largest)
    codes, rows, others = encode(labels, classes), np.arange(len(labels)), scores.copy()
    others[rows, codes] = -np.inf
    quality = scores[rows, codes] - others.max(axis=1)
    if methods[0] == "decision_function":
        quality = quality / (np.median(np.abs(quality)) or 1.0)
    return quality, classes[np.where(quality >= 0, codes, others.argmax(axis=1))]

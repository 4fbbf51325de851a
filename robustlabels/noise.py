"""Label noise: transition matrices and the labels they corrupt."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_array, column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from ._random_state import draw_from

__all__ = ["corrupt_labels", "pair_transition", "symmetric_transition"]

_RATE = Interval(Real, 0, 1, closed="both")

_check_arguments = validate_params(
    {"n_classes": [Interval(Integral, 2, None, closed="left")], "noise_rate": [_RATE]},
    prefer_skip_nested_validation=True,
)


@_check_arguments
def symmetric_transition(n_classes, noise_rate):
    """Transition matrix of symmetric noise: a wrong label is any other class alike.

    Parameters
    ----------
    n_classes : int
        Number of classes K, 2 at least.
    noise_rate : float in [0, 1]
        Probability that a label is wrong.

    Returns
    -------
    transition : ndarray of shape (n_classes, n_classes)
        ``transition[i, j]`` is the probability of label j where the true class is i:
        ``1 - noise_rate`` on the diagonal, ``noise_rate / (n_classes - 1)`` beside it.

    Raises
    ------
    ValueError
        If there are fewer than two classes, or the rate is no probability.

    See Also
    --------
    corrupt_labels : Draw noisy labels.

    Examples
    --------
    >>> from robustlabels import symmetric_transition
    >>> symmetric_transition(3, 0.2)
    array([[0.8, 0.1, 0.1],
           [0.1, 0.8, 0.1],
           [0.1, 0.1, 0.8]])
    """
    transition = np.full((n_classes, n_classes), noise_rate / (n_classes - 1))
    np.fill_diagonal(transition, 1 - noise_rate)
    return transition


@_check_arguments
def pair_transition(n_classes, noise_rate):
    """Transition matrix of pair-flip noise: each class is mistaken for the next one.

    Parameters
    ----------
    n_classes : int
        Number of classes K, 2 at least.
    noise_rate : float in [0, 1]
        Probability that a label is wrong.

    Returns
    -------
    transition : ndarray of shape (n_classes, n_classes)
        ``transition[i, j]`` is the probability of label j where the true class is i:
        ``1 - noise_rate`` on the diagonal, ``noise_rate`` to the right of it, and in the
        last row at the first class.

    Raises
    ------
    ValueError
        If there are fewer than two classes, or the rate is no probability.

    See Also
    --------
    corrupt_labels : Draw noisy labels.

    Examples
    --------
    >>> from robustlabels import pair_transition
    >>> pair_transition(3, 0.2)
    array([[0.8, 0.2, 0. ],
           [0. , 0.8, 0.2],
           [0.2, 0. , 0.8]])
    """
    same = np.eye(n_classes)
    return (1 - noise_rate) * same + noise_rate * np.roll(same, 1, axis=1)


_TRANSITIONS = {"symmetric": symmetric_transition, "pair": pair_transition}


@validate_params(
    {
        "noise": [StrOptions(set(_TRANSITIONS)), "array-like"],
        "noise_rate": [_RATE, None],
        "random_state": ["random_state"],
        "return_mask": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def corrupt_labels(y, noise="symmetric", noise_rate=None, *, random_state=None, return_mask=False):
    """Replace labels by wrong ones, as a transition matrix says.

    Every label is drawn independently, from its true class, all at once: no label is flipped
    twice. Use it on training labels only and score on clean ones.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        True labels of any kind.
    noise : {"symmetric", "pair"} or array-like of shape (n_classes, n_classes), \
            default="symmetric"
        "symmetric": a wrong label is any other class alike. "pair": it is the next class in
        sorted order, after the last the first. A matrix: ``noise[i, j]`` is the probability
        of the j-th class where the i-th is true, the classes in sorted order; rows sum to 1.
    noise_rate : float in [0, 1] or None, default=None
        Probability that a label is wrong, P(noisy label != true label). Needed for a noise
        given by name, and part of the noise given as a matrix, where it must be None.
    random_state : int, RandomState instance or None, default=None
        Where the labels are drawn from. An int gives the same labels every time. None draws
        fresh entropy, it does not follow ``np.random.seed``.
    return_mask : bool, default=False
        Whether to return also which labels are wrong.

    Returns
    -------
    y_noisy : ndarray or Series of shape (n_samples,)
        Noisy labels in the dtype of `y`; a pandas Series where `y` is one, with its index.
    mask : ndarray of bool, shape (n_samples,)
        True where the label is wrong. Only with ``return_mask=True``.

    Raises
    ------
    ValueError
        If there are fewer than two classes, the matrix has another shape than they ask for or
        rows that are no distributions, or `noise_rate` is missing or superfluous.

    See Also
    --------
    symmetric_transition : The matrix behind "symmetric".
    pair_transition : The matrix behind "pair".

    Notes
    -----
    The share of wrong labels varies from draw to draw, with standard deviation
    ``sqrt(noise_rate * (1 - noise_rate) / n_samples)`` for the named kinds. From
    ``1 - 1 / n_classes`` on, symmetric noise leaves nothing to learn.

    Examples
    --------
    >>> from robustlabels import corrupt_labels
    >>> corrupt_labels(["ham", "spam", "ham", "ham"], "symmetric", 0.5, random_state=0)
    array(['spam', 'spam', 'spam', 'spam'], dtype='<U4')
    """
    # check_array refuses an empty y and missing labels, which np.unique would take for a class.
    labels = check_array(column_or_1d(y, warn=True), ensure_2d=False, dtype=None, input_name="y")
    if labels.dtype == object and any(label is None for label in labels):
        raise ValueError("y has missing labels (None). Drop those rows first.")
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"Label noise needs at least 2 classes to confuse. Got only {classes.tolist()}."
        )
    by_name = isinstance(noise, str)
    if by_name == (noise_rate is None):
        raise ValueError(
            f"noise={noise!r} needs a noise_rate, such as 0.2."
            if by_name
            else f"A transition matrix holds its own rate. Leave out noise_rate={noise_rate!r}."
        )
    if by_name:
        transition = _TRANSITIONS[noise](len(classes), noise_rate)
    else:
        transition = check_transition(noise, len(classes))

    uniform = draw_from(random_state).uniform(size=len(codes))
    noisy = np.empty_like(codes)
    for code, row in enumerate(transition):
        rows = codes == code
        # The last edge is 1 whatever the rounding of the sum, so that no draw lies beyond it.
        noisy[rows] = np.searchsorted(row.cumsum()[:-1], uniform[rows], side="right")
    y_noisy = classes[noisy]
    if hasattr(y, "iloc"):
        series = y.iloc[:, 0] if y.ndim == 2 else y
        y_noisy = type(series)(y_noisy, index=y.index, name=series.name, dtype=series.dtype)
    return (y_noisy, noisy != codes) if return_mask else y_noisy


def check_transition(transition, n_classes):
    """Return a transition matrix as a float64 array, or say what is wrong with it."""
    transition = np.asarray(transition, dtype=float)
    if transition.shape != (n_classes, n_classes):
        raise ValueError(
            f"The transition matrix must have shape ({n_classes}, {n_classes}), a row and a "
            f"column for each class. Got shape {transition.shape}."
        )
    if not (transition >= 0).all() or not np.allclose(transition.sum(axis=1), 1):
        raise ValueError(
            f"Each row of the transition matrix must be a probability distribution: "
            f"transition[i, j] = P(noisy label j | true class i). Got row sums "
            f"{transition.sum(axis=1).tolist()} and a least entry of {transition.min()}."
        )
    return transition

"""Transition matrices: the probability of each noisy label, given the true class."""

from collections.abc import Collection, Mapping
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._fitting import fresh_random_state
from .._typing import Seed
from .._validation.labels import align, check_labels, shorten
from .._validation.sklearn_private import Interval, validate_params

#: What a `noise_rate` parameter takes.
RATE = Interval(Real, 0, 1, closed="both")
_N_CLASSES = Interval(Integral, 2, None, closed="left")

_check = partial(validate_params, prefer_skip_nested_validation=True)


@_check({"n_classes": [_N_CLASSES], "noise_rate": [RATE]})
def symmetric_transition(n_classes: int, noise_rate: float) -> NDArray:
    """Return the transition matrix of symmetric noise: all wrong classes are equally probable.

    Parameters
    ----------
    n_classes : int
        Number of classes, at least 2.
    noise_rate : float in [0, 1]
        Probability that a label is wrong.

    Returns
    -------
    transition : ndarray of shape (n_classes, n_classes)
        ``transition[i, j]`` is the probability of label j where the true class is i:
        ``1 - noise_rate`` on the diagonal and ``noise_rate / (n_classes - 1)`` elsewhere.

    See Also
    --------
    robustlabels.corrupt_labels : Draw noisy labels.

    Examples
    --------
    >>> from robustlabels.noise import symmetric_transition
    >>> symmetric_transition(3, 0.2)
    array([[0.8, 0.1, 0.1],
           [0.1, 0.8, 0.1],
           [0.1, 0.1, 0.8]])
    """
    transition = np.full((n_classes, n_classes), noise_rate / (n_classes - 1))
    np.fill_diagonal(transition, 1 - noise_rate)
    return transition


@_check({"n_classes": [_N_CLASSES], "noise_rate": [RATE]})
def pair_transition(n_classes: int, noise_rate: float) -> NDArray:
    """Return the transition matrix of pair noise: each class is mistaken for the next one.

    Parameters
    ----------
    n_classes : int
        Number of classes, at least 2. The class after the last is the first.
    noise_rate : float in [0, 1]
        Probability that a label is wrong.

    Returns
    -------
    transition : ndarray of shape (n_classes, n_classes)
        ``transition[i, j]`` is the probability of label j where the true class is i:
        ``1 - noise_rate`` on the diagonal, ``noise_rate`` at the next class.

    See Also
    --------
    robustlabels.corrupt_labels : Draw noisy labels.

    Examples
    --------
    >>> from robustlabels.noise import pair_transition
    >>> pair_transition(3, 0.2)
    array([[0.8, 0.2, 0. ],
           [0. , 0.8, 0.2],
           [0.2, 0. , 0.8]])
    """
    same = np.eye(n_classes)
    return (1 - noise_rate) * same + noise_rate * np.roll(same, 1, axis=1)


@_check({"classes": ["array-like"], "class_map": [Mapping], "noise_rate": [RATE]})
def asymmetric_transition(classes: ArrayLike, class_map: Mapping, noise_rate: float) -> NDArray:
    """Return the transition matrix of a class map: some classes are mistaken for certain others.

    Parameters
    ----------
    classes : array-like of shape (n_classes,)
        All class labels.
    class_map : dict
        Maps each of these classes to the label that it is mistaken for.
    noise_rate : float in [0, 1]
        Probability that a label of a mapped class is wrong.

    Returns
    -------
    transition : ndarray of shape (n_classes, n_classes)
        ``transition[i, j]`` is the probability of the j-th class where the i-th is true, with
        the classes in sorted order.

    Raises
    ------
    ValueError
        If the map has a label that is not a class, or maps a class to itself or to several.

    See Also
    --------
    robustlabels.corrupt_labels : Draw noisy labels. It also takes such a map.

    Notes
    -----
    The usual map on CIFAR-10 is truck to automobile, bird to airplane, deer to horse, and cat
    and dog to each other.

    Examples
    --------
    >>> from robustlabels.noise import asymmetric_transition
    >>> asymmetric_transition(["bird", "cat", "dog"], {"cat": "dog"}, 0.25)
    array([[1.  , 0.  , 0.  ],
           [0.  , 0.75, 0.25],
           [0.  , 0.  , 1.  ]])
    """
    classes = np.unique(np.asarray(classes)).tolist()
    for true, wrong in class_map.items():
        if isinstance(wrong, Collection) and not isinstance(wrong, (str, bytes)):
            raise ValueError(
                f"A class map names the one label that a class is mistaken for. Got {wrong!r} for "
                f"{true!r}. For several labels, pass a transition matrix."
            )
    unknown = {*class_map, *class_map.values()} - {*classes}
    if unknown:
        raise ValueError(
            f"class_map has {shorten(sorted(unknown, key=str))}, which are not among the classes "
            f"{shorten(classes)}."
        )
    transition = np.eye(len(classes))
    for true, wrong in class_map.items():
        if true == wrong:
            raise ValueError(f"class_map maps {true!r} to itself, which is not noise.")
        i, j = classes.index(true), classes.index(wrong)
        transition[i, [i, j]] = 1 - noise_rate, noise_rate
    return transition


@_check({"marginal": ["array-like", Mapping], "replacement_rate": [RATE]})
def replacement_transition(marginal: Any, replacement_rate: float) -> NDArray:
    """Return the transition matrix of replacement noise: some labels are drawn independently.

    Parameters
    ----------
    marginal : array-like of shape (n_classes,) or dict
        Distribution of the replacements, whatever the true class. A dict or a Series, such as
        ``y.value_counts(normalize=True)``, is sorted by its class names.
    replacement_rate : float in [0, 1]
        Probability that a label is replaced. Some replacements are right by chance.

    Returns
    -------
    transition : ndarray of shape (n_classes, n_classes)
        ``(1 - replacement_rate)`` times the identity, plus `replacement_rate` times the
        marginal in each row.

    Raises
    ------
    ValueError
        If `marginal` is not a distribution over at least two classes.

    See Also
    --------
    robustlabels.UnhingedClassifier : Exactly robust to this noise with ``intercept="none"``.

    Examples
    --------
    >>> from robustlabels.noise import replacement_transition
    >>> replacement_transition([0.5, 0.5, 0.0], 0.4)
    array([[0.8, 0.2, 0. ],
           [0.2, 0.8, 0. ],
           [0.2, 0.2, 0.6]])
    """
    if isinstance(marginal, Mapping) or hasattr(marginal, "iloc"):
        names = check_labels([*marginal.keys()], "marginal")
        marginal = align(marginal, np.unique(names), "marginal")
    marginal = np.asarray(marginal, dtype=float)
    if marginal.ndim != 1 or len(marginal) < 2:
        marginal = np.atleast_1d(marginal)
        raise ValueError(f"marginal must have one entry for each class. Got {shorten(marginal)}.")
    if not (marginal >= 0).all() or not np.isclose(marginal.sum(), 1):
        raise ValueError(f"marginal must be a distribution. Got {shorten(marginal)}.")
    return (1 - replacement_rate) * np.eye(len(marginal)) + replacement_rate * marginal


@_check({"n_classes": [_N_CLASSES], "noise_rate": [RATE], "random_state": ["random_state"]})
def random_transition(n_classes: int, noise_rate: float, *, random_state: Seed = None) -> NDArray:
    """Draw a random transition matrix in which the true class is the most frequent label.

    Parameters
    ----------
    n_classes : int
        Number of classes, at least 2.
    noise_rate : float in [0, 1 - 1 / n_classes)
        Probability that a label is wrong, the same for each class.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws. None draws fresh entropy.

    Returns
    -------
    transition : ndarray of shape (n_classes, n_classes)
        ``1 - noise_rate`` on the diagonal; smaller random entries elsewhere.

    Raises
    ------
    ValueError
        If `noise_rate` is too large for such a matrix.

    See Also
    --------
    symmetric_transition : Equal probabilities for all wrong classes.

    Examples
    --------
    >>> from robustlabels.noise import random_transition
    >>> random_transition(3, 0.4, random_state=0).round(2)
    array([[0.6 , 0.16, 0.24],
           [0.22, 0.6 , 0.18],
           [0.14, 0.26, 0.6 ]])
    """
    if noise_rate >= 1 - 1 / n_classes:
        raise ValueError(
            f"With {n_classes} classes, the true class is the most frequent label only for a "
            f"noise_rate below {1 - 1 / n_classes:.4g}. Got {noise_rate}."
        )
    shares = fresh_random_state(random_state).dirichlet(np.ones(n_classes - 1), size=n_classes)
    # Where a wrong class would be as frequent as the true one, mix in the uniform distribution.
    uniform = 1 / (n_classes - 1)
    largest = shares.max(axis=1, keepdims=True)
    limit = 0.99 * (1 - noise_rate) + 0.01 * noise_rate * uniform
    keep = np.ones((n_classes, 1))
    above = noise_rate * largest > limit
    if above.any():
        keep[above] = (limit / noise_rate - uniform) / (largest[above] - uniform)
    wrong = noise_rate * (keep * shares + (1 - keep) * uniform)
    transition = np.diag(np.full(n_classes, 1 - noise_rate))
    transition[~np.eye(n_classes, dtype=bool)] = wrong.ravel()
    return transition

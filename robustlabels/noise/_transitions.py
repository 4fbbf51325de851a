"""Transition matrices: the probability of each noisy label, given the true class."""

from collections.abc import Collection, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._fitting import fresh_random_state
from .._typing import Seed
from .._validation.labels import align, check_labels, shorten
from .._validation.sklearn_private import Interval, validate_params

_RATE = Interval(Real, 0, 1, closed="both")

_check_arguments = validate_params(
    {"n_classes": [Interval(Integral, 2, None, closed="left")], "noise_rate": [_RATE]},
    prefer_skip_nested_validation=True,
)


@_check_arguments
def symmetric_transition(n_classes: int, noise_rate: float) -> NDArray:
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
def pair_transition(n_classes: int, noise_rate: float) -> NDArray:
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


@validate_params(
    {"classes": ["array-like"], "class_map": [Mapping], "noise_rate": [_RATE]},
    prefer_skip_nested_validation=True,
)
def asymmetric_transition(classes: ArrayLike, class_map: Mapping, noise_rate: float) -> NDArray:
    """Transition matrix of a class map: some classes are mistaken for certain others.

    Parameters
    ----------
    classes : array-like of shape (n_classes,)
        All class labels.
    class_map : dict
        The label that each of some classes is mistaken for.
    noise_rate : float in [0, 1]
        Probability that a label of a mapped class is wrong. Labels of other classes are
        right, so that the overall share of wrong labels is lower.

    Returns
    -------
    transition : ndarray of shape (n_classes, n_classes)
        ``transition[i, j]`` is the probability of the j-th class where the i-th is true, the
        classes in sorted order.

    Raises
    ------
    ValueError
        If the map has a label that is no class, or maps a class to itself or to several.

    See Also
    --------
    corrupt_labels : Draw noisy labels; takes such a map too.

    Notes
    -----
    The map of the literature on CIFAR-10 is truck to automobile, bird to airplane, cat and dog
    to each other, deer to horse; at a noise rate of 0.4, 20 % of all labels are wrong.

    Examples
    --------
    >>> from robustlabels import asymmetric_transition
    >>> asymmetric_transition(["bird", "cat", "dog"], {"cat": "dog"}, 0.25)
    array([[1.  , 0.  , 0.  ],
           [0.  , 0.75, 0.25],
           [0.  , 0.  , 1.  ]])
    """
    classes = np.unique(np.asarray(classes)).tolist()
    for true, wrong in class_map.items():
        if isinstance(wrong, Collection) and not isinstance(wrong, (str, bytes)):
            raise ValueError(
                f"A class map says for each of some classes which one label it is mistaken for, "
                f"such as {{'cat': 'dog'}}. Got {wrong!r} for {true!r}; for several labels pass a "
                f"transition matrix."
            )
    strangers = {*class_map, *class_map.values()} - {*classes}
    if strangers:
        raise ValueError(
            f"class_map has {shorten(sorted(strangers, key=str))}, which are not among the classes "
            f"{shorten(classes)}."
        )
    transition = np.eye(len(classes))
    for true, wrong in class_map.items():
        if true == wrong:
            raise ValueError(f"class_map maps {true!r} to itself, which is no noise.")
        i, j = classes.index(true), classes.index(wrong)
        transition[i, [i, j]] = 1 - noise_rate, noise_rate
    return transition


@validate_params(
    {"marginal": ["array-like", Mapping], "replacement_rate": [_RATE]},
    prefer_skip_nested_validation=True,
)
def replacement_transition(marginal: Any, replacement_rate: float) -> NDArray:
    """Transition matrix of replacement noise: some labels are drawn anew, whatever the class.

    Parameters
    ----------
    marginal : array-like of shape (n_classes,) or dict
        Distribution that replaced labels are drawn from. Where a dict or a Series, such as
        ``y.value_counts(normalize=True)``, names the classes they are put in sorted order.
    replacement_rate : float in [0, 1]
        Probability that a label is replaced. Some replacements are right by chance, so that
        the share of wrong labels is lower.

    Returns
    -------
    transition : ndarray of shape (n_classes, n_classes)
        ``(1 - replacement_rate)`` times the identity plus `replacement_rate` times the
        marginal in each row.

    Raises
    ------
    ValueError
        If `marginal` is no distribution over two classes at least.

    See Also
    --------
    UnhingedClassifier : Exactly robust to this noise with ``intercept="none"``.

    Examples
    --------
    >>> from robustlabels import replacement_transition
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
        raise ValueError(
            f"marginal must have an entry for each class. Got {shorten(np.atleast_1d(marginal))}."
        )
    if not (marginal >= 0).all() or not np.isclose(marginal.sum(), 1):
        raise ValueError(f"marginal must be a distribution. Got {shorten(marginal)}.")
    return (1 - replacement_rate) * np.eye(len(marginal)) + replacement_rate * marginal


@validate_params(
    {
        "n_classes": [Interval(Integral, 2, None, closed="left")],
        "noise_rate": [_RATE],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def random_transition(n_classes: int, noise_rate: float, *, random_state: Seed = None) -> NDArray:
    """Random transition matrix in which the true class is the most frequent label.

    Parameters
    ----------
    n_classes : int
        Number of classes K, 2 at least.
    noise_rate : float in [0, 1 - 1 / n_classes)
        Probability that a label is wrong, the same for each class.
    random_state : int, RandomState instance or None, default=None
        Where the matrix is drawn from. None draws fresh entropy.

    Returns
    -------
    transition : ndarray of shape (n_classes, n_classes)
        ``1 - noise_rate`` on the diagonal; beside it random entries, all less than that.

    Raises
    ------
    ValueError
        If the rate leaves no such matrix.

    See Also
    --------
    symmetric_transition : All wrong classes alike.

    Examples
    --------
    >>> from robustlabels import random_transition
    >>> random_transition(3, 0.4, random_state=0).round(2)
    array([[0.6 , 0.16, 0.24],
           [0.22, 0.6 , 0.18],
           [0.14, 0.26, 0.6 ]])
    """
    if noise_rate >= 1 - 1 / n_classes:
        raise ValueError(
            f"With {n_classes} classes the true one is the most frequent label only for a "
            f"noise_rate below {1 - 1 / n_classes:.4g}. Got {noise_rate}."
        )
    rng = fresh_random_state(random_state)
    transition = np.zeros((n_classes, n_classes))
    wrong = ~np.eye(n_classes, dtype=bool)
    alike = 1 / (n_classes - 1)
    shares = rng.dirichlet(np.ones(n_classes - 1), size=n_classes)
    # Rows with a wrong class as frequent as the true one are drawn towards the uniform row.
    largest = shares.max(axis=1, keepdims=True)
    room = 0.99 * (1 - noise_rate) + 0.01 * noise_rate * alike
    keep = np.ones((n_classes, 1))
    crowded = noise_rate * largest > room
    if crowded.any():
        keep[crowded] = (room / noise_rate - alike) / (largest[crowded] - alike)
    transition[wrong] = (noise_rate * (keep * shares + (1 - keep) * alike)).ravel()
    np.fill_diagonal(transition, 1 - noise_rate)
    return transition

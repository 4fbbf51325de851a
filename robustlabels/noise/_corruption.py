"""Kinds of label noise, and labels corrupted by them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from scipy.special import entr, softmax
from scipy.stats import truncnorm
from sklearn.utils import check_array

from .._fitting import fresh_random_state, without_autologging
from .._typing import Features, Seed
from .._validation.labels import as_given, check_labels, encode, find_classes
from .._validation.sklearn_private import StrOptions, validate_params
from .._validation.transitions import check_transition
from ._sampling import apportion, choose, noise_stream, scale_to_mean, shuffle
from ._transitions import RATE, asymmetric_transition, pair_transition, symmetric_transition


def _instance_noise(X, codes, n_classes, noise_rate, rng):
    from sklearn.preprocessing import StandardScaler

    n, std = len(codes), 0.1  # Xia et al. (2020)
    half = min(noise_rate, 1 - noise_rate) / std
    rates = np.full(n, float(noise_rate))
    if half > 0:
        rates = truncnorm.rvs(-half, half, noise_rate, std, size=n, random_state=rng)
    X = StandardScaler(with_mean=not issparse(X)).fit_transform(X) / np.sqrt(X.shape[1])
    logits = np.empty((n, n_classes))
    for code in range(n_classes):
        weights = rng.standard_normal((X.shape[1], n_classes))
        logits[codes == code] = X[codes == code] @ weights
    logits[np.arange(n), codes] = -np.inf
    return rates, softmax(logits, axis=1)


def _margin_noise(X, codes, n_classes, noise_rate, rng):
    proba = _predict_classes(X, codes)
    second, first = np.sort(proba, axis=1)[:, -2:].T
    return _flip_to_likeliest(1 - (first - second) ** 2, proba, codes, noise_rate)


def _boundary_noise(X, codes, n_classes, noise_rate, rng):
    proba = _predict_classes(X, codes)
    return _flip_to_likeliest(entr(proba).sum(axis=1), proba, codes, noise_rate)


def _predict_classes(X, codes):
    # These imports take as long as everything else here together.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler(with_mean=not issparse(X))
    with without_autologging():
        model = make_pipeline(scaler, LogisticRegression(max_iter=1000)).fit(X, codes)
    return model.predict_proba(X)


def _flip_to_likeliest(chance, proba, codes, noise_rate):
    own = np.eye(proba.shape[1], dtype=bool)
    wrong = own[np.where(own[codes], -1.0, proba).argmax(axis=1)].astype(float)
    # Certain predictions get a small chance too, so that every noise rate can be reached.
    return scale_to_mean(chance + 0.01, noise_rate), wrong


#: Kinds that depend on the class alone: functions of the number of classes and the noise rate that
#: return the transition matrix, with 1 - noise_rate on its diagonal.
CLASS_NOISES = {"symmetric": symmetric_transition, "pair": pair_transition}

#: Kinds that depend on the features too: functions of X, the true classes as codes, the number of
#: classes K, the noise rate and a RandomState. They return the probability (n,) that each label is
#: wrong, and the distribution (n, K) of each label if it is wrong.
SAMPLE_NOISES = {"instance": _instance_noise, "margin": _margin_noise, "boundary": _boundary_noise}

#: What a `noise` parameter takes.
NOISE = [StrOptions({*CLASS_NOISES, *SAMPLE_NOISES}), "array-like", Mapping]


@validate_params(
    {
        "noise": NOISE,
        "noise_rate": [RATE, None],
        "random_state": ["random_state"],
        "exact": ["boolean"],
        "return_mask": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def corrupt_labels(
    y: ArrayLike,
    noise: str | Mapping | ArrayLike = "symmetric",
    noise_rate: float | None = None,
    *,
    X: Features = None,
    random_state: Seed = None,
    exact: bool = False,
    return_mask: bool = False,
) -> Any:
    """Replace some labels with wrong ones.

    Every noisy label is drawn from the true class in one step, so no label is flipped twice.
    Draws are independent unless `exact`. Corrupt training labels only, and score on clean ones.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        True labels of any kind.
    noise : {"symmetric", "pair", "instance", "margin", "boundary"}, dict or array-like of \
            shape (n_classes, n_classes), default="symmetric"
        Kind of noise. "instance", "margin" and "boundary" depend on the features, see Notes.

        - "symmetric": a wrong label is any other class with equal probability.
        - "pair": a wrong label is the next class in sorted order, or the first after the last.
        - A dict maps some classes to the one label that each is mistaken for.
        - A matrix: ``noise[i, j]`` is the probability of the j-th class in sorted order where the
          i-th is true. A data frame is aligned by its names.
    noise_rate : float in [0, 1] or None, default=None
        Probability that a label is wrong, P(noisy label != true label); with a dict, of the
        mapped classes only. Required unless the noise is a matrix, which implies its own rate.
    X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
        Features, for the kinds of noise that depend on them.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws, which are independent of others by the same seed. None draws fresh
        entropy and does not follow ``np.random.seed``.
    exact : bool, default=False
        Whether exactly ``round(noise_rate * n_samples)`` labels are wrong, instead of that
        number on average. With a matrix or a dict, each class gets each label as often as the
        matrix says, rounded up or down at random.
    return_mask : bool, default=False
        Whether to also return which labels are wrong.

    Returns
    -------
    y_noisy : ndarray or Series of shape (n_samples,)
        Noisy labels in the dtype of `y`. A pandas Series stays one, with its index.
    mask : ndarray of bool, shape (n_samples,)
        True where the label is wrong. Only returned with ``return_mask=True``.

    Raises
    ------
    ValueError
        If there are fewer than two classes, the matrix has the wrong shape or rows that are not
        distributions, `noise_rate` is missing or superfluous, or X is missing.

    See Also
    --------
    LabelNoiseInjector : The same for pipelines and searches.
    robustlabels.noise.symmetric_transition : The matrix behind "symmetric".

    Notes
    -----
    At a noise rate of ``1 - 1 / n_classes``, symmetric noise leaves nothing to learn.

    "instance" is the part-dependent noise of [1]_. The rate of each sample is normally distributed
    around `noise_rate` with standard deviation 0.1, truncated to [0, 1] symmetrically. The
    distribution over wrong classes is the softmax of a random linear function of the standardised
    features, one for each true class, divided by the root of their number.

    "margin" and "boundary" fit a logistic regression to the clean labels. A wrong label is the
    most probable other class. Its probability is proportional to ``1.01 - D**2``, where D is the
    margin between the two most probable classes, after the first kind of [2]_; or to 0.01 plus the
    entropy. It is scaled to meet `noise_rate` and clipped at 1.

    References
    ----------
    .. [1] Xia, Liu, Han, Wang, Gong, Liu, Niu, Tao and Sugiyama, "Part-dependent Label Noise:
       Towards Instance-dependent Label Noise", NeurIPS 2020.
    .. [2] Zhang, Zheng, Wu, Goswami and Chen, "Learning with Feature-Dependent Label Noise:
       A Progressive Approach", ICLR 2021.

    Examples
    --------
    >>> from robustlabels import corrupt_labels
    >>> y = ["ham", "spam", "ham", "ham"]
    >>> corrupt_labels(y, "symmetric", 0.5, exact=True, random_state=0)
    array(['ham', 'ham', 'spam', 'ham'], dtype='<U4')
    """
    labels = check_labels(y)
    has_rate = isinstance(noise, (str, Mapping))
    if has_rate and noise_rate is None:
        raise ValueError(f"noise={noise!r} needs a noise_rate, such as 0.2.")
    if not has_rate and noise_rate is not None:
        raise ValueError(f"A transition matrix implies its own rate. Leave out {noise_rate=!r}.")
    noisy, mask, _, _ = corrupt_checked(labels, noise, noise_rate, X, random_state, exact)
    return (as_given(noisy, y), mask) if return_mask else as_given(noisy, y)


@np.errstate(under="ignore")  # underflow to 0 is harmless, even where users made it an error
def corrupt_checked(labels, noise, noise_rate, X, random_state, exact, classes=None):
    """Return noisy labels, which of them are wrong, the transition matrix and the classes."""
    classes = find_confusable(labels) if classes is None else classes
    codes = encode(labels, classes)
    rng = noise_stream(fresh_random_state(random_state))
    if needs_features(noise):
        X = _check_features(X, noise, len(codes))
        rates, wrong = SAMPLE_NOISES[noise](X, codes, len(classes), noise_rate, rng)
        noisy, transition = _corrupt_by_sample(codes, rates, wrong, noise_rate, rng, exact)
    else:
        transition = class_transition(noise, noise_rate, classes)
        noisy = _corrupt_by_class(codes, transition, noise, noise_rate, rng, exact)
    return classes[noisy], noisy != codes, transition, classes


def class_transition(noise, noise_rate, classes):
    """Return the transition matrix of noise that depends on the class alone."""
    if isinstance(noise, Mapping):
        return asymmetric_transition(classes, noise, noise_rate)
    if isinstance(noise, str):
        return CLASS_NOISES[noise](len(classes), noise_rate)
    return check_transition(noise, len(classes), classes)


def find_confusable(labels):
    """Return the sorted classes of labels, at least two."""
    classes = find_classes(labels)
    if len(classes) < 2:
        raise ValueError(f"Noise needs at least 2 classes. Got one class: {classes.tolist()}.")
    return classes


def needs_features(noise):
    """Return whether the noise is a kind that depends on the features."""
    return isinstance(noise, str) and noise in SAMPLE_NOISES


def _check_features(X, noise, n_labels):
    if X is None:
        raise ValueError(f"noise={noise!r} depends on the features: pass X.")
    X = check_array(X, accept_sparse="csr", dtype=np.float64, input_name="X")
    if X.shape[0] != n_labels:
        raise ValueError(f"X has {X.shape[0]} rows and y has {n_labels} labels.")
    return X


def _corrupt_by_sample(codes, rates, wrong, noise_rate, rng, exact):
    if exact:
        n_wrong = round(noise_rate * len(codes))
        mask = choose(scale_to_mean(rates, n_wrong / len(codes)), rng)
    else:
        mask = rng.uniform(size=len(codes)) < rates
    edges = wrong.cumsum(axis=1)[:, :-1]
    other = (rng.uniform(size=(len(codes), 1)) >= edges).sum(axis=1)
    transition = np.eye(wrong.shape[1])
    probabilities = (1 - rates)[:, None] * transition[codes] + rates[:, None] * wrong
    for code in np.unique(codes):
        transition[code] = probabilities[codes == code].mean(axis=0)
    return np.where(mask, other, codes), transition


def _corrupt_by_class(codes, transition, noise, noise_rate, rng, exact):
    noisy, drawn = codes.copy(), np.arange(len(codes))
    if exact and isinstance(noise, str):
        # Choose as many samples as are to be wrong, and flip each of them.
        drawn = shuffle(drawn, rng)[: round(noise_rate * len(codes))]
        transition = CLASS_NOISES[noise](len(transition), 1.0)
    uniform = rng.uniform(size=len(drawn))
    for code, distribution in enumerate(transition):
        of_class = codes[drawn] == code
        if exact and not isinstance(noise, str):
            rows = shuffle(drawn[of_class], rng)
            noisy[rows] = apportion(distribution, len(rows), rng)
        else:
            # The last edge is 1 whatever the rounding, so no draw lies beyond it.
            edges = distribution.cumsum()[:-1]
            noisy[drawn[of_class]] = np.searchsorted(edges, uniform[of_class], side="right")
    return noisy

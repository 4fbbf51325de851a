"""Label noise: transition matrices, and labels corrupted by them or by what the rows look like."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from scipy.special import entr, softmax
from scipy.stats import truncnorm
from sklearn.utils import check_array

from .._fitting import fresh_random_state, without_autologging
from .._typing import Features, Seed
from .._validation.labels import (
    as_given,
    check_labels,
    encode,
    find_classes,
)
from .._validation.sklearn_private import Interval, StrOptions, validate_params
from .._validation.transitions import check_transition
from ._transitions import asymmetric_transition, pair_transition, symmetric_transition

__all__ = ["corrupt_labels"]

_RATE = Interval(Real, 0, 1, closed="both")


_TRANSITIONS = {"symmetric": symmetric_transition, "pair": pair_transition}
#: Kinds of noise that depend on the row, and all that have a name.
INSTANCE_NOISES = {"instance", "margin", "boundary"}
NOISES = {*_TRANSITIONS, *INSTANCE_NOISES}


@validate_params(
    {
        "noise": [StrOptions(NOISES), "array-like", Mapping],
        "noise_rate": [_RATE, None],
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
    """Replace labels by wrong ones.

    Every label is drawn from its true class, all at once: no label is flipped twice. They are
    drawn independently, unless `exact`. Use it on training labels only and score on clean ones.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        True labels of any kind.
    noise : {"symmetric", "pair", "instance", "margin", "boundary"}, dict or array-like of \
            shape (n_classes, n_classes), default="symmetric"
        What the wrong label depends on. The true class: "symmetric", a wrong label is any
        other class alike; "pair", it is the next class in sorted order, after the last the
        first; a dict of the classes that are mistaken, each with the one label that it is
        mistaken for; a matrix, ``noise[i, j]`` being the probability of the j-th class in sorted
        order where the i-th is true, or in a data frame by their names. Or the row too, see the
        notes: "instance", "margin", "boundary".
    noise_rate : float in [0, 1] or None, default=None
        Probability that a label is wrong, P(noisy label != true label); with a dict, of the
        mapped classes alone. Needed unless the noise is a matrix, which holds its own rate.
    X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
        Features, for the kinds of noise that depend on them.
    random_state : int, RandomState instance or None, default=None
        Where the labels are drawn from. An int gives the same labels every time. None draws
        fresh entropy, it does not follow ``np.random.seed``.
    exact : bool, default=False
        Whether exactly ``round(noise_rate * n_samples)`` labels are wrong instead of about
        that many. With a matrix or a dict the number of labels j among the rows of class i
        is that of the matrix, rounded up or down at random.
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
        rows that are no distributions, `noise_rate` is missing or superfluous, or X is missing.

    See Also
    --------
    LabelNoiseInjector : The same as an object for pipelines and searches.
    symmetric_transition : The matrix behind "symmetric".
    asymmetric_transition : The matrix behind a dict.

    Notes
    -----
    The share of wrong labels varies from draw to draw, with standard deviation
    ``sqrt(noise_rate * (1 - noise_rate) / n_samples)`` at most, unless `exact`. From
    ``1 - 1 / n_classes`` on, symmetric noise leaves nothing to learn.

    "instance" is the part-dependent noise of [1]_: each row has its own flip rate, normal
    around `noise_rate` with standard deviation 0.1, cut to [0, 1] symmetrically so that the
    mean stays, and its own distribution over wrong classes, the softmax of a random linear
    function of the standardised features for its class, divided by the root of their number.

    "margin" and "boundary" fit a logistic regression to the clean labels, and the wrong label
    is the most probable other class. The chance of a flip falls with the margin D between
    the two most probable classes, as ``1.01 - D**2`` after the first kind of [2]_; or it
    grows with the entropy. It is scaled to meet `noise_rate`, and at most 1.

    References
    ----------
    .. [1] Xia, Liu, Han, Wang, Gong, Liu, Niu, Tao and Sugiyama, "Part-dependent Label Noise:
       Towards Instance-dependent Label Noise", NeurIPS 2020.
    .. [2] Zhang, Zheng, Wu, Goswami and Chen, "Learning with Feature-Dependent Label Noise:
       A Progressive Approach", ICLR 2021.

    Examples
    --------
    >>> from robustlabels import corrupt_labels
    >>> corrupt_labels(["ham", "spam", "ham", "ham"], "symmetric", 0.5, random_state=0)
    array(['spam', 'spam', 'spam', 'spam'], dtype='<U4')
    >>> y = ["ham", "spam", "ham", "ham"]
    >>> corrupt_labels(y, {"ham": "spam"}, 0.3, exact=True, random_state=0)
    array(['ham', 'spam', 'spam', 'ham'], dtype='<U4')
    """
    y_noisy, mask, _, _ = corrupted(y, noise, noise_rate, X, random_state, exact)
    return (y_noisy, mask) if return_mask else y_noisy


@np.errstate(under="ignore")  # what becomes 0 may, even where users have made it an error
def corrupted(y, noise, noise_rate, X, random_state, exact, classes=None):
    """Return noisy labels, which of them are wrong, the matrix behind them, and the classes."""
    labels = check_labels(y)
    classes = find_confusable(labels) if classes is None else classes
    codes = encode(labels, classes)
    has_rate = isinstance(noise, (str, Mapping))
    if has_rate == (noise_rate is None):
        raise ValueError(
            f"noise={noise!r} needs a noise_rate, such as 0.2."
            if has_rate
            else f"A transition matrix holds its own rate. Leave out noise_rate={noise_rate!r}."
        )
    rng = fresh_random_state(random_state)
    if isinstance(noise, str) and noise in INSTANCE_NOISES:
        if X is None:
            raise ValueError(
                f"noise={noise!r} depends on the features: pass X, or choose 'symmetric', 'pair' "
                f"or a transition matrix."
            )
        X = check_array(X, accept_sparse="csr", dtype=np.float64, input_name="X")
        if X.shape[0] != len(codes):
            raise ValueError(f"X has {X.shape[0]} rows and y has {len(codes)} labels.")
        rates, wrong = _noise_of_rows(noise, noise_rate, X, codes, len(classes), rng)
        if exact:
            n_wrong = round(noise_rate * len(codes))
            mask = _choose(_scaled_to_mean(rates, n_wrong / len(codes)), rng)
        else:
            mask = rng.uniform(size=len(codes)) < rates
        edges = wrong.cumsum(axis=1)[:, :-1]
        other = (rng.uniform(size=(len(codes), 1)) >= edges).sum(axis=1)
        noisy = np.where(mask, other, codes)
        probabilities = (1 - rates)[:, None] * np.eye(len(classes))[codes] + rates[:, None] * wrong
        transition = np.eye(len(classes))
        for code in np.unique(codes):
            transition[code] = probabilities[codes == code].mean(axis=0)
    else:
        if isinstance(noise, Mapping):
            transition = asymmetric_transition(classes, noise, noise_rate)
        elif isinstance(noise, str):
            transition = _TRANSITIONS[noise](len(classes), noise_rate)
        else:
            transition = check_transition(noise, len(classes), classes)
        noisy = codes.copy()
        drawn, matrix = np.arange(len(codes)), transition
        if exact and isinstance(noise, str):
            # So many labels are drawn, and wrong for certain.
            drawn = _shuffled(np.arange(len(codes)), rng)[: round(noise_rate * len(codes))]
            matrix = _TRANSITIONS[noise](len(classes), 1.0)
        uniform = rng.uniform(size=len(drawn))
        for code, distribution in enumerate(matrix):
            of_class = codes[drawn] == code
            if exact and not isinstance(noise, str):
                rows = _shuffled(drawn[of_class], rng)
                noisy[rows] = _apportion(distribution, len(rows), rng)
            else:
                # The last edge is 1 whatever the rounding, so that no draw lies beyond it.
                edges = distribution.cumsum()[:-1]
                noisy[drawn[of_class]] = np.searchsorted(edges, uniform[of_class], side="right")
    return as_given(classes[noisy], y), noisy != codes, transition, classes


def find_confusable(labels):
    """Return the sorted classes of labels, two at least."""
    classes = find_classes(labels)
    if len(classes) < 2:
        raise ValueError(
            f"Label noise needs at least 2 classes to confuse. Got only one class: "
            f"{classes.tolist()}."
        )
    return classes


def _noise_of_rows(noise, noise_rate, X, codes, n_classes, rng):
    """Return how probable a wrong label is in each row, and the distribution of wrong labels."""
    # They take as long to import as everything else here together.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    n = len(codes)
    own = np.eye(n_classes, dtype=bool)[codes]
    scaler = StandardScaler(with_mean=not issparse(X))
    if noise == "instance":
        half = min(noise_rate, 1 - noise_rate) / 0.1
        rates = np.full(n, float(noise_rate))
        if half > 0:
            rates = truncnorm.rvs(-half, half, noise_rate, 0.1, size=n, random_state=rng)
        X = scaler.fit_transform(X) / np.sqrt(X.shape[1])
        logits = np.empty((n, n_classes))
        for code in range(n_classes):
            weights = rng.standard_normal((X.shape[1], n_classes))
            logits[codes == code] = X[codes == code] @ weights
        return rates, softmax(np.where(own, -np.inf, logits), axis=1)
    model = make_pipeline(scaler, LogisticRegression(max_iter=1000))
    with without_autologging():
        model.fit(X, codes)
    proba = model.predict_proba(X)
    second, first = np.sort(proba, axis=1)[:, -2:].T
    # The chance of a row that is sure is raised a little, so that every rate can be met.
    chance = 1 - (first - second) ** 2 if noise == "margin" else entr(proba).sum(axis=1)
    wrong = np.eye(n_classes)[np.where(own, -1.0, proba).argmax(axis=1)]
    return _scaled_to_mean(chance + 0.01, noise_rate), wrong


def _scaled_to_mean(chance, mean):
    """Return ``min(1, factor * chance)`` with the factor that gives it the mean asked for."""
    if mean in (0, 1) or not chance.any():
        return np.full(len(chance), float(mean))
    chance = chance / chance.max()
    # The largest k are cut at 1, the rest shares what is left: take the least k that fits.
    order = np.sort(chance)[::-1]
    rest = np.cumsum(order[::-1])[::-1]
    factors = (mean * len(chance) - np.arange(len(chance))) / rest
    fits = factors * order <= 1
    return np.minimum(1.0, factors[np.argmax(fits)] * chance)


def _shuffled(rows, rng):
    """Return the rows in a random order.

    The first rows of `rng.permutation` are those that splits of the same seed test on.
    """
    return rows[rng.uniform(size=len(rows)).argsort()]


def _choose(rates, rng):
    """Return a mask in which each row is with its rate, and as many as the rates add up to."""
    order = _shuffled(np.arange(len(rates)), rng)
    edges = np.concatenate([[0.0], np.cumsum(rates[order])])
    # Rows that one of the points u, u + 1, u + 2 ... falls upon, in a random order.
    edges *= round(edges[-1]) / max(edges[-1], 1e-300)
    points = np.floor(edges - rng.uniform())
    mask = np.zeros(len(rates), dtype=bool)
    mask[order] = np.diff(points) > 0
    return mask


def _apportion(distribution, n, rng):
    """Return n classes, each as often as its share of n says, rounded up or down at random."""
    ideal = n * distribution / distribution.sum()
    counts = np.floor(ideal).astype(int)
    return np.repeat(np.arange(len(distribution)), counts + _choose(ideal - counts, rng))

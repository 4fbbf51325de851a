"""What the true labels probably are: by trees that have not seen a row, and Bayes' rule."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import entr, log_softmax, logsumexp, softmax
from sklearn.preprocessing import StandardScaler

from ._confident_joint import estimate_transition_matrix
from .noise import symmetric_transition

#: Rows, and rows for each class, from which trees can say something about labels.
_MIN_ROWS = 50
_MIN_ROWS_PER_CLASS = 10

#: Trees, rows of their leaves at least, and rows that one looks at, at most.
_TREES = 200
_LEAF = 5
_ROWS_PER_TREE = 20_000

#: Share of the entropy of wrong labels that their dependence on the class must explain, and
#: difference of the noise rates of two classes: below, the noise is taken to be symmetric.
_EXPLAINED = 0.5
_DIFFERENCE = 0.25

#: Logarithms of the powers of probabilities that are weighed against each other; of a log-normal
#: power the mean and the standard deviation before the labels are seen.
_LOG_POWERS = np.linspace(-1.5, 3.5, 26)
_LOG_POWER_MEAN, _LOG_POWER_STD = 1.0, 0.5

#: Shares of the confident joint's noise rate that are weighed against each other, alike at first.
_SHARES = np.linspace(0, 1, 51)

#: Quantile of the noise rate that is taken: one that is too low lets a network learn wrong labels.
_QUANTILE = 0.8

#: Rows that a noise rate is found by, at most.
_ROWS_FOR_RATE = 20_000

#: Steps of expectation maximisation, and times that labels are counted anew.
_ITERATIONS = 30
_COUNTS = 3

#: Largest logarithm of a power of probabilities, or of a temperature.
_MAX_LOG_POWER = 5.0

#: Labels that the probabilities of trees count for where a temperature is found.
_LABELS_OF_TREES = 20

#: Parts that the rows are dealt to, at least: a network does without one of them.
_MIN_FOLDS = 4


class RefinedLabels(NamedTuple):
    """What a network learns in place of labels, and what its probabilities are calibrated by.

    `posterior`, of shape (n_samples, n_classes), are the probabilities of the true labels to train
    on; `folds`, of shape (n_samples,), the numbers of the members that do without a row, or None
    if all learn all; `rows`, of shape (n_rows,), the indices of the rows to calibrate by; and
    `targets`, of shape (n_rows, n_classes), their probabilities for that.
    """

    posterior: np.ndarray
    folds: np.ndarray | None
    rows: np.ndarray
    targets: np.ndarray


def enough_rows(n_rows, n_classes):
    """Tell whether a table is large enough to estimate its noise."""
    return n_rows >= max(_MIN_ROWS, _MIN_ROWS_PER_CLASS * n_classes)


def label_probabilities(X, codes, n_classes, weight, rng):
    """Estimate the probabilities of the labels, for each row by trees that did not learn from it.

    A random forest's out-of-bag probabilities, grown tree by tree: that needs memory for one
    tree, and rows of the same features are drawn together, for copies would tell each other's
    labels. Where hardly any two rows differ each is drawn for itself: what others say of those
    few is worth less, and in such a crowd a copy tells little.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Finite features.
    codes : ndarray of shape (n_samples,)
        Noisy labels from 0 to n_classes - 1, each of which occurs.
    n_classes : int
        Number of classes.
    weight : ndarray of shape (n_samples,)
        Positive weights.
    rng : numpy.random.RandomState
        Source of the trees' randomness.

    Returns
    -------
    proba : ndarray of shape (n_samples, n_classes)
        Positive probabilities; they sum to 1.
    number : ndarray of shape (n_samples,)
        Numbers from 0, the same for rows that were drawn together.
    """
    from sklearn.tree import DecisionTreeClassifier  # not for those who only import the package

    _, number = np.unique(X, axis=0, return_inverse=True)
    number = number.ravel()
    if not enough_rows(number.max() + 1, n_classes):
        number = np.arange(len(X))
    # Of copies with the same label one is enough. What it weighs counts instead.
    pairs, first, pair = np.unique(
        number * n_classes + codes, return_index=True, return_inverse=True
    )
    # Sums of weights far from 1 would under- or overflow in a tree.
    weight = np.bincount(pair, weight / weight.max())
    weight = np.maximum(weight / weight.max(), 1e-12)
    group, codes = pairs // n_classes, codes[first]
    with np.errstate(over="ignore", invalid="ignore"):
        X = StandardScaler().fit_transform(X[first])
    X = np.nan_to_num(X).astype(np.float32)

    n_groups = group[-1] + 1
    votes = np.full((len(X), n_classes), 1e-6)
    for _ in range(_TREES):
        drawn = rng.randint(n_groups, size=min(n_groups, _ROWS_PER_TREE))
        drawn = np.bincount(drawn, minlength=n_groups)[group]
        tree = DecisionTreeClassifier(
            min_samples_leaf=_LEAF, max_features="sqrt", random_state=rng.randint(2**31)
        ).fit(X, codes, weight * drawn)
        unseen = drawn == 0
        if unseen.any():
            votes[unseen] += tree.predict_proba(X[unseen])
    return (votes / votes.sum(axis=1, keepdims=True))[pair], number


def deal_folds(number, codes, n_members, rng):
    """Deal the rows to folds, those of a number to the same, and the classes evenly otherwise.

    Parameters
    ----------
    number : ndarray of shape (n_samples,)
        Numbers from 0, as from :func:`label_probabilities`.
    codes : ndarray of shape (n_samples,)
        Noisy labels. Of rows of the same number that of the first counts.
    n_members : int
        Number of networks, each of which does without the fold of its number.
    rng : numpy.random.RandomState
        Source of the order.

    Returns
    -------
    folds : ndarray of shape (n_samples,)
        Numbers of the folds, from 0, four of them or one for each network.
    """
    _, first = np.unique(number, return_index=True)
    order = rng.permutation(len(first))
    order = order[np.argsort(codes[first[order]], kind="stable")]
    folds = np.empty(len(first), dtype=np.intp)
    folds[order] = np.arange(len(first)) % count_folds(n_members)
    return folds[number]


def count_folds(n_members):
    """Return the number of folds for so many networks."""
    return max(n_members, _MIN_FOLDS)


def estimate_noise(codes, proba):
    r"""Estimate the transition matrix, one that depends on the class only where that is evident.

    The confident joint counts rows that trees misplace as wrong labels, too. Where the noise is
    symmetric the two can be told apart: noise changes the labels of rows that are easy to place,
    too. Labels have the probabilities

    .. math:: (1 - \epsilon) \, p_{\tilde{y}}^\beta / \sum_k p_k^\beta + \epsilon / K,
        \qquad \epsilon = s r K / (K - 1),

    where p are those of the trees, the power :math:`\beta` makes them as sure as they could be,
    and a share s of the rate r of the confident joint is noise. Of s, of which before the labels
    are seen all values from 0 to 1 are alike, while :math:`\beta` is log-normal, a high quantile
    is taken.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,)
        Noisy labels from 0 to n_classes - 1.
    proba : ndarray of shape (n_samples, n_classes)
        Out-of-sample probabilities of the labels.

    Returns
    -------
    transition : ndarray of shape (n_classes, n_classes)
        Probability of the label j where the true class is i.
    evidence : dict
        What the choice rests on: "form", "symmetric" or "class-dependent"; "explained", the share
        of the entropy of wrong labels that their true class explains, or with two classes
        "rate_difference", that of their noise rates; "threshold", what this has to exceed for a
        matrix that depends on the class; and "tenable", whether one can be had at all: there are
        as many rows as entries, or with two classes each label mostly means its class.
    """
    n_classes = proba.shape[1]
    transition = estimate_transition_matrix(codes, proba, labels=np.arange(n_classes))
    share = np.bincount(codes, minlength=n_classes) / len(codes)
    rates = 1 - transition.diagonal()
    if n_classes == 2:
        figure, threshold = "rate_difference", _DIFFERENCE
        value, tenable = abs(rates[0] - rates[1]), _mostly_right(transition, share)
    else:
        figure, threshold = "explained", _EXPLAINED
        tenable = len(codes) >= n_classes**2
        if tenable:
            transition = _sharpened(transition, codes, proba)
        value = _explained(transition, share)
    evident = tenable and value > threshold
    evidence = {
        "form": "class-dependent" if evident else "symmetric",
        figure: float(value),
        "threshold": threshold,
        "tenable": bool(tenable),
    }
    if not evident:
        highest = min(share @ rates, 0.95 * (1 - 1 / n_classes))
        transition = symmetric_transition(n_classes, _symmetric_rate(highest, codes, proba))
    return transition, evidence


def _symmetric_rate(highest, codes, proba):
    """Return the part of a noise rate that is no misplaced rows."""
    rows = np.random.RandomState(0).permutation(len(codes))[:_ROWS_FOR_RATE]
    codes, log_p = codes[rows], np.log(proba[rows] + 1e-4)
    n_classes = proba.shape[1]
    noise = _SHARES * highest * n_classes / (n_classes - 1)
    log_posterior = []
    for log_power in _LOG_POWERS:
        p = softmax(np.exp(log_power) * log_p, axis=1)[np.arange(len(codes)), codes]
        seen = np.outer(p, 1 - noise) + noise / n_classes
        expected = ((log_power - _LOG_POWER_MEAN) / _LOG_POWER_STD) ** 2 / 2
        log_posterior.append(np.log(np.maximum(seen, 1e-12)).sum(axis=0) - expected)
    up_to = softmax(logsumexp(log_posterior, axis=0)).cumsum()
    return highest * _SHARES[np.searchsorted(up_to, _QUANTILE)]


def _mostly_right(transition, share):
    """Tell whether each label mostly means its class: what is rarer than its noise misleads."""
    prior = np.maximum(np.linalg.lstsq(transition.T, share, rcond=None)[0], 0)
    joint = prior[:, None] * transition
    return (joint.argmax(axis=0) == np.arange(len(share))).all()


def _sharpened(transition, codes, proba):
    """Count labels anew, by the posteriors: misplaced rows blur what a confident joint counts."""
    one_hot = np.eye(len(transition))[codes]
    for _ in range(_COUNTS):
        posterior = true_label_probabilities(codes, proba, transition)
        transition = posterior.T @ one_hot / posterior.sum(axis=0)[:, None]
    return transition


def _explained(transition, share):
    """Return which share of the entropy of wrong labels their true class explains."""
    n_classes = len(transition)
    rates = 1 - transition.diagonal()
    wrong = transition * ~np.eye(n_classes, dtype=bool)
    left = share @ (entr(wrong).sum(axis=1) - entr(rates))
    return 1 - left / max(share @ rates * np.log(n_classes - 1), 1e-12)


def true_label_probabilities(codes, proba, transition):
    r"""Compute the probabilities of the true labels of rows, given their noisy ones.

    The class probabilities p of a row are those under which the noise makes probabilities of the
    labels like `proba`: they are found by a fixed number of steps of expectation maximisation
    from equal ones, and so stay between these and the noise taken out in full. Then Bayes:

    .. math:: P(k \mid x, \tilde{y}) \propto p_k(x) \, T_{k \tilde{y}}

    Parameters
    ----------
    codes : ndarray of shape (n_samples,)
        Noisy labels from 0 to n_classes - 1.
    proba : ndarray of shape (n_samples, n_classes)
        Probabilities of the noisy labels.
    transition : ndarray of shape (n_classes, n_classes)
        Probability of the label j where the true class is i.

    Returns
    -------
    posterior : ndarray of shape (n_samples, n_classes)
        Probabilities of the true labels.
    """
    return _by_bayes(_without_noise(proba, transition), codes, transition)


def calibration_targets(codes, proba, transition, weight):
    r"""Compute the probabilities of the true labels that predicted ones should be like.

    Those to train on are cautious: trees are less sure than they could be. Here the class
    probabilities are brought to the power under which the labels, which the trees have not seen,
    are most probable, :math:`\sum_k p_k^\beta T_{k\tilde{y}} / \sum_k p_k^\beta`.

    Parameters
    ----------
    codes, proba, transition : ndarrays
        As in :func:`true_label_probabilities`.
    weight : ndarray of shape (n_samples,)
        Weights of the rows, positive.

    Returns
    -------
    posterior : ndarray of shape (n_samples, n_classes)
        Probabilities of the true labels.
    """
    log_p = np.log(_without_noise(proba, transition) + 1e-9)
    seen = transition.T[codes]

    def misfit(log_power):
        p = softmax(np.exp(log_power) * log_p, axis=1)
        return -weight @ np.log(np.maximum((p * seen).sum(axis=1), 1e-15))

    power = minimize_scalar(misfit, bounds=(-_MAX_LOG_POWER, _MAX_LOG_POWER), method="bounded").x
    return _by_bayes(softmax(np.exp(power) * log_p, axis=1), codes, transition)


def find_temperature(scores, targets):
    r"""Find what scores are divided by for their softmax to be most like other probabilities.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_classes)
        Scores of the classes.
    targets : ndarray of shape (n_samples, n_classes)
        Probabilities, times the weights of the rows.

    Returns
    -------
    temperature : float
        What maximises :math:`\sum_{ik} t_{ik} \log \mathrm{softmax}(s_i / \tau)_k`.
    """
    weight = targets.sum(axis=1)

    def slope(log_inverse):
        expected = softmax(np.exp(log_inverse) * scores, axis=1)
        return ((targets - weight[:, None] * expected) * scores).sum()

    # The slope falls with the inverse temperature.
    low, high = -_MAX_LOG_POWER, _MAX_LOG_POWER
    if slope(low) <= 0:
        return float(np.exp(-low))
    if slope(high) >= 0:
        return float(np.exp(-high))
    return float(np.exp(-brentq(slope, low, high)))


def find_temperature_by_labels(scores, codes, transition, targets):
    r"""Find what scores are divided by for noisy labels that they do not know of.

    The labels are most probable, :math:`\sum_k p_k T_{k\tilde{y}}` with p the softmax of the
    divided scores. Where they leave much open, that is, are few or hardly known to be right, the
    probabilities that trees find decide, which count for as much as a few labels.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_classes)
        Scores of the classes, by a network that did not learn from the row.
    codes : ndarray of shape (n_samples,)
        Noisy labels from 0 to n_classes - 1.
    transition : ndarray of shape (n_classes, n_classes)
        Probability of the label j where the true class is i.
    targets : ndarray of shape (n_samples, n_classes)
        Probabilities that trees find, times the weights of the rows.

    Returns
    -------
    temperature : float
        The divisor.
    """
    weight = targets.sum(axis=1)
    seen = transition.T[codes]

    def misfit(log_inverse):
        log_p = log_softmax(np.exp(log_inverse) * scores, axis=1)
        labels = weight @ np.log(np.maximum((np.exp(log_p) * seen).sum(axis=1), 1e-15))
        trees = (targets * log_p).sum()
        return -(labels + _LABELS_OF_TREES / len(codes) * trees)

    bounds = -_MAX_LOG_POWER, _MAX_LOG_POWER
    return float(np.exp(-minimize_scalar(misfit, bounds=bounds, method="bounded").x))


def _without_noise(proba, transition):
    """Return class probabilities under which the noise makes labels as probable as these."""
    change, keep = transition[0, -1], transition[0, 0] - transition[0, -1]
    if np.allclose(transition, keep * np.eye(len(transition)) + change, rtol=0, atol=1e-12):

        def product(p, _):  # of symmetric noise, without n K^2 multiplications
            return keep * p + change * p.sum(axis=1, keepdims=True)

    else:
        product = np.matmul
    p = np.full_like(proba, 1 / proba.shape[1])
    for _ in range(_ITERATIONS):
        p *= product(proba / np.maximum(product(p, transition), 1e-12), transition.T)
    return p


def _by_bayes(p, codes, transition):
    # The last term is for labels that cannot occur: they say nothing.
    posterior = np.maximum(p, 1e-4) * transition.T[codes] + 1e-12
    return posterior / posterior.sum(axis=1, keepdims=True)

"""The noise of a table: its form, the posterior of its amount, and Bayes' rule.

In this module `codes`, of shape (n_samples,), are noisy labels from 0 to n_classes - 1, `proba`, of
shape (n_samples, n_classes), are out-of-sample probabilities of these labels, `transition`, of
shape (n_classes, n_classes), is a transition matrix, and `trusted`, of the shape of `codes` or
None, says which labels are known to be right.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, softmax
from scipy.stats import norm
from sklearn.utils import gen_batches

from ..noise._transitions import symmetric_transition
from ._confident_joint import estimate_transition_matrix, find_known_classes, restrict_to_known
from ._settings import NoiseSettings

_SETTINGS = NoiseSettings()

#: Probabilities that are computed at once; few for the steps that stay in the processor's cache.
_BLOCK, _IN_CACHE = 2**21, 2**15

#: Numbers of wrong labels among which the ends of an interval are found, at most.
_NUMBERS = 2**12

#: Posterior weight below which a power is left out.
_NEGLIGIBLE = 1e-5

#: Smallest prior probability of a class, and of a label that cannot occur.
_SMALLEST_CLASS, _SMALLEST_LABEL = 1e-4, 1e-12


class NoisePosterior(NamedTuple):
    """Posterior of the noise: shares of a transition matrix, and their probabilities.

    Some labels that look wrong are right labels of hard samples, so that only a share of the
    counted noise is real.

    Attributes
    ----------
    counted : ndarray of shape (n_classes, n_classes)
        Transition matrix if all labels that look wrong are wrong.
    shares : ndarray of shape (n_shares,)
        Possible shares of it that are noise. A known noise has the one share 1.
    weights : ndarray of shape (n_shares,)
        Posterior probabilities of the shares.
    n_rows : ndarray of shape (n_classes,)
        Number of samples behind each row of the matrix, infinite for a known noise.
    """

    counted: NDArray
    shares: NDArray
    weights: NDArray
    n_rows: NDArray

    @property
    def conservative_weights(self) -> NDArray:
        """Posterior probabilities of the shares under even prior odds for no noise at all."""
        prior, even = _SETTINGS.no_noise, _SETTINGS.conservative_no_noise
        odds = even / (1 - even) * (1 - prior) / prior
        weights = np.where(self.shares == 0, odds, 1.0) * self.weights
        return weights / weights.sum()

    def transition_matrices(self) -> NDArray:
        """Return the matrix of each share, of shape (n_shares, n_classes, n_classes)."""
        return np.stack([_scale_noise(self.counted, share) for share in self.shares])


def known_noise(transition: NDArray) -> NoisePosterior:
    """Return the posterior of a noise that is known."""
    n_classes = len(transition)
    return NoisePosterior(transition, np.ones(1), np.ones(1), np.full(n_classes, np.inf))


class FittedNoise(NamedTuple):
    """The noise, and the true labels given the observed ones.

    `label_probabilities`, of shape (n_samples, n_classes), are those of the true labels,
    `transition` is the posterior mean of the noise, and `if_noisy` the same if there is any noise.
    """

    label_probabilities: NDArray
    transition: NDArray
    if_noisy: NDArray
    posterior: NoisePosterior

    def count_wrong(self, codes: NDArray, level: float) -> tuple[int, int]:
        """Return an interval that holds the number of wrong labels with probability `level`.

        The lower end uses the conservative weights.
        """
        n_rows, shares, weights = len(codes), self.posterior.shares, self.posterior.weights
        wrong = 1 - self.label_probabilities[np.arange(n_rows), codes]
        spread = max(np.sqrt((wrong * (1 - wrong)).sum()), 1e-9)
        expected = wrong.sum() * shares / max(shares @ weights, 1e-12)
        numbers = np.unique(np.linspace(0, n_rows, min(n_rows + 1, _NUMBERS)).round())
        # Given the share, labels are wrong independently of each other; at share 0 none is.
        below = norm.cdf(numbers[:, None] + 0.5, expected, spread)
        below[:, shares == 0] = 1.0
        tail = (1 - level) / 2
        low = np.searchsorted(below @ self.posterior.conservative_weights, tail)
        high = min(int(np.searchsorted(below @ weights, 1 - tail)), len(numbers) - 1)
        return int(numbers[low]), int(numbers[high])


def estimate_noise(
    codes: NDArray, proba: NDArray, classes: NDArray | None = None, trusted: NDArray | None = None
) -> tuple[NDArray, dict[str, Any]]:
    """Estimate the noise as if all labels that look wrong were wrong, and decide on its form.

    Classes that are hard to separate look like noise that depends on the class. The matrix is
    therefore symmetric unless the evidence against that is clear. Trusted labels are left out;
    `classes` are the names for warnings. Returns the transition matrix and the `noise_evidence_` of
    LabelRefiner, without "none".
    """
    n_classes = proba.shape[1]
    classes = np.arange(n_classes) if classes is None else classes
    if trusted is not None and not trusted.all():
        codes, proba = codes[~trusted], proba[~trusted]
    transition = estimate_transition_matrix(classes[codes], proba, labels=classes)
    frequency = np.bincount(codes, minlength=n_classes) / len(codes)
    known = find_known_classes(codes, proba)
    if 2 <= known.sum() < n_classes:
        inner_codes, inner = restrict_to_known(codes, proba, known)
        inner /= inner.sum(axis=1, keepdims=True)
        inner_transition, evidence = estimate_noise(inner_codes, inner, classes[known])
        # Labels of unknown classes may be typing errors, which are equally frequent in all classes.
        transition = np.eye(n_classes)
        transition[np.ix_(known, known)] = (1 - frequency[~known].sum()) * inner_transition
        transition[np.ix_(known, ~known)] = frequency[~known]
        return transition, evidence
    rates = 1 - transition.diagonal()
    # At least one wrong label: counting none does not prove that there is none.
    highest = _SETTINGS.max_relative_rate * (1 - 1 / n_classes)
    rate = np.clip(frequency @ rates, 1 / len(codes), highest)
    if n_classes == 2:
        figure, threshold = "rate_difference", _SETTINGS.min_rate_difference
        value = abs(rates[0] - rates[1])
        # Each label must mostly come from its own class; a class rarer than its noise misleads.
        prior = np.maximum(np.linalg.lstsq(transition.T, frequency, rcond=None)[0], 0)
        tenable = ((prior[:, None] * transition).argmax(axis=0) == np.arange(2)).all()
    else:
        figure, threshold = "explained", _SETTINGS.min_explained
        tenable = len(codes) >= n_classes**2
        if tenable:
            transition = _recount(transition, codes, proba)
        value = _explained_entropy(transition, frequency)
    dependent = tenable and value > threshold
    evidence = {
        "form": "class-dependent" if dependent else "symmetric",
        figure: float(value),
        "threshold": threshold,
        "tenable": bool(tenable),
    }
    return transition if dependent else symmetric_transition(n_classes, rate), evidence


def _recount(transition: NDArray, codes: NDArray, proba: NDArray) -> NDArray:
    """Count the labels by their posterior; misplaced samples blur the confident joint."""
    one_hot = np.eye(len(transition))[codes]
    for _ in range(_SETTINGS.n_recounts):
        posterior = make_soft_labels(transition.T[codes], proba, transition)
        transition = posterior.T @ one_hot / posterior.sum(axis=0)[:, None]
    return transition


def _explained_entropy(transition: NDArray, frequency: NDArray) -> float:
    """Return the share of the entropy of wrong labels that their true class explains."""
    n_classes = len(transition)
    rates = 1 - transition.diagonal()
    wrong = transition * ~np.eye(n_classes, dtype=bool)
    left = frequency @ (entr(wrong).sum(axis=1) - entr(rates))
    return 1 - left / max(frequency @ rates * np.log(n_classes - 1), 1e-12)


def fit_noise(
    codes: NDArray, proba: NDArray, transition: NDArray, known: bool,
    weight: NDArray | None = None, trusted: NDArray | None = None,
) -> FittedNoise:  # fmt: skip
    r"""Find how much of a counted noise is real, and the probabilities of the true labels.

    The confident joint counts right labels of hard samples as wrong ones. Noise, in contrast, also
    changes labels of easy samples. The label of a sample is its most probable class with the
    probability

    .. math:: \sum_k T_s[k, \tilde{y}] \, q_k^\beta / \sum_k q_k^\beta,
        \qquad T_s = (1 - s) I + s T,

    where q are `proba` with the noise removed, the power :math:`\beta` calibrates them, and s is
    the share of T that is noise, possibly 0. The result is averaged over the posterior of s and
    :math:`\beta`. If T is `known` to be the noise, s is 1. Only the ratios of `weight` matter.
    Trusted labels show how hard samples are without noise.
    """
    if known:
        shares, removed, log_prior = np.ones(1), np.ones(1), np.zeros(1)
    else:
        shares, log_prior = _share_prior(transition)
        grid = np.linspace(*_SETTINGS.removed_shares)
        removed = grid[np.abs(shares[:, None] - grid).argmin(axis=1)]
    weight = np.ones(len(codes)) if weight is None else weight / weight.mean()
    log_powers, start = np.linspace(*_SETTINGS.log_powers), fit_label_prior(proba)

    def log_classes(rows: Any, share: float) -> NDArray:
        noise = noise_beside_trusted(transition, trusted, share)
        return np.log(remove_noise(proba[rows], noise, start) + _SMALLEST_CLASS)

    rows = subsample_rows(*proba.shape)
    log_posterior = np.empty((len(log_powers), len(shares)))
    for share in np.unique(removed):
        of_share = removed == share
        log_posterior[:, of_share] = _log_likelihoods(
            codes[rows], proba[rows].argmax(axis=1), log_classes(rows, share), transition,
            weight[rows], None if trusted is None else trusted[rows], shares[of_share],
        )  # fmt: skip
    off = (log_powers - _SETTINGS.log_power_mean) / _SETTINGS.log_power_std
    log_posterior = log_prior + (log_posterior - (off**2 / 2)[:, None])
    weights = softmax(log_posterior)
    found = np.zeros_like(proba)
    for share in np.unique(removed):
        of_share = weights * (removed == share)
        powers = np.flatnonzero(of_share.sum(axis=1) >= _NEGLIGIBLE)
        for block in _blocks(proba, _BLOCK) if len(powers) else ():
            log_q = log_classes(block, share)
            # A label that cannot occur carries no information.
            likelihood = transition.T[codes[block]] + _SMALLEST_LABEL
            for power in powers:
                p = _raise_to_power(log_q, log_powers[power])
                found[block] += _sum_posteriors(
                    p, codes[block], likelihood, shares, of_share[power]
                )
    found /= found.sum(axis=1, keepdims=True)
    if trusted is not None:
        found[trusted] = np.eye(len(transition))[codes[trusted]]
    total = weights.sum(axis=0)
    if known:
        posterior = NoisePosterior(transition, shares, total, np.full(len(transition), np.inf))
        return FittedNoise(found, transition, transition, posterior)
    some = shares > 0
    share_if_noisy = shares[some] @ softmax(log_posterior[:, some]).sum(axis=0)
    return FittedNoise(
        found,
        _scale_noise(transition, shares @ total),
        _scale_noise(transition, share_if_noisy),
        NoisePosterior(transition, shares, total, n_rows=found.sum(axis=0)),
    )


def _share_prior(transition: NDArray) -> tuple[NDArray, NDArray]:
    """Return the possible shares of a noise, and the logarithms of their prior."""
    wrong = transition * ~np.eye(len(transition), dtype=bool)
    shares = np.linspace(*_SETTINGS.shares)
    # Beyond this share another label than its own would be the most frequent one of a class.
    crossed = (wrong.max(axis=1) + 1 - transition.diagonal()).max()
    shares = shares[(shares <= 1) | (shares * crossed < 1)]
    prior = norm.pdf(shares, _SETTINGS.share_mean, _SETTINGS.share_std)
    prior[0] = 0
    prior *= (1 - _SETTINGS.no_noise) / prior.sum()
    prior[0] = _SETTINGS.no_noise
    return shares, np.log(prior)


def _log_likelihoods(
    codes: NDArray, top: NDArray, log_q: NDArray, transition: NDArray, weight: NDArray,
    trusted: NDArray | None, shares: NDArray,
) -> NDArray:  # fmt: skip
    """Return the log-likelihood of the labels, of shape (n_powers, n_shares).

    Only agreement with the top class is used: which wrong class a label names informs the form of
    T rather than its amount.
    """
    agrees, found = codes == top, []
    for log_power in np.linspace(*_SETTINGS.log_powers):
        p = _raise_to_power(log_q, log_power)
        clean, noisy = (
            np.maximum(np.where(agrees, chance, 1 - chance), _SMALLEST_CLASS)
            for chance in (p[np.arange(len(top)), top], np.einsum("ik,ik->i", p, transition.T[top]))
        )
        labels = _mix(clean, noisy, shares)
        if trusted is not None:
            labels = np.where(trusted[:, None], clean[:, None], labels)
        found.append(_SETTINGS.label_weight * (weight @ np.log(labels)))
    return np.array(found)


def _sum_posteriors(
    p: NDArray, codes: NDArray, likelihood: NDArray, shares: NDArray, weights: NDArray
) -> NDArray:
    """Return the sum over the shares of weight times posterior; p is changed.

    `likelihood`, of the shape of p, is that of the labels under all of the noise.
    """
    label = np.arange(len(codes)), codes
    clean = p[label]
    p *= likelihood
    inverse = 1 / _mix(clean, p.sum(axis=1), shares)
    p *= (inverse @ (shares * weights))[:, None]
    p[label] += clean * (inverse @ ((1 - shares) * weights))
    return p


def _raise_to_power(log_q: NDArray, log_power: float) -> NDArray:
    """Return normalised powers of probabilities, bounded below."""
    p = np.exp(np.exp(log_power) * log_q)
    p /= p.sum(axis=1, keepdims=True)
    return np.maximum(p, _SMALLEST_CLASS, out=p)


def _mix(clean: NDArray, noisy: NDArray, shares: NDArray) -> NDArray:
    """Return the likelihoods of labels under each share of the noise, (n_samples, n_shares)."""
    return np.outer(clean, 1 - shares) + np.outer(noisy, shares)


def subsample_rows(n_rows: int, n_classes: int) -> NDArray:
    """Return enough rows to fit a few numbers, always the same.

    They are a random sample because the order of the rows may be periodic.
    """
    n_drawn = min(_SETTINGS.max_rows, max(1000, _SETTINGS.max_probabilities // n_classes))
    return np.random.RandomState(0).permutation(n_rows)[:n_drawn]


def noise_beside_trusted(transition: NDArray, trusted: NDArray | None, share: float = 1) -> NDArray:
    """Return the transition matrix of all labels if a share of the noise spares trusted ones."""
    return _scale_noise(transition, share if trusted is None else share * (1 - trusted.mean()))


def _scale_noise(transition: NDArray, share: float) -> NDArray:
    """Return ``(1 - share) * I + share * transition``."""
    if share == 1:
        return transition
    return (1 - share) * np.eye(len(transition)) + share * transition


def make_soft_labels(likelihood: NDArray, proba: NDArray, transition: NDArray) -> NDArray:
    """Return label probabilities to learn from: Bayes' rule without calibrating `proba`.

    `likelihood`, of shape (n_samples, n_classes), is that of the observed labels under each class.
    """
    p = np.maximum(remove_noise(proba, transition), _SMALLEST_CLASS)
    posterior = p * (likelihood + _SMALLEST_LABEL)
    return posterior / posterior.sum(axis=1, keepdims=True)


def fit_label_prior(proba: NDArray) -> NDArray:
    """Return the class probabilities at which noise removal starts.

    They are proportional to the square root of how often a class is the most probable one. Where
    labels hardly separate two classes, the frequent one stays ahead.
    """
    often = np.sqrt(np.bincount(proba.argmax(axis=1), minlength=proba.shape[1]) + 1.0)
    return often / often.sum()


def remove_noise(proba: NDArray, transition: NDArray, start: NDArray | None = None) -> NDArray:
    """Return class probabilities p for which ``p @ transition`` is close to `proba`.

    A fixed number of steps of expectation maximisation keeps p between the exact solution and
    `start`, of shape (n_classes,), by default the :func:`fit_label_prior` of all rows.
    """
    change, keep = transition[0, -1], transition[0, 0] - transition[0, -1]
    symmetric = keep * np.eye(len(transition)) + change
    product: Callable[[NDArray, NDArray], Any] = np.matmul
    if np.allclose(transition, symmetric, rtol=0, atol=1e-12):

        def product(p: NDArray, _: NDArray) -> NDArray:  # without n K^2 multiplications
            return keep * p + change * p.sum(axis=1, keepdims=True)

    found = np.tile(fit_label_prior(proba) if start is None else start, (len(proba), 1))
    for rows in _blocks(proba, _IN_CACHE):
        p, labels = found[rows], proba[rows]
        for _ in range(_SETTINGS.n_steps):
            p *= product(labels / np.maximum(product(p, transition), 1e-12), transition.T)
    return found


def _blocks(proba: NDArray, size: int) -> Iterable[slice]:
    """Return slices of rows, each of at most `size` probabilities or of one row."""
    return gen_batches(len(proba), max(1, size // proba.shape[1]))

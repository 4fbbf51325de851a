"""The noise of a table: the posterior of its possible forms and amounts, and of the true labels.

In this module `codes`, of shape (n_samples,), are noisy labels from 0 to n_classes - 1, or -1 where
the label is unknown; `truth`, of that shape, are true classes, or -1 where they are unknown; and
`proba`, of shape (n_samples, n_classes), are out-of-sample probabilities of the true class where it
is known, and of the noisy label elsewhere.
"""

from collections.abc import Iterator
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax
from scipy.stats import norm
from sklearn.utils import gen_batches

from ._bayes import (
    SMALLEST_CLASS,
    SMALLEST_LABEL,
    fit_label_prior,
    remove_noise,
    scale_noise,
    subsample_rows,
)
from ._forms import FORMS, NoisePrior
from ._settings import NoiseSettings

_SETTINGS = NoiseSettings()

_LOG_POWERS = np.linspace(*_SETTINGS.log_powers)

#: Shares of the doubtful labels that may be wrong, and their prior if some are.
_HARD_SHARES, _HARD_PRIOR = np.array(_SETTINGS.hard_shares).T

#: Probabilities of class 1, of two, at which the posterior is computed.
_KNOTS = np.linspace(0, 1, 129)

#: Probabilities, of several noises, that are computed at once.
_AT_ONCE = 2**15

#: Posterior probability that pairs of a noise and a power may have together to be left out.
_NEGLIGIBLE = 1e-3


class NoisePosterior(NamedTuple):
    """Transition matrices that the noise may have, and their posterior probabilities.

    Attributes
    ----------
    matrices : ndarray of shape (n_matrices, n_classes, n_classes)
        Possible transition matrices. A known noise has one.
    weights : ndarray of shape (n_matrices,)
        Their posterior probabilities.
    conservative_weights : ndarray of shape (n_matrices,)
        The same under even prior odds for no noise at all.
    n_rows : ndarray of shape (n_classes,)
        Number of samples behind each row of the matrices, infinite for a known noise.
    """

    matrices: NDArray
    weights: NDArray
    conservative_weights: NDArray
    n_rows: NDArray


def known_noise(transition: NDArray) -> NoisePosterior:
    """Return the posterior of a noise that is known."""
    return NoisePosterior(
        transition[None], np.ones(1), np.ones(1), np.full(len(transition), np.inf)
    )


class NumberOfWrong(NamedTuple):
    """The number of wrong labels, as a mixture of normal distributions.

    The fields are the means, the standard deviations, the probabilities and the conservative
    probabilities of the components, each of shape (n_components,).
    """

    mean: NDArray
    std: NDArray
    weights: NDArray
    conservative_weights: NDArray

    def interval(self, n_rows: int, level: float) -> tuple[int, int]:
        """Return an interval, of numbers up to `n_rows`, that holds it with probability `level`.

        The lower end uses the conservative weights.
        """
        tail = (1 - level) / 2
        low = self._quantile(n_rows, tail, self.conservative_weights)
        return low, max(low, self._quantile(n_rows, 1 - tail, self.weights))

    def _quantile(self, n_rows: int, probability: float, weights: NDArray) -> int:
        below, above = -1, n_rows
        while above - below > 1:
            middle = (below + above) // 2
            chance = norm.cdf(middle + 0.5, self.mean, np.maximum(self.std, 1e-9)) @ weights
            below, above = (below, middle) if chance >= probability else (middle, above)
        return above


class NoiseModel(NamedTuple):
    """The posterior of the noise and of the power, which refines labels.

    Attributes
    ----------
    matrices : ndarray of shape (n_matrices, n_classes, n_classes)
        Possible noises.
    weights : ndarray of shape (n_matrices, n_powers)
        Probabilities of pairs of a noise and a power.
    hard : ndarray of shape (n_matrices, n_powers, n_shares)
        Probability of each share of doubtful labels to be wrong, for each pair.
    conservative_weights : ndarray of shape (n_matrices,)
        Probabilities of the noises under even prior odds for no noise.
    start : ndarray of shape (n_classes,)
        Where the removal of noise starts.
    learned : float
        Share of the labels that the predictions were learned from that have a noise.
    """

    matrices: NDArray
    weights: NDArray
    hard: NDArray
    conservative_weights: NDArray
    start: NDArray
    learned: float

    def refine(
        self, codes: NDArray, proba: NDArray, truth: NDArray
    ) -> tuple[NDArray, NumberOfWrong]:
        """Return the probabilities of the true labels, and the number of wrong ones."""
        n_rows, n_classes = proba.shape
        rows = _Rows(codes, truth, proba, np.ones(n_rows), np.ones(n_rows))
        rows = rows.merge() if n_classes == 2 else rows
        mean_share = self.hard @ _HARD_SHARES
        counts = np.zeros((*self.weights.shape, 3))
        found = np.zeros_like(rows.proba)
        fixed = self.matrices, self.start, self.learned
        for part, j, p in _class_probabilities(rows.proba, *fixed):
            if self.weights[part, j].any():
                posterior = rows.posterior(rows.likelihood(self.matrices[part]), p)
                counts[part, j] = rows.count_wrong(posterior, p)
                _doubt(posterior, rows.codes, p, mean_share[part, j])
                found += np.tensordot(self.weights[part, j], posterior, 1)
        if n_classes == 2:
            curves = found[: 2 * len(_KNOTS), 1].reshape(2, -1)
            second = np.choose(codes % 2, [np.interp(proba[:, 1], _KNOTS, of) for of in curves])
            found = np.column_stack([1 - second, second])
        checked = truth >= 0
        found[checked] = np.eye(n_classes)[truth[checked]]
        return found, _number_of_wrong(counts, self.weights, self.hard, self.conservative_weights)


class FittedNoise(NamedTuple):
    """The noise, and the true labels given the observed ones.

    `label_probabilities`, of shape (n_samples, n_classes), are those of the true labels,
    `transition` is the posterior mean of the noise, and `if_noisy` the same if there is any noise.
    `evidence` has the probability of each form, and `model` refines other labels.
    """

    label_probabilities: NDArray
    transition: NDArray
    if_noisy: NDArray
    posterior: NoisePosterior
    number_of_wrong: NumberOfWrong
    evidence: dict[str, float]
    model: NoiseModel


class _Rows(NamedTuple):
    """Labels and their probabilities; `number` is how many samples a row stands for."""

    codes: NDArray
    truth: NDArray
    proba: NDArray
    weight: NDArray
    number: NDArray

    def merge(self) -> Self:
        """Return samples of two classes at few probabilities, between which each is divided.

        Those whose true class is unknown come first, by label.
        """
        n_knots = len(_KNOTS)
        place = self.proba[:, 1] * (n_knots - 1)
        below = np.minimum(place.astype(np.intp), n_knots - 2)
        kind = 3 * (self.truth + 1) + self.codes % 3
        kinds = np.union1d(kind, [0, 1])
        key, above = np.searchsorted(kinds, kind) * n_knots + below, place - below
        weight, number = (
            np.bincount(key, values * (1 - above), len(kinds) * n_knots)
            + np.bincount(key + 1, values * above, len(kinds) * n_knots)
            for values in (self.weight, self.number)
        )
        kind = kinds.repeat(n_knots)
        proba = np.tile(np.column_stack([1 - _KNOTS, _KNOTS]), (len(kinds), 1))
        return type(self)((kind + 1) % 3 - 1, kind // 3 - 1, proba, weight, number)

    def subsample(self) -> Self:
        """Return a random sample, and without weight all other samples of a known true class."""
        n_rows, n_classes = self.proba.shape
        drawn = subsample_rows(n_rows, n_classes)
        beside = np.setdiff1d(np.flatnonzero(self.truth >= 0), drawn)
        found = type(self)(*(values[np.append(drawn, beside)] for values in self))
        found.weight[len(drawn) :] = 0
        return found

    def likelihood(self, matrices: NDArray) -> NDArray:
        """Return the likelihood of the labels under each noise and class."""
        found = matrices[:, :, self.codes].swapaxes(1, 2)
        found[:, self.codes < 0] = 1
        return found

    def log_likelihood(self, likelihood: NDArray, p: NDArray) -> NDArray:
        """Return the log-likelihood of the labels under each noise, given its p.

        A true class takes the place of a label that is unknown.
        """
        chance = np.einsum("mik,mik->mi", p, likelihood)
        alone = np.flatnonzero(self.codes < 0)
        chance[:, alone] = p[:, alone, self.truth[alone]]
        return np.log(np.maximum(chance, _SETTINGS.smallest_label)) @ self.weight

    def posterior(self, likelihood: NDArray, p: NDArray) -> NDArray:
        """Return the probabilities of the true classes under each noise, given the labels."""
        posterior = p * (likelihood + SMALLEST_LABEL)  # impossible labels say nothing
        return posterior / posterior.sum(axis=2, keepdims=True)

    def count_wrong(self, posterior: NDArray, p: NDArray) -> NDArray:
        """Return the mean and the variance of the number of wrong labels, and of doubtful ones.

        Doubtful labels contradict the most probable class, more or less, and are right.
        """
        right = posterior[:, np.arange(len(self.codes)), self.codes]
        doubtful = right * _contradiction(p, self.codes)
        known = (self.truth >= 0) | (self.codes < 0)
        right[:, known] = (self.codes == self.truth)[known] | (self.codes < 0)[known]
        doubtful[:, known] = 0
        return np.stack([1 - right, right * (1 - right), doubtful], axis=1) @ self.number

    def log_chance_of_truth(self, posterior: NDArray, p: NDArray) -> NDArray:
        """Return how probable the true classes of known labels are, for each share of doubt."""
        row = np.flatnonzero((self.truth >= 0) & (self.codes >= 0))
        found = np.zeros((len(p), len(_HARD_SHARES)))
        if len(row):
            codes, truth, p = self.codes[row], self.truth[row], p[:, row]
            moved = posterior[:, row, codes] * _contradiction(p, codes)
            change = (p.argmax(axis=2) == truth) * moved - (codes == truth) * moved
            chance = posterior[:, row, truth, None] + change[:, :, None] * _HARD_SHARES
            chance = np.log(np.maximum(chance, _SETTINGS.smallest_label))
            found = np.tensordot(chance, self.number[row], (1, 0))
        return found


def fit_noise(
    codes: NDArray, proba: NDArray, prior: NoisePrior,
    weight: NDArray | None = None, truth: NDArray | None = None,
) -> FittedNoise:  # fmt: skip
    r"""Find how probable each noise is, and the probabilities of the true labels.

    Right labels of hard samples look wrong, but noise also changes labels of easy samples. Under
    the noise T a label has the probability

    .. math:: \sum_k T[k, \tilde{y}] \, q_k^\beta / \sum_k q_k^\beta,

    where q are `proba` with the noise removed, and the power :math:`\beta` calibrates them. The
    result is averaged over the posterior of T and :math:`\beta`.

    Some labels contradict the most probable class and are right according to T: those of hard
    samples. People err on these, too, which changes no probability of a label. The labels cannot
    tell which share of them is wrong; it keeps its prior.

    If only one noise is possible, it is known: there is no other beside it, and :math:`\beta` is
    such that as many labels are wrong as its rates say. Only the ratios of `weight` matter.

    A sample whose label and true class are both known shows the noise, whatever it was picked by,
    and which share of the doubtful labels is wrong. One whose true class alone is known shows how
    hard samples are.
    """
    n_rows, n_classes = proba.shape
    truth = np.full(n_rows, -1) if truth is None else truth
    checked = truth >= 0
    weight = np.ones(n_rows) if weight is None else weight
    weight = weight * (np.count_nonzero(weight) / max(weight.sum(), SMALLEST_LABEL))
    rows = _Rows(codes, truth, proba, weight, np.ones(n_rows))
    seen = (rows.merge() if n_classes == 2 else rows).subsample()
    start, learned = fit_label_prior(proba), float(1 - checked.mean())

    off = (_LOG_POWERS - _SETTINGS.log_power_mean) / _SETTINGS.log_power_std
    log_posterior = np.log(prior.weights)[:, None] - off**2 / 2
    with np.errstate(divide="ignore"):
        log_hard = np.log(_prior_of_hard_samples(prior))[:, None].repeat(len(_LOG_POWERS), axis=1)
    for part, j, p in _class_probabilities(seen.proba, prior.matrices, start, learned):
        likelihood = seen.likelihood(prior.matrices[part])
        found = seen.log_likelihood(likelihood, p)
        log_posterior[part, j] += prior.label_weight * found
        if prior.known or checked.any():
            posterior = seen.posterior(likelihood, p)
        if prior.known:
            rates = 1 - prior.matrices[part].diagonal(axis1=1, axis2=2)
            log_posterior[part, j] += _log_fit_of_number(seen, posterior, p, rates)
        if checked.any():
            log_hard[part, j] += seen.log_chance_of_truth(posterior, p)
    log_posterior += logsumexp(log_hard, axis=2)
    weights = _drop_negligible(softmax(log_posterior))
    hard = softmax(log_hard, axis=2)

    total = weights.sum(axis=1)
    conservative = _favour_no_noise(total, prior.forms)
    noisy = prior.forms > 0
    if_noisy = softmax(log_posterior[noisy]).sum(axis=1)
    kept = total > 0
    model = NoiseModel(
        prior.matrices[kept], weights[kept], hard[kept], conservative[kept], start, learned
    )
    probabilities, number_of_wrong = model.refine(codes, proba, truth)
    n_behind = np.full(n_classes, np.inf) if prior.known else probabilities.sum(axis=0)
    return FittedNoise(
        probabilities,
        np.tensordot(total, prior.matrices, 1),
        np.tensordot(if_noisy, prior.matrices[noisy], 1),
        NoisePosterior(model.matrices, total[kept], model.conservative_weights, n_behind),
        number_of_wrong,
        _find_evidence(weights, prior.forms, hard),
        model,
    )


def _class_probabilities(
    proba: NDArray, matrices: NDArray, start: NDArray, learned: float
) -> Iterator[tuple[NDArray, int, NDArray]]:
    """Yield positions of noises, that of a power, and the class probabilities under these.

    A share `learned` of the labels that `proba` were learned from have a noise.
    """
    size = max(1, _AT_ONCE // proba.size)
    for batch in gen_batches(len(matrices), size):
        part = np.arange(len(matrices))[batch]
        noise = scale_noise(matrices[part], learned)
        log_q = np.log(remove_noise(proba, noise, start) + SMALLEST_CLASS)
        for j, log_power in enumerate(_LOG_POWERS):
            p = np.exp(np.exp(log_power) * log_q)
            p /= p.sum(axis=2, keepdims=True)
            yield part, j, np.maximum(p, SMALLEST_CLASS, out=p)


def _log_fit_of_number(rows: _Rows, posterior: NDArray, p: NDArray, rates: NDArray) -> NDArray:
    """Return how well the number of wrong labels agrees with the rates of a known noise."""
    found = rows.count_wrong(posterior, p)[:, 0]
    expected = np.einsum("mik,mk->mi", posterior, rates) * (rows.codes >= 0)
    variance = np.maximum((expected * (1 - expected)) @ rows.number, 0.25)
    return -((found - expected @ rows.number) ** 2) / (2 * variance)


def _drop_negligible(weights: NDArray) -> NDArray:
    """Set the smallest weights to 0, which are next to nothing together, and normalise."""
    order = np.argsort(weights, axis=None)
    kept = weights.ravel()[order].cumsum() > _NEGLIGIBLE
    weights = weights * (weights >= weights.ravel()[order][kept.argmax()])
    return weights / weights.sum()


def _prior_of_hard_samples(prior: NoisePrior) -> NDArray:
    """Return the probability of each share of doubtful labels to be wrong, for each noise."""
    beside = 0.0 if prior.known else _SETTINGS.hard_beside_noise
    some = np.where(prior.forms == 0, _SETTINGS.hard_alone, beside)[:, None]
    return some * _HARD_PRIOR + (1 - some) * (_HARD_SHARES == 0)


def _contradiction(p: NDArray, codes: NDArray) -> NDArray:
    """Return how far labels contradict the most probable class, from 0 to 1, for each noise."""
    own = p[:, np.arange(len(codes)), codes]
    return 1 - (own / p.max(axis=2)) ** _SETTINGS.contradiction_power


def _doubt(posterior: NDArray, codes: NDArray, p: NDArray, shares: NDArray) -> None:
    """Move a share of the probability of doubtful labels to the most probable class, in place."""
    if shares.any():
        noise, row = np.ogrid[: len(p), : len(codes)]
        moved = shares[:, None] * posterior[noise, row, codes] * _contradiction(p, codes)
        posterior[noise, row, codes] -= moved
        posterior[noise, row, p.argmax(axis=2)] += moved


def _favour_no_noise(weights: NDArray, forms: NDArray) -> NDArray:
    """Return posterior probabilities under even prior odds for no noise at all."""
    prior, even = _SETTINGS.form_prior[0], _SETTINGS.conservative_no_noise
    odds = even / (1 - even) * (1 - prior) / prior
    weights = np.where(forms == 0, odds, 1.0) * weights
    return weights / weights.sum()


def _number_of_wrong(
    counts: NDArray, weights: NDArray, hard: NDArray, conservative: NDArray
) -> NumberOfWrong:
    """Return the number of wrong labels, from that of each noise and power."""
    noise, power = np.nonzero(weights)
    mean, variance, doubtful = counts[noise, power].T
    each = weights[noise, power][:, None] * hard[noise, power]
    factor = conservative[noise] / weights.sum(axis=1)[noise]
    return NumberOfWrong(
        (mean[:, None] + doubtful[:, None] * _HARD_SHARES).ravel(),
        np.repeat(np.sqrt(variance), len(_HARD_SHARES)),
        each.ravel(),
        (each * factor[:, None]).ravel(),
    )


def _find_evidence(weights: NDArray, forms: NDArray, hard: NDArray) -> dict[str, float]:
    """Return the probability of each form, with that of noise on hard samples alone apart."""
    total = np.bincount(forms, weights.sum(axis=1), len(FORMS))
    evidence = dict(zip(FORMS, total.tolist(), strict=True))
    without = forms == 0
    some = float((weights * (1 - hard[..., 0]))[without].sum())
    return {"none": evidence.pop("none") - some, "hard_samples": some, **evidence}

"""Several annotators: the noise of each, and the true classes given all answers.

In this module `answers` has at least one answer per sample; `trusted`, of the shape of its codes or
None, says which answers are known to be right; `weight` has positive sample weights.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp, softmax

from .._validation.answers import Answers
from .._validation.rows import TrainingRows
from ..noise._transitions import symmetric_transition
from ._bayes import remove_noise
from ._forms import make_noise_prior
from ._noise_model import fit_noise
from ._observed_labels import ObservedLabels
from ._settings import AnnotatorSettings

_SETTINGS = AnnotatorSettings()

#: Smallest probability of an answer, and of a class before answers are seen.
_SMALLEST, _SMALLEST_CLASS = 1e-6, 1e-4


class FittedAnnotators(NamedTuple):
    """The noise of annotators, and the true classes given their answers.

    Attributes
    ----------
    transitions : ndarray of shape (n_annotators, n_classes, n_classes)
        Transition matrix of each annotator.
    common : ndarray of shape (n_classes, n_classes)
        Transition matrix of all answers.
    label_probabilities : ndarray of shape (n_samples, n_classes)
        Probabilities of the true classes.
    likelihood : ndarray of shape (n_samples, n_classes)
        Likelihood of the answers under each class, relative to the largest.
    """

    transitions: NDArray
    common: NDArray
    label_probabilities: NDArray
    likelihood: NDArray


def aggregate_labels(rows: TrainingRows) -> TrainingRows:
    """Return samples with one label each: the most probable class, given the answers."""
    if rows.answers is None or rows.codes is not None:
        return rows
    found = fit_annotators(rows.answers, rows.trusted, rows.weight)
    return rows.with_codes(found.label_probabilities.argmax(axis=1))


def fit_annotators_with_features(
    answers: Answers, trusted: NDArray | None, weight: NDArray, codes: NDArray, proba: NDArray,
    common: NDArray | None = None,
) -> tuple[FittedAnnotators, ObservedLabels, NDArray]:  # fmt: skip
    """Find the noise and the true classes given the answers and the features.

    `codes` are the aggregated labels, and `proba`, of shape (n_samples, n_classes), out-of-sample
    probabilities of these. `common` is the noise of all answers, if it is known. The result is
    completed by the likelihoods, and by soft labels of shape (n_samples, n_classes).
    """
    # Aggregated labels are noisy, too.
    transition = fit_noise(codes, proba, make_noise_prior(codes, proba, answers.classes)).if_noisy
    found = fit_annotators(answers, trusted, weight, remove_noise(proba, transition), common)
    log_likelihood, weight = np.log(found.likelihood + 1e-300), _scale_to_mean_one(weight)
    for _ in range(_SETTINGS.n_rounds):
        log_q = np.log(np.maximum(remove_noise(proba, transition), _SMALLEST_CLASS))
        log_prior = _calibrate(log_q, log_likelihood, weight, _SETTINGS.probability_mean)
        posterior = softmax(log_prior + log_likelihood, axis=1)
        joint = (posterior * weight[:, None]).T @ np.eye(len(transition))[codes]
        joint = np.maximum(joint, _SMALLEST)
        transition = joint / joint.sum(axis=1, keepdims=True)
    listed = _list_untrusted(answers, trusted)
    transitions, common = _fit_transitions(listed, answers, weight, posterior, common)
    if trusted is not None:
        always = np.setdiff1d(np.flatnonzero(trusted.any(axis=0)), listed[1])
        transitions[always] = np.eye(len(transition))
    found = FittedAnnotators(transitions, common, posterior, found.likelihood)
    observed = ObservedLabels(codes, transition, found.likelihood)
    return found, observed, observed.soft_labels(proba)


def fit_annotators(
    answers: Answers, trusted: NDArray | None, weight: NDArray,
    q: NDArray | None = None, common: NDArray | None = None,
) -> FittedAnnotators:  # fmt: skip
    r"""Find the noise of each annotator and the probabilities of the true classes.

    By expectation maximisation, as Dawid and Skene: :math:`P(k) \propto f_k \prod_a T^a_{k y_a}`,
    where f are class frequencies, and :math:`T^a` is counted with these probabilities and shrunk
    towards the common noise. Trusted answers fix the class and say nothing about their annotator.

    Without trees, f is the distribution of the votes. With them, q, of shape (n_samples,
    n_classes), are class probabilities by trees that do not know the answers of the sample. They
    join as the answers of one more annotator, to a power that calibrates them. If they were the
    prior f instead, answers could not contradict trees that confuse two classes.
    """
    n_rows, n_classes = len(answers.codes), len(answers.classes)
    weight = _scale_to_mean_one(weight)
    listed = row, annotator, answer = _list_untrusted(answers, trusted)
    known = None if trusted is None else np.where(trusted, answers.codes, -1).max(axis=1)
    votes = answers.count_votes() + 1 / n_classes
    posterior = _insert_known(votes / votes.sum(axis=1, keepdims=True), known)
    log_prior, counted = np.log(weight @ posterior), weight
    if q is None:
        # An only answer cannot be checked; with few answers per sample, frequencies would drift
        # until all samples are of one class.
        counted = weight * ((answers.codes >= 0).sum(axis=1) > 1)
    for _ in range(_SETTINGS.max_steps):
        transitions, common_found = _fit_transitions(listed, answers, counted, posterior, common)
        log_likelihood = np.zeros((n_rows, n_classes))
        log_seen = np.log(np.maximum(transitions, _SMALLEST))[annotator, :, answer]
        for k in range(n_classes):
            log_likelihood[:, k] = np.bincount(row, log_seen[:, k], minlength=n_rows)
        if q is not None:
            of_trees = _fit_common((weight[:, None] * posterior).T @ q)
            log_prior = _calibrate(
                q @ np.log(of_trees.T), log_likelihood, weight, _SETTINGS.answer_mean,
                np.log(weight @ posterior + 1e-9),
            )  # fmt: skip
        before = posterior
        posterior = _insert_known(softmax(log_prior + log_likelihood, axis=1), known)
        if np.abs(posterior - before).max() < _SETTINGS.tolerance:
            break
    likelihood = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
    return FittedAnnotators(transitions, common_found, posterior, _insert_known(likelihood, known))


def _scale_to_mean_one(weight: NDArray) -> NDArray:
    weight = weight / weight.max()  # sums of the largest floats would overflow
    return weight / weight.mean()


def _list_untrusted(answers: Answers, trusted: NDArray | None) -> tuple[NDArray, NDArray, NDArray]:
    """Return sample, annotator and code of each answer that is not trusted."""
    given = answers.codes >= 0
    row, annotator = np.nonzero(given if trusted is None else given & ~trusted)
    return row, annotator, answers.codes[row, annotator]


def _insert_known(values: NDArray, known: NDArray | None) -> NDArray:
    """Replace the values of samples with a known class by 0 and 1."""
    if known is None:
        return values
    return np.where(known[:, None] >= 0, np.eye(values.shape[1])[known], values)


def _fit_transitions(
    listed: tuple[NDArray, NDArray, NDArray], answers: Answers, weight: NDArray,
    posterior: NDArray, common: NDArray | None,
) -> tuple[NDArray, NDArray]:  # fmt: skip
    """Return the transition matrix of each annotator and, if it is not known, of all answers."""
    row, annotator, answer = listed
    n_annotators, n_classes = answers.codes.shape[1], posterior.shape[1]
    key = annotator * n_classes + answer
    counts = np.stack(
        [
            np.bincount(key, (weight * of_class)[row], minlength=n_annotators * n_classes)
            for of_class in posterior.T
        ],
        axis=1,
    )
    counts = counts.reshape(n_annotators, n_classes, n_classes).swapaxes(1, 2)
    if common is None:
        common = _fit_common(counts.sum(axis=0))
    return _shrink(counts, common), common


def _fit_common(counts: NDArray) -> NDArray:
    """Return the transition matrix of counts and of prior answers with symmetric noise."""
    n_classes = len(counts)
    right = (counts.trace() + 1) / (counts.sum() + 1)
    # A rate above that of random labels would mean that classes are swapped.
    rate = min(1 - right, 0.95 * (1 - 1 / n_classes))
    prior = symmetric_transition(n_classes, rate)
    counts = counts + _SETTINGS.symmetric_answers * n_classes * prior
    return counts / counts.sum(axis=1, keepdims=True)


def _shrink(counts: NDArray, common: NDArray) -> NDArray:
    """Return transition matrices of counts and of prior answers with a share of the common noise.

    The share of an annotator is the ratio of its wrong answers to those that the common noise
    makes one expect.
    """
    n_classes = len(common)
    wrong = counts.sum(axis=(1, 2)) - np.trace(counts, axis1=1, axis2=2)
    expected = counts.sum(axis=2) @ (1 - common.diagonal())
    prior_wrong = _SETTINGS.rate_answers * (1 - common.diagonal()).mean() + 1e-12
    share = (wrong + prior_wrong) / (expected + prior_wrong)
    off = share[:, None, None] * common * ~np.eye(n_classes, dtype=bool)
    off /= np.maximum(1, off.sum(axis=2, keepdims=True) / (1 - _SMALLEST))
    prior = off + np.eye(n_classes) * (1 - off.sum(axis=2))[:, None]
    counts = counts + _SETTINGS.class_answers * prior
    return counts / counts.sum(axis=2, keepdims=True)


def _calibrate(
    log_q: NDArray, log_likelihood: NDArray, weight: NDArray, mean: float,
    log_frequency: NDArray | float = 0.0,
) -> NDArray:  # fmt: skip
    """Return class log-probabilities: the power of q that makes the answers most probable."""
    best, found = -np.inf, log_q
    for log_power in np.linspace(*_SETTINGS.log_powers):
        log_p = log_softmax(log_frequency + np.exp(log_power) * log_q, axis=1)
        fit = _SETTINGS.row_weight * weight @ logsumexp(log_p + log_likelihood, axis=1)
        fit -= ((log_power - mean) / _SETTINGS.log_power_std) ** 2 / 2
        if fit > best:
            best, found = fit, log_p
    return found

"""Several annotators: a noise of each, and what their answers say of a row together."""

from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax, logsumexp, softmax

from .._validation.rows import TrainingRows
from ..noise._transitions import symmetric_transition
from ._noise_model import estimate_noise, make_soft_labels, remove_noise
from ._observed_labels import ObservedLabels

#: Answers that what is known of all annotators counts for: for each class, and for the rate.
_COMMON_ANSWERS, _RATE_ANSWERS = 5.0, 5.0

#: Answers, for each entry of the common matrix, that symmetric noise counts for.
_SYMMETRIC_ANSWERS = 1.0

#: Steps of expectation maximisation, at most, and change of a belief that ends it.
_STEPS, _SETTLED = 100, 1e-4

#: Times that the noise of the aggregate is found anew by the beliefs.
_ROUNDS = 2

#: Smallest probability of an answer, and of a class before answers are seen.
_SMALLEST, _SMALLEST_CLASS = 1e-6, 1e-4

#: Logarithms of the powers that what trees say is taken to, as probabilities and as answers: their
#: means and standard deviation before the answers are seen, and what a row counts for.
_LOG_POWERS = np.linspace(-1.5, 2.0, 15)
_MEAN_OF_PROBABILITIES, _MEAN_OF_ANSWERS, _LOG_POWER_STD = 0.2, 0.7, 0.5
_ROW_COUNTS = 0.1


class Annotators(NamedTuple):
    """Annotators, and what they say.

    `transitions`, of shape (n_annotators, n_classes, n_classes), is the noise of each, `common`
    that of all; `beliefs`, of shape (n_samples, n_classes), the probabilities of the true classes;
    and `likelihood`, of that shape, how probable the answers for a row are where its class is k,
    relative to the most probable class.
    """

    transitions: np.ndarray
    common: np.ndarray
    beliefs: np.ndarray
    likelihood: np.ndarray


def fit_annotators(answers, trusted, weight, q=None, common=None):
    r"""Find the noise of each annotator, and the probabilities of the true classes.

    By expectation maximisation, as Dawid and Skene did: beliefs are :math:`\pi_k \propto f_k
    \prod_a T^a_{k y_a}`, with f the frequency of a class, and :math:`T^a_{kj}` is what the beliefs
    count, beside some answers of a share of the common noise that is as right as the annotator is.
    Without trees f is that of the votes. What trees say joins as one more annotator, whose answers
    are probabilities; to a power, for they may be cautious. Trees that took the place of f could
    not be contradicted about two classes that they mix up.

    Parameters
    ----------
    answers : Answers
        The answers, one at least for each row.
    trusted : ndarray of shape (n_samples, n_annotators) or None
        Which of them are known to be right. They tell the class of the row, and nothing of their
        annotator.
    weight : ndarray of shape (n_samples,)
        Positive weights of the rows.
    q : ndarray of shape (n_samples, n_classes) or None, default=None
        Probabilities of the classes by trees that do not know the answers for the row.
    common : ndarray of shape (n_classes, n_classes) or None, default=None
        The common noise, if it is known.

    Returns
    -------
    found : Annotators
        What was found.
    """
    n_rows, n_classes = len(answers.codes), len(answers.classes)
    weight = _of_mean_one(weight)
    listed = row, by, answer = _list(answers, trusted)
    known = None
    if trusted is not None:
        known = np.where(trusted, answers.codes, -1).max(axis=1)
    votes = answers.count_votes() + 1 / n_classes
    beliefs = _know(votes / votes.sum(axis=1, keepdims=True), known)
    log_prior, checked = np.log(weight @ beliefs), weight
    if q is None:
        # Nothing tells whether the only answer for a row is right; and of few answers for each
        # frequencies would drift, until all is one class.
        checked = weight * ((answers.codes >= 0).sum(axis=1) > 1)
    for _ in range(_STEPS):
        transitions, common_found = _find_transitions(
            listed, answers.codes.shape[1], checked, beliefs, common
        )
        log_likelihood = np.zeros((n_rows, n_classes))
        log_seen = np.log(np.maximum(transitions, _SMALLEST))[by, :, answer]
        for k in range(n_classes):
            log_likelihood[:, k] = np.bincount(row, log_seen[:, k], minlength=n_rows)
        if q is not None:
            of_trees = _find_common((weight[:, None] * beliefs).T @ q)
            log_prior = _to_the_best_power(
                q @ np.log(of_trees.T), log_likelihood, weight, _MEAN_OF_ANSWERS,
                np.log(weight @ beliefs + 1e-9),
            )  # fmt: skip
        before, beliefs = beliefs, _know(softmax(log_prior + log_likelihood, axis=1), known)
        if np.abs(beliefs - before).max() < _SETTLED:
            break
    likelihood = _know(np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True)), known)
    return Annotators(transitions, common_found, beliefs, likelihood)


def _find_transitions(listed, n_annotators, weight, beliefs, common=None):
    """Count how often answers and beliefs meet; return the noise of each annotator, and of all."""
    row, by, answer = listed
    n_classes = beliefs.shape[1]
    key = by * n_classes + answer
    counts = np.stack(
        [
            np.bincount(key, (weight * belief)[row], minlength=n_annotators * n_classes)
            for belief in beliefs.T
        ],
        axis=1,
    )
    counts = counts.reshape(n_annotators, n_classes, n_classes).swapaxes(1, 2)
    if common is None:
        common = _find_common(counts.sum(axis=0))
    return _shrink(counts, common), common


def aggregate_labels(rows: TrainingRows) -> TrainingRows:
    """Return rows with one label each: the most probable class, given the annotators' answers."""
    if rows.codes is not None:
        return rows
    return rows.with_codes(
        fit_annotators(rows.answers, rows.trusted, rows.weight).beliefs.argmax(axis=1)
    )


def fit_annotators_with_features(answers, trusted, weight, codes, proba, common=None):
    """Find the annotators and the beliefs by what features say, too.

    Parameters
    ----------
    answers, trusted, weight, common
        As in :func:`fit_annotators`.
    codes : ndarray of shape (n_samples,)
        What the answers of a row speak for.
    proba : ndarray of shape (n_samples, n_classes)
        Out-of-sample probabilities of these.

    Returns
    -------
    found : Annotators
        What was found.
    evidence : ObservedLabels
        What the answers say.
    soft_labels : ndarray of shape (n_samples, n_classes)
        More cautious beliefs.
    """
    # That of the aggregate labels: some of them are wrong as well.
    transition, _ = estimate_noise(codes, proba, answers.classes)
    found = fit_annotators(answers, trusted, weight, remove_noise(proba, transition), common)
    log_likelihood, weight = np.log(found.likelihood + 1e-300), _of_mean_one(weight)
    for _ in range(_ROUNDS):
        log_q = np.log(np.maximum(remove_noise(proba, transition), _SMALLEST_CLASS))
        log_prior = _to_the_best_power(log_q, log_likelihood, weight, _MEAN_OF_PROBABILITIES)
        beliefs = softmax(log_prior + log_likelihood, axis=1)
        joint = (beliefs * weight[:, None]).T @ np.eye(len(transition))[codes]
        joint = np.maximum(joint, _SMALLEST)
        transition = joint / joint.sum(axis=1, keepdims=True)
    evidence = ObservedLabels(codes, transition, found.likelihood)
    listed = _list(answers, trusted)
    transitions, common = _find_transitions(listed, answers.codes.shape[1], weight, beliefs, common)
    if trusted is not None:
        always = np.setdiff1d(np.flatnonzero(trusted.any(axis=0)), listed[1])
        transitions[always] = np.eye(len(transition))
    found = Annotators(transitions, common, beliefs, found.likelihood)
    return found, evidence, make_soft_labels(found.likelihood, proba, transition)


def _of_mean_one(weight):
    weight = weight / weight.max()  # sums of the largest floats would overflow
    return weight / weight.mean()


def _list(answers, trusted):
    """Return row, annotator and answer of each answer that is not trusted."""
    given = answers.codes >= 0
    row, by = np.nonzero(given if trusted is None else given & ~trusted)
    return row, by, answers.codes[row, by]


def _know(beliefs, known):
    """Replace the beliefs of rows whose class is known."""
    if known is None:
        return beliefs
    return np.where(known[:, None] >= 0, np.eye(beliefs.shape[1])[known], beliefs)


def _find_common(counts):
    """Return the noise of all annotators together."""
    n_classes = len(counts)
    right = (counts.trace() + 1) / (counts.sum() + 1)
    # Worse than by chance is no noise, but other names of the classes.
    rate = min(1 - right, 0.95 * (1 - 1 / n_classes))
    counts = counts + _SYMMETRIC_ANSWERS * n_classes * symmetric_transition(n_classes, rate)
    return counts / counts.sum(axis=1, keepdims=True)


def _shrink(counts, common):
    """Return the noise of each annotator: what was counted, and some answers of the common noise.

    First the noise is a share of the common one, by the number of wrong answers.
    """
    n_classes = len(common)
    wrong = counts.sum(axis=(1, 2)) - np.trace(counts, axis1=1, axis2=2)
    expected = counts.sum(axis=2) @ (1 - common.diagonal())
    some = _RATE_ANSWERS * (1 - common.diagonal()).mean() + 1e-12
    share = (wrong + some) / (expected + some)
    off = share[:, None, None] * common * ~np.eye(n_classes, dtype=bool)
    off /= np.maximum(1, off.sum(axis=2, keepdims=True) / (1 - _SMALLEST))
    alike = off + np.eye(n_classes) * (1 - off.sum(axis=2))[:, None]
    counts = counts + _COMMON_ANSWERS * alike
    return counts / counts.sum(axis=2, keepdims=True)


def _to_the_best_power(log_q, log_likelihood, weight, mean, log_frequency=0.0):
    """Return log probabilities of classes, by the power of q that makes answers most probable."""
    best, found = -np.inf, None
    for log_power in _LOG_POWERS:
        log_p = log_softmax(log_frequency + np.exp(log_power) * log_q, axis=1)
        fit = _ROW_COUNTS * weight @ logsumexp(log_p + log_likelihood, axis=1)
        fit -= ((log_power - mean) / _LOG_POWER_STD) ** 2 / 2
        if fit > best:
            best, found = fit, log_p
    return found

"""Several annotators: a noise of each, and what their answers say of a row together."""

from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax, logsumexp, softmax

from .._answers import Answers
from .._labels import encode
from ..noise import symmetric_transition
from ._evidence import Evidence
from ._noise_model import estimate_noise, soften, without_noise

#: Answers that what is known of all annotators counts for: for each class, and for the rate.
_COMMON_ANSWERS, _RATE_ANSWERS = 5.0, 5.0

#: Answers, for each entry of the common matrix, that symmetric noise counts for.
_SYMMETRIC_ANSWERS = 1.0

#: Steps of expectation maximisation, at most, and change of a belief that ends it.
_STEPS, _SETTLED = 100, 1e-4

#: Correlation of the answers for a row: a hard row misleads several annotators. So many answers
#: count for fewer where features speak as well, by what surveys call the design effect.
_ALIKE = 0.5

#: Times that the noise of the aggregate is found anew by the beliefs.
_ROUNDS = 2

#: Smallest probability of an answer, and of a class before answers are seen.
_SMALLEST, _SMALLEST_CLASS = 1e-6, 1e-4

#: Logarithms of the powers of probabilities, their mean and standard deviation before the answers
#: are seen, and what an answer counts for: see the noise of single labels.
_LOG_POWERS = np.linspace(-1.5, 2.0, 15)
_LOG_POWER_MEAN, _LOG_POWER_STD = 0.2, 0.5
_ANSWER_COUNTS = 0.3


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


def find_annotators(answers, trusted, weight, log_q=None, common=None):
    r"""Find the noise of each annotator, and the probabilities of the true classes.

    By expectation maximisation: beliefs are :math:`\pi_k \propto q_k^\beta \prod_a T^a_{k y_a}`,
    and :math:`T^a_{kj}` what the beliefs count, beside some answers of a share of the common noise
    that is as right as the annotator is.

    Parameters
    ----------
    answers : Answers
        The answers, one at least for each row.
    trusted : ndarray of shape (n_samples, n_annotators) or None
        Which of them are known to be right. They tell the class of the row, and nothing of their
        annotator.
    weight : ndarray of shape (n_samples,)
        Positive weights of the rows.
    log_q : ndarray of shape (n_samples, n_classes) or None, default=None
        Logarithms of the probabilities of the classes without the answers, that are taken to the
        power that makes the answers most probable. None for class frequencies (Dawid and Skene).
    common : ndarray of shape (n_classes, n_classes) or None, default=None
        The common noise, if it is known.

    Returns
    -------
    found : Annotators
        What was found.
    """
    n_rows, n_annotators = answers.codes.shape
    n_classes = len(answers.classes)
    weight = weight / weight.mean()
    counted = answers.codes >= 0
    row, by, answer = _list(answers.codes, counted if trusted is None else counted & ~trusted)
    known = None
    if trusted is not None:
        known = np.where(trusted, answers.codes, -1).max(axis=1)
    votes = answers.count_votes() + 1 / n_classes
    beliefs = _know(votes / votes.sum(axis=1, keepdims=True), known)
    given = common
    key = by * n_classes + answer
    for _ in range(_STEPS):
        counts = np.stack(
            [
                np.bincount(key, (weight * belief)[row], minlength=n_annotators * n_classes)
                for belief in beliefs.T
            ],
            axis=1,
        )
        counts = counts.reshape(n_annotators, n_classes, n_classes).swapaxes(1, 2)
        common = _find_common(counts.sum(axis=0)) if given is None else given
        transitions = _shrink(counts, common)
        log_likelihood = np.zeros((n_rows, n_classes))
        log_seen = np.log(np.maximum(transitions, _SMALLEST))[by, :, answer]
        for k in range(n_classes):
            log_likelihood[:, k] = np.bincount(row, log_seen[:, k], minlength=n_rows)
        if log_q is None:
            log_prior = np.log(weight @ beliefs + 1e-9)
        else:
            log_prior = _to_the_best_power(log_q, log_likelihood, weight, known)
        before, beliefs = beliefs, _know(softmax(log_prior + log_likelihood, axis=1), known)
        if np.abs(beliefs - before).max() < _SETTLED:
            break
    if log_q is not None:
        n_answers = np.bincount(row, minlength=n_rows)
        log_likelihood /= 1 + _ALIKE * np.maximum(n_answers - 1, 0)[:, None]
        beliefs = _know(softmax(log_prior + log_likelihood, axis=1), known)
    likelihood = _know(np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True)), known)
    if trusted is not None:
        always = np.flatnonzero(~(counted & ~trusted).any(axis=0) & trusted.any(axis=0))
        transitions[always] = np.eye(n_classes)
    return Annotators(transitions, common, beliefs, likelihood)


def label_rows(y, classes, trusted, weight):
    """Return a label for each row, a position in the classes: what answers speak for, if several.

    Parameters
    ----------
    y : ndarray of shape (n_samples,) or Answers
        Labels.
    classes : ndarray of shape (n_classes,)
        The sorted classes.
    trusted, weight
        As in :func:`find_annotators`.

    Returns
    -------
    codes : ndarray of shape (n_samples,)
        Positions.
    """
    if not isinstance(y, Answers):
        return encode(y, classes)
    positions = encode(y.classes, classes)
    return positions[find_annotators(y, trusted, weight).beliefs.argmax(axis=1)]


def join_features(answers, trusted, weight, codes, proba, common=None):
    """Find the annotators and the beliefs by what features say, too.

    Parameters
    ----------
    answers, trusted, weight, common
        As in :func:`find_annotators`.
    codes : ndarray of shape (n_samples,)
        What the answers of a row speak for.
    proba : ndarray of shape (n_samples, n_classes)
        Out-of-sample probabilities of these.

    Returns
    -------
    found : Annotators
        What was found.
    evidence : Evidence
        What the answers say.
    soft_labels : ndarray of shape (n_samples, n_classes)
        More cautious beliefs.
    """
    # That of the aggregate labels: some of them are wrong as well.
    transition, _ = estimate_noise(codes, proba, answers.classes)
    for _ in range(_ROUNDS):
        log_q = np.log(np.maximum(without_noise(proba, transition), _SMALLEST_CLASS))
        found = find_annotators(answers, trusted, weight, log_q, common)
        joint = (found.beliefs * weight[:, None]).T @ np.eye(len(transition))[codes]
        joint = np.maximum(joint, _SMALLEST)
        transition = joint / joint.sum(axis=1, keepdims=True)
    evidence = Evidence(codes, transition, found.likelihood)
    return found, evidence, soften(found.likelihood, proba, transition)


def _list(codes, counted):
    """Return row, annotator and answer of each answer that counts."""
    row, by = np.nonzero(counted)
    return row, by, codes[row, by]


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


def _to_the_best_power(log_q, log_likelihood, weight, known):
    """Return the logarithms of the class probabilities that make the answers most probable."""
    best, found = -np.inf, None
    if known is not None:
        log_likelihood = np.log(_know(np.exp(log_likelihood), known) + 1e-300)
    for log_power in _LOG_POWERS:
        log_p = log_softmax(np.exp(log_power) * log_q, axis=1)
        fit = _ANSWER_COUNTS * weight @ logsumexp(log_p + log_likelihood, axis=1)
        fit -= ((log_power - _LOG_POWER_MEAN) / _LOG_POWER_STD) ** 2 / 2
        if fit > best:
            best, found = fit, log_p
    return found

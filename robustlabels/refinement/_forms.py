"""The possible noises of a table, each with its prior probability.

A noise has one of four forms. *none*: all labels are right. *symmetric*: all wrong labels are
equally probable. *sparse*: with two classes, the labels of one of them are all right; with more,
the wrong labels of a class all name one other class, as under pair noise. *full*: any matrix.

In this module `codes`, of shape (n_samples,), are noisy labels from 0 to n_classes - 1, or -1 where
the label is unknown, and `proba`, of shape (n_samples, n_classes), are out-of-sample probabilities
of the labels.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from ..noise._transitions import symmetric_transition
from ._bayes import make_soft_labels, scale_noise
from ._confident_joint import estimate_transition_matrix, find_known_classes, restrict_to_known
from ._settings import NoiseSettings

_SETTINGS = NoiseSettings()

FORMS = ("none", "symmetric", "sparse", "full")


class NoisePrior(NamedTuple):
    """Transition matrices that the noise may have, before the labels have been seen.

    Attributes
    ----------
    matrices : ndarray of shape (n_matrices, n_classes, n_classes)
        The matrices. The first is the identity, unless the noise is known.
    weights : ndarray of shape (n_matrices,)
        Their probabilities.
    forms : ndarray of shape (n_matrices,)
        The form of each, as a position in FORMS.
    label_weight : float
        Weight of a label in the likelihood.
    """

    matrices: NDArray
    weights: NDArray
    forms: NDArray
    label_weight: float

    @property
    def known(self) -> bool:
        """Whether there is one matrix alone."""
        return len(self.weights) == 1


def make_noise_prior(
    codes: NDArray, proba: NDArray, classes: NDArray | None = None, truth: NDArray | None = None
) -> NoisePrior:
    """Return the noises that the labels may have.

    Symmetric matrices, and with three or more classes the others, are shares of a matrix that is
    counted by the confident joint. It counts right labels of hard samples as wrong, so that its
    noise is not real in full. Two classes have few enough matrices to list all of them. `truth`, of
    shape (n_samples,), are true classes, -1 where they are unknown; `classes` are the names for
    warnings.
    """
    n_classes = proba.shape[1]
    classes = np.arange(n_classes) if classes is None else classes
    if truth is not None:
        codes = codes if (codes >= 0).any() else truth
        seen = codes >= 0
        codes, proba, truth = codes[seen], proba[seen], truth[seen]
    counted = estimate_transition_matrix(classes[codes], proba, labels=classes)
    known = find_known_classes(codes, proba)
    if 2 <= known.sum() < n_classes:
        return _leave_out_unknown(codes, proba, classes, known)
    frequency = np.bincount(codes, minlength=n_classes) / len(codes)
    # At least one wrong label: counting none does not prove that there is none.
    rate = np.clip(
        frequency @ (1 - counted.diagonal()),
        1 / len(codes),
        _SETTINGS.max_relative_rate * (1 - 1 / n_classes),
    )
    found = [np.eye(n_classes)[None], _shares(symmetric_transition(n_classes, rate))]
    if n_classes == 2:
        found += _two_rates()
    elif len(codes) >= n_classes**2:
        counted = _recount(counted, codes, proba, truth)
        found += [_shares(_keep_largest(counted)), _shares(counted)]
        if truth is not None and (truth >= 0).any():
            # Samples that were picked have too many wrong labels, but their kinds are right.
            found[-1] = np.concatenate([found[-1], _shares(_count_pairs(counted, codes, truth))])
    of_forms = np.array(_SETTINGS.form_prior[: len(found)])
    label_weight = _SETTINGS.label_weight_of_two if n_classes == 2 else _SETTINGS.label_weight
    if n_classes > 2:
        # A matrix that was counted from the labels fits them too well by its number of free
        # entries, as in the criterion of Akaike.
        n_entries = np.array([0, 1, *(_count_entries(matrices[-1]) for matrices in found[2:])])
        of_forms *= np.exp(-label_weight * n_entries)
    forms = np.repeat(np.arange(len(found)), [len(matrices) for matrices in found])
    weights = (of_forms / of_forms.sum() / np.bincount(forms))[forms]
    return NoisePrior(np.concatenate(found), weights, forms, label_weight)


def _leave_out_unknown(
    codes: NDArray, proba: NDArray, classes: NDArray, known: NDArray
) -> NoisePrior:
    """Return the noises of the known classes; labels of all others may be typing errors."""
    inner_codes, inner = restrict_to_known(codes, proba, known)
    inner /= inner.sum(axis=1, keepdims=True)
    prior = make_noise_prior(inner_codes, inner, classes[known])
    # Typing errors are equally frequent in all classes.
    share = np.bincount(codes, minlength=len(known)) / len(codes) * ~known
    matrices = np.tile(np.eye(len(known)), (len(prior.weights), 1, 1))
    place = np.flatnonzero(known)
    matrices[:, place[:, None], place] = (1 - share.sum()) * prior.matrices
    matrices[:, place] += share
    return prior._replace(matrices=matrices)


def make_known_prior(transition: NDArray) -> NoisePrior:
    """Return the prior of a noise that is known."""
    full = np.array([FORMS.index("full")])
    return NoisePrior(transition[None], np.ones(1), full, _SETTINGS.label_weight_of_two)


def _two_rates() -> list[NDArray]:
    """Return the matrices of two classes in which one class, or each, has a noise."""
    rates = np.array(_SETTINGS.rates)
    first, second = (rate.ravel() for rate in np.meshgrid(rates, rates))
    kept = (first != second) & (first + second <= _SETTINGS.max_sum_of_rates)
    first, second = first[kept], second[kept]
    matrices = np.array([[1 - first, first], [second, 1 - second]]).transpose(2, 0, 1)
    sparse = np.minimum(first, second) == 0
    return [matrices[sparse], matrices[~sparse]]


def _shares(transition: NDArray) -> NDArray:
    """Return shares of a noise in which each label stays the most frequent one of its class."""
    wrong = transition * ~np.eye(len(transition), dtype=bool)
    shares = np.linspace(*_SETTINGS.shares)
    crossed = (wrong.max(axis=1) + 1 - transition.diagonal()).max()
    shares = shares[shares * crossed < 1]
    return np.stack([scale_noise(transition, share) for share in shares])


def _keep_largest(transition: NDArray) -> NDArray:
    """Return the matrix in which all wrong labels of a class name the most frequent one."""
    n_classes = len(transition)
    rates = 1 - transition.diagonal()
    largest = (transition - np.eye(n_classes)).argmax(axis=1)
    sparse = np.diag(1 - rates)
    sparse[np.arange(n_classes), largest] += rates
    return sparse


def _count_entries(transition: NDArray) -> float:
    """Return the number of entries off the diagonal, of which small ones count in part."""
    wrong = transition * ~np.eye(len(transition), dtype=bool)
    rates = wrong.sum(axis=1, keepdims=True)
    each = entr(wrong / np.where(rates > 0, rates, 1)).sum(axis=1)
    return float(np.exp(each).sum() - (rates == 0).sum())


def _count_pairs(transition: NDArray, codes: NDArray, truth: NDArray) -> NDArray:
    """Count the labels of samples with a known true class, beside prior ones under a noise."""
    counts = _SETTINGS.pairs_per_class * transition
    np.add.at(counts, (truth[truth >= 0], codes[truth >= 0]), 1)
    return counts / counts.sum(axis=1, keepdims=True)


def _recount(transition: NDArray, codes: NDArray, proba: NDArray, truth: NDArray | None) -> NDArray:
    """Count the labels by their posterior; misplaced samples blur the confident joint."""
    one_hot = np.eye(len(transition))[codes]
    for _ in range(_SETTINGS.n_recounts):
        posterior = make_soft_labels(transition.T[codes], proba, transition)
        if truth is not None:
            posterior[truth >= 0] = np.eye(len(transition))[truth[truth >= 0]]
        transition = posterior.T @ one_hot / posterior.sum(axis=0)[:, None]
    return transition

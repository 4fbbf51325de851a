"""What a learner of RobustEnsembleClassifier is, and what it learns from."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..refinement._observed_labels import ObservedLabels


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What learners are trained on. All arrays but the classes have a row per sample."""

    #: Features on a common scale, without missing values.
    X: NDArray
    #: Label probabilities times the weights of samples and classes, of shape (n_samples, n_folds,
    #: n_classes). ``soft_labels[:, f]`` was estimated without the labels of fold f. What it has for
    #: the samples of fold f must not be learned.
    soft_labels: NDArray
    #: The fold of each sample, from 0.
    folds: NDArray
    #: Sample weights.
    weight: NDArray
    #: The labels as given, and the noise in them.
    observed: ObservedLabels

    def soft_targets(self, fold: int) -> tuple[NDArray, NDArray, NDArray]:
        """Return the samples to learn without a fold, their label probabilities and weights."""
        weight = self.soft_labels[:, fold].sum(axis=1, dtype=np.float64)
        rows = np.flatnonzero((self.folds != fold) & (weight > 0))
        weight = weight[rows]
        return rows, self.soft_labels[rows, fold] / weight[:, None], weight

    def given_labels(self, fold: int) -> tuple[NDArray, NDArray, NDArray | None]:
        """Return the samples to learn without a fold, their labels and weights, None if equal."""
        rows = np.flatnonzero(self.folds != fold)
        weight = None if np.ptp(self.weight) == 0 else self.weight[rows]
        return rows, self.observed.codes[rows], weight


class Learner(Protocol):
    """What RobustEnsembleClassifier pools."""

    #: Identifiers of its predictions, the keys in ``learner_weights_``; most learners have one.
    names: tuple[str, ...]
    #: Whether its probabilities contain the class weights, as those learned from `soft_labels` do.
    class_weighted: bool

    def fit(self, data: TrainingData, rng: np.random.RandomState) -> NDArray:
        """Learn, and return the held-out predictions, by which the learner is weighted.

        They are probabilities of the true classes, of shape (n_names, n_samples, n_classes). Those
        of a sample must not depend on the labels of its fold.
        """

    def predict(self, X: NDArray) -> NDArray:
        """Return probabilities for other samples, of shape (n_names, n_samples, n_classes)."""

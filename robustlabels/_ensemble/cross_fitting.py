"""A learner that fits one model per fold, each without that fold."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from ..refinement._bayes import fit_label_prior, remove_noise
from .learners import TrainingData


class FoldModel(Protocol):
    """A model that is fitted once, without one fold."""

    def fit(self, X: NDArray, targets: NDArray, weight: Any) -> "FoldModel | None":
        """Return the fitted model, or None if there are fewer than two classes to learn.

        `targets` are label probabilities of shape (n_samples, n_classes); or the labels as given,
        as codes from 0 on, if the learner is told to learn these.
        """

    def predict_proba(self, X: NDArray) -> NDArray:
        """Return probabilities of shape (n_samples, n_classes)."""


@dataclass
class CrossFitted:
    """A :class:`Learner` that fits a model for each fold and averages their predictions."""

    name: str  # its key in ``learner_weights_``
    make_model: Callable[..., FoldModel]  # returns an unfitted model, given a seed if `seeded`
    learns_given_labels: bool = False  # the noise is then removed from what the models predict
    seeded: bool = True
    n_jobs: int | None = 1  # folds that are fitted at the same time, in threads

    def __post_init__(self) -> None:
        self.names: tuple[str, ...] = (self.name,)
        self.class_weighted = not self.learns_given_labels

    def fit(self, data: TrainingData, rng: np.random.RandomState) -> NDArray:
        n_rows, n_folds, self._n_classes = data.soft_labels.shape
        self._transition = None if self.class_weighted else data.observed.transition
        seeds = [(rng.randint(2**31),) if self.seeded else () for _ in range(n_folds)]
        models = [self.make_model(*seed) for seed in seeds]
        held_out = np.full((1, n_rows, self._n_classes), 1 / self._n_classes)
        self._models: list[tuple[FoldModel, NDArray | None]] = []
        parallel = Parallel(self.n_jobs, prefer="threads")
        fitted = parallel(delayed(self._fit_fold)(data, *pair) for pair in enumerate(models))
        for fold, found in enumerate(fitted):
            if found is not None:
                model, start, held_out[0, data.folds == fold] = found
                self._models.append((model, start))
        return held_out

    def _fit_fold(self, data: TrainingData, fold: int, model: FoldModel) -> Any:
        """Return the fitted model, what noise removal starts from, and held-out predictions."""
        try:
            take = data.soft_targets if self.class_weighted else data.given_labels
            rows, targets, weight = take(fold)
            fitted = model.fit(data.X[rows], targets, weight) if len(rows) else None
            if fitted is None:
                return None
            proba = fitted.predict_proba(data.X[data.folds == fold])
        except Exception as error:
            error.add_note(f"It was raised by the learner {self.name!r}, without fold {fold}.")
            raise
        start = None if self._transition is None else fit_label_prior(proba)
        return fitted, start, self._remove_noise(proba, start)

    def _remove_noise(self, proba: NDArray, start: NDArray | None) -> NDArray:
        if self._transition is None or start is None:
            return proba
        return remove_noise(proba, self._transition, start)

    def predict(self, X: NDArray) -> NDArray:
        if not self._models:
            return np.full((1, len(X), self._n_classes), 1 / self._n_classes)
        proba: Any = sum(
            self._remove_noise(model.predict_proba(X), start) for model, start in self._models
        )
        return proba[None] / len(self._models)


def normalise(proba: NDArray) -> NDArray:
    """Clip at 0 and divide by the sum; rows without any probability become uniform."""
    proba = np.maximum(proba, 0)
    total = proba.sum(axis=1, keepdims=True)
    proba /= np.where(total > 0, total, 1)
    proba += (total <= 0) / proba.shape[1]
    return proba

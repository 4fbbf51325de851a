"""Multi-layer perceptrons of the ensemble, one for each fold and loss, trained at once."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .._network.calibration import mean_probabilities, weights_without_fold
from .._network.engine import NetworkEngine
from .._network.robust import RobustClassifier
from .learners import TrainingData
from .settings import Settings


class Networks:
    """A :class:`Learner` of networks with the cross-entropy and with SGCE."""

    class_weighted = True
    names: tuple[str, ...] = ("networks_ce", "networks_sgce")

    def __init__(self, ensemble: Any, settings: Settings) -> None:
        self.max_epochs = ensemble.max_epochs
        self.device = ensemble.device
        self.n_threads = ensemble.n_threads
        self.verbose = ensemble.verbose
        self.settings = settings

    def fit(self, data: TrainingData, rng: np.random.RandomState) -> NDArray:
        n_rows, n_folds, n_classes = data.soft_labels.shape
        n_losses = len(self.names)
        params = RobustClassifier(
            n_members=n_losses * n_folds,
            max_epochs=self._count_epochs(n_rows),
            hidden_layer_sizes=self.settings.widths,
            dropout=self.settings.dropout,
            device=self.device,
            n_threads=self.n_threads,
            verbose=self.verbose,
            random_state=rng.randint(2**31),
        ).get_params(deep=False)
        self._engine = NetworkEngine(params, data.X, np.arange(n_classes), refined=True)
        # skorch wants labels; nobody learns them.
        codes = data.soft_labels[:, 0].argmax(axis=1)
        self._engine.train(
            data.X, codes, np.ones(n_rows), np.repeat(data.soft_labels, n_losses, axis=1),
            weights_without_fold(data.folds, n_losses * n_folds, n_losses),
        )  # fmt: skip
        members = n_losses * data.folds[:, None] + np.arange(n_losses)
        n_done = 0

        def pick(scores: torch.Tensor) -> torch.Tensor:
            # Of each sample, the members that left it out: all of them would fill memory.
            nonlocal n_done
            left_out = members[n_done : n_done + len(scores)]
            n_done += len(scores)
            return scores[np.arange(len(scores))[:, None], left_out]

        return mean_probabilities(self._engine.member_scores(data.X, pick), n_losses).numpy()

    def _count_epochs(self, n_rows: int) -> int:
        """Return the passes over the data: fewer on large tables, more on small ones."""
        if self.max_epochs != "auto":
            return self.max_epochs
        n_batches = math.ceil(n_rows / min(n_rows, 128))
        s = self.settings
        most = max(s.fewest_epochs, min(s.epochs, s.steps // n_batches))
        return max(most, math.ceil(s.fewest_steps / n_batches))

    def predict(self, X: NDArray) -> NDArray:
        def finish(scores: torch.Tensor) -> torch.Tensor:
            return mean_probabilities(scores, len(self.names)).movedim(0, 1)

        return self._engine.member_scores(X, finish, self.n_threads).movedim(1, 0).numpy()

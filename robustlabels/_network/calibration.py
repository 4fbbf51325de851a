"""Temperature and loss weights, fitted on held-out noisy labels where there are any."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, softmax

from ..refinement._pooling import fit_pool
from ..refinement._temperatures import find_temperature, find_temperature_by_labels
from .scores import mean_log_probabilities, merge_members, pool_losses


@dataclass(frozen=True, eq=False)
class CalibrationRows:
    """Samples that networks are calibrated by."""

    #: Their positions among the training samples, and their weights, (n_rows,).
    rows: NDArray
    weight: NDArray
    #: Probability of their labels under each true class, (n_rows, n_classes).
    likelihood: NDArray
    #: Probabilities of their true labels, times the weights of the classes.
    label_probabilities: NDArray
    #: The members of a sample's fold have left it out; None if all members learn all samples.
    folds: NDArray | None

    @property
    def total_weight(self) -> NDArray:
        """Weights of the samples with those of their classes, of shape (n_rows,)."""
        return self.weight * self.label_probabilities.sum(axis=1)


def weights_without_fold(folds: NDArray, n_members: int, n_losses: int) -> NDArray:
    """Return weights of shape (n, n_members), n_losses members of which leave out each fold."""
    n_folds = folds.max() + 1
    learns = folds[:, None] != np.arange(n_members) // n_losses
    return learns * (n_folds / (n_folds - 1))  # of mean 1, about


def calibrate(
    scores: Tensor, calibration: CalibrationRows, loss_weights: NDArray
) -> tuple[float, NDArray]:
    """Return the temperature of the pooled scores, and weights of the losses, of sum 1.

    `scores` has the shape (n_rows, n_members, n_classes), or (n_rows, n_classes) of one network.
    The `loss_weights` stay if there is one loss, or if no member has left out a sample.
    """
    n_losses, weight = len(loss_weights), calibration.weight[:, None]
    expected = weight * calibration.label_probabilities
    if calibration.folds is None:
        return find_temperature(pool_losses(scores, loss_weights).numpy(), expected), loss_weights
    if scores.ndim == 2:  # a single network that has left out samples
        scores = scores.unsqueeze(1)
    held_out = np.flatnonzero(calibration.folds < scores.shape[1] // n_losses)
    members = n_losses * calibration.folds[held_out, None] + np.arange(n_losses)
    of_held_out = scores[held_out[:, None], members]
    likelihood, expected = calibration.likelihood[held_out], expected[held_out]
    if n_losses > 1:
        log_proba = mean_log_probabilities(of_held_out, n_losses).numpy()
        weights, _ = fit_pool(log_proba, likelihood, expected.sum(axis=1))
        return float(1 / weights.sum()), weights / weights.sum()
    of_members = find_temperature_by_labels(of_held_out[:, 0].numpy(), likelihood, expected)
    # This gives the mean of the members' probabilities. Only a temperature of the merged scores
    # comes close to it without changing a prediction.
    mean = softmax(scores / of_members, dim=-1).mean(1).numpy()
    return find_temperature(merge_members(scores).numpy(), weight * mean), loss_weights

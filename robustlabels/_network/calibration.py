"""Scores of all members together: pooled over losses, with a temperature by held-out labels."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..refinement._pooling import fit_pool
from ..refinement._temperatures import find_temperature, find_temperature_by_labels
from .settings import NETWORK

DOUBT = NETWORK.uniform_share


def merge_members(scores: Tensor) -> Tensor:
    """Return the scores of the members' mean probabilities, or those of a single network."""
    if scores.ndim == 2:
        return scores
    return torch.log_softmax(scores, dim=-1).logsumexp(1) - math.log(scores.shape[1])


def mean_probabilities(scores: Tensor, n_losses: int) -> Tensor:
    """Return the mean probabilities by the members of each loss, (n_losses, n, n_classes).

    `scores` has the shape (n, n_members, n_classes); the members have the losses in turn.
    """
    proba = torch.softmax(scores, dim=-1)
    return torch.stack([proba[:, first::n_losses].mean(1) for first in range(n_losses)])


def mean_log_probabilities(scores: Tensor, n_losses: int) -> Tensor:
    """Return the logarithms of the mean probabilities, mixed with a few uniform ones."""
    return ((1 - DOUBT) * mean_probabilities(scores, n_losses) + DOUBT / scores.shape[-1]).log()


def pool_losses(scores: Tensor, loss_weights: Any) -> Tensor:
    """Return the scores of all members together, of shape (n, n_classes).

    `scores` has the shape (n, n_members, n_classes), the members having the losses in turn, or
    (n, n_classes) for a single network.
    """
    n_losses = len(loss_weights)
    if n_losses == 1:
        return merge_members(scores)
    weights = torch.as_tensor(loss_weights).view(n_losses, 1, 1)
    return (weights * mean_log_probabilities(scores, n_losses)).sum(0)


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
    mean = torch.softmax(scores / of_members, dim=-1).mean(1).numpy()
    return find_temperature(merge_members(scores).numpy(), weight * mean), loss_weights

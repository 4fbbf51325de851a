"""How sure the members of a network are together, by labels that some of them have not seen."""

from typing import NamedTuple

import numpy as np
import torch

from ..refinement._pooling import fit_pool
from ..refinement._temperatures import find_temperature, find_temperature_by_labels
from .scores import merge_members, opinions


class Beliefs(NamedTuple):
    """What a network learns in place of labels, and what its probabilities are calibrated by.

    `posterior` and `targets`, of shape (n_samples, n_classes), are the probabilities of the true
    labels, more cautious ones to learn and those that predicted ones should be like; `folds`, of
    shape (n_samples,), the numbers of the members that do without a row, or None if all learn all;
    `rows`, of shape (n_rows,), the indices of the rows to calibrate by; `likelihood`, of shape
    (n_rows, n_classes), how probable their labels are where the true class is k; and
    `member_weight`, of shape (n_samples, n_members), what a row weighs for each member, or None if
    that is 1.
    """

    posterior: np.ndarray
    targets: np.ndarray
    folds: np.ndarray | None
    rows: np.ndarray | None = None
    likelihood: np.ndarray | None = None
    member_weight: np.ndarray | None = None


def member_weights(folds, n_members, n_losses):
    """Return what rows weigh for members that do without a fold each, or each n_losses of them."""
    n_folds = folds.max() + 1
    learns = folds[:, None] != np.arange(n_members) // n_losses
    return learns * (n_folds / (n_folds - 1))  # of mean 1, about


def merge(scores, loss_weights):
    """Return the scores of all members together, of shape (n, n_classes).

    `scores` has the shape (n, n_members, n_classes), the members having the losses in turn, or
    (n, n_classes) for a single network.
    """
    n_losses = len(loss_weights)
    if n_losses == 1:
        return merge_members(scores)
    weights = torch.as_tensor(loss_weights).view(n_losses, 1, 1)
    return (weights * opinions(scores, n_losses)).sum(0)


def calibrate(scores, weight, beliefs, loss_weights):
    """Find what the merged scores are divided by for probabilities, and what each loss counts.

    Parameters
    ----------
    scores : torch.Tensor of shape (n, n_members, n_classes) or (n, n_classes)
        Scores of the rows that `beliefs` names.
    weight : ndarray of shape (n,)
        Their weights.
    beliefs : Beliefs
        What the networks learned.
    loss_weights : ndarray of shape (n_losses,)
        What each loss counts so far, of sum 1.

    Returns
    -------
    temperature : float
        The divisor.
    loss_weights : ndarray of shape (n_losses,)
        As before, where no member has left out a row or there is one loss.
    """
    n_losses, targets = len(loss_weights), weight[:, None] * beliefs.targets[beliefs.rows]
    if beliefs.folds is None:
        return find_temperature(merge(scores, loss_weights).numpy(), targets), loss_weights
    if scores.ndim == 2:  # a single network that has left out rows
        scores = scores.unsqueeze(1)
    folds = beliefs.folds[beliefs.rows]
    held_out = np.flatnonzero(folds < scores.shape[1] // n_losses)
    members = n_losses * folds[held_out, None] + np.arange(n_losses)
    unseen = scores[held_out[:, None], members]
    if n_losses > 1:
        weights, _ = fit_pool(
            opinions(unseen, n_losses).numpy(),
            beliefs.likelihood[held_out],
            targets[held_out].sum(axis=1),
        )
        return float(1 / weights.sum()), weights / weights.sum()
    of_members = find_temperature_by_labels(
        unseen[:, 0].numpy(), beliefs.likelihood[held_out], targets[held_out]
    )
    # The mean of the members' probabilities is known now; only a temperature of the merged
    # scores comes near it without changing a prediction.
    expected = torch.softmax(scores / of_members, dim=-1).mean(1).numpy()
    merged = merge_members(scores).numpy()
    return find_temperature(merged, weight[:, None] * expected), loss_weights

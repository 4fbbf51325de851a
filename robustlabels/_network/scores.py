"""Scores of a net: of its members, of their mean probabilities, and pooled over losses."""

import math
from typing import Any

import torch
from torch import Tensor

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

"""Scores of a net: of its members, of their mean probabilities, and pooled over losses."""

import math
from collections.abc import Callable
from typing import Any

import torch
from sklearn.utils import gen_batches
from torch import Tensor

from .batches import to_tensor
from .settings import NETWORK
from .threads import threads_for

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


@torch.no_grad()
def compute_scores(
    net: Any, X: Any, n_threads: int | str, finish: Callable[[Tensor], Tensor]
) -> Tensor:
    """Compute the scores of each member in blocks of rows, and apply `finish` to each block."""
    module, scores = net.module_.eval(), None
    n_rows = X.shape[0]
    on_cpu = torch.device(net.device).type == "cpu"
    with threads_for(net, min(n_rows, NETWORK.block), n_threads):
        for rows in gen_batches(n_rows, NETWORK.block if on_cpu else NETWORK.block_on_gpu):
            logits = module(to_tensor(X[rows]).to(net.device, net.dtype)).cpu()
            if not logits.isfinite().all():
                raise ValueError(
                    "The network's outputs are not finite: X has values far beyond those it "
                    "was trained on."
                )
            # In float64 the norm of the largest float32 logits does not overflow.
            block = finish(net.criterion_.scores(logits.double()))
            if scores is None:  # in one piece: blocks side by side would take as much again
                scores = block.new_empty((n_rows, *block.shape[1:]))
            scores[rows] = block
    return scores

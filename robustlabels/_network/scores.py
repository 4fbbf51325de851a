"""What a net says of rows: the scores of its members, of their mean probabilities, and pooled."""

import math

import torch
from sklearn.utils import gen_batches

from .batches import to_tensor
from .threads import threads_for

#: Share of equal probabilities in those that are pooled.
DOUBT = 0.01

#: Rows that are computed at once.
_ROWS = 2**10
_ROWS_ON_GPU = 2**16


def merge_members(scores):
    """Return the scores of the members' mean probabilities, or those of a single network."""
    if scores.ndim == 2:
        return scores
    return torch.log_softmax(scores, dim=-1).logsumexp(1) - math.log(scores.shape[1])


def mean_probabilities(scores, n_losses):
    """Return the mean probabilities by the members of each loss, (n_losses, n, n_classes).

    Of scores of shape (n, n_members, n_classes), whose members have the losses in turn.
    """
    proba = torch.softmax(scores, dim=-1)
    return torch.stack([proba[:, first::n_losses].mean(1) for first in range(n_losses)])


def opinions(scores, n_losses):
    """Return the logarithms of the mean probabilities, none of which is certain."""
    return ((1 - DOUBT) * mean_probabilities(scores, n_losses) + DOUBT / scores.shape[-1]).log()


@torch.no_grad()
def compute_scores(net, X, n_threads, finish=lambda scores: scores):
    """Compute the scores of each member in blocks of rows, and what `finish` makes of them."""
    module, scores = net.module_.eval(), None
    n_rows = X.shape[0]
    on_cpu = torch.device(net.device).type == "cpu"
    with threads_for(net, min(n_rows, _ROWS), n_threads):
        for rows in gen_batches(n_rows, _ROWS if on_cpu else _ROWS_ON_GPU):
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

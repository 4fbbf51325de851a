"""What a net says of rows: the scores of its members, and of their mean probabilities."""

import math

import torch

from .batches import to_tensor
from .threads import threads_for

#: Rows that are computed at once.
_ROWS = 2**10
_ROWS_ON_GPU = 2**16


def merge_members(scores):
    """Return the scores of the members' mean probabilities, or those of a single network."""
    if scores.ndim == 2:
        return scores
    return torch.log_softmax(scores, dim=-1).logsumexp(1) - math.log(scores.shape[1])


@torch.no_grad()
def compute_scores(net, X, n_threads, finish=lambda scores: scores):
    """Compute the scores of each member in blocks of rows, and what `finish` makes of them."""
    module, blocks = net.module_.eval(), []
    with threads_for(net, min(len(X), _ROWS), n_threads):
        for rows in to_tensor(X).split(_ROWS if net.device.type == "cpu" else _ROWS_ON_GPU):
            logits = module(rows.to(net.device, net.dtype)).cpu()
            if not logits.isfinite().all():
                raise ValueError(
                    "The network's outputs are not finite: X has values far beyond those it "
                    "was trained on."
                )
            # In float64 the norm of the largest float32 logits does not overflow.
            blocks.append(finish(net.criterion_.scores(logits.double())))
    return torch.cat(blocks)

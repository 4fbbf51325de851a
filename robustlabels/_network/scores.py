"""Scores of the classes: of several networks at once, and of their mean probabilities."""

import math

import torch


def merge_members(scores):
    """Return the scores of the members' mean probabilities, or those of a single network."""
    if scores.ndim == 2:
        return scores
    return torch.log_softmax(scores, dim=-1).logsumexp(1) - math.log(scores.shape[1])

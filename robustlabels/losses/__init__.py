"""Losses for training with wrong labels: one protocol, the catalogue and its names."""

from ._catalogue import AEL, AGCE, AUL, CE, GCE, MAE, AlphaMAE
from ._loss import Loss, ProbabilityLoss
from ._names import available_losses, get_loss
from ._symmetrized import SGCE, Symmetrized, Unhinged

__all__ = [
    "AEL",
    "AGCE",
    "AUL",
    "CE",
    "GCE",
    "MAE",
    "SGCE",
    "AlphaMAE",
    "Loss",
    "ProbabilityLoss",
    "Symmetrized",
    "Unhinged",
    "available_losses",
    "get_loss",
]

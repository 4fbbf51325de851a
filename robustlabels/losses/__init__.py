"""Losses for training with wrong labels: one protocol, the catalogue, its operators and names."""

from . import theory as theory
from ._asymmetric import (
    AEL,
    AGCE,
    AMSE,
    AUL,
)
from ._boosting import boosting_objective
from ._corrected import BackwardCorrected, ForwardCorrected
from ._cross_entropy import (
    CE,
    GCE,
    MAE,
    RCE,
    SCE,
    Focal,
    JensenShannon,
    TaylorCE,
    TruncatedGCE,
)
from ._display import LossDisplay
from ._loss import Loss, ProbabilityLoss, Sum
from ._names import available_losses, get_loss
from ._normalized import (
    NCE,
    NFL,
    NGCE,
    NNCE,
    Normalized,
)
from ._symmetrized import (
    SGCE,
    AlphaMAE,
    ClassMean,
    Symmetrized,
    Unhinged,
)
from ._whole_distribution import LDR, BiTempered, SoftBootstrap
from ._wrappers import EpsSoftmax, LogitClip, MarginShift

__all__ = [
    "AEL",
    "AGCE",
    "AMSE",
    "AUL",
    "CE",
    "GCE",
    "LDR",
    "MAE",
    "NCE",
    "NFL",
    "NGCE",
    "NNCE",
    "RCE",
    "SCE",
    "SGCE",
    "AlphaMAE",
    "BackwardCorrected",
    "BiTempered",
    "ClassMean",
    "EpsSoftmax",
    "Focal",
    "ForwardCorrected",
    "JensenShannon",
    "LogitClip",
    "Loss",
    "LossDisplay",
    "MarginShift",
    "Normalized",
    "ProbabilityLoss",
    "SoftBootstrap",
    "Sum",
    "Symmetrized",
    "TaylorCE",
    "TruncatedGCE",
    "Unhinged",
    "available_losses",
    "boosting_objective",
    "get_loss",
]

"""Losses for training with wrong labels: one protocol, the catalogue, its operators and names."""

from ._asymmetric import AEL, AGCE, AMSE, AUL
from ._asymmetry import asymmetry_ratio, is_asymmetric, max_tolerable_noise
from ._boosting import boosting_objective
from ._calibrated import excess_risk_bound, is_classification_calibrated
from ._conjugate import Conjugate
from ._corrected import BackwardCorrected, ForwardCorrected
from ._cross_entropy import CE, GCE, MAE, RCE, SCE, Focal, JensenShannon, TaylorCE, TruncatedGCE
from ._derivatives import (
    initial_gain,
    is_convex_on,
    linear_part,
    smoothness,
    strong_l2_bound,
)
from ._display import LossDisplay
from ._loss import Loss, ProbabilityLoss, Sum
from ._names import available_losses, get_loss
from ._normalized import NCE, NFL, NGCE, NNCE, Normalized
from ._properties import LossProperties, properties
from ._symmetrized import SGCE, AlphaMAE, ClassMean, Symmetrized, Unhinged
from ._symmetry import class_sum_gap, decompose, is_symmetric, unhinged_violations
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
    "Conjugate",
    "EpsSoftmax",
    "Focal",
    "ForwardCorrected",
    "JensenShannon",
    "LogitClip",
    "Loss",
    "LossDisplay",
    "LossProperties",
    "MarginShift",
    "Normalized",
    "ProbabilityLoss",
    "SoftBootstrap",
    "Sum",
    "Symmetrized",
    "TaylorCE",
    "TruncatedGCE",
    "Unhinged",
    "asymmetry_ratio",
    "available_losses",
    "boosting_objective",
    "class_sum_gap",
    "decompose",
    "excess_risk_bound",
    "get_loss",
    "initial_gain",
    "is_asymmetric",
    "is_classification_calibrated",
    "is_convex_on",
    "is_symmetric",
    "linear_part",
    "max_tolerable_noise",
    "properties",
    "smoothness",
    "strong_l2_bound",
    "unhinged_violations",
]

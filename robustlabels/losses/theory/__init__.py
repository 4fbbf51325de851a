"""Theory of losses: symmetry, asymmetry, calibration, derivatives and bounds, as functions."""

from ._asymmetry import asymmetry_ratio, is_asymmetric, max_tolerable_noise
from ._calibration import excess_risk_bound, is_classification_calibrated
from ._check import LossCheck, check_loss
from ._conjugate import Conjugate
from ._derivatives import initial_gain, is_convex_on, linear_part, smoothness, strong_l2_bound
from ._properties import LossProperties, properties
from ._symmetry import LinearLoss, class_sum_gap, is_symmetric, unhinged_violations

__all__ = [
    "Conjugate",
    "LinearLoss",
    "LossCheck",
    "LossProperties",
    "asymmetry_ratio",
    "check_loss",
    "class_sum_gap",
    "excess_risk_bound",
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

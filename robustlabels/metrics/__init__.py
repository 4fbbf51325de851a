"""Estimate scores on clean labels from noisy ones, and the noise itself."""

from ..refinement._confident_joint import estimate_noise_rate, estimate_transition_matrix
from ._corrected_scores import (
    forward_log_loss,
    make_noise_corrected_scorer,
    noise_corrected_confusion_matrix,
    noise_corrected_score,
)
from ._label_quality import label_quality

__all__ = [
    "estimate_noise_rate",
    "estimate_transition_matrix",
    "forward_log_loss",
    "label_quality",
    "make_noise_corrected_scorer",
    "noise_corrected_confusion_matrix",
    "noise_corrected_score",
]

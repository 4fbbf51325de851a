"""Label noise: transition matrices, and labels corrupted by class or by features."""

from ._corruption import corrupt_labels
from ._transitions import (
    asymmetric_transition,
    pair_transition,
    random_transition,
    replacement_transition,
    symmetric_transition,
)

__all__ = [
    "asymmetric_transition",
    "corrupt_labels",
    "pair_transition",
    "random_transition",
    "replacement_transition",
    "symmetric_transition",
]

"""Label noise: transition matrices, and labels corrupted by them or by what the rows look like."""

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

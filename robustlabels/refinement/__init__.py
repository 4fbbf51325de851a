"""Label noise of a table, the probabilities of its true labels, and its wrong labels."""

from ._refiner import LabelRefiner
from ._wrong_labels import find_wrong_labels

__all__ = ["LabelRefiner", "find_wrong_labels"]

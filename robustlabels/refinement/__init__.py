"""What the true labels probably are: the noise of a table, its beliefs, and its wrong labels."""

from ._refiner import LabelRefiner
from ._wrong_labels import find_wrong_labels

__all__ = ["LabelRefiner", "find_wrong_labels"]

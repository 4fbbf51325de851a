"""The numbers that RobustEnsembleClassifier works with."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Sizes of the learners.

    Where a line names no other reason, the number was chosen on the tables CHOOSE of
    benchmarks/accuracy.py and on drawn problems.
    """

    n_folds: int = 4  # each learner fits one model per fold, on the other folds
    block: int = 2**13  # samples that are predicted at once; limits memory

    widths: tuple[int, ...] = (128, 128)  # hidden layers of the networks
    dropout: float = 0.25
    epochs: int = 27  # passes of the networks over the data, at most
    steps: int = 6000  # their steps, at most; limits time on large tables
    fewest_steps: int = 400  # their steps, at least; small tables need more passes
    fewest_epochs: int = 2  # as accurate as 5 on 300 000 samples

    n_trees: int = 35  # trees of each fold; more were no more accurate
    min_samples_leaf: int = 2
    rows_per_tree: int = 20_000  # samples that a tree draws, at most; limits time
    max_features: int = 40  # features that a split of "trees_many_features" tries, at most
    entries_per_tree: int = 2**19  # samples of a tree times its outputs, at most; limits memory
    fewest_groups: int = 32  # outputs of a tree of many classes, at least

    rows_per_step: int = 50  # samples for which boosting makes one step more
    first_rows: int = 2000  # samples from which on it is used; with fewer it learns wrong labels
    boosting_steps: int = 100  # its steps, at most
    boosting_trees: int = 500  # its trees, one per step and class, at most; limits time
    boosting_rows: int = 50_000  # samples that a fold of it draws, at most; limits time
    boosting_classes: int = 100  # classes up to which it is used; limits time
    learning_rate: float = 0.1  # default of scikit-learn; up to twice that if steps are few

"""Tuning constants of this package: what each means and where it comes from.

Where no origin is given, a value was chosen on the tables ``CHOOSE`` of benchmarks/accuracy.py and
on drawn problems; docs/accuracy.md reports what was tried. "Numerics" means that results hardly
depend on the value. Grids are the first value, the last value and the number of values.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class NoiseSettings:
    """The noise model of tables with one label per sample.

    Chosen by benchmarks/number_of_wrong_labels.py, with its real and simulated cases in sight.
    """

    # Prior probabilities of the forms: none, symmetric, sparse, full.
    form_prior: tuple[float, ...] = (0.15, 0.5, 0.2, 0.15)
    conservative_no_noise: float = 0.5  # of none for the lower end of intervals: even odds
    # A symmetric noise, and any of more than two classes, is a share of the counted one.
    shares: tuple[float, float, int] = (0.1, 1.6, 11)  # grid
    max_relative_rate: float = 0.95  # largest rate, relative to random labels (theory: below 1)
    n_recounts: int = 3  # rounds of counting labels by their posterior, after the confident joint
    pairs_per_class: float = 5.0  # prior pairs of label and true class, where some are known
    # Rates of two classes, and the largest sum of both: labels must still say something.
    rates: tuple[float, ...] = (0, 0.02, 0.05, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45)
    max_sum_of_rates: float = 0.8
    # The log-power that calibrates out-of-sample probabilities has a normal prior.
    log_power_mean: float = 0.2
    log_power_std: float = 0.65
    log_powers: tuple[float, float, int] = (-1.3, 2.9, 15)  # grid (numerics)
    smallest_label: float = 0.002  # probability of a label: no teacher is surer than that
    # Of a label in the likelihood: out-of-bag neighbours are dependent. Which wrong class a label
    # names says more of overlap than of noise, so that a label of several classes counts for less.
    label_weight_of_two: float = 0.3
    label_weight: float = 0.1
    # Probability that doubtful labels are wrong by a share other than 0: without a noise of another
    # kind, and beside one. The real sets of benchmarks/number_of_wrong_labels.py need the first for
    # their intervals to hold; the second is small because it widens all other intervals.
    hard_alone: float = 0.4
    hard_beside_noise: float = 0.04
    hard_shares: tuple[tuple[float, float], ...] = (  # share, and its prior
        (0.0, 0.0), (0.2, 0.13), (0.4, 0.13), (0.6, 0.13), (0.8, 0.13), (1.0, 0.48),
    )  # fmt: skip
    contradiction_power: float = 4.0  # how soon a label contradicts a class that is more probable
    # Samples, and probabilities, that the posterior is computed from, at most (speed).
    max_rows: int = 20_000
    max_probabilities: int = 2**22
    n_steps: int = 30  # of noise removal: few, to stay between class frequencies and exact solution


@dataclass(frozen=True)
class ConfidentJointSettings:
    """The confident joint."""

    # A class is unknown if its mean predicted probability, over samples with its label, is below
    # this share of 1 / n_classes and below this multiple of its label frequency.
    known_share: float = 0.1
    known_multiple: float = 3
    test_level: float = 0.05  # of the chi-squared tests of simpler forms of the noise (convention)
    counted_share: float = 0.7  # of the members of a class that are counted again
    min_counted: int = 30  # members of a class that are counted, at least


@dataclass(frozen=True)
class AnnotatorSettings:
    """The noise of several annotators, chosen on the simulated crowds of docs/accuracy.md."""

    class_answers: float = 5.0  # prior answers per class from the common noise
    rate_answers: float = 5.0  # prior answers for the rate of an annotator
    symmetric_answers: float = 1.0  # prior answers per entry of the common matrix
    max_steps: int = 100  # of expectation maximisation (numerics)
    tolerance: float = 1e-4  # change of a probability that ends it (numerics)
    n_rounds: int = 2  # that alternate between noise of the aggregated labels and posterior
    # The log-power of the trees' probabilities has a normal prior: as class probabilities, and as
    # answers of one more annotator.
    probability_mean: float = 0.2
    answer_mean: float = 0.7
    log_power_std: float = 0.5
    log_powers: tuple[float, float, int] = (-1.5, 2.0, 15)  # grid (numerics)
    row_weight: float = 0.1  # of a sample in the likelihood of a power: neighbours are dependent


@dataclass(frozen=True)
class TreeSettings:
    """Trees and folds that predict the labels of samples they have not learned from."""

    n_trees: int = 200  # if each draws as many samples as there are
    min_samples_leaf: int = 5
    # A tree draws as many samples as there are up to the first number, then the geometric mean of
    # both, up to the second (speed).
    full_rows: int = 5000
    max_rows_per_tree: int = 20_000
    random_features: float = 2  # tried by a random split, in square roots of their number
    max_entries: int = 2**18  # samples of a tree times its groups of classes, at most (memory)
    min_parts: int = 32  # groups of classes of a tree, at least
    n_folds: int = 5  # of a teacher (convention)


@dataclass(frozen=True)
class DuplicateSettings:
    """Near-duplicates, and tables that are too small."""

    min_rows: int = 50  # samples that an estimate of the noise needs
    min_rows_per_class: int = 10
    # Samples among which near-duplicates are always searched for. Of more, some are looked at, and
    # a search follows if more than a share of these has near-duplicates.
    max_rows: int = 20_000
    n_looked_at: int = 200
    rare: float = 0.02
    # A near-duplicate is nearer than this share of the distance to that neighbour.
    near_share: float = 0.1
    n_neighbors: int = 10
    jump: float = 5.0  # of the distance behind a group, relative to that of its last member


@dataclass(frozen=True)
class TemperatureSettings:
    """Temperatures of networks."""

    prior_labels: float = 20  # that the label probabilities are worth, where labels say little
    max_log_temperature: float = 5.0  # largest absolute value (numerics)

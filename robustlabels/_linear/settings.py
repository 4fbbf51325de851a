"""Constants that steer the results of UnhingedClassifier."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Constants that steer the results of UnhingedClassifier."""

    #: Samples that set the temperature, at most. Bounds the time and memory of a fit.
    temperature_samples: int = 2048
    #: Scores of these samples, at most (16 MiB): with over 1024 classes fewer samples are used.
    temperature_scores: int = 2**21
    #: Precision of the prior of the log temperature: weak, a standard deviation of 1.
    temperature_precision: float = 1.0
    #: Largest distance of the log temperature from its prior mean. Numerics: it brackets the root.
    temperature_range: float = 12.0
    #: Least corrected class frequency, in units of 1 / n_classes. Numerics: those of rare classes
    #: can be zero or negative, and slopes are divided by them.
    least_frequency: float = 0.01


SETTINGS = Settings()

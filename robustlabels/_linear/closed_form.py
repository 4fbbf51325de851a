"""The minimiser of the unhinged objective in closed form, computed from class statistics."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from .settings import SETTINGS


class ClosedForm(NamedTuple):
    """The map from class statistics to scores, by the parameters of UnhingedClassifier."""

    alpha: float
    metric: str
    intercept: str
    #: Inverse of the transition matrix, or None without a correction.
    inverse: np.ndarray | None

    def correct(self, statistics):
        """Return the class frequencies and the class sums per unit of weight, both corrected."""
        total = statistics.class_weight.sum()
        frequencies, sums = statistics.class_weight / total, statistics.class_sums / total
        if self.inverse is None:
            return frequencies, sums
        return self.inverse.T @ frequencies, self.inverse.T @ sums

    def solve(self, statistics):
        """Return the slopes, of shape (n_classes, n_features), and the intercepts."""
        frequencies, sums = self.correct(statistics)
        if self.metric == "euclidean":
            directions = sums / self.alpha
        else:
            scatter = statistics.scatter / statistics.class_weight.sum()
            directions = make_solver(scatter, self.alpha)(sums)
        divisor, offset = self.divide(frequencies, (directions * sums).sum(axis=1))
        slopes = directions / divisor[:, None]
        offset = offset - slopes @ statistics.mean
        if not np.isfinite(slopes).all() or np.isnan(offset).any():
            raise ValueError(
                f"The coefficients overflow with alpha={self.alpha}. Scale the features, with "
                f"StandardScaler for example."
            )
        return slopes, offset

    def divide(self, frequencies, lengths):
        """Return the divisors of directions of squared `lengths`, and the centred intercepts."""
        n_classes = frequencies.shape[-1]
        # A corrected frequency of zero or less does not mean that the class is absent.
        present = frequencies > 1e-12 if self.inverse is None else np.full(frequencies.shape, True)
        divisor, offset = np.ones(frequencies.shape), np.zeros(frequencies.shape)
        if self.intercept in ("prior", "midpoint"):
            least = 0.0 if self.inverse is None else SETTINGS.least_frequency / n_classes
            divisor = np.where(present, np.maximum(frequencies, least), 1.0)
            offset = -lengths / divisor / divisor / 2
            if self.intercept == "prior":
                offset = offset + np.log(divisor)
        elif self.intercept == "penalized":
            offset = frequencies - 1 / n_classes
            if self.metric == "euclidean":
                offset = offset / self.alpha
        return divisor, np.where(present, offset, -np.inf)


def make_solver(scatter, penalty):
    """Return a function that multiplies rows by the inverse of ``scatter + penalty * I``."""
    try:
        factor = cho_factor(scatter + penalty * np.eye(len(scatter)), lower=True)
    except (ValueError, LinAlgError) as error:
        raise ValueError(
            "The second moment of the features is not positive definite after rounding: they are "
            "far too large, or far from 0 in a sparse matrix, or alpha is too small for them. "
            "Scale the features, with StandardScaler for example."
        ) from error
    return lambda rows: cho_solve(factor, rows.T).T

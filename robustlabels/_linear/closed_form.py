"""The minimiser of the unhinged objective in closed form, a function of class statistics."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve


class ClosedForm(NamedTuple):
    """How scores follow from statistics, by the parameters of UnhingedClassifier.

    `inverse` is that of the transition matrix, where statistics are corrected with it, or None.
    """

    alpha: float
    metric: str
    intercept: str
    inverse: np.ndarray | None

    def corrected(self, statistics):
        """Return the shares of the classes, and their mean sums."""
        total = statistics.class_weight.sum()
        shares, sums = statistics.class_weight / total, statistics.class_sums / total
        if self.inverse is None:
            return shares, sums
        return self.inverse.T @ shares, self.inverse.T @ sums

    def labels(self, codes, n_classes):
        """Return what each label adds to the shares of the classes, (n_samples, n_classes)."""
        if self.inverse is not None:
            return self.inverse[codes]
        one_hot = np.zeros((len(codes), n_classes))
        one_hot[np.arange(len(codes)), codes] = 1
        return one_hot

    def coefficients(self, statistics):
        """Return the slopes of shape (n_classes, n_features), and the offset of the scores."""
        shares, sums = self.corrected(statistics)
        if self.metric == "euclidean":
            directions = sums / self.alpha
        else:
            scatter = statistics.scatter / statistics.class_weight.sum()
            directions = solver(scatter, self.alpha)(sums)
        divisor, offset = self.rule(shares, (directions * sums).sum(axis=1))
        slopes = directions / divisor[:, None]
        offset = offset - slopes @ statistics.mean
        if not np.isfinite(slopes).all() or np.isnan(offset).any():
            raise ValueError(
                f"The coefficients overflow with alpha={self.alpha}. Scale the features, with "
                f"StandardScaler for example."
            )
        return slopes, offset

    def rule(self, shares, lengths):
        """Return what the directions are divided by, and the offset of centred scores.

        `shares` are those of the classes, `lengths` the squared lengths of the class sums in
        the metric.
        """
        n_classes = shares.shape[-1]
        divides = self.intercept in ("prior", "midpoint")
        if self.inverse is None:
            present = shares > 1e-12
        else:
            # Corrected shares of rare classes can come out at zero or below.
            present = np.full(shares.shape, True)
            shares = np.maximum(shares, 0.01 / n_classes) if divides else shares
        if not divides:
            offset = np.zeros(shares.shape)
            if self.intercept == "penalized":
                offset = shares - 1 / n_classes
                if self.metric == "euclidean":
                    offset = offset / self.alpha
            return np.ones(shares.shape), np.where(present, offset, -np.inf)
        divisor = np.where(present, shares, 1.0)
        offset = -lengths / divisor / divisor / 2
        if self.intercept == "prior":
            offset = offset + np.log(divisor)
        return divisor, np.where(present, offset, -np.inf)


def solver(scatter, penalty):
    """Return a function that multiplies rows by the inverse of ``scatter + penalty * I``."""
    matrix = scatter + penalty * np.eye(len(scatter))
    try:
        factor = cho_factor(matrix, lower=True)
    except (ValueError, LinAlgError) as error:
        raise ValueError(
            "The second moment of the features is not positive definite: digits were lost. "
            "Features are far too large, far from 0 in a sparse matrix, or alpha is too small for "
            "them. Scale the features, with StandardScaler for example."
        ) from error
    return lambda rows: cho_solve(factor, rows.T).T

"""Labels of samples that come after the fit: the same noise, and predictors that are kept."""

import warnings
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from .._typing import Features
from ._noise_model import NoiseModel
from ._probabilities import FittedTeachers, FittedTrees

#: Standard errors between the agreements in and after the fit that are more than chance.
_Z = 4.0


class RefinedLabels(NamedTuple):
    """Probabilities of true labels, and an interval of the number of wrong ones."""

    label_probabilities: NDArray
    n_wrong_interval: tuple[int, int]


class LaterLabels(NamedTuple):
    """What refines the labels of later samples.

    Attributes
    ----------
    fitted : FittedTrees or FittedTeachers
        Predicts labels.
    model : NoiseModel
        Posterior of the noise.
    agreement : tuple of int
        How many labels of the fit agree with their prediction, and of how many.
    """

    fitted: FittedTrees | FittedTeachers
    model: NoiseModel
    agreement: tuple[int, int]

    def refine(
        self, X: Features, numbers: Features | None, codes: NDArray, level: float
    ) -> RefinedLabels:
        """Refine labels of samples that were not in the fit.

        `numbers` are the features X as numbers, or None. The interval holds with probability
        `level`.
        """
        proba = self.fitted.predict(X, numbers)
        self._warn_of_change(proba, codes)
        found, number = self.model.refine(codes, proba, np.full(len(codes), -1))
        return RefinedLabels(found, number.interval(len(codes), level))

    def _warn_of_change(self, proba: NDArray, codes: NDArray) -> None:
        """Warn if the labels agree with their predictions less or more often than in the fit."""
        (before, n_before), n_rows = self.agreement, len(codes)
        now = np.count_nonzero(proba.argmax(axis=1) == codes)
        share = (before + now) / (n_before + n_rows)
        error = np.sqrt(share * (1 - share) * (1 / n_before + 1 / n_rows))
        if abs(now / n_rows - before / n_before) > _Z * max(error, 1e-9):
            warnings.warn(
                f"{now / n_rows:.0%} of these labels agree with the predictions, in fit "
                f"{before / n_before:.0%} did. The noise or the rows have changed: fit a new "
                f"LabelRefiner to them.",
                stacklevel=5,
            )


class SeenRows:
    """Finds the samples of a fit again, by their features and labels."""

    def __init__(self, numbers: Features, codes: NDArray, positions: NDArray) -> None:
        keys = _hash_rows(numbers, codes)
        order = np.argsort(keys, kind="stable")
        self._keys, self._positions = keys[order], positions[order]

    def find(self, numbers: Features, codes: NDArray) -> NDArray:
        """Return the position of each sample in the fit, -1 if it was not there."""
        keys = _hash_rows(numbers, codes)
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[place] == keys, self._positions[place], -1)


def _hash_rows(numbers: Features, codes: NDArray) -> NDArray:
    """Return a number for the contents of each sample."""
    if issparse(numbers):
        numbers = numbers.tocsr(copy=True)
        numbers.sum_duplicates()
        numbers.eliminate_zeros()
        ends = zip(numbers.indptr[:-1], numbers.indptr[1:], strict=True)
        rows = (
            numbers.indices[a:b].astype(np.int64).tobytes() + numbers.data[a:b].tobytes()
            for a, b in ends
        )
    else:
        rows = (row.tobytes() for row in np.ascontiguousarray(numbers + 0.0))  # -0 becomes 0
    hashed = [
        blake2b(row, digest_size=8, salt=code.to_bytes(8, "little")).digest()
        for row, code in zip(rows, codes.tolist(), strict=True)
    ]
    return np.frombuffer(b"".join(hashed), dtype=np.uint64)

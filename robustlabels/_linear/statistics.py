"""Class statistics: all that a linear classifier in closed form needs to know of its samples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.utils import assert_all_finite, check_X_y
from sklearn.utils.extmath import safe_sparse_dot

from .._typing import Features
from .._validation.alignment import align_rows
from .._validation.labels import check_labels, class_factors, encode, find_classes
from .._validation.sklearn_private import _check_sample_weight

__all__ = ["ClassStatistics"]

check_rows = partial(check_X_y, accept_sparse="csr", dtype=[np.float64, np.float32])

#: Rows that are summed in the dtype of X before they are added up in float64.
BLOCK_SIZE = 32768


@dataclass(eq=False, repr=False)
class ClassStatistics:
    r"""Class weights, means and second moment of labelled samples.

    The statistics of two sets of samples add up to those of their union, in any order. Subtracting
    them makes a model forget samples.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Class labels, sorted.
    class_weight : ndarray of shape (n_classes,)
        Total weight :math:`N_k` of the samples of each class.
    mean : ndarray of shape (n_features,)
        Weighted mean :math:`\mu` of all samples.
    class_sums : ndarray of shape (n_classes, n_features)
        Centred sums :math:`A_k = \sum_{i: y_i = k} w_i (x_i - \mu)`; they add up to 0.
    scatter : ndarray of shape (n_features, n_features) or None, default=None
        Centred second moment :math:`\sum_i w_i (x_i - \mu)(x_i - \mu)^\top`, if it was computed.

    See Also
    --------
    UnhingedClassifier : The classifier that is a function of these statistics.

    Notes
    -----
    All moments are float64 and about the mean, and are merged by the update of Chan, Golub and
    LeVeque [1]_. So a mean far from the origin costs no digits, except with sparse matrices. Blocks
    of float32 rows are summed in float32, with a relative error of about 1e-6, and 1e-5 for the
    second moment.

    References
    ----------
    .. [1] Chan, Golub and LeVeque, "Algorithms for Computing the Sample Variance: Analysis
       and Recommendations", The American Statistician 37(3), 1983.

    Examples
    --------
    >>> import numpy as np
    >>> from robustlabels import ClassStatistics
    >>> X, y = np.array([[0.0], [1.0], [5.0]]), np.array(["a", "a", "b"])
    >>> early = ClassStatistics.from_rows(X[:2], y[:2], classes=["a", "b"])
    >>> late = ClassStatistics.from_rows(X[2:], y[2:], classes=["a", "b"])
    >>> (early + late).mean
    array([2.])
    >>> (early + late - early).class_weight
    array([0., 1.])
    """

    classes: NDArray
    class_weight: NDArray
    mean: NDArray
    class_sums: NDArray
    scatter: NDArray | None = None

    @classmethod
    @np.errstate(under="ignore")  # harmless, even where users turn it into an error
    def from_rows(
        cls,
        X: Features,
        y: ArrayLike,
        *,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        scatter: bool = False,
    ) -> Self:
        """Compute the statistics of labelled samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite features.
        y : array-like of shape (n_samples,)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that can occur, also in samples to be added later. None takes those of `y`.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the samples, not negative. None means that all weights are 1.
        scatter : bool, default=False
            Whether to compute the second moment, which ``metric="covariance"`` needs.

        Returns
        -------
        statistics : ClassStatistics
            The statistics.

        Raises
        ------
        ValueError
            If X or y have missing values or different lengths, or a label is not in `classes`.
        """
        # Without weights the sums are finite only if all rows are: a pass over X is saved.
        sample_weight = align_rows(X, sample_weight, "sample_weight")
        y = check_labels(align_rows(X, y, "y"))
        X, y = check_rows(X, y, ensure_all_finite=sample_weight is not None)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        classes = find_classes(y if classes is None else check_labels(classes, "classes"))
        return cls(*sum_rows(X, y, classes, sample_weight, scatter))

    def __add__(self, other: ClassStatistics) -> ClassStatistics:
        return self._combine(other, 1) if isinstance(other, ClassStatistics) else NotImplemented

    def __radd__(self, other):
        # sum() starts from 0.
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __sub__(self, other: ClassStatistics) -> ClassStatistics:
        return self._combine(other, -1) if isinstance(other, ClassStatistics) else NotImplemented

    @np.errstate(under="ignore")
    def _combine(self, other, sign):
        if not np.array_equal(self.classes, other.classes) or len(self.mean) != len(other.mean):
            raise ValueError(
                f"Only statistics of the same classes and features can be combined. Got {self!r}, "
                f"{self.classes.tolist()}, and {other!r}, {other.classes.tolist()}."
            )
        if (self.scatter is None) != (other.scatter is None):
            raise ValueError("Only one of the statistics has a second moment (scatter).")
        mine = self.class_weight.sum()
        class_weight = self.class_weight + sign * other.class_weight
        # Fractional weights leave rounding errors where nothing is left.
        class_weight[np.abs(class_weight) < 1e-12 * mine] = 0.0
        if (class_weight < 0).any():
            raise ValueError(
                f"Only samples that were added can be subtracted. Got the class weights "
                f"{self.class_weight.tolist()} minus {other.class_weight.tolist()}."
            )
        total = class_weight.sum()
        if total == 0:
            moments = class_weight, self.mean, self.class_sums, self.scatter
            nothing = (None if moment is None else np.zeros_like(moment) for moment in moments)
            return ClassStatistics(self.classes, *nothing)
        step = other.mean - self.mean
        share = sign * other.class_weight.sum() / total
        mean = self.mean + share * step
        class_sums = (
            self.class_sums
            + sign * other.class_sums
            - np.outer(self.class_weight, share * step)
            + np.outer(sign * other.class_weight, (1 - share) * step)
        )
        scatter = self.scatter
        if scatter is not None:
            scatter = scatter + sign * other.scatter + mine * share * np.outer(step, step)
        return ClassStatistics(self.classes, class_weight, mean, class_sums, scatter)

    def __repr__(self) -> str:
        return (
            f"<ClassStatistics of {len(self.classes)} classes, {len(self.mean)} features and "
            f"a total weight of {self.class_weight.sum():g}>"
        )


def find_factors(classifier, classes, totals):
    """Return the factors of the classes, by their total weights, or None without class weights."""
    class_weight = classifier.class_weight
    if class_weight is None:
        return None
    if classifier.transition_matrix is not None:
        raise ValueError(
            "class_weight applies to the labels as given, including wrong ones, and cannot be "
            "combined with a transition_matrix. intercept='midpoint' treats all classes equally."
        )
    factors = class_factors(class_weight, classes, totals)
    if not (factors * totals).any():
        raise ValueError(f"class_weight={class_weight!r} leaves no row with a weight.")
    return factors


def reduce_rows(classifier, samples, classes, scatter):
    """Return the statistics of validated rows, weighted by class as well, and the factors."""
    (X, y, weight), factors = samples, None
    if classifier.class_weight is not None:
        weight = np.ones(len(y)) if weight is None else weight.copy()
        kept = weight > 0  # the labels of the others may be in no class
        codes = encode(y[kept], classes)
        totals = np.bincount(codes, weight[kept], len(classes))
        factors = find_factors(classifier, classes, totals)
        weight[kept] *= factors[codes]
    name = type(classifier).__name__
    return ClassStatistics(*sum_rows(X, y, classes, weight, scatter, name)), factors


def sum_rows(X, y, classes, sample_weight=None, scatter=False, estimator_name=None):
    """Return the arguments of ClassStatistics for rows that need not be known to be finite.

    `estimator_name` is for the message about a row that is not finite.
    """
    n_features, n_classes, is_sparse = X.shape[1], len(classes), sparse.issparse(X)
    weights, sums = np.zeros(n_classes), np.zeros((n_classes, n_features))
    moment = np.zeros((n_features, n_features)) if scatter else None
    first = next(_row_blocks(sample_weight, len(y)), slice(0))
    # Relative weights can be as small as the dtype of X allows.
    unit = 1.0 if sample_weight is None else sample_weight.max(initial=0.0) or 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        shift = None if is_sparse else _find_shift(X[first])
        for rows in _row_blocks(sample_weight, len(y)):
            block = X[rows] if shift is None else X[rows] - shift
            codes = encode(y[rows], classes)
            weight = None if sample_weight is None else sample_weight[rows] / unit
            weights += np.bincount(codes, weight, minlength=n_classes)
            # Column i of this matrix has the weight of row i at its class.
            values = np.ones(len(codes), X.dtype) if weight is None else weight.astype(X.dtype)
            places = codes.astype(np.int32), np.arange(len(codes) + 1, dtype=np.int32)
            in_class = sparse.csc_array((values, *places), (n_classes, len(codes)))
            # It streams rows at the speed of memory, but only rows in C order.
            if not (is_sparse or X.flags.c_contiguous):
                in_class = in_class.toarray()
            sums += safe_sparse_dot(in_class, block, dense_output=True)
            if scatter:
                weighted = block
                if weight is not None:
                    values = values[:, None]
                    weighted = block.multiply(values).tocsr() if is_sparse else block * values
                moment += safe_sparse_dot(block.T, weighted, dense_output=True)
        if not np.isfinite(sums).all() or (scatter and not np.isfinite(moment).all()):
            assert_all_finite(X, input_name="X", estimator_name=estimator_name)
            raise ValueError(
                f"The features are not finite, or too large to be summed in {X.dtype}. Scale "
                f"them, with StandardScaler for example."
            )
    total = weights.sum()
    mean = sums.sum(axis=0) / (total or 1.0)
    sums -= np.outer(weights, mean)
    if scatter:
        moment -= total * np.outer(mean, mean)
        moment *= unit
    mean = mean if shift is None else shift + mean
    return classes, unit * weights, mean, unit * sums, moment


def _row_blocks(weight, n_rows):
    """Yield the rows to sum at once: slices, or indices if some rows have no weight."""
    for start in range(0, n_rows, BLOCK_SIZE):
        rows = slice(start, start + BLOCK_SIZE)
        if weight is None or weight[rows].all():
            yield rows
        elif weight[rows].any():
            yield start + np.flatnonzero(weight[rows])


def _find_shift(X):
    """Return the point to sum about if sums about 0 would cancel, else None."""
    if len(X) == 0:
        return None
    first = X[:256]
    centre = first.mean(axis=0, dtype=np.float64)
    return centre.astype(X.dtype) if (np.abs(centre) > 4 * first.std(axis=0)).any() else None

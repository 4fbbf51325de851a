"""Duplicate and near-duplicate samples, which must stay on one side of a split."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, diags, issparse
from scipy.sparse.csgraph import connected_components
from sklearn.metrics import pairwise_distances
from sklearn.preprocessing import MaxAbsScaler

from .._typing import Features
from ._settings import DuplicateSettings

_SETTINGS = DuplicateSettings()

#: Largest scaled feature: squares of differences still fit into float32.
_LARGEST = 1e15


def has_enough_rows(n_rows: int, n_classes: int) -> bool:
    """Return whether a table is large enough for an estimate of its noise."""
    return n_rows >= max(_SETTINGS.min_rows, _SETTINGS.min_rows_per_class * n_classes)


def fit_scale(X: Features) -> tuple[NDArray, NDArray]:
    """Return the median of each feature and the divisor that brings it to a common scale.

    Quartiles are used because a single huge value must not compress all others. In a sparse matrix,
    where zeros stay zeros, the divisor is the largest absolute value.
    """
    if issparse(X):
        return np.zeros(X.shape[1]), MaxAbsScaler().fit(X).scale_
    X = np.where(np.isnan(X).all(axis=0), 0.0, X)
    with np.errstate(over="ignore", invalid="ignore"):
        low, middle, high = np.nanpercentile(X, [25, 50, 75], axis=0)
        spread, largest = high - low, np.nanmax(np.abs(X - middle), axis=0)
    spread = np.where((spread > 0) & np.isfinite(spread), spread, largest)
    return middle, np.where((spread > 0) & np.isfinite(spread), spread, 1.0)


def scale_features(X: Features, scale: tuple[NDArray, NDArray] | None = None) -> Features:
    """Return features as float32 on a common scale, by default by their own :func:`fit_scale`."""
    middle, spread = fit_scale(X) if scale is None else scale
    if issparse(X):
        return (X @ diags(1 / spread)).tocsr().astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        X = (X - middle) / spread
    return np.clip(X, -_LARGEST, _LARGEST).astype(np.float32)


def group_duplicates(
    X: Features, n_classes: int, given: NDArray | None = None
) -> tuple[NDArray, NDArray]:
    """Return group numbers of copies, and of copies, near-duplicates and `given` groups.

    The copies of a sample carry the same label, so that a wrong label would look right if they were
    learned from. Samples that are equal by chance, because their features have few values, are no
    copies. If too few distinct samples would remain, each sample is a group of its own: grouping
    duplicates would leave too little data to predict from. Groups in `given`, of shape
    (n_samples,), stay together in any case.
    """
    copy, groups = _find_duplicates(X, n_classes)
    return copy, join_groups(groups, given)


def join_groups(groups: NDArray, others: NDArray | None) -> NDArray:
    """Return group numbers of samples that are linked by either of two groupings."""
    if others is None:
        return groups
    n_groups = groups.max() + 1
    n_nodes = n_groups + others.max() + 1
    links = coo_matrix((np.ones(len(groups)), (groups, n_groups + others)), shape=(n_nodes,) * 2)
    return np.unique(connected_components(links, directed=False)[1][groups], return_inverse=True)[1]


def _find_duplicates(X: Features, n_classes: int) -> tuple[NDArray, NDArray]:
    """Return group numbers of copies, and of copies and near-duplicates."""
    alone = np.arange(X.shape[0])
    first, copy = group_equal_rows(X)
    by_chance = _equal_by_chance(X, first, copy)

    def number(groups: NDArray) -> NDArray:
        groups = np.where(by_chance, groups.max() + 1 + alone, groups)
        return np.unique(groups, return_inverse=True)[1]

    copies = number(copy)
    if not has_enough_rows(copies.max() + 1, n_classes):
        return alone, alone
    distinct = scale_features(X[first])
    distinct = distinct if issparse(distinct) else np.nan_to_num(distinct)
    n_neighbors, any_near = _find_group_size(distinct)
    # Most large tables have no near-duplicates, and the search among all samples is slow.
    if len(first) <= n_neighbors or (len(first) > _SETTINGS.max_rows and not any_near):
        return copies, copies
    groups = number(_group_near_rows(distinct, n_neighbors)[copy])
    return (copies, groups) if has_enough_rows(groups.max() + 1, n_classes) else (copies, copies)


def _equal_by_chance(X: Features, first: NDArray, copy: NDArray) -> NDArray:
    """Return which samples would occur more than once if features were independent."""
    n_rows = X.shape[0]
    if issparse(X) or len(first) == n_rows:
        return np.zeros(n_rows, dtype=bool)
    expected = np.full(len(first), float(n_rows))
    for column in X.T:
        values, counts = np.unique(column, return_counts=True)
        expected *= counts[np.searchsorted(values, column[first])] / n_rows
        if not (expected > 1).any():
            break
    return (expected > 1)[copy]


def group_equal_rows(X: Features) -> tuple[NDArray, NDArray]:
    """Return the first sample of each group of equal ones, and the group number of each sample.

    The order of the groups depends on the contents of the samples.
    """
    if issparse(X):
        X = X.tocsr(copy=True)
        X.sum_duplicates()
        X.eliminate_zeros()
        rows = np.split(np.arange(X.nnz), X.indptr[1:-1])
        first: dict[tuple[bytes, bytes], int] = {}
        keys = [(X.indices[r].tobytes(), X.data[r].tobytes()) for r in rows]
        number = np.array([first.setdefault(key, i) for i, key in enumerate(keys)])
    else:
        # As bytes NaN equals NaN; adding 0 turns -0 into 0.
        number = np.ascontiguousarray(X + 0.0).view(f"V{X.shape[1] * X.itemsize}").ravel()
    return np.unique(number, return_index=True, return_inverse=True)[1:]


def _find_group_size(X: Features) -> tuple[int, bool]:
    """Return how many neighbours a search for near-duplicates needs, and whether there are some.

    All distances of some samples say so. The neighbours of a sample are hardly farther from it one
    than the one before, but if they are its near-duplicates, the next one is much farther.
    """
    n_neighbors = _SETTINGS.n_neighbors
    if X.shape[0] <= n_neighbors:
        return n_neighbors + 1, False
    rng = np.random.RandomState(0)
    rows = rng.permutation(X.shape[0])[: _SETTINGS.n_looked_at]
    distance = np.sort(pairwise_distances(X[rows], X), axis=1)[:, 1:]
    near = distance[:, 0] < _SETTINGS.near_share * distance[:, n_neighbors - 1]
    after = distance[:, n_neighbors:]
    jumps = _SETTINGS.jump * distance[:, n_neighbors - 1 : -1] < after
    if not jumps.any():
        return n_neighbors + 1, bool(near.mean() > _SETTINGS.rare)
    largest = n_neighbors + np.flatnonzero(jumps.any(axis=0))[-1]
    return int(1.5 * largest) + n_neighbors, True


def _group_near_rows(X: Features, n_neighbors: int) -> NDArray:
    """Return group numbers of samples that are far nearer to each other than neighbours are."""
    from sklearn.neighbors import NearestNeighbors  # slow to import, and rarely needed

    distance, neighbor = NearestNeighbors(n_neighbors=n_neighbors).fit(X).kneighbors()
    reference = distance[:, _SETTINGS.n_neighbors - 1].copy()
    after = distance[:, _SETTINGS.n_neighbors :]
    # In a large group the tenth neighbour is a near-duplicate: take the one behind the group.
    jumps = _SETTINGS.jump * distance[:, _SETTINGS.n_neighbors - 1 : -1] < after
    some = jumps.any(axis=1)
    reference[some] = after[some, jumps[some].argmax(axis=1)]
    row, place = np.nonzero(distance < _SETTINGS.near_share * reference[:, None])
    links = coo_matrix((np.ones(len(row)), (row, neighbor[row, place])), shape=(X.shape[0],) * 2)
    return connected_components(links, directed=False)[1]

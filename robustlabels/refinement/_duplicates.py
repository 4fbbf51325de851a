"""Rows that stand for each other: copies, and near copies, that stay on one side of a split."""

import numpy as np
from scipy.sparse import coo_matrix, issparse
from scipy.sparse.csgraph import connected_components
from sklearn.preprocessing import MaxAbsScaler

#: Rows, and rows for each class, from which trees can say something about labels.
_MIN_ROWS = 50
_MIN_ROWS_PER_CLASS = 10

#: Rows among which near copies are looked for, at most. Of more, a tree sees too few for the
#: copies of a row to matter.
_MAX_ROWS = 20_000

#: Largest feature on the common scale: squares of such differences are still float32.
_LARGEST = 1e15

#: A near copy is nearer than this share of the distance to the neighbour of this number.
_NEAR = 0.1
_NEIGHBOUR = 10


def has_enough_rows(n_rows, n_classes):
    """Tell whether a table is large enough to estimate its noise."""
    return n_rows >= max(_MIN_ROWS, _MIN_ROWS_PER_CLASS * n_classes)


def fit_scale(X):
    """Return the median of each feature and what it is divided by, for a common scale.

    By quartiles, for a single huge value must not press all others together.
    """
    X = np.where(np.isnan(X).all(axis=0), 0.0, X)
    with np.errstate(over="ignore", invalid="ignore"):
        low, middle, high = np.nanpercentile(X, [25, 50, 75], axis=0)
        spread, largest = high - low, np.nanmax(np.abs(X - middle), axis=0)
    spread = np.where((spread > 0) & np.isfinite(spread), spread, largest)
    return middle, np.where((spread > 0) & np.isfinite(spread), spread, 1.0)


def scale_features(X, scale=None):
    """Scale features for distances, and so that trees can take them as float32.

    By their own :func:`fit_scale`, or that of other rows.
    """
    if issparse(X):
        return MaxAbsScaler().set_output(transform="default").fit_transform(X).astype(np.float32)
    middle, spread = fit_scale(X) if scale is None else scale
    with np.errstate(over="ignore", invalid="ignore"):
        X = (X - middle) / spread
    return np.clip(X, -_LARGEST, _LARGEST).astype(np.float32)


def group_duplicates(X, n_classes):
    """Number rows, those that are copies of each other, or nearly, alike.

    Copies tell each other's labels, so that a wrong label that was copied with its row looks
    right. Where hardly any two rows differ each gets a number of its own: what others say of
    those few is worth less, and in such a crowd a copy tells little.

    Parameters
    ----------
    X : {ndarray, sparse matrix} of shape (n_samples, n_features)
        Features; missing values are NaN.
    n_classes : int
        Number of classes.

    Returns
    -------
    copy : ndarray of shape (n_samples,)
        Numbers from 0, the same for rows of the same features.
    cluster : ndarray of shape (n_samples,)
        Numbers from 0, the same for rows that are copies or nearly.
    """
    first, copy = group_equal_rows(X)
    if not has_enough_rows(len(first), n_classes):
        copy = np.arange(X.shape[0])
        return copy, copy
    if not _NEIGHBOUR < len(first) <= _MAX_ROWS:
        return copy, copy
    cluster = _number_near_copies(scale_features(X[first]))
    if not has_enough_rows(cluster.max() + 1, n_classes):
        return copy, copy
    return copy, cluster[copy]


def group_equal_rows(X):
    """Return the first row of each number, and numbers that are the same for rows that are equal.

    They are in an order of the rows' contents.
    """
    if issparse(X):
        X = X.tocsr(copy=True)
        X.sum_duplicates()
        X.eliminate_zeros()
        rows = np.split(np.arange(X.nnz), X.indptr[1:-1])
        keys = {}
        number = np.array(
            [keys.setdefault((X.indices[r].tobytes(), X.data[r].tobytes()), i)
             for i, r in enumerate(rows)]
        )  # fmt: skip
        return np.unique(number, return_index=True, return_inverse=True)[1:]
    # Compared as bytes: NaN equals NaN then, and 0 is added for -0.
    bytes_ = np.ascontiguousarray(X + 0.0).view(f"V{X.shape[1] * X.itemsize}").ravel()
    return np.unique(bytes_, return_index=True, return_inverse=True)[1:]


def _number_near_copies(X):
    """Return the numbers of the clusters of rows that are far nearer than neighbours are."""
    from sklearn.neighbors import NearestNeighbors  # not for those who only import the package

    X = X if issparse(X) else np.nan_to_num(X)
    neighbours = NearestNeighbors(n_neighbors=_NEIGHBOUR).fit(X)
    distance, neighbour = neighbours.kneighbors()
    row, place = np.nonzero(distance < _NEAR * distance[:, -1:])
    links = coo_matrix((np.ones(len(row)), (row, neighbour[row, place])), shape=(X.shape[0],) * 2)
    return connected_components(links, directed=False)[1]

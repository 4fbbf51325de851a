"""Statistics of Dask collections: one block at a time, added up in a tree."""

import functools
import operator

import dask
import numpy as np
from scipy import sparse
from sklearn.utils import assert_all_finite, check_X_y
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.random import sample_without_replacement

from .._validation.labels import check_labels, encode, find_classes
from .._validation.sklearn_private import _check_sample_weight
from .statistics import ClassStatistics

#: Blocks that one task of the tree adds up.
_FAN_IN = 4


def classes_of_collection(X, y, sample_weight):
    """Return the sorted classes of rows with a weight, the weight of each, and all rows' number."""
    tallies = dask.compute(
        *(dask.delayed(_tally)(*rest) for _, *rest in _blocks(X, y, sample_weight))
    )
    if not any(weights.any() for _, weights, _ in tallies):
        raise ValueError("There is no row to learn from: none at all, or none with a weight.")
    classes = np.unique(np.concatenate([found for found, _, n in tallies if n]))
    totals = np.zeros(len(classes))
    for found, weights, _ in tallies:
        totals[np.searchsorted(classes, found)] += weights
    return classes[totals > 0], totals[totals > 0], sum(n for _, _, n in tallies)


def statistics_of_collection(X, y, sample_weight, classes, factors, scatter, share):
    """Return the statistics of all rows, and a share of the rows of each block."""
    blocks = _blocks(X, y, sample_weight)
    of_block, add_up = dask.delayed(_statistics_of_block), dask.delayed(_add_up)
    parts = [
        of_block(*block, classes, factors, scatter, share, i) for i, block in enumerate(blocks)
    ]
    while len(parts) > 1:
        parts = [add_up(parts[i : i + _FAN_IN]) for i in range(0, len(parts), _FAN_IN)]
    (result,) = dask.compute(parts[0])
    return result


def _blocks(X, y, sample_weight):
    """Return X, y and the weights as matching delayed blocks of rows."""
    if hasattr(X, "to_dask_array"):
        row_chunks = None
        x_blocks = X.to_delayed()
    else:
        X = X.rechunk({1: -1})
        row_chunks = X.chunks[0]
        x_blocks = X.to_delayed().ravel()
    columns = [list(x_blocks)]
    for name, column in (("y", y), ("sample_weight", sample_weight)):
        if column is None:
            columns.append([None] * len(x_blocks))
            continue
        if not dask.is_dask_collection(column):
            raise ValueError(
                f"X is a Dask collection, so {name} must be one too. Got {type(column).__name__}."
            )
        chunks = [*getattr(column, "chunks", [[np.nan]])[0], *(row_chunks or [np.nan])]
        if not np.isnan(chunks).any():
            column = column.rechunk((row_chunks, *column.chunks[1:]))
        blocks = np.ravel(np.asarray(column.to_delayed(), dtype=object))
        if len(blocks) != len(x_blocks):
            raise ValueError(
                f"X and {name} must have the same partitions. Got {len(x_blocks)} and "
                f"{len(blocks)}; repartition one of them."
            )
        columns.append(list(blocks))
    return list(zip(*columns, strict=True))


def _tally(y, weight):
    if len(y) == 0:
        return np.ravel(y), np.zeros(0), 0
    y = check_labels(y)
    check_classification_targets(y)
    classes = find_classes(y)
    if weight is not None:
        weight = np.asarray(weight, dtype=np.float64)
        # A class of such a weight would count as one that is not there.
        assert_all_finite(weight, input_name="sample_weight")
    return classes, np.bincount(encode(y, classes), weight, minlength=len(classes)), len(y)


def _statistics_of_block(X, y, weight, classes, factors, scatter, share, seed):
    y = check_labels(y) if len(y) else np.ravel(y)
    # Sums of all rows tell whether these are finite.
    weighted = weight is not None or factors is not None
    X, y = check_X_y(
        X,
        y,
        accept_sparse="csr",
        dtype=[np.float64, np.float32],
        ensure_all_finite=weighted,
        ensure_min_samples=0,
    )
    if weight is not None:
        weight = np.asarray(weight, dtype=np.float64)
        if weight.any():
            # It takes a block without any weight for an error.
            weight = _check_sample_weight(weight, X, ensure_non_negative=True)
        kept = weight > 0
        X, y, weight = X[kept], y[kept], weight[kept]
    scaled = weight
    if factors is not None:
        scaled = factors[encode(y, classes)] * (1.0 if weight is None else weight)
    statistics = ClassStatistics._from_checked_rows(X, y, classes, scaled, scatter)
    # Rounded up or down at random, so that small blocks count no more than large ones.
    rng = np.random.RandomState(seed)
    n_some = min(len(y), int(share * len(y) + rng.uniform()))
    some = np.sort(sample_without_replacement(len(y), n_some, random_state=rng))
    return statistics, (X[some], y[some], None if weight is None else weight[some])


def _add_up(parts):
    statistics, rows = zip(*parts, strict=True)
    X, y, weight = zip(*rows, strict=True)
    stack = sparse.vstack if sparse.issparse(X[0]) else np.concatenate
    weight = None if weight[0] is None else np.concatenate(weight)
    return functools.reduce(operator.add, statistics), (stack(X), np.concatenate(y), weight)

"""Class statistics of Dask collections: reduced block by block and added up in a tree."""

import functools
import operator

import dask
import numpy as np
from scipy import sparse
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.random import sample_without_replacement

from .._validation.labels import check_labels, encode, find_classes
from .._validation.sklearn_private import _check_sample_weight
from .settings import SETTINGS
from .statistics import ClassStatistics, check_rows, sum_rows

#: Blocks that one task of the tree adds up.
_FAN_IN = 4


def make_blocks(X, y, sample_weight):
    """Return X, y and the weights as matching delayed blocks of rows."""
    row_chunks = None
    if not hasattr(X, "to_dask_array"):
        X = X.rechunk({1: -1})
        row_chunks = X.chunks[0]
    columns = [_to_blocks(X)]
    for name, column in (("y", y), ("sample_weight", sample_weight)):
        if column is None:
            columns.append([None] * len(columns[0]))
            continue
        if not dask.is_dask_collection(column):
            raise ValueError(
                f"X is a Dask collection, so {name} must be one too. Got {type(column).__name__}."
            )
        chunks = [*getattr(column, "chunks", [[np.nan]])[0], *(row_chunks or [np.nan])]
        if not np.isnan(chunks).any():
            column = column.rechunk((row_chunks, *column.chunks[1:]))
        columns.append(_to_blocks(column))
        if len(columns[-1]) != len(columns[0]):
            raise ValueError(
                f"X and {name} must have the same partitions. Got {len(columns[0])} and "
                f"{len(columns[-1])}; repartition one of them."
            )
    return list(zip(*columns, strict=True))


def _to_blocks(collection):
    return list(np.ravel(np.asarray(collection.to_delayed(), dtype=object)))


def count_classes(blocks):
    """Return the sorted classes that have a weight, their weights, and the number of rows."""
    counts = dask.compute(*(dask.delayed(_count_block)(*rest) for _, *rest in blocks))
    if not any(weights.any() for _, weights, _ in counts):
        raise ValueError("There is no row to learn from: none at all, or none with a weight.")
    classes = np.unique(np.concatenate([found for found, _, n in counts if n]))
    totals = np.zeros(len(classes))
    for found, weights, _ in counts:
        totals[np.searchsorted(classes, found)] += weights
    return classes[totals > 0], totals[totals > 0], sum(n for _, _, n in counts)


def reduce_blocks(blocks, n_rows, classes, factors, scatter):
    """Return the statistics of all rows, and some rows, an equal share of each block."""
    share = SETTINGS.temperature_samples / n_rows
    reduce_block, add_up = dask.delayed(_reduce_block), dask.delayed(_add_up)
    parts = [
        reduce_block(*block, classes, factors, scatter, share, i) for i, block in enumerate(blocks)
    ]
    while len(parts) > 1:
        parts = [add_up(parts[i : i + _FAN_IN]) for i in range(0, len(parts), _FAN_IN)]
    return dask.compute(parts[0])[0]


def _count_block(y, weight):
    if len(y) == 0:
        return np.ravel(y), np.zeros(0), 0
    y = check_labels(y)
    check_classification_targets(y)
    classes = find_classes(y)
    if weight is not None:
        weight = np.asarray(weight, dtype=np.float64)
        # A class with such a weight would pass for absent.
        assert_all_finite(weight, input_name="sample_weight")
    return classes, np.bincount(encode(y, classes), weight, minlength=len(classes)), len(y)


def _reduce_block(X, y, weight, classes, factors, scatter, share, seed):
    y = check_labels(y) if len(y) else np.ravel(y)
    # Without weights the sums are finite only if all rows are.
    weighted = weight is not None or factors is not None
    X, y = check_rows(X, y, ensure_all_finite=weighted, ensure_min_samples=0)
    if weight is not None:
        weight = np.asarray(weight, dtype=np.float64)
        if weight.any():
            # A block may have no weight at all, which the check would reject.
            weight = _check_sample_weight(weight, X, ensure_non_negative=True)
        kept = weight > 0
        X, y, weight = X[kept], y[kept], weight[kept]
    scaled = weight
    if factors is not None:
        scaled = factors[encode(y, classes)] * (1.0 if weight is None else weight)
    statistics = ClassStatistics(*sum_rows(X, y, classes, scaled, scatter))
    # Rounded up or down at random, so small blocks count no more than large ones.
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

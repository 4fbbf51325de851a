"""Features that are the label in another form."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from .labels import shorten

#: Rows that are needed, since few labels agree by chance; rows that are compared first; and the
#: share of rows in which a feature must name the label.
_MIN_ROWS, _FIRST_ROWS, _SHARE = 50, 1000, 0.995


def warn_of_label_columns(
    X: Any, rows: NDArray, codes: NDArray, n_classes: int, stacklevel: int
) -> None:
    """Warn if a feature is the label: it has a value for each class, and no other values.

    A model that sees such a feature agrees with every wrong label. `codes` are the labels of the
    samples at the positions `rows`.
    """
    rows, codes = rows[codes >= 0], codes[codes >= 0]
    if len(rows) < _MIN_ROWS:
        return
    found = [name for name, column in _columns(X) if _is_label(column[rows], codes, n_classes)]
    if found:
        warnings.warn(
            f"X seems to have the label among its features: {shorten(found)} with a value of its "
            "own for each class. No label looks wrong to a model that sees it. Drop it, unless "
            "it was not made from the label.",
            stacklevel=stacklevel + 1,
        )


def _columns(X: Any) -> Any:
    """Yield the names, or positions, and the values of the features of a table."""
    if hasattr(X, "to_pandas"):
        X = X.to_pandas()
    if hasattr(X, "iloc") and hasattr(X, "columns"):
        yield from ((name, X.iloc[:, i].to_numpy()) for i, name in enumerate(X.columns))
    elif not issparse(X) and getattr(X, "ndim", 0) == 2:
        yield from enumerate(np.asarray(X).T)


def _is_label(column: NDArray, codes: NDArray, n_classes: int) -> bool:
    """Return whether the values of a feature and the classes name each other in nearly all rows."""
    for rows in (slice(_FIRST_ROWS), slice(None)):
        values, labels = column[rows], codes[rows]
        if values.dtype == object:
            values = values.astype(str)
        names, place = np.unique(values, return_inverse=True)
        if len(names) > n_classes:
            return False
    if len(names) < n_classes:
        return False
    counts = np.zeros((n_classes, n_classes))
    np.add.at(counts, (place, labels), 1)
    agree = counts.max(axis=1).sum() >= _SHARE * len(labels)
    return bool(agree and len(np.unique(counts.argmax(axis=1))) == n_classes)

"""The features of a table as numbers that trees can split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

from .._typing import Features

if TYPE_CHECKING:
    import pandas as pd

#: Categories of a feature that get a column, at most; the rarest of more get none.
_MAX_CATEGORIES = 31

#: What pandas calls object columns of numbers, and those that are neither numbers nor categories.
_NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal", "boolean")
_NO_CATEGORIES = ("mixed", "complex", "bytes", "datetime", "date", "timedelta")


class TableNumbers:
    """Encoder of the features of a table: numbers as they are, a 0/1 column for each category.

    The most frequent category comes first, and one more column if some values are missing.
    """

    def __init__(self, accept_sparse: Any = "csr") -> None:
        self.accept_sparse = accept_sparse

    def fit_transform(self, estimator: Any, X: Features) -> Features:
        """Check the features, learn their encoding, and return them as floats; NaN if missing.

        `estimator` gets `n_features_in_` and the feature names.
        """
        self._columns: list[_Column] | None = None
        if not _is_frame(X):
            return self._check_array(estimator, X, reset=True)
        validate_data(estimator, X, skip_check_array=True)
        X = _as_pandas(X)
        self._columns = [_Column(name, X.iloc[:, i]) for i, name in enumerate(X.columns)]
        return self._encode(X)

    def transform(self, estimator: Any, X: Features) -> Features:
        """Return the features of later samples as floats, for `estimator` to predict from."""
        if self._columns is None:
            return self._check_array(estimator, X, reset=False)
        if not _is_frame(X):
            name = type(estimator).__name__
            raise ValueError(f"{name} was fitted to a data frame. Pass one of the same columns.")
        validate_data(estimator, X, reset=False, skip_check_array=True)
        return self._encode(_as_pandas(X))

    def _check_array(self, estimator: Any, X: Features, reset: bool) -> Features:
        try:
            return validate_data(
                estimator,
                X,
                reset=reset,
                accept_sparse=self.accept_sparse,
                dtype=(np.float64, np.float32),
                ensure_all_finite=True if issparse(X) else "allow-nan",
            )
        except ValueError as error:
            if "could not convert string" not in str(error):
                raise
            raise ValueError(
                f"{error}. Pass a data frame, whose columns of categories and strings are encoded, "
                f"or encode them, for example with sklearn.preprocessing.OneHotEncoder."
            ) from error

    def _encode(self, X: pd.DataFrame) -> NDArray:
        columns = self._columns or []
        if not columns or len(X) == 0:
            raise ValueError(f"X is empty: {len(X)} rows of {len(columns)} features.")
        return np.column_stack([column.encode(X.iloc[:, i]) for i, column in enumerate(columns)])


def _is_frame(X: Features) -> bool:
    return hasattr(X, "columns") and hasattr(X, "dtypes")


def _as_pandas(X: Features) -> pd.DataFrame:
    X = X.to_pandas() if hasattr(X, "to_pandas") else X
    if not hasattr(X, "iloc") or hasattr(X, "compute"):
        raise TypeError(
            f"X is a {type(X).__module__}.{type(X).__name__}, which is not in memory. Pass a data "
            f"frame of pandas or polars: X.compute() or X.collect()."
        )
    return X


class _Column:
    """A feature of a data frame and its encoding: `categories` with a column, None for numbers."""

    def __init__(self, name: Any, column: pd.Series) -> None:
        from pandas.api import types

        self.name, kind = name, column.dtype
        self.categories: NDArray | None = None
        if types.is_complex_dtype(kind):
            raise ValueError(f"Feature {name!r} has complex numbers. Pass their real parts.")
        if types.is_bool_dtype(kind) or types.is_numeric_dtype(kind):
            return
        values = types.infer_dtype(column, skipna=True) if types.is_object_dtype(kind) else None
        if values in _NUMBERS:
            return
        texts = isinstance(kind, types.CategoricalDtype) or types.is_string_dtype(kind)
        if values in _NO_CATEGORIES or (values is None and not texts):
            raise ValueError(
                f"Feature {name!r} is of the kind {values or kind}, which is neither numeric nor "
                f"categorical. Turn it into numbers, for dates with column.dt.year, or drop it."
            )
        codes, names = _name_categories(column)
        names, merged = np.unique(names, return_inverse=True)
        counts = np.bincount(merged[codes[codes >= 0]], minlength=len(names))
        # Ties are broken by name and not by the order of the samples.
        self.categories = names[np.argsort(-counts, kind="stable")[:_MAX_CATEGORIES]]
        self.some_missing = bool((codes < 0).any())

    def encode(self, column: pd.Series) -> NDArray:
        """Return the feature of some samples as one or more columns of floats."""
        if self.categories is None:
            try:
                numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"Feature {self.name!r} had numbers in fit, and has other values now: {error}."
                ) from error
            if np.isinf(numbers).any():
                raise ValueError(f"Feature {self.name!r} has infinite values. Replace them.")
            return numbers
        codes, names = _name_categories(column)
        # The last row is that of missing values, whose code is -1.
        rows = np.vstack([names[:, None] == self.categories, np.zeros(len(self.categories), bool)])
        columns = rows[codes].astype(float)
        return np.column_stack([columns, codes < 0]) if self.some_missing else columns


def _name_categories(column: pd.Series) -> tuple[NDArray, NDArray]:
    """Return the code of each value, -1 where it is missing, and the name of each code."""
    from pandas import factorize

    codes, values = factorize(column)
    # Integers become whole floats beside missing values.
    names = [str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in values]
    return codes, np.array(names, dtype=object)

"""The features of a table as numbers that trees can split."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

from .._typing import Features
from .findings import is_text, parse_number_texts, read_number_texts
from .table import TableWarning

if TYPE_CHECKING:
    import pandas as pd

#: Categories of a feature that get a column, at most, as many as scikit-learn's boosting takes; the
#: rarest of more get none. So many values of all features together, at most.
_MAX_CATEGORIES, _MAX_VALUES = 255, 2**25

#: Categories of a feature from which on it has a column of codes, too: trees that look at the root
#: of the number of columns seldom meet the one column that tells.
_MANY_CATEGORIES = 31

#: Values of a feature that are needed to say that most are new.
_FEW_VALUES = 10

#: Rows of a table from which on rare categories get no column: those of fewer rows than this, or
#: than this part of the rows. The label of a row is judged by the others of its category, and two
#: of three outvote a wrong one. The part keeps columns of texts small; it costs little, as the
#: most frequent categories alone have columns.
_MANY_ROWS, _FEWEST_ROWS, _SMALLEST_PART = 50, 4, 1 / 2000

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
        if not is_frame(X):
            return self._check_array(estimator, X, reset=True)
        validate_data(estimator, X, skip_check_array=True)
        X = as_pandas(X)
        self._columns = [_Column(name, X.iloc[:, i]) for i, name in enumerate(X.columns)]
        return self._encode(X)

    def transform(self, estimator: Any, X: Features) -> Features:
        """Return the features of later samples as floats, for `estimator` to predict from."""
        if self._columns is None:
            return self._check_array(estimator, X, reset=False)
        if not is_frame(X):
            name = type(estimator).__name__
            raise ValueError(f"{name} was fitted to a data frame. Pass one of the same columns.")
        validate_data(estimator, X, reset=False, skip_check_array=True)
        X = as_pandas(X)
        for i, column in enumerate(self._columns):
            if column.is_unknown(X.iloc[:, i]):
                warnings.warn(
                    f"Feature {column.name!r} has values in most rows that were not there in fit. "
                    "They are ignored: spell the categories as in fit.",
                    TableWarning,
                    stacklevel=4,
                )
        return self._encode(X)

    def _check_array(self, estimator: Any, X: Features, reset: bool) -> Features:
        if isinstance(X, np.ma.MaskedArray):
            X = np.ma.filled(X.astype(np.float64), np.nan)
        with explained_texts(
            "Pass a data frame, whose columns of categories and strings are encoded, or"
        ):
            return validate_data(
                estimator,
                X,
                reset=reset,
                accept_sparse=self.accept_sparse,
                dtype=(np.float64, np.float32),
                ensure_all_finite=True if issparse(X) else "allow-nan",
            )

    def _encode(self, X: pd.DataFrame) -> NDArray:
        columns = self._columns or []
        if not columns or len(X) == 0:
            raise ValueError(f"X is empty: {len(X)} rows of {len(columns)} features.")
        return np.column_stack([column.encode(X.iloc[:, i]) for i, column in enumerate(columns)])


@contextmanager
def explained_texts(
    other: str = "RobustEnsembleClassifier takes them in a data frame. Or",
) -> Iterator[None]:
    """Say what to do if the block cannot turn texts or dates into numbers.

    `other` is another way for texts, and ends with "or".
    """
    try:
        yield
    except np.exceptions.DTypePromotionError as error:
        raise TypeError(
            "X has dates or spans of time beside numbers. Turn them into numbers, for dates with "
            f"column.dt.year, or drop them: {error}"
        ) from error
    except ValueError as error:
        if "could not convert string" not in str(error):
            raise
        raise ValueError(
            f"{error}. {other} encode them, for example with sklearn.preprocessing.OneHotEncoder."
        ) from error


def is_frame(X: Features) -> bool:
    """Return whether a table is a data frame of any library."""
    return hasattr(X, "columns") and hasattr(X, "dtypes")


def as_pandas(X: Features) -> pd.DataFrame:
    """Return a data frame as one of pandas; raise if it is not in memory."""
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
        self.known: NDArray | None = None
        self.thousands: bool | None = None  # whether commas separate them; None if not texts
        if types.is_complex_dtype(kind):
            raise ValueError(f"Feature {name!r} has complex numbers. Pass their real parts.")
        if types.is_bool_dtype(kind) or types.is_numeric_dtype(kind):
            return
        values = types.infer_dtype(column, skipna=True) if types.is_object_dtype(kind) else None
        if values in _NUMBERS:
            return
        texts = _has_categories(kind) or types.is_string_dtype(kind)
        if values in _NO_CATEGORIES or (values is None and not texts):
            raise ValueError(
                f"Feature {name!r} is of the kind {values or kind}, which is neither numeric nor "
                f"categorical. Turn it into numbers, for dates with column.dt.year, or drop it."
            )
        read = read_number_texts(column) if is_text(column) else None
        if read is not None:
            self.thousands = read.thousands
            return
        codes, names = _name_categories(column)
        names, merged = np.unique(names, return_inverse=True)
        counts = np.bincount(merged[codes[codes >= 0]], minlength=len(names))
        # Ties are broken by name and not by the order of the samples.
        order = np.argsort(-counts, kind="stable")
        if len(column) >= _MANY_ROWS:
            order = order[counts[order] >= max(_FEWEST_ROWS, _SMALLEST_PART * len(column))]
        most = min(_MAX_CATEGORIES, max(_MANY_CATEGORIES, _MAX_VALUES // len(column)))
        self.categories = names[order[:most]]
        # Of ids, rows to come have others.
        self.known = names if len(names) < 0.9 * (codes >= 0).sum() else None
        self.some_missing = bool((codes < 0).any())

    def encode(self, column: pd.Series) -> NDArray:
        """Return the feature of some samples as one or more columns of floats."""
        if self.thousands is not None and is_text(column):
            return parse_number_texts(column, self.thousands)
        if self.categories is None:
            return self._encode_numbers(column)
        codes, names = _name_categories(column)
        places = np.full(len(names) + 1, -1)
        order = np.argsort(self.categories)
        if len(order):
            found = np.searchsorted(self.categories, names, sorter=order)
            found = order[np.minimum(found, len(order) - 1)]
            places[:-1] = np.where(self.categories[found] == names, found, -1)
        places = places[codes]  # a missing value has the code -1, which is the last
        columns = np.zeros((len(column), len(self.categories)))
        there = np.flatnonzero(places >= 0)
        columns[there, places[there]] = 1
        extra = []
        if len(self.categories) > _MANY_CATEGORIES:
            extra.append(places.astype(float))
        if self.some_missing:
            extra.append((codes < 0).astype(float))
        return np.column_stack([columns, *extra])

    def is_unknown(self, column: pd.Series) -> bool:
        """Return whether most values of some samples are categories that fit has not seen."""
        if self.known is None:
            return False
        codes, names = _name_categories(column)
        there = codes[codes >= 0]
        unknown = ~np.isin(names.astype(str), self.known.astype(str))
        return len(there) >= _FEW_VALUES and bool(unknown[there].mean() > 0.5)

    def _encode_numbers(self, column: pd.Series) -> NDArray:
        if column.dtype.kind in "Mm":
            raise ValueError(
                f"Feature {self.name!r} had numbers in fit, and has dates or spans of time now. "
                "Turn both into numbers in the same way, for dates with column.dt.year."
            )
        try:
            numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Feature {self.name!r} had numbers in fit, and has other values now: {error}."
            ) from error
        if np.isinf(numbers).any():
            raise ValueError(f"Feature {self.name!r} has infinite values. Replace them.")
        return numbers


def _has_categories(kind: Any) -> bool:
    """Return whether a column of this type has categories; also a dictionary of Arrow."""
    from pandas.api import types

    return isinstance(kind, types.CategoricalDtype) or str(kind).startswith("dictionary<")


def _name_categories(column: pd.Series) -> tuple[NDArray, NDArray]:
    """Return the code of each value, -1 where it is missing, and the name of each code."""
    from pandas import factorize

    codes, values = factorize(column)
    # Integers become whole floats beside missing values.
    names = [str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in values]
    return codes, np.array(names, dtype=object)

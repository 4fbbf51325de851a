"""The features of a table, as numbers that trees can split."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

#: Categories of a feature that get a column, at most. The rarest of more are in none.
_MAX_CATEGORIES = 31

#: What pandas calls columns of Python's numbers.
_NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal", "boolean")

#: What it calls columns of other objects, such as lists.
_NO_CATEGORIES = ("mixed", "complex", "bytes", "datetime", "date", "timedelta")

#: What a text in an array is told, where it must be a number.
_HINT = (
    "Pass a data frame, whose columns of categories and texts are taken as they are, or encode "
    "them, with sklearn.preprocessing.OneHotEncoder for example."
)


class TableNumbers:
    """The features of a table as numbers: the same columns for later rows as for the first.

    A feature of numbers is a column; one of categories or texts a column of 0 and 1 for each
    category, and one more where some are missing.
    """

    def __init__(self, accept_sparse="csr"):
        self.accept_sparse = accept_sparse

    def fit_transform(self, estimator, X):
        """Check the features and return them as numbers, for the `fit` of `estimator`.

        Parameters
        ----------
        estimator : estimator
            It gets `n_features_in_` and the names of the features.
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Numbers; in a data frame also categories and texts. Values may be missing, except in
            a sparse matrix.

        Returns
        -------
        numbers : {ndarray, sparse matrix} of shape (n_samples, n_columns)
            Floats; missing values are NaN.

        Raises
        ------
        ValueError
            If a feature is infinite or of a kind that has no order and no categories.
        """
        if not _is_frame(X):
            self._columns = None
            return self._check_array(estimator, X, reset=True)
        validate_data(estimator, X, skip_check_array=True)
        X = _as_pandas(X)
        self._columns = [_Column(name, X.iloc[:, i]) for i, name in enumerate(X.columns)]
        return self._put_together(X)

    def transform(self, estimator, X):
        """Return the features of other rows as numbers, for `estimator` to predict from."""
        if self._columns is None:
            return self._check_array(estimator, X, reset=False)
        if not _is_frame(X):
            raise ValueError(
                f"{type(estimator).__name__} was fitted to a data frame. Pass one with the same "
                f"columns."
            )
        validate_data(estimator, X, reset=False, skip_check_array=True)
        return self._put_together(_as_pandas(X))

    def _check_array(self, estimator, X, reset):
        """Return an array or a sparse matrix of numbers, checked."""
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
            if "could not convert string" in str(error):
                raise ValueError(f"{error}. {_HINT}") from error
            raise

    def _put_together(self, X):
        if not self._columns or len(X) == 0:
            raise ValueError(f"X is empty: {len(X)} rows of {len(self._columns)} features.")
        parts = [column.as_numbers(X.iloc[:, i]) for i, column in enumerate(self._columns)]
        return np.column_stack(parts)


def _is_frame(X):
    return hasattr(X, "columns") and hasattr(X, "dtypes")


def _as_pandas(X):
    X = X.to_pandas() if hasattr(X, "to_pandas") else X
    if not hasattr(X, "iloc") or hasattr(X, "compute"):
        raise TypeError(
            f"X is a {type(X).__module__}.{type(X).__name__}, which is not in memory. Pass a data "
            f"frame of pandas or polars: X.compute() or X.collect()."
        )
    return X


class _Column:
    """A feature of a data frame, and the columns of numbers that it becomes."""

    def __init__(self, name, column):
        from pandas.api import types

        self.name, kind = name, column.dtype
        #: The categories that have a column, or None where the feature is a number.
        self.categories = None
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
                f"Feature {name!r} is of the kind {values or kind}, which has no categories and "
                f"is no number. Turn it into numbers, as column.dt.year does with dates, or drop "
                f"it."
            )
        codes, names = _name_categories(column)
        names, merged = np.unique(names, return_inverse=True)
        counts = np.bincount(merged[codes[codes >= 0]], minlength=len(names))
        # Those of equal number by name, not by the order of the rows.
        self.categories = names[np.argsort(-counts, kind="stable")[:_MAX_CATEGORIES]]
        self.some_missing = bool((codes < 0).any())

    def as_numbers(self, column):
        """Return the feature of some rows as columns of numbers."""
        if self.categories is None:
            try:
                numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"Feature {self.name!r} had numbers in fit, and has other values now: {error}."
                ) from error
            if np.isinf(numbers).any():
                raise ValueError(
                    f"Feature {self.name!r} has infinite values. Replace or drop them."
                )
            return numbers
        codes, names = _name_categories(column)
        # The last row stands for missing values, whose code is -1.
        rows = np.vstack([names[:, None] == self.categories, np.zeros(len(self.categories), bool)])
        columns = rows[codes].astype(float)
        return np.column_stack([columns, codes < 0]) if self.some_missing else columns


def _name_categories(column):
    """Return the position of each value of a column in its different ones, or -1, and their names.

    Whole numbers are named alike whether they come as integers or, beside missing ones, as floats.
    """
    from pandas import factorize

    codes, values = factorize(column)
    names = [str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in values]
    return codes, np.array(names, dtype=object)

"""The features of a table, as numbers that trees can split."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

#: Columns that a feature of categories becomes, at most: the rarest of more share one.
_MAX_CATEGORIES = 32

#: What pandas calls columns of Python's numbers.
_NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal", "boolean")

#: What a text in an array is told, where it must be a number.
_HINT = (
    "Pass a data frame, whose columns of categories and texts are taken as they are, or encode "
    "them, with sklearn.preprocessing.OneHotEncoder for example."
)


def as_numbers(estimator, X):
    """Check the features of a table and return them as numbers, for the `fit` of `estimator`.

    Parameters
    ----------
    estimator : estimator
        It gets `n_features_in_` and the names of the features.
    X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
        Numbers; in a data frame also categories and texts. Values may be missing, except in a
        sparse matrix.

    Returns
    -------
    numbers : {ndarray, sparse matrix} of shape (n_samples, n_columns)
        Floats; missing values are NaN.

    Raises
    ------
    ValueError
        If a feature is infinite or of a kind that has no order and no categories.
    """
    if not hasattr(X, "columns") or not hasattr(X, "dtypes"):
        finite = True if issparse(X) else "allow-nan"
        try:
            return validate_data(
                estimator,
                X,
                accept_sparse="csr",
                dtype=(np.float64, np.float32),
                ensure_all_finite=finite,
            )
        except ValueError as error:
            if "could not convert string" in str(error):
                raise ValueError(f"{error}. {_HINT}") from error
            raise
    validate_data(estimator, X, skip_check_array=True)
    if hasattr(X, "to_pandas"):
        X = X.to_pandas()
    columns = [_column_as_numbers(name, X.iloc[:, i]) for i, name in enumerate(X.columns)]
    if not columns or len(X) == 0:
        raise ValueError(f"X is empty: {len(X)} rows of {len(columns)} features.")
    return np.column_stack(columns)


def _column_as_numbers(name, column):
    """Return the columns of numbers that a column of a data frame stands for."""
    from pandas.api import types

    kind = column.dtype
    if types.is_bool_dtype(kind) or types.is_numeric_dtype(kind):
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isinf(numbers).any():
            raise ValueError(f"Feature {name!r} has infinite values. Replace or drop them.")
        return numbers
    if types.is_object_dtype(kind) and types.infer_dtype(column, skipna=True) in _NUMBERS:
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    texts = isinstance(kind, types.CategoricalDtype) or types.is_string_dtype(kind)
    if not texts and not types.is_object_dtype(kind):
        raise ValueError(
            f"Feature {name!r} is of the kind {kind}, which has no categories and is no number. "
            f"Turn it into numbers, as column.dt.year does with dates, or drop it."
        )
    # A missing value is in none of the categories.
    names = column.reset_index(drop=True)
    names = names[names.notna()].astype(str)
    counts = names.value_counts()
    kept = counts.index[: _MAX_CATEGORIES - 1] if len(counts) > _MAX_CATEGORIES else counts.index
    names = names.reindex(range(len(column))).to_numpy(dtype=object)
    return (names[:, None] == kept.to_numpy(dtype=object)).astype(float)

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
    values = types.infer_dtype(column, skipna=True) if types.is_object_dtype(kind) else None
    if values in _NUMBERS:
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    texts = isinstance(kind, types.CategoricalDtype) or types.is_string_dtype(kind)
    if values in _NO_CATEGORIES or (values is None and not texts):
        raise ValueError(
            f"Feature {name!r} is of the kind {values or kind}, which has no categories and is no "
            f"number. Turn it into numbers, as column.dt.year does with dates, or drop it."
        )
    names = column.reset_index(drop=True)
    missing = names.isna().to_numpy()
    names = names[~missing].astype(str)
    # Those of equal number by name, not by the order of the rows.
    counts = names.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    kept = counts.index[:_MAX_CATEGORIES].to_numpy(dtype=object)
    names = names.reindex(range(len(column))).to_numpy(dtype=object)
    columns = (names[:, None] == kept).astype(float)
    return np.column_stack([columns, missing]) if missing.any() else columns

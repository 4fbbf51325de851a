"""Rows by name: what belongs to the rows of a table in the order of that table."""

from typing import Any

from .labels import shorten


def align_rows(X: Any, values: Any, name: str) -> Any:
    """Return values in the order of the rows of X, where the same index names both.

    Other indices say nothing: values are taken by position, as NumPy arrays are.

    Parameters
    ----------
    X : object
        The features.
    values : object
        Labels, weights or anything else with an entry for each row. Only those of pandas have an
        index.
    name : str
        Name of `values` in messages.

    Returns
    -------
    values : object
        The same values.

    Raises
    ------
    ValueError
        If the order cannot be told: names occur more than once, or one of the two indices just
        counts the rows, and may have come from anywhere.
    """
    if not (hasattr(X, "iloc") and hasattr(values, "iloc")) or hasattr(values, "compute"):
        return values
    theirs, own = X.index, values.index
    if len(theirs) != len(own) or theirs.equals(own):
        return values
    counts = [type(index).__name__ == "RangeIndex" for index in (theirs, own)]
    unique = theirs.is_unique and own.is_unique
    if unique:
        if not own.isin(theirs).all():
            return values
    elif sorted(map(str, theirs)) != sorted(map(str, own)):
        return values
    if unique and not any(counts):
        return values.reindex(theirs)
    reason = "one of them may be without meaning" if unique else "its names are not unique"
    raise ValueError(
        f"X and {name} have the same index in different orders, {shorten(theirs[:5])} and "
        f"{shorten(own[:5])} at first, and {reason}. Pass {name}.loc[X.index] to go by name, or "
        f"{name}.to_numpy() to go by position."
    )

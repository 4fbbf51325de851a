"""Labels, checked and as positions in the classes; probabilities and weights of classes."""

from collections.abc import Mapping

import numpy as np
from sklearn.utils import (
    check_array,
    check_consistent_length,
    column_or_1d,
    compute_class_weight,
    gen_batches,
)
from sklearn.utils.multiclass import check_classification_targets

#: Integer labels that span less than this are counted and looked up, not sorted; unless they
#: lie so far out that differences would overflow.
_MAX_TABLE, _FAR = 4096, 2**62


#: Classes or numbers that a message lists, at most.
_MAX_LISTED = 10


def shorten(values):
    """Return classes or numbers as a text for a message: all, or the first ones of many."""
    values = values.tolist() if hasattr(values, "tolist") else list(values)
    if len(values) <= _MAX_LISTED:
        return str(values)
    return f"{str(values[:_MAX_LISTED])[:-1]}, ... ({len(values)} in all)]"


def require_labels(estimator, y):
    """Say if an estimator was given no labels."""
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None."
        )


def find_rows_and_classes(estimator, y, weight):
    """Return the positions of the rows that have a weight, and their sorted labels."""
    kept = np.flatnonzero(weight)
    if not len(kept):
        raise ValueError("All sample weights are zero: there is no row to learn from.")
    classes = find_classes(y[kept])
    if len(classes) < 2:
        raise ValueError(
            f"{type(estimator).__name__} needs at least 2 classes, but y has only one class, "
            f"{classes.tolist()}{'' if len(kept) == len(y) else ', where sample_weight is not 0'}."
        )
    return kept, classes


def check_labels(y):
    """Return labels as an array of one dimension, none of them missing."""
    # check_array refuses an empty y and missing labels, which np.unique would take for a class.
    labels = check_array(column_or_1d(y, warn=True), ensure_2d=False, dtype=None, input_name="y")
    if labels.dtype == object and any(label is None for label in labels):
        raise ValueError("y has missing labels (None). Drop those rows first.")
    return labels


def find_classes(y):
    """Return the sorted labels of `y`, without sorting `y` where it holds small integers."""
    if y.dtype.kind in "iu" and len(y) > 0:
        low, high = int(y.min()), int(y.max())
        if low > -_FAR and high < _FAR and high - low < _MAX_TABLE:
            counts = np.zeros(high - low + 1, dtype=np.intp)
            for rows in gen_batches(len(y), 32768):
                counts += np.bincount(y[rows].astype(np.intp) - low, minlength=len(counts))
            return (low + np.flatnonzero(counts)).astype(y.dtype)
    return np.unique(y)


def encode(y, classes):
    """Return the position of each label of `y` in the sorted `classes`, or name a stranger."""
    if y.dtype.kind in "iu" and classes.dtype.kind in "iu" and len(y) > 0:
        low, high = int(classes[0]), int(classes[-1])
        if low > -_FAR and high < _FAR and high - low < _MAX_TABLE:
            codes = np.subtract(y, low, dtype=np.int64, casting="unsafe")
            # Seen as unsigned, a label below the range lies far above it.
            known = codes.view(np.uint64).max() <= high - low
            if known and high - low + 1 > len(classes):
                table = np.full(high - low + 1, -1)
                table[classes.astype(np.int64) - low] = np.arange(len(classes))
                codes = table[codes]
                known = codes.min() >= 0
            if known:
                return codes
    codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    unknown = classes[codes] != y
    if unknown.any():
        raise ValueError(
            f"y has the labels {shorten(np.unique(y[unknown]))}, which are not among the classes "
            f"{shorten(classes)}."
        )
    return codes


def encode_together(labels, *columns):
    """Return each column as positions in the classes, and the classes."""
    columns = [check_labels(column) for column in columns]
    check_consistent_length(*columns)
    for column in columns:
        check_classification_targets(column)
    classes = np.unique(np.concatenate(columns)) if labels is None else column_or_1d(labels)
    if len(classes) == 0:
        raise ValueError("labels must name the classes. Got none; leave it out to take those of y.")
    if len(np.unique(classes)) < len(classes):
        raise ValueError(f"labels must name each class once. Got {shorten(classes)}.")
    order = np.argsort(classes)
    return *(order[encode(column, classes[order])] for column in columns), classes


def align(values, classes, name, axes=(0,)):
    """Return values in the order of the classes where they are named, and as they are where not.

    Names are the keys of a dict, and what pandas has along the axes, unless that is only the
    default 0, 1, 2, ... along all of them, for other classes.
    """
    if isinstance(values, Mapping):
        values, names = np.array(list(values.values())), [list(values)]
    elif hasattr(values, "iloc") and values.ndim > max(axes):
        indices = [values.axes[axis] for axis in axes]
        names = [index.tolist() for index in indices]
        default = all(type(index).__name__ == "RangeIndex" for index in indices)
        if default and all(of_axis == list(range(len(of_axis))) for of_axis in names):
            return values
    else:
        return values
    classes = np.asarray(classes).tolist()
    order = []
    for of_axis in names:
        position = {label: i for i, label in enumerate(of_axis)}
        if len(of_axis) != len(classes) or position.keys() != set(classes):
            raise ValueError(
                f"{name} has the names {shorten(of_axis)}, which must be the classes "
                f"{shorten(classes)}, in any order. Name all of them so, or pass a NumPy array in "
                f"the order of the classes."
            )
        order.append([position[label] for label in classes])
    if isinstance(values, np.ndarray):
        return values[order[0]]
    for axis, of_axis in zip(axes, order, strict=True):
        values = values.iloc[of_axis] if axis == 0 else values.iloc[:, of_axis]
    return values


def check_probabilities(y, proba, labels, name):
    """Return labels as positions in the classes, checked probabilities, and the classes."""
    codes, classes = encode_together(labels, y)
    proba = check_array(align(proba, classes, name, axes=(1,)), dtype=np.float64, input_name=name)
    check_consistent_length(codes, proba)
    if proba.shape[1] != len(classes):
        raise ValueError(
            f"{name} must have a column for each of the {len(classes)} classes "
            f"{shorten(classes)}. Got {proba.shape[1]} columns; pass labels if some class is not "
            f"in y_noisy."
        )
    if (proba < 0).any() or not np.allclose(proba.sum(axis=1), 1, atol=1e-3):
        raise ValueError(f"The rows of {name} must be probability distributions.")
    return codes, proba, classes


def refuse_balanced(class_weight):
    """Say that blocks of rows cannot be balanced before all of them have been seen."""
    if class_weight == "balanced":
        raise ValueError(
            "class_weight='balanced' needs all labels at once. For partial_fit pass a dict "
            "of weights, as sklearn.utils.compute_class_weight makes it."
        )


def check_same_classes(classes, first):
    """Say if the classes of a later block differ from those of the first."""
    if not np.array_equal(classes, first):
        raise ValueError(
            f"classes={shorten(classes)} differ from those of the first call, {shorten(first)}."
        )


def weigh_classes(class_weight, classes, totals):
    """Return the factor of each class that a `class_weight` parameter stands for.

    `totals` holds the total weight of the rows of each class, which "balanced" makes equal.
    """
    if class_weight == "balanced":
        there = totals > 0
        return there * totals.sum() / (len(classes) * np.where(there, totals, 1.0))
    factors = compute_class_weight(class_weight, classes=classes, y=classes)
    if not np.isfinite(factors).all() or (factors < 0).any():
        raise ValueError(
            f"The weights in class_weight must be finite and not negative. Got {class_weight!r}."
        )
    return factors


def check_priors(priors, classes):
    """Return a `priors` parameter in the order of the classes, or say if it does not fit them."""
    if priors is None or isinstance(priors, str):
        return priors
    shares = np.asarray(align(priors, classes, "priors"), dtype=float)
    if shares.shape != classes.shape or not (shares > 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise ValueError(
            f"priors must be positive, of sum 1, one for each of the {len(classes)} classes "
            f"{shorten(classes)}. Got {shorten(np.atleast_1d(shares))}."
        )
    return shares

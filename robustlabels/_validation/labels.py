"""Checked labels, and class probabilities, weights and priors in the order of the classes."""

from collections.abc import Mapping
from numbers import Real

import numpy as np
from sklearn.utils import (
    check_array,
    check_consistent_length,
    column_or_1d,
    compute_class_weight,
    gen_batches,
)
from sklearn.utils.multiclass import check_classification_targets

#: Integer labels that span less than this are counted instead of sorted.
_MAX_TABLE = 4096

#: Beyond it, differences of integers could overflow.
_FAR = 2**62

#: Classes or numbers that a message lists, at most.
_MAX_LISTED = 10

#: Why there may be fewer classes than expected.
NO_CLASSES = "Classes that no row has, or only rows whose sample_weight is 0, do not count."


def shorten(values):
    """Return classes or numbers as text for a message, only the first if there are many."""
    values = values.tolist() if hasattr(values, "tolist") else list(values)
    if len(values) <= _MAX_LISTED:
        return str(values)
    return f"{str(values[:_MAX_LISTED])[:-1]}, ... ({len(values)} in all)]"


def find_rows_and_classes(estimator, y, weight):
    """Return the positions of the samples with a weight, and their sorted labels."""
    kept = np.flatnonzero(weight)
    if not len(kept):
        raise ValueError("All sample weights are zero: there is no row to learn from.")
    classes = find_classes(y[kept])
    check_two_classes(estimator, classes)
    return kept, classes


def check_two_classes(estimator, classes):
    """Raise if there are fewer than two classes."""
    if len(classes) < 2:
        raise ValueError(
            f"{type(estimator).__name__} needs at least 2 classes, but y has only one class, "
            f"{classes.tolist()}. {NO_CLASSES}"
        )


def check_labels(y, name="y"):
    """Return labels as a one-dimensional array of strings or numbers; raise if any is missing.

    Nothing may convert labels before: NumPy turns NaN beside strings into a string, and
    scikit-learn turns the Int64 and boolean types of pandas into floats.
    """
    if y is None:
        raise ValueError(
            f"{name} should be a 1d array of labels, one for each row: this requires {name} to be "
            f"passed, but the target {name} is None."
        )
    is_array = hasattr(y, "__array__")
    labels = np.asarray(y) if is_array else np.array(y, dtype=object)
    if labels.dtype.kind == "T":
        labels = labels.astype(object)  # scikit-learn does not know NumPy's StringDType
    if labels.ndim == 2 and labels.shape[1] > 1:
        raise ValueError(
            f"{name} should be a 1d array of labels, got an array of shape {labels.shape} instead. "
            f"Only LabelRefiner and the classifiers that use it take the answers of several "
            f"annotators."
        )
    labels = column_or_1d(labels, warn=True)
    missing = find_missing(labels)
    if isinstance(y, np.ma.MaskedArray):
        missing |= np.ravel(np.ma.getmaskarray(y))
    if missing.any():
        n_missing = int(np.count_nonzero(missing))
        raise ValueError(
            f"{name} has {n_missing} missing label{'s' * (n_missing > 1)} among {len(labels)} "
            f"(None, NaN or NA). Drop their rows: pass X[known] and {name}[known] with known = "
            f"pandas.notna({name})."
        )
    if labels.dtype == object:
        labels = _to_one_type(labels, name)
        if not is_array and labels.dtype == object:
            labels = labels.astype(str)
    return check_array(labels, ensure_2d=False, dtype=None, input_name=name)


def find_missing(labels):
    """Return which labels are None, NaN, NaT or NA, as booleans."""
    if labels.dtype != object:
        return labels != labels

    def is_missing(label):
        try:
            return label is None or bool(label != label)
        except TypeError:  # comparisons with the NA of pandas are NA, which has no truth value
            return True

    return np.array([is_missing(label) for label in labels], dtype=bool)


def _to_one_type(labels, name):
    """Return objects that are all strings as they are, numbers as an array; reject others."""
    types = {*map(type, labels)}
    texts = {kind for kind in types if issubclass(kind, str)}
    strange = {kind for kind in types - texts if not issubclass(kind, Real | np.bool_)}
    names = " and ".join(sorted(kind.__name__ for kind in strange or types))
    if strange:
        raise ValueError(
            f"{name} has labels of the type {names}. Labels must be strings, integers, booleans or "
            f"whole floats; convert them to strings, for example with {name}.astype(str)."
        )
    if texts and texts != types:
        raise ValueError(
            f"{name} has labels of the types {names} beside each other: '1' and 1 may be the same "
            f"class. Convert all labels to one type, for example with {name}.astype(str)."
        )
    if texts or len(labels) == 0:
        return labels
    numbers = np.array(labels.tolist())
    if numbers.dtype == object or (numbers != labels).any():
        raise ValueError(f"{name} has numbers that no NumPy type can represent. Use strings.")
    return numbers


def as_given(labels, y):
    """Return labels in the dtype of `y`, and as a Series where it is one, or a data frame."""
    if hasattr(y, "iloc"):
        series = y.iloc[:, 0] if y.ndim == 2 else y
        return type(series)(labels, index=y.index, name=series.name, dtype=series.dtype)
    return labels.astype(y.dtype) if isinstance(y, np.ndarray) and y.dtype.kind in "OT" else labels


def find_classes(y):
    """Return the sorted labels of `y`, without sorting `y` if it holds small integers."""
    if hasattr(y, "classes"):  # answers of several annotators
        return y.classes
    if y.dtype.kind in "iu" and len(y) > 0:
        low, high = int(y.min()), int(y.max())
        if low > -_FAR and high < _FAR and high - low < _MAX_TABLE:
            counts = np.zeros(high - low + 1, dtype=np.intp)
            for rows in gen_batches(len(y), 32768):
                counts += np.bincount(y[rows].astype(np.intp) - low, minlength=len(counts))
                if counts.all():
                    break  # nothing more can be found
            return (low + np.flatnonzero(counts)).astype(y.dtype)
    return np.unique(y)


def encode(y, classes, name="y"):
    """Return the position of each label of `y` in the sorted `classes`; raise for other labels."""
    _reject_other_type(y, classes, name)
    if y.dtype.kind in "iu" and classes.dtype.kind in "iu" and len(y) > 0:
        low, high = int(classes[0]), int(classes[-1])
        if low > -_FAR and high < _FAR and high - low == len(classes) - 1:
            codes = np.subtract(y, low, dtype=np.int64, casting="unsafe")
            # As an unsigned integer, a label below the range is far above it.
            if codes.view(np.uint64).max() <= high - low:
                return codes
    codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    unknown = classes[codes] != y
    if unknown.any():
        raise ValueError(
            f"{name} has the labels {shorten(np.unique(y[unknown]))}, which are not among the "
            f"classes {shorten(classes)}."
        )
    return codes


def _reject_other_type(labels, classes, name):
    """Raise unless labels and classes are both strings, both numbers or both dates."""
    kinds = {"O": "strings", "U": "strings", "M": "dates", "m": "spans of time"}
    first, second = (kinds.get(v.dtype.kind, "numbers") for v in (labels, classes))
    if first != second:
        raise ValueError(
            f"{name} has labels that are {first}, {shorten(np.unique(labels))}, but classes that "
            f"are {second}, {shorten(classes)}. Convert them to one type."
        )


def encode_together(labels, **columns):
    """Return each column as positions in the classes, and the classes."""
    columns = {name: check_labels(column, name) for name, column in columns.items()}
    check_consistent_length(*columns.values())
    for name, column in columns.items():
        check_classification_targets(column)
        _reject_other_type(column, columns["y_noisy"], name)
    if labels is None:
        classes = np.unique(np.concatenate([*columns.values()]))
    elif len(labels) > 0:
        classes = check_labels(labels, "labels")
    else:
        raise ValueError("labels must name the classes. Got none; omit it to take those of y.")
    if len(np.unique(classes)) < len(classes):
        raise ValueError(f"labels must name each class once. Got {shorten(classes)}.")
    order = np.argsort(classes)
    codes = (order[encode(column, classes[order], name)] for name, column in columns.items())
    return *codes, classes


def align(values, classes, name, axes=(0,)):
    """Return values in the order of the classes if they are named, otherwise as they are.

    Names are the keys of a dict, or the labels of pandas along the axes, unless these are the
    default 0, 1, 2, ... along all axes.
    """
    if isinstance(values, Mapping):
        values, names, axes = np.array(list(values.values())), [list(values)], (0,)
    elif hasattr(values, "iloc") and values.ndim > max(axes):
        indices = [values.axes[axis] for axis in axes]
        names = [index.tolist() for index in indices]
        default = all(type(index).__name__ == "RangeIndex" for index in indices)
        if default and all(of_axis == list(range(len(of_axis))) for of_axis in names):
            return values
    else:
        return values
    classes = np.asarray(classes).tolist()
    values = np.asarray(values)
    for axis, of_axis in zip(axes, names, strict=True):
        position = {label: i for i, label in enumerate(of_axis)}
        if len(of_axis) != len(classes) or position.keys() != set(classes):
            raise ValueError(
                f"{name} has the names {shorten(of_axis)}, which must be the classes "
                f"{shorten(classes)}, in any order. Rename them, or pass a NumPy array in the "
                f"order of the classes." + f" {NO_CLASSES}" * (len(of_axis) > len(classes))
            )
        values = values.take([position[label] for label in classes], axis=axis)
    return values


def check_probabilities(y_noisy, proba, labels, name):
    """Return labels as positions in the classes, checked probabilities, and the classes."""
    codes, classes = encode_together(labels, y_noisy=y_noisy)
    proba = check_array(align(proba, classes, name, axes=(1,)), dtype=np.float64, input_name=name)
    check_consistent_length(codes, proba)
    if proba.shape[1] != len(classes):
        raise ValueError(
            f"{name} must have a column for each of the {len(classes)} classes {shorten(classes)}. "
            f"Got {proba.shape[1]} columns; pass labels if some class is not in y_noisy."
        )
    if (proba < 0).any() or not np.allclose(proba.sum(axis=1), 1, atol=1e-3):
        raise ValueError(f"The rows of {name} must be probability distributions, which sum to 1.")
    return codes, proba, classes


def reject_balanced(class_weight):
    """Raise for balanced class weights, which need all labels at once."""
    if class_weight == "balanced":
        raise ValueError(
            "class_weight='balanced' needs all labels at once. For partial_fit pass a dict of "
            "weights, for example from sklearn.utils.compute_class_weight."
        )


def check_same_classes(classes, first):
    """Raise if the classes of a later block differ from those of the first."""
    if not np.array_equal(classes, first):
        raise ValueError(
            f"classes={shorten(classes)} differ from those of the first call, {shorten(first)}."
        )


def class_factors(class_weight, classes, totals):
    """Return the factor of each class that a `class_weight` parameter means.

    `totals` is the sum of sample weights of each class, which "balanced" equalises.
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
    """Return a `priors` parameter as an array in the order of the classes, or None or a string."""
    if priors is None or isinstance(priors, str):
        return priors
    shares = np.asarray(align(priors, classes, "priors"), dtype=float)
    if shares.shape != classes.shape or not (shares > 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise ValueError(
            f"priors must be positive, of sum 1, one for each of the {len(classes)} classes "
            f"{shorten(classes)}. Got {shorten(np.atleast_1d(shares))}."
            f"{f' {NO_CLASSES}' * (shares.size > len(classes))}"
        )
    return shares

"""What a person sees of a row: its values, what they say of its label, and rows like it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._validation.findings import columns_of

#: Values of a column of numbers are compared in that many groups of equal size.
_N_BINS = 10

#: Rows that others are compared with, evenly spread.
_MAX_REFERENCES = 5000

#: Features that are shown of a row, and characters of a value, of texts and of others.
_MAX_FEATURES, _MAX_TEXT, _MAX_VALUE = 12, 300, 60


class _Column(NamedTuple):
    name: str
    values: NDArray
    codes: NDArray  # the group of each value
    places: NDArray | None  # from 0 to 1, NaN where missing; None if values are categories
    is_text: bool


class ShownFeature(NamedTuple):
    """A feature of a row: its value, what it says, and the values of two similar rows."""

    name: int
    value: str
    score: float
    same: str
    other: str


def read_columns(X: Any) -> list[_Column]:
    """Return the features of a table, grouped so that they can be counted."""
    columns = []
    for name, column in columns_of(X):
        values = np.asarray(column)
        if values.dtype.kind in "biuf":
            columns.append(_read_numbers(str(name), values))
        else:
            columns.append(_read_texts(str(name), values))
    return columns


def _read_numbers(name: str, values: NDArray) -> _Column:
    numbers = values.astype(np.float64)
    there = np.isfinite(numbers)
    codes, places = np.zeros(len(numbers), dtype=np.intp), np.full(len(numbers), np.nan)
    if there.any():
        ordered = np.sort(numbers[there])
        edges = np.unique(ordered[np.arange(1, _N_BINS) * len(ordered) // _N_BINS])
        codes[there] = 1 + np.searchsorted(edges, numbers[there], side="right")
        ranks = np.searchsorted(ordered, numbers[there]) + np.searchsorted(
            ordered, numbers[there], side="right"
        )
        places[there] = ranks / (2 * len(ordered))
    return _Column(name, values, codes, places, False)


def _read_texts(name: str, values: NDArray) -> _Column:
    texts = np.array([show(value) for value in values.tolist()], dtype=object)
    names, codes = np.unique(texts.astype(str), return_inverse=True)
    return _Column(name, texts, codes, None, len(names) > max(len(texts) / 2, 1))


def show(value: Any) -> str:
    """Return a value as a short text, empty if it is missing."""
    if value is None or value != value or str(value) in ("<NA>", "NaT"):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def score_values(columns: list[_Column], proba: NDArray, given: NDArray, rows: NDArray) -> NDArray:
    """Return what each feature says for the given label of some rows, of shape (n_rows, n_columns).

    It is the logarithm of how much more frequent a value is among rows of that class than among
    all others, by the probabilities of the true labels. One more row of each kind is assumed.
    """
    scores = np.zeros((len(rows), len(columns)))
    totals = proba.sum(axis=0)
    for j, column in enumerate(columns):
        if column.is_text:
            continue
        n_levels = column.codes.max() + 1
        counts = np.stack(
            [np.bincount(column.codes, weights, n_levels) for weights in proba.T], axis=1
        )
        # Groups without a row have no share, and are not looked up.
        overall = np.maximum(counts.sum(axis=1, keepdims=True) / totals.sum(), 1e-12)
        inside = (counts + overall) / (totals + 1)
        outside = (counts.sum(axis=1, keepdims=True) - counts + overall) / (
            totals.sum() - totals + 1
        )
        scores[:, j] = np.log(inside / outside)[column.codes[rows], given[rows]]
    return scores


def find_similar(columns: list[_Column], given: NDArray, rows: NDArray, wanted: NDArray) -> NDArray:
    """Return the nearest row with a wanted given label for each of some rows, -1 if there is none.

    The distance is Gower's: the mean over features of the difference of ranks, or of whether
    categories differ. Texts are left out.
    """
    n_rows = len(given)
    step = max(1, -(-n_rows // _MAX_REFERENCES))
    references = np.arange(0, n_rows, step)
    distance = np.zeros((len(rows), len(references)), dtype=np.float32)
    for column in columns:
        if column.is_text:
            continue
        if column.places is None:
            distance += column.codes[rows][:, None] != column.codes[references]
        else:
            places = column.places.astype(np.float32)
            there = ~np.isnan(places)
            differ = np.abs(places[rows][:, None] - places[references])
            missing = there[rows][:, None] != there[references]
            distance += np.where(np.isnan(differ), missing, differ)
    distance[rows[:, None] == references] = np.inf
    distance[given[references] != wanted[:, None]] = np.inf
    nearest = distance.argmin(axis=1)
    found = np.isfinite(distance[np.arange(len(rows)), nearest])
    return np.where(found, references[nearest], -1)


def show_rows(
    columns: list[_Column], scores: NDArray, rows: NDArray, same: NDArray, other: NDArray
) -> list[list[ShownFeature]]:
    """Return the features of each row that are shown, texts first, then what says most."""
    texts = np.array([column.is_text for column in columns], dtype=bool)
    strength = np.where(texts, np.inf, np.abs(scores))
    order = np.argsort(-strength, axis=1, kind="stable")[:, :_MAX_FEATURES]

    def value_of(column: _Column, row: int, limit: int) -> str:
        if row < 0:
            return ""
        text = show(column.values[row].item() if hasattr(column.values[row], "item")
                    else column.values[row])  # fmt: skip
        return text if len(text) <= limit else text[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"

    shown = []
    for i, row in enumerate(rows.tolist()):
        features = []
        for j in order[i].tolist():
            limit = _MAX_TEXT if columns[j].is_text else _MAX_VALUE
            values = (value_of(columns[j], int(r), _MAX_VALUE) for r in (same[i], other[i]))
            features.append(
                ShownFeature(
                    j, value_of(columns[j], row, limit), round(float(scores[i, j]), 2), *values
                )
            )
        shown.append(features)
    return shown

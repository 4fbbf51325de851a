"""What an audit leaves in files: its state, and decisions that were taken elsewhere."""

from __future__ import annotations

import base64
import csv
import json
import zlib
from hashlib import sha256
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from .._typing import Features
from .._validation.labels import shorten

_FORMAT, _VERSION = "robustlabels audit", 1
_COLUMNS = ["row", "label", "status", "origin", "time"]
_STATUSES, _ORIGINS = ("checked", "cannot tell"), ("drawn", "worst", "own")


def hash_table(X: Features | None, labels: NDArray) -> str:
    """Return a number, in hexadecimal digits, for labels and features."""
    hasher = sha256()
    _add_column(hasher, labels)
    if X is None:
        return hasher.hexdigest()
    if issparse(X):
        matrix = X.tocsr(copy=True)
        matrix.sum_duplicates()
        for part in (matrix.shape, matrix.data, matrix.indices, matrix.indptr):
            _add_column(hasher, np.asarray(part))
    elif hasattr(X, "columns"):
        for name in X.columns:
            hasher.update(str(name).encode())
            _add_column(hasher, np.asarray(X[name]))
    else:
        table = np.asarray(X)
        for column in table.reshape(len(table), -1).T:
            _add_column(hasher, column)
    return hasher.hexdigest()


def _add_column(hasher: Any, column: NDArray) -> None:
    if column.dtype.kind in "biuf":
        hasher.update(np.ascontiguousarray(column, dtype="<f8").tobytes())
    else:
        hasher.update("\x1f".join(map(str, column.tolist())).encode())


def write_state(path: str | PathLike[str], state: dict[str, Any]) -> None:
    """Write a dictionary of plain values and arrays as JSON."""
    plain = {
        key: _pack(value) if isinstance(value, np.ndarray) else value
        for key, value in state.items()
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"format": _FORMAT, "version": _VERSION, **plain}, file, indent=1)


def read_state(path: str | PathLike[str]) -> dict[str, Any]:
    """Return what `write_state` wrote."""
    try:
        with open(path, encoding="utf-8") as file:
            state = json.load(file)
        if state.pop("format") != _FORMAT:
            raise KeyError
        version = state.pop("version")
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no file that LabelAudit.save has written.") from error
    if version != _VERSION:
        raise ValueError(
            f"{path} has the version {version} of the format, and this version of robustlabels "
            f"reads {_VERSION}. Load it with the version that has written it."
        )
    return {
        key: _unpack(value) if isinstance(value, dict) and "bytes" in value else value
        for key, value in state.items()
    }


def _pack(array: NDArray) -> dict[str, Any]:
    kind = "<f8" if array.dtype.kind == "f" else "<i8"
    data = zlib.compress(np.ascontiguousarray(array, dtype=kind).tobytes())
    return {"dtype": kind, "shape": array.shape, "bytes": base64.b64encode(data).decode()}


def _unpack(packed: dict[str, Any]) -> NDArray:
    data = zlib.decompress(base64.b64decode(packed["bytes"]))
    array = np.frombuffer(data, dtype=packed["dtype"]).reshape(packed["shape"])
    return array.astype(np.float64 if packed["dtype"] == "<f8" else np.intp)


def check_table(path: str | PathLike[str], written: str, expected: str) -> None:
    """Raise an error if a file was written for another table."""
    if written != expected:
        raise ValueError(
            f"{path} belongs to another table: its labels or features differ from these. Read the "
            f"table as it was read then, with the same rows and columns in the same order."
        )


def read_decisions(
    path: str | PathLike[str], table_hash: str, n_rows: int, classes: NDArray
) -> tuple[NDArray, list[Any], NDArray]:
    """Return the rows, labels and origins of a file of decisions, the last one for each row."""
    names = {str(name): name for name in classes.tolist()}
    decisions: dict[int, tuple[Any, str]] = {}
    with open(path, encoding="utf-8-sig", newline="") as file:
        first = file.readline().split()
        if first[:3] != ["#", *_FORMAT.split()] or len(first) != 4:
            raise ValueError(
                f"{path} is no file of decisions: its first line must be '# {_FORMAT}' and the "
                f"hash of the table."
            )
        check_table(path, first[3], table_hash)
        reader = csv.DictReader(file)
        if missing := set(_COLUMNS[:4]) - set(reader.fieldnames or []):
            raise ValueError(f"{path} lacks the columns {shorten(sorted(missing))}.")
        for line, decision in enumerate(reader, start=3):
            where = f"{path}, line {line}"
            row, label = decision["row"] or "", decision["label"]
            if not row.isdecimal() or int(row) >= n_rows:
                raise ValueError(f"{where}: row must be from 0 to {n_rows - 1}. Got {row!r}.")
            for name, known in (("status", _STATUSES), ("origin", _ORIGINS)):
                if decision[name] not in known:
                    raise ValueError(
                        f"{where}: {name} must be one of {', '.join(known)}. Got "
                        f"{decision[name]!r}."
                    )
            checked = decision["status"] == "checked"
            if checked and label not in names:
                raise ValueError(
                    f"{where}: {label!r} is none of the classes {shorten(list(names))}."
                )
            decisions[int(row)] = (names[label] if checked else None, decision["origin"])
    labels, origins = zip(*decisions.values(), strict=True) if decisions else ((), ())
    return np.array(list(decisions), dtype=np.intp), list(labels), np.array(origins, dtype=str)

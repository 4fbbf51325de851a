"""Tables in files: read with pandas, and written with mended labels."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._plotting import import_pandas
from .._validation.labels import find_missing, shorten

#: File names and the separators of their columns; None looks at the first line.
_SEPARATORS = {".csv": None, ".txt": None, ".tsv": "\t", ".tab": "\t"}
_PARQUET = {".parquet", ".pq"}

#: How a missing value is spelt.
_MISSING = ["", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "<NA>", "None", "#N/A"]


class Table(NamedTuple):
    """A table from a file.

    Attributes
    ----------
    frame : pandas.DataFrame
        Its columns. Those of labels are texts.
    lines : ndarray of shape (n_rows,)
        The line of the file in which each row starts, or its position if the file has no lines.
    records : list of list of str
        The cells as they stand in the file, the header first; empty for Parquet.
    separator, newline : str
        What separates cells and lines.
    """

    frame: Any
    lines: NDArray
    records: list[list[str]]
    separator: str
    newline: str


def read_table(path: Path, label_columns: list[str]) -> Table:
    """Read a table from a CSV, TSV or Parquet file; `label_columns` are read as texts."""
    kind = path.suffix.lower()
    pd = import_pandas("robustlabels audit")
    if kind in _PARQUET:
        try:
            frame = pd.read_parquet(path)
        except ImportError as error:
            raise ImportError(f"{path} needs pyarrow: pip install pyarrow.") from error
        except (ValueError, OSError) as error:
            if not path.exists():
                raise
            raise ValueError(f"{path} is no Parquet file: {error}") from error
        _check_columns(path, [str(name) for name in frame.columns], label_columns)
        return Table(frame, np.arange(len(frame)), [], ",", "\n")
    if kind not in _SEPARATORS:
        raise ValueError(f"{path} must end in .csv, .tsv or .parquet.")
    text = _read_text(path)
    separator = _SEPARATORS[kind] or _guess_separator(text)
    records, lines = _split(path, text, separator)
    _check_columns(path, records[0], label_columns)
    if len(records) < 2:
        raise ValueError(f"{path} has a header and no rows.")
    frame = pd.read_csv(
        path, sep=separator, encoding="utf-8-sig", dtype=dict.fromkeys(label_columns, str),
        na_values=_MISSING, keep_default_na=False, low_memory=False, index_col=False,
    )  # fmt: skip
    if len(frame) != len(records) - 1:
        raise ValueError(
            f"{path} cannot be read without doubt: {len(frame)} or {len(records) - 1} rows. Look "
            f"for quotes that are not closed."
        )
    newline = "\r\n" if "\r\n" in text else "\n"
    return Table(frame, np.array(lines[1:]), records, separator, newline)


def _read_text(path: Path) -> str:
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path} is not UTF-8 in line {line}: save it as UTF-8.") from error
    if not text.strip():
        raise ValueError(f"{path} is empty.")
    if "\0" in text:
        raise ValueError(f"{path} is no text file.")
    return text


def _guess_separator(text: str) -> str:
    """Return the separator that the first line has most often."""
    header = text.lstrip("\r\n").split("\n", 1)[0]
    return max(",;\t", key=header.count)


def _split(path: Path, text: str, separator: str) -> tuple[list[list[str]], list[int]]:
    """Return the cells of each row, and the lines in which rows start."""
    csv.field_size_limit(2**31 - 1)
    records, lines, start = [], [], 1
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for record in reader:
            if record:  # no empty line
                records.append(record)
                lines.append(start)
                if len(record) != len(records[0]):
                    raise ValueError(
                        f"{path}, line {start}: {len(record)} cells where the header has "
                        f"{len(records[0])}. Put cells with {separator!r} in quotes."
                    )
            start = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path}, line {start}: {error}.") from error
    return records, lines


def _check_columns(path: Path, names: list[str], label_columns: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{path} has several columns {shorten(twice)}: rename them.")
    for name in label_columns:
        if name not in names:
            raise ValueError(f"{path} has no column {name!r}. Its columns are {shorten(names)}.")


def read_column(table: Table, name: str) -> NDArray:
    """Return a column of labels as objects, None where one is missing."""
    values = np.array(table.frame[name].to_numpy(), dtype=object)
    missing = find_missing(values)
    values[~missing] = [str(value).strip() for value in values[~missing]]
    values[missing] = None
    values[values == ""] = None
    return values


def write_mended(path: Path, table: Table, name: str, rows: NDArray, labels: list[str]) -> None:
    """Write the table with other labels in some rows, and all else as it was."""
    if path.suffix.lower() in _PARQUET or not table.records:
        _write_frame(path, table, name, rows, labels)
        return
    records = [list(record) for record in table.records]
    if name not in records[0]:
        for record in records:
            record.append("")
        records[0][-1] = name
    column = records[0].index(name)
    for row, label in zip(rows.tolist(), labels, strict=True):
        records[row + 1][column] = label
    separator = _SEPARATORS.get(path.suffix.lower()) or table.separator
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=separator, lineterminator=table.newline)
        writer.writerows(records)


def _write_frame(path: Path, table: Table, name: str, rows: NDArray, labels: list[str]) -> None:
    frame = table.frame
    known = name in frame.columns
    values = np.array(frame[name].to_numpy() if known else [None] * len(frame), dtype=object)
    # Labels are compared as texts; others of the column keep their type where all are texts.
    by_name = {str(value): value for value in values}
    for row, label in zip(rows.tolist(), labels, strict=True):
        values[row] = by_name.get(label, label)
    frame = frame.assign(**{name: values.tolist()})
    if path.suffix.lower() in _PARQUET:
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)

"""LabelReport: what is known of the labels of a table, as a page that a person checks them with."""

from __future__ import annotations

import json
import tempfile
import warnings
import webbrowser
import zlib
from datetime import UTC, datetime
from functools import cached_property
from importlib.resources import files
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape
from numpy.typing import ArrayLike, NDArray

from .._typing import Features, Seed
from .._validation.alignment import align_rows
from .._validation.findings import Finding
from .._validation.labels import check_labels
from .._validation.rows import MIN_GROUPS
from .._validation.table import TableWarning, check_table
from ..audit import LabelAudit
from ..audit._population import NEVER, UNCLEAR, UNSEEN
from ..refinement import LabelRefiner
from ._evidence import find_similar, read_columns, score_values, show_rows
from ._svg import draw_bars, draw_histogram, draw_matrix

__all__ = ["LabelReport"]

#: Classes in a picture, and positions of findings that are listed.
_MAX_CLASSES, _MAX_POSITIONS = 12, 20

#: Classes of a row that have a key.
_N_KEYS = 9

#: Findings that are no fault of the labels or features, but are worth knowing.
_MILD = {"id", "constant", "copies", "rare_class"}


class LabelReport:
    """Report how many labels are wrong, as a page on which a person checks them.

    The page is one file that needs neither a server nor a network. It shows the number of wrong
    labels with its interval, which classes and groups have them, and what looks wrong with the
    table. Below is a desk: rows that were drawn at random, then those whose labels are the most
    doubtful. The person decides by keyboard; the page keeps the decisions, and writes them to a
    file that :meth:`LabelAudit.read_decisions` reads.

    Parameters
    ----------
    X : {array-like, data frame} of shape (n_samples, n_features)
        Features as they come from the file, as :class:`LabelRefiner` takes them.
    y : array-like of shape (n_samples,)
        The labels, some of them wrong.
    groups : array-like of shape (n_samples,) or None, default=None
        Samples that depend on each other share a value here. The page shows the wrong labels of
        each group. Fewer than 10 groups are shown, and not used otherwise.
    audit : LabelAudit or None, default=None
        A fitted audit of this table, with all that was checked. None fits
        ``LabelAudit(anytime=True)`` by the label probabilities of a :class:`LabelRefiner`.
    findings : list of Finding or None, default=None
        What :func:`check_table` has found. None looks at the table.
    n_rows : int, default=500
        Rows that the page holds at most: half of them drawn, half the most doubtful.
    title : str, default="Labels"
        What the page is about, such as the name of the file.
    random_state : int, RandomState instance or None, default=None
        Randomness of the refiner and of the drawn rows; no effect on an `audit`.

    Attributes
    ----------
    audit : LabelAudit
        The audit. Record decisions there.
    findings : list of Finding
        What looks wrong with the table.

    Raises
    ------
    ImportError
        If pandas is missing.
    ValueError
        If the data are invalid, or the audit is of another table.

    See Also
    --------
    LabelAudit : Draws rows and estimates the numbers.
    check_table : Looks at the table alone.

    Notes
    -----
    The interval of the page holds at all times at once, since a person sees it after each answer.
    The page computes it by the formula of ``LabelAudit(anytime=True)``.

    The page does not show the suggested label before a choice: who sees a suggestion tends to
    follow it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from robustlabels import LabelReport
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> report = LabelReport(X, y, title="Iris", random_state=0)
    >>> report.write_html("iris.html")  # doctest: +SKIP
    """

    audit: LabelAudit
    findings: list[Finding]
    groups: NDArray | None
    n_rows: int
    title: str
    _X: Features
    _lines: NDArray | None
    _next_command: str | None

    def __init__(
        self,
        X: Features,
        y: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        audit: LabelAudit | None = None,
        findings: list[Finding] | None = None,
        n_rows: int = 500,
        title: str = "Labels",
        random_state: Seed = None,
    ) -> None:
        if not isinstance(n_rows, Integral) or n_rows < 2:
            raise ValueError(f"n_rows must be a whole number of at least 2. Got {n_rows!r}.")
        labels = check_labels(align_rows(X, y, "y"))
        self.findings = check_table(X, labels, groups) if findings is None else findings
        if audit is None:
            audit = fit_audit(X, y, groups=groups, random_state=random_state)
        elif len(audit.given_labels_) != len(labels) or (audit.given_labels_ != labels).any():
            raise ValueError("audit belongs to another table: its labels differ from y.")
        self.audit, self.n_rows, self.title = audit, int(n_rows), title
        self.groups = None if groups is None else np.asarray(groups)
        self._X, self._lines, self._next_command = X, None, None

    def set_source(self, lines: NDArray, next_command: str) -> None:
        """Say where the rows come from.

        Parameters
        ----------
        lines : ndarray of int of shape (n_samples,)
            The line of a file in which each row stands. The page shows it instead of the position.
        next_command : str
            What to run once ``decisions.csv`` is there.
        """
        self._lines, self._next_command = lines, next_command

    def write_html(self, path: str | PathLike[str]) -> None:
        """Write the page.

        Parameters
        ----------
        path : str or path-like
            The file.
        """
        Path(path).write_text(self.to_html(), encoding="utf-8")

    def open(self) -> None:
        """Show the page in the browser, from a temporary file."""
        with tempfile.NamedTemporaryFile("w", suffix=".html", delete=False, encoding="utf-8") as f:
            f.write(self.to_html())
        webbrowser.open(Path(f.name).as_uri())

    def _repr_html_(self) -> str:
        frame = '<iframe title="{}" style="width:100%;height:48em;border:0" srcdoc="{}"></iframe>'
        return frame.format(escape(self.title), escape(self.to_html()))

    def to_html(self) -> str:
        """Return the page.

        Returns
        -------
        page : str
            HTML with all that it needs.
        """
        environment = Environment(
            loader=PackageLoader("robustlabels.report"), autoescape=True, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        static = files("robustlabels.report") / "static"
        return environment.get_template("page.html.j2").render(
            title=self.title,
            summary=self.summary(),
            pictures=self._draw(),
            findings=[self._show_finding(finding) for finding in self.findings],
            next_command=self._next_command,
            css=Markup((static / "page.css").read_text("utf-8")),
            script=Markup((static / "desk.js").read_text("utf-8")),
            data=_embed(self._data()),
        )

    def summary(self) -> dict[str, Any]:
        """Return the numbers of the report.

        Returns
        -------
        summary : dict
            "n_rows", "n_checked" and "n_drawn"; "n_wrong" with "low" and "high", the interval at
            "level"; "source", whether that is from the "labels" alone or from "checked" rows;
            "rate", "rate_low" and "rate_high".
        """
        audit = self.audit
        n_rows, n_drawn = len(audit.given_labels_), int(audit.drawn_.sum())
        low, high = audit.n_wrong_interval_
        source = "checked"
        if not n_drawn and audit._labels_alone is not None:
            source = "labels"
            n_found = audit._n_found()
            low, high = max(audit._labels_alone[0], n_found), max(audit._labels_alone[1], n_found)
        n_wrong = float(np.clip(audit.n_wrong_, low, high))
        return {
            "n_rows": n_rows, "n_checked": int(audit.checked_.sum()), "n_drawn": n_drawn,
            "n_wrong": n_wrong, "low": int(low), "high": int(high), "level": float(audit.level),
            "source": source, "rate": n_wrong / n_rows, "rate_low": low / n_rows,
            "rate_high": high / n_rows,
        }  # fmt: skip

    @cached_property
    def _names(self) -> list[str]:
        return [str(name) for name in self.audit.classes_.tolist()]

    def wrong_by_class(self) -> list[tuple[str, float, int]]:
        """Return the name, the expected number of wrong labels and the rows of each given label.

        Returns
        -------
        classes : list of tuple
            Those with the most wrong labels first.
        """
        return _wrong_by(self.audit._given, self._names, self.audit.wrong_probability_)

    def _draw(self) -> list[tuple[str, Markup, str]]:
        """Return the pictures, each with a heading and a sentence."""
        audit, wrong = self.audit, self.audit.wrong_probability_
        counts = _count_pairs(audit, wrong)
        by_class = self.wrong_by_class()
        names, more = self._names, ""
        if len(names) > _MAX_CLASSES:
            keep = [names.index(name) for name, _, _ in by_class[:_MAX_CLASSES]]
            counts, names = counts[np.ix_(keep, keep)], [names[k] for k in keep]
            more = f" The {_MAX_CLASSES} classes with the most wrong labels."
        pictures = [
            ("Given and true labels", draw_matrix(counts, names),
             "Expected numbers of rows. Off the diagonal labels are wrong." + more),
            ("Wrong labels by class",
             draw_bars(by_class[:_MAX_CLASSES], "Expected wrong labels of each given label"),
             "Expected numbers, of the rows with each given label." + more),
        ]  # fmt: skip
        if self.groups is not None:
            groups, codes = np.unique(self.groups.astype(str), return_inverse=True)
            by_group = _wrong_by(codes, groups.tolist(), wrong)[:_MAX_CLASSES]
            bars = draw_bars(by_group, "Expected wrong labels by group")
            pictures.append(("Wrong labels by group", bars, "Expected numbers. At most "
                             f"{_MAX_CLASSES} groups, those with the most first."))  # fmt: skip
        pictures.append(
            ("How doubtful the labels are", draw_histogram(wrong),
             "Labels on the right are nearly certainly wrong.")
        )  # fmt: skip
        return pictures

    def _show_finding(self, finding: Finding) -> dict[str, Any]:
        rows = finding.rows if self._lines is None else self._lines[finding.rows].tolist()
        listed = ", ".join(map(str, rows[:_MAX_POSITIONS]))
        if len(rows) > _MAX_POSITIONS:
            listed += f" and {len(rows) - _MAX_POSITIONS} more"
        unit = "Rows" if self._lines is None else "Lines"
        return {
            "why": finding.why, "remedy": finding.remedy, "mild": finding.kind in _MILD,
            "rows": f"{unit}: {listed}" if listed else "",
        }  # fmt: skip

    def _data(self) -> dict[str, Any]:
        """Return what the desk needs: the design, rows that are known, and rows to check."""
        audit = self.audit
        strata, answers = audit._strata, audit._answers
        waiting = audit._offered & (answers == UNSEEN)
        unseen = answers == UNSEEN
        # Rows that were drawn and wait for an answer come before rows yet to be drawn.
        order = strata.order[unseen[strata.order]]
        begun = order[waiting[order]]
        begun = begun[np.argsort(audit._times[begun])]
        drawn = np.concatenate([begun, order[~waiting[order]]])[: -(-self.n_rows // 2)]
        worst = strata.ranking[unseen[strata.ranking]]
        worst = worst[: self.n_rows]
        more = worst[~np.isin(worst, drawn)][: self.n_rows - len(drawn)]
        rows = np.concatenate([drawn, more])
        worst = worst[np.isin(worst, rows)]
        place, turn = np.empty((2, len(answers)), dtype=np.intp)
        place[strata.ranking] = turn[strata.order] = np.arange(len(answers))
        known = np.flatnonzero(~unseen)
        known = known[np.argsort(audit._times[known])]
        ranked = place < audit._n_ranked

        def base(row: int) -> dict[str, Any]:
            answer, time = int(answers[row]), int(audit._times[row])
            return {
                "row": row, "stratum": int(strata.stratum[row]), "place": int(place[row]),
                "order": int(turn[row]), "given": int(audit._given[row]),
                "expected": float(audit._wrong_probability[row]),
                "answer": None if answer == UNSEEN else -1 if answer == UNCLEAR else answer,
                "time": None if time == NEVER else time, "offered": bool(audit._offered[row]),
                "origin": "drawn" if audit._offered[row] else "worst" if ranked[row] else "own",
            }  # fmt: skip

        sizes = np.bincount(strata.stratum)
        sums = np.bincount(strata.stratum, audit._wrong_probability)
        columns = read_columns(self._X)
        return {
            "table": audit.table_hash_, "level": float(audit.level),
            "made": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "design": _design_of(audit),
            "nRows": len(answers), "classes": self._names, "features": [c.name for c in columns],
            "strata": [
                {"size": int(n), "expected": float(s)} for n, s in zip(sizes, sums, strict=True)
            ],
            "nOrdered": audit._n_ordered, "clock": audit._clock,
            "known": [base(row) for row in known.tolist()],
            "rows": self._show_rows(rows, columns, base),
            "drawn": drawn.tolist(), "worst": worst.tolist(),
            "next": self._next_command, "unit": "row" if self._lines is None else "line",
        }  # fmt: skip

    def _show_rows(self, rows: NDArray, columns: list, base: Any) -> list[dict[str, Any]]:
        audit = self.audit
        proba, given = audit.label_probabilities_, audit._given
        others = proba[rows].copy()
        others[np.arange(len(rows)), given[rows]] = -1
        second = others.argmax(axis=1)
        best = proba[rows].argmax(axis=1)
        shown: list[Any] = [[] for _ in rows]
        if columns and len(rows):
            scores = score_values(columns, proba, given, rows)
            same = find_similar(columns, given, rows, given[rows])
            other = find_similar(columns, given, rows, second)
            shown = show_rows(columns, scores, rows, same, other)
        keys = np.sort(np.argsort(-proba[rows], axis=1, kind="stable")[:, :_N_KEYS], axis=1)
        return [
            base(row)
            | {
                "line": row if self._lines is None else int(self._lines[row]),
                "suggested": int(best[i]), "second": int(second[i]),
                "probability": round(float(proba[row, best[i]]), 3), "keys": keys[i].tolist(),
                "values": shown[i],
            }
            for i, row in enumerate(rows.tolist())
        ]  # fmt: skip


def fit_audit(
    X: Features,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    answers: Any = None,
    features: Features | None = None,
    random_state: Seed = None,
) -> LabelAudit:
    """Return an audit of a table by a :class:`LabelRefiner`, with intervals that always hold.

    The refiner learns from `answers` of annotators instead of y, and from `features` instead of X,
    if they are passed. What identifies the table is X and y. A few groups, such as sites, are no
    samples that depend on each other.
    """
    refiner = LabelRefiner(random_state=random_state)
    if groups is not None and len(np.unique(np.asarray(groups))) < MIN_GROUPS:
        groups = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TableWarning)  # the report has them
        refiner.fit(
            X if features is None else features, y if answers is None else answers, groups=groups
        )
    proba = refiner.label_probabilities_
    present = np.isin(refiner.classes_, np.unique(check_labels(y)))
    proba = proba[:, present] / np.maximum(proba[:, present].sum(axis=1, keepdims=True), 1e-12)
    proba[proba.sum(axis=1) == 0] = 1 / present.sum()
    audit = LabelAudit(anytime=True, random_state=random_state)
    audit.fit(X, y, label_probabilities=proba)
    audit._labels_alone = refiner.n_wrong_interval_
    return audit


def _design_of(audit: LabelAudit) -> str:
    """Return a short text that tells the order of drawing from others."""
    return f"{zlib.crc32(np.ascontiguousarray(audit._strata.order, dtype='<i8').tobytes()):08x}"


def _wrong_by(codes: NDArray, names: list[str], wrong: NDArray) -> list[tuple[str, float, int]]:
    numbers, totals = np.bincount(codes, wrong, len(names)), np.bincount(codes, None, len(names))
    order = np.argsort(-numbers, kind="stable").tolist()
    return [(names[k], float(numbers[k]), int(totals[k])) for k in order]


def _count_pairs(audit: LabelAudit, wrong: NDArray) -> NDArray:
    """Return the expected number of rows of each given and each true label."""
    every, given = np.arange(len(wrong)), audit._given
    off = audit.label_probabilities_.copy()
    off[every, given] = 0
    total = off.sum(axis=1, keepdims=True)
    proba = off * np.divide(wrong[:, None], total, out=np.zeros_like(total), where=total > 0)
    proba[every, given] = 1 - proba.sum(axis=1)
    known = audit._answers >= 0
    proba[known] = np.eye(proba.shape[1])[audit._answers[known]]
    return np.stack([proba[given == g].sum(axis=0) for g in range(proba.shape[1])])


def _embed(data: dict[str, Any]) -> Markup:
    """Return data as JSON that cannot end the script element it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)

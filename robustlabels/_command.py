"""The command `robustlabels`: from a table in a file to mended labels, without code."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .audit import LabelAudit
    from .report import LabelReport
    from .report._reading import Table

__all__ = ["main"]

#: Exit codes.
FINE, TOO_MANY_WRONG, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

#: Wrong labels that are printed.
_N_WORST = 5

#: Options that decide what is drawn: a state file fits the same ones only.
_SETTINGS = ("label", "group", "annotators", "drop", "seed")

_EPILOG = """\
The page FILE.audit.html is for the browser and needs no network. FILE.audit.json has the state of
the audit: a later call with the same options goes on from it. Exit codes: 0 fine; 1 more labels are
wrong than --fail-above allows; 2 the input cannot be used; 130 interrupted.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message[:1].upper()}{message[1:]}. See --help.\n")


def _make_parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="robustlabels", description="Find the wrong labels of a table.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    audit = commands.add_parser(
        "audit", help="find the wrong labels, and write a page to check them", epilog=_EPILOG,
        description="Find the wrong labels of a table, and write a page to check them.",
    )  # fmt: skip
    add = audit.add_argument
    add("file", type=Path, help="CSV, TSV or Parquet file with a row for each sample")
    add("--label", metavar="COLUMN", help="the column of labels")
    add("--annotators", nargs="+", metavar="COLUMN", default=[],
        help="columns of answers; without --label the most frequent is the label")  # fmt: skip
    add("--group", metavar="COLUMN", help="rows with equal values depend on each other")
    add("--drop", nargs="+", action="extend", metavar="COLUMN", default=[],
        help="columns to learn nothing from")  # fmt: skip
    add("--checked", type=Path, metavar="FILE", help="decisions.csv of the page")
    add("--output", type=Path, metavar="FILE", help="write the table with mended labels")
    add("--page", type=Path, metavar="FILE", help="the page [FILE.audit.html]")
    add("--rows", type=int, default=500, metavar="N", help="rows on the page [500]")
    add("--seed", type=int, default=0, metavar="N", help="seed of all that is random [0]")
    add("--fail-above", type=float, metavar="SHARE",
        help="exit with 1 if more labels are wrong, by the lower end of the interval")  # fmt: skip
    add("--json", action="store_true", help="print JSON")
    add("--quiet", action="store_true", help="print nothing but errors")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : list of str or None, default=None
        What follows the name of the command. None takes those of the process.

    Returns
    -------
    code : int
        0 if all is fine, 1 if more labels are wrong than ``--fail-above`` allows, 2 if the input
        cannot be used, 130 after an interruption.
    """
    try:
        options = _make_parser().parse_args(arguments)
        return _audit(options)
    except SystemExit as stop:
        return int(stop.code or 0)
    except KeyboardInterrupt:
        print("robustlabels: interrupted; nothing was written.", file=sys.stderr)
        return INTERRUPTED
    except FileNotFoundError as error:
        return _fail(f"There is no file {error.filename}.")
    except OSError as error:
        return _fail(f"{error.filename or 'A file'}: {error.strerror or error}.")
    except (ValueError, ImportError) as error:
        return _fail(str(error))


def _fail(message: str) -> int:
    print(f"robustlabels: {' '.join(message.split())}", file=sys.stderr)
    return BAD_INPUT


def _audit(options: argparse.Namespace) -> int:
    _check_options(options)
    progress = _Progress(options.quiet, ["read", "look at the table", "find the noise", "write"])
    with progress, warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        table, labels, groups, answers = _read(options)
        used = _find_labelled(labels, options)
        progress.step()
        report, kept = _make_report(options, table, labels, used, groups, answers, progress)
        _write(options, table, report, labels, used)
        progress.step()
    for text in dict.fromkeys(str(w.message) for w in raised if w.category is UserWarning):
        print(f"robustlabels: {' '.join(text.split())}", file=sys.stderr)
    summary = report.summary()
    if options.json:
        print(json.dumps(_as_json(options, table, report, used), indent=2, ensure_ascii=False))
    elif not options.quiet:
        n_left_out = len(used) - int(used.sum())
        print("\n".join(_describe(options, table, report, used, n_left_out, kept)))
    if options.fail_above is not None and summary["rate_low"] > options.fail_above:
        return TOO_MANY_WRONG
    return FINE


class _Progress:
    """A bar on a terminal, nothing elsewhere."""

    def __init__(self, quiet: bool, steps: list[str]) -> None:
        self._steps, self._shown = steps, not quiet and sys.stderr.isatty()

    def __enter__(self) -> _Progress:
        if self._shown:
            from tqdm import tqdm

            layout = "{desc} {bar} {n}/{total}"
            self._bar = tqdm(total=len(self._steps), leave=False, bar_format=layout)
            self._bar.set_description_str(self._steps[0])
        return self

    def step(self) -> None:
        """Go on to the next step."""
        if self._shown:
            self._bar.update()
            if self._bar.n < len(self._steps):
                self._bar.set_description_str(self._steps[self._bar.n])

    def __exit__(self, *error: object) -> None:
        if self._shown:
            self._bar.close()


def _check_options(options: argparse.Namespace) -> None:
    if options.label is None and not options.annotators:
        raise ValueError("Say which column has the labels: --label COLUMN.")
    if len(options.annotators) == 1:
        raise ValueError("--annotators takes two columns or more; one is --label.")
    taken = {options.label, options.group, *options.annotators}
    if both := sorted(taken & {*options.drop}):
        raise ValueError(f"--drop names a column that has another part: {', '.join(both)}.")
    if options.group is not None and options.group in [options.label, *options.annotators]:
        raise ValueError("--group must be another column than the labels.")
    if options.rows < 2:
        raise ValueError(f"--rows must be 2 or more, got {options.rows}.")
    if not 0 <= options.seed < 2**32:
        raise ValueError(f"--seed must be from 0 to {2**32 - 1}, got {options.seed}.")
    if options.fail_above is not None and not 0 <= options.fail_above <= 1:
        raise ValueError(f"--fail-above is a share from 0 to 1, got {options.fail_above}.")
    written = [_page_path(options), _state_path(options), options.output]
    inputs = {path.absolute() for path in (options.file, options.checked) if path is not None}
    for path in written:
        if path is None:
            continue
        if path.absolute() in inputs:
            raise ValueError(f"{path} would be overwritten: name another file.")
        if not path.absolute().parent.is_dir():
            raise ValueError(f"There is no folder {path.parent}.")
    if options.checked is not None and not options.checked.exists():
        raise ValueError(f"There is no file {options.checked}.")


def _page_path(options: argparse.Namespace) -> Path:
    return options.page or options.file.with_suffix(".audit.html")


def _state_path(options: argparse.Namespace) -> Path:
    return _page_path(options).with_suffix(".json")


def _read(options: argparse.Namespace) -> tuple[Table, NDArray, NDArray | None, NDArray | None]:
    """Return the table, the labels (None where missing), the groups and the answers."""
    import numpy as np

    from .report._reading import read_column, read_table

    columns = [*([options.label] if options.label else []), *options.annotators]
    named = [*columns, *([options.group] if options.group else []), *options.drop]
    table = read_table(options.file, columns)
    names = [str(name) for name in table.frame.columns]
    for name in named:
        if name not in names:
            raise ValueError(f"{options.file} has no column {name!r}.")
    answers = None
    if options.annotators:
        answers = np.stack([read_column(table, name) for name in options.annotators], axis=1)
    if options.label is not None:
        labels = read_column(table, options.label)
    elif answers is not None:
        labels = _vote(answers)
    groups = None
    if options.group:
        groups = read_column(table, options.group)
        # A row without a group depends on no other.
        lone = np.flatnonzero(groups == None)  # noqa: E711
        groups[lone] = [f"row {row}" for row in lone]
        groups = groups.astype(str)
    return table, labels, groups, answers


def _vote(answers: NDArray) -> NDArray:
    """Return the most frequent answer of each row, the first in the alphabet of equal ones."""
    from ._validation.answers import read_labels

    read = read_labels(answers)
    votes = read.count_votes()
    labels = read.classes[votes.argmax(axis=1)].astype(object)
    labels[votes.sum(axis=1) == 0] = None
    return labels


def _find_labelled(labels: NDArray, options: argparse.Namespace) -> NDArray:
    import numpy as np

    used = np.array([label is not None for label in labels], dtype=bool)
    name = options.label or "the answers"
    if not used.any():
        raise ValueError(f"All labels of {name!r} are missing.")
    classes = sorted({*labels[used].tolist()})
    if len(classes) < 2:
        raise ValueError(f"{name!r} has one class, {classes[0]!r}: there is nothing to confuse.")
    if len(classes) > used.sum() / 2:
        raise ValueError(
            f"{name!r} has {len(classes)} different values in {used.sum()} rows: are these classes?"
        )
    return used


def _make_report(
    options: argparse.Namespace, table: Table, labels: NDArray, used: NDArray,
    groups: NDArray | None, answers: NDArray | None, progress: _Progress,
) -> tuple[LabelReport, str]:  # fmt: skip
    """Return the report, and a sentence on what it goes on from."""
    import numpy as np

    from ._validation.table import check_table
    from .report import LabelReport
    from .report._report import fit_audit

    rows = np.flatnonzero(used)
    not_features = {options.label, *options.annotators}
    frame = table.frame[[name for name in table.frame.columns if name not in not_features]]
    X = frame.iloc[rows].reset_index(drop=True)
    if not len(X.columns):
        raise ValueError(f"{options.file} has no column besides the labels to judge them by.")
    y = labels[rows].astype(str)
    group = None if groups is None else groups[rows]
    found = check_table(X, y, group)
    # What nothing is learned from does no harm.
    findings = [f for f in found if not {*f.columns} & {*options.drop}]
    progress.step()
    settings = {name: getattr(options, name) for name in _SETTINGS}
    audit, kept = _load(options, settings, X, y)
    if audit is None:
        ids = [f.columns[0] for f in found if f.kind == "id" and _is_number(X, f.columns[0])]
        dropped = {*options.drop, options.group, *ids}
        learned = [name for name in X.columns if name not in dropped]
        if not learned:
            raise ValueError(f"{options.file} has no column left to judge the labels by.")
        audit = fit_audit(
            X, y, groups=group, answers=None if answers is None else answers[rows],
            features=X[learned], random_state=options.seed,
        )  # fmt: skip
    if options.checked is not None:
        kept = _record(options, audit)
    progress.step()
    report = LabelReport(
        X, y, groups=group, audit=audit, findings=findings, n_rows=options.rows,
        title=options.file.name,
    )  # fmt: skip
    report.set_source(table.lines[rows], _next_command(options))
    return report, kept


def _is_number(X: Any, name: Any) -> bool:
    return bool(getattr(X[name].dtype, "kind", "") in "iuf")


def _load(
    options: argparse.Namespace, settings: dict[str, Any], X: Any, y: NDArray
) -> tuple[LabelAudit | None, str]:
    """Return the audit of the state file if it fits, and a sentence."""
    from .audit import LabelAudit
    from .audit._population import UNSEEN
    from .audit._storage import read_state

    path = _state_path(options)
    if not path.exists():
        return None, ""
    try:
        state = read_state(path)
    except ValueError as error:
        raise ValueError(f"{error} Move it away to begin anew.") from error
    n_answers = int((state["answers"] != UNSEEN).sum())
    try:
        audit = LabelAudit._restore(path, state, X, y)
    except ValueError:
        audit = None
    if audit is not None and state.get("settings") == settings:
        return audit, f"This goes on from {path} with {n_answers} answers." if n_answers else ""
    if n_answers:
        cause = "another table" if audit is None else "other options"
        raise ValueError(
            f"{path} has {n_answers} answers for {cause}. Go on with these, or move the file away "
            f"to begin anew."
        )
    return None, ""


def _record(options: argparse.Namespace, audit: LabelAudit) -> str:
    """Record the decisions of a file, and return a sentence."""
    from .audit._storage import read_decisions

    n_rows, classes = len(audit.given_labels_), audit.classes_
    try:
        rows, labels, origins = read_decisions(options.checked, audit.table_hash_, n_rows, classes)
    except UnicodeDecodeError as error:
        raise ValueError(f"{options.checked} is not UTF-8.") from error
    kept = f"{len(rows)} decisions of {options.checked} were read."
    if audit._take_decisions(rows, labels, origins):
        return kept
    return (
        f"{kept} Some count as known, but not as drawn: the file leaves out drawn rows, or follows "
        f"another order of drawing, of other options."
    )


def _next_command(options: argparse.Namespace, checked: str = "decisions.csv") -> str:
    words = ["robustlabels", "audit", str(options.file)]
    if options.label:
        words += ["--label", options.label]
    for name in ("annotators", "drop"):
        if getattr(options, name):
            words += [f"--{name}", *getattr(options, name)]
    if options.group:
        words += ["--group", options.group]
    if options.seed:
        words += ["--seed", str(options.seed)]
    if options.page:
        words += ["--page", str(options.page)]
    output = options.output or options.file.with_name(f"{options.file.stem}.mended.csv")
    return shlex.join([*words, "--checked", checked, "--output", str(output)])


def _write(
    options: argparse.Namespace, table: Table, report: LabelReport, labels: NDArray, used: NDArray
) -> None:
    """Write all files, each at once: an interruption leaves the one that was there."""
    import numpy as np

    from .audit._storage import write_state
    from .report._reading import write_mended

    settings = {name: getattr(options, name) for name in _SETTINGS}

    state = report.audit._state() | {"settings": settings}
    _replace(_page_path(options), report.write_html)
    _replace(_state_path(options), lambda path: write_state(path, state))
    if options.output is not None:
        known = np.flatnonzero(report.audit.checked_)
        rows = np.flatnonzero(used)
        mended = report.audit.labels_.astype(object)
        if options.label is None:
            changed = np.arange(len(rows))
        else:
            changed = known[mended[known] != labels[rows[known]]]
        write = lambda path: write_mended(  # noqa: E731
            path, table, options.label or "label", rows[changed], mended[changed].tolist()
        )
        _replace(options.output, write)


def _replace(path: Path, write: Any) -> None:
    part = path.with_name(f".part.{os.getpid()}.{path.name}")
    try:
        write(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _find_worst(report: LabelReport, n: int) -> list[tuple[int, str, str, float]]:
    """Return rows, given and suggested labels of those most probably wrong and not yet checked."""
    import numpy as np

    from .audit._population import UNSEEN

    audit = report.audit
    wrong = np.where(audit._answers == UNSEEN, audit.wrong_probability_, -1)
    rows = np.argsort(-wrong, kind="stable")[:n]
    proba = audit.label_probabilities_[rows]
    proba[np.arange(len(rows)), audit._given[rows]] = -1
    best = audit.classes_[proba.argmax(axis=1)]
    return [
        (int(row), str(audit.given_labels_[row]), str(name), float(wrong[row]))
        for row, name in zip(rows, best, strict=True)
        if wrong[row] >= 0
    ]


def _describe(
    options: argparse.Namespace, table: Table, report: LabelReport, used: NDArray,
    n_left_out: int, kept: str,
) -> list[str]:  # fmt: skip
    """Return the ten lines, and one on decisions."""
    import numpy as np

    s, rows = report.summary(), np.flatnonzero(used)
    left_out = f"; {n_left_out} rows without a label are left out" if n_left_out else ""
    by_labels = "by the labels alone"
    if s["source"] == "checked":
        by_labels = f"by {s['n_checked']} checked labels, {s['n_drawn']} of them drawn at random"
    unit = "line" if table.records else "row"
    classes = ", ".join(
        f"{_cut(name)} {n:.0f} of {total}" for name, n, total in report.wrong_by_class()[:4]
    )
    n_classes = len(report.audit.classes_)
    lines = [
        f"{options.file.name}: {s['n_rows']} labels of {n_classes} classes{left_out}",
        f"{s['n_wrong']:.0f} labels are wrong, {s['low']} to {s['high']} at {s['level']:.0%}, "
        f"{by_labels}",
        f"Wrong ones by given label: {classes}",
    ]
    for row, given, other, probability in _find_worst(report, _N_WORST):
        lines.append(
            f"  {unit} {table.lines[rows[row]]}: {_cut(given)}, probably {_cut(other)} "
            f"({probability:.2f})"
        )
    lines.append(_describe_findings(report))
    if kept:
        lines.append(kept)
    wrote = f" {options.output} has the mended labels." if options.output else ""
    lines.append(
        f"Open {_page_path(options)} in a browser and check labels.{wrote} Then run: "
        f"{_next_command(options)}"
    )
    return lines


def _describe_findings(report: LabelReport) -> str:
    findings = report.findings
    if not findings:
        return "Nothing looks wrong with the table."
    leak = [f for f in findings if f.kind in ("label_column", "label_by_missing", "tells_label")]
    first = (leak or findings)[0]
    more = f" And {len(findings) - 1} more on the page." if len(findings) > 1 else ""
    text = f"The table: {first.why}"
    if leak:
        text += f" Leave it out: --drop {shlex.quote(str(first.columns[0]))}."
    return text + more


def _cut(name: str) -> str:
    return name if len(name) <= 30 else name[:29] + "\N{HORIZONTAL ELLIPSIS}"


def _as_json(
    options: argparse.Namespace, table: Table, report: LabelReport, used: NDArray
) -> dict[str, Any]:
    import numpy as np

    rows = np.flatnonzero(used)
    unit = "line" if table.records else "row"
    return report.summary() | {
        "n_left_out": int((~used).sum()),
        "classes": [
            {"label": name, "n_wrong": n, "n_rows": total}
            for name, n, total in report.wrong_by_class()
        ],
        "worst": [
            {"row": row, unit: int(table.lines[rows[row]]), "label": given, "suggested": other,
             "wrong_probability": probability}
            for row, given, other, probability in _find_worst(report, options.rows)
        ],
        "findings": [
            {"kind": f.kind, "columns": [str(c) for c in f.columns], "why": f.why,
             "remedy": f.remedy}
            for f in report.findings
        ],
        "page": str(_page_path(options)), "state": str(_state_path(options)),
    }  # fmt: skip

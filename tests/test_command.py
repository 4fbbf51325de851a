"""The command `robustlabels audit`, called as its users call it."""

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from robustlabels import LabelAudit, corrupt_labels
from robustlabels._command import main

NAMES = np.array(["flu", "cold", "covid, new"])


def make_table(n_rows=240, seed=0):
    rng = np.random.RandomState(seed)
    truth = np.arange(n_rows) % 3
    return pd.DataFrame({
        "patient": np.arange(n_rows) + 1000,
        "temperature": truth + rng.randn(n_rows) / 4,
        "season": np.where(rng.rand(n_rows) < 0.1, None, np.array(["a", "b", "c"])[truth]),
        "notes": [f'said\u2028"ah"; day {i},\n room {t}' for i, t in enumerate(truth)],
        "site": np.arange(n_rows) // 6,
        "diagnosis": corrupt_labels(NAMES[truth], "symmetric", 0.2, exact=True, random_state=0),
    }), NAMES[truth]  # fmt: skip


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """A folder with a table of which three labels are missing, and what the command made."""
    folder = tmp_path_factory.mktemp("audited")
    table, truth = make_table()
    table.loc[[2, 50, 239], "diagnosis"] = None
    table.to_csv(folder / "labels.csv", index=False)
    command = ["audit", str(folder / "labels.csv"), "--label", "diagnosis"]
    run = subprocess.run(
        [sys.executable, "-m", "robustlabels", *command], capture_output=True, text=True
    )
    return folder, command, run, truth


@pytest.fixture
def case(audited, tmp_path):
    """A copy of the folder for a test that writes to it."""
    folder, _, _, truth = audited
    for name in ("labels.csv", "labels.audit.html", "labels.audit.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    return tmp_path, ["audit", str(tmp_path / "labels.csv"), "--label", "diagnosis"], truth


def data_of(page):
    text = re.search(r'id="audit-data">(.*?)</script>', page.read_text(), re.S)[1]
    return json.loads(text)


def write_decisions(path, data, rows, labels, origin="drawn"):
    lines = [f"# robustlabels audit {data['table']}", "row,label,status,origin,time"]
    for row, label in zip(rows, labels, strict=True):
        status = "checked" if label else "cannot tell"
        lines.append(f'{row},"{label}",{status},{origin},2026-01-01T00:00:00.000Z')
    path.write_text("\n".join(lines) + "\n")


def test_ten_lines_page_and_state(audited):
    folder, _, run, _ = audited
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    lines = run.stdout.splitlines()
    assert len(lines) == 10
    assert lines[0] == "labels.csv: 237 labels of 3 classes; 3 rows without a label are left out"
    found = re.match(
        r"(\d+) labels are wrong, (\d+) to (\d+) at 90%, by the labels alone", lines[1]
    )
    number, low, high = map(int, found.groups())
    assert low <= 47 <= high
    assert 25 < number < 60
    worst = [int(re.match(r"  line (\d+): ", line)[1]) for line in lines[3:8]]
    table, truth = pd.read_csv(folder / "labels.csv"), audited[3]
    # The notes of each row have two lines.
    assert (table["diagnosis"] != truth)[(np.array(worst) - 2) // 2].sum() >= 4
    assert "--checked decisions.csv" in lines[-1]
    assert {path.name for path in folder.iterdir()} == {
        "labels.csv", "labels.audit.html", "labels.audit.json"
    }  # fmt: skip


def test_decisions_go_into_the_audit_and_the_mended_table(case, capsys):
    folder, command, truth = case
    data = data_of(folder / "labels.audit.html")
    known = np.delete(np.arange(240), [2, 50, 239])  # rows that have a label
    rows = data["drawn"][:30]
    labels = truth[known[rows]].tolist()
    labels[7] = ""
    write_decisions(folder / "decisions.csv", data, rows, labels)
    options = ["--checked", str(folder / "decisions.csv"), "--output", str(folder / "mended.csv")]
    assert main([*command, *options]) == 0
    out = capsys.readouterr().out
    assert "by 29 checked labels, 29 of them drawn at random" in out
    before = (folder / "labels.csv").read_text().splitlines()
    after = (folder / "mended.csv").read_text().splitlines()
    assert len(before) == len(after)
    mended = pd.read_csv(folder / "mended.csv")
    given = pd.read_csv(folder / "labels.csv")
    expected = given.copy()
    for row, label in zip(rows, labels, strict=True):
        if label:
            expected.loc[known[row], "diagnosis"] = label
    pd.testing.assert_frame_equal(mended, expected)
    assert (mended["diagnosis"].fillna("") != given["diagnosis"].fillna("")).sum() > 0
    # The state goes on, and the package agrees.
    state = LabelAudit.load(
        folder / "labels.audit.json",
        given.drop(columns="diagnosis").iloc[known].reset_index(drop=True),
        given["diagnosis"].iloc[known].to_numpy(),
    )
    assert state.drawn_.sum() == 29
    low, high = state.n_wrong_interval_
    assert f"{low} to {high} at 90%" in out
    assert main(command) == 0
    assert "goes on from" in capsys.readouterr().out
    assert len(data_of(folder / "labels.audit.html")["known"]) == 30


def test_decisions_in_another_order_of_drawing_count_as_known(case, capsys):
    folder, command, truth = case
    data = data_of(folder / "labels.audit.html")
    known = np.delete(np.arange(240), [2, 50, 239])
    rows = data["drawn"][40:45]
    write_decisions(folder / "decisions.csv", data, rows, truth[known[rows]])
    assert main([*command, "--checked", str(folder / "decisions.csv")]) == 0
    assert "another order of drawing" in capsys.readouterr().out
    after = data_of(folder / "labels.audit.html")
    assert [row["offered"] for row in after["known"]] == [False] * 5


def test_answers_are_not_lost_to_other_options(case, capsys):
    folder, command, _ = case
    data = data_of(folder / "labels.audit.html")
    write_decisions(folder / "decisions.csv", data, data["drawn"][:1], ["flu"])
    assert main([*command, "--checked", str(folder / "decisions.csv")]) == 0
    state = (folder / "labels.audit.json").read_text()
    assert main([*command, "--seed", "3"]) == 2
    assert "1 answers for other options" in capsys.readouterr().err
    assert (folder / "labels.audit.json").read_text() == state


def test_json_and_exit_codes(case, capsys):
    _, command, _ = case
    assert main([*command, "--json", "--fail-above", "0.5"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n_rows"] == 237
    assert found["n_left_out"] == 3
    assert found["worst"][0].keys() == {"row", "line", "label", "suggested", "wrong_probability"}
    assert found["low"] <= found["n_wrong"] <= found["high"]
    assert main([*command, "--quiet", "--fail-above", "0"]) == (1 if found["rate_low"] > 0 else 0)
    assert capsys.readouterr().out == ""


def test_fail_above_looks_at_the_lower_end(case, capsys):
    folder, command, truth = case
    data = data_of(folder / "labels.audit.html")
    known = np.delete(np.arange(240), [2, 50, 239])
    rows = [row["row"] for row in data["rows"]]
    write_decisions(folder / "decisions.csv", data, rows, truth[known[rows]], "own")
    options = ["--checked", str(folder / "decisions.csv"), "--quiet"]
    assert main([*command, *options, "--fail-above", "0.1"]) == 1
    assert main([*command, *options, "--fail-above", "0.25"]) == 0


def test_interrupt_leaves_what_was_there(case, capsys, monkeypatch):
    folder, command, _ = case
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("robustlabels.report.LabelReport.write_html", interrupt)
    assert main(command) == 130
    assert "interrupted" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_annotators_groups_tabs_and_dropped_columns(tmp_path, capsys):
    table, truth = make_table(180)
    table = table.drop(columns="diagnosis").assign(copy=truth)
    for seed, name in enumerate("abc"):
        answers = corrupt_labels(truth, "symmetric", 0.2, random_state=seed).astype(object)
        answers[seed::20] = None
        table[name] = answers
    table.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    command = ["audit", str(tmp_path / "t.tsv"), "--annotators", "a", "b", "c", "--group", "site"]
    assert main([*command, "--drop", "copy", "--output", str(tmp_path / "mended.tsv")]) == 0
    out = capsys.readouterr().out
    assert "180 labels of 3 classes" in out
    assert "copy" not in out.splitlines()[-2]  # what nothing is learned from is no finding
    mended = pd.read_csv(tmp_path / "mended.tsv", sep="\t")
    assert (mended["label"] == truth).mean() > 0.8
    assert "Wrong labels by group" in (tmp_path / "t.audit.html").read_text()


def test_leak_is_named_with_the_option_that_helps(tmp_path, capsys):
    table, _ = make_table(120)
    table["copy"] = table["diagnosis"]
    table.to_csv(tmp_path / "t.csv", index=False, sep=";", lineterminator="\r\n")
    command = ["audit", str(tmp_path / "t.csv"), "--label", "diagnosis"]
    assert main([*command, "--output", str(tmp_path / "mended.csv")]) == 0
    # No label was checked, so that nothing has changed.
    assert (tmp_path / "mended.csv").read_bytes() == (tmp_path / "t.csv").read_bytes()
    assert "--drop copy" in capsys.readouterr().out


@pytest.mark.slow
def test_parquet(tmp_path, capsys):
    table, truth = make_table(120)
    table.to_parquet(tmp_path / "t.parquet")
    command = ["audit", str(tmp_path / "t.parquet"), "--label", "diagnosis"]
    assert main(command) == 0
    data = data_of(tmp_path / "t.audit.html")
    rows = data["drawn"][:10]
    write_decisions(tmp_path / "d.csv", data, rows, truth[rows])
    options = ["--checked", str(tmp_path / "d.csv"), "--output", str(tmp_path / "m.parquet")]
    assert main([*command, *options]) == 0
    mended = pd.read_parquet(tmp_path / "m.parquet")
    assert (mended["diagnosis"].to_numpy()[rows] == truth[rows]).all()
    pd.testing.assert_frame_equal(mended.drop(columns="diagnosis"), table.drop(columns="diagnosis"))


ROW = "1.5,b,flu\n"
BAD = {
    "no such column": ("x,y,label\n" + ROW, ["--label", "lable"], "has no column 'lable'"),
    "one class": ("x,y,d\n" + ROW * 60, ["--label", "d"], "one class, 'flu'"),
    "no label": ("x,y,d\n" + "1,b,\n" * 60, ["--label", "d"], "All labels of 'd' are missing"),
    "not UTF-8": (b"x,y,d\n1,\xe4,flu\n", ["--label", "d"], "not UTF-8 in line 2"),
    "open quote": ('x,y,d\n1,"b,flu\n2,b,flu\n', ["--label", "d"], "line 2"),
    "cells": ("x,y,d\n1,b,flu\n2,b,c,flu\n", ["--label", "d"], "line 3: 4 cells"),
    "two of a name": ("d,y,d\n1,b,flu\n", ["--label", "d"], "several columns ['d']"),
    "empty": ("", ["--label", "d"], "is empty"),
    "header": ("x,y,d\n", ["--label", "d"], "no rows"),
    "numbers": ("x,d\n" + "".join(f"1,{i}\n" for i in range(60)), ["--label", "d"], "classes?"),
    "only labels": ("d\n" + "a\nb\n" * 30, ["--label", "d"], "no column besides the labels"),
    "no label option": ("x,d\n1,2\n", [], "--label COLUMN"),
    "drops the label": ("x,d\n1,2\n", ["--label", "d", "--drop", "d"], "has another part: d"),
    "share": ("x,d\n1,2\n", ["--label", "d", "--fail-above", "5"], "from 0 to 1"),
    "decisions": ("x,d\n1,2\n", ["--label", "d", "--checked", "none.csv"], "no file none.csv"),
    "option": ("x,d\n1,2\n", ["--label", "d", "--bad"], "unrecognized arguments"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence(name, tmp_path, capsys):
    text, options, message = BAD[name]
    path = tmp_path / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert main(["audit", str(path), *options]) == 2
    err = capsys.readouterr().err
    assert message in err or message.capitalize() in err
    assert err.startswith("robustlabels")
    assert len(err.splitlines()) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def test_decisions_of_another_table(case, capsys):
    folder, command, _ = case
    path = folder / "decisions.csv"
    path.write_text("# robustlabels audit 0123\nrow,label,status,origin,time\n")
    before = (folder / "labels.audit.json").read_text()
    assert main([*command, "--checked", str(path)]) == 2
    assert "belongs to another table" in capsys.readouterr().err
    assert (folder / "labels.audit.json").read_text() == before
    path.write_bytes(b"\xff\xfe\x00")
    assert main([*command, "--checked", str(path)]) == 2
    assert "not UTF-8" in capsys.readouterr().err


def test_nothing_that_is_read_is_overwritten(case, capsys):
    folder, command, _ = case
    assert main([*command, "--output", str(folder / "labels.csv")]) == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert main(["audit", str(folder / "none.csv"), "--label", "d"]) == 2
    assert "none.csv" in capsys.readouterr().err

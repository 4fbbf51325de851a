"""What pages and type checkers know of the losses is what docs/losses_table.py writes."""

import importlib.util
from pathlib import Path

import pytest

from robustlabels import losses

PATH = Path(__file__).parents[1] / "docs" / "losses_table.py"
SPEC = importlib.util.spec_from_file_location("losses_table", PATH)
losses_table = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(losses_table)
TABLE = (PATH.parent / "losses.md").read_text()
STALE = "run python docs/losses_table.py"


@pytest.mark.parametrize("name", ["ce", "sgce", "agce", "truncated-gce", "nce+agce"])
def test_table_of_losses_is_what_the_code_computes(name):
    assert losses_table.row(name, losses_table.measured_in(TABLE)[name]) in TABLE, STALE


def test_table_of_losses_is_complete():
    assert list(losses_table.measured_in(TABLE)) == losses.available_losses(), STALE


def test_table_alone_is_rewritten(monkeypatch):
    monkeypatch.setattr(losses_table, "row", lambda name, measured: f"| `{name}` | {measured} |\n")
    before, after = TABLE.splitlines(), losses_table.write_table(TABLE).splitlines()
    assert len(after) == len(before)
    changed = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert len(changed) == len(losses.available_losses())
    for old, new in changed:
        assert old.split(" | ")[0] == new.split(" | ")[0]
        assert old.split(" | ")[-1] == new.split(" | ")[-1]


@pytest.mark.parametrize(
    "path", [path for path in losses_table.PAGES if path.name != "losses.md"], ids=lambda p: p.name
)
def test_lists_of_losses_are_those_of_the_code(path):
    page = path.read_text()
    assert losses_table.PAGES[path](page) == page, STALE

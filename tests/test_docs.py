"""README and docstrings: what they show runs, and it says what happens."""

import importlib
import importlib.util
import inspect
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpydoc.validate
import pytest

import robustlabels

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()

PUBLIC_MODULES = ["losses", "metrics", "noise"]
PUBLIC = [
    *(f"robustlabels.{name}" for name in robustlabels.__all__ if name not in PUBLIC_MODULES),
    *(
        f"robustlabels.{module}.{name}"
        for module in PUBLIC_MODULES
        for name in importlib.import_module(f"robustlabels.{module}").__all__
    ),
]
PUBLIC.remove("robustlabels.__version__")

# As scikit-learn does: no summary in the imperative of a module's style (GL01, GL02), no name
# for a single return value (RT02). ES01: not everything needs an extended summary.
IGNORED = {"GL01", "GL02", "RT02", "ES01"}
# Methods show their use in the example of their class.
IGNORED_IN_METHODS = IGNORED | {"EX01", "SA01"}


def resolve(path):
    owner, name = path.rsplit(".", 1)
    try:
        return getattr(importlib.import_module(owner), name)
    except ModuleNotFoundError:
        return getattr(resolve(owner), name)


def methods_of(path):
    cls = resolve(path)
    if not inspect.isclass(cls):
        return []
    return [
        f"{path}.{name}"
        for name, member in vars(cls).items()
        if not name.startswith("_") and callable(member) and member.__doc__
    ]


@pytest.mark.parametrize("path", PUBLIC)
def test_docstring_is_valid_numpydoc(path):
    errors = [
        (code, text)
        for code, text in numpydoc.validate.validate(path)["errors"]
        if code not in IGNORED
    ]
    assert not errors


@pytest.mark.parametrize("path", [m for path in PUBLIC for m in methods_of(path)])
def test_method_docstring_is_valid_numpydoc(path):
    errors = [
        (code, text)
        for code, text in numpydoc.validate.validate(path)["errors"]
        if code not in IGNORED_IN_METHODS
    ]
    assert not errors


@pytest.mark.parametrize("name", ["RobustClassifier", "UnhingedClassifier"])
def test_classifier_documents_all_its_attributes(name):
    clf = getattr(robustlabels, name)().fit([[0.0], [1.0]], [0, 1])
    properties = {name for name, _ in inspect.getmembers(type(clf), inspect.isdatadescriptor)}
    fitted = {
        name
        for name in {*vars(clf), *properties}
        if name.endswith("_") and not name.startswith("_")
    }
    documented = set(re.findall(r"^    (\w+_) : ", type(clf).__doc__, flags=re.MULTILINE))
    assert documented == fitted | {"feature_names_in_"}


def test_readme_code_prints_what_it_says(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    (output,) = re.findall(r"```text\n(.*?)```", README, flags=re.DOTALL)
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    # The last digit may differ between processors.
    pattern = r"\d\.\d+"
    assert re.sub(pattern, "#", ran.stdout) == re.sub(pattern, "#", output)
    for got, said in zip(re.findall(pattern, ran.stdout), re.findall(pattern, output), strict=True):
        assert float(got) == pytest.approx(float(said), abs=0.01)


def test_readme_commands_are_one_line_and_use_the_constraints():
    commands = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
    assert len(commands) == 2
    for command in commands:
        assert command.count("\n") == 1
        assert command.startswith(
            "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt"
        )
        for path in re.findall(r"\S+/\S+\.py", command):
            assert (ROOT / path).exists()


def test_readme_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_constraints_pin_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        wanted += extra
    names = {re.match(r"[\w-]+", requirement)[0] for requirement in wanted} - {"robustlabels"}
    pinned = set(re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    assert names <= pinned


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("plot_*.py")), ids=str)
def test_examples_have_a_title_and_are_named_in_order(example):
    text = example.read_text()
    title = re.match(r'"""\n(=+)\n(.+)\n\1\n', text)
    assert title, "an example starts with a title for the gallery"
    assert len(title[1]) == len(title[2])


@pytest.mark.parametrize("name", ["ce", "sgce", "agce", "truncated-gce", "nce+agce"])
def test_table_of_losses_is_what_the_code_computes(name):
    spec = importlib.util.spec_from_file_location("table", ROOT / "docs" / "losses_table.py")
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    assert table.row(name) in (ROOT / "docs" / "losses.md").read_text()


def test_table_of_losses_is_complete():
    rows = re.findall(
        r"^\| `([\w+-]+)` \|", (ROOT / "docs" / "losses.md").read_text(), re.MULTILINE
    )
    assert rows == robustlabels.losses.available_losses()


def test_code_in_the_docs_runs(tmp_path):
    for page in (ROOT / "docs").glob("*.md"):
        for code in re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL):
            subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=tmp_path)


@pytest.mark.parametrize("script", sorted((ROOT / "benchmarks").glob("*.py")), ids=str)
def test_benchmarks_say_how_to_run(script):
    ran = subprocess.run(
        [sys.executable, str(script), "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert "usage:" in ran.stdout

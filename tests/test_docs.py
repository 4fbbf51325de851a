"""README, pages and docstrings: what they show runs, and it says what happens."""

import importlib
import inspect
import re
import runpy
import sys
import tomllib
from pathlib import Path
from unittest.mock import patch

import numpydoc.validate
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

import robustlabels
from robustlabels.losses._loss import CATALOGUE

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]

PUBLIC_MODULES = ["losses", "losses.theory", "metrics", "noise"]
PUBLIC = [
    *(f"robustlabels.{name}" for name in robustlabels.__all__ if name not in PUBLIC_MODULES),
    *(
        f"robustlabels.{module}.{name}"
        for module in PUBLIC_MODULES
        for name in importlib.import_module(f"robustlabels.{module}").__all__
    ),
]
PUBLIC.remove("robustlabels.__version__")

# GL01, GL02: the summary begins beside the quotes and need not leave a line before they close.
# ES01: not everything needs more than its summary. RT02: a single return value has a name, so that
# the text can speak of it.
IGNORED = {"GL01", "GL02", "ES01", "RT02"}
# EX01, SA01: methods show their use, and what is akin, in the docstring of their class.
IGNORED_IN_METHODS = IGNORED | {"EX01", "SA01"}
# scikit-learn makes these and their docstrings.
REQUESTS = re.compile(r"set_\w+_request")


def resolve(path):
    owner, name = path.rsplit(".", 1)
    try:
        return getattr(importlib.import_module(owner), name)
    except ModuleNotFoundError:
        return getattr(resolve(owner), name)


def methods_of(path):
    """List the public methods that a class itself defines."""
    cls = resolve(path)
    if not inspect.isclass(cls):
        return []
    return [
        f"{path}.{name}"
        for name in vars(cls)
        if not name.startswith("_")
        and not REQUESTS.fullmatch(name)
        and inspect.isroutine(getattr(cls, name))
    ]


METHODS = [method for path in PUBLIC for method in methods_of(path)]


def code_of(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


@pytest.mark.parametrize("path", PUBLIC)
def test_docstring_is_valid_numpydoc(path):
    errors = [
        (code, text)
        for code, text in numpydoc.validate.validate(path)["errors"]
        if code not in IGNORED
    ]
    assert not errors


@pytest.mark.parametrize("path", [m for m in METHODS if resolve(m).__doc__])
def test_method_docstring_is_valid_numpydoc(path):
    errors = [
        (code, text)
        for code, text in numpydoc.validate.validate(path)["errors"]
        if code not in IGNORED_IN_METHODS
    ]
    assert not errors


@pytest.mark.parametrize("path", [m for m in METHODS if not resolve(m).__doc__])
def test_method_without_docstring_overrides_one_with(path):
    owner, name = path.rsplit(".", 1)
    assert any(getattr(base, name, None).__doc__ for base in resolve(owner).__mro__[1:])


@pytest.mark.parametrize("path", PUBLIC + METHODS)
def test_public_functions_are_annotated(path):
    if isinstance(resolve(path), type) and issubclass(resolve(path), Warning):
        return  # its signature is that of all exceptions
    signature = inspect.signature(resolve(path))
    assert inspect.isclass(resolve(path)) or signature.return_annotation is not signature.empty
    for name, parameter in signature.parameters.items():
        assert name in ("self", "cls") or parameter.annotation is not parameter.empty, name


@pytest.mark.parametrize(
    "name",
    ["class_weight", "device", "memory", "n_jobs", "n_threads", "random_state", "sample_weight"],
)
def test_parameters_that_are_shared_have_one_type(name):
    docs = [resolve(path).__doc__ or "" for path in PUBLIC + METHODS]
    types = {line for doc in docs for line in re.findall(rf"^ +{name} : (.+)$", doc, re.MULTILINE)}
    # An array is what ClassStatistics holds under the same name.
    assert len({line for line in types if not line.startswith("ndarray")}) == 1, types


def test_every_public_name_is_in_the_reference_and_no_other():
    listed, module = [], None
    for line in (ROOT / "docs" / "api.rst").read_text().splitlines():
        if line.startswith(".. currentmodule:: "):
            module = line.split()[-1]
        elif re.fullmatch(r"   \w+", line):
            listed.append(f"{module}.{line.strip()}")
    assert set(listed) <= set(PUBLIC)
    # Functions of robustlabels.noise are listed once, as names of robustlabels.
    documented = {id(resolve(path)) for path in listed}
    assert len(documented) == len(listed)
    assert [path for path in PUBLIC if id(resolve(path)) not in documented] == []


@pytest.mark.parametrize(
    "estimator",
    [
        robustlabels.LabelRefiner(),
        robustlabels.RefinedClassifier(LogisticRegression()),
        robustlabels.RobustClassifier(max_epochs=40),
        robustlabels.UnhingedClassifier(),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_estimator_documents_all_its_attributes(estimator):
    clf = clone(estimator).fit([[0.0], [1.0]], [0, 1])
    properties = {name for name, _ in inspect.getmembers(type(clf), inspect.isdatadescriptor)}
    fitted = {
        name
        for name in {*vars(clf), *properties}
        if name.endswith("_") and not name.startswith("_")
    }
    documented = set(re.findall(r"^    (\w+_) : ", type(clf).__doc__, flags=re.MULTILINE))
    assert documented == fitted | {"feature_names_in_"}


@pytest.mark.parametrize(
    "page", [p for p in PAGES if code_of(p.read_text(), "python")], ids=lambda page: page.name
)
def test_code_prints_what_the_page_says(page, tmp_path, monkeypatch, capsys):
    text = page.read_text()
    (tmp_path / "page.py").write_text("".join(code_of(text, "python")))
    monkeypatch.chdir(tmp_path)
    # A process for each page would load torch anew. A loss that a page defines is forgotten.
    with patch.dict(CATALOGUE):
        runpy.run_path("page.py", run_name="__main__")
    printed, output = capsys.readouterr().out, "".join(code_of(text, "text"))
    # The last digits may differ between processors.
    pattern = r"\d\.\d+"
    assert re.sub(pattern, "#", printed) == re.sub(pattern, "#", output)
    for got, said in zip(re.findall(pattern, printed), re.findall(pattern, output), strict=True):
        assert float(got) == pytest.approx(float(said), abs=0.02)


def test_readme_commands_are_one_line_and_use_the_constraints():
    install, from_registry, audit, tests = code_of(README, "bash")
    assert audit.startswith(".venv/bin/robustlabels audit ")
    assert from_registry == "pip install robustlabels pandas\n"
    commands = [install, tests]
    for command in commands:
        assert command.count("\n") == 1
        assert command.startswith(
            "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt"
        )
        for path in re.findall(r"\S+/\S+\.py", command):
            assert (ROOT / path).exists()


def anchors_of(page):
    """List the anchors of the headings of a page, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page, flags=re.DOTALL), re.M)
    return [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("https://", "auto_examples/")):
            continue  # elsewhere, or made by the build
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors_of(there.read_text()), target


def test_constraints_pin_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        wanted += extra
    names = {re.match(r"[\w-]+", requirement)[0] for requirement in wanted} - {"robustlabels"}
    pinned = set(re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    assert names <= pinned


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("**/plot_*.py")), ids=str)
def test_examples_have_a_title_and_are_named_in_order(example):
    text = example.read_text()
    title = re.match(r'"""\n(=+)\n(.+)\n\1\n', text)
    assert title, "an example starts with a title for the gallery"
    assert len(title[1]) == len(title[2])


@pytest.mark.parametrize(
    "example", sorted(ROOT.glob("examples/*/*.py")), ids=lambda path: path.stem
)
def test_examples_finish_a_figure_in_the_block_that_begins_it(example):
    # The gallery takes a figure as it is at the end of a block.
    for block in re.split(r"^# %%", example.read_text(), flags=re.MULTILINE):
        assert block.count("plt.subplots(") <= block.count("plt.show()")


def test_benchmarks_say_how_to_run(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    for script in (ROOT / "benchmarks").glob("*.py"):
        monkeypatch.setattr(sys, "argv", [str(script), "--help"])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(script), run_name="__main__")
        assert not end.value.code, script
        assert f"usage: {script.name}" in capsys.readouterr().out


def test_tests_that_the_table_of_theorems_names_exist():
    rows = re.findall(
        r"^\|.*\| (`test_\w+\.py::.*) \|$", (ROOT / "docs" / "references.md").read_text(), re.M
    )
    assert len(rows) > 15
    for row in rows:
        file = re.search(r"`(test_\w+\.py)::", row)[1]
        for name in re.findall(r"(?:::|`)(test_\w+)`", row):
            assert f"def {name}(" in (ROOT / "tests" / file).read_text(), name

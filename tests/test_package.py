"""The package as a whole."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import robustlabels

ROOT = Path(robustlabels.__file__).parents[1]
#: The files of the modules by dotted name; that of a package is its `__init__`.
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "robustlabels").rglob("*.py")
}


def imports_of(path):
    """List the (module, name) pairs that a module and its functions import, in absolute terms."""
    package = path.relative_to(ROOT).parts[:-1]
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [tuple(alias.name.rpartition(".")[::2]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            found += [(module, alias.name) for alias in node.names]
    return found


def test_import_does_not_import_torch():
    code = "import robustlabels, sys; print('torch' in sys.modules, 'sklearn' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False", "False"]


def test_what_needs_no_network_does_not_import_one():
    slow = {"torch", "skorch", "sklearn.linear_model"}
    names = "corrupt_labels, UnhingedClassifier, LabelNoiseInjector"
    code = f"import sys; from robustlabels import {names}; print({slow} & sys.modules.keys())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


@pytest.mark.parametrize("name", robustlabels.__all__)
def test_public_names_resolve(name):
    assert getattr(robustlabels, name) is getattr(robustlabels, name)
    assert name in dir(robustlabels)


def test_type_checkers_know_the_public_names():
    known = dict(pair[::-1] for pair in imports_of(MODULES["robustlabels"]))
    homes = {
        n: f"robustlabels.{h}" if h else "robustlabels" for n, h in robustlabels._HOMES.items()
    }
    assert {n: home for n, home in known.items() if home.startswith("robustlabels")} == homes


#: What somebody who has these types may write; `ignore` stands where it has to be refused.
TYPED = """
from typing import Any, assert_type

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import robustlabels
from robustlabels import CleanScores, LabelNoiseInjector, LabelRefiner, UnhingedClassifier
from robustlabels.losses import CE, Loss, Sum, get_loss
from robustlabels.metrics import label_quality, make_noise_corrected_scorer

X, y = pd.DataFrame({"a": [0.0, 1.0]}), pd.Series(["ham", "spam"])
clf = robustlabels.RobustEnsembleClassifier(class_weight={"ham": 2}, random_state=0)
assert_type(clf.fit(X, y), robustlabels.RobustEnsembleClassifier)
assert_type(clf.fit(X, y).predict(X), NDArray[Any])
assert_type(clf.predict_proba([[0.0]]), NDArray[Any])
assert_type(robustlabels.RefinedClassifier(clf).fit(X, y).predict_proba(X), NDArray[Any])
assert_type(robustlabels.RobustClassifier(CE(), device="cpu").fit(X, y).predict(X), NDArray[Any])
assert_type(UnhingedClassifier().partial_fit(X, y, classes=["ham", "spam"]), UnhingedClassifier)
assert_type(LabelRefiner(np.eye(2)).fit(X, y, trusted=[True, False]), LabelRefiner)
assert_type(robustlabels.find_wrong_labels(X, y), pd.DataFrame)
scores = CleanScores.from_estimator(clf, X, y)
assert_type(scores.plot(), CleanScores)
assert_type(scores.accuracy.low, float)
assert_type(scores.frame(), pd.DataFrame)
assert_type(robustlabels.noise.symmetric_transition(2, 0.2), NDArray[Any])
assert_type(label_quality(clf, X, y), tuple[NDArray[Any], NDArray[Any]])
assert_type(make_noise_corrected_scorer(np.eye(2))(clf, X, y), float)
assert_type(LabelNoiseInjector({"ham": "spam"}).fit_resample(X, y), tuple[Any, Any])
assert_type(get_loss("gce", q=0.5), Loss)
assert_type(CE() + CE() * 2, Sum)

clf.fit(X)  # type: ignore[call-arg]
UnhingedClassifier(alpha="large")  # type: ignore[arg-type]
robustlabels.RobustClasifier  # type: ignore[attr-defined]
"""


@pytest.mark.slow
def test_users_of_the_package_are_typed(tmp_path):
    assert (ROOT / "robustlabels" / "py.typed").exists()
    (tmp_path / "user.py").write_text(TYPED)
    command = [sys.executable, "-m", "mypy", "--warn-unused-ignores", str(tmp_path / "user.py")]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_unknown_name():
    with pytest.raises(AttributeError, match="has no attribute 'RobustClasifier'"):
        robustlabels.RobustClasifier  # noqa: B018


#: The rooms of the package. Each may import from those above it.
ROOMS = [
    "_typing", "_plotting", "_validation", "_fitting", "_inner", "noise", "losses", "refinement",
    "audit", "report", "_command", "__main__",
    "_linear", "metrics", "_network", "_ensemble", "_refined", "_search",
]  # fmt: skip


def import_graph():
    """Return the modules that each module imports, as sets of dotted names."""
    return {
        name: {
            f"{module}.{imported}" if f"{module}.{imported}" in MODULES else module
            for module, imported in imports_of(path)
        }
        & MODULES.keys()
        for name, path in MODULES.items()
    }


def test_modules_do_not_import_each_other_in_a_circle():
    graph = import_graph()
    assert graph["robustlabels.losses._corrected"] >= {
        "robustlabels.losses._loss",
        "robustlabels._validation.transitions",
    }
    # A circle raises, and says which modules are in it.
    graphlib.TopologicalSorter(graph).prepare()


def room_of(module):
    return module.split(".")[1]


def test_rooms_import_only_from_those_above():
    inside = {name: found for name, found in import_graph().items() if name != "robustlabels"}
    assert {room_of(name) for name in inside} == set(ROOMS)
    assert len(ROOMS) <= 20
    upwards = [
        (name, imported)
        for name, found in inside.items()
        for imported in found
        if ROOMS.index(room_of(imported)) > ROOMS.index(room_of(name))
    ]
    assert upwards == []


def lines_of_code(node):
    """Count the lines of a class that are no docstring of it or of its methods."""
    n_lines = node.end_lineno - node.lineno + 1
    for inner in ast.walk(node):
        if isinstance(inner, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(inner):
            n_lines -= inner.body[0].end_lineno - inner.body[0].lineno + 1
    return n_lines


def test_no_file_and_no_class_is_long():
    trees = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}
    classes = {
        f"{name}.{node.name}": lines_of_code(node)
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    assert classes["robustlabels.losses._loss.Loss"] > 100
    assert {name: n for name, n in classes.items() if n > 350} == {}
    files = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert {name: n for name, n in files.items() if n > 600} == {}

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


@pytest.mark.parametrize("name", ["corrupt_labels", "UnhingedClassifier", "LabelNoiseInjector"])
def test_what_needs_no_network_does_not_import_one(name):
    slow = {"torch", "skorch", "sklearn.linear_model"}
    code = f"import sys; from robustlabels import {name}; print({slow} & sys.modules.keys())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


@pytest.mark.parametrize("name", robustlabels.__all__)
def test_public_names_resolve(name):
    assert getattr(robustlabels, name) is getattr(robustlabels, name)
    assert name in dir(robustlabels)


def test_unknown_name():
    with pytest.raises(AttributeError, match="has no attribute 'RobustClasifier'"):
        robustlabels.RobustClasifier  # noqa: B018


def test_modules_do_not_import_each_other_in_a_circle():
    graph = {
        name: {
            f"{module}.{imported}" if f"{module}.{imported}" in MODULES else module
            for module, imported in imports_of(path)
        }
        & MODULES.keys()
        for name, path in MODULES.items()
    }
    assert graph["robustlabels.losses._corrected"] >= {
        "robustlabels.losses._loss",
        "robustlabels.noise",
    }
    # A circle raises, and says which modules are in it.
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("name", sorted(MODULES.keys() - {"robustlabels._sklearn"}))
def test_private_names_of_sklearn_come_from_one_module(name):
    private = [
        f"{module}.{imported}"
        for module, imported in imports_of(MODULES[name])
        if f"{module}.{imported}".startswith("sklearn.")
        and any(part.startswith("_") for part in f"{module}.{imported}".split("."))
    ]
    assert private == []

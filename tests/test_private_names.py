"""Private names of other packages are used in one module each, and are still there."""

import ast
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import skorch
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import check_scoring, get_scorer
from sklearn.tree import DecisionTreeClassifier

import robustlabels
from robustlabels._validation import sklearn_private, skorch_private, torch_private

ROOT = Path(robustlabels.__file__).parent
TREES = {path: ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}
#: The modules that may use private names, by the package they belong to.
PRIVATE = {
    ROOT / "_validation" / f"{name}_private.py": name for name in ("sklearn", "skorch", "torch")
}
SKORCH, TORCH = (ROOT / "_validation" / f"{name}_private.py" for name in ("skorch", "torch"))


def lacks(package, name):
    return f"{package} {version({'sklearn': 'scikit-learn'}.get(package, package))} lacks {name}."


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def imports_of(tree):
    """List the absolute dotted names that a module and its functions import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def attributes_of(tree):
    """List (object, attribute) of what a module looks up, by a dot or by getattr and hasattr."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node.value), node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr"):
            owner, name = node.args[:2]
            if isinstance(name, ast.Constant):
                yield ast.unparse(owner), name.value


def names_defined(tree):
    """List the functions, classes, variables and attributes that a module defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


OURS = {name for tree in TREES.values() for name in names_defined(tree)} | {
    path.stem for path in TREES
}
OURS.add("_replace")  # public, of named tuples


@pytest.mark.parametrize("path", sorted(TREES.keys() - PRIVATE.keys()), ids=lambda path: path.stem)
def test_private_names_are_used_in_one_module_alone(path):
    imported = [
        name
        for name in imports_of(TREES[path])
        if name.partition(".")[0] in PRIVATE.values() and any(map(is_private, name.split(".")))
    ]
    assert imported == []
    inherited = {name for names in sklearn_private.INHERITED.values() for name in names}
    foreign = {
        (owner, name)
        for owner, name in attributes_of(TREES[path])
        if is_private(name)
        and name not in OURS
        and not (owner in ("self", "super()") and name in inherited)
    }
    assert foreign == set()
    arguments = {node.arg for node in ast.walk(TREES[path]) if isinstance(node, ast.keyword)}
    assert "check_input" not in arguments


@pytest.mark.parametrize("name", [*sklearn_private.__all__, *sklearn_private._OF_SEARCHES])
def test_names_that_are_imported_from_sklearn_are_there(name):
    try:
        getattr(sklearn_private, name)
    except (AttributeError, ImportError) as error:
        pytest.fail(f"{lacks('sklearn', name)} {error}")


@pytest.mark.parametrize(
    ("owner", "name"),
    [(owner, name) for owner, names in sklearn_private.INHERITED.items() for name in names],
)
def test_names_that_are_inherited_from_sklearn_are_there(owner, name):
    module, _, kind = owner.rpartition(".")
    assert hasattr(getattr(import_module(module), kind), name), lacks("sklearn", f"{owner}.{name}")


def test_parameters_are_checked_by_sklearn():
    message = lacks("sklearn", "a check of parameters by _validate_params")
    try:
        with pytest.raises(ValueError, match="The 'C' parameter"):
            sklearn_private.validate_parameters(LogisticRegression(C=-1.0))
        names = sklearn_private.parameter_names(LogisticRegression)
    except AttributeError as error:
        pytest.fail(f"{message} {error}")
    assert set(names) == set(LogisticRegression().get_params()), message


def test_scorers_have_a_sign_and_those_of_several_metrics_hold_others():
    signs = [sklearn_private.scorer_sign(get_scorer(name)) for name in ("accuracy", "neg_log_loss")]
    assert signs == [1, -1], lacks("sklearn", "the attribute _sign of scorers")
    both = check_scoring(LogisticRegression(), ["accuracy", "neg_log_loss"])
    inner = sklearn_private.scorers_of(both)
    assert list(inner) == ["accuracy", "neg_log_loss"], lacks(
        "sklearn", "_MultimetricScorer._scorers"
    )
    accuracy = get_scorer("accuracy")
    assert sklearn_private.scorers_of(accuracy) is accuracy


def test_trees_take_features_without_a_check():
    X, y = np.arange(20, dtype=np.float32)[:, None], np.arange(20) // 10
    plain, tree = (DecisionTreeClassifier(random_state=0) for _ in range(2))
    plain.fit(X, y, np.ones(20))
    try:
        sklearn_private.fit_tree(tree, X, y, np.ones(20))
        leaves = sklearn_private.apply_tree(tree, X)
        proba = sklearn_private.predict_proba_of_tree(tree, X)
    except TypeError as error:
        pytest.fail(f"{lacks('sklearn', 'the argument check_input of trees')} {error}")
    np.testing.assert_array_equal(leaves, plain.apply(X))
    np.testing.assert_array_equal(proba, plain.predict_proba(X))


@pytest.mark.parametrize("name", [n for _, n in attributes_of(TREES[SKORCH]) if is_private(n)])
def test_methods_of_nets_are_there(name):
    assert hasattr(skorch.NeuralNet, name), lacks("skorch", f"NeuralNet.{name}")


@pytest.fixture
def net():
    net = skorch.NeuralNetClassifier(torch.nn.Linear(2, 2), max_epochs=1, verbose=0)
    return net.initialize()


def test_modules_of_a_net_change_their_mode(net):
    skorch_private.set_training(net, False)
    assert not net.module_.training, lacks("skorch", "NeuralNet._set_training")
    skorch_private.set_training(net, True)
    assert net.module_.training, lacks("skorch", "NeuralNet._set_training")


def test_a_net_makes_a_step_by_hand(net):
    before = net.module_.weight.detach().clone()

    def closure():
        skorch_private.zero_gradients(net)
        loss = net.module_(torch.ones(3, 2)).square().sum()
        loss.backward()
        return loss

    closure()
    gradient = net.module_.weight.grad.clone()
    skorch_private.step_optimizers(net, closure)
    moved = before - net.optimizer_.param_groups[0]["lr"] * gradient
    assert torch.allclose(net.module_.weight, moved), lacks("skorch", "NeuralNet._step_optimizer")


def test_compiled_modules_hold_the_original():
    # To compile a module takes half a minute of imports; the tests of RobustClassifier do so.
    source = Path(torch.__file__).parent / "_dynamo" / "eval_frame.py"
    assert source.exists(), lacks("torch", "torch._dynamo.eval_frame")
    assert "self._orig_mod = " in source.read_text(), lacks("torch", "OptimizedModule._orig_mod")
    assert {n for _, n in attributes_of(TREES[TORCH]) if is_private(n)} == {"_orig_mod"}
    module = torch.nn.Linear(2, 2)
    assert torch_private.uncompiled(module) is module

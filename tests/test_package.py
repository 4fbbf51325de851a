"""The package as a whole."""

import subprocess
import sys

import pytest

import robustlabels


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

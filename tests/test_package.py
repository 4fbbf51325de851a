"""The package as a whole."""

import subprocess
import sys

import pytest

import robustlabels


def test_import_does_not_import_torch():
    code = "import robustlabels, sys; print('torch' in sys.modules, 'sklearn' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False", "False"]


def test_noise_does_not_import_torch():
    code = "import sys; from robustlabels import corrupt_labels; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


@pytest.mark.parametrize("name", robustlabels.__all__)
def test_public_names_resolve(name):
    assert getattr(robustlabels, name) is getattr(robustlabels, name)
    assert name in dir(robustlabels)


def test_unknown_name():
    with pytest.raises(AttributeError, match="has no attribute 'RobustClasifier'"):
        robustlabels.RobustClasifier  # noqa: B018

"""Settings of the whole test run."""

import os
import signal
import threading

# scikit-learn runs its array API check only with this switch, which scipy reads when imported.
os.environ["SCIPY_ARRAY_API"] = "1"
# The workers of pytest-xdist share the cores; threads of each would wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A process in the background, as of `pytest &` or nohup, ignores Ctrl-C, which tests raise.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

from functools import partial

import pytest
from hypothesis import settings

# The first example of a test may import torch; and a test run should be repeatable.
settings.register_profile("robustlabels", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("robustlabels")


@pytest.fixture
def few_trees(monkeypatch):
    """Grow few trees, for tests of what does not depend on their number."""
    from robustlabels._ensemble import ensemble
    from robustlabels.refinement import _crossing, _refiner

    grow = partial(_refiner.out_of_bag_probabilities, n_trees=20)
    monkeypatch.setattr(_refiner, "out_of_bag_probabilities", grow)
    monkeypatch.setattr(_crossing, "_TREES", 10)
    monkeypatch.setattr(ensemble, "_SETTINGS", ensemble.Settings(n_trees=5))

"""Experiment trackers do not take what is fitted inside an estimator for the user's model."""

import sys
from contextlib import ExitStack, contextmanager
from threading import Lock

_lock, _fits, _paused = Lock(), 0, ExitStack()


@contextmanager
def unseen_by_autologging():
    """Pause MLflow's autologging, which would log each inner tree as a model.

    It takes patched `fit` methods of scikit-learn for calls of the user. MLflow can be paused for
    the whole process alone, and not twice: the first fit does so, the last of those that overlap
    ends it.
    """
    global _fits
    with _lock:
        if _fits == 0 and "mlflow.utils.autologging_utils" in sys.modules:
            mlflow = sys.modules["mlflow.utils.autologging_utils"]
            _paused.enter_context(mlflow.disable_autologging())
        _fits += 1
    try:
        yield
    finally:
        with _lock:
            _fits -= 1
            if _fits == 0:
                _paused.close()

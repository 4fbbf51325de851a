"""What every fit shares: memory, random state, warnings, and nothing changed on error."""

import sys
import warnings
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from threading import Lock

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils.validation import check_memory

from ._validation.labels import shorten

_NOTE = "Nothing was learned; what was fitted before is as it was."


@contextmanager
def unchanged_on_error(estimator, error=BaseException):
    """Restore all attributes of `estimator` if fitting fails, or is stopped by Ctrl-C.

    Nothing fitted before is lost. Other errors than `error` leave what there is, unless what the
    context gives is called with them: it restores, too.
    """
    before = dict(vars(estimator))

    def restore(raised):
        vars(estimator).clear()
        vars(estimator).update(before)
        # One estimator may fit another.
        if isinstance(raised, KeyboardInterrupt) and _NOTE not in getattr(raised, "__notes__", ()):
            raised.add_note(_NOTE)

    try:
        yield restore
    except error as raised:
        restore(raised)
        raise


def cached_call(memory, function, *args, rng, **settings):
    """Return ``function(*args, rng=rng, **settings)``, or what `memory` knows it to be.

    Either way `rng` has drawn what the function draws, so that all that follows is the same.

    Parameters
    ----------
    memory : joblib.Memory, str or None
        Where results are kept; None keeps nothing.
    function : function
        What depends on its arguments alone, but for the settings.
    *args
        Arguments that pickle.
    rng : numpy.random.RandomState
        Random state, a part of what is looked up.
    **settings
        What the result does not depend on: `n_jobs`, `verbose`.

    Returns
    -------
    result
        Whatever the function returns.
    """
    # The state itself is the key: random states of one state pickle differently. What another
    # version has found may not be what this one finds.
    versions = version("robustlabels"), version("scikit-learn")
    cached = check_memory(memory).cache(_call, ignore=["rng", "settings"])
    with warnings.catch_warnings():
        # joblib looks at the clock to guess that; beside busy processes it is wrong.
        warnings.filterwarnings("ignore", "Persisting input arguments took")
        result, state = cached(function, args, rng.get_state(legacy=False), versions, rng, settings)
    rng.set_state(state)
    return result


def usable_memory(estimator):
    """Return where an estimator keeps what it finds, or None if it would never find it again.

    Fresh entropy does not come twice; a file for each fit would fill the folder.
    """
    return None if estimator.random_state is None else estimator.memory


def _call(function, args, state, versions, rng, settings):
    return function(*args, rng=rng, **settings), rng.get_state(legacy=False)


def fresh_random_state(random_state):
    """Return the ``RandomState`` that stands for a `random_state` parameter.

    As scikit-learn's ``check_random_state``, but None gives fresh entropy: the global state
    of numpy is neither read nor advanced.
    """
    return np.random.RandomState() if random_state is None else check_random_state(random_state)


#: Rows that are predicted at once: mostly the first ones have all classes.
_ROWS = 4096


def warn_unpredicted_classes(estimator, weighs, n_rows, predict, stacklevel, remedy=""):
    """Warn of classes that are never predicted though they were learned.

    Parameters
    ----------
    estimator : classifier
        What was fitted.
    weighs : ndarray of bool, shape (n_classes,)
        Whether a class weighed anything in training.
    n_rows : int
        Number of training rows.
    predict : callable
        Predicts the rows of a slice, as positions in `classes_`, or tells which occur in it.
    stacklevel : int
        As of ``warnings.warn``.
    remedy : str, default=""
        What else may help, a sentence after a space.
    """
    missing = weighs.copy()
    for rows in gen_batches(n_rows, _ROWS):
        missing[predict(rows)] = False
        if not missing.any():
            return
    warnings.warn(
        f"{type(estimator).__name__} predicts no training row to be of the classes "
        f"{shorten(estimator.classes_[np.flatnonzero(missing)])}. They are rare, or hard to tell "
        f"from others. If they matter give them more weight, by class_weight or sample_weight."
        f"{remedy}",
        ConvergenceWarning,
        stacklevel=stacklevel + 1,
    )


_lock, _fits, _paused = Lock(), 0, ExitStack()


@contextmanager
def without_autologging():
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

"""What every fit shares: rollback, random state, memory, autologging, and a warning."""

import sys
import warnings
from contextlib import contextmanager
from importlib.metadata import version

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils.validation import check_memory

from ._validation.labels import shorten

_NOTE = "Nothing was learned: the estimator is as it was before."

#: Fits that hold MLflow's autologging off at this moment. Appending and popping are atomic.
_quiet_fits: list[None] = []

#: Rows predicted at a time. All classes usually occur among the first ones.
_BATCH = 4096


@contextmanager
def unchanged_on_error(estimator, error=BaseException):
    """Restore the attributes of an estimator if the block raises `error`, by default also Ctrl-C.

    The value of the context restores them for another exception: call it with that.
    """
    before = dict(vars(estimator))

    def restore(raised):
        vars(estimator).clear()
        vars(estimator).update(before)
        # One estimator may fit another: the note is added once.
        if isinstance(raised, KeyboardInterrupt) and _NOTE not in getattr(raised, "__notes__", ()):
            raised.add_note(_NOTE)

    try:
        yield restore
    except error as raised:
        restore(raised)
        raise


def take_attributes(estimator, fitted, *names):
    """Set attributes of an estimator to those of the fitted one inside it, or remove them."""
    for name in names:
        vars(estimator).pop(name, None)
        if hasattr(fitted, name):
            setattr(estimator, name, getattr(fitted, name))


def fresh_random_state(random_state):
    """Return the RandomState of a `random_state` parameter; None draws fresh entropy."""
    return np.random.RandomState() if random_state is None else check_random_state(random_state)


def usable_memory(estimator):
    """Return the `memory` of an estimator; None without a `random_state`.

    Results of fresh entropy are never looked up again, and would fill the folder.
    """
    return None if estimator.random_state is None else estimator.memory


def cached_call(memory, function, *args, rng, **settings):
    """Return ``function(*args, rng=rng, **settings)``, from `memory` if it is there.

    `rng` advances in any case. `settings`, such as `n_jobs`, are not part of the key.
    """
    # The key has the state, because equal random states may pickle differently, and the versions,
    # because others may compute something else.
    versions = version("robustlabels"), version("scikit-learn")
    cached = check_memory(memory).cache(_call, ignore=["rng", "settings"])
    with warnings.catch_warnings():
        # joblib measures wall time, which other processes prolong.
        warnings.filterwarnings("ignore", "Persisting input arguments took")
        result, state = cached(function, args, rng.get_state(legacy=False), versions, rng, settings)
    rng.set_state(state)
    return result


def _call(function, args, state, versions, rng, settings):
    return function(*args, rng=rng, **settings), rng.get_state(legacy=False)


@contextmanager
def without_autologging():
    """Turn MLflow's autologging off, which would log each inner tree as a model of the user's.

    MLflow has one switch for the whole process. Where fits overlap, nested or in threads, the last
    one to end turns autologging on again.
    """
    mlflow = sys.modules.get("mlflow.utils.autologging_utils")
    if mlflow is None:
        yield
        return
    _quiet_fits.append(None)
    mlflow._AUTOLOGGING_GLOBALLY_DISABLED = True
    try:
        yield
    finally:
        _quiet_fits.pop()
        mlflow._AUTOLOGGING_GLOBALLY_DISABLED = bool(_quiet_fits)


def warn_unpredicted_classes(estimator, weighted, n_rows, predict, stacklevel, remedy=""):
    """Warn of classes of positive weight, a mask, that are never predicted on the training data.

    `predict` takes a slice of the rows and returns their predictions, as positions in `classes_`,
    or a mask of the classes that occur. `remedy` is one more sentence, after a space.
    """
    missing = weighted.copy()
    for rows in gen_batches(n_rows, _BATCH):
        missing[predict(rows)] = False
        if not missing.any():
            return
    warnings.warn(
        f"{type(estimator).__name__} never predicts the classes "
        f"{shorten(estimator.classes_[missing])} on the training data. They may be rare or poorly "
        f"separable. If they matter, give them more weight with class_weight or sample_weight."
        f"{remedy}",
        ConvergenceWarning,
        stacklevel=stacklevel + 1,
    )

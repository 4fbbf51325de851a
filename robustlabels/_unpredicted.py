"""Classes that no training row is predicted to be."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import gen_batches

from ._labels import shorten

#: Rows that are predicted at once: mostly the first ones have all classes.
_ROWS = 4096


def warn_of_unpredicted(estimator, weighs, n_rows, predict, stacklevel, remedy=""):
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

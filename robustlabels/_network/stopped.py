"""A training that Ctrl-C has stopped, and how it goes on."""

from typing import NamedTuple

import joblib
import numpy as np

from .calibration import Beliefs

#: Parameters that weights and beliefs depend on, and which member learns from a row.
_DECISIVE = ("loss", "alpha", "q")


class Stopped(NamedTuple):
    """What a stopped training learned from, to go on with.

    `key` stands for the data and the parameters; `weight`, of shape (n_samples,), are the weights
    of the rows, with `beliefs` or without; `n_epochs` is the number of epochs that were complete.
    """

    key: str
    weight: np.ndarray
    beliefs: Beliefs | None
    n_epochs: int


def identify(classifier, *data):
    """Return a text that is the same for the same data and the same decisive parameters."""
    params = [repr(getattr(classifier, name)) for name in _DECISIVE]
    params += [classifier.transition_matrix, classifier.class_weight]
    return joblib.hash([*data, *params])

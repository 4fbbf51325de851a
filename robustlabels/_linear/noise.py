"""The noise that UnhingedClassifier accounts for."""

import numpy as np

from .._validation.transitions import check_correctable
from ..refinement import LabelRefiner
from ..refinement._noise_model import known_noise
from ..refinement._refiner import NOISE_ATTRIBUTES


def find_noise(classifier, classes, samples=None):
    """Return the noise of a classifier, as attributes: none, as given, or estimated from samples.

    `_inverse` is the matrix that corrects statistics, or None.
    """
    found = dict.fromkeys((*NOISE_ATTRIBUTES, "_inverse"))
    transition = classifier.transition_matrix
    if transition is None:
        return found
    if not isinstance(transition, str):
        matrix = check_correctable(transition, classes)
        found |= {"transition_matrix_": matrix, "noise_posterior_": known_noise(matrix)}
    elif samples is None:
        raise ValueError(
            "transition_matrix='estimate' needs all rows at once, in memory, and fit. "
            "Otherwise estimate it from some rows with LabelRefiner, and pass the matrix."
        )
    else:
        settings = ("n_jobs", "verbose", "random_state", "memory")
        refiner = LabelRefiner(**{name: getattr(classifier, name) for name in settings})
        matrix = refiner.fit(*samples).transition_matrix_
        if matrix is None:
            return found
        found |= {name: getattr(refiner, name) for name in NOISE_ATTRIBUTES}
        evidence = refiner.noise_evidence_
        if evidence["symmetric"] >= evidence["sparse"] + evidence["full"]:
            return found
        check_correctable(matrix, classes)
    return found | {"_inverse": np.linalg.inv(matrix)}

"""Classification when the training labels are partly wrong."""

import importlib

__version__ = "0.1.0"

#: Public names and the modules they live in. They are imported when first used: torch takes
#: seconds, and what needs only numpy should not wait for it.
_HOMES = {
    "ClassStatistics": "_class_statistics",
    "CleanScores": "_clean_scores",
    "LabelNoiseInjector": "_injector",
    "LabelRefiner": "refinement",
    "NoiseCurveDisplay": "_noise_curve",
    "NoiseInjectedClassifier": "_injector",
    "NoisyConformalClassifier": "_prediction_sets",
    "RefinedClassifier": "_refined",
    "RobustClassifier": "_robust",
    "RobustEnsembleClassifier": "_ensemble",
    "RobustSearchCV": "_search",
    "TransitionMatrixDisplay": "_transition_display",
    "UnhingedClassifier": "_unhinged",
    "asymmetric_transition": "noise",
    "corrupt_labels": "noise",
    "find_wrong_labels": "refinement",
    "losses": None,
    "metrics": None,
    "noise": None,
    "noise_curve": "_noise_curve",
    "pair_transition": "noise",
    "pivot_answers": "_answers",
    "random_transition": "noise",
    "replacement_transition": "noise",
    "symmetric_transition": "noise",
    "to_torch": "_torch_module",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    value = importlib.import_module(f"{__name__}.{home or name}")
    if home is not None:
        value = getattr(value, name)
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)

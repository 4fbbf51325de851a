"""Classification when the training labels are partly wrong."""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

#: Public names and the modules they live in. They are imported when first used: torch takes
#: seconds, and what needs only numpy should not wait for it.
_HOMES = {
    "AdaptationDisplay": "_network.adaptation.display",
    "ClassStatistics": "_linear.statistics",
    "CleanScores": "metrics._clean_scores",
    "LabelAudit": "audit",
    "LabelNoiseInjector": "noise._injector",
    "LabelRefiner": "refinement",
    "LabelReport": "report",
    "NoiseCurveDisplay": "noise._curve",
    "NoiseInjectedClassifier": "noise._injector",
    "NoisyConformalClassifier": "metrics._prediction_sets",
    "RefinedClassifier": "_refined",
    "RobustClassifier": "_network.robust",
    "RobustEnsembleClassifier": "_ensemble.ensemble",
    "RobustSearchCV": "_search",
    "TableWarning": "_validation.table",
    "TransitionMatrixDisplay": "noise._transition_display",
    "UnhingedClassifier": "_linear.unhinged",
    "check_table": "_validation.table",
    "corrupt_labels": "noise",
    "find_wrong_labels": "refinement",
    "losses": None,
    "metrics": None,
    "noise": None,
    "noise_curve": "noise._curve",
    "pivot_answers": "_validation.answers",
    "to_torch": "_network.torch_module",
}

__all__ = [*_HOMES, "__version__"]


if TYPE_CHECKING:
    # For type checkers, which cannot follow the dict.
    from . import losses as losses
    from . import metrics as metrics
    from . import noise as noise
    from ._ensemble.ensemble import RobustEnsembleClassifier as RobustEnsembleClassifier
    from ._linear.statistics import ClassStatistics as ClassStatistics
    from ._linear.unhinged import UnhingedClassifier as UnhingedClassifier
    from ._network.adaptation.display import AdaptationDisplay as AdaptationDisplay
    from ._network.robust import RobustClassifier as RobustClassifier
    from ._network.torch_module import to_torch as to_torch
    from ._refined import RefinedClassifier as RefinedClassifier
    from ._search import RobustSearchCV as RobustSearchCV
    from ._validation.answers import pivot_answers as pivot_answers
    from ._validation.table import TableWarning as TableWarning
    from ._validation.table import check_table as check_table
    from .audit import LabelAudit as LabelAudit
    from .metrics._clean_scores import CleanScores as CleanScores
    from .metrics._prediction_sets import NoisyConformalClassifier as NoisyConformalClassifier
    from .noise import corrupt_labels as corrupt_labels
    from .noise._curve import NoiseCurveDisplay as NoiseCurveDisplay
    from .noise._curve import noise_curve as noise_curve
    from .noise._injector import LabelNoiseInjector as LabelNoiseInjector
    from .noise._injector import NoiseInjectedClassifier as NoiseInjectedClassifier
    from .noise._transition_display import TransitionMatrixDisplay as TransitionMatrixDisplay
    from .refinement import LabelRefiner as LabelRefiner
    from .refinement import find_wrong_labels as find_wrong_labels
    from .report import LabelReport as LabelReport
else:

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

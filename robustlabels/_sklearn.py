"""scikit-learn's private names, imported here alone: they may move between its versions."""

from importlib import import_module

from sklearn.base import _fit_context
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    Options,
    StrOptions,
    validate_params,
)
from sklearn.utils.metaestimators import _BaseComposition, _safe_split
from sklearn.utils.validation import (
    _check_method_params,
    _check_sample_weight,
    _num_samples,
)

__all__ = [
    "HasMethods",
    "Interval",
    "Options",
    "StrOptions",
    "_BaseComposition",
    "_check_method_params",
    "_check_sample_weight",
    "_fit_context",
    "_num_samples",
    "_safe_indexing",
    "_safe_split",
    "validate_params",
]

#: Those of ``sklearn.model_selection``, which takes time to import: who asks for them waits.
_OF_SEARCHES = {
    "BaseSearchCV": "_search",
    "_fit_and_score": "_validation",
    "_insert_error_scores": "_validation",
    "_warn_or_raise_about_fit_failures": "_validation",
}


def __getattr__(name):
    if name not in _OF_SEARCHES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"sklearn.model_selection.{_OF_SEARCHES[name]}"), name)

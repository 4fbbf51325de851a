"""scikit-learn's private names, imported here alone for they may move, and decorators, typed."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    Options,
    StrOptions,
)
from sklearn.utils.metaestimators import _BaseComposition, _safe_split
from sklearn.utils.validation import (
    _check_method_params,
    _check_sample_weight,
    _num_samples,
)

if TYPE_CHECKING:
    # scikit-learn has no types, and what an untyped decorator returns has none either.
    _Decorated = TypeVar("_Decorated", bound=Callable)

    def _fit_context(
        *, prefer_skip_nested_validation: bool
    ) -> Callable[[_Decorated], _Decorated]: ...

    def available_if(check: Callable[[Any], Any]) -> Callable[[_Decorated], _Decorated]: ...

    def validate_params(
        parameter_constraints: dict, *, prefer_skip_nested_validation: bool
    ) -> Callable[[_Decorated], _Decorated]: ...
else:
    from sklearn.base import _fit_context
    from sklearn.utils._param_validation import validate_params
    from sklearn.utils.metaestimators import available_if

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
    "available_if",
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

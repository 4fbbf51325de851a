"""scikit-learn's private names and attributes, used here alone, and its decorators with types.

tests/test_private_names.py says which version of scikit-learn lacks one of them.
"""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions
from sklearn.utils.metaestimators import _BaseComposition, _safe_split
from sklearn.utils.validation import _check_method_params, _check_sample_weight, _num_samples

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

#: Names of ``sklearn.model_selection``, which is slow to import: they are imported on first use.
_OF_SEARCHES = {"BaseSearchCV": "_search", "_fit_and_score": "_validation"}

#: Private attributes of scikit-learn's classes that subclasses in this package call or define.
INHERITED = {
    "sklearn.base.BaseEstimator": ["_validate_params"],
    "sklearn.utils.metaestimators._BaseComposition": [
        "_get_params",
        "_set_params",
        "_validate_names",
    ],
    "sklearn.model_selection._search.BaseSearchCV": [
        "_check_refit_for_multimetric",
        "_format_results",
        "_get_routed_params_for_fit",
        "_get_scorers",
        "_parameter_constraints",
        "_select_best_index",
    ],
}


def __getattr__(name: str) -> Any:
    if name not in _OF_SEARCHES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"sklearn.model_selection.{_OF_SEARCHES[name]}"), name)


def validate_parameters(estimator: Any) -> None:
    """Check the parameters of an estimator against its constraints, as `fit` does."""
    estimator._validate_params()


def parameter_names(estimator_class: type) -> list[str]:
    """Return the names of the parameters of an estimator class."""
    return estimator_class._get_param_names()  # type: ignore[attr-defined]


def scorer_sign(scorer: Any) -> int:
    """Return 1 for a scorer whose metric is better if greater, -1 for one that is negated."""
    return getattr(scorer, "_sign", 1)


def scorers_of(scorer: Any) -> Any:
    """Return the dict of scorers inside a scorer of several metrics, or the scorer itself."""
    return getattr(scorer, "_scorers", scorer)


# Checking the features takes as long as growing a small tree. Without the check they must be
# float32, in an array, or in a CSC matrix to fit and a CSR matrix to predict.


def fit_tree(tree: Any, X: Any, y: Any, sample_weight: Any) -> None:
    """Fit a tree without checking the features."""
    tree.fit(X, y, sample_weight, check_input=False)


def apply_tree(tree: Any, X: Any) -> Any:
    """Return the leaf of each sample, without checking the features."""
    return tree.apply(X, check_input=False)


def predict_proba_of_tree(tree: Any, X: Any) -> Any:
    """Return the class probabilities of each sample, without checking the features."""
    return tree.predict_proba(X, check_input=False)


def collect_results(search, candidates, out, refit_metric):
    """Return `cv_results_` from what ``_fit_and_score`` returned, and the metric for refit.

    Reports failed fits, gives them their `error_score`, and sets `multimetric_`.
    """
    from sklearn.model_selection._validation import (
        _insert_error_scores,
        _warn_or_raise_about_fit_failures,
    )

    _warn_or_raise_about_fit_failures(out, search.error_score)
    if callable(search.scoring):
        _insert_error_scores(out, search.error_score)
    results = search._format_results(candidates, search.n_splits_, out)
    scores = out[0]["test_scores"]
    search.multimetric_ = isinstance(scores, dict)
    if callable(search.scoring) and search.multimetric_:
        search._check_refit_for_multimetric(scores)
        refit_metric = search.refit
    return results, refit_metric

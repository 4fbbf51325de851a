"""Sample weights, class weights and parameters of an estimator inside another."""

from inspect import Parameter, signature

import numpy as np
from sklearn import get_config
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import Pipeline

from .._validation.labels import class_factors, encode
from .._validation.sklearn_private import validate_parameters


def find_weight_parameter(estimator):
    """Return the name of the `fit` parameter that takes sample weights, or None."""
    routed = get_config()["enable_metadata_routing"]
    if isinstance(estimator, Pipeline) and not routed:
        name, last = estimator.steps[-1]
        parameter = find_weight_parameter(last)
        return None if parameter is None else f"{name}__{parameter}"
    parameters = signature(estimator.fit).parameters
    if "sample_weight" in parameters:
        return "sample_weight"
    if all(p.kind is not Parameter.VAR_KEYWORD for p in parameters.values()):
        return None
    # A `fit` with **params, such as that of a search, passes them on to the inner estimator.
    inner = getattr(estimator, "estimator", None)
    return "sample_weight" if inner is None or routed else find_weight_parameter(inner)


def need_weight_parameter(estimator, remedy="Omit it, or pass an estimator that supports it."):
    """Return the name of the `fit` parameter that takes sample weights; raise if there is none."""
    parameter = find_weight_parameter(estimator)
    if parameter is None:
        name = type(estimator).__name__
        raise ValueError(f"The fit of estimator={name} takes no sample_weight. {remedy}")
    return parameter


def check_weights_reach(estimator):
    """Return the weight parameter of a classifier; raise if it cannot learn soft labels by it."""
    parameter = need_weight_parameter(
        estimator,
        "It is needed to learn label probabilities. Pass a classifier that supports it, or a "
        "multi-output regressor such as KNeighborsRegressor, which learns them as targets.",
    )
    _, last = find_last_step(estimator)
    if isinstance(last, CalibratedClassifierCV) and last.estimator is not None:
        inside = find_weight_parameter(last.estimator)
        if inside != "sample_weight":
            raise ValueError(
                f"CalibratedClassifierCV does not pass sample weights to "
                f"{type(last.estimator).__name__}. Calibrate a classifier that takes "
                f"sample_weight, and put a pipeline around CalibratedClassifierCV rather than "
                f"inside it."
            )
    return parameter


def check_parameters(estimator):
    """Validate the parameters of an estimator, or of each step of a pipeline, before a long fit."""
    if get_config()["skip_parameter_validation"]:
        return
    for _, step in estimator.steps if type(estimator) is Pipeline else ():
        check_parameters(step)
    # Other classes, and estimators inside, may replace parameters before they use them.
    owner = type(estimator).__module__.partition(".")[0]
    if owner in ("sklearn", "robustlabels") and hasattr(estimator, "_parameter_constraints"):
        validate_parameters(estimator)


def find_last_step(estimator):
    """Return the last step of nested pipelines and the prefix of its parameters."""
    prefix = ""
    while isinstance(estimator, Pipeline):
        name, estimator = estimator.steps[-1]
        prefix += f"{name}__"
    return prefix, estimator


def encode_class_weight(estimator, classes, totals):
    """Replace the labels in each `class_weight` of an estimator by their positions in `classes`.

    "balanced" is computed from `totals`, the weight of each class: repeated rows do not count.
    """
    for name, value in estimator.get_params(deep=True).items():
        if name.split("__")[-1] != "class_weight":
            continue
        if isinstance(value, str) and value in ("balanced", "balanced_subsample"):
            factors = class_factors("balanced", classes, totals)
            estimator.set_params(**{name: dict(enumerate(factors.tolist()))})
        elif isinstance(value, dict):
            try:
                codes = encode(np.array(list(value)), classes).tolist()
            except ValueError as error:
                raise ValueError(
                    f"{name} has the keys {list(value)}, but the classes are {classes.tolist()}. "
                    f"Use only these as keys."
                ) from error
            weights = dict(zip(codes, value.values(), strict=True))
            estimator.set_params(**{name: weights})

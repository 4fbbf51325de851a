"""How any estimator is fitted to weighted copies of rows: its weights, its labels, its splits."""

from inspect import Parameter, signature

import numpy as np
from sklearn import get_config
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

from .._validation.labels import class_factors, encode
from .._validation.sklearn_private import _safe_indexing

#: Rows from which early_stopping="auto" of scikit-learn's boosting stops early.
_MANY_ROWS = 10_000


def find_weight_parameter(estimator):
    """Return the name by which the `fit` of an estimator takes weights of rows, or None."""
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
    # What takes any argument passes it on to the estimator inside, such as a search.
    inner = getattr(estimator, "estimator", None)
    return "sample_weight" if inner is None or routed else find_weight_parameter(inner)


def need_weight_parameter(estimator):
    """Return the name by which the `fit` of an estimator takes weights; say if it has none."""
    parameter = find_weight_parameter(estimator)
    if parameter is None:
        raise ValueError(
            f"The fit of estimator={type(estimator).__name__} takes no sample_weight. Leave "
            f"sample_weight away, or pass an estimator that takes it."
        )
    return parameter


def check_weights_reach(estimator):
    """Say what to do if an estimator cannot be fitted to weighted rows; return the parameter."""
    name = type(estimator).__name__
    parameter = find_weight_parameter(estimator)
    if parameter is None:
        raise ValueError(
            f"The fit of estimator={name} takes no sample_weight, by which it would learn the "
            f"probabilities of the true labels. Pass a classifier that does, or a regressor of "
            f"several outputs such as KNeighborsRegressor, which learns the probabilities as "
            f"targets."
        )
    _, last = find_last_step(estimator)
    if isinstance(last, CalibratedClassifierCV) and last.estimator is not None:
        inside = find_weight_parameter(last.estimator)
        if inside != "sample_weight":
            raise ValueError(
                f"CalibratedClassifierCV does not pass weights of rows to "
                f"{type(last.estimator).__name__}. Calibrate a classifier that takes "
                f"sample_weight; a pipeline goes around CalibratedClassifierCV."
            )
    return parameter


def check_parameters(estimator):
    """Check what scikit-learn checks of the parameters of an estimator, or of a pipeline's steps.

    They would be checked in `fit`, after what takes long. Others may have estimators inside whose
    parameters they set themselves, and classes of a user's parameters that they resolve.
    """
    if get_config()["skip_parameter_validation"]:
        return
    steps = estimator.steps if type(estimator) is Pipeline else ()
    for _, step in steps:
        check_parameters(step)
    owner = type(estimator).__module__.partition(".")[0]
    if owner in ("sklearn", __package__) and hasattr(estimator, "_parameter_constraints"):
        estimator._validate_params()


def find_last_step(estimator):
    """Return what learns at the end of nested pipelines, and the prefix of its parameters."""
    prefix = ""
    while isinstance(estimator, Pipeline):
        name, estimator = estimator.steps[-1]
        prefix += f"{name}__"
    return prefix, estimator


def encode_class_weight(estimator, classes, totals):
    """Set each `class_weight` inside an estimator to one of codes instead of labels.

    "balanced" becomes a dict as well: estimators count rows for it, but copies count by what
    they weigh, `totals` for each class.
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
                    f"{name} names {list(value)}, but the classes are {classes.tolist()}. Name "
                    f"only these."
                ) from error
            weights = dict(zip(codes, value.values(), strict=True))
            estimator.set_params(**{name: weights})


def keep_duplicates_together(estimator, expanded, X, kept, n_rows, of_copies):
    """Set the inner splits of an estimator so that copies of a row stay on one side.

    Parameters
    ----------
    estimator : estimator
        Its parameters are set.
    expanded : ExpandedRows
        The copies.
    X, kept, n_rows
        As in :meth:`ExpandedRows.split`.
    of_copies : bool
        Whether a row has several copies, so that splits at random are wrong.

    Returns
    -------
    share : float or None
        The share of rows that the caller has to hold out for early stopping, if any.
    """
    prefix, last = find_last_step(estimator)
    cv = last.get_params(deep=False).get("cv", "none")
    if not isinstance(cv, str):
        pairs = expanded.split(cv, X, kept, n_rows)
        estimator.set_params(**{f"{prefix}cv": pairs})
    if not of_copies:
        return None
    share = None
    for name, part in _find_parts(estimator):
        if isinstance(part, HistGradientBoostingClassifier):
            early = part.early_stopping
            early = len(expanded) > _MANY_ROWS if early == "auto" else bool(early)
            part.set_params(early_stopping=early)
            if early and part.validation_fraction is not None:
                _check_can_hold_out(part, is_alone=part is estimator)
                share = part.validation_fraction
                share = share if share < 1 else share / len(expanded)
        elif part is not last:
            _refuse_own_folds(name, part)
        if not isinstance(part, HistGradientBoostingClassifier):
            _refuse_random_split(part)
    return share


def _find_parts(estimator):
    """List an estimator and those inside of it, with their names."""
    inside = estimator.get_params(deep=True).items()
    return [("estimator", estimator)] + [
        (name, part)
        for name, part in inside
        if hasattr(part, "fit") and hasattr(part, "get_params") and not isinstance(part, type)
    ]


def _check_can_hold_out(boosting, is_alone):
    if not is_alone:
        raise ValueError(
            "HistGradientBoostingClassifier stops early inside another estimator, where copies of "
            "a row would be on both sides of its split. Set early_stopping=False, or let a "
            "pipeline go around RefinedClassifier(HistGradientBoostingClassifier(...))."
        )
    if "X_val" not in signature(boosting.fit).parameters:
        raise ValueError(
            "Early stopping of HistGradientBoostingClassifier needs scikit-learn 1.7, so that "
            "copies of a row stay on one side of its split. Update it or set early_stopping=False."
        )


def _refuse_own_folds(name, part):
    if not isinstance(part.get_params(deep=False).get("cv", "none"), str):
        raise ValueError(
            f"{type(part).__name__} ({name}) splits rows by its own cv, and copies of a row would "
            f"be on both sides. The cv of the outermost estimator, or of the last step of a "
            f"pipeline, is seen to. Give only the innermost classifier to RefinedClassifier, and "
            f"put the others around it."
        )


def _refuse_random_split(part):
    """Say if an estimator holds out rows at random."""
    params = part.get_params(deep=False)
    if params.get("early_stopping") is True:
        remedy = "early_stopping=False"
    elif (
        "early_stopping" not in params
        and "validation_fraction" in params
        and params.get("n_iter_no_change") is not None
    ):
        remedy = "n_iter_no_change=None"
    else:
        return
    raise ValueError(
        f"{type(part).__name__} holds out rows at random to stop early, and copies of a row would "
        f"be on both sides. Set {remedy}."
    )


def hold_out_for_boosting(expanded, share, needed, X, codes, weight):
    """Split copies for boosting: what to fit to, and the arguments that hold the others.

    Returns
    -------
    X, codes, weight
        Those of the copies that are learned.
    validation : dict
        Arguments of `fit`.
    """
    train, held = map(expanded.copies_of, expanded.hold_out(share, needed))
    validation = {
        "X_val": _safe_indexing(X, held),
        "y_val": codes[held],
        "sample_weight_val": weight[held],
    }
    return _safe_indexing(X, train), codes[train], weight[train], validation

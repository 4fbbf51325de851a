"""Estimators of the user as learners of RobustEnsembleClassifier."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone, is_regressor

from .._inner.expanded_rows import expand
from .._inner.sample_weight import check_parameters, check_weights_reach, find_weight_parameter
from .cross_fitting import normalise

#: What "auto" stands for, beside boosting where it is worth it, and all that a list may name.
AUTO = ("networks", "trees", "trees_many_features", "linear")
BUILT_IN = ("auto", *AUTO, "boosting")

#: Keys of ``learner_weights_`` beside these.
_NETWORKS = ("networks_ce", "networks_sgce")

#: Samples from which early_stopping="auto" of scikit-learn's boosting stops early.
_MANY_ROWS = 10_000


@dataclass
class EstimatorModel:
    """A clone of a user's estimator, as a :class:`FoldModel`."""

    estimator: Any
    seed: int

    def fit(self, X: NDArray, targets: NDArray, weight: NDArray) -> Self | None:
        rng = np.random.RandomState(self.seed)
        n_rows, self._n_classes = targets.shape
        self._classes, self._fitted = np.arange(self._n_classes), clone(self.estimator)
        seeds = sorted(k for k in self._fitted.get_params() if _last(k) == "random_state")
        self._fitted.set_params(**{name: int(rng.randint(2**31)) for name in seeds})
        parameter = find_weight_parameter(self._fitted)
        rows = np.arange(n_rows) if parameter else _draw_rows(weight, rng)
        if is_regressor(self._fitted):
            labels, weight = targets[rows], weight[rows]
        else:
            if _splits_samples(self._fitted, n_rows) or not parameter:
                codes, weight = _draw_labels(targets[rows], rng), weight[rows]
            else:
                rows, codes, shares = expand(targets)
                kept = shares > 0
                rows, codes, weight = rows[kept], codes[kept], (weight[rows] * shares)[kept]
            # The estimator knows only the classes that occur in these folds.
            self._classes, labels = np.unique(codes, return_inverse=True)
            if len(self._classes) < 2:
                return None
        # Equal weights may draw other bootstrap samples than no weights.
        weights = {} if not parameter or np.allclose(weight, weight[0]) else {parameter: weight}
        self._fitted.fit(X[rows], labels, **weights)
        return self

    def predict_proba(self, X: NDArray) -> NDArray:
        method = "predict" if is_regressor(self._fitted) else "predict_proba"
        found = np.asarray(getattr(self._fitted, method)(X))
        expected = len(X), len(self._classes)
        if found.shape != expected or not np.isfinite(found).all():
            raise ValueError(
                f"{method} of {type(self._fitted).__name__} must return finite numbers of shape "
                f"{expected}, one column per class. Got {found!r}."
            )
        proba = np.zeros((len(X), self._n_classes))
        proba[:, self._classes] = found
        return normalise(proba)


def _last(name: str) -> str:
    return name.rpartition("__")[2]


def _splits_samples(estimator: Any, n_rows: int) -> bool:
    """Return whether a classifier holds out some of its samples: copies would be on both sides.

    ``early_stopping="auto"`` is set to what it means for so many samples, copies not counted.
    """
    params = estimator.get_params()
    for name in [key for key, value in params.items() if _last(key) == "early_stopping"]:
        if params[name] == "auto":
            params[name] = n_rows > _MANY_ROWS
            estimator.set_params(**{name: params[name]})
    return any(
        (_last(name) == "cv" and not isinstance(value, str))
        or (_last(name) == "early_stopping" and value)
        or (_last(name) == "n_iter_no_change" and value
            and name.replace("n_iter_no_change", "early_stopping") not in params)
        for name, value in params.items()
    )  # fmt: skip


def _draw_rows(weight: NDArray, rng: np.random.RandomState) -> NDArray:
    """Draw samples in proportion to their weights, systematically: once each if all are equal."""
    ends = np.cumsum(weight) * (len(weight) / weight.sum()) + rng.uniform()
    return np.repeat(np.arange(len(weight)), np.diff(np.floor(ends), prepend=0).astype(int))


def _draw_labels(proba: NDArray, rng: np.random.RandomState) -> NDArray:
    """Draw a class for each row of probabilities."""
    ends = proba.cumsum(axis=1)
    return (ends <= rng.uniform(size=(len(proba), 1)) * ends[:, -1:]).sum(axis=1)


def named_estimators(learners: Any) -> list[tuple[str, Any]]:
    """Return the (name, estimator) pairs of a parameter `learners` that need not be valid."""
    pairs = learners if isinstance(learners, list) else []
    return [pair for pair in pairs if isinstance(pair, tuple) and len(pair) == 2]


def check_learners(learners: Any, reserved: Iterable[str]) -> tuple[list[str], list]:
    """Return the names of built-in learners, and the user's estimators with their names.

    `reserved` are the constructor parameters, which cannot be names.
    """
    learners = ["auto"] if isinstance(learners, str) else learners
    built_in = [item for item in learners if isinstance(item, str) and item in BUILT_IN]
    own = [pair for pair in named_estimators(learners) if isinstance(pair[0], str)]
    if not learners or len(built_in) + len(own) < len(learners):
        raise ValueError(
            f"learners must be 'auto' or a list of names among {list(BUILT_IN)} and pairs (name, "
            f"estimator), such as ['auto', ('knn', KNeighborsClassifier())]. Got {learners!r}."
        )
    names = [*built_in, *(name for name, _ in own)]
    if len({*names}) < len(names):
        raise ValueError(f"Each learner must have a name of its own. Got {names}.")
    for name, estimator in own:
        if not name.isidentifier() or "__" in name or name in {*BUILT_IN, *_NETWORKS, *reserved}:
            raise ValueError(
                f"A learner cannot be named {name!r}. Use an identifier without '__', such as "
                f"'knn', that names neither a parameter nor a learner of RobustEnsembleClassifier."
            )
        try:
            _check_estimator(estimator)
        except (TypeError, ValueError) as error:
            error.add_note(f"It was raised by the learner {name!r}.")
            raise
    return built_in, own


def _check_estimator(estimator: Any) -> None:
    """Raise an error if an estimator cannot be a learner."""
    kind = type(estimator).__name__
    if isinstance(estimator, type) or not hasattr(estimator, "fit"):
        raise TypeError(f"A learner must be an estimator with `fit`. Got {estimator!r}.")
    check_parameters(clone(estimator))
    for name, value in estimator.get_params().items():
        if _last(name) == "class_weight" and value is not None:
            raise ValueError(
                f"{name}={value!r} of {kind} would bias the pooled probabilities. Set class_weight "
                f"of RobustEnsembleClassifier instead; all learners take it into account."
            )
        if _last(name) == "cv" and np.iterable(value) and not isinstance(value, str):
            raise ValueError(
                f"{name} of {kind} lists samples, but a learner is fitted to other samples than "
                f"those passed to fit. Set it to a number of folds or a splitter."
            )
    if is_regressor(estimator):
        return
    if not hasattr(estimator, "predict_proba"):
        raise ValueError(
            f"{kind} has no predict_proba, which the ensemble pools. Wrap it in "
            f"sklearn.calibration.CalibratedClassifierCV."
        )
    if find_weight_parameter(estimator):
        check_weights_reach(estimator)

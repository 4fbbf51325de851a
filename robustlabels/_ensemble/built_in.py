"""The learners that come with RobustEnsembleClassifier."""

from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingClassifier
from sklearn.preprocessing import StandardScaler
from threadpoolctl import ThreadpoolController

from .._inner.expanded_rows import expand
from .._linear.unhinged import UnhingedClassifier
from .cross_fitting import CrossFitted, normalise
from .estimators import AUTO, EstimatorModel
from .grouped_trees import GroupedTrees
from .learners import Learner
from .networks import Networks
from .settings import Settings

#: Smallest probability of a class: a linear rule needs some of each class.
_SMALLEST = 1e-6


@dataclass
class Forest:
    """Extremely randomised trees whose targets are label probabilities."""

    max_features: int | str
    n_jobs: int | None
    settings: Settings
    seed: int

    def fit(self, X: NDArray, targets: NDArray, weight: NDArray) -> Self:
        (n_rows, n_classes), s = targets.shape, self.settings
        max_samples = s.rows_per_tree if n_rows > s.rows_per_tree else None
        params: dict[str, Any] = {
            "min_samples_leaf": s.min_samples_leaf,
            "max_features": self.max_features,
            "max_samples": max_samples,
            "n_jobs": self.n_jobs,
            "random_state": self.seed,
        }
        n_groups = max(s.fewest_groups, s.entries_per_tree // (max_samples or n_rows))
        if n_groups < n_classes:
            self._forest = GroupedTrees(n_trees=s.n_trees, n_groups=n_groups, **params)
        else:
            bootstrap = max_samples is not None
            self._forest = ExtraTreesRegressor(s.n_trees, bootstrap=bootstrap, **params)
        self._forest.fit(X, targets, weight).n_jobs = 1  # threads would change the order of sums
        return self

    def predict_proba(self, X: NDArray) -> NDArray:
        return normalise(self._forest.predict(X))


class Linear:
    """The closed form of the unhinged loss."""

    def fit(self, X: NDArray, targets: NDArray, weight: NDArray) -> Self:
        rows, labels, shares = expand(np.maximum(targets, _SMALLEST))
        self._scaler = StandardScaler().set_output(transform="default").fit(X)
        scaled, self._basis = self._scaler.transform(X), None
        if scaled.shape[1] > len(scaled):
            # The rule depends on inner products alone: a basis of the samples' space is enough.
            self._basis = np.linalg.qr(scaled.T)[0]
            scaled = scaled @ self._basis
        self._rule = UnhingedClassifier().fit(scaled[rows], labels, weight[rows] * shares)
        return self

    def predict_proba(self, X: NDArray) -> NDArray:
        scaled = self._scaler.transform(X)
        scaled = scaled if self._basis is None else scaled @ self._basis
        scores = self._rule.decision_function(scaled).astype(np.float64)
        if scores.ndim == 1:
            scores = np.column_stack([np.zeros_like(scores), scores])
        return softmax(scores, axis=1)


@cache
def _threadpools() -> ThreadpoolController:
    return ThreadpoolController()  # takes 9 ms


@dataclass
class Boosting:
    """Boosted trees that learn the labels as given.

    Soft labels contain no more than the trees that they come from. On large tables the noisy labels
    themselves contain more.
    """

    n_steps: int
    learning_rate: float
    n_classes: int
    max_rows: int
    seed: int

    def fit(self, X: NDArray, targets: NDArray, weight: NDArray | None) -> Self | None:
        if len(X) > self.max_rows:
            rows = np.random.RandomState(self.seed).permutation(len(X))[: self.max_rows]
            X, targets = X[rows], targets[rows]
            weight = None if weight is None else weight[rows]
        if len(np.unique(targets)) < 2:
            return None
        self._trees = HistGradientBoostingClassifier(
            learning_rate=self.learning_rate,
            max_iter=self.n_steps,
            early_stopping=False,
            random_state=self.seed,
        )
        # It would take all cores. With weights the binning takes three times as long.
        with _threadpools().limit(limits=1, user_api="openmp"):
            self._trees.fit(X, targets, weight)
        return self

    def predict_proba(self, X: NDArray) -> NDArray:
        proba = np.full((len(X), self.n_classes), _SMALLEST)
        with _threadpools().limit(limits=1, user_api="openmp"):
            proba[:, self._trees.classes_] += self._trees.predict_proba(X)
        return normalise(proba)


def make_learners(
    ensemble: Any, names: list[str], estimators: list, shape: tuple[int, int, int], s: Settings
) -> list[Learner]:
    """Return the built-in learners of these names, then those of the user's estimators.

    `shape` is the number of samples, features and classes. "auto" has boosting only on tables with
    many samples and few classes; named explicitly, it is used on any table.
    """
    (n_rows, n_features, n_classes), n_jobs = shape, ensemble.n_jobs
    most = max(1, min(s.boosting_steps, s.boosting_trees // n_classes))
    n_steps, chosen = most, {*names}
    if "boosting" not in names:
        n_steps = min((n_rows - s.first_rows) // s.rows_per_step, most)
        if n_steps > 0 and n_classes <= s.boosting_classes and "auto" in names:
            chosen.add("boosting")
    if "auto" in names:
        chosen |= {*AUTO}
    rate = s.learning_rate * min(2, s.boosting_steps / most)  # fewer steps are longer
    root = partial(Forest, "sqrt", n_jobs, s)
    many = partial(Forest, min(n_features, s.max_features), n_jobs, s)
    boosting = partial(Boosting, n_steps, rate, n_classes, s.boosting_rows)
    built_in: dict[str, Learner] = {
        "networks": Networks(ensemble, s),
        "trees": CrossFitted("trees", root),
        "trees_many_features": CrossFitted("trees_many_features", many),
        "linear": CrossFitted("linear", Linear, seeded=False),
        "boosting": CrossFitted("boosting", boosting, learns_given_labels=True, n_jobs=n_jobs),
    }
    return [
        *(learner for name, learner in built_in.items() if name in chosen),
        *(CrossFitted(name, partial(EstimatorModel, e)) for name, e in estimators),
    ]

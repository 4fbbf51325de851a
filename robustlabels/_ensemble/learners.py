"""The learners of RobustEnsembleClassifier: each learns soft labels and leaves out folds.

A learner's `fit` trains a part of it for each fold, on the other folds, and returns what the parts
say of the rows that they have not learned: class probabilities of shape (n_names, n_samples,
n_classes). It takes soft labels of shape (n_samples, n_folds, n_classes), times the weights of rows
and the factors of classes; and for those who learn labels as given the weights alone, and the
labels. `predict` returns what all parts say of other rows, in the mean. The probabilities have
the factors in them if the learner is `weighted`.
"""

import math

import numpy as np
from joblib import Parallel, delayed
from scipy.special import softmax
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingClassifier
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from .._inner.expanded_rows import expand
from .._linear.unhinged import UnhingedClassifier
from .._network.robust import RobustClassifier
from .._network.scores import compute_scores, mean_probabilities
from ..refinement._noise_model import fit_label_prior, remove_noise
from .grouped_trees import GroupedTrees

#: Networks: widths, dropout; passes over the data and steps, at most, and at least.
_WIDTHS, _DROPOUT = (128, 128), 0.25
_EPOCHS, _STEPS = 27, 6000
_FEWEST_STEPS, _FEWEST_EPOCHS = 400, 2

#: Trees of each fold, rows of their leaves at least, rows that they look at, at most, and
#: features that a split looks at, at most, where it does not look at the root of their number.
_TREES, _LEAF = 35, 2
_ROWS_PER_TREE = 20_000
_FEATURES = 40

#: Rows that a tree looks at times classes that it tells apart, at most, if that leaves more than
#: so many classes: a tree has a number for each of its nodes and classes.
_ENTRIES = 2**19
_GROUPS = 32

#: Boosting makes a step more for each so many rows beyond the first; steps, trees, and rows that a
#: part of it looks at, at most, and classes: a step needs a tree for each.
_ROWS_PER_STEP, _FIRST_ROWS = 50, 2000
_BOOSTING_STEPS, _BOOSTING_TREES, _BOOSTING_ROWS = 100, 500, 50_000
_BOOSTING_CLASSES = 100

#: Smallest probability of a class in a soft label: of none at all a linear rule knows nothing.
_SMALLEST = 1e-6


def _take_out(fold, folds, soft_labels):
    """Return the rows to learn, those of the fold, and soft labels and weights of the former."""
    weight = soft_labels[:, fold].sum(axis=1, dtype=np.float64)
    learn = np.flatnonzero((folds != fold) & (weight > 0))
    weight = weight[learn]
    return learn, np.flatnonzero(folds == fold), soft_labels[learn, fold] / weight[:, None], weight


class Networks:
    """Multi-layer perceptrons, for each fold one with each loss, trained at once."""

    weighted = True
    names = ("networks, ce", "networks, sgce")

    def __init__(self, max_epochs, device, n_threads, verbose):
        self.max_epochs = max_epochs
        self.device = device
        self.n_threads = n_threads
        self.verbose = verbose

    def fit(self, X, soft_labels, folds, weight, observed, rng):
        n_rows, n_folds, _ = soft_labels.shape
        self._networks = RobustClassifier(
            n_members=len(self.names) * n_folds,
            max_epochs=self._count_epochs(n_rows),
            hidden_layer_sizes=_WIDTHS,
            dropout=_DROPOUT,
            device=self.device,
            n_threads=self.n_threads,
            verbose=self.verbose,
            random_state=rng.randint(2**31),
        )
        self._networks._fit_folds(X, soft_labels, folds)
        members = len(self.names) * folds[:, None] + np.arange(len(self.names))
        n_done = 0

        def pick(scores):
            # The members that have not learned from a row; all of them would fill memory.
            nonlocal n_done
            of_rows = members[n_done : n_done + len(scores)]
            n_done += len(scores)
            return scores[np.arange(len(scores))[:, None], of_rows]

        unseen = compute_scores(self._networks.net_, X, self.n_threads, pick)
        return mean_probabilities(unseen, len(self.names)).numpy()

    def _count_epochs(self, n_rows):
        """Return passes over the data: fewer over large tables, more over small ones."""
        if self.max_epochs != "auto":
            return self.max_epochs
        n_batches = math.ceil(n_rows / min(n_rows, 128))
        most = max(_FEWEST_EPOCHS, min(_EPOCHS, _STEPS // n_batches))
        return max(most, math.ceil(_FEWEST_STEPS / n_batches))

    def predict(self, X):
        def finish(scores):
            return mean_probabilities(scores, len(self.names)).movedim(0, 1)

        net = self._networks.net_
        return compute_scores(net, X, self.n_threads, finish).movedim(1, 0).numpy()


class Trees:
    """Extremely randomised trees, for each fold a forest, whose targets are the soft labels."""

    weighted = True

    def __init__(self, name, max_features, n_jobs):
        self.names = (name,)
        self.max_features = max_features
        self.n_jobs = n_jobs

    def fit(self, X, soft_labels, folds, weight, observed, rng):
        n_rows, n_folds, n_classes = soft_labels.shape
        held_out = np.full((n_rows, n_classes), 1 / n_classes)
        self._forests = []
        for fold in range(n_folds):
            seed = rng.randint(2**31)
            learn, rest, targets, of_learn = _take_out(fold, folds, soft_labels)
            if not len(learn):
                continue
            forest = self._make_forest(len(learn), n_classes, seed)
            self._forests.append(forest.fit(X[learn], targets, of_learn))
            held_out[rest] = self._predict_by(forest, X[rest])
        return held_out[None]

    def _make_forest(self, n_rows, n_classes, seed):
        max_samples = _ROWS_PER_TREE if n_rows > _ROWS_PER_TREE else None
        settings = {
            "min_samples_leaf": _LEAF,
            "max_features": self.max_features,
            "max_samples": max_samples,
            "n_jobs": self.n_jobs,
            "random_state": seed,
        }
        n_groups = max(_GROUPS, _ENTRIES // (max_samples or n_rows))
        if n_groups < n_classes:
            return GroupedTrees(_TREES, n_groups, **settings)
        return ExtraTreesRegressor(_TREES, bootstrap=max_samples is not None, **settings)

    @staticmethod
    def _predict_by(forest, X):
        # In threads it would add up its trees in an order that changes.
        forest.n_jobs = None
        return _normalise(forest.predict(X))

    def predict(self, X):
        proba = sum(self._predict_by(forest, X) for forest in self._forests)
        return proba[None] / len(self._forests)


def _normalise(means):
    means = np.maximum(means, 0)
    return means / means.sum(axis=1, keepdims=True)


class Linear:
    """The closed form of the unhinged loss, for each fold one."""

    weighted = True
    names = ("linear",)

    def fit(self, X, soft_labels, folds, weight, observed, rng):
        n_rows, n_folds, n_classes = soft_labels.shape
        held_out = np.full((n_rows, n_classes), 1 / n_classes)
        self._rules = []
        for fold in range(n_folds):
            learn, rest, targets, of_learn = _take_out(fold, folds, soft_labels)
            if not len(learn):
                continue
            rows, labels, shares = expand(np.maximum(targets, _SMALLEST))
            scaler = StandardScaler().set_output(transform="default").fit(X[learn])
            scaled, basis = scaler.transform(X[learn]), None
            if scaled.shape[1] > len(scaled):
                # The rule looks at what rows have in common alone: a basis of them says it all.
                basis = np.linalg.qr(scaled.T)[0]
                scaled = scaled @ basis
            rule = UnhingedClassifier().fit(scaled[rows], labels, of_learn[rows] * shares)
            self._rules.append((scaler, basis, rule))
            held_out[rest] = self._apply(*self._rules[-1], X[rest])
        return held_out[None]

    @staticmethod
    def _apply(scaler, basis, rule, X):
        scaled = scaler.transform(X)
        scores = rule.decision_function(scaled if basis is None else scaled @ basis)
        scores = scores.astype(np.float64)
        if scores.ndim == 1:
            scores = np.column_stack([np.zeros_like(scores), scores])
        return softmax(scores, axis=1)

    def predict(self, X):
        proba = sum(self._apply(*part, X) for part in self._rules)
        return proba[None] / len(self._rules)


class Boosting:
    """Boosted trees, for each fold some, which learn labels as given; then the noise is taken out.

    Soft labels know no more than the trees that they come from. Where rows are many, what can be
    seen in noisy labels alone is more.
    """

    weighted = False
    names = ("boosting",)

    def __init__(self, n_steps, learning_rate, n_jobs):
        self.n_steps = n_steps
        self.learning_rate = learning_rate
        self.n_jobs = n_jobs

    def fit(self, X, soft_labels, folds, weight, observed, rng):
        n_rows, n_folds, n_classes = soft_labels.shape
        held_out = np.full((n_rows, n_classes), 1 / n_classes)
        self._n_classes, self._transition, self._parts = n_classes, observed.transition, []
        codes = observed.codes
        # With weights it takes thrice as long to find where to cut the features.
        alike = np.ptp(weight) == 0

        def train(fold, seed):
            learn, rest = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            if len(learn) > _BOOSTING_ROWS:
                learn = np.random.RandomState(seed).permutation(learn)[:_BOOSTING_ROWS]
            if len(np.unique(codes[learn])) < 2:
                return rest, None, None
            part = HistGradientBoostingClassifier(
                learning_rate=self.learning_rate,
                max_iter=self.n_steps,
                early_stopping=False,
                random_state=seed,
            )
            with threadpool_limits(1, user_api="openmp"):  # it would take all that there are
                part.fit(X[learn], codes[learn], None if alike else weight[learn])
                return rest, part, self._label_probabilities(part, X[rest])

        seeds = rng.randint(2**31, size=n_folds)
        parallel = Parallel(self.n_jobs, prefer="threads")
        for rest, part, labels in parallel(map(delayed(train), range(n_folds), seeds)):
            if part is not None:
                self._parts.append((part, fit_label_prior(labels)))
                held_out[rest] = self._take_noise_out(labels, self._parts[-1][1])
        return held_out[None]

    def _label_probabilities(self, part, X):
        proba = np.full((len(X), self._n_classes), _SMALLEST)
        proba[:, part.classes_] += part.predict_proba(X)
        return _normalise(proba)

    def _take_noise_out(self, labels, start):
        if self._transition is None:
            return labels
        return remove_noise(labels, self._transition, start)

    def predict(self, X):
        if not self._parts:
            return np.full((1, len(X), self._n_classes), 1 / self._n_classes)
        with threadpool_limits(1, user_api="openmp"):
            proba = sum(
                self._take_noise_out(self._label_probabilities(part, X), start)
                for part, start in self._parts
            )
        return proba[None] / len(self._parts)


def make_learners(X, n_classes, max_epochs, device, n_jobs, n_threads, verbose):
    """Return the learners of the ensemble, for a table of so many classes."""
    n_rows, n_features = X.shape
    learners = [
        Networks(max_epochs, device, n_threads, verbose),
        Trees("trees", "sqrt", n_jobs),
        Trees("trees, many features", min(n_features, _FEATURES), n_jobs),
        Linear(),
    ]
    # Of few rows it learns the wrong labels, too, and takes as long as all others together.
    most = min(_BOOSTING_STEPS, _BOOSTING_TREES // n_classes)
    n_steps = min((n_rows - _FIRST_ROWS) // _ROWS_PER_STEP, most)
    if n_steps > 0 and n_classes <= _BOOSTING_CLASSES:
        # Of many classes fewer steps are longer.
        learners.append(Boosting(n_steps, 0.1 * min(2, _BOOSTING_STEPS / most), n_jobs))
    return learners

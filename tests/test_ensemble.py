"""RobustEnsembleClassifier: its learners and their weights, a user's own, and hard problems."""

import copy
import pickle
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier
from scipy.special import softmax
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits, load_wine, make_moons
from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.exceptions import ConvergenceWarning, NotFittedError, UndefinedMetricWarning
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from robustlabels import (
    LabelRefiner,
    RobustEnsembleClassifier,
    RobustSearchCV,
    TableWarning,
    UnhingedClassifier,
    corrupt_labels,
)
from robustlabels._ensemble.built_in import make_learners
from robustlabels._ensemble.learners import TrainingData
from robustlabels._ensemble.settings import Settings
from robustlabels.noise import pair_transition
from robustlabels.refinement._crossing import cross_fitted_soft_labels
from robustlabels.refinement._observed_labels import labels_as_given, observe_labels
from robustlabels.refinement._pooling import fit_pool

#: A fit that takes a second, where the networks do not matter.
SHORT = {"max_epochs": 5, "random_state": 0}


@pytest.fixture(scope="module")
def wine():
    X, y = load_wine(return_X_y=True)
    return X, y, corrupt_labels(y, "symmetric", 0.3, exact=True, random_state=0)


@pytest.fixture(scope="module")
def fitted(wine):
    X, _, y_noisy = wine
    return RobustEnsembleClassifier(**SHORT).fit(X, y_noisy)


@pytest.fixture(scope="module")
def mixed():
    """A table with categories, texts, missing values, and names as labels."""
    rng = np.random.RandomState(0)
    n = 600
    kind, amount = rng.randint(3, size=n), rng.normal(size=n)
    y = np.where((kind == 1) ^ (amount > 0.3), "good", "bad").astype(object)
    table = pd.DataFrame(
        {
            "kind": pd.Categorical.from_codes(kind, ["low", "mid", "high"]),
            "place": np.array(["here", "there"], dtype=object)[rng.randint(2, size=n)],
            "amount": np.where(rng.uniform(size=n) < 0.1, np.nan, amount),
            "flag": rng.uniform(size=n) < 0.5,
        },
        index=np.arange(n) + 1000,
    )
    table.loc[1003, "place"] = None
    return table, y, corrupt_labels(y, "symmetric", 0.2, random_state=0)


def test_a_table_goes_in_as_it_is(mixed):
    table, y, y_noisy = mixed
    clf = RobustEnsembleClassifier(**SHORT).fit(table[:400], y_noisy[:400])
    assert (clf.predict(table[400:]) == y[400:]).mean() > 0.85
    assert clf.classes_.tolist() == ["bad", "good"]
    assert clf.feature_names_in_.tolist() == list(table.columns)
    # Columns of categories and of missing values that fit did not see.
    later = table[400:].assign(kind="unheard of", amount=np.nan, flag=True)
    with pytest.warns(TableWarning, match="'kind' has values in most rows that were not there"):
        assert np.isfinite(clf.predict_proba(later)).all()
    with pytest.raises(ValueError, match="was fitted to a data frame"):
        clf.predict(table[400:].to_numpy())
    with pytest.raises(ValueError, match="'amount' had numbers in fit"):
        clf.predict(table[400:].assign(amount="much"))
    with pytest.raises(ValueError, match="feature names"):
        clf.predict(table[400:].rename(columns={"flag": "flags"}))


def test_the_noise_is_that_of_the_refiner(wine, fitted):
    X, _, y_noisy = wine
    clf = fitted
    refiner = LabelRefiner(random_state=0).fit(X, y_noisy)
    np.testing.assert_array_equal(clf.transition_matrix_, refiner.transition_matrix_)
    np.testing.assert_array_equal(clf.refiner_.wrong_probability_, refiner.wrong_probability_)
    assert clf.noise_rate_ == refiner.noise_rate_
    assert clf.noise_evidence_ == refiner.noise_evidence_
    linear = RobustEnsembleClassifier(learners=["linear"], random_state=0)
    given = clone(linear).set_params(transition_matrix=pair_transition(3, 0.2)).fit(X, y_noisy)
    np.testing.assert_allclose(given.transition_matrix_, pair_transition(3, 0.2))
    as_given = clone(linear).set_params(transition_matrix=None).fit(X, y_noisy)
    few = linear.fit(X[::5], y_noisy[::5])
    for clf in (as_given, few):
        assert clf.transition_matrix_ is clf.noise_rate_ is clf.noise_evidence_ is None


def test_probabilities_of_rows_tell_the_prediction(wine, fitted):
    X, y, _ = wine
    clf = fitted
    proba = clf.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(clf.predict(X), proba.argmax(axis=1))
    assert clf.score(X, y) > 0.9
    assert list(clf.learner_weights_) == [
        *("networks_ce", "networks_sgce", "trees", "trees_many_features", "linear"),
    ]
    assert all(weight > 0 for weight in clf.learner_weights_.values())


def test_same_seed_same_classifier_whatever_the_jobs(wine, fitted):
    X, _, y_noisy = wine
    state, first = np.random.get_state()[1].copy(), fitted
    second = RobustEnsembleClassifier(n_jobs=2, **SHORT).fit(X, y_noisy)
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    loaded = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(first.predict_proba(X), loaded.predict_proba(X))
    other = clone(first).set_params(random_state=1).fit(X, y_noisy)
    assert not np.array_equal(other.predict_proba(X), first.predict_proba(X))


def test_rows_are_predicted_in_blocks(wine, fitted):
    X, clf = wine[0], fitted
    many = np.tile(X, (150, 1))
    beyond = []
    for rows in (many[:9000], many):
        tracemalloc.start()
        proba = clf.predict_proba(rows)
        beyond.append(tracemalloc.get_traced_memory()[1] - proba.nbytes)
        tracemalloc.stop()
    assert beyond[1] < 1.5 * beyond[0]
    np.testing.assert_allclose(proba, np.tile(clf.predict_proba(X), (150, 1)), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_sharp_edges_are_learned_by_trees():
    rng = np.random.RandomState(0)
    X = rng.uniform(size=(3000, 2))
    y = np.floor(4 * X).sum(axis=1).astype(int) % 2
    y_noisy = corrupt_labels(y[:1500], "symmetric", 0.3, random_state=0)
    clf = RobustEnsembleClassifier(**SHORT).fit(X[:1500], y_noisy)
    forest = RandomForestClassifier(min_samples_leaf=10, random_state=0).fit(X[:1500], y_noisy)
    assert clf.score(X[1500:], y[1500:]) > forest.score(X[1500:], y[1500:]) - 0.01
    assert clf.learner_weights_["trees_many_features"] > 3 * clf.learner_weights_["linear"]


@pytest.mark.slow
def test_boosting_joins_where_rows_are_many():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(5000, 12))
    # Many axes count a little, none of them in a straight line.
    y = (np.sin(3 * X[:, :8]).sum(axis=1) > 0).astype(int)
    y_noisy = corrupt_labels(y[:3200], "symmetric", 0.2, random_state=0)
    clf = RobustEnsembleClassifier(class_weight={0: 1, 1: 3}, max_epochs=2, random_state=0)
    proba = clf.fit(X[:3200], y_noisy).predict_proba(X[3200:])
    assert clf.learner_weights_["boosting"] == max(clf.learner_weights_.values())
    # What is said of a row does not depend on the others.
    np.testing.assert_allclose(clf.predict_proba(X[3200:3210]), proba[:10], rtol=1e-5)
    # The classes weigh in what it says, too.
    assert proba[:, 1].mean() > (y == 1).mean() + 0.05
    assert balanced_accuracy_score(y[3200:], proba[:, 1] > 0.75) > 0.7


def learner_of(kind, shape, n_jobs=None, **numbers):
    """Return a learner, by its name or of an estimator, for a table of this shape."""
    names, own = ([kind], []) if isinstance(kind, str) else ([], [("own", kind)])
    ensemble = RobustEnsembleClassifier(max_epochs=15, n_jobs=n_jobs)
    (learner,) = make_learners(ensemble, names, own, shape, Settings(**numbers))
    return learner


def training_data(X, codes, n_classes, weight=None, transition=None):
    """Return data of four folds, whose soft labels are the labels as given."""
    weight, folds = np.ones(len(X)) if weight is None else weight, np.arange(len(X)) % 4
    soft = np.repeat(weight[:, None, None] * np.eye(n_classes)[codes][:, None], 4, axis=1)
    observed = labels_as_given(codes, n_classes)
    if transition is not None:
        observed = observe_labels(codes, transition)
    return TrainingData(X.astype(np.float32), soft.astype(np.float32), folds, weight, observed)


KINDS = [
    *("networks", "trees", "trees_many_features", "linear", "boosting"),
    LogisticRegression(),
    GaussianProcessClassifier(),
    KNeighborsRegressor(),
    make_pipeline(StandardScaler(), ExtraTreesRegressor(10, min_samples_leaf=3)),
]
every_kind = pytest.mark.parametrize(
    "kind", KINDS, ids=lambda kind: kind if isinstance(kind, str) else type(kind).__name__
)


@every_kind
def test_a_learner_keeps_its_contract(kind):
    rng = np.random.RandomState(0)
    y = rng.randint(3, size=120)
    X = 2 * np.eye(3)[y] + rng.normal(size=(120, 3))
    learner = learner_of(kind, (120, 3, 3))
    held_out = learner.fit(training_data(X, y, 3), np.random.RandomState(0))
    assert all(name.isidentifier() for name in learner.names)
    assert held_out.shape == (len(learner.names), 120, 3)
    np.testing.assert_allclose(held_out.sum(axis=2), 1, rtol=1e-5)
    assert ((held_out.argmax(axis=2) == y).mean(axis=1) > 0.7).all()
    later = learner.predict(X[:20].astype(np.float32))
    assert later.shape == (len(learner.names), 20, 3)
    np.testing.assert_allclose(later.sum(axis=2), 1, rtol=1e-5)
    loaded = pickle.loads(pickle.dumps(learner))
    np.testing.assert_array_equal(loaded.predict(X[:20].astype(np.float32)), later)
    # Other labels in a fold do not change its predictions, but those of the other folds.
    fold = np.arange(120) % 4 == 1
    changed = training_data(X, np.where(fold, (y + 1) % 3, y), 3)
    again = learner_of(kind, (120, 3, 3)).fit(changed, np.random.RandomState(0))
    np.testing.assert_array_equal(again[:, fold], held_out[:, fold])
    assert not np.allclose(again[:, ~fold], held_out[:, ~fold])


@pytest.fixture(scope="module")
def outweighed():
    """Moons: six of ten labels are wrong, but they weigh a fiftieth of the others."""
    X, y = make_moons(600, noise=0.15, random_state=0)
    wrong = np.random.RandomState(0).uniform(size=600) < 0.6
    return X, y, np.where(wrong, 1 - y, y), np.where(wrong, 0.02, 1.0)


@every_kind
def test_each_learner_heeds_the_weights_of_samples(kind, outweighed):
    X, y, labels, weight = outweighed
    learners = [kind] if isinstance(kind, str) else [("own", kind)]
    clf = RobustEnsembleClassifier(None, learners=learners, max_epochs=15, random_state=0)
    assert clf.fit(X, labels, weight).score(X, y) > 0.75
    assert clf.fit(X, labels).score(X, y) < 0.45


def test_soft_labels_heed_the_weights_of_samples(outweighed):
    X, y, labels, weight = outweighed
    T, folds = np.full((2, 2), 0.4) + 0.2 * np.eye(2), np.arange(600) % 4
    observed = observe_labels(labels, T)
    soft = cross_fitted_soft_labels(X, observed, 2, weight, folds, np.random.RandomState(0))
    for fold in range(4):
        agree = (soft[folds != fold, fold].argmax(axis=1) == y[folds != fold]).mean()
        assert agree > 0.8


def test_a_weighted_sample_counts_as_many_copies_in_the_pool():
    rng = np.random.RandomState(0)
    y, weight = rng.randint(2, size=200), rng.randint(1, 6, size=200)
    log_proba = np.log([rng.dirichlet([1 + 2 * w, 3], 200) for w in (0, 1, 2)])
    # The first learner is right about samples of large weight, the second about the others.
    first = np.where(weight > 3, y, 1 - y)
    log_proba[0], log_proba[1] = (np.log(0.1 + 0.8 * np.eye(2)[c]) for c in (first, 1 - first))
    likelihood, copies = np.eye(2)[y], np.repeat(np.arange(200), weight)
    weighted = fit_pool(log_proba, likelihood, weight.astype(float), fit_offsets=True)
    ones = np.ones(len(copies))
    repeated = fit_pool(log_proba[:, copies], likelihood[copies], ones, fit_offsets=True)
    for found, expected in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_samples_of_classes_without_weight_do_not_judge():
    rng = np.random.RandomState(0)
    y = rng.permutation(45) % 3
    X = rng.normal(size=(45, 2)) + 2 * np.eye(3)[y][:, :2]
    # Within the class a feature changes its samples: the scale stays, and the first feature orders
    # the rows, by which they are assigned to folds.
    moved = X.copy()
    moved[y == 0, 1] = rng.permutation(X[y == 0, 1])
    clf = RobustEnsembleClassifier(
        None, learners=["trees", "linear"], class_weight={0: 0, 1: 1, 2: 1}, random_state=0
    )
    found = [clf.fit(features, y).learner_weights_ for features in (X, moved)]
    assert found[0] == pytest.approx(found[1], rel=1e-9)


def test_boosting_removes_the_noise_for_any_number_of_jobs():
    rng = np.random.RandomState(0)
    X, T = rng.uniform(size=(2000, 2)), pair_transition(3, 0.4)
    y = np.minimum((3 * X[:, 0]).astype(int), 2)
    data = training_data(X, corrupt_labels(y, T, random_state=0), 3, transition=T)
    numbers = {"boosting_steps": 20, "learning_rate": 0.1}
    boosting = [learner_of("boosting", (2000, 2, 3), n_jobs, **numbers) for n_jobs in (1, 2)]
    one, two = (b.fit(data, np.random.RandomState(0))[0] for b in boosting)
    np.testing.assert_array_equal(one, two)
    assert (one.argmax(axis=1) == y).mean() > 0.9
    assert one.max(axis=1).mean() > 0.8
    np.testing.assert_array_equal(*(b.predict(data.X[:10]) for b in boosting))


def test_a_fold_without_a_second_class_has_no_model():
    X, codes = np.random.RandomState(0).normal(size=(80, 2)), np.int64(np.arange(80) % 4 == 0)
    for kind in ("boosting", LogisticRegression(), KNeighborsClassifier()):
        learner = learner_of(kind, (80, 2, 2))
        held_out = learner.fit(training_data(X, codes, 2), np.random.RandomState(0))
        # Only the first fold has the second class: those who leave it out know nothing of it.
        np.testing.assert_allclose(held_out[0, ::4], 0.5)
        np.testing.assert_allclose(learner.predict(X.astype(np.float32)).sum(axis=2), 1)
        nothing = learner_of(kind, (80, 2, 2))
        held_out = nothing.fit(training_data(X, np.zeros(80, int), 2), np.random.RandomState(0))
        np.testing.assert_allclose(held_out, 0.5)
        np.testing.assert_allclose(nothing.predict(X.astype(np.float32)), 0.5)


def test_boosting_draws_some_of_many_rows():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(2000, 4))
    codes = (X[:, 0] > 0).astype(int)
    weight = rng.uniform(0.5, 2, size=2000)
    learner = learner_of("boosting", (2000, 4, 2), boosting_rows=300, boosting_steps=20)
    held_out = learner.fit(training_data(X, codes, 2, weight), rng)[0]
    assert (held_out.argmax(axis=1) == codes).mean() > 0.9


@pytest.mark.parametrize(
    ("n_classes", "n_steps", "rate"), [(2, 100, 0.1), (10, 50, 0.2), (50, 10, 0.2)]
)
def test_boosting_of_many_classes_makes_fewer_and_longer_steps(
    n_classes, n_steps, rate, monkeypatch
):
    seen = []

    def fit(self, X, y, sample_weight=None):
        seen.append((self.max_iter, self.learning_rate))
        raise InterruptedError

    monkeypatch.setattr("sklearn.ensemble.HistGradientBoostingClassifier.fit", fit)
    X, y = np.random.RandomState(0).normal(size=(8000, 2)), np.arange(8000) % n_classes
    clf = RobustEnsembleClassifier(None, learners=["auto"], max_epochs=1, random_state=0)
    clf.set_params(learners=["boosting"])
    with pytest.raises(InterruptedError):
        clf.fit(X, y)
    assert seen == [(n_steps, pytest.approx(rate))]


def test_networks_pass_twice_over_the_largest_tables():
    networks = learner_of("networks", (100, 2, 2))
    networks.max_epochs = "auto"
    epochs = [networks._count_epochs(n) for n in (128, 12_800, 128_000, 10**6, 10**7)]
    assert epochs == [400, 27, 6, 2, 2]


def test_the_linear_rule_of_few_rows_is_that_of_all_their_features():
    rng = np.random.RandomState(0)
    codes, weight = rng.randint(3, size=80), rng.uniform(1, 2, size=80)
    X = rng.normal(size=(3, 200))[codes] + rng.normal(size=(80, 200))
    data = training_data(X, codes, 3, weight)
    linear = learner_of("linear", (80, 200, 3))
    (held_out,) = linear.fit(data, rng)
    learn, X = data.folds != 0, data.X
    scaler = StandardScaler().fit(X[learn])
    rule = UnhingedClassifier().fit(scaler.transform(X[learn]), codes[learn], weight[learn])
    expected = softmax(rule.decision_function(scaler.transform(X[~learn])), axis=1)
    np.testing.assert_allclose(held_out[~learn], expected, rtol=2e-3, atol=1e-4)


def test_class_weights_are_removed_from_learners_trained_with_them():
    proba, clf = np.array([[0.7, 0.3], [0.2, 0.8]]), RobustEnsembleClassifier()
    clf._factors = np.array([1.0, 3.0])
    clf._learners = [learner_of(kind, (9, 2, 2)) for kind in ("linear", "boosting")]
    with_factors = proba * clf._factors
    with_factors /= with_factors.sum(axis=1, keepdims=True)
    learned_with_them, without = clf._log_probabilities([with_factors[None], proba[None]])
    np.testing.assert_allclose(learned_with_them, without)


class Recorder(ClassifierMixin, BaseEstimator):
    """Remembers what each clone is fitted to."""

    seen: list = []

    def __init__(self, random_state=None, cv="none", error=None):
        self.random_state = random_state
        self.cv = cv
        self.error = error

    def fit(self, X, y, sample_weight=None):
        if self.error is not None:
            raise self.error
        self.seen.append((self.random_state, X, y, sample_weight))
        self.n_classes_ = y.max() + 1
        return self

    def predict_proba(self, X):
        return np.full((len(X), self.n_classes_), 1 / self.n_classes_)


class Unweighted(Recorder):
    """The same, without weights."""

    def fit(self, X, y):
        return super().fit(X, y)


def record(estimator, X, y, weight=None, transition=None):
    """Return what the four clones of an estimator in the ensemble were fitted to."""
    Recorder.seen.clear()
    clf = RobustEnsembleClassifier(transition, learners=[("own", estimator)], random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it predicts no class
        clf.fit(X, y, weight)
    return Recorder.seen.copy()


def test_own_classifiers_learn_probabilities_or_labels_drawn_from_them():
    rng = np.random.RandomState(0)
    y = np.arange(200) % 2
    X, T = (rng.normal(size=(200, 2)) + y[:, None]), np.full((2, 2), 0.3) + 0.4 * np.eye(2)
    y_noisy = corrupt_labels(y, T, random_state=0)
    copied, once, drawn = (
        record(kind, X, y_noisy, transition=T)
        for kind in (Recorder(), Recorder(cv=3), Unweighted())
    )
    for _, features, _, weight in copied:
        # Each sample is there once for each class, and weighs 1 in all.
        rows, counts = np.unique(features, axis=0, return_counts=True)
        assert abs(len(rows) - 150) <= 4
        assert counts.max() == 2
        assert weight.sum() == pytest.approx(len(rows), rel=1e-4)
    for of_fold, expected in zip((*once, *drawn), 2 * copied, strict=True):
        # Copies would be on both sides of splits inside.
        assert len(np.unique(of_fold[1], axis=0)) == len(of_fold[1])
        assert of_fold[3] is None
        share = np.average(expected[2], weights=expected[3])
        assert of_fold[2].mean() == pytest.approx(share, abs=0.12)
    assert len({seed for seed, *_ in copied}) == 4
    again = record(Recorder(random_state=7), X, y_noisy, transition=T)
    assert [seed for seed, *_ in again] == [seed for seed, *_ in copied]
    # Labels that are taken as given are neither copied nor drawn.
    (_, features, labels, weight), *_ = record(Unweighted(), X, y)
    assert len(labels) == len(np.unique(features, axis=0))
    assert weight is None
    # Samples are drawn as often as they weigh.
    (_, features, _, _), *_ = record(Unweighted(), X, y, weight=1.0 + (X[:, 0] > 0.5))
    counts = np.unique(features, axis=0, return_counts=True)[1]
    assert len(features) == pytest.approx(150, abs=4)
    assert counts.max() == 2


@pytest.mark.parametrize(
    "estimator",
    [
        KNeighborsClassifier(15),
        CatBoostClassifier(iterations=30, verbose=0, thread_count=1, allow_writing_files=False),
        CalibratedClassifierCV(GaussianNB(), cv=3),
        HistGradientBoostingClassifier(max_iter=15, early_stopping=True),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_own_learners_learn_the_true_labels(estimator, wine):
    X, y, y_noisy = wine
    clf = RobustEnsembleClassifier(learners=[("own", estimator)], random_state=0)
    assert clf.fit(X, y_noisy).score(X, y) > 0.9
    assert list(clf.learner_weights_) == ["own"]
    np.testing.assert_array_equal(clf.predict(X), clf.predict_proba(X).argmax(axis=1))


@pytest.mark.usefixtures("few_trees")
def test_own_learners_join_the_pool(wine, fitted):
    X, y, y_noisy = wine
    learners = ["auto", ("knn", KNeighborsClassifier(15)), ("forest", ExtraTreesRegressor(10))]
    clf = RobustEnsembleClassifier(learners=learners, **SHORT).fit(X, y_noisy)
    assert list(clf.learner_weights_) == [*fitted.learner_weights_, "knn", "forest"]
    assert clf.score(X, y) > 0.9
    two = clone(clf).set_params(n_jobs=2).fit(X, y_noisy)
    np.testing.assert_array_equal(two.predict_proba(X), clf.predict_proba(X))
    loaded = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    balanced = clone(clf).set_params(learners=learners[1:], class_weight={0: 0, 1: 1, 2: 2})
    np.testing.assert_array_equal(balanced.fit(X, y_noisy).predict_proba(X)[:, 0], 0)


def test_named_learners_alone(wine, fitted, monkeypatch):
    X, y, y_noisy = wine
    clf = RobustEnsembleClassifier(learners=["linear", "trees"], **SHORT).fit(X, y_noisy)
    assert list(clf.learner_weights_) == ["trees", "linear"]
    assert clf.score(X, y) > 0.9
    few = Settings(boosting_steps=5)
    monkeypatch.setattr("robustlabels._ensemble.ensemble._SETTINGS", few)
    everything = clone(clf).set_params(learners=["auto", "boosting"]).fit(X, y_noisy)
    assert list(everything.learner_weights_) == [*fitted.learner_weights_, "boosting"]
    as_default = clone(clf).set_params(learners=["auto"]).fit(X, y_noisy)
    np.testing.assert_array_equal(as_default.predict_proba(X), fitted.predict_proba(X))


def test_parameters_of_own_learners_are_reached_by_their_names():
    knn, forest = KNeighborsClassifier(), ExtraTreesRegressor()
    clf = RobustEnsembleClassifier(learners=["trees", ("knn", knn), ("forest", forest)])
    params = clf.get_params()
    assert params["knn"] is knn
    assert params["knn__n_neighbors"] == 5
    assert "knn" not in clf.get_params(deep=False)
    clf.set_params(knn__n_neighbors=7, forest__max_depth=3)
    assert (knn.n_neighbors, forest.max_depth) == (7, 3)
    other = clone(clf).set_params(knn=GaussianNB(), knn__var_smoothing=0.1)
    assert other.learners[0] == "trees"
    assert other.get_params()["knn__var_smoothing"] == 0.1
    assert clf.get_params()["knn"] is knn
    assert clone(other).get_params()["forest__max_depth"] == 3
    other.set_params(learners=["auto", ("nb", GaussianNB())], nb__var_smoothing=0.2)
    assert other.get_params()["nb__var_smoothing"] == 0.2
    with pytest.raises(ValueError, match="Invalid parameter 'knn'"):
        other.set_params(knn__n_neighbors=3)


@pytest.mark.parametrize("search", [GridSearchCV, RobustSearchCV])
def test_searches_over_parameters_of_own_learners(search, wine):
    X, y, y_noisy = wine
    clf = RobustEnsembleClassifier(None, learners=["linear", ("knn", KNeighborsClassifier())])
    grid = [
        {"knn__n_neighbors": [1, 15]},
        {"knn": [GaussianNB()]},
        {"learners": [["trees"]], "class_weight": [None]},
    ]
    found = search(clf.set_params(random_state=0), grid, cv=2, error_score="raise")
    assert found.fit(X, y_noisy).score(X, y) > 0.75
    assert len(found.cv_results_["params"]) == 4
    assert clf.get_params()["knn__n_neighbors"] == 5


@pytest.mark.parametrize(
    ("learners", "message"),
    [
        ([], "learners must be 'auto' or a list"),
        (["forest"], "'forest'"),
        ([("knn", KNeighborsClassifier(), 1)], "must be 'auto' or a list"),
        ([(1, KNeighborsClassifier())], "must be 'auto' or a list"),
        ([KNeighborsClassifier()], "must be 'auto' or a list"),
        (["trees", "trees"], "name of its own"),
        ([("a", KNeighborsClassifier()), ("a", GaussianNB())], "name of its own"),
        ([("a__b", GaussianNB())], "cannot be named 'a__b'"),
        ([("my knn", GaussianNB())], "cannot be named 'my knn'"),
        ([("n_jobs", GaussianNB())], "cannot be named 'n_jobs'"),
        ([("networks_ce", GaussianNB())], "cannot be named 'networks_ce'"),
        ([("nb", GaussianNB)], "must be an estimator"),
        ([("nb", "drop")], "must be an estimator"),
        ([("svm", LinearSVC())], "LinearSVC has no predict_proba"),
        ([("lr", make_pipeline(LogisticRegression(class_weight="balanced")))], "Set class_weight"),
        ([("lr", LogisticRegression(C=-1))], "'C' parameter"),
        ([("lr", GridSearchCV(GaussianNB(), {}, cv=[([0], [1])]))], "lists samples"),
        ([("c", CalibratedClassifierCV(KNeighborsClassifier()))], "does not pass sample weights"),
    ],
)
def test_learners_are_checked_before_trees_grow(learners, message, wine, monkeypatch):
    X, _, y_noisy = wine
    monkeypatch.setattr(
        "sklearn.tree.DecisionTreeClassifier.fit", lambda *args, **kwargs: pytest.fail("trees grew")
    )
    clf = RobustEnsembleClassifier(learners=learners)
    assert clf.get_params()["learners"] is learners
    with pytest.raises((ValueError, TypeError), match=message):
        clf.fit(X, y_noisy)


def test_a_learner_that_fails_raises_its_own_error_with_its_name(wine):
    X, _, y_noisy = wine
    clf = RobustEnsembleClassifier(None, learners=[("mine", Recorder())], random_state=0)
    with pytest.raises(OSError, match="no space") as raised:
        clf.set_params(mine__error=OSError("no space left")).fit(X, y_noisy)
    assert "the learner 'mine'" in raised.value.__notes__[0]
    assert not hasattr(clf, "classes_")

    class Infinite(Recorder):
        def predict_proba(self, X):
            return super().predict_proba(X) / 0.0

    with np.errstate(divide="ignore"), pytest.raises(ValueError, match="finite numbers"):
        clf.set_params(mine=Infinite()).fit(X, y_noisy)


@pytest.mark.slow
def test_a_linear_problem_of_many_features_is_left_to_others_than_trees():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(2600, 100))
    y = (X @ rng.normal(size=(100, 3))).argmax(axis=1)
    y_noisy = corrupt_labels(y[:600], "symmetric", 0.2, random_state=1)
    clf = RobustEnsembleClassifier(max_epochs=20, random_state=0).fit(X[:600], y_noisy)
    forest = RandomForestClassifier(min_samples_leaf=10, random_state=0).fit(X[:600], y_noisy)
    assert clf.score(X[600:], y[600:]) > forest.score(X[600:], y[600:]) + 0.05


@pytest.mark.slow
@pytest.mark.parametrize(("share", "rate"), [(0.05, 0.1), (0.1, 0.2)])
def test_a_rare_class_is_predicted_without_being_told(share, rate):
    rng = np.random.RandomState(0)
    y = (rng.uniform(size=4000) < share).astype(int)
    X = rng.normal(size=(4000, 10))
    X[y == 1, :4] += 1.5
    y_noisy = corrupt_labels(y[:2000], "symmetric", rate, random_state=1)
    clf = RobustEnsembleClassifier(max_epochs=15, random_state=0).fit(X[:2000], y_noisy)
    forest = RandomForestClassifier(min_samples_leaf=10, random_state=0).fit(X[:2000], y_noisy)
    ours, theirs = (
        balanced_accuracy_score(y[2000:], model.predict(X[2000:])) for model in (clf, forest)
    )
    assert ours > max(theirs - 0.02, 0.6)
    # Cautious learners predict it too rarely; its offset corrects that.
    frequency = [clf.predict_proba(X[2000:])[:, 1].mean()]
    clf.class_log_offsets_ = np.zeros(2)
    frequency.append(clf.predict_proba(X[2000:])[:, 1].mean())
    assert frequency[1] < 0.9 * frequency[0]
    assert frequency[0] == pytest.approx(y[2000:].mean(), rel=0.2)


@pytest.mark.slow
def test_class_weights_raise_the_recall_of_a_rare_class(mixed):
    rng = np.random.RandomState(0)
    y = (rng.uniform(size=1500) < 0.08).astype(int)
    X = rng.normal(size=(1500, 4)) + y[:, None]
    balanced = RobustEnsembleClassifier(class_weight="balanced", **SHORT).fit(X[:700], y[:700])
    plain = clone(balanced).set_params(class_weight=None).fit(X[:700], y[:700])
    recall = [clf.predict(X[700:])[y[700:] == 1].mean() for clf in (balanced, plain)]
    assert recall[0] > recall[1] + 0.2
    with pytest.raises(ValueError, match="leaves no row with a weight"):
        clone(balanced).set_params(class_weight={0: 0, 1: 0}).fit(X, y)


@pytest.mark.usefixtures("few_trees")
def test_rows_weigh_what_their_copies_would():
    X, y = load_digits(return_X_y=True)
    X, y = X[:120], y[:120]
    weight = 1 + np.arange(120) % 3
    weighted = RobustEnsembleClassifier(None, **SHORT).fit(X, y, sample_weight=weight)
    repeated = RobustEnsembleClassifier(None, **SHORT)
    repeated.fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-5)


def test_a_failed_fit_leaves_the_classifier_as_it_was(wine, fitted):
    X, _, y_noisy = wine
    clf = copy.deepcopy(fitted)
    before = clf.predict_proba(X)
    for bad_X, bad_y, params, message in [
        (X, np.zeros(len(X)), {}, "at least 2 classes"),
        (np.where(X > 2000, np.inf, X) if X.max() > 2000 else X * np.inf, y_noisy, {}, "infinity"),
        (X, y_noisy, {"device": "cuda:99"}, "not available"),
        (X, y_noisy, {"transition_matrix": np.eye(2)}, "transition"),
        (X, y_noisy, {"class_weight": {0: -1}}, "not negative"),
        (X, None, {}, "requires y"),
    ]:
        with pytest.raises(ValueError, match=message):
            clf.set_params(**params).fit(bad_X, bad_y)
        clf.set_params(device="auto", transition_matrix="estimate", class_weight=None)
    with pytest.raises(ValueError, match="weights are zero|non-zero number"):
        clf.fit(X, y_noisy, sample_weight=np.zeros(len(X)))
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    with pytest.raises(NotFittedError):
        RobustEnsembleClassifier().predict(X)


@pytest.mark.parametrize(
    "params",
    [
        {"device": "cuda:99"},
        {"transition_matrix": np.eye(2)},
        {"class_weight": {0: -1, 1: 1, 2: 1}},
        {"class_weight": {0: 1, 7: 1}},
        {"class_weight": {0: 0, 1: 0, 2: 0}},
    ],
    ids=["device", "matrix", "negative", "no class", "nothing"],
)
def test_parameters_are_checked_before_trees_grow(wine, params, monkeypatch):
    X, _, y_noisy = wine
    monkeypatch.setattr(
        "sklearn.tree.DecisionTreeClassifier.fit", lambda *args, **kwargs: pytest.fail("trees grew")
    )
    with pytest.raises(ValueError, match="device|transition matrix|class_weight"):
        RobustEnsembleClassifier(**params).fit(X, y_noisy)


@pytest.mark.usefixtures("few_trees")
def test_features_on_any_scale(wine):
    X, y, y_noisy = wine
    scale = 10.0 ** np.linspace(-30, 30, X.shape[1])
    X_scaled = X * scale
    X_scaled[0, 0] = 1e30
    clf = RobustEnsembleClassifier(**SHORT).fit(X_scaled, y_noisy)
    assert clf.score(X_scaled, y) > 0.9


@pytest.mark.usefixtures("few_trees")
def test_a_search_inside_and_few_rows(wine):
    X, y, _ = wine
    search = GridSearchCV(
        RobustEnsembleClassifier(**SHORT), {"transition_matrix": [None, "estimate"]}, cv=2
    )
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    assert search.fit(X_train, y_train).score(X_test, y_test) > 0.9
    two = RobustEnsembleClassifier(**SHORT).fit([[0.0], [1.0]], ["a", "b"])
    assert set(two.predict([[0.0], [1.0]])) <= {"a", "b"}
    # One class has a single row: of a fold without it nobody has seen the class.
    y_one = np.where(np.arange(len(y)) == 5, 9, y)
    with (
        pytest.warns(UndefinedMetricWarning, match=r"about the classes \[9\]"),
        pytest.warns(ConvergenceWarning, match=r"never predicts the classes \[9\]"),
    ):
        clf = RobustEnsembleClassifier(**SHORT).fit(X, y_one)
    assert clf.predict_proba(X).shape == (len(X), 4)


def test_tables_of_few_different_rows_are_learned():
    rng = np.random.RandomState(0)
    cells = rng.randint(3, size=(600, 2)).astype(float)
    y = np.int64(cells.sum(axis=1) % 2)
    y_noisy = corrupt_labels(y, "symmetric", 0.2, random_state=0)
    assert RobustEnsembleClassifier(**SHORT).fit(cells, y_noisy).score(cells, y) > 0.95
    same, shares = np.zeros((600, 1)), np.repeat([0, 1, 2], [400, 150, 50])
    with pytest.warns(ConvergenceWarning, match=r"never predicts the classes \[1, 2\]"):
        clf = RobustEnsembleClassifier(**SHORT).fit(same, shares)
    proba = clf.predict_proba(same[:1])[0]
    assert proba[0] > proba[1] > proba[2]
    with pytest.warns(ConvergenceWarning, match=r"never predicts the classes \[1\]"):
        ten = RobustEnsembleClassifier(**SHORT).fit(same[:10], [0] * 7 + [1] * 3)
    assert ten.predict(same[:1]) == [0]


def test_class_weights_shift_probabilities_by_their_factors():
    rng = np.random.RandomState(0)
    means, factors = np.array([[0, 0], [1.5, 0], [0, 1.5]]), np.array([1.0, 1.0, 20.0])
    y = np.repeat([0, 1, 2], 300)
    X = means[y] + rng.normal(size=(900, 2))
    weights = dict(enumerate(factors))
    clf = RobustEnsembleClassifier(None, class_weight=weights, max_epochs=15, random_state=0)
    clf.fit(X, y)
    log_density = -((X[:, None] - means) ** 2).sum(axis=2) / 2
    best = factors * np.exp(log_density)
    best /= best.sum(axis=1, keepdims=True)
    mean = factors[y] @ clf.predict_proba(X) / factors[y].sum()
    assert mean[2] == pytest.approx(factors[y] @ best[:, 2] / factors[y].sum(), abs=0.02)
    # A class without weight is left out of what is predicted, not of what is known.
    clf.set_params(class_weight={0: 0, 1: 1, 2: 1}).fit(X, y)
    proba = clf.predict_proba(X)
    np.testing.assert_array_equal(proba[:, 0], 0)
    assert proba[y > 0].max(axis=1).mean() > 0.8
    assert (proba.argmax(axis=1) == y)[y > 0].mean() > 0.85


@pytest.mark.usefixtures("few_trees")
def test_rows_without_weight_have_a_place_in_the_refiner(wine):
    X, _, y_noisy = wine
    weight = np.ones(len(X))
    weight[::4] = 0
    clf = RobustEnsembleClassifier(**SHORT).fit(X, y_noisy, sample_weight=weight)
    unknown = np.isnan(clf.refiner_.wrong_probability_)
    np.testing.assert_array_equal(unknown, weight == 0)


@pytest.mark.parametrize(
    "settings",
    [{"transform_output": "pandas"}, {"enable_metadata_routing": True}],
    ids=["pandas", "routing"],
)
def test_settings_of_scikit_learn_make_no_difference(wine, fitted, settings):
    X, _, y_noisy = wine
    expected = fitted.predict_proba(X)
    with config_context(**settings), np.errstate(all="raise"):
        found = RobustEnsembleClassifier(**SHORT).fit(X, y_noisy).predict_proba(X)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.usefixtures("few_trees")
@pytest.mark.filterwarnings("ignore:RobustEnsembleClassifier never predicts")
def test_a_fold_may_have_all_the_weight():
    X, y = np.arange(10.0)[:, None], ["a"] * 9 + ["b"]
    clf = RobustEnsembleClassifier(class_weight={"a": 0, "b": 1}, **SHORT).fit(X, y)
    assert set(clf.predict(X)) == {"b"}
    weight = np.ones(60)
    weight[0] = 1e50
    clf = RobustEnsembleClassifier(**SHORT).fit(np.arange(60.0)[:, None], ["a", "b"] * 30, weight)
    assert np.isfinite(clf.predict_proba(X)).all()


def test_balanced_weights_count_no_label_as_given():
    # In its own fold a row has its label as given, all of class 0 here; nobody learns that.
    folds = np.arange(80) % 4
    soft_labels = np.full((80, 4, 2), 0.5)
    soft_labels[np.arange(80), folds] = [1, 0]
    clf = RobustEnsembleClassifier(class_weight="balanced")
    clf.classes_ = np.array([0, 1])
    np.testing.assert_allclose(clf._find_factors(soft_labels, folds, np.ones(80)), 1)

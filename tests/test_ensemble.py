"""RobustEnsembleClassifier: what it learns, how its learners are weighed, and hard problems."""

import copy
import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError, UndefinedMetricWarning
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.preprocessing import StandardScaler

from robustlabels import (
    LabelRefiner,
    RobustEnsembleClassifier,
    UnhingedClassifier,
    corrupt_labels,
    pair_transition,
)
from robustlabels._ensemble.learners import Boosting, Linear
from robustlabels.refinement._observed_labels import labels_as_given, observe_labels

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
    given = RobustEnsembleClassifier(pair_transition(3, 0.2), **SHORT).fit(X, y_noisy)
    np.testing.assert_allclose(given.transition_matrix_, pair_transition(3, 0.2))
    as_given = RobustEnsembleClassifier(None, **SHORT).fit(X, y_noisy)
    few = RobustEnsembleClassifier(**SHORT).fit(X[::5], y_noisy[::5])
    for clf in (as_given, few):
        assert clf.transition_matrix_ is clf.noise_rate_ is clf.noise_evidence_ is None


def test_probabilities_of_rows_tell_the_prediction(wine, fitted):
    X, y, _ = wine
    clf = fitted
    proba = clf.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(clf.predict(X), proba.argmax(axis=1))
    assert clf.score(X, y) > 0.9
    assert set(clf.weights_) == {
        *("networks, ce", "networks, sgce", "trees", "trees, many features", "linear"),
    }
    assert all(weight > 0 for weight in clf.weights_.values())


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
    assert clf.weights_["trees, many features"] > 3 * clf.weights_["linear"]


@pytest.mark.slow
def test_boosting_joins_where_rows_are_many():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(5000, 12))
    # Many axes count a little, none of them in a straight line.
    y = (np.sin(3 * X[:, :8]).sum(axis=1) > 0).astype(int)
    y_noisy = corrupt_labels(y[:3200], "symmetric", 0.2, random_state=0)
    clf = RobustEnsembleClassifier(class_weight={0: 1, 1: 3}, max_epochs=2, random_state=0)
    proba = clf.fit(X[:3200], y_noisy).predict_proba(X[3200:])
    assert clf.weights_["boosting"] == max(clf.weights_.values())
    # What is said of a row does not depend on the others.
    np.testing.assert_allclose(clf.predict_proba(X[3200:3210]), proba[:10], rtol=1e-5)
    # The classes weigh in what it says, too.
    assert proba[:, 1].mean() > (y == 1).mean() + 0.05
    assert balanced_accuracy_score(y[3200:], proba[:, 1] > 0.75) > 0.7


def test_boosting_takes_the_noise_out_for_any_number_of_jobs():
    rng = np.random.RandomState(0)
    X, T = rng.uniform(size=(2000, 2)), pair_transition(3, 0.4)
    y = np.minimum((3 * X[:, 0]).astype(int), 2)
    evidence, weight = observe_labels(corrupt_labels(y, T, random_state=0), T), np.ones(2000)
    folds, soft_labels = np.arange(2000) % 4, np.zeros((2000, 4, 3))
    boosting = [Boosting(20, 0.1, n_jobs) for n_jobs in (1, 2)]
    one, two = (
        b.fit(X, soft_labels, folds, weight, evidence, np.random.RandomState(0)) for b in boosting
    )
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(one[0].sum(axis=1), 1)
    assert (one[0].argmax(axis=1) == y).mean() > 0.9
    assert one[0].max(axis=1).mean() > 0.8
    np.testing.assert_array_equal(*(b.predict(X[:10]) for b in boosting))
    # Of one class nobody learns anything.
    nothing = Boosting(20, 0.1, 1)
    of_one = evidence._replace(codes=np.zeros(2000, dtype=int))
    np.testing.assert_allclose(nothing.fit(X, soft_labels, folds, weight, of_one, rng), 1 / 3)
    np.testing.assert_allclose(nothing.predict(X[:2]), 1 / 3)


def test_boosting_knows_nothing_of_the_rows_that_it_speaks_of(monkeypatch):
    rng = np.random.RandomState(0)
    X, codes = rng.normal(size=(2000, 4)), rng.randint(3, size=2000)
    weight, folds = np.ones(2000), np.arange(2000) % 4
    soft_labels = np.zeros((2000, 4, 3))
    (unseen,) = Boosting(50, 0.2, 1).fit(
        X, soft_labels, folds, weight, labels_as_given(codes, 3), rng
    )
    assert (unseen.argmax(axis=1) == codes).mean() < 0.4
    # It learns, also from a part of many rows.
    monkeypatch.setattr("robustlabels._ensemble.learners._BOOSTING_ROWS", 300)
    easy = labels_as_given((X[:, 0] > 0).astype(int), 3)
    (unseen,) = Boosting(20, 0.1, 1).fit(X, soft_labels[:, :, :2], folds, weight, easy, rng)
    assert (unseen.argmax(axis=1) == easy.codes).mean() > 0.9


def test_the_linear_rule_of_few_rows_is_that_of_all_their_features():
    rng = np.random.RandomState(0)
    codes, weight, folds = rng.randint(3, size=80), rng.uniform(1, 2, size=80), np.arange(80) % 4
    X = (rng.normal(size=(3, 200))[codes] + rng.normal(size=(80, 200))).astype(np.float32)
    to_learn = np.repeat(weight[:, None, None] * np.eye(3)[codes][:, None], 4, axis=1)
    linear = Linear()
    (unseen,) = linear.fit(X, to_learn, folds, weight, labels_as_given(codes, 3), rng)
    learn = folds != 0
    scaler = StandardScaler().fit(X[learn])
    rule = UnhingedClassifier().fit(scaler.transform(X[learn]), codes[learn], weight[learn])
    expected = softmax(rule.decision_function(scaler.transform(X[~learn])), axis=1)
    np.testing.assert_allclose(unseen[~learn], expected, rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(linear.predict(X[:5])[0].sum(axis=1), 1)


def test_factors_are_taken_out_of_what_learners_say_that_learned_with_them():
    proba, clf = np.array([[0.7, 0.3], [0.2, 0.8]]), RobustEnsembleClassifier()
    clf._factors, clf._learners = np.array([1.0, 3.0]), [Linear(), Boosting(1, 0.1, 1)]
    with_factors = proba * clf._factors
    with_factors /= with_factors.sum(axis=1, keepdims=True)
    learned_with_them, without = clf._opinions([with_factors[None], proba[None]])
    np.testing.assert_allclose(learned_with_them, without)


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
    # The intercept brings it to about its share, for cautious learners give it less.
    frequency = [clf.predict_proba(X[2000:])[:, 1].mean()]
    clf.intercept_ = np.zeros(2)
    frequency.append(clf.predict_proba(X[2000:])[:, 1].mean())
    assert frequency[1] < 0.9 * frequency[0]
    assert frequency[0] == pytest.approx(y[2000:].mean(), rel=0.1)


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


def test_features_on_any_scale(wine):
    X, y, y_noisy = wine
    scale = 10.0 ** np.linspace(-30, 30, X.shape[1])
    X_scaled = X * scale
    X_scaled[0, 0] = 1e30
    clf = RobustEnsembleClassifier(**SHORT).fit(X_scaled, y_noisy)
    assert clf.score(X_scaled, y) > 0.9


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
        pytest.warns(ConvergenceWarning, match=r"of the classes \[9\]"),
    ):
        clf = RobustEnsembleClassifier(**SHORT).fit(X, y_one)
    assert clf.predict_proba(X).shape == (len(X), 4)


def test_tables_of_few_different_rows_are_learned():
    rng = np.random.RandomState(0)
    cells = rng.randint(3, size=(600, 2)).astype(float)
    y = np.int64(cells.sum(axis=1) % 2)
    y_noisy = corrupt_labels(y, "symmetric", 0.2, random_state=1)
    assert RobustEnsembleClassifier(**SHORT).fit(cells, y_noisy).score(cells, y) > 0.95
    same, shares = np.zeros((600, 1)), np.repeat([0, 1, 2], [400, 150, 50])
    with pytest.warns(ConvergenceWarning, match=r"of the classes \[1, 2\]"):
        clf = RobustEnsembleClassifier(**SHORT).fit(same, shares)
    proba = clf.predict_proba(same[:1])[0]
    assert proba[0] > proba[1] > proba[2]
    with pytest.warns(ConvergenceWarning, match=r"of the classes \[1\]"):
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

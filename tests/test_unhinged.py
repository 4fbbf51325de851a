"""UnhingedClassifier: the closed form is the minimiser, exactly robust, and exact left-one-out."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestCentroid

from robustlabels import ClassStatistics, LabelRefiner, UnhingedClassifier, corrupt_labels
from robustlabels.noise import pair_transition, symmetric_transition

METRICS = ["covariance", "euclidean"]
INTERCEPTS = ["prior", "midpoint", "penalized", "none"]
NOISE = ["transition_matrix_", "noise_rate_", "noise_posterior_", "noise_evidence_"]

by_metric = pytest.mark.parametrize("metric", METRICS)
by_intercept = pytest.mark.parametrize("intercept", INTERCEPTS)


def make_rows(n=60, d=4, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.choice(n_classes, size=n, p=np.arange(1, n_classes + 1) / sum(range(n_classes + 1)))
    means = rng.normal(size=(n_classes, d)) * 2
    X = (means[y] + rng.normal(size=(n, d))) * rng.uniform(0.5, 2, d) + 5
    return X, y, rng.uniform(0.2, 3, n)


X, Y, WEIGHT = make_rows()
X.flags.writeable = Y.flags.writeable = WEIGHT.flags.writeable = False


def spread_labels(X, y, transition):
    """Return every row once per class, weighted by how often it gets that label: no sampling."""
    n_classes = len(transition)
    labels = np.tile(np.arange(n_classes), len(y))
    return np.repeat(X, n_classes, axis=0), labels, transition[y].ravel()


def split_digits(noise, seed=0):
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=seed)
    return X_train, X_test, corrupt_labels(y_train, noise, 0.4, random_state=seed), y_test


@by_metric
@pytest.mark.parametrize("intercept", ["penalized", "none"])
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_coefficients_minimise_the_objective(metric, intercept, n_classes):
    X, y, weight = make_rows(n_classes=n_classes)
    alpha, mean = 0.7, np.average(X, axis=0, weights=weight)
    clf = UnhingedClassifier(alpha, metric=metric, intercept=intercept).fit(X, y, weight)
    V, b = clf.coef_, clf.intercept_ + clf.coef_ @ mean
    if n_classes == 2:
        V, b = np.vstack([-V, V]) / 2, np.append(-b, b) / 2
    V, b = torch.tensor(V, requires_grad=True), torch.tensor(b, requires_grad=True)
    share = torch.tensor(weight / weight.sum())
    linear = torch.tensor(X - mean) @ V.T
    f = linear + b
    objective = share @ (f.mean(dim=1) - f[np.arange(len(y)), y]) + alpha / 2 * (V**2).sum()
    if metric == "covariance":
        objective = objective + share @ (linear**2).sum(dim=1) / 2 + (b**2).sum() / 2
    else:
        objective = objective + alpha / 2 * (b**2).sum()
    objective.backward()
    # It is strictly convex.
    np.testing.assert_allclose(V.grad, 0, atol=1e-12)
    np.testing.assert_allclose(b.grad if intercept == "penalized" else b.detach(), 0, atol=1e-12)


def test_covariance_metric_is_ridge_regression_on_centred_one_hot_labels():
    ridge = Ridge(0.3 * WEIGHT.sum()).fit(X, np.eye(3)[Y] - 1 / 3, WEIGHT)
    clf = UnhingedClassifier(0.3, intercept="penalized").fit(X, Y, WEIGHT)
    np.testing.assert_allclose(clf.coef_, ridge.coef_, atol=1e-10)
    np.testing.assert_allclose(clf.intercept_, ridge.intercept_, atol=1e-10)


def test_euclidean_midpoint_is_the_nearest_centroid():
    X, y = load_iris(return_X_y=True)
    clf = UnhingedClassifier(metric="euclidean", intercept="midpoint").fit(X, y)
    np.testing.assert_array_equal(clf.predict(X), NearestCentroid().fit(X, y).predict(X))


@by_metric
def test_prior_adds_the_log_frequencies_to_midpoint(metric):
    prior, midpoint = (
        UnhingedClassifier(metric=metric, intercept=intercept).fit(X, Y, WEIGHT)
        for intercept in ("prior", "midpoint")
    )
    np.testing.assert_array_equal(prior.coef_, midpoint.coef_)
    log_frequency = np.log(np.bincount(Y, WEIGHT) / WEIGHT.sum())
    np.testing.assert_allclose(prior.intercept_ - midpoint.intercept_, log_frequency)


@by_metric
@pytest.mark.parametrize("intercept", ["penalized", "none"])
@pytest.mark.parametrize("rate", [0.2, 0.6])
def test_expected_symmetric_noise_changes_no_prediction(metric, intercept, rate):
    X, y, _ = make_rows(200)
    clf = UnhingedClassifier(metric=metric, intercept=intercept)
    clean = clf.fit(X, y).decision_function(X)
    noisy = clf.fit(*spread_labels(X, y, symmetric_transition(3, rate))).decision_function(X)
    np.testing.assert_allclose(noisy, (1 - rate * 3 / 2) * clean, atol=1e-10)


@given(share=st.floats(0.05, 0.95), seed=st.integers(0, 100))
def test_expected_replacement_noise_changes_no_prediction(share, seed):
    X, y, _ = make_rows(seed=seed)
    replaced_by = np.random.default_rng(seed).dirichlet(np.ones(3))
    transition = share * np.eye(3) + (1 - share) * replaced_by
    for metric in METRICS:
        clf = UnhingedClassifier(metric=metric, intercept="none")
        clean = clf.fit(X, y).decision_function(X)
        noisy = clf.fit(*spread_labels(X, y, transition)).decision_function(X)
        np.testing.assert_allclose(noisy, share * clean, atol=1e-10)


@by_metric
@by_intercept
def test_known_noise_is_undone_in_expectation(metric, intercept):
    X, y, _ = make_rows(200)
    transition = np.array([[0.6, 0.4, 0.0], [0.1, 0.7, 0.2], [0.3, 0.0, 0.7]])
    clf = UnhingedClassifier(metric=metric, intercept=intercept)
    clean = clf.fit(X, y)
    coef, offset = clean.coef_, clean.intercept_
    clf.set_params(transition_matrix=transition).fit(*spread_labels(X, y, transition))
    np.testing.assert_allclose(clf.coef_, coef, atol=1e-9)
    np.testing.assert_allclose(clf.intercept_, offset, atol=1e-8)


def test_a_class_that_the_correction_makes_rarer_than_nothing_has_a_least_frequency():
    # Nobody was labelled 2, though noise alone would label a tenth so.
    y = np.minimum(Y, 1)
    transition = symmetric_transition(3, 0.2)
    clf = UnhingedClassifier(intercept="prior", transition_matrix=transition)
    clf.partial_fit(X, y, classes=[0, 1, 2])
    assert (np.linalg.inv(transition).T @ np.bincount(y, minlength=3))[2] < 0
    midpoint = clf.intercept_
    clf.set_params(intercept="midpoint").fit_statistics(clf.statistics_)
    assert midpoint[2] - clf.intercept_[2] == pytest.approx(np.log(0.01 / 3))


@pytest.mark.parametrize(
    "samples", [(X, Y, WEIGHT), (sparse.csr_array(X), Y, None)], ids=["weighted", "sparse"]
)
def test_the_noise_is_that_of_a_refiner(samples, tmp_path):
    refiner = LabelRefiner(random_state=0, memory=str(tmp_path)).fit(*samples)
    # The trees are looked up.
    clf = UnhingedClassifier(transition_matrix="estimate", random_state=0, memory=str(tmp_path))
    clf.fit(*samples)
    assert clf.transition_matrix_ is not None
    for name in NOISE:
        np.testing.assert_equal(getattr(clf, name), getattr(refiner, name))
    clf.set_params(transition_matrix=None).fit(*samples)
    assert [getattr(clf, name) for name in NOISE] == [None] * 4


def test_parameters_of_the_trees_reach_them(monkeypatch):
    seen = []

    def fit(self, *rows):
        seen.append(self.get_params())
        self.transition_matrix_ = None
        return self

    monkeypatch.setattr(LabelRefiner, "fit", fit)
    of_trees = {"n_jobs": 2, "verbose": 1, "random_state": 3, "memory": "folder"}
    UnhingedClassifier(transition_matrix="estimate", **of_trees).fit(X, Y)
    assert seen == [LabelRefiner(**of_trees).get_params()]


def test_without_trees_nothing_is_random():
    X, y, _ = make_rows(3000)
    one, other = (UnhingedClassifier(random_state=seed).fit(X, y) for seed in (1, None))
    assert one.temperature_ == other.temperature_
    np.testing.assert_array_equal(one.coef_, other.coef_)


def test_estimated_pair_noise_on_digits_gains_five_points():
    X_train, X_test, y_noisy, y_test = split_digits("pair")
    clf = UnhingedClassifier(random_state=0)
    plain = clf.fit(X_train, y_noisy).score(X_test, y_test)
    clf.set_params(transition_matrix="estimate").fit(X_train, y_noisy)
    assert clf.noise_evidence_["sparse"] + clf.noise_evidence_["full"] > 0.9
    error = np.abs(clf.transition_matrix_ - pair_transition(10, 0.4)).sum(axis=1).mean() / 2
    assert error < 0.1
    assert clf.noise_rate_ == pytest.approx(0.4, abs=0.1)
    assert clf.score(X_test, y_test) > plain + 0.05


def test_estimated_symmetric_noise_corrects_the_probabilities_alone():
    X_train, X_test, y_noisy, y_test = split_digits("symmetric")
    plain = UnhingedClassifier().fit(X_train, y_noisy)
    clf = UnhingedClassifier(transition_matrix="estimate", random_state=0).fit(X_train, y_noisy)
    assert max(clf.noise_evidence_, key=clf.noise_evidence_.get) == "symmetric"
    np.testing.assert_array_equal(clf.coef_, plain.coef_)
    np.testing.assert_array_equal(clf.intercept_, plain.intercept_)
    assert log_loss(y_test, clf.predict_proba(X_test)) < log_loss(
        y_test, plain.predict_proba(X_test)
    )


def test_small_tables_take_their_labels_as_given():
    X, y = load_iris(return_X_y=True)
    clf = UnhingedClassifier(transition_matrix="estimate").fit(X[::4], y[::4])
    assert [getattr(clf, name) for name in NOISE] == [None] * 4
    plain = UnhingedClassifier().fit(X[::4], y[::4])
    np.testing.assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))


def test_noise_cannot_be_estimated_without_all_rows():
    clf = UnhingedClassifier().fit(X, Y).set_params(transition_matrix="estimate")
    coef = clf.coef_
    for fit in (
        lambda: clf.partial_fit(X, Y, classes=np.arange(3)),
        lambda: clf.fit_statistics(clf.statistics_),
    ):
        with pytest.raises(ValueError, match="needs all rows at once, in memory"):
            fit()
    assert clf.coef_ is coef


def test_known_pair_noise_on_digits_gains_ten_points():
    gains = []
    for seed in range(5):
        X_train, X_test, y_noisy, y_test = split_digits("pair", seed)
        plain = UnhingedClassifier().fit(X_train, y_noisy)
        knowing = UnhingedClassifier(transition_matrix=pair_transition(10, 0.4))
        gains.append(knowing.fit(X_train, y_noisy).score(X_test, y_test))
        gains[-1] -= plain.score(X_test, y_test)
    assert np.mean(gains) >= 0.1


def test_few_far_points_can_mislead_it():
    # Separable by the first feature; the second points the wrong way, now and then far.
    y = np.tile([-1, 1], 500)
    X = np.column_stack([0.1 * y, -1.0 * y])
    far = np.arange(1000) % 20 < 2
    X[far, 1] = 20 * y[far]
    accuracy = {
        metric: UnhingedClassifier(1e-3, metric=metric, intercept="none").fit(X, y).score(X, y)
        for metric in METRICS
    }
    assert LogisticRegression(C=1e6).fit(X, y).score(X, y) == 1
    assert accuracy["euclidean"] == 0.1
    assert accuracy["covariance"] == 1


def assert_leave_one_out_equals_refits(clf, X, y, weight, step, rtol):
    """Fit the classifier, and again without each of some rows."""
    scores = clf.fit(X, y, weight).loo_decision_function(X, y, weight)
    some = clf.loo_decision_function(X[:3], y[:3], None if weight is None else weight[:3])
    np.testing.assert_allclose(some, scores[:3], rtol=1e-9)
    for i in range(0, len(y), step):
        kept = np.arange(len(y)) != i
        clf.fit(X[kept], y[kept], None if weight is None else weight[kept])
        np.testing.assert_allclose(scores[i], clf.decision_function(X[[i]])[0], rtol=rtol)


@by_metric
@by_intercept
@pytest.mark.parametrize("weighting", ["none", "equal", "random"])
@pytest.mark.parametrize("known", [False, True], ids=["given", "transition"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_leave_one_out_equals_refits(metric, intercept, weighting, known, n_classes):
    X, y, weight = make_rows(30, n_classes=n_classes)
    weight = {"none": None, "equal": np.full(30, 2.5), "random": weight}[weighting]
    transition = pair_transition(n_classes, 0.3) if known else None
    clf = UnhingedClassifier(0.3, metric=metric, intercept=intercept, transition_matrix=transition)
    assert_leave_one_out_equals_refits(clf, X, y, weight, step=4, rtol=1e-8)


@pytest.mark.parametrize("scale", [1e4, 1e9])
def test_leave_one_out_where_features_differ_in_scale(scale):
    X, y, weight = make_rows(40)
    clf = UnhingedClassifier()
    assert_leave_one_out_equals_refits(clf, X * [1, scale, 1, 1], y, weight, step=7, rtol=1e-6)


def test_leave_one_out_of_the_only_row_of_a_class():
    rows, y = np.vstack([X, X[:1] + 1]), np.append(Y, 3)
    scores = UnhingedClassifier().fit(rows, y).loo_decision_function(rows, y)
    assert scores[-1, 3] == -np.inf
    assert np.isfinite(scores[:-1]).all()


@by_metric
def test_leave_one_out_of_sparse_rows(metric):
    clf = UnhingedClassifier(metric=metric)
    scores = [
        clf.fit(rows, Y, WEIGHT).loo_decision_function(rows, Y, WEIGHT)
        for rows in (X, sparse.csr_array(X))
    ]
    np.testing.assert_allclose(*scores, rtol=1e-8)


@by_metric
def test_leave_one_out_keeps_rows_without_weight_in_their_place(metric):
    weight = np.where(np.arange(60) % 3 == 0, 0, WEIGHT)
    clf = UnhingedClassifier(metric=metric).fit(X, Y, weight)
    scores = clf.loo_decision_function(X, Y, weight)
    # Without weight, leaving a row out changes nothing.
    np.testing.assert_allclose(scores[::3], clf.decision_function(X[::3]), rtol=1e-9)
    kept = weight > 0
    expected = clf.loo_decision_function(X[kept], Y[kept], weight[kept])
    np.testing.assert_allclose(scores[kept], expected, rtol=1e-9)


def test_leave_one_out_rejects_what_was_not_in_the_fit():
    clf = UnhingedClassifier().fit(X, Y)
    with pytest.raises(ValueError, match="not among the classes"):
        clf.loo_decision_function(X, Y + 1)
    with pytest.raises(ValueError, match="weighs more than its class"):
        clf.loo_decision_function(X, Y, np.full(60, 50.0))
    with pytest.raises(ValueError, match="Parameters have changed"):
        clf.set_params(alpha=3.0).loo_decision_function(X, Y)


@by_metric
@pytest.mark.parametrize("as_sparse", [False, True], ids=["dense", "sparse"])
def test_blocks_give_the_classifier_of_one_fit(metric, as_sparse):
    X, y, weight = make_rows(90)
    whole = UnhingedClassifier(metric=metric).fit(X, y, weight)
    blocks = UnhingedClassifier(metric=metric)
    for rows in (slice(60, 90), slice(0, 1), slice(1, 60)):
        block = sparse.csr_array(X[rows]) if as_sparse else X[rows]
        blocks.partial_fit(block, y[rows], classes=[0, 1, 2], sample_weight=weight[rows])
    np.testing.assert_allclose(blocks.coef_, whole.coef_, rtol=1e-9)
    np.testing.assert_allclose(blocks.intercept_, whole.intercept_, rtol=1e-9)


def test_rows_one_by_one_keep_a_sensible_temperature():
    whole, online = UnhingedClassifier().fit(X, Y), UnhingedClassifier()
    for i in range(60):
        online.partial_fit(X[[i]], Y[[i]], classes=[0, 1, 2])
    assert 0.3 < online.temperature_ / whole.temperature_ < 3


def test_statistics_of_machines_and_rows_forgotten():
    X, y, _ = make_rows(90)
    here, there = UnhingedClassifier().fit(X[:50], y[:50]), UnhingedClassifier().fit(X[50:], y[50:])
    whole = UnhingedClassifier().fit(X, y)
    merged = UnhingedClassifier().fit_statistics(here.statistics_ + there.statistics_, X, y)
    np.testing.assert_allclose(merged.coef_, whole.coef_, rtol=1e-10)
    np.testing.assert_allclose(merged.predict_proba(X), whole.predict_proba(X), rtol=1e-8)
    rest = whole.statistics_ - ClassStatistics.from_rows(X[:40], y[:40], scatter=True)
    forgot = UnhingedClassifier().fit_statistics(rest)
    afresh = UnhingedClassifier().fit(X[40:], y[40:])
    np.testing.assert_allclose(forgot.coef_, afresh.coef_, rtol=1e-9)
    np.testing.assert_array_equal(forgot.predict(X), afresh.predict(X))
    with pytest.raises(ValueError, match="temperature .* is not known"):
        forgot.predict_proba(X)


@by_metric
@by_intercept
def test_a_class_without_rows_so_far_is_never_predicted(metric, intercept):
    clf = UnhingedClassifier(metric=metric, intercept=intercept)
    clf.partial_fit(X[Y != 1], Y[Y != 1], classes=[0, 1, 2])
    assert set(clf.predict(X)) == {0, 2}
    assert (clf.predict_proba(X)[:, 1] == 0).all()
    for only, proba in (("a", [1, 0]), ("b", [0, 1])):
        two = UnhingedClassifier(metric=metric, intercept=intercept)
        two.partial_fit(X[:5], [only] * 5, classes=["a", "b"])
        assert set(two.predict(X)) == {only}
        np.testing.assert_array_equal(two.predict_proba(X[:1])[0], proba)
        one_row = ClassStatistics.from_rows(
            X[:1], [only], classes=["a", "b"], scatter=metric == "covariance"
        )
        two.fit_statistics(two.statistics_ - two.statistics_ + one_row)
        assert np.isnan(two.loo_decision_function(X[:1], [only])).all()


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 2.0, 2: 0.5}])
@by_metric
def test_integer_weights_are_repeated_rows(metric, class_weight):
    times = np.arange(60) % 4
    weighted = UnhingedClassifier(metric=metric, class_weight=class_weight).fit(X, Y, times)
    repeated = UnhingedClassifier(metric=metric, class_weight=class_weight).fit(
        np.repeat(X, times, axis=0), np.repeat(Y, times)
    )
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-10)
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-8)


def test_balanced_classes_weigh_the_same():
    clf = UnhingedClassifier(class_weight="balanced").fit(X, Y)
    np.testing.assert_allclose(clf.statistics_.class_weight, 20)
    loo = clf.loo_decision_function(X, Y)
    row = ClassStatistics.from_rows(
        X[:1], Y[:1], classes=[0, 1, 2], sample_weight=[20 / np.bincount(Y)[Y[0]]], scatter=True
    )
    without = UnhingedClassifier().fit_statistics(clf.statistics_ - row)
    np.testing.assert_allclose(loo[0], without.decision_function(X[:1])[0], rtol=1e-8)


def test_probabilities_estimate_the_labels_or_with_a_transition_matrix_the_classes():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=12_000)
    X = 1.2 * np.eye(3)[y] * 2 + rng.normal(size=(12_000, 3))
    transition = symmetric_transition(3, 0.4)
    y_noisy = corrupt_labels(y, transition, random_state=0)
    half = slice(0, 2000), slice(2000, 12_000)
    plain = UnhingedClassifier().fit(X[half[0]], y_noisy[half[0]])
    knowing = UnhingedClassifier(transition_matrix=transition)
    X_test, y_test, y_noisy_test = X[half[1]], y[half[1]], y_noisy[half[1]]

    # Without the matrix: no other temperature explains the labels of rows left out better, and
    # none that is far from it those of new rows.
    left_out = plain.loo_decision_function(X[half[0]], y_noisy[half[0]])
    new = plain.decision_function(X_test)
    for scores, labels, factors in (
        (left_out, y_noisy[half[0]], (0.97, 1.0, 1.03)),
        (new, y_noisy_test, (0.5, 1.0, 2.0)),
    ):
        losses = [
            log_loss(labels, softmax(factor * scores / plain.temperature_, axis=1))
            for factor in factors
        ]
        assert losses[1] == min(losses)

    # With it: as confident as it is right, about the true classes.
    gaps = []
    for seed in range(10):
        y_noisy = corrupt_labels(y, transition, random_state=seed)
        knowing.fit(X[half[0]], y_noisy[half[0]])
        proba = knowing.predict_proba(X_test)
        gaps.append(proba.max(axis=1).mean() - (y_test == proba.argmax(axis=1)).mean())
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert abs(np.mean(gaps)) < 3 * np.std(gaps) / np.sqrt(10) + 0.005
    assert log_loss(y_test, proba) < log_loss(y_test, plain.predict_proba(X_test))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray, "csr", "csc"])
def test_layouts_of_rows_give_the_same_classifier(dtype, layout):
    reference = UnhingedClassifier().fit(X, Y, WEIGHT)
    make = {"csr": sparse.csr_array, "csc": sparse.csc_matrix}.get(layout, layout)
    clf = UnhingedClassifier().fit(make(X.astype(dtype)), Y, WEIGHT)
    tolerance = 1e-5 if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(clf.coef_, reference.coef_, rtol=tolerance, atol=tolerance)


def test_as_a_stranger_uses_it():
    X, y = load_iris(return_X_y=True, as_frame=True)
    names = np.array(["setosa", "versicolor", "virginica"])
    labels = pd.Series(corrupt_labels(names[y], "symmetric", 0.6, random_state=0))
    rare = pd.concat([labels, pd.Series(["rare", "rare"])], ignore_index=True)
    X = pd.concat([X, X.iloc[:2] + 9], ignore_index=True)
    clf = UnhingedClassifier().fit(X, rare)
    assert clf.classes_.tolist() == ["rare", "setosa", "versicolor", "virginica"]
    assert clf.feature_names_in_.tolist() == X.columns.tolist()
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


def test_features_of_very_different_scale_cost_no_digits():
    X, y, _ = make_rows(200)
    scales = np.array([1e-6, 1.0, 1e6, 1.0])
    # A penalty that is negligible on all scales, so that the scores should not depend on them.
    plain = UnhingedClassifier(1e-30).fit(X, y).decision_function(X)
    scaled = UnhingedClassifier(1e-30).fit(X * scales, y).decision_function(X * scales)
    np.testing.assert_allclose(scaled, plain, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"transition_matrix": np.full((3, 3), 1 / 3)}, "transition_matrix is singular"),
        ({"transition_matrix": np.eye(2)}, r"must have shape \(3, 3\)"),
        ({"transition_matrix": np.eye(3) * 2}, "probability distribution"),
        ({"transition_matrix": np.eye(3), "class_weight": "balanced"}, "cannot be combined"),
        ({"class_weight": {0: -1.0}}, "finite and not negative"),
        ({"class_weight": {0: 0.0, 1: 0.0, 2: 0.0}}, "leaves no row with a weight"),
        ({"alpha": 0.0}, "'alpha' parameter"),
        ({"intercept": "balanced"}, "'intercept' parameter"),
        ({"n_jobs": 1.5}, "'n_jobs' parameter"),
        ({"verbose": "yes"}, "'verbose' parameter"),
        ({"random_state": "0"}, "'random_state' parameter"),
    ],
)
def test_bad_parameters_are_rejected_and_nothing_is_lost(params, match):
    clf = UnhingedClassifier().fit(X, Y)
    scores = clf.decision_function(X)
    with pytest.raises(ValueError, match=match):
        clf.set_params(**params).fit(X[:, :2], Y)
    np.testing.assert_array_equal(clf.decision_function(X), scores)


def test_nearly_singular_matrix_warns(monkeypatch):
    X, y, _ = make_rows(n_classes=2)
    nearly = symmetric_transition(2, 0.49)

    def find_much_noise(self, *rows):
        self.transition_matrix_ = nearly
        self.noise_evidence_ = {"symmetric": 0.0, "sparse": 0.0, "full": 1.0}
        self.noise_rate_, self.noise_posterior_ = 0.49, None
        return self

    monkeypatch.setattr(LabelRefiner, "fit", find_much_noise)
    clf = UnhingedClassifier(transition_matrix=nearly)
    estimating = UnhingedClassifier(transition_matrix="estimate")
    for fit in (
        lambda: clf.fit(X, y),
        lambda: clf.partial_fit(X, y, classes=[0, 1]),
        lambda: clf.fit_statistics(ClassStatistics.from_rows(X, y, scatter=True)),
        lambda: estimating.fit(X, y),
    ):
        with pytest.warns(UndefinedMetricWarning, match="error of up to 50 times"):
            fit()
    # Far from singular, and silent, for warnings are errors here.
    UnhingedClassifier(transition_matrix=symmetric_transition(2, 0.4)).fit(X, y)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("class_weight", [None, {0: 1.0, 1: 1.0, 2: 0.0}])
def test_a_row_that_is_not_finite_is_rejected_wherever_rows_are_taken(value, class_weight):
    clf = UnhingedClassifier(class_weight=class_weight).fit(X, Y)
    state = clf.__dict__.copy()
    rows = X.copy()
    rows[np.argmax(Y == 2), 1] = value
    for take in (
        lambda: clf.fit(rows, Y),
        lambda: clf.fit(rows, Y, WEIGHT),
        lambda: clf.partial_fit(rows, Y),
        lambda: clf.fit_statistics(clf.statistics_, rows, Y),
        lambda: clf.loo_decision_function(rows, Y),
    ):
        with pytest.raises(ValueError, match="Input X contains"):
            take()
        assert clf.__dict__ == state
    with pytest.raises(ValueError, match="UnhingedClassifier does not accept missing values"):
        clf.fit(np.where(np.isinf(rows), np.nan, rows), Y)


def test_bad_data_are_rejected():
    clf, other = UnhingedClassifier(), UnhingedClassifier(metric="euclidean")
    balanced = UnhingedClassifier(class_weight="balanced")
    for fit, match in (
        (lambda: clf.partial_fit(X, Y), "needs classes"),
        (lambda: clf.fit(X, np.zeros(60)), "one class"),
        (lambda: clf.fit(X, X[:, 0]), "continuous"),
        (lambda: balanced.partial_fit(X, Y, classes=[0, 1, 2]), "needs all labels at once"),
    ):
        with pytest.raises(ValueError, match=match):
            fit()
    scores = clf.fit(X, Y).decision_function(X)
    other.fit(X, Y).set_params(metric="covariance")
    for fit, match in (
        (lambda: clf.partial_fit(X, Y + 1), "not among the classes"),
        (lambda: clf.partial_fit(X, Y, classes=[0, 1]), "differ from those of the first call"),
        (lambda: clf.partial_fit(X + 1, np.where(Y == 0, 7, Y)), "not among the classes"),
        (lambda: clf.fit_statistics(X), "must be ClassStatistics"),
        (lambda: clf.fit_statistics(ClassStatistics.from_rows(X, Y)), "needs a second moment"),
        (lambda: clf.fit_statistics(clf.statistics_, X[:, :2], Y), "2 features, the stat.* have 4"),
        (lambda: other.partial_fit(X, Y), "second moment"),
        (lambda: clf.set_params(alpha=-1.0).partial_fit(X, Y), "'alpha' parameter"),
    ):
        with pytest.raises(ValueError, match=match):
            fit()
    np.testing.assert_array_equal(clf.decision_function(X), scores)


def test_many_rows_go_through_in_blocks():
    # More rows than a block of any of the methods holds, sorted by class, with wide rows.
    rng = np.random.default_rng(0)
    y = np.sort(rng.integers(3, size=70_000))
    X = rng.normal(size=(70_000, 64)) + 2 * np.eye(3, 64)[y]
    clf = UnhingedClassifier().fit(X, y)
    for k in range(3):
        np.testing.assert_allclose(
            clf.statistics_.class_sums[k] / (y == k).sum(),
            X[y == k].mean(axis=0) - X.mean(axis=0),
            atol=1e-10,
        )
    np.testing.assert_allclose(
        clf.decision_function(X), X @ clf.coef_.T + clf.intercept_, atol=1e-9
    )
    scores = clf.loo_decision_function(X, y)
    some = rng.integers(70_000, size=50)
    np.testing.assert_allclose(scores[some], clf.loo_decision_function(X[some], y[some]), atol=1e-9)
    weight = rng.uniform(1, 2, size=70_000)
    weighted = ClassStatistics.from_rows(X[:, :3], y, sample_weight=weight)
    np.testing.assert_allclose(weighted.class_weight, np.bincount(y, weight))


@by_metric
@by_intercept
@pytest.mark.parametrize("size", [1e-300, 1e-30, 1e30, 1e200])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_size_of_all_weights_does_not_matter(metric, intercept, size, dtype):
    rows = X.astype(dtype)
    clf = UnhingedClassifier(metric=metric, intercept=intercept)
    reference = clf.fit(rows, Y, WEIGHT).decision_function(rows)
    scores = clf.fit(rows, Y, WEIGHT * size).decision_function(rows)
    np.testing.assert_allclose(scores, reference, rtol=1e-4, atol=1e-4)
    assert np.isfinite(clf.predict_proba(rows)).all()


@pytest.mark.filterwarnings("ignore:(overflow|invalid value):RuntimeWarning")
@by_metric
@pytest.mark.parametrize(("scale", "dtype"), [(1e160, np.float64), (1e30, np.float32)])
def test_features_too_large_are_rejected(metric, scale, dtype):
    rows = (X * scale).astype(dtype)
    clf = UnhingedClassifier(metric=metric)
    if dtype == np.float32 and metric == "euclidean":
        assert np.isfinite(clf.fit(rows, Y).coef_).all()
    else:
        with pytest.raises(ValueError, match="Scale"):
            clf.fit(rows, Y)
        assert not hasattr(clf, "coef_")


def test_sparse_rows_far_from_zero_are_rejected():
    with pytest.raises(ValueError, match="far from 0 in a sparse matrix"):
        UnhingedClassifier().fit(sparse.csr_array(X + 1e9), Y)


def test_temperature_does_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(0)
    y = np.arange(8000) % 2
    X = np.where(y == 1, 0.2, 1.0)[:, None] * rng.normal(size=(8000, 3))
    X[:, 0] += y
    # Periodic, mixed and sorted.
    found = [
        UnhingedClassifier().fit(X[order], y[order]).temperature_
        for order in (slice(None), rng.permutation(8000), np.argsort(y))
    ]
    assert max(found) < 1.25 * min(found)


def test_temperature_starts_anew_after_a_change_of_parameters():
    X, y, _ = make_rows(200)
    clf = UnhingedClassifier(metric="euclidean").fit(X, y).set_params(alpha=10.0)
    clf.partial_fit(X, y)
    afresh = UnhingedClassifier(10.0, metric="euclidean").fit(np.vstack([X, X]), np.append(y, y))
    assert clf.temperature_ == pytest.approx(afresh.temperature_, rel=0.1)
    # And goes on where it was without one.
    before = afresh.temperature_
    afresh.partial_fit(X[:1], y[:1])
    assert afresh.temperature_ == pytest.approx(before, rel=0.05)


@pytest.mark.parametrize("known", [False, True], ids=["given", "transition"])
def test_temperature_is_the_most_probable_one(known):
    # By the definition: weighted labels through the matrix, and a normal prior of variance 1 of
    # the logarithm, about the spread of the scores. Few rows, so that the prior counts.
    transition = np.array([[0.9, 0.1, 0.0], [0.0, 0.5, 0.5], [0.2, 0.1, 0.7]])
    y, weight = corrupt_labels(Y, transition, random_state=0), WEIGHT / 3
    clf = UnhingedClassifier(transition_matrix=transition if known else None).fit(X, y, weight)
    scores = clf.loo_decision_function(X, y, weight)
    below = scores - scores.max(axis=1, keepdims=True)
    centre = -np.log(np.average((below**2).mean(axis=1), weights=weight)) / 2
    T = transition if known else np.eye(3)

    def misfit(log_inverse):
        proba = softmax(np.exp(log_inverse) * scores, axis=1)
        log_likelihood = np.log((proba * T[:, y].T).sum(axis=1))
        return -weight @ log_likelihood + (log_inverse - centre) ** 2 / 2

    best = minimize_scalar(misfit, bounds=(centre - 3, centre + 3), options={"xatol": 1e-9}).x
    assert np.log(clf.temperature_) == pytest.approx(-best, abs=1e-5)
    assert abs(best - centre) > 0.1


def test_a_large_block_counts_as_many_small_ones_in_the_temperature():
    X, y, _ = make_rows(9000)
    X += np.random.default_rng(1).normal(size=X.shape) * 3
    y[8000:] = np.random.default_rng(2).permutation(y[8000:])
    large, small = UnhingedClassifier(), UnhingedClassifier()
    alone = large.fit(X[:8000], y[:8000]).temperature_
    for rows in np.array_split(np.arange(9000), 9):
        small.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
    large.partial_fit(X[8000:], y[8000:])
    assert large.temperature_ > 1.1 * alone
    assert large.temperature_ == pytest.approx(small.temperature_, rel=0.03)


def test_class_weights_count_in_the_temperature():
    X, y, _ = make_rows(300)
    X = X + np.random.default_rng(1).normal(size=X.shape) * (y == 2)[:, None] * 5
    factors = {0: 5.0, 1: 2.0, 2: 1.0}
    weighted = UnhingedClassifier(class_weight=factors).fit(X, y)
    repeated = UnhingedClassifier().fit(X, y, np.array([5.0, 2.0, 1.0])[y])
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-10)
    assert weighted.temperature_ == pytest.approx(repeated.temperature_, rel=0.1)
    assert weighted.temperature_ != pytest.approx(
        UnhingedClassifier().fit(X, y).temperature_, rel=0.1
    )


def test_rows_given_with_statistics_bring_their_feature_names():
    frame = pd.DataFrame(X, columns=list("abcd"))
    statistics = UnhingedClassifier().fit(X, Y).statistics_
    clf = UnhingedClassifier().fit_statistics(statistics, frame, Y)
    assert clf.feature_names_in_.tolist() == list("abcd")
    clf.predict(frame)
    assert not hasattr(clf.fit_statistics(statistics), "feature_names_in_")


def peak_memory(fit):
    tracemalloc.start()
    try:
        fit()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("method", "class_weight"),
    [("fit", None), ("fit", "balanced"), ("partial_fit", {0: 1.0, 1: 2.0, 2: 0.5})],
)
def test_rows_without_weight_are_left_out_and_x_is_not_copied(method, class_weight):
    rng = np.random.default_rng(0)
    n = 200_000
    y, weight = rng.integers(3, size=n), rng.integers(3, size=n).astype(float)
    X = rng.normal(size=(n, 40)).astype(np.float32)
    X[np.arange(n), y] += 5
    # What has no weight may be of no class, and far from all else: from the first rows on.
    weight[:300] = 0
    X[weight == 0], y[weight == 0] = 3e38, 7
    kept = weight > 0
    classes = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
    alone = UnhingedClassifier(class_weight=class_weight)
    getattr(alone, method)(X[kept], y[kept], sample_weight=weight[kept], **classes)
    clf = UnhingedClassifier(class_weight=class_weight)

    def fit():
        getattr(clf, method)(X, y, sample_weight=weight, **classes)

    assert peak_memory(fit) < X.nbytes
    assert clf.classes_.tolist() == [0, 1, 2]
    np.testing.assert_allclose(clf.coef_, alone.coef_, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(clf.temperature_, alone.temperature_, rtol=1e-4)


def test_many_classes_take_no_square_of_their_number():
    n_classes = 8000
    X = np.random.default_rng(0).normal(size=(2 * n_classes, 2)).astype(np.float32)
    y = np.arange(len(X)) % n_classes
    clf = UnhingedClassifier(metric="euclidean")
    assert peak_memory(lambda: clf.fit(X, y)) < 8 * n_classes**2

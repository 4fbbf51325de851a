"""UnhingedClassifier: the closed form is the minimiser, exactly robust, and exact left-one-out."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestCentroid

from robustlabels import (
    ClassStatistics,
    UnhingedClassifier,
    corrupt_labels,
    pair_transition,
    refinement,
    symmetric_transition,
)
from robustlabels.metrics import forward_log_loss

METRICS = ["covariance", "euclidean"]
INTERCEPTS = ["prior", "midpoint", "penalized", "none"]


def make_rows(n=60, d=4, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.choice(n_classes, size=n, p=np.arange(1, n_classes + 1) / sum(range(n_classes + 1)))
    means = rng.normal(size=(n_classes, d)) * 2
    X = (means[y] + rng.normal(size=(n, d))) * rng.uniform(0.5, 2, d) + 5
    return X, y, rng.uniform(0.2, 3, n)


def spread_labels(X, y, transition):
    """Return every row once per class, weighed by how often it gets that label: no sampling."""
    n_classes = len(transition)
    labels = np.tile(np.arange(n_classes), len(y))
    return np.repeat(X, n_classes, axis=0), labels, transition[y].ravel()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("intercept", ["penalized", "none"])
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_coefficients_minimise_the_objective(metric, intercept, n_classes):
    X, y, weight = make_rows(n_classes=n_classes)
    alpha = 0.7
    Z = X - np.average(X, axis=0, weights=weight)
    share = weight / weight.sum()

    def objective(params):
        V = params[: n_classes * X.shape[1]].reshape(n_classes, -1)
        b = params[V.size :] * (intercept == "penalized")
        linear = Z @ V.T
        f = linear + b
        value = share @ (f.mean(axis=1) - f[np.arange(len(y)), y])
        value += alpha / 2 * (V**2).sum()
        target = np.eye(n_classes)[y] - 1 / n_classes
        slope_f = -share[:, None] * target
        slope_V = slope_f.T @ Z + alpha * V
        if metric == "covariance":
            value += share @ (linear**2).sum(axis=1) / 2 + (b**2).sum() / 2
            slope_V += (share[:, None] * linear).T @ Z
            slope_b = slope_f.sum(axis=0) + b
        else:
            value += alpha / 2 * (b**2).sum()
            slope_b = slope_f.sum(axis=0) + alpha * b
        return value, np.concatenate([slope_V.ravel(), slope_b * (intercept == "penalized")])

    start = np.zeros(n_classes * (X.shape[1] + 1))
    best = minimize(
        objective, start, jac=True, method="L-BFGS-B", options={"ftol": 0, "gtol": 1e-13}
    ).x
    V = best[: n_classes * X.shape[1]].reshape(n_classes, -1)
    scores = Z @ V.T + best[V.size :]
    clf = UnhingedClassifier(alpha, metric=metric, intercept=intercept).fit(X, y, weight)
    expected = scores[:, 1] - scores[:, 0] if n_classes == 2 else scores
    if n_classes == 2:
        V = V[1:] - V[:1]
    np.testing.assert_allclose(clf.coef_, V - V.mean(axis=0) * (n_classes > 2), atol=1e-8)
    np.testing.assert_allclose(clf.decision_function(X), expected, atol=1e-7)


def test_covariance_metric_is_ridge_regression_on_centred_one_hot_labels():
    X, y, weight = make_rows()
    target = np.eye(3)[y] - 1 / 3
    ridge = Ridge(0.3 * weight.sum()).fit(X, target, weight)
    clf = UnhingedClassifier(0.3, intercept="penalized").fit(X, y, weight)
    np.testing.assert_allclose(clf.coef_, ridge.coef_, atol=1e-10)
    np.testing.assert_allclose(clf.intercept_, ridge.intercept_, atol=1e-10)


def test_euclidean_midpoint_is_the_nearest_centroid():
    X, y = load_iris(return_X_y=True)
    clf = UnhingedClassifier(metric="euclidean", intercept="midpoint").fit(X, y)
    np.testing.assert_array_equal(clf.predict(X), NearestCentroid().fit(X, y).predict(X))


@pytest.mark.parametrize("metric", METRICS)
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


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("intercept", INTERCEPTS)
def test_known_noise_is_undone_in_expectation(metric, intercept):
    X, y, _ = make_rows(200)
    transition = np.array([[0.6, 0.4, 0.0], [0.1, 0.7, 0.2], [0.3, 0.0, 0.7]])
    clf = UnhingedClassifier(metric=metric, intercept=intercept)
    clean = clf.fit(X, y)
    coef, offset = clean.coef_, clean.intercept_
    clf.set_params(transition_matrix=transition).fit(*spread_labels(X, y, transition))
    np.testing.assert_allclose(clf.coef_, coef, atol=1e-9)
    np.testing.assert_allclose(clf.intercept_, offset, atol=1e-8)


def test_estimated_pair_noise_on_digits_gains_five_points():
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    y_noisy = corrupt_labels(y_train, "pair", 0.4, random_state=0)
    clf = UnhingedClassifier()
    plain = clf.fit(X_train, y_noisy).score(X_test, y_test)
    assert clf.transition_matrix_ is clf.noise_evidence_ is None
    clf.set_params(transition_matrix="estimate").fit(X_train, y_noisy)
    assert clf.noise_evidence_["form"] == "class-dependent"
    error = np.abs(clf.transition_matrix_ - pair_transition(10, 0.4)).sum(axis=1).mean() / 2
    assert error < 0.1
    assert clf.score(X_test, y_test) > plain + 0.05


def test_estimated_symmetric_noise_corrects_the_probabilities_alone():
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    y_noisy = corrupt_labels(y_train, "symmetric", 0.4, random_state=0)
    plain = UnhingedClassifier().fit(X_train, y_noisy)
    clf = UnhingedClassifier(transition_matrix="estimate").fit(X_train, y_noisy)
    assert clf.noise_evidence_["form"] == "symmetric"
    np.testing.assert_array_equal(clf.coef_, plain.coef_)
    np.testing.assert_array_equal(clf.intercept_, plain.intercept_)
    assert log_loss(y_test, clf.predict_proba(X_test)) < log_loss(
        y_test, plain.predict_proba(X_test)
    )


def test_small_tables_do_not_tell_their_noise():
    X, y = load_iris(return_X_y=True)
    clf = UnhingedClassifier(transition_matrix="estimate").fit(X[::4], y[::4])
    assert clf.transition_matrix_ is None
    plain = UnhingedClassifier().fit(X[::4], y[::4])
    np.testing.assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))


def test_noise_cannot_be_estimated_without_all_rows():
    X, y, _ = make_rows()
    clf = UnhingedClassifier(transition_matrix="estimate").fit(X, y)
    with pytest.raises(ValueError, match="needs all rows at once, in memory"):
        clf.partial_fit(X, y, classes=np.arange(3))
    with pytest.raises(ValueError, match="needs all rows at once, in memory"):
        clf.fit_statistics(clf.statistics_)
    assert clf.transition_matrix_ is not None
    # Rows may be sparse.
    clf.fit(sparse.csr_array(X), y)
    assert clf.transition_matrix_ is not None


def test_known_pair_noise_on_digits_gains_ten_points():
    X, y = load_digits(return_X_y=True)
    gains = []
    for seed in range(5):
        X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=seed)
        y_noisy = corrupt_labels(y_train, "pair", 0.4, random_state=seed)
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


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("weighting", ["none", "equal", "random"])
@pytest.mark.parametrize("known", [False, True], ids=["", "transition"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_leave_one_out_equals_refits(metric, intercept, weighting, known, n_classes):
    X, y, weight = make_rows(30, n_classes=n_classes)
    weight = {"none": None, "equal": np.full(30, 2.5), "random": weight}[weighting]
    transition = pair_transition(n_classes, 0.3) if known else None
    clf = UnhingedClassifier(
        0.3, metric=metric, intercept=intercept, transition_matrix=transition
    ).fit(X, y, weight)
    scores = clf.loo_decision_function(X, y, weight)
    some = clf.loo_decision_function(X[:3], y[:3], None if weight is None else weight[:3])
    np.testing.assert_allclose(some, scores[:3], rtol=1e-9)
    for i in range(0, 30, 4):
        kept = np.arange(30) != i
        clf.fit(X[kept], y[kept], None if weight is None else weight[kept])
        np.testing.assert_allclose(scores[i], clf.decision_function(X[[i]])[0], rtol=1e-8)


def test_leave_one_out_of_the_only_row_of_a_class():
    X, y, _ = make_rows()
    X, y = np.vstack([X, X[:1] + 1]), np.append(y, 3)
    scores = UnhingedClassifier().fit(X, y).loo_decision_function(X, y)
    assert scores[-1, 3] == -np.inf
    assert np.isfinite(scores[:-1]).all()


def test_leave_one_out_of_sparse_rows():
    X, y, weight = make_rows()
    for metric in METRICS:
        clf = UnhingedClassifier(metric=metric).fit(sparse.csr_array(X), y, weight)
        np.testing.assert_allclose(
            clf.loo_decision_function(sparse.csr_array(X), y, weight),
            UnhingedClassifier(metric=metric)
            .fit(X, y)
            .fit(X, y, weight)
            .loo_decision_function(X, y, weight),
            rtol=1e-8,
        )


@pytest.mark.parametrize("metric", METRICS)
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
    X, y, _ = make_rows(300)
    whole = UnhingedClassifier().fit(X, y)
    online = UnhingedClassifier()
    for i in range(300):
        online.partial_fit(X[[i]], y[[i]], classes=[0, 1, 2])
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


@pytest.mark.parametrize("metric", METRICS)
def test_a_class_without_rows_so_far_is_never_predicted(metric):
    X, y, _ = make_rows()
    for intercept in INTERCEPTS:
        clf = UnhingedClassifier(metric=metric, intercept=intercept)
        clf.partial_fit(X[y != 1], y[y != 1], classes=[0, 1, 2])
        assert set(clf.predict(X)) == {0, 2}
        assert (clf.predict_proba(X)[:, 1] == 0).all()
        for only, proba in (("a", [1, 0]), ("b", [0, 1])):
            two = UnhingedClassifier(metric=metric, intercept=intercept)
            two.partial_fit(X[:5], [only] * 5, classes=["a", "b"])
            assert set(two.predict(X)) == {only}
            np.testing.assert_array_equal(two.predict_proba(X[:1])[0], proba)
            assert np.isnan(
                two.fit_statistics(
                    two.statistics_
                    - two.statistics_
                    + ClassStatistics.from_rows(
                        X[:1], [only], classes=["a", "b"], scatter=metric == "covariance"
                    )
                ).loo_decision_function(X[:1], [only])
            ).all()


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 2.0, 2: 0.5}])
@pytest.mark.parametrize("metric", METRICS)
def test_integer_weights_are_repeated_rows(metric, class_weight):
    X, y, _ = make_rows()
    times = np.arange(60) % 4
    weighted = UnhingedClassifier(metric=metric, class_weight=class_weight).fit(X, y, times)
    repeated = UnhingedClassifier(metric=metric, class_weight=class_weight).fit(
        np.repeat(X, times, axis=0), np.repeat(y, times)
    )
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-10)
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-8)


def test_balanced_classes_weigh_the_same():
    X, y, _ = make_rows()
    clf = UnhingedClassifier(class_weight="balanced").fit(X, y)
    np.testing.assert_allclose(clf.statistics_.class_weight, 20)
    loo = clf.loo_decision_function(X, y)
    row = ClassStatistics.from_rows(
        X[:1], y[:1], classes=[0, 1, 2], sample_weight=[20 / (y == y[0]).sum()], scatter=True
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
    knowing = UnhingedClassifier(transition_matrix=transition).fit(X[half[0]], y_noisy[half[0]])
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
    proba = knowing.predict_proba(X_test)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    gaps = []
    for seed in range(10):
        y_noisy = corrupt_labels(y, transition, random_state=seed)
        knowing.fit(X[half[0]], y_noisy[half[0]])
        proba = knowing.predict_proba(X_test)
        gaps.append(proba.max(axis=1).mean() - (y_test == proba.argmax(axis=1)).mean())
    assert abs(np.mean(gaps)) < 3 * np.std(gaps) / np.sqrt(10) + 0.005
    assert log_loss(y_test, proba) < log_loss(y_test, plain.predict_proba(X_test))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_layouts_of_rows_give_the_same_classifier(dtype, order):
    X, y, weight = make_rows()
    reference = UnhingedClassifier().fit(X, y, weight)
    clf = UnhingedClassifier().fit(X.astype(dtype, order=order), y, weight)
    tolerance = 1e-5 if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(clf.coef_, reference.coef_, rtol=tolerance, atol=tolerance)
    for make in (sparse.csr_array, sparse.csc_matrix):
        clf = UnhingedClassifier().fit(make(X.astype(dtype)), y, weight)
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
    ],
)
def test_bad_parameters_are_refused_and_nothing_is_lost(params, match):
    X, y, _ = make_rows()
    clf = UnhingedClassifier().fit(X, y)
    scores = clf.decision_function(X)
    with pytest.raises(ValueError, match=match):
        clf.set_params(**params).fit(X[:, :2], y)
    np.testing.assert_array_equal(clf.decision_function(X), scores)


class NearlySingularRefiner:
    """Finds much noise that depends on the class."""

    def __init__(self, random_state, memory):
        self.transition_matrix_ = symmetric_transition(2, 0.49)
        self.noise_evidence_, self.noise_posterior_ = {"form": "class-dependent"}, None

    def fit(self, X, y, sample_weight):
        return self


def test_nearly_singular_matrix_warns(monkeypatch):
    X, y, _ = make_rows(n_classes=2)
    nearly = symmetric_transition(2, 0.49)
    clf = UnhingedClassifier(transition_matrix=nearly)
    for fit in (
        lambda: clf.fit(X, y),
        lambda: clf.partial_fit(X, y, classes=[0, 1]),
        lambda: clf.fit_statistics(ClassStatistics.from_rows(X, y, scatter=True)),
    ):
        with pytest.warns(UndefinedMetricWarning, match="error up to 50 times"):
            fit()
    monkeypatch.setattr(refinement, "LabelRefiner", NearlySingularRefiner)
    with pytest.warns(UndefinedMetricWarning, match="error up to 50 times"):
        clf.set_params(transition_matrix="estimate").fit(X, y)
    # Far from singular, and silent, for warnings are errors here.
    UnhingedClassifier(transition_matrix=symmetric_transition(2, 0.4)).fit(X, y)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("class_weight", [None, {0: 1.0, 1: 1.0, 2: 0.0}])
def test_a_row_that_is_not_finite_is_refused_wherever_rows_are_taken(value, class_weight):
    X, y, weight = make_rows()
    clf = UnhingedClassifier(class_weight=class_weight).fit(X, y)
    state = clf.__dict__.copy()
    X[np.argmax(y == 2), 1] = value
    for take in (
        lambda: clf.fit(X, y),
        lambda: clf.fit(X, y, weight),
        lambda: clf.partial_fit(X, y),
        lambda: clf.fit_statistics(clf.statistics_, X, y),
        lambda: clf.loo_decision_function(X, y),
    ):
        with pytest.raises(ValueError, match="Input X contains"):
            take()
        assert clf.__dict__ == state
    with pytest.raises(ValueError, match="UnhingedClassifier does not accept missing values"):
        clf.fit(np.where(np.isinf(X), np.nan, X), y)


def test_bad_data_are_refused():
    X, y, _ = make_rows()
    clf = UnhingedClassifier()
    with pytest.raises(ValueError, match="needs classes"):
        clf.partial_fit(X, y)
    with pytest.raises(ValueError, match="one class"):
        clf.fit(X, np.zeros(60))
    with pytest.raises(ValueError, match="continuous"):
        clf.fit(X, X[:, 0])
    clf.fit(X, y)
    with pytest.raises(ValueError, match="not among the classes"):
        clf.partial_fit(X, y + 1)
    with pytest.raises(ValueError, match="differ from those of the first call"):
        clf.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="'balanced' needs all labels at once"):
        UnhingedClassifier(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="must be ClassStatistics"):
        clf.fit_statistics(X)
    with pytest.raises(ValueError, match="needs a second moment"):
        clf.fit_statistics(ClassStatistics.from_rows(X, y))
    scores = clf.decision_function(X)
    with pytest.raises(ValueError, match="not among the classes"):
        clf.partial_fit(X + 1, np.where(y == 0, 7, y))
    with pytest.raises(ValueError, match="'alpha' parameter"):
        clf.set_params(alpha=-1.0).partial_fit(X, y)
    with pytest.raises(ValueError, match="X has 2 features, the statistics have 4"):
        clf.set_params(alpha=0.1).fit_statistics(clf.statistics_, X[:, :2], y)
    np.testing.assert_array_equal(clf.decision_function(X), scores)
    with pytest.raises(ValueError, match="second moment"):
        UnhingedClassifier(metric="euclidean").fit(X, y).set_params(
            metric="covariance"
        ).partial_fit(X, y)


def test_leave_one_out_keeps_rows_without_weight_in_their_place():
    X, y, weight = make_rows()
    weight[::3] = 0
    for metric in METRICS:
        clf = UnhingedClassifier(metric=metric).fit(X, y, weight)
        scores = clf.loo_decision_function(X, y, weight)
        # Without weight, leaving a row out changes nothing.
        np.testing.assert_allclose(scores[::3], clf.decision_function(X[::3]), rtol=1e-9)
        np.testing.assert_allclose(
            scores[weight > 0],
            clf.loo_decision_function(X[weight > 0], y[weight > 0], weight[weight > 0]),
            rtol=1e-9,
        )


def test_leave_one_out_refuses_what_was_not_in_the_fit():
    X, y, _ = make_rows()
    clf = UnhingedClassifier().fit(X, y)
    with pytest.raises(ValueError, match="not among the classes"):
        clf.loo_decision_function(X, y + 1)
    with pytest.raises(ValueError, match="weighs more than its class"):
        clf.loo_decision_function(X, y, np.full(60, 50.0))
    with pytest.raises(ValueError, match="Parameters have changed"):
        clf.set_params(alpha=3.0).loo_decision_function(X, y)


@pytest.mark.parametrize("scale", [1e4, 1e9])
def test_leave_one_out_where_features_differ_in_scale(scale):
    X, y, weight = make_rows(40)
    X = X * [1, scale, 1, 1]
    clf = UnhingedClassifier().fit(X, y, weight)
    scores = clf.loo_decision_function(X, y, weight)
    for i in range(0, 40, 7):
        kept = np.arange(40) != i
        clf.fit(X[kept], y[kept], weight[kept])
        np.testing.assert_allclose(scores[i], clf.decision_function(X[[i]])[0], rtol=1e-6)


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


@pytest.mark.parametrize("size", [1e-300, 1e-30, 1e30, 1e200])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_size_of_all_weights_does_not_matter(size, dtype):
    X, y, weight = make_rows()
    X = X.astype(dtype)
    for metric in METRICS:
        for intercept in INTERCEPTS:
            clf = UnhingedClassifier(metric=metric, intercept=intercept)
            reference = clf.fit(X, y, weight).decision_function(X)
            scores = clf.fit(X, y, weight * size).decision_function(X)
            np.testing.assert_allclose(scores, reference, rtol=1e-4, atol=1e-4)
            assert np.isfinite(clf.predict_proba(X)).all()


@pytest.mark.filterwarnings("ignore:(overflow|invalid value):RuntimeWarning")
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("scale", "dtype"), [(1e160, np.float64), (1e30, np.float32)])
def test_features_too_large_are_refused(metric, scale, dtype):
    X, y, _ = make_rows()
    X = (X * scale).astype(dtype)
    clf = UnhingedClassifier(metric=metric)
    if dtype == np.float32 and metric == "euclidean":
        assert np.isfinite(clf.fit(X, y).coef_).all()
    else:
        with pytest.raises(ValueError, match="Scale"):
            clf.fit(X, y)
        assert not hasattr(clf, "coef_")


def test_sparse_rows_far_from_zero_are_refused():
    X, y, _ = make_rows()
    with pytest.raises(ValueError, match="far from 0 in a sparse matrix"):
        UnhingedClassifier().fit(sparse.csr_array(X + 1e9), y)


def test_temperature_does_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(0)
    y = np.arange(8000) % 2
    X = np.where(y == 1, 0.2, 1.0)[:, None] * rng.normal(size=(8000, 3))
    X[:, 0] += y
    order = rng.permutation(8000)
    clf = UnhingedClassifier()
    assert clf.fit(X, y).temperature_ == pytest.approx(
        clf.fit(X[order], y[order]).temperature_, rel=0.25
    )


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


def test_temperature_maximises_the_likelihood_of_labels_through_the_transition_matrix():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=1500)
    X = 2 * np.eye(3)[y] + rng.normal(size=(1500, 3))
    transition = np.array([[0.9, 0.1, 0.0], [0.0, 0.5, 0.5], [0.2, 0.1, 0.7]])
    y_noisy = corrupt_labels(y, transition, random_state=0)
    clf = UnhingedClassifier(transition_matrix=transition).fit(X, y_noisy)
    scores = clf.loo_decision_function(X, y_noisy)
    losses = [
        forward_log_loss(y_noisy, softmax(scores / (factor * clf.temperature_), axis=1), transition)
        for factor in (0.97, 1.0, 1.03)
    ]
    assert losses[1] == min(losses)


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
    X, y, _ = make_rows()
    frame = pd.DataFrame(X, columns=list("abcd"))
    statistics = UnhingedClassifier().fit(X, y).statistics_
    clf = UnhingedClassifier().fit_statistics(statistics, frame, y)
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


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_rows_without_weight_are_left_out_and_x_is_not_copied(method, class_weight):
    if method == "partial_fit" and class_weight == "balanced":
        class_weight = {0: 1.0, 1: 2.0, 2: 0.5}
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

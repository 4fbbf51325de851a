"""Scores on noisy labels, corrected: unbiased, and honest about their error."""

import functools
import pickle
import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    roc_auc_score,
)
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from robustlabels import RobustClassifier, UnhingedClassifier, corrupt_labels
from robustlabels.metrics import (
    forward_log_loss,
    label_quality,
    make_noise_corrected_scorer,
    noise_corrected_confusion_matrix,
    noise_corrected_score,
)
from robustlabels.noise import pair_transition, symmetric_transition

#: Metrics of noise_corrected_score, and the same score on clean labels.
METRICS = {
    "accuracy": accuracy_score,
    "balanced_accuracy": balanced_accuracy_score,
    "f1": functools.partial(f1_score, average="macro"),
}
every_metric = pytest.mark.parametrize("metric", METRICS)


def draw_predictions(rng, y, accuracy):
    """Predictions of a classifier that confuses each class with the next, or with any."""
    n_classes = y.max() + 1
    wrong = np.where(
        rng.uniform(size=len(y)) < 0.5, y + 1, y + rng.integers(1, n_classes, size=len(y))
    )
    return np.where(rng.uniform(size=len(y)) < accuracy, y, wrong % n_classes)


def test_each_metric_is_documented_and_tested():
    documented = re.search(r"metric : {(.*)}", noise_corrected_score.__doc__)[1]
    with pytest.raises(ValueError, match="'metric' parameter") as error:
        noise_corrected_score([0, 1], [0, 1], np.eye(2), metric="guess")
    accepted = re.search(r"among {(.*)}", str(error.value))[1]
    for names in (documented, accepted):
        assert {*re.findall(r"\w+", names)} == {*METRICS}


@every_metric
@given(seed=st.integers(0, 1000), n_classes=st.integers(2, 5), n_samples=st.integers(5, 40))
def test_without_noise_a_metric_is_that_of_scikit_learn(metric, seed, n_classes, n_samples):
    rng = np.random.default_rng(seed)
    y, a, b = np.array(list("dbaec"))[rng.integers(n_classes, size=(3, n_samples))]
    y[:n_classes] = np.array(list("dbaec"))[:n_classes]
    weight = rng.gamma(1, size=n_samples)
    for given_ in ({}, {"sample_weight": weight}):
        score = functools.partial(METRICS[metric], y, **given_)
        found = noise_corrected_score(y, a, np.eye(n_classes), metric=metric, **given_)
        assert type(found) is float
        assert found == pytest.approx(score(a))
        difference = noise_corrected_score(
            y, a, np.eye(n_classes), metric=metric, y_pred_baseline=b, **given_
        )
        assert difference == pytest.approx(score(a) - score(b))


@pytest.mark.slow
@pytest.mark.parametrize(
    "transition",
    [symmetric_transition(2, 0.3), pair_transition(10, 0.3)],
    ids=["two classes, symmetric", "ten classes, pair"],
)
def test_corrected_accuracy_is_unbiased_and_its_interval_covers(transition):
    n_classes = len(transition)
    rng = np.random.default_rng(n_classes)
    truth, n_draws = 0.8, 400
    estimates = np.empty((n_draws, 2))
    for i in range(n_draws):
        y = np.append(rng.integers(n_classes, size=399), n_classes - 1)
        y_pred = draw_predictions(rng, y, truth)
        y_noisy = corrupt_labels(y, transition, random_state=i)
        estimates[i] = noise_corrected_score(
            y_noisy, y_pred, transition, labels=np.arange(n_classes), return_std_error=True
        )
    mean, std_error = estimates.T
    assert abs(mean.mean() - truth) < 3 * mean.std() / np.sqrt(n_draws)
    assert 0.92 <= (np.abs(mean - truth) < 1.96 * std_error).mean() <= 0.98


@pytest.mark.slow
def test_difference_of_two_models_is_unbiased_and_its_interval_covers():
    rng = np.random.default_rng(0)
    transition, n_draws = pair_transition(4, 0.3), 400
    compare = functools.partial(noise_corrected_score, labels=range(4), return_std_error=True)
    estimates = np.empty((n_draws, 2))
    for i in range(n_draws):
        y = np.append(rng.integers(4, size=399), 3)
        a = draw_predictions(rng, y, 0.8)
        # The two agree on most rows.
        b = np.where(rng.uniform(size=400) < 0.7, a, draw_predictions(rng, y, 0.7))
        y_noisy = corrupt_labels(y, transition, random_state=i)
        estimates[i] = compare(y_noisy, a, transition, y_pred_baseline=b)
    mean, std_error = estimates.T
    assert abs(mean.mean() - 0.03) < 3 * mean.std() / np.sqrt(n_draws)
    assert 0.92 <= (np.abs(mean - 0.03) < 1.96 * std_error).mean() <= 0.98
    # The comparison is paired: its error is that of the rows on which they differ.
    _, alone = compare(y_noisy, a, transition)
    assert std_error[-1] < alone


def test_standard_errors_by_hand():
    # Three of four are right: the share p has the standard error sqrt(p (1 - p) / (n - 1)).
    y, y_pred = [0, 0, 1, 1], [0, 0, 1, 0]
    assert noise_corrected_score(y, y_pred, np.eye(2), return_std_error=True) == (0.75, 0.25)
    # Two groups with three right of three, and none of one: sums of -.25, .25 around the mean.
    _, error = noise_corrected_score(
        y, y_pred, np.eye(2), groups=["a", "a", "a", "b"], return_std_error=True
    )
    sums = np.array([3 * 0.25, -0.75]) / 4
    assert error == pytest.approx(np.sqrt(2 / 1 * (sums**2).sum()))
    # Rows without a weight do not count.
    weight = [1, 3, 0, 2]
    score, error = noise_corrected_score(
        y, y_pred, np.eye(2), sample_weight=weight, return_std_error=True
    )
    assert score == pytest.approx(4 / 6)
    terms = np.array([1 / 3, 3 / 3, -2 * 2 / 3]) / 6
    assert error == pytest.approx(np.sqrt(3 / 2 * (terms**2).sum()))


@given(seed=st.integers(0, 1000), n_samples=st.integers(2, 30))
def test_standard_error_is_that_of_a_mean(seed, n_samples):
    rng = np.random.default_rng(seed)
    y, a, b = rng.integers(3, size=(3, n_samples))
    T = pair_transition(3, 0.2)
    values = np.linalg.inv(T)[y, a]
    score = functools.partial(noise_corrected_score, labels=range(3), return_std_error=True)
    expected = values.mean(), values.std(ddof=1) / np.sqrt(n_samples)
    assert score(y, a, T) == pytest.approx(expected)
    values = values - np.linalg.inv(T)[y, b]
    expected = values.mean(), values.std(ddof=1) / np.sqrt(n_samples)
    assert score(y, a, T, y_pred_baseline=b) == pytest.approx(expected)


@given(seed=st.integers(0, 1000), n_classes=st.integers(2, 4))
def test_expected_counts_give_the_clean_confusion_matrix_back(seed, n_classes):
    # Whole numbers of rows that stand exactly in the proportions of a transition matrix.
    rng = np.random.default_rng(seed)
    parts = rng.integers(0, 4, size=(n_classes, n_classes)) + 6 * np.eye(n_classes, dtype=int)
    transition = parts / parts.sum(axis=1, keepdims=True)
    clean = rng.integers(0, 5, size=(n_classes, n_classes))
    scale = np.prod(parts.sum(axis=1))
    assume(clean.any() and scale * clean.sum() <= 100_000)
    assume(np.linalg.svd(transition, compute_uv=False)[-1] > 0.06)
    y, y_pred = (
        np.repeat(index.ravel(), scale * clean.ravel())
        for index in np.indices((n_classes, n_classes))
    )
    y_noisy = np.empty_like(y)
    for i in range(n_classes):
        for a in range(n_classes):
            rows = np.flatnonzero((y == i) & (y_pred == a))
            counts = np.round(len(rows) * transition[i]).astype(int)
            y_noisy[rows] = np.repeat(np.arange(n_classes), counts)
    expected = confusion_matrix(y, y_pred, labels=np.arange(n_classes))
    for method in ("inverse", "constrained"):
        found = noise_corrected_confusion_matrix(
            y_noisy, y_pred, transition, labels=np.arange(n_classes), method=method
        )
        np.testing.assert_allclose(found, expected, atol=1e-6 * len(y))
    # Classes with no or almost no rows of either kind are left to other tests.
    assume((expected.sum(axis=1) > 0).all())
    for metric, score in METRICS.items():
        found = noise_corrected_score(
            y_noisy, y_pred, transition, metric=metric, labels=np.arange(n_classes)
        )
        assert found == pytest.approx(score(y, y_pred), abs=1e-5)


@every_metric
def test_a_metric_is_near_that_on_clean_labels(metric):
    rng = np.random.default_rng(0)
    y = rng.choice(3, size=20_000, p=[0.7, 0.2, 0.1])
    y_pred = draw_predictions(rng, y, 0.75)
    transition = pair_transition(3, 0.3)
    y_noisy = corrupt_labels(y, transition, random_state=0)
    found = noise_corrected_score(y_noisy, y_pred, transition, metric=metric)
    score = METRICS[metric]
    assert found == pytest.approx(score(y, y_pred), abs=0.03)
    assert abs(score(y_noisy, y_pred) - found) > 0.1


def test_accuracy_is_the_trace_of_the_unbiased_matrix():
    y_noisy, y_pred = np.random.default_rng(0).integers(3, size=(2, 50))
    transition = pair_transition(3, 0.3)
    inverse = noise_corrected_confusion_matrix(y_noisy, y_pred, transition, method="inverse")
    accuracy = noise_corrected_score(y_noisy, y_pred, transition)
    assert np.trace(inverse) / 50 == pytest.approx(accuracy)


@given(seed=st.integers(0, 1000))
def test_a_class_without_true_rows_is_left_out(seed):
    rng = np.random.default_rng(seed)
    transition = np.array([[8, 1, 1], [2, 7, 1], [1, 1, 8]]) / 10
    clean = 10 * np.vstack([rng.integers(1, 9, size=(2, 3)), [0, 0, 0]])
    noisy = transition.T @ clean
    y_noisy, y_pred = (
        np.repeat(index.ravel(), noisy.round().astype(int).ravel()) for index in np.indices((3, 3))
    )
    recall = clean.diagonal()[:2] / clean.sum(axis=1)[:2]
    found = noise_corrected_score(
        y_noisy, y_pred, transition, metric="balanced_accuracy", labels=[0, 1, 2]
    )
    assert found == pytest.approx(recall.mean())


def test_constrained_matrix_has_no_negative_entry():
    y_noisy, y_pred = [0, 0, 0, 1, 2], [0, 0, 0, 1, 1]
    transition = symmetric_transition(3, 0.4)
    inverse = noise_corrected_confusion_matrix(y_noisy, y_pred, transition, method="inverse")
    constrained = noise_corrected_confusion_matrix(y_noisy, y_pred, transition)
    assert inverse.min() < 0 <= constrained.min()
    np.testing.assert_allclose(constrained.sum(axis=0), [3, 2, 0], atol=1e-12)


def test_order_of_labels_is_that_of_the_matrix():
    transition = np.array([[0.7, 0.3, 0.0], [0.1, 0.8, 0.1], [0.0, 0.1, 0.9]])
    y_noisy, y_pred = np.array(list("aabbccab")), np.array(list("abbbccac"))
    order = [2, 0, 1]
    for metric in METRICS:
        score = functools.partial(noise_corrected_score, y_noisy, y_pred, metric=metric)
        assert score(transition) == pytest.approx(
            score(transition[np.ix_(order, order)], labels=np.array(list("cab")))
        )
    matrix = noise_corrected_confusion_matrix(y_noisy, y_pred, transition)
    permuted = noise_corrected_confusion_matrix(
        y_noisy, y_pred, transition[np.ix_(order, order)], labels=list("cab")
    )
    np.testing.assert_allclose(permuted, matrix[np.ix_(order, order)], atol=1e-12)


@pytest.fixture(scope="module")
def noisy_digits():
    X, y = load_digits(return_X_y=True)
    T = pair_transition(10, 0.3)
    return X, y, T, corrupt_labels(y, T, random_state=0)


def test_scorer_in_a_search_ranks_by_clean_accuracy(noisy_digits):
    X, y, T, y_noisy = noisy_digits
    grid, model = {"alpha": [0.1, 10.0]}, UnhingedClassifier(transition_matrix=T)
    search = GridSearchCV(model, grid, scoring=make_noise_corrected_scorer(T), cv=3).fit(X, y_noisy)
    for params, mean in zip(
        search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
    ):
        clean = (cross_val_predict(clone(model).set_params(**params), X, y_noisy, cv=3) == y).mean()
        assert mean == pytest.approx(clean, abs=0.04)


@every_metric
def test_scorer_is_the_score_of_the_predictions(metric, noisy_digits):
    X, _, T, y_noisy = noisy_digits
    model = UnhingedClassifier().fit(X, y_noisy)
    scorer = make_noise_corrected_scorer(T, metric)
    expected = noise_corrected_score(y_noisy, model.predict(X), T, metric=metric)
    for same in (scorer, pickle.loads(pickle.dumps(scorer)), clone(scorer)):
        assert same(model, X, y_noisy) == expected
    # The classes are those of the model: these rows lack some.
    some = y_noisy < 4
    assert np.isfinite(scorer(model, X[some], y_noisy[some]))


def test_scorers_are_printed_and_combined():
    X, y = load_iris(return_X_y=True)
    T = symmetric_transition(3, 0.2)
    scorers = {name: make_noise_corrected_scorer(T, name) for name in METRICS}
    assert "metric='f1'" in repr(scorers["f1"])
    assert "array([[0.8" in repr(scorers["f1"])
    found = cross_validate(UnhingedClassifier(), X, y, scoring={**scorers, "plain": "accuracy"})
    for name, scorer in scorers.items():
        alone = cross_val_score(UnhingedClassifier(), X, y, scoring=scorer)
        np.testing.assert_array_equal(found[f"test_{name}"], alone)
    grid = {"alpha": [0.1, 1.0]}
    search = clone(GridSearchCV(UnhingedClassifier(), grid, scoring=scorers, refit="f1")).fit(X, y)
    assert search.best_score_ == search.cv_results_["mean_test_f1"].max()
    with pytest.raises(ValueError, match="'metric' parameter"):
        make_noise_corrected_scorer(T, "guess")


def test_weights_are_routed_to_scorers():
    X, y = load_iris(return_X_y=True)
    T, weight = symmetric_transition(3, 0.2), np.arange(150.0)
    cv = KFold(3, shuffle=True, random_state=0)
    with config_context(enable_metadata_routing=True):
        model = UnhingedClassifier().set_fit_request(sample_weight=False)
        evaluate = functools.partial(
            cross_validate, model, X, y, cv=cv, params={"sample_weight": weight}
        )
        weighted = make_noise_corrected_scorer(T).set_score_request(sample_weight=True)
        plain = make_noise_corrected_scorer(T).set_score_request(sample_weight=False)
        both = evaluate(scoring={"weighted": weighted, "plain": plain})
        np.testing.assert_array_equal(
            evaluate(scoring=weighted)["test_score"], both["test_weighted"]
        )
        with pytest.raises(ValueError, match="not explicitly set as requested"):
            evaluate(scoring=make_noise_corrected_scorer(T))
    for (train, test), with_weight, without in zip(
        cv.split(X), both["test_weighted"], both["test_plain"], strict=True
    ):
        fitted = UnhingedClassifier().fit(X[train], y[train])
        predicted = fitted.predict(X[test])
        assert without == noise_corrected_score(y[test], predicted, T)
        assert with_weight != without
        assert with_weight == noise_corrected_score(
            y[test], predicted, T, sample_weight=weight[test]
        )


def test_forward_log_loss_of_a_weight_is_that_of_repeated_rows():
    y, proba = np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]])
    T, weight = symmetric_transition(2, 0.2), np.array([2, 0, 3])
    repeated = forward_log_loss(y.repeat(weight), proba.repeat(weight, axis=0), T)
    assert forward_log_loss(y, proba, T, sample_weight=weight) == pytest.approx(repeated)


def test_forward_log_loss_is_least_for_the_true_probabilities():
    rng = np.random.default_rng(0)
    posterior = rng.dirichlet(np.ones(3), size=50_000)
    y = (posterior.cumsum(axis=1) < rng.uniform(size=(50_000, 1))).sum(axis=1)
    transition = pair_transition(3, 0.3)
    y_noisy = corrupt_labels(y, transition, random_state=0)
    losses = {}
    for power in (0.8, 1.0, 1.25):
        proba = posterior**power
        losses[power] = forward_log_loss(
            y_noisy, proba / proba.sum(axis=1, keepdims=True), transition
        )
    assert losses[1.0] == min(losses.values())
    noiseless = forward_log_loss(y, posterior, np.eye(3))
    assert noiseless == pytest.approx(-np.log(posterior[np.arange(len(y)), y]).mean())


def test_scores_of_pairs_of_classes_are_rejected():
    X, y = load_wine(return_X_y=True)
    for model in (
        SVC(decision_function_shape="ovo"),
        make_pipeline(SVC(decision_function_shape="ovo")),
    ):
        with pytest.raises(ValueError, match="use 'ovr'"):
            label_quality(model, X, y)
    with pytest.raises(ValueError, match="'tol' parameter"):
        label_quality(LogisticRegression(tol=-1), X, y)


def test_weights_count_as_rows_in_scores():
    rng = np.random.default_rng(0)
    T = pair_transition(3, 0.2)
    y_pred = rng.integers(3, size=60)
    y_noisy, other = corrupt_labels(y_pred, T, random_state=1), np.roll(y_pred, 3)
    weight = rng.integers(3, size=60)
    proba = rng.dirichlet(np.ones(3), size=60)
    rows = np.repeat(np.arange(60), weight)
    for score, of_rows in (
        *(
            (functools.partial(noise_corrected_score, metric=metric), (y_noisy, other))
            for metric in METRICS
        ),
        (
            lambda y, a, b, T, **kw: noise_corrected_score(y, a, T, y_pred_baseline=b, **kw),
            (y_noisy, y_pred, other),
        ),
        (noise_corrected_confusion_matrix, (y_noisy, y_pred)),
        (functools.partial(noise_corrected_confusion_matrix, method="inverse"), (y_noisy, y_pred)),
        (forward_log_loss, (y_noisy, proba)),
    ):
        repeated = score(*(values[rows] for values in of_rows), T)
        np.testing.assert_allclose(score(*of_rows, T, sample_weight=weight), repeated)
        with pytest.raises(ValueError, match="zero"):
            score(*of_rows, T, sample_weight=np.zeros(60))
    model = UnhingedClassifier().fit(proba, y_noisy)
    scorer = make_noise_corrected_scorer(T)
    assert scorer(model, proba, y_noisy, sample_weight=weight) == pytest.approx(
        scorer(model, proba[rows], y_noisy[rows])
    )


@pytest.mark.slow
def test_standard_error_knows_weights_and_groups():
    rng = np.random.default_rng(0)
    T, n_draws, n_rows = symmetric_transition(2, 0.2), 400, 200
    weight, groups = rng.gamma(1.0, size=n_rows), np.arange(n_rows) // 4
    found = []
    for _ in range(n_draws):
        # The rows of a group are right together or wrong together.
        right = (rng.uniform(size=n_rows // 4) < 0.7)[groups].astype(int)
        y_noisy = np.where(rng.uniform(size=n_rows) < 0.2, 1 - right, right)
        rest = np.ones(n_rows, dtype=int), T
        found.append(
            [
                noise_corrected_score(
                    y_noisy, *rest, sample_weight=w, groups=g, return_std_error=True
                )
                for w, g in ((weight, groups), (None, groups), (None, None))
            ]
        )
    scores, errors = np.moveaxis(found, 2, 0)
    spread, mean_error = scores.std(axis=0), errors.mean(axis=0)
    np.testing.assert_allclose(scores.mean(axis=0), 0.7, atol=4 * spread.max() / n_draws**0.5)
    np.testing.assert_allclose(mean_error[:2], spread[:2], rtol=0.1)
    assert mean_error[2] < 0.8 * spread[2]
    # A group for each row, and equal weights, are nothing new.
    plain = errors[-1, 2]
    for known in ({"groups": np.arange(n_rows)}, {"sample_weight": np.full(n_rows, 3.0)}):
        _, error = noise_corrected_score(y_noisy, *rest, return_std_error=True, **known)
        assert error == pytest.approx(plain)
    difference = noise_corrected_score(
        y_noisy, *rest, y_pred_baseline=1 - rest[0], groups=groups, return_std_error=True
    )
    assert difference[1] == pytest.approx(2 * errors[-1, 1])
    with pytest.raises(ValueError, match="two groups"):
        noise_corrected_score(y_noisy, *rest, groups=[0] * n_rows, return_std_error=True)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        noise_corrected_score(y_noisy, *rest, groups=[0, 1], return_std_error=True)


def test_near_singular_matrix_warns_and_singular_one_raises():
    nearly, singular = symmetric_transition(2, 0.49), symmetric_transition(2, 0.5)
    for score in (
        noise_corrected_confusion_matrix,
        *(functools.partial(noise_corrected_score, metric=metric) for metric in METRICS),
    ):
        with pytest.warns(UndefinedMetricWarning, match="error of up to 50 times") as warned:
            score([0, 1, 1], [0, 1, 0], nearly)
        assert warned[0].filename == __file__
        with pytest.raises(ValueError, match="singular"):
            score([0, 1, 1], [0, 1, 0], singular)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: noise_corrected_score([0, 1], [0, 1, 1], np.eye(2)), "inconsistent numbers"),
        (lambda: noise_corrected_score([0, 1], [0, 2], np.eye(2)), r"shape \(3, 3\)"),
        (lambda: noise_corrected_score([0, 1], [0, 2], np.eye(2), labels=[0, 1]), "not among"),
        (lambda: noise_corrected_score([0.5, 1], [0, 1], np.eye(2)), "continuous"),
        (lambda: noise_corrected_score([], [], np.eye(2), labels=[0, 1]), "0 sample"),
        (lambda: noise_corrected_score([0], [0], np.eye(3), labels=[0, 1, 1]), "once"),
        (
            lambda: noise_corrected_score([0, None], [0, 1], np.eye(2)),
            "y_noisy has 1 missing label",
        ),
        (
            lambda: noise_corrected_score(
                [0], [0], np.eye(2), labels=[0, 1], return_std_error=True
            ),
            "at least two samples",
        ),
        (
            lambda: noise_corrected_score(
                [0, 1], [0, 1], np.eye(2), metric="f1", return_std_error=True
            ),
            "only available for metric='accuracy', got 'f1'",
        ),
        (
            lambda: noise_corrected_score([0, 1], [0, 1], np.eye(2), groups=[0, 1]),
            "pass return_std_error=True",
        ),
        (
            lambda: noise_corrected_score([0, 1], [0, 1], np.eye(2), y_pred_baseline=[0]),
            "inconsistent numbers",
        ),
        (lambda: forward_log_loss([0, 1], [[0.5, 0.5], [0.5, 0.6]], np.eye(2)), "distributions"),
        (lambda: forward_log_loss([0, 1], [[1.5, -0.5], [0.5, 0.5]], np.eye(2)), "distributions"),
        (lambda: forward_log_loss([0, 0], [[1, 0], [1, 0]], np.eye(2)), "pass labels"),
    ],
)
def test_bad_input(call, match):
    with pytest.raises(ValueError, match=match):
        call()


@pytest.mark.parametrize(
    "model",
    [
        UnhingedClassifier(),
        KNeighborsClassifier(20),
        make_pipeline(StandardScaler(), LogisticRegression(C=0.01)),
    ],
    ids=["decision_function", "predict_proba", "pipeline"],
)
@pytest.mark.parametrize("load", [load_digits, load_breast_cancer])
def test_wrong_labels_are_found(model, load):
    X, y = load(return_X_y=True)
    names = np.array([f"class {k}" for k in range(y.max() + 1)])
    y_noisy, wrong = corrupt_labels(names[y], "symmetric", 0.2, random_state=0, return_mask=True)
    quality, suggested = label_quality(model, X, y_noisy, random_state=0, n_jobs=2)
    assert roc_auc_score(wrong, -quality) > 0.9
    np.testing.assert_array_equal(suggested != y_noisy, quality < 0)
    assert (suggested[wrong] == names[y][wrong]).mean() > 0.8
    again, _ = label_quality(model, X, y_noisy, random_state=0)
    np.testing.assert_array_equal(again, quality)


@pytest.mark.slow
def test_a_robust_network_finds_wrong_labels():
    X, y = load_wine(return_X_y=True)
    y_noisy, wrong = corrupt_labels(y, "symmetric", 0.3, random_state=0, return_mask=True)
    clf = RobustClassifier(n_members=1, hidden_layer_sizes=64, max_epochs=60, random_state=0)
    quality, _ = label_quality(clf, X, y_noisy, cv=3, random_state=0)
    assert roc_auc_score(wrong, -quality) > 0.9


class SinglePrecision(LogisticRegression):
    """Scores of 32 bits, of which the lowest number is another one."""

    def decision_function(self, X):
        return super().decision_function(X).astype(np.float32)


@pytest.mark.filterwarnings("ignore:The least populated class", "ignore:Number of classes in")
@pytest.mark.parametrize(
    "model",
    [UnhingedClassifier(), SinglePrecision(C=1e-3, max_iter=500), KNeighborsClassifier(20)],
    ids=["decision_function", "float32", "predict_proba"],
)
def test_the_only_row_of_a_class_has_the_score_of_a_doubtful_label(model):
    X, y = load_digits(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    clean, _ = label_quality(model, X, y, random_state=0)
    mistyped = y.copy()
    mistyped[0] = 99
    quality, suggested = label_quality(model, X, mistyped, random_state=0)
    assert suggested[0] == y[0]
    assert -2 * np.ptp(clean) < quality[0] < 0
    assert (quality < quality[0]).sum() < 20


def test_scores_of_labels_have_a_scale():
    X, y = load_wine(return_X_y=True)
    for model in (UnhingedClassifier(), UnhingedClassifier(alpha=1e-6)):
        quality, _ = label_quality(model, X, y, random_state=0)
        assert np.median(np.abs(quality)) == pytest.approx(1)
    quality, _ = label_quality(KNeighborsClassifier(5), X, y, random_state=0)
    assert quality.min() >= -1
    assert quality.max() == 1


def test_label_quality_heeds_weights_and_groups():
    X, y = load_wine(return_X_y=True)
    # Two copies of each row: one votes for the label of the other, unless they are in one fold.
    twice, wrong = np.repeat(X, 2, axis=0), np.repeat((y + 1) % 3, 2)
    copies = np.repeat(np.arange(len(X)), 2)
    nearest = make_pipeline(StandardScaler(), KNeighborsClassifier(1))
    y_noisy = np.where(copies % 10 == 0, wrong, np.repeat(y, 2))
    alone, _ = label_quality(nearest, twice, y_noisy, cv=10, random_state=0)
    together, _ = label_quality(nearest, twice, y_noisy, groups=copies, cv=10, random_state=0)
    assert (alone[copies % 10 == 0] > 0).mean() > 0.8
    assert (together[copies % 10 == 0] > 0).mean() < 0.4
    by_splitter, _ = label_quality(nearest, twice, y_noisy, groups=copies, cv=GroupKFold(10))
    assert (by_splitter[copies % 10 == 0] > 0).mean() < 0.4
    # Rows of no weight teach nothing, and are scored.
    model = make_pipeline(StandardScaler(), UnhingedClassifier())
    weight, rest = (
        np.where(np.arange(len(X)) % 3 == 0, 0.0, 1.0),
        {"cv": KFold(3, shuffle=True, random_state=0)},
    )
    swapped = np.where(weight == 0, (y + 1) % 3, y)
    _, suggested = label_quality(model, X, swapped, sample_weight=weight, **rest)
    _, expected = label_quality(model, X, y, sample_weight=weight, **rest)
    np.testing.assert_array_equal(suggested, expected)
    with pytest.raises(ValueError, match="takes no sample_weight"):
        label_quality(nearest, X, y, sample_weight=weight)


def test_label_quality_rejects_what_it_cannot_score():
    with pytest.raises(ValueError, match="decision_function or predict_proba"):
        label_quality(WithoutScores(), [[0.0], [1.0]], [0, 1])
    with pytest.raises(ValueError, match="at least 2 classes"):
        label_quality(UnhingedClassifier(), [[0.0], [1.0]], [1, 1])


class WithoutScores(ClassifierMixin, BaseEstimator):
    """A classifier that knows classes and no scores."""

    def fit(self, X, y):
        return self

    def predict(self, X):
        return X

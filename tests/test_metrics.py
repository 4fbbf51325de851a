"""Scores on noisy labels, corrected: unbiased, and honest about their error."""

import functools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    roc_auc_score,
)
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from robustlabels import (
    RobustClassifier,
    UnhingedClassifier,
    corrupt_labels,
    pair_transition,
    symmetric_transition,
)
from robustlabels.metrics import (
    forward_log_loss,
    label_quality,
    make_noise_corrected_scorer,
    noise_corrected_accuracy,
    noise_corrected_balanced_accuracy,
    noise_corrected_confusion_matrix,
    noise_corrected_difference,
    noise_corrected_f1,
)

NOISES = {"symmetric": symmetric_transition, "pair": pair_transition}


def draw_predictions(rng, y, accuracy):
    """Predictions of a classifier that confuses each class with the next, or with any."""
    n_classes = y.max() + 1
    wrong = np.where(
        rng.uniform(size=len(y)) < 0.5, y + 1, y + rng.integers(1, n_classes, size=len(y))
    )
    return np.where(rng.uniform(size=len(y)) < accuracy, y, wrong % n_classes)


@pytest.mark.slow
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("n_classes", [2, 10])
def test_corrected_accuracy_is_unbiased_and_its_interval_covers(noise, n_classes):
    rng = np.random.default_rng(n_classes)
    transition = NOISES[noise](n_classes, 0.3)
    truth, n_draws = 0.8, 1000
    estimates = np.empty((n_draws, 2))
    for i in range(n_draws):
        y = np.append(rng.integers(n_classes, size=399), n_classes - 1)
        y_pred = draw_predictions(rng, y, truth)
        y_noisy = corrupt_labels(y, transition, random_state=i)
        estimates[i] = noise_corrected_accuracy(
            y_noisy, y_pred, transition, labels=np.arange(n_classes), return_std_error=True
        )
    mean, std_error = estimates.T
    assert abs(mean.mean() - truth) < 3 * mean.std() / np.sqrt(n_draws)
    assert 0.93 <= (np.abs(mean - truth) < 1.96 * std_error).mean() <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("noise", NOISES)
def test_difference_of_two_models_is_unbiased_and_its_interval_covers(noise):
    rng = np.random.default_rng(0)
    transition, n_draws = NOISES[noise](4, 0.3), 1000
    estimates = np.empty((n_draws, 2))
    for i in range(n_draws):
        y = np.append(rng.integers(4, size=399), 3)
        a = draw_predictions(rng, y, 0.8)
        # The two agree on most rows.
        b = np.where(rng.uniform(size=400) < 0.7, a, draw_predictions(rng, y, 0.7))
        y_noisy = corrupt_labels(y, transition, random_state=i)
        estimates[i] = noise_corrected_difference(y_noisy, a, b, transition, labels=range(4))
    mean, std_error = estimates.T
    assert abs(mean.mean() - 0.03) < 3 * mean.std() / np.sqrt(n_draws)
    assert 0.93 <= (np.abs(mean - 0.03) < 1.96 * std_error).mean() <= 0.97
    # The comparison is paired: its error is that of the rows on which they differ.
    _, alone = noise_corrected_accuracy(y_noisy, a, transition, return_std_error=True)
    assert std_error[-1] < alone


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


def test_scores_from_the_confusion_matrix():
    rng = np.random.default_rng(0)
    y = rng.choice(3, size=60_000, p=[0.7, 0.2, 0.1])
    y_pred = draw_predictions(rng, y, 0.75)
    transition = pair_transition(3, 0.3)
    y_noisy = corrupt_labels(y, transition, random_state=0)
    balanced = noise_corrected_balanced_accuracy(y_noisy, y_pred, transition)
    assert balanced == pytest.approx(balanced_accuracy_score(y, y_pred), abs=0.02)
    assert abs(balanced_accuracy_score(y_noisy, y_pred) - balanced) > 0.1
    f1 = noise_corrected_f1(y_noisy, y_pred, transition)
    assert f1 == pytest.approx(f1_score(y, y_pred, average="macro"), abs=0.02)
    inverse = noise_corrected_confusion_matrix(y_noisy, y_pred, transition, method="inverse")
    assert np.trace(inverse) / len(y) == pytest.approx(
        noise_corrected_accuracy(y_noisy, y_pred, transition)
    )


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
    found = noise_corrected_balanced_accuracy(y_noisy, y_pred, transition, labels=[0, 1, 2])
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
    for score in (noise_corrected_accuracy, noise_corrected_f1):
        assert score(y_noisy, y_pred, transition) == pytest.approx(
            score(
                *(y_noisy, y_pred, transition[np.ix_(order, order)]), labels=np.array(list("cab"))
            )
        )
    matrix = noise_corrected_confusion_matrix(y_noisy, y_pred, transition)
    permuted = noise_corrected_confusion_matrix(
        y_noisy, y_pred, transition[np.ix_(order, order)], labels=list("cab")
    )
    np.testing.assert_allclose(permuted, matrix[np.ix_(order, order)], atol=1e-12)


def test_scorer_in_a_search_ranks_by_clean_accuracy():
    X, y = load_digits(return_X_y=True)
    transition = pair_transition(10, 0.3)
    y_noisy = corrupt_labels(y, transition, random_state=0)
    search = GridSearchCV(
        UnhingedClassifier(),
        {"transition_matrix": [None, transition], "alpha": [0.1, 10.0]},
        scoring=make_noise_corrected_scorer(transition),
        n_jobs=2,
    ).fit(X, y_noisy)
    for params, mean in zip(
        search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
    ):
        clf = UnhingedClassifier(**params)
        clean = (cross_val_predict(clf, X, y_noisy) == y).mean()
        assert mean == pytest.approx(clean, abs=0.04)


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


def test_scores_of_pairs_of_classes_are_refused():
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
        (noise_corrected_accuracy, (y_noisy, y_pred)),
        (
            functools.partial(noise_corrected_difference, return_std_error=False),
            (y_noisy, y_pred, other),
        ),
        (noise_corrected_confusion_matrix, (y_noisy, y_pred)),
        (functools.partial(noise_corrected_confusion_matrix, method="inverse"), (y_noisy, y_pred)),
        (noise_corrected_balanced_accuracy, (y_noisy, other)),
        (noise_corrected_f1, (y_noisy, other)),
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
                noise_corrected_accuracy(
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
        _, error = noise_corrected_accuracy(y_noisy, *rest, return_std_error=True, **known)
        assert error == pytest.approx(plain)
    difference = noise_corrected_difference(y_noisy, rest[0], 1 - rest[0], T, groups=groups)
    assert difference[1] == pytest.approx(2 * errors[-1, 1])
    with pytest.raises(ValueError, match="two groups"):
        noise_corrected_accuracy(y_noisy, *rest, groups=[0] * n_rows, return_std_error=True)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        noise_corrected_accuracy(y_noisy, *rest, groups=[0, 1], return_std_error=True)


def test_near_singular_matrix_warns_and_singular_one_raises():
    nearly, singular = symmetric_transition(2, 0.49), symmetric_transition(2, 0.5)
    for score in (
        noise_corrected_accuracy,
        noise_corrected_confusion_matrix,
        noise_corrected_balanced_accuracy,
        noise_corrected_f1,
    ):
        with pytest.warns(UndefinedMetricWarning, match="error up to 50 times"):
            score([0, 1, 1], [0, 1, 0], nearly)
        with pytest.raises(ValueError, match="singular"):
            score([0, 1, 1], [0, 1, 0], singular)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: noise_corrected_accuracy([0, 1], [0, 1, 1], np.eye(2)), "inconsistent numbers"),
        (lambda: noise_corrected_accuracy([0, 1], [0, 2], np.eye(2)), r"shape \(3, 3\)"),
        (lambda: noise_corrected_accuracy([0, 1], [0, 2], np.eye(2), labels=[0, 1]), "not among"),
        (lambda: noise_corrected_accuracy([0.5, 1], [0, 1], np.eye(2)), "continuous"),
        (lambda: noise_corrected_accuracy([], [], np.eye(2), labels=[0, 1]), "0 sample"),
        (lambda: noise_corrected_accuracy([0], [0], np.eye(3), labels=[0, 1, 1]), "once"),
        (
            lambda: noise_corrected_accuracy([0, None], [0, 1], np.eye(2)),
            "y_noisy has 1 missing label",
        ),
        (
            lambda: noise_corrected_accuracy(
                [0], [0], np.eye(2), labels=[0, 1], return_std_error=True
            ),
            "two rows",
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
    quality, _ = label_quality(clf, X, y_noisy, random_state=0)
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


def test_label_quality_refuses_what_it_cannot_score():
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

"""CleanScores: what noisy labels say of a classifier, and how sure that is."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, recall_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from robustlabels import (
    CleanScores,
    LabelRefiner,
    RefinedClassifier,
    RobustClassifier,
    UnhingedClassifier,
    corrupt_labels,
    pair_transition,
    random_transition,
    symmetric_transition,
)
from robustlabels.metrics import noise_corrected_accuracy
from robustlabels.refinement._noise_model import NoisePosterior


def draw_classes(distance, n_classes, seed, n_rows=500, n_train=300):
    """Draw a fitted classifier, rows to judge it by, their clean labels, and its true accuracy."""
    rng = np.random.RandomState(seed)
    centres = rng.normal(size=(n_classes, 6))
    centres *= distance / np.linalg.norm(centres, axis=1, keepdims=True)
    y = rng.randint(n_classes, size=n_train + n_rows + 20_000)
    X = centres[y] + rng.normal(size=(len(y), 6))
    clf = LogisticRegression().fit(X[:n_train], y[:n_train])
    test, more = slice(n_train, n_train + n_rows), slice(n_train + n_rows, None)
    return clf, X[test], y[test], clf.score(X[more], y[more])


@given(seed=st.integers(0, 10_000), n_classes=st.integers(2, 6), n_rows=st.integers(10, 200))
def test_without_noise_scores_are_those_of_scikit_learn(seed, n_classes, n_rows):
    rng = np.random.RandomState(seed)
    classes = np.array(list("fadbce"))[:n_classes]
    y, y_pred = rng.choice(classes, n_rows), rng.choice(classes, n_rows)
    y[:n_classes] = classes
    scores = CleanScores.from_predictions(y, y_pred, np.eye(n_classes))
    for estimate, right in (
        (scores.accuracy, accuracy_score(y, y_pred)),
        (scores.balanced_accuracy, balanced_accuracy_score(y, y_pred)),
        *zip(scores.recall.values(), recall_score(y, y_pred, average=None), strict=True),
    ):
        assert estimate.value == pytest.approx(right)
        assert estimate.on_noisy == pytest.approx(right)
        assert 0 <= estimate.low <= right <= estimate.high <= 1
    assert list(scores.recall) == sorted(classes)
    assert scores.noise_rate.value == 0
    assert scores.accuracy_range is None
    np.testing.assert_allclose(scores.confusion_matrix, confusion_matrix(y, y_pred), atol=1e-9)


def test_with_a_known_noise_the_interval_is_that_of_the_corrected_accuracy():
    rng = np.random.RandomState(0)
    y = rng.randint(4, size=3000)
    y_pred = np.where(rng.uniform(size=3000) < 0.8, y, rng.randint(4, size=3000))
    T = random_transition(4, 0.3, random_state=0)
    y_noisy = corrupt_labels(y, T, random_state=0)
    accuracy = CleanScores.from_predictions(y_noisy, y_pred, T, confidence_level=0.9).accuracy
    mean, error = noise_corrected_accuracy(y_noisy, y_pred, T, return_std_error=True)
    assert accuracy.value == pytest.approx(mean)
    assert accuracy.high - accuracy.low == pytest.approx(2 * 1.645 * error, rel=0.01)
    # By the names of the classes, in any order.
    order = [2, 0, 3, 1]
    again = CleanScores.from_predictions(
        y_noisy, y_pred, T[np.ix_(order, order)], labels=order, confidence_level=0.9
    )
    assert again.accuracy == pytest.approx(accuracy)
    assert again.recall[3] == pytest.approx(
        CleanScores.from_predictions(y_noisy, y_pred, T, confidence_level=0.9).recall[3]
    )


def test_intervals_under_a_known_noise_cover():
    rng = np.random.RandomState(0)
    T = np.array([[0.8, 0.2, 0], [0.1, 0.7, 0.2], [0.1, 0, 0.9]])
    prior, predicts = (
        np.array([0.5, 0.3, 0.2]),
        np.array([[0.9, 0.1, 0], [0.2, 0.7, 0.1], [0, 0.3, 0.7]]),
    )
    truth = [prior @ predicts.diagonal(), predicts.diagonal().mean(), 1 - prior @ T.diagonal(),
             *predicts.diagonal()]  # fmt: skip
    joint = np.einsum("k,kj,ka->ja", prior, T, predicts)
    holds = []
    for _ in range(250):
        y_noisy, y_pred = np.divmod(rng.choice(9, size=500, p=joint.ravel()), 3)
        found = CleanScores.from_predictions(y_noisy, y_pred, T).scores.values()
        holds.append([e.low <= t <= e.high for e, t in zip(found, truth, strict=True)])
    covered = np.mean(holds, axis=0)
    assert ((covered > 0.92) & (covered < 0.985)).all()


def test_rows_that_the_noise_was_counted_from_widen_the_interval():
    # So many labels that their own draw does not matter: what is left is that of the matrix.
    rng = np.random.RandomState(0)
    T = np.array([[0.8, 0.2, 0], [0.1, 0.7, 0.2], [0.1, 0, 0.9]])
    n_rows = np.array([300, 200, 400])
    y = rng.randint(3, size=1_000_000)
    y_pred = np.where(rng.uniform(size=len(y)) < 0.7, y, 0)
    y_noisy = corrupt_labels(y, T, random_state=0)
    counts = confusion_matrix(y_noisy, y_pred, normalize="all")
    clean, rates = [], []
    for _ in range(2000):
        drawn = np.stack([rng.multinomial(n, row) / n for n, row in zip(n_rows, T, strict=True)])
        clean.append(np.linalg.inv(drawn).T @ counts)
        rates.append(1 - clean[-1].sum(axis=1) @ drawn.diagonal())
    recall = np.diagonal(clean, axis1=1, axis2=2) / np.sum(clean, axis=2)
    drawn_scores = np.column_stack(
        [np.trace(clean, axis1=1, axis2=2), recall.mean(axis=1), rates, recall]
    )
    refiner = LabelRefiner()
    refiner.classes_ = np.arange(3)
    refiner.noise_posterior_ = NoisePosterior(T, np.ones(1), np.ones(1), n_rows)
    scores = CleanScores.from_predictions(y_noisy, y_pred, refiner, confidence_level=0.6827)
    widths = [(e.high - e.low) / 2 for e in scores.scores.values()]
    # The recall of class 0 is 1, and its interval is cut off there.
    kept = [0, 1, 2, 4, 5]
    np.testing.assert_allclose(np.array(widths)[kept], drawn_scores.std(axis=0)[kept], rtol=0.1)


@pytest.mark.parametrize(
    ("distance", "noise"),
    [(4.0, 0.0), (1.3, 0.0), (4.0, symmetric_transition(3, 0.3)), (1.3, pair_transition(3, 0.3))],
    ids=["easy, clean", "hard, clean", "easy, symmetric", "hard, pair"],
)
def test_an_estimated_noise_leaves_the_truth_inside(distance, noise):
    clf, X, y, truth = draw_classes(distance, 3, seed=0)
    y_noisy = y if np.isscalar(noise) else corrupt_labels(y, noise, random_state=0)
    scores = CleanScores.from_estimator(clf, X, y_noisy, random_state=0)
    assert scores.accuracy.low <= truth <= scores.accuracy.high
    none, all_ = scores.accuracy_range
    assert none == pytest.approx(clf.score(X, y_noisy))
    assert none < all_
    assert scores.accuracy.low <= scores.accuracy.value <= scores.accuracy.high


def test_the_same_seed_gives_the_same_scores():
    clf, X, y, _ = draw_classes(2.0, 2, seed=0, n_rows=100)
    first, second = (CleanScores.from_estimator(clf, X, y, random_state=1) for _ in range(2))
    assert first.frame().equals(second.frame())


def test_what_a_classifier_has_found_is_taken_from_it():
    clf, X, y, _ = draw_classes(3.0, 3, seed=0)
    T = pair_transition(3, 0.2)
    y_noisy = corrupt_labels(y, T, random_state=0)
    ours = RefinedClassifier(LogisticRegression(), LabelRefiner(T), random_state=0)
    ours.fit(X[:250], y_noisy[:250])
    rest = X[250:], y_noisy[250:]
    found = CleanScores.from_estimator(ours, *rest)
    assert found.accuracy_range is None
    known = CleanScores.from_estimator(ours, *rest, transition_matrix=T)
    assert found.frame().equals(known.frame())
    by_it = CleanScores.from_estimator(clf, *rest, transition_matrix=ours)
    by_refiner = CleanScores.from_predictions(rest[1], clf.predict(rest[0]), ours.refiner_)
    assert by_it.frame().equals(by_refiner.frame())
    estimated = CleanScores.from_estimator(
        ours, *rest, transition_matrix="estimate", random_state=0
    )
    assert estimated.accuracy_range is not None


def test_a_class_that_the_rows_lack():
    clf, X, y, _ = draw_classes(4.0, 4, seed=0)
    kept = y != 2
    scores = CleanScores.from_estimator(clf, X[kept], y[kept], random_state=0)
    assert np.isnan(scores.recall[2].value)
    assert scores.recall[2][1:3] == (0, 1)
    assert scores.balanced_accuracy.value > 0.9
    assert "nan" in repr(scores)


def test_errors():
    clf, X, y, _ = draw_classes(3.0, 3, seed=0)
    with pytest.raises(ValueError, match="20 rows are too few to estimate the noise"):
        CleanScores.from_estimator(clf, X[:20], y[:20])
    with pytest.raises(ValueError, match="too few to estimate"):
        CleanScores.from_estimator(clf, X[y == 1][:90], y[y == 1][:90])
    with pytest.raises(ValueError, match="has the labels \\[7\\], which are not among the classes"):
        CleanScores.from_estimator(clf, X, np.where(y == 1, 7, y))
    with pytest.raises(ValueError, match="has found no noise. Pass a fitted LabelRefiner"):
        CleanScores.from_estimator(clf, X, y, transition_matrix=LabelRefiner())
    with pytest.raises(ValueError, match="is singular"):
        CleanScores.from_estimator(clf, X, y, transition_matrix=np.full((3, 3), 1 / 3))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        CleanScores.from_estimator(clf, X, y[:-1])
    with pytest.raises(ValueError, match="'estimate' needs the features"):
        CleanScores.from_predictions(y, y, "estimate")
    with pytest.raises(ValueError, match="must be an array-like"):
        CleanScores.from_estimator(clf, X, y, transition_matrix="guess")
    refiner = LabelRefiner(np.eye(3)).fit(X, y)
    with pytest.raises(ValueError, match="labels with the classes \\[2\\], which are not among"):
        CleanScores.from_predictions(y % 2, y % 2, refiner)


def test_table_text_html_and_picture():
    y = np.array(["a<b", "c", "c", "a<b", "c"] * 20)
    scores = CleanScores.from_predictions(y, y[::-1], symmetric_transition(2, 0.1))
    frame = scores.frame()
    assert list(frame.columns) == ["value", "low", "high", "on_noisy"]
    assert list(frame.index) == [
        *("accuracy", "balanced accuracy", "noise rate", "recall of a<b", "recall of c"),
    ]
    assert tuple(frame.loc["accuracy"]) == scores.accuracy
    text = repr(scores)
    assert "estimated from 100 noisy ones" in text
    assert f"{scores.accuracy.value:.3f}" in text
    assert "taken to be known" in text
    assert "a&lt;b" in scores._repr_html_()
    assert scores.plot() is scores
    assert [tick.get_text() for tick in scores.ax_.get_yticklabels()] == list(frame.index)
    _, ax = plt.subplots()
    assert scores.plot(ax).ax_ is ax
    plt.close("all")


def test_many_classes_are_shown_in_part():
    y = np.arange(400) % 40
    scores = CleanScores.from_predictions(y, y, np.eye(40))
    assert "The recalls of 10 more classes are in frame()" in repr(scores)
    assert len(scores.frame()) == 43


@pytest.mark.parametrize("transition", ["estimate", symmetric_transition(3, 0.3)], ids=np.ndim)
@pytest.mark.parametrize(
    "clf",
    [RobustClassifier(max_epochs=2, random_state=0), UnhingedClassifier()],
    ids=lambda clf: type(clf).__name__,
)
def test_noise_that_a_classifier_reckons_with_is_taken_over(clf, transition):
    X, y = load_wine(return_X_y=True)
    noisy = corrupt_labels(y, "symmetric", 0.3, random_state=0)
    clf = clone(clf).set_params(transition_matrix=transition).fit(X, noisy)
    # Of ten rows no noise can be estimated.
    taken_over = CleanScores.from_estimator(clf, X[::18], noisy[::18])
    rate = 1 - clf.transition_matrix_.diagonal().mean()
    np.testing.assert_allclose(taken_over.noise_rate.value, rate, atol=0.05)


@pytest.mark.parametrize("kind", ["pipeline", "search"])
def test_noise_that_the_last_step_or_the_best_candidate_found_is_taken_over(kind):
    X, y = load_wine(return_X_y=True)
    noisy = corrupt_labels(y, "symmetric", 0.3, random_state=0)
    clf = RobustClassifier(max_epochs=1, hidden_layer_sizes=4, random_state=0)
    wrap = make_pipeline if kind == "pipeline" else lambda clf: GridSearchCV(clf, {}, cv=2)
    classifiers = wrap(clone(clf)).fit(X, noisy), clf.fit(X, noisy)
    wrapped, alone = (CleanScores.from_estimator(c, X[::18], noisy[::18]) for c in classifiers)
    assert wrapped.noise_rate.value == alone.noise_rate.value

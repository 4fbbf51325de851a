"""CleanScores: scores on clean labels from noisy ones, and their intervals."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scipy.special import ndtr
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, recall_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from robustlabels import (
    CleanScores,
    LabelRefiner,
    NoisyConformalClassifier,
    RefinedClassifier,
    RobustClassifier,
    UnhingedClassifier,
    corrupt_labels,
)
from robustlabels.metrics import noise_corrected_score
from robustlabels.noise import pair_transition, random_transition, symmetric_transition
from robustlabels.refinement._noise_model import NoisePosterior

#: Random numbers by a seed do not get simpler.
without_shrinking = settings(phases=[Phase.generate])


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
    assert scores.noise_known
    np.testing.assert_allclose(scores.confusion_matrix, confusion_matrix(y, y_pred), atol=1e-9)


def test_with_a_known_noise_the_interval_is_that_of_the_corrected_accuracy():
    rng = np.random.RandomState(0)
    y = rng.randint(4, size=3000)
    y_pred = np.where(rng.uniform(size=3000) < 0.8, y, rng.randint(4, size=3000))
    T = random_transition(4, 0.3, random_state=0)
    y_noisy = corrupt_labels(y, T, random_state=0)
    accuracy = CleanScores.from_predictions(y_noisy, y_pred, T, confidence_level=0.9).accuracy
    mean, error = noise_corrected_score(y_noisy, y_pred, T, return_std_error=True)
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
    for _ in range(150):
        y_noisy, y_pred = np.divmod(rng.choice(9, size=500, p=joint.ravel()), 3)
        found = CleanScores.from_predictions(y_noisy, y_pred, T).scores.values()
        holds.append([e.low <= t <= e.high for e, t in zip(found, truth, strict=True)])
    covered = np.mean(holds, axis=0)
    assert ((covered > 0.91) & (covered < 0.99)).all()


def scores_of(flat, n_classes):
    """Accuracy, balanced accuracy, noise rate and recalls, by the matrix and the shares."""
    T, share = flat.reshape(2, n_classes, n_classes)
    clean = np.linalg.inv(T).T @ share
    prior, recall = clean.sum(axis=1), clean.diagonal() / clean.sum(axis=1)
    return np.array([np.trace(clean), recall.mean(), prior @ (1 - T.diagonal()), *recall])


@without_shrinking
@given(seed=st.integers(0, 10_000), n_classes=st.integers(2, 4), is_known=st.booleans())
def test_standard_errors_are_those_of_the_delta_method(seed, n_classes, is_known):
    # Two draws of multinomial distributions: of the labels with their predictions, and of the
    # labels that each row of the matrix was counted from. Derivatives by finite differences.
    rng = np.random.RandomState(seed)
    T = 0.6 * np.eye(n_classes) + 0.4 * rng.dirichlet(np.ones(n_classes), n_classes)
    predicts = 0.6 * np.eye(n_classes) + 0.4 * rng.dirichlet(np.full(n_classes, 9.0), n_classes)
    prior = rng.dirichlet(np.full(n_classes, 20.0))
    counts = np.round(100_000 * np.einsum("k,kj,ka->ja", prior, T, predicts)).astype(int)
    n_rows = np.full(n_classes, np.inf) if is_known else rng.randint(2000, 4000, size=n_classes)
    at = np.stack([T, counts / counts.sum()]).ravel()
    steps = 1e-6 * np.eye(len(at))
    slopes = np.array(
        [scores_of(at + h, n_classes) - scores_of(at - h, n_classes) for h in steps]
    ).reshape(2, n_classes, n_classes, -1) / 2e-6  # fmt: skip
    of_matrix = np.einsum("ij,ijs->is", T, slopes[0] ** 2)
    of_matrix -= np.einsum("ij,ijs->is", T, slopes[0]) ** 2
    shares = counts[..., None] / counts.sum()
    of_labels = (shares * slopes[1] ** 2).sum((0, 1)) - (shares * slopes[1]).sum((0, 1)) ** 2
    expected = np.sqrt(of_labels / counts.sum() + (of_matrix / n_rows[:, None]).sum(axis=0))
    if is_known:
        noise = T
    else:
        noise = LabelRefiner()
        noise.classes_ = np.arange(n_classes)
        noise.noise_posterior_ = NoisePosterior(T[None], np.ones(1), np.ones(1), n_rows)
    y_noisy, y_pred = (np.repeat(i.ravel(), counts.ravel()) for i in np.indices(counts.shape))
    level = 2 * ndtr(1) - 1  # one standard error on each side
    found = CleanScores.from_predictions(y_noisy, y_pred, noise, confidence_level=level)
    values, low, high, _ = np.transpose(list(found.scores.values()))
    np.testing.assert_allclose(values, scores_of(at, n_classes), atol=1e-9)
    np.testing.assert_allclose((high - low) / 2, expected, rtol=5e-3)


@without_shrinking
@given(seed=st.integers(0, 10_000), n_classes=st.integers(2, 4))
def test_a_class_that_does_not_occur_changes_no_other_score(seed, n_classes):
    rng = np.random.RandomState(seed)
    y, y_pred = rng.randint(n_classes, size=(2, 60))
    y[:n_classes] = np.arange(n_classes)
    T = symmetric_transition(n_classes, 0.1)
    more = np.eye(n_classes + 1)
    more[:-1, :-1] = T
    alone = CleanScores.from_predictions(y, y_pred, T, labels=range(n_classes))
    beside = CleanScores.from_predictions(y, y_pred, more, labels=range(n_classes + 1))
    assert np.isnan(beside.recall[n_classes].value)
    for name in {*alone.scores} - {"noise_rate"}:
        np.testing.assert_allclose(beside.scores[name], alone.scores[name], atol=1e-9)


def test_an_interval_has_a_width_where_all_predictions_are_right():
    y = np.arange(100) % 2
    scores = CleanScores.from_predictions(y, y, None)
    for estimate in (scores.accuracy, scores.balanced_accuracy, *scores.recall.values()):
        assert 0.9 < estimate.low < 1 == estimate.high


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
    assert scores.accuracy.low <= scores.accuracy.value <= scores.accuracy.high


@pytest.mark.parametrize("distance", [4.0, 1.7], ids=["easy", "hard"])
def test_checked_labels_do_not_have_the_noise_of_training(distance):
    clf, X, y, _ = draw_classes(distance, 2, seed=0, n_rows=2000)
    y_noisy = corrupt_labels(y, "symmetric", 0.28, random_state=0)
    clf = RefinedClassifier(clf, random_state=0).fit(X[:1000], y_noisy[:1000])
    with pytest.warns(UserWarning, match="more often than the noise allows"):
        scores = CleanScores.from_estimator(clf, X[1000:], y[1000:])
    assert scores.accuracy.low < clf.score(X[1000:], y[1000:]) < scores.accuracy.high
    # Labels with that noise do not warn, nor do those with more.
    CleanScores.from_estimator(clf, X[1000:], y_noisy[1000:])
    CleanScores.from_estimator(
        clf, X[1000:], corrupt_labels(y_noisy[1000:], "symmetric", 0.1, random_state=1)
    )
    sets = NoisyConformalClassifier(clf, random_state=0)
    with pytest.warns(UserWarning, match="more often than the noise allows"):
        sets.conformalize(X[1000:1500], y[1000:1500])
    held = sets.predict_set(X[1500:])[1][np.arange(500), y[1500:], 0]
    assert held.mean() > 0.87


def test_confident_predictions_show_what_all_do_not():
    T = symmetric_transition(2, 0.3)
    clf, X, y, _ = draw_classes(0.75, 2, seed=0, n_rows=2000)
    clf = RefinedClassifier(clf, LabelRefiner(T, random_state=0), random_state=0)
    clf.fit(X[:1000], corrupt_labels(y[:1000], T, random_state=0))
    assert clf.score(X[1000:], y[1000:]) < 0.7  # a label agrees as often under this noise
    with pytest.warns(UserWarning, match="more often than the noise allows"):
        CleanScores.from_estimator(clf, X[1000:], y[1000:])


def test_copies_and_groups_of_rows_count_once():
    clf, X, y, _ = draw_classes(2.5, 3, seed=0)
    T = symmetric_transition(3, 0.2)
    y = corrupt_labels(y, T, random_state=0)
    rows = np.repeat(np.arange(500), 10)
    rng = np.random.RandomState(0)

    def score(X, y):
        return CleanScores.from_estimator(clf, X, y, transition_matrix=T).accuracy[:3]

    once = score(X, y)
    np.testing.assert_allclose(score(X[rows], y[rows]), once, rtol=0.01)
    near = score(X[rows] + 1e-6 * rng.normal(size=(5000, 6)), y[rows])
    np.testing.assert_allclose(near, once, rtol=0.01)
    independent = CleanScores.from_predictions(y[rows], clf.predict(X[rows]), T).accuracy
    assert independent.high - independent.low < (once[2] - once[1]) / 2
    grouped = CleanScores.from_predictions(y[rows], clf.predict(X[rows]), T, groups=rows).accuracy
    np.testing.assert_allclose(grouped[:3], once, rtol=0.01)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        CleanScores.from_predictions(y, y, T, groups=rows)


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
    assert found.noise_known
    with pytest.raises(ValueError, match="which estimator already provides"):
        CleanScores.from_estimator(ours, *rest, random_state=0)
    known = CleanScores.from_estimator(ours, *rest, transition_matrix=T)
    assert found.frame().equals(known.frame())
    by_it = CleanScores.from_estimator(clf, *rest, transition_matrix=ours)
    by_refiner = CleanScores.from_predictions(rest[1], clf.predict(rest[0]), ours.refiner_)
    assert by_it.frame().equals(by_refiner.frame())
    estimated = CleanScores.from_estimator(
        ours, *rest, transition_matrix="estimate", random_state=0
    )
    assert not estimated.noise_known


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
    with pytest.raises(ValueError, match="20 samples are too few to estimate the noise"):
        CleanScores.from_estimator(clf, X[:20], y[:20])
    with pytest.raises(ValueError, match="too few to estimate"):
        CleanScores.from_estimator(clf, X[y == 1][:90], y[y == 1][:90])
    with pytest.raises(ValueError, match="has the labels \\[7\\], which are not among the classes"):
        CleanScores.from_estimator(clf, X, np.where(y == 1, 7, y))
    with pytest.raises(ValueError, match="has not found any noise. Pass a LabelRefiner or a"):
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
    for noise in (refiner, np.eye(3), None):
        with pytest.raises(ValueError, match="random_state=0 would have no effect: .* transition_"):
            CleanScores.from_estimator(clf, X, y, transition_matrix=noise, random_state=0)
    with pytest.raises(ValueError, match="labels with the classes \\[2\\], which are not among"):
        CleanScores.from_predictions(y % 2, y % 2, refiner)


def test_table_text_html_and_picture():
    y = np.array(["a<b", "c", "c", "a<b", "c"] * 20)
    scores = CleanScores.from_predictions(y, y[::-1], symmetric_transition(2, 0.1))
    frame = scores.frame()
    assert list(frame.columns) == ["value", "low", "high", "on_noisy"]
    assert list(frame.index) == [
        *("accuracy", "balanced_accuracy", "noise_rate", "recall[a<b]", "recall[c]"),
    ]
    assert tuple(frame.loc["accuracy"]) == scores.accuracy == scores.scores["accuracy"]
    assert tuple(frame.loc["recall[c]"]) == scores.recall["c"]
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


def test_without_noise_labels_are_taken_to_be_right():
    clf, X, y, _ = draw_classes(3.0, 3, seed=0)
    by_none = CleanScores.from_estimator(clf, X, y, transition_matrix=None)
    by_matrix = CleanScores.from_estimator(clf, X, y, transition_matrix=np.eye(3))
    assert by_none.frame().equals(by_matrix.frame())
    assert by_none.accuracy.value == pytest.approx(clf.score(X, y))


@pytest.mark.parametrize("unit", ["D", "ns"])
def test_recalls_of_dates(unit):
    days = np.array(["2024-01-01", "2024-01-02"], dtype=f"datetime64[{unit}]")
    y = np.tile(days, 50)
    scores = CleanScores.from_predictions(y, np.where(np.arange(100) < 20, days[0], y), None)
    assert scores.recall[days[0]].value == 1
    assert scores.recall[days[1]].value == pytest.approx(0.8)
    assert f"recall[{days[1]}]" in repr(scores)


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
def test_noise_that_a_classifier_found_is_taken_over(clf, transition):
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

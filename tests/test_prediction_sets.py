"""NoisyConformalClassifier: prediction sets that contain the true label as often as requested."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from robustlabels import LabelRefiner, NoisyConformalClassifier, RefinedClassifier, corrupt_labels
from robustlabels.noise import pair_transition, symmetric_transition


class ProbabilitiesAsFeatures(ClassifierMixin, BaseEstimator):
    """Knows the probabilities of the classes: they are the features."""

    def fit(self, X, y=None):
        self.classes_ = np.arange(X.shape[1])
        return self

    def predict_proba(self, X):
        return X

    def predict(self, X):
        return X.argmax(axis=1)


def draw(n_rows, n_classes, rng):
    """Draw probabilities of classes, and classes with these probabilities."""
    proba = softmax(2 * rng.normal(size=(n_rows, n_classes)), axis=1)
    return proba, (proba.cumsum(axis=1) < rng.uniform(size=(n_rows, 1))).sum(axis=1)


def sets_of(proba, y, T, level=0.9, **params):
    clf = ProbabilitiesAsFeatures().fit(proba)
    return NoisyConformalClassifier(clf, level, transition_matrix=T, **params).conformalize(
        proba, y
    )


def scores_of_labels(proba, y, score):
    own = proba[np.arange(len(y)), y]
    if score == "lac":
        return 1 - own
    return np.where(proba >= own[:, None], proba, 0).sum(axis=1) - own / 2


@given(
    seed=st.integers(0, 10_000),
    n_rows=st.integers(5, 200),
    level=st.floats(0.05, 0.99),
    score=st.sampled_from(["lac", "aps"]),
)
def test_without_noise_it_is_split_conformal_prediction(seed, n_rows, level, score):
    proba, y = draw(n_rows, 4, np.random.RandomState(seed))
    found = sets_of(proba, y, np.eye(4), level, conformity_score=score)
    rank = int(np.ceil(np.round((n_rows + 1) * level, 9)))
    scores = np.append(np.sort(scores_of_labels(proba, y, score)), np.inf)
    assert found.thresholds_[0] == pytest.approx(scores[min(rank, n_rows + 1) - 1])


@pytest.mark.parametrize("score", ["lac", "aps"])
@pytest.mark.parametrize(
    "T", [symmetric_transition(4, 0.4), pair_transition(4, 0.3)], ids=["symmetric", "pair"]
)
def test_sets_hold_the_true_label_as_often_as_asked_for(T, score):
    rng = np.random.RandomState(0)
    more, truth = draw(20_000, 4, rng)
    holds, as_given = [], []
    for seed in range(20):
        proba, y = draw(2000, 4, rng)
        y = corrupt_labels(y, T, random_state=seed)
        for noise, into in ((T, holds), (np.eye(4), as_given)):
            _, sets = sets_of(proba, y, noise, conformity_score=score).predict_set(more)
            into.append(sets[np.arange(len(more)), truth, 0].mean())
    assert np.mean(holds) == pytest.approx(0.9, abs=0.01)
    # The noisy label is to be in them.
    assert np.mean(as_given) > 0.94


def test_under_symmetric_noise_it_is_the_published_estimate():
    rng = np.random.RandomState(0)
    proba, y = draw(1000, 5, rng)
    rate, level = 0.3, 0.8
    y = corrupt_labels(y, "symmetric", rate, random_state=0)
    found = sets_of(proba, y, symmetric_transition(5, rate), level)
    inside = (1 - proba) <= found.thresholds_[0]
    replaced = rate * 5 / 4
    of_noisy, size = inside[np.arange(1000), y].mean(), inside.mean()
    assert (of_noisy - replaced * size) / (1 - replaced) == pytest.approx(level, abs=0.01)


@given(seed=st.integers(0, 10_000), rate=st.floats(0.0, 0.5), n_rows=st.integers(10, 60))
def test_threshold_is_the_first_with_enough_coverage_made_monotone(seed, rate, n_rows):
    proba, y = draw(n_rows, 4, np.random.RandomState(seed))
    T = symmetric_transition(4, rate)
    levels = np.linspace(0.1, 0.9, 17)
    found = sets_of(proba, y, T, list(levels)).thresholds_
    scores = np.unique(1 - proba)
    share = np.linalg.inv(T)[y]
    sums = np.cumsum([share[1 - proba == q].sum() / n_rows for q in scores])
    # The monotone sequence that is nearest: the largest of the least means around each place.
    means = np.full((len(sums), len(sums)), np.nan)
    for start in range(len(sums)):
        means[start, start:] = sums[start:].cumsum() / np.arange(1, len(sums) - start + 1)
    least = np.fmin.accumulate(means[:, ::-1], axis=1)[:, ::-1]
    monotone = np.clip(np.fmax.accumulate(least, axis=0).diagonal(), 0, 1)
    for level, threshold in zip(levels, found, strict=True):
        needed = (n_rows + 1) / n_rows * level
        # Up to rounding: coverage may equal what is needed.
        assert (threshold == np.inf) or monotone[scores == threshold][0] >= needed - 1e-8
        assert (monotone[scores < threshold] <= needed + 1e-8).all()


def test_several_levels_have_nested_sets():
    proba, y = draw(500, 4, np.random.RandomState(0))
    found = sets_of(proba, y, symmetric_transition(4, 0.2), [0.5, 0.8, 0.95])
    y_pred, sets = found.predict_set(proba)
    assert sets.shape == (500, 4, 3)
    assert sets.dtype == bool
    assert (sets[:, :, :-1] <= sets[:, :, 1:]).all()
    np.testing.assert_array_equal(y_pred, proba.argmax(axis=1))


def test_aps_sets_are_not_empty_and_grow_from_the_most_probable_class():
    proba, y = draw(500, 4, np.random.RandomState(0))
    found = sets_of(proba, y, np.eye(4), 0.9, conformity_score="aps")
    sets = found.predict_set(proba)[1][:, :, 0]
    inside = np.where(sets, proba, np.inf).min(axis=1)
    outside = np.where(sets, -np.inf, proba).max(axis=1)
    assert (inside > outside).all()


@pytest.mark.parametrize("score", ["lac", "aps"])
def test_two_hard_classes_get_no_more_sets_than_asked_for(score):
    rng = np.random.RandomState(0)
    own = rng.uniform(0.5, 0.9, size=22_000)
    proba = np.column_stack([own, 1 - own])
    y = (rng.uniform(size=22_000) > own).astype(int)  # 30 % are not of the more probable class
    found = sets_of(proba[:2000], y[:2000], np.eye(2), 0.8, conformity_score=score)
    sets = found.predict_set(proba[2000:])[1][:, :, 0]
    assert sets[np.arange(20_000), y[2000:]].mean() == pytest.approx(0.8, abs=0.02)


def test_rows_too_few_for_the_level_give_sets_of_all_classes():
    proba, y = draw(8, 3, np.random.RandomState(0))
    assert sets_of(proba, y, np.eye(3), 0.9).predict_set(proba)[1].all()


def test_an_estimated_noise():
    rng = np.random.RandomState(0)
    centres = 2.2 * rng.normal(size=(3, 4))
    y = rng.randint(3, size=5000)
    X = centres[y] + rng.normal(size=(5000, 4))
    given_ = corrupt_labels(y, "symmetric", 0.15, random_state=0)
    clf = LogisticRegression().fit(X[:500], given_[:500])
    found = NoisyConformalClassifier(clf, random_state=0).conformalize(
        X[500:1500], given_[500:1500]
    )
    sets = found.predict_set(X[1500:])[1][:, :, 0]
    # Noise that may be there makes sets larger rather than smaller.
    assert 0.87 < sets[np.arange(3500), y[1500:]].mean() < 0.97
    noise = LabelRefiner(random_state=0).fit(X[500:1500], given_[500:1500])
    np.testing.assert_allclose(found.transition_matrix_, noise.transition_matrix_, atol=1e-9)
    by_refiner = NoisyConformalClassifier(clf, transition_matrix=noise)
    by_refiner.conformalize(X[500:1500], given_[500:1500])
    np.testing.assert_array_equal(by_refiner.thresholds_, found.thresholds_)


def test_the_classifier_is_fitted_here_or_before():
    X, y = load_iris(return_X_y=True)
    T = symmetric_transition(3, 0.1)
    fitted = RefinedClassifier(LogisticRegression(max_iter=500), LabelRefiner(T)).fit(X, y)
    before = NoisyConformalClassifier(fitted).conformalize(X, y)
    assert before.estimator_ is fitted
    np.testing.assert_allclose(before.transition_matrix_, T)
    for noise in (T, None):
        seeded = NoisyConformalClassifier(fitted, transition_matrix=noise, random_state=0)
        with pytest.raises(ValueError, match="random_state=0 would have no effect"):
            seeded.conformalize(X, y)
    here = NoisyConformalClassifier(LogisticRegression(max_iter=500), prefit=False)
    with pytest.raises(NotFittedError):
        here.predict(X)
    with pytest.raises(NotFittedError):
        here.conformalize(X, y)
    here.fit(X, y)
    assert here.n_features_in_ == 4
    with pytest.raises(NotFittedError):
        here.predict_set(X)
    here.set_params(transition_matrix=T).conformalize(X, y).predict_set(X)
    with pytest.raises(ValueError, match="call conformalize"):
        before.fit(X, y)
    # What was found is not lost by an error, and not kept for another classifier.
    thresholds = here.thresholds_
    with pytest.raises(ValueError, match="which are not among the classes"):
        here.conformalize(X, y + 1)
    assert here.thresholds_ is thresholds
    here.fit(X, y)
    assert not hasattr(here, "thresholds_")


def test_without_noise_labels_are_taken_to_be_right():
    proba, y = draw(100, 4, np.random.RandomState(0))
    np.testing.assert_array_equal(
        sets_of(proba, y, None).thresholds_, sets_of(proba, y, np.eye(4)).thresholds_
    )


@pytest.mark.parametrize("level", [[0.9, 1.0], [], [[0.5]], ["a"], [1]])
def test_unfit_levels(level):
    proba, y = draw(50, 3, np.random.RandomState(0))
    with pytest.raises(ValueError, match="confidence_level must be a number between 0 and 1"):
        sets_of(proba, y, np.eye(3), level)

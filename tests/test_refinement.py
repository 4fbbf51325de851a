"""What the labels of a table say of its noise, and of the true labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import softmax

from robustlabels import (
    corrupt_labels,
    pair_transition,
    random_transition,
    symmetric_transition,
)
from robustlabels._refinement import (
    calibration_targets,
    deal_folds,
    estimate_noise,
    find_temperature,
    find_temperature_by_labels,
    label_probabilities,
    true_label_probabilities,
)
from robustlabels.metrics import estimate_transition_matrix


def blobs(n_classes, seed, n=1500, spread=0.3):
    """Rows around the corners of a simplex, with their classes."""
    rng = np.random.RandomState(seed)
    y = np.arange(n) % n_classes
    return np.eye(n_classes)[y] + spread * rng.normal(size=(n, n_classes)), y


def of_rows(y, noise, rate, X, seed=0):
    y_noisy = corrupt_labels(y, noise, rate, random_state=seed)
    rng = np.random.RandomState(seed)
    return y_noisy, label_probabilities(X, y_noisy, y.max() + 1, np.ones(len(y)), rng)[0]


def test_probabilities_come_from_trees_that_have_not_seen_the_row():
    # Features say nothing about the labels, so that nothing but the row itself could.
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(600, 5)), rng.randint(3, size=600)
    proba, _ = label_probabilities(X, y, 3, np.ones(600), rng)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert (proba > 0).all()
    assert (proba.argmax(axis=1) == y).mean() < 0.4


def test_copies_of_a_row_do_not_tell_its_label():
    X, y = blobs(3, 0, 300)
    y_noisy = corrupt_labels(y, "symmetric", 0.4, random_state=0)
    copies = np.repeat(np.arange(300), 3)
    one, three = (
        label_probabilities(X[rows], y_noisy[rows], 3, weight, np.random.RandomState(0))[0]
        for rows, weight in ((np.arange(300), np.full(300, 3.0)), (copies, np.ones(900)))
    )
    np.testing.assert_allclose(three, one[copies])


@pytest.mark.parametrize("n_features", [1, 2, 6, 8])
def test_rows_of_the_same_features_do_not_tell_each_others_labels(n_features):
    # 2 to 256 different rows, whose labels say nothing: neither is one's own likelier nor rarer.
    rng = np.random.RandomState(0)
    X, y = rng.randint(2, size=(2000, n_features)), rng.randint(2, size=2000)
    proba, _ = label_probabilities(X, y, 2, np.ones(2000), rng)
    assert proba[np.arange(2000), y].mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("n_features", [1, 2, 6])
@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_noise_is_found_in_few_features_of_few_values(n_features, rate):
    X = np.random.RandomState(0).randint(2, size=(2000, n_features))
    y = X[:, :2].sum(axis=1) % 2 if n_features < 6 else np.int64(X[:, :3].sum(axis=1) >= 2)
    y_noisy, proba = of_rows(y, "symmetric", rate, X)
    assert (proba.argmax(axis=1) == y).mean() > 0.95
    assert 1 - estimate_noise(y_noisy, proba)[0][0, 0] == pytest.approx(rate, abs=0.03)


def test_rows_that_every_tree_has_seen():
    rng = np.random.RandomState(0)
    proba, number = label_probabilities(np.zeros((2, 1)), np.arange(2), 2, np.ones(2), rng)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert sorted(number) == [0, 1]


@pytest.mark.parametrize("step", [2, 3])
def test_noise_that_comes_and_goes_with_the_order_of_rows_is_counted_in_full(step):
    # More rows than a rate is found by, of which every other or third has no wrong label.
    y = np.arange(60_000) // 10 % 3
    noisy = corrupt_labels(y, "symmetric", 0.3, random_state=0)
    y_noisy = np.where(np.arange(60_000) % step, noisy, y)
    rate = (y_noisy != y).mean()
    proba = symmetric_transition(3, rate)[y]
    assert 1 - estimate_noise(y_noisy, proba)[0][0, 0] == pytest.approx(rate, abs=0.02)


def test_a_matrix_has_no_more_entries_than_there_are_rows():
    X, y = blobs(20, 0, 380)
    transition, _ = estimate_noise(*of_rows(y, "pair", 0.3, X))
    np.testing.assert_allclose(transition, symmetric_transition(20, 1 - transition[0, 0]))


def test_weights_count_rows():
    X, y = blobs(2, 0, 400, spread=2.0)
    weight = np.where(y == 0, 9.0, 1.0)
    proba, _ = label_probabilities(X, y, 2, weight, np.random.RandomState(0))
    even, _ = label_probabilities(X, y, 2, np.ones(400), np.random.RandomState(0))
    assert proba[:, 0].mean() > even[:, 0].mean() + 0.15


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_scale_of_weights_does_not_count(scale):
    X, y = blobs(3, 0, 300)
    weight = np.where(y == 0, 2.0, 1.0)
    proba, scaled = (
        label_probabilities(X, y, 3, w, np.random.RandomState(0))[0]
        for w in (weight, scale * weight)
    )
    np.testing.assert_allclose(scaled, proba, atol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3, 8])
@pytest.mark.parametrize("rate", [0.2, 0.4])
def test_symmetric_noise_is_found_symmetric(n_classes, rate):
    X, y = blobs(n_classes, 0)
    y_noisy, proba = of_rows(y, "symmetric", rate, X)
    transition, _ = estimate_noise(y_noisy, proba)
    found = 1 - transition[0, 0]
    np.testing.assert_allclose(transition, symmetric_transition(n_classes, found))
    assert found == pytest.approx(rate, abs=0.05)


@pytest.mark.parametrize("n_classes", [2, 3, 8])
def test_no_noise_is_found_where_none_is(n_classes):
    X, y = blobs(n_classes, 0)
    transition, _ = estimate_noise(*of_rows(y, "symmetric", 0.0, X))
    np.testing.assert_allclose(transition, np.eye(n_classes), atol=0.05)


@pytest.mark.parametrize(
    ("n_classes", "spread", "rate"), [(2, 0.8, 0.0), (3, 0.6, 0.0), (3, 0.6, 0.2), (3, 0.6, 0.4)]
)
def test_rows_that_trees_misplace_are_not_taken_for_noise(n_classes, spread, rate):
    X, y = blobs(n_classes, 0, 2000, spread)
    y_noisy, proba = of_rows(y, "symmetric", rate, X)
    transition, _ = estimate_noise(y_noisy, proba)
    joint = estimate_transition_matrix(y_noisy, proba, refine=False)
    misplaced = 1 - joint.diagonal().mean() - rate
    assert misplaced > 0.1
    assert abs(1 - transition[0, 0] - rate) < misplaced / 2


@pytest.mark.parametrize("n_classes", [3, 8])
@pytest.mark.parametrize("rate", [0.2, 0.4])
def test_pair_noise_is_found(n_classes, rate):
    X, y = blobs(n_classes, 0)
    transition, _ = estimate_noise(*of_rows(y, "pair", rate, X))
    distance = np.abs(transition - pair_transition(n_classes, rate)).sum(axis=1).mean() / 2
    assert distance < 0.1


def test_rates_of_two_classes_that_differ_are_found():
    X, y = blobs(2, 0)
    T = np.array([[0.6, 0.4], [0.05, 0.95]])
    y_noisy = corrupt_labels(y, T, random_state=0)
    proba, _ = label_probabilities(X, y_noisy, 2, np.ones(len(y)), np.random.RandomState(0))
    np.testing.assert_allclose(estimate_noise(y_noisy, proba)[0], T, atol=0.1)


def test_rates_of_two_classes_that_hardly_differ_are_taken_to_be_equal():
    X, y = blobs(2, 0, 4000)
    y_noisy = corrupt_labels(y, np.array([[0.8, 0.2], [0.1, 0.9]]), random_state=0)
    proba, _ = label_probabilities(X, y_noisy, 2, np.ones(len(y)), np.random.RandomState(0))
    transition, _ = estimate_noise(y_noisy, proba)
    np.testing.assert_allclose(transition, symmetric_transition(2, transition[0, 1]))


@given(
    logits=hnp.arrays(float, (6, 4), elements=st.floats(-20, 20)),
    codes=hnp.arrays(int, 6, elements=st.integers(0, 3)),
    rate=st.floats(0.05, 0.7),
    seed=st.integers(0, 1000),
)
@settings(deadline=None)
def test_posterior_is_a_distribution_that_obeys_bayes(logits, codes, rate, seed):
    proba = np.exp(logits - logits.max(axis=1, keepdims=True))
    proba = np.maximum(proba, 1e-6)
    proba /= proba.sum(axis=1, keepdims=True)
    transition = random_transition(4, rate, random_state=seed)
    posterior = true_label_probabilities(codes, proba, transition)
    assert (posterior > 0).all()
    np.testing.assert_allclose(posterior.sum(axis=1), 1)
    # The odds of two classes for one label and another differ by the odds of the noise alone.
    other = true_label_probabilities((codes + 1) % 4, proba, transition)
    odds = posterior / other
    noise = transition[:, codes].T / transition[:, (codes + 1) % 4].T
    sure = (posterior > 1e-3).all(axis=1) & (other > 1e-3).all(axis=1)
    ratio = odds[sure] / noise[sure]
    np.testing.assert_allclose(ratio, ratio[:, :1].repeat(4, axis=1), rtol=1e-6)


def test_without_noise_labels_stay():
    proba = np.full((5, 3), 1 / 3)
    codes = np.array([0, 1, 2, 0, 1])
    posterior = true_label_probabilities(codes, proba, np.eye(3))
    np.testing.assert_allclose(posterior, np.eye(3)[codes], atol=1e-5)
    # Even where the trees are sure of another class, and there are many.
    proba = np.full((1, 1000), 1e-6)
    proba[0, 0] = 1 - 999e-6
    assert true_label_probabilities(np.array([1]), proba, np.eye(1000))[0, 1] > 0.999


def test_labels_that_cannot_occur_say_nothing():
    T = np.array([[1.0, 0, 0], [1.0, 0, 0], [0, 0, 1.0]])
    posterior = true_label_probabilities(np.array([1]), np.full((1, 3), 1 / 3), T)
    np.testing.assert_allclose(posterior, 1 / 3)


def test_certain_rows_overrule_their_labels():
    T = pair_transition(3, 0.4)
    posterior = true_label_probabilities(np.array([1]), T[:1], T)
    assert posterior[0].argmax() == 0
    assert posterior[0, 0] > 0.9


@pytest.mark.parametrize(("noise", "rate"), [("symmetric", 0.4), ("pair", 0.4)])
def test_more_labels_are_right_after_than_before(noise, rate):
    X, y = blobs(5, 1)
    y_noisy, proba = of_rows(y, noise, rate, X)
    posterior = true_label_probabilities(y_noisy, proba, estimate_noise(y_noisy, proba)[0])
    assert (posterior.argmax(axis=1) == y).mean() > 0.9


@pytest.mark.parametrize(
    ("noise", "rate", "n_classes", "form", "figure"),
    [
        ("symmetric", 0.4, 5, "symmetric", "explained"),
        ("pair", 0.4, 5, "class-dependent", "explained"),
        ("symmetric", 0.4, 2, "symmetric", "rate_difference"),
        (np.array([[0.6, 0.4], [0.05, 0.95]]), None, 2, "class-dependent", "rate_difference"),
    ],
)
def test_evidence_says_what_was_chosen_and_why(noise, rate, n_classes, form, figure):
    X, y = blobs(n_classes, 0)
    transition, evidence = estimate_noise(*of_rows(y, noise, rate, X))
    assert evidence["form"] == form
    dependent = evidence["tenable"] and evidence[figure] > evidence["threshold"]
    assert dependent == (form == "class-dependent")
    symmetric = symmetric_transition(n_classes, 1 - transition[0, 0])
    assert np.allclose(transition, symmetric) == (form == "symmetric")


def test_evidence_says_where_rows_are_too_few():
    X, y = blobs(20, 0, 380)
    assert not estimate_noise(*of_rows(y, "pair", 0.3, X))[1]["tenable"]


@pytest.mark.parametrize(("noise", "rate"), [("symmetric", 0.4), ("pair", 0.4)])
def test_calibration_targets_are_as_sure_as_they_are_right(noise, rate):
    X, y = blobs(5, 1, 3000)
    y_noisy, proba = of_rows(y, noise, rate, X)
    transition = estimate_noise(y_noisy, proba)[0]
    targets = calibration_targets(y_noisy, proba, transition, np.ones(3000))
    cautious = true_label_probabilities(y_noisy, proba, transition)
    np.testing.assert_allclose(targets.sum(axis=1), 1)

    def gap(p):
        return abs(p.max(axis=1).mean() - (p.argmax(axis=1) == y).mean())

    assert gap(targets) < 0.05
    assert gap(targets) < gap(cautious)


@pytest.mark.parametrize("noise", [symmetric_transition(4, 0.4), pair_transition(4, 0.4)])
@pytest.mark.parametrize("temperature", [2.0, 6.0])
def test_a_temperature_is_found_by_noisy_labels(noise, temperature):
    rng = np.random.RandomState(0)
    scores = 5 * rng.normal(size=(20_000, 4))
    y = (softmax(scores / temperature, axis=1).cumsum(1) < rng.uniform(size=(20_000, 1))).sum(1)
    codes = corrupt_labels(y, noise, random_state=1)
    trees = np.full((20_000, 4), 0.25)  # they know nothing, and hardly count
    found = find_temperature_by_labels(scores, codes, noise, trees)
    assert found == pytest.approx(temperature, rel=0.1)
    # A row of weight 3 counts as three rows.
    trees = softmax(scores / temperature, axis=1)
    weight = 1.0 + 2 * (np.arange(2000) % 2)
    rows = np.repeat(np.arange(2000), weight.astype(int))
    weight *= 2000 / weight.sum()
    weighted = find_temperature_by_labels(
        scores[:2000], codes[:2000], noise, weight[:, None] * trees[:2000]
    )
    repeated = find_temperature_by_labels(scores[rows], codes[rows], noise, trees[rows])
    assert weighted == pytest.approx(repeated, rel=0.02)


def test_trees_decide_on_a_temperature_where_labels_do_not():
    scores = np.array([[2.0, 0.0], [0.0, 2.0]] * 5)
    trees = softmax(scores / 4, axis=1)
    of_no_use = np.full((2, 2), 0.5)
    found = find_temperature_by_labels(scores, np.zeros(10, int), of_no_use, trees)
    assert found == pytest.approx(4, rel=1e-3)


@given(
    codes=hnp.arrays(int, st.integers(1, 60), elements=st.integers(0, 3)),
    n_members=st.integers(1, 7),
    seed=st.integers(0, 1000),
)
def test_folds_are_even_in_each_class_and_keep_copies_together(codes, n_members, seed):
    folds = deal_folds(np.arange(len(codes)), codes, n_members, np.random.RandomState(seed))
    n_folds = max(4, n_members)
    for code in np.unique(codes):
        counts = np.bincount(folds[codes == code], minlength=n_folds)
        assert len(counts) == n_folds
        assert np.ptp(counts) <= 1
    copies = np.repeat(np.arange(len(codes)), 3)
    of_copies = deal_folds(copies, codes[copies], n_members, np.random.RandomState(seed))
    np.testing.assert_array_equal(of_copies, folds[copies])


@given(
    scores=hnp.arrays(float, (8, 3), elements=st.floats(-5, 5)),
    temperature=st.floats(0.05, 20),
    weight=hnp.arrays(float, (8, 1), elements=st.floats(0.1, 3)),
)
@settings(deadline=None)
def test_a_temperature_is_found_again(scores, temperature, weight):
    scores[0] = [1.0, 0.0, -1.0]  # where all scores are equal no temperature is better
    targets = weight * softmax(scores / temperature, axis=1)
    assert find_temperature(scores, targets) == pytest.approx(temperature, rel=1e-4)


def test_temperature_stays_finite_where_none_is_best():
    scores = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert 0 < find_temperature(scores, np.array([[1.0, 0.0], [1.0, 0.0]])) < 0.01
    assert 100 < find_temperature(scores, np.array([[0.0, 1.0], [0.0, 1.0]])) < np.inf

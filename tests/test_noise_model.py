"""Noise that is estimated from out-of-sample probabilities, and Bayes' rule with it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import softmax
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from robustlabels import LabelRefiner, corrupt_labels
from robustlabels.metrics import estimate_transition_matrix
from robustlabels.noise import pair_transition, random_transition, symmetric_transition
from robustlabels.refinement import _bayes
from robustlabels.refinement._bayes import make_soft_labels
from robustlabels.refinement._forms import FORMS, make_known_prior, make_noise_prior
from robustlabels.refinement._noise_model import fit_noise
from robustlabels.refinement._observed_labels import observe_labels


def blobs(n_classes, seed, n=1500, spread=0.3):
    """Samples around the corners of a simplex, and their classes."""
    rng = np.random.RandomState(seed)
    y = np.arange(n) % n_classes
    return np.eye(n_classes)[y] + spread * rng.normal(size=(n, n_classes)), y


#: Quick, where a forest would take seconds.
TEACHER = KNeighborsClassifier(30)


def corrupted(y, noise, rate, X, teacher=TEACHER):
    """Noisy labels, and their out-of-sample probabilities."""
    y_noisy = corrupt_labels(y, noise, rate, random_state=0)
    return y_noisy, cross_val_predict(teacher, X, y_noisy, method="predict_proba")


def find_noise(codes, proba, truth=None):
    return fit_noise(codes, proba, make_noise_prior(codes, proba, truth=truth), truth=truth)


def rate_of(codes, proba):
    """Expected rate of the noise that is found."""
    return 1 - find_noise(codes, proba).transition[0, 0]


def distance(transition, truth):
    """Total variation between two noises, averaged over the classes."""
    return np.abs(transition - truth).sum(axis=1).mean() / 2


def draw(proba, rng):
    """Classes drawn from the rows of probabilities."""
    return (proba.cumsum(axis=1) < rng.uniform(size=(len(proba), 1))).sum(axis=1)


def label_probabilities(codes, proba, transition, **given):
    """Probabilities of the true labels under a known noise."""
    return fit_noise(codes, proba, make_known_prior(transition), **given).label_probabilities


def bayes(clean, codes, transition):
    posterior = clean * transition[:, codes].T
    return posterior / posterior.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("step", [2, 3])
def test_noise_that_comes_and_goes_with_the_order_of_rows_is_counted_in_full(step, monkeypatch):
    # More samples than the rate is estimated from; every second or third has a right label.
    monkeypatch.setattr(_bayes, "_SETTINGS", replace(_bayes._SETTINGS, max_rows=3000))
    y = np.arange(9000) // 10 % 3
    noisy = corrupt_labels(y, "symmetric", 0.3, random_state=0)
    y_noisy = np.where(np.arange(9000) % step, noisy, y)
    rate = (y_noisy != y).mean()
    proba = symmetric_transition(3, rate)[y]
    order = np.random.RandomState(0).permutation(9000)
    mixed = rate_of(y_noisy[order], proba[order])
    assert rate / 2 < mixed < rate + 0.02
    assert rate_of(y_noisy, proba) == pytest.approx(mixed, abs=0.02)


@pytest.mark.parametrize("n_classes", [2, 3, 8])
@pytest.mark.parametrize("rate", [0.2, 0.4])
def test_symmetric_noise_is_found_symmetric(n_classes, rate):
    # Of fewer rows with two classes and 40 % noise, the draw decides.
    X, y = blobs(n_classes, 0, 4500)
    y_noisy, proba = corrupted(y, "symmetric", rate, X, KNeighborsClassifier(90))
    found = find_noise(y_noisy, proba)
    assert max(found.evidence, key=found.evidence.get) == "symmetric"
    assert distance(found.if_noisy, symmetric_transition(n_classes, rate)) < 0.08
    low, high = found.number_of_wrong.interval(len(y), 0.9)
    assert low <= (y_noisy != y).sum() <= high


@pytest.mark.parametrize("n_classes", [2, 3, 8])
def test_no_noise_is_found_where_none_is(n_classes):
    X, y = blobs(n_classes, 0)
    found = find_noise(*corrupted(y, "symmetric", 0.0, X))
    np.testing.assert_allclose(found.transition, np.eye(n_classes), atol=0.05)
    assert found.number_of_wrong.interval(len(y), 0.9)[0] == 0


@pytest.mark.parametrize("n_classes", [3, 8])
@pytest.mark.parametrize("rate", [0.2, 0.4])
def test_pair_noise_is_found(n_classes, rate):
    X, y = blobs(n_classes, 0)
    found = find_noise(*corrupted(y, "pair", rate, X))
    assert found.evidence["sparse"] + found.evidence["full"] > 0.9
    assert distance(found.transition, pair_transition(n_classes, rate)) < 0.1


@pytest.mark.parametrize(
    ("T", "form"),
    [
        ([[1.0, 0.0], [0.2, 0.8]], "sparse"),
        ([[0.9, 0.1], [0.0, 1.0]], "sparse"),
        ([[0.6, 0.4], [0.05, 0.95]], None),
        ([[0.8, 0.2], [0.1, 0.9]], None),
    ],
)
def test_rates_of_two_classes_that_differ_are_found(T, form):
    X, y = blobs(2, 0, 4500)
    T = np.array(T)
    y_noisy, proba = corrupted(y, T, None, X, KNeighborsClassifier(90))
    found = find_noise(y_noisy, proba)
    assert distance(found.transition, T) < 0.04
    low, high = found.number_of_wrong.interval(len(y), 0.9)
    assert low <= (y_noisy != y).sum() <= high
    assert form is None or found.evidence[form] > 0.8


def test_forms_have_probabilities():
    X, y = blobs(3, 0)
    codes, proba = corrupted(y, "symmetric", 0.55, X)
    noises = make_noise_prior(codes, proba)
    assert noises.weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(noises.matrices.sum(axis=2), 1)
    # Each label is the most frequent one of its class, and the first matrix has no noise.
    assert (noises.matrices.argmax(axis=2) == np.arange(3)).all()
    np.testing.assert_array_equal(noises.matrices[noises.forms == 0], np.eye(3)[None])
    found = fit_noise(codes, proba, noises)
    assert sum(found.evidence.values()) == pytest.approx(1)
    assert {*found.evidence} == {*FORMS, "hard_samples"}


def test_a_matrix_has_no_more_entries_than_there_are_rows():
    X, y = blobs(20, 0, 380)
    noises = make_noise_prior(*corrupted(y, "pair", 0.3, X))
    assert noises.forms.max() == FORMS.index("symmetric")


def test_labels_at_random_have_no_rate_of_one():
    # The confident joint may count more wrong labels than random ones have.
    codes, proba = np.arange(1000) % 2, np.tile([[0.4, 0.6], [0.6, 0.4]], (500, 1))
    joint = estimate_transition_matrix(codes, proba, refine=False)
    assert 1 - joint.diagonal().mean() > 0.9
    assert rate_of(codes, proba) < 0.5


@pytest.mark.parametrize(
    ("n_classes", "spread", "rate"), [(2, 0.8, 0.0), (3, 0.65, 0.0), (3, 0.8, 0.2), (3, 0.8, 0.4)]
)
def test_rows_that_a_teacher_misplaces_are_not_taken_for_noise(n_classes, spread, rate):
    X, y = blobs(n_classes, 0, 2000, spread)
    y_noisy, proba = corrupted(y, "symmetric", rate, X)
    joint = estimate_transition_matrix(y_noisy, proba, refine=False)
    misplaced = 1 - joint.diagonal().mean() - rate
    assert misplaced > 0.1
    refiner = LabelRefiner(teacher=TEACHER, random_state=0).fit(X, y_noisy)
    assert refiner.noise_rate_ < rate + misplaced * 2 / 3
    low, high = refiner.n_wrong_interval_
    assert low <= (y_noisy != y).sum() <= high


@given(
    logits=hnp.arrays(float, (6, 4), elements=st.floats(-20, 20)),
    codes=hnp.arrays(int, 6, elements=st.integers(0, 3)),
    rate=st.floats(0.05, 0.7),
    seed=st.integers(0, 1000),
    known=st.booleans(),
)
@settings(deadline=None)
def test_label_probabilities_are_distributions(logits, codes, rate, seed, known):
    proba = softmax(logits, axis=1) + 1e-6
    proba /= proba.sum(axis=1, keepdims=True)
    if known:
        noises = make_known_prior(random_transition(4, rate, random_state=seed))
    else:
        listed = make_noise_prior(np.arange(40) % 4, np.tile(np.eye(4) * 0.6 + 0.1, (10, 1)))
        noises = listed
    found = fit_noise(codes, proba, noises)
    assert (found.label_probabilities > 0).all()
    np.testing.assert_allclose(found.label_probabilities.sum(axis=1), 1)
    np.testing.assert_allclose(found.posterior.weights.sum(), 1)
    np.testing.assert_allclose(found.transition.sum(axis=1), 1)
    assert (found.transition >= 0).all()
    low, high = found.number_of_wrong.interval(6, 0.9)
    assert 0 <= low <= high <= 6


@pytest.fixture(scope="module", params=range(3))
def drawn(request):
    """Clean class probabilities, labels drawn from them and corrupted, and the noise."""
    rng = np.random.RandomState(request.param)
    clean = softmax(2 * rng.normal(size=(5000, 3)), axis=1)
    y = draw(clean, rng)
    T = random_transition(3, 0.3, random_state=request.param)
    return clean, y, corrupt_labels(y, T, random_state=request.param), T


def test_label_probabilities_obey_bayes(drawn):
    # The labels are drawn from the probabilities, which need no calibration.
    clean, _, codes, T = drawn
    found = label_probabilities(codes, clean @ T, T)
    assert np.abs(found - bayes(clean, codes, T)).mean() < 0.03


def test_trusted_labels_thin_the_noise_of_all_labels(drawn):
    # Probabilities that were learned from trusted and noisy labels have half of the noise.
    clean, y, codes, T = drawn
    trusted = np.arange(len(y)) % 2 == 0
    codes = np.where(trusted, y, codes)
    half = (np.eye(3) + T) / 2
    truth = np.where(trusted, y, -1)
    found = label_probabilities(np.where(trusted, -1, codes), clean @ half, T, truth=truth)
    np.testing.assert_array_equal(found[trusted], np.eye(3)[y[trusted]])
    expected = bayes(clean, codes, T)
    assert np.abs(found - expected)[~trusted].mean() < 0.02
    observed = observe_labels(codes, T, trusted)
    np.testing.assert_allclose(observed.transition, half)
    np.testing.assert_array_equal(observed.likelihood[~trusted], T.T[codes[~trusted]])
    soft_labels = observed.soft_labels(clean @ half)
    np.testing.assert_allclose(soft_labels[trusted], np.eye(3)[y[trusted]], atol=1e-6)
    assert np.abs(soft_labels - expected)[~trusted].mean() < 0.03


def test_trusted_labels_show_how_hard_samples_are():
    # Every fifth trusted label contradicts the predictions, and so does every fifth other label:
    # then these samples are hard. Had no trusted label done so, the other labels would be noisy.
    y = np.arange(4000) % 2
    trusted, wrong = np.arange(4000) < 2000, np.arange(4000) // 2 % 5 == 0
    proba = symmetric_transition(2, 0.2)[y]
    none = {}
    for hard in (True, False):
        codes = np.where(wrong & (hard | ~trusted), 1 - y, y)
        truth = np.where(trusted, codes, -1)
        evidence = find_noise(np.where(trusted, -1, codes), proba, truth).evidence
        none[hard] = evidence["none"] + evidence["hard_samples"]
    assert none[True] > 0.2 > 0.001 > none[False]


def test_a_label_counts_by_its_weight_in_the_posterior():
    # Half of the labels are noisy. Those of the other half have hardly any weight.
    y = np.arange(1200) % 3
    noisy = np.arange(1200) < 600
    codes = np.where(noisy, corrupt_labels(y, "symmetric", 0.5, random_state=0), y)
    proba = symmetric_transition(3, 0.2)[y]
    noises = make_noise_prior(codes, proba)

    def transition(rows, weight=None):
        return fit_noise(codes[rows], proba[rows], noises, weight).transition

    every, half = np.arange(1200), np.arange(600)
    weighted = transition(every, np.where(noisy, 1.0, 1e-9))
    np.testing.assert_allclose(weighted, transition(np.r_[half, half]), atol=1e-5)
    assert distance(weighted, transition(every)) > 0.01


def test_an_interval_allows_for_noise_that_was_undercounted():
    rng = np.random.RandomState(0)
    clean = softmax(4 * rng.normal(size=(9000, 3)), axis=1)
    y, T = draw(clean, rng), symmetric_transition(3, 0.3)
    codes = corrupt_labels(y, T, exact=True, random_state=0)
    found = find_noise(codes, clean @ T)
    low, high = found.number_of_wrong.interval(9000, 0.9)
    assert low <= (codes != y).sum() <= high


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("power", [3, 5])
def test_as_many_labels_are_wrong_as_a_known_noise_says(n_classes, power):
    # Predictions that are too sure, of few samples, would count up to .027 more.
    T = symmetric_transition(n_classes, 0.3)
    for seed in range(8):
        rng = np.random.RandomState(seed)
        logits = 3 * rng.normal(size=(400, n_classes))
        y = draw(softmax(logits, axis=1), rng)
        codes = corrupt_labels(y, T, exact=True, random_state=seed)
        found = label_probabilities(codes, softmax(power * logits, axis=1) @ T, T)
        assert 1 - found[np.arange(400), codes].mean() == pytest.approx(0.3, abs=0.015)


def test_labels_of_hard_samples_may_be_wrong_without_a_trace():
    # No label of an easy sample is wrong. Those of hard samples are drawn, or errors of people.
    rng = np.random.RandomState(0)
    proba = softmax(3 * rng.normal(size=(4000, 2)), axis=1)
    codes = draw(proba, rng)
    found = find_noise(codes, proba)
    contradicting = (codes != proba.argmax(axis=1)).sum()
    low, high = found.number_of_wrong.interval(4000, 0.9)
    assert low == 0
    assert high > 0.8 * contradicting
    assert 0.1 < found.evidence["hard_samples"] < found.evidence["none"]


def test_the_noise_if_there_is_any_is_known_where_there_is_none_for_sure():
    rng = np.random.RandomState(0)
    proba = softmax(3 * rng.normal(size=(100_000, 2)), axis=1)
    found = find_noise(draw(proba, rng), proba)
    assert found.evidence["symmetric"] == 0
    np.testing.assert_array_equal(found.transition, np.eye(2))
    assert 0 < found.if_noisy[0, 1] < 0.05
    np.testing.assert_allclose(found.if_noisy.sum(axis=1), 1)


def test_the_posterior_of_two_classes_interpolates():
    # The label probabilities rise with the prediction, without steps.
    proba = np.linspace(0.2, 0.8, 1001)
    codes = (np.random.RandomState(0).uniform(size=1001) < proba).astype(int)
    p = np.column_stack([1 - proba, proba])
    found = label_probabilities(codes, p, symmetric_transition(2, 0.1))
    for code in (0, 1):
        assert (np.diff(found[codes == code, 1]) > 0).all()


def test_classes_that_labels_cannot_separate_keep_the_roots_of_their_frequencies():
    # The labels of both classes are equal; the first is the most probable one of 899 samples.
    T = np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    proba = np.repeat([[0.5, 0.4, 0.1], [0.4, 0.5, 0.1]], [899, 99], axis=0)
    soft_labels = make_soft_labels(np.ones((998, 3)), proba, T)
    np.testing.assert_allclose(soft_labels[:, 0] / soft_labels[:, 1], np.sqrt(900 / 100))


def test_without_noise_labels_stay():
    proba = np.full((5, 3), 1 / 3)
    codes = np.array([0, 1, 2, 0, 1])
    np.testing.assert_allclose(
        label_probabilities(codes, proba, np.eye(3)), np.eye(3)[codes], atol=1e-5
    )
    # Even where the probabilities are sure of another class, and there are many.
    proba = np.full((1, 1000), 1e-6)
    proba[0, 0] = 1 - 999e-6
    assert label_probabilities(np.array([1]), proba, np.eye(1000))[0, 1] > 0.999


def test_labels_that_cannot_occur_say_nothing():
    T = np.array([[1.0, 0, 0], [1.0, 0, 0], [0, 0, 1.0]])
    found = label_probabilities(np.array([1]), np.full((1, 3), 1 / 3), T)
    other = label_probabilities(np.array([2]), np.full((1, 3), 1 / 3), T)
    assert other[0, 2] > 0.999
    # Nothing but how often a class is the most probable one: of one row once and not at all, and
    # once more for each.
    assert 1.3 < found[0, 0] / found[0, 1] < 1.6
    assert found[0, 1] > 0.15


def test_certain_rows_overrule_their_labels():
    T = pair_transition(3, 0.4)
    found = label_probabilities(np.array([1]), T[:1], T)
    assert found[0].argmax() == 0
    assert found[0, 0] > 0.9


@pytest.mark.parametrize("scale", [1, 3])
def test_probabilities_are_calibrated_by_the_labels(scale):
    # Teachers that are too cautious or too bold end in nearly the same label probabilities.
    rng = np.random.RandomState(0)
    logits = 2 * rng.normal(size=(4000, 3))
    T = symmetric_transition(3, 0.2)
    codes = corrupt_labels(draw(softmax(logits, axis=1), rng), T, random_state=0)
    distorted = softmax(logits * scale / 2, axis=1) @ T
    right = label_probabilities(codes, softmax(logits, axis=1) @ T, T)
    assert np.abs(label_probabilities(codes, distorted, T) - right).mean() < 0.06

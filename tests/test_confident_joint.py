"""The noise found from probabilities that have not seen the labels is the noise there is."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_wine
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from robustlabels import UnhingedClassifier, corrupt_labels
from robustlabels.metrics import estimate_noise_rate, estimate_transition_matrix
from robustlabels.noise import pair_transition, symmetric_transition
from robustlabels.refinement._confident_joint import _shrink

FOLDS = KFold(5, shuffle=True, random_state=0)
NOISES = {"symmetric": symmetric_transition, "pair": pair_transition}


@pytest.mark.parametrize("load", [load_digits, load_wine])
@pytest.mark.parametrize(("noise", "rate"), [("symmetric", 0.2), ("symmetric", 0.4), ("pair", 0.3)])
def test_transition_matrix_is_found(load, noise, rate):
    X, y = load(return_X_y=True)
    n_classes = y.max() + 1
    transition = NOISES[noise](n_classes, rate)
    y_noisy = corrupt_labels(y, transition, exact=True, random_state=0)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    proba = cross_val_predict(model, X, y_noisy, method="predict_proba")
    found, std_error = estimate_transition_matrix(y_noisy, proba, return_std_error=True)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    distance = np.abs(found - transition).sum(axis=1).mean() / 2
    nothing_known = np.abs(np.eye(n_classes) - transition).sum(axis=1).mean() / 2
    assert distance < nothing_known / 2
    assert std_error.shape == found.shape
    assert (std_error < 0.2).all()
    assert estimate_noise_rate(y_noisy, proba) == pytest.approx(rate, abs=0.12)


def test_confident_joint_equals_its_definition():
    # Thresholds: mean probability of a class among rows with its label.
    proba = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    y_noisy = np.array([0, 0, 0, 1, 1, 1])
    # Class 0: 0.533, class 1: 0.6. Row 1 reaches neither; rows 0, 4 are 0; rows 2, 3, 5 are 1.
    joint = np.array([[1 / 2, 1 / 2], [1 / 3, 2 / 3]]) / 2
    found = estimate_transition_matrix(y_noisy, proba, refine=False)
    np.testing.assert_allclose(found, (joint / joint.sum(axis=0)).T)
    assert estimate_noise_rate(y_noisy, proba) == pytest.approx(1 - np.trace(joint))


def draw_confident_probabilities(rng, y):
    """Probabilities of a classifier that is sure, and wrong for one row in twenty."""
    n_classes = y.max() + 1
    seen = np.where(rng.uniform(size=len(y)) < 0.05, rng.integers(n_classes, size=len(y)), y)
    return np.full((len(y), n_classes), 0.1 / n_classes) + 0.9 * np.eye(n_classes)[seen]


def test_refinement_gains_under_symmetric_noise_and_spares_other_noise():
    rng = np.random.default_rng(0)
    y = np.arange(600) % 6
    one_sided = np.eye(6)
    one_sided[0, :2] = 0.5
    errors = {}
    for name, transition in (
        ("symmetric", symmetric_transition(6, 0.3)),
        ("pair", pair_transition(6, 0.3)),
        ("one-sided", one_sided),
    ):
        errors[name] = np.zeros(2)
        for seed in range(20):
            y_noisy = corrupt_labels(y, transition, random_state=seed)
            proba = draw_confident_probabilities(rng, y)
            for k, refine in enumerate((False, True)):
                found = estimate_transition_matrix(y_noisy, proba, refine=refine)
                np.testing.assert_allclose(found.sum(axis=1), 1)
                errors[name][k] += np.abs(found - transition).sum(axis=1).mean() / 40
    assert errors["symmetric"][1] < 0.7 * errors["symmetric"][0]
    assert errors["pair"][1] < 1.2 * errors["pair"][0]
    assert errors["one-sided"][1] < 1.1 * errors["one-sided"][0]


@pytest.mark.slow
def test_standard_errors_are_those_of_many_draws():
    y = np.arange(900) % 3
    transition = np.array([[0.7, 0.3, 0.0], [0.0, 0.9, 0.1], [0.2, 0.2, 0.6]])
    found, std_errors = [], []
    for seed in range(200):
        y_noisy = corrupt_labels(y, transition, random_state=seed)
        proba = np.full((900, 3), 0.05) + 0.85 * np.eye(3)[y]
        estimate = estimate_transition_matrix(y_noisy, proba, refine=False, return_std_error=True)
        found.append(estimate[0])
        std_errors.append(estimate[1])
    np.testing.assert_allclose(np.mean(std_errors, axis=0), np.std(found, axis=0), rtol=0.25)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: estimate_transition_matrix([0, 0, 0], np.ones((3, 1))), "at least 2 classes"),
        (lambda: estimate_noise_rate([0, 0, 0], np.ones((3, 1))), "at least 2 classes"),
        (lambda: estimate_noise_rate([0, 1], np.eye(2), labels=[]), "labels must name the classes"),
        (lambda: estimate_noise_rate([0, 1], [[np.nan, 0], [1, 0]]), "contains NaN"),
    ],
)
def test_bad_input(call, match):
    with pytest.raises(ValueError, match=match):
        call()


@pytest.mark.slow
def test_symmetric_noise_is_rejected_at_the_level_of_the_test():
    # Of 400 tables with symmetric noise about one in twenty is taken for another.
    y = np.arange(600) % 3
    sure = 0.9 * np.eye(3)[y] + 0.1 / 3
    rejected = []
    for seed in range(400):
        y_noisy = corrupt_labels(y, "symmetric", 0.3, random_state=seed)
        found = estimate_transition_matrix(y_noisy, sure)
        rejected.append(not np.allclose(found, symmetric_transition(3, 1 - found[0, 0])))
    assert 0.02 < np.mean(rejected) < 0.09


def test_wrong_labels_are_shrink_as_far_as_they_are_few():
    # James and Stein: the variance of the shares, over their squared distance from equal ones.
    transition = np.array([[0.6, 0.3, 0.1], [0.0, 1.0, 0.0], [0.2, 0.2, 0.6]])
    for n_rows in (20, 200, 20_000):
        rows = np.full((3, 1), float(n_rows))
        n_wrong = 0.4 * n_rows
        share = np.array([0.75, 0.25])
        intensity = (1 - (share**2).sum()) / (n_wrong - 1) / ((share - 0.5) ** 2).sum()
        expected = 0.4 * (min(intensity, 1) / 2 + (1 - min(intensity, 1)) * share)
        found = _shrink(transition, rows)
        np.testing.assert_allclose(found[0], [0.6, *expected])
        np.testing.assert_allclose(found[1:], transition[1:])
    assert found[0, 1] == pytest.approx(0.3, abs=1e-3)


# A fold that has not seen the mistyped label.
@pytest.mark.filterwarnings("ignore:Number of classes in training fold")
@pytest.mark.parametrize("n_typos", [1, 3])
@pytest.mark.parametrize("rate", [0.0, 0.3])
@pytest.mark.parametrize(
    "model",
    [
        KNeighborsClassifier(30),
        make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000)),
    ],
    ids=["neighbours", "linear"],
)
def test_mistyped_labels_leave_the_estimate_as_it_is(model, rate, n_typos):
    X, y = load_digits(return_X_y=True)
    y_noisy = corrupt_labels(y, "pair", rate, random_state=0)
    mistyped = y_noisy.copy()
    mistyped[:n_typos] = 99
    clean, proba = (
        cross_val_predict(model, X, labels, method="predict_proba", cv=FOLDS)
        for labels in (y_noisy, mistyped)
    )
    expected = estimate_transition_matrix(y_noisy, clean)
    message = rf"classes \[99\], which have {n_typos} of 1797 labels"
    with pytest.warns(UndefinedMetricWarning, match=message):
        found, std_error = estimate_transition_matrix(mistyped, proba, return_std_error=True)
    # They change the model itself, too, and with it a few counts.
    change = np.abs(found[:10, :10] - expected)
    assert change.max() < 0.02
    assert change.sum(axis=1).mean() / 2 < (0.005 if n_typos == 1 else 0.01)
    np.testing.assert_array_equal(found[10], np.eye(11)[10])
    # They are wrong labels of the classes that their rows are like; unless no class is clear.
    assert 0 < found[:10, 10] @ np.bincount(y) < 1.5 * n_typos
    assert set(np.flatnonzero(found[:10, 10])) <= set(y[:n_typos])
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert np.isnan(std_error[10]).all()
    assert np.isfinite(std_error[:10]).all()
    with pytest.warns(UndefinedMetricWarning, match=r"classes \[99\]"):
        found_rate = estimate_noise_rate(mistyped, proba)
    assert found_rate == pytest.approx(estimate_noise_rate(y_noisy, clean), abs=0.01)
    plain = UnhingedClassifier().fit(X, mistyped).score(X, y)
    corrected = UnhingedClassifier(transition_matrix=found).fit(X, mistyped).score(X, y)
    assert corrected > plain - 0.02


def test_a_class_without_rows_is_taken_to_be_labelled_right():
    proba = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.8, 0.2, 0], [0.1, 0.9, 0]] * 10)
    y_noisy = [0, 1, 1, 1] * 10
    with pytest.warns(UndefinedMetricWarning, match=r"classes \[2\], which have 0 of 40"):
        found = estimate_transition_matrix(y_noisy, proba, labels=[0, 1, 2])
    expected = np.eye(3)
    expected[:2, :2] = estimate_transition_matrix(y_noisy, proba[:, :2])
    np.testing.assert_array_equal(found, expected)
    # One class that is left cannot be confused with another.
    for call, nothing in ((estimate_transition_matrix, np.eye(2)), (estimate_noise_rate, 0)):
        with pytest.warns(UndefinedMetricWarning, match=r"classes \[1\]"):
            np.testing.assert_array_equal(call([0, 0], [[1, 0], [1, 0]], labels=[0, 1]), nothing)


@pytest.mark.parametrize("noise", ["symmetric", "pair"])
def test_rare_classes_that_the_probabilities_know_are_estimated(noise):
    # One row in a hundred, and labels that say little; warnings would be errors here.
    rng = np.random.default_rng(0)
    y = (rng.uniform(size=3000) < 0.01).astype(int)
    y_noisy = corrupt_labels(y, noise, 0.45, random_state=0)
    sure = np.where(y, 0.4, 0.45)
    assert estimate_noise_rate(y_noisy, np.column_stack([1 - sure, sure])) > 0
    sure = np.where(y, 0.045, 0.005)
    assert estimate_transition_matrix(y, np.column_stack([1 - sure, sure])).shape == (2, 2)

"""LabelRefiner and its parts: trees, duplicates, features, temperatures, pools; wrong labels."""

import pickle
from contextlib import nullcontext
from dataclasses import replace

import dask.dataframe
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from scipy.special import softmax
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from robustlabels import (
    LabelRefiner,
    RefinedClassifier,
    TableWarning,
    corrupt_labels,
    find_wrong_labels,
)
from robustlabels._inner.folds import assign_folds
from robustlabels._validation.features import TableNumbers
from robustlabels.noise import pair_transition, symmetric_transition
from robustlabels.refinement import _crossing, _probabilities, _refiner
from robustlabels.refinement._crossing import cross_fitted_soft_labels
from robustlabels.refinement._duplicates import group_duplicates
from robustlabels.refinement._observed_labels import labels_as_given, observe_labels
from robustlabels.refinement._pooling import fit_pool
from robustlabels.refinement._probabilities import _size_forest, out_of_bag_probabilities
from robustlabels.refinement._temperatures import find_temperature, find_temperature_by_labels


def blobs(n_classes, seed, n=1500, spread=0.3):
    """Rows around the corners of a simplex, with their classes."""
    rng = np.random.RandomState(seed)
    y = np.arange(n) % n_classes
    return np.eye(n_classes)[y] + spread * rng.normal(size=(n, n_classes)), y


#: Quick, where the trees do not matter.
TEACHER = KNeighborsClassifier(30)


def test_probabilities_come_from_trees_that_have_not_seen_the_row():
    # Features say nothing about the labels, so that nothing but the row itself could.
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(600, 5)), rng.randint(3, size=600)
    proba, *_ = out_of_bag_probabilities(X, y, 3, np.ones(600), rng)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert (proba > 0).all()
    assert (proba.argmax(axis=1) == y).mean() < 0.4


def test_copies_of_a_row_do_not_tell_its_label():
    X, y = blobs(3, 0, 300)
    y_noisy = corrupt_labels(y, "symmetric", 0.4, random_state=0)
    copies = np.repeat(np.arange(300), 3)
    one, three = (
        out_of_bag_probabilities(
            X[rows], y_noisy[rows], 3, weight, np.random.RandomState(0), n_trees=60
        )[0]
        for rows, weight in ((np.arange(300), np.full(300, 3.0)), (copies, np.ones(900)))
    )
    np.testing.assert_allclose(three, one[copies])


@pytest.mark.parametrize("n_features", [1, 2, 6, 8])
def test_rows_of_the_same_features_do_not_tell_each_others_labels(n_features):
    # 2 to 256 different rows, whose labels say nothing: neither is one's own likelier nor rarer.
    rng = np.random.RandomState(0)
    X, y = rng.randint(2, size=(2000, n_features)), rng.randint(2, size=2000)
    proba, *_ = out_of_bag_probabilities(X, y, 2, np.ones(2000), rng)
    assert proba[np.arange(2000), y].mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("n_features", [1, 2, 6])
@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_noise_is_found_in_few_features_of_few_values(n_features, rate):
    X = np.random.RandomState(0).randint(2, size=(2000, n_features))
    y = X[:, :2].sum(axis=1) % 2 if n_features < 6 else np.int64(X[:, :3].sum(axis=1) >= 2)
    y_noisy = corrupt_labels(y, "symmetric", rate, random_state=0)
    is_label = n_features == 1 and rate == 0
    with pytest.warns(UserWarning, match="the label among") if is_label else nullcontext():
        refiner = LabelRefiner(random_state=0).fit(X, y_noisy)
    low, high = refiner.n_wrong_interval_
    assert low <= (y_noisy != y).sum() <= high
    if n_features < 6 and rate > 0:
        # Of few different rows nobody can tell whether they are hard or labelled wrongly.
        assert low == 0
        assert rate / 2 < refiner.noise_rate_ < rate
    else:
        assert refiner.noise_rate_ == pytest.approx(rate, abs=0.03)


@given(
    n_rows=st.integers(1, 2_000_000),
    n_classes=st.integers(2, 5000),
    n_trees=st.sampled_from([60, 200]),
)
def test_trees_grow_no_faster_than_the_table(n_rows, n_classes, n_trees):
    n_drawn, n_parts, size = _size_forest(n_rows, n_classes, n_trees)
    if n_rows <= 5000:
        assert (n_drawn, size) == (n_rows, n_trees)
    # As many trees speak for a row as where they draw as many rows as there are.
    assert size * np.exp(-n_drawn / n_rows) == pytest.approx(n_trees / np.e, rel=0.03)
    assert n_parts <= n_classes
    assert n_drawn * n_parts <= max(2**18, 32 * 20_000)
    # Without a step.
    more, parts, larger = _size_forest(n_rows + 1, n_classes, n_trees)
    assert n_drawn <= more <= n_drawn + 1
    assert n_parts * (1 - 2 / n_drawn) - 1 <= parts <= n_parts
    assert abs(larger - size) <= 1


@pytest.mark.parametrize("tell", [True, False])
def test_many_rows_of_many_classes_are_learned_by_parts(tell):
    n_classes = 60
    X, y = np.random.RandomState(0).normal(size=(6000, 2)), np.arange(6000) % n_classes
    if tell:
        X = np.column_stack([y % 8, y // 8]) + 0.1 * X
    y_noisy = corrupt_labels(y, "symmetric", 0.2, random_state=0)
    n_drawn, n_parts, _ = _size_forest(6000, n_classes, 12)
    assert n_drawn < 6000
    assert n_parts < n_classes

    def find(n_jobs):
        rng = np.random.RandomState(0)
        return out_of_bag_probabilities(X, y_noisy, n_classes, np.ones(6000), rng, n_jobs, 12)[0]

    proba = find(1)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    guessed = proba.argmax(axis=1)
    if tell:
        assert (guessed == y).mean() > 0.9
        np.testing.assert_array_equal(find(2), proba)
    else:
        # Nobody looked at the label of the row itself.
        assert (guessed == y_noisy).mean() < 2 / n_classes


def test_of_many_rows_splits_may_be_drawn(monkeypatch):
    settings = replace(_probabilities._SETTINGS, full_rows=500)
    monkeypatch.setattr(_probabilities, "_SETTINGS", settings)
    rng = np.random.RandomState(0)
    X = rng.normal(size=(2000, 10))
    y = (X[:, :3].sum(axis=1) > 0).astype(int)
    y_noisy = corrupt_labels(y, "symmetric", 0.2, random_state=0)

    def right(n_rows, random_splits):
        weight, rng = np.ones(n_rows), np.random.RandomState(0)
        proba = out_of_bag_probabilities(
            X[:n_rows], y_noisy[:n_rows], 2, weight, rng, n_trees=20, random_splits=random_splits
        )[0]
        return proba, np.mean(proba.argmax(axis=1) == y[:n_rows])

    # Of few rows none are.
    np.testing.assert_array_equal(right(500, True)[0], right(500, False)[0])
    (drawn, right_if_drawn), (best, right_if_best) = right(2000, True), right(2000, False)
    assert (drawn != best).any()
    assert right_if_drawn == pytest.approx(right_if_best, abs=0.03)


def test_splits_are_drawn_for_folds_and_not_for_labels_that_are_looked_at(monkeypatch):
    asked = []

    def grow(*args, **settings):
        asked.append(settings.get("random_splits", False))
        return out_of_bag_probabilities(*args, **settings)

    for module in (_crossing, _refiner):
        monkeypatch.setattr(module, "out_of_bag_probabilities", grow)
    X, y = load_iris(return_X_y=True)
    LabelRefiner(random_state=0).fit(X, y)
    observed, rng = observe_labels(y, symmetric_transition(3, 0.2)), np.random.RandomState(0)
    cross_fitted_soft_labels(X, observed, 3, np.ones(150), np.arange(150) % 2, rng)
    assert asked == [False, True, True]


def test_rows_that_every_tree_has_seen():
    rng = np.random.RandomState(0)
    proba, number, _ = out_of_bag_probabilities(np.zeros((2, 1)), np.arange(2), 2, np.ones(2), rng)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert sorted(number) == [0, 1]


def test_weights_count_rows():
    X, y = blobs(2, 0, 400, spread=2.0)
    weight = np.where(y == 0, 9.0, 1.0)
    proba, even = (
        out_of_bag_probabilities(X, y, 2, w, np.random.RandomState(0), n_trees=60)[0]
        for w in (weight, np.ones(400))
    )
    assert proba[:, 0].mean() > even[:, 0].mean() + 0.15


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_scale_of_weights_does_not_count(scale):
    X, y = blobs(3, 0, 300)
    weight = np.where(y == 0, 2.0, 1.0)
    proba, scaled = (
        out_of_bag_probabilities(X, y, 3, w, np.random.RandomState(0), n_trees=60)[0]
        for w in (weight, scale * weight)
    )
    np.testing.assert_allclose(scaled, proba, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "rate"), [("symmetric", 0.4), ("pair", 0.4)])
def test_more_labels_are_right_after_than_before(noise, rate):
    X, y = blobs(5, 1)
    y_noisy = corrupt_labels(y, noise, rate, random_state=0)
    refiner = LabelRefiner(random_state=0).fit(X, y_noisy)
    assert (refiner.label_probabilities_.argmax(axis=1) == y).mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make_noise", "rate", "spread", "n_draws"),
    [
        (symmetric_transition, 0.2, 0.3, 1),
        (symmetric_transition, 0.4, 0.3, 1),
        (pair_transition, 0.3, 0.3, 1),
        # A seventh of the rows is hard: the rate that one draw shows is off by .04 or so.
        (symmetric_transition, 0.2, 0.6, 3),
        (symmetric_transition, 0.4, 0.6, 3),
    ],
)
def test_label_probabilities_are_calibrated(make_noise, rate, spread, n_draws):
    X, y = blobs(4, 1, 1500, spread)
    T = make_noise(4, rate)
    surplus, surprise, gain, best_gain = np.zeros(5), 0.0, 0.0, 0.0
    for seed in range(n_draws):
        y_noisy = corrupt_labels(y, T, random_state=seed)
        refiner = LabelRefiner(random_state=seed).fit(X, y_noisy)
        proba, chance = refiner.label_probabilities_, refiner.wrong_probability_
        bins = np.minimum((5 * chance).astype(int), 4)
        surplus += np.bincount(bins, chance - (y_noisy != y), minlength=5)
        surprise += proba.max(axis=1).mean() - (proba.argmax(axis=1) == y).mean()
        # The best rule knows the densities and T.
        best = softmax(X / spread**2, axis=1) * T.T[y_noisy]
        soft = refiner.soft_labels_
        np.testing.assert_allclose(soft.sum(axis=1), 1)
        gain += (soft.argmax(axis=1) == y).mean() - (y_noisy == y).mean()
        best_gain += (best.argmax(axis=1) == y).mean() - (y_noisy == y).mean()
    assert abs(surplus).sum() / (n_draws * len(y)) < 0.06
    assert abs(surprise) / n_draws < 0.06
    # Each soft label comes from a part of the trees, which know less.
    assert gain > 0.5 * best_gain


@pytest.mark.parametrize(("n_classes", "teacher"), [(2, TEACHER), (4, None)])
@pytest.mark.filterwarnings("ignore:Nothing can be estimated")
def test_a_mistyped_label_leaves_the_noise_as_it_is(n_classes, teacher):
    X, y = blobs(n_classes, 0, 1000, 0.45)
    y_noisy = corrupt_labels(y, "symmetric", 0.25, random_state=0)
    mistyped = y_noisy.copy()
    mistyped[5] = 99
    refiner = LabelRefiner(teacher=teacher, random_state=0)
    plain, other = (clone(refiner).fit(X, labels) for labels in (y_noisy, mistyped))
    assert other.noise_rate_ == pytest.approx(plain.noise_rate_, abs=0.01)
    inner = other.transition_matrix_[:n_classes, :n_classes]
    np.testing.assert_allclose(inner, plain.transition_matrix_, atol=0.01)
    assert other.noise_evidence_["symmetric"] == pytest.approx(
        plain.noise_evidence_["symmetric"], abs=0.1
    )
    assert other.wrong_probability_[5] > 0.5
    assert other.label_probabilities_[5].argmax() == y[5]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_classes", "rate", "teacher"),
    [
        *[(2, 0.0, None), (2, 0.4, None), (5, 0.2, None)],
        *[(2, 0.2, TEACHER), (5, 0.0, TEACHER), (5, 0.4, TEACHER)],
    ],
)
def test_interval_holds_the_number_of_wrong_labels(n_classes, rate, teacher):
    held, widths = [], []
    for seed in range(4):
        X, y = blobs(n_classes, seed, 600, 0.45)
        y_noisy = corrupt_labels(y, "symmetric", rate, random_state=seed)
        refiner = LabelRefiner(teacher=teacher, random_state=seed).fit(X, y_noisy)
        low, high = refiner.n_wrong_interval_
        held.append(low <= (y_noisy != y).sum() <= high)
        widths.append(high - low)
        assert low <= refiner.n_wrong_ <= high
    assert sum(held) >= 3
    assert max(widths) < 360


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "seed"), [(300, 0), (300, 1), (300, 2), (300, 3), (2000, 0), (2000, 1)]
)
def test_hard_rows_need_not_be_wrong_labels(n, seed):
    # Three in ten rows lie on the other class's side; no label is wrong.
    rng = np.random.RandomState(seed)
    y = rng.randint(2, size=n)
    X = rng.normal(size=(n, 2)) + 1.048 * np.column_stack([y, np.zeros(n)])
    refiner = LabelRefiner(random_state=seed).fit(X, y)
    assert refiner.n_wrong_interval_[0] == 0
    assert refiner.noise_evidence_["none"] > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_labels_of_a_rare_class_are_not_taken_for_noise(seed):
    rng = np.random.RandomState(seed)
    y = np.int64(np.arange(2000) < 100)
    X = rng.normal(size=(2000, 10)) + 2 * y[:, None] * (np.arange(10) < 3)
    y_noisy = corrupt_labels(y, "symmetric", 0.1, random_state=seed)
    refiner = LabelRefiner(random_state=seed).fit(X, y_noisy)
    called_wrong = refiner.wrong_probability_ > 0.5
    assert called_wrong[(y == 1) & (y_noisy == 1)].mean() < 0.3
    assert called_wrong[(y == 0) & (y_noisy == 1)].mean() > 0.9


@pytest.mark.parametrize("noise", [symmetric_transition(4, 0.4), pair_transition(4, 0.4)])
@pytest.mark.parametrize("temperature", [2.0, 6.0])
def test_a_temperature_is_found_by_noisy_labels(noise, temperature):
    rng = np.random.RandomState(0)
    scores = 5 * rng.normal(size=(80_000, 4))
    y = (softmax(scores / temperature, axis=1).cumsum(1) < rng.uniform(size=(80_000, 1))).sum(1)
    codes = corrupt_labels(y, noise, random_state=1)
    trees = np.full((80_000, 4), 0.25)  # they know nothing, and hardly count
    found = find_temperature_by_labels(scores, noise.T[codes], trees)
    # Five standard errors at the harder of the two kinds of noise.
    assert found == pytest.approx(temperature, rel=0.08)
    # A row of weight 3 counts as three rows.
    trees = softmax(scores / temperature, axis=1)
    weight = 1.0 + 2 * (np.arange(2000) % 2)
    rows = np.repeat(np.arange(2000), weight.astype(int))
    weight *= 2000 / weight.sum()
    weighted = find_temperature_by_labels(
        scores[:2000], noise.T[codes[:2000]], weight[:, None] * trees[:2000]
    )
    repeated = find_temperature_by_labels(scores[rows], noise.T[codes[rows]], trees[rows])
    assert weighted == pytest.approx(repeated, rel=0.02)


def test_trees_decide_on_a_temperature_where_labels_do_not():
    scores = np.array([[2.0, 0.0], [0.0, 2.0]] * 5)
    trees = softmax(scores / 4, axis=1)
    of_no_use = np.full((2, 2), 0.5)
    found = find_temperature_by_labels(scores, of_no_use[[0] * 10], trees)
    assert found == pytest.approx(4, rel=1e-3)


@given(
    codes=hnp.arrays(int, st.integers(1, 60), elements=st.integers(0, 3)),
    n_folds=st.integers(2, 7),
    seed=st.integers(0, 1000),
)
def test_folds_are_even_in_each_class_and_keep_copies_together(codes, n_folds, seed):
    folds = assign_folds(np.arange(len(codes)), codes, n_folds, np.random.RandomState(seed))
    for code in np.unique(codes):
        counts = np.bincount(folds[codes == code], minlength=n_folds)
        assert len(counts) == n_folds
        assert np.ptp(counts) <= 1
    copies = np.repeat(np.arange(len(codes)), 3)
    of_copies = assign_folds(copies, codes[copies], n_folds, np.random.RandomState(seed))
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


def mixed(n, seed):
    """A data frame with numbers, categories and texts, some missing, and labels as texts."""
    rng = np.random.RandomState(seed)
    frame = pd.DataFrame(
        {
            "age": rng.normal(50, 10, n),
            "city": pd.Categorical(rng.choice(["Bonn", "Kiel", "Ulm"], n)),
            "job": rng.choice(["baker", "clerk", "nurse"], n).astype(object),
            "children": pd.array(rng.randint(4, size=n), dtype="Int64"),
            "member": rng.uniform(size=n) < 0.5,
        },
        index=rng.permutation(10 * n)[:n],
    )
    y = np.where((frame.city == "Kiel") | (frame.age > 60), "yes", "no")
    for name in frame.columns[:4]:
        frame.iloc[rng.permutation(n)[: n // 20], frame.columns.get_loc(name)] = None
    return frame, pd.Series(y, index=frame.index)


def test_a_table_goes_in_as_it_is():
    X, y = mixed(800, 0)
    y_noisy, wrong = corrupt_labels(y, "symmetric", 0.2, random_state=0, return_mask=True)
    labels = find_wrong_labels(X, y_noisy, random_state=0)
    assert labels.index.sort_values().equals(X.index.sort_values())
    assert labels.columns.tolist() == ["label", "suggested", "wrong_probability"]
    assert labels.wrong_probability.is_monotonic_decreasing
    low, high = labels.attrs["n_wrong_interval"]
    assert low <= wrong.sum() <= high
    assert labels.attrs["n_wrong"] == pytest.approx(labels.wrong_probability.sum())
    first = labels.head(100)
    assert (first.label != y[first.index]).mean() > 0.9
    assert (first.suggested == y[first.index]).mean() > 0.9


def test_the_noise_is_the_mean_of_what_it_may_be():
    X, y = load_iris(return_X_y=True)
    refiner = LabelRefiner(random_state=0).fit(X, corrupt_labels(y, "pair", 0.2, random_state=0))
    posterior = refiner.noise_posterior_
    mean = np.tensordot(posterior.weights, posterior.matrices, 1)
    np.testing.assert_allclose(mean, refiner.transition_matrix_)
    assert posterior.conservative_weights.sum() == pytest.approx(1)
    none = (posterior.matrices == np.eye(3)).all(axis=(1, 2))
    assert (posterior.conservative_weights >= posterior.weights)[none].all()
    evidence = refiner.noise_evidence_
    assert posterior.weights[none].sum() == pytest.approx(
        evidence["none"] + evidence["hard_samples"]
    )
    assert posterior.n_rows.sum() == pytest.approx(len(y))


def test_labels_that_were_checked_are_listed_as_right():
    X, y = (part[:400] for part in load_digits(return_X_y=True))
    y_noisy = corrupt_labels(y, "symmetric", 0.2, random_state=0)
    listed = find_wrong_labels(X, y_noisy, random_state=0)
    checked = listed.index[:40]
    trusted = np.zeros(len(y), dtype=bool)
    trusted[checked] = True
    mended = np.where(trusted, y, y_noisy)
    again = find_wrong_labels(X, mended, trusted, random_state=0)
    assert (again.loc[checked, "wrong_probability"] == 0).all()
    assert again.attrs["n_wrong"] < listed.attrs["n_wrong"] - 20


def test_find_wrong_labels_says_the_same_as_its_refiner():
    X, y = load_iris(return_X_y=True)
    y_noisy = corrupt_labels(y, "symmetric", 0.2, random_state=0)
    refiner = LabelRefiner(symmetric_transition(3, 0.2), teacher=TEACHER, random_state=1)
    labels = find_wrong_labels(X, y_noisy, refiner=refiner)
    with pytest.raises(ValueError, match="random_state has no effect if a refiner is passed"):
        find_wrong_labels(X, y_noisy, refiner=refiner, random_state=0)
    refiner.fit(X, y_noisy)
    np.testing.assert_array_equal(
        labels.wrong_probability, refiner.wrong_probability_[labels.index]
    )
    np.testing.assert_array_equal(labels.label, y_noisy[labels.index])
    assert labels.attrs["n_wrong"] == refiner.n_wrong_
    assert refiner.noise_evidence_ is None
    (only,) = refiner.noise_posterior_.matrices
    np.testing.assert_array_equal(only, symmetric_transition(3, 0.2))
    assert np.isinf(refiner.noise_posterior_.n_rows).all()


def test_few_rows_say_nothing():
    X, y = load_iris(return_X_y=True)
    X, y = X[::5], y[::5]
    refiner = LabelRefiner().fit(X, y)
    np.testing.assert_array_equal(refiner.label_probabilities_, np.eye(3)[y])
    assert np.isnan(refiner.wrong_probability_).all()
    assert np.isnan(refiner.n_wrong_)
    assert refiner.n_wrong_interval_ == (0, 30)
    assert refiner.transition_matrix_ is None
    with pytest.raises(ValueError, match="30 rows of 3 classes are too few"):
        find_wrong_labels(X, y)
    # Noise that is known needs no estimate.
    known = LabelRefiner(symmetric_transition(3, 0.1), random_state=0).fit(X, y)
    assert 0 < known.n_wrong_ < 10


@pytest.mark.slow
@pytest.mark.parametrize("jitter", [0.0, 1e-3])
def test_copies_do_not_confirm_each_other(jitter):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(400, 6))
    y = np.int64(X[:, 0] + X[:, 1] > 0)
    y_noisy = corrupt_labels(y, "symmetric", 0.3, random_state=0)
    copies = np.repeat(np.arange(400), 3)
    near = X[copies] + jitter * rng.normal(size=(1200, 6))
    refiner = LabelRefiner(random_state=0).fit(near, y_noisy[copies])
    assert refiner.noise_rate_ > 0.15
    assert refiner.n_wrong_interval_[1] > (y_noisy != y).sum() * 3
    assert len(np.unique(refiner.row_groups_)) == 400
    assert (refiner.row_groups_.reshape(400, 3) == refiner.row_groups_[::3, None]).all()
    # Neighbours at the usual distances are none.
    alone = LabelRefiner(random_state=0).fit(X, y_noisy)
    assert len(np.unique(alone.row_groups_)) > 390


@pytest.mark.parametrize("n_copies", [2, 10, 11, 15, 60])
def test_near_copies_are_one_group(n_copies):
    rng = np.random.RandomState(0)
    X = np.repeat(rng.normal(size=(80, 4)), n_copies, axis=0)
    X += 1e-3 * rng.normal(size=X.shape)
    refiner = LabelRefiner(teacher=TEACHER, random_state=0).fit(X, np.arange(len(X)) % 2)
    groups = refiner.row_groups_.reshape(80, n_copies)
    assert (groups == groups[:, :1]).all()
    assert len(np.unique(groups)) == 80


def test_any_number_of_jobs_gives_the_same():
    X, y = blobs(3, 0, 300)
    one, two = (LabelRefiner(random_state=0, n_jobs=n).fit(X, y) for n in (1, 2))
    np.testing.assert_array_equal(one.label_probabilities_, two.label_probabilities_)


def test_sparse_rows_are_taken_as_dense_ones():
    X, y = load_digits(return_X_y=True)
    X, y = X[:300], y[:300]
    y_noisy = corrupt_labels(y, "symmetric", 0.2, random_state=0)
    rows = np.arange(300) // 2  # every row twice
    dense, csr = (
        LabelRefiner(random_state=0).fit(part[rows], y_noisy[rows])
        for part in (X, sparse.csr_matrix(X))
    )
    # Which rows are copies is the same; scales differ, for zeros stay zeros.
    np.testing.assert_array_equal(np.unique(csr.row_groups_, return_counts=True)[1], 2)
    np.testing.assert_array_equal(csr.row_groups_[::2], csr.row_groups_[1::2])
    assert csr.noise_rate_ == pytest.approx(dense.noise_rate_, abs=0.05)


@pytest.mark.parametrize(
    "teacher",
    [
        RandomForestClassifier(50, min_samples_leaf=5, random_state=0),
        make_pipeline(StandardScaler(), KNeighborsClassifier(20)),
    ],
)
def test_a_teacher_stands_in_for_the_trees(teacher):
    X, y = blobs(3, 0, 900)
    y_noisy = np.array(["a", "b", "c"])[corrupt_labels(y, "symmetric", 0.3, random_state=0)]
    refiner = LabelRefiner(teacher=teacher, random_state=0).fit(X, y_noisy)
    assert refiner.noise_rate_ == pytest.approx(0.3, abs=0.05)
    assert (refiner.label_probabilities_.argmax(axis=1) == y).mean() > 0.95


def test_near_copies_are_found_in_a_large_table():
    rng = np.random.RandomState(0)
    y = np.arange(4100) % 2
    X = np.repeat(rng.normal(size=(4100, 3)) + 4 * y[:, None], 5, axis=0)
    X += 1e-5 * rng.normal(size=X.shape)
    y_noisy = np.repeat(corrupt_labels(y, "symmetric", 0.2, random_state=0), 5)
    refiner = LabelRefiner(teacher=GaussianNB(), random_state=0).fit(X, y_noisy)
    groups = refiner.row_groups_.reshape(4100, 5)
    assert (groups == groups[:, :1]).all()
    assert len(np.unique(groups)) > 4000


def test_a_teacher_has_not_seen_the_row_or_its_copies():
    # Features say nothing. A neighbour that was copied would tell the label.
    rng = np.random.RandomState(0)
    X, y = np.repeat(rng.normal(size=(200, 4)), 2, axis=0), np.repeat(rng.randint(2, size=200), 2)
    refiner = LabelRefiner(teacher=KNeighborsClassifier(1), random_state=0).fit(X, y)
    assert refiner.noise_evidence_["none"] < 0.9
    assert refiner.n_wrong_interval_[1] > 50


def test_a_teacher_takes_what_only_it_understands():
    texts = np.array([["good fine"], ["bad poor"]] * 60, dtype=object)
    y = np.arange(120) % 2

    class Reader(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            return super().fit([[len(text)] for (text,) in X], y, sample_weight)

        def predict_proba(self, X):
            return super().predict_proba([[len(text)] for (text,) in X])

    y_noisy = corrupt_labels(y, "symmetric", 0.2, exact=True, random_state=3)
    refiner = LabelRefiner(teacher=Reader(), random_state=0).fit(texts, y_noisy)
    assert (refiner.label_probabilities_.argmax(axis=1) == y).mean() > 0.95
    with pytest.raises(ValueError, match="sample_weight needs a teacher whose fit takes it"):
        LabelRefiner(teacher=KNeighborsClassifier()).fit(
            np.eye(120), y, sample_weight=1.0 + np.arange(120)
        )


def test_rows_without_weight_play_no_part():
    X, y = blobs(3, 0, 400)
    y_noisy = corrupt_labels(y, "symmetric", 0.2, random_state=0)
    weight = np.float64(np.arange(400) < 300)
    y_noisy[350] = 7  # a class that has no other row
    refiner = LabelRefiner(teacher=TEACHER, random_state=0)
    some = clone(refiner).fit(X, y_noisy, sample_weight=weight)
    alone = clone(refiner).fit(X[:300], y_noisy[:300])
    np.testing.assert_array_equal(some.label_probabilities_[:300], alone.label_probabilities_)
    assert np.isnan(some.label_probabilities_[300:]).all()
    assert np.isnan(some.wrong_probability_[300:]).all()
    assert (some.row_groups_[300:] == -1).all()
    assert some.n_wrong_interval_ == alone.n_wrong_interval_
    assert some.classes_.tolist() == [0, 1, 2]


@pytest.mark.parametrize("noisy", [True, False])
def test_labels_count_by_their_weight_in_the_noise(noisy):
    # The labels of one half of the table are noisy, and only one half has much weight.
    X, y = blobs(3, 0, 900)
    half = np.arange(900) < 450
    y_noisy = np.where(half, corrupt_labels(y, "symmetric", 0.3, random_state=0), y)
    weight = np.where(half == noisy, 1.0, 1e-3)
    refiner = LabelRefiner(teacher=GaussianNB(), random_state=0).fit(X, y_noisy, weight)
    # All labels have half of the noise of the noisy ones, and more than the right ones.
    rate = 1 - refiner.transition_matrix_.diagonal().mean()
    assert rate > 0.15 if noisy else rate < 0.05


def test_some_row_must_have_a_weight():
    X, y = blobs(3, 0, 60)
    # scikit-learn refuses them itself since 1.7.
    with pytest.raises(ValueError, match="weights are zero|non-zero number"):
        LabelRefiner().fit(X, y, sample_weight=np.zeros(60))


def test_categories_of_a_table():
    levels = [f"level {i // 4}" for i in range(1400)] + [f"once {i}" for i in range(200)]
    frame = pd.DataFrame({"rare": [*levels, *["often"] * 400]})
    estimator = LabelRefiner()
    numbers = TableNumbers().fit_transform(estimator, frame)
    # The most frequent categories have a column, and all have a number in the last one.
    assert numbers.shape == (2000, 256)
    np.testing.assert_array_equal(numbers[:, 0], np.repeat([0.0, 1.0], [1600, 400]))
    assert len(np.unique(numbers[:, -1])) == 256
    np.testing.assert_array_equal(numbers[1400:1600, -1], -1)
    assert estimator.feature_names_in_.tolist() == ["rare"]
    frame = pd.DataFrame({"n": np.array([1, 2.5, None], dtype=object), "c": ["x", None, "y"]})
    np.testing.assert_array_equal(
        TableNumbers().fit_transform(estimator, frame)[:, 0], [1, 2.5, np.nan]
    )
    # One column more says where a value is missing.
    np.testing.assert_array_equal(
        TableNumbers().fit_transform(estimator, frame)[:, 1:], [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    )


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (
            pd.DataFrame({"when": pd.date_range("2020", periods=60)}),
            "'when' is of the kind datetime",
        ),
        (pd.DataFrame({"x": [np.inf] * 60}), "'x' has infinite values"),
        (pd.DataFrame({"x": [[1, 2]] * 60}), "'x' is of the kind mixed"),
        (np.array([["a"], ["b"]] * 30, dtype=object), "Pass a data frame"),
        (np.full((60, 1), np.inf), "infinity"),
    ],
)
def test_features_that_trees_cannot_take(X, message):
    with pytest.raises(ValueError, match=message):
        LabelRefiner().fit(X, np.arange(60) % 2)


def test_errors_leave_a_refiner_as_it_was():
    X, y = blobs(3, 0, 300)
    refiner = LabelRefiner(teacher=TEACHER, random_state=0).fit(X, y)
    before = dict(vars(refiner))
    with pytest.raises(ValueError, match="only one class"):
        refiner.fit(X, np.zeros(300))
    with pytest.raises(ValueError, match="y has .* missing labels"):
        refiner.fit(X, np.where(y > 0, y, None))
    with pytest.raises(ValueError, match="must have shape"):
        refiner.set_params(transition_matrix=np.eye(2)).fit(X, y)
    refiner.set_params(transition_matrix="estimate")
    assert vars(refiner).keys() == before.keys()
    np.testing.assert_array_equal(refiner.label_probabilities_, before["label_probabilities_"])


def test_numbers_of_copies():
    X = np.array([[0.0, np.nan], [-0.0, np.nan], [1.0, 2.0]] * 3, dtype=np.float32)
    X = np.concatenate([X, np.random.RandomState(0).normal(size=(60, 2)).astype(np.float32)])
    copy, _ = group_duplicates(X, 2)
    assert len(np.unique(copy)) == 62
    assert copy[0] == copy[1] == copy[3] != copy[2]


@pytest.mark.parametrize("n_values", [45, 60, 200])
def test_samples_that_are_equal_by_chance_are_not_copies(n_values):
    # One code tells the class, at random: a code that is held out is unknown.
    rng = np.random.RandomState(0)
    code = rng.randint(n_values, size=2000)
    y = rng.randint(2, size=n_values)[code]
    y_noisy, wrong = corrupt_labels(
        y, "symmetric", 0.2, exact=True, random_state=0, return_mask=True
    )
    refiner = LabelRefiner(random_state=0).fit(code[:, None], y_noisy)
    low, high = refiner.n_wrong_interval_
    assert low <= 400 <= high
    assert roc_auc_score(wrong, refiner.wrong_probability_) > 0.98


@pytest.fixture(scope="module")
def patients():
    """Eight samples of each of 120 patients, whose labels are all right or all wrong."""
    rng = np.random.RandomState(0)
    of_patient, wrong = rng.randint(2, size=120), rng.permutation(120) < 24
    centres = rng.normal(size=(120, 5)) + 2 * of_patient[:, None]
    groups = np.arange(120).repeat(8)
    X = centres[groups] + 0.3 * rng.normal(size=(960, 5))
    return X, np.where(wrong, 1 - of_patient, of_patient)[groups], wrong[groups], groups


@pytest.fixture(scope="module")
def digits():
    """Digits to fit and later ones: features, labels, and which labels are wrong."""
    X, y = load_digits(return_X_y=True)
    y_noisy, wrong = corrupt_labels(y, "symmetric", 0.2, random_state=0, return_mask=True)
    refiner = LabelRefiner(random_state=0).fit(X[:1200], y_noisy[:1200])
    return refiner, X, y, y_noisy, wrong


def test_later_labels_are_refined_as_those_of_the_fit(digits):
    refiner, X, y, y_noisy, wrong = digits
    later = slice(1200, None)
    proba = refiner.refine(X[later], y_noisy[later])
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert (proba.argmax(axis=1) == y[later]).mean() > 0.95
    doubt = 1 - proba[np.arange(len(proba)), y_noisy[later]]
    ranked = roc_auc_score(wrong[:1200], refiner.wrong_probability_)
    assert roc_auc_score(wrong[later], doubt) == pytest.approx(ranked, abs=0.01)
    listed = find_wrong_labels(X[later], y_noisy[later], refiner=refiner, prefit=True)
    assert listed.attrs["n_wrong"] == pytest.approx(doubt.sum())
    low, high = listed.attrs["n_wrong_interval"]
    assert low <= wrong[later].sum() <= high
    stored = pickle.loads(pickle.dumps(refiner))
    np.testing.assert_array_equal(stored.refine(X[later], y_noisy[later]), proba)


def test_labels_of_the_fit_are_found_again(digits):
    refiner, X, _, y_noisy, _ = digits
    rows = np.r_[1300:1310, 5:0:-1]
    proba = refiner.refine(X[rows], y_noisy[rows])
    np.testing.assert_array_equal(proba[10:], refiner.label_probabilities_[5:0:-1])
    np.testing.assert_array_equal(proba[:10], refiner.refine(X[rows[:10]], y_noisy[rows[:10]]))
    listed = find_wrong_labels(X[:1200], y_noisy[:1200], refiner=refiner, prefit=True)
    np.testing.assert_allclose(listed.sort_index().wrong_probability, refiner.wrong_probability_)
    # The same features with another label are another sample.
    other = (y_noisy[5] + 1) % 10
    assert refiner.refine(X[5:6], [other])[0, other] < 0.5


def test_another_noise_of_later_labels_is_noticed(digits):
    refiner, X, y, y_noisy, _ = digits
    with pytest.warns(UserWarning, match="of these labels agree with the predictions, in fit"):
        refiner.refine(X[1200:], y[1200:])
    noisier = corrupt_labels(y_noisy, "symmetric", 0.2, random_state=1)
    with pytest.warns(UserWarning, match="have changed"):
        refiner.refine(X[1200:], noisier[1200:])


@pytest.mark.parametrize("kind", ["frame", "sparse", "teacher"])
def test_later_labels_of_any_features(kind):
    rng = np.random.RandomState(7)  # what is missing tells nothing of the noise
    X, y = blobs(3, 0, 600)
    teacher = TEACHER if kind == "teacher" else None
    if kind == "frame":
        X = pd.DataFrame({"a": X[:, 0], "b": np.where(X[:, 1] > 0.5, "high", "low")})
        X["b"] = X["b"].where(rng.uniform(size=600) < 0.9, None)
        y = (X["a"] > 0.5).astype(int) + (X["b"] == "high")
    elif kind == "sparse":
        X = sparse.csr_matrix(np.where(np.abs(X) < 0.2, 0, X))
    y_noisy = corrupt_labels(np.asarray(y), "symmetric", 0.2, random_state=0)
    refiner = LabelRefiner(teacher=teacher, random_state=0).fit(X[:400], y_noisy[:400])
    found = refiner.refine(X[400:], y_noisy[400:])
    assert (found.argmax(axis=1) == y[400:]).mean() > 0.8
    np.testing.assert_array_equal(
        refiner.refine(X[:50], y_noisy[:50]), refiner.label_probabilities_[:50]
    )


def test_later_labels_that_cannot_be_refined(digits):
    refiner, X, _, y_noisy, _ = digits
    with pytest.raises(NotFittedError):
        LabelRefiner().refine(X, y_noisy)
    with pytest.raises(ValueError, match="not among the classes"):
        refiner.refine(X[:5], np.full(5, 11))
    with pytest.raises(ValueError, match="64 features"):
        refiner.refine(X[:5, 1:], y_noisy[:5])
    with pytest.raises(ValueError, match="inconsistent numbers"):
        refiner.refine(X[:5], y_noisy[:4])
    few = LabelRefiner().fit(X[:40], np.arange(40) % 2)
    with pytest.raises(ValueError, match="cannot refine other labels"):
        few.refine(X, y_noisy)
    for wrong in ({"refiner": None}, {"trusted": y_noisy == 0}, {"groups": y_noisy}):
        with pytest.raises(ValueError, match="prefit=True takes a fitted refiner"):
            find_wrong_labels(X, y_noisy, **({"refiner": refiner, "prefit": True} | wrong))


@pytest.mark.parametrize("kind", ["numbers", "texts", "mapped"])
def test_the_label_among_the_features_is_noticed(kind):
    X, y = load_iris(return_X_y=True, as_frame=True)
    y_noisy = corrupt_labels(y, "symmetric", 0.2, exact=True, random_state=0)
    copy = {"numbers": y_noisy, "texts": y_noisy.astype(str) + "!", "mapped": 7 - 3 * y_noisy}
    X["diagnosis"] = copy[kind]
    with pytest.warns(TableWarning, match="the label among its features: 'diagnosis'"):
        refiner = LabelRefiner(random_state=0).fit(X, y_noisy)
    assert refiner.n_wrong_ < 5  # 30 are wrong
    with pytest.warns(TableWarning, match="the label among its features"):
        RefinedClassifier(GaussianNB(), random_state=0).fit(X.assign(diagnosis=y_noisy), y_noisy)
    # Two classes have one value, or the agreement is that of a good feature.
    LabelRefiner(random_state=0).fit(X.assign(diagnosis=y_noisy > 0), y_noisy)
    swapped = corrupt_labels(y_noisy, "symmetric", 0.05, exact=True, random_state=1)
    LabelRefiner(random_state=0).fit(X.assign(diagnosis=swapped + 10), y_noisy)
    # A copy with some mistakes has the names of the classes.
    with pytest.warns(TableWarning, match="the label among its features"):
        LabelRefiner(random_state=0).fit(X.assign(diagnosis=swapped), y_noisy)


def test_groups_of_samples_do_not_confirm_each_other(patients):
    X, y_noisy, wrong, groups = patients
    alone = LabelRefiner(random_state=0).fit(X, y_noisy)
    assert alone.n_wrong_ < 40
    names = np.array([f"patient {number}" for number in groups])
    refiner = LabelRefiner(random_state=0).fit(X, y_noisy, groups=names)
    low, high = refiner.n_wrong_interval_
    assert low <= wrong.sum() <= high
    assert refiner.n_wrong_ > 100
    _, first = np.unique(groups, return_index=True)
    np.testing.assert_array_equal(refiner.row_groups_[first][groups], refiner.row_groups_)
    by_teacher = LabelRefiner(teacher=TEACHER, random_state=0).fit(X, y_noisy, groups=names)
    assert by_teacher.n_wrong_ > 100
    listed = find_wrong_labels(X, y_noisy, groups=names, random_state=0)
    assert listed.attrs["n_wrong"] == refiner.n_wrong_
    with pytest.raises(ValueError, match="groups has 4 different values"):
        LabelRefiner().fit(X, y_noisy, groups=groups % 4)
    with pytest.raises(ValueError, match="groups must have a value for each of the 960 rows"):
        LabelRefiner().fit(X, y_noisy, groups=groups[:5])
    with pytest.raises(ValueError, match="missing values"):
        LabelRefiner().fit(X, y_noisy, groups=np.where(groups == 3, np.nan, groups))


@pytest.mark.parametrize("huge", [1e9, 1e155])
def test_a_huge_value_does_not_hide_the_others(huge):
    X, y = blobs(4, 0, 400)
    y_noisy = corrupt_labels(y, "symmetric", 0.2, random_state=0)
    X[0, 0] = X[1, 1] = huge
    refiner = LabelRefiner(random_state=0).fit(X, y_noisy)
    assert (refiner.label_probabilities_.argmax(axis=1) == y).mean() > 0.95
    assert len(np.unique(refiner.row_groups_)) > 390


@pytest.mark.parametrize("scale", [1e-300, 1e200])
def test_scale_of_features_does_not_count(scale):
    X, y = blobs(3, 0, 300)
    one, scaled = (LabelRefiner(random_state=0).fit(x, y) for x in (X, scale * X))
    # Rounding moves a few samples that lie on the border of two classes.
    assert np.abs(scaled.label_probabilities_ - one.label_probabilities_).mean() < 0.005


@pytest.mark.parametrize(("n_classes", "spread"), [(2, 0.3), (2, 0.8), (3, 0.6)])
def test_the_interval_is_that_of_the_draws_if_the_noise_is_given(n_classes, spread):
    X, y = blobs(n_classes, 0, 600, spread)
    refiner = LabelRefiner(symmetric_transition(n_classes, 0.3), teacher=TEACHER, random_state=0)
    held = []
    for seed in range(40):
        y_noisy = corrupt_labels(y, "symmetric", 0.3, random_state=seed)
        low, high = refiner.fit(X, y_noisy).n_wrong_interval_
        held.append(low <= (y_noisy != y).sum() <= high)
        assert low <= refiner.n_wrong_ <= high
        assert refiner.noise_rate_ == pytest.approx(0.3)
    assert 0.8 <= np.mean(held) < 1
    assert high - low < 80


def test_the_rate_of_a_given_noise_is_that_of_true_classes():
    # Nine tenths of the samples are of a class with a rate of .3, the others have one of .1.
    X, y = blobs(10, 0, 1000)
    y, T = np.minimum(y, 1), np.array([[0.9, 0.1], [0.3, 0.7]])
    y_noisy = corrupt_labels(y, T, exact=True, random_state=0)
    refiner = LabelRefiner(T, teacher=TEACHER, random_state=0).fit(X, y_noisy)
    assert refiner.noise_rate_ == pytest.approx(0.28, abs=0.01)


def test_ctrl_c_leaves_a_refiner_as_it_was():
    X, y = blobs(3, 0, 300)

    class Interrupted(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            raise KeyboardInterrupt

    refiner = LabelRefiner(teacher=TEACHER, random_state=0).fit(X, y)
    before = dict(vars(refiner))
    refiner.teacher = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        refiner.fit(X[:, :2], y + 5)
    refiner.teacher = TEACHER
    assert vars(refiner) == before


def test_a_teacher_keeps_its_labels():
    X, y = blobs(3, 0, 300)

    class Named(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            return super().fit(X, np.array(["a", "b", "c"])[y], sample_weight)

    with pytest.raises(ValueError, match="must keep the labels that it is fitted to, here 0 to 2"):
        LabelRefiner(teacher=Named()).fit(X, y)


def test_categories_of_equal_number_do_not_depend_on_the_order_of_rows():
    frame = pd.DataFrame({"c": np.repeat([f"c{i}" for i in range(60)], 3)})
    order = np.random.RandomState(0).permutation(180)
    numbers = TableNumbers().fit_transform(LabelRefiner(), frame)
    again = TableNumbers().fit_transform(LabelRefiner(), frame.iloc[order])
    np.testing.assert_array_equal(again, numbers[order])


def test_soft_labels_without_a_fold_know_nothing_of_its_labels():
    X, y = blobs(3, 0, 300)
    codes = corrupt_labels(y, "symmetric", 0.3, random_state=0)
    folds = np.arange(300) % 4
    others = np.where(folds == 1, (codes + 1) % 3, codes)
    T = symmetric_transition(3, 0.3)
    soft, changed = (
        cross_fitted_soft_labels(
            X, observe_labels(labels, T), 3, np.ones(300), folds, np.random.RandomState(0)
        )
        for labels in (codes, others)
    )
    np.testing.assert_array_equal(soft[folds != 1, 1], changed[folds != 1, 1])
    assert not np.array_equal(soft[folds == 0, 2], changed[folds == 0, 2])
    np.testing.assert_allclose(soft.sum(axis=2), 1, rtol=1e-5)
    learned = soft[folds != 2, 2].argmax(axis=1)
    assert (learned == y[folds != 2]).mean() > (codes == y).mean() + 0.15
    as_given = cross_fitted_soft_labels(X, labels_as_given(codes, 3), 3, np.ones(300), folds, None)
    np.testing.assert_array_equal(as_given, np.repeat(np.eye(3)[codes][:, None], 4, axis=1))


def opinions(y, n_classes, sharpness, error, seed):
    """Logarithms of probabilities that are right but for normal errors, times a sharpness."""
    rng = np.random.RandomState(seed)
    scores = np.eye(n_classes)[y] * 3 + error * rng.normal(size=(len(y), n_classes))
    return np.log(softmax(sharpness * scores, axis=1))


def pooled_weights(log_proba, codes, T):
    weight = np.ones(len(codes))
    return fit_pool(np.stack(log_proba), T.T[codes], weight)[0]


def test_weights_of_a_pool():
    y = np.arange(3000) % 3
    codes, T = corrupt_labels(y, "symmetric", 0.3, random_state=0), symmetric_transition(3, 0.3)
    good, other = opinions(y, 3, 0.3, 3.0, 0), opinions(y, 3, 0.3, 3.0, 1)
    useless = np.log(np.random.RandomState(2).dirichlet(np.ones(3), 3000))
    a, b, c = pooled_weights([good, other, useless], codes, T)
    assert a == pytest.approx(b, rel=0.2)
    assert c < 0.1 * a
    # In another order they are the same.
    np.testing.assert_allclose(
        pooled_weights([useless, other, good], codes, T), [c, b, a], rtol=1e-3
    )
    # Twice as sure counts half as much, and the noise is not learned: the pool predicts y.
    (alone,), (twice,) = (pooled_weights([opinions(y, 3, s, 3.0, 0)], codes, T) for s in (0.3, 0.6))
    assert twice == pytest.approx(alone / 2, rel=0.01)
    both = (a * good + b * other).argmax(axis=1) == y
    assert both.mean() > (good.argmax(axis=1) == y).mean() + 0.05


def test_weights_of_a_pool_are_alike_where_rows_are_few():
    y = np.arange(6) % 3
    good, useless = opinions(y, 3, 0.3, 3.0, 0), np.log(np.full((6, 3), 1 / 3))
    a, b = pooled_weights([good, useless], y, symmetric_transition(3, 0.3))
    assert 0.2 < a / (a + b) < 0.8


def test_intercept_of_a_pool_makes_classes_as_frequent_as_they_are():
    y = (np.random.RandomState(0).uniform(size=3000) < 0.1).astype(int)
    codes, T = corrupt_labels(y, "symmetric", 0.1, random_state=1), symmetric_transition(2, 0.1)
    # Of the odds of the rare class half is missing: no power of them is right.
    halved = opinions(y, 2, 1.0, 1.5, 0) - [0, np.log(2)]
    frequency = {}
    for fitted in (False, True):
        (weight,), intercept = fit_pool(halved[None], T.T[codes], np.ones(3000), fitted)
        frequency[fitted] = softmax(weight * halved + intercept, axis=1)[:, 1].mean()
        assert intercept.any() == fitted
    assert frequency[True] == pytest.approx(y.mean(), abs=0.006)
    assert abs(frequency[False] - y.mean()) > 0.03
    few = fit_pool(halved[None, :6], T.T[codes[:6]], np.ones(6), True)[1]
    assert np.ptp(few) < 0.5


@settings(max_examples=20)
@given(st.integers(2, 4), st.integers(1, 4), st.integers(0, 100), st.booleans())
def test_weights_of_a_pool_make_labels_most_probable(n_classes, n_learners, seed, fitted):
    rng = np.random.RandomState(seed)
    y = rng.randint(n_classes, size=400)
    T = symmetric_transition(n_classes, 0.2)
    codes = corrupt_labels(y, T, random_state=seed) if len(np.unique(y)) == n_classes else y
    log_proba = [opinions(y, n_classes, 1.0, 1.5, seed + i) for i in range(n_learners)]
    weights, intercept = fit_pool(np.stack(log_proba), T.T[codes], np.ones(400), fitted)

    def objective(log_weights, intercept):
        pool = softmax(np.tensordot(np.exp(log_weights), log_proba, 1) + intercept, axis=1)
        apart = log_weights - log_weights.mean()
        prior = 0.15 * apart @ apart + 1.5 * np.log(np.exp(log_weights).sum()) ** 2
        prior += 5 * intercept @ intercept
        return np.log((pool * T.T[codes]).sum(axis=1)).sum() - prior

    best = objective(np.log(weights), intercept)
    for _ in range(10):
        changed = np.log(weights) + 0.05 * rng.normal(size=n_learners)
        moved = intercept + 0.05 * fitted * rng.normal(size=n_classes)
        assert objective(changed, moved) < best + 1e-3


def test_numbers_of_later_rows_are_those_of_the_first():
    frame = pd.DataFrame({"n": [1.0, np.nan, 3], "c": ["x", None, "y"], "b": [True, False, True]})
    numbers, estimator = TableNumbers(), LabelRefiner()
    first = numbers.fit_transform(estimator, frame)
    np.testing.assert_array_equal(numbers.transform(estimator, frame), first)
    np.testing.assert_array_equal(numbers.transform(estimator, frame[1:2]), first[1:2])
    new = numbers.transform(estimator, frame.assign(c="z"))
    np.testing.assert_array_equal(new[:, 1:4], 0)


def test_whole_numbers_as_categories_keep_their_names_beside_missing_ones():
    numbers, estimator = TableNumbers(), LabelRefiner()
    frame = pd.DataFrame({"k": pd.Series([1, 2, 3, 2]).astype("category")})
    first = numbers.fit_transform(estimator, frame)
    later = pd.DataFrame({"k": pd.Series([None, 2, 3]).astype("category")})
    np.testing.assert_array_equal(numbers.transform(estimator, later)[1:], first[1:3])
    np.testing.assert_array_equal(numbers.transform(estimator, later)[0], 0)


@pytest.mark.parametrize("kind", ["lazy", "complex"])
def test_features_that_are_not_there_or_no_numbers(kind):
    X = pd.DataFrame({"x": np.arange(60.0)})
    y = np.arange(60) % 2
    if kind == "complex":
        with pytest.raises(ValueError, match="'x' has complex numbers"):
            LabelRefiner().fit(X.astype(complex), y)
    else:
        with pytest.raises(TypeError, match="not in memory"):
            LabelRefiner().fit(dask.dataframe.from_pandas(X, npartitions=2), y)


def test_a_frequent_class_is_not_given_up_for_a_rare_one_that_its_labels_look_like():
    # Two labels in five of the frequent class are those of a rare one, whose own are lost among
    # them: the labels leave open which of the two a row is, and how frequent they are does not.
    rng = np.random.RandomState(0)
    y = np.r_[np.full(900, 2), np.full(60, 1), np.full(40, 0)]
    X = rng.normal(size=(1000, 4)) + 3 * np.eye(4)[y]
    y_noisy = corrupt_labels(y, "pair", 0.4, random_state=1)
    refiner = LabelRefiner(pair_transition(3, 0.4), random_state=0).fit(X, y_noisy)
    guessed = refiner.soft_labels_.argmax(axis=1)
    assert (guessed == y)[y == 2].mean() > 0.9

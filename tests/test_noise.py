"""Label noise does what its transition matrix says."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, chisquare

from robustlabels import corrupt_labels, pair_transition, symmetric_transition

rates = st.floats(0, 1)
class_counts = st.integers(2, 40)


@given(class_counts, rates)
@pytest.mark.parametrize("make", [symmetric_transition, pair_transition])
def test_transition_rows_are_distributions(make, n_classes, rate):
    transition = make(n_classes, rate)
    assert transition.shape == (n_classes, n_classes)
    assert (transition >= 0).all()
    np.testing.assert_allclose(transition.sum(axis=1), 1)
    np.testing.assert_allclose(1 - transition.diagonal(), rate, atol=1e-12)


def test_symmetric_spreads_evenly_and_pair_hits_the_next_class():
    symmetric = symmetric_transition(5, 0.4)
    np.testing.assert_allclose(symmetric[~np.eye(5, dtype=bool)], 0.1)
    pair = pair_transition(5, 0.4)
    np.testing.assert_allclose(pair[np.arange(5), (np.arange(5) + 1) % 5], 0.4)


@pytest.mark.parametrize("n_classes", [2, 3, 10, 120])
@pytest.mark.parametrize("noise", ["symmetric", "pair"])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.4, 0.6, 1.0])
def test_realised_rate_is_the_rate_asked_for(n_classes, noise, rate):
    n_samples = 20_000
    y = np.arange(n_samples) % n_classes
    y_noisy, mask = corrupt_labels(y, noise, rate, random_state=0, return_mask=True)
    np.testing.assert_array_equal(mask, y_noisy != y)
    # An exact binomial interval that a right draw leaves once in a million.
    low, high = binom.interval(1 - 1e-6, n_samples, rate) if 0 < rate < 1 else (0, n_samples)
    assert low <= mask.sum() <= high
    if rate in (0, 1):
        assert mask.mean() == rate


def test_any_matrix_is_followed_cell_by_cell():
    transition = np.array([[0.7, 0.3, 0.0], [0.2, 0.5, 0.3], [0.0, 0.1, 0.9]])
    y = np.repeat(["a", "b", "c"], 5000)
    y_noisy = corrupt_labels(y, transition, random_state=1)
    for row, true in zip(transition, "abc", strict=True):
        counts = np.array([np.sum(y_noisy[y == true] == label) for label in "abc"])
        assert counts[row == 0].sum() == 0
        assert chisquare(counts[row > 0], 5000 * row[row > 0]).pvalue > 1e-6


def test_labels_are_drawn_from_the_true_ones_at_once():
    # A swap in place, class after class, would turn every label into the last class.
    y = np.array([0, 1, 2] * 10)
    swap = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(corrupt_labels(y, swap), (y + 1) % 3)


def test_same_seed_same_labels_and_global_state_untouched():
    y = np.arange(500) % 4
    before = np.random.get_state()[1].copy()
    first = corrupt_labels(y, "symmetric", 0.5, random_state=7)
    np.testing.assert_array_equal(first, corrupt_labels(y, "symmetric", 0.5, random_state=7))
    assert (first != corrupt_labels(y, "symmetric", 0.5)).any()
    np.testing.assert_array_equal(before, np.random.get_state()[1])


@pytest.mark.parametrize(
    "y",
    [
        ["ham", "spam", "eggs"] * 20,
        np.array([True, False] * 30),
        np.array([-1.0, 1.0] * 30),
        pd.Series(["a", "b"] * 30, index=np.arange(60) * 2, name="label"),
        pd.Series(["a", "b"] * 30, dtype="category"),
        pd.Series([1, 2] * 30, dtype="Int64"),
    ],
    ids=["list", "bool", "float", "series", "category", "Int64"],
)
def test_kind_of_labels_is_kept(y):
    y_noisy, mask = corrupt_labels(y, "pair", 0.5, random_state=0, return_mask=True)
    assert set(y_noisy) == set(y)
    np.testing.assert_array_equal(np.asarray(y_noisy) != np.asarray(y), mask)
    if isinstance(y, pd.Series):
        assert y_noisy.dtype == y.dtype
        assert y_noisy.name == y.name
        pd.testing.assert_index_equal(y_noisy.index, y.index)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"noise": "symetric", "noise_rate": 0.2}, "'noise' parameter .*'pair'"),
        ({"noise": "pair", "noise_rate": 1.2}, r"'noise_rate' parameter .*\[0.0, 1.0\].* 1.2"),
        ({"noise": "pair"}, "needs a noise_rate"),
        ({"noise": np.eye(2), "noise_rate": 0.2}, "Leave out noise_rate=0.2"),
        ({"noise": np.eye(3)}, r"shape \(2, 2\).*Got shape \(3, 3\)"),
        ({"noise": [[0.5, 0.4], [0, 1]]}, "must be a probability distribution"),
        ({"noise": [[1.5, -0.5], [0, 1]]}, "must be a probability distribution"),
        ({"noise": [[np.nan, 0.5], [0, 1]]}, "must be a probability distribution"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        corrupt_labels([0, 1, 1], **arguments)


@pytest.mark.parametrize("y", [[], [3, 3, 3]])
def test_labels_without_a_choice(y):
    with pytest.raises(ValueError, match=r"0 sample\(s\)|at least 2 classes"):
        corrupt_labels(y, "symmetric", 0.2)


@pytest.mark.parametrize("make", [symmetric_transition, pair_transition])
def test_bad_matrix_arguments(make):
    with pytest.raises(ValueError, match="'n_classes' parameter .* Got 1"):
        make(1, 0.2)
    with pytest.raises(ValueError, match="'noise_rate' parameter .* Got -0.1"):
        make(3, -0.1)
    with pytest.raises(ValueError, match="'noise_rate' parameter .* Got '0.2'"):
        make(3, "0.2")


@pytest.mark.parametrize(
    "y",
    [
        [np.nan, 1.0, 2.0],
        np.array(["a", None, "b"], dtype=object),
        pd.Series([1, pd.NA, 2], dtype="Int64"),
        pd.Series(["a", None, "b"]),
    ],
    ids=["nan", "object", "Int64", "strings"],
)
def test_missing_labels(y):
    with pytest.raises(ValueError, match=r"Input.* contains NaN|missing labels"):
        corrupt_labels(y, "symmetric", 0.2)

"""Label noise follows its transition matrix."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, chisquare
from sklearn.model_selection import train_test_split

from robustlabels import LabelNoiseInjector, corrupt_labels
from robustlabels.noise import (
    asymmetric_transition,
    pair_transition,
    random_transition,
    replacement_transition,
    symmetric_transition,
)
from robustlabels.noise._corruption import CLASS_NOISES, SAMPLE_NOISES

rates = st.floats(0, 1)
class_counts = st.integers(2, 40)


def test_documented_kinds_are_those_there_are():
    (names,) = re.findall(r"\n    noise : \{(.*?)\}", corrupt_labels.__doc__)
    assert re.findall(r'"(.+?)"', names) == [*CLASS_NOISES, *SAMPLE_NOISES]


@given(class_counts, rates)
@pytest.mark.parametrize("make", CLASS_NOISES.values(), ids=CLASS_NOISES)
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


def test_class_map_replacement_and_random_matrices():
    mapped = asymmetric_transition(["dog", "cat", "car"], {"cat": "dog", "dog": "cat"}, 0.3)
    np.testing.assert_allclose(mapped, [[1, 0, 0], [0, 0.7, 0.3], [0, 0.3, 0.7]])
    replaced = replacement_transition([0.5, 0.3, 0.2], 0.4)
    np.testing.assert_allclose(replaced, 0.6 * np.eye(3) + 0.4 * np.array([[0.5, 0.3, 0.2]] * 3))
    with pytest.raises(ValueError, match=r"class_map has \['bird'\]"):
        asymmetric_transition(["dog", "cat"], {"cat": "bird"}, 0.3)
    with pytest.raises(ValueError, match="maps 'cat' to itself"):
        asymmetric_transition(["dog", "cat"], {"cat": "cat"}, 0.3)
    for marginal in ([0.5, 0.6], [1.5, -0.5], [1.0], [[0.5, 0.5]]):
        with pytest.raises(ValueError, match="marginal must"):
            replacement_transition(marginal, 0.4)


@given(class_counts, st.floats(0, 0.999), st.integers(0, 1000))
def test_random_matrix_keeps_the_true_class_ahead(n_classes, share, seed):
    rate = share * (1 - 1 / n_classes)
    transition = random_transition(n_classes, rate, random_state=seed)
    np.testing.assert_allclose(transition.sum(axis=1), 1)
    np.testing.assert_allclose(transition.diagonal(), 1 - rate)
    wrong = transition[~np.eye(n_classes, dtype=bool)].reshape(n_classes, -1)
    assert (wrong >= 0).all()
    assert (wrong.max(axis=1) < transition.diagonal()).all()
    with pytest.raises(ValueError, match="only for a noise_rate below"):
        random_transition(n_classes, 1 - 1 / n_classes)


def make_labels(n_samples, n_classes, seed):
    rng = np.random.default_rng(seed)
    y = np.append(np.arange(n_classes), rng.integers(n_classes, size=n_samples - n_classes))
    X = rng.normal(size=(n_samples, 3)) + 2 * np.eye(3)[y % 3]
    return X, y


def test_exact_number_of_few_labels():
    # The number of wrong labels is rounded up to all of them.
    for seed in range(20):
        _, mask = corrupt_labels(
            [0, 1], "symmetric", 0.9, exact=True, random_state=seed, return_mask=True
        )
        assert mask.all()


@given(
    n_classes=st.integers(2, 200),
    extra=st.integers(8, 20_000),
    noise=st.sampled_from([*CLASS_NOISES, "map", "matrix"]),
    rate=rates,
    exact=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_noise_of_classes_keeps_its_word(n_classes, extra, noise, rate, exact, seed):
    _, y = make_labels(n_classes + extra, n_classes, seed % 1000)
    named = noise
    if noise == "map":
        named = {0: n_classes - 1}
        transition = asymmetric_transition(np.arange(n_classes), named, rate)
    elif noise == "matrix":
        named = transition = np.random.default_rng(seed).dirichlet(np.ones(n_classes), n_classes)
    else:
        transition = CLASS_NOISES[noise](n_classes, rate)
    rate = None if noise == "matrix" else rate
    y_noisy, mask = corrupt_labels(y, named, rate, exact=exact, random_state=seed, return_mask=True)
    np.testing.assert_array_equal(mask, y_noisy != y)
    again = corrupt_labels(y, named, rate, exact=exact, random_state=seed)
    np.testing.assert_array_equal(y_noisy, again)
    chance = 1 - transition.diagonal()[y]
    if exact and noise in CLASS_NOISES:
        assert mask.sum() == round(rate * len(y))
    elif exact:
        counts = np.zeros((n_classes, n_classes))
        np.add.at(counts, (y, y_noisy), 1)
        assert np.abs(counts - np.bincount(y)[:, None] * transition).max() < 1 + 1e-9
    else:
        deviation = np.sqrt((chance * (1 - chance)).sum())
        assert abs(mask.sum() - chance.sum()) <= 4 * deviation + 1


@given(
    n_classes=st.integers(2, 5),
    extra=st.integers(30, 300),
    noise=st.sampled_from([*SAMPLE_NOISES]),
    rate=rates,
    exact=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_noise_of_samples_keeps_its_word(n_classes, extra, noise, rate, exact, seed):
    X, y = make_labels(n_classes * 5 + extra, n_classes, seed)
    arguments = {"X": X, "exact": exact, "random_state": seed}
    y_noisy, mask = corrupt_labels(y, noise, rate, return_mask=True, **arguments)
    np.testing.assert_array_equal(mask, y_noisy != y)
    np.testing.assert_array_equal(y_noisy, corrupt_labels(y, noise, rate, **arguments))
    if exact:
        assert mask.sum() == round(rate * len(y))
    else:
        deviation = np.sqrt(len(y) * rate * (1 - rate))
        assert abs(mask.sum() - rate * len(y)) <= 4 * deviation + 1


def corrupt(y, X, *args, **params):
    """Return the transition matrix behind the noise and which labels it flips."""
    injector = LabelNoiseInjector(*args, random_state=0, **params)
    injector.corrupt(y, X)
    return injector.transition_matrix_, injector.flipped_


@pytest.mark.parametrize("noise", SAMPLE_NOISES)
@pytest.mark.parametrize("exact", [False, True])
def test_samples_flip_at_their_rates(noise, exact):
    # Ten points of 300 samples each: the rate of a class is that of its samples.
    X = np.repeat(np.random.default_rng(0).normal(size=(10, 2)), 300, axis=0)
    transition, flipped = corrupt(np.repeat(np.arange(10), 300), X, noise, 0.4, exact=exact)
    rates = 1 - transition.diagonal()
    assert rates.mean() == pytest.approx(0.4, abs=0.01)
    assert noise == "instance" or rates.std() > 0.2
    assert np.abs(flipped.reshape(10, 300).mean(axis=1) - rates).max() < 4.5 * np.sqrt(0.25 / 300)


def test_rates_of_instance_noise_are_normally_distributed():
    # Each sample is a class of its own: the matrix has the rate of each.
    transition, _ = corrupt(np.arange(1000), np.zeros((1000, 1)), "instance", 0.4)
    rates = 1 - transition.diagonal()
    assert rates.mean() == pytest.approx(0.4, abs=0.01)
    assert rates.std() == pytest.approx(0.1, abs=0.01)


def wrong_label_logits(X):
    """Return the logits of the wrong labels of samples that each are a class, centred in rows."""
    transition, _ = corrupt(np.arange(len(X)), X, "instance", 0.3)
    logits = np.log(transition[~np.eye(len(X), dtype=bool)]).reshape(len(X), -1)
    return logits - logits.mean(axis=1, keepdims=True)


@pytest.mark.parametrize("n_features", [1, 4, 400])
def test_instance_noise_depends_on_few_features_as_much_as_on_many(n_features):
    # A random linear function of d standardised features, over the root of d, has variance 1.
    X = np.random.default_rng(0).normal(3, 7, size=(60, n_features))
    assert wrong_label_logits(X).var() == pytest.approx(1, rel=0.15)


def test_instance_noise_differs_between_classes_at_the_same_features():
    # Samples i and i + 30 have the same features. Compare the logits that both have.
    X = np.tile(np.random.default_rng(0).normal(size=(30, 3)), (2, 1))
    logits = wrong_label_logits(X)
    correlations = [
        np.corrcoef(np.delete(logits[i], i + 29), np.delete(logits[i + 30], i))[0, 1]
        for i in range(30)
    ]
    assert abs(np.mean(correlations)) < 0.2


@pytest.mark.parametrize(("noise", "most"), [("margin", 1.01), ("boundary", np.log(2) + 0.01)])
def test_certain_samples_flip_too_but_least(noise, most):
    # 300 features identify "far". None distinguishes "left" from "right".
    y = np.repeat(["far", "left", "right"], 200)
    X = np.hstack([np.arange(600)[:, None] % 2, np.tile((y == "far")[:, None], 300)])
    transition, _ = corrupt(y, X, noise, 0.2)
    far, left, right = 1 - transition.diagonal()
    # The formulas range from 0.01, for certain predictions, to `most`, where two classes tie.
    assert far / max(left, right) == pytest.approx(0.01 / most, rel=0.05)
    assert np.mean([far, left, right]) == pytest.approx(0.2)


@pytest.mark.parametrize("n_samples", [1, 7])
def test_exact_counts_are_rounded_without_a_bias(n_samples):
    # 100 independent copies of noise on three classes.
    block = np.array([[0.71, 0.18, 0.11], [0.4, 0.6, 0.0], [0.03, 0.92, 0.05]])
    y, rng = np.repeat(np.arange(300), n_samples), np.random.RandomState(0)
    counts = np.zeros((3, 3))
    for _ in range(10):
        noisy = corrupt_labels(y, np.kron(np.eye(100), block), exact=True, random_state=rng)
        np.add.at(counts, (y % 3, noisy % 3), 1 / 1000)
    # Rounding up or down at random keeps the mean of each cell.
    np.testing.assert_allclose(counts, n_samples * block, atol=4.5 * np.sqrt(0.25 / 1000))


@pytest.mark.parametrize("noise", ["symmetric", np.array([[0.8, 0.2], [0.2, 0.8]])], ids=str)
@pytest.mark.parametrize("stratify", [False, True])
def test_exact_noise_has_nothing_to_do_with_splits_of_the_same_seed(noise, stratify):
    y = np.arange(400) % 2
    shares = []
    for seed in range(20):
        rate = 0.2 if isinstance(noise, str) else None
        noisy = corrupt_labels(y, noise, rate, exact=True, random_state=seed)
        _, wrong = train_test_split(
            noisy != y, test_size=0.2, stratify=y if stratify else None, random_state=seed
        )
        shares.append(wrong.mean())
    assert np.mean(shares) == pytest.approx(0.2, abs=0.04)
    assert max(shares) < 0.4


@pytest.mark.parametrize("noise", ["margin", "boundary"])
def test_noise_lies_at_the_boundary(noise):
    rng = np.random.default_rng(0)
    X = rng.uniform(-3, 3, size=(4000, 1))
    y = (X[:, 0] + rng.normal(size=4000) > 0).astype(int)
    _, mask = corrupt_labels(y, noise, 0.2, X=X, random_state=0, return_mask=True)
    near = np.abs(X[:, 0]) < 1
    assert mask[near].mean() > 2 * mask[~near].mean()


def test_instance_noise_depends_on_the_row():
    # Within a class the wrong label follows the features, so it can be predicted.
    rng = np.random.default_rng(0)
    X, y = 10 * rng.normal(size=(4000, 2)), np.arange(4000) % 4
    y_noisy, mask = corrupt_labels(y, "instance", 0.5, X=X, random_state=0, return_mask=True)
    right = X[:, 0] > 0
    rows = mask & (y == 0)
    share = [(y_noisy[rows & side] == 1).mean() for side in (right, ~right)]
    assert abs(share[0] - share[1]) > 0.1


def test_margin_and_boundary_differ():
    X, y = make_labels(300, 3, 0)
    flips = [
        corrupt_labels(y, noise, 0.3, X=X, random_state=0, return_mask=True)[1]
        for noise in ("margin", "boundary")
    ]
    assert (flips[0] != flips[1]).any()


@pytest.mark.parametrize("noise", SAMPLE_NOISES)
def test_noise_of_samples_needs_features(noise):
    with pytest.raises(ValueError, match="depends on the features: pass X"):
        corrupt_labels([0, 1], noise, 0.2)
    with pytest.raises(ValueError, match="X has 3 rows and y has 2 labels"):
        corrupt_labels([0, 1], noise, 0.2, X=[[0.0], [1.0], [2.0]])


@pytest.mark.parametrize("n_classes", [2, 3, 10, 120])
@pytest.mark.parametrize("noise", CLASS_NOISES)
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.4, 0.6, 1.0])
def test_realised_rate_is_the_rate_asked_for(n_classes, noise, rate):
    n_samples = 20_000
    y = np.arange(n_samples) % n_classes
    y_noisy, mask = corrupt_labels(y, noise, rate, random_state=0, return_mask=True)
    np.testing.assert_array_equal(mask, y_noisy != y)
    # An exact binomial interval that a correct draw misses once in a million.
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
    # Swapping in place, class by class, would turn every label into the last class.
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


@pytest.mark.parametrize(
    "wrong", [["7", "4"], ("7", "4"), {"7", "4"}, {"7": 0.1}, np.array(["7", "4"])]
)
def test_a_class_map_has_one_label_for_each_class(wrong):
    y = ["1", "4", "7"] * 5
    with pytest.raises(ValueError, match=r"the one label that a class is mistaken for.* for '1'"):
        corrupt_labels(y, {"1": wrong}, 0.2)
    with pytest.raises(ValueError, match="pass a transition matrix"):
        asymmetric_transition(y, {"1": wrong}, 0.2)


@pytest.mark.parametrize("y", [[], [3, 3, 3]])
def test_labels_without_a_choice(y):
    with pytest.raises(ValueError, match=r"0 sample\(s\)|at least 2 classes"):
        corrupt_labels(y, "symmetric", 0.2)


def test_named_shares_of_replacement_are_sorted():
    y = pd.Series(["b", "a", "b", "c", "b"])
    expected = replacement_transition([0.2, 0.6, 0.2], 0.5)
    for marginal in (y.value_counts(normalize=True), {"b": 0.6, "c": 0.2, "a": 0.2}):
        np.testing.assert_allclose(replacement_transition(marginal, 0.5), expected)
    with pytest.raises(ValueError, match="types int and str"):
        replacement_transition({"0": 0.5, 1: 0.5}, 0.5)


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
    with pytest.raises(ValueError, match="missing label"):
        corrupt_labels(y, "symmetric", 0.2)

"""ClassStatistics: they add up, whatever the order, and lose no digits."""

import functools
import itertools
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from robustlabels import ClassStatistics


def make_rows(n, d=4, n_classes=3, seed=0, offset=0.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * rng.uniform(0.1, 10, d) + offset
    return X, rng.integers(n_classes, size=n), rng.uniform(0.1, 3, n)


def assert_same(a, b, rtol=1e-10):
    spread = np.sqrt(np.diag(a.scatter) / a.class_weight.sum())
    np.testing.assert_allclose(a.class_weight, b.class_weight, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(a.mean / spread, b.mean / spread, rtol=rtol, atol=rtol)
    scale = spread * a.class_weight.sum()
    np.testing.assert_allclose(a.class_sums / scale, b.class_sums / scale, atol=rtol)
    np.testing.assert_allclose(
        a.scatter / np.outer(spread, scale), b.scatter / np.outer(spread, scale), atol=rtol
    )


@given(
    cuts=st.lists(st.integers(0, 60), max_size=6),
    seed=st.integers(0, 1000),
    offset=st.sampled_from([0.0, 1.0, 1000.0]),
    weighted=st.booleans(),
    as_sparse=st.booleans(),
)
def test_statistics_merged_in_any_order_are_those_of_one_pass(
    cuts, seed, offset, weighted, as_sparse
):
    X, y, weight = make_rows(60, seed=seed, offset=offset)
    if as_sparse and offset:
        offset = 0.0
        X = X - X.mean(axis=0)
    weight = weight if weighted else None
    from_rows = functools.partial(ClassStatistics.from_rows, classes=[0, 1, 2], scatter=True)
    whole = from_rows(X, y, sample_weight=weight)
    edges = [0, *sorted(cuts), 60]
    parts = []
    for start, stop in itertools.pairwise(edges):
        rows = slice(start, stop)
        if start < stop:
            block = sparse.csr_array(X[rows]) if as_sparse else X[rows]
            w = None if weight is None else weight[rows]
            parts.append(from_rows(block, y[rows], sample_weight=w))
    shuffled = [parts[i] for i in np.random.default_rng(seed).permutation(len(parts))]
    assert_same(functools.reduce(operator.add, shuffled), whole)
    assert_same(functools.reduce(operator.add, parts), whole)


def test_subtracting_undoes_adding():
    X, y, weight = make_rows(50, offset=100.0)
    first, second = (
        ClassStatistics.from_rows(
            X[rows], y[rows], classes=[0, 1, 2], sample_weight=weight[rows], scatter=True
        )
        for rows in (slice(0, 30), slice(30, 50))
    )
    assert_same(first + second - second, first)
    assert_same(sum([first, second]), first + second)
    nothing = first - first
    assert nothing.class_weight.tolist() == [0, 0, 0]
    assert_same(nothing + first, first)
    assert_same(first + nothing, first)


def test_moments_equal_their_definition():
    X, y, weight = make_rows(40, offset=3.0)
    statistics = ClassStatistics.from_rows(X, y, sample_weight=weight, scatter=True)
    mean = np.average(X, axis=0, weights=weight)
    np.testing.assert_allclose(statistics.mean, mean)
    for k in range(3):
        expected = (weight[y == k, None] * (X[y == k] - mean)).sum(axis=0)
        np.testing.assert_allclose(statistics.class_sums[k], expected, atol=1e-10)
    centred = X - mean
    np.testing.assert_allclose(statistics.scatter, (centred.T * weight) @ centred)


@pytest.mark.parametrize("offset", [0.0, 1e3])
@pytest.mark.parametrize("order", ["C", "F"])
def test_float32_rows_keep_their_digits(offset, order):
    X, y, _ = make_rows(200_000, offset=offset)
    X = X.astype(np.float32, order=order)
    single = ClassStatistics.from_rows(X, y, scatter=True)
    double = ClassStatistics.from_rows(X.astype(np.float64), y, scatter=True)
    assert single.mean.dtype == np.float64
    assert_same(single, double, rtol=1e-6)


def test_sparse_rows_are_not_made_dense():
    # Dense, X would take 32 GB.
    n, d = 20_000, 200_000
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=n)
    X = sparse.csr_array((np.ones(n), (np.arange(n), y)), shape=(n, d))
    statistics = ClassStatistics.from_rows(X, y)
    n_one = y.sum()
    assert statistics.class_sums[1, 1] == pytest.approx(n_one - n_one * n_one / n)


@pytest.mark.parametrize("form", [np.ascontiguousarray, np.asfortranarray, sparse.csr_array])
@pytest.mark.parametrize("scatter", [False, True])
@pytest.mark.parametrize("row", [0, 40_000])
@pytest.mark.parametrize(
    ("values", "what"), [([np.nan], "NaN"), ([np.inf], "infinity"), ([-np.inf, np.inf], "infinity")]
)
def test_a_row_that_is_not_finite_is_rejected(form, scatter, row, values, what):
    X, y, weight = make_rows(50_000, d=2, offset=0.0 if form is sparse.csr_array else 100.0)
    X[row : row + len(values), 1] = values
    y[row : row + len(values)] = 1
    with np.errstate(all="raise"), pytest.raises(ValueError, match=f"Input X contains {what}"):
        ClassStatistics.from_rows(form(X), y, scatter=scatter)
    # Even one without weight.
    weight[row : row + len(values)] = 0.0
    X[row : row + len(values), 1] = values[0]
    with pytest.raises(ValueError, match=f"Input X contains {what}"):
        ClassStatistics.from_rows(form(X), y, sample_weight=weight, scatter=scatter)


@pytest.mark.parametrize(
    "labels",
    [
        ["b", "a", "c", "a"],
        [True, False, True, True],
        np.array([-128, 127, 127, 0], dtype=np.int8),
        np.array([250, 3, 250, 7], dtype=np.uint8),
        np.array([2**63 + 1, 2**63, 2**63 + 5, 2**63], dtype=np.uint64),
        np.array([-(2**63), 2**63 - 1, 0, 0]),
        np.array([10**12, 10**12 + 2, 10**12, 10**12]),
        [1.5, -2.0, 1.5, 0.0],
    ],
    ids=str,
)
def test_labels_of_any_kind(labels):
    labels = np.asarray(labels)
    X = np.arange(4.0)[:, None]
    statistics = ClassStatistics.from_rows(X, labels)
    np.testing.assert_array_equal(statistics.classes, np.unique(labels))
    for k, label in enumerate(statistics.classes):
        assert statistics.class_weight[k] == (labels == label).sum()
        assert statistics.class_sums[k, 0] == pytest.approx((X[labels == label] - 1.5).sum())


@pytest.mark.parametrize("classes", [["a", "c"], [0, 2, 4], [5, 7], [-1, 3]])
def test_a_label_that_is_in_no_class_is_named(classes):
    labels = ["a", "b"] if isinstance(classes[0], str) else [1, 3]
    with pytest.raises(ValueError, match="labels .* which are not among the classes"):
        ClassStatistics.from_rows([[0.0], [1.0]], labels, classes=classes)


def test_statistics_that_do_not_match_cannot_be_combined():
    X, y, _ = make_rows(20)
    statistics = ClassStatistics.from_rows(X, y)
    with pytest.raises(ValueError, match="same classes and features"):
        statistics + ClassStatistics.from_rows(X, y, classes=[0, 1, 2, 3])
    with pytest.raises(ValueError, match="same classes and features"):
        statistics + ClassStatistics.from_rows(X[:, :2], y)
    with pytest.raises(ValueError, match="second moment"):
        statistics + ClassStatistics.from_rows(X, y, scatter=True)
    with pytest.raises(ValueError, match="Only samples that were added can be subtracted"):
        statistics - (statistics + statistics)
    with pytest.raises(TypeError):
        statistics + 1

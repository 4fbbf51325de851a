"""Fitting to Dask collections gives the coefficients of a fit in memory."""

import os
import signal
import threading

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster
from scipy import sparse

from robustlabels import UnhingedClassifier


def make_rows(n=6000, d=8):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d)) + 5
    weight = rng.uniform(0, 2, n)
    weight[:50] = 0
    return X, X[:, :3].argmax(axis=1), weight


def assert_same(a, b):
    np.testing.assert_array_equal(a.classes_, b.classes_)
    np.testing.assert_allclose(a.coef_, b.coef_, atol=1e-10, rtol=1e-10)
    np.testing.assert_allclose(a.intercept_, b.intercept_, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("metric", ["covariance", "euclidean"])
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 3.0}])
def test_arrays_with_chunks_that_do_not_match(metric, class_weight):
    X, y, weight = make_rows()
    clf = UnhingedClassifier(metric=metric, class_weight=class_weight)
    blocks = (
        da.from_array(X, chunks=(700, 3)),
        da.from_array(y, chunks=250),
        da.from_array(weight, chunks=999),
    )
    in_memory = UnhingedClassifier(**clf.get_params()).fit(X, y, weight)
    assert_same(clf.fit(*blocks), in_memory)
    # Both temperatures come from a sample of rows.
    assert clf.temperature_ == pytest.approx(in_memory.temperature_, rel=0.5)
    predicted = blocks[0].rechunk({1: -1}).map_blocks(clf.predict, drop_axis=1, dtype=y.dtype)
    np.testing.assert_array_equal(predicted.compute(), in_memory.predict(X))


def test_data_frames():
    X, y, weight = make_rows()
    names = list("abcdefgh")
    labels = np.array(["low", "mid", "top"])[y]
    frame = pd.DataFrame(X, columns=names).assign(label=labels, weight=weight)
    # A partition without rows, as a filter leaves it.
    parts = dd.concat(
        [dd.from_pandas(frame, npartitions=5), dd.from_pandas(frame[:0], npartitions=1)]
    )
    clf = UnhingedClassifier().fit(parts[names], parts.label, parts.weight)
    assert_same(clf, UnhingedClassifier().fit(frame[names], labels, weight))
    assert clf.feature_names_in_.tolist() == names


def test_sparse_blocks_and_blocks_without_weight():
    X, y, weight = make_rows()
    weight[:1000] = 0
    blocks = da.from_array(X, chunks=(500, -1)).map_blocks(sparse.csr_matrix)
    y_blocks, w_blocks = da.from_array(y, chunks=500), da.from_array(weight, chunks=500)
    clf = UnhingedClassifier().fit(blocks, y_blocks, w_blocks)
    assert_same(clf, UnhingedClassifier().fit(X, y, weight))


def test_rows_for_the_temperature_come_equally_from_all_blocks():
    # A long block of easy rows, and many short ones with random labels.
    X, y, _ = make_rows(30_000)
    X[-600:] = np.random.default_rng(1).permutation(X[-600:])
    chunks = ((29_400, *[3] * 200), (8,))
    clf = UnhingedClassifier().fit(da.from_array(X, chunks=chunks), da.from_array(y, chunks=-1))
    in_memory = UnhingedClassifier().fit(X, y)
    assert_same(clf, in_memory)
    assert clf.temperature_ == pytest.approx(in_memory.temperature_, rel=0.25)


@pytest.mark.parametrize("class_weight", [None, {0: 3.0}])
def test_few_rows_all_set_the_temperature_by_their_weights(class_weight):
    X, y, weight = make_rows(1000)
    columns = X, y, np.where(X[:, 0] > 5, weight, weight / 10)
    clf = UnhingedClassifier(class_weight=class_weight)
    in_memory = clf.fit(*columns).temperature_
    blocks = [da.from_array(column, chunks=300) for column in columns]
    assert clf.fit(*blocks).temperature_ == pytest.approx(in_memory, rel=1e-6)
    assert clf.fit(*blocks[:2]).temperature_ != pytest.approx(in_memory, rel=1e-2)


def test_chunks_of_unknown_size():
    X, y, _ = make_rows()
    series = dd.from_pandas(pd.Series(y), npartitions=6)
    X_blocks = da.from_array(X, chunks=(1000, -1))
    assert np.isnan(series.to_dask_array().chunks[0]).all()
    clf = UnhingedClassifier().fit(X_blocks, series.to_dask_array())
    assert_same(clf, UnhingedClassifier().fit(X, y))


def test_collections_that_do_not_match_are_rejected():
    X, y, _ = make_rows(100)
    X_blocks, y_blocks = da.from_array(X, chunks=50), da.from_array(y, chunks=50)
    clf = UnhingedClassifier()
    with pytest.raises(ValueError, match="so y must be one too. Got ndarray"):
        clf.fit(X_blocks, y)
    with pytest.raises(ValueError, match="same partitions. Got 2 and 3"):
        clf.fit(
            dd.from_pandas(pd.DataFrame(X), npartitions=2),
            dd.from_pandas(pd.Series(y), npartitions=3),
        )
    with pytest.raises(ValueError, match="no row to learn from"):
        clf.fit(X_blocks, y_blocks, da.zeros(100, chunks=50))
    with pytest.raises(ValueError, match="contains NaN"):
        clf.fit(da.where(X_blocks > 6, np.nan, X_blocks), y_blocks)
    with pytest.raises(ValueError, match="one class"):
        clf.fit(X_blocks, da.zeros(100, chunks=50, dtype=int))
    assert not hasattr(clf, "coef_")


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_changes_nothing(tmp_path):
    X, y, _ = make_rows()
    started = tmp_path / "started"

    def slowly(block):
        # The first blocks say that the fit is under way; all take their time.
        started.touch()
        threading.Event().wait(0.2)
        return block

    with (
        dask.config.set({"distributed.worker.daemon": True}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        Client(cluster),
    ):
        X_blocks = da.from_array(X, chunks=(300, -1)).map_blocks(slowly, dtype=X.dtype)
        y_blocks = da.from_array(y, chunks=300)
        (victim, _) = [worker.pid for worker in cluster.workers.values()]

        def kill():
            while not started.exists():
                threading.Event().wait(0.01)
            threading.Event().wait(0.5)
            os.kill(victim, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        clf = UnhingedClassifier().fit(X_blocks, y_blocks)
        killer.join()
        assert victim not in [worker.pid for worker in cluster.workers.values()]
    assert_same(clf, UnhingedClassifier().fit(X, y))


def test_a_missing_weight_is_reported_whatever_its_label():
    X, y, weight = make_rows()
    y = np.where(np.arange(len(y)) < 2, 3, y)
    weight[:2] = np.nan  # of all rows of a class
    parts = (da.from_array(part, chunks=700) for part in (X, y, weight))
    with pytest.raises(ValueError, match="sample_weight contains NaN"):
        UnhingedClassifier().fit(*parts)

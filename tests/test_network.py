"""The network, its batches and its threads."""

import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skorch.dataset import Dataset
from torch.utils.data import Subset

from robustlabels._network import MLP, BatchIterator, SharedDropout, one_thread


def batches_of(n_rows, batch_size, **kwargs):
    X = torch.arange(n_rows)
    dataset = Dataset({"X": X, "sample_weight": X * 0.5}, X * 10)
    return BatchIterator(dataset, batch_size, **kwargs)


@given(st.integers(1, 60), st.integers(1, 70), st.booleans())
def test_a_pass_takes_every_row_once(n_rows, batch_size, shuffle):
    iterator = batches_of(n_rows, batch_size, shuffle=shuffle)
    batches = list(iterator)
    assert len(batches) == len(iterator)
    sizes = [len(y) for _, y in batches]
    assert min(sizes) > 1 or n_rows == 1 or batch_size == 1
    assert max(sizes) <= batch_size + 1
    rows = torch.cat([X["X"] for X, _ in batches])
    assert sorted(rows.tolist()) == list(range(n_rows))
    for X, y in batches:
        torch.testing.assert_close(X["sample_weight"], X["X"] * 0.5)
        torch.testing.assert_close(y, X["X"] * 10)


def test_passes_differ_and_the_generator_decides():
    passes = batches_of(50, 50, shuffle=True, generator=torch.Generator().manual_seed(1))
    again = batches_of(50, 50, shuffle=True, generator=torch.Generator().manual_seed(1))
    first, second = next(iter(passes))[1], next(iter(passes))[1]
    assert not torch.equal(first, second)
    assert torch.equal(first, next(iter(again))[1])


def test_subset_of_subset():
    whole = Dataset(np.arange(10) * 2, np.arange(10))
    part = Subset(Subset(whole, [9, 7, 5, 3]), [0, 2])
    ((X, y),) = BatchIterator(part, 5)
    assert X.tolist() == [18, 10]
    assert y.tolist() == [9, 5]


def test_other_datasets_are_refused():
    with pytest.raises(TypeError, match="TensorDataset.*DataLoader"):
        BatchIterator(torch.utils.data.TensorDataset(torch.zeros(3)), 2)


def test_shared_dropout_drops_columns_and_keeps_the_mean():
    layer = SharedDropout(0.4)
    layer.generator = torch.Generator().manual_seed(0)
    out = torch.stack([layer(torch.ones(3, 1000)) for _ in range(50)])
    assert ((out == 0) | torch.isclose(out, torch.tensor(1 / 0.6))).all()
    assert torch.equal(out[:, 0], out[:, 2])
    assert not torch.equal(out[0], out[1])
    assert abs(out.mean().item() - 1) < 0.02
    assert torch.equal(layer.eval()(torch.ones(3, 4)), torch.ones(3, 4))


def test_mlp_standardizes():
    network = MLP(2, 3, hidden_layer_sizes=(), dropout=0.0).double()
    raw = torch.tensor([[1e6, 1e-3], [3e6, 5e-3]], dtype=torch.float64)
    scaled = torch.tensor([[-1.0, -1.0], [1.0, 1.0]], dtype=torch.float64)
    expected = network(scaled)
    network.standardize_by(raw.mean(0), raw.std(0, correction=0))
    torch.testing.assert_close(network(raw), expected)
    network = network.float()
    network.standardize_by([0.0, 0.0], [1e-60, 1.0])  # less than a float32 can be
    assert network(raw.float()).isfinite().all()


def test_one_thread_restores_the_number_also_across_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        entered, leave = threading.Event(), threading.Event()
        seen = []

        def inside():
            with one_thread():
                seen.append(torch.get_num_threads())
                entered.set()
                leave.wait(10)
                seen.append(torch.get_num_threads())

        other = threading.Thread(target=inside)
        with one_thread():
            other.start()
            entered.wait(10)
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        leave.set()
        other.join()
        assert seen == [1, 1]
        late = []
        thread = threading.Thread(target=lambda: late.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert late == [2]
    finally:
        torch.set_num_threads(before)

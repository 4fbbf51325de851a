"""The network, its batches and its threads."""

import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skorch.dataset import Dataset
from torch.utils.data import Subset

from robustlabels._network.batches import BatchIterator
from robustlabels._network.module import MLP
from robustlabels._network.threads import threads


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


def masked(network, X, seed):
    """What the network computes with dropout masks drawn from this seed, unit by unit."""
    generator = torch.Generator().manual_seed(seed)
    x = network.standardize(X)
    for layer in network.layers[:-1]:
        x = torch.relu(x @ layer.weight.mT + layer.bias)
        mask = torch.rand(x.shape[-1], generator=generator) >= network.dropout
        x = x * mask / (1 - network.dropout)
    logits = x @ network.layers[-1].weight.mT + network.layers[-1].bias
    return logits.transpose(0, 1) if logits.ndim == 3 else logits


@given(
    st.sampled_from([(), (7,), (300,), (300, 20), (20, 300), (5, 300, 300)]),
    st.sampled_from([2, 40]),
    st.sampled_from([0.0, 0.2, 0.5, 0.99]),
    st.sampled_from([1, 3]),
)
def test_units_that_are_not_computed_are_units_that_are_dropped(widths, n_rows, p, n_members):
    network = MLP(6, 3, widths, dropout=p, n_members=n_members).double()
    X = torch.randn(n_rows, 6, dtype=torch.float64)
    expected = masked(network, X, seed=1)
    upstream = torch.randn_like(expected)
    gradients = torch.autograd.grad(expected, network.parameters(), upstream)
    network.drop_by(torch.Generator().manual_seed(1))
    logits = network(X)
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(
        torch.autograd.grad(logits, network.parameters(), upstream), gradients
    )


def test_dropout_differs_between_batches_and_ends_with_training():
    network = MLP(4, 3, (50,), dropout=0.5)
    network.drop_by(torch.Generator().manual_seed(0))
    X = torch.ones(5, 4)
    first, second = network(X), network(X)
    assert torch.equal(first[0], first[4])
    assert not torch.equal(first, second)
    network.eval()
    assert torch.equal(network(X), network(X))
    many = torch.stack([network.train()(X) for _ in range(3000)])
    torch.testing.assert_close(many.mean(0), network.eval()(X), rtol=0, atol=0.02)


def test_members_are_networks_of_their_own():
    together = MLP(4, 3, (8, 5), dropout=0.0, n_members=3)
    alone = MLP(4, 3, (8, 5), dropout=0.0)
    X = torch.randn(6, 4)
    assert together(X).shape == (6, 3, 3)
    for member in range(3):
        for weights, weight in zip(together.parameters(), alone.parameters(), strict=True):
            weight.data = weights.data[member].reshape(weight.shape)
        torch.testing.assert_close(together(X)[:, member], alone(X))


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


def test_threads_restores_the_number_also_across_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        entered, leave = threading.Event(), threading.Event()
        seen = []

        def inside():
            with threads(1):
                seen.append(torch.get_num_threads())
                entered.set()
                leave.wait(10)
                seen.append(torch.get_num_threads())

        other = threading.Thread(target=inside)
        with threads(1):
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


def test_threads_inside_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        with threads(2):
            with threads(1):
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_a_thread_that_torch_has_not_seen_gets_its_own_number():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    entered, leave, seen = threading.Event(), threading.Event(), []

    def work():
        with threads(3):
            entered.set()
            leave.wait(10)
            torch.ones(2).add_(1)
            seen.append(torch.get_num_threads())

    def pass_by():
        with threads(1):
            pass

    try:
        with threads(3):
            first, second = threading.Thread(target=work), threading.Thread(target=pass_by)
            first.start()
            entered.wait(10)
            second.start()
            second.join()
            leave.set()
            first.join()
        assert seen == [3]
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)

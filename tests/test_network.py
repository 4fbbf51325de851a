"""The network, its batches and threads, how it is made from parameters and stored."""

import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler
from skorch.dataset import Dataset
from torch.utils.data import Subset

from robustlabels import RobustClassifier
from robustlabels._network.batches import BatchIterator
from robustlabels._network.module import MLP, add_moments
from robustlabels._network.parameters import count_epochs, make_net
from robustlabels._network.storage import restore_net, store_net
from robustlabels._network.torch_state import threads
from robustlabels.losses import CE


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
    network.generator = torch.Generator().manual_seed(1)
    logits = network(X)
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(
        torch.autograd.grad(logits, network.parameters(), upstream), gradients
    )


def test_dropout_differs_between_batches_and_ends_with_training():
    network = MLP(4, 3, (50,), dropout=0.5)
    network.generator = torch.Generator().manual_seed(0)
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
    network.standardize.set(raw.mean(0), raw.std(0, correction=0))
    torch.testing.assert_close(network(raw), expected)


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


def test_a_number_that_torch_refuses_leaves_no_trace():
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError), threads(0):
        pass
    torch.set_num_threads(before + 1)
    try:
        with threads(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == before + 1
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


def test_moments_follow_the_rows_and_forget_those_that_are_refused():
    X = np.random.default_rng(0).normal(size=(20, 3))
    weight = np.linspace(1, 2, 20)
    first = add_moments(StandardScaler(), X[:8], weight[:8], torch.float64)
    both = add_moments(first, X[8:], weight[8:], torch.float64)
    assert first.n_samples_seen_ == pytest.approx(weight[:8].sum())
    np.testing.assert_allclose(both.mean_, np.average(X, axis=0, weights=weight))
    with pytest.raises(ValueError, match="Feature 1 has values of up to 1e\\+200"):
        add_moments(
            both, np.array([[0.0, 1e200, 0.0], [0.0, -1e200, 0.0]]), np.ones(2), torch.float64
        )
    np.testing.assert_allclose(both.mean_, np.average(X, axis=0, weights=weight))


@pytest.mark.parametrize(
    ("max_epochs", "n_rows", "batch_size", "expected"),
    [(7, 50, 50, 7), ("auto", 100_000, 128, 40), ("auto", 150, 128, 300), ("auto", 50, 50, 600)],
)
def test_small_tables_get_more_passes(max_epochs, n_rows, batch_size, expected):
    assert count_epochs(max_epochs, n_rows, batch_size) == expected


def net_of(seed=0, **params):
    params = RobustClassifier(hidden_layer_sizes=(5,), batch_size=8, **params).get_params()
    sizes = {"n_features": 3, "n_classes": 2}
    where = {"device": torch.device("cpu"), "dtype": torch.float64}
    return make_net(params, loss=CE(), **where, **sizes, seed=seed)


def train(net, order, n_epochs=2):
    generator = np.random.default_rng(order)
    net.seed(order, order)
    y = generator.integers(2, size=20)
    net.train_on({"X": generator.normal(size=(20, 3))}, y, n_epochs, one_cycle=False)
    return net


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.module_.parameters()])


def test_the_seed_of_a_net_decides_alone():
    before = torch.get_rng_state()
    assert torch.equal(weights(net_of(seed=1)), weights(net_of(seed=1)))
    assert not torch.equal(weights(net_of(seed=1)), weights(net_of(seed=2)))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_restored_net_goes_on_as_the_stored_one():
    net = train(net_of(seed=1), order=0)
    net.module_.layers[0].bias.requires_grad_(False)
    stored, twin = store_net(net), net_of(seed=2)
    restore_net(twin, stored, same_parameters=True)
    assert torch.equal(weights(twin), weights(net))
    assert list(twin.history) == list(net.history)
    assert torch.equal(weights(train(twin, order=1)), weights(train(net, order=1)))
    assert not twin.module_.layers[0].bias.requires_grad


@pytest.mark.parametrize(("same_parameters", "lr"), [(True, 0.008), (False, 0.5)])
def test_a_restored_optimizer_keeps_parameters_that_are_new(same_parameters, lr):
    stored = store_net(train(net_of(), order=0))
    net = net_of(lr=0.5)
    restore_net(net, stored, same_parameters)
    (group,) = net.optimizer_.param_groups
    assert group["lr"] == lr
    assert len(net.optimizer_.state) == len(group["params"])


def test_an_optimizer_of_another_class_starts_without_a_past():
    net = net_of(optimizer=torch.optim.SGD)
    restore_net(net, store_net(train(net_of(), order=0)), same_parameters=False)
    assert not net.optimizer_.state

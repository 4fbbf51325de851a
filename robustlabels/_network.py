"""The network that RobustClassifier trains by default, and what feeds and paces it."""

import threading
from contextlib import contextmanager
from itertools import pairwise

import torch
from skorch.dataset import Dataset
from torch import nn
from torch.utils.data import Subset


class Standardize(nn.Module):
    """Shift and scale every feature; the estimator sets both from the training rows."""

    def __init__(self, n_features):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))

    def forward(self, x):
        return (x - self.mean) / self.scale


class SharedDropout(nn.Module):
    """Dropout with one mask per batch, shared by all its rows.

    A row of weight 2 then trains the network just as the same row given twice does, and the
    mask costs nothing. It comes from `generator`, never from torch's global state.
    """

    def __init__(self, p):
        super().__init__()
        self.p = p
        self.generator = None

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        kept = torch.rand(x.shape[-1], generator=self.generator) >= self.p
        return x * (kept.to(x) / (1 - self.p))


class MLP(nn.Sequential):
    """Standardisation, then linear layers with ReLU and shared dropout between them."""

    def __init__(self, n_features, n_classes, hidden_layer_sizes=(256, 256), dropout=0.5):
        widths = (n_features, *hidden_layer_sizes)
        layers = [Standardize(n_features)]
        for n_in, n_out in pairwise(widths):
            layers += [nn.Linear(n_in, n_out), nn.ReLU(), SharedDropout(dropout)]
        super().__init__(*layers, nn.Linear(widths[-1], n_classes))

    def standardize_by(self, mean, scale):
        """Take the shift and the scale of the features, arrays of shape (n_features,)."""
        self[0].mean.copy_(torch.as_tensor(mean))
        self[0].scale.copy_(torch.as_tensor(scale))
        self[0].scale[self[0].scale == 0] = 1  # it was smaller than a float32 can be

    def drop_by(self, generator):
        """Draw the masks of all dropout layers from one generator."""
        for layer in self:
            if isinstance(layer, SharedDropout):
                layer.generator = generator


class BatchIterator:
    """Batches of a skorch dataset that lies in memory, by slicing whole tensors.

    It stands where skorch puts torch's ``DataLoader``, which collates row by row. A last batch
    of a single row joins the one before it: batch normalisation cannot train on one row.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset or Subset of one
        Features, a tensor or a dict of tensors with a first axis of n rows, and labels.
    batch_size : int
        Rows per batch.
    shuffle : bool, default=False
        Whether each pass takes the rows in a new order.
    generator : torch.Generator or None, default=None
        Where that order is drawn from.
    """

    def __init__(self, dataset, batch_size, *, shuffle=False, generator=None):
        self.rows = None
        while isinstance(dataset, Subset):
            indices = torch.as_tensor(dataset.indices)
            self.rows = indices if self.rows is None else indices[self.rows]
            dataset = dataset.dataset
        if not isinstance(dataset, Dataset):
            raise TypeError(
                f"BatchIterator slices a skorch Dataset, not a {type(dataset).__name__}. For "
                f"other data sets pass net_params={{'iterator_train': DataLoader, ...}}."
            )
        self.X = _tensors(dataset.X)
        self.y = torch.zeros(len(dataset), dtype=torch.int64) if dataset.y is None else dataset.y
        self.y = torch.as_tensor(self.y)
        self.n_rows = len(dataset) if self.rows is None else len(self.rows)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.generator = generator

    def __len__(self):
        n_batches, left = divmod(self.n_rows, self.batch_size)
        return n_batches + (left > 1 or (left == 1 and n_batches == 0))

    def __iter__(self):
        if self.shuffle:
            order = torch.randperm(self.n_rows, generator=self.generator)
            order = order if self.rows is None else self.rows[order]
        else:
            order = torch.arange(self.n_rows) if self.rows is None else self.rows
        order = order.to(self.y.device)
        last = len(self) - 1
        for i in range(last + 1):
            stop = None if i == last else (i + 1) * self.batch_size
            rows = order[i * self.batch_size : stop]
            yield _take(self.X, rows), self.y[rows]


def _tensors(X):
    if isinstance(X, dict):
        return {name: torch.as_tensor(x) for name, x in X.items()}
    return torch.as_tensor(X)


def _take(X, rows):
    return {name: x[rows] for name, x in X.items()} if isinstance(X, dict) else X[rows]


class OneThread:
    """Context in which torch computes on one thread, also when several enter at once.

    torch holds this number twice, for the process and for each of its threads. So everyone
    who leaves restores it, to what it was before the first entered.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._inside = 0
        self._before = None

    @contextmanager
    def __call__(self):
        with self._lock:
            if self._inside == 0:
                self._before = torch.get_num_threads()
            self._inside += 1
            torch.set_num_threads(1)
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                torch.set_num_threads(self._before)


one_thread = OneThread()

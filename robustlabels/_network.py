"""The network that RobustClassifier trains by default, and what feeds and paces it."""

import threading
from contextlib import contextmanager
from itertools import pairwise

import torch
from skorch.dataset import Dataset
from torch import nn
from torch.utils.data import Subset

#: Rows times units from which computing fewer units is worth picking their weights.
_WORTH_SHRINKING = 2**13


class Standardize(nn.Module):
    """Shift and scale every feature; the estimator sets both from the training rows."""

    def __init__(self, n_features):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))

    def forward(self, x):
        return (x - self.mean) * self.scale.reciprocal()


class Affine(nn.Module):
    """Linear layer, of one network or of several that are computed at once.

    The parameters of one network have the shapes (n_out, n_in) and (n_out,), those of several
    (n_members, n_out, n_in) and (n_members, 1, n_out). Their initial values are torch's.
    """

    def __init__(self, n_in, n_out, n_members):
        super().__init__()
        layers = [nn.Linear(n_in, n_out) for _ in range(n_members)]
        if n_members == 1:
            self.weight, self.bias = layers[0].weight, layers[0].bias
        else:
            self.weight = nn.Parameter(torch.stack([layer.weight.data for layer in layers]))
            self.bias = nn.Parameter(torch.stack([layer.bias.data[None] for layer in layers]))

    def forward(self, x, inputs=None, outputs=None, gain=1.0):
        """Map the units `inputs`, times `gain`, to the units `outputs`; None stands for all."""
        weight, bias = self.weight, self.bias
        if outputs is not None:
            weight, bias = weight.index_select(-2, outputs), bias.index_select(-1, outputs)
        if inputs is not None:
            weight = weight.index_select(-1, inputs)
        product = torch.addmm if weight.ndim == 2 else torch.baddbmm
        return product(bias, x, weight.mT, alpha=gain)


class MLP(nn.Module):
    """Standardisation, then linear layers with ReLU and dropout between them.

    The dropout mask is shared by all rows of a batch, and by all members. A row of weight 2
    then trains the network just as the same row given twice does; and what a batch drops need
    not be computed at all: the layers shrink to the units that are kept. The masks come from
    `drop_by`'s generator, never from torch's global state.

    The logits have the shape (n, n_classes), those of several members
    (n, n_members, n_classes).
    """

    def __init__(
        self, n_features, n_classes, hidden_layer_sizes=(256, 256), dropout=0.5, n_members=1
    ):
        super().__init__()
        widths = (n_features, *hidden_layer_sizes, n_classes)
        self.standardize = Standardize(n_features)
        self.layers = nn.ModuleList(
            Affine(n_in, n_out, n_members) for n_in, n_out in pairwise(widths)
        )
        self.hidden_layer_sizes = hidden_layer_sizes
        self.dropout = dropout
        self.n_members = n_members
        self.generator = None

    def forward(self, X):
        x, kept, gain = self.standardize(X), None, 1.0
        if self.n_members > 1:
            x = x.expand(self.n_members, *x.shape)
        for layer, width in zip(self.layers, self.hidden_layer_sizes, strict=False):
            if not self.training or self.dropout == 0:
                x = layer(x).relu_()
                continue
            mask = torch.rand(width, generator=self.generator) >= self.dropout
            if len(X) * width < _WORTH_SHRINKING:
                x = layer(x, kept, None, gain).relu_() * mask.to(x.device)
                kept = None
            else:
                inputs, kept = kept, mask.nonzero().squeeze(1).to(x.device)
                x = layer(x, inputs, kept, gain).relu_()
            gain = 1 / (1 - self.dropout)
        logits = self.layers[-1](x, kept, None, gain)
        return logits if self.n_members == 1 else logits.transpose(0, 1)

    def standardize_by(self, mean, scale):
        """Take the shift and the scale of the features, arrays of shape (n_features,)."""
        self.standardize.mean.copy_(torch.as_tensor(mean))
        self.standardize.scale.copy_(torch.as_tensor(scale))
        # It was smaller than a float32 can be.
        self.standardize.scale[self.standardize.scale == 0] = 1

    def drop_by(self, generator):
        """Draw the dropout masks from this generator."""
        self.generator = generator


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
            yield _take(self.X, rows), _take(self.y, rows)


def _tensors(X):
    if isinstance(X, dict):
        return {name: torch.as_tensor(x) for name, x in X.items()}
    return torch.as_tensor(X)


def _take(X, rows):
    if isinstance(X, dict):
        return {name: _take(x, rows) for name, x in X.items()}
    return X.index_select(0, rows)  # faster than X[rows]


class Threads:
    """Context in which torch computes on so many threads, also when several enter at once.

    torch holds this number twice, for the process and for each of its threads. So whoever
    leaves restores it: to what its own thread had asked for around this context, or else to what
    it was before the first thread entered.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._inside = 0
        self._before = None
        self._asked = threading.local()

    @contextmanager
    def __call__(self, n_threads):
        around = getattr(self._asked, "number", None)
        with self._lock:
            # In a new thread this call makes torch forget what was set, so it comes first.
            present = torch.get_num_threads()
            if self._inside == 0:
                self._before = present
            self._inside += 1
            torch.set_num_threads(n_threads)
        self._asked.number = n_threads
        try:
            yield
        finally:
            self._asked.number = around
            with self._lock:
                self._inside -= 1
                torch.set_num_threads(self._before if around is None else around)


threads = Threads()

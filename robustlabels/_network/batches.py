"""Arrays as tensors, and batches of tensors that lie in memory."""

import numpy as np
import torch
from skorch.dataset import Dataset
from torch.utils.data import Subset


def to_tensor(array):
    """Wrap an array as a tensor, copying only what torch may not wrap."""
    return torch.from_numpy(np.require(array, requirements=["W"]))


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

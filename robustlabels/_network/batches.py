"""Arrays as tensors, batches of tensors that lie in memory, and the labels of data sets."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import issparse
from skorch.dataset import Dataset
from torch.utils.data import Subset

from .._validation.labels import check_labels, encode


def to_tensor(array: Any) -> torch.Tensor:
    """Wrap an array as a tensor; copy only a sparse matrix, or what torch may not wrap."""
    array = array.toarray() if issparse(array) else array
    return torch.from_numpy(np.require(array, requirements=["W"]))


class SparseRows:
    """Rows of a sparse matrix that become a dense tensor when a batch takes them."""

    def __init__(self, matrix: Any, device: Any, dtype: torch.dtype) -> None:
        self.matrix = matrix
        self.device = device
        self.dtype = dtype

    def __len__(self) -> int:
        return self.matrix.shape[0]

    def index_select(self, dim: int, rows: torch.Tensor) -> torch.Tensor:
        return to_tensor(self.matrix[rows.cpu().numpy()]).to(self.device, self.dtype)


class BatchIterator:
    """Batches of a skorch dataset that lies in memory, by slicing whole tensors.

    It replaces torch's ``DataLoader``, which collates row by row. The features are a tensor or a
    dict of tensors. With `shuffle` each pass takes the rows in a new order, drawn from `generator`.
    A last batch of a single row joins the one before it: batch normalisation cannot train on one.
    """

    def __init__(
        self, dataset: Any, batch_size: int, *, shuffle: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:  # fmt: skip
        self.rows = None
        while isinstance(dataset, Subset):
            indices = torch.as_tensor(dataset.indices)
            self.rows = indices if self.rows is None else indices[self.rows]
            dataset = dataset.dataset
        if not isinstance(dataset, Dataset):
            dataset = dataset.dataset if isinstance(dataset, EncodedRows) else dataset
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

    def __len__(self) -> int:
        n_batches, left = divmod(self.n_rows, self.batch_size)
        return n_batches + (left > 1 or (left == 1 and n_batches == 0))

    def __iter__(self) -> Iterator[tuple[Any, torch.Tensor]]:
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
            yield take_rows(self.X, rows), take_rows(self.y, rows)


def without_subsets(dataset: Any) -> Any:
    """Return the data set that a subset, perhaps of a subset, is a part of."""
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    return dataset


def encode_labels(dataset: Any, classes: NDArray) -> Any:
    """Return a copy of a data set whose labels are positions in the sorted classes."""
    if isinstance(dataset, Subset):
        return Subset(encode_labels(dataset.dataset, classes), dataset.indices)
    if not isinstance(dataset, Dataset):
        return EncodedRows(dataset, classes)
    if dataset.y is None:
        return dataset
    encoded = copy.copy(dataset)
    y = dataset.y.cpu() if isinstance(dataset.y, torch.Tensor) else dataset.y
    encoded.y = encode(check_labels(y, "y of the validation rows"), classes)
    return encoded


class EncodedRows(torch.utils.data.Dataset):
    """Rows of a data set that only gives them one by one, with encoded labels."""

    def __init__(self, dataset: Any, classes: NDArray) -> None:
        self.dataset = dataset
        self.classes = classes

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        X, y = self.dataset[i]
        y = y.cpu() if isinstance(y, torch.Tensor) else y
        return X, encode(np.asarray([y]), self.classes)[0]


def _tensors(X: Any) -> Any:
    if isinstance(X, dict):
        return {name: _tensors(x) for name, x in X.items()}
    return X if isinstance(X, SparseRows) else torch.as_tensor(X)


def take_rows(X: Any, rows: torch.Tensor) -> Any:
    """Return some rows of a tensor, or of each tensor in a dict."""
    if isinstance(X, dict):
        return {name: take_rows(x, rows) for name, x in X.items()}
    return X.index_select(0, rows)  # faster than X[rows]

"""The network that RobustClassifier trains by default."""

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from .settings import NETWORK


class Standardize(nn.Module):
    """Shift and scale every feature; the engine sets both from the training rows."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features, dtype=torch.float32))
        self.register_buffer("scale", torch.ones(n_features, dtype=torch.float32))

    def set(self, mean: NDArray, scale: NDArray) -> None:
        """Set the shift and the scale of the features, arrays of shape (n_features,)."""
        self.mean.copy_(torch.as_tensor(mean))
        self.scale.copy_(torch.as_tensor(scale))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) * self.scale.reciprocal()


class Affine(nn.Module):
    """Linear layer of one network, or of several that are computed at once.

    The parameters of one network have the shapes (n_out, n_in) and (n_out,), those of several
    (n_members, n_out, n_in) and (n_members, 1, n_out). Their initial values are torch's.
    """

    def __init__(self, n_in: int, n_out: int, n_members: int) -> None:
        super().__init__()
        # Torch's default dtype is the user's, and the draws depend on it.
        layers = [nn.Linear(n_in, n_out, dtype=torch.float32) for _ in range(n_members)]
        if n_members == 1:
            self.weight, self.bias = layers[0].weight, layers[0].bias
        else:
            self.weight = nn.Parameter(torch.stack([layer.weight.data for layer in layers]))
            self.bias = nn.Parameter(torch.stack([layer.bias.data[None] for layer in layers]))

    def forward(
        self, x: Tensor, inputs: Tensor | None = None, outputs: Tensor | None = None,
        gain: float = 1.0,
    ) -> Tensor:  # fmt: skip
        """Map the units `inputs`, times `gain`, to the units `outputs`; None stands for all."""
        weight, bias = self.weight, self.bias
        if outputs is not None:
            bias = bias.index_select(-1, outputs)
        if inputs is not None:
            # One selection: the gradient of each is as large as the weights it selects from.
            n_out, n_in = weight.shape[-2:]
            rows = torch.arange(n_out, device=weight.device) if outputs is None else outputs
            places = (rows[:, None] * n_in + inputs).flatten()
            weight = weight.flatten(-2).index_select(-1, places).unflatten(-1, (len(rows), -1))
        elif outputs is not None:
            weight = weight.index_select(-2, outputs)
        product = torch.addmm if weight.ndim == 2 else torch.baddbmm
        return product(bias, x, weight.mT, alpha=gain)


class MLP(nn.Module):
    """Standardisation, then linear layers with ReLU and dropout between them.

    All rows of a batch and all members share the dropout mask. A row of weight 2 then trains the
    network just as the same row given twice does, and dropped units need not be computed: the
    layers shrink to the units that are kept. The masks come from `generator`, which the net sets.

    The logits have the shape (n, n_classes), those of several members (n, n_members, n_classes). X
    has the shape (n, n_features), or (n_members, n, n_features) if each member sees its own rows.
    """

    def __init__(
        self, n_features: int, n_classes: int, hidden_layer_sizes: Sequence[int] = (256, 256),
        dropout: float = 0.5, n_members: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        widths = (n_features, *hidden_layer_sizes, n_classes)
        self.standardize = Standardize(n_features)
        self.layers = nn.ModuleList(
            Affine(n_in, n_out, n_members) for n_in, n_out in pairwise(widths)
        )
        self.hidden_layer_sizes = hidden_layer_sizes
        self.dropout = dropout
        self.n_members = n_members
        self.generator: torch.Generator | None = None

    def forward(self, X: Tensor) -> Tensor:
        x, kept, gain = self.standardize(X), None, 1.0
        if self.n_members > 1 and x.ndim == 2:
            x = x.expand(self.n_members, *x.shape)
        for layer, width in zip(self.layers, self.hidden_layer_sizes, strict=False):
            if not self.training or self.dropout == 0:
                # Not in place, which explainers and exporters do not support.
                x = layer(x).relu()
                continue
            draws = torch.rand(width, generator=self.generator, dtype=torch.float32)
            mask = draws >= self.dropout
            if len(X) * width < NETWORK.worth_shrinking:
                x = layer(x, kept, None, gain).relu_() * mask.to(x.device)
                kept = None
            else:
                inputs, kept = kept, mask.nonzero().squeeze(1).to(x.device)
                x = layer(x, inputs, kept, gain).relu_()
            gain = 1 / (1 - self.dropout)
        logits = self.layers[-1](x, kept, None, gain)
        return logits if self.n_members == 1 else logits.transpose(0, 1)


def add_moments(
    scaler: StandardScaler, X: Any, weight: NDArray, dtype: torch.dtype
) -> StandardScaler:
    """Return a ``StandardScaler`` that has also seen these rows.

    Reject features that are too large, or that vary too little to be standardised in `dtype`.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        # A copy: rows that are rejected must not stay in the moments.
        scaler = copy.deepcopy(scaler).partial_fit(X, sample_weight=weight)
    bad = ~np.isfinite(scaler.var_)
    if bad.any():
        feature = int(np.argmax(bad))
        raise ValueError(
            f"Feature {feature} has values of up to {np.abs(X[:, feature]).max():.3g}, too large "
            f"to standardise. Rescale it, or take its logarithm."
        )
    limits = torch.finfo(dtype)
    small = np.flatnonzero(scaler.scale_ < 1 / limits.max)
    if len(small):
        raise ValueError(
            f"Feature {small[0]} has a standard deviation of {scaler.scale_[small[0]]:.3g}, too "
            f"small for {limits.dtype}, in which the network computes. Rescale it."
        )
    return scaler

"""Arguments of the theory functions: their domains, and losses that treat all classes equally."""

from collections.abc import Callable
from numbers import Integral
from typing import TypeVar

import torch
from sklearn.base import clone

from ..._validation.sklearn_private import Interval, validate_params
from .._loss import Loss

_Function = TypeVar("_Function", bound=Callable)


def checked(**domains: list) -> Callable[[_Function], _Function]:
    """Decorate a function that takes a loss, `n_classes`, and arguments in these domains."""
    domains |= {"loss": [Loss], "n_classes": [Interval(Integral, 2, None, closed="left")]}
    return validate_params(domains, prefer_skip_nested_validation=True)


def without_radius(loss):
    """Copy a loss without the bounds on its scores."""
    loss = clone(loss)
    loss._validate_params()
    radii = [name for name in loss.get_params() if name.split("__")[-1] == "radius"]
    return loss.set_params(**dict.fromkeys(radii))


def permutation_witness(loss, n_classes):
    """Return scores and a permutation of them whose losses are not the permuted ones, if any."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(20, n_classes, generator=generator, dtype=torch.float64)
    losses = loss.class_losses(torch.log_softmax(scores, dim=-1))
    # A shift and a swap generate all permutations.
    shift = torch.arange(n_classes).roll(1)
    swap = torch.tensor([1, 0, *range(2, n_classes)])
    for order in (shift, swap):
        permuted = loss.class_losses(torch.log_softmax(scores[:, order], dim=-1))
        change = (permuted - losses[:, order]).abs().amax(-1)
        if change.max() > 1e-8 * losses.abs().max():
            row = scores[change.argmax()]
            return torch.stack([row, row[order]]).numpy()
    return None


def distinct_labels(loss, n_classes):
    """Return labels that stand for all: the first if the loss treats all classes equally."""
    return range(1 if permutation_witness(loss, n_classes) is None else n_classes)

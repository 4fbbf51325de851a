"""A net as plain arrays, and back."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from skorch.history import History


def store_net(net: Any) -> dict[str, Any]:
    """Return all that training has made of a net, as plain arrays, numbers and text."""
    return {
        "module": _replace(net.module_.state_dict(), torch.Tensor, _to_array),
        "frozen": [n for n, p in net.module_.named_parameters() if not p.requires_grad],
        "optimizer": _replace(net.optimizer_.state_dict(), torch.Tensor, _to_array),
        "optimizer_class": type(net.optimizer_).__qualname__,
        "history": list(net.history),
    }


def restore_net(net: Any, stored: Mapping[str, Any], same_parameters: bool) -> None:
    """Put what `store_net` returned into a new net, whose module has the same layers.

    An optimizer of another class starts afresh. Unless the net was made by the `same_parameters`,
    its optimizer keeps its own, such as the learning rate, and takes only the state of each weight.
    """
    try:
        net.module_.load_state_dict(_replace(stored["module"], np.ndarray, _to_tensor))
    except RuntimeError as error:
        raise ValueError(
            "The network of the previous fit does not fit into the layers that the parameters now "
            "describe. Restore these parameters, or start afresh with warm_start=False."
        ) from error
    for name, parameter in net.module_.named_parameters():
        parameter.requires_grad_(name not in stored["frozen"])
    if type(net.optimizer_).__qualname__ == stored["optimizer_class"]:
        state = _replace(stored["optimizer"], np.ndarray, _to_tensor)
        if not same_parameters:
            state["param_groups"] = net.optimizer_.state_dict()["param_groups"]
        net.optimizer_.load_state_dict(state)
    net.history = History(stored["history"])
    net.module_.eval()


def _to_array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.cpu().numpy()


def _to_tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.copy())


def _replace(state: Any, kind: Any, convert: Callable[[Any], Any]) -> Any:
    """Convert what is of one kind in a nested state."""
    if isinstance(state, kind):
        return convert(state)
    if isinstance(state, Mapping):
        return {key: _replace(value, kind, convert) for key, value in state.items()}
    if isinstance(state, list):
        return [_replace(value, kind, convert) for value in state]
    return state

"""A net as plain arrays, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from skorch.history import History


def store_net(net: Any) -> dict[str, Any]:
    """Return all that training has made of a net, as plain arrays, numbers and text."""
    return {
        "module": _convert(net.module_.state_dict()),
        "frozen": [n for n, p in net.module_.named_parameters() if not p.requires_grad],
        "optimizer": _convert(net.optimizer_.state_dict()),
        "optimizer_class": type(net.optimizer_).__qualname__,
        "history": list(net.history),
    }


def restore_net(net: Any, stored: Mapping[str, Any], same_parameters: bool) -> None:
    """Put what `store_net` returned into a new net, whose module has the same layers.

    An optimizer of another class starts afresh. Unless the net was made by the `same_parameters`,
    its optimizer keeps its own, such as the learning rate, and takes only the state of each weight.
    """
    try:
        net.module_.load_state_dict(_convert(stored["module"]))
    except RuntimeError as error:
        raise ValueError(
            "The network of the previous fit does not fit into the layers that the parameters now "
            "describe. Restore these parameters, or start afresh with warm_start=False."
        ) from error
    for name, parameter in net.module_.named_parameters():
        parameter.requires_grad_(name not in stored["frozen"])
    if type(net.optimizer_).__qualname__ == stored["optimizer_class"]:
        state = _convert(stored["optimizer"])
        if not same_parameters:
            state["param_groups"] = net.optimizer_.state_dict()["param_groups"]
        net.optimizer_.load_state_dict(state)
    net.history = History(stored["history"])
    net.module_.eval()


def _convert(state: Any) -> Any:
    """Turn the tensors in a nested state into arrays, and arrays into tensors."""
    if isinstance(state, torch.Tensor):
        return state.cpu().numpy()
    if isinstance(state, np.ndarray):
        return torch.from_numpy(state.copy())
    if isinstance(state, Mapping):
        return {key: _convert(value) for key, value in state.items()}
    return list(map(_convert, state)) if isinstance(state, list) else state

"""A net as plain arrays, and back."""

from collections.abc import Mapping

import numpy as np
import torch
from skorch.history import History


def store_net(net):
    """Return all that training has made of a net, as plain arrays, numbers and text."""
    return {
        "module": _replace(net.module_.state_dict(), torch.Tensor, _to_array),
        "frozen": [n for n, p in net.module_.named_parameters() if not p.requires_grad],
        "optimizer": _replace(net.optimizer_.state_dict(), torch.Tensor, _to_array),
        "optimizer_class": type(net.optimizer_).__qualname__,
        "history": list(net.history),
    }


def restore_net(net, stored, same_parameters):
    """Bring what training has made of a net into a new one.

    Parameters
    ----------
    net : Net
        Made anew, with a module of the same layers. If its optimizer is of another class it
        starts without a past.
    stored : dict
        What `store_net` returned.
    same_parameters : bool
        Whether `net` was made by the same parameters. If not, the optimizer keeps its own, such
        as the learning rate, and takes over only what it knows of each weight.
    """
    try:
        net.module_.load_state_dict(_replace(stored["module"], np.ndarray, _to_tensor))
    except RuntimeError as error:
        raise ValueError(
            "The network of the previous fit does not fit into the layers that the "
            "parameters now ask for. Go back to them, or start anew with warm_start=False."
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


def _to_array(tensor):
    return tensor.cpu().numpy()


def _to_tensor(array):
    return torch.from_numpy(array.copy())


def _replace(state, kind, by):
    """Replace what is of one kind in a nested state by something else."""
    if isinstance(state, kind):
        return by(state)
    if isinstance(state, Mapping):
        return {key: _replace(value, kind, by) for key, value in state.items()}
    if isinstance(state, list):
        return [_replace(value, kind, by) for value in state]
    return state

"""The loss, the device and the net that the parameters of RobustClassifier describe."""

import copy
import inspect
import math

import numpy as np
import torch
from sklearn.base import clone
from skorch import NeuralNet

from .._validation.parameters import suggest
from ..losses import Loss, get_loss
from .batches import BatchIterator
from .callbacks import (
    OneCycle,
    Progress,
    is_callback,
    is_schedule,
)
from .module import MLP
from .net import Net
from .seeding import seeded_globally

#: Parameters of the skorch net that the estimator has of its own, or sets.
_OWNED = {
    *("module", "criterion", "optimizer", "lr", "max_epochs", "batch_size", "callbacks"),
    *("device", "dtype", "l1_penalty", "verbose", "classes", "predict_nonlinearity", "warm_start"),
}

#: Passes over the data, and steps that they make at least.
_EPOCHS = 40
_STEPS = 600


def name_loss(loss):
    """Return the name in the catalogue that a name given as `loss` starts from."""
    return "sgce" if loss == "auto" else loss


def make_losses(loss, alpha, q, refined, n_members):
    """Make the loss objects that `loss`, `alpha` and `q` describe: one for each member in turn.

    "auto" depends on whether labels are `refined`, and on there being several members.
    """
    given = {"alpha": alpha, "q": q}
    given = {name: value for name, value in given.items() if value is not None}
    if isinstance(loss, Loss):
        if given:
            name = next(iter(given))
            raise ValueError(
                f"{name}={given[name]!r} is for a loss given by name. With the object "
                f"loss={loss!r} set it there: set_params(loss__{name}={given[name]!r})."
            )
        loss = clone(loss)
        loss._validate_params()
        return [loss]
    names = [name_loss(loss)]
    if loss == "auto" and q is None and refined:
        names = ["ce", "sgce"] if n_members > 1 else ["ce"]
    losses = []
    for name in names:
        known = get_loss(name).get_params()
        losses.append(get_loss(name, **{key: given[key] for key in given if key in known}))
    return losses


def find_device(device):
    """Turn the parameter `device` into a torch device that is there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
        if found.type == "meta":
            raise RuntimeError("Tensors of the meta device hold no numbers.")
    except (RuntimeError, AssertionError) as error:
        there = ["cpu"]
        there += [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        there += ["mps"] if torch.backends.mps.is_available() else []
        raise ValueError(
            f"device={device!r} is not available. Choose 'auto' or one of {', '.join(there)}."
        ) from error
    return found


def count_epochs(max_epochs, n_rows, batch_size):
    """Return the number of passes over `n_rows` rows that `max_epochs` stands for."""
    if max_epochs != "auto":
        return int(max_epochs)
    return max(_EPOCHS, math.ceil(_STEPS / math.ceil(n_rows / batch_size)))


def make_net(params, *, loss, device, dtype, n_features, n_classes, seed):
    """Make the skorch net that parameters describe.

    Parameters
    ----------
    params : dict
        The parameters of a RobustClassifier. What the other arguments say is not looked up here.
    loss : Loss
        The loss to minimise.
    device : torch.device
        Where to compute.
    dtype : torch.dtype
        Floating-point numbers to compute with.
    n_features, n_classes : int
        Numbers of inputs and outputs.
    seed : int
        Seed of the initial weights.

    Returns
    -------
    net : Net
        The net, with its initial weights.
    """
    given = dict(params["net_params"] or {})
    for name in given:
        if not isinstance(name, str):
            raise ValueError(f"The names of net_params must be strings. Got {name!r}.")
        if name in _OWNED or name.startswith("criterion__"):
            raise ValueError(
                f"net_params has {name!r}, which RobustClassifier sets itself. Use its own "
                f"parameters instead; the loss is 'loss'."
            )
        known = _OWNED | inspect.signature(NeuralNet).parameters.keys()
        if "__" not in name and name not in known:
            raise ValueError(
                f"net_params has {name!r}, which is no parameter of a skorch net."
                f"{suggest(name, known)}"
            )
    for name in ("train_split", "iterator_train", "iterator_valid", "dataset"):
        if not callable(given.get(name, print)) and (name, given[name]) != ("train_split", None):
            raise ValueError(f"net_params has {name!r}={given[name]!r}, which cannot be called.")
    for name in ("iterator_train", "iterator_valid"):
        _check_iterator_routes(name, given)
    module, sizes = _choose_module(params, given, n_features, n_classes)
    settings = {
        "criterion": loss,
        "max_epochs": _EPOCHS if params["max_epochs"] == "auto" else params["max_epochs"],
        "batch_size": params["batch_size"],
        "train_split": None,
        "iterator_train": BatchIterator,
        "iterator_train__shuffle": True,
        "iterator_valid": BatchIterator,
        "device": str(device),  # safetensors takes no torch.device
        "dtype": dtype,
        "l1_penalty": params["l1_penalty"],
        "classes": list(range(n_classes)),
        "verbose": max(0, params["verbose"] - 1),
        **sizes,
        **_describe_optimizer(params, device),
        **_describe_callbacks(params),
    }
    net = Net(module, **{**settings, **given})
    with seeded_globally(seed, torch.device("cpu")):
        net.initialize()
    _check_callback_routes(given, net)
    return net


def _check_iterator_routes(iterator, given):
    """Refuse parameters that the built-in iterator does not have."""
    known = inspect.signature(BatchIterator).parameters.keys() - {"dataset"}
    for route in given:
        owner, _, name = route.partition("__")
        if owner == iterator and name and iterator not in given and name not in known:
            raise ValueError(
                f"net_params has {route!r}, which BatchIterator does not take."
                f"{suggest(name, known)} For those of another iterator pass it, too: "
                f"{{{iterator!r}: DataLoader, ...}}."
            )


def _choose_module(params, given, n_features, n_classes):
    """Return the module, an object or a class, and what the class is called with."""
    sizes = {"n_features": n_features, "n_classes": n_classes}
    module = params["module"]
    if module is None:
        if "module__n_members" in given:
            raise ValueError("net_params has 'module__n_members'. Set n_members instead.")
        module = MLP
        sizes["hidden_layer_sizes"] = _check_widths(params["hidden_layer_sizes"])
        sizes["dropout"] = params["dropout"]
        sizes["n_members"] = params["n_members"]
    elif isinstance(module, torch.nn.Module):
        for name in given:
            if name.startswith("module__"):
                raise ValueError(
                    f"{name!r} is for a module class, but module is an instance, which "
                    f"would be made anew without its weights. Set it on the instance."
                )
        return copy.deepcopy(module), {}
    else:
        taken = inspect.signature(module).parameters
        sizes = {name: size for name, size in sizes.items() if name in taken}
    return module, {f"module__{name}": size for name, size in sizes.items()}


def _check_widths(hidden_layer_sizes):
    """Return the widths of the hidden layers as a list."""
    widths = np.atleast_1d(hidden_layer_sizes)
    whole = widths.ndim == 1 and (widths.size == 0 or widths.dtype.kind in "iu")
    if not whole or (widths < 1).any():
        raise ValueError(
            f"hidden_layer_sizes must be positive integers. Got {hidden_layer_sizes!r}."
        )
    return widths.tolist()


def _describe_optimizer(params, device):
    """Return the net's parameters that describe the optimizer."""
    described = {"optimizer": params["optimizer"], "lr": params["lr"]}
    taken = inspect.signature(params["optimizer"]).parameters
    if "weight_decay" in taken:
        described["optimizer__weight_decay"] = params["weight_decay"]
    if "fused" in taken and device.type in ("cpu", "cuda"):
        described["optimizer__fused"] = True
    return described


def _describe_callbacks(params):
    """Return the net's parameters that describe the callbacks, with those that are added."""
    # The user's own objects, so that they find in them what was recorded.
    callbacks = list(params["callbacks"] or [])
    for entry in callbacks:
        if not is_callback(entry):
            raise ValueError(
                f"callbacks must be a list of skorch callbacks or (name, callback) pairs. "
                f"Got {entry!r} in it."
            )
    if not any(is_schedule(entry) for entry in callbacks):
        callbacks.append(("one_cycle", OneCycle()))
    if params["verbose"] == 1:
        callbacks.append(("progress", Progress()))
    described = {"callbacks": callbacks}
    if params["verbose"] < 2:
        described["callbacks__print_log"] = None
    return described


def _check_callback_routes(given, net):
    """Refuse parameters of callbacks that the net does not have."""
    names = {name for name, _ in net.callbacks_}
    for route, value in given.items():
        name = route.removeprefix("callbacks__").partition("__")[0]
        if route.startswith("callbacks__") and name not in names and value is not None:
            raise ValueError(
                f"{route!r} names no callback. There are {', '.join(sorted(names))}; name "
                f"your own with pairs: callbacks=[({name!r}, ...)]."
            )

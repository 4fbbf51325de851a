"""The losses, the device and the net that the parameters of RobustClassifier describe."""

import copy
import inspect
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from skorch import NeuralNet

from .._validation.parameters import suggest
from ..losses import Loss, get_loss
from .batches import BatchIterator
from .callbacks import OneCycle, Progress, is_callback, is_schedule
from .module import MLP
from .net import Net
from .settings import NETWORK
from .torch_state import seeded_globally

#: Parameters of the skorch net that the estimator has of its own, or sets.
_OWNED = {
    *("module", "criterion", "optimizer", "lr", "max_epochs", "batch_size", "callbacks"),
    *("device", "dtype", "l1_penalty", "verbose", "classes", "predict_nonlinearity", "warm_start"),
}

#: Parameters of the skorch net that it calls.
_CALLED = ("train_split", "iterator_train", "iterator_valid", "dataset")


def plain_parameters(classifier: Any) -> dict[str, Any]:
    """Return the present parameters of a RobustClassifier, a loss object as a copy.

    Numbers of numpy become Python's: torch and skorch do not take all of them, and those of a few
    bits overflow.
    """
    params = classifier.get_params(deep=False)
    params = {k: v.item() if isinstance(v, np.generic) else v for k, v in params.items()}
    return {**params, "loss": clone(params["loss"], safe=False)}


def name_loss(loss: str) -> str:
    """Return the name in the catalogue for a name given as `loss`."""
    return "sgce" if loss == "auto" else loss


def make_losses(params: Mapping[str, Any], refined: bool) -> list[Loss]:
    """Make the losses that `loss`, `alpha` and `q` describe: one for each member in turn.

    "auto" depends on whether labels are `refined` and on whether there are several members.
    """
    loss = params["loss"]
    given = {name: params[name] for name in ("alpha", "q") if params[name] is not None}
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
    if loss == "auto" and "q" not in given and refined:
        names = ["ce", "sgce"] if params["n_members"] > 1 and params["module"] is None else ["ce"]
    losses = []
    for name in names:
        known = get_loss(name).get_params()
        losses.append(get_loss(name, **{key: given[key] for key in given if key in known}))
    return losses


def find_device(device: str | torch.device) -> torch.device:
    """Turn the parameter `device` into a torch device that is available."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
        if found.type == "meta":
            raise RuntimeError("Tensors of the meta device hold no numbers.")
    except (RuntimeError, AssertionError) as error:
        there = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        there += ["mps"] if torch.backends.mps.is_available() else []
        raise ValueError(
            f"device={device!r} is not available. Choose 'auto' or one of {', '.join(there)}."
        ) from error
    return found


def count_epochs(max_epochs: int | str, n_rows: int, batch_size: int) -> int:
    """Return the number of passes over `n_rows` rows that `max_epochs` stands for."""
    if isinstance(max_epochs, str):
        return max(NETWORK.epochs, math.ceil(NETWORK.min_steps / math.ceil(n_rows / batch_size)))
    return int(max_epochs)


def make_net(
    params: Mapping[str, Any],
    *,
    loss: Loss,
    device: torch.device,
    dtype: torch.dtype,
    n_features: int,
    n_classes: int,
    seed: int,
) -> Net:
    """Make the skorch net that the parameters of a RobustClassifier describe.

    Its initial weights are drawn from `seed`.
    """
    given = dict(params["net_params"] or {})
    _check_names(given)
    module, sizes = _choose_module(params, given, n_features, n_classes)
    settings = {
        "criterion": loss,
        "max_epochs": NETWORK.epochs if params["max_epochs"] == "auto" else params["max_epochs"],
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


def _check_names(given: Mapping) -> None:
    """Reject names in `net_params` that no part of the net has, and values that cannot be used."""
    of_net = _OWNED | inspect.signature(NeuralNet).parameters.keys()
    of_iterator = inspect.signature(BatchIterator).parameters.keys() - {"dataset"}
    for route, value in given.items():
        if not isinstance(route, str):
            raise ValueError(f"The names of net_params must be strings. Got {route!r}.")
        if route in _OWNED or route.startswith("criterion__"):
            raise ValueError(
                f"net_params has {route!r}, which RobustClassifier sets itself. Use its own "
                f"parameters instead; the loss is 'loss'."
            )
        part, _, name = route.partition("__")
        if not name and route not in of_net:
            raise ValueError(
                f"net_params has {route!r}, which is no parameter of a skorch net."
                f"{suggest(route, of_net)}"
            )
        may_lack = route == "train_split" and value is None
        if route in _CALLED and not (callable(value) or may_lack):
            raise ValueError(f"net_params has {route!r}={value!r}, which cannot be called.")
        is_built_in = part in ("iterator_train", "iterator_valid") and part not in given
        if name and is_built_in and name not in of_iterator:
            raise ValueError(
                f"net_params has {route!r}, which BatchIterator does not take."
                f"{suggest(name, of_iterator)} For those of another iterator pass it, too: "
                f"{{{part!r}: DataLoader, ...}}."
            )


def _choose_module(
    params: Mapping[str, Any], given: Mapping[str, Any], n_features: int, n_classes: int
) -> tuple[Any, dict[str, Any]]:
    """Return the module, an object or a class, and what the class is called with."""
    sizes: dict[str, Any] = {"n_features": n_features, "n_classes": n_classes}
    module = params["module"]
    if module is None:
        if "module__n_members" in given:
            raise ValueError("net_params has 'module__n_members'. Set n_members instead.")
        module = MLP
        sizes |= {name: params[name] for name in ("dropout", "n_members")}
        sizes["hidden_layer_sizes"] = _check_widths(params["hidden_layer_sizes"])
    elif isinstance(module, torch.nn.Module):
        for name in given:
            if name.startswith("module__"):
                raise ValueError(
                    f"{name!r} is for a module class, but module is an instance, which would be "
                    f"re-created without its weights. Set it on the instance."
                )
        return copy.deepcopy(module), {}
    else:
        taken = inspect.signature(module).parameters
        sizes = {name: size for name, size in sizes.items() if name in taken}
    return module, {f"module__{name}": size for name, size in sizes.items()}


def _check_widths(hidden_layer_sizes: Any) -> list[int]:
    """Return the widths of the hidden layers as a list."""
    widths = np.atleast_1d(hidden_layer_sizes)
    whole = widths.ndim == 1 and (widths.size == 0 or widths.dtype.kind in "iu")
    if not whole or (widths < 1).any():
        raise ValueError(
            f"hidden_layer_sizes must be positive integers. Got {hidden_layer_sizes!r}."
        )
    return widths.tolist()


def _describe_optimizer(params: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """Return the net's parameters for the optimizer."""
    described = {"optimizer": params["optimizer"], "lr": params["lr"]}
    taken = inspect.signature(params["optimizer"]).parameters
    if "weight_decay" in taken:
        described["optimizer__weight_decay"] = params["weight_decay"]
    if "fused" in taken and device.type in ("cpu", "cuda"):
        described["optimizer__fused"] = True
    return described


def _describe_callbacks(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the net's parameters for the callbacks, the user's own objects and those added."""
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
    described: dict[str, Any] = {"callbacks": callbacks}
    if params["verbose"] < 2:
        described["callbacks__print_log"] = None
    return described


def _check_callback_routes(given: Mapping[str, Any], net: Net) -> None:
    """Reject parameters of callbacks that the net does not have."""
    names = {name for name, _ in net.callbacks_}
    for route, value in given.items():
        name = route.removeprefix("callbacks__").partition("__")[0]
        if route.startswith("callbacks__") and name not in names and value is not None:
            raise ValueError(
                f"{route!r} names no callback. There are {', '.join(sorted(names))}; name "
                f"your own with pairs: callbacks=[({name!r}, ...)]."
            )

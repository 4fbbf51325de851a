"""Private methods of skorch's nets, called here alone: they may change."""

from collections.abc import Callable
from typing import Any


def set_training(net: Any, training: bool) -> None:
    """Put the modules of a net into training or evaluation mode."""
    net._set_training(training)


def zero_gradients(net: Any) -> None:
    """Reset the gradients of all optimizers of a net."""
    net._zero_grad_optimizer()


def step_optimizers(net: Any, closure: Callable[[], Any]) -> None:
    """Make one step of all optimizers of a net."""
    net._step_optimizer(closure)

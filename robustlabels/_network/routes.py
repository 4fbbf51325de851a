"""Parameters of skorch and of a loss object, reached through those of the estimator."""

from collections.abc import Mapping
from typing import Any, Self

from .._validation.parameters import suggest_parameters
from .parameters import name_loss

_ROUTES = ("module__", "optimizer__", "callbacks__", "iterator_train__", "iterator_valid__")


class SkorchRoutes:
    """Mixin whose `get_params` and `set_params` keep skorch's routes in `net_params`."""

    loss: Any
    net_params: Mapping[str, Any] | None

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        params = super().get_params(deep=deep)  # type: ignore[misc]
        if deep and isinstance(self.net_params, Mapping):
            params |= {k: v for k, v in self.net_params.items() if k.startswith(_ROUTES)}
        return params

    def set_params(self, **params: Any) -> Self:
        routed = {name: params.pop(name) for name in list(params) if name.startswith(_ROUTES)}
        nested = [name for name in params if name.startswith("loss__")]
        loss = params.get("loss", self.loss)
        if nested and isinstance(loss, str):
            raise ValueError(
                f"{nested[0]!r} sets a parameter of a loss object, but loss={loss!r} is a name. "
                f"Set 'alpha' or 'q', or pass an object: loss=get_loss({name_loss(loss)!r})."
            )
        suggest_parameters(self, params)
        super().set_params(**params)  # type: ignore[misc]
        if routed:
            self.net_params = {**(self.net_params or {}), **routed}
        return self

"""Hyperparameters of a loss that can be learned, on an unconstrained scale."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._validation.sklearn_private import Interval
from ...losses import Loss, Sum


class Hyperparameter(NamedTuple):
    """A hyperparameter with the ends of its domain, which may be infinite.

    `param` is its name in `get_params`, `term` its position among the weights of a sum or None.
    """

    param: str
    term: int | None
    low: float
    high: float

    def unconstrain(self, value: float) -> float:
        """Map a value to the real line: the logarithm of the distance to an end, or the logit."""
        if math.isinf(self.low) and math.isinf(self.high):
            return value
        above = math.log(value - self.low) if math.isfinite(self.low) else 0.0
        below = math.log(self.high - value) if math.isfinite(self.high) else 0.0
        return above - below

    def constrain(self, place: float) -> float:
        """Map a point of the real line to the value."""
        if math.isfinite(self.low) and math.isfinite(self.high):
            return self.low + (self.high - self.low) / (1 + math.exp(-place))
        if math.isfinite(self.low):
            return self.low + math.exp(place)
        return self.high - math.exp(-place) if math.isfinite(self.high) else place


def find_hyperparameters(loss: Loss) -> dict[str, Hyperparameter]:
    """Return the hyperparameters of a loss that can be learned, by the names to show.

    These are real numbers inside their domain, and the weights of sums. At an end of its domain a
    hyperparameter gives another loss. A radius also bounds the predicted scores.
    """
    found, params = {}, loss.get_params()
    for name, value in params.items():
        inside, _, own = name.rpartition("__")
        owner: Any = params[inside] if inside else loss
        if own == "weights" and isinstance(owner, Sum):
            for term, (weight, _) in enumerate(owner._weighted()):
                if weight:
                    low, high = (0.0, math.inf) if weight > 0 else (-math.inf, 0.0)
                    found[f"{name}[{owner.terms[term][0]}]"] = Hyperparameter(name, term, low, high)
        elif own != "radius" and isinstance(value, Real) and not isinstance(value, bool):
            for domain in getattr(owner, "_parameter_constraints", {}).get(own, ()):
                if isinstance(domain, Interval) and domain.type is Real:
                    low = -math.inf if domain.left is None else domain.left
                    high = math.inf if domain.right is None else domain.right
                    if low < float(value) < high:
                        found[name] = Hyperparameter(name, None, low, high)
    return found


def check_adaptable(losses: Sequence[Loss], transition: Any, previous: Any) -> None:
    """Reject losses without hyperparameters, or that no held-out rows can judge."""
    if transition is None:
        raise ValueError(
            "adapt=True judges a loss by noisy labels, whose noise has to be known. Set "
            "transition_matrix='estimate', or to the matrix of the noise, or adapt=False."
        )
    if previous is not None:
        raise ValueError(
            "adapt=True needs rows that the network has not learned from. With warm_start=True it "
            "may have learned from all. Set warm_start=False; or adapt=False, which trains further "
            "with the loss as it is."
        )
    if not any(map(find_hyperparameters, losses)):
        raise ValueError(
            f"adapt=True has nothing to learn with {' and '.join(map(repr, losses))}: a "
            f"hyperparameter is a real number inside its domain, or a weight of a sum. Choose a "
            f"loss that has one, such as 'sgce' or 'gce', or set adapt=False."
        )


class TunableLoss:
    """A loss whose hyperparameters are read and set on the unconstrained scale."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss
        self.hyperparameters = find_hyperparameters(loss)

    @property
    def values(self) -> dict[str, float]:
        """The hyperparameters, by the names to show."""
        params, values = self.loss.get_params(), {}
        for shown, (param, term, *_) in self.hyperparameters.items():
            value = params[param] if term is None else self._weights(params, param)[term]
            values[shown] = float(value)
        return values

    def _weights(self, params: dict[str, Any], param: str) -> list[float]:
        """Return a copy of the weights of the sum that has this parameter."""
        owner = params.get(param.removesuffix("weights").removesuffix("__"), self.loss)
        return [weight for weight, _ in owner._weighted()]

    def unconstrained(self) -> NDArray:
        """Return the hyperparameters on the unconstrained scale, (n_hyperparameters,)."""
        pairs = zip(self.hyperparameters.values(), self.values.values(), strict=True)
        return np.array([hyperparameter.unconstrain(value) for hyperparameter, value in pairs])

    def set_unconstrained(self, places: Any) -> None:
        """Set the hyperparameters, given on the unconstrained scale."""
        before, params = self.loss.get_params(), dict[str, Any]()
        for hyperparameter, place in zip(self.hyperparameters.values(), places, strict=True):
            param, term, value = *hyperparameter[:2], hyperparameter.constrain(place)
            if term is None:
                params[param] = value
            else:
                params.setdefault(param, self._weights(before, param))[term] = value
        self.loss.set_params(**params)


def fix_radius(loss: Loss) -> None:
    """Let a loss keep the radius it starts with: "auto" would jump at some hyperparameter."""
    params = loss.get_params()
    for name, value in params.items():
        inside, _, own = name.rpartition("__")
        if own == "radius" and value == "auto":
            owner = params[inside] if inside else loss
            loss.set_params(**{name: owner.ball_radius})

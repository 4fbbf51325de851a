"""The protocol of a loss: one vector of class losses. And the sums that `+` and `*` make."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, Self

import torch
from sklearn.base import BaseEstimator, clone
from torch import nn

from .._validation.sklearn_private import Interval, StrOptions, _BaseComposition, parameter_names

__all__ = ["Loss", "Sum"]

#: The losses that have a name, each with a function that makes it.
CATALOGUE: dict[str, Callable[[], Any]] = {}

_param_names = functools.cache(parameter_names)

_REDUCTIONS = {"none": lambda losses: losses, "mean": torch.mean, "sum": torch.sum}

# Domains of hyperparameters.
POSITIVE = [Interval(Real, 0, None, closed="neither")]
NONNEGATIVE = [Interval(Real, 0, None, closed="left")]
UNIT = [Interval(Real, 0, 1, closed="both")]
INSIDE_UNIT = [Interval(Real, 0, 1, closed="neither")]

#: Replaces the log-probability -inf of a masked class wherever losses are subtracted or divided.
#: Its square is finite in float32, and its exponential is 0.
_MASKED = -1e15


class Loss(BaseEstimator, nn.Module):
    """Base class of all losses.

    A loss computes, from log-probabilities, what each class would cost as the label. It is a
    scikit-learn ``BaseEstimator`` and a torch module without learnable parameters, which replaces
    ``torch.nn.CrossEntropyLoss`` in any training loop. A subclass implements :meth:`class_losses`;
    ``class Brier(Loss, name="brier")`` also makes it known to :func:`get_loss` by this name.

    Parameters
    ----------
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    ProbabilityLoss : Losses that depend on the probability of the label alone.
    get_loss : Make a loss of the catalogue by its name.

    Notes
    -----
    Everything is computed from ``log_softmax`` without clamping, in the dtype of the logits; half
    precision is computed in float32. A class whose logit is -inf has probability 0. As the label
    it costs the limit of the loss, which is infinite for unbounded losses.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import Loss
    >>> class Brier(Loss):
    ...     positive = False  # its class losses can be negative
    ...     def class_losses(self, log_p):
    ...         p = log_p.exp()
    ...         return (p**2).sum(-1, keepdim=True) - 2 * p + 1
    >>> loss = Brier(reduction="none")
    >>> loss(torch.tensor([[0.0, 0.0], [9.0, -9.0]]), torch.tensor([1, 0]))
    tensor([0.5000, 0.0000])
    """

    _parameter_constraints: dict[str, list] = {"reduction": [StrOptions(set(_REDUCTIONS))]}

    #: Whether all class losses are nonnegative and their sum is positive.
    positive = True

    #: The asymmetry ratio if a closed form is known, else None.
    asymmetry_ratio: float | None = None

    #: Whether the gradient of a class loss jumps somewhere.
    kinks: bool = False

    #: Whether the loss minus its mean over the classes is linear in the scores.
    symmetric_part_is_linear: bool = False

    #: Whether the class losses are continuous functions of the probabilities up to the boundary of
    #: the simplex, where they may be infinite. False if this is not known.
    continuous: bool = False

    #: Radius of the ball that confines the scores, a hyperparameter of the losses that need one.
    radius: Any = None

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def __init_subclass__(cls, name: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls).get("_parameter_constraints", {})
        cls._parameter_constraints = {**super(cls, cls)._parameter_constraints, **own}
        if name is not None:
            taken = CATALOGUE.get(name, cls)
            # A class that is defined again, as in a notebook, replaces its first definition.
            if (taken.__module__, taken.__qualname__) != (cls.__module__, cls.__qualname__):
                raise ValueError(f"The name {name!r} is taken by {taken}.")
            CATALOGUE[name] = cls

    def __add__(self, other: Loss) -> Sum:
        if not isinstance(other, Loss):
            return NotImplemented
        same = self.reduction == other.reduction
        return _weighted_sum((1, self), (1, other), reduction=self.reduction if same else "mean")

    def __mul__(self, weight: float) -> Sum:
        if not isinstance(weight, Real):
            return NotImplemented
        return _weighted_sum((weight, self), reduction=self.reduction)

    __rmul__ = __mul__

    def _validate_params(self):
        super()._validate_params()
        for inner in self.children():
            inner._validate_params()

    def _validate_changed_params(self):
        """Validate the parameters unless they are those that were validated last."""
        params = [getattr(self, name) for name in _param_names(type(self))]
        last = self.__dict__.get("_valid_params")
        if last is None or not all(map(operator.is_, params, last)):
            self._validate_params()
            self._valid_params = params
        for inner in self.children():
            inner._validate_changed_params()

    def __getstate__(self):
        # What is derived from the parameters is derived again.
        state = dict(super().__getstate__())
        for name in ("_valid_params", "_made_from", "_tensor"):
            state.pop(name, None)
        return state

    def _certainty_wins(self, lead, rival, weights):
        """Return whether certainty of the label of weight `lead` minimises the weighted losses.

        `rival` is the largest other weight. None without a closed form besides the asymmetry ratio.
        """

    def _least_excess(self, error, n_classes):
        """Return the least excess risk of an excess error, both means, in closed form or None."""

    def _label_function(self, n_classes):
        """Return the loss as a function of the label's log-probability, None if it is not one."""

    def bounds(self, n_classes: int) -> tuple[float, float] | None:
        """Bound the class losses.

        Parameters
        ----------
        n_classes : int
            Number of classes K.

        Returns
        -------
        bounds : (float, float) or None
            Infimum and supremum over all scores. None if they are not known.
        """
        return None

    def class_sum(self, n_classes: int) -> float | None:
        """Return the sum of the class losses of a symmetric loss.

        Parameters
        ----------
        n_classes : int
            Number of classes K.

        Returns
        -------
        class_sum : float or None
            The constant, None if the loss does not say that it is symmetric.
        """
        return None

    @property
    def ball_radius(self) -> float | None:
        """Radius of the ball that confines the scores, None if they are free."""
        return self.radius

    def log_probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Turn the outputs of a network into the input of :meth:`class_losses`.

        Parameters
        ----------
        logits : Tensor of shape (n, K)
            Outputs of a network, before any softmax.

        Returns
        -------
        log_p : Tensor of shape (n, K)
            Their ``log_softmax``. For a loss with a `radius` the logits themselves: it normalises
            them after it has bounded them.
        """
        return logits if self.ball_radius is not None else torch.log_softmax(logits, dim=-1)

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        """Compute the loss that each class would incur as the label.

        Parameters
        ----------
        log_p : Tensor of shape (n, K)
            Log-probabilities, as ``log_softmax`` returns them.

        Returns
        -------
        losses : Tensor of shape (n, K)
            Column k holds the per-sample losses if all labels were k.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement class_losses(log_p).")

    def sample_losses(self, log_p: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute the loss of each sample for its label.

        Parameters
        ----------
        log_p : Tensor of shape (n, K)
            Log-probabilities, as ``log_softmax`` returns them.
        target : Tensor of int64, shape (n,)
            Labels, from 0 to K - 1.

        Returns
        -------
        losses : Tensor of shape (n,)
            The entry of :meth:`class_losses` in column ``target``.
        """
        return self.class_losses(log_p).gather(-1, target.unsqueeze(-1)).squeeze(-1)

    def expected_losses(self, log_p: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute the loss of each sample for soft labels.

        Parameters
        ----------
        log_p : Tensor of shape (n, K)
            Log-probabilities, as ``log_softmax`` returns them.
        target : Tensor of shape (n, K)
            Weights of the classes, such as their probabilities.

        Returns
        -------
        losses : Tensor of shape (n,)
            The weighted sum of :meth:`class_losses`.
        """
        # A masked class has an infinite loss, which must not count where its weight is 0.
        log_p = torch.where(target == 0, unmasked(log_p), log_p)
        return (target * self.class_losses(log_p)).sum(-1)

    def scores(self, logits: torch.Tensor) -> torch.Tensor:
        r"""Map the outputs of a network to the scores whose softmax the loss sees.

        These are the logits themselves, except for a loss with a `radius` R, whose infimum lies at
        infinite scores. It maps the centred logits c smoothly into the ball of radius R, by
        ``c / (1 + |c| / R)``, which keeps the order of the classes.

        Parameters
        ----------
        logits : Tensor of shape (n, K)
            Outputs of a network, or log-probabilities, which have the same bounded scores.

        Returns
        -------
        scores : Tensor of shape (n, K)
            Scores; predict with their softmax.
        """
        if self.ball_radius is None:
            return logits
        logits = unmasked(logits)
        centred = logits - logits.mean(-1, keepdim=True)
        # A norm of exactly 0 has no derivative.
        square = centred.square().sum(-1, keepdim=True)
        norm = square.clamp(min=torch.finfo(square.dtype).eps ** 2).sqrt()
        return centred * (1 + norm / self.ball_radius).reciprocal()

    def _bounded(self, log_p):
        """Return the log-probabilities of the bounded scores, `log_p` itself without a radius."""
        if self.ball_radius is None:
            return log_p
        return torch.log_softmax(self.scores(log_p), dim=-1)

    def inverse_link(self, p: torch.Tensor) -> torch.Tensor:
        """Turn the minimiser of the expected loss into class probabilities.

        Parameters
        ----------
        p : Tensor of shape (n, K)
            Predictions that minimise the expected loss, as softmax of the scores.

        Returns
        -------
        posterior : Tensor of shape (n, K)
            The class probabilities for which `p` is the minimiser.

        Raises
        ------
        ValueError
            If the minimiser does not determine the class probabilities. That of MAE, for example,
            is certain of the most probable class.
        """
        raise ValueError(f"Predictions do not determine class probabilities under {self!r}.")

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute the loss of a batch.

        Parameters
        ----------
        logits : Tensor of shape (n, K)
            Outputs of a network, before any softmax.
        target : Tensor of shape (n,) or (n, K)
            Labels from 0 to K - 1 (integers), or soft labels (floating point): weights of the
            classes. Their weighted sum of class losses preserves symmetry and unbiasedness.

        Returns
        -------
        loss : Tensor of shape () or (n,)
            The per-sample losses, reduced according to `reduction`.

        Raises
        ------
        ValueError
            If a hyperparameter, a shape or a label is outside its domain.
        TypeError
            If `logits` or `target` is not a tensor.
        """
        for name, given in (("logits", logits), ("target", target)):
            if not isinstance(given, torch.Tensor):
                raise TypeError(
                    f"logits and target must be tensors. Got {type(given).__name__} as {name}; "
                    f"convert it with torch.as_tensor."
                )
        self._validate_changed_params()
        soft = target.is_floating_point()
        if target.dtype == torch.bool or target.is_complex():
            raise ValueError(f"target must hold integers or class weights. Got {target.dtype}.")
        if logits.ndim != 2 or target.shape != (logits.shape if soft else logits.shape[:1]):
            raise ValueError(
                f"logits must have shape (n, K) and target shape (n,) for integer labels or "
                f"(n, K) for floating-point class weights. Got logits of shape "
                f"{tuple(logits.shape)} and {target.dtype} target of shape {tuple(target.shape)}."
            )
        if logits.dtype not in (torch.float32, torch.float64):
            logits = logits.float()
        log_p = self.log_probabilities(logits)
        if soft:
            losses = self.expected_losses(log_p, target)
        else:
            try:
                losses = self.sample_losses(log_p, target.long())
            except (IndexError, RuntimeError):
                # Checked only after a failure: on a GPU each check would wait for the device.
                _check_labels(target.long(), logits.shape[1])
                raise
        return _REDUCTIONS[self.reduction](losses)


def _check_labels(target, n_classes):
    """Raise an error that names the labels outside 0 to `n_classes` - 1."""
    unknown = target[(target < 0) | (target >= n_classes)]
    if len(unknown):
        raise ValueError(
            f"target must hold labels from 0 to {n_classes - 1}, as logits has {n_classes} "
            f"columns. Got {', '.join(map(str, unknown.unique().tolist()[:5]))}."
        )


class Sum(_BaseComposition, Loss):
    r"""Weighted sum of losses.

    .. math:: L(f, y) = \sum_i w_i L_i(f, y)

    ``NCE() + 4 * AGCE()`` makes one of copies of both. With nonnegative weights, a sum of symmetric
    losses is symmetric, and a sum of losses is asymmetric on labels on which all terms are.

    Parameters
    ----------
    terms : list of (str, Loss) pairs
        Names and losses. Grids reach the parameters of a term as ``name__parameter``.
    weights : list of float or None, default=None
        A weight for each term; None gives each the weight 1.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    get_loss : Makes published sums by name, such as "nce+agce".

    Examples
    --------
    >>> from robustlabels.losses import AGCE, NCE
    >>> loss = NCE() + 4 * AGCE(a=6, q=1.5)
    >>> loss
    Sum(terms=[('nce', NCE()), ('agce', AGCE(a=6, q=1.5))], weights=[1.0, 4.0])
    >>> loss.set_params(agce__a=2.0, weights=[1, 1])
    Sum(terms=[('nce', NCE()), ('agce', AGCE(a=2.0, q=1.5))], weights=[1, 1])
    """

    _parameter_constraints = {"terms": [list], "weights": ["array-like", None]}

    def __init__(
        self,
        terms: Sequence[tuple[str, Loss]],
        weights: Sequence[float] | None = None,
        *,
        reduction: str = "mean",
    ) -> None:
        Loss.__init__(self, reduction=reduction)
        self.terms = terms
        self.weights = weights

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return self._get_params("terms", deep=deep)

    def set_params(self, **params: Any) -> Self:
        self._set_params("terms", **params)
        return self

    @property
    def positive(self) -> bool:
        return all(loss.positive and weight > 0 for weight, loss in self._weighted())

    @property
    def kinks(self) -> bool:
        return any(loss.kinks for _, loss in self._active())

    @property
    def continuous(self) -> bool:
        return all(loss.continuous and weight > 0 for weight, loss in self._active())

    @property
    def asymmetry_ratio(self) -> float | None:
        # The ratio of one loss does not depend on its weight, and losses that are asymmetric on all
        # labels have a sum that is. For other sums the ratios of the terms do not suffice.
        ratios = {loss.asymmetry_ratio for _, loss in self._active()}
        positive = all(weight > 0 for weight, _ in self._active())
        return ratios.pop() if positive and (ratios == {1.0} or self._single()) else None

    def _active(self):
        return [(weight, loss) for weight, loss in self._weighted() if weight != 0]

    def _single(self):
        """Return the weight and the loss if one term alone has a weight, and it is positive."""
        active = self._active()
        return active[0] if len(active) == 1 and active[0][0] > 0 else None

    def _certainty_wins(self, lead, rival, weights):
        single = self._single()
        return None if single is None else single[1]._certainty_wins(lead, rival, weights)

    def _least_excess(self, error, n_classes):
        single = self._single()
        least = None if single is None else single[1]._least_excess(error, n_classes)
        return None if least is None else single[0] * least

    def _label_function(self, n_classes):
        active = [(w, loss._label_function(n_classes)) for w, loss in self._active()]
        if not active or any(phi is None or w < 0 for w, phi in active):
            return None
        return lambda log_p: _add((w, phi(log_p)) for w, phi in active)

    def class_sum(self, n_classes: int) -> float | None:
        sums = [(w, loss.class_sum(n_classes)) for w, loss in self._active()]
        return None if any(s is None for _, s in sums) else sum(w * s for w, s in sums)

    def bounds(self, n_classes: int) -> tuple[float, float] | None:
        # The ends of several terms need not be reached together, unless all are functions of the
        # label's probability with weights of one sign.
        single = self._single()
        parts = [(w, loss.bounds(n_classes)) for w, loss in self._active()]
        together = all(w > 0 and loss._label_function(n_classes) for w, loss in self._active())
        if not parts or (single is None and not together) or any(b is None for _, b in parts):
            return None
        low, high = (sum(w * bounds[end] for w, bounds in parts) for end in (0, 1))
        return low, high

    def _validate_params(self):
        super()._validate_params()
        if not self.terms or not all(isinstance(loss, Loss) for _, loss in self.terms):
            raise ValueError(f"terms must be a nonempty list of (name, Loss). Got {self.terms!r}.")
        self._validate_names([name for name, _ in self.terms])
        weights = [1.0] * len(self.terms) if self.weights is None else list(self.weights)
        numbers = [w for w in weights if isinstance(w, Real) and math.isfinite(w)]
        if not len(numbers) == len(weights) == len(self.terms):
            raise ValueError(
                f"weights must hold a finite number for each of the {len(self.terms)} terms. "
                f"Got {self.weights!r}."
            )
        for _, loss in self.terms:
            loss._validate_params()

    def _validate_changed_params(self):
        super()._validate_changed_params()
        for _, loss in self.terms:
            loss._validate_changed_params()

    def _weighted(self):
        """Return the (weight, loss) pairs."""
        weights = [1.0] * len(self.terms) if self.weights is None else self.weights
        return [(weight, loss) for weight, (_, loss) in zip(weights, self.terms, strict=True)]

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        return _add((w, loss.class_losses(log_p)) for w, loss in self._weighted())

    def sample_losses(self, log_p: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return _add((w, loss.sample_losses(log_p, target)) for w, loss in self._weighted())


def _add(weighted):
    """Add the values of (weight, value) pairs."""
    return functools.reduce(torch.add, (v if w == 1 else w * v for w, v in weighted))


def _weighted_sum(*weighted, reduction):
    """Make a flat Sum of copies of (weight, loss) pairs."""
    names, terms, weights = [], [], []
    for weight, loss in weighted:
        if not isinstance(loss, Sum):
            loss = Sum([(type(loss).__name__.lower(), loss)])
        for (name, term), (w, _) in zip(loss.terms, loss._weighted(), strict=True):
            names.append(name)
            terms.append(clone(term))
            weights.append(float(weight * w))
    numbered = [
        f"{name}-{names[: i + 1].count(name)}" if names.count(name) > 1 else name
        for i, name in enumerate(names)
    ]
    return Sum(list(zip(numbered, terms, strict=True)), weights, reduction=reduction)


def unmasked(log_p):
    """Replace the log-probability -inf by a very small number."""
    return log_p.clamp(min=_MASKED)

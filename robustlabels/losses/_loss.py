"""The protocol of a loss, one vector of class losses, and the sums that its operators make."""

from __future__ import annotations

import functools
import math
import operator
from collections import Counter
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Self

import torch
from sklearn.base import BaseEstimator, clone
from torch import nn

from .._validation.sklearn_private import Interval, StrOptions, _BaseComposition

__all__ = ["Loss", "ProbabilityLoss", "Sum"]

_param_names = functools.cache(lambda loss_class: loss_class._get_param_names())

_REDUCTIONS = {"none": lambda losses: losses, "mean": torch.mean, "sum": torch.sum}

#: Domains of hyperparameters that several losses have. A radius bounds the scores.
POSITIVE = [Interval(Real, 0, None, closed="neither")]
UNIT = [Interval(Real, 0, 1, closed="both")]
RADIUS = [*POSITIVE, None]

#: Stands for the log-probability of a class that a network masks by -inf where a difference or a
#: share of losses is taken. Its square is finite in float32, and its exponential 0.
_MASKED = -1e15

#: Domain of a number of classes.
N_CLASSES = [Interval(Integral, 2, None, closed="left")]


class Loss(BaseEstimator, nn.Module):
    """Base class of all losses: what each class would cost, given log-probabilities.

    A subclass stores its hyperparameters in ``__init__``, declares their domains in
    ``_parameter_constraints`` and implements :meth:`class_losses`. Being a scikit-learn
    ``BaseEstimator`` it then has ``get_params``, ``set_params``, ``repr``, ``clone`` and
    pickling; being a torch module it can replace ``torch.nn.CrossEntropyLoss`` in any
    training loop. It holds no learnable parameters.

    Parameters
    ----------
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum.

    See Also
    --------
    ProbabilityLoss : Losses that depend on the probability of the label alone.
    get_loss : Make a loss of the catalogue by its name.

    Notes
    -----
    Conventions: ``logits`` and ``log_p`` have shape (n, K) with ``log_p`` normalised,
    ``exp(log_p).sum(-1) == 1``; class losses have shape (n, K), sample losses shape (n,).
    Everything is computed from ``log_softmax`` without clamping, in the dtype of the
    logits, half precision in float32. A class whose logit is -inf has probability 0: as the
    label it costs infinitely much where the loss is unbounded, else what the limit is.

    Examples
    --------
    A loss of one's own is one method; this one is the Brier score:

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

    _parameter_constraints = {"reduction": [StrOptions(set(_REDUCTIONS))]}

    #: Whether the class losses are not negative and their sum is positive.
    positive = True

    #: Radius of the ball that confines the scores, a parameter of the losses that need one.
    radius: Any = None

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

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
        # What was derived from the parameters is derived again.
        state = dict(super().__getstate__())
        for name in ("_valid_params", "_prepared_from", "_tensor"):
            state.pop(name, None)
        return state

    @property
    def ball_radius(self) -> float | None:
        """Radius of the ball to which the loss confines the scores, or None where it does not."""
        return self.radius

    def log_probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Return what :meth:`class_losses` takes, made of the outputs of a network.

        Parameters
        ----------
        logits : Tensor of shape (n, K)
            Outputs of a network, before any softmax.

        Returns
        -------
        log_p : Tensor of shape (n, K)
            Their ``log_softmax``; or the logits themselves where the loss has a `radius`: it
            looks at differences of scores only, and normalises them once they are bounded.
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
            Column k holds the loss of every row if its label were k.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement class_losses(log_p).")

    def sample_losses(self, log_p: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute the loss of each row at its label.

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
        """Compute the loss of each row at weights of the classes.

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
        # What a masked class costs is infinite, and must count nothing where it has no weight.
        log_p = torch.where(target == 0, unmasked(log_p), log_p)
        return (target * self.class_losses(log_p)).sum(-1)

    def scores(self, logits: torch.Tensor) -> torch.Tensor:
        r"""Map the outputs of a network to the scores that the loss looks at.

        These are the logits themselves, except for losses with a `radius` R, whose infimum
        lies at infinite scores. They look at ``c / (1 + |c| / R)`` with the centred logits
        ``c = logits - logits.mean(-1)``: a smooth map into the ball of radius R that keeps
        the order of the classes.

        Parameters
        ----------
        logits : Tensor of shape (n, K)
            Outputs of a network, or log-probabilities: a constant added to a row has no
            effect on a bounded score.

        Returns
        -------
        scores : Tensor of shape (n, K)
            Scores, whose softmax are the probabilities that the loss sees.
        """
        if self.ball_radius is None:
            return logits
        logits = unmasked(logits)
        centred = logits - logits.mean(-1, keepdim=True)
        norm = torch.linalg.vector_norm(centred, dim=-1, keepdim=True)
        return centred * (1 + norm / self.ball_radius).reciprocal()

    def bounded(self, log_p: torch.Tensor) -> torch.Tensor:
        """Return the log-probabilities of the bounded scores, `log_p` itself without a radius.

        Parameters
        ----------
        log_p : Tensor of shape (n, K)
            Log-probabilities, as ``log_softmax`` returns them.

        Returns
        -------
        log_p : Tensor of shape (n, K)
            Log-probabilities of :meth:`scores`.
        """
        if self.ball_radius is None:
            return log_p
        return torch.log_softmax(self.scores(log_p), dim=-1)

    def inverse_link(self, p: torch.Tensor) -> torch.Tensor:
        """Turn the predictions that minimise the expected loss into class probabilities.

        Parameters
        ----------
        p : Tensor of shape (n, K)
            Probabilities, the softmax of the scores.

        Returns
        -------
        posterior : Tensor of shape (n, K)
            The class probabilities at which `p` minimises the expected loss.

        Raises
        ------
        ValueError
            If predictions do not determine class probabilities under this loss, as under
            MAE, whose minimiser is certain of the most probable class.
        """
        raise ValueError(f"Predictions do not determine class probabilities under {self!r}.")

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute the loss of a batch.

        Parameters
        ----------
        logits : Tensor of shape (n, K)
            Outputs of a network, before any softmax.
        target : Tensor of shape (n,) or (n, K)
            Labels from 0 to K - 1 (int64), or one weight per class (floating point): soft
            or several labels a row. The loss of such a row is the weighted sum of its class
            losses, which keeps symmetry and unbiasedness.

        Returns
        -------
        loss : Tensor of shape () or (n,)
            As `reduction` says.

        Raises
        ------
        ValueError
            If a hyperparameter lies outside its domain, the shapes do not fit, or a label is not
            among 0 to K - 1.
        TypeError
            If `logits` or `target` is no tensor.
        """
        for name, given in (("logits", logits), ("target", target)):
            if not isinstance(given, torch.Tensor):
                raise TypeError(
                    f"logits and target must be tensors. Got {type(given).__name__} as {name}; "
                    f"turn it into one with torch.as_tensor."
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
                # Looked for only now: in a training on a GPU each look would wait for it.
                _check_labels(target.long(), logits.shape[1])
                raise
        return _REDUCTIONS[self.reduction](losses)


def _check_labels(target, n_classes):
    """Say which labels are none of 0 to `n_classes` - 1."""
    strange = target[(target < 0) | (target >= n_classes)]
    if len(strange):
        raise ValueError(
            f"target must hold labels from 0 to {n_classes - 1}, as logits has {n_classes} "
            f"columns. Got {', '.join(map(str, strange.unique().tolist()[:5]))}."
        )


class ProbabilityLoss(Loss):
    r"""Base class of losses :math:`\ell(p_y)` of the label's probability alone.

    A subclass implements :meth:`phi`, elementwise, and has with it the class losses and the
    fast path that looks at the label's column only.

    Parameters
    ----------
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum.

    See Also
    --------
    Loss : The general protocol, for losses that look at all probabilities.

    Notes
    -----
    The gradient with respect to the logits is :math:`-\omega(p_y)(e_y - p)` with
    :math:`\omega(u) = -u\,\ell'(u)`: such a loss only re-weights the rows.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import ProbabilityLoss
    >>> class SquaredError(ProbabilityLoss):
    ...     def phi(self, log_p):
    ...         return torch.expm1(log_p) ** 2
    >>> SquaredError()(torch.zeros(3, 2), torch.tensor([0, 1, 1]))
    tensor(0.2500)
    """

    def phi(self, log_p: torch.Tensor) -> torch.Tensor:
        """Compute the loss from the logarithm of the label's probability.

        Parameters
        ----------
        log_p : Tensor of any shape
            Log-probabilities.

        Returns
        -------
        losses : Tensor of the same shape
            The loss where the label has that probability.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement phi(log_p).")

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        return self.phi(log_p)

    def sample_losses(self, log_p: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        # nll_loss picks the column faster than gather does, forward and backward.
        # No label is one to ignore: torch's default, -100, would count as a perfect prediction.
        none = torch.iinfo(torch.int64).min
        picked = nn.functional.nll_loss(log_p, target, reduction="none", ignore_index=none)
        return self.phi(-picked)


class Sum(_BaseComposition, Loss):
    r"""Weighted sum of named losses.

    .. math:: L(f, y) = \sum_i w_i L_i(f, y)

    It is what ``NCE() + 4 * AGCE()`` makes: operators copy their operands and name the terms
    after their classes.

    Parameters
    ----------
    terms : list of (str, Loss) pairs
        Names and losses; a grid reaches the parameters of a term as ``name__parameter``.
    weights : list of float or None, default=None
        A weight for each term; None gives each the weight 1.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum. That of the
        terms has no effect.

    See Also
    --------
    get_loss : Makes the published combinations by name, such as "nce+agce".

    Notes
    -----
    The log-probabilities are computed once for all terms. With weights that are not negative,
    a sum of symmetric losses is symmetric, and a sum of asymmetric losses is asymmetric on
    labels on which each of them is.

    Examples
    --------
    >>> from robustlabels.losses import AGCE, NCE
    >>> loss = NCE() + 4 * AGCE(a=6, q=1.5)
    >>> loss
    Sum(terms=[('nce', NCE()), ('agce', AGCE(a=6, q=1.5))], weights=[1.0, 4.0])
    >>> loss.set_params(agce__a=2.0, weights=[1, 1])
    Sum(terms=[('nce', NCE()), ('agce', AGCE(a=2.0, q=1.5))], weights=[1, 1])
    """

    _parameter_constraints = {
        **Loss._parameter_constraints,
        "terms": [list],
        "weights": ["array-like", None],
    }

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
        """Get the parameters of the sum and of its terms.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the terms by their names, and their parameters.

        Returns
        -------
        params : dict
            Parameter names and values.
        """
        return self._get_params("terms", deep=deep)

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the sum, replace a term by its name, or set a parameter of it.

        Parameters
        ----------
        **params : dict
            Such as ``weights=[1, 4]``, ``agce=AGCE(a=2)``, ``agce__a=2``.

        Returns
        -------
        self : Sum
            This loss.
        """
        self._set_params("terms", **params)
        return self

    @property
    def positive(self) -> bool:
        """Whether the class losses are not negative and their sum is positive."""
        return all(loss.positive and weight > 0 for weight, loss in self._weighted())

    def _validate_params(self):
        super()._validate_params()
        if not self.terms or not all(isinstance(loss, Loss) for _, loss in self.terms):
            raise ValueError(f"terms must be (name, Loss) pairs, one at least. Got {self.terms!r}.")
        self._validate_names([name for name, _ in self.terms])
        weights = [1.0] * len(self.terms) if self.weights is None else list(self.weights)
        numbers = all(isinstance(w, Real) and math.isfinite(w) for w in weights)
        if not numbers or len(weights) != len(self.terms):
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
        weights = [1.0] * len(self.terms) if self.weights is None else self.weights
        return [(weight, loss) for weight, (_, loss) in zip(weights, self.terms, strict=True)]

    def _sum(self, values):
        """Weigh and add the values of the terms."""
        weights = (weight for weight, _ in self._weighted())
        pairs = zip(weights, values, strict=True)
        return functools.reduce(torch.add, (v if w == 1 else w * v for w, v in pairs))

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        return self._sum(loss.class_losses(log_p) for _, loss in self.terms)

    def sample_losses(self, log_p: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self._sum(loss.sample_losses(log_p, target) for _, loss in self.terms)


def _weighted_sum(*weighted, reduction="mean"):
    """Make a Sum of copies of (weight, loss) pairs, merging sums among them."""
    names, terms, weights = [], [], []
    for weight, loss in weighted:
        if isinstance(loss, Sum):
            of_terms = [w for w, _ in loss._weighted()]
            inner = [(w, *term) for w, term in zip(of_terms, loss.terms, strict=True)]
        else:
            inner = [(1.0, type(loss).__name__.lower(), loss)]
        for w, name, term in inner:
            names.append(name)
            terms.append(clone(term))
            weights.append(float(weight * w))
    counts, seen = Counter(names), Counter()
    for i, name in enumerate(names):
        if counts[name] > 1:
            seen[name] += 1
            names[i] = f"{name}-{seen[name]}"
    return Sum(list(zip(names, terms, strict=True)), weights, reduction=reduction)


def unmasked(log_p):
    """Return log-probabilities with very small numbers in place of -inf."""
    return log_p.clamp(min=_MASKED)


def without_radius(loss):
    """Copy a loss without the bounds on its scores."""
    loss = clone(loss)
    loss._validate_params()
    radii = [name for name in loss.get_params() if name.split("__")[-1] == "radius"]
    return loss.set_params(**dict.fromkeys(radii))


def permutation_witness(loss, n_classes):
    """Return scores and their permutation if its class losses are not the permuted ones."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(20, n_classes, generator=generator, dtype=torch.float64)
    losses = loss.class_losses(torch.log_softmax(scores, dim=-1))
    # All permutations are made of a shift and a swap.
    shift = torch.arange(n_classes).roll(1)
    swap = torch.tensor([1, 0, *range(2, n_classes)])
    for order in (shift, swap):
        permuted = loss.class_losses(torch.log_softmax(scores[:, order], dim=-1))
        unlike = (permuted - losses[:, order]).abs().amax(-1)
        if unlike.max() > 1e-8 * losses.abs().max():
            row = scores[unlike.argmax()]
            return torch.stack([row, row[order]]).numpy()
    return None


def distinct_labels(loss, n_classes):
    """Return the labels to look at: the first stands for all if the loss treats them alike."""
    return range(1 if permutation_witness(loss, n_classes) is None else n_classes)

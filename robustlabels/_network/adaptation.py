"""Losses that tune themselves: their hyperparameters are learned while a network trains.

After Shu, Zhao, Chen, Xu and Meng, "Learning Adaptive Loss for Robust Learning with Noisy Labels",
arXiv:2002.06482, with labels that are noisy throughout.
"""

import math
from numbers import Real
from typing import NamedTuple

import numpy as np
import torch
from torch.func import functional_call

from .._validation.sklearn_private import Interval
from ..losses import Sum
from .batches import take_rows

#: Steps of the network from one step of the hyperparameters to the next: one each time would cost
#: more than the training itself.
_STEPS = 4

#: Step of the hyperparameters, on the scale without ends, and how far they may go there. Adam makes
#: steps of about this length whatever the gradient, so that none is larger.
_LR = 0.05
_FARTHEST = 3.0

#: Rows that each network is judged by in a step of the hyperparameters.
_ROWS = 128

#: By how much losses differ, on the scale without ends, that are compared for a derivative in
#: float64: the root of the third order of its precision.
_DISTANCE = 1e-5

#: By what share of their length the weights move for a derivative in the network's dtype.
_SHARE = 1e-3


class Hyperparameter(NamedTuple):
    """A hyperparameter that can be learned, on the line between two ends.

    `param` is what `get_params` calls it, `term` its position among the weights of a sum or None.
    An end that is not there is infinite.
    """

    param: str
    term: int | None
    low: float
    high: float

    def stretch(self, value):
        """Map a value to the scale without ends: the logarithm of the distance to an end."""
        above = math.log(value - self.low) if math.isfinite(self.low) else None
        below = math.log(self.high - value) if math.isfinite(self.high) else None
        if above is None:
            return value if below is None else -below
        return above if below is None else above - below

    def shrink(self, place):
        """Map a place on the scale without ends to the value."""
        if math.isfinite(self.low) and math.isfinite(self.high):
            return self.low + (self.high - self.low) / (1 + math.exp(-place))
        if math.isfinite(self.low):
            return self.low + math.exp(place)
        return self.high - math.exp(-place) if math.isfinite(self.high) else place


def find_hyperparameters(loss):
    """Return the hyperparameters of a loss that can be learned, a dict by the names to show.

    These are the real numbers within their domain, and the weights of sums. One at an end of its
    domain stands for another loss, in which it has no part. A radius is none of them: the scores
    that it bounds are also what predictions are made of.
    """
    found, params = {}, loss.get_params()
    for name, value in params.items():
        inside, _, own = name.rpartition("__")
        owner = params[inside] if inside else loss
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
                    if low < value < high:
                        found[name] = Hyperparameter(name, None, low, high)
    return found


def check_adaptable(losses):
    """Refuse losses of which none has a hyperparameter that can be learned."""
    if not any(find_hyperparameters(loss) for loss in losses):
        raise ValueError(
            f"adapt=True has nothing to learn with {' and '.join(map(repr, losses))}: a "
            f"hyperparameter is a real number within its domain, not at its end, or a weight of a "
            f"sum. Choose a loss that has one, such as 'sgce' or 'gce', or set adapt=False."
        )


class TunableLoss:
    """A loss whose hyperparameters are read and set on the scale without ends."""

    def __init__(self, loss):
        self.loss = loss
        self.hyperparameters = find_hyperparameters(loss)

    @property
    def values(self):
        """The hyperparameters, a dict by the names to show."""
        params = self.loss.get_params()
        values = {}
        for shown, (param, term, *_) in self.hyperparameters.items():
            value = params[param] if term is None else self._weights(params, param)[term]
            values[shown] = float(value)
        return values

    def _weights(self, params, param):
        """Return a copy of the weights of the sum that has this parameter."""
        owner = params.get(param.removesuffix("weights").removesuffix("__"), self.loss)
        return [weight for weight, _ in owner._weighted()]

    @property
    def places(self):
        """Their places on the scale without ends, of shape (n_hyperparameters,)."""
        pairs = zip(self.hyperparameters.values(), self.values.values(), strict=True)
        return np.array([hyperparameter.stretch(value) for hyperparameter, value in pairs])

    @places.setter
    def places(self, places):
        before, params = self.loss.get_params(), {}
        for hyperparameter, place in zip(self.hyperparameters.values(), places, strict=True):
            param, term, value = hyperparameter[0], hyperparameter[1], hyperparameter.shrink(place)
            if term is None:
                params[param] = value
            else:
                params.setdefault(param, self._weights(before, param))[term] = value
        self.loss.set_params(**params)


def meta_gradient(tunable, logits, target, weight, tangent, fixed_length=False):
    r"""Compute how hyperparameters act, through a step of a network, on what is asked of it.

    The step is :math:`\hat w = w - \nabla_w L(w; \lambda)` with the mean loss L of a batch; a
    learning rate is one more factor of the result. With v, the gradient at :math:`\hat w` of what
    is asked, and the gradients :math:`g_i` of L with respect to the logits :math:`f_i` of row i,

    .. math:: \frac{d}{d\lambda} = - \sum_i \Bigl\langle \frac{\partial g_i}{\partial \lambda},
        \frac{\partial f_i}{\partial w} v \Bigr\rangle .

    So the loss is differentiated by hyperparameters at the logits only, and nothing twice through
    the network. A loss is any function of its hyperparameters: central differences do that.

    Parameters
    ----------
    tunable : TunableLoss
        The loss. It comes back as it was, up to rounding.
    logits : Tensor of shape (n, n_classes)
        Outputs of the network for the batch.
    target : Tensor of shape (n, n_classes)
        Weights of the classes, such as their probabilities.
    weight : Tensor of shape (n,)
        Weights of the rows in the mean loss.
    tangent : Tensor of shape (n, n_classes)
        How fast the logits change where the weights of the network move along v.
    fixed_length : bool, default=False
        Whether the gradients :math:`g_i` are divided by their common length, so that a factor of
        the loss has no effect.

    Returns
    -------
    gradient : ndarray of shape (n_hyperparameters,)
        Derivatives with respect to the places on the scale without ends.
    """
    loss, places = tunable.loss, tunable.places
    logits, target, weight, tangent = (
        part.detach().cpu().double() for part in (logits, target, weight, tangent)
    )
    logits.requires_grad_()

    def compute_gradients(at):
        tunable.places = at
        losses = loss.expected_losses(loss.log_probabilities(logits), target)
        (gradients,) = torch.autograd.grad((weight * losses).mean(), logits)
        length = gradients.norm() if fixed_length else 1.0
        return gradients / (length or 1.0)

    found = []
    for direction in np.eye(len(places)) * _DISTANCE:
        change = compute_gradients(places + direction) - compute_gradients(places - direction)
        found.append(-(change * tangent).sum().item() / (2 * _DISTANCE))
    tunable.places = places
    return np.array(found)


class Adaptation:
    """Learns the hyperparameters of a net's loss, while it trains.

    Every few steps it asks how probable the noisy labels are of rows that a member has not learned
    from, and moves the hyperparameters to where the member's step would have made them more
    probable. All members of the loss share its hyperparameters: what one of them says of so few
    rows is mostly chance.

    Parameters
    ----------
    net : Net
        The net. Its loss, or the one of its losses that has hyperparameters, is changed in place.
    X : Tensor of shape (n_rows, ...)
        Features of rows, of which each member has not learned some.
    likelihood : ndarray of shape (n_rows, n_classes)
        How probable their labels are where the true class is k.
    weight : ndarray of shape (n_rows,)
        Their weights.
    unseen : ndarray of bool of shape (n_rows, n_members)
        Which of them a member has not learned from.
    seed : int
        Seed of the order in which rows are asked.
    """

    def __init__(self, net, X, likelihood, weight, unseen, seed):
        losses = net.losses_ if len(net.losses_) > 1 else net.losses_ * net.n_members_
        (loss,) = {loss for loss in losses if find_hyperparameters(loss)}
        _fix_radius(loss)
        self.tunable = TunableLoss(loss)
        self.members = [member for member, other in enumerate(losses) if other is loss]
        self.X = X
        self.log_likelihood = net._to_device(np.log(np.maximum(likelihood, 1e-15)))
        self.weight = net._to_device(weight)
        counts = self.weight.cpu().numpy() > 0
        self.rows = [np.flatnonzero(own) for own in (unseen & counts[:, None]).T]
        self.rng = np.random.RandomState(seed)
        self.n_steps = 0
        start = self.tunable.places
        self.low, self.high = start - _FARTHEST, start + _FARTHEST
        self.places = torch.from_numpy(start)
        self.optimizer = torch.optim.Adam([self.places], lr=_LR)

    @torch.enable_grad()
    def follow(self, net, batch):
        """Make a step of the hyperparameters, if it is time, after a step of the net on a batch.

        The step that is looked at is the one that the net has just made: it costs nothing.
        """
        self.n_steps += 1
        # Of very few rows there may be none that a member has left out.
        if self.n_steps % _STEPS or not all(map(len, self.rows)):
            return
        module = net._plain_module()  # without dropout, which would be chance
        names, weights = zip(
            *((name, p) for name, p in module.named_parameters() if p.requires_grad), strict=True
        )
        slopes = torch.autograd.grad(self._judge(module), weights, materialize_grads=True)
        X = torch.as_tensor(batch["X"], dtype=net.dtype, device=net.device)
        logits, tangent = _move_along(module, names, weights, slopes, X)
        self.places.grad = torch.from_numpy(self._derive(batch, logits, tangent))
        self.optimizer.step()
        self.places.copy_(torch.from_numpy(self.places.numpy().clip(self.low, self.high)))
        self.tunable.places = self.places.tolist()
        net._set_training(True)

    def _judge(self, module):
        """Return how improbable the labels are of rows that members have not learned from."""
        rows = torch.from_numpy(np.stack([self.rng.choice(own, _ROWS) for own in self.rows]))
        rows = rows.to(self.weight.device)
        X = take_rows(self.X, rows.flatten())
        logits = module(X if len(rows) == 1 else X.unflatten(0, rows.shape))
        logits = logits.unsqueeze(1) if len(rows) == 1 else logits[:, self.members]
        rows = rows[self.members].T
        log_p = torch.log_softmax(self.tunable.loss.scores(logits), dim=-1)
        fit = torch.logsumexp(log_p + self.log_likelihood[rows], dim=-1)
        return -(self.weight[rows] * fit).sum() / self.weight[rows].sum()

    def _derive(self, batch, logits, tangent):
        """Return the derivative of what was asked, by the scores of a batch and their change."""
        shape = (len(logits), -1, logits.shape[-1])
        logits, tangent, target = (
            part.reshape(shape) for part in (logits, tangent, batch["posterior"])
        )
        weight = logits.new_ones(logits.shape[:2])
        for name in ("sample_weight", "member_weight"):
            if name in batch:
                weight = weight * batch[name].reshape(len(logits), -1)
        own = (
            part.expand(*logits.shape[:2], *part.shape[2:])[:, self.members].flatten(0, 1)
            for part in (logits, target, weight, tangent)
        )
        # Optimizers such as Adam take the length of a gradient out: what hyperparameters do to it
        # has no effect on the next step, and must have none on them.
        return meta_gradient(self.tunable, *own, fixed_length=True)


def _fix_radius(loss):
    """Let a loss keep the radius that it starts with: "auto" would jump at some hyperparameter."""
    params = loss.get_params()
    for name, value in params.items():
        inside, _, own = name.rpartition("__")
        if own == "radius" and value == "auto":
            owner = params[inside] if inside else loss
            loss.set_params(**{name: owner.ball_radius})


def _move_along(module, names, weights, slopes, X):
    """Return the outputs of a module, and how fast they change where its weights follow slopes.

    By central differences: not every module has forward derivatives.
    """
    norms = [
        torch.linalg.vector_norm(torch.cat([p.detach().flatten() for p in parts])).item()
        for parts in (weights, slopes)
    ]
    distance = _SHARE * (norms[0] or 1.0) / (norms[1] or 1.0)
    with torch.no_grad():
        ahead, behind = (
            functional_call(
                module,
                {n: p + way * g for n, p, g in zip(names, weights, slopes, strict=True)},
                (X,),
            )
            for way in (distance, -distance)
        )
    return (ahead + behind) / 2, (ahead - behind) / (2 * distance)

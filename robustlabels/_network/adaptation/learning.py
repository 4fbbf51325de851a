"""Learning the hyperparameters of a loss while a network trains.

After Shu, Zhao, Chen, Xu and Meng, "Learning Adaptive Loss for Robust Learning with Noisy Labels",
arXiv:2002.06482, but with noisy labels throughout.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call

from ..._validation.skorch_private import set_training
from ..batches import take_rows
from ..calibration import CalibrationRows
from ..callbacks import BatchCallback
from ..settings import ADAPTATION
from .hyperparameters import TunableLoss, find_hyperparameters, fix_radius


def meta_gradient(
    tunable: TunableLoss, logits: Tensor, target: Tensor, weight: Tensor, tangent: Tensor
) -> NDArray:
    r"""Compute how an objective after a step of a network depends on the hyperparameters.

    The step is :math:`\hat w = w - \nabla_w L(w; \lambda)` with the mean loss L of a batch. With
    v, the gradient of the objective at :math:`\hat w`, and the gradients :math:`g_i` of L with
    respect to the logits :math:`f_i` of row i, divided by their common norm,

    .. math:: \frac{d}{d\lambda} = - \sum_i \Bigl\langle \frac{\partial g_i}{\partial \lambda},
        \frac{\partial f_i}{\partial w} v \Bigr\rangle .

    So the loss is differentiated by hyperparameters at the logits only, by central differences, and
    nothing is differentiated twice through the network. `target` are class probabilities, `tangent`
    is the derivative of the logits, (n, n_classes), as the weights of the network move along v.
    Optimizers such as Adam cancel the norm of a gradient, so a factor of the loss has no effect.
    """
    loss, start = tunable.loss, tunable.unconstrained()
    logits, target, weight, tangent = (
        part.detach().cpu().double() for part in (logits, target, weight, tangent)
    )
    logits.requires_grad_()

    def compute_gradients(at: NDArray) -> Tensor:
        tunable.set_unconstrained(at)
        losses = loss.expected_losses(loss.log_probabilities(logits), target)
        (gradients,) = torch.autograd.grad((weight * losses).mean(), logits)
        return gradients / (gradients.norm() or 1.0)

    found = []
    for direction in np.eye(len(start)) * ADAPTATION.distance:
        change = compute_gradients(start + direction) - compute_gradients(start - direction)
        found.append(-(change * tangent).sum().item() / (2 * ADAPTATION.distance))
    tunable.set_unconstrained(start)
    return np.array(found)


class Adaptation(BatchCallback):
    """Learns the hyperparameters of a net's loss while it trains.

    Every few steps it asks how probable the noisy labels of held-out rows are, and moves the
    hyperparameters to where the last step of the network would have made them more probable. All
    members with the loss, which is changed in place, share its hyperparameters: so few rows of one
    member are mostly chance. `seed` is for the draws of rows.
    """

    def __init__(
        self, net: Any, X: Any, calibration: CalibrationRows, n_losses: int, seed: int
    ) -> None:
        losses = net.losses_ if len(net.losses_) > 1 else net.losses_ * net.n_members_
        (loss,) = {loss for loss in losses if find_hyperparameters(loss)}
        fix_radius(loss)
        self.tunable = TunableLoss(loss)
        self.members = [member for member, other in enumerate(losses) if other is loss]
        self.X = net.to_device(X[calibration.rows])
        self.log_likelihood = net.to_device(np.log(np.maximum(calibration.likelihood, 1e-15)))
        self.weight = net.to_device(calibration.total_weight)
        counts = self.weight.cpu().numpy() > 0
        self.rows = [
            np.flatnonzero(counts & (calibration.folds == member // n_losses))
            for member in range(net.n_members_)
        ]
        self.rng = np.random.RandomState(seed)
        self.n_steps = 0
        start = self.tunable.unconstrained()
        self.low, self.high = start - ADAPTATION.farthest, start + ADAPTATION.farthest
        self.places = torch.from_numpy(start)
        self.optimizer = torch.optim.Adam([self.places], lr=ADAPTATION.lr)

    @torch.enable_grad()
    def on_batch_end(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Make a step of the hyperparameters, if it is time, by the step that the net has made."""
        self.n_steps += training
        # If rows are very few, a member may have left out none.
        if not training or self.n_steps % ADAPTATION.steps or not all(map(len, self.rows)):
            return
        module = net.plain_module()  # without dropout, which would add chance
        names, weights = zip(
            *((name, p) for name, p in module.named_parameters() if p.requires_grad), strict=True
        )
        slopes = torch.autograd.grad(self._judge(module), weights, materialize_grads=True)
        X = torch.as_tensor(batch[0]["X"], dtype=net.dtype, device=net.device)
        logits, tangent = _move_along(module, names, weights, slopes, X)
        self.places.grad = torch.from_numpy(self._derive(batch[0], logits, tangent))
        self.optimizer.step()
        self.places.copy_(torch.from_numpy(self.places.numpy().clip(self.low, self.high)))
        self.tunable.set_unconstrained(self.places.tolist())
        set_training(net, True)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        for name, value in self.tunable.values.items():
            net.history.record(f"loss__{name}", value)

    def _judge(self, module: torch.nn.Module) -> Tensor:
        """Return the negative log-likelihood of the labels of some held-out rows."""
        drawn = np.stack([self.rng.choice(own, ADAPTATION.rows) for own in self.rows])
        rows = torch.from_numpy(drawn).to(self.weight.device)
        X = take_rows(self.X, rows.flatten())
        logits = module(X if len(rows) == 1 else X.unflatten(0, rows.shape))
        logits = logits.unsqueeze(1) if len(rows) == 1 else logits[:, self.members]
        rows = rows[self.members].T
        log_p = torch.log_softmax(self.tunable.loss.scores(logits), dim=-1)
        fit = torch.logsumexp(log_p + self.log_likelihood[rows], dim=-1)
        return -(self.weight[rows] * fit).sum() / self.weight[rows].sum()

    def _derive(self, batch: Any, logits: Tensor, tangent: Tensor) -> NDArray:
        """Return the derivative of that, given the scores of a batch and their change."""
        shape = (len(logits), -1, logits.shape[-1])
        logits, tangent, target = (
            part.reshape(shape) for part in (logits, tangent, batch["soft_labels"])
        )
        weight = logits.new_ones(logits.shape[:2])
        for name in ("sample_weight", "member_weight"):
            if name in batch:
                weight = weight * batch[name].reshape(len(logits), -1)
        logits, target, weight, tangent = (
            part.expand(*logits.shape[:2], *part.shape[2:])[:, self.members].flatten(0, 1)
            for part in (logits, target, weight, tangent)
        )
        return meta_gradient(self.tunable, logits, target, weight, tangent)


def _move_along(
    module: torch.nn.Module, names: Any, weights: Any, slopes: Any, X: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the outputs of a module, and their derivative as its weights move along slopes.

    By central differences: not every module has forward derivatives.
    """
    norm, speed = (
        torch.linalg.vector_norm(torch.cat([p.detach().flatten() for p in parts])).item()
        for parts in (weights, slopes)
    )
    distance = ADAPTATION.weight_share * (norm or 1.0) / (speed or 1.0)

    def outputs_at(way: float) -> Tensor:
        moved = {n: p + way * g for n, p, g in zip(names, weights, slopes, strict=True)}
        return functional_call(module, moved, (X,))

    with torch.no_grad():
        ahead, behind = outputs_at(distance), outputs_at(-distance)
    return (ahead + behind) / 2, (ahead - behind) / (2 * distance)

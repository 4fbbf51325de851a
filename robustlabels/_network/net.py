"""The skorch net that the engine trains."""

import copy
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import issparse
from skorch import NeuralNetClassifier
from torch import Tensor

from .._validation.skorch_private import set_training, step_optimizers, zero_gradients
from .._validation.torch_private import uncompiled
from ..losses import Loss
from .batches import SparseRows, encode_labels, take_rows, to_tensor, without_subsets
from .calibration import merge_members
from .callbacks import NO_VALIDATION_ROWS, BatchCallback, StoppedByCallback, needs_batches
from .module import MLP
from .settings import NETWORK
from .torch_state import seeded_globally


class Net(NeuralNetClassifier):
    """skorch's net with sample weights, soft labels, members, and a loss that is watched.

    X is a dict of the features ``"X"`` and, where they are needed, ``"sample_weight"``, of shape
    (n,); ``"member_weight"``, the weight of each row for each member, of shape (n, n_members); and
    ``"soft_labels"``, the class probabilities to learn, of shape (n, n_classes), or
    (n, n_members, n_classes) if each member has its own. To predict, X is the features alone.
    """

    module_: Any
    callbacks_: list[tuple[str, Any]]

    #: Labels of the estimator, which the net knows as 0 to n_classes - 1; None if they are these.
    labels_: NDArray | None = None

    #: Epochs of this training, and whether the learning rate makes a cycle in it.
    n_epochs_, one_cycle_ = 1, False

    #: Why the training failed, a sentence for the user, or None; and the losses that show it.
    failure_: str | None = None
    judged_: tuple[Tensor | None, Tensor] | None = None

    def __init__(
        self, *args: Any, dtype: torch.dtype, l1_penalty: float, predict_nonlinearity: Any = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(*args, predict_nonlinearity=self._probabilities, **kwargs)
        self.dtype = dtype
        self.l1_penalty = l1_penalty

    def _probabilities(self, logits: Tensor) -> Tensor:
        return torch.softmax(merge_members(self.criterion_.scores(logits)), dim=-1)

    @property
    def mlp_(self) -> MLP | None:
        """The built-in network, compiled or not; None if the module is another."""
        module = uncompiled(self.module_)
        return module if isinstance(module, MLP) else None

    @property
    def n_members_(self) -> int:
        return self.mlp_.n_members if self.mlp_ is not None else 1

    def initialize_criterion(self) -> Self:
        super().initialize_criterion()
        self.losses_ = [self.criterion_]
        return self

    def minimise(self, losses: Sequence[Loss]) -> None:
        """Set the loss, or the losses that the members have in turn."""
        # Without `set_params`, which would make the optimizer anew: losses have no weights.
        self.criterion = self.criterion_ = losses[0]
        #: One loss, or one for each member of an ensemble.
        self.losses_ = list(losses)
        if len(losses) > 1:
            self.losses_ = [losses[member % len(losses)] for member in range(self.n_members_)]

    def initialize_module(self) -> Self:
        super().initialize_module()
        if not isinstance(self.module_, torch.nn.Module):
            raise ValueError(
                f"module must make a torch.nn.Module when it is called. Got {self.module!r}, "
                f"which makes {self.module_!r}."
            )
        self.module_ = self.module_.to(self.dtype)
        self.gradient_seen_ = False
        return self

    def seed(self, order: int, masks: int) -> None:
        """Draw the order of the rows and the dropout masks from these seeds."""
        self.iterator_train__generator = torch.Generator().manual_seed(order)
        if self.mlp_ is not None:
            self.mlp_.generator = torch.Generator().manual_seed(masks)

    @torch.no_grad()
    def try_out(self, X: Any, y: NDArray) -> None:
        """Compute the losses of a few rows, so that an unsuitable module or loss raises its error.

        Nothing is compiled for this, and the global random states stay as they are.
        """
        X = to_tensor(X).to(self.device, self.dtype)
        with seeded_globally(0, self.device):
            try:
                logits = self.plain_module()(X)
            except RuntimeError as error:
                self._check_dtype(X, error)
                raise
        self._member_losses(logits, torch.from_numpy(y).to(self.device), None, training=False)

    def plain_module(self) -> torch.nn.Module:
        """Return the module, not compiled, in evaluation mode."""
        return uncompiled(self.module_).eval()

    def _check_dtype(self, X: Tensor, error: RuntimeError) -> None:
        """Raise a better error if the module fails because it makes tensors of a fixed dtype."""
        other = torch.float32 if self.dtype == torch.float64 else torch.float64
        try:
            copy.deepcopy(self.plain_module()).to(other)(X.to(other))
        except Exception:
            return
        here, there = (str(dtype).removeprefix("torch.") for dtype in (self.dtype, other))
        raise ValueError(
            f"The module fails on {here}, the dtype of X, but not on {there}: it creates tensors "
            f"of that dtype. Pass X.astype(np.{there}), or let the module create its tensors with "
            f"dtype=X.dtype."
        ) from error

    def train_on(
        self, X: Mapping[str, Any], y: NDArray, n_epochs: int, one_cycle: bool,
        adaptation: BatchCallback | None = None,
    ) -> None:  # fmt: skip
        """Train for some epochs on arrays; `adaptation` changes the loss during the training.

        A KeyboardInterrupt that leaves a callback ends the training quietly, as in skorch. Any
        other is Ctrl-C, and is raised.
        """
        X = {name: self.to_device(array) for name, array in X.items()}
        y = torch.from_numpy(y).to(self.device)
        self.n_epochs_, self.one_cycle_ = n_epochs, one_cycle
        # A loss that is adapted is another one afterwards, so the two cannot be compared.
        fresh = one_cycle and not self.history and adaptation is None
        before, self.judged_ = self._judge(X, y) if fresh else None, None
        callbacks = self.callbacks_
        if adaptation is not None:  # first, so that other callbacks see what it recorded
            self.callbacks_ = [("adaptation", adaptation), *callbacks]
        self.notify("on_train_begin", X=X, y=y)
        try:
            self.fit_loop(X, y, epochs=n_epochs)
            if not all(p.isfinite().all() for p in self.module_.parameters()):
                self._diverged("largest weight", math.inf)
            if one_cycle:
                self.judged_ = before, self._judge(X, y)
                self.failure_ = self.find_failure(*self.judged_)
        except StoppedByCallback:
            pass
        except KeyboardInterrupt:
            if self.history and "train_batch_count" not in self.history[-1]:
                self.history.pop()  # an epoch that did not end
            raise
        except KeyError as error:
            if "valid_loss" in str(error) and self.train_split is None:
                raise ValueError(NO_VALIDATION_ROWS) from error
            raise
        finally:
            self.callbacks_ = callbacks
            self.notify("on_train_end", X=X, y=y)

    def notify(self, method_name: str, **kwargs: Any) -> None:
        try:
            super().notify(method_name, **kwargs)
        except KeyboardInterrupt as stop:
            raise StoppedByCallback from stop

    def to_device(self, array: Any) -> Any:
        """Return an array as a tensor of the net's device and dtype, or as sparse rows."""
        if issparse(array):
            return SparseRows(array, self.device, self.dtype)
        return to_tensor(array).to(self.device, self.dtype)

    @torch.no_grad()
    def _judge(self, X: Mapping[str, Any], y: Tensor) -> Tensor:
        """Compute the mean loss of some training rows, without dropout, for each member."""
        n_rows = min(len(y), NETWORK.judged_rows)
        ends = 0, len(y) - 1
        rows = torch.linspace(*ends, n_rows, dtype=torch.float64, device=self.device).long()
        X, y = take_rows(X, rows), take_rows(y, rows)
        return self._member_losses(self.plain_module()(X["X"]), y, X, training=True)

    def find_failure(self, members_before: Tensor | None, members_after: Tensor) -> str | None:
        """Return why a training from scratch failed, given the members' losses around it."""
        after = members_after.mean().item()
        if not math.isfinite(after):
            self._diverged("loss of the training rows", after)
        if members_before is None:
            return None
        before = members_before.mean().item()
        losses = " and ".join(dict.fromkeys(map(repr, self.losses_)))
        if not self.gradient_seen_:
            remedy = "Check the weights, class_weight and transition_matrix"
            if self.mlp_ is None:
                remedy = (
                    "A module of your own needs scaled features: put a StandardScaler before it"
                )
            return (
                f"{losses} gave the network no gradient above {NETWORK.no_gradient} in any batch, "
                f"so it has learned nothing. {remedy}, or start with loss='ce'."
            )
        if after - before > NETWORK.tolerance * (1 + abs(before)):
            return (
                f"Training increased the loss on the training rows from {before:.3g} to "
                f"{after:.3g}: the network is useless. Lower lr={self.lr}."
            )
        return None

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, Any]:
        train, valid = super().get_split_datasets(X, y, **fit_params)
        whole = without_subsets(valid)
        # Rows that are split off X have codes for labels; a user's own have the user's labels.
        is_part = whole is X or getattr(whole, "X", None) is X
        if valid is not None and self.labels_ is not None and not is_part:
            valid = encode_labels(valid, self.labels_)
        return train, valid

    def infer(self, x: Any, **fit_params: Any) -> Tensor:
        x = x["X"] if isinstance(x, Mapping) else x
        return super().infer(torch.as_tensor(x, dtype=self.dtype), **fit_params)

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:
        losses = self._member_losses(y_pred, y_true, X, training)
        # Each member learns as if it were alone.
        return losses.sum() if training else losses.mean()

    def _member_losses(self, y_pred: Any, y_true: Any, X: Any, training: bool) -> Tensor:
        """Return the mean loss of a batch for each member, shape (n_members,)."""
        n_rows, n_members, n_classes = len(y_true), self.n_members_, len(self.classes)
        expected = (n_rows, n_classes) if n_members == 1 else (n_rows, n_members, n_classes)
        if not isinstance(y_pred, Tensor) or y_pred.shape != expected:
            got = tuple(y_pred.shape) if isinstance(y_pred, Tensor) else type(y_pred)
            raise ValueError(
                f"The module must return a tensor of logits of shape (n, n_classes), here "
                f"{expected}, two columns for two classes. Got {got}."
            )
        extras = X if isinstance(X, Mapping) else {}
        target = y_true.to(y_pred.device, torch.int64)
        if training and "soft_labels" in extras:
            target = extras["soft_labels"]
        if n_members > 1 and target.ndim < 3:
            target = target.unsqueeze(1).expand(-1, n_members, *target.shape[1:])
        if len(self.losses_) > 1:
            losses = self._losses_in_groups(y_pred, target)
        elif n_members > 1:
            losses = _row_losses(self.losses_[0], y_pred.flatten(0, 1), target.flatten(0, 1))
        else:
            losses = _row_losses(self.losses_[0], y_pred, target)
        losses = losses.view(n_rows, n_members)
        if "sample_weight" in extras:
            losses = losses * extras["sample_weight"].unsqueeze(1)
        if training and "member_weight" in extras:
            losses = losses * extras["member_weight"]
        losses = losses.mean(0)
        if training and self.l1_penalty:
            sums = [p.abs().reshape(n_members, -1).sum(-1) for p in self.module_.parameters()]
            losses = losses + self.l1_penalty * sum(sums)
        return losses

    def _losses_in_groups(self, y_pred: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each row and member, at once for members that share a loss."""
        groups = defaultdict(list)
        for member, loss in enumerate(self.losses_):
            groups[loss].append(member)
        order, sizes = np.concatenate(list(groups.values())), list(map(len, groups.values()))
        parts = zip(
            groups, y_pred[:, order].split(sizes, 1), target[:, order].split(sizes, 1), strict=True
        )
        losses = [
            _row_losses(loss, scores.flatten(0, 1), labels.flatten(0, 1)).view(len(y_pred), -1)
            for loss, scores, labels in parts
        ]
        return torch.cat(losses, 1)[:, np.argsort(order)]

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        callbacks = [callback for _, callback in self.callbacks_]
        if not training or any(map(needs_batches, callbacks)):
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
            return
        # One record for all batches, without waiting for the loss of each.
        after_batch = [callback for callback in callbacks if isinstance(callback, BatchCallback)]
        set_training(self, True)
        total: Any = 0.0
        n_rows = n_batches = 0
        for batch in iterator:
            n_in_batch = len(batch[1])
            total += self._step(*batch, **fit_params) * n_in_batch
            n_rows += n_in_batch
            n_batches += 1
            for callback in after_batch:
                callback.on_batch_end(self, batch=batch, training=True)
        self.history.record("train_batch_count", n_batches)
        if n_batches:
            losses = (total / n_rows).tolist()
            self.history.new_batch()
            self.history.record_batch("train_loss", sum(losses) / len(losses))
            self.history.record_batch("train_losses", losses)
            self.history.record_batch("train_batch_size", n_rows)

    def _step(self, Xi: Any, yi: Tensor, **fit_params: Any) -> Tensor:
        """Make one step of the optimizer; return the loss of each member before it."""
        before = []

        def compute_gradient() -> Tensor:
            zero_gradients(self)
            losses = self._member_losses(self.infer(Xi, **fit_params), yi, Xi, training=True)
            before.append(losses.detach())
            loss = losses.sum()
            loss.backward()
            self._watch_gradient()
            return loss

        step_optimizers(self, compute_gradient)
        return before[0]

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        step = super().train_step_single(batch, **fit_params)
        self._watch_gradient()
        return step

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        step = super().train_step(batch, **fit_params)
        return {**step, "loss": step["loss"] / self.n_members_}  # for the record

    def _watch_gradient(self) -> None:
        if not self.gradient_seen_:
            self.gradient_seen_ = any(
                p.grad is not None and p.grad.abs().max() > NETWORK.no_gradient
                for p in self.module_.parameters()
            )

    def on_epoch_end(self, net: Any, dataset_train: Any = None, **kwargs: Any) -> None:
        super().on_epoch_end(net, dataset_train=dataset_train, **kwargs)
        if self.history[-1, "train_batch_count"] == 0:
            raise ValueError(
                f"An epoch had no batch: {len(dataset_train)} rows do not fill one, and "
                f"net_params drops the last."
            )
        for loss in self.history[-1, "batches", :, "train_loss"]:
            if not math.isfinite(loss):
                self._diverged("loss", loss)

    def _diverged(self, what: str, value: float) -> NoReturn:
        raise ValueError(
            f"The training diverged in epoch {len(self.history)}: the {what} is {value}. Lower "
            f"lr={self.lr}, scale the features if the module is your own, or choose another loss "
            f"than {' or '.join(map(repr, self.losses_))}."
        )


def _row_losses(loss: Loss, logits: Tensor, target: Tensor) -> Tensor:
    log_p = loss.log_probabilities(logits)
    if target.ndim == 1:
        return loss.sample_losses(log_p, target)
    return loss.expected_losses(log_p, target)

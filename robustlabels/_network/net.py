"""The skorch net that RobustClassifier trains."""

import copy
import math
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import torch
from scipy.sparse import issparse
from skorch import NeuralNetClassifier

from .batches import (
    SparseRows,
    encode_labels,
    take_rows,
    to_tensor,
    without_subsets,
)
from .callbacks import (
    NO_VALIDATION_ROWS,
    OneCycle,
    looks_at_batches,
    raised_by_callback,
)
from .module import MLP
from .scores import merge_members
from .seeding import seeded_globally

#: Rows by whose loss a training is judged, at most, and the share by which it may be larger after.
_JUDGED_ROWS = 1024
_TOLERANCE = 0.01


class Net(NeuralNetClassifier):
    """skorch's net, with weighted rows, a dtype, and a loss that is watched.

    X is a dict of the features ``"X"`` and, where they are needed, the weights of the rows,
    ``"sample_weight"``, those that a row has for each member, ``"member_weight"``, and the class
    probabilities to train on, ``"posterior"``, of shape (n, n_classes), or (n, n_members,
    n_classes) where each member has its own; or the features alone when predicting.
    """

    #: Adam divides by the root of its second moment plus this number: less does not move it.
    NO_GRADIENT = 1e-8

    #: Labels of the estimator, which the net knows as 0 to n_classes - 1; None if they are these.
    labels_ = None

    #: Epochs of this training, those of the same cycle before it, and whether it is a cycle.
    n_epochs_, epochs_before_, one_cycle_ = 1, 0, False

    #: What learns the hyperparameters of the loss during a training, or None.
    adaptation_ = None

    #: Why nothing is learned, a sentence for the user, or None; and the losses that tell.
    failure_ = judged_ = None

    def __init__(
        self, *args, dtype=torch.float32, l1_penalty=0.0, predict_nonlinearity=None, **kwargs
    ):
        super().__init__(*args, predict_nonlinearity=self._probabilities, **kwargs)
        self.dtype = dtype
        self.l1_penalty = l1_penalty

    def _probabilities(self, logits):
        return torch.softmax(self.scores(logits), dim=-1)

    def scores(self, logits):
        """Return scores of shape (n, n_classes), those of an ensemble of its mean probabilities."""
        return merge_members(self.criterion_.scores(logits))

    @property
    def mlp_(self):
        """The built-in network, compiled or not; None where the module is another."""
        module = getattr(self.module_, "_orig_mod", self.module_)
        return module if isinstance(module, MLP) else None

    @property
    def n_members_(self):
        return self.mlp_.n_members if self.mlp_ is not None else 1

    def initialize_criterion(self):
        super().initialize_criterion()
        self.losses_ = [self.criterion_]
        return self

    def minimise(self, losses):
        """Take a loss, or several that the members have in turn."""
        # Without `set_params`, which would make the optimizer anew: losses have no weights.
        self.criterion = self.criterion_ = losses[0]
        #: One loss, or one for each member of an ensemble.
        self.losses_ = list(losses)
        if len(losses) > 1:
            self.losses_ = [losses[member % len(losses)] for member in range(self.n_members_)]

    def initialize_module(self):
        super().initialize_module()
        if not isinstance(self.module_, torch.nn.Module):
            raise ValueError(
                f"module must make a torch.nn.Module when it is called. Got {self.module!r}, "
                f"which makes {self.module_!r}."
            )
        self.module_ = self.module_.to(self.dtype)
        self.gradient_seen_ = False
        return self

    def seed(self, order, masks):
        """Draw the order of the rows and the dropout masks from these seeds."""
        self.iterator_train__generator = torch.Generator().manual_seed(order)
        if self.mlp_ is not None:
            self.mlp_.drop_by(torch.Generator().manual_seed(masks))

    @torch.no_grad()
    def try_out(self, X, y):
        """Compute the losses of a few rows, for the errors of a module or a loss that do not fit.

        Nothing is compiled for them, and the global random states stay as they are.
        """
        X = to_tensor(X).to(self.device, self.dtype)
        with seeded_globally(0, self.device):
            try:
                logits = self._plain_module()(X)
            except RuntimeError as error:
                self._check_dtype(X, error)
                raise
        self._member_losses(logits, torch.from_numpy(y).to(self.device), None, training=False)

    def _plain_module(self):
        """Return the module as it predicts, not compiled."""
        return getattr(self.module_, "_orig_mod", self.module_).eval()

    def _check_dtype(self, X, error):
        """Say if a module fails because it makes tensors of a dtype of its own."""
        other = torch.float32 if self.dtype == torch.float64 else torch.float64
        try:
            copy.deepcopy(self._plain_module()).to(other)(X.to(other))
        except Exception:
            return
        here, there = (str(dtype).removeprefix("torch.") for dtype in (self.dtype, other))
        raise ValueError(
            f"The module fails on {here}, the dtype of X, in which the network computes, but not "
            f"on {there}: it makes tensors of that dtype. Pass X.astype(np.{there}), or let the "
            f"module make its tensors with dtype=X.dtype."
        ) from error

    def train_on(self, X, y, n_epochs, one_cycle, adaptation=None):
        """Train some epochs on arrays, X a dict of them; the loss may adapt its hyperparameters.

        Ctrl-C is raised; a callback that stops the training is not.
        """
        X = {name: self._to_device(array) for name, array in X.items()}
        y = torch.from_numpy(y).to(self.device)
        self.n_epochs_, self.one_cycle_, self.adaptation_ = n_epochs, one_cycle, adaptation
        self.first_epoch_ = len(self.history) - self.epochs_before_
        # Losses that adapt are others before and after, and cannot be compared.
        fresh = one_cycle and not self.history and adaptation is None
        before, self.judged_ = self._judge(X, y) if fresh else None, None
        self.notify("on_train_begin", X=X, y=y)
        try:
            self.fit_loop(X, y, epochs=n_epochs)
            if not all(p.isfinite().all() for p in self.module_.parameters()):
                self._diverged("largest weight", math.inf)
            if one_cycle:
                self.judged_ = before, self._judge(X, y)
                self.failure_ = self.find_failure(*self.judged_)
        except KeyboardInterrupt as stop:
            if not raised_by_callback(stop):
                if self.history and "train_batch_count" not in self.history[-1]:
                    self.history.pop()  # an epoch that did not end
                raise
        except KeyError as error:
            if "valid_loss" in str(error) and self.train_split is None:
                raise ValueError(NO_VALIDATION_ROWS) from error
            raise
        finally:
            self.adaptation_ = None
            self.notify("on_train_end", X=X, y=y)

    def count_epochs(self):
        """Return the number of complete epochs of this training and those of its cycle before."""
        return len(self.history) - self.first_epoch_

    def _to_device(self, array):
        if issparse(array):
            return SparseRows(array, self.device, self.dtype)
        return to_tensor(array).to(self.device, self.dtype)

    @torch.no_grad()
    def _judge(self, X, y):
        """Compute the mean loss of some training rows, without dropout, for each member."""
        n_rows = min(len(y), _JUDGED_ROWS)
        rows = torch.linspace(0, len(y) - 1, n_rows, device=self.device).long()
        X, y = take_rows(X, rows), take_rows(y, rows)
        logits = self._plain_module()(X["X"])
        return self._member_losses(logits, y, X, training=True)

    def find_failure(self, before, after):
        """Say why a training from the start is of no use, by the members' losses around it."""
        before, after = (None if x is None else x.mean().item() for x in (before, after))
        if not math.isfinite(after):
            self._diverged("loss of the training rows", after)
        if before is None:
            return None
        losses = " and ".join(dict.fromkeys(map(repr, self.losses_)))
        if not self.gradient_seen_:
            unscaled = "Mostly a module of one's own gets features that are not scaled: put a "
            unscaled += "StandardScaler before it, or start with loss='ce'."
            weights = "Look at the weights, class_weight and transition_matrix, or start with "
            weights += "loss='ce'."
            return (
                f"{losses} gave the network no gradient above {self.NO_GRADIENT} in any batch: it "
                f"has learned nothing. {weights if self.mlp_ is not None else unscaled}"
            )
        if after - before > _TOLERANCE * (1 + abs(before)):
            return (
                f"The training has made the loss of the training rows larger, from {before:.3g} "
                f"to {after:.3g}: the network is of no use. Lower lr={self.lr}."
            )
        return None

    def get_split_datasets(self, X, y=None, **fit_params):
        train, valid = super().get_split_datasets(X, y, **fit_params)
        whole = without_subsets(valid)
        # Rows that are set aside have codes for labels; those of a user have the user's labels.
        is_part = whole is X or getattr(whole, "X", None) is X
        if valid is not None and self.labels_ is not None and not is_part:
            valid = encode_labels(valid, self.labels_)
        return train, valid

    def infer(self, x, **fit_params):
        if isinstance(x, Mapping):
            x = x["X"]
        return super().infer(torch.as_tensor(x, dtype=self.dtype), **fit_params)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        losses = self._member_losses(y_pred, y_true, X, training)
        # Each member learns as if it were alone.
        return losses.sum() if training else losses.mean()

    def _member_losses(self, y_pred, y_true, X, training):
        """Return the mean loss of a batch for each member, shape (n_members,)."""
        n_rows, n_members, n_classes = len(y_true), self.n_members_, len(self.classes)
        expected = (n_rows, n_classes) if n_members == 1 else (n_rows, n_members, n_classes)
        if not isinstance(y_pred, torch.Tensor) or y_pred.shape != expected:
            got = tuple(y_pred.shape) if isinstance(y_pred, torch.Tensor) else type(y_pred)
            raise ValueError(
                f"The module must return a tensor of logits of shape (n, n_classes), here "
                f"{expected}, two columns for two classes. Got {got}."
            )
        target = y_true.to(y_pred.device, torch.int64)
        if training and isinstance(X, Mapping) and "posterior" in X:
            target = X["posterior"]
        if n_members > 1 and target.ndim < 3:
            target = target.unsqueeze(1).expand(-1, n_members, *target.shape[1:])
        if len(self.losses_) > 1:
            losses = self._losses_in_groups(y_pred, target)
        elif n_members > 1:
            losses = _row_losses(self.losses_[0], y_pred.flatten(0, 1), target.flatten(0, 1))
        else:
            losses = _row_losses(self.losses_[0], y_pred, target)
        losses = losses.view(n_rows, n_members)
        # Rows of weight 1, and validation rows that a user brings, have none.
        if isinstance(X, Mapping) and "sample_weight" in X:
            losses = losses * X["sample_weight"].unsqueeze(1)
        if training and isinstance(X, Mapping) and "member_weight" in X:
            losses = losses * X["member_weight"]
        losses = losses.mean(0)
        if training and self.l1_penalty:
            sums = [p.abs().reshape(n_members, -1).sum(-1) for p in self.module_.parameters()]
            losses = losses + self.l1_penalty * sum(sums)
        return losses

    def _losses_in_groups(self, y_pred, target):
        """Return the losses of rows and members, those of members who share a loss at once."""
        groups = defaultdict(list)
        for member, loss in enumerate(self.losses_):
            groups[loss].append(member)
        order, sizes = np.concatenate(list(groups.values())), list(map(len, groups.values()))
        parts = zip(
            groups, y_pred[:, order].split(sizes, 1), target[:, order].split(sizes, 1), strict=True
        )
        losses = [
            _row_losses(loss, scores.flatten(0, 1), of_rows.flatten(0, 1)).view(len(y_pred), -1)
            for loss, scores, of_rows in parts
        ]
        return torch.cat(losses, 1)[:, np.argsort(order)]

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        listeners = [callback for _, callback in self.callbacks_ if looks_at_batches(callback)]
        if not training or any(not isinstance(callback, OneCycle) for callback in listeners):
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
            return
        # One record for all batches, and without waiting for the loss of each.
        self._set_training(True)
        total, n_rows, n_batches = 0.0, 0, 0
        for Xi, yi in iterator:
            total += self._step(Xi, yi, **fit_params) * len(yi)
            if self.adaptation_ is not None:
                self.adaptation_.follow(self, Xi)
            n_rows += len(yi)
            n_batches += 1
            for schedule in listeners:
                schedule.on_batch_end(self, training=True)
        self.history.record("train_batch_count", n_batches)
        if n_batches:
            losses = (total / n_rows).tolist()
            self.history.new_batch()
            self.history.record_batch("train_loss", sum(losses) / len(losses))
            self.history.record_batch("train_losses", losses)
            self.history.record_batch("train_batch_size", n_rows)

    def _step(self, Xi, yi, **fit_params):
        """Make one step of the optimizer; return the loss of each member before it."""
        before = []

        def compute_gradient():
            self._zero_grad_optimizer()
            losses = self._member_losses(self.infer(Xi, **fit_params), yi, Xi, training=True)
            before.append(losses.detach())
            loss = losses.sum()
            loss.backward()
            self._watch_gradient()
            return loss

        self._step_optimizer(compute_gradient)
        return before[0]

    def train_step_single(self, batch, **fit_params):
        step = super().train_step_single(batch, **fit_params)
        self._watch_gradient()
        return step

    def train_step(self, batch, **fit_params):
        step = super().train_step(batch, **fit_params)
        if self.adaptation_ is not None:
            self.adaptation_.follow(self, batch[0])
        return {**step, "loss": step["loss"] / self.n_members_}  # for the record

    def _watch_gradient(self):
        if not self.gradient_seen_:
            self.gradient_seen_ = any(
                p.grad is not None and p.grad.abs().max() > self.NO_GRADIENT
                for p in self.module_.parameters()
            )

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        super().on_epoch_end(net, dataset_train, dataset_valid, **kwargs)
        if self.adaptation_ is not None:
            for name, value in self.adaptation_.tunable.values.items():
                self.history.record(f"loss__{name}", value)
        if self.history[-1, "train_batch_count"] == 0:
            raise ValueError(
                f"An epoch had no batch: {len(dataset_train)} rows do not fill one, and "
                f"net_params drops the last."
            )
        for loss in self.history[-1, "batches", :, "train_loss"]:
            if not math.isfinite(loss):
                self._diverged("loss", loss)

    def _diverged(self, what, value):
        raise ValueError(
            f"The training diverged in epoch {len(self.history)}: the {what} is {value}. Lower "
            f"lr={self.lr}, scale the features if the module is your own, or choose another "
            f"loss than {' or '.join(map(repr, self.losses_))}."
        )


def _row_losses(loss, logits, target):
    log_p = loss.log_probabilities(logits)
    if target.ndim == 1:
        return loss.sample_losses(log_p, target)
    return loss.expected_losses(log_p, target)

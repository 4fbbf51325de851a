"""The skorch net that RobustClassifier trains, what paces it, and how it keeps its peace."""

import dis
import math
import threading
from collections.abc import Mapping
from contextlib import contextmanager

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, LRScheduler
from tqdm.auto import tqdm

#: torch initialises modules from its one global generator.
_GLOBAL_GENERATOR = threading.RLock()


class Net(NeuralNetClassifier):
    """skorch's net, with weighted rows, a dtype, and a loss that is watched.

    X is a dict of the features and the weights of the rows, ``{"X": ..., "sample_weight": ...}``,
    or the features alone when predicting.
    """

    #: Adam divides by the root of its second moment plus this number: less does not move it.
    NO_GRADIENT = 1e-8

    def __init__(
        self, *args, dtype=torch.float32, l1_penalty=0.0, predict_nonlinearity=None, **kwargs
    ):
        super().__init__(*args, predict_nonlinearity=self._probabilities, **kwargs)
        self.dtype = dtype
        self.l1_penalty = l1_penalty

    def _probabilities(self, logits):
        return torch.softmax(self.criterion_.scores(logits), dim=-1)

    def initialize_module(self):
        super().initialize_module()
        self.module_ = self.module_.to(self.dtype)
        self.gradient_seen_ = False
        return self

    def train_on(self, X, y, n_epochs, one_cycle):
        """Train some epochs. Ctrl-C is raised; a callback that stops the training is not."""
        self.n_epochs_, self.one_cycle_ = n_epochs, one_cycle
        self.notify("on_train_begin", X=X, y=y)
        try:
            self.fit_loop(X, y, epochs=n_epochs)
        except KeyboardInterrupt as stop:
            if not _raised_by_callback(stop):
                if "train_batch_count" not in self.history[-1]:
                    self.history.pop()  # an epoch that did not end
                raise
        except KeyError as error:
            if "valid_loss" in str(error) and self.train_split is None:
                raise ValueError(
                    "A callback looks at 'valid_loss', but there are no validation rows. Set "
                    "some aside with net_params={'train_split': skorch.dataset.ValidSplit(5)}, "
                    "or let the callback monitor='train_loss'."
                ) from error
            raise
        finally:
            self.notify("on_train_end", X=X, y=y)

    def infer(self, x, **fit_params):
        if isinstance(x, Mapping):
            x = x["X"]
        return super().infer(torch.as_tensor(x, dtype=self.dtype), **fit_params)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        expected = (len(y_true), len(self.classes))
        if not isinstance(y_pred, torch.Tensor) or y_pred.shape != expected:
            got = tuple(y_pred.shape) if isinstance(y_pred, torch.Tensor) else type(y_pred)
            raise ValueError(
                f"The module must return a tensor of logits of shape (n, n_classes), here "
                f"{expected}, two columns for two classes. Got {got}."
            )
        log_p = self.criterion_.log_probabilities(y_pred)
        losses = self.criterion_.sample_losses(log_p, y_true.to(log_p.device, torch.int64))
        # Validation rows that a user brings have no weights.
        loss = (losses * X["sample_weight"] if isinstance(X, Mapping) else losses).mean()
        if training and self.l1_penalty:
            loss = loss + self.l1_penalty * sum(p.abs().sum() for p in self.module_.parameters())
        return loss

    def train_step_single(self, batch, **fit_params):
        step = super().train_step_single(batch, **fit_params)
        # On a GPU reading the loss would wait for it; there on_epoch_end looks at the history.
        if step["loss"].device.type == "cpu" and not math.isfinite(step["loss"].item()):
            self._diverged("loss", step["loss"].item())
        if not self.gradient_seen_:
            self.gradient_seen_ = any(
                p.grad is not None and p.grad.abs().max() > self.NO_GRADIENT
                for p in self.module_.parameters()
            )
        return step

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        super().on_epoch_end(net, dataset_train, dataset_valid, **kwargs)
        if self.history[-1]["train_batch_count"] == 0:
            raise ValueError(
                f"An epoch had no batch: {len(dataset_train)} rows do not fill one, and "
                f"net_params drops the last."
            )
        for loss in self.history[-1, "batches", :, "train_loss"]:
            if not math.isfinite(loss):
                self._diverged("loss", loss)
        if not all(p.isfinite().all() for p in self.module_.parameters()):
            self._diverged("largest weight", math.inf)

    def _diverged(self, what, value):
        raise ValueError(
            f"The training diverged in epoch {len(self.history)}: the {what} is {value}. Lower "
            f"lr={self.lr}, scale the features if the module is your own, or choose another "
            f"loss than {self.criterion_!r}."
        )


class OneCycle(Callback):
    """Learning rate up to its given value and down to almost 0, in one cycle over a fit."""

    def on_train_begin(self, net, **kwargs):
        self.highest_ = [group["lr"] for group in net.optimizer_.param_groups]
        self.schedule_ = None

    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        if self.schedule_ is None and net.one_cycle_:
            n_batches = len(net.get_iterator(dataset_train, training=True))
            self.schedule_ = torch.optim.lr_scheduler.OneCycleLR(
                net.optimizer_,
                self.highest_,
                total_steps=net.n_epochs_ * n_batches + 1,
                cycle_momentum=False,
            )

    def on_batch_end(self, net, training=False, **kwargs):
        if training and self.schedule_ is not None:
            self.schedule_.step()

    def on_train_end(self, net, **kwargs):
        for group, lr in zip(net.optimizer_.param_groups, self.highest_, strict=True):
            group["lr"] = lr
        self.schedule_ = None


class Progress(Callback):
    """Progress bar over the epochs of a fit."""

    bar_ = None

    def on_train_begin(self, net, **kwargs):
        if net.one_cycle_:  # not for the single pass of partial_fit
            self.bar_ = tqdm(total=net.n_epochs_, desc="Training", unit="epoch")

    def on_epoch_end(self, net, **kwargs):
        if self.bar_ is not None:
            self.bar_.set_postfix(loss=f"{net.history[-1, 'train_loss']:.4g}", refresh=False)
            self.bar_.update()

    def on_train_end(self, net, **kwargs):
        if self.bar_ is not None:
            self.bar_.close()
            self.bar_ = None


def is_schedule(entry):
    """Tell whether an entry of `callbacks` is one of skorch's learning-rate schedules."""
    callback = entry[1] if isinstance(entry, tuple) else entry
    return isinstance(callback, LRScheduler) or callback is LRScheduler


def _raised_by_callback(stop):
    """Tell a callback's way to end the training from the user's Ctrl-C.

    A callback executes a raise statement; a signal arrives at any other instruction.
    """
    frame, in_callback = stop.__traceback__, False
    while True:
        in_callback |= isinstance(frame.tb_frame.f_locals.get("self"), Callback)
        if frame.tb_next is None:
            break
        frame = frame.tb_next
    instruction = frame.tb_frame.f_code.co_code[frame.tb_lasti]
    return in_callback and dis.opname[instruction] == "RAISE_VARARGS"


@contextmanager
def seeded_globally(seed, device):
    """Seed the global generators of torch and numpy and restore them, a thread at a time."""
    cuda = [device] if device.type == "cuda" else []
    with _GLOBAL_GENERATOR, torch.random.fork_rng(devices=cuda):
        before = np.random.get_state()
        np.random.seed(seed)
        # torch.manual_seed would seed the devices that are not restored, too.
        torch.random.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        try:
            yield
        finally:
            np.random.set_state(before)

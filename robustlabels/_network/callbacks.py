"""Callbacks that pace a training and show its progress, and what callbacks do in general."""

import dis
from contextlib import contextmanager

from skorch.callbacks import Callback, EarlyStopping, EpochScoring, LRScheduler
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau
from tqdm.auto import tqdm

from ..losses import ForwardCorrected

NO_VALIDATION_ROWS = (
    "A callback looks at 'valid_loss', but there are no validation rows. Set some aside with "
    "net_params={'train_split': skorch.dataset.ValidSplit(5)}, or let the callback "
    "monitor='train_loss'."
)

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class OneCycle(Callback):
    """Learning rate up to its given value and down to almost 0, in one cycle over a fit."""

    def on_train_begin(self, net, **kwargs):
        self.highest_ = [group["lr"] for group in net.optimizer_.param_groups]
        self.schedule_ = None

    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        if self.schedule_ is None and net.one_cycle_:
            n_batches = len(net.get_iterator(dataset_train, training=True))
            self.schedule_ = OneCycleLR(
                net.optimizer_,
                self.highest_,
                total_steps=(net.epochs_before_ + net.n_epochs_) * n_batches + 1,
                cycle_momentum=False,
            )
            if net.epochs_before_:
                # The cycle goes on; torch wants what a schedule from the start leaves behind.
                self.schedule_ = OneCycleLR(
                    net.optimizer_,
                    self.highest_,
                    total_steps=self.schedule_.total_steps,
                    cycle_momentum=False,
                    last_epoch=net.epochs_before_ * n_batches - 1,
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


def is_callback(entry):
    """Tell whether an entry of `callbacks` is a callback, its class or a pair with its name."""
    if isinstance(entry, tuple | list):
        if len(entry) != 2 or not isinstance(entry[0], str):
            return False
        entry = entry[1]
    # Any object with the methods that a net calls: not all inherit from skorch's class.
    return hasattr(entry, "initialize") and hasattr(entry, "on_train_begin")


def is_schedule(entry):
    """Tell whether an entry of `callbacks` is one of skorch's learning-rate schedules."""
    callback = entry[1] if isinstance(entry, tuple | list) else entry
    return isinstance(callback, LRScheduler) or callback is LRScheduler


def check_monitors(net):
    """Refuse callbacks that watch a loss which is not there, or cannot tell when it stagnates."""
    negative = [loss for loss in net.losses_ if _can_be_negative(loss)]
    for name, callback in net.callbacks_:
        monitor = getattr(callback, "monitor", None)
        if isinstance(callback, EarlyStopping) and monitor == "valid_loss" and not net.train_split:
            raise ValueError(NO_VALIDATION_ROWS)
        if not isinstance(monitor, str) or not _has_relative_threshold(callback):
            continue
        if negative and monitor in ("train_loss", "valid_loss"):
            why = f"can be negative with {negative[0]!r}"
        elif _is_negative_score(monitor, net):
            why = "is negative"
        else:
            continue
        raise ValueError(
            f"The callback {name!r} monitors {monitor!r}, which {why}; its threshold is "
            f"relative, so below zero each epoch counts as an improvement. Set "
            f"threshold_mode='abs' in it, with a threshold that fits."
        )


def _is_negative_score(monitor, net):
    """Tell whether a monitor is the score of a callback of which greater is better, a negative."""
    for _, callback in net.callbacks_:
        if isinstance(callback, EpochScoring) and callback.name_ == monitor:
            scoring = callback.scoring
            negative = isinstance(scoring, str) and scoring.startswith("neg_")
            return negative or getattr(scoring, "_sign", 1) < 0
    return False


@contextmanager
def not_started_anew(callbacks):
    """Let a net be made from callbacks that have been copied with what they have recorded.

    Their `initialize`, which a net calls, may forget it, or open a file or a connection.
    """
    objects = [entry[1] if isinstance(entry, tuple | list) else entry for entry in callbacks or ()]
    objects = [callback for callback in objects if not isinstance(callback, type)]
    for callback in objects:
        callback.initialize = lambda: None
    try:
        yield
    finally:
        for callback in objects:
            del callback.initialize


def _has_relative_threshold(callback):
    """Tell whether a callback takes a share of the monitored value for an improvement."""
    if isinstance(callback, LRScheduler):
        policy = callback.policy_
        if not (isinstance(policy, type) and issubclass(policy, ReduceLROnPlateau)):
            return False
        # Not attributes unless they are given; these are the defaults of torch.
        given = {"threshold": 1e-4, "threshold_mode": "rel", **callback.kwargs}
        return given["threshold_mode"] == "rel" and given["threshold"] != 0
    if not isinstance(callback, EarlyStopping):
        return False
    return callback.threshold_mode == "rel" and callback.threshold != 0


def _can_be_negative(loss):
    if isinstance(loss, ForwardCorrected):  # as its inner loss, the cross-entropy if None
        return loss.loss is not None and _can_be_negative(loss.loss)
    return not loss.positive


def looks_at_batches(callback):
    """Tell whether a callback does something at each training batch, or reads the record of it."""
    if not type(callback).__module__.startswith(("skorch.", __name__)):
        return True  # a user's own may read it at the end of the epoch
    idle = {getattr(Callback, hook) for hook in _BATCH_HOOKS}
    if isinstance(callback, EpochScoring) and not callback.on_train:
        idle.add(EpochScoring.on_batch_end)  # it looks at validation batches only
    hooks = (getattr(callback, hook) for hook in _BATCH_HOOKS)
    return any(getattr(hook, "__func__", hook) not in idle for hook in hooks)


def raised_by_callback(stop):
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

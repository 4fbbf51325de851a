"""Callbacks of skorch: the learning rate, the progress bar, and checks of a user's own."""

from typing import Any

from skorch.callbacks import Callback, EarlyStopping, EpochScoring, LRScheduler
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau
from tqdm.auto import tqdm

from .._validation.sklearn_private import scorer_sign
from ..losses import ForwardCorrected, Loss

NO_VALIDATION_ROWS = (
    "A callback monitors 'valid_loss', but there are no validation rows. Set some aside with "
    "net_params={'train_split': skorch.dataset.ValidSplit(5)}, or let the callback "
    "monitor='train_loss'."
)

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class StoppedByCallback(KeyboardInterrupt):
    """A KeyboardInterrupt that left a callback: skorch's way to end a training."""


class BatchCallback(Callback):
    """A callback that acts after each training batch and reads no record of it."""


class OneCycle(BatchCallback):
    """Learning rate that rises to its given value and falls to almost 0 in one cycle over a fit."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.highest_ = [group["lr"] for group in net.optimizer_.param_groups]
        self.schedule_: OneCycleLR | None = None

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, **kwargs: Any) -> None:
        if self.schedule_ is None and net.one_cycle_:
            n_batches = len(net.get_iterator(dataset_train, training=True))
            self.schedule_ = OneCycleLR(
                net.optimizer_,
                self.highest_,
                total_steps=net.n_epochs_ * n_batches + 1,
                cycle_momentum=False,
            )

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        if training and self.schedule_ is not None:
            self.schedule_.step()

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        for group, lr in zip(net.optimizer_.param_groups, self.highest_, strict=True):
            group["lr"] = lr
        self.schedule_ = None


class Progress(Callback):
    """Progress bar over the epochs of a fit."""

    bar_ = None

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        if net.one_cycle_:  # not for the single pass of partial_fit
            self.bar_ = tqdm(total=net.n_epochs_, desc="Training", unit="epoch")

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        if self.bar_ is not None:
            self.bar_.set_postfix(loss=f"{net.history[-1, 'train_loss']:.4g}", refresh=False)
            self.bar_.update()

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        if self.bar_ is not None:
            self.bar_.close()
            self.bar_ = None


def unnamed(entry: Any) -> Any:
    """Return the callback of an entry of `callbacks`, which may be a (name, callback) pair."""
    return entry[1] if isinstance(entry, tuple | list) else entry


def is_callback(entry: Any) -> bool:
    """Return whether an entry of `callbacks` is a callback, its class or a pair with its name."""
    if isinstance(entry, tuple | list) and (len(entry) != 2 or not isinstance(entry[0], str)):
        return False
    # Any object with the methods that a net calls: not all inherit from skorch's class.
    return all(hasattr(unnamed(entry), name) for name in ("initialize", "on_train_begin"))


def is_schedule(entry: Any) -> bool:
    """Return whether an entry of `callbacks` is one of skorch's learning-rate schedules."""
    callback = unnamed(entry)
    return isinstance(callback, LRScheduler) or callback is LRScheduler


def needs_batches(callback: Any) -> bool:
    """Return whether a callback acts at each training batch, or may read the record of it."""
    if isinstance(callback, (BatchCallback, Progress)):
        return False
    if not type(callback).__module__.startswith("skorch."):
        return True  # a user's own may read it at the end of the epoch
    idle = {getattr(Callback, hook) for hook in _BATCH_HOOKS}
    if isinstance(callback, EpochScoring) and not callback.on_train:
        idle.add(EpochScoring.on_batch_end)  # it looks at validation batches only
    hooks = (getattr(callback, hook) for hook in _BATCH_HOOKS)
    return any(getattr(hook, "__func__", hook) not in idle for hook in hooks)


def check_monitors(net: Any) -> None:
    """Reject callbacks that monitor a missing loss, or whose threshold does not fit its sign."""
    scorings = {c.name_: c.scoring for _, c in net.callbacks_ if isinstance(c, EpochScoring)}
    negative = [loss for loss in net.losses_ if _can_be_negative(loss)]
    for name, callback in net.callbacks_:
        monitor = getattr(callback, "monitor", None)
        if isinstance(callback, EarlyStopping) and monitor == "valid_loss" and not net.train_split:
            raise ValueError(NO_VALIDATION_ROWS)
        scoring = scorings.get(monitor)
        if negative and monitor in ("train_loss", "valid_loss"):
            why = f"can be negative with {negative[0]!r}"
        elif str(scoring).startswith("neg_") or scorer_sign(scoring) < 0:
            why = "is negative"
        else:
            continue
        if _has_relative_threshold(callback):
            raise ValueError(
                f"The callback {name!r} monitors {monitor!r}, which {why}. Its threshold is "
                f"relative, so below zero every epoch counts as an improvement. Set "
                f"threshold_mode='abs' and a suitable threshold."
            )


def _has_relative_threshold(callback: Any) -> bool:
    """Return whether a callback compares improvements with a share of the monitored value."""
    if isinstance(callback, EarlyStopping):
        given = vars(callback)
    elif ReduceLROnPlateau in getattr(getattr(callback, "policy_", None), "__mro__", ()):
        # Not attributes unless they are given; these are the defaults of torch.
        given = {"threshold": 1e-4, "threshold_mode": "rel", **callback.kwargs}
    else:
        return False
    return given["threshold_mode"] == "rel" and given["threshold"] != 0


def _can_be_negative(loss: Loss) -> bool:
    if isinstance(loss, ForwardCorrected):  # as its inner loss; None is the cross-entropy
        return loss.loss is not None and _can_be_negative(loss.loss)
    return not loss.positive

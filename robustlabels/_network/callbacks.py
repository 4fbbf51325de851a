"""Callbacks that pace a training and show its progress, and what callbacks do in general."""

import dis

import torch
from skorch.callbacks import Callback, EpochScoring, LRScheduler
from tqdm.auto import tqdm

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


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

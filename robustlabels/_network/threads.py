"""How many threads torch computes on."""

import threading
from contextlib import contextmanager, nullcontext
from numbers import Integral

import torch

#: Multiply-adds of a batch, forward, up to which a second thread is not worth its risk: beside
#: another busy process two threads of torch wait for each other, at many times the cost.
_SMALL_BATCH = 2**30


class Threads:
    """Context in which torch computes on so many threads, also when several enter at once.

    torch holds this number twice, for the process and for each of its threads. So whoever
    leaves restores it: to what its own thread had asked for around this context, or else to what
    it was before the first thread entered.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._inside = 0
        self._before = None
        self._asked = threading.local()

    @contextmanager
    def __call__(self, n_threads):
        around = getattr(self._asked, "number", None)
        with self._lock:
            # In a new thread this call makes torch forget what was set, so it comes first.
            present = torch.get_num_threads()
            torch.set_num_threads(n_threads)  # before the rest: it may refuse the number
            if self._inside == 0:
                self._before = present
            self._inside += 1
        self._asked.number = n_threads
        try:
            yield
        finally:
            self._asked.number = around
            with self._lock:
                self._inside -= 1
                torch.set_num_threads(self._before if around is None else around)


threads = Threads()


def threads_for(net, n_rows, n_threads):
    """Return the context that sets torch's threads while a net computes batches of `n_rows` rows.

    `n_threads` is a number or "auto": one, unless the batches are large, then what is set.
    """
    if torch.device(net.device).type != "cpu":
        return nullcontext()
    if n_threads != "auto":
        # It may have been set since `fit`, which checks all parameters.
        if not isinstance(n_threads, Integral) or n_threads < 1:
            raise ValueError(f"n_threads must be 'auto' or an integer >= 1. Got {n_threads!r}.")
        return threads(int(n_threads))
    n_weights = sum(p.numel() for p in net.module_.parameters())
    return threads(1) if n_rows * n_weights < _SMALL_BATCH else nullcontext()

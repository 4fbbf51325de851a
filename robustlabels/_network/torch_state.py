"""What torch holds for the whole process: its number of threads, and its random state."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from numbers import Integral
from typing import Any

import numpy as np
import torch

from .settings import NETWORK

_lock = threading.Lock()

#: The number before each context that is open at this moment, in any thread.
_before: list[int] = []

#: The number that this thread has asked for.
_asked = threading.local()


@contextmanager
def threads(n_threads: int) -> Iterator[None]:
    """Let torch use a number of threads, also if several threads enter at once.

    torch holds this number twice, for the process and for each of its threads. Leaving restores
    the number that the same thread set in an outer context, or else the number before the first
    thread entered.
    """
    outer = getattr(_asked, "number", None)
    with _lock:
        # In a new thread this call makes torch forget what was set, so it comes first.
        present = torch.get_num_threads()
        torch.set_num_threads(n_threads)  # before the rest: it may reject the number
        _before.append(present)
    _asked.number = n_threads
    try:
        yield
    finally:
        _asked.number = outer
        with _lock:
            torch.set_num_threads(_before[0] if outer is None else outer)
            _before.pop()


def threads_for(net: Any, n_rows: int, n_threads: int | str) -> AbstractContextManager[None]:
    """Return the context that sets torch's threads while a net computes batches of `n_rows` rows.

    "auto" is one thread unless the batches are large; then torch's own number stays.
    """
    if torch.device(net.device).type != "cpu":
        return nullcontext()
    if isinstance(n_threads, str) and n_threads == "auto":
        n_weights = sum(p.numel() for p in net.module_.parameters())
        return threads(1) if n_rows * n_weights < NETWORK.small_batch else nullcontext()
    # It may have been set since `fit`, which checks all parameters.
    if not isinstance(n_threads, Integral) or n_threads < 1:
        raise ValueError(f"n_threads must be 'auto' or an integer >= 1. Got {n_threads!r}.")
    return threads(int(n_threads))


#: torch initialises modules from its one global generator.
_GLOBAL_GENERATOR = threading.RLock()


@contextmanager
def seeded_globally(seed: int, device: Any) -> Iterator[None]:
    """Seed the global generators of torch and numpy, then restore them; one thread at a time."""
    cuda = [device] if torch.device(device).type == "cuda" else []
    with _GLOBAL_GENERATOR, torch.random.fork_rng(devices=cuda):
        before = np.random.get_state()
        np.random.seed(seed)
        # torch.manual_seed would also seed the devices that are not restored.
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        try:
            yield
        finally:
            np.random.set_state(before)

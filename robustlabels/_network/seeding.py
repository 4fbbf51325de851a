"""The global random states of torch and numpy, set and restored."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

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

"""Private attributes of torch, read here alone: they may change."""

from typing import Any


def uncompiled(module: Any) -> Any:
    """Return the module that ``torch.compile`` wraps, or the module itself."""
    return getattr(module, "_orig_mod", module)

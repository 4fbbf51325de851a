# ruff: noqa: F403
"""Losses for training with wrong labels: the catalogue, operators on losses, and their theory."""

import importlib
import pkgutil
from typing import TYPE_CHECKING

from . import theory as theory

#: The public names of every module of this package. A new module needs no entry here.
__all__ = []

for _found in pkgutil.iter_modules(__path__):
    if _found.name.startswith("_"):
        _module = importlib.import_module(f"{__name__}.{_found.name}")
        __all__ += _module.__all__
        globals().update({name: getattr(_module, name) for name in _module.__all__})

if TYPE_CHECKING:
    # For type checkers, which cannot follow the loop. `python docs/losses_table.py` writes it.
    from ._asymmetric import *
    from ._bases import *
    from ._boosting import *
    from ._corrected import *
    from ._cross_entropy import *
    from ._display import *
    from ._loss import *
    from ._names import *
    from ._normalized import *
    from ._symmetrized import *
    from ._whole_distribution import *
    from ._wrappers import *

"""Types in public signatures that have no name elsewhere."""

from typing import Any, TypeAlias

import numpy as np

#: An array, data frame, sparse matrix or Dask collection. No type covers all of them.
Features: TypeAlias = Any

#: Values of `random_state`.
Seed: TypeAlias = int | np.random.RandomState | None

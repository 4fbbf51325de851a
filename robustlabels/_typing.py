"""Types of the public surface that have no name elsewhere."""

from typing import Any, TypeAlias

import numpy as np

#: An array, data frame, sparse matrix or Dask collection: no type is all of these.
Features: TypeAlias = Any

#: What `random_state` takes.
Seed: TypeAlias = int | np.random.RandomState | None

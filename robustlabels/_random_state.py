"""Where randomness comes from."""

import numpy as np
from sklearn.utils import check_random_state


def draw_from(random_state):
    """Return the ``RandomState`` that stands for a `random_state` parameter.

    As scikit-learn's ``check_random_state``, but None gives fresh entropy: the global state
    of numpy is neither read nor advanced.
    """
    return np.random.RandomState() if random_state is None else check_random_state(random_state)

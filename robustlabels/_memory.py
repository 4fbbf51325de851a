"""What costs time and depends on data and random draws alone, kept between fits."""

import warnings
from importlib.metadata import version

from sklearn.utils.validation import check_memory


def remember(memory, function, *args, rng, **settings):
    """Return ``function(*args, rng=rng, **settings)``, or what `memory` knows it to be.

    Either way `rng` has drawn what the function draws, so that all that follows is the same.

    Parameters
    ----------
    memory : joblib.Memory, str or None
        Where results are kept; None keeps nothing.
    function : function
        What depends on its arguments alone, but for the settings.
    *args
        Arguments that pickle.
    rng : numpy.random.RandomState
        Random state, a part of what is looked up.
    **settings
        What the result does not depend on: `n_jobs`, `verbose`.

    Returns
    -------
    result
        Whatever the function returns.
    """
    # The state itself is the key: random states of one state pickle differently. What another
    # version has found may not be what this one finds.
    versions = version("robustlabels"), version("scikit-learn")
    cached = check_memory(memory).cache(_call, ignore=["rng", "settings"])
    with warnings.catch_warnings():
        # joblib looks at the clock to guess that; beside busy processes it is wrong.
        warnings.filterwarnings("ignore", "Persisting input arguments took")
        result, state = cached(function, args, rng.get_state(legacy=False), versions, rng, settings)
    rng.set_state(state)
    return result


def memory_of(estimator):
    """Return where an estimator keeps what it finds, or None if it would never find it again.

    Fresh entropy does not come twice; a file for each fit would fill the folder.
    """
    return None if estimator.random_state is None else estimator.memory


def _call(function, args, state, versions, rng, settings):
    return function(*args, rng=rng, **settings), rng.get_state(legacy=False)

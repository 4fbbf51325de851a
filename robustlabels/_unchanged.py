"""A failed fit leaves the estimator as it was."""

from contextlib import contextmanager


@contextmanager
def unchanged_on_error(estimator, error=Exception):
    """Restore all attributes of `estimator` if fitting fails: nothing fitted before is lost."""
    before = dict(vars(estimator))
    try:
        yield
    except error:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise

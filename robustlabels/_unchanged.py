"""A fit that fails or is stopped leaves the estimator as it was."""

from contextlib import contextmanager


@contextmanager
def unchanged_on_error(estimator, error=BaseException):
    """Restore all attributes of `estimator` if fitting fails, or is stopped by Ctrl-C.

    Nothing fitted before is lost. Other errors than `error` leave what there is.
    """
    before = dict(vars(estimator))
    try:
        yield
    except error:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise

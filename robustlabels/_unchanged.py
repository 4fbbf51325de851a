"""A fit that fails or is stopped leaves the estimator as it was."""

from contextlib import contextmanager

_NOTE = "Nothing was learned; what was fitted before is as it was."


@contextmanager
def unchanged_on_error(estimator, error=BaseException):
    """Restore all attributes of `estimator` if fitting fails, or is stopped by Ctrl-C.

    Nothing fitted before is lost. Other errors than `error` leave what there is, unless what the
    context gives is called with them: it restores, too.
    """
    before = dict(vars(estimator))

    def restore(raised):
        vars(estimator).clear()
        vars(estimator).update(before)
        # One estimator may fit another.
        if isinstance(raised, KeyboardInterrupt) and _NOTE not in getattr(raised, "__notes__", ()):
            raised.add_note(_NOTE)

    try:
        yield restore
    except error as raised:
        restore(raised)
        raise

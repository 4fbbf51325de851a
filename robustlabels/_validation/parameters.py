"""What a mistyped name of a parameter was probably meant to be."""

import difflib


def suggest(name, known):
    """Return a sentence with the known name that is most like another, or nothing."""
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def suggest_parameters(estimator, params):
    """Say which parameter of an estimator is meant by an unknown one that is much like it."""
    known = estimator.get_params(deep=False)
    for name in params:
        hint = suggest(name, known)
        if "__" not in name and name not in known and hint:
            raise ValueError(
                f"Invalid parameter {name!r} for estimator {type(estimator).__name__}.{hint}"
            )

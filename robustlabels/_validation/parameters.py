"""Suggestions for misspelt parameter names."""

import difflib


def suggest(name, known):
    """Return a sentence with the most similar known name, or nothing."""
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def suggest_parameters(estimator, params):
    """Raise for an unknown parameter that resembles one of the estimator."""
    known = estimator.get_params(deep=False)
    for name in params:
        hint = suggest(name, known)
        if "__" not in name and name not in known and hint:
            raise ValueError(
                f"Invalid parameter {name!r} for estimator {type(estimator).__name__}.{hint}"
            )

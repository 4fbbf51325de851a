"""Losses by name."""

from typing import Any

from .._validation.parameters import suggest
from ._loss import CATALOGUE, Loss

__all__ = ["available_losses", "get_loss"]


def available_losses() -> list[str]:
    """List the names that :func:`get_loss` and ``RobustClassifier(loss=...)`` accept.

    Returns
    -------
    names : list of str
        Names of losses, in alphabetical order.

    See Also
    --------
    get_loss : Make a loss by its name.

    Examples
    --------
    >>> from robustlabels.losses import available_losses
    >>> available_losses()[:5]
    ['ael', 'agce', 'alpha-mae', 'amse', 'anl-ce']
    """
    return sorted(CATALOGUE)


def get_loss(name: str, **params: Any) -> Loss:
    """Make a loss by its name.

    Parameters
    ----------
    name : str
        One of :func:`available_losses`.
    **params : dict
        Hyperparameters of that loss. The others keep their defaults.

    Returns
    -------
    loss : Loss
        A new loss object.

    Raises
    ------
    ValueError
        If no loss has that name, it has no such hyperparameter, or a value is outside its domain.

    See Also
    --------
    available_losses : All names.

    Notes
    -----
    Sums such as "nce+agce" have the settings of their papers for CIFAR-10, except that the second
    term of "nce+agce" and "nce+aul" has weight 1 instead of 4. The page "Losses" of the
    documentation says why, and lists the settings for other data sets.

    Examples
    --------
    >>> from robustlabels.losses import get_loss
    >>> get_loss("sgce", q=0.4)
    SGCE(q=0.4)
    """
    if name not in CATALOGUE:
        names = available_losses()
        hint = suggest(str(name).lower().replace("_", "-"), names)
        raise ValueError(
            f"Unknown loss {name!r}.{hint} Choose one of {', '.join(map(repr, names))}, "
            f"or pass a robustlabels.losses.Loss object."
        )
    loss = CATALOGUE[name]().set_params(**params)
    loss._validate_params()
    return loss

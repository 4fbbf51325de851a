"""The names of the losses."""

import difflib

from ._catalogue import AEL, AGCE, AUL, CE, GCE, MAE, AlphaMAE
from ._symmetrized import SGCE, Unhinged

__all__ = ["available_losses", "get_loss"]

_LOSSES = {
    "ce": CE,
    "mae": MAE,
    "gce": GCE,
    "unhinged": Unhinged,
    "sgce": SGCE,
    "alpha-mae": AlphaMAE,
    "agce": AGCE,
    "aul": AUL,
    "ael": AEL,
}


def available_losses():
    """List the names that :func:`get_loss` and ``RobustClassifier(loss=...)`` take.

    Returns
    -------
    names : list of str
        Names of the losses, the non-robust ``"ce"`` first.

    See Also
    --------
    get_loss : Make a loss by its name.

    Examples
    --------
    >>> from robustlabels.losses import available_losses
    >>> available_losses()
    ['ce', 'mae', 'gce', 'unhinged', 'sgce', 'alpha-mae', 'agce', 'aul', 'ael']
    """
    return list(_LOSSES)


def get_loss(name, **params):
    """Make a loss by its name.

    Parameters
    ----------
    name : str
        One of :func:`available_losses`.
    **params : dict
        Hyperparameters of that loss; those left out take its defaults.

    Returns
    -------
    loss : Loss
        A new loss object.

    Raises
    ------
    ValueError
        If there is no loss of that name, it has no such hyperparameter, or a value lies
        outside its domain.

    See Also
    --------
    available_losses : All names.

    Examples
    --------
    >>> from robustlabels.losses import get_loss
    >>> get_loss("sgce", q=0.3)
    SGCE(q=0.3)
    """
    if name not in _LOSSES:
        close = difflib.get_close_matches(str(name).lower().replace("_", "-"), _LOSSES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"Unknown loss {name!r}.{hint} Choose one of {', '.join(map(repr, _LOSSES))}, "
            f"or pass a robustlabels.losses.Loss object."
        )
    known = _LOSSES[name]._get_param_names()
    unknown = sorted(set(params) - set(known))
    if unknown:
        raise ValueError(
            f"The loss {name!r} has no parameter {', '.join(map(repr, unknown))}. "
            f"It has {', '.join(map(repr, known))}."
        )
    loss = _LOSSES[name](**params)
    loss._validate_params()
    return loss

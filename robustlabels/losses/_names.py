"""The names of the losses."""

import difflib

from ._asymmetric import AEL, AGCE, AMSE, AUL
from ._cross_entropy import CE, GCE, MAE, RCE, SCE, Focal, JensenShannon, TaylorCE, TruncatedGCE
from ._normalized import NCE, NFL, NGCE, NNCE
from ._symmetrized import SGCE, AlphaMAE, Unhinged
from ._whole_distribution import LDR, BiTempered, SoftBootstrap

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
    "amse": AMSE,
    "focal": Focal,
    "rce": RCE,
    "sce": SCE,
    "taylor-ce": TaylorCE,
    "truncated-gce": TruncatedGCE,
    "js": JensenShannon,
    "ldr": LDR,
    "bi-tempered": BiTempered,
    "soft-bootstrap": SoftBootstrap,
    "nce": NCE,
    "nfl": NFL,
    "ngce": NGCE,
    "nnce": NNCE,
    "nce+mae": lambda: NCE() + MAE(),
    "nce+rce": lambda: NCE() + RCE(),
    "nfl+mae": lambda: NFL() + MAE(),
    "nfl+rce": lambda: NFL() + RCE(),
    "nce+agce": lambda: NCE() + 4 * AGCE(a=6.0, q=1.5),
    "nce+aul": lambda: NCE() + 4 * AUL(a=6.3, p=1.5),
    "nce+ael": lambda: NCE() + 4 * AEL(a=5.0),
    "anl-ce": lambda: 5 * NCE() + 5 * NNCE(),
    "jal-ce": lambda: NCE() + AMSE(a=30.0),
    "jal-fl": lambda: NFL() + AMSE(a=30.0),
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
    >>> available_losses()[:5]
    ['ce', 'mae', 'gce', 'unhinged', 'sgce']
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
    loss = _LOSSES[name]()
    known = loss.get_params()
    unknown = sorted(set(params) - set(known))
    if unknown:
        raise ValueError(
            f"The loss {name!r} has no parameter {', '.join(map(repr, unknown))}. "
            f"It has {', '.join(map(repr, known))}."
        )
    loss.set_params(**params)
    loss._validate_params()
    return loss

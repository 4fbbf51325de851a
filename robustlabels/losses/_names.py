"""The names of the losses."""

from collections.abc import Callable
from typing import Any

from .._validation.parameters import suggest
from ._asymmetric import (
    AEL,
    AGCE,
    AMSE,
    AUL,
)
from ._cross_entropy import (
    CE,
    GCE,
    MAE,
    RCE,
    SCE,
    Focal,
    JensenShannon,
    TaylorCE,
    TruncatedGCE,
)
from ._loss import Loss
from ._normalized import (
    NCE,
    NFL,
    NGCE,
    NNCE,
)
from ._symmetrized import SGCE, AlphaMAE, Unhinged
from ._whole_distribution import LDR, BiTempered, SoftBootstrap

__all__ = ["available_losses", "get_loss"]

_LOSSES: dict[str, Callable[[], Any]] = {
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
    "nce+agce": lambda: NCE() + AGCE(a=6.0, q=1.5),
    "nce+aul": lambda: NCE() + AUL(a=6.3, p=1.5),
    "nce+ael": lambda: NCE() + 4 * AEL(a=5.0),
    "anl-ce": lambda: 5 * NCE() + 5 * NNCE(),
    "jal-ce": lambda: NCE() + AMSE(a=30.0),
    "jal-fl": lambda: NFL() + AMSE(a=30.0),
}


def available_losses() -> list[str]:
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


def get_loss(name: str, **params: Any) -> Loss:
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

    Notes
    -----
    The combinations have the weights and hyperparameters that their papers use on CIFAR-10, but
    "nce+agce" and "nce+aul" weigh their second term 1 instead of 4: with 4 they fall behind the
    cross-entropy at 100 classes (``benchmarks/many_classes.py``). What the papers use elsewhere,
    as weights of the two terms:

    ================== ============== ============================ =======================
    name               MNIST          CIFAR-100                    WebVision
    ================== ============== ============================ =======================
    nce+mae, nfl+mae   1, 10          10, 1                        50, 1
    nce+rce, nfl+rce   1, 10          10, 0.1                      50, 0.1
    nce+agce           0, 1 (4, 0.2)  10, 0.1 (a = 1.8, q = 3)     50, 0.1 (2.5, 3)
    nce+aul            0, 1 (3, 0.1)  10, 0.015 (a = 6, p = 3)
    nce+ael            0, 1 (3.5)     10, 0.1 (a = 1.5)
    anl-ce             1, 1           10, 1                        20, 1
    jal-ce, jal-fl                    5, 1 (a = 20)                50, 1 (a = 30)
    ================== ============== ============================ =======================

    To convert: where code has MAE = 2 (1 - p), its weight counts twice here; where it clamps RCE
    at 1e-4, its weight counts 2.303 times here, with A = -4.
    "anl-ce" and the "jal" pairs come with an L1 penalty instead of weight decay in their papers:
    ``RobustClassifier("anl-ce", l1_penalty=5e-5, weight_decay=0)`` for CIFAR-10.

    References
    ----------
    .. [1] Ma and others, "Normalized Loss Functions for Deep Learning with Noisy Labels",
       ICML 2020: nce+mae, nce+rce, nfl+mae, nfl+rce.
    .. [2] Zhou and others, "Asymmetric Loss Functions for Learning with Noisy Labels",
       ICML 2021: nce+agce, nce+aul, nce+ael.
    .. [3] Ye and others, "Active Negative Loss Functions for Learning with Noisy Labels",
       NeurIPS 2023: anl-ce.
    .. [4] "Joint Asymmetric Loss for Learning with Noisy Labels", ICCV 2025: jal-ce, jal-fl.

    Examples
    --------
    >>> from robustlabels.losses import get_loss
    >>> get_loss("sgce", q=0.4)
    SGCE(q=0.4)
    """
    if name not in _LOSSES:
        hint = suggest(str(name).lower().replace("_", "-"), _LOSSES)
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

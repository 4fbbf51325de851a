"""Losses as objectives of gradient boosting."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import gen_batches

from ._loss import Loss
from ._names import get_loss
from .theory._derivatives import initial_gain

__all__ = ["boosting_objective"]

#: Number of scores differentiated at a time, which bounds the memory.
_BLOCK = 1_000_000
#: Smallest Hessian, that of XGBoost: samples without a gradient have no curvature either.
_SMALLEST = 1e-16


def boosting_objective(loss: str | Loss) -> Callable[..., tuple[NDArray, NDArray]]:
    r"""Make an objective for LightGBM and XGBoost from a loss.

    Pass it as ``objective`` to ``LGBMClassifier`` or ``XGBClassifier``. To learn from noisy
    labels, try ``robustlabels.RefinedClassifier`` first, which corrects the labels instead.

    Parameters
    ----------
    loss : str or Loss
        One of :func:`available_losses`, or a loss object, whose `reduction` has no effect.

    Returns
    -------
    objective : callable
        ``objective(y_true, y_pred, sample_weight=None)`` returns gradient and Hessian, arrays of
        the shape of ``y_pred``: raw scores of shape (n, K) or, for two classes, of shape (n,), the
        score of class 1 where class 0 has score 0. Raises a ValueError if labels are not integers
        from 0 to K - 1, or if the loss has no gradient at equal scores, where boosting starts, as
        TruncatedGCE with k above 1/K. It can be pickled.

    Raises
    ------
    ValueError
        If no loss has that name, or a hyperparameter is outside its domain.

    See Also
    --------
    get_loss : Make a loss by its name, with hyperparameters.

    Notes
    -----
    The loss is divided by its :func:`~robustlabels.losses.theory.initial_gain`. At equal scores
    its gradient is then that of the cross-entropy, and ``reg_lambda`` and ``min_child_weight``
    mean the same as for the booster's own loss.

    With the gradient :math:`g_j` and the probabilities p that the loss sees, the Hessian is

    .. math::
        h_j = c\, |g_j| \cdot
        \begin{cases} 1 - p_j & g_j > 0 \\ p_j & g_j \le 0 \end{cases}
        \qquad c = 1 \text{ for two classes, else } 2

    but at least 1e-16: for the cross-entropy XGBoost's own. For CE, MAE, GCE, RCE, SCE, TaylorCE,
    TruncatedGCE, AGCE, AEL with a >= 1 and AUL with a >= p, it bounds the matrix of second
    derivatives at the present scores, so a Newton step of all K trees together is not too long.
    For other losses it has the scale of that of the cross-entropy, but need not be a bound.

    ``XGBClassifier`` predicts classes and the softmax of the scores. ``LGBMClassifier`` returns
    raw scores, with a warning, so ``score`` and ``GridSearchCV`` need a scorer; see the user
    guide. These probabilities belong to the minimiser of the loss, which for most robust losses
    is more confident than the class probabilities, see :meth:`Loss.inverse_link`.

    Examples
    --------
    >>> from lightgbm import LGBMClassifier
    >>> from sklearn.datasets import load_iris
    >>> from robustlabels.losses import boosting_objective, get_loss
    >>> X, y = load_iris(return_X_y=True)
    >>> objective = boosting_objective(get_loss("gce", q=0.5))
    >>> clf = LGBMClassifier(objective=objective, n_estimators=20, n_jobs=1, verbose=-1).fit(X, y)
    >>> bool((clf.predict(X, raw_score=True).argmax(axis=1) == y).mean() > 0.95)
    True
    """
    loss = clone(loss) if isinstance(loss, Loss) else get_loss(loss)
    loss._validate_params()
    return _BoostingObjective(loss)


class _BoostingObjective:
    """Gradient and Hessian of a loss, as an object because nested functions do not pickle.

    LightGBM counts the parameters of the call; XGBoost passes weights as ``sample_weight``.
    """

    def __init__(self, loss):
        self.loss = loss

    def __repr__(self):
        return f"boosting_objective({self.loss!r})"

    @torch.enable_grad()
    def __call__(self, y_true, y_pred, sample_weight=None):
        labels, scores = _check(y_true, y_pred)
        n_classes = max(2, scores.shape[1])
        gain = initial_gain(self.loss, n_classes)
        if not gain > 0:
            raise ValueError(
                f"Boosting starts at equal scores, where the loss must have a gradient. "
                f"Got {self.loss!r}, whose initial_gain is {gain:g} for {n_classes} classes. "
                f"Choose another loss or other hyperparameters."
            )
        weight = np.ones(len(labels)) if sample_weight is None else np.asarray(sample_weight)
        weight = weight[:, np.newaxis] / gain
        gradient, hessian = np.empty_like(scores), np.empty_like(scores)
        for rows in gen_batches(len(labels), max(1, _BLOCK // n_classes)):
            gradient[rows], hessian[rows] = self._derivatives(labels[rows], scores[rows])
        gradient *= weight
        hessian = np.maximum(hessian * weight, _SMALLEST)
        return gradient.reshape(y_pred.shape), hessian.reshape(y_pred.shape)

    def _derivatives(self, labels, scores):
        """Compute the gradient and the Hessian of the loss for each score."""
        free = torch.tensor(scores, requires_grad=True)
        one = free.shape[1] == 1
        logits = torch.cat([torch.zeros_like(free), free], dim=-1) if one else free
        log_p = self.loss.log_probabilities(logits)
        losses = self.loss.sample_losses(log_p, torch.as_tensor(labels))
        (gradient,) = torch.autograd.grad(losses.sum(), free)
        log_p = torch.log_softmax(self.loss.scores(logits.detach()), dim=-1)[:, -free.shape[1] :]
        away = torch.where(gradient > 0, -torch.expm1(log_p), log_p.exp())
        hessian = (1 if one else 2) * gradient.abs() * away
        return gradient.numpy(), hessian.numpy()


def _check(y_true, y_pred):
    """Return labels as int64, and raw scores as float64 of shape (n, 1) or (n, K)."""
    shape = np.shape(y_pred)
    if not (len(shape) == 1 or (len(shape) == 2 and shape[1] >= 2)):
        raise ValueError(
            f"y_pred must hold raw scores of shape (n,) for two classes or (n, K). Got {shape}. "
            f"Pass the objective to LGBMClassifier or XGBClassifier, not to their train functions."
        )
    if np.shape(y_true) != shape[:1]:
        raise ValueError(
            f"y_true must have shape {shape[:1]}, a label for each row of y_pred. "
            f"Got shape {np.shape(y_true)}."
        )
    scores = np.array(y_pred, dtype=np.float64).reshape(len(y_true), -1)
    n_classes = max(2, scores.shape[1])
    labels = np.asarray(y_true)
    wrong = ~np.isin(labels, np.arange(n_classes))
    if wrong.any():
        raise ValueError(
            f"Labels must be integers from 0 to {n_classes - 1}: y_pred has {n_classes} classes. "
            f"Got {labels[wrong][0]}. Encode them with sklearn.preprocessing.LabelEncoder."
        )
    return labels.astype(np.int64), scores

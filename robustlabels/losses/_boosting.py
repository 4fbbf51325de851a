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

#: Scores that are differentiated at a time: a bound on memory.
_BLOCK = 1_000_000
#: Smallest Hessian, XGBoost's own: rows without a gradient have no curvature either.
_SMALLEST = 1e-16


def boosting_objective(loss: str | Loss) -> Callable[..., tuple[NDArray, NDArray]]:
    r"""Make an objective for LightGBM and XGBoost from a loss.

    The objective goes to the parameter ``objective`` of ``LGBMClassifier`` or
    ``XGBClassifier``. To learn from noisy labels, try ``robustlabels.RefinedClassifier`` first:
    it keeps the loss of the booster and corrects what the loss is given. This function is for
    those who want to change the loss itself.

    Parameters
    ----------
    loss : str or Loss
        Name of a loss, one of :func:`available_losses`, or a loss object. Its `reduction` has no
        effect.

    Returns
    -------
    objective : callable
        ``objective(y_true, y_pred, sample_weight=None)`` returns gradient and Hessian, arrays of
        the shape of ``y_pred``: raw scores, of shape (n,) for two classes, of which they are the
        score of class 1 where class 0 has score 0, or (n, K). It raises a ValueError if labels
        are not integers from 0 to K - 1. It can be pickled.

    Raises
    ------
    ValueError
        If there is no loss of that name, or a hyperparameter lies outside its domain.

    See Also
    --------
    get_loss : Make a loss by its name, with hyperparameters.
    initial_gain : The number that the loss is divided by.

    Notes
    -----
    *Gradient.* That of the loss divided by its :func:`initial_gain`: at equal scores it is the
    gradient of the cross-entropy for every loss that treats all classes alike. Regularisation
    such as ``reg_lambda`` and ``min_child_weight`` then means what it means for the booster's
    own loss.

    *Hessian.* With the gradient :math:`g_j` and the probabilities p that the loss sees,

    .. math::
        h_j = c\, |g_j| \cdot
        \begin{cases} 1 - p_j & g_j > 0 \\ p_j & g_j \le 0 \end{cases}
        \qquad c = 1 \text{ for two classes, else } 2

    but at least 1e-16. Apart from c it is the curvature of the logistic loss of "class j or not"
    that has this gradient at these scores. For the cross-entropy it is p (1 - p) for two classes
    and 2 p (1 - p) for more, XGBoost's own; LightGBM's own has c = K / (K - 1).

    *Safe steps.* Let L be the loss so divided. As a function :math:`\ell(p_y)` of the label's
    probability alone it has the gradient of the cross-entropy times a weight
    :math:`\omega(p_y) = -p_y \ell'(p_y)`, and the Hessian above is
    :math:`c\,\omega(p_y)\,p_j (1 - p_j)`. Where that weight grows with the probability, the loss
    is a concave function of the cross-entropy, which bounds its matrix of second derivatives:

    .. math::
        \nabla^2 L \preceq \omega(p_y) (\mathrm{diag}(p) - p p^\top)
        \preceq 2\, \omega(p_y)\, \mathrm{diag}(p_j (1 - p_j))

    So at the current scores a Newton step of all K trees together is not too long. This holds
    for CE, MAE, GCE, RCE, SCE, TaylorCE, TruncatedGCE, AGCE, AEL with a >= 1 and AUL with a >= p.
    As for the cross-entropy, the bound is local: the learning rate keeps steps near. For other
    losses the Hessian keeps steps in the scale of the cross-entropy, but need not be a bound.

    *Predictions.* ``XGBClassifier`` predicts classes, and as probabilities the softmax of its
    scores. ``LGBMClassifier`` cannot know what the scores of a custom objective mean:
    ``predict`` and ``predict_proba`` return them as they are, with a warning, so that ``score``
    and ``GridSearchCV`` need a scorer. Without the warning::

        scores = clf.predict(X, raw_score=True)
        classes = clf.classes_[scores.argmax(axis=1)]  # two classes: (scores > 0).astype(int)
        proba = scipy.special.softmax(scores, axis=1)  # two classes: expit(scores), of the second

    A loss with a `radius` sees the softmax of :meth:`Loss.scores`, which is less sure. Whatever
    the booster, these probabilities belong to the minimiser of the loss; under most robust
    losses that is surer than the data are, see :meth:`Loss.inverse_link`.

    *Start.* Boosting starts at equal scores here, where the own losses of both packages may start
    at the frequencies of the classes. A loss that pulls nothing there has nothing to start with:
    the objective raises a ValueError, as for TruncatedGCE where k is above 1/K.

    Examples
    --------
    >>> from lightgbm import LGBMClassifier
    >>> from sklearn.datasets import load_iris
    >>> from robustlabels.losses import boosting_objective, get_loss
    >>> X, y = load_iris(return_X_y=True)
    >>> objective = boosting_objective(get_loss("gce", q=0.5))
    >>> clf = LGBMClassifier(objective=objective, n_estimators=20, n_jobs=1, verbose=-1).fit(X, y)
    >>> scores = clf.predict(X, raw_score=True)
    >>> bool((clf.classes_[scores.argmax(axis=1)] == y).mean() > 0.95)
    True
    """
    if not isinstance(loss, Loss):
        loss = get_loss(loss)
    loss = clone(loss)
    loss._validate_params()
    return _BoostingObjective(loss)


class _BoostingObjective:
    """Gradient and Hessian of a loss. A class, for a function within a function does not pickle.

    Both packages look at the signature of the call: LightGBM counts the parameters, XGBoost passes
    weights to a parameter of the name ``sample_weight``.
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
                f"Boosting starts at equal scores, where the loss must pull to the label. "
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
        """Compute the gradient and the curvature of the loss at each row, for each score."""
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
    """Return labels as int64 and raw scores as float64 of shape (n, 1) or (n, K)."""
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

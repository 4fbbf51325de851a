"""Losses corrected by a known transition matrix of the noise."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from .._validation.labels import align
from .._validation.transitions import check_invertible
from ._bases import WrappedLoss
from ._loss import Loss, unmasked

__all__ = ["BackwardCorrected", "ForwardCorrected"]


class _Corrected(WrappedLoss):
    """Base class of the two corrections; it prepares a tensor from the matrix once."""

    _parameter_constraints = {"transition_matrix": ["array-like"]}
    positive = False

    def __init__(self, transition_matrix: ArrayLike, loss: Any, *, reduction: str = "mean") -> None:
        super().__init__(loss, reduction=reduction)
        self.transition_matrix = transition_matrix

    def _prepared(self, log_p):
        """Return the tensor made from the matrix, on the device and in the dtype of the scores."""
        # A loss knows classes by position: names must be the column numbers of the scores.
        positions = range(log_p.shape[-1])
        matrix = align(self.transition_matrix, positions, "transition_matrix", axes=(0, 1))
        matrix = np.asarray(matrix, dtype=np.float64)
        made_from = (matrix.tobytes(), matrix.shape, log_p.shape[-1], log_p.dtype, log_p.device)
        if self.__dict__.get("_made_from") != made_from:
            prepared = self._prepare(check_invertible(matrix, log_p.shape[-1]))
            # A tensor made while predicting must also work in training.
            with torch.inference_mode(False):
                self._tensor = torch.as_tensor(prepared).to(log_p.device, log_p.dtype)
            self._made_from = made_from
        return self._tensor


class BackwardCorrected(_Corrected):
    r"""A loss whose mean under the noise is the clean loss (backward correction).

    .. math:: L_b(f, y) = \sum_j (T^{-1})_{yj} L(f, j)

    Unbiased for any loss: the noisy risk of :math:`L_b` is the clean risk of L [1]_.
    :math:`T^{-1}` has negative entries. An unbounded loss such as the cross-entropy therefore
    loses its lower bound, and a network trained long enough on it diverges.

    Parameters
    ----------
    transition_matrix : array-like of shape (K, K)
        Known noise, ``T[i, j] = P(noisy label j | true class i)``, in the order of the scores, with
        singular values of at least 1e-6. A data frame with class names is rejected.
    loss : Loss
        The loss to correct.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    ForwardCorrected : The correction to prefer for networks.

    References
    ----------
    .. [1] Patrini, Rozza, Menon, Nock and Qu, "Making Deep Neural Networks Robust to Label
       Noise: A Loss Correction Approach", CVPR 2017.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import MAE, BackwardCorrected
    >>> loss = BackwardCorrected([[0.75, 0.25], [0.25, 0.75]], MAE())
    >>> loss(torch.tensor([[50.0, -50.0]]), torch.tensor([0]))
    tensor(-0.5000)
    """

    def _prepare(self, matrix):
        return np.linalg.inv(matrix).T

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        return self.loss.class_losses(unmasked(log_p)) @ self._prepared(log_p)


class ForwardCorrected(_Corrected):
    r"""A loss on the predicted probabilities of the noisy labels (forward correction).

    .. math:: L_f(p, y) = L(T^\top p, y)

    With the cross-entropy the minimiser is the clean posterior [1]_, so the softmax of the scores
    estimates it. Not convex in the scores. A call needs memory for n K^2 numbers.

    Parameters
    ----------
    transition_matrix : array-like of shape (K, K)
        Known noise, ``T[i, j] = P(noisy label j | true class i)``, in the order of the scores, with
        singular values of at least 1e-6. A data frame with class names is rejected.
    loss : Loss or None, default=None
        Loss of the noisy label; None is the cross-entropy.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the per-sample losses, their mean, or their sum.

    See Also
    --------
    BackwardCorrected : Unbiased for any loss, with a larger variance.

    References
    ----------
    .. [1] Patrini, Rozza, Menon, Nock and Qu, "Making Deep Neural Networks Robust to Label
       Noise: A Loss Correction Approach", CVPR 2017.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import ForwardCorrected
    >>> loss = ForwardCorrected([[0.75, 0.25], [0.25, 0.75]])
    >>> loss(torch.tensor([[50.0, -50.0]]), torch.tensor([1]))
    tensor(1.3863)
    """

    _parameter_constraints = {"loss": [Loss, None]}

    def __init__(
        self, transition_matrix: ArrayLike, loss: Loss | None = None, *, reduction: str = "mean"
    ) -> None:
        super().__init__(transition_matrix, loss, reduction=reduction)

    def _prepare(self, matrix):
        # A zero becomes a finite logarithm far below any that matters: -inf would make the
        # gradient of a label that cannot occur NaN.
        return np.log(np.maximum(matrix, 1e-300))

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        log_noisy = torch.logsumexp(log_p.unsqueeze(-1) + self._prepared(log_p), dim=-2)
        return -log_noisy if self.loss is None else self.loss.class_losses(log_noisy)

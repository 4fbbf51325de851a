"""Losses corrected by a known transition matrix of the noise."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from .._validation.labels import align
from .._validation.transitions import check_invertible
from ._loss import Loss, unmasked

__all__ = ["BackwardCorrected", "ForwardCorrected"]


class _Corrected(Loss):
    """A loss and a transition matrix, from which a tensor is prepared once."""

    _parameter_constraints = {
        **Loss._parameter_constraints,
        "loss": [Loss],
        "transition_matrix": ["array-like"],
    }

    def __init__(
        self, loss: Loss | None, transition_matrix: ArrayLike, *, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction=reduction)
        self.loss: Any = loss  # None only where the subclass can do without
        self.transition_matrix = transition_matrix

    def _prepared(self, log_p):
        """Return the tensor made of the matrix, where and as precise as the scores."""
        # A loss knows positions only: names have to be the numbers of the scores.
        positions = range(log_p.shape[-1])
        matrix = align(self.transition_matrix, positions, "transition_matrix", axes=(0, 1))
        matrix = np.asarray(matrix, dtype=np.float64)
        tensor = self.__dict__.get("_tensor")
        if (
            tensor is None
            or (len(tensor), tensor.dtype, tensor.device)
            != (log_p.shape[-1], log_p.dtype, log_p.device)
            or not np.array_equal(matrix, self._prepared_from)
        ):
            self._prepared_from = check_invertible(matrix, log_p.shape[-1]).copy()
            # A tensor made while predicting must serve in training, too.
            with torch.inference_mode(False):
                prepared = torch.as_tensor(self._prepare(self._prepared_from))
                self._tensor = prepared.to(log_p.device, log_p.dtype)
        return self._tensor


class BackwardCorrected(_Corrected):
    r"""A loss whose mean under the noise is its mean without (backward correction).

    .. math:: L_b(f, y) = \sum_j (T^{-1})_{yj} L(f, j)

    Parameters
    ----------
    loss : Loss
        The loss to correct.
    transition_matrix : array-like of shape (K, K)
        Known noise, ``T[i, j] = P(noisy label j | true class i)``, invertible, in the order of
        the scores. A loss does not know names of classes, so a data frame with names is refused.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum.

    See Also
    --------
    ForwardCorrected : The correction to prefer for networks.
    Symmetrized : The limit of symmetric noise that leaves nothing to learn.

    Notes
    -----
    Unbiased for any loss: the noisy risk of :math:`L_b` is the clean risk of L [1]_. Rows of
    :math:`T^{-1}` have negative entries, so that an unbounded loss such as the cross-entropy
    becomes unbounded below, and a network trained long enough on it diverges. Raises
    ``ValueError`` where T is singular, its smallest singular value below 1e-6.

    References
    ----------
    .. [1] Patrini, Rozza, Menon, Nock and Qu, "Making Deep Neural Networks Robust to Label
       Noise: A Loss Correction Approach", CVPR 2017.

    Examples
    --------
    >>> import torch
    >>> from robustlabels.losses import MAE, BackwardCorrected
    >>> loss = BackwardCorrected(MAE(), [[0.75, 0.25], [0.25, 0.75]])
    >>> loss(torch.tensor([[50.0, -50.0]]), torch.tensor([0]))
    tensor(-0.5000)
    """

    positive = False

    def _prepare(self, matrix):
        return np.linalg.inv(matrix).T

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        return self.loss.class_losses(unmasked(log_p)) @ self._prepared(log_p)


class ForwardCorrected(_Corrected):
    r"""A loss on the noisy label's predicted probability (forward correction).

    .. math:: L_f(p, y) = L(T^\top p, y)

    Parameters
    ----------
    transition_matrix : array-like of shape (K, K)
        Known noise, ``T[i, j] = P(noisy label j | true class i)``, invertible, in the order of
        the scores. A loss does not know names of classes, so a data frame with names is refused.
    loss : Loss or None, default=None
        Loss of the noisy label; None is the cross-entropy.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum.

    See Also
    --------
    BackwardCorrected : Unbiased for any loss, with a larger variance.

    Notes
    -----
    With the cross-entropy the minimiser is the clean posterior [1]_, so that the softmax of
    the scores estimates it. Not convex in the scores. Takes memory for n K^2 numbers. Raises
    ``ValueError`` where T is singular, its smallest singular value below 1e-6: the posterior
    is not determined then.

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

    _parameter_constraints = {**_Corrected._parameter_constraints, "loss": [Loss, None]}
    positive = False

    def __init__(
        self, transition_matrix: ArrayLike, loss: Loss | None = None, *, reduction: str = "mean"
    ) -> None:
        super().__init__(loss, transition_matrix, reduction=reduction)

    def _prepare(self, matrix):
        # A zero entry is a finite number far below any log-probability that matters: -inf
        # would turn the gradient of a label that cannot occur into NaN.
        return np.log(np.maximum(matrix, 1e-300))

    def class_losses(self, log_p: torch.Tensor) -> torch.Tensor:
        log_noisy = torch.logsumexp(log_p.unsqueeze(-1) + self._prepared(log_p), dim=-2)
        return -log_noisy if self.loss is None else self.loss.class_losses(log_noisy)

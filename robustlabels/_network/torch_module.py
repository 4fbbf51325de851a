"""A fitted classifier as a torch module."""

import copy
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from .._linear.unhinged import UnhingedClassifier
from .calibration import pool_losses
from .engine import NetworkEngine
from .robust import RobustClassifier

__all__ = ["to_torch"]


def to_torch(classifier: RobustClassifier | UnhingedClassifier) -> nn.Module:
    """Return a torch module that computes the probabilities of a fitted classifier.

    It is a copy on the CPU in evaluation mode, in the classifier's dtype, for tools such as
    ``torch.onnx.export``, ``torch.export`` and explainers by gradients.

    Parameters
    ----------
    classifier : RobustClassifier or UnhingedClassifier
        Fitted. :class:`RobustEnsembleClassifier` has trees, which are no torch module.

    Returns
    -------
    module : torch.nn.Module
        Maps a tensor of features, of shape (n_samples, n_features), to the probabilities of
        ``classifier.predict_proba``, of shape (n_samples, n_classes). It checks nothing.

    Raises
    ------
    TypeError
        If the classifier is of another class.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    See Also
    --------
    RobustClassifier : Networks; ``net_.module_`` is the network without what follows it.

    Examples
    --------
    >>> import torch
    >>> from robustlabels import UnhingedClassifier, to_torch
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = UnhingedClassifier().fit(X, y)
    >>> proba = to_torch(clf)(torch.from_numpy(X))
    >>> bool((proba.argmax(dim=1).numpy() == clf.predict(X)).all())
    True
    """
    if not isinstance(classifier, (RobustClassifier, UnhingedClassifier)):
        raise TypeError(
            f"to_torch takes a RobustClassifier or an UnhingedClassifier, not "
            f"{type(classifier).__name__}. Pass the classifier inside, if there is one."
        )
    check_is_fitted(classifier)
    is_network = isinstance(classifier, RobustClassifier)
    module = (_NetworkModule if is_network else _LinearModule)(classifier)
    return module.eval().requires_grad_(False)


class _NetworkModule(nn.Module):
    def __init__(self, classifier: Any) -> None:
        super().__init__()
        engine: NetworkEngine = classifier._engine
        self.network = copy.deepcopy(engine.net.module_).cpu()
        self.loss = copy.deepcopy(engine.losses[0])
        self.loss_weights = engine.loss_weights.tolist()
        self.temperature = engine.temperature
        offset = 0.0 if engine.offset is None else engine.offset
        self.register_buffer("offset", torch.as_tensor(offset))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        scores = pool_losses(self.loss.scores(self.network(X).double()), self.loss_weights)
        return torch.softmax((scores + self.offset) / self.temperature, dim=-1).to(X.dtype)


class _LinearModule(nn.Module):
    def __init__(self, classifier: Any) -> None:
        super().__init__()
        if np.isnan(classifier.temperature_):
            raise ValueError(
                "The temperature of the probabilities is not known: pass some rows to "
                "fit_statistics."
            )
        slopes = torch.as_tensor(classifier.coef_)
        intercept = torch.as_tensor(classifier.intercept_)
        if len(intercept) == 1:
            slopes = torch.cat([torch.zeros_like(slopes), slopes])
            intercept = torch.cat([torch.zeros_like(intercept), intercept])
        self.register_buffer("slopes", slopes / classifier.temperature_)
        self.register_buffer("intercept", intercept / classifier.temperature_)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        scores = X.double() @ self.slopes.double().T + self.intercept.double()
        return torch.softmax(scores, dim=-1).to(X.dtype)

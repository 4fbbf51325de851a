"""A fitted classifier as a torch module."""

import copy

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from .._linear.unhinged import UnhingedClassifier
from .calibration import merge
from .robust import RobustClassifier

__all__ = ["to_torch"]


def to_torch(classifier: RobustClassifier | UnhingedClassifier) -> nn.Module:
    """Return a torch module that computes the probabilities of a fitted classifier.

    For what takes torch modules: ``torch.onnx.export``, ``torch.export``, explainers by gradients.
    It is a copy on the CPU, in evaluation mode; its parameters have the classifier's dtype.

    Parameters
    ----------
    classifier : RobustClassifier or UnhingedClassifier
        Fitted. :class:`RobustEnsembleClassifier` has trees, which are no torch module.

    Returns
    -------
    module : torch.nn.Module
        Maps a tensor of features, of shape (n_samples, n_features), to the probabilities that
        ``classifier.predict_proba`` gives, of shape (n_samples, n_classes): of every member and
        loss together, with the temperature and the priors. It checks nothing.

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
            f"{type(classifier).__name__}. Give it the classifier inside, if there is one."
        )
    check_is_fitted(classifier)
    of = _OfNetworks if isinstance(classifier, RobustClassifier) else _OfLinearRule
    return of(classifier).eval().requires_grad_(False)


class _OfNetworks(nn.Module):
    def __init__(self, classifier):
        super().__init__()
        self.network = copy.deepcopy(classifier.net_.module_).cpu()
        self.loss = copy.deepcopy(classifier.net_.criterion_)
        self.loss_weights = classifier.loss_weights_.tolist()
        self.temperature = classifier.temperature_
        offset = 0.0 if classifier._offset is None else classifier._offset
        self.register_buffer("offset", torch.as_tensor(offset))

    def forward(self, X):
        scores = merge(self.loss.scores(self.network(X).double()), self.loss_weights)
        return torch.softmax((scores + self.offset) / self.temperature, dim=-1).to(X.dtype)


class _OfLinearRule(nn.Module):
    def __init__(self, classifier):
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

    def forward(self, X):
        scores = X.double() @ self.slopes.double().T + self.intercept.double()
        return torch.softmax(scores, dim=-1).to(X.dtype)

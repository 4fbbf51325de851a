"""Fitting classifiers that differ in their losses alone at once, as one batched network."""

import copy
import math
from contextlib import ExitStack
from numbers import Integral

import numpy as np
import torch
from sklearn.base import clone
from skorch.history import History

from ._unchanged import unchanged_on_error

#: Optimizers that treat each weight by itself, so that members do not see each other.
_OPTIMIZERS = (
    *(torch.optim.AdamW, torch.optim.Adam, torch.optim.NAdam, torch.optim.RAdam),
    *(torch.optim.SGD, torch.optim.RMSprop, torch.optim.Adagrad, torch.optim.Adadelta),
)


def fit_jointly(classifiers, X, y, sample_weight=None):
    """Fit several instances of RobustClassifier that differ in their losses alone.

    A step of a small network costs the number of its operations more than their size. Computed
    at once, several networks share the operations and the batches. Each classifier becomes what
    its own ``fit`` would have made of it, up to rounding.

    Parameters
    ----------
    classifiers : list of RobustClassifier
        Equal but for `loss`, `alpha` and `q`, with the built-in network, an int as
        `random_state` and an optimizer that treats each weight by itself; without `callbacks`,
        `n_members`, `warm_start` and validation rows.
    X : array-like of shape (n_samples, n_features)
        Finite features.
    y : array-like of shape (n_samples,)
        Labels.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Non-negative weights.

    Returns
    -------
    classifiers : list of RobustClassifier
        The same objects, fitted. After an error they are what they were before.

    Raises
    ------
    ValueError
        If the classifiers differ in more, the data are unfit, or the training diverges.
    """
    classifiers = list(classifiers)
    _check_alike(classifiers)
    if len(classifiers) < 2:
        return [classifier.fit(X, y, sample_weight) for classifier in classifiers]
    with ExitStack() as errors:
        for classifier in classifiers:
            errors.enter_context(unchanged_on_error(classifier, Exception))
            classifier._validate_params()
            classifier._prepare(X, y, sample_weight, refine=False)
        joint = clone(classifiers[0]).set_params(n_members=len(classifiers))
        # Alone, none would do without a fold.
        X, codes, weight, refined = joint._prepare(X, y, sample_weight, hold_out=False)
        joint.net_.losses_ = [classifier.loss_ for classifier in classifiers]
        _gather(joint.net_, [classifier.net_ for classifier in classifiers])
        try:
            joint._train(X, codes, weight, refined)
        except KeyboardInterrupt:
            _hand_out(joint, classifiers)
            raise
        _hand_out(joint, classifiers)
        for classifier in classifiers:
            classifier._calibrate(X, weight, refined)
    return classifiers


def _check_alike(classifiers):
    """Refuse classifiers that one batched network cannot stand for."""
    for classifier in classifiers:
        params = classifier.get_params(deep=False)
        for name, value in classifiers[0].get_params(deep=False).items():
            if name not in ("loss", "alpha", "q") and not np.array_equal(params[name], value):
                raise ValueError(
                    f"Classifiers that are fitted jointly differ in loss, alpha and q alone. Got "
                    f"{name}={params[name]!r} beside {name}={value!r}."
                )
        if params["loss"] == "auto":
            raise ValueError("Classifiers that are fitted jointly have a loss of their own each.")
        for name in ("module", "callbacks", "warm_start"):
            if params[name]:
                raise ValueError(
                    f"Classifiers with {name}={params[name]!r} cannot be fitted jointly."
                )
        if params["optimizer"] not in _OPTIMIZERS:
            raise ValueError(
                f"Classifiers that are fitted jointly need an optimizer that treats each weight by "
                f"itself, one of {', '.join(o.__name__ for o in _OPTIMIZERS)}. Got "
                f"{params['optimizer']!r}."
            )
        for name in params["net_params"] or ():
            if not name.startswith(("optimizer__", "iterator_train")):
                raise ValueError(f"Classifiers with net_params[{name!r}] cannot be fitted jointly.")
        if params["n_members"] != 1 or not isinstance(params["random_state"], Integral):
            raise ValueError(
                f"Classifiers that are fitted jointly have n_members=1 and an int as random_state. "
                f"Got n_members={params['n_members']} and random_state={params['random_state']!r}."
            )


@torch.no_grad()
def _gather(joint, nets):
    """Start the members of a batched network from the weights of single ones."""
    singles = zip(*(net.module_.parameters() for net in nets), strict=True)
    for batched, parameters in zip(joint.module_.parameters(), singles, strict=True):
        batched.copy_(torch.stack(list(parameters)).view(batched.shape))


@torch.no_grad()
def _hand_out(joint, classifiers):
    """Make each classifier what the training made of its member."""
    batched = joint.net_
    for member, classifier in enumerate(classifiers):
        net = classifier.net_
        classifier._scaler = copy.deepcopy(joint._scaler)
        classifier._random_state = copy.deepcopy(joint._random_state)
        for name in ("transition_matrix_", "noise_rate_", "noise_evidence_", "class_prior_"):
            setattr(classifier, name, getattr(joint, name))
        net.module_.standardize.load_state_dict(batched.module_.standardize.state_dict())
        pairs = zip(batched.module_.parameters(), net.module_.parameters(), strict=True)
        for parameters, parameter in pairs:
            parameter.copy_(parameters[member].view(parameter.shape))
            net.optimizer_.state[parameter] = {
                name: value[member].view(parameter.shape).clone()
                if value.shape == parameters.shape
                else value.clone()
                for name, value in batched.optimizer_.state[parameters].items()
            }
        net.gradient_seen_ = batched.gradient_seen_
        net.module_.eval()
        net.history = History(copy.deepcopy(batched.history[:]))
        best = math.inf
        for epoch in net.history:
            (record,) = epoch["batches"]
            record["train_losses"] = [record["train_losses"][member]]
            record["train_loss"] = epoch["train_loss"] = record["train_losses"][0]
            epoch["train_loss_best"] = epoch["train_loss"] < best
            best = min(best, epoch["train_loss"])

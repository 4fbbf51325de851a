"""Fitting classifiers that share an architecture at once, as one batched network."""

import copy
import math
from contextlib import ExitStack
from numbers import Integral

import numpy as np
import torch
from sklearn.base import clone
from skorch.history import History

from .._fitting import unchanged_on_error
from .calibration import Beliefs

#: Parameters in which classifiers may differ that are fitted jointly.
MAY_DIFFER = ("loss", "alpha", "q", "n_members", "priors", "memory")

#: Optimizers that treat each weight by itself, so that members do not see each other.
_OPTIMIZERS = (
    *(torch.optim.AdamW, torch.optim.Adam, torch.optim.NAdam, torch.optim.RAdam),
    *(torch.optim.SGD, torch.optim.RMSprop, torch.optim.Adagrad, torch.optim.Adadelta),
)


def fit_jointly(classifiers, X, y, sample_weight=None):
    """Fit several instances of RobustClassifier that share an architecture.

    A step of a small network costs the number of its operations more than their size. Computed
    at once, several networks share the operations and the batches. Each classifier becomes what
    its own ``fit`` would have made of it, up to rounding.

    Parameters
    ----------
    classifiers : list of RobustClassifier
        Equal but for `loss`, `alpha`, `q`, `n_members` and `priors`, with the built-in network, an
        int as `random_state` and an optimizer that treats each weight by itself; without
        `adapt`, `callbacks`, `warm_start` and validation rows. With a `memory` the noise is found
        once.
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
        prepared = []
        for classifier in classifiers:
            errors.enter_context(unchanged_on_error(classifier, Exception))
            classifier._validate_params()
            rows = classifier._read_rows(X, y, sample_weight, None)
            prepared.append(classifier._prepare(rows))
        joint = clone(classifiers[0])
        joint.set_params(n_members=sum(classifier.n_members for classifier in classifiers))
        joint._prepare(joint._read_rows(X, y, sample_weight, None), refine=False)
        nets = [classifier.net_ for classifier in classifiers]
        # Of one loss that all members have, a net knows no more.
        joint.net_.losses_ = [
            net.losses_[member % len(net.losses_)]
            for net in nets
            for member in range(net.n_members_)
        ]
        _gather(joint.net_, nets)
        X, codes, weight, beliefs = prepared[0]
        if beliefs is not None:
            members = _join_weights([data[-1] for data in prepared], nets)
            beliefs = Beliefs(beliefs.posterior, beliefs.targets, None, member_weight=members)
        try:
            joint._train(X, codes, weight, beliefs)
        except KeyboardInterrupt:
            _hand_out(joint, classifiers)
            raise
        _hand_out(joint, classifiers)
        for classifier, (_, _, weight, beliefs) in zip(classifiers, prepared, strict=True):
            classifier._calibrate(X, weight, beliefs)
            classifier._warn_of_failure(X, stacklevel=3)
    return classifiers


def _check_alike(classifiers):
    """Refuse classifiers that one batched network cannot stand for."""
    for classifier in classifiers:
        params = classifier.get_params(deep=False)
        for name, value in classifiers[0].get_params(deep=False).items():
            if name not in MAY_DIFFER and not np.array_equal(params[name], value):
                raise ValueError(
                    f"Classifiers that are fitted jointly differ in {', '.join(MAY_DIFFER)} alone. "
                    f"Got {name}={params[name]!r} beside {name}={value!r}."
                )
        for name in ("module", "callbacks", "warm_start", "adapt"):
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
        if not isinstance(params["random_state"], Integral):
            raise ValueError(
                f"Classifiers that are fitted jointly have an int as random_state. Got "
                f"random_state={params['random_state']!r}."
            )


def _join_weights(beliefs, nets):
    """Return what rows weigh for all members, or None if that is 1."""
    if all(found.member_weight is None for found in beliefs):
        return None
    ones = np.ones((len(beliefs[0].posterior), 1))
    return np.concatenate(
        [
            ones.repeat(net.n_members_, 1) if found.member_weight is None else found.member_weight
            for found, net in zip(beliefs, nets, strict=True)
        ],
        axis=1,
    )


@torch.no_grad()
def _gather(joint, nets):
    """Start the members of a batched network from the weights of single networks and others."""
    parts = zip(*(net.module_.parameters() for net in nets), strict=True)
    for batched, parameters in zip(joint.module_.parameters(), parts, strict=True):
        batched.copy_(torch.cat([p.view(-1, *batched.shape[1:]) for p in parameters]))


@torch.no_grad()
def _hand_out(joint, classifiers):
    """Make each classifier what the training made of its members."""
    batched, stop = joint.net_, 0
    for classifier in classifiers:
        net = classifier.net_
        mine = slice(stop, stop + net.n_members_)
        stop = mine.stop
        classifier._scaler = copy.deepcopy(joint._scaler)
        classifier._random_state = copy.deepcopy(joint._random_state)
        net.module_.standardize.load_state_dict(batched.module_.standardize.state_dict())
        pairs = zip(batched.module_.parameters(), net.module_.parameters(), strict=True)
        for parameters, parameter in pairs:
            parameter.copy_(parameters[mine].view(parameter.shape))
            net.optimizer_.state[parameter] = {
                name: value[mine].view(parameter.shape).clone()
                if value.shape == parameters.shape
                else value.clone()
                for name, value in batched.optimizer_.state[parameters].items()
            }
        net.gradient_seen_ = batched.gradient_seen_
        if batched.judged_ is not None:
            net.failure_ = net.find_failure(*(losses[mine] for losses in batched.judged_))
        net.module_.eval()
        net.history = History(copy.deepcopy(batched.history[:]))
        best = math.inf
        for epoch in net.history:
            (record,) = epoch["batches"]
            losses = record["train_losses"] = record["train_losses"][mine]
            record["train_loss"] = epoch["train_loss"] = sum(losses) / len(losses)
            epoch["train_loss_best"] = epoch["train_loss"] < best
            best = min(best, epoch["train_loss"])

"""Fitting classifiers that share an architecture at once, as one batched network."""

import copy
import math
from collections.abc import Sequence
from contextlib import ExitStack
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import validate_data
from skorch.history import History

from .._fitting import unchanged_on_error
from .._validation.sklearn_private import validate_parameters
from .engine import NetworkEngine
from .net import Net
from .robust import RobustClassifier
from .training import Training, prepare_training, read_training_rows

#: Parameters in which classifiers may differ that are fitted jointly.
MAY_DIFFER = ("loss", "alpha", "q", "n_members", "priors", "n_jobs", "memory")

#: Optimizers that treat each weight by itself, so that members do not affect each other.
_OPTIMIZERS = (
    *(torch.optim.AdamW, torch.optim.Adam, torch.optim.NAdam, torch.optim.RAdam),
    *(torch.optim.SGD, torch.optim.RMSprop, torch.optim.Adagrad, torch.optim.Adadelta),
)

#: Parameters of the skorch net that all members can share.
_ROUTES = ("optimizer__", "iterator_train")


def fit_jointly(
    classifiers: Sequence[RobustClassifier],
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> list[RobustClassifier]:
    """Fit several instances of RobustClassifier that share an architecture.

    Networks that are computed at once share the operations, whose number costs more than their
    size, and the batches. Each classifier becomes what its own ``fit`` would have made of it, up to
    rounding; after an error it is what it was before. With a `memory` the noise is found once.
    """
    classifiers = list(classifiers)
    _check_shared(classifiers)
    if len(classifiers) < 2:
        return [classifier.fit(X, y, sample_weight) for classifier in classifiers]
    with ExitStack() as errors:
        for classifier in classifiers:
            errors.enter_context(unchanged_on_error(classifier, Exception))
            validate_parameters(classifier)
        rows = read_training_rows(classifiers[0], X, y, sample_weight)
        trainings = []
        for classifier in classifiers:
            validate_data(classifier, X, skip_check_array=True)  # names and number of features
            trainings.append(prepare_training(classifier, rows))
            classifier.__dict__.update(trainings[-1].fitted)
        first, engines = trainings[0], [training.engine for training in trainings]
        n_members = sum(engine.net.n_members_ for engine in engines)
        params = {**first.engine.params, "n_members": n_members}
        joint = NetworkEngine(params, first.X, rows.classes, refined=False)
        _gather(joint.net, [engine.net for engine in engines])
        member_weight = _join_weights(trainings)
        try:
            joint.train(first.X, first.codes, first.weight, first.soft_labels, member_weight)
        except KeyboardInterrupt:
            _hand_out(joint, engines)
            raise
        _hand_out(joint, engines)
        for classifier, training in zip(classifiers, trainings, strict=True):
            training.calibrate()
            training.warn_of_failure(classifier, stacklevel=3)
    return classifiers


def _check_shared(classifiers: Sequence[RobustClassifier]) -> None:
    """Reject classifiers that one batched network cannot train together."""
    for classifier in classifiers:
        params = classifier.get_params(deep=False)
        plain = ("module", "callbacks", "warm_start", "adapt")
        suitable = {name: not params[name] for name in plain}
        suitable["optimizer"] = params["optimizer"] in _OPTIMIZERS
        suitable["random_state"] = isinstance(params["random_state"], Integral)
        routes = params["net_params"] or ()
        suitable["net_params"] = all(route.startswith(_ROUTES) for route in routes)
        for name, value in classifiers[0].get_params(deep=False).items():
            equal = name in MAY_DIFFER or np.array_equal(params[name], value)
            if not (equal and suitable.get(name, True)):
                raise ValueError(f"Classifiers with {name}={params[name]!r} cannot train jointly.")


def _join_weights(trainings: Sequence[Training]) -> NDArray | None:
    """Return the weights of rows for all members, or None if these are 1."""
    parts = [training.member_weight for training in trainings]
    if all(part is None for part in parts):
        return None
    ones = [np.ones((len(t.codes), t.engine.net.n_members_)) for t in trainings]
    return np.hstack([one if part is None else part for part, one in zip(parts, ones, strict=True)])


@torch.no_grad()
def _gather(joint: Net, nets: Sequence[Net]) -> None:
    """Start the members of a batched net from the weights and with the losses of single nets."""
    joint.losses_ = [
        # A net whose members share one loss stores it once; expand it to one per member.
        net.losses_[member % len(net.losses_)]
        for net in nets
        for member in range(net.n_members_)
    ]
    parts = zip(*(net.module_.parameters() for net in nets), strict=True)
    for batched, parameters in zip(joint.module_.parameters(), parts, strict=True):
        batched.copy_(torch.cat([p.view(-1, *batched.shape[1:]) for p in parameters]))


@torch.no_grad()
def _hand_out(joint: NetworkEngine, engines: Sequence[NetworkEngine]) -> None:
    """Give each engine what the training made of its members."""
    batched, stop = joint.net, 0
    for engine in engines:
        net = engine.net
        mine = slice(stop, stop + net.n_members_)
        stop = mine.stop
        engine.scaler = copy.deepcopy(joint.scaler)
        engine.random_state = copy.deepcopy(joint.random_state)
        net.module_.standardize.load_state_dict(batched.module_.standardize.state_dict())
        pairs = zip(batched.module_.parameters(), net.module_.parameters(), strict=True)
        for parameters, parameter in pairs:
            parameter.copy_(parameters[mine].view(parameter.shape))
            for name, value in batched.optimizer_.state[parameters].items():
                if value.shape == parameters.shape:
                    value = value[mine].view(parameter.shape)
                net.optimizer_.state[parameter][name] = value.clone()
        net.gradient_seen_ = batched.gradient_seen_
        if batched.judged_ is not None:
            before, after = batched.judged_
            net.failure_ = net.find_failure(None if before is None else before[mine], after[mine])
        net.module_.eval()
        net.history = History(copy.deepcopy(batched.history[:]))
        best = math.inf
        for epoch in net.history:
            (record,) = epoch["batches"]
            losses = record["train_losses"] = record["train_losses"][mine]
            record["train_loss"] = epoch["train_loss"] = sum(losses) / len(losses)
            epoch["train_loss_best"] = epoch["train_loss"] < best
            best = min(best, epoch["train_loss"])

"""The engine: networks that are trained at once, with all that training and prediction need."""

import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches
from torch import Tensor

from .._fitting import fresh_random_state
from ..losses import Loss
from .adaptation.learning import Adaptation
from .batches import to_tensor
from .calibration import CalibrationRows, calibrate, pool_losses
from .callbacks import check_monitors, unnamed
from .module import add_moments
from .net import Net
from .parameters import count_epochs, find_device, make_losses, make_net
from .settings import NETWORK
from .storage import restore_net, store_net
from .torch_state import seeded_globally, threads_for


class NetworkEngine:
    """A network, or several members of one, for the parameters of a :class:`RobustClassifier`.

    `X` gives the shape and the dtype of the features. `refined` networks learn soft labels rather
    than labels as given.
    """

    #: The losses that the members have in turn, and their weights in the pool, of sum 1.
    losses: list[Loss]
    loss_weights: NDArray
    #: Source of the streams of each training, and a seed for what is drawn about the labels.
    random_state: np.random.RandomState
    label_seed: int
    #: Divisor of the scores for probabilities, and their shift by `priors`, (n_classes,).
    temperature: float
    offset: NDArray | None

    def __init__(
        self, params: Mapping[str, Any], X: Any, classes: NDArray, *, refined: bool
    ) -> None:
        self.classes = classes
        self.row_shape = X.shape[1:]
        self.loss_weights = np.empty(0)
        self._describe(params, refined)
        self._begin_fit()
        device = find_device(params["device"])
        self.dtype = X.dtype.name if device.type == "cpu" else "float32"
        self.net = self._make_net(device, self.random_state.randint(2**31))
        check_monitors(self.net)

    def _describe(self, params: Mapping[str, Any], refined: bool) -> None:
        self.params, self.refined = params, refined
        self.losses = make_losses(params, refined)
        if len(self.loss_weights) != len(self.losses):
            self.loss_weights = np.full(len(self.losses), 1 / len(self.losses))

    def _begin_fit(self) -> None:
        self.random_state = fresh_random_state(self.params["random_state"])
        self.label_seed = self.random_state.randint(2**31)
        self.scaler = StandardScaler(with_mean=False)  # sparse X has no mean to subtract
        self.temperature, self.offset = 1.0, None

    def _make_net(self, device: torch.device, seed: int = 0) -> Net:
        net = make_net(
            self.params,
            loss=self.losses[0],
            device=device,
            dtype=getattr(torch, self.dtype),
            n_features=self.row_shape[0],
            n_classes=len(self.classes),
            seed=seed,
        )
        net.labels_ = self.classes
        net.minimise(self.losses)
        return net

    def for_next(self, params: Mapping[str, Any], *, refined: bool, is_block: bool = False) -> Self:
        """Return an engine for another fit, or a block, with the weights and optimizer of this one.

        A block goes on with the moments and streams so far, and with the net if it need not change.
        """
        engine = object.__new__(type(self))
        engine.__dict__.update(self.__dict__)
        engine.temperature, engine.offset = 1.0, None
        if is_block and not self.refined and repr(self.params) == repr(params):
            return engine
        engine._describe(params, refined)
        if not is_block:
            engine._begin_fit()
        engine.net = engine._make_net(find_device(params["device"]))
        restore_net(engine.net, store_net(self.net), same_parameters=False)
        check_monitors(engine.net)
        return engine

    def train(
        self,
        X: Any,
        codes: NDArray,
        weight: NDArray,
        soft_labels: NDArray | None = None,
        member_weight: NDArray | None = None,
        *,
        calibration: CalibrationRows | None = None,
        one_pass: bool = False,
    ) -> None:
        """Train the networks for all epochs, or for one pass without a cycle.

        `codes` are positions in the classes, for a ``train_split`` only where there are
        `soft_labels` of shape (n_samples, [n_members,] n_classes). `weight` has the mean 1,
        `member_weight` the shape (n_samples, n_members). `calibration` is for ``adapt=True``.
        """
        net, params, adaptation = self.net, self.params, None
        if net.mlp_ is not None:
            self.scaler = add_moments(self.scaler, X, weight, net.dtype)
            net.mlp_.standardize.set(self.scaler.mean_, self.scaler.scale_)
        # Three streams, so that the masks do not depend on the number of rows.
        order, masks, elsewhere = self.random_state.randint(2**31, size=3).tolist()
        net.seed(order, masks)
        if params["adapt"] and calibration is not None:
            adaptation = Adaptation(net, X, calibration, len(self.losses), elsewhere)
        data = {
            "X": X,
            "sample_weight": weight if (weight != 1).any() else None,
            "soft_labels": soft_labels,
            "member_weight": member_weight,
        }
        data = {name: array for name, array in data.items() if array is not None}
        batch = self.count_batch(len(codes))
        n_epochs = 1 if one_pass else count_epochs(params["max_epochs"], len(codes), batch)
        # Only what is not built in draws from the global random states.
        foreign = params["module"] is not None or params["callbacks"] or params["net_params"]
        with (
            threads_for(net, batch, params["n_threads"]),
            seeded_globally(elsewhere, net.device) if foreign else nullcontext(),
        ):
            net.train_on(data, codes, n_epochs, not one_pass, adaptation)
        net.module_.eval()

    def count_batch(self, n_rows: int) -> int:
        """Return the number of rows of a batch."""
        batch_size = self.params["batch_size"]
        return n_rows if batch_size == -1 else min(int(batch_size), n_rows)

    @torch.no_grad()
    def member_scores(
        self,
        X: Any,
        finish: Callable[[Tensor], Tensor] = lambda scores: scores,
        n_threads: int | str | None = None,
    ) -> Tensor:
        """Compute the scores of each member, (n, n_members, n_classes), or (n, n_classes) of one.

        `finish` is applied to each block of rows, in their order.
        """
        net, scores, n_rows = self.net, None, X.shape[0]
        module = net.module_.eval()
        on_cpu = torch.device(net.device).type == "cpu"
        n_threads = self.params["n_threads"] if n_threads is None else n_threads
        with threads_for(net, min(n_rows, NETWORK.block), n_threads):
            for rows in gen_batches(n_rows, NETWORK.block if on_cpu else NETWORK.block_on_gpu):
                logits = module(to_tensor(X[rows]).to(net.device, net.dtype)).cpu()
                if not logits.isfinite().all():
                    raise ValueError(
                        "The network's outputs are not finite: X has values far beyond those it "
                        "was trained on."
                    )
                # In float64 the norm of the largest float32 logits does not overflow.
                block = finish(net.criterion_.scores(logits.double()))
                if scores is None:  # in one piece: blocks side by side would take as much again
                    scores = block.new_empty((n_rows, *block.shape[1:]))
                scores[rows] = block
        return scores

    def scores(self, X: Any, shifted: bool = True, n_threads: int | str | None = None) -> NDArray:
        """Compute the pooled scores, (n, n_classes), with or without the shift by `priors`."""
        offset = torch.as_tensor(self.offset) if shifted and self.offset is not None else 0

        def finish(scores: Tensor) -> Tensor:
            return (pool_losses(scores, self.loss_weights) + offset).to(self.net.dtype)

        return self.member_scores(X, finish, n_threads).numpy()

    def calibrate(self, X: Any, calibration: CalibrationRows) -> None:
        """Fit the temperature and the weights of the losses."""
        scores = self.member_scores(X[calibration.rows])
        self.temperature, self.loss_weights = calibrate(scores, calibration, self.loss_weights)

    def shift(self, priors: NDArray | float | None, class_prior: NDArray) -> None:
        """Shift the scores from the class frequencies of training to `priors`, if there are any."""
        seen = np.maximum(class_prior, np.finfo(float).tiny)
        self.offset = None if priors is None else self.temperature * np.log(priors / seen)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "net": store_net(self.net)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        try:
            device = find_device(self.params["device"])
        except ValueError as error:
            device = torch.device("cpu")
            warnings.warn(f"{error} The loaded classifier computes on the CPU.", stacklevel=2)
        # Their `initialize` might reset what callbacks have recorded, or open a file.
        callbacks = [unnamed(entry) for entry in self.params["callbacks"] or ()]
        callbacks = [callback for callback in callbacks if not isinstance(callback, type)]
        for callback in callbacks:
            callback.initialize = lambda: None
        self.net = self._make_net(device)
        for callback in callbacks:
            del callback.initialize
        restore_net(self.net, state["net"], same_parameters=True)

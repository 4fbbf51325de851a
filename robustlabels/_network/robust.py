"""RobustClassifier: a network trained with a noise-robust loss, as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from .._fitting import unchanged_on_error
from .._typing import Features, Seed
from .._validation.sklearn_private import HasMethods, Interval, Options, StrOptions, _fit_context
from ..losses import Loss
from ..refinement._temperatures import break_ties
from .parameters import make_losses
from .routes import SkorchRoutes
from .training import prepare_block, prepare_training, read_features, read_training_rows

__all__ = ["RobustClassifier"]


class RobustClassifier(SkorchRoutes, ClassifierMixin, BaseEstimator):
    r"""Neural network classifier that keeps its accuracy when training labels are wrong.

    It trains a multi-layer perceptron, or your own torch module, with a noise-robust loss on the
    probabilities of the true labels, which follow from an estimate of the noise. Features are
    standardised inside the network, so raw tables work.

    Parameters
    ----------
    loss : str or Loss, default="auto"
        Name of a loss, see :func:`robustlabels.losses.available_losses`, or a loss object, whose
        hyperparameters a search reaches as ``loss__q``. With "auto" the networks alternate between
        "ce" and "sgce"; held-out noisy labels decide how much each counts. A single network or a
        `module` takes "ce". Where labels are taken as given, or `q` is set, "auto" is "sgce".
    alpha, q : float or None, default=None
        Hyperparameters of a loss given by name, None for its default. A loss without them ignores
        them. Not for a loss object.
    adapt : bool, default=False
        Whether to learn the hyperparameters of the loss during training, see the notes. Needs a
        `transition_matrix`. Not for `partial_fit`, or when `warm_start` trains further.
    transition_matrix : array-like, "estimate" or None, default="estimate"
        The noise, of shape (n_classes, n_classes): ``T[i, j]`` is the probability of label j if
        the true class is i. The classes are in sorted order, or named by the rows and columns of a
        data frame. "estimate" estimates it from the data; on fewer than 50 rows, or 10 a class,
        labels are taken as given. None always takes labels as given, and so does `partial_fit`.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with `sample_weight`; "balanced" makes classes equally
        heavy. They apply to the estimated probabilities of the true classes, or to labels that are
        taken as given. Unequal weights break the symmetry of a symmetric loss.
    priors : array-like of shape (n_classes,), dict, "balanced" or None, default=None
        Class frequencies where the classifier will be used: positive, of sum 1, in sorted order
        or named by a dict or a Series; "balanced" means equal ones. After training the scores are
        shifted by the logarithms of their ratios to `class_prior_`.
    n_members : int, default=4
        Networks that are trained at once, on the same batches from different initial weights. Their
        mean probabilities decide; with two losses, the means of each, pooled by `loss_weights_`.
        With a `transition_matrix` each member, or pair with two losses, leaves out at most a
        quarter of the rows, which calibrate it. Callbacks and optimizers that combine all
        gradients, as clipping by norm does, combine those of all members.
    max_epochs : int or "auto", default="auto"
        Passes over the data in a `fit`. "auto" is 40, and more on small tables, for 600 steps.
    batch_size : int, default=128
        Rows per step. -1 takes all rows.
    lr : float > 0, default=0.008
        Highest learning rate. `fit` reaches it after 30 % of the steps and decreases it to almost 0
        (one cycle, unless `callbacks` has an ``LRScheduler``); `partial_fit` keeps it constant.
    hidden_layer_sizes : int or tuple of int, default=(256, 256)
        Widths of the hidden layers, with ReLU between them. () is a linear model.
    dropout : float in [0, 1), default=0.5
        Share of hidden units that each batch drops, the same ones for all its rows.
    weight_decay : float >= 0, default=0.01
        Weight decay of the optimizer, if it takes one.
    l1_penalty : float >= 0, default=0.0
        Factor of the sum of the absolute values of all weights, added to the loss. "anl-ce",
        "jal-ce" and "jal-fl" were published with 5e-7 to 5e-5 in place of weight decay.
    warm_start : bool, default=False
        Whether `fit` trains the networks of the previous fit further. Classes and layers must be
        the same. Labels are refined anew, all members learn all rows, in a new cycle.
    device : str or torch.device, default="auto"
        Where to compute. "auto" is a CUDA device if torch sees one, else the CPU.
    n_threads : int or "auto", default="auto"
        Threads of torch on the CPU while the network computes. "auto" is one, or torch's own number
        if the batches or the network are large.
    n_jobs : int or None, default=None
        Trees that are grown at the same time to refine labels, with the same result for any.
    verbose : int, default=0
        1 shows progress bars of trees and epochs; from 2 on skorch's table of epochs instead.
    random_state : int, RandomState instance or None, default=None
        Initial weights, order of the rows and dropout. None draws fresh entropy.
    memory : joblib.Memory, str or None, default=None
        Cache of what trees find about the noise, an object or the path of a folder. None, or no
        `random_state`, keeps nothing.
    module : torch.nn.Module, class or None, default=None
        Network in place of the built-in one, from a batch of X to logits of shape (n, n_classes).
        A class is called with ``net_params["module__..."]``, and with `n_features` and `n_classes`
        if it takes them; an instance is copied. X reaches it not standardised, and may have more
        dimensions, such as (n_samples, n_channels, height, width); trees see flattened rows.
        `hidden_layer_sizes`, `dropout` and `n_members` have no effect.
    optimizer : class, default=torch.optim.AdamW
        A torch optimizer. Its other parameters are ``net_params["optimizer__..."]``.
    callbacks : list or None, default=None
        Callbacks of skorch, or (name, callback) pairs. These very objects are used; ``clone`` makes
        new ones from their constructor parameters, and the names of other attributes have to end
        with an underscore. They see labels as positions in `classes_`. One
        that monitors ``"valid_loss"`` or ``"train_loss"`` needs ``threshold_mode="abs"`` if the
        loss can be negative, as the default can.
    net_params : dict or None, default=None
        Other parameters of the skorch net, such as ``{"train_split": ValidSplit(5),
        "optimizer__betas": (0.8, 0.99)}``. Rows of ``predefined_split`` have the labels of y.
        `set_params` and grids reach ``module__...``, ``optimizer__...``, ``callbacks__...``,
        ``iterator_train__...`` and ``iterator_valid__...`` directly.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Number of features seen in `fit`; the size of the second dimension of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had names that are all strings.
    loss_ : Loss or tuple of Loss
        The loss that was minimised, or those of the members in turn; with `adapt`, as learned.
    loss_weights_ : ndarray of shape (n_losses,)
        Weights of the losses in the pool, of sum 1.
    transition_matrix_ : ndarray of shape (n_classes, n_classes) or None
        The noise, given or estimated; None if labels were taken as given.
    noise_rate_ : float or None
        Share of rows with wrong labels under that noise, whatever they weigh.
    noise_evidence_ : dict or None
        Why the estimated noise is as it is, see :class:`LabelRefiner`.
    noise_posterior_ : NoisePosterior or None
        Posterior of the noise, see :class:`LabelRefiner`; :class:`CleanScores` uses it.
    class_prior_ : ndarray of shape (n_classes,)
        Class frequencies in training, with all weights: of the true classes with a
        `transition_matrix`, else of the labels; in `partial_fit` those of the last block.
    temperature_ : float
        Divisor of the scores in :meth:`predict_proba`; 1 if labels were taken as given.
    net_ : skorch.NeuralNetClassifier
        The underlying net. It works with labels 0 to n_classes - 1.
    history_ : skorch.history.History
        A row for each of the `n_iter_` epochs with ``train_loss`` and ``dur``, and with `adapt`
        hyperparameters as ``loss__q``. Batches are recorded only for callbacks that look at them.
    n_iter_ : int
        Number of epochs trained.

    See Also
    --------
    RobustEnsembleClassifier : Networks, trees and linear rules, the default for tables.

    Notes
    -----
    A step minimises :math:`\frac{1}{|B|} \sum_{i \in B} w_i L(f(x_i), y_i)` with weights of mean 1
    over the training rows. With a `transition_matrix` the loss of a row is the sum of the losses of
    all classes, weighted by the probabilities of the true class, :math:`P(k \mid x, \tilde{y})
    \propto p_k(x) T_{k\tilde{y}}`: the `soft_labels_` of :class:`LabelRefiner`. Its trees also see
    rows that a ``train_split`` sets aside.

    With ``adapt=True`` a step of the hyperparameters follows every fourth step of the network [1]_.
    These are real numbers inside their domain, such as `q`, and the weights of a sum, but no
    `radius`. The step moves them to where the last step of the network would have made the noisy
    labels of held-out rows more probable. All members share them. From the given values they go at
    most by a factor of 20, in the distance to an end of the domain or in the odds between two ends.
    A single network leaves out a quarter of the rows.

    The network computes in the dtype of X, on a GPU in float32. If a `module`, `callbacks` or
    `net_params` may draw from the global random states of torch and numpy, these are seeded and
    restored around the training, one fit at a time.

    References
    ----------
    .. [1] Shu, Zhao, Chen, Xu and Meng, "Learning Adaptive Loss for Robust Learning with Noisy
       Labels", arXiv:2002.06482, which uses labels known to be right instead of noisy ones.

    Examples
    --------
    >>> from robustlabels import RobustClassifier, corrupt_labels
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> y_noisy = corrupt_labels(y, "symmetric", 0.3, random_state=0)
    >>> clf = RobustClassifier(random_state=0).fit(X, y_noisy)
    >>> clf.score(X, y) > 0.9
    True
    """

    _parameter_constraints = {
        "loss": [str, Loss],
        "alpha": [Interval(Real, 0, None, closed="left"), None],
        "q": [Interval(Real, 0, None, closed="left"), None],
        "adapt": ["boolean"],
        "transition_matrix": ["array-like", StrOptions({"estimate"}), None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "priors": ["array-like", dict, StrOptions({"balanced"}), None],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1})],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "l1_penalty": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "device": [str, torch.device],
        "n_threads": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
        "memory": [str, HasMethods(["cache"]), None],
        "module": [callable, None],
        "optimizer": [callable],
        "callbacks": [list, None],
        "net_params": [Mapping, None],
    }

    def __init__(
        self,
        loss: str | Loss = "auto",
        *,
        alpha: float | None = None,
        q: float | None = None,
        adapt: bool = False,
        transition_matrix: ArrayLike | None = "estimate",
        class_weight: Mapping | str | None = None,
        priors: ArrayLike | Mapping | None = None,
        n_members: int = 4,
        max_epochs: int | str = "auto",
        batch_size: int = 128,
        lr: float = 0.008,
        hidden_layer_sizes: int | Sequence[int] = (256, 256),
        dropout: float = 0.5,
        weight_decay: float = 0.01,
        l1_penalty: float = 0.0,
        warm_start: bool = False,
        device: str | torch.device = "auto",
        n_threads: int | str = "auto",
        n_jobs: int | None = None,
        verbose: int = 0,
        random_state: Seed = None,
        memory: Any = None,
        module: torch.nn.Module | type[torch.nn.Module] | None = None,
        optimizer: type[torch.optim.Optimizer] = torch.optim.AdamW,
        callbacks: list | None = None,
        net_params: Mapping[str, Any] | None = None,
    ) -> None:
        self.loss = loss
        self.alpha = alpha
        self.q = q
        self.adapt = adapt
        self.transition_matrix = transition_matrix
        self.class_weight = class_weight
        self.priors = priors
        self.n_members = n_members
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.hidden_layer_sizes = hidden_layer_sizes
        self.dropout = dropout
        self.weight_decay = weight_decay
        self.l1_penalty = l1_penalty
        self.warm_start = warm_start
        self.device = device
        self.n_threads = n_threads
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state
        self.memory = memory
        self.module = module
        self.optimizer = optimizer
        self.callbacks = callbacks
        self.net_params = net_params

    def _validate_params(self) -> None:
        super()._validate_params()
        make_losses(self.get_params(deep=False), refined=True)

    @_fit_context(prefer_skip_nested_validation=True)
    @np.errstate(under="ignore")  # what becomes 0 may, even where users have made it an error
    def fit(
        self,
        X: Features,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        trusted: ArrayLike | None = None,
        trusted_at_random: ArrayLike = False,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Train the network.

        After an error, or Ctrl-C in the first epoch, the estimator is what it was before. After a
        later Ctrl-C it has the network so far, which ``warm_start=True`` trains further.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite features, on any scale. Sparse rows become dense batch by batch.
        y : array-like of shape (n_samples,) or (n_samples, n_annotators)
            Labels of any kind, at least two classes; some may be wrong. Several columns are the
            answers of several annotators, some missing, see :class:`LabelRefiner`.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Non-negative weights; only their ratios matter.
        trusted : array-like of shape (n_samples,) or None, default=None
            Booleans that say which labels are right, with several annotators also in the shape of
            y; or the true labels, and None or NaN where they are unknown. See
            :meth:`LabelRefiner.fit`.
        trusted_at_random : bool or array-like of bool of shape (n_samples,), default=False
            Which of the trusted samples were drawn at random.
        groups : array-like of shape (n_samples,) or None, default=None
            Samples that depend on each other share a value here, such as those of one patient. They
            are held out together. At least 10 groups.

        Returns
        -------
        self : RobustClassifier
            This estimator.

        Raises
        ------
        ValueError
            If a parameter or the data are unsuitable, or a loss or a weight is no longer finite.

        Warns
        -----
        ConvergenceWarning
            If no gradient reached the network, the training increased the loss, or a class is never
            predicted after as many epochs as "auto" has.
        """
        previous = getattr(self, "_engine", None) if self.warm_start else None
        with unchanged_on_error(self, Exception) as restore:
            # Ctrl-C before the first step is an error like others: nothing is learned yet.
            with unchanged_on_error(self):
                rows = read_training_rows(
                    self, X, y, sample_weight, trusted, trusted_at_random, groups, engine=previous
                )
                training = prepare_training(self, rows, previous)
                self.__dict__.update(training.fitted)
            training.run(restore)
        training.warn_of_failure(self, stacklevel=5)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    @np.errstate(under="ignore")
    def partial_fit(
        self,
        X: Features,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train the network for one pass over a block of rows, which should be shuffled.

        The network forgets a class that stays away. The standardisation follows the moments of all
        rows so far.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite features.
        y : array-like of shape (n_samples,)
            Labels; a block need not have all classes.
        classes : array-like of shape (n_classes,) or None, default=None
            All labels that will ever occur. Needed in the first call, unless its block has all.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Non-negative weights; only their ratios within the block matter.

        Returns
        -------
        self : RobustClassifier
            This estimator.

        Raises
        ------
        ValueError
            If the data are unsuitable, a label is not among the classes, or the training diverges.
        """
        previous = getattr(self, "_engine", None)
        with unchanged_on_error(self, Exception):
            block = prepare_block(self, X, y, classes, sample_weight, previous)
            self.__dict__.update(block.fitted)
            try:
                block.engine.train(block.X, block.codes, block.weight, one_pass=True)
            except KeyboardInterrupt as stop:
                stop.add_note("The network is usable; it has learned a part of this block.")
                raise
        return self

    def decision_function(self, X: Features) -> NDArray:
        """Compute the scores of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite features.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            The scores that the loss sees: logits, confined to a ball if the loss has a `radius`.
            With several members, the logarithm of their mean probabilities; with two losses, the
            mean of these by `loss_weights_`. With `priors`, shifted. For two classes, that of
            ``classes_[1]`` minus the other.
        """
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict_proba(self, X: Features) -> NDArray:
        """Estimate the probabilities of the true classes.

        They are the softmax of the scores divided by `temperature_`. With a `transition_matrix`,
        `fit` finds the temperature that makes the noisy labels of held-out rows, at most 4096, most
        probable. Where no member has left out rows, as for a single network without `adapt`, the
        probabilities of the true labels decide. If labels were taken as given, the temperature is
        1. Only ``loss="ce"`` then estimates probabilities; robust losses go towards 0 and 1.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite features.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        scores = self._scores(X)
        best = scores.argmax(axis=1)
        scores /= self.temperature_
        return break_ties(torch.softmax(torch.from_numpy(scores), dim=-1).numpy(), best)

    def predict_log_proba(self, X: Features) -> NDArray:
        """Estimate the logarithms of the probabilities of the true classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite features.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Those of :meth:`predict_proba`, also where these round to 0.
        """
        scores = self._scores(X)
        scores /= self.temperature_
        return torch.log_softmax(torch.from_numpy(scores), dim=-1).numpy()

    def predict(self, X: Features) -> NDArray:
        """Predict the class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite features.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Class labels.
        """
        best = self._scores(X).argmax(axis=1)
        return self.classes_[best]

    def _scores(self, X: Features) -> NDArray:
        check_is_fitted(self)
        X = read_features(self, X, self._engine)
        return self._engine.scores(X, n_threads=self.n_threads)

    @property
    def net_(self) -> Any:
        return self._engine.net

    @property
    def loss_(self) -> Loss | tuple[Loss, ...]:
        losses = self._engine.losses
        return losses[0] if len(losses) == 1 else tuple(losses)

    @property
    def loss_weights_(self) -> NDArray:
        return self._engine.loss_weights

    @property
    def temperature_(self) -> float:
        return self._engine.temperature

    @property
    def history_(self) -> Any:
        return self._engine.net.history

    @property
    def n_iter_(self) -> int:
        return len(self._engine.net.history)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_engine")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

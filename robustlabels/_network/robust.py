"""RobustClassifier: a network trained with a noise-robust loss, as a scikit-learn estimator."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data
from torch import nn

from .._fitting import (
    fresh_random_state,
    unchanged_on_error,
    usable_memory,
    warn_unpredicted_classes,
)
from .._inner.folds import assign_folds
from .._typing import Features, Seed
from .._validation.labels import (
    NO_CLASSES,
    check_labels,
    check_priors,
    check_same_classes,
    check_two_classes,
    class_factors,
    encode,
    find_classes,
    reject_balanced,
)
from .._validation.parameters import suggest_parameters
from .._validation.rows import read_rows
from .._validation.sklearn_private import (
    HasMethods,
    Interval,
    Options,
    StrOptions,
    _check_sample_weight,
    _fit_context,
)
from .._validation.transitions import check_invertible
from ..losses import Loss
from ..refinement import LabelRefiner
from ..refinement._annotators import aggregate_labels
from ..refinement._temperatures import break_ties
from .adaptation import Adaptation, check_adaptable
from .calibration import (
    Beliefs,
    calibrate,
    member_weights,
    merge,
)
from .callbacks import check_monitors, not_started_anew
from .module import add_moments
from .parameters import (
    count_epochs,
    find_device,
    make_losses,
    make_net,
    name_loss,
)
from .scores import compute_scores
from .seeding import seeded_globally
from .storage import restore_net, store_net
from .threads import threads_for

if TYPE_CHECKING:
    from skorch.history import History

__all__ = ["RobustClassifier"]

#: skorch's parameter routes, which `set_params` and `get_params` lead into `net_params`.
_ROUTES = ("module__", "optimizer__", "callbacks__", "iterator_train__", "iterator_valid__")

#: Probability of a class from which a network may yet come to predict it.
_POSSIBLE = 1e-6

#: Parts that the rows are dealt to, at least: a network does without one of them.
_MIN_FOLDS = 4

#: Rows that the temperature of the probabilities is found by, at most.
_CALIBRATION_ROWS = 4096

#: What the refiner of the labels found, and is kept.
_NOISE = ("transition_matrix_", "noise_rate_", "noise_evidence_", "noise_posterior_")


class RobustClassifier(ClassifierMixin, BaseEstimator):
    r"""Neural network classifier that keeps its accuracy when training labels are wrong.

    A multi-layer perceptron, or a torch module of one's own. It is trained on the probabilities of
    the true labels, which follow from an estimate of the noise, with a noise-robust loss. Features
    are standardised inside the network, so raw tables work.

    Parameters
    ----------
    loss : str or Loss, default="auto"
        Name of a loss, see :func:`robustlabels.losses.available_losses`, or a loss object,
        whose hyperparameters a search then reaches as ``loss__q``. With "auto" every other
        network has "ce", which learns unequal and hard classes, and the others "sgce", which is
        not led astray by labels that are still wrong; noisy labels that a network has not learned
        from tell how much each counts. A single network or a `module` has "ce" then. Where labels
        are taken as given, or `q` is given, "auto" is "sgce".
    alpha : float or None, default=None
        Hyperparameter `alpha` of a loss given by name; None takes the loss's default. A
        named loss without such a hyperparameter ignores it, so that one grid can run over
        losses and hyperparameters. Not allowed beside a loss object.
    q : float or None, default=None
        Hyperparameter `q` of a loss given by name, as `alpha`.
    adapt : bool, default=False
        Whether the hyperparameters of the loss are learned while the network trains, see the notes:
        real numbers such as `q` and `alpha`, and the weights of a sum. They start where they are
        given. With ``loss="auto"`` it is the `q` of "sgce". Needs a `transition_matrix`, known or
        estimated; not for `partial_fit`, nor where `warm_start` goes on. Takes about 1.8 times
        the time of a fit.
    transition_matrix : array-like, "estimate" or None, default="estimate"
        The noise, of shape (n_classes, n_classes): ``T[i, j]`` is the probability of the label j
        where the true class is i, the classes in sorted order, or in a data frame by the names of
        its rows and columns. With it each training label is replaced by the probabilities of the
        true one, see the notes. "estimate" estimates it from the data; tables of fewer than 50
        rows, or 10 a class, are too small for that, and their labels are taken as given. None
        takes the labels as given always, and leaves everything to the loss. `partial_fit` takes
        them as given, too.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with `sample_weight`. "balanced" makes the
        weighted classes equally heavy. They weigh, and it counts, the probabilities of the true
        labels, or the labels where these are taken as given. Unequal weights take the symmetry
        from a symmetric loss.
    priors : array-like of shape (n_classes,), dict, "balanced" or None, default=None
        Class frequencies where the classifier will be used, positive, of sum 1, the classes in
        sorted order unless a dict or a Series names them; "balanced" is the same for all. After
        training the scores are shifted by the logarithms of their ratios to `class_prior_`, those
        of training. None leaves the scores.
    n_members : int, default=4
        Networks that are trained at once, on the same batches from different initial weights, and
        whose mean probabilities decide; with losses of two kinds the means of each kind, weighed by
        `loss_weights_`. They are computed together, which takes less time than one after the other.
        With a `transition_matrix` each does without a part of the rows, which :meth:`predict_proba`
        needs: a quarter or less, another one for each network, or for each pair where losses are
        of two kinds; where `warm_start` goes on all learn all rows. Callbacks and optimizers that
        combine all gradients, as clipping by norm does, combine those of all members.
    max_epochs : int or "auto", default="auto"
        Passes over the data of one call of `fit`. "auto" is 40, and on small tables as many as
        make 600 steps.
    batch_size : int, default=128
        Rows per step. -1 takes all rows.
    lr : float > 0, default=0.008
        Highest learning rate. In `fit` it is reached after 30 % of the steps and falls to
        almost 0 until the last (one cycle, unless `callbacks` brings an ``LRScheduler``);
        `partial_fit` keeps it constant.
    hidden_layer_sizes : int or tuple of int, default=(256, 256)
        Widths of the hidden layers, with ReLU between them. () is a linear model.
    dropout : float in [0, 1), default=0.5
        Share of the hidden units that each batch leaves out, the same ones for all its rows.
        Against wrong labels it matters as much as the loss.
    weight_decay : float >= 0, default=0.01
        Weight decay of the optimizer, if it takes one.
    l1_penalty : float >= 0, default=0.0
        Factor of the sum of the absolute values of all weights, added to the loss. The papers
        of "anl-ce", "jal-ce" and "jal-fl" use it in place of weight decay: between 5e-7 and
        5e-5.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the previous fit instead of starting anew. The
        classes and the layers must be the same; all other parameters may have changed. Labels are
        refined anew and the learning rate makes a new cycle; but after Ctrl-C, with the same data,
        what was found about the labels is kept, and the cycle goes on, as if `max_epochs` had been
        longer.
    device : str or torch.device, default="auto"
        Where to compute. "auto" is a CUDA device if torch sees one, else the CPU.
    n_threads : int or "auto", default="auto"
        Threads of torch on the CPU, set while the network computes and restored after. "auto" is
        one, unless the batches or the network are large, then what torch is set to. Alone on a
        machine more threads make large batches faster; beside other busy processes they wait for
        each other, and one is faster.
    verbose : int, default=0
        1 shows progress bars over the trees that refine labels and over the epochs, 2 and more
        skorch's table in place of the latter, a line an epoch.
    random_state : int, RandomState instance or None, default=None
        Initial weights, order of the rows and dropout. An int gives the same network every
        time. None draws fresh entropy, it does not follow ``np.random.seed``.
    memory : joblib.Memory, str or None, default=None
        Where what trees find about the noise is kept, an object or the path of a folder, so that
        a search does not grow them for each of its candidates. None, or no `random_state`, keeps
        nothing; with an int it is found again.
    module : torch.nn.Module, class or None, default=None
        Network to train instead of the built-in one. It maps a batch of X to logits of
        shape (n, n_classes). A class is called with ``net_params["module__..."]``, and with
        `n_features` and `n_classes` if it has parameters of these names; an instance is
        copied. X reaches it as it is given, not standardised, and `hidden_layer_sizes`,
        `dropout` and `n_members` have no effect. X may then have more dimensions, such as
        (n_samples, n_channels, height, width) for images; labels are refined by trees that see
        each row as one long vector, `n_features` is the size of the second dimension.
    optimizer : class, default=torch.optim.AdamW
        A torch optimizer. Its other parameters are ``net_params["optimizer__..."]``.
    callbacks : list or None, default=None
        Callbacks of skorch, or (name, callback) pairs. These very objects are used, as skorch
        does: what they record is found in them. Each fit calls their ``initialize`` and
        ``on_train_begin``; what these do not reset stays, as does a parameter that was set as
        ``callbacks__name__parameter``. ``clone``, and with it every search, makes new ones by the
        parameters of their constructors. For that, an attribute that is no such parameter needs a
        name that ends with an underscore. Two classifiers should not share a callback. Callbacks
        and their scorers see labels as positions in `classes_`, both given and predicted. One
        that stops by ``"valid_loss"`` or ``"train_loss"`` needs ``threshold_mode="abs"`` with a
        loss that can be negative, as the default and "sgce" are.
    net_params : dict or None, default=None
        Further parameters of the underlying skorch net by their skorch names, such as
        ``{"train_split": ValidSplit(5), "optimizer__betas": (0.8, 0.99)}``; those above cannot
        be set here a second time. Validation rows of one's own, from ``predefined_split``, have
        the same kind of labels as y. `set_params` and grids reach skorch's ``module__``,
        ``optimizer__``, ``callbacks__``, ``iterator_train__`` and ``iterator_valid__`` directly.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had any that are all strings.
    loss_ : Loss or tuple of Loss
        The loss that was minimised, or those of the networks in turn. With `adapt` it has the
        hyperparameters that were learned last.
    loss_weights_ : ndarray of shape (n_losses,)
        How much the networks of each loss count, of sum 1.
    transition_matrix_ : ndarray of shape (n_classes, n_classes) or None
        The noise that the last training reckoned with, as given or estimated; None if it took the
        labels as given.
    noise_rate_ : float or None
        Share of wrong labels under that noise.
    noise_posterior_ : NoisePosterior or None
        What the noise may be, as in :class:`LabelRefiner`; :class:`CleanScores` reckons with it.
    noise_evidence_ : dict or None
        Why the estimated noise is as it is: "form", "symmetric" or "class-dependent"; "explained",
        the share of the entropy of wrong labels that their true class explains, or with two
        classes "rate_difference", that of their noise rates; "threshold", what this has to exceed
        for a matrix that depends on the class; "tenable", whether the data allow for one at all;
        "none", the probability that no label is wrong, see :class:`LabelRefiner`. None if the
        noise was not estimated.
    class_prior_ : ndarray of shape (n_classes,)
        Class frequencies in training, with all weights: of the true classes with a
        `transition_matrix`, of the labels otherwise; in `partial_fit` those of the last block.
    temperature_ : float
        What the scores are divided by for :meth:`predict_proba`; 1 where labels were taken as
        given.
    net_ : skorch.NeuralNetClassifier
        The underlying net. It works with labels 0 to n_classes - 1.
    history_ : skorch.history.History
        What skorch recorded: a row an epoch, with ``train_loss`` and ``dur``, and with `adapt` the
        hyperparameters of the loss, as ``loss__q``; :class:`AdaptationDisplay` draws them. Batches
        are recorded only if `callbacks` has one of your own, or one that looks at batches.
    n_iter_ : int
        Number of epochs trained.

    See Also
    --------
    sklearn.neural_network.MLPClassifier : Network that believes its labels.
    robustlabels.losses : The losses.

    Notes
    -----
    A step minimises :math:`\frac{1}{|B|} \sum_{i \in B} w_i L(f(x_i), y_i)` with weights of
    mean 1 over the training rows. A weight of 2 equals a row given twice as long as all rows
    fit into one batch and labels are taken as given, and in expectation otherwise. Rows of
    sample weight 0 are left out, and a class that has no others.

    With a `transition_matrix` the label of a row gives way to the probabilities of its true one,
    :math:`P(k \mid x, \tilde{y}) \propto p_k(x) T_{k\tilde{y}}`, and a row's loss is the sum of
    the losses of all classes, weighted by them. :class:`LabelRefiner` finds them, its
    `soft_labels_`, and estimates T. Where there are fewer rows than a forest needs and a linear
    rule would do, compare with ``transition_matrix=None``. The trees also see the rows that a
    ``train_split`` sets aside.
    `noise_rate_` counts rows, whatever they weigh.

    With ``adapt=True`` every fourth step of the network is followed by one of the hyperparameters
    of its loss [3]_. It asks how probable the noisy labels are, given the noise, of rows that a
    member has not learned from, and moves the hyperparameters to where the last step of the network
    would have made them more probable. Trusted labels count as right. A factor of the loss is not
    learned, for the optimizer does not heed it. Members share the hyperparameters. They stay within
    their domains, and within a factor of 20 of where they start, of the distance to an end of the
    domain, or with two ends of the odds. One that starts at an end stays there, and a `radius` is
    that of the start. A single network, or a `module`, leaves out a quarter of the rows for good.
    Tables too small for an estimate of the noise keep the hyperparameters, with a warning.

    The network computes in the dtype of X: float64 in, float64 training on the CPU. A fit whose
    batches are small runs on one thread of torch, so that its result does not depend on the
    machine. A `module`, `callbacks` and `net_params` of one's own may draw from the global
    random states of torch and numpy; then these are set and restored around the training, and
    such fits in several threads run one after the other.

    `fit` raises ``ValueError`` when the loss or a weight of the network is no longer finite,
    and warns with ``ConvergenceWarning`` when no gradient reached the network, when the
    training has made the loss larger, or when a class is predicted for no training row after as
    many epochs as "auto" has. After any error in `fit` the estimator is what it was before.
    Ctrl-C ends the training with ``KeyboardInterrupt``, whose note says what is usable: before
    the end of the first epoch what was there before, later the network so far, with its
    temperature and `priors`. Then ``warm_start=True`` goes on with it; until then the classifier
    keeps what it knows of the labels.

    References
    ----------
    .. [1] Lemire Paquin, Chaib-Draa and Giguere, "Symmetrization of Loss Functions for Robust
       Training of Neural Networks in the Presence of Noisy Labels", arXiv:2605.20347.
    .. [2] Zhou, Liu, Jiang, Gao and Ji, "Asymmetric Loss Functions for Learning with Noisy
       Labels", ICML 2021, arXiv:2106.03110.
    .. [3] Shu, Zhao, Chen, Xu and Meng, "Learning Adaptive Loss for Robust Learning with Noisy
       Labels", arXiv:2002.06482, where labels known to be right stand in the place of noisy ones.

    Examples
    --------
    >>> from robustlabels import RobustClassifier, corrupt_labels
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> y_noisy = corrupt_labels(y, "symmetric", 0.3, random_state=0)
    >>> clf = RobustClassifier(random_state=0).fit(X, y_noisy)
    >>> clf.score(X, y) > 0.9
    True

    A loss that tunes itself:

    >>> clf = RobustClassifier("gce", adapt=True, random_state=0).fit(X, y_noisy)
    >>> 0 < clf.loss_.q < 1
    True
    >>> clf.loss_.q == clf.history_[-1, "loss__q"]
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
        verbose: int = 0,
        random_state: Seed = None,
        memory: Any = None,
        module: nn.Module | type[nn.Module] | None = None,
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
        self.verbose = verbose
        self.random_state = random_state
        self.memory = memory
        self.module = module
        self.optimizer = optimizer
        self.callbacks = callbacks
        self.net_params = net_params

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of this estimator.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include those of a loss object, as ``loss__q``, and those that
            `net_params` holds under skorch's routes, as ``optimizer__betas``.

        Returns
        -------
        params : dict
            Parameter names and values.
        """
        params = super().get_params(deep=deep)
        if deep and isinstance(self.net_params, Mapping):
            params |= {k: v for k, v in self.net_params.items() if k.startswith(_ROUTES)}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters of this estimator, of its loss object or of the skorch net.

        Parameters
        ----------
        **params : dict
            Parameters of the constructor; ``loss__q`` for those of a loss object;
            ``optimizer__betas`` and the like are put into `net_params`.

        Returns
        -------
        self : RobustClassifier
            This estimator.

        Raises
        ------
        ValueError
            If there is no such parameter, or ``loss__...`` meets a loss given by name.
        """
        routed = {name: params.pop(name) for name in list(params) if name.startswith(_ROUTES)}
        nested = [name for name in params if name.startswith("loss__")]
        loss = params.get("loss", self.loss)
        if nested and isinstance(loss, str):
            raise ValueError(
                f"{nested[0]!r} reaches into a loss object, but loss={loss!r} is a name. Set "
                f"'alpha' or 'q' instead, or pass an object: loss=get_loss({name_loss(loss)!r})."
            )
        suggest_parameters(self, params)
        super().set_params(**params)
        if routed:
            self.net_params = {**(self.net_params or {}), **routed}
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    @np.errstate(under="ignore")  # what becomes 0 may, even where users have made it an error
    def fit(
        self,
        X: Features,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        trusted: ArrayLike | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite features, on any scale. Of a sparse matrix a batch at a time becomes dense.
        y : array-like of shape (n_samples,) or (n_samples, n_annotators)
            Labels of any kind, two classes at least; some of them may be wrong. With several
            columns the answers of several annotators, some missing, see :class:`LabelRefiner`.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Non-negative weights; only their ratios matter.
        trusted : array-like of bool of shape (n_samples,) or None, default=None
            Which labels are known to be right; with several annotators also in the shape of y.

        Returns
        -------
        self : RobustClassifier
            This estimator.

        Raises
        ------
        ValueError
            If a parameter or the data are unfit, or the training diverges.
        """
        go_on = self.warm_start and hasattr(self, "net_")
        with unchanged_on_error(self, Exception) as restore:
            # Ctrl-C before the first step is an error like others: nothing is learned yet.
            with unchanged_on_error(self):
                rows = self._read_rows(X, y, sample_weight, trusted, not go_on)
                data = self._prepare(rows, go_on)
            X_learned, _, weight, beliefs = data
            try:
                self._train(*data)
                self._calibrate(X_learned, weight, beliefs)
            except KeyboardInterrupt as stop:
                if go_on or self.net_.count_epochs():
                    self._keep_what_is_learned(stop, X_learned, weight, beliefs)
                else:
                    restore(stop)
                raise
        self._warn_of_failure(X_learned, stacklevel=5)
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
        """Train the network one pass further on a block of rows.

        The standardisation follows the mean and the variance of all rows so far. Blocks
        should be shuffled: the network forgets a class that stays away.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite features.
        y : array-like of shape (n_samples,)
            Labels; a block need not have all classes.
        classes : array-like of shape (n_classes,) or None, default=None
            All labels that will ever occur. Needed in the first call, unless that block has
            them all.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Non-negative weights; only their ratios within the block matter.

        Returns
        -------
        self : RobustClassifier
            This estimator.

        Raises
        ------
        ValueError
            If the data are unfit, a label is not among the classes, or the training diverges.
        """
        go_on = hasattr(self, "net_")
        reject_balanced(self.class_weight)
        if self.adapt:
            raise ValueError(
                "partial_fit cannot adapt the loss: it takes labels as given. Call fit, or set "
                "adapt=False."
            )
        if self.transition_matrix is not None and not isinstance(self.transition_matrix, str):
            raise ValueError(
                "partial_fit takes labels as given, without a transition matrix. Call fit, or "
                "set transition_matrix=None and loss=ForwardCorrected(your_matrix)."
            )
        if self.priors is not None:
            raise ValueError("priors need all labels at once. Call fit, or set priors=None.")
        with unchanged_on_error(self, Exception):
            X, y, weight = self._read_block(X, y, sample_weight, not go_on)
            if classes is None:
                classes = self.classes_ if go_on else np.unique(y)
            else:
                classes = find_classes(check_labels(classes, "classes"))
            if go_on:
                check_same_classes(classes, self.classes_)
            check_two_classes(self, classes)
            codes = encode(y, classes)
            weight, _ = self._weigh_classes(weight, codes, classes)
            if not go_on:
                self._forget()
                self._start(X, classes, refined=False)
                self.net_.try_out(X[:2], codes[:2])
            else:
                reckoned_with_noise = self.transition_matrix_ is not None
                self._forget_noise()
                if reckoned_with_noise or repr(self._made_with) != repr(self._recipe()):
                    self._renew(refined=False)
            try:
                self._train(X, codes, weight, one_pass=True)
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
            The scores the loss looks at: the logits of the network, confined to a ball where
            the loss has a `radius`. For two classes, that of ``classes_[1]`` less the other.
            With several members, the logarithm of their mean probabilities, and with losses of two
            kinds the mean of these by `loss_weights_`, none of them certain. With `priors`, their
            shift is added.
        """
        scores = self._predict(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict_proba(self, X: Features) -> NDArray:
        """Estimate the probabilities of the true classes.

        They are the softmax of the scores divided by `temperature_`, which `fit` finds with a
        `transition_matrix`, known or estimated: the one under which the noise makes the labels of
        rows that a member has not learned from most probable, of at most 4096. Where these leave
        it open it is near 1 with losses of two kinds. With one, and where no member has left out
        a row, the probabilities of the true labels decide that come from trees: for a single
        network and for a `module` of one's own, unless they `adapt`, and where `warm_start` goes
        on. The probabilities are meant for clean labels, but no better than the noise is known.

        Where labels were taken as given there is nothing to divide by. Only for ``loss="ce"`` the
        softmax then estimates probabilities, those of the labels as given, wrong ones included;
        robust losses drive it towards 0 and 1.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite features.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        scores = self._predict(X)
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
        scores = self._predict(X)
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
        scores = self._predict(X)
        return self.classes_[scores.argmax(axis=1)]

    @property
    def history_(self) -> History:
        """What skorch recorded, a row an epoch."""
        return self.net_.history

    @property
    def n_iter_(self) -> int:
        """Number of epochs trained."""
        return len(self.net_.history)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "net_")

    def __getstate__(self):
        state = dict(super().__getstate__())
        if "net_" in state:
            state["net_"] = store_net(self.net_)
        return state

    def __setstate__(self, state):
        state = dict(state)
        stored = state.pop("net_", None)
        super().__setstate__(state)
        if stored is None:
            return
        # The parameters may have been set anew since the net was made.
        try:
            device = find_device(self._made_with["device"])
        except ValueError as error:
            device = torch.device("cpu")
            warnings.warn(f"{error} The loaded classifier computes on the CPU.", stacklevel=2)
        with not_started_anew(self._made_with["callbacks"]):
            self.net_ = self._make_net(self._losses, device)
        restore_net(self.net_, stored, same_parameters=True)

    def _validate_params(self):
        super()._validate_params()
        self._make_losses(refined=True)

    def _prepare(self, rows, go_on=False, refine=True):
        """Find the noise, and make the net, or the present one anew."""
        rows = aggregate_labels(rows)
        classes = self.classes_ if go_on else rows.classes
        if go_on and not np.array_equal(rows.classes, classes):
            raise ValueError(
                f"warm_start needs the classes of the previous fit, {classes.tolist()}, but "
                f"y has only {rows.classes.tolist()}. {NO_CLASSES}"
            )
        rng = self._forget()
        refine = refine and self.transition_matrix is not None
        if self.adapt:
            self._check_adapt(go_on)
        # All that can be wrong with a parameter shows here; finding the noise takes much longer.
        check_priors(self.priors, classes)
        if not (self.transition_matrix is None or isinstance(self.transition_matrix, str)):
            check_invertible(self.transition_matrix, len(classes), classes)
        X, codes, weight = rows.X, rows.codes, rows.weight
        self._weigh_classes(weight, codes, classes)
        if go_on:
            self._scaler = StandardScaler(with_mean=False)  # of sparse X it takes no mean
            self._renew(refine)
        else:
            self._start(X, classes, refine)
        if self.adapt:
            check_adaptable(self.net_.losses_)
        if self.net_.mlp_ is not None:
            add_moments(self._scaler, X, weight / weight.max(), self.net_.dtype)
        self.net_.try_out(X[:2], codes[:2])
        beliefs = None
        if refine:
            # A network that goes on may have learned from any row.
            hold_out = (self.net_.n_members_ > 1 or self.adapt) and not go_on
            beliefs = self._refine_labels(rows, hold_out, rng)
            if beliefs is None:
                if self.adapt:
                    warnings.warn(
                        "adapt=True has no effect: the rows are too few to estimate their noise.",
                        stacklevel=5,
                    )
                losses = self._make_losses(refined=False)
                self.net_.minimise(losses)
                self._set_losses(losses)
        weight, beliefs = self._weigh_classes(weight, codes, classes, beliefs)
        return X, codes, weight, beliefs

    def _check_adapt(self, go_on):
        """Refuse to learn hyperparameters where no rows tell what they should be."""
        if self.transition_matrix is None:
            raise ValueError(
                "adapt=True asks noisy labels, whose noise has to be known for that. Set "
                "transition_matrix='estimate', or to the matrix of the noise, or adapt=False."
            )
        if go_on:
            raise ValueError(
                "adapt=True needs rows that the network has not learned from. One that goes on "
                "may know them all. Set warm_start=False; or adapt=False, which goes on with the "
                "loss as it is given."
            )

    def _read_rows(self, X, y, sample_weight, trusted, reset=True):
        """Check the data of `fit`; trees see each row as one long vector."""

        def read_features():
            features = self._validate_features(X, reset)
            flat = features if features.ndim == 2 else features.reshape(len(features), -1)
            return features, flat

        return read_rows(self, read_features, y, sample_weight, trusted)

    def _read_block(self, X, y, sample_weight, reset):
        """Check the data of `partial_fit`, and drop the rows without weight."""
        y = check_labels(y)
        X = self._validate_features(X, reset)
        check_consistent_length(X, y)
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if not weight.any():
            raise ValueError("All sample weights are zero: there is no row to learn from.")
        if not weight.all():
            X, y, weight = X[weight > 0], y[weight > 0], weight[weight > 0]
        return X, y, weight

    def _validate_features(self, X, reset):
        X = validate_data(
            self, X, reset=reset, dtype=(np.float64, np.float32), order="C", accept_sparse="csr",
            allow_nd=self.module is not None,
        )  # fmt: skip
        if reset:
            self._row_shape = X.shape[1:]
        elif X.shape[1:] != self._row_shape:
            raise ValueError(
                f"X has rows of shape {X.shape[1:]}; in fit they had {self._row_shape}."
            )
        return X

    def _forget(self):
        """Start the random state anew, without noise found; return that of the trees alone."""
        self._forget_noise()
        self._random_state = fresh_random_state(self.random_state)
        return np.random.RandomState(self._random_state.randint(2**31))

    def _forget_noise(self):
        """Take the labels as given, and the scores as they are."""
        for name in _NOISE:
            setattr(self, name, None)
        self.temperature_, self._offset = 1.0, None

    def _refine_labels(self, rows, hold_out, rng):
        """Find the noise, and what the true labels probably are; None for labels as given."""
        refiner = LabelRefiner(
            self.transition_matrix,
            verbose=self.verbose,
            random_state=rng,
            memory=usable_memory(self),
        )
        found = refiner.fit_rows(rows)
        if found.transition is None:
            return None
        for name in _NOISE:
            setattr(self, name, getattr(refiner, name))
        folds = member_weight = None
        if hold_out:
            n_losses, n_members = len(self.loss_weights_), self.net_.n_members_
            n_folds = max(-(-n_members // n_losses), _MIN_FOLDS)
            folds = assign_folds(found.groups, found.observed.codes, n_folds, rng)
            member_weight = member_weights(folds, n_members, n_losses)
        sample = np.sort(rng.permutation(len(rows))[:_CALIBRATION_ROWS])
        return Beliefs(
            found.soft_labels, found.label_probabilities, folds, sample,
            found.observed.likelihood[sample], member_weight,
        )  # fmt: skip

    def _weigh_classes(self, weight, codes, classes, beliefs=None):
        """Return the weights of the rows, scaled to mean 1, and the beliefs.

        The class weights are multiplied into the latter if there are any, else into the former.
        """
        # Of weights near the largest float the sum would overflow.
        weight, factors = weight / weight.max(), np.ones(len(classes))
        if beliefs is None:
            totals = np.bincount(codes, weight, minlength=len(classes))
        else:
            totals = weight @ beliefs.posterior
        if self.class_weight is not None:
            factors = class_factors(self.class_weight, classes, totals)
            total = factors @ totals
            if total == 0:
                raise ValueError(f"class_weight={self.class_weight!r} leaves no row with a weight.")
            if beliefs is None:
                weight = weight * factors[codes]
            else:
                factors = factors * (totals.sum() / total)
                beliefs = beliefs._replace(
                    posterior=beliefs.posterior * factors, targets=beliefs.targets * factors
                )
        self.class_prior_ = factors * totals / (factors @ totals)
        return weight / weight.mean(), beliefs

    def _start(self, X, classes, refined):
        """Make a new net for these data, to learn from labels as given or `refined` ones."""
        losses = self._make_losses(refined)
        device = find_device(self.device)
        self._made_with = self._recipe()
        self._scaler = StandardScaler(with_mean=False)  # of sparse X it takes no mean
        self._dtype = X.dtype.name if device.type == "cpu" else "float32"
        self.classes_ = classes
        self.net_ = self._make_net(losses, device, self._random_state.randint(2**31))
        self._set_losses(losses)

    def _renew(self, refined, losses=None):
        """Make the net anew by the present parameters, with the weights and maybe losses it has."""
        stored = store_net(self.net_)
        self._made_with = self._recipe()
        losses = losses or self._make_losses(refined)
        net = self._make_net(losses, find_device(self.device))
        restore_net(net, stored, same_parameters=False)
        self.net_ = net
        self._set_losses(losses, keep_weights=True)

    def _make_losses(self, refined):
        n_members = self.n_members if self.module is None else 1
        return make_losses(self.loss, self.alpha, self.q, refined, n_members)

    @property
    def _losses(self):
        """The losses of the members in turn, a tuple, also of one."""
        return self.loss_ if isinstance(self.loss_, tuple) else (self.loss_,)

    def _set_losses(self, losses, keep_weights=False):
        check_monitors(self.net_)
        self.loss_ = losses[0] if len(losses) == 1 else tuple(losses)
        if not keep_weights or len(self.loss_weights_) != len(losses):
            self.loss_weights_ = np.full(len(losses), 1 / len(losses))

    def _recipe(self):
        """Return the parameters, with a loss object as it is at present.

        Numbers of numpy become Python's: torch and skorch do not take all of them, and those of
        a few bits overflow.
        """
        params = self.get_params(deep=False)
        params = {k: v.item() if isinstance(v, np.generic) else v for k, v in params.items()}
        return {**params, "loss": clone(params["loss"], safe=False)}

    def _make_net(self, losses, device, seed=0):
        """Make a net by the recipe that is kept, for the classes and features that are known."""
        net = make_net(
            self._made_with,
            loss=losses[0],
            device=device,
            dtype=getattr(torch, self._dtype),
            n_features=self.n_features_in_,
            n_classes=len(self.classes_),
            seed=seed,
        )
        net.labels_ = self.classes_
        net.minimise(losses)
        return net

    def _fit_folds(self, X, soft_labels, folds):
        """Train members, for each fold and each loss one, on soft labels that know nothing of it.

        `soft_labels` has the shape (n_samples, n_folds, n_classes). Nothing is checked, calibrated
        or weighed.
        """
        self._forget()
        self.n_features_in_ = X.shape[1]
        self._start(X, np.arange(soft_labels.shape[2]), refined=True)
        soft_labels = np.repeat(soft_labels, len(self.loss_weights_), axis=1)
        codes = soft_labels[:, 0].argmax(axis=1)  # skorch wants labels; nobody learns them
        weight = member_weights(folds, self.n_members, len(self.loss_weights_))
        beliefs = Beliefs(soft_labels, soft_labels, folds, member_weight=weight)
        self._train(X, codes, np.ones(len(X)), beliefs)

    def _train(self, X, codes, weight, beliefs=None, one_pass=False):
        """Train the net, for one pass or for all epochs."""
        net = self.net_
        if net.mlp_ is not None:
            self._scaler = add_moments(self._scaler, X, weight, net.dtype)
            net.mlp_.standardize_by(self._scaler.mean_, self._scaler.scale_)
        # Three streams, so that the masks do not depend on the number of rows.
        order, masks, elsewhere = self._random_state.randint(2**31, size=3).tolist()
        net.seed(order, masks)
        data = {"X": X}
        if (weight != 1).any():
            data["sample_weight"] = weight
        if beliefs is not None:
            data["posterior"] = beliefs.posterior
            if beliefs.member_weight is not None:
                data["member_weight"] = beliefs.member_weight
        n_rows = self._count_batch(len(codes))
        n_epochs = 1 if one_pass else count_epochs(self.max_epochs, len(codes), n_rows)
        adaptation = None
        if self.adapt and beliefs is not None and beliefs.rows is not None:
            adaptation = self._make_adaptation(X, weight, beliefs, elsewhere)
        # Only what is not built in draws from the global random states.
        foreign = self.module is not None or self.callbacks or self.net_params
        with (
            threads_for(net, n_rows, self.n_threads),
            seeded_globally(elsewhere, net.device) if foreign else nullcontext(),
        ):
            net.train_on(data, codes, n_epochs, not one_pass, adaptation)
        net.module_.eval()

    def _make_adaptation(self, X, weight, beliefs, seed):
        """Return what learns the hyperparameters of the loss by rows that members leave out."""
        net, rows = self.net_, beliefs.rows
        of_member = np.arange(net.n_members_) // len(self.loss_weights_)
        unseen = beliefs.folds[rows][:, None] == of_member
        weight = weight[rows] * beliefs.targets[rows].sum(axis=1)  # that of the classes, too
        X = net._to_device(X[rows])
        return Adaptation(net, X, beliefs.likelihood, weight, unseen, seed)

    def _count_batch(self, n_rows):
        """Return the number of rows of a batch, of so many rows in all."""
        return n_rows if self.batch_size == -1 else min(int(self.batch_size), n_rows)

    def _calibrate(self, X, weight, beliefs):
        """Set the temperature, what each loss counts, and the shift of the scores by `priors`."""
        if beliefs is not None:
            rows = beliefs.rows
            scores = compute_scores(self.net_, X[rows], self.n_threads)
            self.temperature_, self.loss_weights_ = calibrate(
                scores, weight[rows], beliefs, self.loss_weights_
            )
        self._offset = None
        if self.priors is not None:
            balanced = isinstance(self.priors, str)
            priors = 1 / len(self.classes_)
            priors = priors if balanced else check_priors(self.priors, self.classes_)
            there = np.maximum(self.class_prior_, np.finfo(float).tiny)
            self._offset = self.temperature_ * np.log(priors / there)

    def _warn_of_failure(self, X, stacklevel):
        """Warn if the training was of no use, or classes of it are never predicted."""
        if self.net_.failure_ is not None:
            warnings.warn(self.net_.failure_, ConvergenceWarning, stacklevel)
            return
        n_rows = X.shape[0]
        # `count_epochs` of the net itself does not know of a training that others shared.
        enough = len(self.history_) >= count_epochs("auto", n_rows, self._count_batch(n_rows))

        def predict(rows):
            # Without the shift by priors, which are the user's own.
            scores = self._compute(X[rows])
            if enough:
                return scores.argmax(axis=1)
            # After fewer epochs it is no wonder, unless the network is sure of one class.
            possible = (softmax(scores / self.temperature_, axis=1) > _POSSIBLE).any(axis=0)
            return possible if possible.sum() == 1 else slice(None)

        remedy = "" if enough else f" Or lr={self.lr} is too large."
        warn_unpredicted_classes(self, self.class_prior_ > 0, n_rows, predict, stacklevel, remedy)

    def _keep_what_is_learned(self, stop, X, weight, beliefs):
        """Finish a training that Ctrl-C has stopped, and note what of it is usable."""
        n_epochs = self.net_.count_epochs()
        self.net_.module_.eval()
        usable = f"The network of {n_epochs} epochs is usable"
        try:
            self._calibrate(X, weight, beliefs)
        except KeyboardInterrupt:
            usable += ", but neither calibrated nor shifted by priors"
        except ValueError as error:
            usable = f"The network of {n_epochs} epochs is not usable: {error}"
        stop.add_note(f"{usable}. With warm_start=True fit goes on with it.")

    def _predict(self, X):
        """Check the data; compute the scores, shifted by the priors."""
        check_is_fitted(self)
        return self._compute(self._validate_features(X, reset=False), self._offset)

    def _compute(self, X, offset=None):
        """Compute the scores, shifted by an offset."""
        offset = 0 if offset is None else torch.as_tensor(offset)

        def finish(scores):
            return (merge(scores, self.loss_weights_) + offset).to(self.net_.dtype)

        return compute_scores(self.net_, X, self.n_threads, finish).numpy()

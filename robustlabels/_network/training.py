"""A fit of RobustClassifier: what its networks learn, and what is known about the noise."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_consistent_length, validate_data

from .._fitting import usable_memory, warn_unpredicted_classes
from .._inner.folds import assign_folds
from .._validation.alignment import align_rows
from .._validation.features import explained_texts
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
from .._validation.rows import TrainingRows, read_rows
from .._validation.sklearn_private import _check_sample_weight
from .._validation.transitions import check_invertible
from ..refinement import LabelRefiner
from ..refinement._annotators import aggregate_labels
from ..refinement._duplicates import has_enough_rows
from ..refinement._refiner import NOISE_ATTRIBUTES
from .adaptation.hyperparameters import check_adaptable
from .calibration import CalibrationRows, weights_without_fold
from .engine import NetworkEngine
from .module import add_moments
from .parameters import count_epochs, plain_parameters
from .settings import NETWORK


@dataclass
class Training:
    """A fit, or one pass over a block, whose data and parameters have been checked."""

    engine: NetworkEngine
    X: Any
    #: Labels as positions in the classes, and sample weights of mean 1.
    codes: NDArray
    weight: NDArray
    #: Class frequencies with all weights, and those to predict for.
    class_prior: NDArray
    priors: NDArray | float | None = None
    #: What is learned in place of the labels, weights for each member, samples to calibrate by.
    soft_labels: NDArray | None = None
    member_weight: NDArray | None = None
    calibration: CalibrationRows | None = None
    #: What found the noise.
    refiner: LabelRefiner | None = None

    @property
    def fitted(self) -> dict[str, Any]:
        """The fitted attributes of the classifier."""
        noise = {name: getattr(self.refiner, name, None) for name in NOISE_ATTRIBUTES}
        prior, classes = self.class_prior, self.engine.classes
        return {"_engine": self.engine, "classes_": classes, "class_prior_": prior, **noise}

    def run(self, restore: Callable[[KeyboardInterrupt], None]) -> None:
        """Train and calibrate the networks; after Ctrl-C keep them, or `restore` what there was."""
        try:
            self.engine.train(
                self.X, self.codes, self.weight, self.soft_labels, self.member_weight,
                calibration=self.calibration,
            )  # fmt: skip
            self.calibrate()
        except KeyboardInterrupt as stop:
            if self.engine.net.history:
                self._finish_after(stop)
            else:
                restore(stop)
            raise

    def calibrate(self) -> None:
        """Fit the temperature and the weights of the losses, and shift the scores by `priors`."""
        if self.calibration is not None:
            self.engine.calibrate(self.X, self.calibration)
        self.engine.shift(self.priors, self.class_prior)

    def _finish_after(self, stop: KeyboardInterrupt) -> None:
        """Calibrate networks that Ctrl-C has stopped, and add a note on what is usable."""
        network = f"The network of {len(self.engine.net.history)} epochs is"
        self.engine.net.module_.eval()
        try:
            self.calibrate()
            note = f"{network} usable"
        except KeyboardInterrupt:
            note = f"{network} usable, but neither calibrated nor shifted by priors"
        except ValueError as error:
            note = f"{network} not usable: {error}"
        stop.add_note(f"{note}. With warm_start=True, fit trains it further.")

    def warn_of_failure(self, classifier: Any, stacklevel: int) -> None:
        """Warn if the training was useless, or some classes are never predicted."""
        engine, n_rows = self.engine, self.X.shape[0]
        if engine.net.failure_ is not None:
            warnings.warn(engine.net.failure_, ConvergenceWarning, stacklevel)
            return
        enough = len(engine.net.history) >= count_epochs("auto", n_rows, engine.count_batch(n_rows))

        def predict(rows: slice) -> Any:
            scores = engine.scores(self.X[rows], shifted=False)  # priors are the user's own
            if enough:
                return scores.argmax(axis=1)
            # After few epochs a class may be missing, unless the network is sure of another.
            proba = softmax(scores / engine.temperature, axis=1)
            possible = (proba > NETWORK.lost_class).any(axis=0)
            return possible if possible.sum() == 1 else slice(None)

        remedy = "" if enough else f" Or lr={classifier.lr} is too large."
        present = self.class_prior > 0
        warn_unpredicted_classes(classifier, present, n_rows, predict, stacklevel, remedy)


def read_features(classifier: Any, X: Any, engine: NetworkEngine | None = None) -> Any:
    """Check the features of a first fit, or for an engine that is there."""
    with explained_texts():
        X = validate_data(
            classifier, X, reset=engine is None, dtype=(np.float64, np.float32), order="C",
            accept_sparse="csr", allow_nd=classifier.module is not None,
        )  # fmt: skip
    if engine is not None and X.shape[1:] != engine.row_shape:
        raise ValueError(f"X has rows of shape {X.shape[1:]}; in fit they had {engine.row_shape}.")
    return X


def read_training_rows(
    classifier: Any,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    trusted: ArrayLike | None = None,
    trusted_at_random: ArrayLike = False,
    groups: ArrayLike | None = None,
    engine: NetworkEngine | None = None,
) -> TrainingRows:
    """Check the data of `fit`, and aggregate the answers of annotators."""

    def read(X: Any) -> tuple[Any, Any]:
        features = read_features(classifier, X, engine)
        # Trees see each row as one long vector.
        return features, features if features.ndim == 2 else features.reshape(len(features), -1)

    return aggregate_labels(
        read_rows(classifier, X, read, y, sample_weight, trusted, trusted_at_random, groups)
    )


def weigh_classes(
    class_weight: Any, classes: NDArray, weight: NDArray, labels: NDArray
) -> tuple[NDArray, NDArray, NDArray]:
    """Apply class weights to labels, (n,), or to label probabilities, (n, n_classes).

    Returns sample weights of mean 1, with those of the classes for labels; factors of the classes
    for label probabilities, which keep their total weight; and class frequencies with all weights.
    """
    # With weights near the largest float the sum would overflow.
    weight, factors = weight / weight.max(), np.ones(len(classes))
    given = labels.ndim == 1
    totals = np.bincount(labels, weight, len(classes)) if given else weight @ labels
    if class_weight is not None:
        factors = class_factors(class_weight, classes, totals)
        total = factors @ totals
        if total == 0:
            raise ValueError(f"class_weight={class_weight!r} leaves no row with a weight.")
        if given:
            weight = weight * factors[labels]
        else:
            factors = factors * (totals.sum() / total)
    return weight / weight.mean(), factors, factors * totals / (factors @ totals)


def prepare_training(
    classifier: Any, rows: TrainingRows, previous: NetworkEngine | None = None
) -> Training:
    """Check the parameters of a classifier against its data, and refine the labels.

    Everything that can be wrong shows before the labels are refined, which takes much longer. The
    classifier is not changed. The networks of a `previous` engine are trained further.
    """
    params, classes, codes = plain_parameters(classifier), rows.classes, np.asarray(rows.codes)
    if previous is not None and len(encode(classes, previous.classes)) < len(previous.classes):
        raise ValueError(
            f"warm_start needs the classes of the previous fit, {previous.classes.tolist()}, but "
            f"y has only {classes.tolist()}. {NO_CLASSES}"
        )
    transition = params["transition_matrix"]
    priors = check_priors(params["priors"], classes)
    if isinstance(priors, str):  # "balanced"
        priors = 1 / len(classes)
    refined = transition is not None and has_enough_rows(len(rows), rows.n_known_classes)
    if not isinstance(transition, str | None):
        check_invertible(transition, len(classes), classes)
        refined = True
    weight, _, prior = weigh_classes(params["class_weight"], classes, rows.weight, codes)
    if previous is None:
        engine = NetworkEngine(params, rows.X, classes, refined=refined)
    else:
        engine = previous.for_next(params, refined=refined)
    if params["adapt"]:
        check_adaptable(engine.losses, transition, previous)
    if engine.net.mlp_ is not None:
        add_moments(engine.scaler, rows.X, rows.weight / rows.weight.max(), engine.net.dtype)
    engine.net.try_out(rows.X[:2], codes[:2])
    training = Training(engine, rows.X, codes, weight, prior, priors)
    if refined:
        # A network that is trained further may have learned from any row.
        hold_out = previous is None and (engine.net.n_members_ > 1 or params["adapt"])
        _refine(training, classifier, rows, hold_out)
    elif params["adapt"]:
        warnings.warn(
            "adapt=True has no effect: the rows are too few to estimate their noise.", stacklevel=5
        )
    return training


def _refine(training: Training, classifier: Any, rows: TrainingRows, hold_out: bool) -> None:
    """Find the noise, and the probabilities of the true labels, which the networks learn."""
    engine, rng = training.engine, np.random.RandomState(training.engine.label_seed)
    training.refiner = LabelRefiner(
        classifier.transition_matrix,
        n_jobs=classifier.n_jobs,
        verbose=classifier.verbose,
        random_state=rng,
        memory=usable_memory(classifier),
    )
    found = training.refiner.fit_rows(rows)
    folds = None
    if hold_out:
        n_losses, n_members = len(engine.losses), engine.net.n_members_
        n_folds = max(-(-n_members // n_losses), NETWORK.min_folds)
        folds = assign_folds(found.groups, found.observed.codes, n_folds, rng)
        training.member_weight = weights_without_fold(folds, n_members, n_losses)
    sample = np.sort(rng.permutation(len(rows))[: NETWORK.calibration_rows])
    training.weight, factors, training.class_prior = weigh_classes(
        classifier.class_weight, rows.classes, rows.weight, found.soft_labels
    )
    training.soft_labels = found.soft_labels
    if classifier.class_weight is not None:
        training.soft_labels = found.soft_labels * factors
    training.calibration = CalibrationRows(
        sample, training.weight[sample], found.observed.likelihood[sample],
        found.label_probabilities[sample] * factors, None if folds is None else folds[sample],
    )  # fmt: skip


def prepare_block(
    classifier: Any,
    X: Any,
    y: ArrayLike,
    classes: ArrayLike | None,
    sample_weight: ArrayLike | None,
    previous: NetworkEngine | None,
) -> Training:
    """Check the parameters of a classifier for `partial_fit`, and a block of data."""
    params = plain_parameters(classifier)
    reject_balanced(params["class_weight"])
    if params["adapt"]:
        raise ValueError(
            "partial_fit cannot adapt the loss: it takes labels as given. Call fit, or set "
            "adapt=False."
        )
    if not isinstance(params["transition_matrix"], str | None):
        raise ValueError(
            "partial_fit takes labels as given, without a transition matrix. Call fit, or "
            "set transition_matrix=None and loss=ForwardCorrected(your_matrix)."
        )
    if params["priors"] is not None:
        raise ValueError("priors need all labels at once. Call fit, or set priors=None.")
    y = check_labels(align_rows(X, y, "y"))
    sample_weight = align_rows(X, sample_weight, "sample_weight")
    X = read_features(classifier, X, previous)
    check_consistent_length(X, y)
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weight.any():
        raise ValueError("All sample weights are zero: there is no row to learn from.")
    if not weight.all():
        X, y, weight = X[weight > 0], y[weight > 0], weight[weight > 0]
    if classes is not None:
        classes = find_classes(check_labels(classes, "classes"))
    else:
        classes = np.unique(y) if previous is None else previous.classes
    if previous is not None:
        check_same_classes(classes, previous.classes)
    check_two_classes(classifier, classes)
    codes = encode(y, classes)
    weight, _, prior = weigh_classes(params["class_weight"], classes, weight, codes)
    if previous is None:
        engine = NetworkEngine(params, X, classes, refined=False)
        engine.net.try_out(X[:2], codes[:2])
    else:
        engine = previous.for_next(params, refined=False, is_block=True)
    return Training(engine, X, codes, weight, prior)

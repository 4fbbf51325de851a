"""CleanScores: scores on clean labels, estimated from noisy ones, with intervals."""

from __future__ import annotations

import html
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.sparse import csr_array
from scipy.special import ndtr
from sklearn.metrics import accuracy_score, recall_score
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from .._plotting import COLORS, import_pandas, make_axes
from .._typing import Features, Seed
from .._validation.labels import check_labels, encode, encode_together
from .._validation.sklearn_private import Interval, validate_params
from .._validation.transitions import check_correctable
from ..audit import LabelAudit
from ._corrected_scores import clean_counts, count_labels
from ._possible_noise import (
    NOISE_CONSTRAINTS,
    SETTINGS,
    Predictions,
    group_copies,
    resolve_noise,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_CONSTRAINTS = {
    "y_noisy": ["array-like"],
    "y_pred": ["array-like"],
    "labels": ["array-like", None],
    "transition_matrix": NOISE_CONSTRAINTS,
    "groups": ["array-like", None],
    "confidence_level": [Interval(Real, 0, 1, closed="neither")],
    "random_state": ["random_state"],
}


class Estimate(NamedTuple):
    """A score on clean labels, the ends of its interval, and the same score on noisy labels."""

    value: float
    low: float
    high: float
    on_noisy: float


@dataclass(repr=False, eq=False)
class CleanScores:
    r"""Scores of a classifier on clean labels, estimated from noisy ones.

    Create it with :meth:`from_estimator` or :meth:`from_predictions`, or with :meth:`from_audit` if
    some of the labels have been checked. It prints as a table.

    Parameters
    ----------
    accuracy, balanced_accuracy, noise_rate : tuple of float
        The share of right predictions, the mean of the recalls, and the share of wrong labels. Each
        is an estimate "value", the ends "low" and "high" of its interval, and the score
        "on_noisy" labels, which is NaN for the noise rate.
    recall : dict of label to tuple of float
        The same for the recall of each class.
    classes : ndarray of shape (n_classes,)
        The classes.
    confusion_matrix : ndarray of shape (n_classes, n_classes)
        Entry (i, j) is the estimated number of samples with true class i and prediction j.
    transition_matrix : ndarray of shape (n_classes, n_classes)
        The noise: the known matrix, or its posterior mean.
    noise_known : bool
        Whether the noise was given. Otherwise it was estimated.
    n_samples : int
        Number of noisy labels.
    confidence_level : float
        Confidence level of the intervals.
    n_checked : int, default=0
        Number of labels that somebody has checked.

    Attributes
    ----------
    scores : dict of str to tuple
        All estimates: "accuracy", "balanced_accuracy", "noise_rate", and "recall[...]" per class.
    figure_, ax_ : matplotlib.figure.Figure and matplotlib.axes.Axes
        The figure and its axes, after :meth:`plot`.

    See Also
    --------
    robustlabels.metrics.noise_corrected_score : A single score under known noise.

    Notes
    -----
    With T the noise and :math:`\tilde{C}` the counts by noisy label and prediction, the confusion
    matrix on clean labels is :math:`T^{-\top} \tilde{C}`, and each score is a function of it. Its
    standard error is by the delta method, which needs many rows. It accounts for the sampling of
    the rows and, where T is estimated, for the number of rows that T was counted from.

    If T is estimated, a label that looks wrong may be the right label of a hard row. The matrices
    that T may be have a posterior distribution, see :class:`LabelRefiner`; the value is the
    posterior mean. The interval covers two: one from that posterior, and one from a conservative
    prior that gives even odds to no noise at all. More data does not narrow it
    further; a known T or some verified labels do. Everything is clipped to [0, 1].

    The noise must depend on the true class alone. Where hard rows are mislabelled more often, the
    noise is partly mistaken for hardness.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from robustlabels import CleanScores, corrupt_labels
    >>> X, y = load_digits(return_X_y=True)
    >>> y_noisy = corrupt_labels(y, "symmetric", 0.3, random_state=0)
    >>> clf = KNeighborsClassifier(20).fit(X[::2], y_noisy[::2])
    >>> scores = CleanScores.from_estimator(clf, X[1::2], y_noisy[1::2], random_state=0)
    >>> scores.accuracy.low < clf.score(X[1::2], y[1::2]) < scores.accuracy.high
    True
    """

    accuracy: Estimate
    balanced_accuracy: Estimate
    noise_rate: Estimate
    recall: dict[Any, Estimate]
    classes: NDArray
    confusion_matrix: NDArray
    transition_matrix: NDArray
    noise_known: bool
    n_samples: int
    confidence_level: float
    n_checked: int = 0

    @classmethod
    @validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
    def from_estimator(
        cls,
        estimator: Any,
        X: Features,
        y: ArrayLike,
        *,
        transition_matrix: ArrayLike | None = "auto",
        groups: ArrayLike | None = None,
        confidence_level: float = 0.95,
        random_state: Seed = None,
    ) -> Self:
        """Score a fitted classifier on samples that it was not trained on.

        Parameters
        ----------
        estimator : classifier
            Any fitted classifier.
        X : array-like of shape (n_samples, n_features)
            Samples that it was not trained on, as its ``predict`` takes them.
        y : array-like of shape (n_samples,)
            Their noisy labels.
        transition_matrix : array-like, "auto", "estimate", estimator or None, default="auto"
            The noise of these labels. A matrix of shape (n_classes, n_classes) is the known noise:
            ``T[i, j]`` is the probability of label j if the true class is i, the classes sorted.
            "estimate" fits a :class:`LabelRefiner` to X and y. "auto" takes the noise that
            `estimator` found in training, unless these labels contradict it, and otherwise
            estimates it. A fitted LabelRefiner or classifier provides the noise that it found. None
            means that the labels are right.
        groups : array-like of shape (n_samples,) or None, default=None
            Samples that share a value here, such as those of one patient, count as dependent: the
            intervals get wider. None looks for copies and near copies in X.
        confidence_level : float, default=0.95
            Probability that each interval contains the true score.
        random_state : int, RandomState instance or None, default=None
            Seed of the trees that estimate the noise. An error where nothing is estimated.

        Returns
        -------
        scores : CleanScores
            The scores.

        Raises
        ------
        ValueError
            If labels are unknown to the estimator, the matrix is singular or needs more samples to
            be estimated (50, and 10 per class), or `random_state` would have no effect.

        Warns
        -----
        UserWarning
            If "auto" estimates the noise because these labels agree with the predictions more often
            than the noise of training allows, as checked labels do.
        """
        check_is_fitted(estimator)
        labels, classes = check_labels(y), estimator.classes_
        check_consistent_length(X, labels)
        codes = encode(labels, classes)
        predicted = encode(np.ravel(estimator.predict(X)), classes)
        confidence = None
        if hasattr(estimator, "predict_proba"):
            confidence = np.asarray(estimator.predict_proba(X)).max(axis=1)
        noise = resolve_noise(
            transition_matrix, classes, estimator, X, labels, random_state,
            Predictions(codes, predicted, confidence),
        )  # fmt: skip
        if groups is None:
            _, groups = group_copies(X, len(codes), len(classes))
        return cls._from_codes(codes, predicted, groups, noise, classes, confidence_level)

    @classmethod
    @validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
    def from_predictions(
        cls,
        y_noisy: ArrayLike,
        y_pred: ArrayLike,
        transition_matrix: ArrayLike | None,
        *,
        labels: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        confidence_level: float = 0.95,
    ) -> Self:
        """Score predictions, such as those of ``cross_val_predict``.

        Parameters
        ----------
        y_noisy : array-like of shape (n_samples,)
            Noisy labels.
        y_pred : array-like of shape (n_samples,)
            Predictions of a classifier that was not trained on these labels.
        transition_matrix : array-like, estimator or None
            As in :meth:`from_estimator`, with a matrix in the order of `labels`.
        labels : array-like of shape (n_classes,), default=None
            The classes. None takes the sorted classes found in `y_noisy` and `y_pred`.
        groups : array-like of shape (n_samples,) or None, default=None
            As in :meth:`from_estimator`. None takes all samples for independent.
        confidence_level : float, default=0.95
            Probability that each interval contains the true score.

        Returns
        -------
        scores : CleanScores
            The scores.

        Raises
        ------
        ValueError
            If the noise does not fit the labels, or its matrix is singular.
        """
        if isinstance(transition_matrix, str):
            raise ValueError(
                f"transition_matrix={transition_matrix!r} needs the features. Pass a "
                f"LabelRefiner fitted to them, or the matrix."
            )
        codes, predicted, classes = encode_together(labels, y_noisy=y_noisy, y_pred=y_pred)
        noise = resolve_noise(transition_matrix, classes)
        groups = np.arange(len(codes)) if groups is None else groups
        return cls._from_codes(codes, predicted, groups, noise, classes, confidence_level)

    @classmethod
    def from_audit(cls, audit: LabelAudit, y_pred: ArrayLike) -> Self:
        """Score predictions of samples of which some labels have been checked.

        The intervals hold whatever the noise is.

        Parameters
        ----------
        audit : LabelAudit
            The audit of the samples, with what was found recorded. Its `level` is the confidence
            level.
        y_pred : array-like of shape (n_samples,)
            Predictions of a classifier that was not trained on these samples.

        Returns
        -------
        scores : CleanScores
            The scores.

        Raises
        ------
        ValueError
            If the length or the classes of the predictions do not fit.
        """
        accuracy, recalls = audit.accuracy(y_pred), audit.recalls(y_pred)
        given, classes = audit.given_labels_, audit.classes_
        plain = recall_score(given, y_pred, labels=classes, average=None, zero_division=np.nan)
        columns = np.column_stack([*recalls, plain]).tolist()
        recall = _by_class(classes, [Estimate(*row) for row in columns])
        return cls(
            Estimate(*accuracy, accuracy_score(given, y_pred)),
            Estimate(*audit.balanced_accuracy(y_pred), float(np.nanmean(plain))),
            Estimate(audit.noise_rate_, *audit.noise_rate_interval_, np.nan),
            recall, classes, audit.confusion_matrix(y_pred).value, audit.transition_matrix_,
            noise_known=False, n_samples=len(given), confidence_level=audit.level,
            n_checked=int(audit.checked_.sum()),
        )  # fmt: skip

    @classmethod
    def _from_codes(cls, codes, predicted, groups, noise, classes, confidence_level):
        """Compute the scores from labels and predictions as positions in the classes."""
        n_classes = len(classes)
        groups = column_or_1d(groups)
        check_consistent_length(codes, groups)
        counts = count_labels(codes, predicted, n_classes)
        together = _count_together(codes * n_classes + predicted, groups, n_classes**2)
        found = [
            _scores_and_errors(matrix, inverse, counts, together, noise.n_rows)
            for matrix, inverse in zip(noise.matrices, noise.inverses, strict=True)
        ]
        values, errors = np.swapaxes(found, 0, 1)
        expected = noise.expected
        on_noisy, _ = _scores_and_errors(*[np.eye(n_classes)] * 2, counts, together, noise.n_rows)
        on_noisy[2] = np.nan
        tail = (1 - confidence_level) / 2
        columns = zip(values.T, errors.T, on_noisy.tolist(), strict=True)
        estimates = [Estimate(*_summarize(v, e, noise, tail), plain) for v, e, plain in columns]
        recall = _by_class(classes, estimates[3:])
        matrix = clean_counts(counts, check_correctable(expected, classes))
        known = bool(np.isinf(noise.n_rows).all())
        found = recall, classes, matrix, expected, known, len(codes), confidence_level
        return cls(*estimates[:3], *found)

    @property
    def scores(self) -> dict[str, Estimate]:
        """All estimates by name."""
        names = ("accuracy", "balanced_accuracy", "noise_rate")
        recalls = {f"recall[{label}]": estimate for label, estimate in self.recall.items()}
        return {name: getattr(self, name) for name in names} | recalls

    def frame(self) -> pd.DataFrame:
        """Return the scores as a table.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_scores, 4)
            The columns are value, low, high and on_noisy.
        """
        pd = import_pandas("CleanScores.frame")
        return pd.DataFrame.from_dict(
            self.scores, orient="index", columns=list(Estimate._fields)
        ).rename_axis("score")

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the scores with their intervals, and the scores on noisy labels.

        Parameters
        ----------
        ax : matplotlib axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        scores : CleanScores
            This object, with `ax_` and `figure_`.
        """
        shown = self._shown()
        ax = make_axes(ax, "CleanScores.plot", figsize=(6.4, 1.4 + 0.28 * len(shown)))
        self.ax_, self.figure_ = ax, ax.figure
        places = np.arange(len(shown))
        value, low, high, on_noisy = np.transpose(list(shown.values()))
        ax.hlines(places, low, high, color=COLORS[5], lw=5, label=self._level())
        ax.plot(value, places, "o", color=COLORS[0], label="clean labels, estimated")
        ax.plot(on_noisy, places, "x", color=COLORS[1], label="noisy labels")
        ax.set_yticks(places, list(shown))
        ax.invert_yaxis()
        ax.set(xlabel="Score", xlim=(-0.02, 1.02))
        ax.grid(axis="x", alpha=0.3)
        ax.legend(fontsize="small")
        return self

    def _shown(self):
        return dict(list(self.scores.items())[: 3 + SETTINGS.shown_recalls])

    def _level(self):
        return f"{100 * self.confidence_level:g} % interval"

    def _table(self):
        """Return the title, the rows of texts with the header first, and the closing note."""
        rows = [["", "estimate", self._level(), "on noisy labels"]]
        for name, e in self._shown().items():
            on_noisy = "" if name == "noise_rate" else f"{e.on_noisy:.3f}"
            rows.append([name, f"{e.value:.3f}", f"{e.low:.3f} to {e.high:.3f}", on_noisy])
        if self.n_checked:
            note = f"{self.n_checked} labels are checked; the intervals hold whatever the noise is."
        elif self.noise_known:
            note = "The noise is taken to be known."
        else:
            note = (
                "The noise is estimated; the intervals cover what the labels leave open about it."
            )
        n_left = len(self.scores) - len(rows) + 1
        if n_left:
            note = f"The recalls of {n_left} more classes are in frame(). {note}"
        return f"Scores on clean labels, estimated from {self.n_samples} noisy ones", rows, note

    def __repr__(self) -> str:
        title, rows, note = self._table()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
            for row in rows
        ]
        return "\n".join([title, *lines, note])

    def _repr_html_(self):
        title, rows, note = self._table()
        body = ""
        for i, row in enumerate(rows):
            tag = "td" if i else "th"
            cells = "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in row)
            body += f"<tr>{cells}</tr>"
        title, note = html.escape(title), html.escape(note)
        return f"<table><caption>{title}</caption>{body}</table><p>{note}</p>"


def _by_class(classes, estimates):
    """Return the estimates by the label of the class."""
    # As Python objects, dates of some units would be integers.
    labels = classes if classes.dtype.kind in "mM" else classes.tolist()
    return dict(zip(labels, estimates, strict=True))


def _count_together(cells, groups, n_cells):
    """Return the number of pairs of samples of one group in each pair of cells."""
    _, group = np.unique(groups, return_inverse=True)
    counts = csr_array((np.ones(len(cells)), (group, cells)), shape=(len(cells), n_cells))
    return counts.T @ counts


def _scores_and_errors(matrix, inverse, counts, together, n_rows):
    """Return accuracy, balanced accuracy, noise rate and recalls, and their standard errors.

    `together`, of shape (n_classes ** 2, n_classes ** 2), has the number of pairs of dependent
    samples in each pair of cells of `counts`. Row i of the matrix was counted from ``n_rows[i]``
    samples.
    """
    n_classes, n_samples = len(matrix), counts.sum()
    share = counts / n_samples
    clean = inverse.T @ share
    prior, hits = clean.sum(axis=1), clean.diagonal()
    present = prior > 1e-9

    def error(values, slope):
        # `values` and `slope` are the derivatives of a score by the shares and by the matrix.
        off = (values - (share * values).sum()).ravel()
        variance = off @ (together @ off) / n_samples**2
        variance += (SETTINGS.extra_labels * np.ptp(values) / n_samples) ** 2
        mean = (matrix * slope).sum(axis=1, keepdims=True)
        of_noise = (matrix * (slope - mean) ** 2).sum(axis=1)
        return np.sqrt(variance + (of_noise / np.maximum(n_rows, 1)).sum())

    rates = 1 - matrix.diagonal()
    by_label = np.repeat((inverse @ rates)[:, None], n_classes, axis=1)
    recall = np.divide(hits, prior, out=np.full(n_classes, np.nan), where=present)
    # Row k: the derivatives of the recall of class k by its row of the clean shares.
    change = np.eye(n_classes) - recall[:, None]
    change = np.divide(change, prior[:, None], out=np.zeros_like(change), where=present[:, None])
    of_mean = inverse @ change / max(present.sum(), 1)
    mean_recall = recall[present].mean() if present.any() else np.nan
    errors = [
        error(inverse, -clean @ inverse.T),
        error(of_mean, -clean @ of_mean.T),
        error(by_label, -clean @ by_label.T - np.diag(prior)),
    ]
    for k in range(n_classes):
        of_class = np.outer(inverse[:, k], change[k])
        errors.append(error(of_class, -np.outer(clean @ change[k], inverse[:, k])))
    return np.array([np.trace(clean), mean_recall, prior @ rates, *recall]), np.array(errors)


def _summarize(values, errors, noise, tail):
    """Return the mean of a score over matrices, and the ends of both posteriors' intervals."""
    known = np.isfinite(values)
    if not known.any():
        return np.nan, 0.0, 1.0
    values, errors = values[known], np.maximum(errors[known], 1e-9)
    posteriors = [
        weights[known] / weights[known].sum()
        for weights in (noise.weights, noise.conservative_weights)
    ]
    ends = [_quantile(values, errors, p, q) for p in posteriors for q in (tail, 1 - tail)]
    clipped = np.clip([posteriors[0] @ np.clip(values, 0, 1), min(ends), max(ends)], 0, 1)
    return tuple(clipped.tolist())


def _quantile(values, errors, weights, q):
    """Return a quantile of a mixture of normal distributions, clipped to [0, 1]."""

    def excess(x):
        return weights @ ndtr((x - values) / errors) - q

    if excess(0.0) >= 0:
        return 0.0
    return brentq(excess, 0.0, 1.0) if excess(1.0) > 0 else 1.0

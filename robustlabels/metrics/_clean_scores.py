"""CleanScores: what a classifier is worth on clean labels, by noisy ones, and how sure that is."""

from __future__ import annotations

import html
from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import ndtr
from sklearn.metrics import confusion_matrix
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from .._plotting import COLORS, import_pandas, import_pyplot
from .._typing import Features, Seed
from .._validation.labels import check_labels, encode, encode_together
from .._validation.sklearn_private import (
    HasMethods,
    Interval,
    StrOptions,
    validate_params,
)
from ._corrected_scores import noise_corrected_confusion_matrix
from ._possible_noise import correctable_part, find_posterior

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["CleanScores"]

#: A label more or less that an error allows for: where all are alike their spread is 0.
_LABELS = 2

#: Classes whose recall is drawn, and shown.
_MAX_RECALLS = 30


class Estimate(NamedTuple):
    """A score on clean labels, the ends of its interval, and the same score on noisy labels."""

    value: float
    low: float
    high: float
    on_noisy: float


class CleanScores:
    r"""What a classifier is worth on clean labels, estimated from noisy ones.

    Make it with :meth:`from_estimator` or :meth:`from_predictions`. It prints as a table.

    Parameters
    ----------
    scores : dict of str to tuple
        "accuracy", "balanced accuracy", "noise rate" and "recall of ..." of each class, each
        with its value, the ends of its interval and what it is on the noisy labels.
    classes : ndarray of shape (n_classes,)
        The classes.
    confusion_matrix : ndarray of shape (n_classes, n_classes)
        Entry (i, j) is the estimated number of rows of true class i that are predicted as j.
    transition_matrix : ndarray of shape (n_classes, n_classes)
        The noise, or what is expected of it.
    accuracy_range : tuple of float or None
        The accuracy if no label is wrong, and that if all labels are that look wrong; None if the
        noise is known.
    n_samples : int
        Number of noisy labels.
    confidence_level : float
        That of the intervals.

    Attributes
    ----------
    accuracy : tuple of float
        "value", "low", "high" and "on_noisy" of the accuracy.
    balanced_accuracy : tuple of float
        The same of the mean of the recalls.
    noise_rate : tuple of float
        The same of the share of wrong labels; "on_noisy" is NaN.
    recall : dict of label to tuple of float
        The same for each class, of the share of its rows that is recognised.
    figure_ : matplotlib.figure.Figure
        The figure, after :meth:`plot`.
    ax_ : matplotlib.axes.Axes
        Its axes.

    See Also
    --------
    robustlabels.metrics.noise_corrected_accuracy : One number, for a noise that is known.
    LabelRefiner : What the noise is estimated by.

    Notes
    -----
    With the noise T and the counts :math:`\tilde{C}` by noisy label and prediction the confusion
    matrix on clean labels is :math:`T^{-\top} \tilde{C}`, and each score a function of that. Its
    standard error is by the delta method, from the draw of the rows and, where T is estimated,
    from the number of rows that T was counted from.

    If T is estimated, what looks like a wrong label may be a right one of a hard row. How much of
    it is noise has a posterior distribution, see :class:`LabelRefiner`; the value is the mean over
    that. The interval is the wider one of two: that of the posterior, and that of somebody who
    gives even odds to no noise at all. Nearer than that the labels do not tell, however many they
    are; it takes a T that is known, or some rows with labels that are sure.

    The noise must depend on the true class alone. Where hard rows are mislabelled more often,
    part of it passes for hardness. Rows that the classifier has learned from make it look better
    than it is, with noisy labels as with clean ones.

    The standard errors hold for many rows. Values and intervals are clipped to [0, 1].

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from robustlabels import CleanScores, corrupt_labels
    >>> X, y = load_digits(return_X_y=True)
    >>> y_noisy = corrupt_labels(y, "symmetric", 0.3, random_state=0)
    >>> X_train, X_test, y_train, y_test, _, clean = train_test_split(
    ...     X, y_noisy, y, random_state=0
    ... )
    >>> clf = KNeighborsClassifier(20).fit(X_train, y_train)
    >>> scores = CleanScores.from_estimator(clf, X_test, y_test, random_state=0)
    >>> scores.accuracy.low < clf.score(X_test, clean) < scores.accuracy.high
    True
    >>> clf.score(X_test, y_test) < 0.7
    True
    """

    def __init__(
        self,
        scores: Mapping[str, Estimate],
        classes: NDArray,
        confusion_matrix: NDArray,
        transition_matrix: NDArray | None,
        accuracy_range: tuple[float, float],
        n_samples: int,
        confidence_level: float,
    ) -> None:
        self.scores = scores
        self.classes = classes
        self.confusion_matrix = confusion_matrix
        self.transition_matrix = transition_matrix
        self.accuracy_range = accuracy_range
        self.n_samples = n_samples
        self.confidence_level = confidence_level

    @classmethod
    @validate_params(
        {
            "transition_matrix": [
                "array-like",
                StrOptions({"auto", "estimate"}),
                HasMethods("fit"),
            ],
            "confidence_level": [Interval(Real, 0, 1, closed="neither")],
            "random_state": ["random_state"],
        },
        prefer_skip_nested_validation=True,
    )
    def from_estimator(
        cls,
        estimator: Any,
        X: Features,
        y: ArrayLike,
        *,
        transition_matrix: ArrayLike | None = "auto",
        confidence_level: float = 0.95,
        random_state: Seed = None,
    ) -> Self:
        """Judge a fitted classifier by rows that it has not learned from.

        Parameters
        ----------
        estimator : classifier
            A fitted classifier of any kind.
        X : array-like of shape (n_samples, n_features)
            Rows that it has not learned from, as its ``predict`` takes them.
        y : array-like of shape (n_samples,)
            Their noisy labels.
        transition_matrix : array-like, "auto", "estimate" or estimator, default="auto"
            The noise of these labels: a matrix of shape (n_classes, n_classes), ``T[i, j]`` the
            probability of the label j where the true class is i, the classes in sorted order, if it
            is known; or a fitted :class:`LabelRefiner`, or a classifier that found the noise, if
            the labels that it was fitted to have the same noise. "estimate" fits a LabelRefiner
            to X and y. "auto" does so unless `estimator` found it in training, as
            :class:`RobustEnsembleClassifier` and :class:`RefinedClassifier` have.
        confidence_level : float, default=0.95
            Probability with which each interval is to hold the true score.
        random_state : int, RandomState instance or None, default=None
            Source of the trees that estimate the noise.

        Returns
        -------
        scores : CleanScores
            The scores.

        Raises
        ------
        ValueError
            If the labels are not classes of the estimator, the matrix is singular, or the rows are
            too few to estimate it: fewer than 50, or 10 for each class.
        """
        check_is_fitted(estimator)
        labels, classes = check_labels(y), estimator.classes_
        check_consistent_length(X, labels)
        codes = encode(labels, classes)
        predicted = encode(np.ravel(estimator.predict(X)), classes)
        posterior = find_posterior(transition_matrix, estimator, X, labels, classes, random_state)
        return cls._from_codes(codes, predicted, posterior, classes, confidence_level)

    @classmethod
    @validate_params(
        {
            "y_noisy": ["array-like"],
            "y_pred": ["array-like"],
            "labels": ["array-like", None],
            "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        },
        prefer_skip_nested_validation=True,
    )
    def from_predictions(
        cls,
        y_noisy: ArrayLike,
        y_pred: ArrayLike,
        transition_matrix: ArrayLike,
        *,
        labels: ArrayLike | None = None,
        confidence_level: float = 0.95,
    ) -> Self:
        """Judge predictions, such as those of ``cross_val_predict``.

        Parameters
        ----------
        y_noisy : array-like of shape (n_samples,)
            Noisy labels.
        y_pred : array-like of shape (n_samples,)
            Predictions of a classifier that has not seen these labels.
        transition_matrix : array-like or estimator
            The noise: a matrix, the classes in the order of `labels`; or a fitted
            :class:`LabelRefiner`, or a classifier that found the noise.
        labels : array-like of shape (n_classes,), default=None
            The classes. None takes the sorted ones of `y_noisy` and `y_pred` together.
        confidence_level : float, default=0.95
            Probability with which each interval is to hold the true score.

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
        posterior = find_posterior(transition_matrix, None, None, None, classes, None)
        return cls._from_codes(codes, predicted, posterior, classes, confidence_level)

    @classmethod
    def _from_codes(cls, codes, predicted, posterior, classes, confidence_level):
        """Compute the scores from labels and predictions as positions in the classes."""
        n_classes, n_samples = len(classes), len(codes)
        counts = confusion_matrix(codes, predicted, labels=np.arange(n_classes))
        matrices, kept, inverses = correctable_part(posterior)
        found = [
            _scores_under(matrix, inverse, counts, posterior.n_rows)
            for matrix, inverse in zip(matrices, inverses, strict=True)
        ]
        values, errors = np.swapaxes(found, 0, 1)
        on_noisy = _scores_under(np.eye(n_classes), np.eye(n_classes), counts, posterior.n_rows)[0]
        on_noisy[0] = np.nan
        beliefs = [
            weights[kept] / weights[kept].sum()
            for weights in (posterior.weights, posterior.conservative_weights)
        ]
        tail = (1 - confidence_level) / 2
        names = ["noise rate", "accuracy", "balanced accuracy"]
        names += [f"recall of {label}" for label in classes]
        scores = {
            name: Estimate(*_summary(values[:, i], errors[:, i], beliefs, tail), float(on_noisy[i]))
            for i, name in enumerate(names)
        }
        expected = np.tensordot(beliefs[0], matrices, 1)
        ends = np.interp([0, 1], posterior.shares[kept], np.clip(values[:, 1], 0, 1))
        return cls(
            {name: scores[name] for name in [*names[1:3], names[0], *names[3:]]},
            classes,
            noise_corrected_confusion_matrix(
                *(classes[of] for of in (codes, predicted)), expected, labels=classes
            ),
            expected,
            tuple(ends.tolist()) if len(posterior.shares) > 1 else None,
            n_samples,
            confidence_level,
        )

    @property
    def accuracy(self) -> Estimate:
        """The share of predictions that are right."""
        return self.scores["accuracy"]

    @property
    def balanced_accuracy(self) -> Estimate:
        """The mean of the recalls."""
        return self.scores["balanced accuracy"]

    @property
    def noise_rate(self) -> Estimate:
        """The share of labels that are wrong."""
        return self.scores["noise rate"]

    @property
    def recall(self) -> dict[Any, Estimate]:
        """Of each class, the share of its rows that is recognised."""
        return {label: self.scores[f"recall of {label}"] for label in self.classes.tolist()}

    def frame(self) -> pd.DataFrame:
        """Return the scores as a table.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_scores, 4)
            A row for each score, with the columns value, low, high and on_noisy.

        Raises
        ------
        ImportError
            If pandas is missing.
        """
        pd = import_pandas("CleanScores.frame")
        return pd.DataFrame.from_dict(
            self.scores, orient="index", columns=list(Estimate._fields)
        ).rename_axis("score")

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the scores with their intervals, beside those on noisy labels.

        Parameters
        ----------
        ax : matplotlib axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        scores : CleanScores
            This object, with `ax_` and `figure_`.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        plt = import_pyplot("CleanScores.plot")
        shown = self._shown()
        if ax is None:
            _, ax = plt.subplots(figsize=(6.4, 1.4 + 0.28 * len(shown)), layout="constrained")
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
        return dict(list(self.scores.items())[: 3 + _MAX_RECALLS])

    def _level(self):
        return f"{100 * self.confidence_level:g} % interval"

    def _table(self):
        """Return the title, the header, the rows and the last words, as texts."""
        header = ["", "estimate", self._level(), "on noisy labels"]
        rows = [
            [name, f"{e.value:.3f}", f"{e.low:.3f} to {e.high:.3f}", f"{e.on_noisy:.3f}"]
            for name, e in self._shown().items()
        ]
        rows[2][3] = ""
        last = "The noise is taken to be known."
        if self.accuracy_range is not None:
            low, high = self.accuracy_range
            last = (
                f"The noise is estimated: the accuracy is {low:.3f} if no label is wrong, and "
                f"{high:.3f} if all labels are that look wrong."
            )
        n_left = len(self.scores) - len(rows)
        if n_left:
            last = f"The recalls of {n_left} more classes are in frame(). {last}"
        title = f"Scores on clean labels, estimated from {self.n_samples} noisy ones"
        return title, header, rows, last

    def __repr__(self) -> str:
        title, header, rows, last = self._table()
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
            for row in (header, *rows)
        ]
        return "\n".join([title, *lines, last])

    def _repr_html_(self):
        title, header, rows, last = self._table()
        lines = [
            "<tr>" + "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in row) + "</tr>"
            for tag, row in [("th", header), *(("td", row) for row in rows)]
        ]
        return (
            f"<table><caption>{html.escape(title)}</caption>{''.join(lines)}</table>"
            f"<p>{html.escape(last)}</p>"
        )


def _scores_under(matrix, inverse, counts, n_rows):
    """Return noise rate, accuracy, balanced accuracy and recalls under a noise, and their errors.

    Both have the shape (3 + n_classes,). `counts` is by noisy label and prediction; `n_rows` are
    the rows of each class that the matrix was counted from.
    """
    n_classes, n_samples = len(matrix), counts.sum()
    share = counts / n_samples
    clean = inverse.T @ share
    prior, hits = clean.sum(axis=1), clean.diagonal()
    there = prior > 1e-9

    def error(values, slope):
        """Return the standard error of a score.

        `values` by noisy label and prediction have it as their mean, but for a constant; `slope` is
        how it changes with the entries of the matrix.
        """
        mean = (share * values).sum()
        of_rows = (share * (values - mean) ** 2).sum() / n_samples
        of_rows += (_LABELS * np.ptp(values) / n_samples) ** 2
        mean = (matrix * slope).sum(axis=1, keepdims=True)
        of_noise = (matrix * (slope - mean) ** 2).sum(axis=1)
        return np.sqrt(of_rows + (of_noise / np.maximum(n_rows, 1)).sum())

    rates = 1 - matrix.diagonal()
    by_label = np.repeat((inverse @ rates)[:, None], n_classes, axis=1)
    values = [prior @ rates, np.trace(clean)]
    errors = [
        error(by_label, -clean @ by_label.T - np.diag(prior)),
        error(inverse, -clean @ inverse.T),
    ]
    # How the recall of a class, a row, changes with the entries of its row of the clean counts.
    recall = np.divide(hits, prior, out=np.full(n_classes, np.nan), where=there)
    change = np.eye(n_classes) - recall[:, None]
    change = np.divide(change, prior[:, None], out=np.zeros_like(change), where=there[:, None])
    of_mean = inverse @ change / max(there.sum(), 1)
    values.append(recall[there].mean() if there.any() else np.nan)
    errors.append(error(of_mean, -clean @ of_mean.T))
    for k in range(n_classes):
        of_class = np.outer(inverse[:, k], change[k])
        errors.append(error(of_class, -np.outer(clean @ change[k], inverse[:, k])))
    return np.array([*values, *recall]), np.array(errors)


def _summary(values, errors, beliefs, tail):
    """Return the mean of a score, and the ends of an interval that all beliefs would allow.

    The score has, under each noise, a value and an error; each of the beliefs is how probable the
    noises are.
    """
    known = np.isfinite(values)
    if not known.any():
        return np.nan, 0.0, 1.0
    values, errors = values[known], np.maximum(errors[known], 1e-9)
    beliefs = [weights[known] / weights[known].sum() for weights in beliefs]
    ends = [_quantile(values, errors, weights, q) for weights in beliefs for q in (tail, 1 - tail)]
    clipped = np.clip([beliefs[0] @ np.clip(values, 0, 1), min(ends), max(ends)], 0, 1)
    return tuple(clipped.tolist())


def _quantile(values, errors, weights, q):
    """Return a quantile of a mixture of normal distributions, cut off at 0 and 1."""

    def excess(x):
        return weights @ ndtr((x - values) / errors) - q

    if excess(0.0) >= 0:
        return 0.0
    return brentq(excess, 0.0, 1.0) if excess(1.0) > 0 else 1.0

"""Accuracy on clean labels against the share of wrong ones in training."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import check_cv
from sklearn.utils import check_consistent_length

from .._fitting import fresh_random_state
from .._inner.folds import make_folds, weight_params
from .._plotting import COLORS, import_pandas, import_pyplot
from .._typing import Features, Seed
from .._validation.labels import check_labels, encode, find_classes
from .._validation.sklearn_private import (
    HasMethods,
    Interval,
    StrOptions,
    _safe_indexing,
    validate_params,
)
from .._validation.transitions import check_transition
from ._corruption import NOISES
from ._injector import LabelNoiseInjector, NoiseInjectedClassifier

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["NoiseCurveDisplay", "noise_curve"]

_MARKERS = "osD^vPX"


@validate_params(
    {
        "estimator": [HasMethods(["fit", "predict"])],
        "sample_weight": ["array-like", None],
        "groups": ["array-like", None],
        "noise": [StrOptions(NOISES), Mapping, "array-like"],
        "noise_rates": ["array-like"],
        "exact": ["boolean"],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "n_repeats": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    },
    # Not to be skipped in the estimators that are fitted.
    prefer_skip_nested_validation=False,
)
def noise_curve(
    estimator: Any,
    X: Features,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    noise: str | Mapping | ArrayLike = "symmetric",
    noise_rates: ArrayLike = (0.0, 0.2, 0.4, 0.6),
    exact: bool = False,
    cv: Any = 5,
    n_repeats: int = 1,
    scoring: Any = None,
    n_jobs: int | None = None,
    random_state: Seed = None,
    verbose: int = 0,
) -> NDArray:
    r"""Score a classifier on clean labels, trained on labels of which more and more are wrong.

    Parameters
    ----------
    estimator : classifier
        What is fitted, a pipeline as well.
    X : array-like of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,)
        Clean labels.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the rows, not negative, in the fits and in the scores: `scoring` has to take
        them. Where metadata routing is enabled, the classifier has to request them.
    groups : array-like of shape (n_samples,), default=None
        Rows that must be in one fold, such as those of one person, have the same value here.
    noise : str, dict or array-like of shape (n_classes, n_classes), default="symmetric"
        Kind of noise, "symmetric", "pair", "instance", "margin", "boundary" or a matrix, see
        :func:`corrupt_labels`. A matrix says which classes are mistaken for
        which, and how often beside each other: with T, the identity I and the share r(T) of wrong
        labels of y under T, it is :math:`I + (T - I) \, r / r(T)` at the rate r.
    noise_rates : array-like of shape (n_rates,), default=(0.0, 0.2, 0.4, 0.6)
        Shares of wrong labels among the training rows.
    exact : bool, default=False
        Whether exactly that share is wrong.
    cv : int or cross-validation splitter, default=5
        Folds. An int shuffles stratified folds anew in each repeat, of whole `groups` where there
        are any.
    n_repeats : int, default=1
        How often the noise is drawn, and the folds, where an int or a random splitter says how.
    scoring : str, callable or None, default=None
        Score on the clean labels of the test fold; None is that of the estimator, accuracy.
    n_jobs : int or None, default=None
        Fits that run at the same time. The scores do not depend on it.
    random_state : int, RandomState instance or None, default=None
        Where the folds, the noise and the `random_state` of the estimator are drawn from. The
        same int draws the same folds and noise for another estimator, so that two curves
        compare fairly.
    verbose : int, default=0
        Above 0, a progress bar.

    Returns
    -------
    scores : ndarray of shape (n_rates, n_repeats * n_folds)
        Scores on clean labels.

    Raises
    ------
    ValueError
        If a parameter or the data are unfit.

    See Also
    --------
    NoiseCurveDisplay : The curves of several estimators in one picture.
    NoiseInjectedClassifier : What is fitted in each fold.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from robustlabels import UnhingedClassifier, noise_curve
    >>> X, y = load_digits(return_X_y=True)
    >>> scores = noise_curve(UnhingedClassifier(), X, y, noise_rates=[0.0, 0.4], random_state=0)
    >>> scores.shape
    (2, 5)
    """
    return _scores(
        {"": estimator}, X, y, sample_weight, groups, noise, noise_rates, exact, cv, n_repeats,
        scoring, n_jobs, random_state, verbose,
    )[""]  # fmt: skip


def _scores(
    estimators, X, y, sample_weight, groups, noise, rates, exact, cv, n_repeats, scoring, n_jobs,
    random_state, verbose,
):  # fmt: skip
    """Return the scores of several estimators under the same folds and noise."""
    for name, estimator in estimators.items():
        if not hasattr(estimator, "fit") or not is_classifier(estimator):
            raise ValueError(f"{name or 'estimator'} must be a classifier. Got {estimator!r}.")
    check_consistent_length(X, y)
    labels = check_labels(y)
    rates = np.asarray(rates, dtype=float)
    if rates.ndim != 1 or len(rates) == 0 or not ((rates >= 0) & (rates <= 1)).all():
        raise ValueError(f"noise_rates must be a list of shares in [0, 1]. Got {rates.tolist()}.")
    noises = [(noise, rate) for rate in rates.tolist()]
    if not isinstance(noise, str | Mapping):
        noises = [(scaled, 0.0) for scaled in _scale(noise, rates, labels)]
    weights = {
        name: weight_params(estimator, sample_weight, labels)
        for name, estimator in estimators.items()
    }
    rng = fresh_random_state(random_state)
    # Iterators of folds are used up by the first repeat.
    splitter = cv if isinstance(cv, Integral) else check_cv(cv, labels, classifier=True)
    folds = []
    for _ in range(n_repeats):
        seed = rng.randint(np.iinfo(np.int32).max)
        folds += make_folds(splitter, X, labels, groups, seed)
    seeds = rng.randint(np.iinfo(np.int32).max, size=len(folds))
    tasks = [
        delayed(_score)(
            NoiseInjectedClassifier(
                clone(estimator),
                LabelNoiseInjector(kind, rate, exact=exact),
                random_state=seed,
            ),
            *(X, labels, weights[name], train, test, scoring),
        )
        for name, estimator in estimators.items()
        for kind, rate in noises
        for (train, test), seed in zip(folds, seeds.tolist(), strict=True)
    ]
    done = Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
    if verbose:
        from tqdm.auto import tqdm

        done = tqdm(done, total=len(tasks), desc="Noise curve", unit="fit")
    scores = np.array(list(done)).reshape(len(estimators), len(rates), len(folds))
    return dict(zip(estimators, scores, strict=True))


def _score(noisy, X, labels, weights, train, test, scoring):
    in_fit, in_score = {}, {}
    for parameter, weight in weights.items():
        in_fit[parameter], in_score["sample_weight"] = weight[train], weight[test]
    noisy.fit(_safe_indexing(X, train), labels[train], **in_fit)
    scorer = check_scoring(noisy, scoring)
    return scorer(noisy, _safe_indexing(X, test), labels[test], **in_score)


def _scale(transition, rates, labels):
    """Return matrices of the kind of one, under which such shares of the labels are wrong."""
    classes = find_classes(labels)
    transition = check_transition(transition, len(classes), classes)
    wrong = 1 - transition.diagonal()
    rate = wrong[encode(labels, classes)].mean()
    if rate == 0:
        raise ValueError("The matrix given as noise leaves all labels as they are.")
    if (rates * wrong.max() > rate).any():
        raise ValueError(
            f"With this matrix as noise the noise_rates can be {rate / wrong.max():.4g} at most: "
            f"there the class that is mistaken most often has no right label left. Got "
            f"{rates.tolist()}."
        )
    same = np.eye(len(classes))
    return [same + (transition - same) * (r / rate) for r in rates]


class NoiseCurveDisplay:
    """Accuracy on clean labels against the share of wrong training labels.

    Make it with :meth:`from_estimator` or :meth:`from_estimators`.

    Parameters
    ----------
    noise_rates : ndarray of shape (n_rates,)
        Shares of wrong labels.
    scores : dict of str to ndarray of shape (n_rates, n_repeats * n_folds)
        Scores of each estimator, as :func:`noise_curve` returns them.
    score_name : str, default="Accuracy"
        What the scores are.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure, after :meth:`plot`.
    ax_ : matplotlib.axes.Axes
        Its axes.
    lines_ : dict of str to matplotlib.lines.Line2D
        The mean curve of each estimator.

    See Also
    --------
    noise_curve : The scores alone.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from robustlabels import NoiseCurveDisplay, UnhingedClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> display = NoiseCurveDisplay.from_estimator(UnhingedClassifier(), X, y, random_state=0)
    >>> display.frame().columns.tolist()
    ['estimator', 'noise rate', 'split', 'score']
    """

    def __init__(
        self,
        noise_rates: NDArray,
        scores: Mapping[str, NDArray],
        *,
        score_name: str = "Accuracy",
    ) -> None:
        self.noise_rates = noise_rates
        self.scores = scores
        self.score_name = score_name

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Features, y: ArrayLike, *, name: str | None = None, **params: Any
    ) -> Self:
        """Compute the curve of one estimator.

        Parameters
        ----------
        estimator : classifier
            What is fitted.
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Clean labels.
        name : str or None, default=None
            Name in the legend; None takes that of the class.
        **params : dict
            Keyword arguments of :func:`noise_curve`.

        Returns
        -------
        display : NoiseCurveDisplay
            The curve, not yet drawn.
        """
        return cls.from_estimators({name or type(estimator).__name__: estimator}, X, y, **params)

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any],
        X: Features,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        noise: str | Mapping | ArrayLike = "symmetric",
        noise_rates: ArrayLike = (0.0, 0.2, 0.4, 0.6),
        exact: bool = False,
        cv: Any = 5,
        n_repeats: int = 1,
        scoring: Any = None,
        n_jobs: int | None = None,
        random_state: Seed = None,
        verbose: int = 0,
    ) -> Self:
        """Compute the curves of several estimators under the same folds and noise.

        Parameters
        ----------
        estimators : dict of str to classifier
            The estimators, with their names for the legend.
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Clean labels.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, see :func:`noise_curve`, as for all that follow.
        groups : array-like of shape (n_samples,), default=None
            Rows that must be in one fold have the same value here.
        noise : str, dict or array-like of shape (n_classes, n_classes), default="symmetric"
            Kind of noise.
        noise_rates : array-like of shape (n_rates,), default=(0.0, 0.2, 0.4, 0.6)
            Shares of wrong labels among the training rows.
        exact : bool, default=False
            Whether exactly that share is wrong.
        cv : int or cross-validation splitter, default=5
            Folds.
        n_repeats : int, default=1
            How often the folds and the noise are drawn.
        scoring : str, callable or None, default=None
            Score on the clean labels of the test fold.
        n_jobs : int or None, default=None
            Fits that run at the same time.
        random_state : int, RandomState instance or None, default=None
            Where the folds, the noise and the estimators' `random_state` are drawn from.
        verbose : int, default=0
            Above 0, a progress bar.

        Returns
        -------
        display : NoiseCurveDisplay
            The curves, not yet drawn.

        Raises
        ------
        ValueError
            If there is no estimator, one is no classifier, or a parameter or the data are unfit.
        """
        if not isinstance(estimators, Mapping) or not estimators:
            raise ValueError(
                f"estimators must be a dict of names and classifiers. Got {estimators!r}."
            )
        scores = _scores(
            estimators, X, y, sample_weight, groups, noise, noise_rates, exact, cv, n_repeats,
            scoring, n_jobs, random_state, verbose,
        )  # fmt: skip
        named = scoring if isinstance(scoring, str) else "accuracy" if scoring is None else "score"
        score_name = named.replace("_", " ").capitalize()
        return cls(np.asarray(noise_rates, dtype=float), scores, score_name=score_name)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the mean of each estimator, and a band of one standard deviation around it.

        Parameters
        ----------
        ax : matplotlib axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : NoiseCurveDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        plt = import_pyplot("NoiseCurveDisplay.plot")
        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_, self.lines_ = ax, ax.figure, {}
        for i, (name, scores) in enumerate(self.scores.items()):
            color = COLORS[i % len(COLORS)]
            mean, std = scores.mean(axis=1), scores.std(axis=1)
            (self.lines_[name],) = ax.plot(
                self.noise_rates, mean, marker=_MARKERS[i % len(_MARKERS)], color=color, label=name
            )
            ax.fill_between(
                self.noise_rates, mean - std, mean + std, color=color, alpha=0.2, linewidth=0
            )
        ax.set(xlabel="Share of wrong training labels", ylabel=f"{self.score_name} on clean labels")
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.3)
        ax.legend(frameon=False)
        return self

    def frame(self) -> pd.DataFrame:
        """Return the scores as a table.

        Returns
        -------
        frame : pandas.DataFrame
            A row for each estimator, noise rate and split, with the columns estimator, noise
            rate, split and score.

        Raises
        ------
        ImportError
            If pandas is missing.
        """
        pd = import_pandas("NoiseCurveDisplay.frame")
        rows = [
            (name, rate, split, score)
            for name, scores in self.scores.items()
            for rate, row in zip(self.noise_rates.tolist(), scores, strict=True)
            for split, score in enumerate(row.tolist())
        ]
        return pd.DataFrame(rows, columns=["estimator", "noise rate", "split", "score"])

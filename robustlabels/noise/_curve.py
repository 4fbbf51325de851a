"""Accuracy on clean labels against the share of wrong training labels."""

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
from .._plotting import COLORS, import_pandas, make_axes, style_axes
from .._typing import Features, Seed
from .._validation.alignment import align_rows
from .._validation.labels import check_labels, encode, find_classes
from .._validation.sklearn_private import (
    HasMethods,
    Interval,
    StrOptions,
    _safe_indexing,
    validate_params,
)
from .._validation.transitions import check_transition
from ._corruption import NOISE
from ._injector import LabelNoiseInjector, NoiseInjectedClassifier

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_MARKERS = "osD^vPX"


@validate_params(
    {
        "estimator": [HasMethods(["fit", "predict"])],
        "sample_weight": ["array-like", None],
        "groups": ["array-like", None],
        "noise": NOISE,
        "noise_rates": ["array-like"],
        "exact": ["boolean"],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "n_repeats": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    },
    # Invalid parameters of the fitted estimators must raise too.
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
    r"""Score a classifier on clean labels after training it at several noise rates.

    Parameters
    ----------
    estimator : classifier
        Classifier to fit.
    X : array-like of shape (n_samples, n_features)
        Features.
    y : array-like of shape (n_samples,)
        Clean labels.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Non-negative weights of the samples in fits and scores. `scoring` must accept them. With
        metadata routing, the classifier must request them.
    groups : array-like of shape (n_samples,), default=None
        Samples with the same value, such as those of one person, are kept in the same fold.
    noise : str, dict or array-like of shape (n_classes, n_classes), default="symmetric"
        Kind of noise, see :func:`corrupt_labels`. A transition matrix T is scaled: at the rate r
        it is :math:`I + (T - I) \, r / r(T)`, with the share r(T) of labels that T makes wrong.
    noise_rates : array-like of shape (n_rates,), default=(0.0, 0.2, 0.4, 0.6)
        Shares of wrong training labels.
    exact : bool, default=False
        Whether the number of wrong labels is exact, see :func:`corrupt_labels`.
    cv : int or cross-validation splitter, default=5
        Folds. An int makes stratified folds, which keep `groups` together if there are any.
    n_repeats : int, default=1
        Number of times that the noise is drawn, and the folds if `cv` is an int or draws them.
    scoring : str, callable or None, default=None
        Score on the clean labels of the test fold. None uses the score of the estimator, accuracy.
    n_jobs : int or None, default=None
        Number of parallel fits. The scores do not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds, the noise and the `random_state` of the estimator. The same int gives
        another estimator the same folds and noise.
    verbose : int, default=0
        Above 0, show a progress bar.

    Returns
    -------
    scores : ndarray of shape (n_rates, n_repeats * n_folds)
        Scores on clean labels.

    See Also
    --------
    NoiseCurveDisplay : The curves of several estimators in one plot.

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
        {"": estimator}, X, y, sample_weight=sample_weight, groups=groups, noise=noise,
        noise_rates=noise_rates, exact=exact, cv=cv, n_repeats=n_repeats, scoring=scoring,
        n_jobs=n_jobs, random_state=random_state, verbose=verbose,
    )[1][""]  # fmt: skip


def _scores(
    estimators, X, y, *, sample_weight=None, groups=None, noise="symmetric",
    noise_rates=(0.0, 0.2, 0.4, 0.6), exact=False, cv=5, n_repeats=1, scoring=None, n_jobs=None,
    random_state=None, verbose=0,
):  # fmt: skip
    """Return the rates, and the scores of several estimators under the same folds and noise."""
    for name, estimator in estimators.items():
        if not hasattr(estimator, "fit") or not is_classifier(estimator):
            raise ValueError(f"{name or 'estimator'} must be a classifier. Got {estimator!r}.")
    check_consistent_length(X, y)
    y, sample_weight, groups = (
        align_rows(X, values, name)
        for name, values in (("y", y), ("sample_weight", sample_weight), ("groups", groups))
    )
    labels = check_labels(y)
    rates = np.asarray(noise_rates, dtype=float)
    if rates.ndim != 1 or len(rates) == 0 or not ((rates >= 0) & (rates <= 1)).all():
        raise ValueError(f"noise_rates must be a list of shares in [0, 1]. Got {rates.tolist()}.")
    if isinstance(noise, str | Mapping):
        injectors = [LabelNoiseInjector(noise, r, exact=exact) for r in rates.tolist()]
    else:
        injectors = [LabelNoiseInjector(T, exact=exact) for T in _scale(noise, rates, labels)]
    weights = {n: weight_params(e, sample_weight, labels) for n, e in estimators.items()}
    rng = fresh_random_state(random_state)
    # The first repeat would exhaust an iterator of folds.
    splitter = cv if isinstance(cv, Integral) else check_cv(cv, labels, classifier=True)
    folds = []
    for _ in range(n_repeats):
        seed = rng.randint(np.iinfo(np.int32).max)
        folds += make_folds(splitter, X, labels, groups, seed)
    seeds = rng.randint(np.iinfo(np.int32).max, size=len(folds))
    tasks = [
        delayed(_score)(
            NoiseInjectedClassifier(clone(estimator), injector, random_state=seed),
            *(X, labels, weights[name], train, test, scoring),
        )
        for name, estimator in estimators.items()
        for injector in injectors
        for (train, test), seed in zip(folds, seeds.tolist(), strict=True)
    ]
    done = Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
    if verbose:
        from tqdm.auto import tqdm

        done = tqdm(done, total=len(tasks), desc="Noise curve", unit="fit")
    scores = np.array(list(done)).reshape(len(estimators), len(rates), len(folds))
    return rates, dict(zip(estimators, scores, strict=True))


def _score(noisy, X, labels, weights, train, test, scoring):
    in_fit, in_score = {}, {}
    for parameter, weight in weights.items():
        in_fit[parameter], in_score["sample_weight"] = weight[train], weight[test]
    noisy.fit(_safe_indexing(X, train), labels[train], **in_fit)
    scorer = check_scoring(noisy, scoring)
    return scorer(noisy, _safe_indexing(X, test), labels[test], **in_score)


def _scale(transition, rates, labels):
    """Scale a transition matrix so that the given shares of the labels are wrong."""
    classes = find_classes(labels)
    transition = check_transition(transition, len(classes), classes)
    wrong = 1 - transition.diagonal()
    rate = wrong[encode(labels, classes)].mean()
    if rate == 0:
        raise ValueError("The matrix passed as noise leaves all labels unchanged.")
    if (rates * wrong.max() > rate).any():
        raise ValueError(
            f"With this matrix as noise, noise_rates can be at most {rate / wrong.max():.4g}: "
            f"there the class with the most noise has no right label left. Got {rates.tolist()}."
        )
    same = np.eye(len(classes))
    return [same + (transition - same) * (r / rate) for r in rates]


class NoiseCurveDisplay:
    """Plot of the accuracy on clean labels against the share of wrong training labels.

    Create it with :meth:`from_estimator` or :meth:`from_estimators`.

    Parameters
    ----------
    noise_rates : ndarray of shape (n_rates,)
        Shares of wrong labels.
    scores : dict of str to ndarray of shape (n_rates, n_repeats * n_folds)
        Scores of each estimator, as returned by :func:`noise_curve`.
    score_name : str, default="Accuracy"
        Name of the score.

    Attributes
    ----------
    figure_, ax_ : matplotlib.figure.Figure and matplotlib.axes.Axes
        The figure and its axes, after :meth:`plot`.
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
        self, noise_rates: NDArray, scores: Mapping[str, NDArray], *, score_name: str = "Accuracy"
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
            Classifier to fit.
        X : array-like of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Clean labels.
        name : str or None, default=None
            Name in the legend. None uses the name of the class.
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
        cls, estimators: Mapping[str, Any], X: Features, y: ArrayLike, **params: Any
    ) -> Self:
        """Compute the curves of several estimators under the same folds and noise.

        Parameters
        ----------
        estimators : dict of str to classifier
            Classifiers to fit, by their names in the legend.
        X : array-like of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Clean labels.
        **params : dict
            Keyword arguments of :func:`noise_curve`.

        Returns
        -------
        display : NoiseCurveDisplay
            The curves, not yet drawn.

        Raises
        ------
        ValueError
            If `estimators` is empty, or holds anything but classifiers.
        """
        if not isinstance(estimators, Mapping) or not estimators:
            raise ValueError(f"estimators must be a dict of classifiers. Got {estimators!r}.")
        rates, scores = _scores(estimators, X, y, **params)
        scoring = params.get("scoring") or "accuracy"
        score_name = scoring if isinstance(scoring, str) else "score"
        return cls(rates, scores, score_name=score_name.replace("_", " ").capitalize())

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw mean scores and bands of one standard deviation with matplotlib.

        Parameters
        ----------
        ax : matplotlib axes or None, default=None
            Axes to draw on. None creates a figure.

        Returns
        -------
        display : NoiseCurveDisplay
            This display.
        """
        ax = make_axes(ax, "NoiseCurveDisplay.plot")
        self.ax_, self.figure_, self.lines_ = ax, ax.figure, {}
        rates = self.noise_rates
        for i, (name, scores) in enumerate(self.scores.items()):
            color, marker = COLORS[i % len(COLORS)], _MARKERS[i % len(_MARKERS)]
            mean, std = scores.mean(axis=1), scores.std(axis=1)
            (self.lines_[name],) = ax.plot(rates, mean, marker=marker, color=color, label=name)
            ax.fill_between(rates, mean - std, mean + std, color=color, alpha=0.2, linewidth=0)
        ax.set(xlabel="Share of wrong training labels", ylabel=f"{self.score_name} on clean labels")
        style_axes(ax)
        ax.legend(frameon=False)
        return self

    def frame(self) -> pd.DataFrame:
        """Return the scores as a pandas data frame.

        Returns
        -------
        frame : pandas.DataFrame
            One row for each estimator, noise rate and split, with the columns estimator, noise
            rate, split and score.
        """
        pd = import_pandas("NoiseCurveDisplay.frame")
        rows = [
            (name, rate, split, score)
            for name, scores in self.scores.items()
            for rate, row in zip(self.noise_rates.tolist(), scores, strict=True)
            for split, score in enumerate(row.tolist())
        ]
        return pd.DataFrame(rows, columns=["estimator", "noise rate", "split", "score"])

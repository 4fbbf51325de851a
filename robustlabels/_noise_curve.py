"""Accuracy on clean labels against the share of wrong ones in training."""

from collections.abc import Mapping
from numbers import Integral

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.utils import check_consistent_length

from ._injector import LabelNoiseInjector, NoiseInjectedClassifier
from ._labels import check_labels
from ._plotting import COLORS, import_pandas, import_pyplot
from ._random_state import draw_from
from ._sklearn import HasMethods, Interval, StrOptions, _safe_indexing, validate_params
from .noise import NOISES

__all__ = ["NoiseCurveDisplay", "noise_curve"]

_MARKERS = "osD^vPX"


@validate_params(
    {
        "estimator": [HasMethods(["fit", "predict"])],
        "noise": [StrOptions(NOISES), Mapping],
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
    estimator,
    X,
    y,
    *,
    noise="symmetric",
    noise_rates=(0.0, 0.2, 0.4, 0.6),
    exact=False,
    cv=5,
    n_repeats=1,
    scoring=None,
    n_jobs=None,
    random_state=None,
    verbose=0,
):
    """Score a classifier on clean labels, trained on labels of which more and more are wrong.

    Parameters
    ----------
    estimator : classifier
        What is fitted, a pipeline as well.
    X : array-like of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,)
        Clean labels.
    noise : {"symmetric", "pair", "instance", "margin", "boundary"} or dict, \
            default="symmetric"
        Kind of noise, see :func:`corrupt_labels`.
    noise_rates : array-like of shape (n_rates,), default=(0.0, 0.2, 0.4, 0.6)
        Shares of wrong labels among the training rows.
    exact : bool, default=False
        Whether exactly that share is wrong.
    cv : int or cross-validation splitter, default=5
        Folds. An int shuffles stratified folds anew in each repeat.
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
        {"": estimator}, X, y, noise, noise_rates, exact, cv, n_repeats, scoring, n_jobs,
        random_state, verbose,
    )[""]  # fmt: skip


def _scores(
    estimators, X, y, noise, rates, exact, cv, n_repeats, scoring, n_jobs, random_state, verbose
):
    """Return the scores of several estimators under the same folds and noise."""
    for name, estimator in estimators.items():
        if not hasattr(estimator, "fit") or not is_classifier(estimator):
            raise ValueError(f"{name or 'estimator'} must be a classifier. Got {estimator!r}.")
    check_consistent_length(X, y)
    labels = check_labels(y)
    rates = np.asarray(rates, dtype=float)
    if rates.ndim != 1 or len(rates) == 0 or not ((rates >= 0) & (rates <= 1)).all():
        raise ValueError(f"noise_rates must be a list of shares in [0, 1]. Got {rates.tolist()}.")
    rng = draw_from(random_state)
    folds = []
    splitter = check_cv(cv, labels, classifier=True)
    for _ in range(n_repeats):
        seed = rng.randint(np.iinfo(np.int32).max)
        if isinstance(cv, Integral):
            splitter = StratifiedKFold(cv, shuffle=True, random_state=seed)
        folds += list(splitter.split(X, labels))
    seeds = rng.randint(np.iinfo(np.int32).max, size=len(folds))
    tasks = [
        delayed(_score)(
            NoiseInjectedClassifier(
                clone(estimator),
                LabelNoiseInjector(noise, rate, exact=exact),
                random_state=seed,
            ),
            *(X, labels, train, test, scoring),
        )
        for estimator in estimators.values()
        for rate in rates.tolist()
        for (train, test), seed in zip(folds, seeds.tolist(), strict=True)
    ]
    done = Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
    if verbose:
        from tqdm.auto import tqdm

        done = tqdm(done, total=len(tasks), desc="Noise curve", unit="fit")
    scores = np.array(list(done)).reshape(len(estimators), len(rates), len(folds))
    return dict(zip(estimators, scores, strict=True))


def _score(noisy, X, y, train, test, scoring):
    noisy.fit(_safe_indexing(X, train), _safe_indexing(y, train))
    scorer = check_scoring(noisy, scoring)
    return scorer(noisy, _safe_indexing(X, test), _safe_indexing(y, test))


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

    def __init__(self, noise_rates, scores, *, score_name="Accuracy"):
        self.noise_rates = noise_rates
        self.scores = scores
        self.score_name = score_name

    @classmethod
    def from_estimator(cls, estimator, X, y, *, name=None, **params):
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
        estimators,
        X,
        y,
        *,
        noise="symmetric",
        noise_rates=(0.0, 0.2, 0.4, 0.6),
        exact=False,
        cv=5,
        n_repeats=1,
        scoring=None,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        """Compute the curves of several estimators under the same folds and noise.

        Parameters
        ----------
        estimators : dict of str to classifier
            The estimators, with their names for the legend.
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Clean labels.
        noise : str or dict, default="symmetric"
            See :func:`noise_curve`, as for all that follow.
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
            estimators, X, y, noise, noise_rates, exact, cv, n_repeats, scoring, n_jobs,
            random_state, verbose,
        )  # fmt: skip
        named = scoring if isinstance(scoring, str) else "accuracy" if scoring is None else "score"
        score_name = named.replace("_", " ").capitalize()
        return cls(np.asarray(noise_rates, dtype=float), scores, score_name=score_name)

    def plot(self, ax=None):
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

    def frame(self):
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

"""find_wrong_labels: a list of the labels that are probably wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from .._plotting import import_pandas
from .._typing import Features, Seed
from .._validation.alignment import align_rows
from .._validation.labels import as_given, check_labels, encode
from ._refiner import LabelRefiner, refine_with_interval

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["find_wrong_labels"]


def find_wrong_labels(
    X: Features,
    y: ArrayLike,
    trusted: ArrayLike | None = None,
    trusted_at_random: ArrayLike = False,
    groups: ArrayLike | None = None,
    *,
    refiner: LabelRefiner | None = None,
    prefit: bool = False,
    random_state: Seed = None,
) -> pd.DataFrame:
    """List the labels of a table, those most probably wrong first.

    Parameters
    ----------
    X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
        Features, with categories and missing values as they are; see :class:`LabelRefiner`.
    y : array-like of shape (n_samples,)
        Labels of two or more classes, at least 50 and 10 times the number of classes.
    trusted : array-like of shape (n_samples,) or None, default=None
        True labels where somebody has checked them, and None, NaN or NA elsewhere. They improve the
        probabilities and the number of all others. Or booleans that say which labels are right.
    trusted_at_random : bool or array-like of bool of shape (n_samples,), default=False
        Which of the trusted samples were drawn at random; see :meth:`LabelRefiner.fit`.
    groups : array-like of shape (n_samples,) or None, default=None
        Samples that depend on each other share a value here, such as those of one patient.
    refiner : LabelRefiner or None, default=None
        Estimates the noise; it is cloned, unless it is `prefit`. Pass one to set `n_jobs`,
        `memory`, a `teacher` and so on. None takes ``LabelRefiner(random_state=random_state)``.
    prefit : bool, default=False
        Whether `refiner` is fitted, to these rows or others, and shall be used as it is.
    random_state : int, RandomState instance or None, default=None
        Randomness of the trees. Set it in `refiner` if you pass one.

    Returns
    -------
    labels : pandas.DataFrame of shape (n_samples, 3)
        One row per label, indexed as `y`, or else as `X`, and sorted by "wrong_probability", the
        probability that the given label is wrong. The other columns are "label", the given label,
        and "suggested", the most probable one. Its ``attrs`` hold "n_wrong", the expected number of
        wrong labels, and "n_wrong_interval", which holds that number with a probability of 90 %.

    Raises
    ------
    ImportError
        If pandas is missing.
    ValueError
        If the data are invalid or too few, or an argument has no effect: `random_state` with a
        `refiner`; `trusted` or `groups` with ``prefit=True``.

    See Also
    --------
    LabelRefiner : The same as attributes, in the order of the samples.
    robustlabels.metrics.label_quality : Rank labels by a classifier of your own.

    Notes
    -----
    Of the labels with a probability of 0.8, about 8 in 10 are wrong. Check the first `n_wrong`
    rows; the right labels among them belong to hard samples. See :class:`LabelRefiner` for the
    assumptions.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from robustlabels import find_wrong_labels
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> names = y.map({0: "setosa", 1: "versicolor", 2: "virginica"})
    >>> names[7] = "virginica"
    >>> labels = find_wrong_labels(X, names, random_state=0)
    >>> labels[["label", "suggested"]].head(1)
           label suggested
    7  virginica    setosa
    """
    pd = import_pandas("find_wrong_labels")
    y = align_rows(X, y, "y")
    given = check_labels(y)
    if prefit and (refiner is None or trusted is not None or groups is not None):
        raise ValueError(
            "prefit=True takes a fitted refiner as it is: pass one, and pass trusted and groups to "
            "its fit."
        )
    if refiner is None:
        refiner = LabelRefiner(random_state=random_state)
    elif random_state is not None:
        raise ValueError(
            "random_state has no effect if a refiner is passed. Set it there: "
            f"refiner={type(refiner).__name__}(..., random_state={random_state!r})."
        )
    if prefit:
        proba, interval = refine_with_interval(refiner, X, given)
    else:
        # Refiners of users need not take all of these.
        passed = {"groups": groups} if groups is not None else {}
        if trusted is not None:
            passed |= {"trusted": trusted, "trusted_at_random": trusted_at_random}
        refiner = clone(refiner).fit(X, given, **passed)
        proba, interval = refiner.label_probabilities_, refiner.n_wrong_interval_
    if refiner.transition_matrix_ is None:
        raise ValueError(
            f"{len(given)} rows of {len(refiner.classes_)} classes are too few to find wrong "
            f"labels: at least 50 are needed, and 10 for each class. Rank the labels by a "
            f"classifier that you trust instead, with robustlabels.metrics.label_quality."
        )
    codes = encode(given, refiner.classes_)
    own = proba[np.arange(len(codes)), codes]
    wrong = 1 - own if prefit else refiner.wrong_probability_
    # The given label wins ties.
    best = np.where(own >= proba.max(axis=1), codes, proba.argmax(axis=1))
    frames = [data for data in (y, X) if isinstance(data, pd.Series | pd.DataFrame)]
    labels = pd.DataFrame(
        {
            "label": as_given(given, y),
            "suggested": as_given(refiner.classes_[best], y),
            "wrong_probability": wrong,
        },
        index=frames[0].index if frames else None,
    ).sort_values("wrong_probability", ascending=False, kind="stable")
    labels.attrs = {"n_wrong": float(wrong.sum()), "n_wrong_interval": interval}
    return labels

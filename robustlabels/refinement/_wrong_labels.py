"""A list of the labels that are probably wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from .._plotting import import_pandas
from .._typing import Features, Seed
from .._validation.labels import as_given, check_labels, encode
from ._refiner import LabelRefiner

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["find_wrong_labels"]


def find_wrong_labels(
    X: Features,
    y: ArrayLike,
    trusted: ArrayLike | None = None,
    *,
    refiner: LabelRefiner | None = None,
    random_state: Seed = None,
) -> pd.DataFrame:
    """List the labels of a table, those first that are most probably wrong.

    Parameters
    ----------
    X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
        Features, with categories and missing values as they are; see :class:`LabelRefiner`.
    y : array-like of shape (n_samples,)
        Labels of any kind, two classes at least, 50 rows at least and 10 for each class.
    trusted : array-like of bool of shape (n_samples,) or None, default=None
        Which labels are known to be right, since somebody has checked them: they have the
        probability 0, and tell of the others.
    refiner : LabelRefiner or None, default=None
        What finds the noise; it is cloned. None is ``LabelRefiner(random_state=random_state)``.
    random_state : int, RandomState instance or None, default=None
        Source of the trees where `refiner` is None.

    Returns
    -------
    labels : pandas.DataFrame of shape (n_samples, 3)
        One row for each label, indexed as `y`, or else as `X`, with the columns "label", the given
        one; "suggested", the most probable one; and "wrong_probability", the probability that the
        given one is wrong, by which it is sorted. Its ``attrs`` hold "n_wrong", the number of
        labels that are expected to be wrong, and "n_wrong_interval", the lower and the upper end
        of that number with a probability of 90 %.

    Raises
    ------
    ImportError
        If pandas is missing.
    ValueError
        If the data are unfit, or too few to tell.

    See Also
    --------
    LabelRefiner : The same as attributes, for all rows in their order.
    robustlabels.metrics.label_quality : A ranking of the labels by a classifier of one's own.

    Notes
    -----
    A label with a probability of 0.8 is wrong in about 8 cases of 10. Look at the first `n_wrong`
    rows; what is right among them is hard. See :class:`LabelRefiner` for what it assumes.

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
    given = check_labels(y)
    refiner = LabelRefiner(random_state=random_state) if refiner is None else clone(refiner)
    # A refiner of the user's may know of no trusted labels.
    refiner.fit(X, given, **({} if trusted is None else {"trusted": trusted}))
    if refiner.transition_matrix_ is None:
        raise ValueError(
            f"{len(given)} rows of {len(refiner.classes_)} classes are too few to tell wrong "
            f"labels from right ones: 50 are needed, and 10 for each class. Rank them by a "
            f"classifier that you trust instead, with robustlabels.metrics.label_quality."
        )
    beliefs, codes = refiner.label_probabilities_, encode(given, refiner.classes_)
    best = beliefs.argmax(axis=1)
    # Of equals the given one.
    best = np.where(beliefs[np.arange(len(codes)), codes] >= beliefs.max(axis=1), codes, best)
    frames = [data for data in (y, X) if isinstance(data, pd.Series | pd.DataFrame)]
    labels = pd.DataFrame(
        {
            "label": as_given(given, y),
            "suggested": as_given(refiner.classes_[best], y),
            "wrong_probability": refiner.wrong_probability_,
        },
        index=frames[0].index if frames else None,
    ).sort_values("wrong_probability", ascending=False, kind="stable")
    labels.attrs = {"n_wrong": refiner.n_wrong_, "n_wrong_interval": refiner.n_wrong_interval_}
    return labels

"""Rows that are there once for each of their probable classes, and splits that know it."""

from numbers import Integral

import numpy as np

from .folds import assign_folds

#: A class is left out of a row whose belief in it is less than this share of its greatest.
_NEGLIGIBLE = 0.01

#: Folds that ``cv=None`` stands for, as in scikit-learn.
_N_FOLDS = 5


def expand(beliefs):
    """List each row once for each class that it probably is of.

    Parameters
    ----------
    beliefs : ndarray of shape (n_samples, n_classes)
        Probabilities of the true labels.

    Returns
    -------
    rows, codes : ndarray of shape (n_copies,)
        Number of the row, ascending, and of the class. Every class is there.
    shares : ndarray of shape (n_copies,)
        Belief in the class. Those of a row sum to 1.
    """
    probable = beliefs > _NEGLIGIBLE * beliefs.max(axis=1, keepdims=True)
    probable[beliefs.argmax(axis=0), np.arange(beliefs.shape[1])] = True
    rows, codes = np.nonzero(probable)
    shares = beliefs[rows, codes]
    return rows, codes, shares / np.bincount(rows, weights=shares)[rows]


class ExpandedRows:
    """Knows which copies belong to a row, and splits rows so that their copies stay together.

    Parameters
    ----------
    rows : ndarray of shape (n_copies,)
        Number of the row of each copy, ascending.
    groups : ndarray of shape (n_samples,)
        Numbers from 0, the same for rows that stay on one side of a split.
    codes : ndarray of shape (n_samples,)
        The most probable class of each row.
    rng : numpy.random.RandomState
        Source of the splits.
    """

    def __init__(self, rows, groups, codes, rng):
        self.groups, self.codes, self.rng = groups, codes, rng
        self._ends = np.searchsorted(rows, np.arange(len(groups) + 1))

    def __len__(self):
        return len(self.groups)

    def copies_of(self, rows):
        """Return the positions of the copies of rows, in the order of these."""
        parts = [np.arange(self._ends[row], self._ends[row + 1]) for row in rows]
        return np.concatenate(parts) if parts else np.arange(0)

    def split(self, cv, X, kept, n_rows):
        """List the pairs of training and test positions that a parameter `cv` stands for.

        Parameters
        ----------
        cv : int, None, splitter or iterable
            As in scikit-learn. An iterable has rows of the table as the user knows it: `n_rows`,
            of which those that are `kept` have weight.
        X : array-like of shape (n_samples, n_features)
            The rows that are kept, for splitters that look at them.
        kept : ndarray of shape (n_samples,)
            Their numbers in the table of the user.
        n_rows : int
            Number of rows of that table.

        Returns
        -------
        pairs : list of tuple of ndarray
            Positions of copies.
        """
        if cv is None or isinstance(cv, Integral):
            pairs = self._fold(_N_FOLDS if cv is None else cv)
        elif hasattr(cv, "split"):
            pairs = cv.split(X, self.codes)
        elif np.iterable(cv):
            number = np.full(n_rows, -1)
            number[kept] = np.arange(len(kept))
            pairs = ([number[side] for side in pair] for pair in cv)
            pairs = ([side[side >= 0] for side in pair] for pair in pairs)
        else:
            raise ValueError(
                f"cv={cv!r} cannot be split so that copies of a row stay together. Pass a number "
                f"of folds, a splitter or a list of pairs of rows."
            )
        return [(self.copies_of(train), self.copies_of(test)) for train, test in pairs]

    def _fold(self, n_folds):
        n_groups = self.groups.max() + 1
        if not 2 <= n_folds <= n_groups:
            raise ValueError(
                f"cv={n_folds} must be at least 2 and at most the number of rows that are no "
                f"copies of each other, {n_groups}."
            )
        folds = assign_folds(self.groups, self.codes, n_folds, self.rng)
        return [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(n_folds)]

    def hold_out(self, share, needed):
        """Return the rows to learn from and those to stop by, which are a share of each class.

        Parameters
        ----------
        share : float
            Of the groups.
        needed : ndarray
            Rows that are never held out.

        Returns
        -------
        train, held : ndarray
            Numbers of rows.
        """
        _, first = np.unique(self.groups, return_index=True)
        free = np.setdiff1d(np.arange(len(first)), self.groups[needed])
        free = self.rng.permutation(free)
        free = free[np.argsort(self.codes[first[free]], kind="stable")]
        # Of free groups in the order of their classes, each that takes the count to a new integer.
        count = np.floor(np.arange(len(free) + 1) * share * len(first) / max(len(free), 1))
        held = np.isin(self.groups, free[np.diff(count) > 0])
        if not held.any():
            raise ValueError(
                f"Of {len(first)} rows none can be held out for early stopping. Set "
                f"early_stopping=False."
            )
        return np.flatnonzero(~held), np.flatnonzero(held)

"""Weighted sums of losses."""

import functools
import math
from collections import Counter
from numbers import Real

import torch
from sklearn.base import clone
from sklearn.utils.metaestimators import _BaseComposition

from ._loss import Loss

__all__ = ["Sum"]


class Sum(_BaseComposition, Loss):
    r"""Weighted sum of named losses.

    .. math:: L(f, y) = \sum_i w_i L_i(f, y)

    It is what ``NCE() + 4 * AGCE()`` makes: operators copy their operands and name the terms
    after their classes.

    Parameters
    ----------
    terms : list of (str, Loss) pairs
        Names and losses; a grid reaches the parameters of a term as ``name__parameter``.
    weights : list of float or None, default=None
        A weight for each term; None gives each the weight 1.
    reduction : {"none", "mean", "sum"}, default="mean"
        What a call returns: the loss of every row, their mean, or their sum. That of the
        terms has no effect.

    See Also
    --------
    get_loss : Makes the published combinations by name, such as "nce+agce".

    Notes
    -----
    The log-probabilities are computed once for all terms. With weights that are not negative,
    a sum of symmetric losses is symmetric, and a sum of asymmetric losses is asymmetric on
    labels on which each of them is.

    Examples
    --------
    >>> from robustlabels.losses import AGCE, NCE
    >>> loss = NCE() + 4 * AGCE(a=6, q=1.5)
    >>> loss
    Sum(terms=[('nce', NCE()), ('agce', AGCE(a=6, q=1.5))], weights=[1.0, 4.0])
    >>> loss.set_params(agce__a=2.0, weights=[1, 1])
    Sum(terms=[('nce', NCE()), ('agce', AGCE(a=2.0, q=1.5))], weights=[1, 1])
    """

    _parameter_constraints = {
        **Loss._parameter_constraints,
        "terms": [list],
        "weights": ["array-like", None],
    }

    def __init__(self, terms, weights=None, *, reduction="mean"):
        Loss.__init__(self, reduction=reduction)
        self.terms = terms
        self.weights = weights

    def get_params(self, deep=True):
        """Get the parameters of the sum and of its terms.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the terms by their names, and their parameters.

        Returns
        -------
        params : dict
            Parameter names and values.
        """
        return self._get_params("terms", deep=deep)

    def set_params(self, **params):
        """Set parameters of the sum, replace a term by its name, or set a parameter of it.

        Parameters
        ----------
        **params : dict
            Such as ``weights=[1, 4]``, ``agce=AGCE(a=2)``, ``agce__a=2``.

        Returns
        -------
        self : Sum
            This loss.
        """
        self._set_params("terms", **params)
        return self

    @property
    def positive(self):
        """Whether the class losses are not negative and their sum is positive."""
        return all(loss.positive and weight > 0 for weight, loss in self._weighted())

    def _validate_params(self):
        super()._validate_params()
        if not self.terms or not all(isinstance(loss, Loss) for _, loss in self.terms):
            raise ValueError(f"terms must be (name, Loss) pairs, one at least. Got {self.terms!r}.")
        self._validate_names([name for name, _ in self.terms])
        weights = [1.0] * len(self.terms) if self.weights is None else list(self.weights)
        numbers = all(isinstance(w, Real) and math.isfinite(w) for w in weights)
        if not numbers or len(weights) != len(self.terms):
            raise ValueError(
                f"weights must hold a finite number for each of the {len(self.terms)} terms. "
                f"Got {self.weights!r}."
            )
        for _, loss in self.terms:
            loss._validate_params()

    def _validate_changed_params(self):
        super()._validate_changed_params()
        for _, loss in self.terms:
            loss._validate_changed_params()

    def _weighted(self):
        weights = [1.0] * len(self.terms) if self.weights is None else self.weights
        return [(weight, loss) for weight, (_, loss) in zip(weights, self.terms, strict=True)]

    def _sum(self, values):
        """Weigh and add the values of the terms."""
        weights = (weight for weight, _ in self._weighted())
        pairs = zip(weights, values, strict=True)
        return functools.reduce(torch.add, (v if w == 1 else w * v for w, v in pairs))

    def class_losses(self, log_p):
        return self._sum(loss.class_losses(log_p) for _, loss in self.terms)

    def sample_losses(self, log_p, target):
        return self._sum(loss.sample_losses(log_p, target) for _, loss in self.terms)


def weighted_sum(*weighted, reduction="mean"):
    """Make a Sum of copies of (weight, loss) pairs, merging sums among them."""
    names, terms, weights = [], [], []
    for weight, loss in weighted:
        if isinstance(loss, Sum):
            of_terms = [w for w, _ in loss._weighted()]
            inner = [(w, *term) for w, term in zip(of_terms, loss.terms, strict=True)]
        else:
            inner = [(1.0, type(loss).__name__.lower(), loss)]
        for w, name, term in inner:
            names.append(name)
            terms.append(clone(term))
            weights.append(float(weight * w))
    counts, seen = Counter(names), Counter()
    for i, name in enumerate(names):
        if counts[name] > 1:
            seen[name] += 1
            names[i] = f"{name}-{seen[name]}"
    return Sum(list(zip(names, terms, strict=True)), weights, reduction=reduction)

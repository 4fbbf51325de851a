"""The pool of several learners, weighted by how well they predict held-out noisy labels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from ._bayes import subsample_rows


@dataclass(frozen=True)
class _Settings:
    """Precisions of the prior, chosen on the tables CHOOSE of benchmarks/accuracy.py; bounds."""

    equality: float = 0.3  # of the log weights about their mean
    confidence: float = 3.0  # of the log of their sum about 0: then confidence stays as it is
    offset: float = 10.0  # of the offset of a class about 0
    bounds: tuple[float, float] = (-6.0, 4.0)  # of the log weights; numerics
    offset_bounds: tuple[float, float] = (-5.0, 5.0)  # numerics


_SETTINGS = _Settings()

#: Smallest probability of a label.
_SMALLEST = 1e-12


def fit_pool(
    log_proba: NDArray, likelihood: NDArray, weight: NDArray, fit_offsets: bool = False
) -> tuple[NDArray, NDArray]:
    r"""Find the weight of each learner in the pool.

    The pool is :math:`p_k \propto e^{b_k} \prod_l p_{lk}^{w_l}`. The weights, all positive, and the
    class offsets b maximise the likelihood of noisy labels that the learners have not seen,
    :math:`\sum_i \log \sum_k T_{k\tilde{y}_i} p_k(x_i)`, under a prior that the weights are equal
    and sum to 1, and that b is 0. With few samples the prior decides; with many, a learner without
    information loses its weight. The sum of the weights makes the pool as confident as the labels
    support. The offsets set how frequent each class is: cautious learners may predict a rare one
    too seldom.

    Parameters
    ----------
    log_proba : ndarray of shape (n_learners, n_samples, n_classes)
        Logarithms of held-out class probabilities.
    likelihood : ndarray of shape (n_samples, n_classes)
        Probability of the labels of a sample under each true class, up to a factor.
    weight : ndarray of shape (n_samples,)
        Non-negative sample weights, of mean 1.
    fit_offsets : bool, default=False
        Whether to fit the offsets.

    Returns
    -------
    weights : ndarray of shape (n_learners,)
        Positive weights.
    offsets : ndarray of shape (n_classes,)
        What is added to the log-probability of each class; 0 without `fit_offsets`.
    """
    n_learners, n_rows, n_classes = log_proba.shape
    rows = subsample_rows(n_rows, n_classes)
    if len(rows) < n_rows:
        log_proba, likelihood, weight = log_proba[:, rows], likelihood[rows], weight[rows]
    log_proba = log_proba.astype(np.float64, copy=False)
    likelihood, s = np.maximum(likelihood, _SMALLEST), _SETTINGS

    def misfit(params: NDArray) -> tuple[float, NDArray]:
        log_weights, offsets = params[:n_learners], params[n_learners:]
        weights = np.exp(log_weights)
        p = np.exp(log_softmax(np.tensordot(weights, log_proba, 1) + offsets, axis=1))
        posterior = p * likelihood
        labels = posterior.sum(axis=1, keepdims=True)
        posterior /= labels
        # Derivative of the log-likelihood by the score of each class.
        change = weight[:, None] * (posterior - p)
        slope = weights * np.einsum("ik,lik->l", change, log_proba)
        apart = log_weights - log_weights.mean()
        log_sum = np.log(weights.sum())
        prior = s.equality * apart @ apart + s.confidence * log_sum**2
        prior += s.offset * offsets @ offsets
        slope_of_prior = s.equality * apart + s.confidence * log_sum * weights / weights.sum()
        slopes = slope_of_prior - slope, s.offset * offsets - change.sum(axis=0)
        return prior / 2 - weight @ np.log(labels[:, 0]), np.concatenate(slopes)

    start = np.append(np.full(n_learners, -np.log(n_learners)), np.zeros(n_classes))
    offset_bounds = s.offset_bounds if fit_offsets else (0.0, 0.0)
    bounds = [s.bounds] * n_learners + [offset_bounds] * n_classes
    found = minimize(misfit, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return np.exp(found[:n_learners]), found[n_learners:]

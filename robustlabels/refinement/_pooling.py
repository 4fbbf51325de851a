"""What several learners say together: how much each counts, by noisy labels they did not learn."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from ._noise_model import draw_some

#: Precision of the prior of the logarithms of the weights: about their mean, and of their sum
#: about 0, that of probabilities that are neither made surer nor less sure.
_EQUALITY, _SURENESS = 0.3, 3.0

#: Bounds of the logarithms of the weights.
_BOUNDS = -6.0, 4.0

#: Smallest probability of a label.
_SMALLEST = 1e-12


def find_weights(log_proba, likelihood, weight):
    r"""Find how much each learner counts in the pool of their opinions.

    The pool is :math:`p_k \propto \prod_l p_{lk}^{w_l}`. The weights, all positive, make noisy
    labels most probable, :math:`\sum_i \log \sum_k T_{k\tilde{y}_i} p_k(x_i)`, that the learners
    know nothing of, under a prior that they are alike and that their sum is 1. Where rows are
    few the prior decides; where they are many, a learner that tells nothing loses its weight. The
    sum is what makes the pool as sure as the labels say it can be.

    Parameters
    ----------
    log_proba : ndarray of shape (n_learners, n_samples, n_classes)
        Logarithms of the class probabilities, from learners that know nothing of the row's label.
    likelihood : ndarray of shape (n_samples, n_classes)
        How probable the labels of a row are where its true class is k; the scale does not count.
    weight : ndarray of shape (n_samples,)
        Positive weights of the rows, of mean 1.

    Returns
    -------
    weights : ndarray of shape (n_learners,)
        Positive weights.
    """
    n_learners, n_rows, n_classes = log_proba.shape
    rows = draw_some(n_rows, n_classes)
    if len(rows) < n_rows:
        log_proba, likelihood, weight = log_proba[:, rows], likelihood[rows], weight[rows]
    log_proba = log_proba.astype(np.float64, copy=False)
    seen = np.maximum(likelihood, _SMALLEST)

    def misfit(log_weights):
        weights = np.exp(log_weights)
        p = np.exp(log_softmax(np.tensordot(weights, log_proba, 1), axis=1))
        posterior = p * seen
        labels = posterior.sum(axis=1, keepdims=True)
        posterior /= labels
        # By the score of a class the logarithm of the label's probability changes by this.
        change = weight[:, None] * (posterior - p)
        slope = weights * np.einsum("ik,lik->l", change, log_proba)
        apart = log_weights - log_weights.mean()
        log_sum = np.log(weights.sum())
        prior = (_EQUALITY * apart @ apart + _SURENESS * log_sum**2) / 2
        slope_of_prior = _EQUALITY * apart + _SURENESS * log_sum * weights / weights.sum()
        return prior - weight @ np.log(labels[:, 0]), slope_of_prior - slope

    start = np.full(n_learners, -np.log(n_learners))
    found = minimize(misfit, start, jac=True, method="L-BFGS-B", bounds=[_BOUNDS] * n_learners)
    return np.exp(found.x)

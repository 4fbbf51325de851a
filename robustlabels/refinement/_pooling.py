"""What several learners say together: how much each counts, by noisy labels they did not learn."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from ._noise_model import subsample_rows

#: Precision of the prior of the logarithms of the weights: about their mean, and of their sum
#: about 0, that of probabilities that are neither made surer nor less sure; and of the intercept
#: of a class.
_EQUALITY, _SURENESS, _INTERCEPT = 0.3, 3.0, 10.0

#: Bounds of the logarithms of the weights, and of the intercept of a class.
_BOUNDS, _INTERCEPT_BOUNDS = (-6.0, 4.0), (-5.0, 5.0)

#: Smallest probability of a label.
_SMALLEST = 1e-12


def fit_pool(log_proba, likelihood, weight, fit_intercept=False):
    r"""Find how much each learner counts in the pool of their opinions.

    The pool is :math:`p_k \propto e^{b_k} \prod_l p_{lk}^{w_l}`. The weights, all positive, and the
    intercept b make noisy labels most probable, :math:`\sum_i \log \sum_k T_{k\tilde{y}_i}
    p_k(x_i)`, that the learners know nothing of, under a prior that weights are alike, that their
    sum is 1 and that the intercept is 0. Where rows are few the prior decides; where they are many,
    a learner that tells nothing loses its weight. The sum is what makes the pool as sure as the
    labels say it can be, and the intercept what makes a class as frequent: learners who are
    cautious may give a rare one too little.

    Parameters
    ----------
    log_proba : ndarray of shape (n_learners, n_samples, n_classes)
        Logarithms of the class probabilities, from learners that know nothing of the row's label.
    likelihood : ndarray of shape (n_samples, n_classes)
        How probable the labels of a row are where its true class is k; the scale does not count.
    weight : ndarray of shape (n_samples,)
        Positive weights of the rows, of mean 1.
    fit_intercept : bool, default=False
        Whether there is an intercept.

    Returns
    -------
    weights : ndarray of shape (n_learners,)
        Positive weights.
    intercept : ndarray of shape (n_classes,)
        What is added to the logarithms of the probabilities of a class; 0 without `fit_intercept`.
    """
    n_learners, n_rows, n_classes = log_proba.shape
    rows = subsample_rows(n_rows, n_classes)
    if len(rows) < n_rows:
        log_proba, likelihood, weight = log_proba[:, rows], likelihood[rows], weight[rows]
    log_proba = log_proba.astype(np.float64, copy=False)
    seen = np.maximum(likelihood, _SMALLEST)

    def misfit(params):
        log_weights, intercept = params[:n_learners], params[n_learners:]
        weights = np.exp(log_weights)
        p = np.exp(log_softmax(np.tensordot(weights, log_proba, 1) + intercept, axis=1))
        posterior = p * seen
        labels = posterior.sum(axis=1, keepdims=True)
        posterior /= labels
        # By the score of a class the logarithm of the label's probability changes by this.
        change = weight[:, None] * (posterior - p)
        slope = weights * np.einsum("ik,lik->l", change, log_proba)
        apart = log_weights - log_weights.mean()
        log_sum = np.log(weights.sum())
        prior = _EQUALITY * apart @ apart + _SURENESS * log_sum**2
        prior += _INTERCEPT * intercept @ intercept
        slope_of_prior = _EQUALITY * apart + _SURENESS * log_sum * weights / weights.sum()
        slopes = slope_of_prior - slope, _INTERCEPT * intercept - change.sum(axis=0)
        return prior / 2 - weight @ np.log(labels[:, 0]), np.concatenate(slopes)

    start = np.append(np.full(n_learners, -np.log(n_learners)), np.zeros(n_classes))
    of_intercept = _INTERCEPT_BOUNDS if fit_intercept else (0.0, 0.0)
    bounds = [_BOUNDS] * n_learners + [of_intercept] * n_classes
    found = minimize(misfit, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return np.exp(found[:n_learners]), found[n_learners:]

"""What the true labels probably are: by trees that have not seen a row, and Bayes' rule."""

import numpy as np
from scipy.special import entr
from sklearn.preprocessing import StandardScaler

from .metrics import estimate_transition_matrix
from .noise import symmetric_transition

#: Rows, and rows for each class, from which trees can say something about labels.
_MIN_ROWS = 50
_MIN_ROWS_PER_CLASS = 10

#: Trees, rows of their leaves at least, and rows that one looks at, at most.
_TREES = 200
_LEAF = 5
_ROWS_PER_TREE = 20_000

#: Share of the entropy of wrong labels that their dependence on the class must explain, and
#: difference of the noise rates of two classes: below, the noise is taken to be symmetric.
_EXPLAINED = 0.5
_DIFFERENCE = 0.25

#: Steps of expectation maximisation, and times that labels are counted anew.
_ITERATIONS = 30
_COUNTS = 3


def enough_rows(n_rows, n_classes):
    """Tell whether a table is large enough to estimate its noise."""
    return n_rows >= max(_MIN_ROWS, _MIN_ROWS_PER_CLASS * n_classes)


def label_probabilities(X, codes, n_classes, weight, rng):
    """Estimate the probabilities of the labels, for each row by trees that did not learn from it.

    A random forest's out-of-bag probabilities, grown tree by tree: that needs memory for one
    tree, and rows that are given several times are drawn together.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Finite features.
    codes : ndarray of shape (n_samples,)
        Noisy labels from 0 to n_classes - 1, each of which occurs.
    n_classes : int
        Number of classes.
    weight : ndarray of shape (n_samples,)
        Positive weights.
    rng : numpy.random.RandomState
        Source of the trees' randomness.

    Returns
    -------
    proba : ndarray of shape (n_samples, n_classes)
        Positive probabilities; they sum to 1.
    """
    from sklearn.tree import DecisionTreeClassifier  # not for those who only import the package

    # A copy of a row would tell its label. What it weighs counts instead.
    rows, index = np.unique(np.column_stack([X, codes]), axis=0, return_inverse=True)
    index = index.ravel()
    weight = np.bincount(index, weight)
    codes = rows[:, -1].astype(np.intp)
    with np.errstate(over="ignore", invalid="ignore"):
        X = StandardScaler().fit_transform(rows[:, :-1])
    X = np.nan_to_num(X).astype(np.float32)

    votes = np.full((len(X), n_classes), 1e-6)
    for _ in range(_TREES):
        drawn = np.bincount(rng.randint(len(X), size=min(len(X), _ROWS_PER_TREE)), minlength=len(X))
        tree = DecisionTreeClassifier(
            min_samples_leaf=_LEAF, max_features="sqrt", random_state=rng.randint(2**31)
        ).fit(X, codes, weight * drawn)
        unseen = drawn == 0
        votes[unseen] += tree.predict_proba(X[unseen])
    return (votes / votes.sum(axis=1, keepdims=True))[index]


def estimate_noise(codes, proba):
    """Estimate the transition matrix, one that depends on the class only where that is evident.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,)
        Noisy labels from 0 to n_classes - 1.
    proba : ndarray of shape (n_samples, n_classes)
        Out-of-sample probabilities of the labels.

    Returns
    -------
    transition : ndarray of shape (n_classes, n_classes)
        Probability of the label j where the true class is i.
    """
    n_classes = proba.shape[1]
    transition = estimate_transition_matrix(codes, proba, labels=np.arange(n_classes))
    share = np.bincount(codes, minlength=n_classes) / len(codes)
    rates = 1 - transition.diagonal()
    symmetric = symmetric_transition(n_classes, min(share @ rates, 0.95 * (1 - 1 / n_classes)))
    if n_classes == 2:
        evident = abs(rates[0] - rates[1]) > _DIFFERENCE and _mostly_right(transition, share)
    elif len(codes) < n_classes**2:
        evident = False  # fewer rows than entries of the matrix
    else:
        transition = _sharpened(transition, codes, proba)
        evident = _explained(transition, share) > _EXPLAINED
    return transition if evident else symmetric


def _mostly_right(transition, share):
    """Tell whether each label mostly means its class: what is rarer than its noise misleads."""
    prior = np.maximum(np.linalg.lstsq(transition.T, share, rcond=None)[0], 0)
    joint = prior[:, None] * transition
    return (joint.argmax(axis=0) == np.arange(len(share))).all()


def _sharpened(transition, codes, proba):
    """Count labels anew, by the posteriors: misplaced rows blur what a confident joint counts."""
    one_hot = np.eye(len(transition))[codes]
    for _ in range(_COUNTS):
        posterior = true_label_probabilities(codes, proba, transition)
        transition = posterior.T @ one_hot / posterior.sum(axis=0)[:, None]
    return transition


def _explained(transition, share):
    """Return which share of the entropy of wrong labels their true class explains."""
    n_classes = len(transition)
    rates = 1 - transition.diagonal()
    wrong = transition * ~np.eye(n_classes, dtype=bool)
    left = share @ (entr(wrong).sum(axis=1) - entr(rates))
    return 1 - left / max(share @ rates * np.log(n_classes - 1), 1e-12)


def true_label_probabilities(codes, proba, transition):
    r"""Compute the probabilities of the true labels of rows, given their noisy ones.

    The class probabilities p of a row are those under which the noise makes probabilities of the
    labels like `proba`: they are found by a fixed number of steps of expectation maximisation
    from equal ones, and so stay between these and the noise taken out in full. Then Bayes:

    .. math:: P(k \mid x, \tilde{y}) \propto p_k(x) \, T_{k \tilde{y}}

    Parameters
    ----------
    codes : ndarray of shape (n_samples,)
        Noisy labels from 0 to n_classes - 1.
    proba : ndarray of shape (n_samples, n_classes)
        Probabilities of the noisy labels.
    transition : ndarray of shape (n_classes, n_classes)
        Probability of the label j where the true class is i.

    Returns
    -------
    posterior : ndarray of shape (n_samples, n_classes)
        Probabilities of the true labels.
    """
    change, keep = transition[0, -1], transition[0, 0] - transition[0, -1]
    if np.allclose(transition, keep * np.eye(len(transition)) + change, rtol=0, atol=1e-12):

        def product(p, _):  # of symmetric noise, without n K^2 multiplications
            return keep * p + change * p.sum(axis=1, keepdims=True)

    else:
        product = np.matmul
    p = np.full_like(proba, 1 / proba.shape[1])
    for _ in range(_ITERATIONS):
        p *= product(proba / np.maximum(product(p, transition), 1e-12), transition.T)
    # The last term is for labels that cannot occur: they say nothing.
    posterior = np.maximum(p, 1e-4) * transition.T[codes] + 1e-12
    return posterior / posterior.sum(axis=1, keepdims=True)

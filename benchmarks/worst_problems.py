"""Is `excess_risk_bound` a bound, and how far above the worst problem is it?

    OMP_NUM_THREADS=1 python benchmarks/worst_problems.py [--classes 4 6 10] [--losses NAME ...]

For each loss that has a bound below 1, problems are sought whose excess error is large for their
excess risk: an optimiser moves class probabilities and the scores of a wrong prediction, from n
equally probable leading classes, n = 1, ..., K - 1, and from random starts; 2000 random problems
come on top. Mixtures of two problems have the convex hull of their risks and errors. "Broken" is
how many problems have an excess error above the bound of their excess risk. "Above" is the largest
ratio of the bound to the largest error of a problem or mixture with that excess risk. Prints a
Markdown table.
"""

import argparse
import time
import warnings

import numpy as np
import torch
from scipy.optimize import minimize

from robustlabels.losses import available_losses, get_loss
from robustlabels.losses.theory import excess_risk_bound
from robustlabels.losses.theory._calibration import _convex_hull

ERRORS = (0.05, 0.2, 0.6)


def expected(loss, weights, scores):
    losses = loss.class_losses(loss.log_probabilities(scores))
    return torch.where(weights > 0, weights * losses, 0.0).sum(-1)


def least_risk(loss, weights):
    """Return the least expected loss of each row of class probabilities, and scores that have it.

    Equal scores of a set of classes, certainty, and multiples of the log-probabilities are tried,
    then the best of them is improved.
    """
    n_rows, n_classes = weights.shape
    log_w = torch.log(weights + 1e-12)
    starts = [power * log_w for power in (0.0, 0.5, 1.0, 2.0, 5.0, 30.0, 1e3)]
    starts += [torch.where(weights >= weights.amax(1, keepdim=True) - 1e-9, 0.0, -1e6)]
    starts += [1e6 * torch.nn.functional.one_hot(weights.argmax(1), n_classes).double()]
    risks = torch.stack([expected(loss, weights, start) for start in starts])
    risks = torch.where(risks.isnan(), torch.inf, risks)
    best = risks.argmin(0)
    scores = torch.stack(starts)[best, torch.arange(n_rows)].clone().requires_grad_()
    optimiser = torch.optim.LBFGS([scores], max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        total = expected(loss, weights, scores).sum()
        total.backward()
        return total

    optimiser.step(closure)
    improved = expected(loss, weights, scores).detach()
    first = risks.amin(0)
    return torch.where(improved < first, improved, first), scores.detach()


def excess_of(loss, weights, scores):
    return expected(loss, weights, scores) - least_risk(loss, weights)[0]


def seek(loss, n_classes, error, start):
    """Return the excess risk and the excess error of a problem with a small risk for its error.

    Class 1 is predicted in place of class 0, which leads it by `error`; a start has logits of
    class probabilities and scores.
    """

    def problem(x):
        logits, scores = x[:n_classes], x[n_classes:]
        logits = torch.cat([logits[:1], logits[:1], logits[2:]])
        weights = (1 - error) * torch.softmax(logits, 0)
        weights = weights + error * torch.nn.functional.one_hot(torch.tensor(0), n_classes)
        others = torch.cat([scores[:1], scores[2:]])
        ahead = others.max() + torch.nn.functional.softplus(scores[1])
        return weights, torch.cat([others[:1], ahead[None], others[1:]])

    def objective(values):
        x = torch.tensor(values, requires_grad=True)
        weights, scores = problem(x)
        _, best = least_risk(loss, weights.detach()[None])
        # The best scores are at a minimum: they need no derivative.
        value = expected(loss, weights, scores) - expected(loss, weights, best[0])
        value.backward()
        return value.item(), x.grad.numpy()

    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 60})
    weights, scores = problem(torch.tensor(found.x))
    excess = excess_of(loss, weights[None], scores[None]).item()
    return max(excess, 0.0), (weights.max() - weights[1]).item()


def problems(loss, n_classes, rng):
    """Return excess risks and excess errors of many problems."""
    found = []
    for error in ERRORS:
        for n_leading in range(1, n_classes):
            logits = np.full(n_classes, -12.0)
            logits[0] = logits[1] = 0.0
            # Without the lead of class 0 the other leaders have its weight.
            logits[2 : n_leading + 1] = 0.0
            scores = np.full(n_classes, -8.0)
            scores[0], scores[1] = 0.0, -8.0
            scores[2 : n_leading + 1] = 0.0
            found.append(seek(loss, n_classes, error, np.append(logits, scores)))
        found.append(seek(loss, n_classes, error, rng.normal(size=2 * n_classes)))
    for n in range(1, n_classes):  # equal leaders, and a class that never occurs
        weights = torch.tensor(np.append(np.full(n, 1 / n), np.zeros(n_classes - n)))
        scores = torch.full((n_classes,), -1e6, dtype=torch.float64)
        scores[: n + 1] = 0.0
        scores[n] = 1e-9
        found.append((excess_of(loss, weights[None], scores[None]).item(), 1 / n))
    weights = torch.tensor(rng.dirichlet(np.full(n_classes, 0.5), size=2000))
    scores = torch.tensor(rng.normal(size=(2000, n_classes)) * rng.choice([0.1, 1, 5], (2000, 1)))
    excess = excess_of(loss, weights, scores)
    errors = weights.amax(1) - weights[torch.arange(2000), scores.argmax(1)]
    return np.array([*found, *zip(excess.tolist(), errors.tolist(), strict=True)])


def upper_hull(points):
    """Return the corners of the smallest concave function above points, from the origin on."""
    x, y = np.array(sorted([(0.0, 0.0), *map(tuple, points)])).T
    x, y = _convex_hull(x, -y)
    rising = slice(y.argmin() + 1)
    return np.array([x[rising], -y[rising]])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, nargs="+", default=[4, 6, 10])
    parser.add_argument("--losses", nargs="+", default=available_losses())
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print(
        "| loss | classes | problems | broken | above | seconds of a bound |\n" + "|---" * 6 + "|"
    )
    for name in arguments.losses:
        loss = get_loss(name)
        for n_classes in arguments.classes:
            start = time.perf_counter()
            if excess_risk_bound(loss, n_classes, 0.0) == 1:
                print(f"| {name} | {n_classes} | no bound | | | |", flush=True)
                continue
            seconds = time.perf_counter() - start
            found = problems(loss, n_classes, np.random.RandomState(0))
            hull = upper_hull(found)
            # The bound is increasing: the corners of the hull decide for all problems.
            limits = [excess_risk_bound(loss, n_classes, max(x, 0.0)) for x in hull[0]]
            broken = int((np.array(limits) < hull[1] * (1 - 1e-6) - 1e-9).sum())
            steps = hull[0, 1:]
            above = max(excess_risk_bound(loss, n_classes, x) / np.interp(x, *hull) for x in steps)
            print(
                f"| {name} | {n_classes} | {len(found)} | {broken} | {above:.3f} | {seconds:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

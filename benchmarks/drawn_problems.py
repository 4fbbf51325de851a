"""Accuracy on clean labels where the problem is known: drawn ones that no single learner suits.

    OMP_NUM_THREADS=1 python benchmarks/drawn_problems.py results.csv --seeds 3

Appends a row for each problem, seed and classifier to the file and goes on where it stopped. What
defaults were chosen by were problems of other seeds, sizes and rates. Needs the extra "benchmark".
"""

import numpy as np
from accuracy import parse, sweep

from robustlabels import corrupt_labels

COLUMNS = [
    *("table", "noise", "rate", "seed", "method"),
    *("accuracy", "balanced", "log_loss", "calibration_error", "seconds"),
]
#: Rows to test on.
N_TEST = 4000
#: Methods that are compared by default: ours, and simple ones.
DEFAULT = [
    *("RobustEnsembleClassifier", "RobustClassifier", "LogisticRegression", "RandomForest"),
    *("RandomForest, leaf 10", "HistGradientBoosting, early stopping"),
    "CleanLearning(RandomForest)",
]


def checkerboard(rng, n_rows):
    X = rng.uniform(size=(n_rows, 2))
    return X, np.floor(4 * X).sum(axis=1).astype(int) % 2


def exclusive_or(rng, n_rows):
    X = rng.normal(size=(n_rows, 10))
    return X, (X[:, :3] > 0).sum(axis=1) % 2


def spirals(rng, n_rows):
    y = rng.randint(2, size=n_rows)
    angle = np.sqrt(rng.uniform(size=n_rows)) * 3 * np.pi + 0.5
    X = angle[:, None] * np.column_stack([np.cos(angle + np.pi * y), np.sin(angle + np.pi * y)])
    return X + 0.3 * rng.normal(size=X.shape), y


def sparse_linear(rng, n_rows):
    X = rng.normal(size=(n_rows, 205))
    return X, (X[:, :5].sum(axis=1) > 0).astype(int)


def dense_linear(rng, n_rows):
    X = rng.normal(size=(n_rows, 100))
    return X, (X @ rng.normal(size=(100, 3))).argmax(axis=1)


def one_hot(rng, n_rows):
    codes = rng.randint(30, size=(n_rows, 20))
    scores = sum(rng.normal(size=(30, 3))[column] for column in codes.T)
    return np.hstack([np.eye(30)[column] for column in codes.T]), scores.argmax(axis=1)


def many_classes(rng, n_rows):
    centres = 1.5 * rng.normal(size=(100, 16))
    y = rng.permutation(np.arange(n_rows) % 100)
    return centres[y] + rng.normal(size=(n_rows, 16)), y


def rare(share):
    def draw(rng, n_rows):
        y = (rng.uniform(size=n_rows) < share).astype(int)
        X = rng.normal(size=(n_rows, 10))
        X[y == 1, :4] += 1.5
        return X, y

    return draw


def one_sided(rng, n_rows):
    X = rng.normal(size=(n_rows, 10))
    return X, (X[:, :3].sum(axis=1) + X[:, 0] * X[:, 1] > 0).astype(int)


def copies(rng, n_rows):
    """Rows of which each is there up to six times, nearly, under the same label."""
    centres = rng.normal(size=(4, 10))
    y = rng.randint(4, size=n_rows)
    return centres[y] + rng.normal(size=(n_rows, 10)), y


#: Problem: what draws it, its training rows, and the noise of their labels.
PROBLEMS = {
    "checkerboard": (checkerboard, 2000, "symmetric", 0.3),
    "XOR of 3 of 10": (exclusive_or, 2000, "symmetric", 0.2),
    "spirals": (spirals, 300, "symmetric", 0.2),
    "sparse linear, 200 useless": (sparse_linear, 2000, "symmetric", 0.3),
    "dense linear": (dense_linear, 600, "symmetric", 0.3),
    "one-hot, 600 columns": (one_hot, 2000, "symmetric", 0.2),
    "100 classes of 30 rows": (many_classes, 3000, "symmetric", 0.2),
    "95:5": (rare(0.05), 2000, "symmetric", 0.1),
    "90:10": (rare(0.1), 2000, "symmetric", 0.2),
    "99:1": (rare(0.01), 4000, "symmetric", 0.02),
    "one-sided noise": (one_sided, 2000, "one-sided", 0.3),
    "near copies, same label": (copies, 400, "symmetric", 0.3),
}


def draw(cell):
    """Return training and test rows, noisy labels of the former and clean ones of the latter."""
    table, noise, rate, seed = cell
    make, n_train, _, _ = PROBLEMS[table]
    # Not the seed of the noise: the same draws would decide on classes and on wrong labels.
    rng = np.random.RandomState(100 + seed)
    X, y = make(rng, n_train + N_TEST)
    X_train, X_test, y_train, y_test = X[:n_train], X[n_train:], y[:n_train], y[n_train:]
    if noise == "one-sided":
        y_train = corrupt_labels(y_train, np.array([[1, 0], [rate, 1 - rate]]), random_state=seed)
    else:
        y_train = corrupt_labels(y_train, noise, rate, random_state=seed)
    if make is copies:
        rows = np.repeat(np.arange(n_train), rng.randint(1, 7, size=n_train))
        X_train = X_train[rows] + 1e-3 * rng.normal(size=(len(rows), X.shape[1]))
        y_train = y_train[rows]
    return X_train.astype(np.float32), X_test.astype(np.float32), y_train, y_test


def main():
    arguments = parse(__doc__.splitlines()[0], DEFAULT).parse_args()
    cells = [
        (table, noise, rate, seed)
        for seed in range(arguments.seeds)
        for table, (_, _, noise, rate) in PROBLEMS.items()
    ]
    sweep(arguments, COLUMNS, cells, lambda cell, _: draw(cell))


if __name__ == "__main__":
    main()

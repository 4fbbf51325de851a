"""What helps rare classes under noise: weights, priors after training, or neither.

    OMP_NUM_THREADS=1 python benchmarks/rare_classes.py

Tables that benchmarks/accuracy.py chooses by, every other class thinned to a tenth of the most
frequent one in the training rows. The score is the balanced accuracy on clean test labels, the mean
recall of the classes. Needs the extra "benchmark". Prints a Markdown table.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import sklearn
import torch
from accuracy import split
from joblib import Parallel, delayed
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score
from tqdm import tqdm

from robustlabels import RobustClassifier, RobustEnsembleClassifier, corrupt_labels

TABLES = ["breast_cancer", "digits", "fann_mushroom", "segment", "vehicle"]
NOISES = [("none", 0.0), ("symmetric", 0.2), ("pair", 0.2)]


def network(**params):
    return lambda seed: RobustClassifier(random_state=seed, **params)


def ensemble(**params):
    return lambda seed: RobustEnsembleClassifier(random_state=seed, **params)


def forest(**params):
    return lambda seed: RandomForestClassifier(min_samples_leaf=10, random_state=seed, **params)


METHODS = {
    "RobustEnsembleClassifier": ensemble(),
    'RobustEnsembleClassifier, class_weight="balanced"': ensemble(class_weight="balanced"),
    "RobustClassifier": network(),
    'RobustClassifier, class_weight="balanced"': network(class_weight="balanced"),
    'RobustClassifier, priors="balanced"': network(priors="balanced"),
    'RobustClassifier("sgce")': network(loss="sgce"),
    "RandomForest, leaf 10": forest(),
    'RandomForest, leaf 10, class_weight="balanced"': forest(class_weight="balanced"),
}


def measure(table, noise, rate, seed, folder, methods):
    """Return the balanced accuracy of each method."""
    warnings.simplefilter("ignore")
    X, X_test, y, y_test = split(("choose", table, "none", 0.0, seed), folder)
    rng = np.random.RandomState(seed)
    largest = np.bincount(y).max()
    kept = [
        rng.permutation(np.flatnonzero(y == k))[: largest // 10 if k % 2 else None]
        for k in np.unique(y)
    ]
    rows = rng.permutation(np.concatenate(kept))
    X, y = X[rows], y[rows]
    if noise != "none":
        y = corrupt_labels(y, noise, rate, random_state=seed)
    return [
        balanced_accuracy_score(y_test, METHODS[name](seed).fit(X, y).predict(X_test))
        for name in methods
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of .npz files")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    arguments = parser.parse_args()
    work = [
        delayed(measure)(table, noise, rate, seed, arguments.data, arguments.methods)
        for noise, rate in NOISES
        for table in TABLES
        for seed in range(arguments.seeds)
    ]
    scores = list(
        tqdm(Parallel(arguments.jobs, return_as="generator")(work), total=len(work), miniters=1)
    )
    scores = np.reshape(scores, (len(NOISES), -1, len(arguments.methods))).mean(axis=1)
    print(
        f"\nBalanced accuracy; {', '.join(TABLES)}; {arguments.seeds} seeds; scikit-learn "
        f"{sklearn.__version__}, torch {torch.__version__}\n"
    )
    names = [f"{noise} {rate}" if rate else noise for noise, rate in NOISES]
    print("| |", " | ".join(names), "|\n|---|" + "---|" * len(names))
    for name, row in zip(arguments.methods, scores.T, strict=True):
        print(f"| {name} |", " | ".join(f"{value:.3f}" for value in row), "|")


if __name__ == "__main__":
    main()

"""Accuracy of UnhingedClassifier by metric, intercept and penalty, with and without noise.

    OMP_NUM_THREADS=1 python benchmarks/unhinged_intercepts.py [--data FOLDER]

On tables that come with scikit-learn, and on all .npz files with arrays X and y in a folder,
standardised, at most 6000 rows; 40 % of the rows are for the test. Prints a Markdown table of
accuracy on clean labels, the mean over tables and seeds.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from robustlabels import UnhingedClassifier, corrupt_labels

NOISES = [("symmetric", 0.0), ("symmetric", 0.4), ("pair", 0.3)]


def read_tables(folder):
    loaders = (load_breast_cancer, load_digits, load_iris, load_wine)
    tables = [load(return_X_y=True) for load in loaders]
    for path in sorted(Path(folder).glob("*.npz")) if folder else []:
        arrays = np.load(path, allow_pickle=False)
        if {"X", "y"} <= {*arrays} and "y_noisy" not in arrays and arrays["X"].dtype.kind == "f":
            X, y = arrays["X"].astype(float), arrays["y"]
            rows = np.random.default_rng(0).permutation(len(y))[:6000]
            if np.isfinite(X).all() and np.bincount(y[rows]).min() >= 5:
                tables.append((X[rows], y[rows]))
    return tables


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder with more tables")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    tables = read_tables(arguments.data)
    candidates = [
        UnhingedClassifier(alpha, metric=metric, intercept=intercept)
        for metric, alpha in (
            ("covariance", 0.01),
            ("covariance", 0.1),
            ("covariance", 1.0),
            ("euclidean", 1.0),
        )
        for intercept in ("prior", "midpoint", "penalized", "none")
    ]
    scores = np.zeros((len(candidates), len(NOISES), len(tables), arguments.seeds))
    for t, (X, y) in enumerate(tables):
        for seed in range(arguments.seeds):
            X_train, X_test, y_train, y_test = train_test_split(
                X, y, test_size=0.4, stratify=y, random_state=seed
            )
            scaler = StandardScaler().fit(X_train)
            for n, (noise, rate) in enumerate(NOISES):
                y_noisy = corrupt_labels(y_train, noise, rate, random_state=seed)
                for c, candidate in enumerate(candidates):
                    candidate.fit(scaler.transform(X_train), y_noisy)
                    scores[c, n, t, seed] = candidate.score(scaler.transform(X_test), y_test)
    print(f"{len(tables)} tables, {arguments.seeds} seeds\n")
    print("| metric | alpha | intercept |", " | ".join(f"{n} {r}" for n, r in NOISES), "| mean |")
    print("|---|---|---|" + "---|" * (len(NOISES) + 1))
    for candidate, score in zip(candidates, scores, strict=True):
        cells = " | ".join(f"{value:.3f}" for value in score.mean(axis=(1, 2)))
        params = f"{candidate.metric} | {candidate.alpha} | {candidate.intercept}"
        print(f"| {params} | {cells} | {score.mean():.3f} |")


if __name__ == "__main__":
    main()

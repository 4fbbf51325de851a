"""Accuracy of LightGBM on clean labels, by the loss that it minimises on noisy ones.

    OMP_NUM_THREADS=1 python benchmarks/boosting_objectives.py

On the tables that benchmarks/accuracy.py reports on, split and corrupted as there. "own loss" is
LightGBM as it comes, the other columns are boosting_objective(loss); all have the package's default
parameters. RefinedClassifier keeps LightGBM's loss and gives it probabilities of the true labels.
Needs the extra "benchmark". Prints a Markdown table.
"""

import argparse
import warnings
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
from accuracy import REPORT, split
from joblib import Parallel, delayed
from lightgbm import LGBMClassifier
from tqdm import tqdm

import robustlabels
from robustlabels.losses import boosting_objective

NOISES = [("none", 0.0), ("symmetric", 0.2), ("symmetric", 0.4), ("pair", 0.4)]
LOSSES = ["ce", "gce", "sgce", "mae", "agce", "nce+rce"]


def lightgbm_with(loss):
    objective = None if loss is None else boosting_objective(loss)
    return lambda seed: LGBMClassifier(objective=objective, random_state=seed, n_jobs=1, verbose=-1)


METHODS = {"own loss": lightgbm_with(None)} | {loss: lightgbm_with(loss) for loss in LOSSES}
if "RefinedClassifier" in robustlabels.__all__:
    METHODS["RefinedClassifier"] = lambda seed: robustlabels.RefinedClassifier(
        lightgbm_with(None)(seed)
    )


def predict(classifier, X):
    """Return classes; LightGBM leaves it to us to read the scores of an objective of ours."""
    if not callable(getattr(classifier, "objective", None)):
        return classifier.predict(X)
    scores = classifier.predict(X, raw_score=True)
    return classifier.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(1)]


def measure(table, noise, rate, seed, folder):
    """Return the accuracy of each of the methods, in percent."""
    warnings.simplefilter("ignore")
    X, X_test, y, y_test = split(("report", table, noise, rate, seed), folder)
    fitted = {name: make(seed).fit(X, y) for name, make in METHODS.items()}
    return {"noise": f"{noise} {rate}" if rate else noise} | {
        name: 100 * np.mean(predict(clf, X_test) == y_test) for name, clf in fitted.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of .npz files")
    parser.add_argument("--tables", nargs="+", choices=REPORT, default=list(REPORT))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    work = [
        delayed(measure)(table, noise, rate, seed, arguments.data)
        for noise, rate in NOISES
        for table in arguments.tables
        for seed in range(arguments.seeds)
    ]
    parallel = Parallel(arguments.jobs, return_as="generator")
    table = pd.DataFrame(tqdm(parallel(work), total=len(work)))
    table = table.groupby("noise", sort=False).mean()
    print(
        f"\n{len(arguments.tables)} tables, {arguments.seeds} seeds; LightGBM "
        f"{lightgbm.__version__}\n\n"
        f"| noise | {' | '.join(table.columns)} |\n|---|" + "---|" * len(table.columns)
    )
    for noise, row in table.iterrows():
        print(f"| {noise} |", " | ".join(f"{value:.1f}" for value in row), "|")


if __name__ == "__main__":
    main()

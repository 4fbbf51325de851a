"""Do prediction sets from noisy labels hold the true label? Coverage and size, by kind of noise.

    OMP_NUM_THREADS=1 python benchmarks/prediction_sets.py

On the tables that benchmarks/accuracy.py reports on: half of the training rows, at most 1000, are
learned from, the other half conformalizes, all with noisy labels; sets are judged by clean test
labels. Means over tables and seeds at a confidence level of 0.9, with the labels taken as right,
with the noise known, and estimated from all training rows. Prints a Markdown table, and with
--tables one of the coverage by table.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
from accuracy import REPORT, split
from joblib import Parallel, delayed
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from tqdm import tqdm

from robustlabels import LabelRefiner, NoisyConformalClassifier
from robustlabels.noise import pair_transition, symmetric_transition

LEVEL = 0.9
NOISES = [("symmetric", 0.2), ("symmetric", 0.4), ("pair", 0.2)]
CLASSIFIERS = {
    "LogisticRegression": lambda seed: LogisticRegression(max_iter=1000),
    "RandomForest": lambda seed: RandomForestClassifier(min_samples_leaf=10, random_state=seed),
}


def measure(table, noise, rate, seed, folder):
    """Return a row for each classifier, score and noise that is reckoned with."""
    warnings.simplefilter("ignore")
    X, X_test, y, y_test = split(("report", table, noise, rate, seed), folder)
    classes = np.unique(y)
    kept = np.isin(y_test, classes)
    X_test, y_test = X_test[kept], np.searchsorted(classes, y_test[kept])
    y = np.searchsorted(classes, y)
    make = symmetric_transition if noise == "symmetric" else pair_transition
    reckoned_with = {
        "as given": np.eye(len(classes)),
        "known": make(len(classes), rate),
        "estimated": LabelRefiner(random_state=seed).fit(X, y),
    }
    X, X_more, y, y_more = train_test_split(X, y, test_size=0.5, stratify=y, random_state=seed)
    rows = []
    for classifier, make in CLASSIFIERS.items():
        fitted = make(seed).fit(X, y)
        for score in ("lac", "aps"):
            for name, T in reckoned_with.items():
                sets = NoisyConformalClassifier(
                    fitted, LEVEL, conformity_score=score, transition_matrix=T
                )
                _, found = sets.conformalize(X_more, y_more).predict_set(X_test)
                holds = found[np.arange(len(y_test)), y_test, 0].mean()
                size = found.sum(axis=1).mean()
                rows.append((table, f"{noise} {rate}", classifier, score, name, holds, size))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of .npz files")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--tables", action="store_true", help="print the coverage by table as well")
    arguments = parser.parse_args()
    work = [
        delayed(measure)(table, noise, rate, seed, arguments.data)
        for noise, rate in NOISES
        for table in REPORT
        for seed in range(arguments.seeds)
    ]
    parallel = Parallel(arguments.jobs, return_as="generator")
    rows = [row for cell in tqdm(parallel(work), total=len(work)) for row in cell]
    keys = ["noise", "classifier", "score"]
    found = pd.DataFrame(rows, columns=["table", *keys, "noise reckoned with", "holds", "size"])
    names = ["as given", "known", "estimated"]
    header = [*keys, *(f"{name}: {figure}" for name in names for figure in ("holds", "size"))]
    print(
        f"\n{len(REPORT)} tables, {arguments.seeds} seeds; scikit-learn {sklearn.__version__}\n\n"
        f"| {' | '.join(header)} |\n{'|---' * len(header)}|"
    )
    for key, part in found.groupby(keys, sort=False):
        means = part.groupby("noise reckoned with")[["holds", "size"]].mean().loc[names]
        figures = [
            f"{value:.{digits}f}"
            for row in means.to_numpy()
            for value, digits in zip(row, (3, 2), strict=True)
        ]
        print(f"| {' | '.join([*key, *figures])} |")
    if arguments.tables:
        by_table = found.pivot_table("holds", ["table", "noise"], ["noise reckoned with", "score"])
        print(f"\n{by_table.round(3).to_string()}")


if __name__ == "__main__":
    main()

"""Accuracy on clean labels after training on tens of thousands of noisy ones, and its time.

    OMP_NUM_THREADS=1 python benchmarks/large_tables.py results.csv --data FOLDER --seeds 1

Three of the tables of benchmarks/accuracy.py with up to 30 000 training rows, and a drawn one of 5
classes and 30 features; 30 % of the training labels are wrong, any other class alike. Appends a row
for each table, seed and classifier to the file, goes on where it stopped, and prints the means.
Needs the extra "benchmark".
"""

import numpy as np
import pandas as pd
from accuracy import load, parse, preprocess, sweep
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split

from robustlabels import corrupt_labels

COLUMNS = [
    *("table", "rows", "seed", "method"),
    *("accuracy", "balanced", "log_loss", "calibration_error", "seconds"),
]
#: Table: training rows.
TABLES = {"letter": 16_000, "shuttle": 30_000, "diamonds_cut": 30_000, "drawn": 30_000}
DEFAULT = [
    *("RobustEnsembleClassifier", "RobustClassifier", "RandomForest, leaf 10", "LightGBM"),
    "HistGradientBoosting, early stopping",
]


def split(cell, folder):
    """Return rows to train and to test on, noisy labels of the former, clean ones of the latter."""
    table, n_rows, seed = cell
    if table == "drawn":
        X, y = make_classification(
            n_rows + 10_000, 30, n_informative=15, n_redundant=5, n_classes=5,
            n_clusters_per_class=4, flip_y=0, random_state=100 + seed,
        )  # fmt: skip
        X = pd.DataFrame(X)
    else:
        X, y = load(table, folder)
        y = np.asarray(y)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=n_rows, stratify=y, random_state=seed
    )
    X_train, X_test = preprocess(X_train, X_test)
    return X_train, X_test, corrupt_labels(y_train, "symmetric", 0.3, random_state=seed), y_test


def main():
    arguments = parse(__doc__.splitlines()[0], DEFAULT).parse_args()
    cells = [(*table, seed) for seed in range(arguments.seeds) for table in TABLES.items()]
    sweep(arguments, COLUMNS, cells, split)
    rows = pd.read_csv(arguments.results)
    for score in ("accuracy", "balanced", "log_loss", "seconds"):
        print(f"\n{score}\n\n{rows.pivot_table(index='method', columns='table', values=score)}")


if __name__ == "__main__":
    main()

"""What a loss that tunes itself gains over its default and loses to the best fixed hyperparameter.

    OMP_NUM_THREADS=1 python benchmarks/self_tuning.py --data FOLDER

Tables of benchmarks/accuracy.py with at least four classes, for symmetric noise of 60 % needs them.
"default" has the hyperparameters that the loss has by itself, "adapted" learns them from noisy
labels. The best fixed value of a grid is chosen by the accuracy on clean test labels, which nobody
has: one for all tables and kinds of noise, or one for each. Of the latter's lead a part is chance,
for it is chosen on the very rows that it is scored on. "time" is the processor's time of an adapted
fit over that of a default one, both with the trees that find the noise. Prints a line for each cell
and a Markdown table; --rows keeps the lines in a file. Needs the extra "benchmark".
"""

import argparse
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import sklearn
import torch
from accuracy import split

from robustlabels import LabelRefiner, RobustClassifier, RobustSearchCV
from robustlabels.losses import get_loss

TABLES = ["segment", "vehicle", "vowel", "digits"]
NOISES = [("symmetric", 0.2), ("symmetric", 0.4), ("symmetric", 0.6), ("pair", 0.4)]
GRIDS = {
    "gce": ("q", [0.1, 0.4, 0.7, 0.9]),
    "agce": ("a", [0.1, 0.3, 1.0, 3.0]),
    "aul": ("a", [1.5, 2.5, 5.5, 12.0]),
    "sgce": ("q", [0.1, 0.3, 0.5, 0.8]),
    "ael": ("a", [0.1, 0.5, 2.5, 10.0]),
    "alpha-mae": ("alpha", [0.1, 0.5, 1.0, 2.0]),
}


def fit(estimator, X, y):
    """Fit an estimator; return the seconds of the processor that it took."""
    start = time.process_time()
    estimator.fit(X, y)
    return time.process_time() - start


def measure(cell, losses, folder):
    """Yield a row of scores on clean labels for each loss."""
    X, X_test, y, y_test = split(cell, folder)
    seed = cell[-1]
    both, labels = np.concatenate([X, X_test]), np.concatenate([y, y_test])
    rows = [(np.arange(len(y)), np.arange(len(y), len(labels)))]
    of_trees = fit(LabelRefiner(random_state=seed), X, y)
    with TemporaryDirectory() as memory:
        for name in losses:
            param, grid = GRIDS[name]
            network = RobustClassifier(get_loss(name), memory=memory, random_state=seed)
            search = RobustSearchCV(
                network, {f"loss__{param}": grid}, scoring="accuracy", cv=rows, refit=False
            ).fit(both, labels)
            # The noise is found by now, so that only the training is timed.
            of_default = fit(network, X, y)
            default = network.score(X_test, y_test)
            of_adapted = fit(network.set_params(adapt=True), X, y)
            yield {
                **dict(zip(("table", "noise", "rate", "seed"), cell[1:], strict=True)),
                "loss": name,
                "default": default,
                "adapted": network.score(X_test, y_test),
                "learned": getattr(network.loss_, param),
                "time": (of_trees + of_adapted) / (of_trees + of_default),
                **dict(zip(map(str, grid), search.cv_results_["mean_test_score"], strict=True)),
            }


def summarise(of_loss, grid):
    """Return the means over the cells of a loss."""
    fixed = of_loss.groupby(["table", "noise", "rate"])[list(map(str, grid))].mean()
    best = fixed.max(axis=1).mean()
    return {
        "default": of_loss["default"].mean(),
        "best for all": fixed.mean().max(),
        "best for each": best,
        "adapted": of_loss["adapted"].mean(),
        "adapted less best": of_loss["adapted"].mean() - best,
        "time": of_loss["time"].mean(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of .npz files")
    parser.add_argument("--losses", nargs="+", default=list(GRIDS), choices=GRIDS)
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rows", type=Path, help="CSV file for the lines")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for seed in range(arguments.seeds):
        for table in arguments.tables:
            for noise, rate in NOISES:
                cell = ("tune", table, noise, rate, seed)
                for row in measure(cell, arguments.losses, arguments.data):
                    rows.append(row)
                    print(*(f"{v:.3f}" if isinstance(v, float) else v for v in row.values()),
                          flush=True)  # fmt: skip
    found = pd.DataFrame(rows)
    if arguments.rows is not None:
        found.to_csv(arguments.rows, index=False)
    table = {
        name: summarise(found[found["loss"] == name], GRIDS[name][1]) for name in arguments.losses
    }
    table["mean"] = pd.DataFrame(table).mean(axis=1).to_dict()
    print(
        f"\n{', '.join(arguments.tables)}; {arguments.seeds} seed(s); scikit-learn "
        f"{sklearn.__version__}, torch {torch.__version__}\n"
    )
    print("| |", " | ".join(table["mean"]), "|\n|---|" + "---|" * len(table["mean"]))
    for name, means in table.items():
        print(f"| {name} |", " | ".join(f"{value:.3f}" for value in means.values()), "|")


if __name__ == "__main__":
    main()

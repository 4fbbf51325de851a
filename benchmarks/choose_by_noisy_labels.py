"""What is lost by choosing hyperparameters, or when to stop, with noisy labels only.

    OMP_NUM_THREADS=1 python benchmarks/choose_by_noisy_labels.py --data FOLDER

On tables that benchmarks/accuracy.py chooses by. Candidates are one network with several q and
dropout. Each is scored by 3-fold cross-validation: by the noisy labels, and by the same folds with
accuracy corrected by the transition matrix that a first fit estimates. Reported is the accuracy on
clean test labels of the chosen candidate, of the best one (known only with clean labels) and of
the default. Early stopping holds a fifth of the rows out and keeps the weights of the epoch with
the highest accuracy on their noisy labels. Prints a Markdown table. Needs the extra "benchmark".
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import sklearn
import torch
from accuracy import split
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from skorch.callbacks import EarlyStopping
from skorch.dataset import ValidSplit
from tqdm import tqdm

from robustlabels import RobustClassifier
from robustlabels.metrics import noise_corrected_score

TABLES = ["segment", "vehicle", "vowel"]
NOISES = [("none", 0.0), ("symmetric", 0.4), ("pair", 0.3), ("instance", 0.4)]
GRID = [(q, dropout) for q in (0.1, 0.3, 0.7) for dropout in (0.2, 0.5)]
DEFAULT = (0.3, 0.5)


def network(seed, **params):
    return RobustClassifier(random_state=seed, **{"n_members": 1, **params})


def stopping_early(seed, **params):
    stop = EarlyStopping("valid_acc", patience=20, lower_is_better=False, load_best=True)
    validation = {"train_split": ValidSplit(0.2, stratified=True, random_state=seed)}
    return network(seed, callbacks=[stop], net_params=validation, **params)


def measure(cell, folder):
    """Return the accuracy on clean labels of what each way of choosing chose."""
    X, X_test, y, y_test = split(cell, folder)
    seed = cell[-1]
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    transition = network(seed).fit(X, y).transition_matrix_
    by_noisy, by_corrected, clean = [], [], []
    for q, dropout in GRID:
        candidate = network(seed, q=q, dropout=dropout)
        predicted = cross_val_predict(candidate, X, y, cv=folds)
        by_noisy.append(np.mean(predicted == y))
        by_corrected.append(noise_corrected_score(y, predicted, transition))
        clean.append(candidate.fit(X, y).score(X_test, y_test))
    as_given = {"loss": "ce", "dropout": 0.1, "transition_matrix": None, "max_epochs": 100}
    return {
        "default q and dropout": clean[GRID.index(DEFAULT)],
        "chosen by noisy labels": clean[np.argmax(by_noisy)],
        "chosen by corrected accuracy": clean[np.argmax(by_corrected)],
        "best": max(clean),
        "default, stopped early": stopping_early(seed).fit(X, y).score(X_test, y_test),
        "cross-entropy": network(seed, **as_given).fit(X, y).score(X_test, y_test),
        "cross-entropy, stopped early": stopping_early(seed, **as_given)
        .fit(X, y)
        .score(X_test, y_test),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of .npz files")
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    table = {}
    for noise, rate in tqdm(NOISES):
        rows = [
            measure(("choose", name, noise, rate, seed), arguments.data)
            for name in TABLES
            for seed in range(arguments.seeds)
        ]
        of_noise = {way: np.mean([row[way] for row in rows]) for way in rows[0]}
        table[f"{noise} {rate}" if rate else noise] = of_noise
    print(
        f"\n{', '.join(TABLES)}; {arguments.seeds} seed(s); scikit-learn "
        f"{sklearn.__version__}, torch {torch.__version__}\n"
    )
    print("| |", " | ".join(table), "|\n|---|" + "---|" * len(table))
    for way in next(iter(table.values())):
        print(f"| {way} |", " | ".join(f"{row[way]:.3f}" for row in table.values()), "|")


if __name__ == "__main__":
    main()

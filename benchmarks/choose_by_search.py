"""Which candidate RobustSearchCV picks from noisy labels alone, and how far from the best it is.

    OMP_NUM_THREADS=1 python benchmarks/choose_by_search.py --data FOLDER

Candidates are one network of 2x64 units with five losses, on labels that are refined and as given.
Each is scored in 3 folds: by accuracy on noisy labels, by accuracy corrected by the noise that is
estimated, and by the likelihood of the noisy labels under that noise. Reported is the accuracy on
clean test labels of what each score picks, first or, with "SE", the first of the grid within one
standard error; of the default loss, and of the best candidate, which clean labels alone tell.
Prints a line for each table and a Markdown table.
"""

import argparse
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import sklearn
import torch
from accuracy import split
from sklearn.model_selection import StratifiedKFold

from robustlabels import LabelRefiner, RobustClassifier, RobustSearchCV
from robustlabels.metrics import forward_log_loss, noise_corrected_score

TABLES = ["ionosphere", "vehicle", "vowel", "german_credit", "glass", "segment"]
NOISES = [("symmetric", 0.4), ("pair", 0.3), ("instance", 0.4)]
GRID = {
    "transition_matrix": ["estimate", None],
    "loss": ["ce", "sgce", "gce", "mae", "nce+agce"],
}


def score(estimator, X, y, transition):
    predicted, classes = estimator.predict(X), estimator.classes_
    return {
        "noisy accuracy": np.mean(predicted == y),
        "corrected accuracy": noise_corrected_score(y, predicted, transition, labels=classes),
        "likelihood": -forward_log_loss(
            y, estimator.predict_proba(X).astype(float), transition, labels=classes
        ),
    }


def measure(cell, folder):
    """Return the accuracy on clean labels of what each way of choosing chose."""
    X, X_test, y, y_test = split(cell, folder)
    seed = cell[-1]
    transition = LabelRefiner(random_state=seed).fit(X, y).transition_matrix_
    network = RobustClassifier(
        n_members=1, hidden_layer_sizes=(64, 64), max_epochs=20, random_state=seed
    )
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    scoring = partial(score, transition=transition)
    search = RobustSearchCV(network, GRID, scoring=scoring, cv=folds, refit=False).fit(X, y)
    # One split, to learn from all rows and score on clean labels.
    both, labels = np.concatenate([X, X_test]), np.concatenate([y, y_test])
    rows = [(np.arange(len(y)), np.arange(len(y), len(labels)))]
    clean = RobustSearchCV(network, GRID, scoring="accuracy", cv=rows, refit=False)
    clean = clean.fit(both, labels).cv_results_["mean_test_score"]
    found = {"default": clean[0]}
    for name in ("noisy accuracy", "corrected accuracy", "likelihood"):
        mean = search.cv_results_[f"mean_test_{name}"]
        error = search.cv_results_[f"std_error_test_{name}"]
        best = mean.argmax()
        found[name] = clean[best]
        found[f"{name}, SE"] = clean[np.argmax(mean >= mean[best] - error[best])]
    return {**found, "best": clean.max()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of .npz files")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--tables", nargs="+", default=TABLES)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    table = {}
    for noise, rate in NOISES:
        rows = []
        for name in arguments.tables:
            for seed in range(arguments.seeds):
                rows.append(measure(("search", name, noise, rate, seed), arguments.data))
                print(noise, name, seed, *(f"{v:.3f}" for v in rows[-1].values()), flush=True)
        table[f"{noise} {rate}"] = {way: np.mean([row[way] for row in rows]) for way in rows[0]}
    table["mean"] = {
        way: np.mean([of_noise[way] for of_noise in table.values()]) for way in rows[0]
    }
    print(
        f"\n{', '.join(arguments.tables)}; {arguments.seeds} seed(s); scikit-learn "
        f"{sklearn.__version__}, torch {torch.__version__}\n"
    )
    print("| |", " | ".join(table), "|\n|---|" + "---|" * len(table))
    for way in table["mean"]:
        print(f"| {way} |", " | ".join(f"{row[way]:.3f}" for row in table.values()), "|")


if __name__ == "__main__":
    main()

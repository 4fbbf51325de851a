"""Accuracy with 100 classes, where some robust losses hardly learn, and two remedies.

    python benchmarks/many_classes.py

100 Gaussian classes in 30 dimensions, 80 training rows each, symmetric label noise; clean test
rows. "shifted X" is ``MarginShift(X)``, "ce, then X" trains 10 epochs with cross-entropy and goes
on with X. Prints a Markdown table.
"""

import argparse

import numpy as np
import sklearn
import torch
from tqdm import tqdm

import robustlabels
from robustlabels import RobustClassifier, corrupt_labels
from robustlabels.losses import MarginShift, available_losses, get_loss

#: One network, on the labels as given: only the losses differ.
PINNED = {"n_members": 1, "max_epochs": 40, "lr": 0.004, "transition_matrix": None}


def make_data(seed, n_classes=100, n_features=30, spread=0.9):
    rng = np.random.RandomState(seed)
    centres = rng.normal(size=(n_classes, n_features))
    y = np.arange(120 * n_classes) % n_classes
    X = centres[y] + spread * rng.normal(size=(len(y), n_features))
    X = X.astype(np.float32)
    n_train = 80 * n_classes
    return X[:n_train], X[n_train:], y[:n_train], y[n_train:]


def fit(name, X, y, seed):
    if name.startswith("shifted "):
        loss = MarginShift(get_loss(name.removeprefix("shifted ")))
        return RobustClassifier(loss, **PINNED, random_state=seed).fit(X, y)
    if not name.startswith("ce, then "):
        return RobustClassifier(name, **PINNED, random_state=seed).fit(X, y)
    clf = RobustClassifier("ce", **PINNED, warm_start=True, random_state=seed)
    clf.set_params(max_epochs=10).fit(X, y)
    return clf.set_params(loss=name.removeprefix("ce, then "), max_epochs=30).fit(X, y)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    slow = {"bi-tempered", "truncated-gce"}
    names = [name for name in available_losses() if name not in slow]
    names += ["shifted mae", "shifted agce", "shifted aul", "shifted ael", "shifted rce"]
    names += ["ce, then mae", "ce, then alpha-mae", "ce, then agce", "ce, then truncated-gce"]
    parser.add_argument("--losses", nargs="+", default=names)
    parser.add_argument("--noise-rates", type=float, nargs="+", default=[0.4])
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()

    shape = len(arguments.losses), len(arguments.noise_rates), arguments.seeds
    accuracy = np.empty(shape)
    for cell in tqdm(list(np.ndindex(shape))):
        i, j, seed = cell
        X_train, X_test, y_train, y_test = make_data(seed)
        rate = arguments.noise_rates[j]
        y_noisy = corrupt_labels(y_train, "symmetric", rate, random_state=seed)
        clf = fit(arguments.losses[i], X_train, y_noisy, seed)
        accuracy[cell] = clf.score(X_test, y_test)

    print(
        f"\n100 classes, symmetric noise, {arguments.seeds} seeds, mean and range; robustlabels "
        f"{robustlabels.__version__}, torch {torch.__version__}, scikit-learn "
        f"{sklearn.__version__}\n"
    )
    print("| loss |", " | ".join(f"{rate:.0%}" for rate in arguments.noise_rates), "|")
    print("|---|" + "---|" * len(arguments.noise_rates))
    for name, rows in zip(arguments.losses, accuracy, strict=True):
        cells = " | ".join(f"{r.mean():.3f} ({r.min():.3f} to {r.max():.3f})" for r in rows)
        print(f"| {name} | {cells} |")


if __name__ == "__main__":
    main()

"""Accuracy on clean digits of every loss, with the network pinned and only the loss exchanged.

    python benchmarks/losses_on_digits.py

Prints a Markdown table: mean and standard deviation over the seeds, for each rate of symmetric
noise in the training labels.
"""

import argparse

import numpy as np
import sklearn
import skorch
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import robustlabels
from robustlabels import RobustClassifier, corrupt_labels

LOSSES = ["ce", "mae", "gce", "unhinged", "sgce", "alpha-mae", "agce", "aul", "ael"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10, help="splits, noise and networks")
    parser.add_argument("--noise-rates", type=float, nargs="+", default=[0.0, 0.2, 0.4, 0.6])
    parser.add_argument("--losses", nargs="+", default=LOSSES)
    arguments = parser.parse_args()

    X, y = load_digits(return_X_y=True)
    X = X.astype(np.float32)
    losses = arguments.losses
    shape = len(losses), len(arguments.noise_rates), arguments.seeds
    accuracy = np.empty(shape)
    for cell in tqdm(list(np.ndindex(shape))):
        i, j, seed = cell
        X_train, X_test, y_train, y_test = train_test_split(
            X, y, test_size=0.3, stratify=y, random_state=seed
        )
        y_noisy = corrupt_labels(y_train, "symmetric", arguments.noise_rates[j], random_state=seed)
        clf = RobustClassifier(
            losses[i], random_state=seed, hidden_layer_sizes=(256, 256), dropout=0.5, n_members=1,
            max_epochs=40, lr=0.004, transition_matrix=None,
        )  # fmt: skip
        accuracy[cell] = clf.fit(X_train, y_noisy).score(X_test, y_test)

    print(
        f"\nDigits, symmetric noise, {arguments.seeds} seeds; robustlabels "
        f"{robustlabels.__version__}, torch {torch.__version__}, skorch {skorch.__version__}, "
        f"scikit-learn {sklearn.__version__}\n"
    )
    print("| loss |", " | ".join(f"{rate:.0%}" for rate in arguments.noise_rates), "|")
    print("|---|" + "---|" * len(arguments.noise_rates))
    for name, rows in zip(losses, accuracy, strict=True):
        cells = " | ".join(f"{row.mean():.3f} ± {row.std():.3f}" for row in rows)
        print(f"| {name} | {cells} |")


if __name__ == "__main__":
    main()

"""Accuracy on clean labels where several annotators label each row.

    OMP_NUM_THREADS=1 python benchmarks/annotators.py results.csv --data FOLDER

RobustEnsembleClassifier learns from the answers themselves, from the majority of the votes (ties
by chance), and from what Dawid and Skene's method makes of the answers without features. *scenes*:
pictures that a crowd labelled, as Rodrigues and Pereira (2018) published them, as the features of a
network; it needs a folder. The others are tables with a simulated crowd: three answers for each row
from ten annotators who are right with probabilities from .2 to .9, and name another class at random
otherwise. At most 2000 rows to train on. Appends a row for each set, seed and kind of labels to the
file, goes on where it stopped, and prints the means as a Markdown table. Needs the extra
"benchmark".
"""

import argparse
import csv
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from accuracy import SMALLEST, load, preprocess
from scipy.special import softmax
from sklearn.model_selection import train_test_split

from robustlabels import RobustEnsembleClassifier

COLUMNS = ["set", "seed", "labels", "right", "accuracy", "log_loss"]
TABLES = ["breast_cancer", "dna", "vowel"]
QUALITIES = np.linspace(0.2, 0.9, 10)
N_ANSWERS = 3


def ask(y, rng):
    """Return the answers of a simulated crowd, -1 where there is none."""
    n_classes = y.max() + 1
    who = np.argsort(rng.uniform(size=(len(y), len(QUALITIES))), axis=1)[:, :N_ANSWERS]
    wrong = (y[:, None] + rng.randint(1, n_classes, size=who.shape)) % n_classes
    answers = np.full((len(y), len(QUALITIES)), -1)
    given = np.where(rng.uniform(size=who.shape) < QUALITIES[who], y[:, None], wrong)
    np.put_along_axis(answers, who, given, axis=1)
    return answers


def split(name, seed, folder):
    """Return rows to train and to test on, answers for the former, true labels of both."""
    if name == "scenes":
        data = np.load(folder / "real_labelme_vgg.npz")
        train, test = (data["split"] == part for part in (0, 2))
        X, y = data["X"].astype(np.float32), data["y"]
        return X[train], X[test], data["annotations"][train].astype(int), y[train], y[test]
    X, y = load(name, folder)
    y = np.asarray(y)
    n_train = min(2000, int(0.7 * len(y)))
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=n_train, test_size=min(4000, len(y) - n_train), stratify=y,
        random_state=seed,
    )  # fmt: skip
    X_train, X_test = preprocess(X_train, X_test)
    return X_train, X_test, ask(y_train, np.random.RandomState(seed)), y_train, y_test


def vote(answers, n_classes, rng):
    """Return the class of most votes, and of equals any."""
    votes = np.stack([(answers == k).sum(axis=1) for k in range(n_classes)], axis=1)
    return (votes + 0.5 * rng.uniform(size=votes.shape)).argmax(axis=1)


def dawid_skene(answers, n_classes, n_steps=100):
    """Return the most probable classes by expectation maximisation, without features."""
    row, who = np.nonzero(answers >= 0)
    given = np.eye(n_classes)[answers[row, who]]
    beliefs = np.stack([(answers == k).sum(axis=1) for k in range(n_classes)], axis=1)
    beliefs = beliefs / beliefs.sum(axis=1, keepdims=True)
    for _ in range(n_steps):
        noise = np.full((answers.shape[1], n_classes, n_classes), 0.01)
        np.add.at(noise, who, beliefs[row][:, :, None] * given[:, None])
        noise /= noise.sum(axis=2, keepdims=True)
        log_beliefs = np.tile(np.log(beliefs.mean(axis=0) + 1e-9), (len(answers), 1))
        np.add.at(log_beliefs, row, np.log(noise[who, :, answers[row, who]]))
        beliefs = softmax(log_beliefs, axis=1)
    return beliefs.argmax(axis=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="CSV file to append to")
    parser.add_argument("--data", type=Path, help="folder of .npz files")
    parser.add_argument("--sets", nargs="+", default=["scenes", *TABLES])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    results, done = arguments.results, set()
    if results.exists():
        done = set(map(tuple, pd.read_csv(results, dtype=str)[COLUMNS[:3]].to_numpy()))
    else:
        results.write_text(",".join(COLUMNS) + "\n")
    for seed in range(arguments.seeds):
        for name in arguments.sets:
            X, X_test, answers, y, y_test = split(name, seed, arguments.data)
            n_classes = y.max() + 1
            voted = vote(answers, n_classes, np.random.RandomState(seed))
            aggregated = dawid_skene(answers, n_classes)
            for kind, labels, right in [
                ("answers", np.where(answers < 0, np.nan, answers), np.nan),
                ("majority", voted, np.mean(voted == y)),
                ("Dawid and Skene", aggregated, np.mean(aggregated == y)),
            ]:
                if (name, str(seed), kind) in done:
                    continue
                clf = RobustEnsembleClassifier(random_state=seed).fit(X, labels)
                proba = clf.predict_proba(X_test)
                if kind == "answers":
                    right = np.mean(clf.refiner_.label_probabilities_.argmax(axis=1) == y)
                scores = [
                    right,
                    np.mean(proba.argmax(axis=1) == y_test),
                    -np.log(np.maximum(proba[np.arange(len(y_test)), y_test], SMALLEST)).mean(),
                ]
                row = [name, seed, kind, *(f"{score:.4f}" for score in scores)]
                with results.open("a", newline="") as file:
                    csv.writer(file, lineterminator="\n").writerow(row)
    means = pd.read_csv(results).groupby(["set", "labels"], sort=False)[COLUMNS[3:]].mean()
    print("| set | labels | training labels right | accuracy | log loss |\n|---|---|---|---|---|")
    for (name, kind), row in means.iterrows():
        print(f"| {name} | {kind} |", " | ".join(f"{value:.3f}" for value in row), "|")


if __name__ == "__main__":
    main()

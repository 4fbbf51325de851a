"""Error of the estimated transition matrix where some labels were checked, by kind of noise.

    OMP_NUM_THREADS=1 python benchmarks/trusted_labels.py --data FOLDER

On tables of benchmarks/accuracy.py. "none": the noisy labels alone. "put right": 100 labels at
random were checked, put right and are trusted. "beside": they are trusted answers in a second
column, and the noisy ones stay. The error is the total variation distance of a row from that of
the noise that was injected, averaged over rows; "right" is the share of the labels that were not
checked whose most probable class is the true one. Prints a Markdown table. Needs the extra
"benchmark".
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from accuracy import split

from robustlabels import LabelRefiner
from robustlabels.noise import pair_transition, symmetric_transition

NOISES = [("symmetric", 0.2), ("symmetric", 0.4), ("pair", 0.2), ("pair", 0.4)]
TRANSITIONS = {"symmetric": symmetric_transition, "pair": pair_transition}
TABLES = ["breast_cancer", "vehicle", "vowel"]
N_CHECKED = 100


def measure(table, noise, rate, seed, folder):
    """Return the error of each estimate, and the share of unchecked labels that are right then."""
    X, _, y, _ = split(("", table, noise, rate, seed), folder)
    clean = split(("", table, "none", 0.0, seed), folder)[2]
    y, clean = np.asarray(y), np.asarray(clean)
    truth = TRANSITIONS[noise](clean.max() + 1, rate)
    checked = np.random.RandomState(seed).permutation(len(y)) < N_CHECKED
    beside = np.column_stack([y, np.where(checked, clean, np.nan)])
    of_answers = np.column_stack([np.zeros(len(y), bool), checked])
    found = {}
    for name, labels, trusted in [
        ("none", y, None),
        ("put right", np.where(checked, clean, y), checked),
        ("beside", beside, of_answers),
    ]:
        refiner = LabelRefiner(random_state=seed).fit(X, labels, trusted=trusted)
        several = refiner.annotator_transitions_
        transition = refiner.transition_matrix_ if several is None else several[0]
        best = refiner.label_probabilities_.argmax(axis=1)
        found[f"error, {name}"] = np.abs(transition - truth).sum(axis=1).mean() / 2
        found[f"right, {name}"] = (best == clean)[~checked].mean()
    return {"noise": f"{noise} {rate}", **found}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of .npz files")
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = [
        measure(table, noise, rate, seed, arguments.data)
        for noise, rate in NOISES
        for table in arguments.tables
        for seed in range(arguments.seeds)
    ]
    table = pd.DataFrame(rows).groupby("noise", sort=False).mean()
    table.loc["mean"] = table.mean()
    table = table[sorted(table.columns)]
    print(f"| noise | {' | '.join(table.columns)} |\n|---|" + "---|" * len(table.columns))
    for noise, row in table.iterrows():
        print(f"| {noise} |", " | ".join(f"{value:.3f}" for value in row), "|")


if __name__ == "__main__":
    main()

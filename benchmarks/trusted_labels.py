"""What checked labels say of the others: the noise, and the number of wrong labels.

    OMP_NUM_THREADS=1 python benchmarks/trusted_labels.py --data FOLDER

On tables of benchmarks/accuracy.py. Labels are checked: "drawn" at random, or "picked" from the top
of the list of probably wrong ones. "none": the noisy labels alone. "put right": the checked labels
take the place of the noisy ones, and a mask says which these are. "true labels": they are passed
beside the noisy ones. Columns: "error" of the transition matrix is the total variation distance of
a row from that of the noise that was injected, averaged over rows; "right" is the share of the
unchecked labels whose most probable class is the true one; "holds" is how often the 90 % interval
holds the number of wrong labels among the unchecked ones, and "width" its width. Prints a Markdown
table of means. Needs the extra "benchmark".
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from accuracy import split

from robustlabels import LabelRefiner
from robustlabels.noise import pair_transition, symmetric_transition

NOISES = [("none", 0.0), ("symmetric", 0.1), ("symmetric", 0.3), ("pair", 0.1), ("pair", 0.3)]
TRANSITIONS = {"symmetric": symmetric_transition, "pair": pair_transition}
TABLES = ["breast_cancer", "german_credit", "vehicle", "vowel", "digits"]
N_CHECKED = 100


def measure(table, noise, rate, seed, folder):
    """Yield a row for each way to choose labels and each way to pass them."""
    X, _, y, _ = split(("", table, noise, rate, seed), folder)
    clean = split(("", table, "none", 0.0, seed), folder)[2]
    y, clean = np.asarray(y), np.asarray(clean)
    injected = np.eye(clean.max() + 1)
    if rate:
        injected = TRANSITIONS[noise](len(injected), rate)
    alone = LabelRefiner(random_state=seed).fit(X, y)
    order = {
        "drawn": np.random.RandomState(seed).permutation(len(y)),
        "picked": np.argsort(-alone.wrong_probability_, kind="stable"),
    }
    for chosen, rows in order.items():
        checked = np.isin(np.arange(len(y)), rows[:N_CHECKED])
        for passed, labels, trusted in [
            ("none", y, None),
            ("put right", np.where(checked, clean, y), checked),
            ("true labels", y, np.where(checked, clean, np.nan)),
        ]:
            refiner = LabelRefiner(random_state=seed)
            refiner.fit(X, labels, trusted=trusted, trusted_at_random=chosen == "drawn")
            low, high = refiner.n_wrong_interval_
            # Without checks the interval is one of all labels.
            n_wrong = (labels != clean).sum()
            best = refiner.label_probabilities_.argmax(axis=1)
            yield {
                "checked": chosen, "passed": passed, "noise": f"{noise} {rate}",
                "error": np.abs(refiner.transition_matrix_ - injected).sum(axis=1).mean() / 2,
                "right": (best == clean)[~checked].mean(),
                "holds": float(low <= n_wrong <= high), "width": high - low,
            }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of .npz files")
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = [
        row
        for noise, rate in NOISES
        for table in arguments.tables
        for seed in range(arguments.seeds)
        for row in measure(table, noise, rate, seed, arguments.data)
    ]
    table = pd.DataFrame(rows).drop(columns="noise").groupby(["checked", "passed"]).mean()
    print(f"| checked | passed | {' | '.join(table.columns)} |")
    print("|---|---|" + "---|" * len(table.columns))
    for names, row in table.iterrows():
        figures = [f"{value:.3f}" for value in row[:-1]] + [f"{row['width']:.0f}"]
        print(f"| {' | '.join(names)} |", " | ".join(figures), "|")


if __name__ == "__main__":
    main()

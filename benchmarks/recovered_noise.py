"""Error of the transition matrix that RobustClassifier estimates, by kind of noise.

    OMP_NUM_THREADS=1 python benchmarks/recovered_noise.py

On the tables that benchmarks/accuracy.py reports on. The error is the total variation distance
of a row from that of the noise that was injected, averaged over rows; where the noise depends on
the instance, from the share of the training labels of that class. Beside it: the full confident
joint of the out-of-bag probabilities of a forest with leaves as large. Needs the extra "benchmark".
Prints a Markdown table.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
from accuracy import NOISES, REPORT, split
from joblib import Parallel, delayed
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import confusion_matrix
from tqdm import tqdm

from robustlabels import RobustClassifier
from robustlabels.metrics import estimate_transition_matrix
from robustlabels.noise import pair_transition, symmetric_transition

TRANSITIONS = {"symmetric": symmetric_transition, "pair": pair_transition}


def error(transition, truth):
    return np.abs(transition - truth).sum(axis=1).mean() / 2


def measure(table, noise, rate, seed, folder):
    """Return the errors of both estimates, and how sure ours is that the class matters."""
    warnings.simplefilter("ignore")
    parts = split(("report", table, noise, rate, seed), folder)
    if parts is None:
        return None
    X, _, y, _ = parts
    clean = split(("report", table, "none", 0.0, seed), folder)[2]
    classes = np.unique(clean)
    if noise in TRANSITIONS:
        truth = TRANSITIONS[noise](len(classes), rate)
    else:
        truth = confusion_matrix(clean, y, labels=classes, normalize="true")
    # The noise is estimated before the network is trained: its size does not matter here.
    linear = {"hidden_layer_sizes": (), "n_members": 1, "max_epochs": 1}
    ours = RobustClassifier(**linear, random_state=seed).fit(X, y)
    forest = RandomForestClassifier(200, min_samples_leaf=5, oob_score=True, random_state=seed).fit(
        X, y
    )
    joint = estimate_transition_matrix(y, forest.oob_decision_function_, refine=False)
    return {
        "noise": f"{noise} {rate}" if rate else noise,
        "RobustClassifier": error(ours.transition_matrix_, truth),
        "full confident joint": error(joint, truth),
        "probability that the class matters": sum(
            ours.noise_evidence_[form] for form in ("sparse", "full")
        ),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of .npz files")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    work = [
        delayed(measure)(table, noise, rate, seed, arguments.data)
        for noise, rate in NOISES
        for table in REPORT
        for seed in range(arguments.seeds)
    ]
    parallel = Parallel(arguments.jobs, return_as="generator")
    rows = [row for row in tqdm(parallel(work), total=len(work)) if row is not None]
    table = pd.DataFrame(rows).groupby("noise", sort=False).mean()
    print(
        f"\n{len(REPORT)} tables, {arguments.seeds} seeds; scikit-learn {sklearn.__version__}\n\n"
        f"| noise | {' | '.join(table.columns)} |\n|---|" + "---|" * len(table.columns)
    )
    for noise, row in table.iterrows():
        print(f"| {noise} |", " | ".join(f"{value:.3f}" for value in row), "|")


if __name__ == "__main__":
    main()

"""Is what LabelRefiner says of wrong labels true? Calibration and intervals, by kind of noise.

    OMP_NUM_THREADS=1 python benchmarks/wrong_probability.py

On the tables that benchmarks/accuracy.py reports on. Of the probabilities that labels are wrong,
the expected calibration error in 10 bins, means over tables; beside it that of as many labels that
are wrong with just these probabilities, which is what chance does. Of the number of wrong labels,
the share of tables and seeds where the 90 % interval holds the true one, its mean width as a
share of the rows, and the mean error of the expected number. Prints a Markdown table, and with
--bins how many labels are wrong of those said to be with a probability.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
from accuracy import CHOOSE, NOISES, REPORT, split
from joblib import Parallel, delayed
from sklearn.preprocessing import LabelEncoder
from tqdm import tqdm

from robustlabels import LabelRefiner

BINS = 10


def calibration_error(chance, wrong):
    bins = np.minimum((chance * BINS).astype(int), BINS - 1)
    return sum(abs((chance - wrong)[bins == k].sum()) for k in range(BINS)) / len(wrong)


def measure(half, table, noise, rate, seed, folder):
    """Return the figures of a table with a noise, and each label's chance and fate."""
    warnings.simplefilter("ignore")
    parts = split((half, table, noise, rate, seed), folder)
    if parts is None:
        return None
    X, _, y, _ = parts
    clean = split((half, table, "none", 0.0, seed), folder)[2]
    y, clean = np.asarray(y), np.asarray(clean)
    refiner = LabelRefiner(random_state=seed).fit(X, LabelEncoder().fit_transform(y))
    wrong, chance = y != clean, refiner.wrong_probability_
    if refiner.transition_matrix_ is None:
        return None
    low, high = refiner.n_wrong_interval_
    rng = np.random.RandomState(seed)
    by_chance = [calibration_error(chance, rng.uniform(size=len(y)) < chance) for _ in range(20)]
    figures = {
        "noise": f"{noise} {rate}" if rate else noise,
        "calibration error": calibration_error(chance, wrong),
        "by chance": np.mean(by_chance),
        "interval holds": low <= wrong.sum() <= high,
        "width": (high - low) / len(y),
        "error of the number": abs(refiner.n_wrong_ - wrong.sum()) / len(y),
        "guessed labels right": np.mean(
            np.unique(y)[refiner.label_probabilities_.argmax(axis=1)] == clean
        ),
        "labels right": 1 - wrong.mean(),
    }
    return figures, chance, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of .npz files")
    parser.add_argument("--half", choices=("choose", "report"), default="report")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--bins", action="store_true", help="print the reliability as well")
    arguments = parser.parse_args()
    tables = CHOOSE if arguments.half == "choose" else REPORT
    work = [
        delayed(measure)(arguments.half, table, noise, rate, seed, arguments.data)
        for noise, rate in NOISES
        for table in tables
        for seed in range(arguments.seeds)
    ]
    parallel = Parallel(arguments.jobs, return_as="generator")
    found = [cell for cell in tqdm(parallel(work), total=len(work)) if cell is not None]
    table = pd.DataFrame([figures for figures, _, _ in found])
    table = table.groupby("noise", sort=False).mean()
    print(
        f"\n{len(tables)} tables, {arguments.seeds} seeds; scikit-learn {sklearn.__version__}\n\n"
        f"| noise | {' | '.join(table.columns)} |\n|---|" + "---|" * len(table.columns)
    )
    for noise, row in table.iterrows():
        print(f"| {noise} |", " | ".join(f"{value:.3f}" for value in row), "|")
    if arguments.bins:
        chance = np.concatenate([chance for _, chance, _ in found])
        wrong = np.concatenate([wrong for _, _, wrong in found])
        bins = np.minimum((chance * BINS).astype(int), BINS - 1)
        print("\n| said to be wrong with | labels | wrong |\n|---|---|---|")
        for k in np.unique(bins):
            rows = bins == k
            print(f"| {chance[rows].mean():.2f} | {rows.sum()} | {wrong[rows].mean():.2f} |")


if __name__ == "__main__":
    main()

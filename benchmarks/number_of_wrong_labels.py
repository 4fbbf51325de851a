"""How many labels are wrong, where that is known: how often the interval holds, and how wide it is.

    OMP_NUM_THREADS=1 python benchmarks/number_of_wrong_labels.py results.csv --data FOLDER

*one-sided*: twelve simulated problems of two classes, of 1 to 5 % Bayes error, with wrong labels of
one class. *overlapping*: the same noise on tables whose classes overlap. *hard*: simulated problems
of 20 to 40 % Bayes error with symmetric noise, two or three classes. *large*: 20 000 samples of ten
normal classes, symmetric noise of .3. *tables*: those of
benchmarks/accuracy.py. *real*: labels that are wrong by themselves, see benchmarks/real_noise.py;
changes that introduced bugs, by project (Fan et al., 2019), and a crowd's labels of texts as well.
The priors of the noise model were chosen with all of these in sight but the tables to report on.

Appends a row for each case to the file, goes on where it stopped, and prints means. AUROC is of the
ranking of wrong labels; beside it that of cleanlab's label quality, from out-of-fold forests. Needs
the extra "benchmark"; without a folder only simulated problems.
"""

import argparse
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from accuracy import TABLES, split
from cleanlab.rank import get_label_quality_scores
from joblib import Parallel, delayed
from scipy.optimize import brentq
from scipy.special import expit, softmax
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from tqdm import tqdm
from wrong_probability import calibration_error

from robustlabels import LabelRefiner, corrupt_labels

#: Scores of normal features; class 1 is more probable where they are large.
SCORES = {
    "linear": (5, lambda X: X[:, :3].sum(axis=1) / np.sqrt(3)),
    "ring": (4, lambda X: (X[:, :2] ** 2).sum(axis=1) - 2),
    "exclusive or": (4, lambda X: X[:, 0] * X[:, 1]),
    "waves": (6, lambda X: X[:, 0] + np.sin(2 * X[:, 1]) + 0.5 * X[:, 2]),
}
#: Share of class 1, and Bayes error.
SETTINGS = [(0.5, 0.01), (0.3, 0.03), (0.15, 0.05)]
OVERLAPPING = {
    "spambase": "report", "pima2": "report", "mlc_churn": "unseen", "wa_churn": "unseen",
    "cells_segmentation": "unseen", "attrition": "unseen",
}  # fmt: skip
REAL = {
    "scenes": ("real_labelme_vgg", ("mv", "one")),
    "mammograms": ("real_mammographic_birads", ("all",)),
    "texts": ("real_amazon_isbook", ("mv", "one")),
    "changes": ("real_szz_defects", tuple((i, kind) for i in range(10) for kind in ("B", "AG"))),
    "defects": ("real_jira_defects", tuple(range(18))),
}
N_ROWS = 2000


def draw_two(score, share, bayes_error, seed):
    """Draw samples of two classes whose Bayes error is known."""
    n_features, function = SCORES[score]
    scores = function(np.random.RandomState(123).normal(size=(20_000, n_features)))

    def offset(scale):
        return brentq(lambda c: expit(scale * (scores - c)).mean() - share, -60, 60)

    def error(log_scale):
        p = expit(np.exp(log_scale) * (scores - offset(np.exp(log_scale))))
        return np.minimum(p, 1 - p).mean() - bayes_error

    scale = np.exp(brentq(error, -3, 6))
    rng = np.random.RandomState(1000 + seed)
    X = rng.normal(size=(N_ROWS, n_features))
    chance = expit(scale * (function(X) - offset(scale)))
    return X, (rng.uniform(size=N_ROWS) < chance).astype(int)


def draw_three(bayes_error, seed):
    """Draw samples of three classes whose Bayes error is known."""
    weights = np.random.RandomState(5).normal(size=(4, 3))
    X = np.random.RandomState(123).normal(size=(20_000, 4))

    def error(log_scale):
        p = softmax(np.exp(log_scale) * X @ weights, axis=1)
        return 1 - p.max(axis=1).mean() - bayes_error

    rng = np.random.RandomState(1000 + seed)
    drawn = rng.normal(size=(N_ROWS, 4))
    p = softmax(np.exp(brentq(error, -4, 4)) * drawn @ weights, axis=1)
    return drawn, (p.cumsum(axis=1) < rng.uniform(size=(N_ROWS, 1))).sum(axis=1)


def draw_large(seed):
    """Draw 20 000 samples of ten normal classes that are easy to tell apart."""
    rng = np.random.RandomState(seed)
    y = np.arange(20_000) % 10
    return 2 * rng.normal(size=(10, 20))[y] + rng.normal(size=(20_000, 20)), y


def corrupt(samples, noise, rate, seed):
    """Return samples, noisy labels and true ones; the noise is symmetric or of one class."""
    X, y = samples()
    if rate == 0:
        return X, y, y
    if noise != "symmetric":
        T = np.eye(2)
        T[noise] = rate
        T[noise, noise] = 1 - rate
        noise, rate = T, None
    return X, corrupt_labels(y, noise, rate, random_state=seed), y


def clean_table(half, table, folder):
    X, _, y, _ = split((half, table, "none", 0.0, 0), folder)
    return X[:1500], np.asarray(y)[:1500]


def noisy_table(half, table, noise, rate, folder):
    parts = split((half, table, noise, rate, 0), folder)
    clean = split((half, table, "none", 0.0, 0), folder)[2]
    return None if parts is None else (parts[0], np.asarray(parts[2]), np.asarray(clean))


def real_labels(name, part, folder):
    data = np.load(folder / f"{REAL[name][0]}.npz")
    rows, noisy = np.ones(len(data["y"]), dtype=bool), "y_noisy"
    if name in ("scenes", "texts"):
        rows, noisy = data["split"] == 0, f"y_noisy_{part}"
    elif name == "changes":
        rows, noisy = data["group"] == part[0], f"y_noisy_{part[1]}"
    elif name == "defects":
        rows = data["group"] == part
    return data["X"][rows].astype(np.float64), data[noisy][rows], data["y"][rows]


def list_cases(folder, seeds):
    """Return functions that draw samples, noisy labels and true ones, by kind and name."""
    cases = {}
    sides = [(side, rate) for side in (0, 1) for rate in (0.05, 0.15, 0.3)]
    for score in SCORES:
        for share, error in SETTINGS:
            for seed in range(seeds):
                samples = partial(draw_two, score, share, error, seed)
                for side, rate in sides:
                    name = f"{score} {share} {error} {side} {rate} {seed}"
                    cases["one-sided", name] = partial(corrupt, samples, side, rate, seed)
    for error in (0.2, 0.3, 0.4):
        for seed in range(seeds):
            problems = {s: partial(draw_two, s, 0.4, error, seed) for s in ("linear", "waves")}
            problems["three classes"] = partial(draw_three, error, seed)
            for name, samples in problems.items():
                for rate in (0.0, 0.1, 0.2, 0.3):
                    kind = "hard" if rate else "hard, none"
                    draw = partial(corrupt, samples, "symmetric", rate, seed)
                    cases[kind, f"{name} {error} {rate} {seed}"] = draw
    for seed in range(seeds):
        cases["large", str(seed)] = partial(
            corrupt, partial(draw_large, seed), "symmetric", 0.3, seed
        )
    if folder is None:
        return cases
    for table, half in OVERLAPPING.items():
        for side, rate in sides:
            draw = partial(corrupt, partial(clean_table, half, table, folder), side, rate, 0)
            cases["overlapping", f"{table} {side} {rate}"] = draw
    for half, tables in TABLES.items():
        for noise in ("none", "symmetric", "pair", "instance"):
            for rate in (0.1, 0.2, 0.4) if noise != "none" else (0.0,):
                for table in tables:
                    draw = partial(noisy_table, half, table, noise, rate, folder)
                    cases[f"tables {half}, {noise}", f"{table} {rate}"] = draw
    for name, (_, parts) in REAL.items():
        for part in parts:
            cases[f"real, {name}", str(part)] = partial(real_labels, name, part, folder)
    return cases


def measure(kind, name, draw):
    """Return a row of figures, or None where the noise does not suit the table."""
    warnings.simplefilter("ignore")
    drawn = draw()
    if drawn is None:
        return None
    X, y_noisy, y = drawn
    wrong = y_noisy != y
    refiner = LabelRefiner(random_state=0).fit(X, y_noisy)
    if refiner.transition_matrix_ is None:
        return None
    low, high = refiner.n_wrong_interval_
    chance, codes = refiner.wrong_probability_, np.searchsorted(refiner.classes_, y_noisy)
    row = {
        "kind": kind, "case": name, "n_rows": len(y), "n_wrong": wrong.sum(),
        "found": refiner.n_wrong_, "low": low, "high": high, "auroc": np.nan,
        "auroc_cleanlab": np.nan, "calibration_error": calibration_error(chance, wrong),
    }  # fmt: skip
    if 0 < wrong.sum() < len(wrong):
        row["auroc"] = roc_auc_score(wrong, chance)
    if kind.startswith("real") and np.bincount(codes).min() >= 5:
        forest = RandomForestClassifier(random_state=0)
        proba = cross_val_predict(forest, X, codes, method="predict_proba")
        row["auroc_cleanlab"] = roc_auc_score(wrong, -get_label_quality_scores(codes, proba))
    return row


def summarise(rows):
    """Print the means of each kind of case."""
    holds = (rows.low <= rows.n_wrong) & (rows.n_wrong <= rows.high)
    error = (rows.found - rows.n_wrong).abs()
    some = rows.n_wrong >= 30
    rows = rows.assign(
        holds=holds,
        **{
            "error / rows": error / rows.n_rows,
            "error / wrong": (error / rows.n_wrong).where(some),
            "width / wrong": ((rows.high - rows.low) / rows.n_wrong).where(rows.n_wrong > 0),
        },
    )
    groups = rows.groupby("kind", sort=False)
    table = groups[
        ["holds", "error / rows", "error / wrong", "auroc", "auroc_cleanlab", "calibration_error"]
    ].mean()
    table.insert(3, "width / wrong, median", groups["width / wrong"].median())
    table.insert(0, "cases", groups.size())
    print(f"| kind | {' | '.join(table.columns)} |\n|---|" + "---|" * len(table.columns))
    for kind, row in table.iterrows():
        figures = ("-" if np.isnan(value) else f"{value:.3f}" for value in row[1:])
        print(f"| {kind} | {row['cases']:.0f} |", " | ".join(figures), "|")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="CSV file to append to")
    parser.add_argument("--data", type=Path, help="folder of .npz files")
    parser.add_argument("--kinds", nargs="+", help="beginnings of the kinds of cases to run")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    there = arguments.results.exists()
    done = pd.read_csv(arguments.results) if there else pd.DataFrame({"kind": [], "case": []})
    finished = set(zip(done.kind, done.case.astype(str), strict=True))
    work = [
        delayed(measure)(*key, draw)
        for key, draw in list_cases(arguments.data, arguments.seeds).items()
        if key not in finished
        and (arguments.kinds is None or key[0].startswith(tuple(arguments.kinds)))
    ]
    parallel = Parallel(arguments.jobs, return_as="generator")
    for row in tqdm(parallel(work), total=len(work)):
        if row is not None:
            new = not arguments.results.exists()
            pd.DataFrame([row]).to_csv(arguments.results, mode="a", header=new, index=False)
    summarise(pd.read_csv(arguments.results))


if __name__ == "__main__":
    main()

"""What checked labels prove: coverage and width of the intervals of LabelAudit.

    OMP_NUM_THREADS=1 python benchmarks/label_audit.py --data FOLDER [--parts PART ...]

Each set is fitted once; then only the drawing of rows is repeated. Label probabilities are those of
LabelRefiner ("fitted"), the same for all rows ("constant"), those of the opposite ("inverted"), or
0 and 1 ("sure"). Parts:

coverage
    Counted are wrong labels, right predictions of a forest that has not seen the row, and the rows
    of one class. "Holds" is how often the interval holds the number; "width" and "error", the root
    mean square error of the estimate, are relative to the exact interval and the mean of a uniform
    sample of the same size; "one stratum" is the error if the same estimate were made from a
    uniform sample. Means over sets, the lowest of "holds" and the highest of width. "Anytime" is
    how often the interval that holds at all times held after each five of 100 checks, in a hundred
    draws.
done
    Tables with symmetric noise of .3. `worst` and `draw` take turns of 20 rows until `done(0.02)`:
    how often at most 2 % of the labels are left wrong then, and the number of checks beside that
    of checking in a random order until so few are left in truth.
list
    Log loss of the probabilities of a wrong label for rows that nobody has looked at, before and
    after 100 rows are drawn and checked.
large
    Seconds of each step with a million rows.

Prints Markdown tables. Needs the extra "benchmark"; without a folder only tables of scikit-learn.
"""

import argparse
import time
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from accuracy import split
from number_of_wrong_labels import real_labels
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import cross_val_predict

from robustlabels import LabelAudit, LabelRefiner, corrupt_labels
from robustlabels.audit._intervals import Sample, exact_interval
from robustlabels.audit._strata import make_strata

LEVEL = 0.9
exact = cache(lambda samples: exact_interval(samples, LEVEL))

#: Tables of at least 1000 rows; of each the first 2000 are taken.
LARGE = ("digits", "spambase", "mlc_churn", "cells_segmentation", "wa_churn")


def list_sets(folder):
    """Yield the name, the features, the given and the true labels of each set."""
    tables = {"breast_cancer": load_breast_cancer, "digits": load_digits}
    if folder is not None:
        tables |= {"german_credit": None, "vehicle": None}
    for name, load in tables.items():
        if load is not None:
            X, y = load(return_X_y=True)
        else:
            X, _, y, _ = split(("", name, "none", 0.0, 0), folder)
        X, y = np.asarray(X, dtype=np.float64), np.asarray(y)
        one_sided = np.eye(y.max() + 1)
        one_sided[0, :2] = 0.8, 0.2
        for noise, given in {
            "none": y,
            "symmetric .2": corrupt_labels(y, "symmetric", 0.2, random_state=0),
            "pair .3": corrupt_labels(y, "pair", 0.3, random_state=0),
            "one-sided .2": corrupt_labels(y, one_sided, random_state=0),
        }.items():
            yield f"{name}, {noise}", X, given, y
    if folder is not None:
        for name, part in (("scenes", "mv"), ("scenes", "one"), ("mammograms", "all")):
            yield f"{name}, {part}", *real_labels(name, part, folder)


def draw(wrong_probability, counted, expected, n_checked, rng):
    """Return the sample of each stratum, and the estimate."""
    strata = make_strata(wrong_probability, rng)
    rows, samples, value = strata.order[:n_checked], [], expected.sum()
    for h in range(strata.stratum.max() + 1):
        drawn = rows[strata.stratum[rows] == h]
        size, found = int((strata.stratum == h).sum()), int(counted[drawn].sum())
        samples.append(Sample(size, len(drawn), found, found, found, len(drawn) - found))
        value += size * (counted[drawn] - expected[drawn]).mean()
    return tuple(samples), value


def measure(proba, counted, expected, given, n_checked, n_draws):
    """Return coverage, width and error for one set, one kind of probabilities and one number."""
    n_rows, total = len(counted), int(counted.sum())
    wrong_probability = np.clip(1 - proba[np.arange(n_rows), given], 0, 1)
    rng = np.random.RandomState(0)
    found = []
    for _ in range(n_draws):
        samples, value = draw(wrong_probability, counted, expected, n_checked, rng)
        low, high = exact(samples)
        k = int(counted[rng.permutation(n_rows)[:n_checked]].sum())
        uniform = Sample(n_rows, n_checked, k, k, k, n_checked - k)
        one_low, one_high = exact((uniform,))
        found.append(
            (low <= total <= high, high - low, (np.clip(value, low, high) - total) ** 2,
             one_high - one_low, (n_rows * k / n_checked - total) ** 2)
        )  # fmt: skip
    holds, width, error, one_width, one_error = np.mean(found, axis=0)
    off = counted - expected
    return {
        "holds": holds, "width": width / max(one_width, 1),
        "error": np.sqrt(error / one_error) if one_error > 0 else np.nan,
        "one stratum": np.sqrt((off**2).mean() / counted.var()) if counted.any() else np.nan,
    }  # fmt: skip


def holds_at_all_times(proba, given, y, n_draws):
    """Return how often the anytime interval holds after each five of 100 checks."""
    held = []
    for seed in range(n_draws):
        audit = LabelAudit(anytime=True, random_state=seed)
        audit.fit(None, given, label_probabilities=proba)
        inside = True
        for _ in range(20):
            rows = audit.draw(5)
            low, high = audit.record(rows, y[rows]).n_wrong_interval_
            inside &= low <= (y != given).sum() <= high
        held.append(inside)
    return np.mean(held)


def fit_sets(folder):
    """Yield the name, labels and label probabilities of each set, and predictions of a forest."""
    for name, X, given, y in list_sets(folder):
        classes = np.unique(np.concatenate([given, y]))
        given, y = np.searchsorted(classes, given), np.searchsorted(classes, y)
        fitted = np.zeros((len(y), len(classes)))
        refiner = LabelRefiner(random_state=0).fit(X, given)
        fitted[:, refiner.classes_] = refiner.label_probabilities_
        forest = RandomForestClassifier(100, min_samples_leaf=5, random_state=0)
        yield name, given, y, fitted, cross_val_predict(forest, X, given)


def print_table(header, rows):
    print(f"| {' | '.join(header)} |\n|" + "---|" * len(header))
    for row in rows:
        cells = (f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row)
        print(f"| {' | '.join(cells)} |", flush=True)
    print()


def print_coverage(folder, n_draws):
    rows, always = [], []
    for name, given, y, fitted, predicted in fit_sets(folder):
        n_rows, n_classes = fitted.shape
        one_hot = np.eye(n_classes)[given]
        inverted = 1 - fitted[np.arange(n_rows), given]
        kinds = {
            "fitted": fitted,
            "constant": np.full_like(fitted, 1 / n_classes),
            "inverted": inverted[:, None] * one_hot
            + (1 - inverted[:, None]) * (1 - one_hot) / (n_classes - 1),
            "sure": one_hot,
        }
        for kind, proba in kinds.items():
            numbers = {
                "wrong labels": (y != given, 1 - proba[np.arange(n_rows), given]),
                "right predictions": (predicted == y, proba[np.arange(n_rows), predicted]),
                "rows of a class": (y == 0, proba[:, 0]),
            }
            for number, (counted, expected) in numbers.items():
                for n_checked in (30, 100):
                    found = measure(proba, counted, expected, given, n_checked, n_draws)
                    rows.append(
                        {"set": name, "probabilities": kind, "number": number,
                         "checked": n_checked, **found}
                    )  # fmt: skip
            if set(np.unique(given)) == set(range(n_classes)):
                held = holds_at_all_times(proba, given, y, min(n_draws, 100))
                always.append({"probabilities": kind, "anytime": held})
    table = pd.DataFrame(rows)
    by = ["number", "checked", "probabilities"]
    groups = table.groupby(by, sort=False)
    shown = groups[["holds", "width", "error", "one stratum"]].mean()
    shown.insert(1, "lowest", groups["holds"].min())
    shown["highest width"] = groups["width"].max()
    print_table([*by, *shown.columns], ([*names, *row.tolist()] for names, row in shown.iterrows()))
    held = pd.DataFrame(always).groupby("probabilities", sort=False)["anytime"].agg(["mean", "min"])
    print_table(
        ["probabilities", "anytime", "lowest"], ([n, *row.tolist()] for n, row in held.iterrows())
    )
    chosen = table[(table.checked == 100) & (table.number == "wrong labels")]
    none = chosen["set"].str.endswith("none").map({True: "no wrong label", False: "wrong labels"})
    print("width and error for the number of wrong labels, 100 checks:")
    print(chosen.groupby([none, "probabilities"])[["width", "error"]].agg(["mean", "max"]).round(2))
    print()


def print_done(folder, n_runs):
    rows = []
    for name in LARGE[: 1 if folder is None else None]:
        X, y = load_digits(return_X_y=True)
        if name != "digits":
            X, _, y, _ = split(("", name, "none", 0.0, 0), folder)
        X, y = np.asarray(X, dtype=np.float64)[:2000], np.unique(y, return_inverse=True)[1][:2000]
        given = corrupt_labels(y, "symmetric", 0.3, random_state=0)
        refiner = LabelRefiner(random_state=0).fit(X, given)
        found = []
        for seed in range(n_runs):
            audit = LabelAudit(random_state=seed)
            audit.fit(None, given, label_probabilities=refiner.label_probabilities_)
            while not audit.done(0.02):
                for asked in (audit.worst(20), audit.draw(20)):
                    audit.record(asked, y[asked])
            order = np.random.RandomState(seed).permutation(len(y))
            left = (given != y).sum() - (given != y)[order].cumsum()
            by_chance = 1 + np.argmax(left <= 0.02 * len(y))
            found.append((audit.checked_.sum(), by_chance, (audit.labels_ != y).mean() <= 0.02))
        checks, by_chance, holds = np.mean(found, axis=0).tolist()
        quality = float(roc_auc_score(given != y, refiner.wrong_probability_))
        counts = len(y), int((given != y).sum())
        rows.append([name, *counts, quality, round(checks), round(by_chance), holds])
        rows[-1].insert(6, checks / by_chance)
    print_table(["table", "rows", "wrong", "AUROC", "checks", "by chance", "ratio", "holds"], rows)
    print(f"mean ratio {np.mean([row[6] for row in rows]):.3f}\n")


def print_list(folder, n_runs):
    rows = []
    for name, given, y, fitted, _ in fit_sets(folder):
        if len(np.unique(given)) < fitted.shape[1]:
            continue
        wrong, found = given != y, []
        for seed in range(n_runs):
            audit = LabelAudit(random_state=seed).fit(None, given, label_probabilities=fitted)
            before = audit.wrong_probability_
            asked = audit.draw(100)
            audit.record(asked, y[asked])
            rest = ~audit.checked_
            clipped = np.clip([before, audit.wrong_probability_], 1e-3, 1 - 1e-3)[:, rest]
            found.append([log_loss(wrong[rest], p, labels=[False, True]) for p in clipped])
        rows.append([name, *np.mean(found, axis=0).tolist()])
    rows.append(["mean", *np.mean([row[1:] for row in rows], axis=0).tolist()])
    print_table(["set", "log loss before", "after"], rows)


def print_seconds():
    rng = np.random.RandomState(0)
    given = rng.randint(2, size=1_000_000)
    wrong = np.where(rng.uniform(size=len(given)) < 0.1, 0.8, 0.01)
    proba = np.where(np.eye(2)[given] == 1, 1 - wrong[:, None], wrong[:, None])
    y = np.where(rng.uniform(size=len(given)) < wrong, 1 - given, given)
    audit = LabelAudit(random_state=0).fit(None, given, label_probabilities=proba)
    drawn, worst = audit.draw(400), audit.worst(1000)
    audit.record(drawn, y[drawn]).record(worst, y[worst])
    steps = {
        "draw(400)": lambda: audit.draw(400),
        "record": lambda: audit.record(drawn, y[drawn]),
        "n_wrong_interval_": lambda: audit.n_wrong_interval_,
        "done()": lambda: audit.done(),
        "accuracy": lambda: audit.accuracy(y),
        "recalls": lambda: audit.recalls(y),
        "wrong_probability_": lambda: audit.wrong_probability_,
    }
    rows = []
    for name, step in steps.items():
        start = time.perf_counter()
        step()
        rows.append([name, time.perf_counter() - start])
    print_table(["step, 1 000 000 rows", "seconds"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of .npz files")
    parser.add_argument("--draws", type=int, default=5000, help="draws of a set")
    parser.add_argument("--runs", type=int, default=200, help="runs of done")
    parts = ["coverage", "done", "list", "large"]
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if "coverage" in arguments.parts:
        print_coverage(arguments.data, arguments.draws)
    if "done" in arguments.parts:
        print_done(arguments.data, arguments.runs)
    if "list" in arguments.parts:
        print_list(arguments.data, 20)
    if "large" in arguments.parts:
        print_seconds()


if __name__ == "__main__":
    main()

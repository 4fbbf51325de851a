"""What checked labels prove: coverage and width of the intervals of LabelAudit.

    OMP_NUM_THREADS=1 python benchmarks/label_audit.py --data FOLDER

Each set is fitted once; then only the drawing of rows is repeated. Label probabilities are those of
LabelRefiner ("fitted"), the same for all rows ("constant"), those of the opposite ("inverted"), or
0 and 1 ("sure"). Counted are wrong labels, right predictions of a forest that has not seen the row,
and the rows of one class. "Holds" is how often the interval holds the number; "width" and "error",
the root mean square error of the estimate, are relative to the exact interval and the mean of a
uniform sample of the same size; means over sets, and the lowest of "holds". "Anytime" is how often
the interval that holds at all times held after each of up to 100 checks, in a tenth of the draws.
Prints Markdown tables. Needs the extra "benchmark"; without a folder only tables of scikit-learn.
"""

import argparse
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from accuracy import split
from number_of_wrong_labels import real_labels
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_predict

from robustlabels import LabelRefiner, corrupt_labels
from robustlabels.audit._intervals import Sample, anytime_interval, exact_interval
from robustlabels.audit._strata import make_strata

LEVEL = 0.9
exact = cache(lambda samples: exact_interval(samples, LEVEL))
anytime = cache(lambda samples: anytime_interval(samples, LEVEL))


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
    return {
        "holds": holds, "width": width / max(one_width, 1),
        "error": np.sqrt(error / one_error) if one_error > 0 else np.nan,
    }  # fmt: skip


def holds_at_all_times(proba, counted, given, n_draws):
    """Return how often the anytime interval holds after each of 100 checks."""
    n_rows, total = len(counted), int(counted.sum())
    wrong_probability = np.clip(1 - proba[np.arange(n_rows), given], 0, 1)
    rng, held = np.random.RandomState(1), 0
    for _ in range(n_draws):
        strata = make_strata(wrong_probability, rng)
        sizes, drawn, k = np.bincount(strata.stratum, minlength=2), [0, 0], [0, 0]
        inside = True
        for row in strata.order[:100]:
            h = strata.stratum[row]
            drawn[h] += 1
            k[h] += int(counted[row])
            low, high = anytime(
                tuple(
                    Sample(int(sizes[i]), drawn[i], k[i], k[i], k[i], drawn[i] - k[i])
                    for i in range(2)
                )
            )
            inside &= low <= total <= high
        held += inside
    return held / n_draws


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of .npz files")
    parser.add_argument("--draws", type=int, default=5000)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rows, always = [], []
    for name, X, given, y in list_sets(arguments.data):
        n_rows, n_classes = len(y), int(max(y.max(), given.max())) + 1
        fitted = np.zeros((n_rows, n_classes))
        refiner = LabelRefiner(random_state=0).fit(X, given)
        fitted[:, refiner.classes_] = refiner.label_probabilities_
        forest = RandomForestClassifier(100, min_samples_leaf=5, random_state=0)
        predicted = cross_val_predict(forest, X, given)
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
                    found = measure(proba, counted, expected, given, n_checked, arguments.draws)
                    rows.append(
                        {"set": name, "probabilities": kind, "number": number,
                         "checked": n_checked, **found}
                    )  # fmt: skip
            held = holds_at_all_times(proba, y != given, given, max(arguments.draws // 10, 20))
            always.append({"probabilities": kind, "anytime": held})
    table = pd.DataFrame(rows)
    by = ["number", "checked", "probabilities"]
    groups = table.groupby(by, sort=False)
    shown = groups[["holds", "width", "error"]].mean()
    shown.insert(1, "lowest", groups["holds"].min())
    shown["highest width"] = groups["width"].max()
    print(f"| {' | '.join([*by, *shown.columns])} |\n|" + "---|" * (len(by) + shown.shape[1]))
    for names, row in shown.iterrows():
        print(f"| {' | '.join(map(str, names))} |", " | ".join(f"{v:.2f}" for v in row), "|")
    held = pd.DataFrame(always).groupby("probabilities", sort=False)["anytime"].agg(["mean", "min"])
    print("\n| probabilities | anytime | lowest |\n|---|---|---|")
    for name, row in held.iterrows():
        print(f"| {name} | {row['mean']:.2f} | {row['min']:.2f} |")
    chosen = table[(table.checked == 100) & (table.number == "wrong labels")]
    none = chosen["set"].str.endswith("none").map({True: "no wrong label", False: "wrong labels"})
    print("\nwidth and error for the number of wrong labels, 100 checks:")
    print(chosen.groupby([none, "probabilities"])[["width", "error"]].agg(["mean", "max"]).round(2))


if __name__ == "__main__":
    main()

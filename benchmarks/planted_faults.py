"""Which planted faults of a table `check_table` finds, and how many clean columns it names.

    python benchmarks/planted_faults.py --data FOLDER

`FOLDER` holds tables as .npz files with X and y. Each fault is planted alone, for each seed.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from robustlabels import check_table

#: Rows of a table that are used, at most.
MAX_ROWS = 2000

#: Arrays of a file, and those that name their columns.
PARTS = {"X": "feature_names", "X_num": "feature_names", "X_cat": "cat_names"}

TABLES = [
    "attrition", "breast_cancer_wisc_orig", "credit_data", "german_credit", "letter", "mlc_churn",
    "pima2", "satellite", "segment", "vehicle",
]  # fmt: skip

#: The kind of finding that tells of each fault.
KINDS = {
    "copied label, 3 % other": "label_column",
    "missing for one class": "label_by_missing",
    "id": "id",
    "5 % copies": "copies",
    '"?" in every column': "numbers_as_texts",
    "misspelt classes": "same_class",
    "annotator twice": "equal_annotators",
}


def plant(fault, X, y, rng):
    """Return a table with a fault, its labels, and the columns that must or may be named."""
    X, n_rows = X.copy(), len(y)
    if fault == "copied label, 3 % other":
        X["copy"] = np.where(rng.uniform(size=n_rows) < 0.03, rng.permutation(y), y)
        return X, y, {"copy"}
    if fault == "missing for one class":
        name = X.columns[rng.randint(X.shape[1])]
        X[name] = X[name].mask(y == rng.choice(np.unique(y)))
        return X, y, {name}
    if fault == "id":
        X["id"] = [f"P{number:06d}" for number in rng.permutation(10**6)[:n_rows]]
        return X, y, {"id"}
    if fault == "5 % copies":
        rows = np.append(np.arange(n_rows), rng.choice(n_rows, n_rows // 20, replace=False))
        return X.iloc[rows].reset_index(drop=True), y[rows], set()
    if fault == '"?" in every column':
        numeric = X.select_dtypes("number").columns
        for name in numeric:
            texts = X[name].astype(str).mask(X[name].isna(), None)
            X[name] = texts.mask(np.isin(np.arange(n_rows), rng.choice(n_rows, 3)), "?")
        return X, y, {*numeric}
    if fault == "misspelt classes":
        some = rng.uniform(size=n_rows) < 0.05
        return X, np.where(some, np.char.upper(y), y), set()
    answers = np.array([np.where(rng.uniform(size=n_rows) < 0.2, rng.permutation(y), y)
                        for _ in range(4)]).T  # fmt: skip
    names = ["ann", "bob", "cem", "dot", "ann again"]
    return X, pd.DataFrame(answers[:, [0, 1, 2, 3, 0]], columns=names), set()


def load(path):
    """Return features and labels, which are texts."""
    data = np.load(path)
    tables = [pd.DataFrame(data[k], columns=data[n]) for k, n in PARTS.items() if k in data]
    X, y = pd.concat(tables, axis=1), data["y"]
    rows = np.random.RandomState(0).permutation(len(y))[:MAX_ROWS]
    X = X.iloc[rows].reset_index(drop=True)
    if "X_cat" in data:
        names = data["cat_names"].tolist()
        levels = X[names].map(lambda code: None if code < 0 else f"level {code}")
        X[names] = levels.astype("category")
    return X, np.char.add("class ", y[rows].astype(str))


def main():
    """Print a table: per fault, the plantings that are found and the clean columns named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tables", nargs="*", default=TABLES)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    paths = [options.data / f"{table}.npz" for table in options.tables]
    before = {}
    n_named = n_clean = 0
    for path in paths:
        X, y = load(path)
        findings = check_table(X, y)
        before[path] = {column for f in findings for column in f.columns}
        true = {c for f in findings if f.kind == "constant" for c in f.columns}
        n_named, n_clean = n_named + len(before[path] - true), n_clean + X.shape[1]
        print(f"{path.stem}: {[(f.kind, f.columns or len(f.rows)) for f in findings]}")
    print("\n| fault | found | clean columns named |\n|---|---|---|")
    print(f"| none | | {n_named} of {n_clean} |")
    for fault, kind in KINDS.items():
        found = n_plantings = n_named = n_clean = 0
        for path in paths:
            for seed in range(options.seeds):
                X, y = load(path)
                X, y, planted = plant(fault, X, y, np.random.RandomState(seed))
                findings = check_table(X, y)
                named = {column for f in findings if f.kind == kind for column in f.columns}
                hit = any(f.kind == kind for f in findings) and planted <= named
                if not hit:
                    print(f"missed: {fault}, {path.stem}, seed {seed}")
                others = {column for f in findings for column in f.columns} & {*X.columns}
                constant = {c for f in findings if f.kind == "constant" for c in f.columns}
                found, n_plantings = found + hit, n_plantings + 1
                n_named += len(others - planted - constant)
                n_clean += len({*X.columns} - planted)
        print(f"| {fault} | {found} of {n_plantings} | {n_named} of {n_clean} |")


if __name__ == "__main__":
    main()

"""Accuracy on clean labels under label noise, of many classifiers on many real tables.

    OMP_NUM_THREADS=1 python benchmarks/accuracy.py results.csv --seeds 3

Appends a row for each table, noise, seed and classifier to the file and goes on where it stopped.
Tables come from OpenML by name, or from a folder of .npz files of the same content (--data). A
seed decides which rows are for training (at most 2000), which for testing (at most 4000) and which
labels are wrong; test labels are clean. Symmetric noise of 60 % is left out where there are two
classes: right labels would be the rarer ones. All classifiers get the same preprocessing:
categories as 0/1 columns, missing numbers as the median, standardised. Tables to choose defaults by
are "choose", those that earlier versions were reported on "report", and those that came later
"unseen"; these come from R packages, and need a folder. Probabilities are scored on
clean labels, too: log loss, none below 1e-4, and the expected calibration error in 15 bins.
docs/accuracy_tables.py prints the means. Needs the extra "benchmark", RealMLP also pytabkit.
"""

import argparse
import csv
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from cleanlab.classification import CleanLearning
from joblib import Parallel, delayed
from lightgbm import LGBMClassifier
from sklearn import datasets
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, StandardScaler
from tqdm import tqdm

from robustlabels import (
    RefinedClassifier,
    RobustClassifier,
    RobustEnsembleClassifier,
    corrupt_labels,
)

#: Table: its name and version on OpenML, or None where it comes with scikit-learn.
CHOOSE = {
    "breast_cancer": None,
    "digits": None,
    "fann_mushroom": ("mushroom", 1),
    "german_credit": ("credit-g", 1),
    "glass": ("glass", 1),
    "ionosphere": ("ionosphere", 1),
    "segment": ("segment", 1),
    "vehicle": ("vehicle", 1),
    "vowel": ("vowel", 2),
}
REPORT = {
    "dna": ("dna", 1),
    "iris": None,
    "letter": ("letter", 1),
    "pima2": ("diabetes", 1),
    "satellite": ("satimage", 1),
    "sonar": ("sonar", 1),
    "soybean": ("soybean", 1),
    "spambase": ("spambase", 1),
    "wine": None,
}
#: Table: the R package that it comes from.
UNSEEN = {
    "attrition": "modeldata",
    "caravan_tic": "kernlab",
    "cells_segmentation": "modeldata",
    "diamonds_cut": "ggplot2",
    "hpc_data": "modeldata",
    "marketing_income": "kernlab",
    "mlc_churn": "modeldata",
    "olive_area": "dslabs",
    "shuttle": "mlbench",
    "wa_churn": "modeldata",
}
TABLES = {"choose": CHOOSE, "report": REPORT, "unseen": UNSEEN}
NOISES = [
    ("none", 0.0),
    *(("symmetric", rate) for rate in (0.2, 0.4, 0.6)),
    *((noise, rate) for noise in ("pair", "instance") for rate in (0.2, 0.4)),
]
COLUMNS = [
    *("half", "table", "noise", "rate", "seed", "method"),
    *("accuracy", "balanced", "log_loss", "calibration_error", "seconds"),
]
#: Smallest probability that counts in the log loss: trees and neighbours say 0.
SMALLEST = 1e-4


def robust(**params):
    return lambda seed: RobustClassifier(random_state=seed, **params)


def refined(make):
    return lambda seed: RefinedClassifier(make(seed), random_state=seed)


def clean_learning(make):
    # cleanlab's own processes fail inside those of joblib.
    in_one_process = {"n_jobs": 1}
    return lambda seed: CleanLearning(
        make(seed), seed=seed, find_label_issues_kwargs=in_one_process
    )


# Imported where they are used, for the other methods do without.
def cat_boost(seed):
    from catboost import CatBoostClassifier

    return CatBoostClassifier(
        random_seed=seed, thread_count=1, verbose=False, allow_writing_files=False
    )


def real_mlp(seed):
    try:
        from pytabkit import RealMLP_TD_Classifier
    except ImportError as error:
        raise ImportError("RealMLP needs pytabkit: pip install pytabkit.") from error
    return RealMLP_TD_Classifier(random_state=seed, device="cpu", n_threads=1, verbosity=0)


PEERS = {
    "LogisticRegression": lambda seed: LogisticRegression(max_iter=1000),
    "RandomForest": lambda seed: RandomForestClassifier(random_state=seed),
    "RandomForest, leaf 10": lambda seed: RandomForestClassifier(
        min_samples_leaf=10, random_state=seed
    ),
    "ExtraTrees, leaf 5": lambda seed: ExtraTreesClassifier(min_samples_leaf=5, random_state=seed),
    "HistGradientBoosting": lambda seed: HistGradientBoostingClassifier(
        early_stopping=False, random_state=seed
    ),
    "HistGradientBoosting, early stopping": lambda seed: HistGradientBoostingClassifier(
        early_stopping=True, random_state=seed
    ),
    "LightGBM": lambda seed: LGBMClassifier(random_state=seed, n_jobs=1, verbose=-1),
    "CatBoost": cat_boost,
    "20 nearest neighbours": lambda seed: KNeighborsClassifier(20),
    "MLPClassifier, early stopping": lambda seed: MLPClassifier(
        (256, 256), early_stopping=True, random_state=seed
    ),
    "RealMLP": real_mlp,
    "the same network, cross-entropy": robust(loss="ce", transition_matrix=None),
}
PEERS |= {
    f"CleanLearning({name})": clean_learning(PEERS[inner])
    for name, inner in {
        "LogisticRegression": "LogisticRegression",
        "RandomForest": "RandomForest",
        "HistGradientBoosting": "HistGradientBoosting, early stopping",
        "the same network": "the same network, cross-entropy",
    }.items()
}
REFINED = {
    f"RefinedClassifier({name})": refined(PEERS[name])
    for name in ("LightGBM", "HistGradientBoosting", "RandomForest")
}
REFINED["RefinedClassifier(ExtraTrees)"] = refined(
    lambda seed: ExtraTreesRegressor(min_samples_leaf=5, max_features="sqrt", random_state=seed)
)
METHODS = {
    "RobustEnsembleClassifier": lambda seed: RobustEnsembleClassifier(random_state=seed),
    "RobustClassifier": robust(),
    **REFINED,
    "RobustClassifier, labels as given": robust(transition_matrix=None),
    **PEERS,
}


def load(name, folder):
    """Return a table's rows as a data frame, and its labels as integers from 0."""
    if hasattr(datasets, f"load_{name}"):
        return getattr(datasets, f"load_{name}")(return_X_y=True, as_frame=True)
    if folder is None:
        if name in UNSEEN:
            raise ValueError(f"{name} comes from the R package {UNSEEN[name]}. Pass --data.")
        openml, version = {**CHOOSE, **REPORT}[name]
        X, y = datasets.fetch_openml(openml, version=version, return_X_y=True, as_frame=True)
        return X, LabelEncoder().fit_transform(y)
    data = np.load(folder / f"{name}.npz")
    numbers = pd.DataFrame(data["X"] if "X" in data else data["X_num"])
    if "X_cat" not in data:
        return numbers, data["y"]
    categories = pd.DataFrame(data["X_cat"]).astype("category").add_prefix("category ")
    return pd.concat([numbers.add_prefix("number "), categories], axis=1), data["y"]


def split(cell, folder):
    """Return rows to train and to test on, noisy labels and clean ones; None for unfit noise."""
    _, table, noise, rate, seed = cell
    X, y = load(table, folder)
    y = np.asarray(y)
    if noise == "symmetric" and rate >= 1 - 1 / len(np.unique(y)):
        return None
    n_train = min(2000, int(0.7 * len(y)))
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=n_train, test_size=min(4000, len(y) - n_train), stratify=y,
        random_state=seed,
    )  # fmt: skip
    X_train, X_test = preprocess(X_train, X_test)
    if noise != "none":
        y_train = corrupt_labels(y_train, noise, rate, X=X_train, random_state=seed)
    return X_train, X_test, y_train, y_test


def preprocess(X_train, X_test):
    """Return both as arrays of float32, categories as 0/1, standardised."""
    X_train, X_test = (X.rename(columns=str) for X in (X_train, X_test))
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    transformer = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_exclude="number"),
        ),
    ).fit(X_train)
    return (transformer.transform(X).astype(np.float32) for X in (X_train, X_test))


def calibration_error(proba, y, n_bins=15):
    """Return the expected calibration error: of the share of right predictions, by how sure."""
    sure, right = proba.max(axis=1), proba.argmax(axis=1) == y
    bins = np.minimum((sure * n_bins).astype(int), n_bins - 1)
    return sum(abs((sure - right)[bins == k].sum()) for k in range(n_bins)) / len(y)


def measure(name, seed, X_train, X_test, y_train, y_test):
    """Return the scores of a method on clean labels, and the seconds of a fit and a prediction."""
    start = time.perf_counter()
    classifier = METHODS[name](seed).fit(X_train, y_train)
    predicted = np.ravel(classifier.predict(X_test))  # CatBoost returns a column
    seconds = time.perf_counter() - start
    proba = np.zeros((len(y_test), max(y_train.max(), y_test.max()) + 1))
    proba[:, np.unique(y_train)] = classifier.predict_proba(X_test)
    return {
        "accuracy": np.mean(predicted == y_test),
        "balanced": balanced_accuracy_score(y_test, predicted),
        "log_loss": -np.log(np.maximum(proba[np.arange(len(y_test)), y_test], SMALLEST)).mean(),
        "calibration_error": calibration_error(proba, y_test),
        "auc": roc_auc_score(y_test, proba[:, 1]) if proba.shape[1] == 2 else np.nan,
        "seconds": seconds,
    }


def sweep(arguments, columns, cells, make_parts):
    """Append a row to a file for each cell and method that is not there yet.

    `arguments` are those of :func:`parse`. `columns` are first those of a cell, then "method", then
    those of its scores; `make_parts` returns the training and test rows and labels of a cell, from
    a folder, or None where there are none.
    """
    results = arguments.results
    n_keys = columns.index("method") + 1
    done = set()
    if results.exists():
        done = set(map(tuple, pd.read_csv(results, dtype=str)[columns[:n_keys]].to_numpy()))
    else:
        results.write_text(",".join(columns) + "\n")

    def run(cell, left):
        warnings.simplefilter("ignore")
        parts = make_parts(cell, arguments.data)
        if parts is None:
            return []
        rows = []
        for name in left:
            scores = measure(name, cell[-1], *parts)
            rows.append([*cell, name, *(f"{scores[column]:.4f}" for column in columns[n_keys:])])
        return rows

    work = []
    for cell in cells:
        left = [name for name in arguments.methods if (*map(str, cell), name) not in done]
        if left:
            work.append(delayed(run)(cell, left))
    parallel = Parallel(arguments.jobs, return_as="generator_unordered", batch_size=1)
    for rows in tqdm(parallel(work), total=len(work)):
        with results.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


def parse(description, default=None):
    """Return a parser of the arguments that all such sweeps have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("results", type=Path, help="CSV file to append to")
    parser.add_argument("--data", type=Path, help="folder of .npz files")
    parser.add_argument("--methods", nargs="+", default=default or list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    return parser


def main():
    parser = parse(__doc__.splitlines()[0])
    parser.add_argument("--half", choices=TABLES, nargs="+", default=list(TABLES))
    kinds = list(dict(NOISES))
    parser.add_argument("--noises", choices=kinds, nargs="+", default=kinds)
    arguments = parser.parse_args()
    cells = [
        (half, table, noise, rate, seed)
        for seed in range(arguments.seeds)
        for half in arguments.half
        for table in TABLES[half]
        for noise, rate in NOISES
        if noise in arguments.noises
    ]
    sweep(arguments, COLUMNS, cells, split)


if __name__ == "__main__":
    main()

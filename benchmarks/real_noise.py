"""Accuracy on true labels where the training labels are wrong by themselves.

    OMP_NUM_THREADS=1 python benchmarks/real_noise.py results.csv --data FOLDER --seeds 3

Four sets. *map*: land cover as volunteers drew it, tested on what experts labelled. *mammograms*: a
radiologist's assessment, tested on biopsies. *defects*: a release's files whose bugs a keyword
search found, tested on the true ones of the project's next release; 13 pairs. *scenes*: pictures
that a crowd labelled, by majority and by one annotator each, as the features of a network. At most
4000 training rows. The first two come from the UCI repository without a folder; the others are
the package Rnalytica's (github.com/awsm-research/Rnalytica) and LabelMe's as Rodrigues and Pereira
(2018) published them, and need one. Appends a row for each set, seed and classifier to the file,
goes on where it stopped, and prints the means. Needs the extra "benchmark", CatBoost also catboost.
"""

import io
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from accuracy import parse, preprocess, sweep
from sklearn.model_selection import train_test_split

COLUMNS = [
    *("set", "part", "seed", "method"),
    *("accuracy", "balanced", "log_loss", "auc", "calibration_error", "seconds"),
]
#: Set: its archive at the UCI repository.
ARCHIVES = {
    "map": "400/crowdsourced+mapping.zip",
    "mammograms": "161/mammographic+mass.zip",
}
FILES = {
    "map": "real_crowdsourced_mapping",
    "mammograms": "real_mammographic_birads",
    "defects": "real_jira_defects",
    "scenes": "real_labelme_vgg",
}
#: Pairs of a release and the next one of its project, by number.
RELEASES = [(0, 1), (1, 2), (2, 3), (3, 4), (5, 8), (8, 6), (6, 7), (9, 10), (10, 11), (12, 13),
            (13, 14), (15, 16), (16, 17)]  # fmt: skip
N_TRAIN = 4000
DEFAULT = [
    *("RobustEnsembleClassifier", "RobustClassifier", "the same network, cross-entropy"),
    *("LogisticRegression", "RandomForest", "RandomForest, leaf 10", "ExtraTrees, leaf 5"),
    *("HistGradientBoosting, early stopping", "LightGBM", "CatBoost"),
    *("CleanLearning(RandomForest)", "CleanLearning(LogisticRegression)"),
    *("MLPClassifier, early stopping", "RefinedClassifier(LightGBM)"),
    "RefinedClassifier(ExtraTrees)",
]


def fetch(name):
    """Return rows, noisy labels, true ones, and which rows are for testing only."""
    url = f"https://archive.ics.uci.edu/static/public/{ARCHIVES[name]}"
    with urllib.request.urlopen(url, timeout=60) as answer:
        archive = zipfile.ZipFile(io.BytesIO(answer.read()))
    files = {Path(file).name: file for file in archive.namelist()}
    if name == "mammograms":
        file = archive.open(files["mammographic_masses.data"])
        # BI-RADS, four features, biopsy. An assessment of 5 and more means malignant.
        table = pd.read_csv(file, header=None, na_values="?").dropna(subset=[0])
        y_noisy, y = (table[0] >= 5).astype(int), table[5]
        return table[[1, 2, 3, 4]], y_noisy.to_numpy(), y.to_numpy(), np.zeros(len(y), bool)
    parts = [pd.read_csv(archive.open(files[f"{part}ing.csv"])) for part in ("train", "test")]
    table = pd.concat(parts, ignore_index=True)
    y = table.pop("class").astype("category").cat.codes.to_numpy()
    return table, y, y, np.arange(len(y)) >= len(parts[0])


def load(name, part, folder):
    """Return rows, noisy labels, true ones, and which rows are to train on and to test on."""
    if folder is None and name in ARCHIVES:
        X, y_noisy, y, for_test = fetch(name)
        return X, y_noisy, y, ~for_test, for_test if for_test.any() else None
    if folder is None:
        raise ValueError(f"{name} needs --data: see the start of this file for its source.")
    data = np.load(folder / f"{FILES[name]}.npz")
    X, y = pd.DataFrame(data["X"].astype(np.float64)), data["y"]
    everything = np.ones(len(y), bool)
    if name == "defects":
        now, then = (data["group"] == release for release in RELEASES[int(part)])
        return X, data["y_noisy"], y, now, then
    if name == "scenes":
        noisy = data["y_noisy_mv" if part == "majority" else "y_noisy_one"]
        return X, noisy, y, data["split"] == 0, data["split"] == 2
    if name == "map":
        return X, y, y, data["split"] == 0, data["split"] == 2
    return X, data["y_noisy"], y, everything, None


def split(cell, folder):
    """Return rows to train and to test on, noisy labels of the former, true ones of the latter."""
    name, part, seed = cell
    X, y_noisy, y, to_train, to_test = load(name, part, folder)
    rows = np.flatnonzero(to_train)
    if to_test is None:
        train, test = train_test_split(rows, test_size=0.3, stratify=y[rows], random_state=seed)
    else:
        train, test = rows, np.flatnonzero(to_test)
    rng = np.random.RandomState(seed)
    if len(train) > N_TRAIN:
        train = rng.permutation(train)[:N_TRAIN]
    X_train, X_test = preprocess(X.iloc[train], X.iloc[test])
    return X_train, X_test, y_noisy[train], y[test]


def summarise(rows):
    """Print each method's scores on each set, and its mean rank in balanced accuracy."""
    scores = ["accuracy", "balanced", "log_loss", "auc"]
    of_sets = rows.groupby(["set", "method"])[scores].mean().unstack("set")
    ranks = of_sets["balanced"].rank(ascending=False).mean(axis=1)
    for name in FILES:
        table = of_sets.xs(name, axis=1, level="set").sort_values("balanced", ascending=False)
        print(f"\n{name}\n\n{table.dropna(axis=1).round(3)}")
    print(f"\nmean rank\n\n{ranks.sort_values().round(1)}")


def main():
    arguments = parse(__doc__.splitlines()[0], DEFAULT).parse_args()
    parts = [("map", "all"), ("mammograms", "all")]
    parts += [("scenes", part) for part in ("majority", "one")]
    parts += [("defects", str(pair)) for pair in range(len(RELEASES))]
    cells = [(*part, seed) for seed in range(arguments.seeds) for part in parts]
    sweep(arguments, COLUMNS, cells, split)
    summarise(pd.read_csv(arguments.results))


if __name__ == "__main__":
    main()

"""What the estimators return, recorded by one version and compared with another.

    OMP_NUM_THREADS=1 python benchmarks/compare_outputs.py record before.npz --data FOLDER
    OMP_NUM_THREADS=1 python benchmarks/compare_outputs.py compare before.npz after.npz

For a change that should not alter results. `record` fits every estimator to six tables with three
kinds of noise and saves noise rates, label probabilities, predicted probabilities, scores and sets.
`compare` prints each output that is not equal bit for bit, with its largest difference, and exits
with 1 if there is one. Both recordings need the same machine and the same versions of numpy,
scikit-learn and torch. FOLDER holds the .npz files that benchmarks/accuracy.py describes.
"""

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from robustlabels import (
    CleanScores,
    LabelRefiner,
    NoisyConformalClassifier,
    RefinedClassifier,
    RobustClassifier,
    RobustEnsembleClassifier,
    UnhingedClassifier,
    corrupt_labels,
    find_wrong_labels,
    losses,
)
from robustlabels.metrics import (
    estimate_transition_matrix,
    forward_log_loss,
    noise_corrected_confusion_matrix,
)

NOISES = {"none": None, "symmetric": ("symmetric", 0.3), "pair": ("pair", 0.2)}
#: Largest number of rows of a table.
ROWS = 2400


def load_tables(folder):
    """Return a dict of (X, y): arrays, one of them with missing values, and a data frame."""
    tables = {
        "breast_cancer": load_breast_cancer(return_X_y=True),
        "digits": load_digits(return_X_y=True),
    }
    for name in ("vehicle", "german_credit", "spambase"):
        with np.load(folder / f"{name}.npz", allow_pickle=False) as data:
            tables[name] = data["X"].astype(np.float64), data["y"]
    with np.load(folder / "soybean.npz", allow_pickle=False) as data:
        codes, y = data["X_cat"], data["y"]
        frame = pd.DataFrame({f"f{j}": pd.Categorical(column) for j, column in enumerate(codes.T)})
        tables["soybean"] = frame.replace(-1, np.nan), y
    rng = np.random.RandomState(0)
    for name, (X, y) in tables.items():
        rows = rng.permutation(len(y))[:ROWS]
        tables[name] = (X.iloc[rows] if hasattr(X, "iloc") else X[rows]), y[rows]
    missing = rng.uniform(size=tables["german_credit"][0].shape) < 0.02
    tables["german_credit"][0][missing] = np.nan
    return tables


def outputs_of(X, y):
    """Yield the name and the value of all that is compared on one table."""
    weight = np.random.RandomState(1).uniform(0.5, 2, len(y))
    trusted = np.random.RandomState(2).uniform(size=len(y)) < 0.05
    for name, given in {
        "plain": {},
        "weighted": {"sample_weight": weight},
        "trusted": {"trusted": trusted},
    }.items():
        refiner = LabelRefiner(random_state=0).fit(X, y, **given)
        yield f"refiner {name}: noise rate", refiner.noise_rate_
        yield f"refiner {name}: interval", refiner.n_wrong_interval_
        yield f"refiner {name}: label probabilities", refiner.label_probabilities_
        yield f"refiner {name}: soft labels", refiner.soft_labels_
    answers = np.stack([corrupt_labels(y, "symmetric", 0.3, random_state=i) for i in range(3)], 1)
    refiner = LabelRefiner(random_state=0).fit(X, answers)
    yield "refiner of answers: label probabilities", refiner.label_probabilities_
    yield "refiner of answers: annotators", refiner.annotator_transitions_
    yield "wrong labels", find_wrong_labels(X, y, random_state=0).wrong_probability.to_numpy()
    ensemble = RobustEnsembleClassifier(max_epochs=10, random_state=0).fit(X, y)
    yield "ensemble: probabilities", ensemble.predict_proba(X)
    yield "ensemble: noise rate", ensemble.noise_rate_
    weighted = RobustEnsembleClassifier(max_epochs=4, class_weight="balanced", random_state=0)
    yield "ensemble, weighted: probabilities", weighted.fit(X, y, weight).predict_proba(X)
    if hasattr(X, "iloc"):
        X = pd.get_dummies(X, dtype=float).to_numpy()
    X = np.nan_to_num((X - np.nanmean(X, 0)) / (np.nanstd(X, 0) + 1e-9))
    robust = RobustClassifier(max_epochs=10, hidden_layer_sizes=64, random_state=0)
    yield "network: probabilities", robust.fit(X, y).predict_proba(X)
    yield "network: noise rate", robust.noise_rate_
    for name, params in {
        "sgce": {"loss": "sgce", "priors": "balanced"},
        "given labels": {"loss": "agce", "transition_matrix": None},
        "adapted": {"loss": "gce", "adapt": True},
    }.items():
        clf = RobustClassifier(max_epochs=5, hidden_layer_sizes=32, random_state=0, **params)
        yield f"network, {name}: probabilities", clf.fit(X, y, weight).predict_proba(X)
    # Float32 rounds differently by the number of rows: a single block.
    partial = RobustClassifier(hidden_layer_sizes=16, random_state=0).partial_fit(X, y)
    yield "network, partial: probabilities", partial.partial_fit(X, y).predict_proba(X)
    for name, inner in {
        "linear": LogisticRegression(max_iter=200),
        "boosting": HistGradientBoostingClassifier(max_iter=10, random_state=0),
    }.items():
        refined = RefinedClassifier(inner, random_state=0).fit(X, y)
        yield f"refined {name}: probabilities", refined.predict_proba(X)
    unhinged = UnhingedClassifier().fit(X, y, weight)
    yield "unhinged: scores", unhinged.decision_function(X)
    yield "unhinged: probabilities", unhinged.predict_proba(X)
    scores = CleanScores.from_estimator(unhinged, X, y, random_state=0)
    yield "clean scores", np.array([scores.accuracy.value, scores.accuracy.low])
    sets = NoisyConformalClassifier(unhinged, random_state=0).conformalize(X, y)
    yield "prediction sets", sets.predict_set(X)[1]
    proba = unhinged.predict_proba(X)
    transition = estimate_transition_matrix(y, proba)
    yield "confident joint", transition
    n_classes = len(transition)
    noise = 0.8 * np.eye(n_classes) + 0.2 / n_classes
    yield "forward log loss", forward_log_loss(y, proba, noise)
    confusion = noise_corrected_confusion_matrix(y, unhinged.predict(X), noise)
    yield "corrected confusion", confusion


def outputs_of_losses():
    """Yield the value of each loss in the catalogue at some scores."""
    import torch

    scores = torch.from_numpy(np.random.RandomState(3).normal(size=(50, 5)) * 4)
    for name in losses.available_losses():
        loss = losses.get_loss(name)
        yield f"loss {name}", loss.class_losses(loss.log_probabilities(scores)).numpy()


def record(path, folder):
    """Save all outputs of this version."""
    found = {f"all/none/{name}": value for name, value in outputs_of_losses()}
    for table, (X, y) in load_tables(folder).items():
        for noise, given in NOISES.items():
            noisy = y if given is None else corrupt_labels(y, *given, random_state=7)
            for name, value in outputs_of(X, noisy):
                found[f"{table}/{noise}/{name}"] = np.asarray(value, dtype=float)
            print(table, noise, flush=True)
    np.savez_compressed(path, **found)


def compare(before, after):
    """Print what differs; return how many outputs do."""
    first, second = np.load(before), np.load(after)
    differences = {}
    for key in sorted(set(first) | set(second)):
        name = key.split("/", 2)[2]
        if key not in first or key not in second:
            differences.setdefault(name, []).append((np.inf, key))
        elif not np.array_equal(first[key], second[key], equal_nan=True):
            same_shape = first[key].shape == second[key].shape
            change = np.nanmax(np.abs(first[key] - second[key])) if same_shape else np.inf
            differences.setdefault(name, []).append((change, key))
    for name, found in differences.items():
        change, key = max(found)
        print(f"{name}: {len(found)} cells, at most {change:.3g}, in {key.rsplit('/', 1)[0]}")
    n_different = sum(map(len, differences.values()))
    print(f"{len(set(first) | set(second))} outputs, {n_different} differ")
    return n_different


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record")
    recording.add_argument("file", type=Path)
    recording.add_argument("--data", type=Path, required=True)
    comparing = commands.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "record":
        warnings.simplefilter("ignore")
        record(arguments.file, arguments.data)
    else:
        sys.exit(compare(arguments.before, arguments.after) > 0)


if __name__ == "__main__":
    main()

"""How long a search over 12 losses and 5 folds takes: one by one, on two processes, jointly.

    OMP_NUM_THREADS=1 python benchmarks/search_speed.py
    OMP_NUM_THREADS=1 python benchmarks/search_speed.py --rows 40000 --rounds 1 --no-joint

"jointly" trains the candidates of a fold as one batched network. The time of ``n_jobs=2`` includes
that of starting its processes, which the first search of a session needs. Prints a Markdown table.
"""

import argparse
import time

import numpy as np
import sklearn
import torch
from joblib.externals.loky import get_reusable_executor
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from robustlabels import RobustClassifier, corrupt_labels
from robustlabels._joint import fit_jointly
from robustlabels.losses import GCE, SGCE

LOSSES = [loss(q=q) for loss in (SGCE, GCE) for q in (0.2, 0.4, 0.5, 0.6, 0.7, 0.8)]


def search(n_jobs, model, cv, X, y):
    grid = GridSearchCV(model, {"loss": LOSSES}, cv=cv, n_jobs=n_jobs, refit=False)
    return grid.fit(X, y).cv_results_["mean_test_score"]


def search_jointly(model, cv, X, y):
    scores = []
    for train, test in cv.split(X, y):
        models = [sklearn.clone(model).set_params(loss=loss) for loss in LOSSES]
        fit_jointly(models, X[train], y[train])
        scores.append([m.score(X[test], y[test]) for m in models])
    return np.mean(scores, axis=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-joint", action="store_true")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    y = rng.integers(10, size=arguments.rows)
    X = rng.standard_normal((arguments.rows, 50)) + rng.standard_normal((10, 50))[y]
    y = corrupt_labels(y, "symmetric", 0.4, random_state=0)
    model = RobustClassifier(
        hidden_layer_sizes=(arguments.width, arguments.width),
        n_members=1,
        transition_matrix=None,
        max_epochs=arguments.epochs,
        random_state=0,
    )
    cv = StratifiedKFold(5, shuffle=True, random_state=0)
    ways = {
        "n_jobs=1": lambda: search(1, model, cv, X, y),
        "n_jobs=2": lambda: search(2, model, cv, X, y),
        "jointly": lambda: search_jointly(model, cv, X, y),
    }
    if arguments.no_joint:
        del ways["jointly"]
    model.fit(X, y)  # what torch does once
    times, scores = {way: [] for way in ways}, {}
    for _ in range(arguments.rounds):
        for way, run in ways.items():
            get_reusable_executor().shutdown(wait=True)
            start = time.perf_counter()
            scores[way] = run()
            times[way].append(time.perf_counter() - start)
    print(
        f"{len(LOSSES)} losses x 5 folds, {arguments.rows} rows of 50 features, "
        f"2x{arguments.width} units, {arguments.epochs} epochs; medians of {arguments.rounds}; "
        f"torch {torch.__version__}, scikit-learn {sklearn.__version__}\n"
    )
    print("| search | time, s | as a share of n_jobs=1 | largest difference of a mean score |")
    print("|---|---|---|---|")
    base = np.array(times["n_jobs=1"])
    for way, taken in times.items():
        low, high = np.quantile(np.array(taken) / base, (0.25, 0.75))
        difference = np.abs(scores[way] - scores["n_jobs=1"]).max()
        print(
            f"| {way} | {np.median(taken):.2f} | {np.median(taken) / np.median(base):.2f} "
            f"({low:.2f}-{high:.2f}) | {difference:.4f} |"
        )


if __name__ == "__main__":
    main()

"""How long a search over 12 losses and 5 folds takes: one by one, with a memory, together.

    OMP_NUM_THREADS=1 python benchmarks/search_speed.py
    OMP_NUM_THREADS=1 python benchmarks/search_speed.py --members 4 --splits 1

The labels are refined, with noise that is estimated. "memory" is that of RobustClassifier, new for
each search. Prints seconds of the processor, of all processes together, and seconds that passed, as
a Markdown table. The time of ``n_jobs=2`` includes that of starting its processes, which the first
search of a session needs.
"""

import argparse
import tempfile
import time

import numpy as np
import sklearn
import torch
from joblib.externals.loky import get_reusable_executor
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from robustlabels import RobustClassifier, RobustSearchCV, corrupt_labels
from robustlabels.losses import GCE, SGCE

LOSSES = [loss(q=q) for loss in (SGCE, GCE) for q in (0.2, 0.4, 0.5, 0.6, 0.7, 0.8)]


def processor_seconds():
    import resource  # Windows has none

    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--members", type=int, default=1)
    parser.add_argument("--losses", type=int, default=12, help="only the first of them")
    parser.add_argument("--splits", type=int, default=5, help="only the first of five")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--ways", nargs="+", help="only these, by their names in the table")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    y = rng.integers(10, size=arguments.rows)
    X = rng.standard_normal((arguments.rows, 50)) + rng.standard_normal((10, 50))[y]
    y = corrupt_labels(y, "symmetric", 0.4, random_state=0)
    model = RobustClassifier(
        hidden_layer_sizes=(arguments.width, arguments.width),
        n_members=arguments.members,
        random_state=0,
    )
    folds = StratifiedKFold(5, shuffle=True, random_state=0).split(X, y)
    settings = {
        "cv": list(folds)[: arguments.splits],
        "scoring": "accuracy",
        "refit": False,
    }
    grid = {"loss": LOSSES[: arguments.losses]}

    def search(kind, n_jobs=1, memory=None):
        estimator = sklearn.clone(model).set_params(memory=memory)
        found = kind(estimator, grid, n_jobs=n_jobs, **settings).fit(X, y)
        return found.cv_results_["mean_test_score"]

    def search_with_memory():
        with tempfile.TemporaryDirectory() as folder:
            return search(GridSearchCV, memory=folder)

    ways = {
        "GridSearchCV": lambda: search(GridSearchCV),
        "GridSearchCV, memory": search_with_memory,
        "GridSearchCV, n_jobs=2": lambda: search(GridSearchCV, 2),
        "RobustSearchCV": lambda: search(RobustSearchCV),
        "RobustSearchCV, n_jobs=2": lambda: search(RobustSearchCV, 2),
    }
    if arguments.ways:
        ways = {w: run for w, run in ways.items() if w in arguments.ways}
    model.set_params(max_epochs=1).fit(X, y)  # what torch does once
    model.set_params(max_epochs="auto")
    spent, passed, scores = {way: [] for way in ways}, {way: [] for way in ways}, {}
    for _ in range(arguments.rounds):
        for way, run in ways.items():
            get_reusable_executor().shutdown(wait=True)
            start, used = time.perf_counter(), processor_seconds()
            scores[way] = run()
            passed[way].append(time.perf_counter() - start)
            get_reusable_executor().shutdown(wait=True)
            spent[way].append(processor_seconds() - used)
            print(way, round(spent[way][-1], 1), round(passed[way][-1], 1), flush=True)
    print(
        f"\n{arguments.losses} losses x {arguments.splits} splits, {arguments.rows} rows of 50 "
        f"features, {arguments.members} member(s) of 2x{arguments.width} units; medians of "
        f"{arguments.rounds}; torch {torch.__version__}, scikit-learn {sklearn.__version__}\n"
    )
    first = next(iter(ways))
    print(
        f"| search | processor, s | as a share of {first} | passed, s | as a share | "
        f"largest difference of a mean score |\n|---|---|---|---|---|---|"
    )
    for way in ways:
        print(
            f"| {way} | {np.median(spent[way]):.1f} "
            f"| {np.median(spent[way]) / np.median(spent[first]):.2f} "
            f"| {np.median(passed[way]):.1f} "
            f"| {np.median(passed[way]) / np.median(passed[first]):.2f} "
            f"| {np.abs(scores[way] - scores[first]).max():.4f} |"
        )


if __name__ == "__main__":
    main()

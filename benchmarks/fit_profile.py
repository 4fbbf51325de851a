"""Where the time of a fit goes, and what memory it takes, from small tables to large ones.

    OMP_NUM_THREADS=1 python benchmarks/fit_profile.py

Drawn tables with 30 % wrong labels, each fit in a process of its own, on one thread. CPU seconds of
a fit, in percent those of its stages, by cProfile; wall seconds; CPU seconds of a prediction of
10 000 rows; and the memory that the process took at its largest, beyond what it had before the fit.
On a shared machine wall seconds say little. Prints a Markdown table. Needs the extra "benchmark".
"""

import argparse
import cProfile
import multiprocessing
import pstats
import time
import warnings
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from lightgbm import LGBMClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from robustlabels import RobustClassifier, RobustEnsembleClassifier, corrupt_labels
from robustlabels._ensemble.built_in import Boosting, Forest, Linear
from robustlabels._ensemble.ensemble import _merge_copies
from robustlabels._network.engine import NetworkEngine
from robustlabels.refinement import (
    _bayes,
    _crossing,
    _duplicates,
    _forms,
    _noise_model,
    _probabilities,
    _refiner,
)

#: Rows, features, classes.
SIZES = [
    *("150,10,2", "2000,10,2", "2000,50,10", "2000,500,10", "5000,50,100", "20000,50,10"),
    *("20000,50,1000", "2000,5000,10", "100000,50,10", "300000,30,10", "1000000,50,10"),
]
METHODS = {
    "RobustEnsembleClassifier": lambda: RobustEnsembleClassifier(random_state=0),
    "RobustClassifier": lambda: RobustClassifier(random_state=0),
    "HistGradientBoosting": lambda: HistGradientBoostingClassifier(random_state=0),
    "RandomForest": lambda: RandomForestClassifier(random_state=0),
    "LightGBM": lambda: LGBMClassifier(random_state=0, n_jobs=1, verbose=-1),
}
#: Rows that are predicted.
N_PREDICTED = 10_000


def draw(n_rows, n_features, n_classes):
    """Draw rows whose features mix ten hidden ones, up to four clusters a class, and labels."""
    rng = np.random.default_rng(0)
    n_clusters = max(1, min(4, n_rows // (50 * n_classes)))
    centres = 1.5 * rng.standard_normal((n_clusters * n_classes, 10), dtype=np.float32)
    mixing = rng.standard_normal((10, n_features), dtype=np.float32)
    y = rng.permutation(n_rows) % n_classes
    cluster = y + n_classes * rng.integers(n_clusters, size=n_rows)
    hidden = centres[cluster] + rng.standard_normal((n_rows, 10), dtype=np.float32)
    X = hidden @ mixing
    X += rng.standard_normal(X.shape, dtype=np.float32)
    return X, y


def find_stages(profile):
    """Return the CPU seconds of the stages of a fit."""
    stats = pstats.Stats(profile).stats

    def seconds(function, caller=None):
        key, caller = _name(function), _name(caller) if caller else None
        _, _, _, total, by_caller = stats.get(key, (0, 0, 0, 0.0, {}))
        return total if caller is None else by_caller.get(caller, (0, 0, 0, 0.0))[3]

    compared = seconds(_duplicates.group_duplicates)
    make_soft_labels = _bayes.make_soft_labels
    return {
        "refining trees": seconds(_probabilities.out_of_bag_probabilities) - compared,
        "copies": compared + seconds(_merge_copies),
        "noise": seconds(_forms.make_noise_prior)
        + seconds(_noise_model.fit_noise)
        + seconds(make_soft_labels, _refiner._refine)
        + seconds(make_soft_labels, _crossing.cross_fitted_soft_labels),
        "networks": seconds(NetworkEngine.train),
        "learning trees": seconds(Forest.fit),
        "linear": seconds(Linear.fit),
        "boosting": seconds(Boosting.fit),
    }


def _name(function):
    code = function.__code__
    return code.co_filename, code.co_firstlineno, code.co_name


def measure(method, n_rows, n_features, n_classes):
    """Fit and predict once; return the figures of a row of the table."""
    import resource  # Windows has none

    warnings.simplefilter("ignore")
    X, y = draw(n_rows + N_PREDICTED, n_features, n_classes)
    y_noisy = corrupt_labels(y[:n_rows], "symmetric", 0.3, random_state=0)
    classifier, profile = METHODS[method](), cProfile.Profile(time.process_time)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu_start = time.perf_counter(), time.process_time()
    profile.runcall(classifier.fit, X[:n_rows], y_noisy)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    start = time.process_time()
    predicted = classifier.predict(X[n_rows:])
    prediction = time.process_time() - start
    return {
        "CPU s": f"{cpu:.1f}",
        "wall s": f"{wall:.1f}",
        **{
            name: f"{part / cpu:.0%}" if part else "" for name, part in find_stages(profile).items()
        },
        "prediction, s": f"{prediction:.2f}",
        "memory, MiB": f"{grown / 1024:.0f}",
        "accuracy": f"{np.mean(predicted == y[n_rows:]):.3f}",
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="rows,features,classes")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    arguments = parser.parse_args()
    # What is imported late is not part of a fit.
    X, y = draw(100, 3, 2)
    RobustEnsembleClassifier(max_epochs=1).fit(X, y)
    header = True
    for size in arguments.sizes:
        for method in arguments.methods:
            # A pool that does not wait for a process that the system has ended.
            with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
                row = pool.submit(measure, method, *map(int, size.split(","))).result()
            row = {"rows, features, classes": size.replace(",", ", "), "": method, **row}
            if header:
                print("|", " | ".join(row), "|\n" + "|---" * len(row) + "|")
                header = False
            print("|", " | ".join(row.values()), "|", flush=True)


if __name__ == "__main__":
    main()

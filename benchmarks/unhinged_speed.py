"""Time of UnhingedClassifier.fit against other linear classifiers, as a ratio to X.sum().

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/unhinged_speed.py

All take turns, and medians are compared. Prints a Markdown table. The last column is the most
memory that was allocated beside X and y.
"""

import argparse
import statistics
import time
import tracemalloc

import numpy as np
import sklearn
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import RidgeClassifier
from sklearn.neighbors import NearestCentroid

from robustlabels import UnhingedClassifier
from robustlabels._class_statistics import ClassStatistics


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=50)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    rng = np.random.default_rng(0)
    y = rng.integers(arguments.classes, size=arguments.rows)
    X = rng.standard_normal((arguments.rows, arguments.features), dtype=np.float32)
    X += rng.standard_normal((arguments.classes, arguments.features), dtype=np.float32)[y]
    classes = np.arange(arguments.classes)

    tasks = {
        "X.sum()": X.sum,
        "statistics, euclidean": lambda: ClassStatistics._from_checked_rows(X, y, classes),
        "statistics, covariance": lambda: ClassStatistics._from_checked_rows(
            X, y, classes, scatter=True
        ),
    }
    estimators = {
        "UnhingedClassifier, euclidean": UnhingedClassifier(metric="euclidean"),
        "UnhingedClassifier, covariance": UnhingedClassifier(),
        "NearestCentroid": NearestCentroid(),
        "LinearDiscriminantAnalysis, lsqr": LinearDiscriminantAnalysis(solver="lsqr"),
        "RidgeClassifier": RidgeClassifier(),
    }
    tasks |= {name: lambda e=e: e.fit(X, y) for name, e in estimators.items()}
    times = {name: [] for name in tasks}
    for _ in range(arguments.rounds):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            times[name].append(time.perf_counter() - start)
    peaks = {}
    for name, task in tasks.items():
        tracemalloc.start()
        task()
        peaks[name] = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()

    shape = f"{arguments.rows} x {arguments.features} float32, {arguments.classes} classes"
    print(f"{shape}; numpy {np.__version__}, scikit-learn {sklearn.__version__}\n")
    print("| task | median (s) | least - most | ratio to X.sum() | peak memory (MiB) |")
    print("|---|---|---|---|---|")
    base = statistics.median(times["X.sum()"])
    for name, values in times.items():
        median = statistics.median(values)
        spread = f"{min(values):.3f} - {max(values):.3f}"
        print(f"| {name} | {median:.3f} | {spread} | {median / base:.1f} | {peaks[name]:.1f} |")


if __name__ == "__main__":
    main()

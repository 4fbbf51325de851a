"""Time of UnhingedClassifier.fit against other linear classifiers, as a ratio to X.sum().

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/unhinged_speed.py

All take turns; the ratio is the median of those to the sum in the same turn, with its quartiles.
Prints a Markdown table. The last column is the most memory that was allocated beside X and y.
"""

import argparse
import time
import tracemalloc

import numpy as np
import sklearn
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import RidgeClassifier
from sklearn.neighbors import NearestCentroid

from robustlabels import ClassStatistics, UnhingedClassifier


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=50)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    rng = np.random.default_rng(0)
    y = rng.integers(arguments.classes, size=arguments.rows)
    X = rng.standard_normal((arguments.rows, arguments.features), dtype=arguments.dtype)
    X += rng.standard_normal((arguments.classes, arguments.features), dtype=arguments.dtype)[y]

    tasks = {
        "X.sum()": X.sum,
        "ClassStatistics": lambda: ClassStatistics.from_rows(X, y),
        "ClassStatistics, scatter": lambda: ClassStatistics.from_rows(X, y, scatter=True),
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

    shape = f"{arguments.rows} x {arguments.features} {arguments.dtype}"
    versions = f"numpy {np.__version__}, scikit-learn {sklearn.__version__}"
    print(f"{shape}, {arguments.classes} classes; {versions}\n")
    print("| task | median (s) | least - most | ratio to X.sum() | peak memory (MiB) |")
    print("|---|---|---|---|---|")
    for name, values in times.items():
        low, ratio, high = np.quantile(np.divide(values, times["X.sum()"]), (0.25, 0.5, 0.75))
        spread = f"{min(values):.3f} - {max(values):.3f}"
        ratios = f"{ratio:.2f} ({low:.2f}-{high:.2f})"
        print(f"| {name} | {np.median(values):.3f} | {spread} | {ratios} | {peaks[name]:.1f} |")


if __name__ == "__main__":
    main()

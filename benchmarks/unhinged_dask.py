"""Time of UnhingedClassifier.fit on a Dask array, with one and two worker processes.

    OMP_NUM_THREADS=1 python benchmarks/unhinged_dask.py

The blocks are drawn by the workers, so that the data never lie in one place.
"""

import argparse
import statistics
import time

import dask
import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

from robustlabels import UnhingedClassifier


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=8_000_000)
    parser.add_argument("--features", type=int, default=50)
    parser.add_argument("--block", type=int, default=250_000, help="rows in a block")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()

    shape = (arguments.rows, arguments.features)
    print(f"{shape[0]} x {shape[1]} float32, blocks of {arguments.block} rows; ", end="")
    print(f"numpy {np.__version__}, dask {dask.__version__}\n")
    print("| workers | median (s) | least - most |\n|---|---|---|")
    for n_workers in (1, 2):
        cluster = LocalCluster(
            n_workers=n_workers, threads_per_worker=1, processes=True, dashboard_address=None
        )
        with cluster, Client(cluster) as client:
            X = da.random.default_rng(0).standard_normal(
                shape, chunks=(arguments.block, -1), dtype=np.float32
            )
            y = (X[:, 0] > 0).astype(int)
            UnhingedClassifier().fit(X[: arguments.block], y[: arguments.block])
            times = []
            for _ in range(arguments.rounds):
                client.wait_for_workers(n_workers)
                start = time.perf_counter()
                UnhingedClassifier().fit(X, y)
                times.append(time.perf_counter() - start)
        spread = f"{min(times):.1f} - {max(times):.1f}"
        print(f"| {n_workers} | {statistics.median(times):.1f} | {spread} |")


if __name__ == "__main__":
    main()

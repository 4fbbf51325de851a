"""Time of a fit on one and on two threads of torch, alone and beside a busy process.

    python benchmarks/threads.py

Medians of fits in turns, as a multiple of one thread alone. Prints a Markdown table.
"""

import argparse
import subprocess
import sys
import time

import numpy as np
import torch

from robustlabels import RobustClassifier


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    y = rng.integers(10, size=arguments.rows)
    X = rng.standard_normal((arguments.rows, 50), dtype=np.float32)
    X += rng.standard_normal((10, 50), dtype=np.float32)[y]
    kinds = {"default": "auto", "1 thread": 1, "2 threads": 2}
    RobustClassifier(max_epochs=1, transition_matrix=None).fit(X, y)  # what torch does once
    times = {}
    for neighbour in ("alone", "beside a busy process"):
        busy = None
        if neighbour != "alone":
            busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(arguments.rounds):
            for kind, n_threads in kinds.items():
                model = RobustClassifier(
                    n_members=1, max_epochs=2, batch_size=arguments.batch_size, n_threads=n_threads,
                    transition_matrix=None,
                )  # fmt: skip
                start = time.perf_counter()
                model.fit(X, y)
                times.setdefault((kind, neighbour), []).append(time.perf_counter() - start)
        if busy is not None:
            busy.kill()
    base = np.median(times["1 thread", "alone"])
    print(
        f"{arguments.rows} rows of 50 features, 2x256 units, batches of {arguments.batch_size}; "
        f"1 thread alone took {base:.3f} s; torch {torch.__version__}\n"
    )
    print("| | alone | beside a busy process |")
    print("|---|---|---|")
    for kind in kinds:
        cells = []
        for neighbour in ("alone", "beside a busy process"):
            taken = np.array(times[kind, neighbour]) / base
            cells.append(f"{np.median(taken):.2f} ({taken.min():.2f}-{taken.max():.2f})")
        print(f"| {kind} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()

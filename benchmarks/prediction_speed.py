"""Time and memory of predict_proba, beside a plain forward pass in blocks of rows.

    OMP_NUM_THREADS=1 python benchmarks/prediction_speed.py

Both take turns; medians, as a multiple of the plain pass, with the quartiles of this ratio. Memory
is what the process grew by at its largest, beyond the result. Prints a Markdown table.
"""

import argparse
import time

import numpy as np
import torch

from robustlabels import RobustClassifier


def predict_plainly(network, X, block):
    with torch.no_grad():
        rows = torch.from_numpy(X).split(block)
        return torch.cat([torch.softmax(network(part), dim=-1) for part in rows]).numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    X = rng.standard_normal((arguments.rows, 50), dtype=arguments.dtype)
    y = rng.integers(10, size=1000)
    model = RobustClassifier(transition_matrix=None, n_members=1, max_epochs=1, random_state=0).fit(
        X[:1000], y
    )
    network = model.net_.module_.eval()
    model.predict_proba(X[:5000])

    import resource  # Windows has none

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    proba = model.predict_proba(X)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    beyond = grown / 1024 - proba.nbytes / 2**20
    np.testing.assert_allclose(proba, predict_plainly(network, X, 4096), rtol=1e-5, atol=1e-7)
    times = {"plain": [], "predict_proba": []}
    for _ in range(arguments.rounds):
        for name, run in (
            ("plain", lambda: predict_plainly(network, X, 4096)),
            ("predict_proba", lambda: model.predict_proba(X)),
        ):
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    plain, ours = (np.array(taken) for taken in times.values())
    low, high = np.quantile(ours / plain, (0.25, 0.75))
    print(
        f"{arguments.rows} rows of 50 features, {X.dtype}, 2x256 units, 10 classes, "
        f"{torch.get_num_threads()} thread, torch {torch.__version__}, "
        f"median of {arguments.rounds}\n"
    )
    print("| plain pass, s | predict_proba, s | ratio | memory beyond the result, MiB |")
    print("|---|---|---|---|")
    print(
        f"| {np.median(plain):.2f} | {np.median(ours):.2f} | "
        f"{np.median(ours) / np.median(plain):.3f} ({low:.3f}-{high:.3f}) | {beyond:.0f} |"
    )


if __name__ == "__main__":
    main()

"""Ways to confine the scores of losses without a lower bound: accuracy of networks on clean labels.

    OMP_NUM_THREADS=1 python benchmarks/score_normalization.py scores.csv

Each way is the last layer of the same network, the loss itself leaves the scores free: "ball" is
what the losses do by themselves, c / (1 + |c| / R) with the centred scores c; "euclidean" is
R c / |c|; "batch" standardises each class's score over the batch, times R / sqrt(K), so that
a row has about the norm R. R is the radius that the loss has by default. Appends a row for each
table, rate of symmetric noise, seed, loss and way to the file and goes on where it stopped, then
prints the means. Tables and training rows are those of accuracy.py. Needs the extra "benchmark".
"""

import argparse
import csv
from pathlib import Path

import pandas as pd
from accuracy import split
from torch import nn
from tqdm import tqdm

from robustlabels import RobustClassifier
from robustlabels.losses import SGCE, AlphaMAE, Unhinged

LOSSES = {
    "unhinged": (Unhinged(radius=None), 10.0),
    "alpha-mae": (AlphaMAE(radius=None), 20.0),
    "sgce, q = 0.1": (SGCE(q=0.1, radius=None), 10.0),
}
COLUMNS = ["table", "rate", "seed", "loss", "scores", "accuracy"]


class Ball(nn.Module):
    def __init__(self, radius):
        super().__init__()
        self.radius = radius

    def forward(self, f):
        centred = f - f.mean(-1, keepdim=True)
        return centred / (1 + centred.norm(dim=-1, keepdim=True) / self.radius)


class Sphere(Ball):
    def forward(self, f):
        return self.radius * nn.functional.normalize(f - f.mean(-1, keepdim=True), dim=-1)


class OverBatch(nn.BatchNorm1d):
    def __init__(self, radius, n_classes):
        super().__init__(n_classes, affine=False)
        self.gain = radius / n_classes**0.5

    def forward(self, f):
        return self.gain * super().forward(f)


WAYS = {
    "free": lambda radius, n_classes: nn.Identity(),
    "ball": lambda radius, n_classes: Ball(radius),
    "euclidean": lambda radius, n_classes: Sphere(radius),
    "batch": OverBatch,
}


class Network(nn.Sequential):
    def __init__(self, n_features, n_classes, way, radius):
        super().__init__(
            *(nn.Linear(n_features, 256), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.Linear(256, 256), nn.ReLU(), nn.Dropout(0.5)),
            nn.Linear(256, n_classes),
            WAYS[way](radius, n_classes),
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="CSV file to append to")
    parser.add_argument("--data", type=Path, help="folder of .npz files")
    parser.add_argument("--tables", nargs="+", default=["digits", "segment", "letter"])
    parser.add_argument("--noise-rates", type=float, nargs="+", default=[0.4, 0.8])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()

    if not arguments.results.exists():
        arguments.results.write_text(",".join(COLUMNS) + "\n")
    done = set(map(tuple, pd.read_csv(arguments.results, dtype=str)[COLUMNS[:-1]].to_numpy()))
    cells = [
        (table, rate, seed)
        for seed in range(arguments.seeds)
        for table in arguments.tables
        for rate in arguments.noise_rates
    ]
    for cell in tqdm(cells):
        table, rate, seed = cell
        parts = split(("", table, "symmetric", rate, seed), arguments.data)
        X_train, X_test, y_train, y_test = parts
        for loss, (free, radius) in LOSSES.items():
            for way in WAYS:
                if (*map(str, cell), loss, way) in done:
                    continue
                params = {"module__way": way, "module__radius": radius}
                classifier = RobustClassifier(
                    free, module=Network, transition_matrix=None, net_params=params,
                    random_state=seed,
                )  # fmt: skip
                accuracy = classifier.fit(X_train, y_train).score(X_test, y_test)
                with arguments.results.open("a", newline="") as file:
                    writer = csv.writer(file, lineterminator="\n")
                    writer.writerow([*cell, loss, way, f"{accuracy:.4f}"])

    results = pd.read_csv(arguments.results)
    mean = results.pivot_table("accuracy", ["loss", "scores"], ["rate", "table"], sort=False)
    print(mean.round(3).to_string())
    print(f"{results.groupby(['loss', 'scores', 'rate', 'table'])['seed'].nunique().min()} seeds")


if __name__ == "__main__":
    main()

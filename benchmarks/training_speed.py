"""How long RobustClassifier trains, beside a plain loop, skorch's defaults and MLPClassifier.

    OMP_NUM_THREADS=1 python benchmarks/training_speed.py

The plain loop is written the ordinary way: shuffled tensors in memory, indexed batch by batch,
the same network with the same dropout mask per batch, loss, dtype, AdamW and one-cycle schedule.
skorch trains the same network with the same loss by its defaults, without validation rows.
MLPClassifier and the bare loop have the same layers, but cross-entropy, no dropout and no schedule.
All take turns; a figure is the median time divided by that of the plain loop, with the quartiles of
this ratio. Prints a Markdown table.
"""

import argparse
import time
import warnings

import numpy as np
import sklearn
import skorch
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from torch import nn

from robustlabels import RobustClassifier
from robustlabels.losses import get_loss


class Standardize(nn.Module):
    def __init__(self, X):
        super().__init__()
        self.register_buffer("mean", X.mean(0))
        self.register_buffer("scale", X.std(0))

    def forward(self, x):
        return (x - self.mean) / self.scale


class SharedDropout(nn.Module):
    def forward(self, x):
        if not self.training:
            return x
        return x * ((torch.rand(x.shape[-1]) >= 0.5).to(x) * 2)


def make_network(X, widths, n_classes):
    layers, n_in = [Standardize(X)], X.shape[1]
    for width in widths:
        layers += [nn.Linear(n_in, width), nn.ReLU(), SharedDropout()]
        n_in = width
    return nn.Sequential(*layers, nn.Linear(n_in, n_classes)).to(X.dtype)


def train_plainly(X, y, loss, widths, batch_size, n_epochs):
    X, y = torch.as_tensor(X), torch.as_tensor(y)
    network = make_network(X, widths, int(y.max()) + 1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.004)
    n_batches = -(-len(X) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.004, total_steps=n_epochs * n_batches + 1, cycle_momentum=False
    )
    criterion = get_loss(loss)
    for _ in range(n_epochs):
        order, total = torch.randperm(len(X)), 0.0
        for rows in order.split(batch_size):
            optimizer.zero_grad()
            value = criterion(network(X[rows]), y[rows])
            value.backward()
            optimizer.step()
            schedule.step()
            total += value.item() * len(rows)


def train_barely(X, y, loss, widths, batch_size, n_epochs):
    """Train with cross-entropy, without standardisation, dropout and schedule."""
    X, y = torch.as_tensor(X), torch.as_tensor(y)
    layers, n_in = [], X.shape[1]
    for width in widths:
        layers += [nn.Linear(n_in, width), nn.ReLU()]
        n_in = width
    network = nn.Sequential(*layers, nn.Linear(n_in, int(y.max()) + 1)).to(X.dtype)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.004)
    criterion = nn.CrossEntropyLoss()
    for _ in range(n_epochs):
        for rows in torch.randperm(len(X)).split(batch_size):
            optimizer.zero_grad()
            criterion(network(X[rows]), y[rows]).backward()
            optimizer.step()


def train_by_skorch(X, y, loss, widths, batch_size, n_epochs):
    network = make_network(torch.as_tensor(X), widths, int(y.max()) + 1)
    skorch.NeuralNetClassifier(
        network, criterion=get_loss(loss), optimizer=torch.optim.AdamW, lr=0.004, verbose=0,
        train_split=None, batch_size=batch_size, max_epochs=n_epochs, predict_nonlinearity=None,
    ).fit(X, y)  # fmt: skip


def train_mlp(X, y, loss, widths, batch_size, n_epochs):
    MLPClassifier(widths, batch_size=batch_size, max_iter=n_epochs).fit(X, y)


def train_robust(X, y, loss, widths, batch_size, n_epochs):
    RobustClassifier(
        loss, hidden_layer_sizes=widths, batch_size=batch_size, max_epochs=n_epochs, n_members=1,
        transition_matrix=None,
    ).fit(X, y)  # fmt: skip


def train_ensemble(X, y, loss, widths, batch_size, n_epochs):
    RobustClassifier(
        loss, hidden_layer_sizes=widths, batch_size=batch_size, max_epochs=n_epochs, n_members=4,
        transition_matrix=None,
    ).fit(X, y)  # fmt: skip


TRAINERS = {
    "plain loop": train_plainly,
    "RobustClassifier, 1 member": train_robust,
    "RobustClassifier, 4 members": train_ensemble,
    "bare cross-entropy loop": train_barely,
    "skorch": train_by_skorch,
    "MLPClassifier": train_mlp,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--loss", default="sgce")
    parser.add_argument("--trainers", nargs="+", default=list(TRAINERS), choices=TRAINERS)
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[256, 32])
    parser.add_argument("--small", action="store_true", help="150 rows alone")
    arguments = parser.parse_args()
    trainers = {name: TRAINERS[name] for name in dict.fromkeys(["plain loop", *arguments.trainers])}
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(
        f"Median of {arguments.rounds} fits as a multiple of the plain loop's, quartiles in "
        f"brackets; loss {arguments.loss}, {torch.get_num_threads()} thread of torch "
        f"{torch.__version__}, skorch {skorch.__version__}, scikit-learn {sklearn.__version__}\n"
    )
    print(
        "| rows, features, classes | epochs | layers | batch | dtype |", " | ".join(trainers), "|"
    )
    print("|---|---|---|---|---|" + "---|" * len(trainers))
    tables = [(150, 4, 3, 1), (150, 4, 3, 40)]
    if not arguments.small:
        tables += [(20_000, 16, 26, 4), (100_000, 50, 10, 2)]
    for n, d, n_classes, n_epochs in tables:
        rng = np.random.default_rng(0)
        y = rng.integers(n_classes, size=n)
        X = rng.standard_normal((n, d)) + rng.standard_normal((n_classes, d))[y]
        small = n < 1000
        for widths in ((256, 256), (64, 64)):
            for batch_size in (128,) if small else arguments.batch_sizes:
                for dtype in (np.float64, np.float32):
                    data = X.astype(dtype)
                    times = {name: [] for name in trainers}
                    for _ in range(arguments.rounds * (5 if small else 1)):
                        for name, train in trainers.items():
                            start = time.perf_counter()
                            train(data, y, arguments.loss, widths, batch_size, n_epochs)
                            times[name].append(time.perf_counter() - start)
                    plain = np.array(times.pop("plain loop"))
                    cells = [f"{np.median(plain) * 1e3:.4g} ms"]
                    for taken in times.values():
                        low, high = np.quantile(np.array(taken) / plain, (0.25, 0.75))
                        ratio = np.median(taken) / np.median(plain)
                        cells.append(f"{ratio:.2f} ({low:.2f}-{high:.2f})")
                    shape = f"{n}, {d}, {n_classes}"
                    layers = "2x" + str(widths[0])
                    print(
                        f"| {shape} | {n_epochs} | {layers} | {batch_size} | {data.dtype} |",
                        " | ".join(cells), "|", flush=True,
                    )  # fmt: skip


if __name__ == "__main__":
    main()

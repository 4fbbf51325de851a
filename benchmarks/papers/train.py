"""The recipes of the papers on images: accuracy on clean labels after the last epoch, by loss.

    python benchmarks/papers/train.py cifar10.csv --dataset cifar10 --device cuda

Appends a row for each loss, noise and seed to the file and goes on where it stopped. Images come
from OpenML by name, or from the file `fashion_mnist.npz` or `cifar10.npz` of a folder (--data) with
arrays X, y and split, 0 for training; from OpenML the last 10 000 are for testing. A recipe is a
network, a number of epochs, a learning rate and a weight decay; common to all are stochastic
gradient descent with momentum 0.9, batches of 128, a cosine to zero, gradients clipped at norm 5
and, on CIFAR-10, random crops and flips. A seed decides the images, the wrong labels, the network
and the batches, the same for all losses. --images, --epochs and --width make a run small.
benchmarks/papers/table.py prints the means.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import fetch_openml
from torch import nn
from tqdm import tqdm

from robustlabels import corrupt_labels
from robustlabels.losses import AGCE, CE, GCE, MAE, NCE, RCE, SCE, SGCE, AlphaMAE, Unhinged

#: What the code of the papers has on CIFAR-10, and the defaults of this package for the last three.
LOSSES = {
    "ce": CE(),
    "mae": 2 * MAE(),
    "gce": GCE(q=0.7),
    "sce": SCE(alpha=0.1, beta=1.0, A=float(np.log(1e-4))),
    "nce+rce": NCE() + RCE(A=float(np.log(1e-4))),
    "nce+agce": NCE() + 4 * AGCE(a=6.0, q=1.5),
    "sgce": SGCE(),
    "alpha-mae": AlphaMAE(),
    "unhinged": Unhinged(),
}
NOISES = [*(("symmetric", rate) for rate in (0.2, 0.4, 0.6, 0.8)), ("pair", 0.4)]
COLUMNS = [
    *("dataset", "network", "width", "images", "epochs", "device"),
    *("noise", "rate", "seed", "loss", "accuracy", "seconds"),
]
N_KEYS = COLUMNS.index("accuracy")


def cnn4(channels, size, n_classes, width):
    """Return the network of two convolutions and two linear maps that the papers have on MNIST."""
    first, second, hidden = (max(1, int(n * width)) for n in (32, 64, 128))
    return nn.Sequential(
        *convolution(channels, first),
        nn.MaxPool2d(2),
        *convolution(first, second),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(second * (size // 4) ** 2, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, n_classes),
    )


def cnn8(channels, size, n_classes, width):
    """Return the network of six convolutions and two linear maps that they have on CIFAR-10."""
    layers, hidden = [], int(256 * width)
    for n in (int(n * width) for n in (64, 128, 196)):
        layers += [*convolution(channels, n), *convolution(n, n), nn.MaxPool2d(2)]
        channels = n
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(channels * (size // 8) ** 2, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, n_classes),
    )


def convolution(n_in, n_out, stride=1):
    return (
        nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(),
    )


class Block(nn.Module):
    """Two convolutions and the way around them."""

    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.way = nn.Sequential(*convolution(n_in, n_out, stride), *convolution(n_out, n_out)[:-1])
        self.around = nn.Sequential()
        if stride != 1 or n_in != n_out:
            self.around = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride=stride, bias=False), nn.BatchNorm2d(n_out)
            )

    def forward(self, x):
        return torch.relu(self.way(x) + self.around(x))


def resnet34(channels, size, n_classes, width):
    """Return ResNet-34 for small images: the first convolution neither strides nor pools."""
    last = int(64 * width)
    layers = [*convolution(channels, last)]
    for n_blocks, n, stride in ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2)):
        for i in range(n_blocks):
            layers.append(Block(last, int(n * width), stride if i == 0 else 1))
            last = int(n * width)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, n_classes))


NETWORKS = {"cnn4": cnn4, "cnn8": cnn8, "resnet34": resnet34}
#: Name on OpenML, shape of an image, whether to crop and flip; network, epochs, rate and decay.
DATASETS = {
    "fashion_mnist": ("Fashion-MNIST", (1, 28, 28), False, ("cnn4", 50, 0.01, 1e-3)),
    "cifar10": ("CIFAR_10", (3, 32, 32), True, ("cnn8", 120, 0.01, 1e-4)),
}


def load(name, folder):
    """Return images, labels and which of them are for training."""
    openml, shape, *_ = DATASETS[name]
    if folder is None:
        bunch = fetch_openml(openml, version=1, as_frame=False)
        X, y = bunch.data, np.unique(bunch.target, return_inverse=True)[1]
        training = np.arange(len(y)) < len(y) - 10_000
    else:
        data = np.load(folder / f"{name}.npz")
        X, y, training = data["X"], data["y"], data["split"] == 0
    X = X.reshape(-1, *shape).astype(np.float32)
    # Standardised by channel, with the statistics of the training images.
    axes = (0, 2, 3)
    X -= X[training].mean(axis=axes, keepdims=True)
    X /= X[training].std(axis=axes, keepdims=True)
    return X, y, training


def crop_and_flip(X):
    """Shift each image by up to 4 pixels, and turn every other one round."""
    size = X.shape[-1]
    padded = nn.functional.pad(X, (4, 4, 4, 4))
    row, column = torch.randint(9, (2, len(X), 1, 1), device=X.device)
    steps = torch.arange(size, device=X.device)
    columns = torch.where(torch.rand(len(X), 1, 1, device=X.device) < 0.5, steps, steps.flip(0))
    at = torch.arange(len(X), device=X.device).view(-1, 1, 1)
    moved = padded.permute(0, 2, 3, 1)[at, row + steps.view(1, -1, 1), column + columns]
    return moved.permute(0, 3, 1, 2)


def train(loss, X, y, recipe, augment, width, seed):
    """Train a network by a recipe, and return it."""
    torch.manual_seed(seed)
    name, n_epochs, lr, weight_decay = recipe
    network = NETWORKS[name](*X.shape[1:3], 10, width)
    network = network.to(X.device, memory_format=torch.channels_last)  # faster, on a CPU as well
    optimizer = torch.optim.SGD(network.parameters(), lr, momentum=0.9, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_epochs)
    for _ in range(n_epochs):
        order = torch.randperm(len(y), device=X.device)
        # No batch of one row: batch normalisation cannot do with it.
        for rows in order.tensor_split(max(1, round(len(y) / 128))):
            batch = crop_and_flip(X[rows]) if augment else X[rows]
            optimizer.zero_grad()
            loss(network(batch), y[rows]).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
        schedule.step()
    return network.eval()


@torch.no_grad()
def accuracy(network, X, y):
    predicted = torch.cat([network(batch).argmax(-1) for batch in X.split(1000)])
    return (predicted == y).double().mean().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="CSV file to append to")
    parser.add_argument("--dataset", choices=DATASETS, default="cifar10")
    parser.add_argument("--data", type=Path, help="folder of .npz files")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--network", choices=NETWORKS, help="instead of that of the recipe")
    parser.add_argument("--epochs", type=int, help="instead of those of the recipe")
    parser.add_argument("--images", type=int, help="for training; default: all")
    parser.add_argument("--test-images", type=int, help="for testing; default: all")
    parser.add_argument("--width", type=float, default=1.0, help="factor of the channels")
    parser.add_argument("--losses", nargs="+", choices=LOSSES, default=list(LOSSES))
    parser.add_argument("--noises", nargs="+", default=[f"{n}:{rate}" for n, rate in NOISES])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()

    _, _, augment, (network, n_epochs, *rates) = DATASETS[arguments.dataset]
    recipe = (arguments.network or network, arguments.epochs or n_epochs, *rates)
    X, y, training = load(arguments.dataset, arguments.data)
    n_images = arguments.images or int(training.sum())
    device = torch.device(arguments.device).type
    run = (arguments.dataset, recipe[0], arguments.width, n_images, recipe[1], device)

    if not arguments.results.exists():
        arguments.results.write_text(",".join(COLUMNS) + "\n")
    known = pd.read_csv(arguments.results, dtype=str)[COLUMNS[:N_KEYS]].to_numpy()
    done = set(map(tuple, known))
    noises = [noise.split(":") for noise in arguments.noises]
    cells = [
        (noise, float(rate), seed, loss)
        for seed in range(arguments.seeds)
        for noise, rate in noises
        for loss in arguments.losses
    ]
    cells = [cell for cell in cells if tuple(map(str, (*run, *cell))) not in done]

    def on_device(X, y):
        return (torch.as_tensor(part, device=arguments.device) for part in (X, y))

    test = on_device(X[~training][: arguments.test_images], y[~training][: arguments.test_images])
    X_test, y_test = test
    for noise, rate, seed, loss in tqdm(cells):
        rows = np.flatnonzero(training)
        rows = np.random.RandomState(seed).permutation(rows)[:n_images]
        y_noisy = corrupt_labels(y[rows], noise, rate, exact=True, random_state=seed)
        X_train, y_train = on_device(X[rows], y_noisy)
        start = time.perf_counter()
        network = train(LOSSES[loss], X_train, y_train, recipe, augment, arguments.width, seed)
        seconds = time.perf_counter() - start
        scores = f"{accuracy(network, X_test, y_test):.4f}", f"{seconds:.1f}"
        with arguments.results.open("a", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([*run, noise, rate, seed, loss, *scores])


if __name__ == "__main__":
    main()

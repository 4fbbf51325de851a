"""Cost of a training step with each loss, as a ratio to torch.nn.CrossEntropyLoss.

    OMP_NUM_THREADS=1 python benchmarks/loss_cost.py

All losses take turns, and medians are compared: on a busy machine read the ratios, not the times.
Prints Markdown tables.
"""

import argparse
import statistics
import time

import torch
from torch import nn

from robustlabels.losses import available_losses, get_loss


def step_timer(loss, n_classes, width, batch_size):
    """Return a function that makes one training step, or one forward and backward pass."""
    target = torch.randint(n_classes, (batch_size,))
    if width is None:
        logits = torch.randn(batch_size, n_classes, requires_grad=True)

        def step():
            logits.grad = None
            loss(logits, target).backward()

    else:
        network = nn.Sequential(
            *(nn.Linear(50, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()),
            nn.Linear(width, n_classes),
        )
        optimizer = torch.optim.AdamW(network.parameters(), fused=True)
        X = torch.randn(batch_size, 50)

        def step():
            optimizer.zero_grad()
            loss(network(X), target).backward()
            optimizer.step()

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=300, help="timed steps of each loss")
    parser.add_argument("--losses", nargs="+", default=available_losses())
    arguments = parser.parse_args()

    cases = {
        "step 2x256, K=10": (10, 256),
        "step 2x256, K=100": (100, 256),
        "step 2x64, K=10": (10, 64),
        "loss alone, K=10": (10, None),
        "loss alone, K=100": (100, None),
        "loss alone, K=1000": (1000, None),
    }
    ratios = {name: [] for name in arguments.losses}
    for n_classes, width in cases.values():
        losses = {"reference": nn.CrossEntropyLoss()}
        losses |= {name: get_loss(name) for name in arguments.losses}
        steps = {name: step_timer(loss, n_classes, width, 256) for name, loss in losses.items()}
        times = {name: [] for name in steps}
        for _ in range(arguments.rounds):
            for name, step in steps.items():
                start = time.perf_counter()
                step()
                times[name].append(time.perf_counter() - start)
        medians = {name: statistics.median(values[10:]) for name, values in times.items()}
        for name, row in ratios.items():
            row.append(medians[name] / medians["reference"])

    print(f"Ratio to nn.CrossEntropyLoss, batch 256, float32, torch {torch.__version__}\n")
    print("| loss |", " | ".join(cases), "|")
    print("|---|" + "---|" * len(cases))
    for name, row in ratios.items():
        print(f"| {name} |", " | ".join(f"{ratio:.2f}" for ratio in row), "|")


if __name__ == "__main__":
    main()

"""Print the accuracies that train.py has measured, the published ones of CIFAR-10 beside them.

    python benchmarks/papers/table.py benchmarks/papers/fashion_mnist_cpu.csv

Mean and standard deviation over the seeds there are, with their number where it is not the same
everywhere. The published figures are those of table 2 in "epsilon-Softmax: Approximating One-Hot
Vectors for Mitigating Label Noise", NeurIPS 2024, for the same recipe with all images.
"""

import sys

import pandas as pd

PUBLISHED = {
    "ce": "75.5 | 58.5 | 39.2 | 19.0",
    "gce": "86.9 | 82.2 | 68.4 | 25.8",
    "sce": "87.6 | 79.5 | 59.1 | 25.9",
    "nce+rce": "88.4 | 85.1 | 79.2 | 55.3",
    "nce+agce": "89.0 | 85.9 | 80.4 | 50.0",
}


def main():
    results = pd.read_csv(sys.argv[1])
    results["noise"] += " " + results["rate"].map("{:.0%}".format)
    noises, losses = (results[column].unique() for column in ("noise", "loss"))
    print("| loss |", " | ".join(noises), "| CIFAR-10, published: 20% | 40% | 60% | 80% |")
    print("|---|" + "---|" * (len(noises) + 4))
    for loss in losses:
        cells = []
        for noise in noises:
            rows = results[(results["loss"] == loss) & (results["noise"] == noise)]
            values = 100 * rows["accuracy"]
            spread = f" ± {values.std():.1f}" if len(values) > 1 else ""
            cells.append(f"{values.mean():.1f}{spread}" if len(values) else "")
        print(f"| {loss} |", " | ".join(cells), f"| {PUBLISHED.get(loss, ' | ' * 3)} |")
    print(f"\nSeeds: {results.groupby(['loss', 'noise'])['seed'].nunique().agg(['min', 'max'])}")


if __name__ == "__main__":
    main()

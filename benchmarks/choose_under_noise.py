"""How often the best of 12 models is chosen with noisy labels, corrected and not.

    python benchmarks/choose_under_noise.py

The models are simulated: each has its own confusion matrix and is never trained. The label noise
is pair-flip. Prints a Markdown table.
"""

import argparse

import numpy as np

from robustlabels import corrupt_labels
from robustlabels.metrics import noise_corrected_score
from robustlabels.noise import pair_transition

N_CLASSES, N_MODELS = 5, 12


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=500)
    arguments = parser.parse_args()
    print(f"{N_MODELS} models, {N_CLASSES} classes, {arguments.trials} trials\n")
    print("| rows | pair noise | noisy accuracy | corrected accuracy |\n|---|---|---|---|")
    for n in (500, 3000):
        for rate in (0.2, 0.3, 0.4):
            transition = pair_transition(N_CLASSES, rate)
            hits = np.zeros(2)
            for trial in range(arguments.trials):
                rng = np.random.default_rng(trial)
                y = rng.integers(N_CLASSES, size=n)
                y_noisy = corrupt_labels(y, transition, random_state=trial)
                # What a model predicts for a class: right to 60-90 %, errors of its own kind.
                errors = rng.dirichlet(np.ones(N_CLASSES), size=(N_MODELS, N_CLASSES))
                right = rng.uniform(0.6, 0.9, size=(N_MODELS, 1, 1))
                confusion = right * np.eye(N_CLASSES) + (1 - right) * errors
                edges = confusion.cumsum(axis=2)[:, y]
                predictions = (rng.uniform(size=(N_MODELS, n, 1)) > edges[..., :-1]).sum(axis=2)
                truth = confusion.diagonal(axis1=1, axis2=2).mean(axis=1)
                scores = (
                    [(y_noisy == p).mean() for p in predictions],
                    [noise_corrected_score(y_noisy, p, transition) for p in predictions],
                )
                hits += [np.argmax(score) == np.argmax(truth) for score in scores]
            share = hits / arguments.trials
            print(f"| {n} | {rate} | {share[0]:.3f} | {share[1]:.3f} |", flush=True)


if __name__ == "__main__":
    main()

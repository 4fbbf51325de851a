"""Error of the estimated transition matrix, against cleanlab's given the same probabilities.

    OMP_NUM_THREADS=1 python benchmarks/estimate_transition.py

The error is the total variation distance of a row, averaged over rows. Noise is injected into
tables that come with scikit-learn. Needs the extra "benchmark". Prints a Markdown table.
"""

import argparse

import cleanlab
import numpy as np
import sklearn
from cleanlab.count import estimate_py_and_noise_matrices_from_probabilities
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from robustlabels import UnhingedClassifier, corrupt_labels
from robustlabels.metrics import estimate_transition_matrix
from robustlabels.noise import pair_transition, symmetric_transition

TRANSITIONS = {"symmetric": symmetric_transition, "pair": pair_transition}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    models = {
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=1000)),
        "forest": RandomForestClassifier(random_state=0),
        "unhinged": make_pipeline(StandardScaler(), UnhingedClassifier()),
    }
    print(
        f"Mean row total variation, mean of {arguments.seeds} seeds, ours / cleanlab's; "
        f"scikit-learn {sklearn.__version__}, cleanlab {cleanlab.__version__}\n"
    )
    print("| table | noise |", " | ".join(models), "|")
    print("|---|---|" + "---|" * len(models))
    for load in (load_digits, load_breast_cancer, load_wine):
        X, y = load(return_X_y=True)
        for noise, rate in (("symmetric", 0.2), ("symmetric", 0.4), ("pair", 0.3)):
            transition = TRANSITIONS[noise](y.max() + 1, rate)
            errors = {name: [] for name in models}
            for seed in range(arguments.seeds):
                y_noisy = corrupt_labels(y, transition, random_state=seed)
                cv = StratifiedKFold(5, shuffle=True, random_state=seed)
                for name, model in models.items():
                    proba = cross_val_predict(model, X, y_noisy, cv=cv, method="predict_proba")
                    ours = estimate_transition_matrix(y_noisy, proba)
                    # cleanlab's noise matrix has true classes in its columns.
                    theirs = estimate_py_and_noise_matrices_from_probabilities(y_noisy, proba)[1].T
                    errors[name].append(
                        [np.abs(T - transition).sum(axis=1).mean() / 2 for T in (ours, theirs)]
                    )
            cells = ["{:.3f} / {:.3f}".format(*np.mean(e, axis=0)) for e in errors.values()]
            print(f"| {load.__name__[5:]} | {noise} {rate} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()

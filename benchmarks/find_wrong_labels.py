"""Which labels are wrong: label_quality against cleanlab, by the area under the ROC curve.

    OMP_NUM_THREADS=1 python benchmarks/find_wrong_labels.py

The wrong labels are injected into tables that come with scikit-learn. "forest" is cleanlab's
self-confidence of out-of-fold probabilities of a random forest. The network learns the labels as
given: with the default, RobustClassifier would search for wrong labels by itself before. Needs the
extra "benchmark". Prints a Markdown table.
"""

import argparse

import cleanlab
import numpy as np
import sklearn
import torch
from cleanlab.rank import get_label_quality_scores
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from robustlabels import RobustClassifier, corrupt_labels
from robustlabels.metrics import label_quality

#: The network on the labels as given.
AS_GIVEN = {"transition_matrix": None, "max_epochs": 40, "lr": 0.004}
SGCE = {"loss": "sgce", "q": 0.6, **AS_GIVEN}


def cleanlab_quality(estimator, X, y, seed):
    cv = StratifiedKFold(5, shuffle=True, random_state=seed)
    proba = cross_val_predict(estimator, X, y, cv=cv, method="predict_proba")
    return get_label_quality_scores(y, proba, method="self_confidence")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    methods = {
        "SGCE": lambda X, y, seed: label_quality(
            RobustClassifier(**SGCE, random_state=seed), X, y, random_state=seed
        )[0],
        "cross-entropy": lambda X, y, seed: label_quality(
            RobustClassifier("ce", **AS_GIVEN, random_state=seed), X, y, random_state=seed
        )[0],
        "cleanlab, SGCE": lambda X, y, seed: cleanlab_quality(
            RobustClassifier(**SGCE, random_state=seed), X, y, seed
        ),
        "cleanlab, forest": lambda X, y, seed: cleanlab_quality(
            RandomForestClassifier(random_state=seed), X, y, seed
        ),
    }
    print(
        f"Area under the ROC curve, mean and standard deviation of {arguments.seeds} seeds; "
        f"torch {torch.__version__}, scikit-learn {sklearn.__version__}, "
        f"cleanlab {cleanlab.__version__}\n"
    )
    print("| table | noise |", " | ".join(methods), "|")
    print("|---|---|" + "---|" * len(methods))
    for load in (load_digits, load_breast_cancer, load_wine):
        X, y = load(return_X_y=True)
        for noise, rate in (("symmetric", 0.2), ("symmetric", 0.4), ("pair", 0.3)):
            areas = {name: [] for name in methods}
            for seed in range(arguments.seeds):
                y_noisy, wrong = corrupt_labels(y, noise, rate, random_state=seed, return_mask=True)
                for name, method in methods.items():
                    areas[name].append(roc_auc_score(~wrong, method(X, y_noisy, seed)))
            cells = [f"{np.mean(a):.3f} ± {np.std(a):.3f}" for a in areas.values()]
            print(f"| {load.__name__[5:]} | {noise} {rate} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()

"""Do the intervals of CleanScores hold the true score? Drawn problems, easy ones and hard ones.

    OMP_NUM_THREADS=1 python benchmarks/honest_scores.py

Each draw has 1000 rows to learn from and 1000 to judge by, all with noisy labels, of normal classes
in 8 dimensions, and a logistic regression, whose true accuracy is that on 10 000 more rows with
clean labels. Prints a Markdown table of 95 % intervals of the accuracy: the share that holds the
true one, their mean width, and the mean error of the estimate, with the noise known, and estimated
from the rows to judge by; beside it the interval that takes estimate_transition_matrix for the
truth. The noise is known in --known draws, for which the coverage of the balanced accuracy and of
the recalls stands there, too, and estimated in the first --estimated.
"""

import argparse
import warnings

import numpy as np
import sklearn
from joblib import Parallel, delayed
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, recall_score
from sklearn.model_selection import cross_val_predict
from tqdm import tqdm

from robustlabels import CleanScores, corrupt_labels
from robustlabels.metrics import estimate_transition_matrix, noise_corrected_score
from robustlabels.noise import pair_transition, symmetric_transition

N_ROWS, N_MORE, N_FEATURES = 1000, 10_000, 8
#: Classes: how far their centres are from the origin, where they are easy to tell apart and hard.
PROBLEMS = {2: {"easy": 2.0, "hard": 0.6}, 5: {"easy": 4.5, "hard": 1.7}}
NOISES = {
    "none": lambda n_classes: np.eye(n_classes),
    "symmetric 0.3": lambda n_classes: symmetric_transition(n_classes, 0.3),
    "pair 0.3": lambda n_classes: pair_transition(n_classes, 0.3),
}
CELLS = [
    (n_classes, difficulty, noise)
    for n_classes, difficulties in PROBLEMS.items()
    for difficulty in difficulties
    for noise in NOISES
    if (n_classes, noise) != (2, "pair 0.3")  # the same as symmetric
]


def draw(cell, seed):
    """Return a fitted classifier, rows to judge it by, their noisy labels, the noise, the rest."""
    n_classes, difficulty, noise = cell
    rng = np.random.RandomState(seed)
    centres = rng.normal(size=(n_classes, N_FEATURES))
    centres -= centres.mean(axis=0)
    distance = PROBLEMS[n_classes][difficulty]
    centres *= distance / np.linalg.norm(centres, axis=1, keepdims=True)
    y = rng.randint(n_classes, size=2 * N_ROWS + N_MORE)
    X = centres[y] + rng.normal(size=(len(y), N_FEATURES))
    T = NOISES[noise](n_classes)
    # Not the seed of the rows: the same draws would decide on classes and on wrong labels.
    given = corrupt_labels(y[: 2 * N_ROWS], T, random_state=10_000 + seed)
    clf = LogisticRegression(max_iter=1000).fit(X[:N_ROWS], given[:N_ROWS])
    test, more = slice(N_ROWS, 2 * N_ROWS), slice(2 * N_ROWS, None)
    return clf, X[test], given[test], T, clf.predict(X[more]), y[more]


def judge(estimate, truth):
    return [estimate.low <= truth <= estimate.high, estimate.high - estimate.low,
            estimate.value - truth]  # fmt: skip


def with_noise_known(cell, seed):
    clf, X, y, T, predicted, truth = draw(cell, seed)
    scores = CleanScores.from_estimator(clf, X, y, transition_matrix=T)
    recalls = zip(scores.recall.values(), recall_score(truth, predicted, average=None), strict=True)
    return [
        np.mean(predicted == truth),
        *judge(scores.accuracy, np.mean(predicted == truth)),
        judge(scores.balanced_accuracy, balanced_accuracy_score(truth, predicted))[0],
        np.mean([judge(*pair)[0] for pair in recalls]),
    ]


def with_noise_estimated(cell, seed):
    warnings.simplefilter("ignore")
    clf, X, y, _, predicted, truth = draw(cell, seed)
    accuracy = np.mean(predicted == truth)
    scores = CleanScores.from_estimator(clf, X, y, random_state=seed)
    proba = cross_val_predict(clf, X, y, method="predict_proba")
    mean, error = noise_corrected_score(
        y, clf.predict(X), estimate_transition_matrix(y, proba), return_std_error=True
    )
    naive = abs(mean - accuracy) <= 1.96 * error
    return [*judge(scores.accuracy, accuracy), naive, 2 * 1.96 * error]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--known", type=int, default=500, help="draws with the noise known")
    parser.add_argument("--estimated", type=int, default=20, help="draws with it estimated")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    print(f"scikit-learn {sklearn.__version__}\n")
    print(
        "| problem | noise | accuracy | known: holds | width | error | balanced holds | "
        "recalls hold | estimated: holds | width | error | naive: holds | width |"
    )
    print("|---|---|" + "---|" * 11)
    parallel = Parallel(arguments.jobs)
    for cell in tqdm(CELLS):
        known = parallel(delayed(with_noise_known)(cell, s) for s in range(arguments.known))
        estimated = parallel(
            delayed(with_noise_estimated)(cell, s) for s in range(arguments.estimated)
        )
        figures = " | ".join(
            f"{value:.3f}" for value in (*np.mean(known, axis=0), *np.mean(estimated, axis=0))
        )
        n_classes, difficulty, noise = cell
        print(f"| {n_classes} classes, {difficulty} | {noise} | {figures} |", flush=True)


if __name__ == "__main__":
    main()

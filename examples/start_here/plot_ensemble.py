"""
===================================
Trees, a network or a linear model?
===================================

Trees are best at sharp edges, networks at curved borders, linear models at straight ones, and you
rarely know which ones your table has. ``RobustEnsembleClassifier`` trains all three on the
probabilities of the true labels. It weights them by how well they predict labels they have not
seen.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from sklearn.datasets import make_moons
from sklearn.ensemble import RandomForestClassifier

from robustlabels import RobustClassifier, RobustEnsembleClassifier, corrupt_labels

# %%
# Three problems with two features. 1200 rows with 30 % wrong labels are for training, 2000 clean
# ones for testing.

rng = np.random.RandomState(0)
squares = rng.uniform(-1, 1, size=(3200, 2))
slope = rng.normal(size=(3200, 2))
problems = {
    "Checkerboard": (squares, np.floor(2 * squares).sum(axis=1).astype(int) % 2),
    "Moons": make_moons(3200, noise=0.25, random_state=0),
    "A straight line": (slope, np.int64(slope @ [1.0, 0.6] > 0)),
}
models = {
    "RandomForest, leaf 10": RandomForestClassifier(min_samples_leaf=10, random_state=0),
    "RobustClassifier": RobustClassifier(random_state=0),
    "RobustEnsembleClassifier": RobustEnsembleClassifier(random_state=0),
}

# %%
# The borders that the models draw, and their accuracy on clean labels. The printed weights show
# which learners the ensemble relies on.

figure, axes = plt.subplots(3, 3, figsize=(8, 8), layout="constrained")
colors = ListedColormap(["#d55e00", "#0072b2"])
for row, (problem, (X, y)) in zip(axes, problems.items(), strict=True):
    y_noisy = corrupt_labels(y[:1200], "symmetric", 0.3, exact=True, random_state=1)
    x1, x2 = np.meshgrid(
        *(np.linspace(low, high, 120) for low, high in zip(X.min(0), X.max(0), strict=True))
    )
    for axis, (name, model) in zip(row, models.items(), strict=True):
        score = model.fit(X[:1200], y_noisy).score(X[1200:], y[1200:])
        proba = model.predict_proba(np.column_stack([x1.ravel(), x2.ravel()]))[:, 1]
        axis.contourf(x1, x2, proba.reshape(x1.shape), 20, cmap="PuOr", vmin=0, vmax=1, alpha=0.8)
        axis.scatter(*X[:1200].T, c=y_noisy, s=3, cmap=colors)
        axis.set(xticks=[], yticks=[], xlabel=f"{score:.1%} right")
        if problem == "Checkerboard":
            axis.set_title(name, fontsize=10)
    row[0].set_ylabel(problem)
    weights = models["RobustEnsembleClassifier"].learner_weights_
    print(f"{problem:16}", *(f"{name} {weight:.2f} " for name, weight in weights.items()))
plt.show()

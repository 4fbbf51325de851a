"""
=================================
Choosing a loss with noisy labels
=================================

All labels at hand are noisy, those to choose with too. ``RobustSearchCV`` compares candidates by
how probable the noisy labels are under their probabilities and the noise that it finds, and trains
those together that share an architecture. Here it chooses a loss for handwritten digits, 40 % of
whose labels are wrong, and whether to refine them. What the candidates are worth on clean labels
is looked up afterwards.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, train_test_split

from robustlabels import RobustClassifier, RobustSearchCV, corrupt_labels

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.4, stratify=y, random_state=0)
y_noisy = corrupt_labels(y, "symmetric", 0.4, random_state=0)

# %%
# The default, and a search over eight candidates: accuracy on clean test labels, and seconds.

network = RobustClassifier(hidden_layer_sizes=(64, 64), n_members=2, max_epochs=20, random_state=0)
grid = {"transition_matrix": ["estimate", None], "loss": ["ce", "sgce", "gce", "mae"]}
folds = StratifiedKFold(3, shuffle=True, random_state=0)
search = RobustSearchCV(network, grid, cv=folds, random_state=0)
for name, classifier in {"default": clone(network), "search": search}.items():
    start = time.perf_counter()
    classifier.fit(X, y_noisy)
    taken = time.perf_counter() - start
    print(f"{name}: accuracy {classifier.score(X_test, y_test):.3f}, {taken:.1f} s")
print("chosen:", search.best_params_)

# %%
# What nobody knows in earnest: what the candidates are worth on clean labels. The same search says
# it where its only split is that of the noisy and the clean rows.

rows = np.arange(len(X) + len(X_test))
clean = clone(search).set_params(
    cv=[(rows[: len(X)], rows[len(X) :])], scoring="accuracy", refit=False
)
clean.fit(np.concatenate([X, X_test]), np.concatenate([y_noisy, y_test]))

# %%
# The eight lie within two points. A search need not know how good a candidate is, only which ones
# are better than others: to the right in the plot is to be above.

score, accuracy = (found.cv_results_["mean_test_score"] for found in (search, clean))
plt.style.use("seaborn-v0_8-colorblind")
_, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
ax.plot(score, accuracy, "o")
best = search.best_index_
ax.plot(score[best], accuracy[best], "o", ms=14, mfc="none", mec="0.2", label="chosen")
for params, x, height in zip(search.cv_results_["params"], score, accuracy, strict=True):
    how = "refined" if params["transition_matrix"] else "as given"
    ax.annotate(
        f"{params['loss'].upper()}, {how}", (x, height), xytext=(0, 8), ha="center",
        textcoords="offset points", fontsize="small",
    )  # fmt: skip
ax.margins(0.15)
ax.set(
    xlabel="What the search sees: log likelihood of noisy labels",
    ylabel="Accuracy on clean test labels",
    title="Eight candidates: the search takes the one on the right",
)
ax.legend(loc="lower right")
plt.show()

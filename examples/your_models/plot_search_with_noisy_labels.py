"""
===============================================
Can I choose hyperparameters with noisy labels?
===============================================

Yes. ``RobustSearchCV`` needs no clean labels. It compares candidates by how probable the noisy
labels are under their predictions and the noise that it estimates, and trains those with the same
architecture together. Here it chooses among eight networks for handwritten digits, of which 40 %
of the labels are wrong.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, train_test_split

from robustlabels import RobustClassifier, RobustSearchCV, corrupt_labels

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, train_size=800, stratify=y, random_state=0)
y_noisy = corrupt_labels(y, "symmetric", 0.4, random_state=0)

# %%
# The candidates differ in their loss, in dropout, and in whether they refine the labels first.

network = RobustClassifier(hidden_layer_sizes=(64, 64), n_members=1, max_epochs=15, random_state=0)
grid = {"transition_matrix": ["estimate", None], "loss": ["ce", "gce"], "dropout": [0.0, 0.5]}
folds = StratifiedKFold(3, shuffle=True, random_state=0)
search = RobustSearchCV(network, grid, cv=folds, random_state=0).fit(X, y_noisy)
print("chosen:", search.best_params_)
print(f"accuracy on clean test labels: {search.score(X_test, y_test):.3f}")

# %%
# How good was the choice? To find out, a second search trains each candidate on the noisy labels
# and scores it on the clean test labels, which nobody has in practice.

rows = np.arange(len(X) + len(X_test))
clean = clone(search).set_params(
    cv=[(rows[: len(X)], rows[len(X) :])], scoring="accuracy", refit=False
)
clean.fit(np.concatenate([X, X_test]), np.concatenate([y_noisy, y_test]))

# %%
# The search sees the horizontal axis only. The candidate on the right is its choice, and here it is
# also the most accurate one. Where scores are nearly equal, the search can hardly tell which
# candidate is better.

score, accuracy = (found.cv_results_["mean_test_score"] for found in (search, clean))
for params, *values in zip(search.cv_results_["params"], score, accuracy, strict=True):
    print(params, *(f"{value:.3f}" for value in values))
as_given = np.array([p["transition_matrix"] is None for p in search.cv_results_["params"]])
plt.style.use("seaborn-v0_8-colorblind")
_, ax = plt.subplots(figsize=(5.4, 3.8), layout="constrained")
ax.plot(score[~as_given], accuracy[~as_given], "o", ms=8, label="refined labels")
ax.plot(score[as_given], accuracy[as_given], "D", ms=8, label="labels as given")
best = search.best_index_
ax.plot(score[best], accuracy[best], "o", ms=18, mfc="none", mec="0.2", label="chosen")
ax.yaxis.set_major_formatter("{x:.0%}")
ax.margins(0.1)
ax.set(
    xlabel="Score of the search, from noisy labels",
    ylabel="Accuracy on clean test labels",
    title="Eight candidates",
)
ax.legend(loc="upper left")
plt.show()

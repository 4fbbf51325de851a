"""
==================================
Calibration, when labels are wrong
==================================

``CalibratedClassifierCV`` makes probabilities honest about the labels it sees. Where these are
noisy, it calibrates to the noise: a prediction that is almost certainly right, but of whose labels
a third is wrong, is called two thirds sure at most, give or take. With noisy labels alone it is
better left out: ``RobustClassifier`` has a temperature of its own, which takes the noise into
account, and is only a little too modest. A few clean rows, where there are any, make its
probabilities better.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from robustlabels import RobustClassifier, corrupt_labels

X, y = load_digits(return_X_y=True)
X_rest, X_test, y_rest, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)
X_train, X_clean, y_train, y_clean = train_test_split(
    X_rest, y_rest, test_size=100, stratify=y_rest, random_state=0
)
y_noisy = corrupt_labels(y_train, "symmetric", 0.33, random_state=0)

# %%
# One classifier as it is, one calibrated with its own noisy labels by cross-validation,
# and the first one again, calibrated with 100 rows whose labels are right.

classifier = RobustClassifier(n_members=1, random_state=0).fit(X_train, y_noisy)
models = {
    "as it is": classifier,
    "with the noisy labels": CalibratedClassifierCV(
        RobustClassifier(n_members=1, random_state=0), method="temperature", cv=3
    ).fit(X_train, y_noisy),
    "with 100 clean rows": CalibratedClassifierCV(
        FrozenEstimator(classifier), method="temperature"
    ).fit(X_clean, y_clean),
}

# %%
# How sure each is of its predictions on the test rows, how often it is right, and the log loss of
# its probabilities, all on clean labels.

print(f"{'calibrated':22} mean confidence  accuracy  log loss")
bins = np.linspace(0, 1, 11)
curves = {}
for name, model in models.items():
    probabilities = model.predict_proba(X_test)
    sure, right = probabilities.max(axis=1), model.predict(X_test) == y_test
    loss = log_loss(y_test, probabilities)
    print(f"{name:22} {sure.mean():15.3f} {right.mean():9.3f} {loss:9.3f}")
    bin_of = np.digitize(sure, bins)
    filled = [b for b in np.unique(bin_of) if np.sum(bin_of == b) >= 20]
    curves[name] = np.array([(sure[bin_of == b].mean(), right[bin_of == b].mean()) for b in filled])

# %%
# On the diagonal a classifier is right as often as it says. Above it, it is too modest.

plt.style.use("seaborn-v0_8-colorblind")
_, ax = plt.subplots(figsize=(5.6, 5), layout="constrained")
ax.plot([0, 1], [0, 1], color="0.7", linestyle=":")
for marker, (name, curve) in zip("osD", curves.items(), strict=True):
    ax.plot(*curve.T, marker=marker, label=name)
ax.set(
    xlim=(0, 1.02),
    ylim=(0, 1.02),
    xlabel="Probability of the predicted class",
    ylabel="Share of predictions that are right",
    title="Digits, a third of the training labels wrong",
)
ax.legend(loc="lower right")
plt.show()

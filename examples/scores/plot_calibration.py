"""
==================================
Can I calibrate with noisy labels?
==================================

Better not. ``CalibratedClassifierCV`` fits probabilities to the labels it sees. If a third of them
is wrong, a prediction that is almost certainly right comes out at two thirds.

``RobustClassifier`` takes the noise into account when it scales its probabilities, and is only a
little too modest. A few clean rows, if you have any, make the probabilities better still.
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
# One classifier as it is, one calibrated by cross-validation on its own noisy labels, and the first
# one calibrated on 100 rows whose labels are right.

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
# How confident each one is on the test rows, how often it is right, and the log loss of its
# probabilities, all on clean labels.

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
# On the diagonal, a classifier is right as often as it says. Above the diagonal, it is too modest.

plt.style.use("seaborn-v0_8-colorblind")
_, ax = plt.subplots(figsize=(5, 4.4), layout="constrained")
ax.plot([0, 1], [0, 1], color="0.7", linestyle=":")
for marker, (name, curve) in zip("osD", curves.items(), strict=True):
    ax.plot(*curve.T, marker=marker, label=name)
ax.set(
    xlim=(0, 1.02),
    ylim=(0, 1.02),
    xlabel="Probability of the predicted class",
    ylabel="Share of right predictions",
    title="A third of the training labels wrong",
)
ax.legend(loc="lower right")
plt.show()

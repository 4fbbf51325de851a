"""
====================================
Which classes could be the true one?
====================================

A prediction set is a set of classes that holds the true one with a probability that you choose.
Conformal prediction makes such sets, but needs clean labels. With noisy labels the sets learn to
hold the noisy label as well, and grow. ``NoisyConformalClassifier`` takes the noise into account.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

from robustlabels import LabelRefiner, NoisyConformalClassifier, corrupt_labels
from robustlabels.noise import symmetric_transition

# %%
# One in five labels of the digits is wrong. A third of the rows is for training, a third for
# conformalizing, and a third, with clean labels, for testing.

X, y = load_digits(return_X_y=True)
T = symmetric_transition(10, 0.2)
y_noisy = corrupt_labels(y, T, random_state=0)
parts = np.array_split(np.random.RandomState(0).permutation(len(y)), 3)
(X_train, y_train), (X_calib, y_calib) = ((X[rows], y_noisy[rows]) for rows in parts[:2])
X_test, y_test = X[parts[2]], y[parts[2]]
forest = RandomForestClassifier(min_samples_leaf=5, random_state=0).fit(X_train, y_train)

# %%
# Sets of several levels, with the labels taken as given, with the noise known, and with the noise
# estimated. With the labels as given, no small set holds more than 80 % of the noisy labels,
# because only so many are right. Above that level the sets blow up. With the noise taken into
# account the sets stay small. They hold the true class about as often as you ask for, the dotted
# line. With 600 rows for conformalizing, a single draw misses it by a few points.

levels = [0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
_, axes = plt.subplots(1, 2, figsize=(7.6, 3.6), layout="constrained")
estimated = LabelRefiner(random_state=0).fit(X_calib, y_calib)
noises = {"as given": None, "noise known": T, "noise estimated": estimated}
for marker, (name, noise) in zip("s^o", noises.items(), strict=True):
    sets = NoisyConformalClassifier(forest, levels, transition_matrix=noise)
    y_pred, y_set = sets.conformalize(X_calib, y_calib).predict_set(X_test)
    holds = y_set[np.arange(len(y_test)), y_test].mean(axis=0)
    size = y_set.sum(axis=1).mean(axis=0)
    print(f"{name}: at 90 % {holds[4]:.3f} of the sets hold the true label, {size[4]:.1f} classes")
    axes[0].plot(levels, holds, f"{marker}-", label=name)
    axes[1].plot(levels, size, f"{marker}-", label=name)
axes[0].axline((0.9, 0.9), slope=1, color="#000000", lw=1, ls=":")
axes[0].set(xlabel="Level you ask for", ylabel="Sets that hold the true class")
axes[1].set(xlabel="Level you ask for", ylabel="Classes in a set")
axes[0].legend()
plt.show()

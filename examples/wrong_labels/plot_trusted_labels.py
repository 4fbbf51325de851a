"""
====================================
How much do 100 checked labels help?
====================================

Where classes overlap, a wrong label looks much like a hard row. A few labels that somebody has
checked show the difference. The rows that have a given and a true label show what the noise is
like.
"""

import matplotlib.pyplot as plt
import numpy as np

from robustlabels import LabelRefiner, corrupt_labels

rng = np.random.RandomState(0)
y = np.arange(1200) % 3
X = np.eye(3)[y] + 0.9 * rng.normal(size=(1200, 3))
T = np.array([[0.6, 0.4, 0.0], [0.0, 0.8, 0.2], [0.1, 0.1, 0.8]])
y_given = corrupt_labels(y, T, random_state=0)

# %%
# `trusted` holds the true labels of the rows that were checked, and NaN for all others.

order = rng.permutation(len(y))
numbers = [0, 50, 100, 200, 400]
errors, shares, widths = [], [], []
for n_checked in numbers:
    checked = np.isin(np.arange(len(y)), order[:n_checked])
    refiner = LabelRefiner(random_state=0)
    refiner.fit(X, y_given, trusted=np.where(checked, y, np.nan))
    errors.append(np.abs(refiner.transition_matrix_ - T).sum(axis=1).mean() / 2)
    best = refiner.label_probabilities_.argmax(axis=1)
    shares.append(np.mean((best == y)[order[max(numbers) :]]))
    low, high = refiner.n_wrong_interval_
    widths.append(high - low)
    print(
        f"{n_checked:3} checked: error of the noise {errors[-1]:.3f}, right {shares[-1]:.3f}, "
        f"{low} to {high} wrong labels"
    )
print(f"in truth {np.sum(y != y_given)}")

# %%
# Left, the error of the estimated noise. In the middle, the share of labels that are right after
# refining, among rows that nobody checked. Right, the width of the interval of the number of wrong
# labels. Most is gained by the first 100.

_, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
axes[0].plot(numbers, errors, "o-", color="#0072b2")
axes[0].set(xlabel="Checked labels", ylabel="Error of the estimated noise", ylim=(0, None))
axes[1].plot(numbers, shares, "s-", color="#d55e00")
axes[1].set(xlabel="Checked labels", ylabel="Right labels, unchecked rows")
axes[2].plot(numbers, widths, "^-", color="#009e73")
axes[2].set(xlabel="Checked labels", ylabel="Width of the 90 % interval", ylim=(0, None))
plt.show()

"""
====================================
How much do 100 checked labels help?
====================================

Where classes overlap, a wrong label looks much like a hard row. A few labels that somebody has
checked show the difference. Keep the given labels in one column and put the checked ones in a
second column. The rows that have both show what the noise is like.
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
# The checked labels are trusted answers in a second column, which is NaN for all other rows.

order = rng.permutation(len(y))
numbers = [0, 50, 100, 200, 400]
errors, shares = [], []
for n_checked in numbers:
    checked = np.isin(np.arange(len(y)), order[:n_checked])
    refiner = LabelRefiner(random_state=0)
    if n_checked == 0:
        found = refiner.fit(X, y_given).transition_matrix_
    else:
        both = np.column_stack([y_given, np.where(checked, y, np.nan)])
        trusted = np.column_stack([np.zeros(len(y), bool), checked])
        found = refiner.fit(X, both, trusted=trusted).annotator_transitions_[0]
    errors.append(np.abs(found - T).sum(axis=1).mean() / 2)
    best = refiner.label_probabilities_.argmax(axis=1)
    shares.append(np.mean((best == y)[order[max(numbers) :]]))
    print(f"{n_checked:3} checked: error of the noise {errors[-1]:.3f}, right {shares[-1]:.3f}")

# %%
# Left, the error of the estimated noise. Right, the share of labels that are right after refining,
# among rows that nobody checked. Most is gained by the first 100.

_, axes = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained")
axes[0].plot(numbers, errors, "o-", color="#0072b2")
axes[0].set(xlabel="Checked labels", ylabel="Error of the estimated noise", ylim=(0, None))
axes[1].plot(numbers, shares, "s-", color="#d55e00")
axes[1].set(xlabel="Checked labels", ylabel="Right labels, unchecked rows")
plt.show()

"""
==========================
How many labels are wrong?
==========================

``find_wrong_labels`` takes a data frame as it is, with categories, missing values and text labels.
It says how many labels are wrong, with an interval, and lists the most doubtful ones first. Here
the expected number is close to the true one. The interval shows how certain it is.

The table describes tumours. To make it like a table at work, the radius becomes a category, one
entry in twenty is removed, and one label in ten is swapped.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer

from robustlabels import LabelRefiner, corrupt_labels, find_wrong_labels

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
y = y.map({0: "malignant", 1: "benign"})
X["mean radius"] = pd.qcut(X["mean radius"], 4, labels=["small", "medium", "large", "huge"])
X = X.mask(np.random.default_rng(0).random(X.shape) < 0.05)
y_noisy, wrong = corrupt_labels(y, "symmetric", 0.1, exact=True, random_state=0, return_mask=True)
print(X.iloc[:4, :3])

# %%
# How many labels are wrong, and which ones. The index is that of the labels, here the number of the
# row. Start at the top, and check as many labels as are expected to be wrong.

labels = find_wrong_labels(X, y_noisy, random_state=0)
n_wrong, (low, high) = round(labels.attrs["n_wrong"]), labels.attrs["n_wrong_interval"]
print(f"{n_wrong} of {len(labels)} labels are wrong, {low} to {high} with a probability of 90 %")
print(f"in truth {wrong.sum()} are wrong")
print(labels.head())
print(f"{wrong[labels.index[:n_wrong]].mean():.0%} of the first {n_wrong} are wrong")

# %%
# The same for other shares of wrong labels. ``LabelRefiner`` has the numbers as attributes.

rates = [0.0, 0.05, 0.1, 0.2, 0.3, 0.4]
true, expected, intervals = [], [], []
for rate in rates:
    y_noisy, wrong = corrupt_labels(
        y, "symmetric", rate, exact=True, random_state=0, return_mask=True
    )
    refiner = LabelRefiner(random_state=0).fit(X, y_noisy)
    true.append(wrong.sum())
    expected.append(refiner.n_wrong_)
    intervals.append(refiner.n_wrong_interval_)
    low, high = refiner.n_wrong_interval_
    print(f"{true[-1]:3} wrong, {expected[-1]:3.0f} expected, interval from {low} to {high}")

# %%
# The expected number stays near the truth, but the interval grows. Where it reaches down to 0, the
# data do not rule out that all labels are right: a hard task looks much like many wrong labels.

_, axes = plt.subplots(figsize=(5.4, 3.8), layout="constrained")
axes.axline((0, 0), slope=1, color="#000000", lw=1, ls=":", label="the true number")
low, high = np.transpose(intervals)
axes.vlines(true, low, high, color="#56b4e9", lw=5, label="interval, 90 %")
axes.plot(true, expected, "o", color="#d55e00", label="expected number")
axes.set(
    xlabel="Labels that are wrong",
    ylabel="Labels said to be wrong",
    title="569 tumours of two classes",
)
axes.legend(loc="upper left")
plt.show()

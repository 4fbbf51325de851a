"""
=============================
Which of my labels are wrong?
=============================

``find_wrong_labels`` gives each label its probability of being wrong, and lists the most doubtful
ones first. Here one label in ten of the handwritten digits is replaced by another digit.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.svm import SVC

from robustlabels import corrupt_labels, find_wrong_labels
from robustlabels.metrics import label_quality

X, y = load_digits(return_X_y=True)
y_noisy, wrong = corrupt_labels(y, "symmetric", 0.1, random_state=0, return_mask=True)

labels = find_wrong_labels(X, y_noisy, random_state=0)
n_wrong = round(labels.attrs["n_wrong"])
print(labels.head())
print(f"{n_wrong} labels are expected to be wrong, {wrong.sum()} are")
print(f"{wrong[labels.index[:n_wrong]].mean():.0%} of the first {n_wrong} are wrong")

# %%
# You can also rank the labels by a classifier of your own. ``label_quality`` asks it about labels
# that it was not trained on. The ranking has no probabilities, and does not say where to stop.

quality, _ = label_quality(SVC(gamma=0.001), X, y_noisy, random_state=0)
by_probability = labels["wrong_probability"].sort_index()
print(f"area under the ROC curve: {roc_auc_score(wrong, by_probability):.3f}")
print(f"the same by label_quality: {roc_auc_score(wrong, -quality):.3f}")

# %%
# The nine labels that are most probably wrong, each with the suggested digit.

_, axes = plt.subplots(3, 3, figsize=(5.4, 6), layout="constrained")
for ax, (row, label) in zip(axes.flat, labels.iterrows(), strict=False):
    ax.imshow(X[row].reshape(8, 8), cmap="gray_r")
    right = "" if wrong[row] else " (right)"
    ax.set_title(f"{label['label']:.0f} → {label['suggested']:.0f}{right}", fontsize=20)
    ax.set_axis_off()
plt.show()

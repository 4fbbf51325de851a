"""
=============================
Which of my labels are wrong?
=============================

``label_quality`` asks a robust classifier, which has not seen a label, what it thinks of it. Here
10 % of the labels of the digits are swapped for the next digit; the sixteen most doubtful ones are
drawn. The probabilities of the same classifier also serve cleanlab, where it is installed
(``pip install "robustlabels[benchmark]"``).
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from robustlabels import RobustClassifier, corrupt_labels
from robustlabels.metrics import estimate_noise_rate, label_quality

X, y = load_digits(return_X_y=True)
y_noisy, wrong = corrupt_labels(y, "pair", 0.1, random_state=0, return_mask=True)

classifier = RobustClassifier(n_members=1, random_state=0)
quality, suggested = label_quality(classifier, X, y_noisy, random_state=0)
area = roc_auc_score(wrong, -quality)
doubtful = quality < 0
print(f"area under the ROC curve: {area:.3f}")
print(f"{doubtful.sum()} labels in doubt, of which {wrong[doubtful].mean():.0%} are wrong")
print(f"of all wrong labels, {doubtful[wrong].mean():.0%} are in doubt")
print(f"suggested labels that are right, among them: {(suggested == y)[doubtful].mean():.0%}")

# %%
# The same out-of-fold predictions as probabilities, for cleanlab and for the noise rate.

proba = cross_val_predict(classifier, X, y_noisy, cv=5, method="predict_proba")
print(f"estimated noise rate: {estimate_noise_rate(y_noisy, proba):.3f}")
try:
    from cleanlab.filter import find_label_issues
except ImportError:
    print("cleanlab is not installed")
else:
    issues = find_label_issues(y_noisy, proba)
    print(f"cleanlab: {issues.sum()} labels in doubt, {wrong[issues].mean():.0%} of them wrong")

# %%
# The sixteen labels of least quality, with what was suggested instead.

_, axes = plt.subplots(4, 4, figsize=(6, 6.8), layout="constrained")
for ax, i in zip(axes.flat, np.argsort(quality), strict=False):
    ax.imshow(X[i].reshape(8, 8), cmap="gray_r")
    ax.set_title(f"label {y_noisy[i]}, suggested {suggested[i]}", fontsize=9)
    ax.set_axis_off()
plt.show()

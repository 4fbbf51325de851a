"""
=====================================
Which classes are mistaken for which?
=====================================

Four in ten labels of each digit say the next digit instead. ``RobustClassifier`` finds this out
from the labels, and trains on the probabilities of the true ones. Without that step the same
network believes many of the wrong labels, because they are nearly as frequent as the right ones.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from robustlabels import RobustClassifier, TransitionMatrixDisplay, corrupt_labels
from robustlabels.noise import pair_transition

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
T = pair_transition(10, 0.4)
y_noisy = corrupt_labels(y_train, T, random_state=0)

# %%
# The network trained on the labels as given, with the noise estimated (the default), and with the
# noise known.

for name, given in (("labels as given", None), ("estimated", "estimate"), ("known", T)):
    clf = RobustClassifier(transition_matrix=given, n_members=1, random_state=0)
    print(f"{name:15} {clf.fit(X_train, y_noisy).score(X_test, y_test):.3f} on clean labels")
    if name == "estimated":
        estimate, rate = clf.transition_matrix_, clf.noise_rate_

# %%
# The true matrix and the estimated one. Rows are true digits, columns are the labels they get.

figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
for ax, matrix, title in (
    (axes[0], T, "True noise, rate 0.40"),
    (axes[1], estimate, f"Estimated noise, rate {rate:.2f}"),
):
    TransitionMatrixDisplay.from_matrix(matrix).plot(ax=ax, colorbar=False)
    ax.set_title(title)
plt.show()

"""
=======================
What is my model worth?
=======================

The test labels are noisy as well. Accuracy on them is far too low; by how much depends on a noise
that is not known. ``CleanScores`` estimates what a fitted classifier is worth on clean labels, and
how sure that is.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits, make_classification
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from robustlabels import CleanScores, corrupt_labels, symmetric_transition

# %%
# Digits, three in ten labels wrong, for training and for testing. The clean labels of the test rows
# are looked at in the end alone.

X, y = load_digits(return_X_y=True)
y_noisy = corrupt_labels(y, "symmetric", 0.3, random_state=0)
X_train, X_test, y_train, y_test, _, y_clean = train_test_split(
    X, y_noisy, y, test_size=0.5, random_state=0
)
clf = SVC(gamma=0.001).fit(X_train, y_train)
scores = CleanScores.from_estimator(clf, X_test, y_test, random_state=0)
print(scores)
print(f"accuracy on clean labels: {clf.score(X_test, y_clean):.3f}")

# %%
# The same as a picture: crosses are scores on the noisy labels, points and bars what is estimated
# of those on clean ones. A class has a tenth of the rows, and less can be said of it.

_, axes = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
scores.plot(axes[0])
matrix = ConfusionMatrixDisplay(scores.confusion_matrix)
matrix.plot(ax=axes[1], values_format=".0f", colorbar=False)
axes[1].set_title("Rows by true class, estimated")

# %%
# A hard task, whose classes overlap, and labels that are all right. Many of them look wrong, and
# nothing tells whether they are: the interval goes from "none is" to "most are". If you know T,
# here that no label is wrong, it is narrow.

X, y = make_classification(3000, 8, n_informative=4, class_sep=0.5, flip_y=0.2, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, random_state=0)
clf = SVC().fit(X_train, y_train)
for name, noise in {"estimated": "estimate", "known": symmetric_transition(2, 0.0)}.items():
    accuracy = CleanScores.from_estimator(
        clf, X_test, y_test, transition_matrix=noise, random_state=0
    ).accuracy
    print(f"noise {name}: {accuracy.low:.3f} to {accuracy.high:.3f}")
plt.show()

"""
=========================================
How accurate is my model on clean labels?
=========================================

When the test labels are noisy too, the accuracy on them is far too low. How much too low depends
on the noise, which nobody knows. ``CleanScores`` estimates the accuracy of a fitted classifier on
clean labels, and how certain the estimate is.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits, make_classification
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from robustlabels import CleanScores, LabelRefiner, corrupt_labels
from robustlabels.noise import symmetric_transition

# %%
# Three in ten labels of the digits are wrong, for training and for testing. The clean labels of the
# test rows are used only in the last line, to check the estimate.

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
# The same as a picture. Crosses are scores on the noisy labels, points with bars are estimates of
# the scores on clean ones. Each class has only a tenth of the rows, so that its bars are longer.

_, axes = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
scores.plot(axes[0])
matrix = ConfusionMatrixDisplay(scores.confusion_matrix)
matrix.plot(ax=axes[1], values_format=".0f", colorbar=False)
axes[1].set_title("Rows by true class, estimated")
plt.show()

# %%
# The estimate has a limit. Here the classes overlap. From noisy labels alone nobody can tell
# whether a row that looks wrong is wrong or just hard, so the interval is wide. It is narrow if you
# know the noise, here that no label was replaced.

X, y = make_classification(3000, 8, n_informative=4, class_sep=0.5, flip_y=0.2, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, random_state=0)
clf = SVC().fit(X_train, y_train)
estimated = LabelRefiner(random_state=0).fit(X_test, y_test)
for name, noise in {"estimated": estimated, "known": symmetric_transition(2, 0.0)}.items():
    accuracy = CleanScores.from_estimator(clf, X_test, y_test, transition_matrix=noise).accuracy
    print(f"noise {name}: {accuracy.low:.3f} to {accuracy.high:.3f}")

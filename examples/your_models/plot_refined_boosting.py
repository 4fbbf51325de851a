"""
========================================
How do I train LightGBM on wrong labels?
========================================

Boosted trees fit the labels they are given, including the wrong ones. ``RefinedClassifier`` first
estimates what the true labels are, and lets LightGBM learn these probabilities instead. The
settings of LightGBM stay as they are.
"""

import matplotlib.pyplot as plt
from lightgbm import LGBMClassifier
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from robustlabels import RefinedClassifier, corrupt_labels

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
boosting = LGBMClassifier(n_estimators=30, random_state=0, n_jobs=1, verbose=-1)
models = {
    "RefinedClassifier(LightGBM)": RefinedClassifier(boosting, random_state=0),
    "LightGBM": boosting,
}

# %%
# Labels are replaced in the training rows only. The test labels are clean. The refiner also says
# how many labels it believes to be wrong.

rates = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
accuracy = {name: [] for name in models}
for rate in rates:
    y_noisy = corrupt_labels(y_train, "symmetric", rate, exact=True, random_state=0)
    for name, model in models.items():
        accuracy[name].append(model.fit(X_train, y_noisy).score(X_test, y_test))
    found = models["RefinedClassifier(LightGBM)"].refiner_.noise_rate_
    print(f"{rate:.0%} of the labels are wrong, {found:.0%} are found to be")

# %%
# The more labels are wrong, the more is gained. Where all are right, nothing is lost.

_, axes = plt.subplots(figsize=(5.4, 3.8), layout="constrained")
styles = {"marker": "o", "color": "#0072b2"}, {"marker": "s", "color": "#d55e00", "ls": "--"}
for (name, scores), style in zip(accuracy.items(), styles, strict=True):
    print(f"{name:28}", *(f"{score:.3f}" for score in scores))
    axes.plot(rates, scores, label=name, **style)
axes.xaxis.set_major_formatter("{x:.0%}")
axes.set(
    xlabel="Training labels that are wrong",
    ylabel="Accuracy on clean labels",
    title="Digits, symmetric noise",
)
axes.legend(loc="lower left")
plt.show()

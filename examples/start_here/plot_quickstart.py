"""
=======================================
How much accuracy do wrong labels cost?
=======================================

Three classifiers learn handwritten digits, of whose training labels 0, 20, 40 and 60 % are wrong.
The test labels are clean. scikit-learn's forest and network learn the labels as they are.
``RobustEnsembleClassifier`` first finds out what the true labels probably are. The table and the
plot show the mean of two splits.
"""

# %%
# 70 % of the digits are for training. Their noise is symmetric: a wrong label is any other digit
# with the same probability.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from robustlabels import RobustEnsembleClassifier, corrupt_labels

X, y = load_digits(return_X_y=True)
X = X.astype(np.float32)

# %%
# ``RobustEnsembleClassifier`` scales its input itself, ``MLPClassifier`` needs a scaler.

classifiers = {
    "RobustEnsembleClassifier": RobustEnsembleClassifier(),
    "RandomForestClassifier": RandomForestClassifier(),
    "MLPClassifier": make_pipeline(StandardScaler(), MLPClassifier((256, 256), max_iter=40)),
}

# %%
# Fit on noisy labels, score on clean ones. ``MLPClassifier`` warns that it has not converged after
# 40 passes. Here that is to its advantage: with more passes it would learn more of the wrong
# labels.

warnings.simplefilter("ignore", ConvergenceWarning)

noise_rates, n_seeds = (0.0, 0.2, 0.4, 0.6), 2
accuracy = {name: np.empty((len(noise_rates), n_seeds)) for name in classifiers}

print(f"{'noise rate':13}", *(f"{name:>24}" for name in classifiers))
for i, noise_rate in enumerate(noise_rates):
    for seed in range(n_seeds):
        X_train, X_test, y_train, y_test = train_test_split(
            X, y, test_size=0.3, stratify=y, random_state=seed
        )
        y_noisy = corrupt_labels(y_train, "symmetric", noise_rate, random_state=seed)
        for name, classifier in classifiers.items():
            last = classifier[-1] if name == "MLPClassifier" else classifier
            last.set_params(random_state=seed)
            accuracy[name][i, seed] = classifier.fit(X_train, y_noisy).score(X_test, y_test)
    means = (f"{accuracy[name][i].mean():24.3f}" for name in classifiers)
    print(f"{noise_rate:<13.0%}", *means, flush=True)

# %%
# The curves, with a band from the lower to the higher of the two splits.

styles = {
    "RobustEnsembleClassifier": ("#0072b2", "o", "-"),
    "RandomForestClassifier": ("#d55e00", "D", "--"),
    "MLPClassifier": ("#555555", "v", ":"),
}
figure, axes = plt.subplots(figsize=(6, 3.8), layout="constrained")
for name, (color, marker, line) in styles.items():
    rows = accuracy[name]
    axes.plot(noise_rates, rows.mean(axis=1), color=color, marker=marker, ls=line, label=name)
    axes.fill_between(
        noise_rates, rows.min(axis=1), rows.max(axis=1), color=color, alpha=0.15, lw=0
    )
axes.set(
    xlabel="Share of wrong training labels",
    ylabel="Accuracy on clean labels",
    title="Digits, symmetric label noise",
    xticks=noise_rates,
)
axes.xaxis.set_major_formatter("{x:.0%}")
axes.yaxis.set_major_formatter("{x:.0%}")
axes.spines[["top", "right"]].set_visible(False)
axes.grid(alpha=0.3)
axes.legend(frameon=False)
figure.savefig("quickstart.png", dpi=150)
print("The plot is in quickstart.png")
plt.show()

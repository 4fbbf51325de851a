"""
====================================================
What if the table has categories and missing values?
====================================================

``RobustEnsembleClassifier`` takes such a table as it is. For most other classifiers, put a
transformer in front, in a pipeline: the median for missing numbers, 0/1 columns for categories.
The pipeline is then one estimator, for ``fit`` as well as for ``cross_val_score``.

The table has measurements of wines. To make it messy, two columns become categories, a tenth of
all entries are removed, and three in ten training labels are replaced.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from robustlabels import RobustEnsembleClassifier, corrupt_labels

X, y = load_wine(return_X_y=True, as_frame=True)
y = y.map({0: "Barolo", 1: "Grignolino", 2: "Barbera"})
rng = np.random.default_rng(0)
for column, names in (("hue", ["pale", "medium", "deep"]), ("ash", ["low", "middle", "high"])):
    X[column] = pd.qcut(X[column], 3, labels=names).astype(object)
X = X.mask(rng.random(X.shape) < 0.1)
print(X.iloc[:4, [0, 2, 10]])

# %%
# The transformer for the other classifiers. Columns that hold no numbers are categories.


def with_columns(classifier):
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_exclude="number"),
        ),
    )
    return make_pipeline(columns, classifier)


classifiers = {
    "RobustEnsembleClassifier": RobustEnsembleClassifier(random_state=0),
    "random forest": with_columns(RandomForestClassifier(random_state=0)),
    "logistic regression": with_columns(LogisticRegression(max_iter=1000)),
    "gradient boosting": with_columns(HistGradientBoostingClassifier(random_state=0)),
}

# %%
# Labels are replaced in the training rows only. The test labels are clean.

accuracy = {name: [] for name in classifiers}
for seed in range(2):
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.4, stratify=y, random_state=seed
    )
    y_noisy = corrupt_labels(y_train, "symmetric", 0.3, exact=True, random_state=seed)
    for name, classifier in classifiers.items():
        accuracy[name].append(classifier.fit(X_train, y_noisy).score(X_test, y_test))
for name, scores in accuracy.items():
    print(f"{name:24} {np.mean(scores):.3f} on clean labels")

# %%
# Each dot is a split, each bar the mean of both.

figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
for i, scores in enumerate(accuracy.values()):
    axes.plot(scores, np.full(len(scores), i), "o", color="#0072b2", alpha=0.6)
    axes.plot(np.mean(scores), i, "|", color="black", markersize=22, mew=2)
axes.set_yticks(range(len(accuracy)), accuracy)
axes.margins(y=0.15)
axes.invert_yaxis()
axes.set(xlabel="Accuracy on clean labels", title="Wines, 30 % wrong training labels")
plt.show()

"""
=============================
Which annotators can I trust?
=============================

Ten annotators label digits. Some are good and some are bad, and each row has only three answers. A
majority vote counts all answers alike. ``LabelRefiner`` estimates how often each annotator is
right. It also uses the features, because rows that look alike mostly belong to the same class.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import train_test_split

from robustlabels import LabelRefiner, RefinedClassifier

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, train_size=900, stratify=y, random_state=0)

# %%
# The answers have a column for each annotator, and NaN where there is no answer.

rng = np.random.RandomState(0)
qualities = np.linspace(0.2, 0.9, 10)
names = [f"annotator {a}" for a in range(10)]
answers = pd.DataFrame(np.nan, index=range(len(y)), columns=names)
for row, true in enumerate(y):
    for who in rng.permutation(10)[:3]:
        right = rng.uniform() < qualities[who]
        answers.iloc[row, who] = true if right else (true + rng.randint(1, 10)) % 10
print(answers.head(3).dropna(axis=1, how="all"))

# %%
# How many labels are right by majority vote, and how many after refining.

refiner = LabelRefiner(random_state=0).fit(X, answers)
voted = answers.mode(axis=1)[0].astype(int)
refined = refiner.classes_[refiner.label_probabilities_.argmax(axis=1)]
print(f"right by majority vote {np.mean(voted == y):.3f}, refined {np.mean(refined == y):.3f}")

# %%
# Classifiers take the table of answers, too. The same one, trained on the votes and on the answers.

forest = ExtraTreesRegressor(min_samples_leaf=2, max_features="sqrt", random_state=0)
clf = RefinedClassifier(forest, refiner, random_state=0)
for name, labels in [("votes", voted), ("answers", answers)]:
    print(f"learns from {name}: {clf.fit(X, labels).score(X_test, y_test):.3f} on clean labels")

# %%
# How good each annotator is. On the diagonal, the estimate is the truth.

quality = refiner.annotator_quality_
_, ax = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
ax.axline((0, 0), slope=1, color="0.5", ls=":")
ax.scatter(qualities, quality["quality"], s=60, color="#0072b2")
ax.set(xlabel="True share of right answers", ylabel="Estimated share", title="Ten annotators")
plt.show()

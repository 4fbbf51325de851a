"""
============================
Many annotators, few answers
============================

Ten annotators of very different quality label digits, three of them each row. A majority vote
counts all of them alike. ``LabelRefiner`` finds out who is right how often, and lets features speak
as well, for rows that look alike mostly have the same class; classifiers take the same table of
answers.
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
# The answers: a column for each annotator, NaN where there is none.

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
# How many labels are right, by votes and after the refiner.

refiner = LabelRefiner(random_state=0).fit(X, answers)
voted = answers.mode(axis=1)[0].astype(int)
refined = refiner.classes_[refiner.label_probabilities_.argmax(axis=1)]
print(f"right by votes {np.mean(voted == y):.3f}, refined {np.mean(refined == y):.3f}")

# %%
# The same classifier, trained on votes as given and on the answers.

forest = ExtraTreesRegressor(min_samples_leaf=2, max_features="sqrt", random_state=0)
clf = RefinedClassifier(forest, refiner, random_state=0)
for name, labels in [("votes", voted), ("answers", answers)]:
    print(f"learns from {name}: {clf.fit(X, labels).score(X_test, y_test):.3f} on clean labels")

# %%
# Who is how good? Three answers a row and what the digits look like are enough to tell.

quality = refiner.annotator_quality_
_, ax = plt.subplots(figsize=(5, 5), layout="constrained")
ax.plot([0, 1], [0, 1], color="0.7")
ax.scatter(qualities, quality["quality"], s=quality["n_answers"] / 5, color="#0072b2")
ax.set(xlabel="Share of right answers", ylabel="Quality found", title="Ten annotators")
plt.show()

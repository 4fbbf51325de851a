"""
==========================================
Does oversampling bring rare classes back?
==========================================

Here every other digit is rare. To a classifier, a rare class looks much like wrong labels of a
frequent one, and part of it is lost. Drawing rows with rare labels several times brings most of it
back.

``LabelNoiseInjector`` is a step of imbalanced-learn's pipeline. It corrupts the labels of the
training rows only, so that ``cross_val_score`` scores on clean labels. The example needs
imbalanced-learn (``pip install imbalanced-learn``).
"""

import matplotlib.pyplot as plt
import numpy as np
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, cross_val_score

from robustlabels import LabelNoiseInjector, RobustClassifier

X, y = load_digits(return_X_y=True)
kept = (y % 2 == 0) | (np.random.default_rng(0).random(len(y)) < 0.2)
X, y = X[kept].astype(np.float32), y[kept]
print("rows of each digit:", np.bincount(y))

# %%
# Two pipelines under the same noise and the same folds.

NOISE_RATES = (0.0, 0.15, 0.3)
cv = StratifiedKFold(3, shuffle=True, random_state=0)
classifier = RobustClassifier(n_members=1, max_epochs=40, random_state=0)
balance = RandomOverSampler(random_state=0)
scores = {"as they are": [], "oversampled": []}
for rate in NOISE_RATES:
    noise = LabelNoiseInjector("symmetric", rate, random_state=0)
    for name, steps in zip(scores, [(noise,), (noise, balance)], strict=True):
        pipeline = make_pipeline(*steps, classifier)
        scores[name].append(cross_val_score(pipeline, X, y, cv=cv, scoring="balanced_accuracy"))
for name, folds in scores.items():
    print(f"{name:12}", " ".join(f"{fold.mean():.3f}" for fold in folds))

# %%
# Balanced accuracy is the share of each digit that is found, averaged over the digits.

plt.style.use("seaborn-v0_8-colorblind")
_, ax = plt.subplots(figsize=(5.4, 3.8), layout="constrained")
for marker, shift, (name, folds) in zip("os", (-0.003, 0.003), scores.items(), strict=True):
    ax.errorbar(
        np.add(NOISE_RATES, shift),
        np.mean(folds, axis=1),
        np.std(folds, axis=1),
        marker=marker,
        capsize=3,
        label=f"training rows {name}",
    )
ax.set(
    xlabel="Share of wrong training labels",
    ylabel="Balanced accuracy on clean labels",
    xticks=NOISE_RATES,
    title="Every other digit is rare, 3 folds",
)
ax.legend()
plt.show()

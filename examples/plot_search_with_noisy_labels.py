"""
=================================
Choosing a loss with noisy labels
=================================

All labels at hand are noisy, those to choose with too. Under symmetric noise that does no harm:
accuracy on noisy labels is a straight line of accuracy on clean ones, so that the order of the
candidates is the same. Here a grid search over losses sees noisy labels alone, and what it would
have chosen with clean ones is looked up afterwards.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict

from robustlabels import RobustClassifier, corrupt_labels, symmetric_transition
from robustlabels.losses import CE, GCE, MAE, SGCE
from robustlabels.metrics import make_noise_corrected_scorer

X, y = load_digits(return_X_y=True)
y_noisy = corrupt_labels(y, "symmetric", 0.4, random_state=0)

# %%
# The scorer turns accuracy on noisy labels into an estimate of accuracy on clean ones.

losses = {
    "CE": CE(),
    "GCE, q = 0.3": GCE(q=0.3),
    "GCE, q = 0.7": GCE(q=0.7),
    "SGCE, q = 0.3": SGCE(q=0.3),
    "MAE": MAE(),
}
model = RobustClassifier(
    hidden_layer_sizes=(64, 64), max_epochs=20, transition_matrix=None, random_state=0
)
cv = StratifiedKFold(3, shuffle=True, random_state=0)
search = GridSearchCV(
    model,
    {"loss": list(losses.values())},
    scoring=make_noise_corrected_scorer(symmetric_transition(10, 0.4)),
    cv=cv,
    refit=False,
).fit(X, y_noisy)
estimated = search.cv_results_["mean_test_score"]

# %%
# What nobody knows in earnest: the accuracy of the same models on the clean labels. The estimates
# are off by what the draw of the noise made of it, which all candidates share: the order stays.

clean = np.array(
    [
        np.mean(cross_val_predict(model.set_params(loss=loss), X, y_noisy, cv=cv) == y)
        for loss in losses.values()
    ]
)
for name, guess, truth in zip(losses, estimated, clean, strict=True):
    print(f"{name:14} estimated {guess:.3f}, on clean labels {truth:.3f}")
chosen, best = np.argmax(estimated), np.argmax(clean)
print(f"chosen: {list(losses)[chosen]}, best: {list(losses)[best]}")

plt.style.use("seaborn-v0_8-colorblind")
_, ax = plt.subplots(figsize=(5.6, 4.4), layout="constrained")
limits = [min(clean.min(), estimated.min()) - 0.01, max(clean.max(), estimated.max()) + 0.01]
ax.plot(limits, limits, color="0.7", linestyle=":")
for marker, (name, guess, truth) in zip(
    "osD^v", zip(losses, estimated, clean, strict=True), strict=True
):
    ax.plot(truth, guess, marker, markersize=9, label=name)
ax.set(
    xlabel="Accuracy on clean labels",
    ylabel="Estimated from noisy labels",
    title="Digits, 40 % symmetric noise, 3 folds",
)
ax.legend()
plt.show()

"""
=======================
Can a loss tune itself?
=======================

Yes. With ``adapt=True`` the hyperparameters of the loss are learned while the network trains, from
noisy labels of rows that its members leave out. That takes about 1.8 times the time of one fit,
where a search fits every candidate, and then the best one. Here 40 % of the labels of handwritten
digits are wrong.
"""

import time

import matplotlib.pyplot as plt
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from robustlabels import AdaptationDisplay, RobustClassifier, RobustSearchCV, corrupt_labels

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, train_size=900, stratify=y, random_state=0)
y_noisy = corrupt_labels(y, "symmetric", 0.4, random_state=0)

# %%
# GCE has one hyperparameter, q: near 0 it learns fast, near 1 it ignores wrong labels. Somebody set
# it to 0.9.

network = RobustClassifier("gce", q=0.9, hidden_layer_sizes=(64, 64), random_state=0)
ways = {
    "as set": network,
    "search": RobustSearchCV(network, {"q": [0.1, 0.4, 0.7]}, cv=3, random_state=0),
    "self-tuning": clone(network).set_params(adapt=True),
}
seconds, accuracy = [], []
for name, way in ways.items():
    start = time.perf_counter()
    way.fit(X, y_noisy)
    seconds.append(time.perf_counter() - start)
    accuracy.append(way.score(X_test, y_test))
    print(f"{name:11} {accuracy[-1]:.3f} on clean test labels, {seconds[-1]:.1f} s")
print("found by the search:", ways["search"].best_params_)
print(f"learned: q={ways['self-tuning'].loss_.q:.2f}")

# %%
# ``history_`` has the values at the end of each epoch, and ``AdaptationDisplay`` draws them.

plt.style.use("seaborn-v0_8-colorblind")
_, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.4), layout="constrained")
for marker, name, x, height in zip("osD", ways, seconds, accuracy, strict=True):
    left.plot(x, height, marker, ms=9, label=name)
left.yaxis.set_major_formatter("{x:.1%}")
left.margins(0.2)
left.set(xlabel="Seconds", ylabel="Accuracy on clean test labels", title="Three ways")
left.legend()
AdaptationDisplay.from_estimator(ways["self-tuning"]).plot(right)
right.set_title("Learned")
plt.show()

"""
==============================
Can I use a network of my own?
==============================

Yes: ``RobustClassifier`` trains any torch module that maps a batch to logits. Here it is a small
convolutional network without dropout, which sees the handwritten digits as images. 40 % of its
training labels are wrong. Only the loss differs between the two curves.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch.callbacks import EpochScoring
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch import nn

from robustlabels import RobustClassifier, corrupt_labels

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)  # a module of one's own gets the features as they are
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
y_noisy = corrupt_labels(y_train, "symmetric", 0.4, random_state=0)

# %%
# The network. If its class takes ``n_classes``, it gets the number of classes. Rows of 64 pixels
# become images inside it.


class DigitNet(nn.Sequential):
    def __init__(self, n_classes):
        super().__init__(
            nn.Unflatten(1, (1, 8, 8)),
            nn.Conv2d(1, 16, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 4 * 4, 128),
            nn.ReLU(),
            nn.Linear(128, n_classes),
        )


# %%
# Callbacks and validation splits are those of skorch. The clean test labels are used only to draw
# the curves, after every epoch.

watch = EpochScoring("accuracy", lower_is_better=False, name="clean_accuracy")
curves = {}
for loss in ("sgce", "ce"):
    clf = RobustClassifier(
        loss,
        module=DigitNet,
        transition_matrix=None,  # train on the labels as given
        callbacks=[watch],
        net_params={"train_split": predefined_split(Dataset(X_test, y_test))},
        random_state=0,
    ).fit(X_train, y_noisy)
    curves[loss] = clf.history_[:, "clean_accuracy"]
    print(f"{loss:4} best epoch {max(curves[loss]):.3f}, last epoch {curves[loss][-1]:.3f}")

# %%
# With cross-entropy the network first learns the digits, then the wrong labels. With SGCE most of
# what it has learned stays.

plt.style.use("seaborn-v0_8-colorblind")
_, ax = plt.subplots(figsize=(5.4, 3.8), layout="constrained")
names = {"sgce": "SGCE", "ce": "cross-entropy"}
for line, (loss, curve) in zip(("-", "--"), curves.items(), strict=True):
    ax.plot(range(1, len(curve) + 1), curve, line, linewidth=2, label=names[loss])
ax.set(
    xlabel="Epoch",
    ylabel="Accuracy on clean test labels",
    title="40 % of the training labels wrong",
)
ax.legend()
plt.show()

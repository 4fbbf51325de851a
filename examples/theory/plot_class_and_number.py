"""
=================================================
Can one network learn a noisy class and a number?
=================================================

Yes. Here it predicts a digit's class, of which 60 % of the labels are wrong, and four numbers
without errors: where the ink lies and how far it spreads. The loss is t times a robust loss of the
class plus 1 - t times the squared error of the numbers.

Both are learned over a wide range of t. The exact numbers do not make up for the wrong labels,
though: the class is not learned better for them.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from skorch import NeuralNet
from torch import nn

from robustlabels import corrupt_labels
from robustlabels.losses import SGCE

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
# %%
# The numbers are the centre of the ink and its spread, along both axes.

ink = X.reshape(-1, 8, 8)
weight = ink / ink.sum(axis=(1, 2), keepdims=True)
place = np.arange(8)
moments = [(weight.sum(axis=axis) * place).sum(axis=1) for axis in (1, 2)]
moments += [(weight.sum(axis=axis) * place**2).sum(axis=1) for axis in (1, 2)]
numbers = np.stack(moments, axis=1)
numbers = ((numbers - numbers.mean(axis=0)) / numbers.std(axis=0)).astype(np.float32)

# %%
# A network with two heads, and a loss for both. Any module and any loss of two outputs will do.
# ``skorch.NeuralNet`` passes the outputs and both targets on to the criterion.


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.3))
        self.classes, self.numbers = nn.Linear(128, 10), nn.Linear(128, numbers.shape[1])

    def forward(self, X):
        hidden = self.body(X)
        return self.classes(hidden), self.numbers(hidden)


class Both(nn.Module):
    def __init__(self, t):
        super().__init__()
        self.t, self.of_class, self.of_numbers = t, SGCE(), nn.MSELoss()

    def forward(self, outputs, target):
        logits, predicted = outputs
        # The class stands in the first column of the target, the numbers in the others.
        loss = self.of_class(logits, target[:, 0].long())
        return self.t * loss + (1 - self.t) * self.of_numbers(predicted, target[:, 1:])


def measure(t, seed):
    """Return the accuracy of the class and the R² of the numbers on clean test rows."""
    parts = train_test_split(X, y, numbers, train_size=600, stratify=y, random_state=seed)
    X_train, X_test, y_train, y_test, numbers_train, numbers_test = parts
    y_noisy = corrupt_labels(y_train, "symmetric", 0.6, random_state=seed)
    target = np.column_stack([y_noisy, numbers_train]).astype(np.float32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = NeuralNet(
            TwoHeads, Both, criterion__t=t, max_epochs=24, batch_size=64, lr=0.003,
            optimizer=torch.optim.Adam, train_split=None, verbose=0,
        ).fit(X_train, target)  # fmt: skip
        logits, predicted = net.forward(X_test)
    accuracy = np.mean(logits.argmax(-1).numpy() == y_test)
    return accuracy, r2_score(numbers_test, predicted.numpy())


# %%
# Accuracy of the class and R² of the numbers over t, mean and spread of two seeds.

ts = [0.1, 0.4, 0.7, 1.0]
scores = np.array([[measure(t, seed) for seed in range(2)] for t in ts])
for t, means in zip(ts, scores.mean(axis=1), strict=True):
    print(f"t = {t}: accuracy {means[0]:.3f}, R² {means[1]:.3f}")

plt.style.use("seaborn-v0_8-colorblind")
_, ax = plt.subplots(figsize=(5.4, 3.8), layout="constrained")
accuracy, r2 = scores[..., 0], scores[:-1, :, 1]  # at t = 1 the numbers are not learned
lines = ((accuracy, "accuracy of the class", "o-"), (r2, "R² of the numbers", "s--"))
for values, name, line in lines:
    mean, spread = values.mean(axis=1), values.std(axis=1)
    ax.errorbar(ts[: len(values)], mean, spread, fmt=line, capsize=3, label=name)
ax.set(
    xlabel="t, the share of the class in the loss",
    ylabel="On clean test rows",
    title="60 % of the class labels are wrong",
)
ax.legend()
plt.show()

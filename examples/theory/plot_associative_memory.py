"""
===============================================
How much does a linear associative memory hold?
===============================================

Store pairs of a random key and a symbol in a linear map, then ask for the symbol of each key: the
one with the highest score. Hebb's rule sums the outer products of keys and symbols, and is what
``UnhingedClassifier(metric="euclidean", intercept="none")`` computes. The pseudo-inverse rule is
``metric="covariance"`` with a small penalty.

The optimal linear memory of d dimensions holds p pairs up to p log p / d² = 1/2. Both rules stay
below it.
"""

import matplotlib.pyplot as plt
import numpy as np

from robustlabels import UnhingedClassifier

SIZES = [32, 64, 128]
SEEDS = range(3)
RULES = {
    "Hebb: euclidean": {"metric": "euclidean"},
    "Pseudo-inverse: covariance": {"metric": "covariance", "alpha": 1e-6},
}
LAW = 0.5


def recall(n_pairs, d, seed, **params):
    """Store pairs and return the share that is recalled."""
    rng = np.random.default_rng(seed)
    keys = rng.standard_normal((n_pairs, d))
    symbols = np.arange(n_pairs) % d
    memory = UnhingedClassifier(intercept="none", **params).fit(keys, symbols)
    return memory.score(keys, symbols)


# %%
# The capacity is the largest load at which 99 % of the pairs are recalled.
#
# The score of the right symbol is the squared length of the key, about d. That of a wrong one is
# the sum of its overlaps with p / d other keys, each of variance d. Hebb's rule errs once the
# largest of the d wrong scores, about sqrt(2 p log d), reaches d. The pseudo-inverse rule removes
# the overlaps between keys and recalls all of them up to p = d. Beyond that, part of the overlaps
# is left.

loads = np.geomspace(0.02, 1.0, 12)
plt.style.use("seaborn-v0_8-colorblind")
_, axes = plt.subplots(1, 3, figsize=(9.6, 3.6), sharey=True, layout="constrained")
for ax, d in zip(axes, SIZES, strict=True):
    numbers = np.arange(2, d**2)
    # The number of pairs that makes each load p log p / d².
    pairs = np.searchsorted(numbers * np.log(numbers) / d**2, loads) + 2
    for marker, (name, params) in zip("os", RULES.items(), strict=True):
        shares = np.array([[recall(p, d, seed, **params) for seed in SEEDS] for p in pairs])
        mean = shares.mean(axis=1)
        held = loads[mean >= 0.99].max(initial=0)
        print(
            f"d = {d:3}, {name}: 99 % up to p log p / d² = {held:.2f}, at 1/2 "
            f"{np.interp(LAW, loads, mean):.2f} recalled"
        )
        ax.errorbar(loads, mean, shares.std(axis=1), marker=marker, capsize=3, label=name)
    ax.axvline(LAW, color="0.4", linestyle=":", label="optimal linear memory")
    ax.set(xscale="log", ylim=(0, 1.05), xlabel="Load p log p / d²", title=f"d = {d}")
axes[0].set(ylabel="Share recalled")
axes[0].legend(loc="lower left")
plt.show()

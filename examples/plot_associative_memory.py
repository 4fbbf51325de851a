"""
===================================
The solver as an associative memory
===================================

Store pairs of a random key and a random symbol in a linear map, and ask for the symbol of each
key again: the one with the highest score. The sum of outer products of keys and symbols is the rule
of Hebb, and it is what ``UnhingedClassifier(metric="euclidean", intercept="none")`` computes. The
pseudo-inverse rule is its limit ``metric="covariance"`` with a small penalty.
"""

import matplotlib.pyplot as plt
import numpy as np

from robustlabels import UnhingedClassifier

D = 48  # dimensions of a key, and number of symbols
SEEDS = range(5)


def recall(n_pairs, seed, **params):
    """Store pairs and return the share that is recalled."""
    rng = np.random.default_rng(seed)
    keys = rng.standard_normal((n_pairs, D))
    symbols = rng.integers(D, size=n_pairs)
    memory = UnhingedClassifier(intercept="none", **params).fit(keys, symbols)
    return memory.score(keys, symbols)


# %%
# The score of the right symbol is the squared length of the key, d, give or take; that of a wrong
# one is the sum of its overlaps with n / d other keys, each of variance d. Hebb's rule errs once
# the largest of the d wrong scores, about sqrt(2 n log d), comes up to d: at n = d^2 / (2 log d).
# The pseudo-inverse rule removes the overlaps between keys and recalls all of them up to n = d;
# far beyond that, there is no overlap to remove and both fall together.

numbers = np.unique(np.geomspace(12, 3000, 12).astype(int))
rules = {
    "Hebb: euclidean": {"metric": "euclidean"},
    "Pseudo-inverse: covariance": {"metric": "covariance", "alpha": 1e-6},
}
plt.style.use("seaborn-v0_8-colorblind")
_, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
for marker, (name, params) in zip("os", rules.items(), strict=True):
    shares = np.array([[recall(n, seed, **params) for seed in SEEDS] for n in numbers])
    print(name, dict(zip(numbers.tolist(), shares.mean(axis=1).round(2).tolist(), strict=True)))
    ax.errorbar(
        numbers, shares.mean(axis=1), shares.std(axis=1), marker=marker, capsize=3, label=name
    )
for n, text in ((D, "d"), (D**2 / (2 * np.log(D)), "d² / (2 log d)")):
    ax.axvline(n, color="0.6", linestyle=":")
    ax.annotate(text, (n, 0.03), xytext=(4, 0), textcoords="offset points", color="0.4")
ax.set(
    xscale="log",
    ylim=(0, 1.05),
    xlabel=f"Stored pairs (keys of {D} dimensions)",
    ylabel="Share recalled",
    title="Recall of a linear associative memory",
)
ax.legend()
plt.show()

"""Random choices with exact totals."""

import numpy as np

#: Keeps the draws of the noise apart from all others of a seed: the ASCII codes of "noise".
_STREAM = tuple(b"noise")


def noise_stream(rng):
    """Return a RandomState for noise, seeded by a hash of draws from `rng`.

    Labels that were drawn by a seed, and noise by the same, would depend on each other.
    """
    entropy = rng.randint(2**32, size=4, dtype=np.uint32).tolist()
    seed = np.random.SeedSequence(entropy, spawn_key=_STREAM)
    return np.random.RandomState(np.random.MT19937(seed))


def scale_to_mean(chance, mean):
    """Return ``min(1, factor * chance)`` with the factor that makes its mean equal to `mean`."""
    if mean in (0, 1) or not chance.any():
        return np.full(len(chance), float(mean))
    chance = chance / chance.max()
    # If the largest k are clipped at 1, the others share the rest: find the smallest valid k.
    order = np.sort(chance)[::-1]
    rest = np.cumsum(order[::-1])[::-1]
    factors = (mean * len(chance) - np.arange(len(chance))) / rest
    fits = factors * order <= 1
    return np.minimum(1.0, factors[np.argmax(fits)] * chance)


def shuffle(rows, rng):
    """Return the rows in random order.

    `rng.permutation` would start with the test rows of a split that has the same seed.
    """
    return rows[rng.uniform(size=len(rows)).argsort()]


def choose(rates, rng):
    """Return a mask that is True in each row with its rate, and in as many as the rates sum to."""
    order = shuffle(np.arange(len(rates)), rng)
    edges = np.concatenate([[0.0], np.cumsum(rates[order])])
    # Systematic sampling: take the rows whose interval holds one of u, u + 1, u + 2, ...
    edges *= round(edges[-1]) / max(edges[-1], 1e-300)
    points = np.floor(edges - rng.uniform())
    mask = np.zeros(len(rates), dtype=bool)
    mask[order] = np.diff(points) > 0
    return mask


def apportion(distribution, n, rng):
    """Return n classes in their shares, the number of each rounded up or down at random."""
    ideal = n * distribution / distribution.sum()
    counts = np.floor(ideal).astype(int)
    return np.repeat(np.arange(len(distribution)), counts + choose(ideal - counts, rng))

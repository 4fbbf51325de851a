"""
==================================
Why do all losses start out alike?
==================================

A network starts with nearly equal scores for all classes. There, every loss that treats all
classes alike is the unhinged loss times a number, its ``linear_part``. The number,
``initial_gain``, says how strongly the loss pulls at the start of training. The remainder shrinks
with the square of the distance from equal scores.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

from robustlabels.losses import get_loss
from robustlabels.losses.theory import initial_gain, linear_part

N_CLASSES = 10
distances = np.geomspace(1e-3, 3, 20)
direction = torch.randn(N_CLASSES, generator=torch.Generator().manual_seed(0)).double()
direction -= direction.mean()
direction /= direction.norm()

plt.style.use("seaborn-v0_8-colorblind")
_, ax = plt.subplots(figsize=(5.4, 3.8), layout="constrained")
for marker, name in zip("os^vD", ("ce", "gce", "sgce", "mae", "nce+agce"), strict=True):
    loss = get_loss(name)
    linear = linear_part(loss, N_CLASSES)
    scores = torch.as_tensor(distances)[:, None] * direction
    log_p = torch.log_softmax(scores, dim=-1)
    equal = torch.log_softmax(0 * scores, dim=-1)
    left = loss.class_losses(log_p) - loss.class_losses(equal) - linear.class_losses(log_p)
    error = left.abs().amax(-1).numpy()
    slope = np.polyfit(np.log(distances[:8]), np.log(error[:8]), 1)[0]
    print(f"{name:9} gain {initial_gain(loss, N_CLASSES):.3f}, error ~ distance^{slope:.2f}")
    ax.plot(distances, error, marker=marker, label=name)
# All lines have the slope 2, until the softmax bends.
ax.plot(distances, 0.5 * distances**2, "k:", label="slope 2")
ax.set(
    xscale="log",
    yscale="log",
    xlabel="Distance of the scores from equal ones",
    ylabel="Loss minus its linear part",
    title="How far losses are from the unhinged one",
)
ax.legend()
plt.show()

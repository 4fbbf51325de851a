"""
===============================================
How do robust losses differ from cross-entropy?
===============================================

Three pictures, each against the probability that the network gives to the label: what the loss
costs, how much weight it gives the row, and whether its sum over classes is constant.
"""

# %%
# Cross-entropy gives every row the same weight, and never lets go of labels it finds impossible, at
# the left of the middle panel. GCE and MAE weight a row by how much they believe its label. In the
# right panel, a flat line is a symmetric loss: MAE and SGCE. SGCE is GCE without the part that no
# label can change.

from robustlabels.losses import CE, GCE, MAE, SGCE, LossDisplay
from robustlabels.losses.theory import properties

losses = {
    "cross-entropy": CE(),
    "GCE, q = 0.7": GCE(q=0.7),
    "SGCE, q = 0.7": SGCE(q=0.7),
    "MAE": MAE(),
}
display = LossDisplay.from_losses(losses, n_classes=10).plot()

# %%
# The same as numbers, see :func:`robustlabels.losses.theory.properties`.

for name, loss in losses.items():
    record = properties(loss, n_classes=10)
    print(
        f"{name:13} symmetric: {record.symmetric!s:5}  initial gain: "
        f"{record.initial_gain:.3f}  smoothness: {record.smoothness:.3f}"
    )

"""
===================================
How many labels do I have to check?
===================================

Labels alone cannot tell a wrong label from a hard row. A random sample that somebody has checked
can, whatever the noise is. :class:`~robustlabels.LabelAudit` says which rows to check, and how many
of all labels are wrong.

Here people err on the rows that are hard. Such noise leaves no trace that a model could see.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_predict

from robustlabels import CleanScores, LabelAudit, LabelRefiner

rng = np.random.RandomState(0)
score = rng.normal(size=(1500, 2)) @ [2.0, 1.0]
X = score[:, None] + 0.5 * rng.normal(size=(1500, 6))
y = (score > 0).astype(int)
wrong = rng.uniform(size=1500) < 0.45 * np.exp(-np.abs(score))
y_given = np.where(wrong, 1 - y, y)

alone = LabelRefiner(random_state=0).fit(X, y_given)
print(f"{wrong.sum()} labels are wrong")
print(f"the labels alone say {alone.n_wrong_:.0f}, {alone.n_wrong_interval_}")

# %%
# Check labels in the order that the audit gives. In real life a person answers; here the true
# labels do.

audit = LabelAudit(alone, prefit=True, random_state=0).fit(X, y_given)
print(f"about {audit.rows_needed(50)} checks make it an interval of 50 to both sides")
rows = audit.draw(240)
audit.record(rows, y[rows])
print(audit)

# %%
# The dashed line is the truth, the grey area what the labels alone say. If you look at the interval
# after each batch and stop when you like it, set `anytime=True`: that interval holds at all times,
# and is wider.

ax = audit.plot()
ax.axhline(wrong.sum(), color="black", ls="--", label="truth")
ax.legend(fontsize="small")
plt.show()

# %%
# What is a classifier worth? The labels are no reference, since some of them are wrong. What they
# say alone rests on noise that depends on the class, and is too low here. With the checked ones
# there is an interval to act on.

predicted = cross_val_predict(
    RandomForestClassifier(min_samples_leaf=10, random_state=0), X, y_given
)
before = CleanScores.from_predictions(y_given, predicted, alone, confidence_level=0.9).accuracy
print(f"accuracy by the labels alone: {before.value:.3f}, {before.low:.3f} to {before.high:.3f}")
print(CleanScores.from_audit(audit, predicted))
print(f"true accuracy: {np.mean(predicted == y):.3f}")

# %%
# Put the most doubtful labels right. The rows that had been drawn stay a random sample of the rest,
# and say how many wrong labels are left.

rows = audit.worst(200)
audit.record(rows, y[rows])
print(audit)
print(f"{np.sum(audit.labels_ != y)} are left in truth")

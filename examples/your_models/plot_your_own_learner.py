"""
===================================
Can my own model join the ensemble?
===================================

``RobustEnsembleClassifier`` pools several kinds of models. Add your own to the list as a pair of a
name and an estimator. It is trained on the probabilities of the true labels, and its weight depends
on how well it predicts held-out labels. A good model helps; a poor one is nearly ignored.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from robustlabels import RobustEnsembleClassifier, corrupt_labels

# %%
# Two spirals. 1000 rows with 30 % wrong labels are for training, 2000 clean ones for testing.

rng = np.random.RandomState(0)
y = rng.randint(2, size=3000)
angle = rng.uniform(0.3, 3, size=3000) * np.pi
X = angle[:, None] * np.column_stack([np.cos(angle + np.pi * y), np.sin(angle + np.pi * y)])
X += 0.5 * rng.normal(size=X.shape)
y_noisy = corrupt_labels(y[:1000], "symmetric", 0.3, exact=True, random_state=0)

# %%
# Trees draw borders along the axes, naive Bayes an ellipse at best. A kernel method draws smooth
# borders of any shape. The weights show that the ensemble finds this out from the noisy labels.

kernel = make_pipeline(Nystroem(gamma=20, n_components=200), LogisticRegression())
choices = {
    "Trees, linear": ["trees", "linear"],
    "and naive Bayes": ["trees", "linear", ("bayes", GaussianNB())],
    "and a kernel method": ["trees", "linear", ("bayes", GaussianNB()), ("kernel", kernel)],
}
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
x1, x2 = np.meshgrid(*2 * [np.linspace(-11, 11, 100)])
for axis, (title, learners) in zip(axes, choices.items(), strict=True):
    clf = RobustEnsembleClassifier(learners=learners, random_state=0).fit(X[:1000], y_noisy)
    proba = clf.predict_proba(np.column_stack([x1.ravel(), x2.ravel()]))[:, 1]
    axis.contourf(x1, x2, proba.reshape(x1.shape), 20, cmap="PuOr", vmin=0, vmax=1)
    score = clf.score(X[1000:], y[1000:])
    axis.set(title=title, xticks=[], yticks=[], xlabel=f"{score:.1%} right")
    print(f"{title:20}", *(f"{name} {w:.2f} " for name, w in clf.learner_weights_.items()))
plt.show()

# %%
# Parameters of your model are reached by its name, in a grid search as well.

clf.set_params(kernel__nystroem__gamma=5).fit(X[:1000], y_noisy)
print(f"{clf.score(X[1000:], y[1000:]):.1%} right with a wider kernel")

"""
===========================================
How much label noise can a classifier take?
===========================================

``NoiseCurveDisplay`` corrupts more and more of the training labels, leaves the test labels as they
are, and draws the accuracy that is left. All classifiers see the same folds and the same noise.
The bands are one standard deviation over the folds.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from robustlabels import NoiseCurveDisplay, UnhingedClassifier

X, y = load_digits(return_X_y=True)
estimators = {
    "UnhingedClassifier": make_pipeline(StandardScaler(), UnhingedClassifier()),
    "Random forest": RandomForestClassifier(100),
    "Logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
}
display = NoiseCurveDisplay.from_estimators(
    estimators, X, y, noise_rates=(0.0, 0.2, 0.4, 0.6), cv=3, random_state=0
)
print(display.frame().groupby(["estimator", "noise rate"])["score"].mean().unstack().round(3))

# %%
# Without noise the forest is best. With 60 % wrong labels the closed-form linear classifier is: it
# averages over all rows of a class, while the others fit single rows.

display.plot()
display.ax_.set_title("Digits, symmetric noise, 3 folds")
plt.show()

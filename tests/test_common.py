"""scikit-learn's own checks: all of them, without an expected failure."""

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import ExtraTreesRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.utils.estimator_checks import (
    check_class_weight_balanced_classifiers,
    check_dataframe_column_names_consistency,
    check_inplace_ensure_writeable,
    check_param_validation,
    parametrize_with_checks,
)

from robustlabels import (
    LabelAudit,
    LabelNoiseInjector,
    LabelRefiner,
    NoiseInjectedClassifier,
    NoisyConformalClassifier,
    RefinedClassifier,
    RobustClassifier,
    RobustEnsembleClassifier,
    RobustSearchCV,
    UnhingedClassifier,
)
from robustlabels.losses import GCE

SHORT = {"n_members": 1, "max_epochs": 8, "lr": 0.04, "hidden_layer_sizes": 32}
SHORT["transition_matrix"] = None

TAUGHT = LabelRefiner(teacher=LogisticRegression(), random_state=0)

ESTIMATORS = [
    RobustClassifier(max_epochs=10, lr=0.01, hidden_layer_sizes=32),
    *(RobustClassifier(loss, **SHORT) for loss in ("ce", "alpha-mae", "nce+agce")),
    RobustClassifier(GCE(q=0.3), net_params={"optimizer__betas": (0.9, 0.99)}, **SHORT),
    UnhingedClassifier(),
    UnhingedClassifier(intercept="penalized"),
    UnhingedClassifier(metric="euclidean", intercept="penalized"),
    LabelNoiseInjector(),
    LabelNoiseInjector("margin", 0.3, exact=True),
    NoiseInjectedClassifier(LogisticRegression(), LabelNoiseInjector()),
    NoiseInjectedClassifier(UnhingedClassifier(), LabelNoiseInjector("instance")),
    NoiseInjectedClassifier(RobustClassifier(**SHORT), LabelNoiseInjector()),
    LabelRefiner(random_state=0),
    LabelAudit(random_state=0),
    NoisyConformalClassifier(LogisticRegression(), prefit=False),
    RobustEnsembleClassifier(max_epochs=1, random_state=0),
    RefinedClassifier(LogisticRegression(), random_state=0),
    # With a quick classifier in the place of the refiner's own forest.
    RefinedClassifier(RandomForestClassifier(10, bootstrap=False, random_state=0), TAUGHT),
    RefinedClassifier(ExtraTreesRegressor(10, random_state=0), TAUGHT),
    RobustSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2, error_score="raise"),
    RobustSearchCV(
        RobustClassifier(random_state=0, **SHORT),
        {"loss": ["ce", "sgce"]},
        cv=2,
        scoring="accuracy",
        error_score="raise",
    ),
]


# Checks are about the interface, which does not depend on the number of trees.
pytestmark = pytest.mark.usefixtures("few_trees")


# Labels of the checks are random, and networks train for few epochs: some classes are lost.
@pytest.mark.filterwarnings(
    "ignore:.*never predicts the classes:sklearn.exceptions.ConvergenceWarning"
)
@parametrize_with_checks(ESTIMATORS)
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "check",
    [
        check_dataframe_column_names_consistency,
        check_inplace_ensure_writeable,
        check_param_validation,
    ],
)
def test_checks_outside_check_estimator(check):
    check("RobustClassifier", RobustClassifier(max_epochs=3))
    check("UnhingedClassifier", UnhingedClassifier())


def test_check_class_weight_balanced():
    # The classes overlap; one of them is rare in training and as frequent as the other after.
    X, y = make_classification(1600, 6, flip_y=0.1, class_sep=0.6, random_state=0)
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    kept = (y_train == 0) | (np.random.RandomState(0).uniform(size=len(y_train)) < 0.15)
    small = {"n_members": 1, "hidden_layer_sizes": 64, "random_state": 0}
    classifiers = [RobustClassifier(loss, **small) for loss in ("ce", "sgce")]
    for classifier in (*classifiers, UnhingedClassifier()):
        check_class_weight_balanced_classifiers(
            type(classifier).__name__,
            classifier,
            X_train[kept],
            y_train[kept],
            X_test,
            y_test,
            ["balanced"],
        )

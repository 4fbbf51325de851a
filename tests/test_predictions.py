"""What every classifier's predictions keep to: they agree, and say which classes were lost."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from robustlabels import (
    RefinedClassifier,
    RobustClassifier,
    RobustEnsembleClassifier,
    UnhingedClassifier,
)

ENSEMBLE = "RobustEnsembleClassifier"
IRIS = load_iris(return_X_y=True)
SHORT = {"hidden_layer_sizes": (8,), "max_epochs": 40, "batch_size": 16, "random_state": 0}
CLASSIFIERS = {
    "RobustClassifier": RobustClassifier(transition_matrix=None, **SHORT),
    "RobustClassifier, one": RobustClassifier("sgce", transition_matrix=None, n_members=1, **SHORT),
    "UnhingedClassifier": UnhingedClassifier(),
    ENSEMBLE: RobustEnsembleClassifier(None, max_epochs=2, random_state=0),
    "RefinedClassifier": RefinedClassifier(LogisticRegression(max_iter=1000), random_state=0),
    "RefinedClassifier, regressor": RefinedClassifier(
        ExtraTreesRegressor(5, random_state=0), random_state=0
    ),
}


DTYPES = {**dict.fromkeys(CLASSIFIERS, "float64"), "RobustClassifier, one": "float32"}


@functools.cache
def fitted(name, n_classes):
    X, y = IRIS
    rows = np.flatnonzero(y >= 3 - n_classes)
    return clone(CLASSIFIERS[name]).fit(X[rows].astype(DTYPES[name]), y[rows])


def set_temperature(classifier, temperature):
    if isinstance(classifier, RobustClassifier):
        classifier._engine.temperature = temperature
    else:
        classifier.temperature_ = temperature
    assert classifier.temperature_ == temperature


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", CLASSIFIERS)
@settings(max_examples=10)
@given(data=st.data())
def test_predictions_probabilities_and_scores_agree(name, n_classes, data):
    classifier = fitted(name, n_classes)
    X = data.draw(arrays(DTYPES[name], (8, 4), elements=st.integers(0, 16).map(lambda i: i / 2)))
    if hasattr(classifier, "temperature_"):
        # With large ones the probabilities of close scores round to the same number.
        set_temperature(classifier, 10.0 ** data.draw(st.integers(0, 20)))
    predicted, proba = classifier.predict(X), classifier.predict_proba(X)
    np.testing.assert_array_equal(predicted, classifier.classes_[proba.argmax(axis=1)])
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
    if hasattr(classifier, "decision_function"):
        scores = classifier.decision_function(X)
        best = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        np.testing.assert_array_equal(predicted, classifier.classes_[best])
    log_proba = classifier.predict_log_proba(X)
    np.testing.assert_allclose(np.exp(log_proba), proba, rtol=1e-4, atol=1e-12)
    if "Refined" not in name:
        assert np.isfinite(log_proba).all()


@pytest.mark.parametrize("name", ["RobustClassifier, one", "UnhingedClassifier"])
def test_logarithms_of_probabilities_that_round_to_0(name):
    classifier = fitted(name, 3)
    set_temperature(classifier, 1e-3)
    log_proba = classifier.predict_log_proba(IRIS[0])
    assert log_proba.min() < -1000
    assert classifier.predict_proba(IRIS[0]).min() == 0


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_floating_point_errors_that_are_raised_do_no_harm(name):
    with np.errstate(all="raise"):
        classifier = clone(CLASSIFIERS[name]).fit(*IRIS)
        classifier.predict_proba(50 * IRIS[0] - 100)
        classifier.predict_log_proba(-IRIS[0])


def rare():
    """Noise beside a class that hardly differs from another and is rare."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(400, 4))
    y = (X[:, 0] > 0).astype(int)
    y[rng.permutation(400)[:12]] = 2
    return X, np.array(["a", "b", "rare"])[y]


@pytest.mark.parametrize("name", ["RobustClassifier", "RobustClassifier, one", ENSEMBLE])
def test_classes_that_are_never_predicted_are_named(name):
    X, y = rare()
    classifier = clone(CLASSIFIERS[name])
    with pytest.warns(ConvergenceWarning, match=r"never predicts the classes \['rare'\]"):
        classifier.fit(X, y)
    assert "rare" not in classifier.predict(X)


@pytest.mark.parametrize("n_epochs", [1, 10])
def test_a_step_that_is_too_large_is_told_after_few_epochs_too(n_epochs):
    classifier = RobustClassifier(
        "sgce", n_members=1, transition_matrix=None, max_epochs=n_epochs, random_state=0
    )
    classifier.fit(*IRIS)  # no class is out of reach yet
    with pytest.warns(
        ConvergenceWarning, match=r"never predicts the classes \[.*\].* lr=10000.0 is too large"
    ):
        classifier.set_params(lr=1e4).fit(*IRIS)


def test_classes_that_priors_leave_out_are_not_missed():
    classifier = clone(CLASSIFIERS["RobustClassifier"]).set_params(priors=[1 - 2e-60, 1e-60, 1e-60])
    assert set(classifier.fit(*IRIS).predict(IRIS[0])) == {classifier.classes_[0]}


@pytest.mark.parametrize("name", ["RobustClassifier", ENSEMBLE])
def test_a_class_that_weighs_nothing_is_not_missed(name):
    X, y = rare()
    weights = {"a": 1, "b": 1, "rare": 0}
    clone(CLASSIFIERS[name]).set_params(class_weight=weights).fit(X, y)

"""Losses as objectives of LightGBM and XGBoost: derivatives, and what the packages make of them."""

import itertools
import pickle

import numpy as np
import pytest
import torch
from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.model_selection import GridSearchCV
from xgboost import XGBClassifier

from robustlabels.losses import (
    CE,
    GCE,
    ClassMean,
    LogitClip,
    TruncatedGCE,
    _boosting,
    available_losses,
    boosting_objective,
    get_loss,
)
from robustlabels.losses.theory import initial_gain

#: Losses whose weight of a row grows with the probability of the label: the Hessian is a bound.
BOUNDED = ["ce", "mae", "gce", "rce", "sce", "taylor-ce", "truncated-gce", "agce", "aul", "ael"]
SMALL = {"n_estimators": 20, "n_jobs": 1, "random_state": 0}
LIGHT = {**SMALL, "verbose": -1, "min_child_samples": 5}

each_loss = pytest.mark.parametrize("name", available_losses())
each_class_count = pytest.mark.parametrize("n_classes", [2, 3, 10])


def make(name):
    # Above 1/K its default k makes it flat at equal scores.
    return TruncatedGCE(k=0.05) if name == "truncated-gce" else get_loss(name)


def batch(n_classes, n_samples=40, spread=2.0):
    """Return labels, raw scores, and the logits that these stand for."""
    random = np.random.RandomState(n_classes)
    scores = spread * random.randn(n_samples, n_classes if n_classes > 2 else 1)
    logits = np.hstack([0 * scores, scores]) if n_classes == 2 else scores
    return random.randint(n_classes, size=n_samples), scores, logits


def raw(scores):
    """Return raw scores as the packages pass them: one column is none."""
    return scores[:, 0] if scores.shape[1] == 1 else scores


def classes(clf, X):
    """Return the predictions of a classifier, of LGBMClassifier from its raw scores."""
    if not isinstance(clf, LGBMClassifier):
        return clf.predict(X)
    scores = clf.predict(X, raw_score=True)
    return clf.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)]


def accuracy(clf, X, y):
    return np.mean(classes(clf, X) == y)


def differences(function, scores, step=1e-5):
    """Differentiate column j of a function by column j of the scores, for all j."""
    columns = []
    for j in range(scores.shape[1]):
        shift = step * (np.arange(scores.shape[1]) == j)
        up, down = (function(scores + sign * shift) for sign in (1, -1))
        columns.append((up - down)[:, j % up.shape[1]] / (2 * step))
    return np.stack(columns, axis=1)


# Derivatives


@each_class_count
@each_loss
def test_gradient_is_that_of_the_loss_over_its_initial_gain(name, n_classes):
    y, scores, _ = batch(n_classes)
    loss = make(name).set_params(reduction="none")

    def losses(scores):
        logits = np.hstack([0 * scores, scores]) if n_classes == 2 else scores
        return loss(torch.as_tensor(logits), torch.as_tensor(y)).numpy()[:, np.newaxis]

    gradient, hessian = boosting_objective(loss)(y, raw(scores))
    assert gradient.shape == hessian.shape == raw(scores).shape
    expected = raw(differences(losses, scores)) / initial_gain(loss, n_classes)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-7)


@each_loss
def test_hessian_is_positive_also_at_extreme_scores(name):
    for n_classes, spread in itertools.product((2, 3, 10), (0, 1, 1e4)):
        y, scores, _ = batch(n_classes, spread=spread)
        gradient, hessian = boosting_objective(make(name))(y, raw(scores).astype(np.float32))
        assert np.isfinite(gradient).all()
        assert np.isfinite(hessian).all()
        assert hessian.min() > 0
        assert hessian.astype(np.float32).min() > 0


@each_class_count
@pytest.mark.parametrize("name", BOUNDED)
def test_hessian_bounds_the_second_derivative_where_weights_grow(name, n_classes):
    y, scores, _ = batch(n_classes, n_samples=300)
    objective = boosting_objective(make(name))
    second = differences(lambda scores: objective(y, raw(scores))[0].reshape(scores.shape), scores)
    assert (raw(second) <= objective(y, raw(scores))[1] + 1e-8).all()


@pytest.mark.parametrize("name", BOUNDED)
def test_hessian_bounds_the_matrix_of_second_derivatives(name):
    # All trees of a round are fitted to the same scores: their steps add up.
    y, scores, _ = batch(4, n_samples=50)
    objective = boosting_objective(make(name))
    step, unit = 1e-5, np.eye(4)
    rows = [
        (objective(y, scores + step * e)[0] - objective(y, scores - step * e)[0]) / (2 * step)
        for e in unit
    ]
    slack = unit * objective(y, scores)[1][:, np.newaxis] - np.stack(rows, axis=1)
    assert np.linalg.eigvalsh((slack + slack.swapaxes(1, 2)) / 2).min() > -1e-7


@each_class_count
@pytest.mark.parametrize("loss", [*map(make, BOUNDED[:5]), get_loss("sgce"), LogitClip(CE())])
def test_equal_scores_give_the_derivatives_of_the_cross_entropy(loss, n_classes):
    y, scores, _ = batch(n_classes, spread=0)
    ours = boosting_objective(loss)(y, raw(scores))
    np.testing.assert_allclose(ours, boosting_objective("ce")(y, raw(scores)), atol=1e-9)


def test_weights_multiply_both():
    y, scores, _ = batch(3)
    weight = np.arange(40.0)
    weighted = boosting_objective("sgce")(y, scores, weight)
    for got, plain in zip(weighted, boosting_objective("sgce")(y, scores), strict=True):
        np.testing.assert_allclose(got, weight[:, np.newaxis] * plain, atol=1e-15)
    assert weighted[1].min() > 0


def test_factor_of_the_loss_has_no_effect():
    y, scores, _ = batch(3)
    plain = boosting_objective("gce")(y, scores)
    np.testing.assert_allclose(boosting_objective(5 * GCE())(y, scores), plain, rtol=1e-9)


def test_blocks_give_the_same(monkeypatch):
    y, scores, _ = batch(3)
    whole = boosting_objective("nce+rce")(y, scores)
    monkeypatch.setattr(_boosting, "_BLOCK", 21)
    np.testing.assert_allclose(boosting_objective("nce+rce")(y, scores), whole, rtol=1e-12)


def test_scores_gradient_mode_and_loss_stay_as_they_are():
    y, scores, _ = batch(3)
    before = scores.copy()
    loss = GCE(q=0.5)
    objective = boosting_objective(loss)
    with torch.no_grad():
        gradient, _ = objective(y, scores)
        assert not torch.is_grad_enabled()
    loss.set_params(q=1.0)
    np.testing.assert_array_equal(scores, before)
    np.testing.assert_array_equal(objective(y, scores)[0], gradient)
    assert repr(objective) == "boosting_objective(GCE(q=0.5))"


# Errors


def test_unknown_losses_and_hyperparameters_are_named():
    with pytest.raises(ValueError, match="Unknown loss 'gcee'. Did you mean 'gce'"):
        boosting_objective("gcee")
    with pytest.raises(ValueError, match="'q' parameter of GCE"):
        boosting_objective(GCE(q=-1.0))


@pytest.mark.parametrize("label", [3, -1, 0.5, np.nan])
def test_labels_must_be_class_numbers(label):
    with pytest.raises(ValueError, match=f"integers from 0 to 2.* Got {label}. Encode"):
        boosting_objective("gce")(np.array([0, label, 1]), np.zeros((3, 3)))


def test_shapes_must_fit():
    objective = boosting_objective("gce")
    with pytest.raises(ValueError, match=r"shape \(n,\) for two classes or \(n, K\). Got \(3, 1\)"):
        objective(np.zeros(3), np.zeros((3, 1)))
    with pytest.raises(ValueError, match=r"not to their train functions"):
        objective(np.zeros(3), object())
    with pytest.raises(ValueError, match=r"y_true must have shape \(3,\)"):
        objective(np.zeros(4), np.zeros(3))


@pytest.mark.parametrize("loss", [TruncatedGCE(k=0.5), ClassMean(CE())], ids=repr)
def test_loss_must_have_a_gradient_at_equal_scores(loss):
    with pytest.raises(ValueError, match="where the loss must have a gradient"):
        boosting_objective(loss)(np.array([0, 1, 2]), np.zeros((3, 3)))


# The packages


def test_cross_entropy_is_that_of_lightgbm():
    own = {**LIGHT, "boost_from_average": False}
    X, y = load_breast_cancer(return_X_y=True)
    ours = LGBMClassifier(objective=boosting_objective("ce"), **LIGHT).fit(X, y)
    theirs = LGBMClassifier(objective="binary", **own).fit(X, y)
    scores = [clf.predict(X, raw_score=True) for clf in (ours, theirs)]
    np.testing.assert_allclose(*scores, atol=1e-4)


def test_cross_entropy_is_that_of_lightgbm_for_more_classes():
    # LightGBM's Hessian is K / (K - 1) p (1 - p). With ours, 2 p (1 - p), a larger learning rate
    # makes the same steps: min_child_weight grows with the Hessian.
    X, y = load_iris(return_X_y=True)
    ratio = 2 * (3 - 1) / 3
    ours = LGBMClassifier(
        objective=boosting_objective("ce"), learning_rate=0.1 * ratio,
        min_child_weight=1e-3 * ratio, **LIGHT,
    ).fit(X, y)  # fmt: skip
    own = {**LIGHT, "boost_from_average": False}
    theirs = LGBMClassifier(objective="multiclass", **own).fit(X, y)
    scores = [clf.predict(X, raw_score=True) for clf in (ours, theirs)]
    scores = [each - each.mean(axis=1, keepdims=True) for each in scores]
    np.testing.assert_allclose(*scores, atol=1e-3)


@pytest.mark.parametrize("load", [load_breast_cancer, load_iris])
def test_cross_entropy_is_that_of_xgboost(load):
    X, y = load(return_X_y=True)
    ours = XGBClassifier(objective=boosting_objective("ce"), **SMALL).fit(X, y)
    theirs = XGBClassifier(base_score=0.5, **SMALL).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-4)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize("name", ["mae", "sgce", "bi-tempered"])
@pytest.mark.parametrize("make_booster", [
    lambda objective: LGBMClassifier(objective=objective, **LIGHT),
    lambda objective: XGBClassifier(objective=objective, **SMALL),
], ids=["LightGBM", "XGBoost"])  # fmt: skip
def test_learns(name, make_booster):
    objective = boosting_objective(name)
    for load, bar in ((load_iris, 0.9), (load_breast_cancer, 0.9), (load_digits, 0.8)):
        X, y = load(return_X_y=True)
        X, y = (X[::2], y[::2]) if len(y) < 1000 else (X[::4, 10:50], y[::4])
        X_test, y_test = (part[1::2] for part in load(return_X_y=True))
        X_test = X_test[:, 10:50] if X.shape[1] == 40 else X_test
        assert accuracy(make_booster(objective).fit(X, y), X_test, y_test) > bar


def test_labels_of_lightgbm_can_be_anything():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    clf = LGBMClassifier(objective=boosting_objective("gce"), **LIGHT).fit(X, names)
    assert accuracy(clf, X, names) > 0.95
    with pytest.warns(UserWarning, match="Returning raw scores instead"):
        np.testing.assert_array_equal(clf.predict_proba(X), clf.predict(X, raw_score=True))


def test_xgboost_gives_softmax_probabilities():
    X, y = load_iris(return_X_y=True)
    clf = XGBClassifier(objective=boosting_objective("gce"), **SMALL).fit(X, y)
    scores = torch.as_tensor(clf.predict(X, output_margin=True))
    np.testing.assert_allclose(clf.predict_proba(X), scores.softmax(-1).numpy(), atol=1e-6)


@pytest.mark.parametrize("load", [load_breast_cancer, load_iris])
def test_weight_of_two_is_the_row_twice(load):
    X, y = load(return_X_y=True)
    twice = np.arange(len(y)) % 3 == 0
    X_more, y_more = np.vstack([X, X[twice]]), np.append(y, y[twice])
    objective = boosting_objective("sgce")
    # A row counts once among the rows of a leaf; its weight counts in the Hessian.
    light = {**LIGHT, "min_child_samples": 1, "min_data_in_bin": 1, "min_child_weight": 1.0}
    for clf in (
        LGBMClassifier(objective=objective, **light),
        XGBClassifier(objective=objective, tree_method="exact", **SMALL),
    ):
        weighted = clone(clf).fit(X, y, sample_weight=1.0 + twice)
        repeated = clone(clf).fit(X_more, y_more)
        agree = classes(weighted, X) == classes(repeated, X)
        assert agree.mean() > 0.99


@pytest.mark.parametrize("booster", [
    LGBMClassifier(objective=boosting_objective("gce"), **LIGHT),
    XGBClassifier(objective=boosting_objective("gce"), **SMALL),
], ids=["LightGBM", "XGBoost"])  # fmt: skip
def test_clones_pickles_and_second_fits_predict_the_same(booster):
    X, y = load_iris(return_X_y=True)
    raw_scores = {LGBMClassifier: "raw_score", XGBClassifier: "output_margin"}[type(booster)]
    fitted = clone(booster).fit(X, y)
    expected = fitted.predict(X, **{raw_scores: True})
    for other in (
        pickle.loads(pickle.dumps(fitted)),
        pickle.loads(pickle.dumps(booster)).fit(X, y),
        clone(fitted).fit(X, y),
    ):
        np.testing.assert_array_equal(other.predict(X, **{raw_scores: True}), expected)


def test_search_over_losses():
    X, y = load_iris(return_X_y=True)
    grid = {"objective": [boosting_objective(name) for name in ("ce", "gce", "mae")]}
    search = GridSearchCV(LGBMClassifier(**LIGHT), grid, scoring=accuracy, cv=3, n_jobs=1).fit(X, y)
    assert search.best_score_ > 0.9
    # XGBClassifier predicts classes itself.
    search = GridSearchCV(XGBClassifier(**SMALL), grid, cv=3, n_jobs=1).fit(X, y)
    assert search.best_score_ > 0.9

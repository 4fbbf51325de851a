"""noise_curve and its display: clean scores after noisy training, whatever the number of jobs."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from robustlabels import (
    LabelNoiseInjector,
    NoiseCurveDisplay,
    NoiseInjectedClassifier,
    UnhingedClassifier,
    noise_curve,
)
from robustlabels.noise import pair_transition

mpl.use("agg")


def test_three_estimators_four_rates_five_folds_for_any_number_of_jobs():
    X, y = load_digits(return_X_y=True)
    estimators = {
        "unhinged": UnhingedClassifier(),
        "bayes": GaussianNB(var_smoothing=0.01),
        "tree": DecisionTreeClassifier(max_features=8),
    }
    one, two = (
        NoiseCurveDisplay.from_estimators(estimators, X, y, random_state=0, n_jobs=n_jobs)
        for n_jobs in (1, 2)
    )
    for name in estimators:
        assert one.scores[name].shape == (4, 5)
        np.testing.assert_array_equal(one.scores[name], two.scores[name])
        # An estimator alone gets the same folds and noise.
        alone = noise_curve(estimators[name], X, y, random_state=0)
        np.testing.assert_array_equal(alone, one.scores[name])
    means = {name: scores.mean(axis=1) for name, scores in one.scores.items()}
    assert (means["unhinged"] > means["tree"]).all()
    assert means["unhinged"][0] - means["unhinged"][2] < 0.1 < means["tree"][0] - means["tree"][2]


def test_scores_are_those_of_a_noisy_classifier_on_clean_folds():
    X, y = load_iris(return_X_y=True)
    cv = StratifiedKFold(4)
    scores = noise_curve(
        GaussianNB(), X, y, noise="pair", noise_rates=[0.3], exact=True, cv=cv, random_state=5
    )
    seeds = np.random.RandomState(5)
    seeds.randint(np.iinfo(np.int32).max)
    for score, (train, test), seed in zip(
        scores[0], cv.split(X, y), seeds.randint(np.iinfo(np.int32).max, size=4), strict=True
    ):
        noisy = NoiseInjectedClassifier(
            GaussianNB(), LabelNoiseInjector("pair", 0.3, exact=True), random_state=int(seed)
        )
        assert score == noisy.fit(X[train], y[train]).score(X[test], y[test])


def test_repeats_scoring_frame_and_progress(capsys):
    X, y = load_iris(return_X_y=True, as_frame=True)
    display = NoiseCurveDisplay.from_estimator(
        GaussianNB(),
        X,
        y,
        noise={0: 1},
        noise_rates=[0.0, 0.5],
        cv=3,
        n_repeats=2,
        scoring="balanced_accuracy",
        random_state=0,
        verbose=1,
    )
    assert display.scores["GaussianNB"].shape == (2, 6)
    assert "12/12" in capsys.readouterr().err
    frame = display.frame()
    assert len(frame) == 12
    assert frame["score"].mean() == pytest.approx(display.scores["GaussianNB"].mean())
    display.plot()
    assert display.ax_.get_ylabel() == "Balanced accuracy on clean labels"
    np.testing.assert_allclose(
        display.lines_["GaussianNB"].get_ydata(), display.scores["GaussianNB"].mean(axis=1)
    )
    # Repeats draw other folds and other noise.
    assert (display.scores["GaussianNB"][:, :3] != display.scores["GaussianNB"][:, 3:]).any()
    mpl.pyplot.close("all")


def test_folds_are_drawn_anew_in_each_repeat():
    X, y = load_iris(return_X_y=True)
    scores = noise_curve(GaussianNB(), X, y, noise_rates=[0.0], cv=3, n_repeats=8, random_state=0)
    # Without noise and with a deterministic classifier, only the folds can differ.
    assert len({tuple(repeat) for repeat in scores[0].reshape(8, 3)}) > 1
    folds = list(StratifiedKFold(3).split(X, y))
    assert noise_curve(GaussianNB(), X, y, cv=iter(folds), n_repeats=2).shape == (4, 6)


def test_a_matrix_is_scaled_to_the_rates():
    X, y = load_iris(return_X_y=True)
    T, rates = pair_transition(3, 0.7), [0.1, 0.3]
    names = np.array(["c", "a", "b"])  # of setosa, versicolor, virginica
    frame = pd.DataFrame(T, index=["b", "c", "a"], columns=["b", "c", "a"])
    for noise, labels in ((T, y), (frame, names[y])):
        matrices = []

        def score(noisy, X, y, seen=matrices):
            seen.append(noisy.injector_.transition_matrix_)
            return noisy.injector_.noise_rate_

        scores = noise_curve(
            GaussianNB(), X, labels, noise=noise, noise_rates=rates, exact=True, scoring=score, cv=2
        )
        np.testing.assert_allclose(scores.mean(axis=1), rates, atol=0.02)
        assert len(matrices) == 4
        # b is mistaken for c, c for a, a for b: the next class in sorted order too.
        np.testing.assert_allclose(matrices[0], pair_transition(3, 0.1))
        np.testing.assert_allclose(matrices[-1], pair_transition(3, 0.3))


def test_weights_and_groups_reach_fits_and_scores():
    X, y = load_iris(return_X_y=True)
    weight = np.where(np.arange(150) % 2, 0.0, 2.0)
    params = {"noise_rates": [0.0], "cv": KFold(3, shuffle=True, random_state=0)}
    weighted = noise_curve(GaussianNB(), X, y, sample_weight=weight, **params)
    for score, (train, test) in zip(weighted[0], params["cv"].split(X), strict=True):
        model = GaussianNB().fit(X[train], y[train], weight[train])
        assert score == model.score(X[test], y[test], weight[test])
    model = make_pipeline(StandardScaler(), GaussianNB())
    assert noise_curve(model, X, y, sample_weight=weight, **params).shape == (1, 3)
    # If only the group indicates the class, unseen groups cannot be predicted.
    groups = np.arange(150) // 5
    X = np.random.default_rng(0).normal(size=(30, 2))[groups]
    scores = noise_curve(DecisionTreeClassifier(), X, y, noise_rates=[0.0], random_state=0)
    assert scores.mean() > 0.9
    params = {"noise_rates": [0.0], "groups": groups, "random_state": 0}
    assert noise_curve(DecisionTreeClassifier(), X, y, **params).mean() < 0.7
    display = NoiseCurveDisplay.from_estimator(DecisionTreeClassifier(), X, y, **params)
    assert display.scores["DecisionTreeClassifier"].mean() < 0.7


def test_bad_input():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="leaves all labels unchanged"):
        noise_curve(GaussianNB(), X, y, noise=np.eye(3))
    with pytest.raises(ValueError, match="noise_rates can be at most 0.4"):
        noise_curve(GaussianNB(), X, y, noise=[[0.5, 0.3, 0.2], [0, 0.9, 0.1], [0, 0, 1]])
    with pytest.raises(ValueError, match=r"must have shape \(3, 3\)"):
        noise_curve(GaussianNB(), X, y, noise=np.eye(2))
    with pytest.raises(ValueError, match="takes no sample_weight"):
        noise_curve(KNeighborsClassifier(), X, y, sample_weight=np.ones(150))
    with pytest.raises(ValueError, match="'noise' parameter"):
        noise_curve(GaussianNB(), X, y, noise="foo")
    with pytest.raises(ValueError, match="'scoring' parameter"):
        noise_curve(GaussianNB(), X, y, scoring=["accuracy"])
    with pytest.raises(ValueError, match="'var_smoothing' parameter"):
        noise_curve(GaussianNB(var_smoothing=-5), X, y)
    with pytest.raises(ValueError, match="must be a classifier"):
        noise_curve(LinearRegression(), X, y)
    with pytest.raises(ValueError, match=r"shares in \[0, 1\]"):
        noise_curve(GaussianNB(), X, y, noise_rates=[0.2, 1.2])
    with pytest.raises(ValueError, match="inconsistent numbers"):
        noise_curve(GaussianNB(), X, y[:5])
    with pytest.raises(ValueError, match="dict of classifiers"):
        NoiseCurveDisplay.from_estimators([GaussianNB()], X, y)
    with pytest.raises(ValueError, match="x must be a classifier"):
        NoiseCurveDisplay.from_estimators({"x": "GaussianNB"}, X, y)

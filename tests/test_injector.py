"""The injector corrupts training labels only, in the pipelines of both libraries."""

import subprocess
import sys

import dask
import dask.array as da
import imblearn.pipeline
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.utils.estimator_checks import parametrize_with_checks
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits, load_iris
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from robustlabels import (
    LabelNoiseInjector,
    NoiseInjectedClassifier,
    UnhingedClassifier,
    corrupt_labels,
    noise_curve,
)
from robustlabels.metrics import label_quality
from robustlabels.noise import pair_transition
from robustlabels.noise._corruption import CLASS_NOISES, SAMPLE_NOISES

X, y = load_iris(return_X_y=True)


class Recall(ClassifierMixin, BaseEstimator):
    """Predicts the label that a sample had in training. The first feature is its number."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.seen_ = dict(zip(np.asarray(X)[:, 0], y, strict=True))
        return self

    def predict(self, X):
        return np.array([self.seen_[number] for number in np.asarray(X)[:, 0]])


CHECKS = parametrize_with_checks(
    [
        LabelNoiseInjector(random_state=0),
        LabelNoiseInjector("boundary", random_state=0),
    ]
)


@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), ids=CHECKS.kwargs["ids"])
def test_imbalanced_learn_checks_it_as_a_sampler(estimator, check):
    check(estimator)


@pytest.mark.parametrize("noise", [*CLASS_NOISES, *SAMPLE_NOISES])
def test_it_does_what_the_function_does(noise):
    injector = LabelNoiseInjector(noise, 0.3, exact=True, random_state=3)
    expected, mask = corrupt_labels(
        y, noise, 0.3, X=X, exact=True, random_state=3, return_mask=True
    )
    np.testing.assert_array_equal(injector.corrupt(y, X), expected)
    np.testing.assert_array_equal(injector.flipped_, mask)
    assert injector.noise_rate_ == 0.3
    assert injector.classes_.tolist() == [0, 1, 2]
    np.testing.assert_allclose(injector.transition_matrix_.sum(axis=1), 1)
    rows, resampled = injector.fit_resample(X, y)
    assert rows is X
    np.testing.assert_array_equal(resampled, expected)


def test_it_works_like_a_label_encoder():
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    injector = LabelNoiseInjector("pair", 0.4, random_state=0).fit(names)
    np.testing.assert_allclose(injector.transition_matrix_, pair_transition(3, 0.4))
    noisy = injector.transform(names)
    assert noisy.dtype == names.dtype
    np.testing.assert_array_equal(noisy != names, injector.flipped_)
    # The classes are those of the fit, even if some of them are missing here.
    ones = injector.transform(["setosa"] * 50)
    assert set(ones) == {"setosa", "versicolor"}
    with pytest.raises(ValueError, match="not among the classes"):
        injector.transform(["rose"])
    with pytest.raises(AttributeError, match="no attribute .transform."):
        LabelNoiseInjector().fit(X, y).transform(y)
    series = pd.Series(names, index=np.arange(150) + 7, name="flower", dtype="category")
    corrupted = injector.corrupt(series)
    assert corrupted.dtype == series.dtype
    pd.testing.assert_index_equal(corrupted.index, series.index)


def test_a_matrix_holds_its_own_rate():
    injector = LabelNoiseInjector(np.roll(np.eye(3), 1, axis=1), random_state=0)
    np.testing.assert_array_equal(injector.corrupt(y), (y + 1) % 3)
    assert injector.noise_rate_ == 1
    mapped = LabelNoiseInjector({0: 2}, 0.5, exact=True, random_state=0)
    noisy = mapped.corrupt(y)
    assert (noisy[y == 0] == 2).sum() == 25
    np.testing.assert_array_equal(noisy[y != 0], y[y != 0])


def pipelines(injector):
    return {
        "imbalanced-learn": imblearn.pipeline.make_pipeline(injector, Recall()),
        "scikit-learn": make_pipeline(NoiseInjectedClassifier(Recall(), injector)),
    }


@pytest.mark.parametrize("library", ["imbalanced-learn", "scikit-learn"])
def test_training_labels_are_corrupted_and_scores_see_clean_ones(library):
    # Recall remembers each training label, so its score is the share of labels that are clean.
    numbered = np.column_stack([np.arange(150), X])
    injector = LabelNoiseInjector("symmetric", 0.4, exact=True, random_state=0)
    pipeline = pipelines(injector)[library]
    assert pipeline.fit(numbered, y).score(numbered, y) == 0.6

    class SameRows(KFold):
        def split(self, X, y=None, groups=None):
            for train, _ in super().split(X, y, groups):
                yield train, train

    scores = cross_val_score(pipeline, numbered, y, cv=SameRows(5))
    np.testing.assert_allclose(scores, 0.6)
    parameter = {
        "imbalanced-learn": "labelnoiseinjector__noise_rate",
        "scikit-learn": "noiseinjectedclassifier__injector__noise_rate",
    }[library]
    for n_jobs in (1, 2):
        search = GridSearchCV(
            pipeline, {parameter: [0.0, 0.2, 0.6]}, cv=SameRows(5), n_jobs=n_jobs
        ).fit(numbered, y)
        np.testing.assert_allclose(search.cv_results_["mean_test_score"], [1.0, 0.8, 0.4])


def test_with_other_samplers_and_scaled_rows():
    pipeline = imblearn.pipeline.make_pipeline(
        StandardScaler(),
        LabelNoiseInjector("margin", 0.2, random_state=0),
        RandomOverSampler(random_state=0),
        UnhingedClassifier(),
    )
    assert pipeline.fit(pd.DataFrame(X), pd.Series(y)).score(pd.DataFrame(X), y) > 0.7


def test_plain_pipelines_reject_the_injector_at_once():
    with pytest.raises(TypeError, match="fit and transform"):
        Pipeline([("noise", LabelNoiseInjector()), ("clf", LogisticRegression())]).fit(X, y)


def test_one_seed_seeds_all():
    digits, labels = load_digits(return_X_y=True)
    noisy = NoiseInjectedClassifier(
        make_pipeline(StandardScaler(), DummyClassifier(strategy="uniform")),
        LabelNoiseInjector("symmetric", 0.3),
        random_state=0,
    )
    first = noisy.fit(digits, labels)
    second = NoiseInjectedClassifier(**noisy.get_params(deep=False))
    flipped, predicted = first.injector_.flipped_, first.predict(digits)
    second.fit(digits, labels)
    np.testing.assert_array_equal(second.injector_.flipped_, flipped)
    np.testing.assert_array_equal(second.predict(digits), predicted)
    noisy.set_params(random_state=1).fit(digits, labels)
    assert (noisy.injector_.flipped_ != flipped).any()
    # The injector that was passed is unchanged.
    assert noisy.injector.random_state is None
    assert not hasattr(noisy.injector, "flipped_")


def test_weights_go_to_the_classifier():
    weight = (y != 2).astype(float)
    noisy = NoiseInjectedClassifier(LogisticRegression(), LabelNoiseInjector("pair", 0.0))
    noisy.fit(X, y, sample_weight=weight)
    assert set(noisy.predict(X)) == {0, 1}
    with pytest.raises(ValueError, match="two classes have samples of positive sample_weight"):
        noisy.fit(X, y, sample_weight=(y == 0).astype(float))


def test_weights_are_routed_to_the_classifier():
    class Recorder(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            assert sample_weight is not None
            return super().fit(X, y, sample_weight)

    with config_context(enable_metadata_routing=True):
        noisy = NoiseInjectedClassifier(
            Recorder(max_iter=1000).set_fit_request(sample_weight=True), LabelNoiseInjector()
        ).set_score_request(sample_weight=False)
        search = GridSearchCV(noisy, {"injector__noise_rate": [0.0, 0.2]}, cv=3)
        search.fit(X, y, sample_weight=np.ones(150))
    assert search.best_score_ > 0.8


def never():
    raise AssertionError("computed")


def test_rows_that_the_noise_does_not_look_at_can_be_anything():
    frame = pd.DataFrame({"text": ["a", "b", "c"] * 50, "number": [1.0, np.nan, 2.0] * 50})
    lazy = dask.delayed(never)()
    for X in (
        frame,
        frame.assign(time=pd.date_range("2024", periods=150)),
        frame[["number"]].assign(time=pd.date_range("2024", periods=150)),
        pa.Table.from_pandas(frame.assign(time=pd.date_range("2024", periods=150))),
        ["a text", "another one", "and one more"] * 50,
        pd.Series(["a text", "another one", "and one more"] * 50),
        [{"a": 1}] * 150,
        np.zeros((150, 2, 2)),
        da.from_delayed(lazy, (150, 2), float),
        da.from_delayed(lazy, (np.nan, 2), float),
    ):
        injector = LabelNoiseInjector("pair", 0.4, exact=True).fit(X, y)
        rows, y_noisy = injector.fit_resample(X, y)
        assert rows is X
        assert (y_noisy != y).mean() == 0.4
        assert (corrupt_labels(y, "pair", 0.4, X=X, exact=True) != y).mean() == 0.4
    assert injector.fit(frame, y).feature_names_in_.tolist() == ["text", "number"]
    with pytest.raises(ValueError, match="could not convert|NaN"):
        LabelNoiseInjector("instance").fit_resample(frame, y)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        injector.fit_resample(["a text"] * 149, y)


def test_classifiers_of_texts_meet_noise():
    X = np.array(["red green", "blue yellow", "black white"])[y].tolist()
    model = make_pipeline(CountVectorizer(), LogisticRegression())
    assert noise_curve(model, X, y, noise_rates=[0.2], cv=2, random_state=0).min() == 1
    _, suggested = label_quality(model, X, y, random_state=0)
    np.testing.assert_array_equal(suggested, y)


def test_type_of_labels_is_kept_by_the_sampler():
    injector = LabelNoiseInjector(random_state=0)
    column = pd.DataFrame({"label": pd.Series(["a", "b", "c"] * 50, dtype="category")})
    _, noisy = injector.fit_resample(X, column)
    assert noisy["label"].dtype == column["label"].dtype
    _, noisy = injector.fit_resample(X, pd.Series(y, dtype="Int64"))
    assert noisy.dtype == "Int64"
    for column in (y.reshape(-1, 1), pa.table({"label": y}), [[label] for label in y]):
        _, noisy = injector.fit_resample(X, column)
        assert np.shape(noisy) == (150, 1)


def test_matrix_of_noise_of_rows_is_that_of_the_draws():
    injector = LabelNoiseInjector("instance", 0.4)
    counts = np.zeros((3, 3))
    expected = np.zeros((3, 3))
    for seed in range(100):
        noisy = injector.set_params(random_state=seed).corrupt(y, X)
        np.add.at(counts, (y, noisy), 1 / 5000)
        expected += injector.transition_matrix_ / 100
    np.testing.assert_allclose(counts, expected, atol=0.02)


def test_nothing_is_left_of_an_earlier_fit():
    injector = LabelNoiseInjector("instance", random_state=0)
    injector.fit_resample(X, y)
    injector.fit(y)
    left = {"flipped_", "noise_rate_", "transition_matrix_", "n_features_in_"}
    assert not left & {*vars(injector)}
    with pytest.raises(ValueError, match="one class"):
        injector.fit([0, 0])
    noisy = NoiseInjectedClassifier(DummyClassifier(), LabelNoiseInjector()).fit(X, y)
    assert not hasattr(noisy.fit(X, np.zeros(150)), "injector_")


def test_a_precomputed_kernel_is_cut_in_both_directions():
    noisy = NoiseInjectedClassifier(SVC(kernel="precomputed"), LabelNoiseInjector("pair", 0.1))
    assert cross_val_score(noisy, X @ X.T, y).mean() > 0.8


def test_methods_are_those_of_the_classifier():
    noisy = NoiseInjectedClassifier(
        LogisticRegression(max_iter=1000), LabelNoiseInjector(random_state=0)
    ).fit(X, y)
    recall = NoiseInjectedClassifier(Recall(), LabelNoiseInjector())
    for name in ("predict_proba", "predict_log_proba", "decision_function"):
        expected = getattr(noisy.estimator_, name)(X)
        np.testing.assert_array_equal(getattr(noisy, name)(X), expected)
        assert not hasattr(recall, name)


def test_bad_input_is_rejected_and_nothing_is_lost():
    injector = LabelNoiseInjector("pair", 0.4, random_state=0).fit(y)
    for bad in ([1.0, np.nan], [], [0, 0]):
        with pytest.raises(ValueError, match="missing label|0 sample|one class"):
            injector.fit(bad)
    assert injector.classes_.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="pass X"):
        LabelNoiseInjector("instance").corrupt(y)
    with pytest.raises(ValueError, match="'noise' parameter"):
        LabelNoiseInjector("symetric").corrupt(y)
    with pytest.raises(ValueError, match="'injector' parameter"):
        NoiseInjectedClassifier(LogisticRegression(), "symmetric").fit(X, y)


def test_it_needs_neither_torch_nor_imbalanced_learn():
    code = (
        "import sys; from robustlabels import LabelNoiseInjector, NoiseInjectedClassifier; "
        "LabelNoiseInjector(random_state=0).fit_resample([[0.0], [1.0]], [0, 1]); "
        "assert not {'torch', 'imblearn'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_negative_weights_are_rejected():
    clf = NoiseInjectedClassifier(LogisticRegression(), LabelNoiseInjector())
    with pytest.raises(ValueError, match="Negative values"):
        clf.fit(np.arange(6.0)[:, None], [0, 1] * 3, sample_weight=[1, 1, 1, 1, 1, -1])

"""Labels of any kind come back as they were, and what names the classes is taken by the names."""

from datetime import date

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.naive_bayes import GaussianNB

from robustlabels import (
    ClassStatistics,
    LabelNoiseInjector,
    LabelRefiner,
    NoiseInjectedClassifier,
    RefinedClassifier,
    RobustClassifier,
    RobustEnsembleClassifier,
    UnhingedClassifier,
    corrupt_labels,
    find_wrong_labels,
    noise_curve,
)
from robustlabels._validation.labels import align, check_priors, check_same_classes
from robustlabels.metrics import (
    estimate_noise_rate,
    estimate_transition_matrix,
    forward_log_loss,
    label_quality,
    make_noise_corrected_scorer,
    noise_corrected_confusion_matrix,
    noise_corrected_score,
)
from robustlabels.noise import asymmetric_transition

CLASSES = ["high", "low", "mid"]
# The classes in sorted order: high is taken for mid, and nothing else.
TRANSITION = np.array([[0.6, 0.0, 0.4], [0.0, 1.0, 0.0], [0.0, 0.1, 0.9]])
Y = np.array(["low", "mid", "high", "mid", "low", "high"] * 20)


def audited(transition):
    """A table of true classes and labels, its rows and columns in the order low, mid, high."""
    ordered = pd.CategoricalDtype(["low", "mid", "high"], ordered=True)
    true, label = np.indices((3, 3)).reshape(2, -1)
    repeats = np.round(10 * transition).astype(int).ravel()
    names = np.array(CLASSES)
    return pd.crosstab(
        pd.Series(names[np.repeat(true, repeats)], dtype=ordered),
        pd.Series(names[np.repeat(label, repeats)], dtype=ordered),
        normalize="index",
    )


def test_names_of_a_transition_matrix_are_heeded():
    frame = audited(TRANSITION)
    assert frame.index.tolist() == ["low", "mid", "high"]
    y_noisy = corrupt_labels(Y, TRANSITION, random_state=0)
    y_pred, other = np.roll(y_noisy, 1), np.roll(y_noisy, 2)
    proba = np.random.default_rng(0).dirichlet(np.ones(3), size=len(Y))
    X = np.random.default_rng(0).normal(size=(len(Y), 2)) + (Y == "high")[:, None]
    for score in (
        lambda T: corrupt_labels(Y, T, random_state=0).tolist(),
        lambda T: noise_corrected_score(y_noisy, y_pred, T),
        lambda T: noise_corrected_score(y_noisy, y_pred, T, y_pred_baseline=other),
        lambda T: noise_corrected_confusion_matrix(y_noisy, y_pred, T),
        lambda T: noise_corrected_score(y_noisy, y_pred, T, metric="f1"),
        lambda T: forward_log_loss(y_noisy, proba, T),
        lambda T: UnhingedClassifier(transition_matrix=T).fit(X, y_noisy).coef_,
        lambda T: make_noise_corrected_scorer(T)(UnhingedClassifier().fit(X, Y), X, y_noisy),
    ):
        np.testing.assert_array_equal(score(frame), score(TRANSITION))
        with pytest.raises(ValueError, match=r"'low', 'mid', 'high!'.* must be the classes"):
            score(frame.rename(index={"high": "high!"}))
    labels = ["mid", "high", "low"]
    moved = noise_corrected_confusion_matrix(y_noisy, y_pred, frame, labels=labels)
    straight = noise_corrected_confusion_matrix(y_noisy, y_pred, frame)
    np.testing.assert_allclose(moved, straight[np.ix_([2, 0, 1], [2, 0, 1])], atol=1e-9)


def test_names_of_probabilities_are_heeded():
    proba = 0.8 * np.eye(3)[np.searchsorted(CLASSES, Y)] + 0.2 / 3
    y_noisy = corrupt_labels(Y, TRANSITION, random_state=0)
    frame = pd.DataFrame(proba, columns=CLASSES)[["low", "mid", "high"]]
    for score in (
        estimate_noise_rate,
        estimate_transition_matrix,
        lambda y, proba: forward_log_loss(y, proba, TRANSITION),
    ):
        np.testing.assert_array_equal(score(y_noisy, frame), score(y_noisy, proba))
        with pytest.raises(ValueError, match="pass a NumPy array"):
            score(y_noisy, frame.add_prefix("p_"))


@pytest.mark.parametrize("make", [dict, pd.Series], ids=["dict", "series"])
def test_names_of_priors_are_heeded(make):
    classes = np.array(CLASSES)
    np.testing.assert_array_equal(
        check_priors(make({"mid": 0.5, "high": 0.3, "low": 0.2}), classes), [0.3, 0.2, 0.5]
    )
    for wrong in ({"mid": 0.5, "high": 0.5}, {"mid": 0.5, "high": 0.3, "LOW": 0.2}):
        with pytest.raises(ValueError, match="priors has the names"):
            check_priors(make(wrong), classes)
    with pytest.raises(ValueError, match="priors must be positive"):
        check_priors(make({"mid": 0.5, "high": 0.3, "low": 0.3}), classes)


def test_numbers_that_pandas_gives_by_itself_are_no_names():
    values = np.array([[0.7, 0.3], [0.2, 0.8]])
    for frame in (values, values.tolist(), pd.DataFrame(values)):
        np.testing.assert_array_equal(align(frame, ["a", "b"], "T", axes=(0, 1)), values)
    # Beside real names they are an oversight, unless they are the classes.
    half = pd.DataFrame(values, columns=["b", "a"])
    with pytest.raises(ValueError, match=r"T has the names \[0, 1\]"):
        align(half, ["a", "b"], "T", axes=(0, 1))
    half = pd.DataFrame(values, columns=[1, 0])
    np.testing.assert_array_equal(align(half, [0, 1], "T", axes=(0, 1)), values[:, ::-1])
    twice = pd.DataFrame(values, index=["a", "b"], columns=["a", "a"])
    with pytest.raises(ValueError, match=r"\['a', 'a'\]"):
        align(twice, ["a", "b"], "T", axes=(0, 1))


def test_labels_may_be_of_another_type_than_the_names():
    values = np.array([0.3, 0.7])
    for classes in ([False, True], [0.0, 1.0], np.array([0, 1], dtype=np.int8)):
        series = pd.Series(values[::-1], index=[1, 0])
        np.testing.assert_array_equal(align(series, classes, "priors"), values)
    with pytest.raises(ValueError, match="priors has the names"):
        align(series, ["0", "1"], "priors")


def test_messages_name_the_first_of_many_classes():
    many = np.arange(2000)
    y, too_much = np.repeat(many, 3), np.eye(2000) * 2
    for call in (
        lambda: noise_corrected_score(y + 1, y, too_much, labels=many),
        lambda: noise_corrected_score(y, y, too_much),
        lambda: noise_corrected_score(y, y, too_much, labels=np.append(many, many)),
        lambda: noise_corrected_score(y, y, pd.DataFrame(too_much, index=many + 1)),
        lambda: estimate_noise_rate(y, np.ones((6000, 1))),
        lambda: check_priors(np.zeros(2000), many),
        lambda: check_same_classes(many, many + 1),
        lambda: asymmetric_transition(many, {-k: k for k in range(1, 1000)}, 0.2),
    ):
        with pytest.raises(ValueError, match=r"in all\)\]") as error:
            call()
        assert len(str(error.value)) < 500


def test_no_labels_at_all_are_rejected():
    with pytest.raises(ValueError, match="labels must name the classes"):
        noise_corrected_score([0, 1], [0, 1], np.eye(2), labels=[])


ROWS = np.random.default_rng(1).normal(size=(60, 2))
CODES = (ROWS[:, 0] > 0).astype(int)
FAR = [[-9.0, 0.0], [9.0, 0.0]]
NETWORK = {"transition_matrix": None, "n_members": 1, "max_epochs": 1, "hidden_layer_sizes": 2}
REFINER = LabelRefiner(teacher=GaussianNB())


def fit_blocks(y):
    with dask.config.set({"dataframe.convert-string": False}):
        X, y = (dd.from_pandas(data, npartitions=2) for data in (pd.DataFrame(ROWS), pd.Series(y)))
        return UnhingedClassifier().fit(X, y)


#: All that takes labels, and what comes out again.
TAKERS = {
    "corrupt_labels": lambda y: corrupt_labels(y, "pair", 0.5, random_state=0),
    "injector.fit": lambda y: LabelNoiseInjector().fit(y).classes_,
    "injector.fit, rows": lambda y: LabelNoiseInjector().fit(ROWS, y).classes_,
    "injector.transform": lambda y: LabelNoiseInjector().fit(y).transform(y),
    "injector.corrupt": lambda y: LabelNoiseInjector().corrupt(y),
    "injector.fit_resample": lambda y: LabelNoiseInjector().fit_resample(ROWS, y)[1],
    "noisy": lambda y: (
        NoiseInjectedClassifier(UnhingedClassifier(), LabelNoiseInjector(), random_state=0)
        .fit(ROWS, y)
        .predict(FAR)
    ),
    "unhinged": lambda y: UnhingedClassifier().fit(ROWS, y).predict(FAR),
    "unhinged, blocks": lambda y: UnhingedClassifier().partial_fit(ROWS, y, y).predict(FAR),
    "unhinged, Dask": lambda y: fit_blocks(y).predict(FAR),
    "statistics": lambda y: ClassStatistics.from_rows(ROWS, y).classes,
    "network": lambda y: RobustClassifier(**NETWORK).fit(ROWS, y).classes_,
    "network, blocks": lambda y: RobustClassifier(**NETWORK).partial_fit(ROWS, y).classes_,
    "refiner": lambda y: clone(REFINER).fit(ROWS, y).classes_,
    "refined": lambda y: RefinedClassifier(GaussianNB(), REFINER).fit(ROWS, y).classes_,
    "wrong labels": lambda y: find_wrong_labels(ROWS, y, refiner=REFINER)["label"],
    "quality": lambda y: label_quality(UnhingedClassifier(), ROWS, y)[1],
}
#: What gives numbers only, or takes the check from another one of them.
JUDGES = {
    "accuracy": lambda y: noise_corrected_score(y, y, np.eye(2)),
    "accuracy, predictions": lambda y: noise_corrected_score(CODES, y, np.eye(2)),
    "difference": lambda y: noise_corrected_score(CODES, CODES, np.eye(2), y_pred_baseline=y),
    "matrix": lambda y: noise_corrected_confusion_matrix(y, y, np.eye(2)),
    "transition": lambda y: estimate_transition_matrix(y, 0.1 + 0.8 * np.eye(2)[CODES]),
    "rate": lambda y: estimate_noise_rate(y, 0.1 + 0.8 * np.eye(2)[CODES]),
    "log loss": lambda y: forward_log_loss(y, 0.1 + 0.8 * np.eye(2)[CODES], np.eye(2)),
    "curve": lambda y: noise_curve(UnhingedClassifier(), ROWS, y, noise_rates=[0.1]),
    "ensemble": lambda y: RobustEnsembleClassifier(None, max_epochs=1).fit(ROWS, y).classes_,
}
WITH_MISSING = {
    "strings and NaN": np.array(["a", "b"], dtype=object)[CODES],
    "list of strings and NaN": np.array(["a", "b"], dtype=object)[CODES].tolist(),
    "None": CODES.astype(object),
    "NA": np.array(["a", "b"], dtype=object)[CODES],
    "floats": CODES.astype(float),
    "Int64": pd.Series(CODES, dtype="Int64"),
    "bool[pyarrow]": pd.Series(CODES > 0, dtype="bool[pyarrow]"),
    "string": pd.Series(["a", "b"], dtype="string")[CODES].reset_index(drop=True),
    "category": pd.Series(["a", "b"], dtype="category")[CODES].reset_index(drop=True),
    "masked": np.ma.masked_array(CODES),
}
for kind, y in WITH_MISSING.items():
    missing = {"None": None, "NA": pd.NA, "masked": np.ma.masked}.get(kind, np.nan)
    for row in (7, 8, 59):
        y[row] = missing


@pytest.mark.parametrize("take", [*TAKERS, *JUDGES])
def test_missing_labels_are_counted(take):
    for kind, y in WITH_MISSING.items():
        if take == "unhinged, Dask" and kind == "masked":
            continue  # pandas knows no masks
        # Dask says it of the first block that has some.
        of_all = "" if take == "unhinged, Dask" else "3 missing labels among 60 "
        with pytest.raises(ValueError, match=rf"has {of_all}.*None, NaN or NA.*Drop"):
            (TAKERS | JUDGES)[take](y)


@pytest.mark.parametrize("take", [*TAKERS, *JUDGES])
def test_labels_that_are_none_or_of_two_types_are_rejected(take):
    take = (TAKERS | JUDGES)[take]
    mixed = np.array(["0", "1"], dtype=object)[CODES]
    mixed[:5] = 0
    for y in (mixed, mixed.tolist()):
        with pytest.raises(ValueError, match="types int and str beside each other.* to one type"):
            take(y)
    with pytest.raises(ValueError, match="[36]0 missing labels among"):
        take([None] * 60)
    with pytest.raises(ValueError, match=r"of the type date.*astype\(str\)"):
        take(np.array([date(2020, 1, 1), date(2020, 1, 2)])[CODES])


def test_dates_are_no_numbers():
    days = np.array(["2024-01-01", "2024-01-02"], dtype="datetime64[D]")[CODES % 2]
    for first, second in ((days, CODES), (CODES, days)):
        with pytest.raises(
            ValueError, match=r"that are (dates|numbers).* that are (dates|numbers)"
        ):
            noise_corrected_score(first, second, np.eye(2))
    with pytest.raises(ValueError, match="classes that are numbers"):
        estimate_noise_rate(days, np.full((len(days), 2), 0.5), labels=[0, 1])


BIG = 2**53
#: Labels, and the type of each of them where NumPy's arrays hold them.
KINDS = {
    "objects": (CODES.astype(object), int),
    "objects, bool": ((CODES > 0).astype(object), bool),
    "list": (CODES.tolist(), int),
    "Int64": (pd.Series(CODES, dtype="Int64"), int),
    "large": (pd.Series(BIG + CODES, dtype="Int64"), int),
    "large, Arrow": (pd.Series(BIG + CODES, dtype="int64[pyarrow]"), int),
    "boolean": (pd.Series(CODES > 0, dtype="boolean"), bool),
    "bool[pyarrow]": (pd.Series(CODES > 0, dtype="bool[pyarrow]"), bool),
    "category": (pd.Series(CODES, dtype="category"), int),
    "string": (pd.Series(CODES).astype("string"), str),
    "string[pyarrow]": (pd.Series(CODES).astype("string[pyarrow]"), str),
}


@pytest.mark.parametrize("take", TAKERS)
def test_labels_come_back_as_they_are(take):
    for y, of_each in KINDS.values():
        labels = TAKERS[take](y)
        if isinstance(labels, pd.Series) and isinstance(y, pd.Series):
            assert labels.dtype == y.dtype
            assert labels.sort_index().index.equals(y.index)
        assert {type(label) for label in np.asarray(labels).tolist()} == {of_each}
        assert {*labels} == {*y}


def test_scores_do_not_depend_on_the_kind_of_labels():
    judges = {*JUDGES} - {"accuracy, predictions", "difference", "curve", "ensemble"}
    for judge in judges:
        for y, _ in KINDS.values():
            np.testing.assert_array_equal(JUDGES[judge](y), JUDGES[judge](CODES))


def test_nothing_is_changed_at_a_rate_of_zero():
    for y, _ in KINDS.values():
        same, mask = corrupt_labels(y, "symmetric", 0.0, return_mask=True)
        assert not mask.any()
        assert list(same) == list(y)
        assert list(LabelNoiseInjector(noise_rate=0.0).fit_resample(ROWS, y)[1]) == list(y)


def test_strings_and_numbers_are_not_compared():
    numbers, strings = [0, 1] * 5, ["0", "1"] * 5
    for call in (
        lambda: noise_corrected_score(numbers, strings, np.eye(2)),
        lambda: noise_corrected_score(numbers, numbers, np.eye(2), labels=["0", "1"]),
        lambda: forward_log_loss(strings, np.full((10, 2), 0.5), np.eye(2), labels=[0, 1]),
        lambda: UnhingedClassifier().partial_fit(ROWS[:10], numbers, ["0", "1"]),
        lambda: RobustClassifier(**NETWORK).partial_fit(ROWS[:10], strings, [0, 1]),
        lambda: LabelNoiseInjector().fit(strings).transform(numbers),
        lambda: ClassStatistics.from_rows(ROWS[:10], numbers, classes=["0", "1"]),
    ):
        with pytest.raises(ValueError, match="strings.*numbers|numbers.*strings"):
            call()
    with pytest.raises(ValueError, match="no NumPy type can represent"):
        corrupt_labels([BIG, BIG + 1, 0.5], "pair", 0.1)


def test_a_class_without_weight_is_told_from_one_that_is_missing():
    y, weight = np.append(CODES, 2), np.append(np.ones(60), 0)
    X, T, priors = np.append(ROWS, [[0, 0]], axis=0), np.eye(3), [0.3, 0.3, 0.4]
    frame = pd.DataFrame(T, index=[0, 1, 2], columns=[2, 1, 0])
    network = RobustClassifier(**NETWORK)
    for call in (
        lambda: UnhingedClassifier(transition_matrix=T).fit(X, y, weight),
        lambda: UnhingedClassifier(transition_matrix=frame).fit(X, y, weight),
        lambda: RobustClassifier(transition_matrix=T).fit(X, y, weight),
        lambda: LabelRefiner(T, teacher=GaussianNB()).fit(X, y, weight),
        lambda: RobustEnsembleClassifier(T).fit(X, y, weight),
        lambda: clone(network).set_params(priors=priors).fit(X, y, weight),
        lambda: clone(network).set_params(priors=dict(enumerate(priors))).fit(X, y, weight),
        lambda: clone(network).set_params(warm_start=True).fit(X, y).fit(X, y, weight),
        lambda: noise_corrected_score(CODES, CODES, T),
        lambda: corrupt_labels(CODES, T),
        *(
            lambda estimator=estimator: estimator.fit(X, y, (y == 0) * 1.0)
            for estimator in (UnhingedClassifier(), network, LabelRefiner())
        ),
    ):
        with pytest.raises(ValueError, match="only rows whose sample_weight is 0"):
            call()
    with pytest.raises(ValueError, match=r"Got shape \(1, 1\)\.$"):
        noise_corrected_score(CODES, CODES, [[1.0]])


def test_answers_of_several_annotators_where_one_label_is_taken():
    X, y = np.arange(8.0).reshape(4, 2), np.array([0, 1, 0, 1])
    with pytest.raises(ValueError, match=r"y should be a 1d array.*shape \(4, 2\).*LabelRefiner"):
        UnhingedClassifier().fit(X, np.column_stack([y, y]))

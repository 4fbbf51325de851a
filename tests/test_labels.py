"""What carries the names of the classes is taken by them, not by position."""

import numpy as np
import pandas as pd
import pytest

from robustlabels import UnhingedClassifier, asymmetric_transition, corrupt_labels
from robustlabels._labels import align, check_priors, check_same_classes
from robustlabels.metrics import (
    estimate_noise_rate,
    estimate_transition_matrix,
    forward_log_loss,
    make_noise_corrected_scorer,
    noise_corrected_accuracy,
    noise_corrected_confusion_matrix,
    noise_corrected_difference,
    noise_corrected_f1,
)

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
        lambda T: noise_corrected_accuracy(y_noisy, y_pred, T),
        lambda T: noise_corrected_difference(y_noisy, y_pred, other, T),
        lambda T: noise_corrected_confusion_matrix(y_noisy, y_pred, T),
        lambda T: noise_corrected_f1(y_noisy, y_pred, T),
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
        lambda: noise_corrected_accuracy(y + 1, y, too_much, labels=many),
        lambda: noise_corrected_accuracy(y, y, too_much),
        lambda: noise_corrected_accuracy(y, y, too_much, labels=np.append(many, many)),
        lambda: noise_corrected_accuracy(y, y, pd.DataFrame(too_much, index=many + 1)),
        lambda: estimate_noise_rate(y, np.ones((6000, 1))),
        lambda: check_priors(np.zeros(2000), many),
        lambda: check_same_classes(many, many + 1),
        lambda: asymmetric_transition(many, {-k: k for k in range(1, 1000)}, 0.2),
    ):
        with pytest.raises(ValueError, match=r"in all\)\]") as error:
            call()
        assert len(str(error.value)) < 500


def test_no_labels_at_all_are_refused():
    with pytest.raises(ValueError, match="labels must name the classes"):
        noise_corrected_accuracy([0, 1], [0, 1], np.eye(2), labels=[])

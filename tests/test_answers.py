"""Several annotators for each row, and labels that are trusted."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from robustlabels import (
    LabelRefiner,
    RefinedClassifier,
    RobustClassifier,
    RobustEnsembleClassifier,
    corrupt_labels,
    find_wrong_labels,
    pivot_answers,
)
from robustlabels._validation.answers import Answers, read_labels
from robustlabels.noise import symmetric_transition
from robustlabels.refinement._annotators import fit_annotators

#: Probability that each annotator is right.
QUALITY = np.array([0.25, 0.4, 0.6, 0.75, 0.9])


def ask(y, n_answers, seed=0, quality=QUALITY):
    """Answers of annotators of some quality, so many for each row; -1 where there is none."""
    rng = np.random.RandomState(seed)
    n_rows, n_annotators, n_classes = len(y), len(quality), y.max() + 1
    who = np.argsort(rng.uniform(size=(n_rows, n_annotators)), axis=1)[:, :n_answers]
    wrong = (y[:, None] + rng.randint(1, n_classes, size=who.shape)) % n_classes
    answers = np.full((n_rows, n_annotators), -1)
    given = np.where(rng.uniform(size=who.shape) < quality[who], y[:, None], wrong)
    np.put_along_axis(answers, who, given, axis=1)
    return answers


@pytest.fixture(scope="module")
def crowd():
    rng = np.random.RandomState(0)
    y = np.arange(300) % 3
    X = np.eye(3)[y] + 0.4 * rng.normal(size=(300, 3))
    answers = ask(y, 3)
    return X, y, np.where(answers < 0, np.nan, answers)


@pytest.fixture(scope="module")
def refiner(crowd):
    X, _, Y = crowd
    return LabelRefiner(random_state=0).fit(X, Y)


def majority(Y):
    return pd.DataFrame(Y).mode(axis=1)[0].to_numpy()


def test_annotators_differ_and_label_probabilities_join_features_and_answers(crowd, refiner):
    _, y, Y = crowd
    quality = refiner.annotator_quality_
    assert quality["n_answers"].tolist() == (~np.isnan(Y)).sum(axis=0).tolist()
    np.testing.assert_allclose(quality["quality"], QUALITY, atol=0.12)
    assert quality["quality"].is_monotonic_increasing
    # One who is wrong more often than right is found out; together they are right.
    assert refiner.annotator_transitions_[0].diagonal().mean() < 0.4
    assert (refiner.transition_matrix_.argmax(axis=1) == np.arange(3)).all()
    right = (refiner.label_probabilities_.argmax(axis=1) == y).mean()
    assert right > (majority(Y) == y).mean() + 0.15
    alone = fit_annotators(read_labels(Y), None, np.ones(len(y)))
    assert right > (alone.label_probabilities.argmax(axis=1) == y).mean() + 0.05
    np.testing.assert_allclose(refiner.soft_labels_.sum(axis=1), 1)


def test_each_answer_has_a_probability_that_it_is_wrong(crowd, refiner):
    _, y, Y = crowd
    wrong = refiner.wrong_probability_
    assert wrong.shape == Y.shape
    np.testing.assert_array_equal(np.isnan(wrong), np.isnan(Y))
    truth = (y[:, None] != Y)[~np.isnan(Y)]
    assert refiner.n_wrong_ == pytest.approx(truth.sum(), rel=0.1)
    assert refiner.noise_rate_ == pytest.approx(truth.mean(), rel=0.1)
    assert wrong[~np.isnan(Y)][truth].mean() > wrong[~np.isnan(Y)][~truth].mean() + 0.5
    assert refiner.n_wrong_interval_ is refiner.noise_evidence_ is None


@settings(max_examples=5)
@given(st.integers(2, 4), st.integers(2, 4), st.integers(0, 100))
def test_answers_of_many_obey_bayes(n_classes, n_answers, seed):
    rng = np.random.RandomState(seed)
    y = rng.randint(n_classes, size=1500)
    y[:n_classes] = np.arange(n_classes)
    quality = rng.uniform(0.5, 0.95, size=4) + 0.0
    codes = ask(y, n_answers, seed, quality)
    found = fit_annotators(Answers(codes, np.arange(n_classes), None), None, np.ones(1500))
    for matrix, right in zip(found.transitions, quality, strict=True):
        np.testing.assert_allclose(matrix.sum(axis=1), 1)
        if n_answers > 2 and quality.mean() > 0.7:
            # Below three answers a row they cannot tell each other's qualities well.
            assert abs(matrix.diagonal().mean() - right) < 0.12
    assert (found.likelihood.max(axis=1) == 1).all()


def test_few_answers_of_an_annotator_say_what_those_of_all_do():
    y = np.arange(600) % 3
    codes = ask(y, 3)
    # One more annotator gives two answers, both wrong.
    codes = np.column_stack([codes, np.full(600, -1)])
    codes[:2, 5] = (y[:2] + 1) % 3
    found = fit_annotators(Answers(codes, np.arange(3), None), None, np.ones(600))
    few, common = found.transitions[5], found.common
    assert 0.5 * common.trace() < few.trace() < common.trace()
    assert few[2].argmax() == 2


@pytest.fixture(scope="module")
def beside_an_expert():
    """Counts of two annotators by true class and answer, and what is found beside an expert.

    The expert's answers are trusted, so that the classes are known and the counts are exact.
    """
    counts = np.array(
        [
            [[400, 60, 0, 20], [30, 300, 30, 0], [0, 90, 240, 60], [10, 0, 50, 180]],
            [[199, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
        ]
    )
    who, y, answer = (
        part.repeat(counts.ravel()) for part in np.indices(counts.shape).reshape(3, -1)
    )
    codes = np.full((len(y), 3), -1)
    codes[np.arange(len(y)), who], codes[:, 2] = answer, y
    trusted = np.zeros(codes.shape, bool)
    trusted[:, 2] = True
    found = fit_annotators(Answers(codes, np.arange(4), list("abc")), trusted, np.ones(len(y)))
    np.testing.assert_array_equal(found.label_probabilities, np.eye(4)[y])
    return counts, found


def test_the_common_noise_is_counted_beside_an_answer_per_entry_of_symmetric_noise(
    beside_an_expert,
):
    counts, found = beside_an_expert
    all_counts = counts.sum(axis=0)
    rate = 1 - (all_counts.trace() + 1) / (all_counts.sum() + 1)
    expected = all_counts + 4 * symmetric_transition(4, rate)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.common, expected, rtol=1e-9)


def test_the_rate_of_an_annotator_holds_for_classes_without_answers(beside_an_expert):
    _, found = beside_an_expert
    common = 1 - found.common.diagonal()
    # One wrong answer of 200 to a single class, beside five answers at the common rate.
    prior = 5 * common.mean()
    share = (1 + prior) / (200 * common[0] + prior)
    assert share < 0.2
    off = ~np.eye(4, dtype=bool)[1:]
    expected = share * found.common[1:][off]
    np.testing.assert_allclose(found.transitions[1][1:][off], expected, rtol=1e-9)


def test_trees_tell_annotators_apart_where_each_row_has_one_answer():
    y = np.arange(3000) % 3
    answers, weight = Answers(ask(y, 1), np.arange(3), None), np.ones(len(y))
    q = 0.05 + 0.85 * np.eye(3)[corrupt_labels(y, "symmetric", 0.1, random_state=0)]
    of_answers = fit_annotators(answers, None, weight)
    joint = fit_annotators(answers, None, weight, q)
    errors = [
        np.abs(found.transitions.diagonal(axis1=1, axis2=2).mean(axis=1) - QUALITY).mean()
        for found in (of_answers, joint)
    ]
    assert errors[1] < 0.1 < 0.2 < errors[0]


@pytest.mark.parametrize("n_answers", [1, 1.5])
def test_many_who_answer_little_are_taken_at_their_word_and_refined(n_answers):
    X, y = load_wine(return_X_y=True)
    rng, Y = np.random.RandomState(0), np.full((len(y), 100), np.nan)
    who = np.argsort(rng.uniform(size=Y.shape), axis=1)
    for place, share in enumerate([1, n_answers - 1]):
        rows = np.flatnonzero(rng.uniform(size=len(y)) < share)
        Y[rows, who[rows, place]] = corrupt_labels(y, "symmetric", 0.3, random_state=place)[rows]
    refiner = LabelRefiner(random_state=0).fit(X, Y)
    assert np.mean(refiner.label_probabilities_.argmax(axis=1) == y) > 0.9
    assert refiner.noise_rate_ == pytest.approx(0.3, abs=0.12)


def test_the_largest_weights_are_taken(crowd, refiner):
    X, _, Y = crowd
    largest = LabelRefiner(random_state=0).fit(X, Y, np.full(len(X), 1e308))
    np.testing.assert_array_equal(largest.soft_labels_, refiner.soft_labels_)


def test_who_is_always_trusted_is_never_wrong(crowd):
    X, y, Y = crowd
    expert = np.where(np.arange(len(y)) % 3 == 0, y, np.nan)
    Y = np.column_stack([Y, expert])
    trusted = np.zeros(Y.shape, bool)
    trusted[:, -1] = ~np.isnan(expert)
    refiner = LabelRefiner(random_state=0).fit(X, Y, trusted=trusted)
    np.testing.assert_array_equal(refiner.annotator_transitions_[-1], np.eye(3))
    assert (refiner.annotator_transitions_[:-1].diagonal(axis1=1, axis2=2) < 1).all()


def test_answers_contradict_trees_that_mix_up_two_classes():
    y = np.arange(900) % 3
    answers = Answers(ask(y, 3, quality=np.full(5, 0.7)), np.arange(3), None)
    # They take most rows of the last class for the second, and are sure.
    q = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.02, 0.68, 0.3]])[y]
    found = fit_annotators(answers, None, np.ones(len(y)), q)
    assert (found.label_probabilities.argmax(axis=1) == y)[y == 2].mean() > 0.85
    assert found.common.trace() / 3 == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA], ids=str)
def test_any_missing_answer_and_any_label_is_taken(crowd, refiner, missing):
    X, _, Y = crowd
    names = np.array(["ant", "bee", "cat"], dtype=object)
    table = pd.DataFrame(np.where(np.isnan(Y), missing, names[np.nan_to_num(Y).astype(int)]))
    table.columns = list("abcde")
    named = LabelRefiner(random_state=0).fit(X, table)
    assert named.classes_.tolist() == ["ant", "bee", "cat"]
    np.testing.assert_array_equal(named.label_probabilities_, refiner.label_probabilities_)
    assert named.annotator_quality_.index.tolist() == list("abcde")
    assert refiner.classes_.dtype.kind == "i"  # whole numbers beside NaN


def test_minus_one_is_a_class_unless_the_user_says_otherwise(crowd):
    _, _, Y = crowd
    with pytest.warns(UserWarning, match="-1 is taken for a class"):
        assert read_labels(np.where(np.isnan(Y), -1, Y).astype(int)).classes.tolist()[0] == -1
    # So it is where it stands for one of two classes.
    assert read_labels(np.array([[-1, 1], [1, 1]])).classes.tolist() == [-1, 1]


def test_a_long_list_becomes_a_table(crowd, refiner):
    X, _, Y = crowd
    row, who = np.nonzero(~np.isnan(Y))
    order = np.random.RandomState(0).permutation(len(row))
    long = [row[order], who[order], Y[row, who][order]]
    table = pivot_answers(*long, index=range(len(X)))
    found = LabelRefiner(random_state=0).fit(X, table)
    np.testing.assert_array_equal(found.label_probabilities_, refiner.label_probabilities_)
    assert pivot_answers(["b", "a"], ["x", "x"], [1, 2]).index.tolist() == ["b", "a"]
    with pytest.raises(ValueError, match="answers twice for the row"):
        pivot_answers([0, 0], ["ann", "ann"], [1, 2])
    with pytest.raises(ValueError, match="not in index"):
        pivot_answers([0, 7], ["ann", "ann"], [1, 2], index=range(3))


def test_rows_without_an_answer_count_as_rows_without_weight(crowd):
    X, _, Y = crowd
    Y = Y.copy()
    Y[::4] = np.nan
    refiner = LabelRefiner(random_state=0)
    weight = np.arange(len(X)) % 4 > 0
    fitted = clone(refiner).fit(X, Y)
    assert np.isnan(fitted.label_probabilities_[::4]).all()
    kept = clone(refiner).fit(X[weight], Y[weight])
    np.testing.assert_array_equal(kept.soft_labels_, fitted.soft_labels_[weight])


CLASSIFIERS = [
    RobustClassifier(max_epochs=20, hidden_layer_sizes=32, dropout=0.1, random_state=0),
    RobustEnsembleClassifier(max_epochs=2, random_state=0),
    RefinedClassifier(LogisticRegression(), random_state=0),
    RefinedClassifier(ExtraTreesRegressor(20, min_samples_leaf=5, random_state=0), random_state=0),
]


@pytest.mark.parametrize("clf", CLASSIFIERS, ids=lambda clf: type(clf).__name__)
def test_classifiers_learn_from_annotators(crowd, clf):
    X, y, Y = crowd
    Y = Y.copy()
    Y[5] = np.nan
    clf = clone(clf).fit(X, Y)
    assert clf.score(X, y) > 0.85
    assert clf.predict_proba(X).shape == (len(X), 3)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clf)).predict(X), clf.predict(X))


def test_few_rows_and_labels_as_given_are_what_annotators_agree_on(crowd):
    X, _, Y = crowd
    refiner = LabelRefiner().fit(X[:20], Y[:20])
    assert refiner.transition_matrix_ is refiner.annotator_quality_ is None
    assert refiner.wrong_probability_.shape == (20, 5)
    clf = RobustEnsembleClassifier(None, max_epochs=3, random_state=0).fit(X, Y)
    agreed = fit_annotators(read_labels(Y), None, np.ones(len(X))).label_probabilities.argmax(
        axis=1
    )
    plain = clone(clf).fit(X, agreed)
    np.testing.assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))


def test_a_column_is_a_label_for_each_row(crowd):
    X, y, _ = crowd
    flat = LabelRefiner(random_state=0).fit(X, y)
    with pytest.warns(match="column-vector"):
        column = LabelRefiner(random_state=0).fit(X, y[:, None])
    np.testing.assert_array_equal(column.soft_labels_, flat.soft_labels_)
    assert column.annotator_quality_ is None


def test_a_common_noise_that_is_known_is_kept(crowd):
    X, _, Y = crowd
    known = symmetric_transition(3, 0.4)
    refiner = LabelRefiner(known, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(refiner.transition_matrix_, known)


def test_inside_cross_validation_and_searches(crowd):
    X, y, Y = crowd
    # Out-of-fold probabilities of one quick classifier in the place of a forest.
    refiner = LabelRefiner(teacher=LogisticRegression(), random_state=0)
    clf = RefinedClassifier(LogisticRegression(), refiner)
    predicted = cross_val_predict(clf, X, Y, cv=KFold(2, shuffle=True, random_state=0))
    assert (predicted == y).mean() > 0.85

    def accuracy_on_votes(clf, X, Y):
        return np.mean(clf.predict(X) == majority(Y))

    search = GridSearchCV(
        clf, {"estimator__C": [1e-6, 1.0]}, scoring=accuracy_on_votes, cv=KFold(2, shuffle=True)
    ).fit(X, Y)
    assert search.best_params_ == {"estimator__C": 1.0}
    with pytest.raises(ValueError, match="mix of|multilabel|not supported"):
        search.best_estimator_.score(X, np.nan_to_num(Y).astype(int))


@pytest.mark.parametrize(
    ("Y", "message"),
    [
        (np.full((60, 2), np.nan), "no answer"),
        (np.full((60, 2), 1.0), "at least 2 classes"),
        (np.array([[1, "a"]] * 60, dtype=object), "beside each other"),
        (np.arange(60).reshape(30, 2) % 2, "inconsistent numbers"),
        (np.random.RandomState(0).uniform(size=(60, 2)), "Unknown label type"),
    ],
)
@pytest.mark.parametrize("clf", CLASSIFIERS[:3], ids=lambda clf: type(clf).__name__)
def test_answers_that_cannot_be_are_rejected(clf, Y, message):
    X = np.arange(120.0).reshape(60, 2)
    with pytest.raises(ValueError, match=message):
        clone(clf).fit(X, Y)


def test_one_label_for_each_row_where_there_must_be(crowd):
    X, _, Y = crowd
    Y = np.nan_to_num(Y).astype(int)
    with pytest.raises(ValueError, match="1d array"):
        RobustClassifier(transition_matrix=None).partial_fit(X, Y)
    with pytest.raises(ValueError, match="1d array"):
        find_wrong_labels(X, Y)


@pytest.fixture(scope="module")
def checked():
    """Hard rows, of whose labels some are wrong; and which were checked and put right."""
    rng = np.random.RandomState(0)
    y = np.arange(600) % 3
    X = np.eye(3)[y] + 0.7 * rng.normal(size=(600, 3))
    trusted = rng.permutation(600) < 150
    y_given = np.where(trusted, y, corrupt_labels(y, "symmetric", 0.3, random_state=1))
    return X, y, y_given, trusted


def test_trusted_labels_are_believed(checked):
    X, y, y_given, trusted = checked
    refiner = LabelRefiner(random_state=0).fit(X, y_given, trusted=trusted)
    for proba in (refiner.label_probabilities_, refiner.soft_labels_):
        np.testing.assert_allclose(proba[trusted], np.eye(3)[y[trusted]], atol=1e-6)
    np.testing.assert_allclose(refiner.wrong_probability_[trusted], 0, atol=1e-9)
    none = LabelRefiner(random_state=0).fit(X, y_given)
    nobody = LabelRefiner(random_state=0).fit(X, y_given, trusted=np.zeros(600, bool))
    np.testing.assert_array_equal(nobody.soft_labels_, none.soft_labels_)
    assert none.label_probabilities_[trusted].max(axis=1).min() < 0.9


@pytest.mark.parametrize("clf", CLASSIFIERS[:3], ids=lambda clf: type(clf).__name__)
def test_classifiers_take_trusted_labels(checked, clf):
    X, y, y_given, trusted = checked
    rows = np.r_[0:300]
    with config_context(enable_metadata_routing=True):
        routed = make_pipeline(clone(clf).set_fit_request(trusted=True))
        routed.fit(X[rows], y_given[rows], trusted=trusted[rows])
    without = clone(clf).fit(X[rows], y_given[rows])
    assert not np.allclose(without.predict_proba(X), routed.predict_proba(X))
    assert routed.score(X[300:], y[300:]) > 0.6


def test_true_labels_of_some_rows_show_the_noise_of_the_others():
    rng = np.random.RandomState(0)
    y = np.arange(900) % 3
    X = np.eye(3)[y] + 1.2 * rng.normal(size=(900, 3))  # too hard to tell noise from hardness
    T = np.array([[0.5, 0.5, 0], [0, 0.9, 0.1], [0.1, 0, 0.9]])
    y_noisy = corrupt_labels(y, T, random_state=1)
    truth = np.where(np.arange(900) < 150, y, np.nan)
    refiner = LabelRefiner(random_state=0).fit(X, y_noisy, trusted=truth)
    alone = LabelRefiner(random_state=0).fit(X, y_noisy)
    error, error_alone = (np.abs(found.transition_matrix_ - T).sum() for found in (refiner, alone))
    assert error < error_alone / 2
    np.testing.assert_array_equal(refiner.label_probabilities_[:150], np.eye(3)[y[:150]])
    np.testing.assert_allclose(refiner.wrong_probability_[:150], (y != y_noisy)[:150], atol=1e-9)
    low, high = refiner.n_wrong_interval_
    assert low <= (y != y_noisy).sum() <= high
    assert high - low < np.subtract(*alone.n_wrong_interval_[::-1]) / 2
    names = np.array(["ape", "bee", "cat"])
    known = np.where(np.arange(900) < 150, names[y], None)
    same = LabelRefiner(random_state=0).fit(X, names[y_noisy], trusted=known)
    np.testing.assert_array_equal(same.label_probabilities_, refiner.label_probabilities_)


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_the_interval_holds_after_the_most_doubtful_rows_were_picked(rate):
    X, y = load_breast_cancer(return_X_y=True)
    y_noisy = corrupt_labels(y, "symmetric", rate, exact=True, random_state=0)
    listed = LabelRefiner(random_state=0).fit(X, y_noisy)
    picked = np.argsort(-listed.wrong_probability_)[: round(listed.n_wrong_)]
    looked = np.isin(np.arange(len(y)), picked)
    n_left = (y != y_noisy)[~looked].sum()
    assert n_left > 2
    mended = LabelRefiner(random_state=0).fit(X, np.where(looked, y, y_noisy), trusted=looked)
    low, high = mended.n_wrong_interval_
    if rate == 0.1:  # with many wrong labels the given ones are needed, too
        assert low <= n_left <= high
    beside = LabelRefiner(random_state=0).fit(X, y_noisy, trusted=np.where(looked, y, np.nan))
    near, far = np.array(beside.n_wrong_interval_) - (y != y_noisy)[looked].sum()
    assert near <= n_left <= far
    assert far - near < (high - low) * 0.8


def test_only_rows_drawn_at_random_show_how_hard_the_others_are(checked):
    X, _, y_given, trusted = checked

    def fit(**drawn):
        return LabelRefiner(random_state=0).fit(X, y_given, trusted=trusted, **drawn)

    picked, drawn = fit(), fit(trusted_at_random=True)
    assert drawn.n_wrong_interval_[1] < picked.n_wrong_interval_[1]
    same = fit(trusted_at_random=trusted)
    np.testing.assert_array_equal(same.label_probabilities_, drawn.label_probabilities_)
    with pytest.raises(ValueError, match="True in the rows .*, which are not trusted"):
        fit(trusted_at_random=~trusted)
    with pytest.raises(ValueError, match="must be True, False, or an array"):
        fit(trusted_at_random=np.ones(3, dtype=bool))


@pytest.mark.parametrize("clf", CLASSIFIERS[:3], ids=lambda clf: type(clf).__name__)
def test_classifiers_keep_groups_together(checked, clf):
    X, _, y_given, _ = checked
    groups = np.arange(300) // 3
    found = clone(clf).fit(X[:300], y_given[:300], groups=groups)
    without = clone(clf).fit(X[:300], y_given[:300])
    assert not np.allclose(found.predict_proba(X), without.predict_proba(X))
    if hasattr(found, "refiner_"):
        together = found.refiner_.row_groups_
        np.testing.assert_array_equal(together[::3].repeat(3), together)


def test_an_expert_beside_the_noisy_labels_tells_the_noise():
    rng = np.random.RandomState(0)
    y = np.arange(900) % 3
    X = np.eye(3)[y] + 1.2 * rng.normal(size=(900, 3))  # too hard to tell noise from hardness
    T = np.array([[0.5, 0.5, 0], [0, 0.9, 0.1], [0.1, 0, 0.9]])
    Y = np.column_stack([corrupt_labels(y, T, random_state=1), y]).astype(float)
    Y[100:, 1] = np.nan
    trusted = np.column_stack([np.zeros(900, bool), ~np.isnan(Y[:, 1])])
    refiner = LabelRefiner(random_state=0).fit(X, Y, trusted=trusted)
    np.testing.assert_array_equal(refiner.annotator_transitions_[1], np.eye(3))
    found = refiner.annotator_transitions_[0]
    alone = LabelRefiner(random_state=0).fit(X, Y[:, 0]).transition_matrix_
    assert np.abs(found - T).sum() < np.abs(alone - T).sum() / 2
    np.testing.assert_allclose(refiner.label_probabilities_[:100], np.eye(3)[y[:100]], atol=1e-6)
    # A mask of rows trusts all answers of a row, and these may not contradict each other.
    with pytest.raises(ValueError, match="contradict each other in the rows"):
        LabelRefiner().fit(X, Y, trusted=np.arange(900) < 100)


@pytest.mark.parametrize(
    ("trusted", "message"),
    [
        (np.ones(3, bool), r"must have the shape \(600,\)"),
        (np.ones(600), "True or False for each row, or its true label"),
        (np.full(600, 0.5), r"trusted has the labels \[0.5\]"),
        (np.full(600, "ape"), "trusted has labels that are strings"),
        (True, "True or False"),
    ],
)
def test_a_mask_is_checked(checked, trusted, message):
    X, _, y_given, _ = checked
    for clf in CLASSIFIERS[:3]:
        with pytest.raises(ValueError, match=message):
            clone(clf).fit(X, y_given, trusted=trusted)


def test_a_class_that_no_majority_names():
    X = np.arange(60.0)[:, None]
    answers = np.repeat((X > 30).astype(float), 3, axis=1)
    answers[::10, 0] = 2.0
    clf = RobustEnsembleClassifier(None, max_epochs=1, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"never predicts the classes \[2\]"):
        clf.fit(X, answers)
    assert clf.predict_proba(X).shape == (60, 3)

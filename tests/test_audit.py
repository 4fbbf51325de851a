"""LabelAudit: intervals that hold whatever the label probabilities are."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import NotFittedError

from robustlabels import LabelAudit, LabelRefiner, corrupt_labels
from robustlabels.audit._intervals import Sample, anytime_interval

N = 400


def problem(kind, rate, seed=0):
    """Two classes, given labels, and label probabilities of a kind that may be nonsense."""
    rng = np.random.RandomState(seed)
    y = rng.randint(2, size=N)
    doubtful = rng.uniform(size=N) < 0.3
    given = np.where(rng.uniform(size=N) < np.where(doubtful, 2.5 * rate, 0.35 * rate), 1 - y, y)
    wrong = {
        "good": np.where(doubtful, min(2.5 * rate, 1), 0.35 * rate),
        "constant": np.full(N, 0.5),
        "inverted": np.where(doubtful, 0.02, 0.9),
        "sure": (rng.uniform(size=N) < 0.1).astype(float),
    }[kind]
    proba = np.empty((N, 2))
    proba[np.arange(N), given], proba[np.arange(N), 1 - given] = 1 - wrong, wrong
    return y, given, proba


def audit_of(given, proba, seed, **params):
    return LabelAudit(random_state=seed, **params).fit(None, given, label_probabilities=proba)


@pytest.mark.parametrize("kind", ["good", "constant", "inverted", "sure"])
@pytest.mark.parametrize("rate", [0.0, 0.2, 0.4])
def test_intervals_hold_whatever_the_probabilities_are(kind, rate):
    y, given, proba = problem(kind, rate)
    predicted = np.where(np.arange(N) % 5 == 0, 1 - y, y)
    held, errors = [], []
    for seed in range(150):
        audit = audit_of(given, proba, seed)
        rows = audit.draw(40)
        audit.record(rows, y[rows])
        low, high = audit.n_wrong_interval_
        accuracy = audit.accuracy(predicted)
        held.append((low <= (y != given).sum() <= high, accuracy.low <= 0.8 <= accuracy.high))
        errors.append(audit.n_wrong_ - (y != given).sum())
    # 150 draws at a level of .9 fall below .84 in one of a hundred tests.
    assert (np.mean(held, axis=0) > 0.84).all()
    if rate:  # without wrong labels an error has one sign
        assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(150)


def test_good_probabilities_shorten_the_interval_and_the_error():
    y, given, proba = problem("good", 0.2)
    found = {}
    for name, probabilities in (("good", proba), ("constant", np.full((N, 2), 0.5))):
        widths, errors = [], []
        for seed in range(60):
            audit = audit_of(given, probabilities, seed)
            rows = audit.draw(80)
            audit.record(rows, y[rows])
            widths.append(np.subtract(*audit.n_wrong_interval_[::-1]))
            errors.append(audit.n_wrong_ - (y != given).sum())
        found[name] = np.mean(widths), np.sqrt(np.mean(np.square(errors)))
    assert found["good"][0] < 0.95 * found["constant"][0]
    assert found["good"][1] < 0.9 * found["constant"][1]


@pytest.mark.parametrize("n_drawn", [10, 30, 200])
def test_without_a_find_the_interval_is_nearly_that_of_a_uniform_sample(n_drawn):
    y, _, proba = problem("constant", 0)
    audit = audit_of(y, proba, 0)
    rows = audit.draw(n_drawn)
    low, high = audit.record(rows, y[rows]).n_wrong_interval_
    numbers = np.arange(N + 1)
    exact = numbers[hypergeom.cdf(0, N, numbers, n_drawn) > 0.05][-1]
    assert low == 0
    assert exact <= high <= 1.05 * exact + 1


def test_everything_checked_is_known():
    y, given, proba = problem("good", 0.2)
    audit = audit_of(given, proba, 0)
    rows = audit.draw(N + 100)
    np.testing.assert_array_equal(np.sort(rows), np.arange(N))
    audit.record(rows, y[rows])
    n_wrong = (y != given).sum()
    assert audit.n_wrong_interval_ == (n_wrong, n_wrong)
    assert audit.n_wrong_ == pytest.approx(n_wrong)
    assert audit.n_left_ == 0
    assert audit.n_left_interval_ == (0, 0)
    assert audit.done(0.0)
    np.testing.assert_array_equal(audit.labels_, y)
    assert audit.draw(5).size == 0


def test_drawing_goes_on_and_its_sizes_do_not_depend_on_answers():
    y, given, proba = problem("good", 0.2)
    at_once = audit_of(given, proba, 3).draw(60)
    audit, parts = audit_of(given, proba, 3), []
    for n in (7, 23, 30):
        rows = audit.draw(n)
        audit.record(rows, np.where(np.arange(len(rows)) % 2, y[rows], 1 - y[rows]))
        parts.append(rows)
    np.testing.assert_array_equal(np.concatenate(parts), at_once)
    assert len(np.unique(at_once)) == 60
    again = audit_of(given, proba, 3)
    np.testing.assert_array_equal(again.draw(60), at_once)


def test_labels_put_right_leave_the_population():
    y, given, proba = problem("good", 0.2)
    wrong, held = y != given, []
    for seed in range(150):
        audit = audit_of(given, proba, seed)
        for _ in range(2):
            for rows in (audit.draw(20), audit.worst(40)):
                audit.record(rows, y[rows])
        left = (audit.labels_ != y).sum()
        assert left == wrong.sum() - (audit.checked_ & wrong).sum()
        low, high = audit.n_left_interval_
        held.append(low <= left <= high)
    assert np.mean(held) > 0.84
    first = audit_of(given, proba, 0)
    doubt = 1 - proba[np.arange(N), given]
    assert doubt[first.worst(30)].min() >= np.sort(doubt)[-30]


def test_rows_of_ones_own_bound_the_number_and_nothing_more():
    y, given, proba = problem("good", 0.2)
    wrong = np.flatnonzero(y != given)
    audit = audit_of(given, proba, 0)
    rows = audit.draw(30)
    audit.record(rows, y[rows])
    before = audit.n_wrong_interval_
    audit.record(wrong[:60], y[wrong[:60]])
    low, high = audit.n_wrong_interval_
    assert low >= 60
    assert high == before[1]


def test_unclear_labels_widen_the_interval():
    y, given, proba = problem("good", 0.2)
    clear, unclear = audit_of(given, proba, 0), audit_of(given, proba, 0)
    rows = clear.draw(40)
    clear.record(rows, y[rows])
    answers = y[rows].astype(object)
    answers[:10] = None
    unclear.draw(40)
    unclear.record(rows, answers)
    assert unclear.n_wrong_interval_[0] <= clear.n_wrong_interval_[0]
    assert unclear.n_wrong_interval_[1] > clear.n_wrong_interval_[1]
    assert unclear.checked_.sum() == 30
    # A later answer takes the place of an earlier one.
    unclear.record(rows[:10], y[rows[:10]])
    assert unclear.n_wrong_interval_ == clear.n_wrong_interval_


def test_the_interval_for_those_who_look_all_the_time():
    y, given, proba = problem("good", 0.2)
    n_wrong, held, wider = (y != given).sum(), [], []
    for seed in range(60):
        audit = audit_of(given, proba, seed, anytime=True)
        inside = True
        for _ in range(12):
            rows = audit.draw(5)
            low, high = audit.record(rows, y[rows]).n_wrong_interval_
            inside &= low <= n_wrong <= high
        held.append(inside)
        fixed = np.subtract(*audit.set_params(anytime=False).n_wrong_interval_[::-1])
        wider.append((high - low) / fixed)
    assert np.mean(held) > 0.88
    assert 1.2 < np.mean(wider) < 2.2


def test_numbers_that_hold_at_all_times_are_those_whose_best_split_is_possible():
    sizes, drawn, found, level = (30, 25), (12, 5), (4, 1), 0.9
    ratios = []
    for size, n_drawn, n_found in zip(sizes, drawn, found, strict=True):
        chance = hypergeom.pmf(n_found, size, np.arange(size + 1), n_drawn)
        prior = np.full(size + 1, 1 / (size + 1))
        with np.errstate(divide="ignore"):
            ratios.append(np.log(prior) - np.log(prior * chance / (prior @ chance)))
    possible = {
        first + second
        for first in range(sizes[0] + 1)
        for second in range(sizes[1] + 1)
        if ratios[0][first] + ratios[1][second] <= -np.log(1 - level)
    }
    samples = [
        Sample(size, n_drawn, n_found, n_found, n_found, n_drawn - n_found)
        for size, n_drawn, n_found in zip(sizes, drawn, found, strict=True)
    ]
    assert anytime_interval(samples, level) == (min(possible), max(possible))


def test_an_audit_that_is_done_has_few_wrong_labels_left():
    y, given, proba = problem("good", 0.2)
    audit = audit_of(given, proba, 0)
    assert not audit.done(0.05)
    n_rounds = 0
    while not audit.done(0.05):
        for rows in (audit.worst(20), audit.draw(20)):
            audit.record(rows, y[rows])
        n_rounds += 1
    assert (audit.labels_ != y).mean() <= 0.05
    assert n_rounds * 40 < N + 40


def test_how_many_rows_are_needed():
    y, given, proba = problem("good", 0.2)
    audit = audit_of(given, proba, 0)
    n_rows = audit.rows_needed(30)
    assert audit.rows_needed(15) > n_rows > audit.rows_needed(60)
    rows = audit.draw(n_rows)
    low, high = audit.record(rows, y[rows]).n_wrong_interval_
    assert 45 < high - low < 75
    # What was found counts for more than label probabilities that see no wrong label.
    sure = audit_of(given, np.eye(2)[given], 0)
    planned = sure.rows_needed(30)
    rows = sure.draw(60)
    assert sure.record(rows, y[rows]).rows_needed(30) > 1.5 * planned
    assert 100 < audit.rows_needed(5) <= N
    with pytest.raises(ValueError, match="half_width must be a positive number"):
        audit.rows_needed(0)


def test_a_table_from_the_labels_to_a_classifier():
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X.index = y.index = [f"patient {i}" for i in range(len(y))]
    y = y.map({0: "malignant", 1: "benign"})
    given = corrupt_labels(y, "symmetric", 0.1, exact=True, random_state=0)
    audit = LabelAudit(random_state=0).fit(X, given)
    rows = audit.draw(40)
    audit.record(rows, y.iloc[rows])
    low, high = audit.n_wrong_interval_
    assert low <= (y != given).sum() <= high
    frame = audit.to_frame()
    assert frame.index.equals(y.index)
    assert frame.drawn.sum() == 40
    np.testing.assert_array_equal(frame.label, given)
    assert frame.true_label.notna().sum() == 40
    assert isinstance(audit.labels_, pd.Series)
    alone = LabelRefiner(random_state=0).fit(X, given)
    refiner = LabelRefiner(random_state=0).fit(X, given, trusted=audit.true_labels_)
    np.testing.assert_array_equal(
        refiner.wrong_probability_[rows].round(6), (y != given).to_numpy()[rows]
    )
    widths = [np.subtract(*r.n_wrong_interval_[::-1]) for r in (alone, refiner)]
    assert widths[1] < widths[0]
    prefit = LabelAudit(alone, prefit=True, random_state=0).fit(X, given)
    np.testing.assert_array_equal(prefit.label_probabilities_, alone.label_probabilities_)
    stored = pickle.loads(pickle.dumps(audit))
    assert stored.n_wrong_interval_ == audit.n_wrong_interval_
    assert f"40 of 569 labels checked: {audit.n_wrong_:.0f} are wrong, {low} to {high}" in str(
        audit
    )


def test_any_number_that_true_labels_decide():
    y, given, proba = problem("good", 0.2)
    audit = audit_of(given, proba, 0)
    rows = audit.draw(100)
    audit.record(rows, y[rows])
    of_class = np.tile([False, True], (N, 1))
    found = audit.estimate(of_class)
    assert found.low <= (y == 1).sum() <= found.high
    wrong = np.arange(2) != given[:, None]
    assert audit.estimate(wrong) == pytest.approx((audit.n_wrong_, *audit.n_wrong_interval_))
    everything = audit.estimate(np.ones((N, 2)))
    assert everything.value == pytest.approx(N)
    assert everything.low <= N == everything.high


def test_a_large_table():
    rng = np.random.RandomState(0)
    given = rng.randint(2, size=1_000_000)
    wrong = np.where(rng.uniform(size=len(given)) < 0.1, 0.8, 0.01)
    proba = np.column_stack([np.where(given, wrong, 1 - wrong), np.where(given, 1 - wrong, wrong)])
    y = np.where(rng.uniform(size=len(given)) < wrong, 1 - given, given)
    audit = audit_of(given, proba, 0)
    rows = audit.draw(400)
    low, high = audit.record(rows, y[rows]).n_wrong_interval_
    assert low <= (y != given).sum() <= high
    assert high - low < 60_000


def test_errors():
    _, given, proba = problem("good", 0.2)
    with pytest.raises(NotFittedError):
        LabelAudit().draw(3)
    audit = audit_of(given, proba, 0)
    before = audit.n_wrong_interval_
    for arguments, message in (
        (([N], [0]), "rows has .* but there are 400 rows"),
        (([-1], [0]), "rows has"),
        (([1.5], [0]), "rows must be positions"),
        (([1, 1], [0, 0]), "twice"),
        (([1, 2], [0]), "inconsistent numbers"),
        (([1], [7]), r"labels has the labels \[7\]"),
        (([1], ["ape"]), "labels that are strings"),
    ):
        with pytest.raises(ValueError, match=message):
            audit.record(*arguments)
    assert audit.n_wrong_interval_ == before
    for n in (0, 2.5, "all"):
        with pytest.raises(ValueError, match="n must be a positive whole number"):
            audit.draw(n)
    with pytest.raises(ValueError, match="values must be True or False"):
        audit.estimate(proba)
    with pytest.raises(ValueError, match="label_probabilities must have the shape"):
        audit_of(given, proba[:, :1], 0)
    with pytest.raises(ValueError, match="sum to 1"):
        audit_of(given, 2 * proba, 0)
    with pytest.raises(ValueError, match="prefit=True takes a fitted refiner"):
        LabelAudit(prefit=True).fit(np.zeros((N, 1)), given)

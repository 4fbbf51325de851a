"""LabelAudit: intervals that hold whatever the label probabilities are."""

import json
import pickle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.special import betaln
from scipy.stats import hypergeom
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, recall_score
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from robustlabels import (
    CleanScores,
    LabelAudit,
    LabelRefiner,
    RobustEnsembleClassifier,
    corrupt_labels,
)

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


def labels_with_doubt(doubt):
    """Labels of two classes in turns, and label probabilities that doubt them that much."""
    given = np.arange(len(doubt)) % 2
    return given, np.where(np.eye(2)[given] == 1, 1 - doubt[:, None], doubt[:, None])


def audit_of(given, proba, seed, **params):
    return LabelAudit(random_state=seed, **params).fit(None, given, label_probabilities=proba)


@pytest.mark.parametrize("kind", ["good", "constant", "inverted", "sure"])
@pytest.mark.parametrize("rate", [0.0, 0.2, 0.4])
def test_intervals_hold_whatever_the_probabilities_are(kind, rate):
    y, given, proba = problem(kind, rate)
    predicted = np.where(np.arange(N) % 5 == 0, 1 - y, y)
    held, errors = [], []
    for seed in range(80):
        audit = audit_of(given, proba, seed)
        rows = audit.draw(40)
        audit.record(rows, y[rows])
        low, high = audit.n_wrong_interval_
        accuracy = audit.accuracy(predicted)
        held.append((low <= (y != given).sum() <= high, accuracy.low <= 0.8 <= accuracy.high))
        errors.append(audit.n_wrong_ - (y != given).sum())
    # 80 draws at a level of .9 fall below .82 in one of a hundred tests.
    assert (np.mean(held, axis=0) > 0.82).all()
    if rate:  # without wrong labels an error has one sign
        assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(80)


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
    for seed in range(80):
        audit = audit_of(given, proba, seed)
        for _ in range(2):
            for rows in (audit.draw(20), audit.worst(40)):
                audit.record(rows, y[rows])
        left = (audit.labels_ != y).sum()
        assert left == wrong.sum() - (audit.checked_ & wrong).sum()
        low, high = audit.n_left_interval_
        held.append(low <= left <= high)
    assert np.mean(held) > 0.82
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


def test_the_interval_holds_for_every_population():
    # Two strata of 6 and 9 rows; of each some are drawn. All populations, all samples.
    doubt = np.repeat([0.4, 0.05], [6, 9])
    given, proba = labels_with_doubt(doubt)
    audit = audit_of(given, proba, 0, level=0.8)
    rows = audit.draw(9)
    drawn = [rows[doubt[rows] == value] for value in (0.4, 0.05)]
    n_drawn = [len(of_stratum) for of_stratum in drawn]
    assert min(n_drawn) >= 3
    intervals = {}
    for found in np.ndindex(n_drawn[0] + 1, n_drawn[1] + 1):
        labels = given.copy()
        for k, of_stratum in zip(found, drawn, strict=True):
            labels[of_stratum[:k]] = 1 - given[of_stratum[:k]]
        intervals[found] = audit.record(rows, labels[rows]).n_wrong_interval_
    lowest = 1.0
    for wrong in np.ndindex(7, 10):
        holds = 0.0
        for (k, j), (low, high) in intervals.items():
            if low <= sum(wrong) <= high:
                chance = hypergeom.pmf(k, 6, wrong[0], n_drawn[0])
                holds += chance * hypergeom.pmf(j, 9, wrong[1], n_drawn[1])
        lowest = min(lowest, holds)
    assert 0.8 <= lowest < 0.93


def test_the_interval_for_those_who_look_all_the_time():
    y, given, proba = problem("good", 0.2)
    n_wrong, held, wider = (y != given).sum(), [], []
    for seed in range(40):
        audit = audit_of(given, proba, seed, anytime=True)
        inside = True
        for _ in range(8):
            rows = audit.draw(5)
            low, high = audit.record(rows, y[rows]).n_wrong_interval_
            inside &= low <= n_wrong <= high
        fixed = np.subtract(*audit.set_params(anytime=False).n_wrong_interval_[::-1])
        wider.append((high - low) / fixed)
        # Others are looked at in between, as many as one likes.
        audit.set_params(anytime=True)
        for _ in range(4):
            worst = audit.worst(15)
            audit.record(worst, y[worst])
            rows = audit.draw(5)
            low, high = audit.record(rows, y[rows]).n_wrong_interval_
            inside &= low <= n_wrong <= high
        held.append(inside)
    assert np.mean(held) > 0.88
    assert 1.2 < np.mean(wider) < 2.2


def test_numbers_that_hold_at_all_times_are_those_whose_best_split_is_possible():
    doubt = np.repeat([0.4, 0.05], [16, 24])
    given, proba = labels_with_doubt(doubt)
    wrong = np.arange(40) % 16 < 5
    audit = audit_of(given, proba, 1, anytime=True)
    rows = audit.draw(17)
    audit.record(rows, np.where(wrong, 1 - given, given)[rows])
    ratios = []
    for value in (0.4, 0.05):
        drawn = rows[doubt[rows] == value]
        n, k, size = len(drawn), wrong[drawn].sum(), (doubt == value).sum()
        # Of k found in n: under Jeffreys' prior, and given the number in the stratum.
        choose = -np.log(n + 1) - betaln(n - k + 1, k + 1)
        evidence = choose + betaln(k + 0.5, n - k + 0.5) - betaln(0.5, 0.5)
        with np.errstate(divide="ignore"):
            ratios.append(evidence - np.log(hypergeom.pmf(k, size, np.arange(size + 1), n)))
    possible = {
        first + second
        for first in range(len(ratios[0]))
        for second in range(len(ratios[1]))
        if ratios[0][first] + ratios[1][second] <= -np.log(0.1)
    }
    assert audit.n_wrong_interval_ == (min(possible), max(possible))


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
    assert audit.checked_.sum() < N
    # Each round asks anew. The bound need not pay for that.
    assert n_rounds < 12


def test_how_many_rows_are_needed():
    y, given, proba = problem("good", 0.2)
    audit = audit_of(given, proba, 0)
    n_rows = audit.rows_needed(30)
    assert audit.rows_needed(15) > n_rows > audit.rows_needed(60)
    rows = audit.draw(n_rows)
    low, high = audit.record(rows, y[rows]).n_wrong_interval_
    assert 45 < high - low < 70
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
    named = pd.DataFrame(prefit.label_probabilities_[:, ::-1], columns=["malignant", "benign"])
    named = LabelAudit(random_state=0).fit(X, given, label_probabilities=named)
    np.testing.assert_array_equal(named.label_probabilities_, prefit.label_probabilities_)
    assert str(named).endswith("are left, 0 to 569")
    named.draw(3)
    assert str(named).endswith("; 3 drawn rows wait for an answer")
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


@pytest.fixture(scope="module")
def three_classes():
    """Labels of three classes of which one is rare, and predictions of two classifiers."""
    rng = np.random.RandomState(0)
    y = rng.choice(3, 500, p=[0.6, 0.3, 0.1])
    given = np.where(rng.uniform(size=500) < 0.2, (y + 1) % 3, y)
    proba = np.full((500, 3), 0.05)
    proba[np.arange(500), given] = 0.9
    proba[rng.uniform(size=500) < np.where(y != given, 0.7, 0.15)] = 1 / 3
    predictions = [
        np.where(rng.uniform(size=500) < share, rng.randint(3, size=500), y) for share in (0.2, 0.3)
    ]
    return y, given, proba, predictions, rng.exponential(size=(500, 3))


def test_scores_hold(three_classes):
    y, given, proba, (first, second), costs = three_classes
    true = np.concatenate(
        [
            recall_score(y, first, average=None),
            [balanced_accuracy_score(y, first), costs[np.arange(500), y].sum()],
            [accuracy_score(y, first) - accuracy_score(y, second)],
            confusion_matrix(y, given, normalize="true").ravel(),
        ]
    )
    held, values, always = [], [], []
    for seed in range(40):
        audit = audit_of(given, proba, seed)
        rows = audit.draw(60)
        audit.record(rows, y[rows])
        found = [
            audit.recalls(first),
            np.transpose([audit.balanced_accuracy(first), audit.estimate(costs)]),
            np.transpose([audit.compare(first, second)]),
            [audit.transition_matrix_.ravel(), *map(np.ravel, audit.transition_matrix_interval_)],
        ]
        value, low, high = np.concatenate(found, axis=1)
        assert (low <= value).all()
        assert (value <= high).all()
        held.append((low <= true) & (true <= high))
        values.append(value)
        if seed < 10:
            audit.set_params(anytime=True)
            _, low, high = np.concatenate(
                [
                    audit.recalls(first),
                    np.transpose([audit.balanced_accuracy(first), audit.compare(first, second)]),
                ],
                axis=1,
            )
            always.append((low <= true[[0, 1, 2, 3, 5]]) & (true[[0, 1, 2, 3, 5]] <= high))
    # 40 draws at a level of .9 fall below .78 in one of a hundred tests.
    assert (np.mean(held, axis=0) > 0.78).all()
    assert np.mean(always) > 0.9
    # Means of ratios of classes with many rows are close to the truth.
    near = [0, 1, 3, 4, 5, 6, 7, 9, 10]
    errors = np.mean(values, axis=0) - true
    assert (np.abs(errors[near]) < 5 * np.std(values, axis=0)[near] / np.sqrt(40) + 0.01).all()


def test_checked_rows_give_the_scores_of_scikit_learn(three_classes):
    y, given, proba, (first, second), costs = three_classes
    audit = audit_of(given, proba, 0)
    rows = audit.draw(500)
    audit.record(rows, y[rows])
    everything = {
        "recalls": (audit.recalls(first), recall_score(y, first, average=None)),
        "confusion": (audit.confusion_matrix(first), confusion_matrix(y, first)),
        "balanced": (audit.balanced_accuracy(first), balanced_accuracy_score(y, first)),
        "accuracy": (audit.accuracy(first), accuracy_score(y, first)),
        "compare": (
            audit.compare(first, second),
            accuracy_score(y, first) - accuracy_score(y, second),
        ),
        "costs": (audit.estimate(costs), costs[np.arange(500), y].sum()),
        "noise": (
            (audit.transition_matrix_, *audit.transition_matrix_interval_),
            confusion_matrix(y, given, normalize="true"),
        ),
    }
    for name, (found, true) in everything.items():
        for part in found:
            np.testing.assert_allclose(part, true, atol=1e-9, err_msg=name)
    frame = audit.n_wrong_by()
    for label in range(3):
        chosen = given == label
        n_wrong = (y != given)[chosen].sum()
        assert frame.loc[label].tolist()[:4] == [chosen.sum(), n_wrong, n_wrong, n_wrong]
    scores = CleanScores.from_audit(audit, first)
    assert scores.accuracy.value == scores.accuracy.high == accuracy_score(y, first)
    assert scores.accuracy.on_noisy == accuracy_score(given, first)
    np.testing.assert_array_equal(scores.confusion_matrix, confusion_matrix(y, first))
    assert "500 labels are checked" in repr(scores)


def test_a_notebook_shows_the_numbers():
    y, given, proba = problem("good", 0.2)
    assert "LabelAudit" in LabelAudit()._repr_html_()
    audit = LabelAudit(random_state=0)
    audit.fit(None, np.array(["<script>", "ill"])[given], label_probabilities=proba)
    rows = audit.draw(40)
    audit.record(rows, np.array(["<script>", "ill"])[y[rows]])
    page = audit._repr_html_()
    low, high = audit.n_wrong_interval_
    assert "40 of 400 labels are checked" in page
    assert f"<td>wrong</td><td>{audit.n_wrong_:.0f}</td><td>{low} to {high}</td>" in page
    assert "wrong of those called &lt;script&gt;</td>" in page
    assert "<script>" not in page


def test_groups_are_told_apart():
    y, given, proba = problem("good", 0.2)
    site = np.where(np.arange(N) % 3 == 0, "A", "B")
    given = np.where((site == "A") & (np.arange(N) % 2 == 0), 1 - y, given)
    audit = audit_of(given, proba, 0)
    rows = audit.draw(150)
    frame = audit.record(rows, y[rows]).n_wrong_by(site)
    for name, row in frame.iterrows():
        assert row.low <= (y != given)[site == name].sum() <= row.high
        assert row.n_rows == (site == name).sum()
        assert row.rate == row.n_wrong / row.n_rows
    assert frame.rate_low["A"] > frame.rate_high["B"]
    np.testing.assert_allclose(frame.n_wrong.sum(), audit.n_wrong_, rtol=0.1)


def test_probabilities_learn_from_what_was_checked():
    y, given, proba = problem("good", 0.2)
    wrong = y != given
    doubt = proba[np.arange(N), 1 - given]
    odds = (doubt / (1 - doubt)) ** 3 / 5  # too sure, and too low
    sure = odds / (1 + odds)
    proba[np.arange(N), 1 - given], proba[np.arange(N), given] = sure, 1 - sure
    audit = audit_of(given, proba, 0)
    np.testing.assert_allclose(audit.wrong_probability_, sure, atol=1e-9)
    rows = audit.draw(60)
    audit.record(rows, y[rows])
    found, rest = audit.wrong_probability_, ~audit.checked_
    np.testing.assert_array_equal(found[rows], wrong[rows])

    def log_loss(probability):
        return -np.log(np.where(wrong, probability, 1 - probability))[rest].mean()

    assert log_loss(found) < log_loss(doubt) + 0.02 < log_loss(sure) - 0.1
    # The ranking, and what estimates rest on, stay as they were.
    order = np.argsort(sure[rest], kind="stable")
    assert (np.diff(found[rest][order]) >= -1e-12).all()


def test_an_audit_is_stored_and_goes_on(tmp_path):
    y, given, proba = problem("good", 0.2)
    X = pd.DataFrame({"size": np.arange(N) / 7, "city": np.where(y, "a", "b")})
    audit = LabelAudit(random_state=0).fit(X, given, label_probabilities=proba)
    for rows in (audit.draw(30), audit.worst(20)):
        audit.record(rows, y[rows])
    audit.record([audit.draw(1)[0]], [None])
    path = tmp_path / "audit.json"
    audit.save(path)
    loaded = LabelAudit.load(path, X, given)
    assert str(loaded) == str(audit)
    assert json.loads(path.read_text())["version"] == 1
    for one in (audit, loaded):
        rows = one.draw(15)
        one.record(rows, y[rows])
    np.testing.assert_array_equal(loaded.true_labels_, audit.true_labels_)
    assert loaded.n_wrong_interval_ == audit.n_wrong_interval_
    assert loaded.recalls(y).low.tolist() == audit.recalls(y).low.tolist()
    assert loaded.set_params(anytime=True).n_wrong_interval_ == (
        audit.set_params(anytime=True).n_wrong_interval_
    )
    for other_X, other_y in (
        (X, 1 - given),
        (X + X.iloc[0], given),
        (X[::-1], given),
        (None, given),
    ):
        with pytest.raises(ValueError, match="belongs to another table"):
            LabelAudit.load(path, other_X, other_y)
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(ValueError, match="version 2"):
        LabelAudit.load(path, X, given)
    path.write_text("row,label")
    with pytest.raises(ValueError, match=r"no file that LabelAudit\.save has written"):
        LabelAudit.load(path, X, given)


def test_decisions_from_a_file(tmp_path):
    y, given, proba = problem("good", 0.2)
    names = np.array(['ill, or "not well"', "well"])
    audit, by_hand = (
        LabelAudit(random_state=0).fit(None, names[given], label_probabilities=proba)
        for _ in range(2)
    )
    drawn, worst = by_hand.draw(20), by_hand.worst(10)
    decisions = [(row, y[row], "checked", "drawn") for row in drawn]
    decisions += [(row, y[row], "checked", "worst") for row in worst]
    decisions[3] = (drawn[3], None, "cannot tell", "drawn")
    decisions.insert(2, (drawn[7], 1 - y[drawn[7]], "checked", "drawn"))  # corrected later
    frame = pd.DataFrame(decisions, columns=["row", "label", "status", "origin"])
    frame["label"] = ["" if pd.isna(k) else names[int(k)] for k in frame.label]
    path = tmp_path / "decisions.csv"
    first = f"# robustlabels audit {audit.table_hash_}\n"
    path.write_text(first + frame.to_csv(index=False))
    audit.read_decisions(path)
    by_hand.record(drawn, np.where(np.arange(20) == 3, None, names[y[drawn]].astype(object)))
    by_hand.record(worst, names[y[worst]])
    pd.testing.assert_frame_equal(audit.to_frame(), by_hand.to_frame())
    assert str(audit) == str(by_hand)
    np.testing.assert_array_equal(audit.draw(5), by_hand.draw(5))
    before = str(audit)
    for old, new, message in (
        (audit.table_hash_, "0" * 64, "belongs to another table"),
        ("robustlabels audit", "labels", "no file of decisions"),
        ("status", "state", r"lacks the columns \['status'\]"),
        (f"\n{drawn[0]},", "\n400,", r"line 3: row must be from 0 to 399. Got '400'"),
        ("cannot tell", "perhaps", "line 7: status must be one of checked, cannot tell"),
        (",well,", ",wel,", "'wel' is none of the classes"),
    ):
        path.write_text((first + frame.to_csv(index=False)).replace(old, new, 1))
        with pytest.raises(ValueError, match=message):
            audit.read_decisions(path)
    assert str(audit) == before


@pytest.mark.parametrize("anytime", [False, True])
def test_rows_that_are_drawn_in_another_order_are_no_random_sample(tmp_path, anytime):
    y, given, proba = problem("good", 0.2)
    path = tmp_path / "decisions.csv"
    drawn = audit_of(given, proba, 0).draw(20)
    # A hard row is left out; another seed draws others.
    for rows, n_drawn in ((np.delete(drawn, 7), 7), (audit_of(given, proba, 1).draw(30), 0)):
        read, by_hand = (audit_of(given, proba, 0, anytime=anytime) for _ in range(2))
        lines = [f"{row},{y[row]},checked,drawn" for row in rows]
        head = [f"# robustlabels audit {read.table_hash_}", "row,label,status,origin"]
        path.write_text("\n".join([*head, *lines]))
        with pytest.warns(UserWarning, match="leaves out drawn rows, or follows another order"):
            read.read_decisions(path)
        if n_drawn:
            np.testing.assert_array_equal(by_hand.draw(n_drawn), rows[:n_drawn])
        by_hand.record(rows, y[rows])
        np.testing.assert_array_equal(read.drawn_, by_hand.drawn_)
        assert read.drawn_.sum() == n_drawn
        assert str(read) == str(by_hand)
        np.testing.assert_array_equal(read.draw(5), by_hand.draw(5))


def test_labels_that_a_classifier_rules_out_say_nothing():
    class Sure(ClassifierMixin, BaseEstimator):
        classes_ = np.arange(2)
        transition_matrix_ = np.array([[1.0, 0.0], [0.2, 0.8]])

        def fit(self, X, y):
            return self

        def predict_proba(self, X):
            return np.tile([1.0, 0.0], (len(X), 1))

    audit = LabelAudit(Sure(), prefit=True, random_state=0).fit(np.zeros((6, 1)), [0, 1] * 3)
    np.testing.assert_array_equal(audit.label_probabilities_, [[1.0, 0.0]] * 6)


def test_a_table_of_two_rows():
    given, proba = labels_with_doubt(np.array([0.5, 0.01]))
    audit = audit_of(given, proba, 0)
    assert audit.rows_needed(1) == 2
    assert audit.n_wrong_interval_ == (0, 2)
    rows = audit.draw(5)
    assert audit.record(rows, given[rows]).n_wrong_interval_ == (0, 0)


def test_a_fitted_classifier_and_a_plot():
    X, y = load_breast_cancer(return_X_y=True)
    given = corrupt_labels(y, "symmetric", 0.2, exact=True, random_state=0)
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(X[::2], given[::2])
    plain = LabelAudit(linear, prefit=True, random_state=0).fit(X[1::2], given[1::2])
    np.testing.assert_allclose(plain.label_probabilities_, linear.predict_proba(X[1::2]))
    robust = RobustEnsembleClassifier(
        [[0.8, 0.2], [0.2, 0.8]], learners=["linear"], random_state=0
    ).fit(X[::2], given[::2])
    audit = LabelAudit(robust, prefit=True, random_state=0).fit(X[1::2], given[1::2])
    expected = robust.predict_proba(X[1::2]) * np.where(np.eye(2)[given[1::2]] == 1, 0.8, 0.2)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(audit.label_probabilities_, expected)
    rows = audit.draw(40)
    ax = audit.record(rows, y[1::2][rows]).plot()
    (estimates,) = ax.lines
    np.testing.assert_array_equal(estimates.get_xdata(), np.arange(41))
    assert estimates.get_ydata()[-1] == audit.n_wrong_
    (band,) = ax.collections
    last = band.get_paths()[0].vertices
    assert set(audit.n_wrong_interval_) <= set(last[last[:, 0] == 40, 1])
    plt.close(ax.figure)


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
    with pytest.raises(ValueError, match="values must have the shape"):
        audit.estimate(proba[:, :1])
    with pytest.raises(ValueError, match="hold at all times exist for values of 0 and 1"):
        audit_of(given, proba, 0, anytime=True).estimate(proba)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        audit.accuracy(given[1:])
    with pytest.raises(ValueError, match="label_probabilities must have the shape"):
        audit_of(given, proba[:, :1], 0)
    with pytest.raises(ValueError, match="sum to 1"):
        audit_of(given, 2 * proba, 0)
    with pytest.raises(ValueError, match="prefit=True takes a fitted refiner or classifier"):
        LabelAudit(prefit=True).fit(np.zeros((N, 1)), given)
    with pytest.raises(ValueError, match="refiner must be a LabelRefiner"):
        LabelAudit(NearestCentroid()).fit(np.zeros((N, 1)), given)

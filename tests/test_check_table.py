"""What is wrong with a table: found by `check_table`, told by fits, or put right."""

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.datasets import load_breast_cancer, load_iris, make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.naive_bayes import GaussianNB

from robustlabels import (
    ClassStatistics,
    LabelNoiseInjector,
    LabelRefiner,
    RefinedClassifier,
    RobustClassifier,
    RobustEnsembleClassifier,
    RobustSearchCV,
    TableWarning,
    UnhingedClassifier,
    check_table,
    corrupt_labels,
    find_wrong_labels,
    pivot_answers,
)
from robustlabels._validation.features import TableNumbers


@pytest.fixture(scope="module")
def cancer():
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    y = y.map({0: "mal", 1: "benign"})
    return X.iloc[:, :8], corrupt_labels(y, "symmetric", 0.1, exact=True, random_state=3)


def kinds(*args, **kwargs):
    """Return the kinds and the columns of the findings."""
    return {finding.kind: finding.columns for finding in check_table(*args, **kwargs)}


def test_nothing_is_found_in_a_clean_table(cancer):
    assert check_table(*cancer) == []
    X, y = cancer
    assert check_table(X.to_numpy(), y.to_numpy()) == []


def test_findings_say_what_to_do(cancer):
    X, y = cancer
    (finding,) = check_table(X.assign(result=y), y)
    assert (finding.kind, finding.columns) == ("label_column", ["result"])
    assert "'result'" in finding.why
    assert finding.remedy.startswith("Drop it")
    assert repr(finding) == f"<label_column: {finding.why} {finding.remedy}>"


def test_columns_that_tell_the_label(cancer):
    X, y = cancer
    rng = np.random.RandomState(0)
    some = rng.uniform(size=len(y)) < 0.05
    copy = y.where(~some, rng.permutation(y))
    assert kinds(X.assign(copy=copy), y) == {"label_column": ["copy"]}
    codes = y.map({"mal": 7, "benign": 3})
    assert kinds(X.assign(copy=codes), y) == {"label_column": ["copy"]}
    # Names of its own, and the agreement of a good feature.
    assert kinds(X.assign(good=codes.where(~some, 3)), y) == {}
    score = codes + 0.1 * rng.normal(size=len(y))
    assert kinds(X.assign(score=score), y) == {"tells_label": ["score"]}
    gone = X["mean area"].where(y != "mal")
    assert kinds(X.assign(after=gone), y) == {"label_by_missing": ["after"]}
    # Half of the others are missing, too.
    half = gone.where(rng.uniform(size=len(y)) < 0.5)
    assert kinds(X.assign(after=half), y) == {"label_by_missing": ["after"]}
    by_chance = X["mean area"].where(rng.uniform(size=len(y)) < 0.5)
    assert kinds(X.assign(after=by_chance), y) == {}


def test_columns_that_tell_nothing(cancer):
    X, y = cancer
    n_rows = len(y)
    number = np.random.RandomState(0).permutation(n_rows) + 17
    for column in (number, [f"P{i}" for i in number], pd.Categorical([f"P{i}" for i in number])):
        assert kinds(X.assign(id=column), y) == {"id": ["id"]}
    assert kinds(X.assign(one="a", none=np.nan), y)["constant"] in (["one"], ["none"])
    assert kinds(X.assign(some=np.where(number > 20, np.nan, 1)), y) == {}


@pytest.mark.parametrize(
    ("texts", "others"),
    [
        (["1.5", "2", "?", "3e2"], "['?']"),
        (["1,5", "2,25", "NA", "-3"], "['NA']"),
        (["1,500.5", "2,000", "3", "4.25"], None),
    ],
)
def test_numbers_that_are_texts(cancer, texts, others):
    X, y = cancer
    numbers = np.random.RandomState(0).normal(size=len(y)).round(3)
    column = pd.Series([str(v).replace(".", "," if "1,5" in texts else ".") for v in numbers])
    column[:4] = texts
    (finding,) = check_table(X.assign(size=column), y)
    assert (finding.kind, finding.columns) == ("numbers_as_texts", ["size"])
    assert others is None or others in finding.why
    read, estimator = TableNumbers(), LabelRefiner()
    found = read.fit_transform(estimator, X.assign(size=column))[:, -1]
    np.testing.assert_allclose(found[4:], numbers[4:])
    expected = {"1.5": [1.5, 2, np.nan, 300], "1,5": [1.5, 2.25, np.nan, -3]}
    np.testing.assert_array_equal(found[:4], expected.get(texts[0], [1500.5, 2000, 3, 4.25]))
    # Later rows are read as the first ones.
    later = read.transform(estimator, X.assign(size=column)[:3])[:, -1]
    np.testing.assert_array_equal(later, found[:3])


def test_texts_that_are_no_numbers(cancer):
    X, y = cancer
    number = np.arange(len(y))
    zip_codes = [f"0{n % 90 + 1000}" for n in number]
    grades = [str(n % 5) for n in number]
    words = [f"word {n % 90}" for n in number]
    assert kinds(X.assign(a=zip_codes, b=grades, c=words), y) == {}


def test_spellings_of_classes(cancer):
    X, y = cancer
    other = y.copy()
    other[:40] = other[:40].replace({"mal": "Mal ", "benign": "benign."})
    found = [f.classes for f in check_table(X, other) if f.kind == "same_class"]
    assert sorted(map(sorted, found)) == [["Mal ", "mal"], ["benign", "benign."]]
    other = y.copy()
    other[:2] = ["bening", "nan"]
    found = {f.kind: (f.classes, f.rows) for f in check_table(X, other)}
    assert found["mistyped_class"] == (["bening"], [0])
    assert found["empty_label"] == (["nan"], [])
    assert "rare_class" not in found
    numbers = np.where(np.arange(len(y)) == 5, 3, (y == "mal").astype(int))
    assert [(f.kind, f.rows) for f in check_table(X, numbers)] == [("rare_class", [5])]
    # Grades differ by a sign alone.
    grades = np.array(["A+", "A-", "A", "B"])[np.arange(len(y)) % 4]
    assert check_table(X, grades) == []


def test_rare_mistyped_classes_do_not_switch_the_noise_off():
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    y_noisy = corrupt_labels(y.map({0: "mal", 1: "benign"}), "symmetric", 0.1, random_state=0)
    rows = np.random.RandomState(0).permutation(len(y))[:60]
    y_noisy.iloc[rows] = [f"typo {i}" for i in range(60)]
    with pytest.warns(UndefinedMetricWarning, match="If these labels are misspelt"):
        refiner = LabelRefiner(random_state=0).fit(X, y_noisy)
    assert refiner.n_wrong_ == pytest.approx(57 + 60, abs=30)


def test_equal_annotators(cancer):
    X, y = cancer
    rng = np.random.RandomState(0)
    answers = {n: y.where(rng.uniform(size=len(y)) < 0.7, rng.permutation(y)) for n in "abc"}
    answers = pd.DataFrame(answers)
    assert kinds(X, answers) == {}
    assert kinds(X, answers.assign(d=answers["a"])) == {"equal_annotators": ["a", "d"]}
    with pytest.warns(TableWarning, match="'a' and 'd' always give the same answers"):
        LabelRefiner(random_state=0).fit(X, answers.assign(d=answers["a"]))
    # Those who make no mistakes agree without knowing each other.
    right = pd.DataFrame({"a": y, "b": y, "c": answers["c"]})
    assert kinds(X, right) == {}


def test_copies(cancer):
    X, y = cancer
    again = pd.concat([X, X[:6]], ignore_index=True)
    labels = pd.concat([y, y[:6]], ignore_index=True)
    (finding,) = check_table(again, labels)
    assert (finding.kind, finding.rows) == ("copies", [*range(6), *range(569, 575)])
    labels[569] = "mal" if y[0] == "benign" else "benign"
    found = {f.kind: f.rows for f in check_table(again.assign(id=range(575)), labels)}
    assert found["copies_with_other_labels"] == [0, 569]
    assert found["copies"] == [*range(1, 6), *range(570, 575)]
    # Copies inside of a group are expected.
    groups = [*range(569), *range(6)]
    assert {f.kind for f in check_table(again, labels, groups)} == {"copies_with_other_labels"}


def test_rows_to_predict(cancer):
    X, y = cancer
    city = np.array(["a", "b", "c"])[np.arange(569) % 3]
    X = X.assign(city=city)
    test = X[:50].copy()
    test.iloc[3:, 0] += 0.123
    found = {f.kind: f.rows for f in check_table(X, y, X_test=test)}
    assert found == {"test_rows_in_training": [0, 1, 2]}
    test.iloc[:, 0] += 0.5
    test["city"] = " " + test["city"]
    assert kinds(X, y, X_test=test) == {"new_categories": ["city"]}
    test["city"], test["mean area"] = "a", pd.Timestamp("2020-01-01")
    assert kinds(X, y, X_test=test) == {"date_for_number": ["mean area"]}


def test_tables_that_cannot_be_checked(cancer):
    X, y = cancer
    with pytest.raises(ValueError, match="different numbers of rows"):
        check_table(X, y[:5])
    with pytest.raises(ValueError, match="columns of one name"):
        check_table(pd.concat([X, X], axis=1), y)
    for data in (X.to_numpy()[:, :, None], X["mean area"], X["mean area"].to_numpy()):
        with pytest.raises(ValueError, match="rows and columns. Got data of [13] dim"):
            check_table(data, y)
        with pytest.raises(ValueError, match="rows and columns. Got data of [13] dim"):
            check_table(X, y, X_test=data)


@pytest.mark.parametrize("fault", ["label", "spelling", "texts"])
def test_fits_warn_once_of_what_changes_their_result(cancer, fault):
    X, y = cancer
    if fault == "label":
        X = X.assign(copy=y)
    elif fault == "spelling":
        y = y.where(np.arange(len(y)) > 200, y.str.upper())
    else:
        X = X.assign(size=["?", *map(str, X["mean area"][1:])])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        find_wrong_labels(X, y, random_state=0)
    caught = [w for w in caught if issubclass(w.category, TableWarning)]
    assert len(caught) == (2 if fault == "spelling" else 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TableWarning)
        LabelRefiner(random_state=0).fit(X, y)


# What is put right


def test_a_question_mark_does_not_turn_a_column_into_categories(cancer):
    X, y = cancer
    texts = X.astype(str)
    rows = np.random.RandomState(0).randint(len(X), size=X.shape[1])
    expected = X.copy()
    for i, row in enumerate(rows):
        texts.iloc[row, i], expected.iloc[row, i] = "?", np.nan
    with pytest.warns(TableWarning, match="stored as texts"):
        found = LabelRefiner(random_state=0).fit(texts, y)
    assert found.n_wrong_ == LabelRefiner(random_state=0).fit(expected, y).n_wrong_


def test_an_id_changes_nothing():
    X, y = load_iris(return_X_y=True, as_frame=True)
    y_noisy = corrupt_labels(y, "symmetric", 0.2, exact=True, random_state=0)
    without = LabelRefiner(random_state=0).fit(X, y_noisy)
    ids = [f"flower {i}" for i in range(150)]
    found = LabelRefiner(random_state=0).fit(X.assign(id=ids), y_noisy)
    np.testing.assert_array_equal(found.label_probabilities_, without.label_probabilities_)


def test_rare_categories_crowd_out_no_feature():
    X, y = load_iris(return_X_y=True, as_frame=True)
    y_noisy = corrupt_labels(y, "symmetric", 0.2, exact=True, random_state=0)
    without = LabelRefiner(random_state=0).fit(X, y_noisy)
    # Some ids come twice or three times: no vote against a wrong label.
    ids = [f"flower {i % 140}" for i in range(150)]
    few = [f"plot {i // 3}" for i in range(150)]
    for column in (ids, few):
        found = LabelRefiner(random_state=0).fit(X.assign(id=column), y_noisy)
        np.testing.assert_array_equal(found.label_probabilities_, without.label_probabilities_)


def test_columns_of_texts_stay_small():
    rng = np.random.RandomState(0)
    X = pd.DataFrame({"x": rng.normal(size=8000)})
    # A hundred texts are in 5 rows each, one is in the others.
    X["text"] = ["rest"] * 7500 + [f"text {i % 100}" for i in range(500)]
    assert TableNumbers().fit_transform(LabelRefiner(), X).shape == (8000, 103)
    X = pd.concat([X, X.assign(text="rest")], ignore_index=True)
    assert TableNumbers().fit_transform(LabelRefiner(), X).shape == (16000, 2)


def test_many_categories_that_tell_the_class():
    rng = np.random.RandomState(0)
    class_of = rng.randint(2, size=60)
    code = rng.randint(60, size=900)
    X = pd.DataFrame({"city": [f"city {c}" for c in code], "x": rng.normal(size=900)})
    y = class_of[code]
    y_noisy = corrupt_labels(y, "symmetric", 0.2, exact=True, random_state=1)
    refiner = LabelRefiner(random_state=0).fit(X, y_noisy)
    assert (refiner.label_probabilities_.argmax(axis=1) == y).mean() > 0.95
    clf = RobustEnsembleClassifier(learners=["trees", "linear"], random_state=0)
    # A majority of ten labels is right in .97 of the cities.
    assert clf.fit(X[:600], y_noisy[:600]).score(X[600:], y[600:]) > 0.93


def test_later_rows_of_other_values():
    X, y = load_iris(return_X_y=True, as_frame=True)
    X = X.assign(kind=np.array(["1", "2"])[np.arange(150) % 2])
    refiner = LabelRefiner(random_state=0).fit(X, y)
    with pytest.warns(TableWarning, match="'kind' has values in most rows that were not there"):
        refiner.refine(X.assign(kind=" " + X["kind"]), y)
    with pytest.raises(ValueError, match="had numbers in fit, and has dates"):
        refiner.refine(X.assign(**{X.columns[0]: pd.Timestamp("2020-01-01")}), y)


@pytest.mark.parametrize("clf", [UnhingedClassifier(), RobustClassifier(max_epochs=1)])
def test_texts_and_dates_that_networks_cannot_take(clf):
    X, y = load_iris(return_X_y=True, as_frame=True)
    with pytest.raises(ValueError, match="OneHotEncoder"):
        clf.fit(X.assign(kind="a"), y)
    with pytest.raises(TypeError, match=r"dates.*column\.dt\.year"):
        clf.fit(X.assign(when=pd.Timestamp("2020-01-01")), y)


def test_arrow_dictionaries_are_categories():
    X, y = load_iris(return_X_y=True, as_frame=True)
    kind = np.array(["a", "b"])[np.arange(150) % 2]
    arrow = pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))
    found = LabelRefiner(random_state=0).fit(X.assign(k=pd.Series(kind).astype(arrow)), y)
    same = LabelRefiner(random_state=0).fit(X.assign(k=kind), y)
    np.testing.assert_array_equal(found.label_probabilities_, same.label_probabilities_)


def test_masks_are_missing_values():
    X, y = load_iris(return_X_y=True)
    masked = np.ma.masked_array(X, mask=np.zeros_like(X, dtype=bool))
    masked[:20, 0] = np.ma.masked
    masked.data[:20, 0] = 1e6
    expected = X.copy()
    expected[:20, 0] = np.nan
    found = LabelRefiner(random_state=0).fit(masked, y)
    same = LabelRefiner(random_state=0).fit(expected, y)
    np.testing.assert_array_equal(found.label_probabilities_, same.label_probabilities_)
    answers = np.ma.masked_array(np.column_stack([y, y, y]), mask=np.zeros((150, 3), dtype=bool))
    answers[:30, 2] = np.ma.masked
    found = LabelRefiner(random_state=0).fit(X, answers)
    assert found.annotator_quality_["n_answers"].tolist() == [150, 150, 120]


# Rows by name


def test_what_belongs_to_rows_is_brought_into_their_order(cancer):
    X, y = cancer
    X, y = X.set_axis([f"p{i}" for i in range(569)]), y.set_axis([f"p{i}" for i in range(569)])
    order = np.random.RandomState(0).permutation(569)
    trusted = pd.Series(np.arange(569) % 4 == 0, index=X.index)
    weight = pd.Series(1.0 + np.arange(569) % 3, index=X.index)
    groups = pd.Series(np.arange(569) % 200, index=X.index)
    refiner = LabelRefiner(random_state=0)
    expected = refiner.fit(X, y, weight, trusted, groups=groups).wrong_probability_
    shuffled = (v.iloc[order] for v in (y, weight, trusted, groups))
    y_shuffled, weight, trusted, groups = shuffled
    found = refiner.fit(X, y_shuffled, weight, trusted, groups=groups).wrong_probability_
    np.testing.assert_array_equal(found, expected)
    listed = find_wrong_labels(X, y_shuffled, random_state=0)
    pd.testing.assert_frame_equal(listed, find_wrong_labels(X, y, random_state=0))


def test_other_fits_go_by_name_too():
    X, y = load_iris(return_X_y=True, as_frame=True)
    X, y = X.set_axis([f"p{i}" for i in range(150)]), y.set_axis([f"p{i}" for i in range(150)])
    shuffled = y.sample(frac=1, random_state=0)
    clf = UnhingedClassifier()
    expected = clf.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(clf.fit(X, shuffled).predict_proba(X), expected)
    found = ClassStatistics.from_rows(X, shuffled)
    np.testing.assert_array_equal(found.class_sums, ClassStatistics.from_rows(X, y).class_sums)
    search = RobustSearchCV(clf, {"alpha": [1.0, 2.0]}, scoring="accuracy", random_state=0)
    scores = search.fit(X, y).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(search.fit(X, shuffled).cv_results_["mean_test_score"], scores)


def test_an_order_that_cannot_be_told_is_refused():
    X, y = load_iris(return_X_y=True, as_frame=True)
    shuffled = X.sample(frac=1, random_state=0)
    with pytest.raises(ValueError, match=r"different orders.*y\.loc\[X\.index\]"):
        LabelRefiner().fit(shuffled, y)
    twice = [f"p{i // 2}" for i in range(150)]
    X, y = X.set_axis(twice), y.set_axis(twice)
    with pytest.raises(ValueError, match="names are not unique"):
        LabelRefiner().fit(X, y.iloc[::-1])


def test_other_indices_say_nothing():
    X, y = load_iris(return_X_y=True, as_frame=True)
    expected = LabelRefiner(random_state=0).fit(X, y).label_probabilities_
    found = LabelRefiner(random_state=0).fit(X.set_axis(np.arange(150) + 1000), y)
    np.testing.assert_array_equal(found.label_probabilities_, expected)


def test_pivoted_answers_keep_their_order_and_only_answers():
    table = pivot_answers(
        ["z", "z", "a", "a", "b"], ["ann", "bob", "ann", "bob", "ann"],
        ["cat", np.nan, "dog", "", None],
    )  # fmt: skip
    assert table.index.tolist() == ["z", "a", "b"]
    assert table.columns.tolist() == ["ann", "bob"]
    assert table["bob"].isna().all()
    assert table["ann"].tolist()[:2] == ["cat", "dog"]
    with pytest.raises(ValueError, match="types int and str"):
        pivot_answers([0, 1], ["ann", "ann"], [1, "1"])
    with pytest.raises(ValueError, match="annotators has missing values"):
        pivot_answers([0, 1], ["ann", None], ["cat", "dog"])


def test_answers_follow_the_order_of_the_features():
    X, y = make_classification(300, 5, class_sep=2, random_state=0)
    X = pd.DataFrame(X, index=[f"row {i}" for i in range(300)])
    rng = np.random.RandomState(1)
    rows = np.concatenate([rng.permutation(300) for _ in range(3)])
    answers = np.where(rng.uniform(size=900) < 0.15, 1 - y[rows], y[rows])
    table = pivot_answers(X.index[rows], np.repeat(["a", "b", "c"], 300), answers)
    refiner = LabelRefiner(random_state=0).fit(X, table)
    assert (refiner.label_probabilities_.argmax(axis=1) == y).mean() > 0.95


# Classifiers inside RefinedClassifier


def test_out_of_bag_scores_of_copies_are_refused():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="Set oob_score=False"):
        RefinedClassifier(RandomForestClassifier(oob_score=True)).fit(X, y)


@pytest.fixture(scope="module")
def cities():
    rng = np.random.RandomState(0)
    code = rng.randint(20, size=400)
    y = rng.randint(2, size=20)[code]
    X = pd.DataFrame({"x": rng.normal(size=400), "city": [f"city {c}" for c in code]})
    X.loc[3, "city"] = None
    X["id"] = [f"P{i}" for i in range(400)]
    return X, corrupt_labels(y, "symmetric", 0.2, exact=True, random_state=1), y


def booster(name, **params):
    """Return a small boosting classifier of a package."""
    if name == "sklearn":
        return HistGradientBoostingClassifier(max_iter=20, random_state=0, **params)
    package = pytest.importorskip(name)
    if name == "lightgbm":
        return package.LGBMClassifier(n_estimators=20, verbose=-1, n_jobs=1, **params)
    if name == "xgboost":
        return package.XGBClassifier(n_estimators=20, n_jobs=1, **params)
    settings = {"iterations": 30, "verbose": 0, "allow_writing_files": False, "thread_count": 1}
    return package.CatBoostClassifier(**settings, **params)


@pytest.mark.parametrize("name", ["sklearn", "lightgbm", "xgboost", "catboost"])
def test_boosting_learns_categories_from_texts(cities, name):
    X, y_noisy, y = cities
    refined = RefinedClassifier(booster(name), random_state=0).fit(X, y_noisy)
    assert refined.score(X, y) > 0.85
    new = X[:20].assign(city="elsewhere")
    assert np.isfinite(refined.predict_proba(new)).all()
    np.testing.assert_array_equal(
        refined.predict(X.astype({"city": "category"})), refined.predict(X)
    )


@pytest.mark.parametrize(
    ("name", "params", "column", "message"),
    [
        ("lightgbm", {}, "a{b", "refuses the names"),
        ("xgboost", {}, "a<b", "refuses the names"),
        ("lightgbm", {"early_stopping_round": 5}, "x", "stop early by"),
        ("xgboost", {"early_stopping_rounds": 5}, "x", "stop early by"),
        ("catboost", {"early_stopping_rounds": 5}, "x", "stop early by"),
        ("catboost", {"cat_features": ["city"]}, "x", "cannot clone"),
    ],
)
def test_what_boosting_cannot_do_is_said_first(cities, name, params, column, message):
    X, y_noisy, _ = cities
    with pytest.raises(ValueError, match=message):
        RefinedClassifier(booster(name, **params)).fit(X.rename(columns={"x": column}), y_noisy)


# Noise that is injected


@pytest.mark.parametrize("exact", [False, True])
def test_a_seed_of_the_labels_is_no_seed_of_their_noise(exact):
    y = np.random.RandomState(0).choice(["a", "b", "c"], 3000, p=[0.5, 0.3, 0.2])
    for seed in (0, np.random.RandomState(0)):
        noisy = corrupt_labels(y, "symmetric", 0.4, exact=exact, random_state=seed)
        for name in "abc":
            # Three standard deviations of the share of the smallest class.
            assert (noisy != y)[y == name].mean() == pytest.approx(0.4, abs=0.06)
    for seed in range(20):
        # By one stream, all labels of the class with the smallest numbers would be wrong.
        labels = np.random.RandomState(seed).uniform(size=2000) < 0.4
        noisy = corrupt_labels(labels, "symmetric", 0.4, exact=exact, random_state=seed)
        by_generator = np.random.default_rng(seed).uniform(size=2000) < 0.4
        again = corrupt_labels(by_generator, "symmetric", 0.4, exact=exact, random_state=seed)
        for y_true, y_noisy in ((labels, noisy), (by_generator, again)):
            # Four standard deviations of the share of the smaller class.
            assert (y_noisy != y_true)[y_true].mean() == pytest.approx(0.4, abs=0.07)
    injector = LabelNoiseInjector("symmetric", 0.4, exact=exact, random_state=0)
    noisy = injector.fit(y[:, None], y).fit_resample(y[:, None], y)[1]
    assert (noisy != y)[y == "b"].mean() == pytest.approx(0.4, abs=0.06)


def test_other_classifiers_get_texts_as_they_are(cities):
    X, y_noisy, _ = cities
    with pytest.raises(ValueError, match="could not convert string"):
        RefinedClassifier(GaussianNB(), random_state=0).fit(X, y_noisy)

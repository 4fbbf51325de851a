"""RefinedClassifier: what estimators learn, and splits that keep copies of a sample together."""

import pickle
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier
from scipy.optimize import minimize
from scipy.sparse import coo_matrix
from scipy.special import log_softmax
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    cross_val_predict,
    train_test_split,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBClassifier

from robustlabels import LabelRefiner, RefinedClassifier, corrupt_labels
from robustlabels._inner.expanded_rows import ExpandedRows, expand
from robustlabels.losses import boosting_objective
from robustlabels.noise import symmetric_transition


class Known(LabelRefiner):
    """A refiner that knows the soft labels and groups of all samples, to see what they become."""

    def __init__(self, soft_labels=None, groups=None):
        super().__init__()
        self.soft_labels = soft_labels
        self.groups = groups

    def fit_rows(self, rows):
        groups = np.arange(rows.n_passed) if self.groups is None else self.groups
        return SimpleNamespace(soft_labels=self.soft_labels[rows.kept], groups=groups[rows.kept])


class Recorder(ClassifierMixin, BaseEstimator):
    """Remembers what it is fitted to, and the folds that it is given."""

    seen = []

    def __init__(self, cv="prefit", class_weight=None):
        self.cv = cv
        self.class_weight = class_weight

    def fit(self, X, y, sample_weight=None):
        self.X_, self.y_, self.weight_ = X, y, sample_weight
        self.classes_ = np.unique(y)
        self.seen.append((X, y, sample_weight))
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


def blobs(n=400, spread=0.6, rate=0.35, n_classes=3):
    """Samples around the corners of a simplex, their noisy labels, their true ones."""
    rng = np.random.RandomState(0)
    y = np.arange(n) % n_classes
    X = np.eye(n_classes)[y] + spread * rng.normal(size=(n, n_classes))
    return X, corrupt_labels(y, "symmetric", rate, exact=True, random_state=0), y


X, Y_NOISY, Y = blobs()
X_TEST, _, Y_TEST = (part[1200:] for part in blobs(3000))
REFINER = LabelRefiner(random_state=0).fit(X, Y_NOISY)
B = REFINER.soft_labels_
KNOWN = Known(B, REFINER.row_groups_)
#: With a quick classifier in the place of a forest.
TAUGHT = LabelRefiner(teacher=LogisticRegression(), random_state=0)


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    """Where tests find the noise that another has estimated."""
    return str(tmp_path_factory.mktemp("memory"))


@pytest.mark.parametrize(
    "estimator",
    [
        LGBMClassifier(n_estimators=60, verbose=-1, n_jobs=1),
        XGBClassifier(n_estimators=60, n_jobs=1),
        CatBoostClassifier(
            iterations=300, verbose=0, thread_count=1, learning_rate=0.2, allow_writing_files=False
        ),
        HistGradientBoostingClassifier(max_iter=60, early_stopping=False),
        RandomForestClassifier(50, random_state=0),
        ExtraTreesClassifier(50, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_each_gains_on_itself(estimator):
    plain = estimator.fit(X, Y_NOISY)
    refined = RefinedClassifier(clone(estimator), KNOWN, random_state=0).fit(X, Y_NOISY)
    assert refined.score(X_TEST, Y_TEST) > np.mean(plain.predict(X_TEST).ravel() == Y_TEST) + 0.03
    proba = refined.predict_proba(X_TEST)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(proba.argmax(axis=1), refined.predict(X_TEST))


@pytest.mark.parametrize(
    ("plain", "estimator"),
    [
        (
            ExtraTreesClassifier(30, random_state=0),
            ExtraTreesRegressor(30, min_samples_leaf=5, max_features="sqrt", random_state=0),
        ),
        (LogisticRegression(max_iter=100), LogisticRegression(max_iter=100)),
    ],
)
def test_digits_with_labels_of_strings(plain, estimator, memory):
    X, y = load_digits(return_X_y=True)
    X, names = X / 16, np.array([f"digit {k}" for k in range(10)])[y]
    train, test = train_test_split(np.arange(len(y)), random_state=0, stratify=y)
    noisy = corrupt_labels(names[train], "symmetric", 0.4, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 100 iterations are enough
        refined = RefinedClassifier(estimator, random_state=0, memory=memory).fit(X[train], noisy)
        plain = plain.fit(X[train], noisy)
    assert refined.score(X[test], names[test]) > plain.score(X[test], names[test]) + 0.02
    assert refined.score(X[test], names[test]) > 0.9
    np.testing.assert_array_equal(refined.classes_, np.unique(names))
    assert 0.35 < refined.refiner_.noise_rate_ < 0.45


def test_copies_weigh_as_their_probabilities_and_no_class_vanishes():
    soft_labels = np.array([[0.6, 0.395, 0.005], [0.999, 0.001, 0.0], [0.0, 0.9, 0.1]])
    rows, codes, shares = expand(soft_labels)
    np.testing.assert_array_equal(rows, [0, 0, 1, 2, 2])
    np.testing.assert_array_equal(codes, [0, 1, 0, 1, 2])
    np.testing.assert_allclose(shares, [0.6 / 0.995, 0.395 / 0.995, 1, 0.9, 0.1])
    rows, codes, shares = expand(np.array([[1.0, 0.0, 0.0], [0.998, 0.002, 0.0]]))
    assert set(codes) == {0, 1, 2}
    np.testing.assert_allclose(np.bincount(rows, weights=shares), 1)
    # Of many classes each has a small probability, and none is negligible.
    assert len(expand(np.full((2, 300), 1 / 300))[0]) == 600


def test_optimum_is_that_of_the_log_loss_on_soft_labels():
    refined = RefinedClassifier(LogisticRegression(C=0.3, tol=1e-8), KNOWN)
    weight = np.random.RandomState(0).uniform(0.5, 2, size=len(X))
    fitted = refined.fit(X, Y_NOISY, weight)
    kept = np.where(0.01 * B.max(axis=1, keepdims=True) < B, B, 0)
    kept /= kept.sum(axis=1, keepdims=True)

    def objective(parameters):
        coef, intercept = parameters[:9].reshape(3, 3), parameters[9:]
        log_p = log_softmax(X @ coef.T + intercept, axis=1)
        return -(weight[:, None] * kept * log_p).sum() + 0.5 / 0.3 * (coef**2).sum()

    optimum = minimize(objective, np.zeros(12), tol=1e-9).x
    np.testing.assert_allclose(fitted.estimator_.coef_, optimum[:9].reshape(3, 3), atol=2e-3)


@pytest.mark.parametrize(
    "estimator", [LogisticRegression(), RandomForestClassifier(10, random_state=0)]
)
def test_labels_without_noise_make_a_plain_fit(estimator):
    refined = RefinedClassifier(estimator, LabelRefiner(np.eye(3))).fit(X, Y_NOISY)
    plain = clone(estimator).fit(X, Y_NOISY)
    np.testing.assert_array_equal(refined.predict_proba(X), plain.predict_proba(X))
    few = RefinedClassifier(estimator).fit(X[:20], Y_NOISY[:20])
    assert few.refiner_.transition_matrix_ is None
    plain = clone(estimator).fit(X[:20], Y_NOISY[:20])
    np.testing.assert_array_equal(few.predict_proba(X), plain.predict_proba(X))


def test_regressor_learns_soft_labels_and_its_predictions_become_probabilities():
    refined = RefinedClassifier(KNeighborsRegressor(1), KNOWN).fit(X, Y_NOISY)
    np.testing.assert_allclose(refined.predict_proba(X), B)
    np.testing.assert_array_equal(refined.predict(X), B.argmax(axis=1))
    assert not hasattr(refined, "decision_function")
    linear = RefinedClassifier(LinearRegression(), KNOWN).fit(X, Y_NOISY)
    far = 5 * X_TEST
    predicted = linear.estimator_.predict(far)
    assert (predicted < 0).any()
    proba = np.maximum(predicted, 0)
    np.testing.assert_allclose(linear.predict_proba(far), proba / proba.sum(axis=1, keepdims=True))
    weight = np.arange(len(X)) % 3
    weighted = RefinedClassifier(LinearRegression(), LabelRefiner(np.eye(3), random_state=0))
    weighted.fit(X, Y_NOISY, weight)
    plain = LinearRegression().fit(X, np.eye(3)[Y_NOISY], weight)
    np.testing.assert_allclose(weighted.estimator_.coef_, plain.coef_)
    with pytest.raises(ValueError, match="KNeighborsRegressor takes no sample_weight"):
        RefinedClassifier(KNeighborsRegressor()).fit(X, Y_NOISY, weight)


def test_weights_of_zero_remove_rows():
    weight = np.ones(len(X))
    weight[::4] = 0
    one = RefinedClassifier(LogisticRegression(), TAUGHT).fit(X, Y_NOISY, weight)
    kept = weight > 0
    two = RefinedClassifier(LogisticRegression(), TAUGHT).fit(X[kept], Y_NOISY[kept])
    np.testing.assert_array_equal(one.estimator_.coef_, two.estimator_.coef_)
    assert np.isnan(one.refiner_.label_probabilities_[::4]).all()
    sparse = RefinedClassifier(LogisticRegression(), TAUGHT).fit(coo_matrix(X), Y_NOISY, weight)
    assert sparse.score(X_TEST, Y_TEST) > 0.7


def test_scale_of_weights_does_not_count_for_what_counts_shares():
    weight = np.random.RandomState(0).uniform(0.5, 2, size=len(X))
    refiner = LabelRefiner(teacher=GaussianNB(), random_state=0)
    forest = RefinedClassifier(ExtraTreesClassifier(10, random_state=0), refiner)
    one, two = (clone(forest).fit(X, Y_NOISY, scale * weight) for scale in (1, 4))
    np.testing.assert_allclose(one.predict_proba(X_TEST), two.predict_proba(X_TEST))
    unweighted = clone(forest).fit(X, Y_NOISY)
    assert not np.allclose(one.predict_proba(X_TEST), unweighted.predict_proba(X_TEST))


def mixed_table():
    rng = np.random.RandomState(0)
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    table["a"] = table["a"].mask(rng.uniform(size=len(X)) < 0.1)
    table["b"] = pd.cut(table["b"], 4, labels=["lowest", "low", "high", "highest"])
    return table, np.array(["ham", "spam", "eggs"])[Y_NOISY], np.array(["ham", "spam", "eggs"])[Y]


def test_pipeline_of_columns(memory):
    table, noisy, y = mixed_table()
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = make_column_transformer(
        (numbers, ["a", "c"]), (OneHotEncoder(), make_column_selector(dtype_include="category"))
    )
    forest = RandomForestClassifier(30, random_state=0)
    nested = make_pipeline(columns, make_pipeline("passthrough", forest))
    refined = RefinedClassifier(nested, random_state=0, memory=memory).fit(table, noisy)
    assert refined.score(table, y) > make_pipeline(columns, forest).fit(table, noisy).score(
        table, y
    )
    assert list(refined.feature_names_in_) == ["a", "b", "c"]
    recorder = make_pipeline("passthrough", make_pipeline("passthrough", Recorder()))
    inner = RefinedClassifier(recorder, KNOWN).fit(X, Y_NOISY).estimator_[-1][-1]
    np.testing.assert_allclose(inner.weight_, expand(B)[2])


def test_categories_reach_lightgbm(memory):
    table, noisy, y = mixed_table()
    boosting = LGBMClassifier(n_estimators=60, verbose=-1, n_jobs=1)
    refined = RefinedClassifier(boosting, random_state=0, memory=memory).fit(table, noisy)
    assert refined.score(table, y) > clone(boosting).fit(table, noisy).score(table, y)
    categories = refined.estimator_.booster_.pandas_categorical
    assert categories == [["lowest", "low", "high", "highest"]]


def test_metadata_routing():
    with config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        recorder = Recorder().set_fit_request(sample_weight=True)
        refined = RefinedClassifier(make_pipeline(scaler, recorder), KNOWN)
        inner = refined.fit(X, Y_NOISY).estimator_[-1]
        np.testing.assert_allclose(inner.weight_, expand(B)[2])
        outer = RefinedClassifier(Recorder(), KNOWN).set_fit_request(sample_weight=True)
        weight = np.arange(1.0, len(X) + 1)
        outer = make_pipeline("passthrough", outer).fit(X, Y_NOISY, sample_weight=weight)
        rows, _, shares = expand(B)
        np.testing.assert_allclose(outer[-1].estimator_.weight_, weight[rows] * shares)


def test_class_weight_names_labels():
    names = np.array(["ham", "spam", "eggs"])[Y_NOISY]  # eggs, ham, spam
    weights = {"spam": 5.0, "eggs": 1.0}
    pipeline = make_pipeline(StandardScaler(), Recorder(class_weight=weights))
    refined = RefinedClassifier(pipeline, KNOWN).fit(X, names)
    assert refined.estimator_[-1].class_weight == {2: 5.0, 0: 1.0}
    assert weights == {"spam": 5.0, "eggs": 1.0}
    assert pipeline[-1].class_weight is weights
    balanced = RefinedClassifier(Recorder(class_weight="balanced"), KNOWN).fit(X, names)
    _, codes, shares = expand(B)
    total = np.bincount(codes, weights=shares)
    factors = [balanced.estimator_.class_weight[k] for k in range(3)]
    np.testing.assert_allclose(factors * total, len(X) / 3)
    with pytest.raises(ValueError, match=r"class_weight has the keys \['egg'\], but"):
        RefinedClassifier(Recorder(class_weight={"egg": 1}), KNOWN).fit(X, names)


@pytest.mark.parametrize("cv", [4, None, StratifiedKFold(3), KFold(3, shuffle=True)])
def test_copies_stay_on_one_side_of_folds(cv):
    groups = np.arange(len(X)) // 2
    # A splitter knows samples, but not which of them are near-duplicates.
    rows = groups if cv in (4, None) else np.arange(len(X))
    of_copies = rows[expand(B)[0]]
    for wrap in (lambda e: e, lambda e: make_pipeline(StandardScaler(), e)):
        refined = RefinedClassifier(wrap(Recorder(cv)), Known(B, groups), random_state=0)
        inner = refined.fit(X, Y_NOISY).estimator_
        folds = (inner if isinstance(inner, Recorder) else inner[-1]).cv
        assert len(folds) == {4: 4, None: 5}.get(cv, 3)
        tested = np.concatenate([test for _, test in folds])
        np.testing.assert_array_equal(np.sort(tested), np.arange(len(of_copies)))
        for train, test in folds:
            assert not set(of_copies[train]) & set(of_copies[test])
            assert len(train) + len(test) == len(of_copies)
            if cv == 4:
                shares = np.bincount(B.argmax(axis=1)[expand(B)[0][test]]) / len(test)
                everywhere = np.bincount(B.argmax(axis=1)[expand(B)[0]]) / len(of_copies)
                np.testing.assert_allclose(shares, everywhere, atol=0.15)


def test_pairs_of_positions_refer_to_x():
    weight = np.ones(len(X))
    weight[:10] = 0
    pairs = [(np.arange(5, 200), np.arange(200, 400)), (range(200, 400), range(200))]
    groups = np.maximum(np.arange(len(X)) - 10, -1)
    refined = RefinedClassifier(Recorder(pairs), Known(B, groups)).fit(X, Y_NOISY, weight)
    rows = expand(B[10:])[0] + 10
    for (train, test), pair in zip(refined.estimator_.cv, pairs, strict=True):
        for copies, side in ((train, pair[0]), (test, pair[1])):
            assert set(rows[copies]) == set(side) - set(range(10))
    assert RefinedClassifier(Recorder("prefit"), KNOWN).fit(X, Y_NOISY).estimator_.cv == "prefit"
    for cv, match in ((0.3, "cv=0.3 is not supported"), (1, "cv=1 must be at least 2")):
        with pytest.raises(ValueError, match=match):
            RefinedClassifier(Recorder(cv), KNOWN).fit(X, Y_NOISY)


@pytest.mark.parametrize(
    "estimator",
    [
        CalibratedClassifierCV(LogisticRegression()),
        CalibratedClassifierCV(LogisticRegression(), ensemble=False, cv=3),
        StackingClassifier(
            [("forest", RandomForestClassifier(30, min_samples_leaf=5, random_state=0))], cv=3
        ),
        GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=3),
        GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {}, cv=3),
        GridSearchCV(KNeighborsRegressor(), {"n_neighbors": [1, 30]}, cv=3),
        BaggingClassifier(LogisticRegression(), 3, random_state=0),
    ],
    ids=str,
)
def test_estimators_that_split_or_draw(estimator):
    refined = RefinedClassifier(estimator, KNOWN, random_state=0).fit(X, Y_NOISY)
    assert refined.score(X_TEST, Y_TEST) > 0.72
    assert refined.predict_proba(X_TEST).shape == (len(X_TEST), 3)


def test_boosting_that_stops_early_gains():
    test_each_gains_on_itself(
        HistGradientBoostingClassifier(early_stopping=True, learning_rate=0.5, random_state=0)
    )


class Boosting(HistGradientBoostingClassifier):
    """Remembers its arguments."""

    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        self.train_, self.held_ = (X, y, sample_weight), (X_val, y_val, sample_weight_val)
        return super().fit(
            X, y, sample_weight, X_val=X_val, y_val=y_val, sample_weight_val=sample_weight_val
        )


@pytest.mark.parametrize("fraction", [0.25, 100])
def test_boosting_stops_early_by_samples_whose_copies_it_has_not_seen(fraction):
    boosting = Boosting(
        early_stopping=True, validation_fraction=fraction, max_iter=100, learning_rate=0.5
    )
    refined = RefinedClassifier(boosting, Known(B), random_state=0).fit(X, Y_NOISY)
    fitted = refined.estimator_
    assert fitted.n_iter_ < 100
    train, held = ({*map(tuple, rows[0])} for rows in (fitted.train_, fitted.held_))
    assert not train & held
    assert len(train | held) == len(X)
    assert len(held) == pytest.approx(100, abs=2)
    # Each sample is held out with all of its copies, labels and weights.
    assert fitted.held_[2].sum() == pytest.approx(len(held))
    numbers = [np.flatnonzero((row == X).all(axis=1))[0] for row in fitted.held_[0]]
    soft = np.zeros((len(X), 3))
    soft[numbers, fitted.held_[1]] = fitted.held_[2]
    np.testing.assert_allclose(soft[np.unique(numbers)], B[np.unique(numbers)], atol=0.02)
    again = RefinedClassifier(boosting, Known(B), random_state=0).fit(X, Y_NOISY)
    np.testing.assert_array_equal(again.estimator_.held_[0], fitted.held_[0])


def test_boosting_stops_early_by_the_number_of_samples_and_not_copies():
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(10_002, 1)), np.arange(10_002) % 2
    soft_labels = rng.dirichlet([1, 1], size=len(X))
    boosting = HistGradientBoostingClassifier(max_iter=1)
    for n, early in ((10_000, False), (10_002, True)):
        fitted = RefinedClassifier(boosting, Known(soft_labels)).fit(X[:n], y[:n]).estimator_
        assert fitted.do_early_stopping_ is early
    bagged = BaggingClassifier(boosting, 1)
    bagged = RefinedClassifier(bagged, Known(soft_labels)).fit(X[:10_000], y[:10_000])
    assert bagged.estimator_[0].do_early_stopping_ is False


def test_a_class_is_never_held_out_as_a_whole():
    rows = ExpandedRows(np.arange(9), np.arange(9), np.arange(9) // 8, np.random.RandomState(0))
    train, held = rows.hold_out(0.5, np.array([0, 8]))
    assert {0, 8} <= set(train)
    assert len(held) == 4


@pytest.mark.parametrize(
    ("estimator", "match"),
    [
        (KNeighborsClassifier(), "KNeighborsClassifier takes no sample_weight.*KNeighborsRegres"),
        (make_pipeline(StandardScaler(), KNeighborsClassifier()), "takes no sample_weight"),
        (GridSearchCV(KNeighborsClassifier(), {}), "GridSearchCV takes no sample_weight"),
        (CalibratedClassifierCV(KNeighborsClassifier()), "does not pass sample weights"),
        (
            CalibratedClassifierCV(make_pipeline(StandardScaler(), LogisticRegression())),
            "a pipeline around CalibratedClassifierCV",
        ),
        (SGDClassifier(early_stopping=True), "SGDClassifier stops early.*early_stopping=False"),
        (
            make_pipeline(StandardScaler(), SGDClassifier(early_stopping=True)),
            "early_stopping=False",
        ),
        (GradientBoostingClassifier(n_iter_no_change=5), "Set n_iter_no_change=None"),
        (
            make_pipeline(StandardScaler(), HistGradientBoostingClassifier(early_stopping=True)),
            "pipeline around RefinedClassifier",
        ),
        (
            GridSearchCV(CalibratedClassifierCV(LogisticRegression()), {}),
            r"CalibratedClassifierCV \(estimator\) would split copies of a sample by its own cv",
        ),
    ],
)
def test_what_would_split_copies_or_drop_weights_is_rejected(estimator, match):
    refined = RefinedClassifier(LogisticRegression(), KNOWN).fit(X, Y_NOISY)
    before = dict(vars(refined))
    with pytest.raises(ValueError, match=match):
        refined.set_params(estimator=estimator).fit(X, Y_NOISY)
    assert {**vars(refined), "estimator": None} == {**before, "estimator": None}


def test_early_stopping_before_scikit_learn_1_7(monkeypatch):
    old = lambda self, X, y, sample_weight=None: self  # noqa: E731
    monkeypatch.setattr(HistGradientBoostingClassifier, "fit", old)
    with pytest.raises(ValueError, match=r"needs scikit-learn 1.7.*early_stopping=False"):
        RefinedClassifier(HistGradientBoostingClassifier(early_stopping=True), KNOWN).fit(X, Y)


def test_estimators_that_could_split_but_do_not():
    for estimator in (SGDClassifier(random_state=0), GradientBoostingClassifier(n_estimators=2)):
        RefinedClassifier(estimator, KNOWN).fit(X, Y_NOISY)


@pytest.mark.parametrize(
    "estimator",
    [LogisticRegression(C=-1), make_pipeline(StandardScaler(), LogisticRegression(C=-1))],
    ids=["alone", "in a pipeline"],
)
def test_parameters_of_the_estimator_are_checked_before_labels_are_refined(estimator, monkeypatch):
    monkeypatch.setattr(LabelRefiner, "fit_rows", lambda *args: pytest.fail("labels were refined"))
    with pytest.raises(ValueError, match="'C' parameter of LogisticRegression"):
        RefinedClassifier(estimator).fit(*load_iris(return_X_y=True))


def test_parameters_that_others_will_set_are_not_checked():
    class AutoC(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            self.set_params(C=1.0 if self.C == "auto" else self.C)
            return super().fit(X, y, sample_weight)

    X, y = load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    search = GridSearchCV(LogisticRegression(C=-1), {"C": [0.1, 1]}, cv=2)
    for estimator in (search, AutoC(C="auto")):
        assert RefinedClassifier(estimator, Known(np.eye(3)[y])).fit(X, y).score(X, y) > 0.9


def test_other_errors():
    with pytest.raises(ValueError, match="target y is None"):
        RefinedClassifier(LogisticRegression()).fit(X, None)
    with pytest.raises(ValueError, match="RefinedClassifier needs at least 2 classes"):
        RefinedClassifier(LogisticRegression()).fit(X, np.zeros(len(X)))
    with pytest.raises(ValueError, match="refiner"):
        RefinedClassifier(LogisticRegression(), LogisticRegression()).fit(X, Y_NOISY)
    with pytest.raises(ValueError, match="'n_jobs' parameter of LabelRefiner"):
        RefinedClassifier(LogisticRegression(), LabelRefiner(n_jobs="all")).fit(X, Y_NOISY)
    with pytest.raises(NotFittedError):
        RefinedClassifier(LogisticRegression()).predict(X)
    assert not hasattr(RefinedClassifier(Recorder()), "decision_function")
    assert not hasattr(RefinedClassifier(SGDClassifier()), "predict_proba")


def test_scores_are_those_of_the_estimator():
    refined = RefinedClassifier(LogisticRegression(), KNOWN).fit(X, Y_NOISY)
    scores = refined.decision_function(X)
    np.testing.assert_array_equal(scores, refined.estimator_.decision_function(X))


def test_search_over_estimator_and_refiner():
    # Out-of-fold probabilities of one quick classifier in the place of a forest.
    refiner = LabelRefiner(teacher=LogisticRegression(), random_state=0)
    search = GridSearchCV(
        RefinedClassifier(LogisticRegression(), refiner),
        {
            "estimator__C": [1e-4, 1],
            "refiner__transition_matrix": ["estimate", symmetric_transition(3, 0.35)],
        },
        cv=2,
        error_score="raise",
    ).fit(X, Y_NOISY)
    best = search.best_estimator_
    assert best.estimator_.C == search.best_params_["estimator__C"] == 1
    assert len(set(search.cv_results_["mean_test_score"])) > 1
    predicted = cross_val_predict(best, X, Y_NOISY, cv=3, method="predict_proba")
    assert np.mean(predicted.argmax(axis=1) == Y) > 0.7


def test_same_random_state_same_result_also_stored():
    refined = RefinedClassifier(
        CalibratedClassifierCV(ExtraTreesClassifier(5, random_state=0), cv=2), random_state=0
    )
    one, two = (clone(refined).fit(X, Y_NOISY) for _ in range(2))
    stored = pickle.loads(pickle.dumps(two))
    one, two = one.predict_proba(X_TEST), two.predict_proba(X_TEST)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, stored.predict_proba(X_TEST))
    other = clone(refined).set_params(random_state=1).fit(X, Y_NOISY)
    assert not np.array_equal(one, other.predict_proba(X_TEST))


def test_parameters_reach_the_default_refiner_alone(tmp_path):
    params = {"n_jobs": 2, "verbose": 1, "random_state": 5, "memory": str(tmp_path)}
    few = slice(30)  # too few samples for trees
    default = RefinedClassifier(GaussianNB(), **params).fit(X[few], Y_NOISY[few])
    assert params.items() <= default.refiner_.get_params().items()
    given = RefinedClassifier(GaussianNB(), TAUGHT, **params).fit(X[few], Y_NOISY[few])
    assert given.refiner_.get_params() == {**TAUGHT.get_params(), "teacher": given.refiner_.teacher}
    assert not hasattr(TAUGHT, "classes_")


def test_random_state_decides_on_inner_folds_beside_a_refiner():
    folds = [
        RefinedClassifier(Recorder(cv=2), KNOWN, random_state=seed).fit(X, Y_NOISY).estimator_.cv
        for seed in (0, 0, 1)
    ]
    tested = [fold[0][1].tolist() for fold in folds]
    assert tested[0] == tested[1] != tested[2]


def test_raw_scores_are_not_taken_for_classes():
    objective = boosting_objective("gce")
    refined = RefinedClassifier(LGBMClassifier(objective=objective, verbose=-1, n_jobs=1), KNOWN)
    refined.fit(X, Y_NOISY)
    with (
        pytest.warns(UserWarning, match="customized objective"),
        pytest.raises(ValueError, match="predicts values other than the labels 0 to 2"),
    ):
        refined.predict(X)


def test_a_column_of_labels_is_warned_of_once():
    X, y = load_digits(n_class=2, return_X_y=True)
    with pytest.warns(DataConversionWarning) as warned:
        RefinedClassifier(LogisticRegression(), random_state=0).fit(X / 16, y[:, None])
    assert len(warned) == 1

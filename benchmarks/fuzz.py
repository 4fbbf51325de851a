"""Public estimators and functions on thousands of odd tables, labels, weights and parameters.

Each case ends with a valid result, or with a ``ValueError`` or ``TypeError`` that this package,
scikit-learn or skorch raises on purpose. Anything else is a violation: another exception or one
from the depths of numpy, a hang, probabilities that are none, a class that is not there,
predictions other than the most probable class, a changed input, a touched global random state.

    python benchmarks/fuzz.py --cases 5000
"""

import argparse
import collections
import linecache
import random
import signal
import time
import traceback
import warnings
from pathlib import Path

import hypothesis
import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import sklearn
import skorch
import torch
from hypothesis import strategies as st
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

import robustlabels
from robustlabels import losses, metrics

#: Seconds after which a case is taken for a hang.
PATIENCE = 120

#: Where errors are raised on purpose.
OWN = tuple(str(Path(package.__file__).parent) for package in (robustlabels, sklearn, skorch))

#: Kinds of columns in a file.
MESSY = [
    "question marks", "decimal commas", "ids", "row numbers", "many categories", "dates", "blanks",
    "nothing", "dictionary", "codes", "mixed",
]  # fmt: skip

DICTIONARY = pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))


# What goes in


def messy_table(X, kind, rng):
    """Return a data frame as `read_csv` makes it of many a file."""
    n_rows = len(X)
    X = pd.DataFrame(X).add_prefix("feature ")
    if kind == "question marks":
        return X.astype(str).mask(rng.random_sample(X.shape) < 0.05, "?")
    columns = {
        "decimal commas": [f"{v:.2f}".replace(".", ",") for v in X.iloc[:, 0]],
        "ids": [f"P{number}" for number in rng.permutation(n_rows)],
        "row numbers": np.arange(n_rows),
        "many categories": [f"city {number}" for number in rng.randint(n_rows, size=n_rows)],
        "dates": pd.date_range("2020", periods=n_rows),
        "blanks": np.where(rng.random_sample(n_rows) < 0.5, "", " "),
        "nothing": np.full(n_rows, None),
        "dictionary": pd.Series(rng.choice(["a", "b"], n_rows)).astype(DICTIONARY),
        "codes": [f"0{number}" for number in rng.randint(99, size=n_rows)],
        "mixed": [*[1, "1", None, 2.5] * (n_rows // 4 + 1)][:n_rows],
    }
    return X.assign(**{kind: columns[kind]})


@st.composite
def tables(draw, n_rows, n_features):
    """Draw features of so many rows, most of them fit to be learned from."""
    rng = np.random.RandomState(draw(st.integers(0, 2**16)))
    X = rng.normal(size=(n_rows, n_features))
    kind = draw(
        st.sampled_from(
            ["plain"] * 20
            + [
                "float32",
                "integers",
                "booleans",
                "constant",
                "copies",
                "huge",
                "tiny",
                "far",
                "list",
            ]
            + ["NaN", "infinite", "sparse", "frame", "categories", "texts", "one-dimensional"]
            + [*MESSY, "masked"]
            + [
                "three-dimensional",
                "objects",
                "complex",
                "read-only",
                "Fortran",
                "strided",
                "empty",
            ]
        )
    )
    if kind in ("float32", "integers", "booleans", "complex", "objects"):
        types = {"integers": np.int8, "booleans": bool, "complex": complex, "objects": object}
        return X.astype(types.get(kind, np.float32))
    if kind == "constant":
        X[:, 0] = 3
    elif kind == "copies":
        X[:] = X[rng.randint(min(3, n_rows), size=n_rows)]
    elif kind in ("huge", "tiny", "far"):
        scale = {"huge": [1e30, 1e155, 1e307], "tiny": [1e-30, 1e-160, 1e-310], "far": [1.0]}[kind]
        X *= draw(st.sampled_from(scale))
        X += 1e9 * (kind == "far")
    elif kind in ("NaN", "infinite"):
        X[rng.random_sample(X.shape) < 0.2] = np.nan if kind == "NaN" else -np.inf
    elif kind == "frame":
        return pd.DataFrame(X, columns=[f"feature {i}" for i in range(n_features)]).iloc[::-1]
    elif kind in ("categories", "texts"):
        X = pd.DataFrame(X)
        X["kind"] = rng.choice(["red", "blue", None], n_rows)
        X["kind"] = X["kind"].astype("category" if kind == "categories" else "str")
    elif kind in MESSY:
        return messy_table(X, kind, rng)
    elif kind == "masked":
        X = np.ma.masked_array(X, mask=rng.random_sample(X.shape) < 0.2)
    elif kind == "read-only":
        X.setflags(write=False)
    makers = {
        "list": lambda X: X.tolist(),
        "sparse": draw(st.sampled_from([sparse.csr_matrix, sparse.csc_array, sparse.coo_matrix])),
        "one-dimensional": np.ravel,
        "three-dimensional": lambda X: X[:, :, None],
        "Fortran": np.asfortranarray,
        "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        "empty": lambda X: X[:0],
    }
    return makers.get(kind, lambda X: X)(X)


@st.composite
def label_arrays(draw, n_rows, n_classes):
    """Draw labels, most of them fit to be learned."""
    rng = np.random.RandomState(draw(st.integers(0, 2**16)))
    codes = rng.permutation(np.arange(n_rows) % n_classes)
    if draw(st.sampled_from([False, False, True])):
        codes[codes == 1] = 0  # the class is rare
        codes[:1] = 1
    kind = draw(
        st.sampled_from(
            ["integers"] * 12
            + ["texts"] * 12
            + ["floats", "booleans", "series", "categories", "Int64", "list", "objects", "column"]
            + ["continuous", "NaN", "None", "NA", "mixed", "one class", "one-hot", "negative"]
            + ["large", "short", "dates", "bytes", "matrix"]
        )
    )
    texts = np.array(["", "ham", "spam", "eggs", "ham "])[codes % 5]
    makers = {
        "texts": lambda: texts,
        "floats": lambda: codes.astype(np.float32),
        "booleans": lambda: codes > 0,
        "series": lambda: pd.Series(texts, index=np.arange(n_rows)[::-1]),
        "categories": lambda: pd.Series(texts, dtype="category"),
        "Int64": lambda: pd.Series(codes, dtype="Int64"),
        "list": codes.tolist,
        "objects": lambda: codes.astype(object),
        "column": lambda: codes[:, None],
        "continuous": lambda: codes + rng.uniform(size=n_rows),
        "NaN": lambda: np.where(codes == 0, np.nan, codes),
        "None": lambda: np.where(codes == 0, None, texts),
        "NA": lambda: pd.Series(np.where(codes == 0, None, codes), dtype="Int64"),
        "mixed": lambda: np.where(codes == 0, 0, texts.astype(object)),
        "one class": lambda: np.zeros(n_rows, dtype=int),
        "one-hot": lambda: np.eye(n_classes)[codes],
        "negative": lambda: -codes,
        "large": lambda: 2**60 + codes,
        "short": lambda: codes[1:],
        "dates": lambda: np.datetime64("2024-01-01") + codes,
        "bytes": lambda: texts.astype("S"),
        "matrix": lambda: np.column_stack([codes, codes]),
    }
    return makers.get(kind, lambda: codes)()


@st.composite
def weight_arrays(draw, n_rows):
    """Draw weights of rows, or None."""
    rng = np.random.RandomState(draw(st.integers(0, 2**16)))
    weight = rng.uniform(size=n_rows)
    some = np.where(weight < 0.4, 0, weight)
    return draw(
        st.sampled_from(
            [None] * 12
            + [weight, weight.astype(np.float32), weight.tolist(), some, weight > 0.2, 1.0]
            + [weight * 1e-310, weight * 1e300, weight - 0.5, weight[1:], weight[:, None]]
            + [np.zeros(n_rows), weight * np.nan, ["heavy"] * n_rows]
        )
    )


@st.composite
def matrices(draw, n_classes):
    """Draw transition matrices, most of them valid."""
    rng = np.random.RandomState(draw(st.integers(0, 2**16)))
    rate = draw(st.sampled_from([0.0, 0.2, 0.2, 0.5, 1 - 1 / n_classes, 1.0]))
    T = robustlabels.noise.symmetric_transition(n_classes, rate)
    return draw(
        st.sampled_from(
            [T] * 10
            + [rng.dirichlet(np.ones(n_classes), n_classes), T.tolist(), pd.DataFrame(T)]
            + [-T, T * 2, T[:-1], T * np.nan, T[0], "unknown", 3, np.full_like(T, 1 / n_classes)]
        )
    )


def numbers(*valid):
    """Return a strategy of valid values, and of others at times."""
    others = [-1, 0, 0.5, np.nan, np.inf, None, "many", np.int64(2), True]
    return st.sampled_from([*valid * (20 // len(valid)), *others])


def sometimes(**strategies):
    """Return a strategy of dicts, which have few of the parameters."""
    return st.fixed_dictionaries({}, optional=strategies).flatmap(
        lambda drawn: st.sampled_from(
            [dict(list(drawn.items())[:most]) for most in range(min(4, len(drawn)) + 1)]
        )
    )


class_weights = st.sampled_from(
    [None, "balanced", {}, {0: 2, 1: 1}, {"ham": 3.0}, {0: 0, 1: 0}, {0: -1}, {0: np.nan}, "none"]
)


# What is tried

LOSSES = ["auto", "ce", "sgce", *losses.available_losses(), losses.GCE(0.5), losses.NCE(), "no", 3]


@st.composite
def classifiers(draw, n_classes):
    """Draw a classifier and its parameters."""
    T = st.one_of(st.just("estimate"), st.none(), matrices(n_classes))
    kind = draw(
        st.sampled_from(
            ["RobustClassifier"] * 8
            + ["UnhingedClassifier"] * 6
            + ["RefinedClassifier", "NoiseInjectedClassifier"] * 2
            + ["RobustEnsembleClassifier"]
        )
    )
    make = getattr(robustlabels, kind)
    if kind == "RobustClassifier":
        quick = {"max_epochs": 1, "hidden_layer_sizes": (4,), "random_state": 0}
        params = sometimes(
            loss=st.sampled_from(LOSSES),
            transition_matrix=T,
            q=numbers(0.3, 1.0),
            alpha=numbers(0.5),
            adapt=st.sampled_from([False, True, "yes"]),
            class_weight=class_weights,
            priors=st.sampled_from([None, "balanced", {0: 0.5, 1: 0.5}, [0.5, 0.5], [1, 0], "all"]),
            n_members=numbers(1, 2, 3),
            max_epochs=numbers(1, 2),
            batch_size=numbers(1, 8, 1000, -1),
            lr=numbers(1e-3, 1e4, 1e30),
            hidden_layer_sizes=st.sampled_from([(), 3, (4, 3), (0,), [5], "wide", (2.5,), None]),
            dropout=numbers(0.0, 0.9),
            weight_decay=numbers(0.0, 0.1),
            l1_penalty=numbers(0.0, 1e-3),
            warm_start=st.sampled_from([False, True, "yes"]),
            device=st.sampled_from(["auto", "cpu", "cpu", "meta", "tpu", None]),
            n_threads=numbers("auto", 1, 2),
            optimizer=st.sampled_from([torch.optim.SGD, torch.optim.AdamW, "sgd", None]),
            callbacks=st.sampled_from([None, [], [3], "none"]),
            net_params=st.sampled_from([None, {}, {"lr": 1}, {"unknown": 1}, 0.1]),
        )
    elif kind == "UnhingedClassifier":
        quick = {"random_state": 0}
        params = sometimes(
            alpha=numbers(1e-3, 1.0, 1e5),
            metric=st.sampled_from(["covariance", "euclidean", "cosine"]),
            intercept=st.sampled_from(["prior", "midpoint", "penalized", "none", None]),
            transition_matrix=T,
            class_weight=class_weights,
        )
    elif kind == "RefinedClassifier":
        quick = {"estimator": LogisticRegression()}
        params = sometimes(
            estimator=st.sampled_from(
                [
                    DecisionTreeClassifier(random_state=0),
                    LogisticRegression(),
                    3,
                    GaussianNB,
                ]
            ),
            random_state=numbers(0, 1),
        )
    elif kind == "NoiseInjectedClassifier":
        injector = robustlabels.LabelNoiseInjector(random_state=0).set_params(
            **draw(sometimes(noise=noises(n_classes), noise_rate=rates))
        )
        quick = {"estimator": DecisionTreeClassifier(random_state=0), "injector": injector}
        params = sometimes(
            estimator=st.sampled_from(
                [DecisionTreeClassifier(random_state=0), LogisticRegression()]
            )
        )
    else:
        quick = {"max_epochs": 1, "random_state": 0}
        params = sometimes(
            transition_matrix=T,
            class_weight=class_weights,
            max_epochs=numbers(1, 2),
            n_threads=numbers("auto", 1),
        )
    return make(**{**quick, **draw(params)})


rates = numbers(0.0, 0.3, 1.0)


def noises(n_classes):
    """Return a strategy of noise as `corrupt_labels` takes it."""
    names = ["symmetric", "pair", "instance", "margin", "boundary", "loud"]
    maps = [{0: 1}, {"ham": "spam"}, {"ham": ["spam", "eggs"]}, {}, {1: 1}, {5: 0}]
    return st.one_of(st.sampled_from(names), st.sampled_from(maps), matrices(n_classes))


class Case:
    """A call with its arguments.

    `call` takes `inputs` and returns the result, or a fitted classifier and rows to predict.
    """

    def __init__(self, name, call, **inputs):
        self.name, self.call, self.inputs = name, call, inputs

    def __repr__(self):
        given = ", ".join(f"{name}={value!r}" for name, value in self.inputs.items())
        return f"{self.name}({given})"


def fit(classifier, X, y, sample_weight):
    given = {} if sample_weight is None else {"sample_weight": sample_weight}
    return classifier.fit(X, y, **given)


def fit_in_blocks(classifier, X, y, classes):
    if hasattr(classifier, "partial_fit"):
        return classifier.partial_fit(X, y, classes=classes).partial_fit(X, y)
    return classifier.fit(X, y)


@st.composite
def cases(draw):
    """Draw a call of a public estimator or function."""
    n_classes = draw(st.integers(2, 4))
    n_rows = draw(st.sampled_from([1, 2, 5, 12, 20, 30, 30, 40, 60]))
    X = draw(tables(n_rows, draw(st.integers(1, 4))))
    y = draw(label_arrays(n_rows, n_classes))
    kind = draw(
        st.sampled_from(
            ["fit"] * 5 + ["blocks", "refine", "check", "corrupt", "inject"] + ["score"] * 3
        )
    )
    if kind == "fit":
        clf = draw(classifiers(n_classes))
        weight = draw(weight_arrays(n_rows))
        return Case(type(clf).__name__, fit, classifier=clf, X=X, y=y, sample_weight=weight)
    if kind == "blocks":
        clf = draw(classifiers(n_classes))
        known = draw(
            st.sampled_from([None, np.arange(n_classes), np.unique(np.ravel(y).astype(str))])
        )
        return Case(
            f"{type(clf).__name__} in blocks",
            fit_in_blocks,
            classifier=clf,
            X=X,
            y=y,
            classes=known,
        )
    if kind == "check":
        other = draw(st.sampled_from([None, X[:3] if hasattr(X, "shape") else X]))
        return Case("check_table", robustlabels.check_table, X=X, y=y, X_test=other)
    if kind == "refine":
        refiner = robustlabels.LabelRefiner(random_state=0).set_params(
            **draw(sometimes(transition_matrix=matrices(n_classes), n_jobs=numbers(1)))
        )
        if draw(st.booleans()):
            return Case(
                "find_wrong_labels", robustlabels.find_wrong_labels, X=X, y=y, refiner=refiner
            )
        return Case(
            "LabelRefiner",
            fit,
            classifier=refiner,
            X=X,
            y=y,
            sample_weight=draw(weight_arrays(n_rows)),
        )
    seed = draw(numbers(0, None))
    if kind == "corrupt":
        given = draw(
            sometimes(
                noise_rate=rates,
                X=st.just(X),
                exact=st.booleans(),
                return_mask=st.booleans(),
            )
        )
        return Case(
            "corrupt_labels",
            robustlabels.corrupt_labels,
            y=y,
            noise=draw(noises(n_classes)),
            random_state=seed,
            **given,
        )
    if kind == "inject":
        injector = robustlabels.LabelNoiseInjector(random_state=0).set_params(
            **draw(sometimes(noise=noises(n_classes), noise_rate=rates, exact=st.booleans()))
        )
        return Case("LabelNoiseInjector", injector.fit_resample, X=X, y=y)
    return draw(scores(y, n_rows, n_classes))


@st.composite
def scores(draw, y, n_rows, n_classes):
    """Draw a call of a function of labels, predictions and probabilities."""
    T = draw(matrices(n_classes))
    predicted = draw(label_arrays(n_rows, n_classes))
    rng = np.random.RandomState(draw(st.integers(0, 2**16)))
    proba = rng.dirichlet(np.ones(n_classes), n_rows)
    proba = draw(
        st.sampled_from(
            [proba] * 4
            + [proba.astype(np.float32), proba.tolist(), np.round(proba), pd.DataFrame(proba)]
            + [-proba, proba * 2, proba * np.nan, proba[:, :1], proba[:-1], proba.ravel(), "all"]
        )
    )
    labels = draw(st.sampled_from([None, None, None, np.arange(n_classes), [0], [], [0, 0], "ham"]))
    name = draw(
        st.sampled_from(
            [
                "noise_corrected_confusion_matrix",
                "noise_corrected_score",
                "forward_log_loss",
                "estimate_noise_rate",
                "estimate_transition_matrix",
                "label_quality",
                "noise_curve",
                "transition",
                "loss",
                "theory",
            ]
        )
    )
    function = getattr(metrics, name, None)
    if name.startswith("noise_corrected"):
        given = {}
        if name == "noise_corrected_score":
            metric = st.sampled_from(["accuracy", "accuracy", "balanced_accuracy", "f1", "recall"])
            more = {"y_pred_baseline": st.just(y), "return_std_error": st.booleans()}
            given = draw(sometimes(metric=metric, **more))
        return Case(
            name,
            function,
            y_noisy=y,
            y_pred=predicted,
            transition_matrix=T,
            labels=labels,
            **given,
        )
    if name == "forward_log_loss":
        return Case(name, function, y_noisy=y, y_proba=proba, transition_matrix=T, labels=labels)
    if name.startswith("estimate"):
        return Case(name, function, y_noisy=y, pred_proba=proba, labels=labels)
    X = draw(tables(n_rows, 2))
    if name == "label_quality":
        cv = draw(numbers(2, 3, 5))
        return Case(name, function, estimator=GaussianNB(), X=X, y=y, cv=cv)
    if name == "noise_curve":
        given = draw(sometimes(noise=noises(n_classes), cv=numbers(2), n_repeats=numbers(1)))
        rate = draw(st.sampled_from([[0.2], [0, 0.5], [1.5], [], 0.3, "some"]))
        return Case(
            name,
            robustlabels.noise_curve,
            estimator=GaussianNB(),
            X=X,
            y=y,
            noise_rates=rate,
            random_state=0,
            **given,
        )
    if name == "transition":
        make = draw(
            st.sampled_from(["symmetric_transition", "pair_transition", "random_transition"])
        )
        size = draw(numbers(2, 3))
        return Case(make, getattr(robustlabels.noise, make), n_classes=size, noise_rate=draw(rates))
    if name == "loss":
        loss = losses.get_loss(draw(st.sampled_from(losses.available_losses())))
        scale = draw(st.sampled_from([0.0, 1.0, 1e4]))
        logits = torch.from_numpy(rng.normal(size=(n_rows, n_classes)) * scale)
        target = draw(
            st.sampled_from(
                [torch.arange(n_rows) % n_classes] * 4
                + [
                    torch.arange(n_rows),
                    torch.zeros(n_rows),
                    torch.full((n_rows,), -1),
                    proba,
                    None,
                ]
            )
        )
        return Case(type(loss).__name__, loss, logits=logits, target=target)
    theory = draw(
        st.sampled_from(
            ["class_sum_gap", "initial_gain", "max_tolerable_noise", "properties", "smoothness"]
        )
    )
    loss = losses.get_loss(draw(st.sampled_from(losses.available_losses())))
    return Case(theory, getattr(losses.theory, theory), loss=loss, n_classes=draw(numbers(2, 3)))


# What comes out


def find_violations(case):
    """Run a case and list what is wrong with how it ends; also say how it ended."""
    before = _fingerprint(case.inputs), _global_states()
    found, end = [], "result"
    previous = signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(PATIENCE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = case.call(**case.inputs)
            if hasattr(result, "classes_"):
                found += _wrong_predictions(result, case.inputs["X"])
    except (TypeError, ValueError) as error:
        end = type(error).__name__
        if not _on_purpose(error) and not _is_of_inner(error, case):
            found.append(f"{_last_line(error)}, which says too little")
    except Exception as error:
        end = type(error).__name__
        found.append(_last_line(error))
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
    if _fingerprint(case.inputs) != before[0]:
        found.append("an input was modified")
    if _global_states() != before[1]:
        found.append("a global random state was touched")
    return found, end


def _give_up(number, frame):
    raise TimeoutError(f"a hang of {PATIENCE} s")


def _fingerprint(inputs):
    """Return what changes with the values of the inputs; frames also cache things."""
    # joblib cannot hash masked arrays.
    inputs = {n: v.tolist() if np.ma.isMaskedArray(v) else v for n, v in inputs.items()}
    frames = (pd.DataFrame, pd.Series)
    return {
        name: repr(value.to_dict()) if isinstance(value, frames) else joblib.hash(value)
        for name, value in inputs.items()
        if name != "classifier"
    }


def _global_states():
    return joblib.hash((np.random.get_state(), random.getstate())), torch.get_rng_state().tolist()


def _on_purpose(error):
    """Tell whether a statement of this package, scikit-learn or skorch raises the error.

    What is no number numpy refuses in scikit-learn's validation, and names it.
    """
    last = traceback.extract_tb(error.__traceback__)[-1]
    raised = linecache.getline(last.filename, last.lineno).strip().startswith("raise")
    if str(error).startswith("could not convert string"):
        return "validation" in last.filename or "_array_api" in last.filename
    return raised and last.filename.startswith(OWN) and len(str(error).split()) > 3


def _is_of_inner(error, case):
    """Tell whether the wrapped classifier alone ends with the same error."""
    outer = case.inputs.get("classifier", case)
    inner = getattr(outer, "estimator", case.inputs.get("estimator"))
    if not hasattr(inner, "fit"):
        return False
    try:
        sklearn.clone(inner).fit(case.inputs["X"], case.inputs["y"])
    except (TypeError, ValueError) as alone:
        # A fold of the rows may start with another text.
        return str(alone).split("'")[0] == str(error).split("'")[0]
    return False


def _last_line(error):
    last = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in last if frame.filename.startswith(OWN[0])] or last
    text = " ".join(str(error).split())[:150]
    return f"{type(error).__name__} in {own[-1].name}, {Path(own[-1].filename).name}: {text}"


def _wrong_predictions(fitted, X):
    """Say what is wrong with what a fitted classifier predicts."""
    if not hasattr(fitted, "predict"):
        proba = fitted.label_probabilities_
        rows = proba[~np.isnan(proba).any(axis=1)]
        fair = np.allclose(rows.sum(axis=1), 1) and (rows >= 0).all()
        return [] if fair else ["the probabilities of labels are none"]
    found, predicted = [], fitted.predict(X)
    if not np.isin(predicted, fitted.classes_).all():
        found.append("a class is predicted that is not there")
    if hasattr(fitted, "predict_proba"):
        proba = fitted.predict_proba(X)
        if proba.shape != (len(predicted), len(fitted.classes_)):
            found.append(f"probabilities of shape {proba.shape}")
        elif not (np.allclose(proba.sum(axis=1), 1, atol=1e-5) and (proba >= 0).all()):
            found.append("the probabilities are none")
        elif not np.array_equal(fitted.classes_[proba.argmax(axis=1)], predicted):
            found.append("predict is not the most probable class")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=5000, help="how many cases")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    ends, violations = collections.Counter(), collections.defaultdict(list)

    @hypothesis.seed(args.seed)
    @hypothesis.settings(
        max_examples=args.cases,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(cases())
    def run(case):
        found, end = find_violations(case)
        ends[end] += 1
        for violation in found:
            violations[f"{case.name}: {violation}"].append(repr(case))

    start = time.process_time()
    with np.printoptions(threshold=20, edgeitems=8, precision=4):
        run()
    print(f"{ends.total()} cases in {time.process_time() - start:.0f} CPU seconds: {dict(ends)}")
    print(f"{sum(map(len, violations.values()))} violations")
    for violation, drawn in sorted(violations.items(), key=lambda item: -len(item[1])):
        print(f"\n{len(drawn)} times: {violation}\n{min(drawn, key=len)[:1500]}")


if __name__ == "__main__":
    main()

"""What is wrong with a table before its labels are judged: one function for each kind."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from .answers import Answers
from .labels import shorten

if TYPE_CHECKING:
    import pandas as pd

#: Rows that are needed to judge a column: fewer labels agree by chance.
_MIN_ROWS = 50

#: Rows that are looked at, evenly spread: enough to tell 99 % from 98 %.
_MAX_ROWS = 5000

#: Share of the mistakes of "always the most frequent class" that a column avoids: if it has the
#: names of the classes for values; a value for each class; or any other values. The votes of 1984
#: have a feature of two values that avoids .9 of them, and is no copy.
_NAMED, _ONE_TO_ONE, _ALONE = 0.8, 0.97, 0.99

#: The same for whether a value is missing. Of two classes, 20 % noise leaves .6 of it.
_MISSING = 0.5

#: Or a value is missing in nearly all rows of a class, and not in so many of the others.
_ALWAYS, _SOMETIMES = 0.99, 0.8

#: Share of texts that are numbers, and different texts beside them, such as "?" and "NA".
_NUMBERS, _MAX_OTHERS = 0.9, 5

#: Values that rule out most texts that are no numbers.
_START = 200

#: Integers with fewer values that somebody stored as texts are taken for codes of categories.
_MAX_CODES = 31

#: Share of texts that are different in a column of ids.
_IDS = 0.9

#: Rows in which two annotators answer the same against all others, before they are one.
_SAME_MISTAKES = 5

#: How data files spell "missing".
_NO_LABEL = {"", "nan", "<na>", "nat", "n/a", "null", "?"}


class Finding(NamedTuple):
    """Something about a table that deserves a look; see :func:`robustlabels.check_table`."""

    kind: str
    columns: list
    rows: list
    classes: list
    why: str
    remedy: str

    def __str__(self) -> str:
        """Return the finding in two sentences."""
        return f"{self.why} {self.remedy}"

    def __repr__(self) -> str:
        """Return the kind, the two sentences and no long list."""
        return f"<{self.kind}: {self}>"


def columns_of(X: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the names, or positions, and the values of the features of a dense table."""
    if hasattr(X, "to_pandas"):
        X = X.to_pandas()
    if hasattr(X, "iloc") and hasattr(X, "columns"):
        yield from ((name, X.iloc[:, i]) for i, name in enumerate(X.columns))
    elif not issparse(X) and getattr(X, "ndim", 0) == 2:
        yield from enumerate(np.asarray(X).T)


class NumberTexts(NamedTuple):
    """The numbers in a column of texts, NaN for others."""

    numbers: NDArray
    others: list
    thousands: bool  # whether commas separate thousands, and not decimals


def is_text(column: pd.Series) -> bool:
    """Return whether the type of a column holds texts, and not categories."""
    kind = column.dtype
    return not hasattr(kind, "categories") and (
        kind == np.dtype(object) or str(kind).startswith("str")
    )


def read_number_texts(column: pd.Series) -> NumberTexts | None:
    """Return the numbers in a column of texts if nearly all are numbers, otherwise None.

    Decimal commas are read. Codes with leading zeros, and integers of few values, are no numbers.
    """
    from pandas import factorize, to_numeric

    start = column.iloc[:_START].dropna()
    if not all(isinstance(value, str) for value in start):
        return None
    if len(start) and to_numeric(start.str.replace(",", ""), errors="coerce").notna().mean() < 0.5:
        return None  # without a look at all texts
    codes, values = factorize(column)
    if len(values) == 0 or not all(isinstance(value, str) for value in values):
        return None
    texts = [value.strip() for value in values]
    if any(re.match(r"[+-]?0\d", text) for text in texts):
        return None
    # With a dot beside it, or twice in a number, the comma separates thousands.
    thousands = any(text.count(",") > 1 or {",", "."} <= {*text} for text in texts)
    numbers = _to_numbers(texts, thousands)
    unread = np.isnan(numbers)
    others = sorted({texts[i] for i in np.flatnonzero(unread)})
    there = codes >= 0
    if len(others) > _MAX_OTHERS or (~unread[codes[there]]).mean() < _NUMBERS:
        return None
    whole = (numbers[~unread] == np.floor(numbers[~unread])).all()
    if not others and whole and len(values) <= _MAX_CODES:
        return None
    # A missing value has the code -1, which is the last of these.
    return NumberTexts(np.append(numbers, np.nan)[codes], others, thousands)


def parse_number_texts(column: pd.Series, thousands: bool) -> NDArray:
    """Return the numbers in a column of texts, NaN for others."""
    from pandas import factorize

    codes, values = factorize(column)
    return np.append(_to_numbers([str(v).strip() for v in values], thousands), np.nan)[codes]


def _to_numbers(texts: list[str], thousands: bool) -> NDArray:
    from pandas import to_numeric

    plain = np.array([text.replace(",", "" if thousands else ".") for text in texts], dtype=object)
    numbers = np.array(to_numeric(plain, errors="coerce"), dtype=float)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def find_number_texts(X: Any) -> Iterator[Finding]:
    """Find columns of texts that are nearly all numbers."""
    for name, column in columns_of(X):
        if not hasattr(column, "iloc") or not is_text(column):
            continue
        read = read_number_texts(column)
        if read is not None:
            others = f" beside {shorten(read.others)}" if read.others else ""
            yield Finding(
                "numbers_as_texts", [name], [], [],
                f"Feature {name!r} has numbers that are stored as texts{others}.",
                "They are read as numbers, and other texts as missing values; pass "
                "pandas.to_numeric(column, errors='coerce') if that is right.",
            )  # fmt: skip


def find_ids(X: Any) -> Iterator[Finding]:
    """Find columns that number the rows, and texts that are different in nearly all rows."""
    for name, column in columns_of(X):
        n_rows = len(column)
        if n_rows < _MIN_ROWS:
            continue
        if hasattr(column, "iloc") and not hasattr(column.dtype, "kind"):
            continue
        if column.dtype.kind in "iuf":
            values = np.asarray(column)
            if not np.isfinite(values[:2]).all() or values[0] == values[1]:
                continue
            found = (
                values.max() - values.min() == n_rows - 1
                and (values == np.floor(values)).all()
                and len(np.unique(values)) == n_rows
            )
        else:
            found = (
                hasattr(column, "iloc")
                and (is_text(column) or hasattr(column.dtype, "categories"))
                and column.nunique() >= _IDS * n_rows
                and (hasattr(column.dtype, "categories") or read_number_texts(column) is None)
            )
        if found:
            yield Finding(
                "id", [name], [], [],
                f"Feature {name!r} has a value of its own in nearly every row, as ids have.",
                "Drop it: it tells nothing about rows to come.",
            )  # fmt: skip


def find_constants(X: Any) -> Iterator[Finding]:
    """Find columns that have one value, or none."""
    for name, column in columns_of(X):
        values = column.to_numpy() if hasattr(column, "iloc") else column
        if len(values) < 2 or ((values[:50] != values[0]).any() and values[0] == values[0]):
            continue
        codes, n_values = _number_values(values)
        if n_values == (0 if (codes < 0).all() else 1) and len(np.unique(codes)) == 1:
            yield Finding(
                "constant", [name], [], [], f"Feature {name!r} has the same value in all rows.",
                "Drop it.",
            )  # fmt: skip


def _number_values(values: NDArray) -> tuple[NDArray, int]:
    """Return the number of each value, -1 where it is missing, and how many there are."""
    if values.dtype.kind == "O":
        from pandas import factorize

        try:
            codes, names = factorize(values)
        except TypeError:  # lists and other values that only a teacher understands
            return np.full(len(values), -1), 0
        return codes, len(names)
    names, codes = np.unique(values, return_inverse=True)
    missing = names != names
    return np.where(missing[codes], -1, codes), len(names) - int(missing.sum())


def find_label_columns(X: Any, codes: NDArray, classes: NDArray) -> Iterator[Finding]:
    """Find columns that are the label, with a value for each class, or tell it by being missing.

    A model that sees such a column agrees with every wrong label, and the number of wrong labels
    comes out as none.

    Parameters
    ----------
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        The features. A sparse matrix is not looked at.
    codes : ndarray of shape (n_samples,)
        Labels as positions in `classes`, -1 where unknown.
    classes : ndarray of shape (n_classes,)
        Names of the classes.

    Yields
    ------
    finding : Finding
        Of the kind "label_column" or "label_by_missing".
    """
    rows = _spread_rows(codes)
    if len(rows) < _MIN_ROWS:
        return
    labels, names = codes[rows], {str(name) for name in classes.tolist()}
    for name, column in columns_of(X):
        values = column.iloc[rows].to_numpy() if hasattr(column, "iloc") else column[rows]
        if values.dtype.kind == "f" and len(np.unique(values[:200])) > len(classes) + 1:
            missing = np.isnan(values)
        else:
            places, n_values = _number_values(values)
            missing = places < 0
            if len(classes) <= n_values <= 2 * len(classes) and not missing.all():
                counts = _count(places[~missing], labels[~missing], n_values, len(classes))
                main = counts.argmax(axis=1)
                named = {_as_text(v) for v in np.unique(values[~missing].astype(str))} <= names
                least = _NAMED if named else _ONE_TO_ONE
                one_to_one = n_values == len(classes) == len(np.unique(main))
                if one_to_one and _skill(counts) >= least:
                    yield _label_column(name)
                    continue
        if missing.sum() >= 10 and not missing.all():
            for k in range(len(classes)):
                counts = _count(missing, labels == k, 2, 2)
                both = len(np.unique(counts.argmax(axis=1))) == 2
                of_others, of_class = counts[1] / counts.sum(axis=0)
                always = of_class >= _ALWAYS and of_others <= _SOMETIMES and counts[1, 1] >= 20
                if always or (both and _skill(counts) >= _MISSING):
                    yield Finding(
                        "label_by_missing", [name], [], [classes[k]],
                        f"Feature {name!r} tells the class {shorten(classes[[k]])} by being "
                        "missing or not.",
                        "Drop it, unless that is so in rows to come, too.",
                    )  # fmt: skip
                    break


def _as_text(value: str) -> str:
    return value.removesuffix(".0")


def _label_column(name: Any) -> Finding:
    return Finding(
        "label_column", [name], [], [],
        f"X seems to have the label among its features: {name!r} has a value of its own for each "
        "class. No label looks wrong to a model that sees it.",
        "Drop it, unless it was not made from the label.",
    )  # fmt: skip


def find_features_that_tell(X: Any, codes: NDArray, n_classes: int) -> Iterator[Finding]:
    """Find columns of any values that tell the class alone on nearly all rows.

    Such a column may be made from the label, or just be a good one.
    """
    from sklearn.tree import DecisionTreeClassifier  # slow to import

    rows = _spread_rows(codes)
    if len(rows) < _MIN_ROWS:
        return
    labels = codes[rows]
    for name, column in columns_of(X):
        values = column.iloc[rows].to_numpy() if hasattr(column, "iloc") else column[rows]
        places, n_values = _number_values(values)
        if n_values * 10 > len(rows) and values.dtype.kind not in "iuf":
            continue
        if values.dtype.kind in "iuf" and n_values > n_classes:
            # As many leaves as classes: what one threshold after another can tell.
            tree = DecisionTreeClassifier(max_leaf_nodes=n_classes, min_samples_leaf=5)
            known = places >= 0
            where = tree.set_params(random_state=0).fit(places[known, None], labels[known])
            guess = np.full(len(rows), -1)
            guess[known] = where.predict(places[known, None])
            hits, most = (guess == labels).sum(), np.bincount(labels).max()
            skill = 1 - (len(rows) - hits) / max(len(rows) - most, 1)
        else:
            skill = _skill(_count(places, labels, n_values + 1, n_classes))
        if skill >= _ALONE:
            yield Finding(
                "tells_label", [name], [], [],
                f"Feature {name!r} tells the label alone, on nearly all rows.",
                "Drop it if it was made from the label or after it was known.",
            )  # fmt: skip


def _spread_rows(codes: NDArray) -> NDArray:
    rows = np.flatnonzero(codes >= 0)
    return rows if len(rows) <= _MAX_ROWS else rows[:: -(-len(rows) // _MAX_ROWS)]


def _count(places: NDArray, labels: NDArray, n_values: int, n_classes: int) -> NDArray:
    counts = np.zeros((n_values, n_classes), dtype=int)
    np.add.at(counts, (places.astype(int), labels.astype(int)), 1)
    return counts


def _skill(counts: NDArray) -> float:
    """Return the share of the mistakes of the most frequent class that a column avoids."""
    total, most = counts.sum(), counts.sum(axis=0).max()
    return 1 - (total - counts.max(axis=1).sum()) / max(total - most, 1)


def find_spellings(codes: NDArray, classes: NDArray) -> Iterator[Finding]:
    """Find classes equal but for case, spaces or a full stop, rare mistyped ones and empty ones."""
    if classes.dtype.kind not in "OUT":
        return
    names = [str(name) for name in classes]
    empty = [name for name in names if name.strip().casefold() in _NO_LABEL]
    if empty:
        yield Finding(
            "empty_label", [], [], empty,
            f"y has the classes {shorten(empty)}, which probably stand for missing labels.",
            "Drop their rows.",
        )  # fmt: skip
    same = defaultdict(list)
    for name in names:
        same[_plain(name)].append(name)
    doubled = [group for plain, group in same.items() if plain and len(group) > 1]
    for group in doubled:
        yield Finding(
            "same_class", [], [], group,
            f"The classes {shorten(group)} differ by case, spaces or marks alone.",
            "Give them one name if they are one class: their labels seem wrong to each other.",
        )  # fmt: skip
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    frequent = [name for name, n in zip(names, counts, strict=True) if n >= 20]
    known = {name for group in doubled for name in group}
    typos, meant = [], []
    for name, n in zip(names, counts, strict=True):
        if 0 < n <= 2 and name not in known:
            near = get_close_matches(name, frequent, n=1, cutoff=0.75)
            if near:
                typos.append(name)
                meant.append(near[0])
    if typos:
        yield Finding(
            "mistyped_class", [], np.flatnonzero(np.isin(codes, _places(names, typos))).tolist(),
            typos,
            f"The classes {shorten(typos)} have one or two rows each, and look like "
            f"{shorten(sorted({*meant}))}.",
            "Correct them if they are mistyped.",
        )  # fmt: skip


def _places(names: list, some: list) -> list:
    return [names.index(name) for name in some]


def _plain(name: str) -> str:
    """Return the name of a class without case, spaces at its ends, marks at its end."""
    plain = re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", name.strip().casefold()).rstrip(".,;:!?* ")
    return re.sub(r"^([+-]?\d+)\.0+$", r"\1", plain)


def find_rare_classes(codes: NDArray, classes: NDArray) -> Iterator[Finding]:
    """Find classes of one or two rows in a table where classes have many."""
    counts = np.bincount(codes[codes >= 0], minlength=len(classes))
    rare = (counts > 0) & (counts <= 2)
    if rare.any() and counts.sum() >= _MIN_ROWS and counts.max() >= 20:
        yield Finding(
            "rare_class", [], np.flatnonzero(rare[codes] & (codes >= 0)).tolist(),
            classes[rare].tolist(),
            f"The classes {shorten(classes[rare])} have one or two rows each.",
            "Too little is known of them: correct, join or drop them.",
        )  # fmt: skip


def find_equal_annotators(answers: Answers) -> Iterator[Finding]:
    """Find annotators that give the same answers, also where all others disagree with them."""
    codes, names = answers.codes, answers.annotators
    for a in range(codes.shape[1]):
        for b in range(a + 1, codes.shape[1]):
            both = (codes[:, a] >= 0) & (codes[:, b] >= 0)
            if both.sum() < 20 or (codes[both, a] != codes[both, b]).any():
                continue
            others = np.delete(codes, [a, b], axis=1)[both]
            # Two against one are just the majority.
            several = (others >= 0).sum(axis=1) >= 2
            against = several & (others != codes[both, a][:, None]).all(axis=1)
            if against.sum() >= _SAME_MISTAKES:
                yield Finding(
                    "equal_annotators", [names[a], names[b]], [], [],
                    f"The annotators {names[a]!r} and {names[b]!r} always give the same answers, "
                    "mistakes included. One opinion would count twice.",
                    "Drop one of the two columns of y.",
                )  # fmt: skip


def find_copies(
    X: pd.DataFrame, codes: NDArray | None, groups: NDArray | None
) -> Iterator[Finding]:
    """Find rows that occur more than once, in several groups or with several labels."""
    from pandas.util import hash_pandas_object

    keys = hash_pandas_object(X, index=False).to_numpy()
    _, number, n = np.unique(keys, return_inverse=True, return_counts=True)
    again = n[number] > 1
    if codes is not None and again.any():
        top = np.full(len(n), -1)
        np.maximum.at(top, number, codes)
        low = np.full(len(n), np.iinfo(np.int64).max)
        np.minimum.at(low, number, codes)
        differ = (top != low)[number] & again
        if differ.any():
            yield Finding(
                "copies_with_other_labels", [], np.flatnonzero(differ).tolist(), [],
                f"{differ.sum()} rows are equal to others that have another label.",
                "At least one label of each such group is wrong, or the features do not tell: "
                "look at these first.",
            )  # fmt: skip
        again &= ~differ
    if groups is not None:
        pairs = np.unique(np.column_stack([number, groups]), axis=0)
        again &= (np.bincount(pairs[:, 0]) > 1)[number]
    if again.any():
        yield Finding(
            "copies", [], np.flatnonzero(again).tolist(), [],
            f"{again.sum()} rows are equal to others.",
            "Drop all but one of each if they were copied; fits here hold them out together.",
        )  # fmt: skip


def find_shared_rows(X: pd.DataFrame, X_test: pd.DataFrame) -> Iterator[Finding]:
    """Find test rows that are equal to training rows."""
    from pandas.util import hash_pandas_object

    if not {*X.columns} <= {*X_test.columns}:
        return
    test = X_test[list(X.columns)]
    try:
        test = test.astype(X.dtypes.to_dict())
    except (TypeError, ValueError):
        return  # values of other kinds are not equal
    keys = hash_pandas_object(X, index=False)
    shared = hash_pandas_object(test, index=False).isin(keys).to_numpy()
    if shared.any():
        yield Finding(
            "test_rows_in_training", [], np.flatnonzero(shared).tolist(), [],
            f"{shared.sum()} rows of X_test are in X, too.",
            "Drop them from one of the two: a score on rows that were learned is too good.",
        )  # fmt: skip


def find_new_values(X: pd.DataFrame, X_test: pd.DataFrame) -> Iterator[Finding]:
    """Find columns of other kinds of values in the test rows, and mostly new categories."""
    for name in X.columns:
        if name not in X_test:
            continue
        train, test = X[name], X_test[name]
        if train.dtype.kind in "iufb" and test.dtype.kind in "Mm":
            yield Finding(
                "date_for_number", [name], [], [],
                f"Feature {name!r} has dates in X_test where X has numbers.",
                "Make both numbers in the same way.",
            )  # fmt: skip
        elif train.dtype.kind not in "iufbMm":
            new = ~test.dropna().astype(str).isin(train.dropna().astype(str).unique())
            if len(new) and new.mean() > 0.5 and train.nunique() < _IDS * len(train):
                yield Finding(
                    "new_categories", [name], [], [],
                    f"Feature {name!r} has values in most rows of X_test that X does not have.",
                    "Spell the categories as in X.",
                )  # fmt: skip

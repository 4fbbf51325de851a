"""Gradient boosting inside RefinedClassifier: what it cannot take, and tables with categories."""

from typing import Any

from .._validation.features import as_pandas, is_frame
from .._validation.findings import is_text, parse_number_texts, read_number_texts
from .._validation.labels import shorten
from .sample_weight import find_last_step

#: Characters in the name of a feature that a package refuses.
_REFUSED = {"lightgbm": set('",:[]{}'), "xgboost": set("[]<")}

#: Parameters that stop boosting early by rows passed to `fit`, which RefinedClassifier has not.
_STOPPING = {
    "lightgbm": ("early_stopping_round", "early_stopping_rounds", "n_iter_no_change"),
    "xgboost": ("early_stopping_rounds",),
    "catboost": ("early_stopping_rounds", "od_wait", "use_best_model"),
}

#: Categories of a feature, at most: as many as scikit-learn's boosting takes.
_MAX_CATEGORIES = 255

#: Stands for a missing category in CatBoost, which takes texts only.
_MISSING = "missing"


def _package(estimator: Any) -> str | None:
    """Return the package of a boosting classifier, None for other classifiers."""
    # Slow to import.
    from sklearn.ensemble import HistGradientBoostingClassifier

    package = type(estimator).__module__.partition(".")[0]
    if package in _STOPPING:
        return package
    return "sklearn" if isinstance(estimator, HistGradientBoostingClassifier) else None


def check_booster(estimator: Any) -> None:
    """Raise if a booster, or that at the end of a pipeline, has parameters that cannot work."""
    _, last = find_last_step(estimator)
    params = last.get_params() if hasattr(last, "get_params") else {}
    if _package(last) == "catboost" and params.get("cat_features") is not None:
        raise ValueError(
            f"scikit-learn cannot clone {type(last).__name__} with cat_features="
            f"{params['cat_features']!r}. Leave it out: RefinedClassifier passes the columns of "
            "texts and categories of a data frame. Make categories of numbers with "
            "X.astype({name: 'category'})."
        )
    for name in _STOPPING.get(_package(last) or "", ()):
        if params.get(name):
            raise ValueError(
                f"{type(last).__name__} has {name}={params[name]!r}, but RefinedClassifier passes "
                f"no rows to stop early by. Leave {name} out and set the number of trees, or use "
                "HistGradientBoostingClassifier, which stops early here."
            )


class BoosterTable:
    """A data frame as a boosting classifier takes it: texts as categories of pandas.

    Other tables, and those of other classifiers, stay as they are.
    """

    def __init__(self, estimator: Any, X: Any) -> None:
        """Check the table and learn its categories; tell the `estimator` which they are."""
        self.package = _package(estimator)
        # By place: the type of its categories, None without any; of numbers that are texts, whether
        # commas separate thousands.
        self.columns: dict[int, Any] = {}
        if self.package is None:
            return
        if not is_frame(X):
            return
        X = as_pandas(X)
        refused = _REFUSED.get(self.package, set())
        odd = [name for name in map(str, X.columns) if refused & {*name}]
        if odd:
            raise ValueError(
                f"{type(estimator).__name__} refuses the names {shorten(odd)} of features, for one "
                f"of {''.join(sorted(refused))}. Rename them: X.rename(columns=...)."
            )
        for i in range(X.shape[1]):
            self._learn(i, X.iloc[:, i])
        categories = [i for i, kind in self.columns.items() if hasattr(kind, "categories")]
        if not categories:
            return
        if self.package == "catboost":
            # Its other encodings are means of labels that ignore the weights, and here each sample
            # is there with several labels.
            estimator.set_params(
                cat_features=[X.columns[i] for i in categories], one_hot_max_size=_MAX_CATEGORIES
            )
        elif self.package == "xgboost":
            estimator.set_params(enable_categorical=True)

    def _learn(self, place: int, column: Any) -> None:
        from pandas import CategoricalDtype

        if isinstance(column.dtype, CategoricalDtype):
            categories = column.dtype.categories
            if len(categories) <= _MAX_CATEGORIES and self.package != "catboost":
                self.columns[place] = column.dtype
                return
        elif not is_text(column):
            return
        else:
            read = read_number_texts(column)
            if read is not None:
                self.columns[place] = read.thousands
                return
        counts = column.dropna().astype(str).value_counts()
        if len(column) >= 50:
            counts = counts[counts > 1]  # ids tell nothing
        names = sorted(counts.index[:_MAX_CATEGORIES])
        self.columns[place] = CategoricalDtype(names) if names else None

    def take(self, X: Any) -> Any:
        """Return a table as the classifier takes it."""
        if not self.columns:
            return X
        if not is_frame(X):
            raise ValueError("The classifier was fitted to a data frame. Pass one here, too.")
        X = as_pandas(X).copy()
        for place, kind in self.columns.items():
            name, column = X.columns[place], X.iloc[:, place]
            if kind is None:
                X[name] = 0.0
                continue
            if isinstance(kind, bool):
                X[name] = parse_number_texts(column, kind) if is_text(column) else column
                continue
            if all(isinstance(category, str) for category in kind.categories):
                column = column.astype(object).where(column.isna(), column.astype(str))
            column = column.where(column.isin(kind.categories)).astype(kind)
            if self.package == "catboost":
                column = column.astype(object).where(column.notna(), _MISSING)
            X[name] = column
        return X

"""RobustSearchCV: a search over hyperparameters by noisy labels, with joint training."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from tempfile import TemporaryDirectory
from typing import Any, NoReturn, Self

import numpy as np
from joblib import Memory, effective_n_jobs
from joblib import hash as hash_of
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import clone, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import ParameterGrid, ParameterSampler, check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import indexable
from sklearn.utils.parallel import Parallel, delayed
from tqdm.auto import tqdm

from ._ensemble.ensemble import RobustEnsembleClassifier
from ._fitting import fresh_random_state, unchanged_on_error
from ._inner.sample_weight import check_parameters
from ._linear.unhinged import UnhingedClassifier
from ._network.joint import MAY_DIFFER, fit_jointly
from ._network.robust import RobustClassifier
from ._refined import RefinedClassifier
from ._typing import Features, Seed
from ._validation.alignment import align_rows
from ._validation.labels import check_labels, encode, find_rows_and_classes
from ._validation.sklearn_private import (
    BaseSearchCV,
    Interval,
    _check_method_params,
    _check_sample_weight,
    _fit_and_score,
    _fit_context,
    _safe_split,
    collect_results,
    scorers_of,
)
from ._validation.transitions import check_transition
from .metrics._corrected_scores import forward_log_loss
from .refinement import LabelRefiner

__all__ = ["RobustSearchCV"]


@dataclass(frozen=True)
class SearchSettings:
    """How a search is divided into tasks."""

    at_once: int = 24  # candidates of a batched network, at most: more need memory and save no time
    tasks_per_job: int = 4  # at least, so that no process waits long for the last task


_SETTINGS = SearchSettings()

#: Estimators that estimate the noise, and have a `memory` for it.
_REFINING = (
    *(LabelRefiner, RobustClassifier, RobustEnsembleClassifier),
    *(RefinedClassifier, UnhingedClassifier),
)


class RobustSearchCV(BaseSearchCV):
    r"""Hyperparameter search that accounts for label noise and trains candidates together.

    It has the parameters and attributes of :class:`~sklearn.model_selection.GridSearchCV` and
    :class:`~sklearn.model_selection.RandomizedSearchCV`. Candidates of the same architecture are
    trained as one network. The noise is estimated once, for all candidates and for the scores.

    Parameters
    ----------
    estimator : estimator
        What to search for. A :class:`RobustClassifier`, alone or as the last step of a pipeline,
        allows joint training. Candidates of other estimators are fitted one by one.
    param_grid : dict or list of dict
        Parameter names and the lists of values to try; with `n_iter` also distributions, objects
        with a method ``rvs``.
    n_iter : int or None, default=None
        Number of candidates to draw from `param_grid`. None tries all combinations.
    scoring : str, callable, list, tuple, dict or None, default=None
        As in GridSearchCV. With None, classifiers with ``predict_proba`` are compared by the
        log-likelihood of the noisy labels, see the notes.
    n_jobs : int or None, default=None
        Number of processes. Scores do not depend on it, up to rounding.
    refit : bool, str or callable, default=True
        As in GridSearchCV: whether to fit the best candidate to all samples, the name of the score
        that selects it, or a function from `cv_results_` to its index, as in the examples.
    cv : int, cross-validation splitter, iterable or None, default=None
        As in GridSearchCV. None stands for 5 stratified folds.
    verbose : int, default=0
        1 or more shows a progress bar over all fits.
    pre_dispatch : int or str, default="2*n_jobs"
        As in GridSearchCV.
    random_state : int, RandomState instance or None, default=None
        Source of the candidates that are drawn, of the noise that the scores account for, and of
        one seed for all candidates without a `random_state`. None draws fresh entropy.
    error_score : "raise" or float, default=nan
        Score of a candidate whose fit fails. "raise" raises the error.
    return_train_score : bool, default=False
        Whether to compute scores on the training samples as well.

    Attributes
    ----------
    cv_results_ : dict of str to ndarray
        As in GridSearchCV, with ``std_error_test_score``, the standard error of
        ``mean_test_score``. Candidates that were trained together share ``mean_fit_time`` equally.
    transition_matrix_ : ndarray of shape (n_classes, n_classes) or None
        The noise that the scores account for: the `transition_matrix` of the estimator, or else an
        estimate of :class:`LabelRefiner` from all samples. None with a `scoring`, without
        ``predict_proba``, and for fewer than 50 samples or 10 per class: the score is the accuracy
        on the labels as given then.
    best_estimator_, best_index_, best_params_, best_score_ : estimator, int, dict and float
        The best candidate, fitted to all samples if `refit` is set, its index in `cv_results_`, its
        parameters, and its mean score unless `refit` is callable.
    scorer_ : callable or dict
        What ``score`` uses. With ``scoring=None`` this is the accuracy on the labels as given.
    multimetric_, n_splits_, refit_time_ : bool, int and float
        Whether there are several scores; number of splits; seconds of the last fit.
    classes_, n_features_in_, feature_names_in_ : ndarray, int and ndarray
        As in `best_estimator_`.

    See Also
    --------
    robustlabels.metrics.forward_log_loss : The negative of the default score.
    sklearn.model_selection.GridSearchCV : The search with the same interface.

    Notes
    -----
    With ``scoring=None`` the score of predicted probabilities p is the mean log-likelihood of the
    noisy labels,

    .. math:: \frac{1}{n} \sum_i \log \sum_k p_k(x_i) T_{k \tilde{y}_i},

    with the same T for all candidates and splits. Its expectation is largest for the true
    probabilities of the clean labels. To compare by accuracy, pass
    :func:`~robustlabels.metrics.make_noise_corrected_scorer`.

    Candidates are trained together if they differ only in `loss`, `alpha`, `q`, `n_members` and
    `priors`, use the built-in network without `callbacks`, `adapt`, `warm_start` and validation
    samples, and an optimizer that treats each weight separately. The other steps of a pipeline must
    be equal. Each candidate gets the scores that it would get alone, up to rounding. Others share
    the noise estimated for a split, in a temporary `memory`, if they agree on the samples,
    `transition_matrix` and `random_state`. Callbacks of scikit-learn are not called.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from robustlabels import RobustClassifier, RobustSearchCV, corrupt_labels
    >>> X, y = load_iris(return_X_y=True)
    >>> y_noisy = corrupt_labels(y, "symmetric", 0.3, random_state=0)
    >>> network = RobustClassifier(n_members=2, max_epochs=20, random_state=0)
    >>> grid = {"loss": ["ce", "sgce"]}
    >>> search = RobustSearchCV(network, grid, cv=3, random_state=0).fit(X, y_noisy)
    >>> search.score(X, y) > 0.9
    True

    Candidates within one standard error of the best are hardly worse. Take the first of them:

    >>> def first_within_one_standard_error(results):
    ...     score, error = results["mean_test_score"], results["std_error_test_score"]
    ...     best = score.argmax()
    ...     return int(np.argmax(score >= score[best] - error[best]))
    >>> search.set_params(refit=first_within_one_standard_error).fit(X, y_noisy).best_params_
    {'loss': 'ce'}
    """

    _parameter_constraints = {
        **BaseSearchCV._parameter_constraints,
        "param_grid": [dict, list],
        "n_iter": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        param_grid: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        n_iter: int | None = None,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool | str | Callable = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        random_state: Seed = None,
        error_score: float | str = np.nan,
        return_train_score: bool = False,
    ) -> None:
        super().__init__(
            estimator, scoring=scoring, n_jobs=n_jobs, refit=refit, cv=cv, verbose=verbose,
            pre_dispatch=pre_dispatch, error_score=error_score,
            return_train_score=return_train_score,
        )  # fmt: skip
        self.param_grid = param_grid
        self.n_iter = n_iter
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = False
        return tags

    @property
    def set_callbacks(self) -> NoReturn:
        """Not available: scikit-learn's callbacks follow single fits."""
        raise AttributeError("RobustSearchCV does not call scikit-learn's callbacks.")

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Features, y: ArrayLike | None = None, **params: Any) -> Self:
        """Compare the candidates, and fit the best one to all samples.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Anything that the estimator takes.
        y : array-like of shape (n_samples,)
            Labels, some of them wrong.
        **params : dict
            As in GridSearchCV: ``groups`` for the splitter, and parameters of the estimator's
            `fit`, such as ``sample_weight`` or, in a pipeline, ``step__sample_weight``.

        Returns
        -------
        self : RobustSearchCV
            The fitted search. After an error, or Ctrl-C, it is unchanged.

        Raises
        ------
        ValueError
            If a parameter or the data are invalid, or all fits fail.
        """
        with unchanged_on_error(self):
            self._fit(X, y, params)
        return self

    def _fit(self, X, y, params):
        rng = fresh_random_state(self.random_state)
        if is_classifier(self.estimator):
            shape = np.asarray(y, dtype=object).shape
            if len(shape) == 2 and shape[1] > 1:
                raise ValueError(
                    f"RobustSearchCV takes one label for each sample. Got y of shape {shape}. Use "
                    f"GridSearchCV with cv=KFold() and a scoring that takes several annotators."
                )
            y = check_labels(align_rows(X, y, "y"))
        if self.n_iter is None:
            candidates = list(ParameterGrid(self.param_grid))
        else:
            candidates = list(ParameterSampler(self.param_grid, self.n_iter, random_state=rng))
        base = clone(self.estimator)
        models = [_make(base, parameters) for parameters in candidates]
        _check_candidates(models, self.error_score)
        scorer, refit_metric = self._get_scorers()
        self.scorer_ = scorers_of(scorer)
        X, y = indexable(X, y)
        routed = self._get_routed_params_for_fit(_check_method_params(X, params=params))
        splitter = check_cv(self.cv, y, classifier=is_classifier(base))
        splits = list(splitter.split(X, y, **routed.splitter.split))
        if not splits:
            raise ValueError(f"There is nothing to fit: cv={self.cv!r} makes no split.")
        self.n_splits_, self.transition_matrix_ = len(splits), None
        if is_classifier(base):
            weight = _find_weight(routed.estimator.fit, len(y))
            _, classes = find_rows_and_classes(self, y, weight)
            if self.scoring is None and hasattr(base, "predict_proba"):
                self.transition_matrix_ = self._find_noise(X, y, weight, classes, rng)
        if self.transition_matrix_ is not None:
            scorer = partial(
                _log_likelihood, classes=classes, transition_matrix=self.transition_matrix_
            )
        with TemporaryDirectory() as folder:
            out = self._evaluate(
                base, candidates, _group(models), splits, X, y,
                memory=Memory(folder, verbose=0),
                seed=rng.randint(2**31),
                scorer=scorer,
                fit_params=routed.estimator.fit,
                score_params=routed.scorer.score,
                error_score=self.error_score,
                return_train_score=self.return_train_score,
                return_n_test_samples=True,
                return_times=True,
                verbose=0,
                parameters=None,
            )  # fmt: skip
        results, refit_metric = collect_results(self, candidates, out, refit_metric)
        with np.errstate(divide="ignore", invalid="ignore"):
            for name in [name for name in results if name.startswith("std_test_")]:
                error = results[name] / np.sqrt(len(splits) - 1)
                results[name.replace("std_", "std_error_", 1)] = error
        self.cv_results_ = results
        for name in (
            "best_index_", "best_params_", "best_score_",
            "best_estimator_", "refit_time_", "feature_names_in_",
        ):  # fmt: skip
            self.__dict__.pop(name, None)
        if self.refit or not self.multimetric_:
            self.best_index_ = self._select_best_index(self.refit, refit_metric, results)
            self.best_params_ = results["params"][self.best_index_]
            if not callable(self.refit):
                self.best_score_ = results[f"mean_test_{refit_metric}"][self.best_index_]
        if self.refit:
            start = time.time()
            best = _make(base, self.best_params_)
            self.best_estimator_ = best.fit(X, y, **routed.estimator.fit)
            self.refit_time_ = time.time() - start
            if hasattr(self.best_estimator_, "feature_names_in_"):
                self.feature_names_in_ = self.best_estimator_.feature_names_in_

    def _find_noise(self, X, y, weight, classes, rng):
        """Return the transition matrix that the scores account for, None if there is none."""
        matrix = _last_step(self.estimator).get_params(deep=False).get("transition_matrix")
        if matrix is None or isinstance(matrix, str):
            if type(self.estimator) is Pipeline and len(self.estimator.steps) > 1:
                X = clone(self.estimator[:-1]).fit_transform(X, y)
            refiner = LabelRefiner(n_jobs=self.n_jobs, random_state=rng.randint(2**31))
            flat = X.reshape(len(X), -1) if getattr(X, "ndim", 2) > 2 else X
            matrix = refiner.fit(flat, y, weight).transition_matrix_
        return None if matrix is None else check_transition(matrix, len(classes), classes)

    def _evaluate(self, base, candidates, groups, splits, X, y, **settings):
        """Return the results of ``_fit_and_score`` for each candidate and split, in this order."""
        n_jobs = effective_n_jobs(self.n_jobs)
        n_parts = 1 if n_jobs == 1 else -(-_SETTINGS.tasks_per_job * n_jobs // len(splits))
        parts = []
        for group in groups:
            needed = max(n_parts, -(-len(group) // _SETTINGS.at_once))
            parts += np.array_split(group, min(needed, len(group)))
        # The first part estimates the noise of all splits, and the others look it up.
        tasks = [(part, split) for part in parts for split in range(len(splits))]
        parallel = Parallel(self.n_jobs, pre_dispatch=self.pre_dispatch, return_as="generator")
        done = parallel(
            delayed(_fit_and_score_together)(
                base, [candidates[i] for i in part], X, y,
                train=splits[split][0], test=splits[split][1], **settings,
            )
            for part, split in tasks
        )  # fmt: skip
        out = [None] * (len(candidates) * len(splits))
        with tqdm(total=len(out), desc="Searching", unit="fit", disable=not self.verbose) as bar:
            for (part, split), results in zip(tasks, done, strict=True):
                for i, result in zip(part, results, strict=True):
                    out[i * len(splits) + split] = result
                bar.update(len(part))
        return out


def _make(base, parameters):
    """Return an unfitted candidate."""
    return clone(base).set_params(**clone(parameters, safe=False))


def _check_candidates(models, error_score):
    """Raise if the parameters of all candidates are invalid, or of any one if errors are raised."""
    errors = []
    for model in models:
        try:
            check_parameters(model)
        except ValueError as error:
            errors.append(error)
    if errors and (error_score == "raise" or len(errors) == len(models)):
        raise errors[0]


def _find_weight(fit_params, n_rows):
    """Return the sample weights among the parameters of `fit`, also of a pipeline's step."""
    named = (v for name, v in fit_params.items() if name.split("__")[-1] == "sample_weight")
    return _check_sample_weight(next(named, None), np.empty((n_rows, 1)), dtype=np.float64)


def _last_step(model):
    return model.steps[-1][1] if type(model) is Pipeline else model


def _group(models):
    """Return the indices of models in lists, each of which can train together."""
    groups = defaultdict(list)
    for i, model in enumerate(models):
        last = _last_step(model)
        if type(last) is not RobustClassifier:
            groups[i].append(i)
            continue
        params = last.get_params(deep=False)
        shared = {name: value for name, value in params.items() if name not in MAY_DIFFER}
        before = model[:-1].get_params() if model is not last else None
        try:
            groups[hash_of((shared, before))].append(i)
        except Exception:  # what does not pickle cannot be compared
            groups[i].append(i)
    return list(groups.values())


def _fit_and_score_together(
    base, candidates, X, y, train, test, memory, seed, fit_params, **settings
):
    """Fit candidates to the training samples of a split, and score each as scikit-learn does."""

    def make():
        models = [_make(base, parameters) for parameters in candidates]
        for model in models:
            _set_missing(model, memory, seed)
        return models

    models, share, start = make(), 0.0, time.time()
    if len(models) > 1:
        of_train = _check_method_params(X, params=fit_params, indices=train)
        try:
            _fit_together(models, *_safe_split(base, X, y, train), of_train)
        except Exception:
            models = make()  # fitting one by one shows which candidate fails
        else:
            share = (time.time() - start) / len(models)
            models = list(map(FrozenEstimator, models))
    split = {"train": train, "test": test, "fit_params": fit_params}
    results = [_fit_and_score(model, X, y, **split, **settings) for model in models]
    return [{**result, "fit_time": result["fit_time"] + share} for result in results]


def _set_missing(model, memory, seed):
    """Set the `memory` and `random_state` of all parts of a model that estimate the noise.

    Candidates then find the estimates of each other. Parts keep what they have.
    """
    for part in (model, *model.get_params(deep=True).values()):
        # A teacher may not pickle, and the memory looks it up by its pickle.
        if isinstance(part, _REFINING) and getattr(part, "teacher", None) is None:
            params = part.get_params(deep=False)
            defaults = {"memory": memory, "random_state": seed}
            missing = {name: v for name, v in defaults.items() if params.get(name, v) is None}
            part.set_params(**missing)


def _fit_together(models, X, y, fit_params):
    """Fit models that differ only in their losses, or raise an error if they cannot."""
    weight_name = "sample_weight"
    if type(models[0]) is Pipeline and not get_config()["enable_metadata_routing"]:
        weight_name = f"{models[0].steps[-1][0]}__sample_weight"
    if set(fit_params) - {weight_name}:
        raise ValueError("Only sample weights reach a joint fit.")
    if type(models[0]) is Pipeline and len(models[0].steps) > 1:
        before = models[0][:-1]
        X = before.fit_transform(X, y)
        for model in models:
            model.steps[:-1] = before.steps
    fit_jointly([_last_step(model) for model in models], X, y, fit_params.get(weight_name))


def _log_likelihood(estimator, X, y, sample_weight=None, *, classes, transition_matrix):
    """Return the mean log-likelihood of noisy labels under the predicted probabilities."""
    proba = np.zeros((len(y), len(classes)))
    proba[:, encode(estimator.classes_, classes)] = estimator.predict_proba(X)
    if sample_weight is not None:
        kept = np.flatnonzero(sample_weight)
        y, proba, sample_weight = y[kept], proba[kept], np.asarray(sample_weight)[kept]
    return -forward_log_loss(
        y, proba, transition_matrix, labels=classes, sample_weight=sample_weight
    )

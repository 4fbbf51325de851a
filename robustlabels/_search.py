"""RobustSearchCV: hyperparameters chosen by noisy labels, candidates trained together."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
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
from ._validation.labels import check_labels, encode, find_rows_and_classes
from ._validation.sklearn_private import (
    BaseSearchCV,
    Interval,
    _check_method_params,
    _check_sample_weight,
    _fit_and_score,
    _fit_context,
    _insert_error_scores,
    _safe_split,
    _warn_or_raise_about_fit_failures,
)
from ._validation.transitions import check_transition
from .metrics._corrected_scores import forward_log_loss
from .refinement import LabelRefiner

__all__ = ["RobustSearchCV"]

#: Candidates that one batched network stands for, at most: more need memory and save no time.
_AT_ONCE = 24

#: Tasks for each process, at least, so that none of them waits long for the last.
_TASKS_PER_JOB = 4

#: What finds noise, and keeps it in a `memory`.
_REFINING = (
    *(LabelRefiner, RobustClassifier, RobustEnsembleClassifier),
    *(RefinedClassifier, UnhingedClassifier),
)


class RobustSearchCV(BaseSearchCV):
    r"""Search over hyperparameters that trains its candidates together and reckons with noise.

    It has the parameters and attributes of :class:`~sklearn.model_selection.GridSearchCV` and
    :class:`~sklearn.model_selection.RandomizedSearchCV`. Two things are new: candidates that share
    an architecture are trained as one network, and what there is to know of the noise is found
    once, for all candidates and for the scores.

    Parameters
    ----------
    estimator : estimator
        What is searched for: :class:`RobustClassifier`, alone or as the last step of a pipeline,
        for candidates that train together. Any other estimator is fitted one by one.
    param_grid : dict or list of dict
        Values to try by the names of parameters: lists, with `n_iter` also distributions, objects
        with a method ``rvs``. A list of dicts is tried one after the other.
    n_iter : int or None, default=None
        Candidates that are drawn from `param_grid`. None tries all combinations.
    scoring : str, callable, list, tuple, dict or None, default=None
        As in GridSearchCV. With None classifiers with ``predict_proba`` are compared by how
        probable the noisy labels are under their probabilities and the noise, see the notes.
    n_jobs : int or None, default=None
        Processes. The candidates are dealt to them in parts, which train together. Scores are the
        same for any, up to rounding.
    refit : bool, str or callable, default=True
        As in GridSearchCV: whether the best candidate is fitted to all rows, the score that tells
        which one that is if there are several, or a function of `cv_results_` that returns its
        index. The examples take the first candidate that is within one standard error.
    cv : int, cross-validation splitter, iterable or None, default=None
        As in GridSearchCV: None is 5 stratified folds.
    verbose : int, default=0
        From 1 on a progress bar over all fits.
    pre_dispatch : int or str, default="2*n_jobs"
        As in GridSearchCV.
    random_state : int, RandomState instance or None, default=None
        Source of the candidates that are drawn, of the trees that find the noise for the scores,
        and of one seed for all fits of estimators of this package that have none. None draws fresh
        entropy.
    error_score : "raise" or float, default=nan
        Score of a candidate whose fit fails. "raise" raises the error.
    return_train_score : bool, default=False
        Whether to score on the training rows also, on their labels as given.

    Attributes
    ----------
    cv_results_ : dict of str to ndarray
        As in GridSearchCV, the candidates in the same order; also ``std_error_test_score``, the
        standard error of ``mean_test_score`` by the spread between the splits, and likewise for
        each of several scores. ``mean_fit_time`` of candidates that trained together is an equal
        share of the time.
    transition_matrix_ : ndarray of shape (n_classes, n_classes) or None
        The noise that the scores reckon with: that of the estimator if it is given there, else
        estimated by :class:`LabelRefiner` from all rows. None with a `scoring` of one's own, and
        where accuracy on the labels as given is the score: there are fewer than 50 rows, or 10 a
        class, or no ``predict_proba``.
    best_estimator_ : estimator
        The best candidate, fitted to all rows. Only with `refit`, as the methods that predict.
    best_score_ : float
        Mean score of the best candidate. Not if `refit` is callable.
    best_params_ : dict
        Its parameters.
    best_index_ : int
        Its place in `cv_results_`.
    scorer_ : callable or dict
        What ``score`` uses: with ``scoring=None`` the accuracy on the labels as they are.
    n_splits_ : int
        Splits.
    refit_time_ : float
        Seconds of the last fit.
    multimetric_ : bool
        Whether there are several scores.
    classes_, n_features_in_ : ndarray of shape (n_classes,) and int
        Class labels, and the number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if `best_estimator_` knows any.

    See Also
    --------
    robustlabels.metrics.forward_log_loss : What candidates are compared by, with its sign.
    sklearn.model_selection.GridSearchCV : The search whose surface this one has.

    Notes
    -----
    With ``scoring=None`` the score of probabilities p is

    .. math:: \frac{1}{n} \sum_i \log \sum_k p_k(x_i) T_{k \tilde{y}_i},

    the negative of :func:`~robustlabels.metrics.forward_log_loss`, with one matrix T for all
    candidates and splits. In expectation it is greatest for the true probabilities of clean labels.
    :func:`~robustlabels.metrics.make_noise_corrected_scorer` estimates accuracy instead.

    Candidates train together if they agree in everything but `loss`, `alpha`, `q`, `n_members` and
    `priors`, in the other steps of a pipeline too, and have the built-in network without
    `callbacks`, `warm_start` and validation rows, and an optimizer that treats each weight by
    itself. Each has the scores that it would have alone, up to rounding. If one of them fails, all
    are fitted one by one. Others share what is known of the noise of a split as long as they agree
    on the rows, `transition_matrix` and `random_state`.

    A `memory` that an estimator has is used; one that has none gets a temporary one during the
    search. Candidates without a `random_state` have the same one, so that luck favours none.

    Callbacks of scikit-learn are not called.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from robustlabels import RobustClassifier, RobustSearchCV, corrupt_labels
    >>> X, y = load_iris(return_X_y=True)
    >>> y_noisy = corrupt_labels(y, "symmetric", 0.3, random_state=0)
    >>> network = RobustClassifier(n_members=1, hidden_layer_sizes=32, random_state=0)
    >>> grid = {"loss": ["ce", "sgce"]}
    >>> search = RobustSearchCV(network, grid, cv=3, random_state=0).fit(X, y_noisy)
    >>> search.score(X, y) > 0.9
    True

    The first candidate of the grid within one standard error of the best, so that those that come
    later have to be worth it:

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
            estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.param_grid = param_grid
        self.n_iter = n_iter
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = False
        return tags

    @property
    def set_callbacks(self) -> NoReturn:
        """Not there: scikit-learn's callbacks follow fits one by one."""
        raise AttributeError("RobustSearchCV does not call scikit-learn's callbacks.")

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Features, y: ArrayLike | None = None, **params: Any) -> Self:
        """Search, and fit the best candidate to all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Whatever the estimator takes.
        y : array-like of shape (n_samples,)
            Labels, some of them wrong.
        **params : dict
            As in GridSearchCV: ``groups`` for the splits, and parameters of the estimator's `fit`
            such as ``sample_weight``, or ``step__sample_weight`` for a pipeline, which are split
            as the rows are.

        Returns
        -------
        self : RobustSearchCV
            The fitted search. After an error, or Ctrl-C, it is what it was before.

        Raises
        ------
        ValueError
            If a parameter or the data are unfit, or all fits fail.
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
                    f"RobustSearchCV takes one label for each row. Got y of shape {shape}. For the "
                    f"answers of several annotators use GridSearchCV with cv=KFold() and a scoring "
                    f"that takes such a y."
                )
            y = check_labels(y)
        candidates = self._draw(rng)
        base = clone(self.estimator)
        models = [_make(base, parameters) for parameters in candidates]
        _check_parameters(models, self.error_score)
        groups = _group(models)
        scorer, refit_metric = self._get_scorers()
        X, y = indexable(X, y)
        params = _check_method_params(X, params=params)
        routed = self._get_routed_params_for_fit(params)
        splitter = check_cv(self.cv, y, classifier=is_classifier(base))
        splits = list(splitter.split(X, y, **routed.splitter.split))
        if not splits:
            raise ValueError(f"There is nothing to fit: cv={self.cv!r} splits no rows.")
        self.n_splits_, self.scorer_ = len(splits), getattr(scorer, "_scorers", scorer)
        self.transition_matrix_ = None
        if is_classifier(base):
            weight = _find_weight(routed.estimator.fit, len(y))
            _, classes = find_rows_and_classes(self, y, weight)
            if self.scoring is None and hasattr(base, "predict_proba"):
                scorer = self._make_scorer(X, y, weight, classes, rng)
        with TemporaryDirectory() as folder:
            out = self._evaluate(
                base, candidates, groups, splits, X, y,
                shared=(Memory(folder, verbose=0), rng.randint(2**31)),
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
        _warn_or_raise_about_fit_failures(out, self.error_score)
        if callable(self.scoring):
            _insert_error_scores(out, self.error_score)
        results = self._format_results(candidates, len(splits), out)
        first = out[0]["test_scores"]
        self.multimetric_ = isinstance(first, dict)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(first)
            refit_metric = self.refit
        for name in first if self.multimetric_ else ["score"]:
            deviation = results[f"std_test_{name}"]
            with np.errstate(divide="ignore", invalid="ignore"):
                results[f"std_error_test_{name}"] = deviation / np.sqrt(len(splits) - 1)
        for name in ("best_index_", "best_score_", "best_params_"):
            self.__dict__.pop(name, None)
        if self.refit or not self.multimetric_:
            self.best_index_ = self._select_best_index(self.refit, refit_metric, results)
            if not callable(self.refit):
                self.best_score_ = results[f"mean_test_{refit_metric}"][self.best_index_]
            self.best_params_ = results["params"][self.best_index_]
        self.cv_results_ = results
        self._refit(base, X, y, routed.estimator.fit)

    def _draw(self, rng):
        """Return the candidates, a list of dicts."""
        if self.n_iter is None:
            return list(ParameterGrid(self.param_grid))
        return list(ParameterSampler(self.param_grid, self.n_iter, random_state=rng))

    def _make_scorer(self, X, y, weight, classes, rng):
        """Return a scorer of probabilities that knows the noise of all labels."""
        given = _last_step(self.estimator).get_params(deep=False).get("transition_matrix")
        if given is None or isinstance(given, str):
            if type(self.estimator) is Pipeline and len(self.estimator.steps) > 1:
                X = clone(self.estimator[:-1]).fit_transform(X, y)
            refiner = LabelRefiner(n_jobs=self.n_jobs, random_state=rng.randint(2**31))
            flat = X.reshape(len(X), -1) if getattr(X, "ndim", 2) > 2 else X
            given = refiner.fit(flat, y, weight).transition_matrix_
        if given is None:
            return self.scorer_
        self.transition_matrix_ = check_transition(given, len(classes), classes)
        return partial(_score_by_noise, classes=classes, transition=self.transition_matrix_)

    def _evaluate(self, base, candidates, groups, splits, X, y, **settings):
        """Return what each fit and its scores came to, candidate by candidate."""
        n_jobs = effective_n_jobs(self.n_jobs)
        n_parts = 1 if n_jobs == 1 else -(-_TASKS_PER_JOB * n_jobs // len(splits))
        parts = [
            part
            for group in groups
            for part in np.array_split(
                group, min(max(n_parts, -(-len(group) // _AT_ONCE)), len(group))
            )
        ]
        # Split by split, so that the first part finds the noise for those that follow.
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
        total = len(out)
        with tqdm(total=total, desc="Searching", unit="fit", disable=not self.verbose) as bar:
            for (part, split), results in zip(tasks, done, strict=True):
                for i, result in zip(part, results, strict=True):
                    out[i * len(splits) + split] = result
                bar.update(len(part))
        return out

    def _refit(self, base, X, y, fit_params):
        """Fit the best candidate to all rows."""
        for name in ("best_estimator_", "refit_time_", "feature_names_in_"):
            self.__dict__.pop(name, None)
        if not self.refit:
            return
        start = time.time()
        self.best_estimator_ = _make(base, self.best_params_).fit(X, y, **fit_params)
        self.refit_time_ = time.time() - start
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_


def _make(base, parameters):
    """Return a candidate, not fitted."""
    return clone(base).set_params(**clone(parameters, safe=False))


def _check_parameters(models, error_score):
    """Raise what is wrong with the parameters of all candidates, or of one if errors are raised."""
    errors = []
    for model in models:
        try:
            check_parameters(model)
        except ValueError as error:
            errors.append(error)
    if errors and (error_score == "raise" or len(errors) == len(models)):
        raise errors[0]


def _find_weight(fit_params, n_rows):
    """Return the weights of the rows among the parameters of `fit`, perhaps of a pipeline's."""
    named = (v for name, v in fit_params.items() if name.split("__")[-1] == "sample_weight")
    return _check_sample_weight(next(named, None), np.empty((n_rows, 1)), dtype=np.float64)


def _last_step(model):
    return model.steps[-1][1] if type(model) is Pipeline else model


def _group(models):
    """Deal models to groups that one batched network can stand for, as lists of indices."""
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
        except Exception:  # of what does not pickle nobody can say whether it is the same
            groups[i].append(i)
    return list(groups.values())


def _fit_and_score_together(base, candidates, X, y, train, test, shared, fit_params, **settings):
    """Fit candidates to the rows of a split, and score each as scikit-learn does."""

    def make():
        models = [_make(base, parameters) for parameters in candidates]
        for model in models:
            _share(model, *shared)
        return models

    models, fitted, start = make(), False, time.time()
    if len(models) > 1:
        of_train = _check_method_params(X, params=fit_params, indices=train)
        try:
            fitted = _fit_together(models, *_safe_split(base, X, y, train), of_train)
        except Exception:
            fitted = False  # which of them it was, their own fits tell
    if fitted:
        models, share = map(FrozenEstimator, models), (time.time() - start) / len(models)
    else:
        models, share = make(), 0.0
    results = []
    for model in models:
        result = _fit_and_score(
            model, X, y, train=train, test=test, fit_params=fit_params, **settings
        )
        results.append({**result, "fit_time": result["fit_time"] + share})
    return results


def _share(model, memory, seed):
    """Let what finds noise inside a model find it once for all that agree on how."""
    for part in (model, *model.get_params(deep=True).values()):
        # A teacher need not pickle, by which it would be looked up.
        if isinstance(part, _REFINING) and getattr(part, "teacher", None) is None:
            params = part.get_params(deep=False)
            fallbacks = {"memory": memory, "random_state": seed}
            missing = {name: v for name, v in fallbacks.items() if params.get(name, v) is None}
            part.set_params(**missing)


def _fit_together(models, X, y, fit_params):
    """Fit models that share all but the losses of their last steps; tell whether they could be."""
    weight_name = "sample_weight"
    if type(models[0]) is Pipeline:
        name = models[0].steps[-1][0]
        if not get_config()["enable_metadata_routing"]:
            weight_name = f"{name}__sample_weight"
    if set(fit_params) - {weight_name}:
        return False
    if type(models[0]) is Pipeline and len(models[0].steps) > 1:
        before = models[0][:-1]
        X = before.fit_transform(X, y)
        for model in models:
            model.steps[:-1] = before.steps
    fit_jointly([_last_step(model) for model in models], X, y, fit_params.get(weight_name))
    return True


def _score_by_noise(estimator, X, y, sample_weight=None, *, classes, transition):
    """Return how probable noisy labels are, the mean logarithm."""
    found = estimator.predict_proba(X)
    proba = np.zeros((len(y), len(classes)))
    proba[:, encode(estimator.classes_, classes)] = found
    if sample_weight is not None:
        kept = np.flatnonzero(sample_weight)
        y, proba, sample_weight = y[kept], proba[kept], np.asarray(sample_weight)[kept]
    return -forward_log_loss(y, proba, transition, labels=classes, sample_weight=sample_weight)

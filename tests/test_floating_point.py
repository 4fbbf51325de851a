"""NumPy's errors of floating point may be set to raise: what becomes 0 is none of them."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_wine

from robustlabels import ClassStatistics, RobustClassifier, UnhingedClassifier, corrupt_labels
from robustlabels.metrics import (
    estimate_transition_matrix,
    forward_log_loss,
    label_quality,
    noise_corrected_score,
)
from robustlabels.noise import pair_transition

X, y = load_wine(return_X_y=True)
X = np.column_stack([X, 1e-300 * np.arange(len(X)), 1e-30 * X[:, 0]])
T = pair_transition(3, 0.2)
Y_NOISY = corrupt_labels(y, T, random_state=0)
TINY = np.where(np.eye(3)[y] > 0, 1.0, 1e-320)
LIGHT = np.where(y == 0, 1e-200, 1.0)
NETWORK = {"max_epochs": 1, "hidden_layer_sizes": 4, "random_state": 0}


@pytest.mark.parametrize(
    "call",
    [
        lambda: corrupt_labels(y, "instance", 0.3, X=X),
        lambda: corrupt_labels(y, "margin", 0.3, X=X, exact=True),
        lambda: estimate_transition_matrix(Y_NOISY, TINY),
        lambda: forward_log_loss(Y_NOISY, TINY, T),
        lambda: noise_corrected_score(Y_NOISY, y, T, metric="f1"),
        lambda: label_quality(UnhingedClassifier(), X, Y_NOISY),
        lambda: UnhingedClassifier(transition_matrix=T).fit(X, Y_NOISY).predict_proba(X),
        lambda: UnhingedClassifier().partial_fit(X, Y_NOISY, [0, 1, 2]).predict_proba(1e6 * X),
        lambda: (
            ClassStatistics.from_rows(X, y) + ClassStatistics.from_rows(X[:9], y[:9], classes=y)
        ),
        lambda: RobustClassifier(transition_matrix=T, **NETWORK).fit(X, y, LIGHT).predict_proba(X),
        lambda: RobustClassifier(**NETWORK).partial_fit(X, y, None, LIGHT).predict_proba(X),
    ],
)
def test_numbers_may_become_zero_where_that_is_an_error(call):
    with np.errstate(all="raise"):
        call()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_the_default_dtype_of_torch_changes_nothing(dtype):
    params = {**NETWORK, "dropout": 0.3, "n_members": 2}
    expected = RobustClassifier(**params).fit(X, Y_NOISY).predict_proba(X)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        found = RobustClassifier(**params).fit(X, Y_NOISY).predict_proba(X)
        assert torch.get_default_dtype() == dtype
    finally:
        torch.set_default_dtype(before)
    np.testing.assert_array_equal(found, expected)

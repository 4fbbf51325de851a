"""Classification calibration, and the errors that a risk above the least one can mean."""

import numpy as np
import pytest
import torch
from scipy.special import xlogy

from robustlabels.losses import (
    AEL,
    AGCE,
    AMSE,
    CE,
    GCE,
    LDR,
    MAE,
    NCE,
    RCE,
    SGCE,
    AlphaMAE,
    BackwardCorrected,
    EpsSoftmax,
    TruncatedGCE,
    Unhinged,
    available_losses,
    get_loss,
)
from robustlabels.losses.theory import excess_risk_bound, is_classification_calibrated
from robustlabels.noise import pair_transition


def risk(loss, weights, scores):
    log_p = torch.log_softmax(torch.as_tensor(scores, dtype=torch.float64), dim=-1)
    return (torch.as_tensor(weights) * loss.class_losses(log_p)).sum(-1).numpy()


CALIBRATED = ["ce", "mae", "gce", "sgce", "alpha-mae", "agce", "aul", "ael", "amse"]
CALIBRATED += ["focal", "rce", "sce", "taylor-ce", "js", "ldr", "bi-tempered", "soft-bootstrap"]


@pytest.mark.parametrize("name", available_losses())
def test_calibration_of_the_catalogue(name):
    loss = get_loss(name)
    calibrated, witness = is_classification_calibrated(loss, 3, return_witness=True)
    # There is a proof for those, and a witness against these two.
    assert calibrated is (True if name in CALIBRATED else False if name in ("nce", "nfl") else None)
    if calibrated is not False:
        assert witness is None
        return
    weights, scores = witness
    assert weights.sum() == pytest.approx(1)
    assert weights[0] > weights[1:].max() + 0.01
    assert scores[0] <= scores[1:].max()
    # No prediction beats it, not even one that is far surer.
    others = (
        np.random.RandomState(0).normal(size=(20_000, 3))
        * 10.0 ** np.arange(5).repeat(4000)[:, None]
    )
    assert risk(loss, weights, scores[None])[0] <= risk(loss, weights, others).min() + 1e-5


@pytest.mark.parametrize("n_classes", [2, 6])
def test_calibration_by_number_of_classes(n_classes):
    assert (is_classification_calibrated(NCE(), n_classes) is False) == (n_classes > 2)
    assert is_classification_calibrated(NCE() + MAE(), n_classes) is None
    assert is_classification_calibrated(CE(), n_classes)


def test_the_unhinged_loss_is_calibrated_within_its_ball_only():
    assert is_classification_calibrated(Unhinged(), 3) is None  # no witness
    assert is_classification_calibrated(Unhinged(radius=None), 3) is False


def test_no_false_witness_against_calibrated_losses():
    assert is_classification_calibrated(EpsSoftmax(CE()), 3) is not False  # a tie is no witness
    for lam in (0.1, 100.0):
        assert is_classification_calibrated(LDR(lam), 3) is True


@pytest.mark.parametrize("n_classes", [2, 3, 4, 10, 100])
def test_excess_risk_bound_of_mae_in_closed_form(n_classes):
    n = np.arange(1, n_classes)
    points = dict(zip(1 / (n * (n + 1)), 1 / n, strict=True))
    scale = {MAE(): 1, RCE(-3.0): 3, AlphaMAE(0.5): 2, 2 * MAE(): 2, GCE(q=1): 1, SGCE(q=1): 1}
    for loss, factor in scale.items():
        for excess, error in points.items():
            found = excess_risk_bound(loss, n_classes, factor * excess)
            assert found == pytest.approx(error, abs=1e-9)
        smallest = 1 / (n_classes * (n_classes - 1))
        below = excess_risk_bound(loss, n_classes, factor * smallest / 2)
        assert below == pytest.approx(n_classes * smallest / 2, abs=1e-9)
    assert excess_risk_bound(MAE(), 10, 0.03) == pytest.approx(0.18833, abs=1e-5)
    assert excess_risk_bound(MAE(), 100, 0.005) == pytest.approx(0.07321, abs=1e-5)


@pytest.mark.parametrize("loss", [MAE(), AGCE(a=4.0, q=2.0), AEL(), GCE(q=0.9), CE()], ids=repr)
def test_many_equal_leading_classes_do_not_break_the_excess_risk_bound(loss):
    # n equally probable classes, and one without probability that equal scores of all predict.
    K = 5
    for n in range(1, K):
        weights = np.append(np.full(n, 1 / n), np.zeros(K - n))
        scores = np.append(np.zeros(n), np.full(K - n, -1e6))
        scores[n] = 1e-9
        uniform, certain = np.where(weights > 0, 0, -1e6), np.where(np.arange(K) == 0, 0.0, -1e6)
        best = min(risk(loss, weights, s[None])[0] for s in (uniform, certain))
        excess = risk(loss, weights, scores[None])[0] - best
        assert excess_risk_bound(loss, K, excess) >= (1 - 1e-6) / n


@pytest.mark.parametrize("q", [0.5, 0.7, 0.9])
def test_one_other_class_does_not_break_the_excess_risk_bound(q):
    # Equal scores of three classes predict the one that never occurs; another has all the rest.
    weights = np.array([0.6, 0.0, 0.4, 0.0])
    p = weights ** (1 / (1 - q)) / (weights ** (1 / (1 - q))).sum()  # minimises the loss
    excess = (weights * (p**q - (1 / 3) ** q)).sum() / q
    assert excess_risk_bound(GCE(q), 4, excess) >= 0.6 * (1 - 1e-3)  # the search's accuracy


@pytest.mark.parametrize("loss", [AGCE(a=4.0, q=2.0), AMSE(), TruncatedGCE()], ids=repr)
def test_random_problems_do_not_break_the_excess_risk_bound(loss):
    K = 4
    rng = np.random.RandomState(0)
    grid = np.vstack([8 * rng.normal(size=(3000, K)), 1e6 * np.eye(K)])
    weights = rng.dirichlet(np.full(K, 0.7), size=300)
    scores = 3 * rng.normal(size=(300, K))
    least = np.array([risk(loss, w, grid).min() for w in weights])
    excess = risk(loss, weights, scores) - least
    errors = weights.max(1) - weights[np.arange(300), scores.argmax(1)]
    # One bound for all problems of less excess.
    for limit in np.quantile(excess, [0.05, 0.3]):
        assert errors[excess <= limit].max() <= excess_risk_bound(loss, K, max(limit, 0.0))


def test_excess_risk_bound_of_two_classes_in_closed_form():
    # What the equal prediction costs where the classes differ by epsilon, for losses whose excess
    # grows convexly with epsilon.
    for epsilon in (0.05, 0.5):
        w = np.array([1 + epsilon, 1 - epsilon]) / 2
        costs = {
            CE(): np.log(2) + xlogy(w, w).sum(),
            MAE(): epsilon / 2,
            GCE(q=0.5): 2 * (np.linalg.norm(w) - np.sqrt(0.5)),
        }
        for loss, cost in costs.items():
            assert excess_risk_bound(loss, 2, cost) == pytest.approx(epsilon, rel=0.01)


def test_excess_risk_bound_holds_on_discrete_problems():
    rng = np.random.RandomState(0)
    K = 3
    minimisers = {
        CE(): lambda w: w,
        GCE(q=0.5): lambda w: w**2 / (w**2).sum(-1, keepdims=True),
        MAE(): lambda w: np.eye(K)[w.argmax(-1)],
    }
    for loss, minimiser in minimisers.items():
        ratios = []
        for spread in (0.1, 1.0):
            # Five values of the features, with their frequencies and class probabilities.
            frequency = rng.dirichlet(np.ones(5))
            w = rng.dirichlet(np.full(K, 2.0), size=5)
            with np.errstate(divide="ignore"):
                best = np.log(minimiser(w)).clip(min=-1e4)
            scores = np.log(w) + spread * rng.normal(size=(10, 5, K))
            excess = (risk(loss, w, scores) - risk(loss, w, best)) @ frequency
            chosen = np.take_along_axis(w, scores.argmax(-1).T, axis=1).T
            errors = (w.max(-1) - chosen) @ frequency
            for one, wrong in zip(excess[:2], errors[:2], strict=True):
                bound = excess_risk_bound(loss, K, max(one, 0))
                assert wrong <= bound
                ratios.append(wrong / bound)
        assert max(ratios) > 0


def test_no_bound_without_calibration():
    assert excess_risk_bound(NCE(), 3, 0.0) == 1
    assert excess_risk_bound(MAE(), 3, 5.0) == 1
    assert excess_risk_bound(MAE(), 3, 0.0) == 0


def test_losses_that_favour_classes_are_rejected():
    loss = BackwardCorrected(pair_transition(3, 0.2), CE())
    for call in (is_classification_calibrated, lambda *a: excess_risk_bound(*a, 0.1)):
        with pytest.raises(ValueError, match="does not treat all classes equally"):
            call(loss, 3)
    with pytest.raises(ValueError, match="'excess' parameter .* Got -1"):
        excess_risk_bound(CE(), 3, -1)

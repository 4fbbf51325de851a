"""Classification calibration, and the errors that a risk above the least one can mean."""

import numpy as np
import pytest
import torch
from scipy.special import xlogy

from robustlabels.losses import (
    CE,
    GCE,
    MAE,
    NCE,
    BackwardCorrected,
    Unhinged,
    available_losses,
    get_loss,
)
from robustlabels.losses.theory import excess_risk_bound, is_classification_calibrated
from robustlabels.noise import pair_transition


def risk(loss, weights, scores):
    log_p = torch.log_softmax(torch.as_tensor(scores, dtype=torch.float64), dim=-1)
    return (torch.as_tensor(weights) * loss.class_losses(log_p)).sum(-1).numpy()


CALIBRATED = ["ce", "mae", "gce", "unhinged", "sgce", "alpha-mae", "agce", "aul", "ael", "amse"]
CALIBRATED += ["focal", "rce", "sce", "taylor-ce", "truncated-gce", "js", "ldr", "bi-tempered"]
CALIBRATED += ["soft-bootstrap", "ngce", "nnce", "nce+mae", "nce+rce", "nfl+mae", "nfl+rce"]
CALIBRATED += ["nce+agce", "nce+aul", "nce+ael", "anl-ce", "jal-ce", "jal-fl"]


@pytest.mark.parametrize("name", available_losses())
def test_calibration_of_the_catalogue(name):
    loss = get_loss(name)
    calibrated, witness = is_classification_calibrated(loss, 3, return_witness=True)
    assert calibrated or name not in CALIBRATED
    assert not calibrated or name not in ("nce", "nfl")
    if calibrated:
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
    assert is_classification_calibrated(NCE(), n_classes) == (n_classes == 2)
    assert is_classification_calibrated(NCE() + MAE(), n_classes)
    assert is_classification_calibrated(CE(), n_classes)


def test_the_unhinged_loss_is_calibrated_within_its_ball_only():
    assert is_classification_calibrated(Unhinged(), 3)
    assert not is_classification_calibrated(Unhinged(radius=None), 3)


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
    assert excess_risk_bound(MAE(), 3, 0.0) == 0.01


def test_losses_that_favour_classes_are_rejected():
    loss = BackwardCorrected(pair_transition(3, 0.2), CE())
    for call in (is_classification_calibrated, lambda *a: excess_risk_bound(*a, 0.1)):
        with pytest.raises(ValueError, match="does not treat all classes equally"):
            call(loss, 3)
    with pytest.raises(ValueError, match="'excess' parameter .* Got -1"):
        excess_risk_bound(CE(), 3, -1)

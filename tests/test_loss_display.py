"""LossDisplay shows what the losses compute."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt

from robustlabels.losses import CE, GCE, MAE, SGCE, LossDisplay, Unhinged, get_loss

mpl.use("agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_curves_are_loss_gradient_weight_and_class_sum():
    losses = {"ce": CE(), "gce": GCE(q=0.7), "mae": MAE()}
    display = LossDisplay.from_losses(losses, n_classes=5)
    p = display.probability
    np.testing.assert_allclose(display.curves["ce"]["loss"], -np.log(p))
    np.testing.assert_allclose(display.curves["mae"]["loss"], 1 - p)
    np.testing.assert_allclose(display.curves["mae"]["class sum"], 4)
    # The weights omega(p) = -p l'(p) of the gradient.
    np.testing.assert_allclose(display.curves["ce"]["gradient weight"], 1)
    np.testing.assert_allclose(display.curves["gce"]["gradient weight"], p**0.7)


@pytest.mark.parametrize("name", ["sgce", "unhinged", "nce+agce", "jal-ce"])
def test_frame(name):
    loss = get_loss(name)
    frame = LossDisplay.from_losses({name: loss}, n_classes=3).frame()
    assert set(frame["name"]) == {name}
    assert np.isfinite(frame.drop(columns="name").to_numpy()).all()
    if name in ("sgce", "unhinged"):
        np.testing.assert_allclose(frame["class sum"], 0, atol=1e-12)


def test_plot():
    display = LossDisplay.from_losses([CE(), SGCE(), Unhinged()]).plot()
    assert [axis.get_title() for axis in display.axes_] == ["Loss", "Gradient weight", "Class sum"]
    assert list(display.lines_) == ["CE()", "SGCE()", "Unhinged()"]
    legend = display.axes_[-1].get_legend().get_texts()
    assert [text.get_text() for text in legend] == list(display.lines_)
    line = display.lines_["CE()"][0]
    np.testing.assert_array_equal(line.get_ydata(), display.curves["CE()"]["loss"])
    figure, axes = plt.subplots(3)
    assert display.plot(axes).figure_ is figure
    np.testing.assert_array_equal(display.axes_, axes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"losses": []}, "losses must be one or more Loss objects"),
        ({"losses": ["ce"]}, "losses must be one or more Loss objects"),
        ({"losses": [CE()], "n_classes": 1}, "n_classes must be at least 2. Got 1"),
        ({"losses": [GCE(q=3)]}, "'q' parameter of GCE"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        LossDisplay.from_losses(**arguments)

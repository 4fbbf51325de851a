"""TransitionMatrixDisplay shows the matrix it is given."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from robustlabels import TransitionMatrixDisplay
from robustlabels.noise import pair_transition, symmetric_transition

mpl.use("agg")


@pytest.mark.parametrize("n_classes", [2, 10, 40])
def test_heat_map_shows_the_matrix(n_classes):
    matrix = pair_transition(n_classes, 0.3)
    display = TransitionMatrixDisplay.from_matrix(matrix).plot()
    np.testing.assert_array_equal(display.image_.get_array(), matrix)
    texts = [text.get_text() for text in display.ax_.texts]
    assert sorted(texts) == ([] if n_classes > 12 else sorted([".70", ".30"] * n_classes))
    assert display.ax_.get_ylabel() == "True class"
    mpl.pyplot.close("all")


def test_names_and_frame():
    display = TransitionMatrixDisplay.from_matrix(
        symmetric_transition(2, 0.2), display_labels=["ham", "spam"]
    )
    _, ax = mpl.pyplot.subplots()
    assert display.plot(ax, colorbar=False).figure_ is ax.figure
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["ham", "spam"]
    frame = display.frame().set_index(["true class", "label"])["probability"]
    assert frame["ham", "spam"] == pytest.approx(0.2)
    mpl.pyplot.close("all")
    with pytest.raises(ValueError, match="name each of the 2 classes"):
        TransitionMatrixDisplay.from_matrix(np.eye(2), display_labels=["a"])
    with pytest.raises(ValueError, match="probability distribution"):
        TransitionMatrixDisplay.from_matrix([[0.5, 0.6], [0, 1]])


def test_names_of_a_matrix_are_shown_and_heeded():
    matrix = pd.DataFrame([[0.7, 0.3], [0.1, 0.9]], index=["low", "high"], columns=["low", "high"])
    swapped = matrix[["high", "low"]]
    display = TransitionMatrixDisplay.from_matrix(swapped)
    assert list(display.display_labels) == ["low", "high"]
    np.testing.assert_array_equal(display.transition_matrix, matrix)
    display = TransitionMatrixDisplay.from_matrix(swapped, display_labels=["high", "low"])
    np.testing.assert_array_equal(display.transition_matrix, [[0.9, 0.1], [0.3, 0.7]])
    with pytest.raises(ValueError, match="must be the classes"):
        TransitionMatrixDisplay.from_matrix(swapped, display_labels=["good", "bad"])

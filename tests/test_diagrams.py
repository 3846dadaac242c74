"""Diagrams and moments: drawn in grey, with the right parts and texts."""

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.colors import to_rgb

from r3d_helpers.apply.explain import Timeline
from r3d_helpers.classroom import diagrams, moments

WORDS = {
    "hook_of_a_copy": {"the original", "its deep copy", "hook", "gate"},
    "grad_cam": {"mean of the gradient\nover time and places", "ReLU: what is\nbelow 0 is 0"},
    "shared_step": {"batch norm: each on its own", "gradient\nof 4 clips", "gradients travel"},
}


@pytest.mark.parametrize("name", WORDS)
def test_a_diagram_is_grey_and_names_its_parts(name):
    figure = getattr(diagrams, name)()
    (axis,) = figure.axes
    assert {text.get_text() for text in axis.texts} >= WORDS[name]
    colours = [patch.get_edgecolor() for patch in axis.patches]
    for red, green, blue in map(to_rgb, [*colours, *(text.get_color() for text in axis.texts)]):
        assert red == green == blue
    plt.close(figure)


@pytest.mark.parametrize("name", WORDS)
def test_no_two_words_of_a_diagram_lie_on_each_other(name):
    figure = getattr(diagrams, name)()
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])
        assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
    plt.close(figure)


def test_the_dark_bar_is_that_of_the_nearest_window():
    """Without it: the film shows the prediction of another moment."""
    shares = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    line = Timeline([0.0, 1.0], [1.0, 2.0], shares)  # middles 0.5 and 1.5
    frames = torch.zeros(3, 3, 8, 8, dtype=torch.uint8)
    film = moments.beside(frames, [0.0, 0.9, 1.9], line, ["calm", "glad"])
    assert film.dtype == torch.uint8
    assert film.shape[:3] == (3, 3, 2 * moments._ROW)
    for picture, longest in zip(film, (0, 0, 1), strict=True):
        rows = picture[0, :, 2 * moments._ROW + moments._NAMES + 2].view(2, moments._ROW)
        dark = (rows == moments._INK).any(1)
        assert dark.tolist() == [longest == 0, longest == 1]

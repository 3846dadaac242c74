"""Figures of a video are right and complete, even if the video is short."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from torch import nn

from r3d_helpers import video
from r3d_helpers.apply import explain
from r3d_helpers.apply.explain import Timeline
from r3d_helpers.classroom import plots
from r3d_helpers.studies import compare

CLASSES = ["calm", "happy", "sad"]


@pytest.fixture(autouse=True)
def no_figure_is_left():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


class Undecided(nn.Module):
    clip_len = 4

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([0.0, 2.0, 1.0]))

    def forward(self, clips):
        return self.logits.expand(len(clips), -1)


def drawn(figure):
    """The figure as pixels, or an error: not before now is everything laid out."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())


def test_a_timeline_names_classes_time_and_shade():
    answers = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.9, 0.0], [0.0, 0.0, 1.0]])
    line = Timeline([0.0, 1.0, 1.5], [2.0, 3.0, 3.5], answers)
    figure = plots.timeline(line, CLASSES, title="A face")
    axis, bar = figure.axes
    assert axis.get_title() == "A face"
    assert axis.get_xlabel() == "time (s)"
    assert bar.get_ylabel() == "probability"
    assert [label.get_text() for label in axis.get_yticklabels()] == CLASSES
    (mesh,) = axis.collections
    np.testing.assert_allclose(mesh.get_array().reshape(3, 3), answers.T)
    assert axis.get_xlim() == (0, 3.5)
    assert axis.get_ylim() == (3, 0)  # the first class on top
    np.testing.assert_allclose(mesh.get_coordinates()[0, :, 0], [0, 1.5, 2.25, 3.5])
    assert drawn(figure).std() > 0


def test_a_timeline_is_white_where_nothing_is_shown():
    answers = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.9, 0.0], [0.0, 0.0, 1.0]])
    line = Timeline([0.0, 0.5, 7200.0], [1.0, 1.5, 7201.0], answers)
    (mesh,) = plots.timeline(line, CLASSES, title="A pause").axes[0].collections
    assert mesh.get_coordinates()[0, :, 0].tolist() == [0, 0.75, 1.5, 7200, 7201]
    assert mesh.get_array().mask.all(0).tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    "name", ["a$1_$2", "$\\frac{$", "two\nlines", "j\udcf6rg", "x" * 255, r"\$"]
)
def test_any_name_and_label_can_be_drawn(name, tmp_path):
    """Without it a dollar sign in a name stops a command: matplotlib takes it for a formula."""
    line = Timeline([0.0], [1.0], torch.tensor([[0.5, 0.3, 0.2]]))
    clip = torch.randint(1, 256, (2, 3, 6, 8), dtype=torch.uint8)
    labels = ["calm", "happy", name]
    for figure in (
        plots.timeline(line, labels, title=name),
        plots.heat(clip, {name: torch.ones(2, 6, 8)}, title=name),
    ):
        assert drawn(figure).std() > 0
    text = plots.timeline(line, labels, title=name).axes[0].get_title()
    assert len(text) <= 95
    assert "\n" not in text


def test_a_timeline_of_a_single_frame_is_drawn(tmp_path):
    path = tmp_path / "one.mp4"
    video.write(path, torch.zeros(1, 3, 16, 16, dtype=torch.uint8), 25)
    line = explain.timeline(Undecided(), path, size=8)
    figure = plots.timeline(line, CLASSES, title=path.stem)
    left, right = figure.axes[0].get_xlim()
    assert left < right
    assert drawn(figure).std() > 0


def test_heat_shows_the_clip_and_dims_it_by_each_map():
    clip = torch.randint(1, 256, (2, 3, 6, 8), dtype=torch.uint8)
    ramp = torch.linspace(0, 1, 8).expand(2, 6, 8)
    figure = plots.heat(clip, {"layer2": ramp, "layer4": torch.ones(2, 6, 8)}, title="Why sad")
    assert figure.get_suptitle() == "Why sad"
    assert [t.get_text() for axis in figure.axes for t in axis.texts] == [
        "clip",
        "layer2",
        "layer4",
    ]
    pictures = [torch.tensor(axis.images[0].get_array()) for axis in figure.axes]
    clips, dimmed, bright = (
        torch.stack(pictures[i : i + 2]).permute(0, 3, 1, 2) for i in (0, 2, 4)
    )
    assert clips.equal(clip)
    assert bright.equal(clip)
    assert dimmed[..., 7].equal(clip[..., 7])
    assert (dimmed[..., 0] < 0.2 * clip[..., 0] + 1).all()
    assert ((dimmed[..., 1:7] < clip[..., 1:7]) | (clip[..., 1:7] < 8)).all()
    assert drawn(figure).std() > 0


def test_heat_of_a_video_with_a_single_frame_is_drawn(tmp_path):
    path = tmp_path / "one.mp4"
    video.write(path, torch.zeros(1, 3, 16, 16, dtype=torch.uint8), 25)
    clip = explain.clip_at(Undecided(), path, 0, 0, size=8)
    assert len(clip) == 4
    figure = plots.heat(clip[:1], {"stem": torch.zeros(1, 8, 8)}, title="Still")
    assert len(figure.axes) == 2
    assert drawn(figure).shape[2] == 4


EPOCHS = [
    {"epoch": n, "train_loss": 2 - n / 4, "val_loss": 2 - n / 5, "val_uar": n / 4}
    for n in (1, 2, 3)
]
COMPARED = compare.settings([0.8, 0.7], [0.6, 0.7], train=4, test=1)
FIGURES = {
    "curves": lambda: plots.curves(EPOCHS, chance=0.3),
    "bars": lambda: plots.bars({"one": 0.4, "two": 0.7}, chance=0.3, title="Bars"),
    "gates": lambda: plots.gates({"a layer": torch.rand(8)}),
    "sizes": lambda: plots.sizes({name: {"stem": 1, "layer1": 0.5} for name in "abcd"}),
    "spread": lambda: plots.spread({"a": [0.4, 0.5], "b": [0.6, 0.5]}, chance=0.3, title="Runs"),
    "differences": lambda: plots.differences({"a, b": COMPARED, "c": COMPARED}, title="Gains"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_what_is_drawn_stands_out_from_the_paper(name):
    figure = FIGURES[name]()
    for axis in figure.axes:
        marks = [line.get_color() for line in axis.lines]
        marks += [bar.get_facecolor() for bar in axis.patches] + [t.get_color() for t in axis.texts]
        assert marks
        for colour in marks:
            red, green, blue = to_rgb(colour)
            assert red == green == blue
            luminance = ((red + 0.055) / 1.055) ** 2.4 if red > 0.04 else red / 12.92
            assert 1.05 / (luminance + 0.05) >= 3  # WCAG's contrast for graphics


def test_lines_of_a_figure_differ_in_more_than_their_shade():
    for name in ("curves", "sizes"):
        for axis in FIGURES[name]().axes:
            styles = [(line.get_linestyle(), line.get_marker()) for line in axis.lines]
            assert len(set(styles)) == len(styles)


def test_everybody_of_a_split_has_a_box():
    split = {"train": [1, 2, 5], "choose": [3], "judge": [4, 6]}
    (axis,) = plots.people({"a": split, "b": split}, title="Who").axes
    assert len(axis.patches) == 2 * 6
    greys = {bar.get_x() + bar.get_width() / 2: bar.get_facecolor()[0] for bar in axis.patches[:6]}
    assert greys[1] == greys[2] == greys[5] > greys[3] > greys[4] == greys[6]
    assert [t.get_text() for t in axis.figure.legends[0].get_texts()] == [
        "train",
        "choose",
        "judge",
    ]


def test_a_difference_is_drawn_with_its_pairs_and_its_verdict():
    (axis,) = plots.differences({"one": COMPARED}, title="Gain").axes
    assert [text.get_text() for text in axis.texts] == [COMPARED.verdict]
    assert tuple(axis.lines[0].get_xdata()) == COMPARED.pairs
    assert {COMPARED.low, COMPARED.high} == {*axis.collections[0].get_segments()[0][:, 0]}


def test_every_person_has_a_dot_that_can_be_seen():
    """Without it: many equal scores leave the axes, or hide one another."""
    scores = {"few": [0.5, 0.75], "many": [1.0] * 12 + [0.5]}
    (axis,) = plots.dots(scores, title="Scores").axes
    dots = [
        (*line.get_xdata(), *line.get_ydata()) for line in axis.lines if line.get_marker() == "o"
    ]
    assert len(set(dots)) == 15
    low, high = sorted(axis.get_ylim())
    assert all(low < y < high and round(y) == (len(dots[:i]) >= 2) for i, (_, y) in enumerate(dots))
    means = [line.get_xdata()[0] for line in axis.lines if line.get_marker() == "|"]
    assert means == pytest.approx([0.625, 12.5 / 13])


def test_a_filter_is_drawn_frame_by_frame_and_scaled_by_itself():
    """Without it: a weak filter is grey, or a frame of it is another's."""
    weights = torch.zeros(40, 3, 2, 4, 4)
    weights[39, 0, 1] = 0.001  # the last one is shown first: red in its second frame
    weights[38] = 1
    drawn = [
        axis.images[0].get_array() for axis in plots.filters({"one": weights}).axes if axis.images
    ]
    first = [frame[1:5, 1:5].reshape(-1, 3).mean(0).round() for frame in drawn]
    assert len(first) == 2
    assert first[0].tolist() == [127, 127, 127]
    assert first[1].tolist() == [254, 127, 127]

"""The explorers: moving a control changes text and picture, and both show the same."""

import base64
import io
import itertools
import json
import re
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models.video.resnet import BasicBlock, Conv3DSimple

from r3d_helpers import sampler
from r3d_helpers import video as videos
from r3d_helpers.classroom.sure import SureExplorer
from r3d_helpers.classroom.widgets import (
    _STRIP,
    AxesExplorer,
    FramePicker,
    GateExplorer,
    LengthExplorer,
    VideoAsker,
)


def pixels(explorer):
    return np.asarray(Image.open(io.BytesIO(explorer.picture.value)))


@pytest.fixture
def video():
    return torch.randint(256, (2, 6, 3, 4, 5), dtype=torch.uint8)


def test_frame_picker_shows_the_kept_frames(video):
    rules = {"uniform": sampler.uniform, "dense": sampler.dense}
    picker = FramePicker(video[0], rules, clip_len=4)
    assert "kept: [0, 2, 3, 5]" in picker.text.value
    picker.length.value, picker.sampler.value = 5, "dense"
    assert picker.text.value == "kept: [0, 1, 2, 3]<br>never seen: [4]"
    expected = np.concatenate([video[0, t].permute(1, 2, 0).numpy() for t in range(4)], axis=1)
    assert (pixels(picker) == expected).all()


def test_frame_picker_carries_every_state(video):
    """Without it: the book shows other frames than the lesson."""
    rules = {"uniform": sampler.uniform, "dense": sampler.dense}
    picker = FramePicker(video[0], rules, clip_len=4)
    picker.length.value = 4
    page = picker._repr_mimebundle_()["text/html"]
    assert (picker.length.value, picker.sampler.value) == (4, "uniform")  # as it was
    data = json.loads(re.search(r"const data = (.*), box", page)[1])
    assert data["controls"] == [
        ["frames", ["1", "2", "3", "4", "5", "6"]],
        ["sampler", ["uniform", "dense"]],
    ]
    assert data["start"] == [3, 0]
    (uri,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri))).convert("RGB"), int)
    for state, (length, rule) in enumerate(itertools.product(range(1, 7), rules)):
        words, tiles = data["states"][state]
        picker.length.value, picker.sampler.value = length, rule
        assert words == picker.text.value
        shown = [sheet[t // 8 * 4 :, t % 8 * 5 :][:4, :5] for t in tiles]
        assert abs(np.concatenate(shown, axis=1) - pixels(picker)).max() < 40  # 256 colours


def test_axes_explorer_shows_what_the_backbone_sees(video):
    ways = {
        "right": lambda x: x.permute(0, 2, 1, 3, 4),
        "view": lambda x: x.reshape(len(x), 3, -1, 4, 5),
        "none": lambda x: x,
        "bug": lambda x: x.flatten(0, 1).permute(0, 2, 1, 3, 4),
    }
    explorer = AxesExplorer(video, ways)
    assert explorer.text.value.startswith("[2, 3, 6, 4, 5]: 2 videos of 6 frames")
    right = pixels(explorer)
    assert (right[:, :5] == video[0, 0].permute(1, 2, 0).numpy()).all()
    explorer.way.value = "view"
    assert right.shape == pixels(explorer).shape
    assert not (right == pixels(explorer)).all()
    explorer.way.value = "bug"
    assert explorer.text.value.startswith("RuntimeError: ")
    assert pixels(explorer).shape == (1, 1, 3)
    explorer.way.value = "none"
    assert "wants 3 colours" in explorer.text.value
    explorer.length.value = 3
    assert explorer.text.value.startswith("[2, 3, 3, 4, 5]")
    assert pixels(explorer).shape == (4, 15, 3)


def numbers(explorer):
    """What the text says of the output, of the block's own gradient, and of the one in front."""
    return [float(line.rpartition(": ")[2]) for line in explorer.text.value.split("<br>")[1:]]


@pytest.fixture(scope="module")
def gates():
    torch.manual_seed(0)
    block = BasicBlock(8, 8, Conv3DSimple)
    return GateExplorer(block, torch.randn(1, 8, 2, 6, 7).relu())


@pytest.mark.parametrize(
    ("place", "open_ways"),
    [
        ("on the branch", [True, False, True]),
        ("on the shortcut", [True, True, True]),
        ("after the addition", [False, False, False]),
    ],
)
def test_a_shut_gate_stops_what_it_stands_in(gates, place, open_ways):
    gates.place.value, gates.gate.value = place, 1.0
    assert numbers(gates) == [1, 1, 1]
    whole = pixels(gates)
    gates.gate.value = 0.0
    assert [number > 0 for number in numbers(gates)] == open_ways
    assert not (pixels(gates) == whole).all()


def test_a_gate_after_the_addition_scales_all_three(gates):
    gates.place.value, gates.gate.value = "after the addition", 0.5
    assert numbers(gates) == [0.5, 0.5, 0.5]
    gates.gate.value = 2.0
    assert numbers(gates) == [2, 2, 2]


def test_gate_explorer_shows_the_true_output(gates):
    """Without it: the drawing is of another block."""
    gates.place.value, gates.gate.value = "on the branch", 0.25
    with torch.no_grad():
        x, block = gates.features, gates.block
        out = (0.25 * block.conv2(block.conv1(x)) + x).relu()
        share = out.norm() / block(x).norm()
    assert numbers(gates)[0] == pytest.approx(share.item(), abs=0.006)


@pytest.mark.parametrize("kind", ["axes", "length", "gate"])
def test_explorers_carry_every_state(video, gates, kind):
    if kind == "axes":
        ways = {"right": lambda x: x.transpose(1, 2), "bug": lambda x: x.permute(0, 2, 1)}
        explorer = AxesExplorer(video, ways)
        controls = itertools.product(ways, range(1, 7))
    elif kind == "gate":
        explorer = gates
        controls = itertools.product(gates.place.options, [step / 4 for step in range(9)])
    else:
        explorer = LengthExplorer(nn.LSTM(32, 16, batch_first=True))
        controls = itertools.product(range(1, 9), explorer.given.options)
    page = explorer._repr_mimebundle_()["text/html"]
    states = json.loads(re.search(r"const data = (.*), box", page)[1])["states"]
    for (words, tiles), values in zip(states, controls, strict=True):
        for control, value in zip(explorer.controls, values, strict=True):
            control.value = value
        assert words == explorer.text.value
        wide = pixels(explorer).shape[1]
        assert len(tiles) == wide // explorer.tile  # none of the blank picture


@pytest.mark.parametrize(("length", "dead"), [(1, "393,728"), (2, "0"), (8, "0")])
def test_length_explorer_counts_what_has_no_gradient(length, dead):
    explorer = LengthExplorer(nn.LSTM(512, 256, batch_first=True))
    explorer.length.value = length
    assert explorer.text.value.startswith(f"{dead} of 788,480 parameters")
    shown = pixels(explorer)[:-_STRIP, : explorer.tile, 0]
    white = (shown == 255).mean()
    weights = (256 * 512 + 1024 * 256) / (1024 * 768)  # forget gate and memory
    assert white == pytest.approx(weights if length == 1 else 0, abs=0.02)  # but for the frame


def test_length_explorer_says_to_which_steps_the_output_listens():
    torch.manual_seed(0)
    explorer = LengthExplorer(nn.LSTM(32, 16, batch_first=True))
    explorer.length.value = 4
    shares = [int(share) for share in re.findall(r"(\d+)%(?=,|<)", explorer.text.value)]
    assert len(shares) == 4
    assert 98 <= sum(shares) <= 102
    assert shares == sorted(shares)  # a fresh LSTM forgets
    bars = pixels(explorer)[:-_STRIP, explorer.tile :, 0] < 255
    tall = [part.sum(0).max() / len(bars) for part in np.split(bars, 4, axis=1)]
    assert tall == pytest.approx([share / 100 for share in shares], abs=0.08)
    assert "changes by 0%" not in explorer.text.value
    explorer.given.value = "the same again"
    assert "changes by 0%" in explorer.text.value


def test_video_asker_shows_the_answer_and_what_was_seen(video, tmp_path):
    def ask(path):
        assert path.name == "me.mp4"
        return {"sad": 0.25, "happy": 0.75}, videos.read(path, [0, 2])

    videos.write(tmp_path / "me.mp4", torch.full((3, 3, 8, 8), 200, dtype=torch.uint8), 15)
    asker = VideoAsker(ask)
    assert "Nothing uploaded yet" in asker.text.value
    file = {"name": "me.mp4", "type": "video/mp4", "size": 1, "last_modified": datetime.now()}
    asker.upload.value = ({**file, "content": memoryview((tmp_path / "me.mp4").read_bytes())},)
    assert asker.text.value == "0.75 happy<br>0.25 sad"
    assert pixels(asker).shape == (16, 32, 3)
    assert abs(pixels(asker).mean() - 200) < 5


def test_video_asker_names_a_file_that_is_no_video(tmp_path):
    asker = VideoAsker(videos.read)
    asker.show("../odd/me.mp4", b"abc")
    assert asker.text.value == "me.mp4: cannot be opened; the file is damaged or not a video"
    assert pixels(asker).shape == (1, 1, 3)


def test_the_page_says_what_its_explorer_says():
    """Without it: the page states how often a plain interval is wrong, and the explorer another."""
    page = Path(__file__).parent.with_name("docs") / "learn/how-sure.md"
    page = page.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (\d+) % \| (\d+) % \|$", page, re.MULTILINE)
    assert len(rows) == 3
    explorer = SureExplorer()
    for row in rows:
        splits, *shares = map(int, row)
        explorer.truth.value, explorer.splits.value = 0.0, splits
        assert list(map(int, re.findall(r"sure (\d+)%", explorer.text.value))) == shares
    explorer.truth.value = 0.1
    assert re.findall(r": sure 100%", explorer.text.value)  # so large a difference is seen

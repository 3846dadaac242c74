"""Predictions of a window come from its frames, and a map is bright at what was decisive."""

import collections
import gc
import itertools
import math
import types
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import nn

from r3d_helpers import R3DEmotion, sampler, video
from r3d_helpers.apply import explain
from r3d_helpers.apply.crops import FaceCrop, NoFaceError
from r3d_helpers.datasets import normalize
from r3d_helpers.model import SqueezeExcitation3d

DATA = Path(__file__).parent / "data"
VFR = [i / 30 for i in range(10)] + [0.5 + i / 5 for i in range(10)]  # when its frames are shown


class Watcher(nn.Module):
    """Answers by brightness, 1 for a bright clip, and keeps what it was shown."""

    def __init__(self, clip_len=4):
        super().__init__()
        self.clip_len = clip_len
        self.gain = nn.Parameter(torch.tensor(5.0))
        self.batches = []

    def forward(self, clips):
        self.batches.append(clips)
        bright = self.gain * clips.mean((1, 2, 3, 4))
        return torch.stack([-bright, bright], 1)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Two videos of 4 s, 10 frames per second: something happens after 2 s."""
    folder = tmp_path_factory.mktemp("films")
    light = np.full((40, 3, 16, 32), 20, np.uint8)
    light[20:] = 230
    video.write(folder / "light.mp4", light, 10)
    square = np.full((40, 3, 16, 32), 20, np.uint8)
    square[:20, :, :, :16] = 230
    square[20:, :, :, 16:] = 230
    video.write(folder / "square.mp4", square, 10)
    return folder


def shown(path, times, begin, end, clip_len=4, size=8):
    """The frames of a stretch by their times, or else the one before: uint8 [T, C, H, W]."""
    inside = [i for i, time in enumerate(times) if begin - 1e-6 <= time <= end + 1e-6]
    inside = inside or [max(i for i, time in enumerate(times) if time < begin)]
    return video.read(
        path, [inside[i] for i in sampler.uniform(len(inside), clip_len)], (size,) * 2
    )


# --- a window slides along a video ----------------------------------------------------------


def test_the_answer_changes_when_the_light_does(films):
    line = explain.timeline(Watcher(), films / "light.mp4", size=16, window=0.45, step=0.23)
    bright = line.probabilities[:, 1]
    before = torch.tensor([end < 1.99 for end in line.end])
    after = torch.tensor([begin > 1.91 for begin in line.begin])
    assert min(before.sum(), after.sum()) >= 7
    assert bright[before].max() < 0.01
    assert bright[after].min() > 0.99
    assert bright.tolist() == sorted(bright.tolist())
    assert torch.allclose(line.probabilities.sum(1), torch.ones(len(bright)))


def test_windows_begin_every_step_and_the_last_ends_with_the_video(films):
    line = explain.timeline(Watcher(), films / "light.mp4", size=8, window=1.5, step=0.7)
    assert line.begin == pytest.approx([0, 0.7, 1.4, 2.1, 2.4])
    assert line.end == pytest.approx([1.5, 2.2, 2.9, 3.6, 3.9])
    assert (line.probabilities.shape, line.probabilities.dtype) == ((5, 2), torch.float32)
    assert not line.probabilities.requires_grad


@given(st.floats(0, 60), st.floats(0.05, 5), st.floats(0.05, 5))
@example(1.0, 1.0, 0.5)
@example(2.0, 1.0, 0.5)
def test_windows_leave_nothing_out(duration, window, step):
    times = np.linspace(0, duration, 2 + math.ceil(duration / 0.04)).tolist()
    begins, ends = zip(*explain._spans(times, window, step), strict=True)
    assert begins[0] == 0
    assert list(begins) == sorted(begins)
    assert max(np.diff(begins), default=0) <= step + 1e-9
    assert ends[-1] == duration
    if duration <= window:
        assert begins == (0,)
    else:
        assert begins[-1] + window == pytest.approx(duration)


rising = st.lists(st.sampled_from([0.04, 0.2, 1, 7, 3600]), min_size=1, max_size=40)


@given(rising, st.sampled_from([0.25, 1, 3]), st.sampled_from([0.5, 1, 2]))
def test_windows_are_those_in_which_a_frame_appears(pauses, window, step):
    times = [0.0, *itertools.accumulate(pauses)]
    spans = explain._spans(times, window, step)
    assert len(spans) <= len(times) * (window / step + 2)  # however long the pauses
    assert all(any(b - 1e-6 <= t <= e + 1e-6 for t in times) for b, e in spans)
    every = [n * step for n in range(int(min(times[-1], 2000) / step) + 1)]
    begins = {begin for begin, _ in spans}
    for begin in every:
        if begin + window <= times[-1] and any(begin < t < begin + window for t in times):
            assert begin in begins


@pytest.mark.parametrize("name", ["jumping.mkv", "jumping.ts"])
def test_times_that_jump_by_hours_give_windows_only_where_a_frame_appears(name, tmp_path):
    path = DATA / "odd" / name
    times = [picture.seconds for picture in video.pictures(path)]
    assert times[-1] > 3600
    watcher = Watcher(2)
    line = explain.timeline(watcher, path, size=8, window=0.5, step=0.25)
    assert len(line.begin) < 10
    assert (line.begin[0], line.end[-1]) == (0, times[-1])
    for begin, end in zip(line.begin, line.end, strict=True):
        assert any(begin - 1e-6 <= time <= end + 1e-6 for time in times)


def test_the_overall_answer_is_the_mean_of_all_windows(films):
    line = explain.timeline(Watcher(), films / "light.mp4", size=8, window=1, step=1)
    bright = [row[1] for row in line.probabilities.tolist()]
    assert line.overall[1].item() == pytest.approx(sum(bright) / len(bright))


def test_a_video_shorter_than_the_window_is_one_window():
    model = Watcher(clip_len=16)
    line = explain.timeline(model, DATA / "h264.mp4", size=24)
    assert (line.begin, line.end) == ([0], [pytest.approx(19 / 25)])
    whole = video.read(DATA / "h264.mp4", lambda n: sampler.uniform(n, 16), (24, 24))
    assert model.batches[0].equal(normalize(whole)[None])


def test_a_single_frame_is_one_window(tmp_path):
    video.write(tmp_path / "one.mp4", torch.full((1, 3, 16, 16), 230, dtype=torch.uint8), 25)
    line = explain.timeline(Watcher(), tmp_path / "one.mp4", size=8)
    assert (line.begin, line.end) == ([0], [0])
    assert line.probabilities[0, 1] > 0.99


@pytest.mark.parametrize(("window", "step"), [(0.171, 0.137), (0.04, 0.29), (0.61, 0.137)])
def test_windows_are_stretches_of_time_not_of_frames(window, step):
    model = Watcher()
    line = explain.timeline(model, DATA / "vfr.mp4", size=8, window=window, step=step)
    seen = torch.cat(model.batches)
    assert line.end[-1] == pytest.approx(2.3)
    for clip, begin, end in zip(seen, line.begin, line.end, strict=True):
        assert clip.equal(normalize(shown(DATA / "vfr.mp4", VFR, begin, end)))


@pytest.mark.parametrize(
    ("begin", "end", "frames"),
    [
        (0.0, 0.09, [0, 1, 2]),
        (0.25, 0.95, [8, 9, 10, 11, 12]),
        (0.35, 0.45, [9]),  # no frame is shown anew
        (0.55, 0.65, [10]),
        (0.45, 0.55, [10]),
        (2.25, 2.35, [19]),
        (2.4, 2.5, [19]),
    ],
)
def test_a_moment_shows_its_frames_or_else_the_one_before(begin, end, frames):
    clip = explain.clip_at(Watcher(5), DATA / "vfr.mp4", begin, end, size=8)
    kept = [frames[i] for i in sampler.uniform(len(frames), 5)]
    assert clip.dtype == torch.uint8
    assert clip.equal(video.read(DATA / "vfr.mp4", kept, (8, 8)))


@pytest.mark.parametrize("option", ["window", "step"])
@pytest.mark.parametrize("seconds", [0, -1.5, float("nan"), float("inf")])
def test_a_window_or_step_of_no_length_is_named(option, seconds):
    with pytest.raises(ValueError, match=f"window and step must be above 0 .* {seconds!r}"):
        explain.timeline(Watcher(), "never looked at.mp4", size=8, **{option: seconds})


def test_a_missing_video_is_named():
    with pytest.raises(video.VideoError, match=r"nowhere\.mp4: no such file"):
        explain.timeline(Watcher(), "nowhere.mp4", size=8)


def test_many_windows_get_the_answers_that_each_gets_alone():
    model, path = Watcher(), DATA / "h264.mp4"
    line = explain.timeline(model, path, size=8, window=0.19, step=0.03)
    assert len(line.begin) == 20
    assert 1 < max(map(len, model.batches)) < 20
    for row, begin, end in zip(line.probabilities, line.begin, line.end, strict=True):
        clip = explain.clip_at(model, path, begin, end, size=8)
        torch.testing.assert_close(row, model(normalize(clip)[None])[0].softmax(0))


def test_it_never_holds_the_whole_video(monkeypatch):
    alive, most = [], [0]

    def watched(make):
        def wrapper(*args):
            out = make(*args)
            alive[:] = [ref for ref in alive if ref() is not None]
            alive.append(weakref.ref(out))
            most[0] = max(most[0], len(alive))
            return out

        return wrapper

    class Picture:
        pixels = watched(lambda self, size, _: np.full((*size, 3), self.number, np.uint8))

        def __init__(self, number):
            self.number, self.seconds = number, number / 10

    made = watched(Picture)
    monkeypatch.setattr(video, "pictures", lambda _: map(made, range(200)))
    monkeypatch.setattr(video, "read", None)
    gc.collect()
    line = explain.timeline(Watcher(), "long.mp4", size=8, window=0.55, step=0.5)
    assert len(line.begin) == 40
    assert most[0] < 30  # of 200 frames, each window has six


# --- each window has its own crop -----------------------------------------------------------


class Follow:
    """A crop that knows where the bright square is."""

    def __init__(self):
        self.asked = []

    def track(self, path):
        return types.SimpleNamespace(path=path, times=[i / 10 for i in range(40)])

    def warn(self, track, path, spans):
        assert len(spans) > 1

    def square(self, track, path, begin, end):
        assert track.path == path
        self.asked.append((begin, end))
        return (0, 0, 16, 16) if end < 2 else (0, 16, 16, 16)


def test_the_crop_follows_the_face_from_window_to_window(films):
    crop, path = Follow(), films / "square.mp4"
    line = explain.timeline(Watcher(), path, size=8, window=0.45, step=0.5, crop=crop)
    assert crop.asked == list(zip(line.begin, line.end, strict=True))
    assert len(crop.asked) == 8
    assert line.probabilities[:, 1].min() > 0.99
    asked = crop.asked.pop()
    clip = explain.clip_at(Watcher(), path, *asked, size=8, crop=crop)
    assert crop.asked[-1] == asked
    assert clip.float().mean() > 200


def test_a_window_around_all_of_a_video_shows_what_the_crop_reads():
    model, crop = Watcher(), FaceCrop()
    explain.timeline(model, DATA / "h264.mp4", size=24, crop=crop)
    whole = crop.read(DATA / "h264.mp4", lambda n: sampler.uniform(n, 4), (24, 24))
    assert model.batches[0].equal(normalize(whole)[None])


@pytest.mark.parametrize("name", ["vfr.mp4", "no_face.mp4"])
def test_a_crop_moves_no_window(name):
    lines = [
        explain.timeline(Watcher(), DATA / name, size=8, window=0.21, step=0.1, crop=crop)
        for crop in (None, FaceCrop(no_face="centre"))
    ]
    assert (lines[0].begin, lines[0].end) == (lines[1].begin, lines[1].end)


@pytest.mark.parametrize("name", ["no_face.mp4", "late_face.mp4"])
def test_a_window_without_a_face_is_an_error_if_the_crop_says_so(name):
    path, crop = DATA / name, FaceCrop(every=2)
    options = {"size": 8, "window": 0.25, "step": 0.25}
    with pytest.raises(NoFaceError, match=name):
        explain.timeline(Watcher(), path, crop=crop, **options)
    explain.timeline(Watcher(), path, crop=FaceCrop(no_face="centre"), **options)


# --- where a network looks ------------------------------------------------------------------

STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")


TURNS = {"layer1": -1, "layer2": -2, "layer3": -3, "layer4": -1}


class Turn(nn.Module):
    """Turn width, height or time around."""

    def __init__(self, axis):
        super().__init__()
        self.axis = axis

    def forward(self, features):
        return features.flip(self.axis)


class Colours(nn.Module):
    """Class 0 is red without blue, class 1 is blue, class 2 is the lack of green.

    Features are half as large as the clip, and each stage turns them.
    """

    clip_len = 4

    def __init__(self):
        super().__init__()
        stages = {"stem": nn.AvgPool3d(2), **{name: Turn(axis) for name, axis in TURNS.items()}}
        self.backbone = nn.Sequential(collections.OrderedDict(stages, fc=nn.Identity()))
        self.head = nn.Linear(3, 3, bias=False)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[1.0, 0, -1], [0, 0, 1], [0, -1, 0]]))

    def forward(self, clips):
        return self.head(self.backbone(clips.transpose(1, 2)).mean((2, 3, 4)))


def coloured():
    """Black, with red at the top right of the last two frames, and less blue at the bottom left."""
    clip = torch.zeros(4, 3, 8, 8)
    clip[2:, 0, :4, 4:] = 5
    clip[:2, 2, 4:, :4] = 2
    return clip


@pytest.fixture(scope="module")
def real():
    torch.manual_seed(0)
    model = R3DEmotion(3, clip_len=4)
    with torch.no_grad():
        for _ in range(10):
            model.train()(torch.randn(2, 4, 3, 24, 16))  # lived-in batch norms
    return model.eval()


def untouched(model):
    """No gradient and no hook is left behind."""
    hooks = [(m._forward_hooks, m._forward_pre_hooks, m._backward_hooks) for m in model.modules()]
    assert not any(itertools.chain.from_iterable(hooks))
    return all(p.grad is None and p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("layer", STAGES)
def test_a_map_lights_what_speaks_for_the_class_and_when(layer):
    model, clip = Colours(), coloured()
    turned = [TURNS[name] for name in STAGES[1 : STAGES.index(layer) + 1]]
    red, blue = (explain.grad_cam(model, clip, target, layer) for target in (0, 1))
    assert (red.shape, red.dtype) == ((4, 8, 8), torch.float32)
    assert (red.min(), red.max()) == (0, 1)
    for axis in turned:
        red, blue = red.flip(axis), blue.flip(axis)
    assert (red[3, :3, 5:] == 1).all()
    assert red[:, 0, 7].tolist() == [0, 0.25, 0.75, 1]  # between two cells it is blended
    assert not red[:, 6:].any()
    assert not red[:, :, :3].any()
    assert (blue[0, 5:, :3] == 1).all()
    assert blue[:, 7, 0].tolist() == [1, 0.75, 0.25, 0]
    assert not blue[:, :2].any()
    assert not blue[:, :, 5:].any()
    assert untouched(model)


@pytest.mark.parametrize(("channels", "target"), [([0, 1, 2], 0), ([2, 1, 0], 1)])
def test_the_class_is_the_models_own_answer_unless_another_is_asked_for(channels, target):
    model, clip = Colours(), coloured()[:, channels]
    assert model(clip[None]).argmax() == target
    own = explain.grad_cam(model, clip)
    assert own.max() == 1
    assert own.equal(explain.grad_cam(model, clip, target))
    assert not own.equal(explain.grad_cam(model, clip, 1 - target))


def test_the_maps_of_a_batch_are_those_of_its_clips():
    model, clips = Colours(), torch.stack([coloured(), coloured()[:, [2, 1, 0]], -coloured()])
    for target in (None, 1, torch.tensor([0, 1, 0])):
        each = target.tolist() if isinstance(target, torch.Tensor) else [target] * 3
        alone = [explain.grad_cam(model, *one) for one in zip(clips, each, strict=True)]
        assert explain.grad_cam(model, clips, target).equal(torch.stack(alone))


@pytest.mark.parametrize("clip", [torch.zeros(4, 3, 8, 8), coloured(), coloured() + 1])
def test_a_map_is_dark_where_nothing_speaks_for_the_class(clip):
    # There is no green, or it speaks against the class.
    assert explain.grad_cam(Colours(), clip, 2).equal(torch.zeros(4, 8, 8))


def test_a_map_is_the_same_where_gradients_are_switched_off():
    expected = explain.grad_cam(Colours(), coloured())
    with torch.no_grad():
        assert explain.grad_cam(Colours(), coloured()).equal(expected)


@pytest.mark.slow
def test_every_stage_of_the_real_network_can_be_looked_at(real):
    clip = torch.randn(4, 3, 24, 16, generator=torch.Generator().manual_seed(1))
    before = clip.clone()
    lit = 0
    for layer, target in itertools.product(STAGES, range(3)):
        cam = explain.grad_cam(real, clip, target, layer)
        assert cam.shape == (4, 24, 16)
        assert cam.min() >= 0
        assert cam.max() in (0, 1)
        lit += bool(cam.max())
    assert lit >= 5
    assert untouched(real)
    assert not real.training
    assert clip.equal(before)
    assert (clip.grad, clip.requires_grad) == (None, False)


@pytest.mark.parametrize(
    "shape", [(1, 4, 3, 3, 8, 8), (1, 3, 3, 8, 8), (3, 3, 8, 8), (5, 3, 8, 8), (4, 8, 8)]
)
def test_a_clip_of_another_shape_is_named(shape):
    expected = r"one clip \[T=4, C, H, W\] or a batch of them, got \["
    with pytest.raises(ValueError, match=expected) as caught:
        explain.grad_cam(Colours(), torch.zeros(shape))
    assert str(list(shape)) in str(caught.value)


@pytest.mark.parametrize("layer", ["fc", "layer5", "head", ""])
def test_an_unknown_stage_is_named(layer):
    with pytest.raises(ValueError, match=f"one of stem, layer1 to layer4, got '{layer}'"):
        explain.grad_cam(Colours(), coloured(), layer=layer)


# --- what gates do --------------------------------------------------------------------------

CLIPS = torch.randn(2, 4, 3, 24, 16, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def test_each_gate_is_told_by_its_name(real):
    modules = {n: m for n, m in real.named_modules() if isinstance(m, SqueezeExcitation3d)}
    came_in = {}
    hooks = [
        m.register_forward_pre_hook(lambda module, inputs: came_in.update({module: inputs[0]}))
        for m in modules.values()
    ]
    answer = real(CLIPS)
    for hook in hooks:
        hook.remove()
    found = explain.gates(real, CLIPS)
    assert [gate.shape for gate in found.values()] == [(2, 256)] * 2 + [(2, 512)] * 2
    assert found.keys() == modules.keys()
    for name, gate in found.items():
        own = modules[name]
        squeezed = came_in[own].mean((2, 3, 4), keepdim=True)
        by_hand = torch.sigmoid(own.expand(own.reduce(squeezed).relu()))
        torch.testing.assert_close(gate, by_hand[:, :, 0, 0, 0])
        assert 0 < gate.min() < gate.max() < 1
    assert real(CLIPS).equal(answer)
    assert untouched(real)


def test_gates_that_start_at_identity_are_exactly_one():
    found = explain.gates(R3DEmotion(2, clip_len=4, se="residual", se_init="identity"), CLIPS)
    assert len(found) == 4
    assert all(gate.eq(1).all() and not gate.requires_grad for gate in found.values())


def test_a_model_without_gates_has_none_to_tell():
    assert explain.gates(R3DEmotion(2, clip_len=4, se=None).eval(), CLIPS) == {}


def test_a_video_that_the_model_refuses_leaves_no_hook(real):
    with pytest.raises(ValueError, match="expected a video"):
        explain.gates(real, CLIPS[0])
    assert untouched(real)


def test_no_window_is_asked_twice():
    begins = [begin for begin, _ in explain._spans([i / 25 for i in range(111)], 0.1, 0.1)]
    assert min(b - a for a, b in itertools.pairwise(begins)) > 0.05


def test_the_last_window_has_the_last_frame():
    path = DATA / "late_face.mp4"  # whose last frame is shown at 0.92 s; 0.72 + 0.2 is a bit less
    watcher = Watcher(6)
    line = explain.timeline(watcher, path, size=8, window=0.2, step=0.18)
    last = normalize(video.read(path, [23], (8, 8)))[0]
    assert line.end[-1] == 0.92
    assert torch.equal(watcher.batches[-1][-1][-1], last)


def test_a_window_that_ends_before_it_begins_is_named():
    with pytest.raises(ValueError, match=r"got 1, 0\.5"):
        explain.clip_at(Watcher(), DATA / "vfr.mp4", 1, 0.5, size=8)

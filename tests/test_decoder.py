"""Unusual files of cameras and recorders are read as FFmpeg's command line shows them."""

import importlib.util
import json
import shutil
import warnings
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from r3d_helpers import video

ODD = Path(__file__).parent / "data" / "odd"
spec = importlib.util.spec_from_file_location("odd", ODD / "make.py")
odd = importlib.util.module_from_spec(spec)
spec.loader.exec_module(odd)

EXPECTED = json.loads((ODD / "expected.json").read_text())
DAMAGED = EXPECTED.pop("damaged")
PICTURES = np.load(ODD / "expected.npz")
NAMES = [path.name for path in odd.files()]
CUT = ("short.mp4",)
SHAPES = {  # which the command line does not give: it leaves oblong pixels, and has one size
    "circle.mp4": [(240, 320)],
    "oblong_4_3.mp4": [(64, 128)],
    "oblong_3_4.webm": [(85, 96)],
    "oblong_16_11.ts": [(64, 141)],
    "two_sizes.h264": [(32, 48), (64, 96)],
}

needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="no ffmpeg to ask")


def streamed(path):
    """Times and frames, and whether there was a warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        times, frames = zip(*video.stream(path), strict=True)
    return times, frames, bool(caught)


def as_stored(frames, shapes):
    """Frames with oblong pixels again, to be compared with FFmpeg's."""
    ((height, width),) = shapes
    return [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in frames]


def gap(one, other):
    return np.abs(one.astype(int) - other).mean()


def test_every_odd_file_is_expected():
    assert sorted(EXPECTED) == sorted(PICTURES.files) == NAMES
    assert len(NAMES) > 60


@pytest.mark.parametrize("name", NAMES)
def test_frames_times_and_pixels_are_those_of_ffmpeg(name):
    expected = EXPECTED[name]
    times, frames, warned = streamed(ODD / name)
    first = expected["times"][0]
    assert times == pytest.approx([time - first for time in expected["times"]], abs=1e-3)
    shapes = sorted({frame.shape[:2] for frame in frames})
    assert shapes == SHAPES.get(name, [*map(tuple, expected["shapes"])])
    shown = as_stored(frames, expected["shapes"])
    shown = [shown[0], shown[len(shown) // 2], shown[-1]]
    for frame, picture in zip(shown, PICTURES[name], strict=True):
        assert gap(odd.cells(frame), picture) < (8 if name in SHAPES else 2)
    assert warned == (name in CUT)


@needs_ffmpeg
@pytest.mark.parametrize("name", NAMES)
def test_the_same_comes_from_the_ffmpeg_installed_here(name):
    expected, _ = odd.decode(ODD / name)
    _, frames, _ = streamed(ODD / name)
    assert len(frames) == len(expected)
    frames = as_stored(frames, {frame.shape[:2] for frame in expected})
    assert max(map(gap, frames, expected)) < (16 if name in SHAPES else 4)


@pytest.mark.parametrize("name", NAMES)
def test_probe_and_read_agree_with_the_stream(name, recwarn):
    times, frames, _ = streamed(ODD / name)
    info = video.probe(ODD / name)
    assert (info.num_frames, info.height, info.width) == (len(times), *frames[0].shape[:2])
    wanted = [len(times) - 1, 0, len(times) // 2]
    small = video.read(ODD / name, lambda num_frames: wanted, (20, 20)).permute(0, 2, 3, 1).numpy()
    for index, picture in zip(wanted, small, strict=True):
        assert gap(video.resize(frames[index], (20, 20)), picture) < 6
    if len(SHAPES.get(name, [0])) > 1:
        with pytest.raises(video.VideoError, match=r"frame size changes .*32x48, 64x96"):
            video.read(ODD / name)
    else:
        whole = video.read(ODD / name).permute(0, 2, 3, 1).numpy()
        assert all(map(np.array_equal, whole, frames))


@pytest.mark.parametrize("name", NAMES)
def test_a_sampler_is_given_the_true_number_of_frames(name, recwarn):
    given = []
    last = video.read(ODD / name, lambda n: given.append(n) or [n - 1], (8, 8))
    assert last.equal(video.read(ODD / name, size=(8, 8))[-1:])
    assert given[-1] == len(EXPECTED[name]["times"])
    if name not in ("short.mp4", "no_key_frame.h264"):  # what these state cannot be trusted
        assert len(given) == 1


def test_a_circle_is_a_circle():
    frame = video.read(ODD / "circle.mp4", [0], (84, 84))[0].float().mean(0).numpy()
    inside = np.abs(frame - frame[0, 0]) > 60
    height, width = (np.ptp(np.flatnonzero(inside.any(axis))) + 1 for axis in (1, 0))
    assert height > 40
    assert abs(height - width) <= 2


def test_interlaced_frames_are_all_different_and_the_same_every_time():
    first, second = (video.read(ODD / "camcorder.mp4") for _ in range(2))
    assert len({frame.numpy().tobytes() for frame in first}) == 25
    assert first.equal(second)


@pytest.mark.parametrize("box", [(0, 0, 40, 30), (7, 13, 31, 33), (23, 1, 41, 63)])
@pytest.mark.parametrize(
    "name", [*odd.TURNS, "yuv444.mp4", "hevc_10bit.mp4", "mjpeg.avi", "gif.gif"]
)
def test_a_box_is_cut_from_the_picture_as_it_is_shown(name, box):
    top, left, height, width = box
    _, frames, _ = streamed(ODD / name)
    turned = frames[0].shape[0] > frames[0].shape[1]
    if not turned:
        top, left, height, width = box = left, top, width, height
    part = frames[4][top : top + height, left : left + width]
    whole = video.read(ODD / name, [4], box=box)[0].permute(1, 2, 0).numpy()
    assert np.array_equal(whole, part)
    small = video.read(ODD / name, [4], (16, 16), box)[0].permute(1, 2, 0).numpy()
    assert gap(small, video.resize(part, (16, 16))) < 6


@pytest.mark.filterwarnings("ignore:.*damaged")
@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("place", range(odd.PLACES))
def test_a_damaged_file_gives_what_ffmpeg_gives_and_a_warning(tmp_path, name, place):
    path = tmp_path / name
    path.write_bytes(odd.damage((ODD / name).read_bytes(), place, odd.PLACES))
    count, complains = DAMAGED[name][place]
    if shutil.which("ffmpeg"):
        assert (len(odd.decode(path)[0]), odd.complains(path)) == (count, complains)
    if count == 0:
        with pytest.raises(video.VideoError, match=name):
            video.read(path)
        return
    times, frames, warned = streamed(path)
    assert len(frames) == count
    assert all(a < b for a, b in pairwise(times))
    assert warned == complains
    assert video.probe(path).missing >= len(EXPECTED[name]["times"]) - count
    given = []
    video.read(path, lambda num_frames: given.append(num_frames) or [0])
    assert given[-1] == count


@pytest.mark.parametrize("name", ["mjpeg.avi", "flash.flv"])
def test_a_last_frame_that_is_torn_is_no_whole_one(tmp_path, name):
    path = tmp_path / name
    path.write_bytes((ODD / name).read_bytes()[:-1500])
    _, frames, warned = streamed(path)
    assert 8 <= len(frames) <= 10
    assert warned

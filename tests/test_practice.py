"""Lessons 11 to 13, with the wide videos and the camera."""

import re

import lessons
import numpy as np
import pytest

from r3d_helpers import datasets, doctor, video
from r3d_helpers.classroom import camera, wide

# What a cell prints if something is not as the page says.
SHOUTED = re.compile(r"\bFalse\b|\b(ANOTHER|DIFFER|FAR|HAS|LESS|NO|NONE|NOT|ODD|SAME|TWO|YES)\b")


@pytest.mark.parametrize("name", lessons.PRACTICE)
def test_it_says_first_what_for_and_how_long(name):
    first = lessons.load(name).cells[0].source
    for words in ("**After this lesson you can**", "**Minutes:**", "**Before this:**"):
        assert words in first


@pytest.mark.parametrize("name", lessons.PRACTICE)
def test_what_is_stated_is_true(name):
    """Without it: a page contradicts its own output."""
    shown = [o.text for c in lessons.load(name).cells for o in c.get("outputs", ()) if "text" in o]
    assert not any(SHOUTED.search(text) for text in shown)


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("11_your_own_videos", "ValueError", "labels ['calm'] are not among the classes"),
        ("13_scale_out", "InvalidArgument", "Got: 5 Expected: 4"),
    ],
)
def test_the_red_cell_fails_for_the_stated_reason(name, error, words):
    (found,) = [o for c in lessons.load(name).cells for o in c.get("outputs", ()) if "evalue" in o]
    assert found.ename == error
    assert words in found.evalue


def test_lesson_13_sees_a_wrong_gradient_and_refuses():
    text = lessons.stored_text("13_scale_out", "finding-bfloat16-refused")
    assert "in bfloat16 the gradient of backbone.layer1.0.conv2.0.weight is wrong by" in text


def test_scenes_keep_names_frames_and_everybody_in_one_place(tmp_path):
    clips = datasets.ravdess(doctor.SAMPLES)[:3]
    wide.film(clips, tmp_path)
    filmed = datasets.ravdess(tmp_path)
    assert [c.path.name for c in filmed] == [c.path.name for c in clips]
    still = []
    for before, after in zip(clips, filmed, strict=True):
        info = video.probe(after.path)
        assert (info.height, info.width) == (wide.HEIGHT, wide.WIDTH)
        assert info.num_frames == video.probe(before.path).num_frames
        frames = video.read(after.path).float()
        still.append((frames.std(0).mean(0) < 1).numpy())  # the wall
    assert np.mean(still[0] == still[1]) > 0.9
    assert 0.3 < still[0].mean() < 0.9


class Camera:
    """Grey pictures of an odd size, so many of them."""

    def __init__(self, pictures):
        self.left = pictures

    def isOpened(self):
        return self.left > 0

    def read(self):
        self.left -= 1
        return self.left >= 0, np.full((31, 41, 3), (10, 120, 250), np.uint8)

    def release(self):
        self.released = True


def test_the_camera_records_a_video_in_the_right_colours(tmp_path, monkeypatch):
    device = Camera(5)
    with monkeypatch.context() as patch:
        patch.setattr("cv2.VideoCapture", lambda _: device)
        path = camera.record(tmp_path / "me.mp4", seconds=5)
    frames = video.read(path)
    assert frames.shape == (5, 3, 30, 40)
    red, green, blue = frames.float().mean((0, 2, 3))
    assert red > green > blue
    assert device.released


def test_where_there_is_no_camera_it_says_what_else_to_do(tmp_path, monkeypatch):
    device = Camera(0)
    monkeypatch.setattr("cv2.VideoCapture", lambda _: device)
    with pytest.raises(video.VideoError, match=r"camera 0: there is none, .*upload a video"):
        camera.record(tmp_path / "me.mp4")
    assert device.released
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_recording_takes_some_time(tmp_path, seconds):
    with pytest.raises(ValueError, match="seconds must be above 0"):
        camera.record(tmp_path / "me.mp4", seconds=seconds)

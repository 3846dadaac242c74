"""The drawn actors: a pure function of their numbers, and labels only in the faces."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from r3d_helpers import datasets, video
from r3d_helpers.classroom import actors

EMOTIONS = list(actors.PROTOTYPES)
SLOTS = [(actor, take) for actor in range(1, 100) for take in range(1, 11)]


@pytest.fixture(scope="module")
def schedules():
    return [actors.schedule(actor, take) for actor, take in SLOTS]


def test_emotions_are_those_of_ravdess_without_calm():
    assert set(EMOTIONS) == set(datasets.RAVDESS_EMOTIONS.values()) - {"calm"}
    assert all(set(units) <= set(actors.ACTION_UNITS) for units in actors.PROTOTYPES.values())


def test_a_clip_is_a_pure_function_of_its_arguments():
    first = actors.clip(3, "happy", 2)
    actors.clip(4, "sad", 1)
    np.random.seed(1)  # noqa: NPY002 (the state that must not matter)
    torch.manual_seed(1)
    assert torch.equal(first, actors.clip(3, "happy", 2, seed=0))


@pytest.mark.parametrize(
    "other", [(5, "sad", 1, 0), (3, "angry", 1, 0), (3, "sad", 2, 0), (3, "sad", 1, 1)]
)
def test_actor_emotion_take_and_seed_all_matter(other):
    *slot, seed = other
    one, two = actors.clip(3, "sad", 1), actors.clip(*slot, seed=seed)
    assert (one[0].float() - two[0].float()).abs().mean() > 1


def test_clip_is_uint8_rgb_and_as_long_as_its_schedule():
    clip = actors.clip(1, "surprised", 1)
    assert clip.dtype == torch.uint8
    assert clip.shape == (len(actors.schedule(1, 1)), 3, actors.SIZE, actors.SIZE)
    assert clip.is_contiguous()


def test_length_and_timing_cannot_tell_the_emotion():
    lengths = {len(actors.clip(2, emotion, 1)) for emotion in EMOTIONS}
    assert lengths == {len(actors.schedule(2, 1))}


def test_lengths(schedules):
    lengths = np.array([len(s) for s in schedules])
    assert lengths.min() == 11
    assert 40 <= lengths.max() <= 45
    assert 0.21 < (lengths < 16).mean() < 0.29


def test_some_clips_peak_at_the_very_end(schedules):
    short = np.array([len(s) < 16 for s in schedules])
    first_half = np.array([(s > 0.5).argmax() / len(s) for s in schedules])
    late = first_half > 0.65
    assert 0.16 < late.mean() < 0.25
    assert late[short].mean() > 1.5 * late[~short].mean()
    # One frame of tolerance: an 11-frame clip has no finer grid.
    shown = [(s > 0.5).mean() for s, is_late in zip(schedules, late, strict=True) if is_late]
    assert 0.24 < np.mean(shown) < 0.31
    assert max(shown) < 0.30 + 1 / 11


def test_every_schedule_reaches_its_apex(schedules):
    assert all(s.min() >= 0 and 0.85 < s.max() <= 1 for s in schedules)
    assert all(s[0] < 0.25 for s in schedules)


@pytest.mark.parametrize("unit", actors.ACTION_UNITS)
@pytest.mark.parametrize("beard", [False, True])
def test_each_action_unit_alone_changes_the_picture(unit, beard):
    who = replace(actors.identity(1), beard=beard)
    rest, half, full = (actors.draw(who, {unit: x}).astype(int) for x in (0.0, 0.5, 1.0))
    assert 0 < np.abs(half - rest).sum() < np.abs(full - rest).sum()
    assert np.abs(full - rest).max() > 20


def test_emotions_look_different_on_one_face():
    who = actors.identity(1)
    pictures = [actors.draw(who, units).astype(int) for units in actors.PROTOTYPES.values()]
    for i, one in enumerate(pictures):
        for two in pictures[:i]:
            assert (np.abs(one - two).max(-1) > 30).sum() > 40  # pixels


@pytest.mark.parametrize("style", actors.STYLES)
def test_every_style_is_drawn(style):
    bald = replace(actors.identity(1), style="none")
    picture = actors.draw(replace(bald, style=style), {})
    assert picture.shape == (actors.SIZE, actors.SIZE, 3)
    assert picture.dtype == np.uint8
    assert (picture == actors.draw(bald, {})).all() == (style == "none")


def test_light_and_pose_differ_between_the_takes_of_an_actor():
    means = [actors.clip(1, e, t)[0].float().mean((1, 2)) for e in ("sad", "happy") for t in (1, 2)]
    assert all((a - b).abs().max() > 3 for i, a in enumerate(means) for b in means[:i])


@pytest.mark.parametrize("emotion", EMOTIONS)
@pytest.mark.parametrize("take", [1, 2])
def test_names_are_those_of_ravdess(emotion, take):
    folder, file = actors.name(7, emotion, take).split("/")
    assert folder == "Actor_07"
    modality, channel, code, intensity, statement, repetition, actor = file.removesuffix(
        ".mp4"
    ).split("-")
    assert (modality, channel, statement, actor) == ("02", "01", "01", "07")
    assert datasets.RAVDESS_EMOTIONS[code] == emotion
    assert repetition == f"{take:02}"
    assert intensity == ("02" if take == 2 and emotion != "neutral" else "01")


def test_generate_writes_what_clip_draws(tmp_path):
    paths = actors.generate(tmp_path, actors=1, takes=1, progress=False)
    assert len(set(paths)) == 7
    assert sorted(tmp_path.rglob("*.*")) == sorted(paths)
    for path, emotion in zip(paths, EMOTIONS, strict=True):
        drawn, read = actors.clip(1, emotion, 1), video.read(path)
        assert drawn.shape == read.shape
        assert (drawn.float() - read.float()).abs().mean() < 5
    found = datasets.ravdess(tmp_path)
    assert sorted(clip.label for clip in found) == sorted(EMOTIONS)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: actors.generate(".", actors=0), "actors is 0, expected 1 to 99"),
        (lambda: actors.generate(".", actors=100), "actors is 100"),
        (lambda: actors.generate(".", takes=100), "takes is 100"),
        (lambda: actors.clip(0, "sad", 1), "actor is 0"),
        (lambda: actors.clip(1, "sad", 0), "take is 0"),
        (lambda: actors.clip(1, "calm", 1), "emotion is 'calm', expected one of neutral, happy"),
        (lambda: actors.name(1, "joy", 1), "emotion is 'joy'"),
        (lambda: actors.identity(100), "actor is 100"),
        (lambda: actors.draw(actors.identity(1), {3: 1.0}), r"action_units has \[3\]"),
    ],
)
def test_a_bad_argument_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# The command


def test_the_command_draws_seven_emotions(tmp_path, capsys):
    assert actors.main(["--actors", "1", "--takes", "1", "--out", str(tmp_path)]) == 0
    paths = list(tmp_path.rglob("*.mp4"))
    assert len(paths) == 7
    assert all(video.probe(path).num_frames > 1 for path in paths)
    assert capsys.readouterr().out == f"7 videos in {tmp_path}\n"


@pytest.mark.parametrize("option", ["--actors", "--takes"])
@pytest.mark.parametrize("value", ["0", "100"])
def test_the_command_names_a_number_out_of_range(tmp_path, capsys, option, value):
    assert actors.main(["--out", str(tmp_path / "new"), option, value]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and value in line
    assert not (tmp_path / "new").exists()

"""`overview`: everything is counted, and what cannot be read is named with its reason."""

import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from r3d_helpers import datasets, video
from r3d_helpers.apply import overview
from r3d_helpers.apply.crops import FaceCrop

DATA = Path(__file__).parent / "data"
Clip = datasets.Clip


def names(clips):
    return [clip.path.name for clip in clips]


def cast(subjects, takes=2):
    return [Clip(Path(f"{s}_{t}.mp4"), "happy", s) for s in subjects for t in range(takes)]


def films(*names, folder=DATA):
    return [Clip(folder / name, "happy", "anna") for name in names]


@pytest.fixture
def mixed(tmp_path):
    """Good clips and bad ones in turn."""
    shutil.copy(DATA / "h264.mp4", tmp_path / "good.mp4")
    shutil.copy(DATA / "vfr.mp4", tmp_path / "slow.mp4")
    shutil.copy(DATA / "audio_only.mp4", tmp_path / "sound.mp4")
    shutil.copy(DATA / "rotated.mov", tmp_path / "short.mov")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "pointer.mp4").write_text("version https://git-lfs.github.com/spec/v1\n")
    order = ["sound.mp4", "good.mp4", "empty.mp4", "slow.mp4", "missing.mp4", "pointer.mp4"]
    return films(*order, "short.mov", folder=tmp_path)


def test_describe_counts_what_decodes(mixed):
    found = overview.describe(mixed)
    assert names(found.clips) == ["good.mp4", "slow.mp4", "short.mov"]
    assert found.frames == [20, 20, 12]
    assert found.seconds == pytest.approx([0.8, 2.34, 0.48], abs=0.01)
    assert found.doubtful == []


def test_describe_says_of_every_clip_why_it_cannot_be_read(mixed):
    found = overview.describe(mixed)
    reasons = {
        "sound.mp4": "cannot be opened",
        "empty.mp4": "the file is empty",
        "missing.mp4": "no such file",
        "pointer.mp4": "git lfs pull",
    }
    assert [clip.path.name for clip, _ in found.unreadable] == list(reasons)
    for clip, error in found.unreadable:
        assert isinstance(error, video.VideoError)
        assert reasons[clip.path.name] in str(error)
        assert str(clip.path) in str(error)


@settings(max_examples=30, deadline=None)  # decodes
@given(st.lists(st.sampled_from(range(6)), max_size=12))
def test_describe_drops_nothing_and_keeps_the_order(picks):
    files = films("rotated.mov", "gone.mp4", "two_faces.mp4", "audio_only.mp4", "a.mp4", "b.mp4")
    clips = [files[pick] for pick in picks]
    found = overview.describe(iter(clips))
    bad = [clip for clip, _ in found.unreadable]
    assert found.clips == [clip for clip in clips if clip in (files[0], files[2])]
    assert bad == [clip for clip in clips if clip not in (files[0], files[2])]
    assert len(found.frames) == len(found.seconds) == len(found.clips)


@pytest.mark.filterwarnings("ignore:.*cut short")
def test_a_clip_cut_short_is_doubtful_but_not_left_out():
    clips = films("h264.mp4", "truncated.mp4")
    found = overview.describe(clips)
    assert found.clips == clips
    assert found.frames == [20, 8]
    ((clip, reason),) = found.doubtful
    assert clip == clips[1]
    assert f"{clip.path}: cut short, 12 frames after 8 are missing" == reason


@pytest.mark.parametrize("name", overview.CREMA_D_DOUBTFUL)
@pytest.mark.parametrize("change", [str, str.lower, str.upper])
@pytest.mark.parametrize("ending", [".flv", ".FLV", ".mp4"])
def test_what_users_of_crema_d_reported_is_doubtful(tmp_path, name, change, ending):
    path = tmp_path / (change(name) + ending)
    shutil.copy(DATA / "rotated.mov", path)
    found = overview.describe([Clip(path, "sad", "1076")])
    assert found.doubtful == [(found.clips[0], f"{path}: {overview.CREMA_D_DOUBTFUL[name]}")]


def test_a_neighbour_of_a_reported_clip_is_not_doubtful(tmp_path):
    for name in ("1076_MTI_NEU_X.flv", "1075_MTI_NEU_XX.flv", "1076_MTI_NEU_XX_2.flv"):
        shutil.copy(DATA / "rotated.mov", tmp_path / name)
        assert not overview.describe(films(name, folder=tmp_path)).doubtful


@pytest.mark.filterwarnings("ignore:.*cut short")
def test_a_description_prints_every_trouble_with_its_file(mixed):
    found = overview.describe([*mixed, *films("truncated.mp4")])
    lines = str(found).splitlines()
    assert lines[0] == "4 clips of 1 subject"
    assert lines[1] == "frames:  8 to 20, median 16"
    assert lines[2] == "seconds: 0.3 to 2.3, median 0.6"
    first = lines.index("4 unreadable:")
    assert lines[first + 1 : first + 5] == [f"  {error}" for _, error in found.unreadable]
    first = lines.index("1 doubtful:")
    assert lines[first + 1 :] == [
        f"  {DATA / 'truncated.mp4'}: cut short, 12 frames after 8 are missing"
    ]


def table(counts):
    """The rows that are printed for ``{subject: {label: count}}``, without spaces to spare."""
    clips = [
        Clip(Path(f"{subject}_{take}.mp4"), label, subject)
        for subject, labels in counts.items()
        for label, count in labels.items()
        for take in range(count)
    ]
    found = overview.Description(clips, [9] * len(clips), [0.3] * len(clips), [], [])
    lines = str(found).splitlines()
    return [" ".join(line.split()) for line in lines[lines.index("") + 1 :]]


def test_neighbours_with_equal_counts_share_a_row():
    whole = {"calm": 2, "angry": 10}
    assert table({f"{i:02}": whole for i in range(1, 25)}) == [
        "subject angry calm",
        "01 to 24 (24), each 10 2",
        "all 240 48",
    ]


def test_holes_are_seen():
    whole = {"angry": 2, "calm": 3}
    people = {name: whole for name in ("01", "02", "03", "05", "06")}
    assert table({**people, "04": {"calm": 3}, "07": {"angry": 1}}) == [
        "subject angry calm",
        "01 to 03 (3), each 2 3",
        "04 0 3",
        "05 to 06 (2), each 2 3",
        "07 1 0",
        "all 11 18",
    ]


def test_the_columns_stand_below_their_labels():
    clips = [Clip(Path("a.mp4"), label, "anna") for label in ("ok", "a rather long label")]
    lines = str(overview.Description(clips, [1, 1], [0.0, 0.0], [], [])).splitlines()[-3:]
    ends = [lines[0].index(label) + len(label) for label in ("a rather long label", "ok")]
    assert ends[1] == len(lines[0])
    for line in lines[1:]:
        assert [i + 1 for i, letter in enumerate(line) if letter == "1"] == ends
    assert lines[1].startswith("anna ")


def test_nothing_to_describe_is_no_crash():
    found = overview.describe([])
    assert (found.clips, found.frames, found.seconds) == ([], [], [])
    assert (found.unreadable, found.doubtful) == ([], [])
    assert str(found) == "0 clips of 0 subjects"


def test_a_set_that_cannot_be_read_at_all_is_described():
    lines = str(overview.describe(films("gone.mp4"))).splitlines()
    assert lines[0] == "0 clips of 0 subjects"
    assert lines[-2:] == ["1 unreadable:", f"  {DATA / 'gone.mp4'}: no such file"]


def test_an_error_that_is_none_of_a_videos_is_not_swallowed():
    def read(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        overview.readable(films("h264.mp4"), read)


def test_a_progress_bar_is_shown_only_if_asked_for(capsys):
    for progress in (False, True):
        overview.readable(films("h264.mp4"), str, progress=progress)
        assert ("1/1" in capsys.readouterr().err) is progress


def test_a_face_crop_is_described_clip_by_clip_the_least_sure_first(mixed):
    crop = FaceCrop()
    clips = [*mixed, *films("no_face.mp4", "late_face.mp4")]
    found = overview.describe(clips, crop=crop)
    assert len(found.faces) == len(found.clips)
    for clip, face in zip(found.clips, found.faces, strict=True):
        assert face == crop.sighting(crop.track(clip.path))
    lines = str(found).splitlines()
    first = lines.index("the face crop is sure of 4 of 5 clips:")
    assert lines[first + 1] == f"  {DATA / 'no_face.mp4'}: a face in 0 of 3 frames looked at"
    assert lines[first + 2] == f"  {DATA / 'late_face.mp4'}: a face in 3 of 5 frames looked at"
    assert sum("frames looked at" in line for line in lines) == 5


def test_several_faces_are_described(tmp_path):
    scene = video.read(DATA / "two_faces.mp4")
    video.write(tmp_path / "two.mp4", torch.cat([scene, scene.flip(3)]), 15)
    lines = str(overview.describe(films("two.mp4", folder=tmp_path), crop=FaceCrop())).splitlines()
    assert lines[-2] == "the face crop is sure of 0 of 1 clip:"
    assert lines[-1].endswith(": a face in 2 of 4 frames looked at and, at another place, in 2")


@pytest.mark.filterwarnings("ignore:.*damaged")
def test_a_clip_whose_frames_show_errors_is_doubtful(tmp_path):
    content = bytearray((DATA / "odd" / "h264.mp4").read_bytes())
    content[2488:2548] = bytes(60)
    (tmp_path / "damaged.mp4").write_bytes(content)
    found = overview.describe(films("damaged.mp4", folder=tmp_path))
    ((_, reason),) = found.doubtful
    assert reason == f"{tmp_path / 'damaged.mp4'}: damaged, some of its frames show errors"

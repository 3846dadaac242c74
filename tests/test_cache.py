"""`cache`: the same pixels as `video.read`, decoded once, and no half-written clip on disk."""

import errno
import hashlib
import io
import itertools
import mmap
import os
import random
import shutil
import signal
import tempfile
import time
import tracemalloc
from functools import partial
from pathlib import Path

import forked
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from r3d_helpers import datasets, video
from r3d_helpers.apply import cache as cache_module
from r3d_helpers.apply.cache import ClipCache
from r3d_helpers.apply.crops import FaceCrop, NoFaceError
from r3d_helpers.apply.runs import Shape

DATA = Path(__file__).parent / "data"
CLIP = DATA / "h264.mp4"
OTHER = DATA / "vfr.mp4"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "clips"


@pytest.fixture
def opened(monkeypatch):
    """The names of the videos that are opened to be decoded."""
    names = []

    def note(decode, path, *args, **kwargs):
        names.append(Path(path).name)
        return decode(path, *args, **kwargs)

    for name in ("read", "stream"):
        monkeypatch.setattr(video, name, partial(note, getattr(video, name)))
    return names


@pytest.fixture
def hashed(monkeypatch):
    """The names of the videos that are read whole to be known by their content."""
    names = []
    digest = hashlib.file_digest

    def note(file, kind):
        names.append(Path(file.name).name)
        return digest(file, kind)

    monkeypatch.setattr(hashlib, "file_digest", note)
    return names


def stored(folder):
    return sorted(folder.glob("*.npy"))


def leftovers(folder):
    return [path for path in folder.iterdir() if path.suffix not in (".npy", ".content")]


# The same pixels, decoded once


@pytest.mark.parametrize(
    "indices", [None, [3], [7, 0, 0, 19, 3], (1, 2), lambda n: [n - 1, 0, n // 2]]
)
@pytest.mark.parametrize("make", [lambda indices: indices, np.array, torch.tensor])
def test_frames_are_those_of_video(folder, indices, make):
    if indices is not None and not callable(indices):
        indices = make(indices)
    cache = ClipCache(folder)
    expected = video.read(CLIP, indices, (32, 48))
    for _ in range(2):  # decoded, then from disk
        frames = cache.read(CLIP, indices, (32, 48))
        assert frames.dtype == torch.uint8
        assert frames.is_contiguous()
        assert torch.equal(frames, expected)


@pytest.mark.parametrize("name", ["h264.mp4", "vp9_odd.webm", "rotated.mov"])
def test_without_a_size_the_video_keeps_its_own(folder, name):
    for _ in range(2):
        assert torch.equal(ClipCache(folder).read(DATA / name), video.read(DATA / name))


@pytest.mark.parametrize("crop", [None, FaceCrop()])
def test_a_second_read_decodes_nothing(folder, opened, crop):
    ClipCache(folder, crop).read(CLIP, [0], (32, 32))
    assert set(opened) == {"h264.mp4"}
    opened.clear()
    cache = ClipCache(folder, crop)
    for indices in (None, [5, 5], lambda n: [n - 1]):
        cache.read(CLIP, indices, (32, 32))
    assert not opened


def test_a_crop_is_stored_as_the_crop_reads_it(folder):
    crop = FaceCrop()
    for _ in range(2):
        frames = ClipCache(folder, crop).read(CLIP, [4, 9], (32, 32))
        assert torch.equal(frames, crop.read(CLIP, [4, 9], (32, 32)))


# What a clip is known by


def test_a_clip_is_known_by_its_content_not_its_name(folder, tmp_path, opened):
    cache = ClipCache(folder)
    frames = cache.read(CLIP)
    opened.clear()
    shutil.copy(CLIP, tmp_path / "copy.mp4")
    assert torch.equal(cache.read(tmp_path / "copy.mp4"), frames)
    (tmp_path / "copy.mp4").rename(tmp_path / "renamed.avi")
    assert torch.equal(cache.read(str(tmp_path / "renamed.avi")), frames)
    assert not opened
    assert len(stored(folder)) == 1


def test_other_content_of_the_same_name_is_decoded_again(folder, tmp_path):
    cache = ClipCache(folder)
    path = tmp_path / "clip.mp4"
    for source in (CLIP, OTHER, CLIP):
        shutil.copy(source, path)
        os.utime(path, (0, 0))
        assert torch.equal(cache.read(path), video.read(source))
    assert len(stored(folder)) == 2


@settings(deadline=None)  # the disk may be busy
@given(st.floats(0, 1, exclude_max=True))
def test_one_other_byte_is_another_clip(place):
    content = bytearray(CLIP.read_bytes())
    content[int(place * len(content))] ^= 1
    with tempfile.TemporaryDirectory() as folder:
        cache = ClipCache(folder)
        changed = Path(folder) / "changed.mp4"
        changed.write_bytes(content)
        assert cache.place(changed, None) != cache.place(CLIP, None)


def test_every_size_is_a_clip_of_its_own(folder):
    cache = ClipCache(folder)
    sizes = [None, (32, 32), (32, 48), (48, 32)]
    for size in sizes * 2:
        assert torch.equal(cache.read(CLIP, size=size), video.read(CLIP, size=size))
    assert len(stored(folder)) == 4


def test_every_crop_is_a_clip_of_its_own(folder):
    kinds = [{}, {"margin": 0.1}, {"every": 4}, {"no_face": "centre"}]
    crops = [None, *(FaceCrop(**each) for each in kinds)]
    for crop in crops * 2:
        expected = video.read(CLIP) if crop is None else crop.read(CLIP)
        assert torch.equal(ClipCache(folder, crop).read(CLIP), expected)
    assert len(stored(folder)) == 5


def test_another_layout_is_another_clip(folder, monkeypatch):
    ClipCache(folder).read(CLIP)
    monkeypatch.setattr(cache_module, "_FORMAT", cache_module._FORMAT + 1)
    ClipCache(folder).read(CLIP)
    assert len(stored(folder)) == 2


# A video is read whole once


@pytest.fixture
def at_once(monkeypatch):
    """A file that has just been written is trusted like an old one."""
    monkeypatch.setattr(cache_module, "_SETTLED", -1)


@pytest.mark.parametrize("crop", [None, FaceCrop()])
def test_a_known_video_is_not_read_whole_again(folder, hashed, at_once, crop):
    for size in (None, (16, 16), (16, 16)):
        ClipCache(folder, crop).read(CLIP, size=size)  # each as in a process of its own
    assert hashed == ["h264.mp4"]
    ClipCache(folder, crop).read(OTHER)
    assert hashed == ["h264.mp4", "vfr.mp4"]


def rewritten(path, content):
    path.write_bytes(content)


def replaced(path, content):
    other = path.with_name("other.mp4")
    other.write_bytes(content)
    other.replace(path)


@pytest.mark.parametrize("change", [rewritten, replaced])
@pytest.mark.parametrize("same_time", [False, True])
def test_a_changed_video_is_noticed(tmp_path, at_once, change, same_time):
    path = tmp_path / "clip.mp4"
    shutil.copy(CLIP, path)
    cache = ClipCache(tmp_path / "clips")
    before, time_before = cache.place(path, None), path.stat().st_mtime_ns
    time.sleep(0.05)  # more than a file system's clock takes for one step
    content = bytearray(CLIP.read_bytes())
    content[-1] ^= 1
    change(path, content)
    if same_time:  # as `rsync --times` and archives do
        os.utime(path, ns=(time_before, time_before))
    assert cache.place(path, None) != before


def test_another_video_in_its_place_is_noticed_where_a_change_has_no_time(
    tmp_path, at_once, monkeypatch
):
    path, cache = tmp_path / "clip.mp4", ClipCache(tmp_path / "clips")
    real = os.stat

    def stat(*args, **kwargs):  # as on Windows
        found = list(real(*args, **kwargs))
        return os.stat_result(found, {"st_mtime_ns": 0, "st_ctime_ns": 0})

    shutil.copy(CLIP, path)
    monkeypatch.setattr(os, "stat", stat)
    before = cache.place(path, None)
    replaced(path, CLIP.read_bytes()[:-1] + b"!")
    assert cache.place(path, None) != before


def test_two_videos_that_a_drive_does_not_tell_apart_are_two(folder, at_once, monkeypatch):
    same = os.stat(CLIP)
    monkeypatch.setattr(os, "stat", lambda *_, **__: same)  # numbers nothing, knows no times
    cache = ClipCache(folder)
    assert cache.place(CLIP, None) != cache.place(OTHER, None)


def test_a_video_that_is_perhaps_still_written_is_read_whole(folder, tmp_path, hashed):
    path = tmp_path / "clip.mp4"
    shutil.copy(CLIP, path)
    for _ in range(2):
        ClipCache(folder).place(path, None)
    assert hashed == ["clip.mp4"] * 2
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    "damage",
    [b"", bytes(64), b"2b7e", b"\xff" * 64, b"To be, or not to be"],
    ids=["empty", "zeros", "half", "ones", "text"],
)
def test_what_is_known_of_a_video_may_be_damaged(folder, at_once, damage):
    for path in (CLIP, OTHER):
        ClipCache(folder).read(path)
    for known in folder.glob("*.content"):
        known.write_bytes(damage)
    for path in (CLIP, OTHER):
        assert torch.equal(ClipCache(folder).read(path), video.read(path))
    assert len(stored(folder)) == 2


def test_a_folder_that_takes_no_more_still_gives(folder, monkeypatch, opened, at_once):
    frames = ClipCache(folder).read(CLIP)
    for known in folder.glob("*.content"):
        known.unlink()
    opened.clear()
    monkeypatch.setattr(Path, "write_text", fail)
    assert torch.equal(ClipCache(folder).read(CLIP), frames)
    assert not opened


# A video that comes up short


@pytest.mark.parametrize("crop", [None, FaceCrop()])
def test_a_video_cut_short_is_not_stored(folder, crop):
    for _ in range(2):
        with pytest.warns(video.CutShort, match=r"truncated\.mp4"):
            frames = ClipCache(folder, crop).read(DATA / "truncated.mp4", [0, 1], (16, 16))
        with pytest.warns(video.CutShort):
            expected = (crop or video).read(DATA / "truncated.mp4", [0, 1], (16, 16))
        assert torch.equal(frames, expected)
    assert not stored(folder) + leftovers(folder)


def test_a_drive_that_was_slow_once_gives_every_frame(folder, monkeypatch):
    real = video.read

    def slow(*args, **kwargs):
        monkeypatch.setattr(video, "read", real)
        assert kwargs["whole"]
        raise video.CutShort("2 of 20 frames decode")

    cache = ClipCache(folder)
    monkeypatch.setattr(cache, "decode", lambda *args, **kwargs: video.read(*args, **kwargs))
    monkeypatch.setattr(video, "read", slow)
    for clips in (0, 1):
        assert torch.equal(cache.read(CLIP), real(CLIP))
        assert len(stored(folder)) == clips


# What is handed out


@pytest.mark.parametrize("indices", [None, [2, 5, 5], lambda n: [n - 1]])
def test_only_the_frames_asked_for_are_copied(folder, indices):
    cache = ClipCache(folder)
    for _ in range(2):
        frames = cache.read(CLIP, indices, (16, 16))
        assert frames.untyped_storage().nbytes() == len(frames) * 3 * 16 * 16


def test_a_folder_that_cannot_be_mapped_into_memory_is_read(folder, monkeypatch, opened):
    def refuse(*_, **__):
        raise OSError(errno.ENODEV, "No such device")

    ClipCache(folder).read(CLIP)
    expected = video.read(CLIP, [3, 19])
    opened.clear()
    monkeypatch.setattr(mmap, "mmap", refuse)
    for _ in range(2):
        assert torch.equal(ClipCache(folder).read(CLIP, [3, 19]), expected)
    assert not opened


def test_a_clip_on_disk_is_not_loaded_whole_for_a_few_of_its_frames(folder):
    cache = ClipCache(folder)
    whole = cache.read(CLIP).nbytes
    tracemalloc.start()
    try:
        cache.read(CLIP, [3, 4])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert whole / 10 <= most < whole / 4  # two of twenty frames, and the file itself


@pytest.mark.parametrize("indices", [None, [0, 1], range(20), lambda n: range(n)])
def test_writing_into_what_was_read_leaves_the_cache_as_it_was(folder, indices):
    cache = ClipCache(folder)
    expected = video.read(CLIP, indices)
    for _ in range(3):
        frames = cache.read(CLIP, indices)
        assert torch.equal(frames, expected)
        frames.zero_()


# Damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:3],
        lambda content: content[:60],  # amid the header
        lambda content: content[:128],  # no frame at all
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: b"To be, or not to be" * 1000,
        lambda content: bytes(len(content)),
    ],
    ids=["empty", "magic", "header", "frameless", "half", "short", "text", "zeros"],
)
def test_a_damaged_clip_is_made_again(folder, opened, damage):
    cache = ClipCache(folder)
    frames = cache.read(CLIP, size=(16, 16))
    (path,) = stored(folder)
    content = path.read_bytes()
    path.write_bytes(damage(content))
    opened.clear()
    assert torch.equal(cache.read(CLIP, size=(16, 16)), frames)
    assert len(opened) == 1
    assert stored(folder) == [path]
    assert path.read_bytes() == content
    assert not leftovers(folder)


def test_a_clip_that_ends_while_it_is_read_is_made_again(folder, monkeypatch):
    frames = ClipCache(folder).read(CLIP)
    (path,) = stored(folder)
    shape = cache_module._shape

    def cut(file):
        found = shape(file)
        os.truncate(path, path.stat().st_size - 1)
        return found

    monkeypatch.setattr(cache_module, "_shape", cut)
    assert torch.equal(ClipCache(folder).read(CLIP), frames)
    assert torch.equal(torch.from_numpy(np.load(path)), frames)


def store_slowly(folder, first):
    """Decode and store a clip at size after size, a kilobyte at a time; until killed."""
    save = np.save

    def slow(file, frames):
        whole = io.BytesIO()
        save(whole, frames)
        for start in range(0, whole.tell(), 1000):
            file.write(whole.getbuffer()[start : start + 1000])
            file.flush()
            time.sleep(0.0002)

    np.save = slow
    cache = ClipCache(folder)
    for side in itertools.count(first):
        cache.read(CLIP, size=(side, side))


def test_a_kill_at_any_moment_leaves_no_half_clip(folder):
    dice = random.Random(0)
    cut = 0
    for kill in range(8):
        before = len(stored(folder))
        process = forked.processes.Process(target=store_slowly, args=(folder, 20 + 20 * kill))
        process.start()
        while len(stored(folder)) == before and process.is_alive():
            time.sleep(0.001)
        time.sleep(dice.uniform(0, 0.05))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        cut += bool(leftovers(folder))
    clips = stored(folder)
    assert len(clips) >= 8
    for path in clips:
        frames = torch.from_numpy(np.load(path))
        assert torch.equal(frames, video.read(CLIP, size=tuple(frames.shape[2:])))
    assert cut, "no kill fell into a write: this test has seen nothing"
    assert torch.equal(ClipCache(folder).read(CLIP), video.read(CLIP))  # the rest is no hindrance


# Several at once


@pytest.mark.filterwarnings("ignore:.*fork")
@pytest.mark.parametrize("crop", [None, FaceCrop()])
def test_workers_share_a_folder(folder, crop):
    names = ["h264.mp4"] * 6 + ["vfr.mp4", "rotated.mov", "vfr.mp4", "rotated.mov"]
    clips = [datasets.Clip(DATA / name, "happy", "anna") for name in names]
    plain, shared = (Shape(4, 32, crop, place).dataset(clips) for place in (None, folder))
    expected = [frames for frames, _ in plain]
    for _ in range(2):
        loader = DataLoader(shared, batch_size=None, num_workers=2)
        assert all(torch.equal(frames, e) for (frames, _), e in zip(loader, expected, strict=True))
    assert len(stored(folder)) == 3
    assert not leftovers(folder)


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_two_that_store_the_same_clip_at_once_do_not_meet(folder, monkeypatch, moment):
    cache = ClipCache(folder)
    real = getattr(os, moment)

    def meanwhile(*args):
        monkeypatch.setattr(os, moment, real)
        assert torch.equal(cache.read(CLIP), video.read(CLIP))
        return real(*args)

    monkeypatch.setattr(os, moment, meanwhile)
    assert torch.equal(cache.read(CLIP), video.read(CLIP))
    assert getattr(os, moment) is real, "the other one never came"
    assert torch.equal(cache.read(CLIP), video.read(CLIP))
    assert len(stored(folder)) == 1
    assert not leftovers(folder)


# What cannot be read or stored


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.mp4", "no such file"),
        (".", "is a folder"),
        ("audio_only.mp4", "cannot be opened"),
        ("README.md", "not a video"),
    ],
)
@pytest.mark.parametrize("crop", [None, FaceCrop(no_face="centre")])
def test_a_file_that_cannot_be_read_is_named_and_nothing_is_stored(folder, name, reason, crop):
    for _ in range(2):
        with pytest.raises(video.VideoError, match=reason) as caught:
            ClipCache(folder, crop).read(DATA / name, size=(16, 16))
        assert str(DATA / name) in str(caught.value)
    assert not stored(folder) + leftovers(folder)


def test_a_clip_without_a_face_is_not_stored(folder):
    for _ in range(2):
        with pytest.raises(NoFaceError, match=r"no_face\.mp4"):
            ClipCache(folder, FaceCrop()).read(DATA / "no_face.mp4")
    assert not stored(folder) + leftovers(folder)


@pytest.mark.parametrize("size", [(0, 8), (8,), 8])
def test_a_size_that_is_none_is_named_and_nothing_is_stored(folder, size):
    with pytest.raises(ValueError, match="size must be"):
        ClipCache(folder).read(CLIP, size=size)
    assert not stored(folder) + leftovers(folder)


def fail_after_half(file, frames):
    file.write(frames.tobytes()[: frames.nbytes // 2])
    raise OSError(28, "No space left on device")


def fail(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("where", "name", "how"),
    [(np, "save", fail_after_half), (np, "save", fail), (os, "fsync", fail), (os, "replace", fail)],
)
def test_a_full_disk_is_one_clear_error_and_leaves_nothing(
    folder, monkeypatch, opened, where, name, how
):
    with monkeypatch.context() as patch:
        patch.setattr(where, name, how)
        with pytest.raises(OSError, match=r"cannot be written .*No space left") as caught:
            ClipCache(folder).read(CLIP)
    assert str(folder) in str(caught.value)
    assert "make room, or name another place" in str(caught.value)
    assert not isinstance(caught.value, video.VideoError)
    assert not stored(folder) + leftovers(folder)
    assert torch.equal(ClipCache(folder).read(CLIP), video.read(CLIP))


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_a_write_that_is_broken_off_leaves_nothing(folder, monkeypatch, error):
    def broken(file, _):
        file.write(b"half")
        raise error

    monkeypatch.setattr(np, "save", broken)
    with pytest.raises(error):
        ClipCache(folder).read(CLIP)
    assert not stored(folder) + leftovers(folder)


def test_a_folder_that_cannot_be_written_is_named(folder):
    cache = ClipCache(folder)
    folder.rmdir()
    folder.write_text("in the way")
    with pytest.raises(OSError, match=r"cannot be written .*another place") as caught:
        cache.read(CLIP)
    assert str(folder) in str(caught.value)
    assert folder.read_text() == "in the way"


def test_a_folder_that_cannot_be_made_is_named(folder):
    folder.write_text("in the way")
    for place in (folder, folder / "below"):
        with pytest.raises(OSError, match=str(place)):
            ClipCache(place)


def test_a_missing_folder_is_made(folder):
    ClipCache(str(folder / "a" / "b")).read(CLIP, [0])
    assert len(stored(folder / "a" / "b")) == 1


@pytest.mark.parametrize("indices", [[-1], [20], [], lambda n: [], lambda n: [n]])
def test_the_indices_that_reading_refuses_are_refused_from_the_cache_too(tmp_path, indices):
    with pytest.raises((IndexError, ValueError)) as expected:
        video.read(CLIP, indices)
    for _ in range(2):
        with pytest.raises(expected.type) as caught:
            ClipCache(tmp_path).read(CLIP, indices)
        assert str(caught.value) == str(expected.value)


def by_columns(content):
    other = io.BytesIO()
    np.save(other, np.asfortranarray(np.load(io.BytesIO(content))))
    return other.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"PK\x03\x04" + content,
        lambda _: b"PK\x05\x06" + bytes(18),
        lambda content: content.replace(b"False", b"\xbaalse").replace(b"}", b"\xb3"),
        lambda content: content.replace(b"(20, 3, 16, 16)", b"(20, 3, 16, 12)"),
        lambda content: content.replace(b"(20, 3, 16, 16)", b"(20, 3, 256)   "),
        by_columns,
    ],
    ids=["zip", "empty zip", "header", "shape", "axes", "order"],
)
def test_whatever_the_damage_a_clip_is_made_again(tmp_path, damage):
    cache = ClipCache(tmp_path)
    frames = cache.read(CLIP, size=(16, 16))
    (path,) = stored(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    assert torch.equal(cache.read(CLIP, size=(16, 16)), frames)


def test_the_folder_may_be_deleted_at_any_time(tmp_path):
    cache = ClipCache(tmp_path / "clips")
    shutil.rmtree(tmp_path / "clips")
    assert len(cache.read(CLIP)) == 20


def test_others_may_read_the_cache(tmp_path):
    ClipCache(tmp_path).read(CLIP)
    (path,) = tmp_path.glob("*.npy")
    assert path.stat().st_mode & 0o044


def test_what_a_killed_process_left_is_removed_once_nobody_can_be_writing_it(tmp_path):
    old, new = tmp_path / "old.part", tmp_path / "new.part"
    for part in (old, new):
        part.touch()
    os.utime(old, (0, 0))
    ClipCache(tmp_path)
    assert (old.exists(), new.exists()) == (False, True)

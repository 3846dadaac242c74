"""`video`: what is written is read back, and a damaged file raises only `VideoError`."""

import io
import os
import random
import shutil
import subprocess
import sys
import warnings
import wave
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from r3d_helpers import _decoder, video

SAMPLE = next(iter(sorted(Path(__file__).parents[1].glob("data_samples/Actor_01/*.mp4"))))
DATA = Path(__file__).parent / "data"


def moving(num_frames=12, height=48, width=64):
    """A red square that wanders over green: easy to encode, and no two frames are alike."""
    frames = np.zeros((num_frames, 3, height, width), np.uint8)
    frames[:, 1] = 120
    for t in range(num_frames):
        frames[t, 0, 8:24, 3 * t : 3 * t + 16] = 220
    return frames


def encode(path, codec="MJPG", frames=None):
    """Write with OpenCV alone, in a container that `video.write` does not offer."""
    frames = moving() if frames is None else frames
    size = frames.shape[:1:-1]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), 15, size)
    for frame in frames.transpose(0, 2, 3, 1)[..., ::-1]:
        writer.write(np.ascontiguousarray(frame))
    writer.release()
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    video.write(path, moving(), 15)
    return path


# What is written comes back


def test_a_round_trip_keeps_shape_type_and_colours(clip):
    frames = video.read(clip)
    assert frames.shape == (12, 3, 48, 64)
    assert frames.dtype == torch.uint8
    assert (frames.float() - torch.from_numpy(moving()).float()).abs().mean() < 4


def test_the_first_channel_is_red(clip):
    red, _, blue = video.read(clip)[0, :, 16, 8].tolist()
    assert red > 180
    assert blue < 60


def test_a_tensor_and_an_array_write_the_same_bytes(tmp_path):
    paths = tmp_path / "array.mp4", tmp_path / "tensor.mp4"
    video.write(paths[0], moving(), 15)
    video.write(paths[1], torch.from_numpy(moving()), 15)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_probe_counts_and_measures(clip):
    assert video.probe(clip) == video.Info(num_frames=12, fps=15.0, height=48, width=64)


def test_missing_folders_are_made(tmp_path):
    video.write(tmp_path / "a" / "b" / "clip.mp4", moving(2), 15)
    assert video.probe(tmp_path / "a" / "b" / "clip.mp4").num_frames == 2


ODD_NAMES = [
    "take:1.mp4",
    "file:x.mp4",
    "100%41.mp4",
    "%d.mp4",
    "-v.mp4",
    'a\'b "c" $d.mp4',
    "two\nlines.mp4",
    "grün 😀.mp4",
    os.fsdecode(b"j\xf6rg.mp4"),
    os.fsdecode(b"m\xfcller/a.mp4"),
]


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_a_file_may_have_any_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    try:
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    except (OSError, UnicodeError):
        pytest.skip("not on this file system")
    video.write(name, moving(2), 15)
    assert len(video.read(name)) == len(list(video.stream(name))) == video.probe(name).num_frames
    assert os.listdir(Path(name).parent) == [Path(name).name]
    Path(name).write_text("To be, or not to be")
    with pytest.raises(video.VideoError, match="damaged or not a video") as caught:
        video.read(name)
    str(caught.value).encode()  # can be printed


def test_notes_in_a_file_that_are_not_utf_8_do_not_matter(tmp_path, clip):
    path = tmp_path / "titled.mp4"
    with av.open(clip) as source, av.open(path, "w") as out:
        out.metadata["title"] = "gruen"
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    content = path.read_bytes()
    assert b"gruen" in content
    path.write_bytes(content.replace(b"gruen", b"gr\xfc\xdfe"))
    assert torch.equal(video.read(path), video.read(clip))


# Which frames, and how large


@pytest.mark.parametrize("make", [list, tuple, np.array, torch.tensor])
def test_indices_repeat_and_come_in_any_order(clip, make):
    wanted = [7, 0, 0, 11, 3]
    assert torch.equal(video.read(clip, make(wanted)), video.read(clip)[wanted])


@pytest.mark.parametrize("index", [-1, 12, 1000])
def test_an_index_outside_the_video_is_named(clip, index):
    with pytest.raises(IndexError, match=rf"clip\.mp4: no frame {index}; .* 0 to 11"):
        video.read(clip, [0, index])


def test_a_function_names_the_indices_given_the_number_of_frames(clip):
    last_two = video.read(clip, lambda num_frames: [num_frames - 1, num_frames - 2])
    assert torch.equal(last_two, video.read(clip, [11, 10]))


@pytest.mark.parametrize("none", [[], (), lambda _: []])
def test_no_indices_at_all_is_an_error(clip, none):
    with pytest.raises(ValueError, match="indices is empty"):
        video.read(clip, none)


@pytest.mark.parametrize("size", [(48, 64), (24, 32), (32, 32), (20, 80), (80, 20), (1, 1)])
def test_frames_have_the_size_asked_for(clip, size):
    assert video.read(clip, size=size).shape == (12, 3, *size)


@pytest.mark.parametrize(("size", "cut"), [((96, 96), (48, 48)), ((40, 80), (32, 64))])
def test_a_resized_frame_is_the_centre_undistorted(clip, size, cut):
    whole = video.read(clip, [5])[0]
    top, left = (48 - cut[0]) // 2, (64 - cut[1]) // 2
    centre = whole[:, top : top + cut[0], left : left + cut[1]].float()
    expected = torch.nn.functional.interpolate(centre[None], size, mode="bilinear")[0]
    assert (video.read(clip, [5], size)[0].float() - expected).abs().max() <= 1


@pytest.mark.parametrize("size", [(0, 8), (8, -1), (8,), (8, 8, 3), 8, (8, 2.5)])
def test_a_size_that_is_none_is_named(clip, size):
    with pytest.raises(ValueError, match="size must be"):
        video.read(clip, size=size)


# What cannot be written


@pytest.mark.parametrize(
    ("frames", "fps", "name", "reason"),
    [
        (moving(height=47), 15, "a.mp4", "even, got 47x64"),
        (moving(width=63), 15, "a.mp4", "even, got 48x63"),
        (moving().astype(np.float32), 15, "a.mp4", "got float32"),
        (moving()[0], 15, "a.mp4", r"got uint8 \(3, 48, 64\)"),
        (moving()[:, :1], 15, "a.mp4", r"got uint8 \(12, 1, 48, 64\)"),
        (moving(0), 15, "a.mp4", r"got uint8 \(0, 3, 48, 64\)"),
        (moving(), 0, "a.mp4", "fps .* got 0"),
        (moving(), -1.5, "a.mp4", r"fps .* got -1\.5"),
        (moving(), float("nan"), "a.mp4", "fps .* got nan"),
        (moving(), float("inf"), "a.mp4", "fps .* got inf"),
        (moving(), 15, "a.avi", r"a\.avi: the name must end in \.mp4"),
    ],
)
def test_write_names_what_is_wrong_and_leaves_nothing(tmp_path, frames, fps, name, reason):
    with pytest.raises(ValueError, match=reason):
        video.write(tmp_path / name, frames, fps)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file_is_a_video_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(video.VideoError, match="cannot be written"):
        video.write(tmp_path / "file" / "a.mp4", moving(2), 15)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failing_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, error):
    class Failing:
        def __init__(self, name, *_):
            Path(name).write_bytes(b"half a video")

        def isOpened(self):
            return True

        def write(self, _):
            raise error

    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    monkeypatch.setattr(video.cv2, "VideoWriter", Failing)
    Failing.fourcc = staticmethod(lambda *_: 0)
    with pytest.raises((video.VideoError, KeyboardInterrupt)):
        video.write(path, moving(2), 15)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.mp4", b"old")]


# What cannot be read


def make_pointer(path):
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def make_truncated(path):
    path.write_bytes(SAMPLE.read_bytes()[:3000])  # the index of an MP4 stands at its end


def make_frameless(path):
    encode(path.with_suffix(".avi"), frames=moving(0)).rename(path)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.touch(), "is empty"),
        (lambda path: path.write_text("To be, or not to be"), "damaged or not a video"),
        (make_pointer, "git lfs pull"),
        (make_truncated, "damaged or not a video"),
        (lambda path: encode(path, "mp4v", moving(0)), "damaged or not a video"),
        (make_frameless, "no frame could be decoded"),
    ],
    ids=["missing", "folder", "empty", "text", "lfs", "truncated", "no index", "frameless"],
)
@pytest.mark.parametrize("look", [video.read, video.probe, lambda path: next(video.stream(path))])
def test_an_unreadable_file_is_named_with_the_reason(tmp_path, look, make, reason):
    path = tmp_path / "bad.mp4"
    make(path)
    with pytest.raises(video.VideoError, match=reason) as caught:
        look(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "look",
    [
        lambda p: len(video.read(p)),
        lambda p: video.probe(p).num_frames,
        lambda p: len(list(video.stream(p))),
    ],
)
def test_a_file_cut_short_gives_what_it_has_and_a_warning(tmp_path, look):
    path = encode(tmp_path / "cut.avi")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    with pytest.warns(UserWarning, match=r"cut\.avi: cut short or damaged, \d+ of 12") as caught:
        assert 1 <= look(path) < 12
    assert caught[0].filename == __file__


# No damage gets through

CHILD = """
import faulthandler, sys, time, warnings
from pathlib import Path
from r3d_helpers import _decoder, video
warnings.simplefilter("ignore")
for path in Path(sys.argv[1]).read_text().splitlines():
    print(path, end=" ", flush=True)
    faulthandler.dump_traceback_later(5, exit=True)
    try:
        print(tuple(video.read(path).shape), flush=True)
    except video.VideoError as error:
        assert path in str(error)
        print("VideoError", flush=True)
    faulthandler.cancel_dump_traceback_later()
print("done")
"""


def damage(kind, content, rng):
    content = bytearray(content)
    match kind:
        case "truncated":
            return content[: rng.randrange(len(content))]
        case "zeroed":
            start = rng.randrange(len(content))
            length = rng.randrange(1, 2000)
            content[start : start + length] = bytes(len(content[start : start + length]))
            return content
        case "flipped" | "head":
            stop = len(content) if kind == "flipped" else 200
            for _ in range(rng.randrange(1, 2000 if kind == "flipped" else 60)):
                content[rng.randrange(stop)] ^= rng.randrange(1, 256)
            return content
        case "noise":
            return rng.randbytes(rng.randrange(5000))
        case "text":
            return ("".join(chr(rng.randrange(32, 127)) for _ in range(400))).encode()


def make_damaged(folder, count, seed=0):
    """Damaged files, each reproducible from the seed; the paths to read."""
    rng = random.Random(seed)
    good = [SAMPLE]
    for name, codec in [("a.avi", "MJPG"), ("b.avi", "XVID"), ("c.mkv", "mp4v"), ("d.mov", "MJPG")]:
        good.append(encode(folder / name, codec))
    paths = [folder / "missing.mp4", folder / "folder.mp4", folder / "audio.mp4"]
    paths[1].mkdir()
    with wave.open(str(paths[2]), "wb") as audio:
        audio.setparams((1, 2, 8000, 0, "NONE", ""))
        audio.writeframes(bytes(8000))
    for ending in ("mp4", "avi", "mkv", "mov"):
        paths.append(encode(folder / f"frameless.{ending}", "mp4v", moving(0)))
    sound = SAMPLE.read_bytes().replace(b"vide", b"soun").replace(b"vmhd", b"smhd")
    paths.append(folder / "sound.mp4")
    paths[-1].write_bytes(sound)
    kinds = ["truncated", "zeroed", "flipped", "flipped", "head", "head", "noise", "text"]
    while len(paths) < count:
        kind, source = rng.choice(kinds), rng.choice(good)
        paths.append(folder / f"{len(paths)}-{kind}{source.suffix}")
        paths[-1].write_bytes(damage(kind, source.read_bytes(), rng))
    return paths


def test_300_damaged_files_end_in_frames_or_a_video_error(tmp_path):
    paths = make_damaged(tmp_path, 300)
    (tmp_path / "list").write_text("\n".join(map(str, paths)))
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "list")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    lines = child.stdout.splitlines()
    assert lines[-1] == "done", f"stopped at {lines[-1]}\n{child.stderr[-3000:]}"
    assert len(lines) == 301
    assert any(line.endswith("VideoError") for line in lines)
    assert any(line.endswith(")") for line in lines)


def test_the_sample_itself_is_whole(tmp_path, recwarn):
    shutil.copy(SAMPLE, tmp_path / "copy.mp4")
    assert len(video.read(tmp_path / "copy.mp4")) == video.probe(SAMPLE).num_frames
    assert not recwarn.list


# Real files

SHAPES = {
    "h264.mp4": (20, 3, 120, 160),
    "vp9_odd.webm": (12, 3, 121, 161),
    "rotated.mov": (12, 3, 160, 120),  # stored as 120x160
    "vfr.mp4": (20, 3, 120, 160),
    "no_face.mp4": (12, 3, 120, 160),
    "two_faces.mp4": (8, 3, 120, 200),
    "late_face.mp4": (24, 3, 120, 160),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_real_file_decodes_whole(name, recwarn):
    frames = video.read(DATA / name)
    assert frames.shape == SHAPES[name]
    assert frames.float().std() > 20  # a picture
    info = video.probe(DATA / name)
    assert (info.num_frames, 3, info.height, info.width) == SHAPES[name]
    assert info.missing == 0
    assert not recwarn.list


def test_sound_alone_is_no_video():
    for look in (video.read, video.probe, lambda path: list(video.stream(path))):
        with pytest.raises(video.VideoError, match=r"audio_only\.mp4: "):
            look(DATA / "audio_only.mp4")


def test_a_real_file_cut_short_gives_its_frames_and_counts_the_missing():
    path = DATA / "truncated.mp4"
    with pytest.warns(UserWarning, match="8 of 20 frames decode"):
        assert video.read(path).shape == (8, 3, 120, 160)
    with pytest.warns(UserWarning, match="8 of 20 frames decode"):
        info = video.probe(path)
    assert (info.num_frames, info.missing) == (8, 12)


# Frame by frame


@pytest.mark.filterwarnings("ignore:.*cut short")
@pytest.mark.parametrize("name", [*SHAPES, "truncated.mp4"])
def test_a_stream_has_the_frames_of_a_read_at_times_that_rise_from_zero(name):
    times, frames = zip(*video.stream(DATA / name), strict=True)
    assert all(frame.dtype == np.uint8 and frame.flags.c_contiguous for frame in frames)
    streamed = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)
    assert torch.equal(streamed, video.read(DATA / name))
    assert times[0] == 0
    assert all(a < b for a, b in pairwise(times))


def test_times_are_the_files_own_where_the_rate_varies():
    expected = [i / 30 for i in range(10)] + [0.5 + i / 5 for i in range(10)]
    times = [second for second, _ in video.stream(DATA / "vfr.mp4")]
    assert times == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("name", "rate"), [("h264.mp4", 25), ("vp9_odd.webm", 25)])
def test_times_are_even_where_the_rate_is(name, rate):
    times = [second for second, _ in video.stream(DATA / name)]
    assert times == pytest.approx([i / rate for i in range(len(times))], abs=1e-3)


def staged(patch, times, fps=10.0):
    """Let FFmpeg find a video whose frame ``i`` is all ``i``, at ``times``, in seconds.

    Returns:
        a list of the files that are opened from then on.
    """
    files = []

    class Staged(_decoder.Decoder):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.fps, self.tick, self.shown = fps, Fraction(1, 1_000_000), 0
            files.append(self)

        def _decoded(self):
            for time in times:
                pixels = np.full((4, 6, 3), self.shown, np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
                frame.pts = round(time / self.tick)
                self.shown += 1
                yield frame

        def missing(self):
            return 0

    patch.setattr(_decoder, "Decoder", Staged)
    return files


@pytest.mark.parametrize(
    ("stated", "fps", "expected"),
    [
        ([7, 7.5, 9], 10, [0, 0.5, 2]),  # the first is not shown at zero
        ([0, 0, 0, 0], 10, [0, 0.1, 0.2, 0.3]),  # not stated at all: the rate says it
        ([0, 0.5, 0.2, 0.9], 10, [0, 0.5, 0.6, 0.9]),
        ([-0.2, 0, 0.3], 10, [0, 0.2, 0.5]),
        ([0, 0, 0], 0, [0, 0, 0]),
    ],
)
def test_times_that_a_file_misstates_are_filled_in(monkeypatch, stated, fps, expected):
    staged(monkeypatch, stated, fps)
    times, frames = zip(*video.stream(SAMPLE), strict=True)
    assert times == pytest.approx(expected, abs=1e-6)
    assert [frame[0, 0, 0] for frame in frames] == list(range(len(stated)))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0, 240))
def test_times_never_decrease_whatever_the_file_states(stated, fps):
    with pytest.MonkeyPatch.context() as patch:
        staged(patch, stated, fps)
        times = [second for second, _ in video.stream(SAMPLE)]
    assert times[0] == 0
    assert times == sorted(times)
    assert len(times) == len(stated)


def test_a_stream_decodes_one_frame_at_a_time_and_closes_the_file_when_left(monkeypatch):
    files = staged(monkeypatch, [0.0, 0.1, 0.2, 0.3])
    frames = video.stream(SAMPLE)
    for shown in (1, 2):
        next(frames)
        assert [file.shown for file in files] == [shown]
        assert next(files[0].container.demux())  # still open
    frames.close()
    with pytest.raises(AssertionError, match="not open"):
        next(files[0].container.demux())


def test_pixels_are_converted_only_where_they_are_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(_decoder.Picture, "pixels", lambda self, *_: asked.append(self))
    pictures = list(video.pictures(SAMPLE))
    assert len(pictures) == video.probe(SAMPLE).num_frames
    assert pictures[0].shape == (56, 56)
    assert not asked


# A part of a file


@pytest.mark.parametrize(
    ("ending", "codec"),
    [("mp4", "libx264"), ("avi", "mpeg4"), ("mkv", "libx264"), ("flv", "flv"), ("webm", "libvpx")],
)
@pytest.mark.parametrize("share", [0.4, 0.7, 0.95])
def test_a_file_that_ends_too_early_says_so(tmp_path, ending, codec, share):
    whole, cut = tmp_path / f"whole.{ending}", tmp_path / f"cut.{ending}"
    options = {"movflags": "faststart"} if ending == "mp4" else {}
    with av.open(whole, "w", options=options) as out:
        stream = out.add_stream(codec, 25, options={"g": "5"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), np.uint8):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        out.mux(stream.encode())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert video.probe(whole).num_frames == 40
    content = whole.read_bytes()
    cut.write_bytes(content[: round(len(content) * share)])
    with pytest.warns(UserWarning, match="cut short or damaged"):
        info = video.probe(cut)
    assert 1 <= info.num_frames < 40
    assert abs(info.num_frames + info.missing - 40) <= 1
    with pytest.warns(UserWarning, match=rf"cut short or damaged, {info.num_frames} of "):
        assert len(video.read(cut)) == info.num_frames


# A part of each frame


@pytest.mark.parametrize("name", ["h264.mp4", "vp9_odd.webm", "rotated.mov"])
@pytest.mark.parametrize("box", [(0, 0, 120, 120), (7, 31, 50, 80), (119, 0, 1, 1)])
def test_a_box_is_a_slice_of_every_frame(name, box):
    top, left, height, width = box
    part = video.read(DATA / name)[..., top : top + height, left : left + width]
    assert torch.equal(video.read(DATA / name, box=box), part)
    assert torch.equal(video.read(DATA / name, [3, 1, 1], (height, width), box), part[[3, 1, 1]])


@pytest.mark.parametrize("size", [(20, 20), (20, 50), (90, 40), (90, 90)])
def test_a_box_is_taken_before_the_size(tmp_path, size):
    whole = video.read(DATA / "h264.mp4", [0])[0].permute(1, 2, 0).numpy()
    part = video.resize(np.ascontiguousarray(whole[10:70, 30:110]), size)
    frames = video.read(DATA / "h264.mp4", [0], size, (10, 30, 60, 80))
    assert frames.shape == (1, 3, *size)
    gap = (frames[0].permute(1, 2, 0).float() - torch.from_numpy(part).float()).abs()
    assert gap.mean() < 4  # colours are stored at half the size: there are two ways to scale them


@pytest.mark.parametrize(
    "box", [(110, 150, 30, 30), (500, 500, 30, 30), (-1, 0, 9, 9), (0, 0, 0, 9)]
)
def test_a_box_outside_the_frame_is_named(box):
    with pytest.raises(
        video.VideoError, match=r"h264\.mp4: box .* is not inside \(120, 160\) pixels"
    ):
        video.read(DATA / "h264.mp4", box=box)


def test_a_file_that_may_not_be_opened_is_named(tmp_path, monkeypatch):
    path = tmp_path / "mine.mp4"
    path.touch()

    def denied(self, *_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", denied)
    with pytest.raises(
        video.VideoError, match=r"mine\.mp4: cannot be opened \(Permission denied\)"
    ):
        video.probe(path)


def test_a_file_that_cannot_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    """As on a bad disk, or in a cloud folder whose files do not come."""

    class Broken(io.BytesIO):
        def read(self, *_):
            raise OSError(5, "Input/output error")

    (tmp_path / "far.mp4").touch()
    monkeypatch.setattr(Path, "open", lambda *_: Broken())
    with pytest.raises(
        video.VideoError, match=r"far\.mp4: cannot be opened \(Input/output error\)"
    ):
        video.read(tmp_path / "far.mp4")


def rewired(patch, demux):
    """Let every container give the packets that ``demux`` makes of its own."""

    class Container:
        def __init__(self, container):
            self.container = container

        def __getattr__(self, name):
            return getattr(self.container, name)

        def demux(self, *streams):
            return demux(self.container.demux(*streams))

    make = _decoder.Decoder.__init__

    def init(self, path, container):
        make(self, path, container)
        self.container = Container(container)

    patch.setattr(_decoder.Decoder, "__init__", init)


def test_an_empty_packet_is_not_the_end(monkeypatch, recwarn):
    expected = video.read(DATA / "h264.mp4")

    def demux(packets):
        for packet in packets:
            yield packet
            yield av.Packet()

    rewired(monkeypatch, demux)
    assert torch.equal(video.read(DATA / "h264.mp4"), expected)
    assert not recwarn.list


def test_a_count_is_trusted_only_where_all_decodes(monkeypatch):
    def demux(packets):
        for number, packet in enumerate(packets):
            if number == 3:
                packet, good = av.Packet(b"no picture"), packet
                packet.stream, packet.pts, packet.dts = good.stream, good.pts, good.dts
            yield packet

    given = []
    rewired(monkeypatch, demux)
    with pytest.warns(video.CutShort, match="19 of 20"):
        frames = video.read(DATA / "h264.mp4", lambda n: given.append(n) or [18])
    assert given == [20, 19]
    assert len(frames) == 1


@pytest.mark.parametrize(("wanted", "decoded"), [([17], 20), ([18], 19), ([19, 0], 20)])
def test_frames_that_nobody_wants_are_counted_in_the_end(monkeypatch, wanted, decoded):
    seen, given = [], []
    make = _decoder.Picture.__init__

    def init(self, *arguments):
        make(self, *arguments)
        seen.append(self)

    monkeypatch.setattr(_decoder.Picture, "__init__", init)
    video.read(DATA / "h264.mp4", lambda n: given.append(n) or wanted)
    assert (len(seen), given) == (decoded, [20])


@pytest.mark.parametrize("name", ["h264.mp4", "vp9_odd.webm"])
def test_a_stream_that_appears_on_the_way_is_no_damage(monkeypatch, recwarn, name):
    expected = video.read(DATA / name)

    def demux(packets):
        for packet in packets:
            if packet.size == 0:
                raise IndexError("list index out of range")  # as PyAV, after the last packet
            yield packet

    rewired(monkeypatch, demux)
    assert torch.equal(video.read(DATA / name), expected)
    assert torch.equal(video.read(DATA / name, lambda n: [n - 1]), expected[-1:])
    assert not recwarn.list

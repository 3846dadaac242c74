"""Odd drives: no chmod, no mapping into memory, full, read-only, slow; a small /dev/shm.

Drives are simulated as root on Linux with bindfs (Debian: apt install bindfs) and small file
systems in memory; elsewhere these tests are skipped.
"""

import csv
import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from r3d_helpers import TrainConfig, checkpoint, datasets, files, preflight, video
from r3d_helpers.__main__ import main
from r3d_helpers.apply import evaluation
from r3d_helpers.apply.cache import ClipCache
from r3d_helpers.classroom import actors
from r3d_helpers.studies import sweep

ROOT = Path(__file__).parents[1]
DATA = Path(__file__).parent / "data"
CLIP = DATA / "h264.mp4"
TINY = ("--clip-len", "1", "--size", "16", "--epochs", "1", "--batch-size", "8", "--lean")

MOUNT = {  # how to make a drive at a folder, with what lies in another one where it is a view of it
    "no chmod": ["bindfs", "--chmod-deny", "SOURCE", "DRIVE"],
    "no shared mapping": ["bindfs", "-o", "direct_io", "SOURCE", "DRIVE"],
    "read-only": ["bindfs", "-r", "SOURCE", "DRIVE"],
    "full": ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "DRIVE"],
}


@pytest.fixture
def drive(tmp_path):
    """A function that makes a drive of a kind in `MOUNT`; everything is unmounted at the end."""
    if not (sys.platform == "linux" and os.geteuid() == 0 and shutil.which("bindfs")):
        pytest.skip("drives are simulated as root on Linux with bindfs (apt install bindfs)")
    made = []

    def make(kind, source=None):
        source, folder = source or tmp_path / "source", tmp_path / kind
        for each in (source, folder):
            each.mkdir(exist_ok=True)
        places = {"SOURCE": str(source), "DRIVE": str(folder)}
        done = subprocess.run(
            [places.get(word, word) for word in MOUNT[kind]], capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"no drive could be mounted here: {done.stderr.strip()}")
        made.append(folder)
        return folder

    yield make
    for folder in reversed(made):
        subprocess.run(["umount", folder], check=True)


def tensors(megabytes):
    return {"weights": torch.rand(int(megabytes * 1e6) // 4)}


METADATA = checkpoint.Metadata({}, TrainConfig())
WRITE = {  # everything that is written, into a file of a folder
    "checkpoint": lambda path: checkpoint.write(path, tensors(0.6), METADATA),
    "history": lambda path: checkpoint.write_history(path, [{"epoch": i} for i in range(20_000)]),
    "rows": lambda path: sweep._write(path, [{"epoch": str(i)} for i in range(20_000)], "x"),
    "predictions": lambda path: evaluation.write_predictions(path, *predictions(5_000)),
    "video": lambda path: video.write(path.with_suffix(".mp4"), noise(8), 15),
}


def predictions(count):
    clips = [datasets.Clip(Path(f"j\udcf6rg_{i}.mp4"), "happy", "jörg") for i in range(count)]
    return datasets.ClipDataset(clips, classes=["happy", "sad"]), torch.zeros(count, 2)


def noise(count):
    return np.random.default_rng(0).integers(0, 256, (count, 3, 128, 128), np.uint8)


@pytest.mark.parametrize("kind", ["no chmod", "no shared mapping"])
@pytest.mark.parametrize("what", WRITE)
def test_everything_can_be_written_on_a_drive_that_cannot_do_all(drive, kind, what):
    folder = drive(kind)
    for _ in range(2):  # made, then replaced
        WRITE[what](folder / "file")
    (path,) = folder.iterdir()
    assert path.stat().st_size > 50_000


@pytest.mark.parametrize("what", WRITE)
def test_a_disk_that_fills_up_is_named_and_the_old_file_stays(drive, what):
    """Without it: rows are lost, or the message does not name the file."""
    folder = drive("full")
    path = folder / ("file.mp4" if what == "video" else "file")
    path.write_bytes(b"old")
    (folder / "other").write_bytes(bytes(1_010_000))
    with pytest.raises((OSError, video.VideoError), match="cannot be written") as got:
        WRITE[what](path)
    assert str(path) in str(got.value)
    assert ("is the disk full?" if what == "video" else "No space left") in str(got.value)
    assert path.read_bytes() == b"old"
    assert {each.name for each in folder.iterdir()} == {path.name, "other"}


@pytest.mark.parametrize("what", WRITE)
def test_a_read_only_drive_is_named(drive, what):
    folder = drive("read-only")
    with pytest.raises((OSError, video.VideoError), match=r"cannot be written .*Read-only") as got:
        WRITE[what](folder / "file.mp4")
    assert str(folder / "file.mp4") in str(got.value)


def test_a_checkpoint_that_does_not_fit_says_so_and_the_one_before_is_whole(drive):
    path = drive("full") / "last.safetensors"
    first = tensors(0.6)
    checkpoint.write(path, first, METADATA)
    with pytest.raises(OSError, match=r"last\.safetensors: .*No space left.*make room"):
        checkpoint.write(path, tensors(0.6), METADATA)
    assert torch.equal(checkpoint.read(path)[0]["weights"], first["weights"])


@pytest.mark.parametrize("kind", ["no chmod", "no shared mapping"])
def test_a_cache_on_such_a_drive_keeps_clips(drive, kind, monkeypatch):
    folder = drive(kind)
    expected = ClipCache(folder).read(CLIP, [0, 7], (24, 24))
    monkeypatch.setattr(video, "read", None)
    assert torch.equal(ClipCache(folder).read(CLIP, [0, 7], (24, 24)), expected)


def test_a_cache_that_cannot_grow_is_named(drive):
    with pytest.raises(OSError, match=r"cannot be written .*No space left.*make room"):
        ClipCache(drive("full")).read(CLIP)
    with pytest.raises(OSError, match=r"read-only.*cannot be written .*Read-only"):
        ClipCache(drive("read-only") / "cache")


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Three drawn actors, seven clips each."""
    folder = tmp_path_factory.mktemp("faces")
    actors.generate(folder, actors=3, takes=1, progress=False)
    return folder


def test_a_run_on_a_drive_that_refuses_chmod_and_mapping(drive, faces, tmp_path, capsys):
    """From training over resuming to a prediction, with cache and figures there."""
    folder = drive("no shared mapping", source=drive("no chmod"))
    given = ["train", faces, "--out", folder / "run", "--cache", folder / "cache", *TINY]
    assert main([*map(str, given)]) == 0
    assert main([*map(str, [*given, "--resume"])]) == 0
    film = next(faces.rglob("*.mp4"))
    given = ["predict", film, "--checkpoint", folder / "run"]
    given += ["--out", folder / "out.csv", "--figures", folder / "figures"]
    assert main([*map(str, given)]) == 0
    assert len(list((folder / "figures").iterdir())) == 2
    assert "7 clips of 1 subject" in capsys.readouterr().out


def test_a_run_into_a_read_only_folder_is_one_line(drive, faces, capsys):
    folder = drive("read-only")
    assert main([*map(str, ["train", faces, "--out", folder / "run", *TINY])]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"error: {folder / 'run'}: cannot be written (Read-only file system)")


def test_a_run_whose_disk_fills_up_midway_is_one_line_and_can_go_on(
    drive, faces, capsys, monkeypatch
):
    monkeypatch.setattr(preflight, "check_space", lambda *_, **__: None)  # there was room at first
    folder = drive("full")
    assert main([*map(str, ["train", faces, "--out", folder / "run", *TINY])]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"error: {folder / 'run' / 'last.safetensors'}: cannot be written (")
    assert "No space left" in line


# Windows refuses to replace a file that is mapped into memory; Linux can tell whether it is.


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what is mapped on Linux alone")
def test_nothing_is_mapped_when_a_file_is_replaced(tmp_path, monkeypatch):
    replaced = []

    def move(source, target):
        assert str(target) not in Path("/proc/self/maps").read_text(), f"{target} is mapped"
        replaced.append(target.name)
        source.replace(target)

    monkeypatch.setattr(files, "_move", move)
    path = tmp_path / "last.safetensors"
    checkpoint.write(path, tensors(0.1), METADATA)
    kept = checkpoint.read(path)  # as a resumed run keeps the optimiser's state
    checkpoint.write(path, kept[0], kept[1])
    cache = ClipCache(tmp_path / "cache")
    frames = cache.read(CLIP, size=(16, 16)), cache.read(CLIP, size=(16, 16))
    (stored,) = (tmp_path / "cache").glob("*.npy")
    stored.write_bytes(b"damaged")
    assert torch.equal(cache.read(CLIP, size=(16, 16)), frames[1])
    assert replaced == ["last.safetensors", "last.safetensors", stored.name, stored.name]


def test_a_file_that_a_scanner_holds_for_a_moment_is_replaced(tmp_path, monkeypatch):
    """As happens on Windows."""
    real, refusals = Path.replace, [PermissionError(13, "Access is denied")] * 2

    def replace(self, target):
        if refusals:
            raise refusals.pop()
        return real(self, target)

    monkeypatch.setattr(files, "_HELD", (0.01, 0.01, 0.01))
    monkeypatch.setattr(Path, "replace", replace)
    with files.writing(Path(tmp_path) / "a.csv") as file:
        file.write("x")
    assert (tmp_path / "a.csv").read_text() == "x"


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP])
def test_a_drive_that_knows_no_fsync_is_written(tmp_path, monkeypatch, code):
    def refuse(_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    checkpoint.write(tmp_path / "a", tensors(0.01), METADATA)
    assert len(ClipCache(tmp_path).read(CLIP)) == 20


def test_a_drive_that_is_lost_while_a_checkpoint_is_saved_is_named(tmp_path, monkeypatch):
    """As over NFS."""
    path = tmp_path / "last.safetensors"
    first = tensors(0.01)
    checkpoint.write(path, first, METADATA)

    def lost(*_):
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(os, "replace", lost)
    with pytest.raises(OSError, match=r"last\.safetensors: cannot be written \(Stale file handle"):
        checkpoint.write(path, tensors(0.01), METADATA)
    assert torch.equal(checkpoint.read(path)[0]["weights"], first["weights"])


# A drive that sleeps

SLOW = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static int count = 0;
ssize_t read(int fd, void *to, size_t n) { /* the SLOW-th of an .avi takes over two seconds */
    ssize_t (*real)(int, void *, size_t) = dlsym(RTLD_NEXT, "read");
    char link[64], name[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t k = readlink(link, name, sizeof name);
    if (k > 4 && !memcmp(name + k - 4, ".avi", 4) && ++count == atoi(getenv("SLOW")))
        usleep(2200000);
    return real(fd, to, n);
}
"""
LOOK = """
import sys, time
from r3d_helpers import video
from r3d_helpers.apply.cache import ClipCache
began = time.monotonic()
print(video.probe(sys.argv[1]).num_frames, len(ClipCache(sys.argv[2]).read(sys.argv[1])))
print(time.monotonic() - began)
"""


def test_a_drive_that_sleeps_for_two_seconds_gives_every_frame(tmp_path):
    if not (sys.platform == "linux" and shutil.which("gcc")):
        pytest.skip("a slow drive is simulated on Linux with gcc")
    (tmp_path / "slow.c").write_text(SLOW)
    library = tmp_path / "slow.so"
    command = ["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "slow.c", "-ldl"]
    subprocess.run(command, check=True)
    path = tmp_path / "a.avi"
    shutil.copy(DATA / "odd" / "mjpeg.avi", path)
    child = subprocess.run(
        [sys.executable, "-c", LOOK, path, tmp_path / "cache"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "LD_PRELOAD": str(library), "SLOW": "4"},
        check=True,
    )
    frames, seconds = child.stdout.splitlines()
    assert frames == "10 10"
    assert float(seconds) > 2.2, "no read was slow: this test has seen nothing"


# A small /dev/shm


def test_a_small_shared_memory_is_one_line(faces, tmp_path):
    """As in Docker, which gives 64 MB. Without it: thirty lines of traceback."""
    if not (sys.platform == "linux" and os.geteuid() == 0 and shutil.which("unshare")):
        pytest.skip("a small /dev/shm is simulated as root on Linux")
    mount = 'mount -t tmpfs -o size=100k tmpfs /dev/shm && exec "$@"'
    options = [*TINY, "--size", "64", "--num-workers", "1"]
    command = [sys.executable, "-m", "r3d_helpers", "train", faces, "--out", tmp_path / "run"]
    child = subprocess.run(
        ["unshare", "-m", "sh", "-c", mount, "sh", *map(str, [*command, *options])],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    if "unshare failed" in child.stderr or "permission denied" in child.stderr:
        pytest.skip(f"no /dev/shm could be mounted here: {child.stderr.strip()}")
    shutil.rmtree(tmp_path / "run")
    assert child.returncode == 2, child.stderr
    line = child.stderr.splitlines()[-1]
    assert line.startswith("error: the processes that load clips ran out of shared memory")
    assert "Traceback" not in child.stderr
    assert "--num-workers 0" in line


def test_csv_of_names_that_are_no_utf_8_comes_back(tmp_path):
    dataset, logits = predictions(2)
    evaluation.write_predictions(tmp_path / "p.csv", dataset, logits)
    with (tmp_path / "p.csv").open(encoding="utf-8", errors="surrogateescape") as file:
        assert [row["path"] for row in csv.DictReader(file)] == [str(c.path) for c in dataset.clips]

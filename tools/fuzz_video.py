"""Does a damaged file raise only `VideoError`? Reads thousands of damaged files of five containers.

    python -m tools.fuzz_video [--files 3000] [--seed 0] [--jobs 2] [--limit 5]

Every file is read in another process, which may crash or hang. Fails on a crash, on a file that
takes longer than the limit, and on any exception other than `VideoError`; also if fewer than half
of the files still show a frame, because such damage would test little. The files that failed are
kept in build/fuzz. The same seed makes the same files.
"""

import argparse
import io
import multiprocessing
import os
import random
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from multiprocessing import connection
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

HOME = Path(__file__).resolve().parent.parent
KEPT = HOME / "build" / "fuzz"
WRONG = "exception", "crash", "hang"
VERDICTS = "frames", "VideoError", *WRONG
CONTAINERS = {  # from a name with the files' ending to FFmpeg's format, video and sound encoder
    "h264.mp4": ("mp4", "libx264", "aac"),
    "vp9.webm": ("webm", "libvpx-vp9", "libopus"),
    "mjpeg.avi": ("avi", "mjpeg", "pcm_s16le"),
    "mpeg2.ts": ("mpegts", "mpeg2video", "mp2"),
    "h264.flv": ("flv", "libx264", "aac"),
}

Job = tuple[str, int, int]  # what makes a damaged file: container, seed, number


class Result(NamedTuple):
    """The result of reading a damaged file."""

    job: Job
    verdict: str
    details: str
    seconds: float


# Damage: each changes some bytes in place


def cut(data: bytearray, dice: random.Random) -> None:
    """Lose the end."""
    del data[1 + dice.randrange(len(data) // 8, len(data)) :]


def flip(data: bytearray, dice: random.Random) -> None:
    """Flip single bits."""
    for _ in range(dice.randint(1, 16)):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def chunk(data: bytearray, dice: random.Random) -> slice:
    """Up to a tenth of the bytes."""
    begin = dice.randrange(len(data))
    return slice(begin, begin + dice.randint(1, max(1, len(data) // 10)))


def zero(data: bytearray, dice: random.Random) -> None:
    """Zeros, as from a lost sector of a disk."""
    part = chunk(data, dice)
    data[part] = bytes(len(data[part]))


def scramble(data: bytearray, dice: random.Random) -> None:
    """Bytes of another file."""
    part = chunk(data, dice)
    data[part] = dice.randbytes(len(data[part]))


def remove(data: bytearray, dice: random.Random) -> None:
    """Bytes that are lost, so that what follows comes too early."""
    del data[chunk(data, dice)]


def double(data: bytearray, dice: random.Random) -> None:
    """Bytes that come twice."""
    part = chunk(data, dice)
    data[part.start : part.start] = data[part]


def header(data: bytearray, dice: random.Random) -> None:
    """An extremely large or small number in a header or an index."""
    place = dice.choice([dice.randrange(2000), len(data) - dice.randrange(2000)])
    number = dice.choice([0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1])
    data[place : place + 4] = number.to_bytes(4, dice.choice(["big", "little"]))


DAMAGE = cut, flip, flip, zero, scramble, remove, double, header, header


@cache
def whole_file(name: str) -> bytes:
    """Twenty frames of a moving portrait, with silence, in this container."""
    kind, codec, sound_codec = CONTAINERS[name]
    with av.open(str(HOME / "tests" / "data" / "h264.mp4")) as source:
        pictures = [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]
    whole = io.BytesIO()
    with av.open(whole, "w", format=kind, options={"fflags": "bitexact"}) as out:
        options = {"g": "8", "threads": "1", "mbtree": "0"}  # libx264 is not repeatable with it
        video = out.add_stream(codec, rate=25, options=options)
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        sound = out.add_stream(sound_codec, rate=48000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 38400), np.int16), layout="mono")
        silence.sample_rate = 48000
        out.mux(sound.encode(silence))
        for picture in pictures:
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        for stream in (video, sound):
            out.mux(stream.encode())
    return whole.getvalue()


def damaged_file(name: str, seed: int, number: int) -> bytes:
    """The same bytes for the same arguments."""
    dice = random.Random(f"{name} {seed} {number}")
    data = bytearray(whole_file(name))
    for damage in dice.choices(DAMAGE, k=dice.randint(1, 4)):
        damage(data, dice)
    return bytes(data)


# Reading, in processes that may end at any time


def read(path: Path) -> str:
    """Read a file, and return the verdict and details."""
    from r3d_helpers import sampler, video

    try:
        video.read(path, lambda num_frames: sampler.uniform(num_frames, 8), (32, 32))
        for _ in video.stream(path):
            pass
    except video.VideoError:
        return "VideoError"
    return "frames"


def serve(pipe: connection.Connection, folder: str) -> None:
    """Make and read one file after the other, named by messages from the pipe."""
    warnings.simplefilter("ignore")
    for name in CONTAINERS:  # imports and first reads must not count as time of a damaged file
        path = Path(folder) / f"whole.{os.getpid()}.{name}"
        path.write_bytes(whole_file(name))
        if read(path) != "frames":
            raise RuntimeError(f"the file that is to be damaged cannot be read: {name}")
    pipe.send(("ready", ""))
    while job := pipe.recv():
        path = Path(folder) / f"{os.getpid()}.{job[0]}"
        path.write_bytes(damaged_file(*job))
        try:
            answer = read(path), ""
        except Exception:
            answer = "exception", traceback.format_exc()
        pipe.send(answer)


class Worker:
    """A process that reads one file at a time; ``job`` is the file, None while it starts."""

    def __init__(self, folder: str) -> None:
        self.job: Job | None = None
        self.pipe, other = multiprocessing.Pipe()
        spawn = multiprocessing.get_context("spawn")
        self.process = spawn.Process(target=serve, args=(other, folder), daemon=True)
        self.process.start()
        other.close()  # so that the pipe ends with the process

    def give(self, job: Job | None) -> None:
        """Let it read a file; None ends it."""
        self.job, self.began = job, time.monotonic()
        self.pipe.send(job)

    def answer(self, limit: float) -> tuple[str, str] | None:
        """Verdict and details; None while it is busy."""
        if self.pipe.poll():
            try:
                return self.pipe.recv()
            except EOFError:
                self.process.join()
                return "crash", f"exit code {self.process.exitcode}"
        if self.job and time.monotonic() - self.began > limit:
            self.process.kill()
            return "hang", f"more than {limit:g} s"
        return None


def read_all(jobs: Iterable[Job], count: int, limit: float) -> Iterator[Result]:
    """Read every file; yields each result as soon as it is known."""
    jobs = iter(jobs)
    with tempfile.TemporaryDirectory() as folder:
        workers = [Worker(folder) for _ in range(count)]
        while workers:
            connection.wait([worker.pipe for worker in workers], timeout=0.1)
            for number, worker in reversed(list(enumerate(workers))):
                if not (answer := worker.answer(limit)):
                    continue
                if worker.job:
                    yield Result(worker.job, *answer, time.monotonic() - worker.began)
                elif answer[0] == "crash":
                    raise RuntimeError(f"the reading process cannot start: {answer[1]}")
                if answer[0] in ("crash", "hang"):
                    workers[number] = Worker(folder)
                    continue
                worker.give(job := next(jobs, None))
                if job is None:
                    del workers[number]


def main() -> None:
    """Read, count, keep what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=3000, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (%(default)s)")
    parser.add_argument("--limit", type=float, default=5, help="seconds a file (%(default)s)")
    args = parser.parse_args()
    names = list(CONTAINERS)
    jobs = ((names[number % len(names)], args.seed, number) for number in range(args.files))
    counts, slowest = {name: Counter() for name in names}, dict.fromkeys(names, 0.0)
    for result in read_all(jobs, args.jobs, args.limit):
        name = result.job[0]
        counts[name][result.verdict] += 1
        slowest[name] = max(slowest[name], result.seconds)
        if result.verdict in WRONG:
            KEPT.mkdir(parents=True, exist_ok=True)
            path = KEPT / f"{result.verdict}-{result.job[1]}-{result.job[2]}-{name}"
            path.write_bytes(damaged_file(*result.job))
            print(f"{path.relative_to(HOME)}: {result.details}", flush=True)
    print(f"{args.files} files, seed {args.seed}\n")
    print(f"| container | {' | '.join(VERDICTS)} | slowest, s |")
    print("|---|" + "--:|" * (len(VERDICTS) + 1))
    for name in names:
        row = " | ".join(str(counts[name][verdict]) for verdict in VERDICTS)
        print(f"| {name} | {row} | {slowest[name]:.1f} |")
    total = sum(counts.values(), Counter())
    if any(total[verdict] for verdict in WRONG):
        sys.exit("something worse than VideoError: see build/fuzz")
    if 2 * total["frames"] < args.files:
        sys.exit("fewer than half of the files show a frame: this damage tests too little")


if __name__ == "__main__":
    main()

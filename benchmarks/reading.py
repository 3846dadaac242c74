"""How fast is the reader? Compared with PyAV, OpenCV and decord, used well, in the same run.

    python benchmarks/reading.py [--rounds 7] [--old CHECKOUT] [--case large]

`docs/maintain/benchmarks.md` explains the tables. Every arm is a separate process with one thread.
The arms take turns, in another order in each round, and each measures its own time.
"""

import argparse
import os
import pickle
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

HOME = Path(__file__).resolve().parent.parent
BUILD = HOME / "build" / "benchmarks"
BASELINES = "PyAV", "OpenCV", "decord"
PLAIN, FACE, COLD, WARM = "video.read", "FaceCrop.read", "cache, empty", "cache, full"
FRAMES, HEIGHT, WIDTH = 105, 720, 1280
CASES = {  # a title; how many frames; how many pixels; the arms, ours first
    "large": ("16 of 105 frames of 1280x720 H.264 at 112x112", 16, 112, (PLAIN, *BASELINES)),
    "small": ("4 frames of each of 20 samples, 64x64, at 32x32", 4, 32, (PLAIN, *BASELINES)),
    "large face": ("the large video, cut to the face", 16, 112, (FACE, PLAIN)),
    "small face": ("the small videos, cut to the face", 4, 32, (FACE, PLAIN)),
    "large cache": ("the large video and a cache", 16, 112, (PLAIN, COLD, WARM)),
    "small cache": ("the small videos and a cache", 4, 32, (PLAIN, COLD, WARM)),
}

Read = Callable[[Sequence[Path], int, int], list[np.ndarray]]


# The arms: videos, number of frames and side in pixels become RGB frames, [T, H, W, C] each.
# Each imports its own library, because two FFmpegs in one process disturb each other.


def package(kind: str) -> Read:
    """Our reader, as it is or as one of its wrappers."""
    from r3d_helpers import sampler, video

    try:
        from r3d_helpers.apply import crops
        from r3d_helpers.apply.cache import ClipCache
    except ImportError:  # a checkout of version 1.0
        from r3d_helpers.cache import ClipCache

        from r3d_helpers import crops

    kept = tempfile.TemporaryDirectory(dir=BUILD)

    def read(paths: Sequence[Path], count: int, side: int) -> list[np.ndarray]:
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            reads = {
                PLAIN: lambda: video.read,
                FACE: lambda: crops.FaceCrop(no_face="centre").read,
                COLD: lambda: ClipCache(folder).read,
                WARM: lambda: ClipCache(kept.name).read,
            }
            one = reads[kind]()
            clips = [one(path, lambda n: sampler.uniform(n, count), (side, side)) for path in paths]
        return [clip.numpy().transpose(0, 2, 3, 1) for clip in clips]

    return read


def pyav() -> Read:
    """PyAV: converts only the wanted frames, and scales them in the same pass."""
    import av
    from av.video.reformatter import Interpolation, VideoReformatter

    from r3d_helpers import sampler

    def read_one(path: Path, count: int, side: int) -> np.ndarray:
        convert = VideoReformatter().reformat
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            height, width = inner(stream.height, stream.width, side)
            wanted = sampler.uniform(stream.frames, count)
            kept = {
                index: convert(
                    frame, width, height, "rgb24", interpolation=Interpolation.AREA
                ).to_ndarray()
                for index, frame in enumerate(container.decode(stream))
                if index in wanted
            }
        return square(np.stack([kept[index] for index in wanted]), side)

    return lambda paths, count, side: [read_one(path, count, side) for path in paths]


def opencv() -> Read:
    """OpenCV: `grab` every frame, `retrieve` the wanted ones."""
    import cv2

    from r3d_helpers import sampler

    cv2.setNumThreads(1)

    def read_one(path: Path, count: int, side: int) -> np.ndarray:
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        wanted = sampler.uniform(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), count)
        kept, index = {}, 0
        while capture.grab():
            if index in wanted:
                _, frame = capture.retrieve()
                cut = square(frame, min(frame.shape[:2]))
                kept[index] = cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA)
            index += 1
        capture.release()
        return np.stack([kept[index][..., ::-1] for index in wanted])

    return lambda paths, count, side: [read_one(path, count, side) for path in paths]


def decord() -> Read:
    """Decord: scaled by its own filters."""
    import av
    from decord import VideoReader

    from r3d_helpers import sampler

    @cache
    def shape(path: Path) -> tuple[int, int]:  # Decord needs it beforehand
        with av.open(str(path)) as container:
            return container.streams.video[0].height, container.streams.video[0].width

    def read_one(path: Path, count: int, side: int) -> np.ndarray:
        height, width = inner(*shape(path), side)
        reader = VideoReader(str(path), width=width, height=height, num_threads=1)
        return square(reader.get_batch(sampler.uniform(len(reader), count)).asnumpy(), side)

    return lambda paths, count, side: [read_one(path, count, side) for path in paths]


def inner(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width when the shorter of both is scaled to ``side``."""
    shorter = min(height, width)
    return round(height * side / shorter), round(width * side / shorter)


def square(frames: np.ndarray, side: int) -> np.ndarray:
    """Cut ``[..., H, W, C]`` around the centre."""
    top, left = ((length - side) // 2 for length in frames.shape[-3:-1])
    return frames[..., top : top + side, left : left + side, :]


# One process for each arm


def serve(arm: str) -> None:
    """Read the videos named on standard input, and answer with seconds and frames."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # prints of libraries go to standard error
    import torch

    torch.set_num_threads(1)
    read = {"PyAV": pyav, "OpenCV": opencv, "decord": decord}.get(arm, lambda: package(arm))()
    with suppress(EOFError):
        while True:
            job = pickle.load(sys.stdin.buffer)
            began = time.perf_counter(), time.process_time()
            clips = read(*job)
            took = time.perf_counter() - began[0], time.process_time() - began[1]
            pickle.dump((took, clips), answers)
            answers.flush()


class Arm:
    """A process that reads when it is called."""

    def __init__(self, kind: str, checkout: Path) -> None:
        paths = [str(checkout), os.environ.get("PYTHONPATH", "")]
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve", kind],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __call__(self, *job: object) -> tuple[tuple[float, float], list[np.ndarray]]:
        """Seconds by the clock, seconds of processor time, frames of every video."""
        pickle.dump(job, self.process.stdin)
        self.process.stdin.flush()
        return pickle.load(self.process.stdout)


# What is read


def make_clip() -> Path:
    """A portrait before a moving background, with camera noise: always the same bytes."""
    import av
    import cv2

    path = BUILD / "large.mp4"
    if path.exists():
        return path
    part = path.with_suffix(".part.mp4")
    with av.open(str(HOME / "tests" / "data" / "h264.mp4")) as source:
        small = [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]
    noise = np.random.default_rng(0)
    options = {"crf": "26", "preset": "medium", "threads": "1", "mbtree": "0"}
    with av.open(str(part), "w", options={"fflags": "bitexact"}) as out:
        stream = out.add_stream("libx264", rate=30, options=options)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for number in range(FRAMES):
            turn, share = divmod(number * (len(small) - 1) / FRAMES, 1)
            frame = small[int(turn)] * (1 - share) + small[int(turn) + 1] * share
            frame = cv2.resize(frame, (WIDTH, WIDTH * 3 // 4), interpolation=cv2.INTER_CUBIC)
            frame = frame[120 : 120 + HEIGHT] + noise.normal(0, 2, (HEIGHT, WIDTH, 1))
            frame = np.clip(frame, 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        out.mux(stream.encode())
    part.replace(path)
    return path


# The table


def measure(case: str, rounds: int, old: Path | None) -> None:
    """Time the arms of one case in turn, and print its table."""
    title, count, side, kinds = CASES[case]
    samples = sorted((HOME / "data_samples").rglob("*.mp4"))
    paths = [make_clip()] if case.startswith("large") else samples[:: len(samples) // 20][:20]
    arms = {}
    for kind in kinds:
        if kind != "decord" or find_spec("decord"):
            arms[kind] = Arm(kind, HOME)
        if old and kind not in BASELINES:
            arms[f"{kind}, old"] = Arm(kind, old)
    first = {name: arm(paths, count, side)[1] for name, arm in arms.items()}  # not timed
    times = {name: [] for name in arms}
    for number in range(rounds):
        for name in random.Random(number).sample(list(arms), len(arms)):
            times[name].append(arms[name](paths, count, side)[0])
    for arm in arms.values():
        arm.process.stdin.close()
        arm.process.wait()
    print(f"\n{title}: {rounds} rounds\n")
    print("| arm | ms | processor, ms | ours / it | by processor | pixels |")
    print("|---|--:|--:|--:|--:|--:|")
    ours = kinds[0]
    for name, taken in times.items():
        middle = [1000 * statistics.median(each) for each in zip(*taken, strict=True)]
        rounds_both = list(zip(times[ours], taken, strict=True))
        ratios = [statistics.median(our[i] / its[i] for our, its in rounds_both) for i in (0, 1)]
        pairs = zip(first[ours], first[name], strict=True)
        apart = statistics.mean(np.abs(a.astype(int) - b).mean() for a, b in pairs)
        print(
            f"| {name} | {middle[0]:.1f} | {middle[1]:.1f} | {ratios[0]:.2f} | {ratios[1]:.2f} "
            f"| {apart:.2f} |",
            flush=True,
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="(%(default)s)")
    parser.add_argument("--old", type=Path, help="another checkout, timed in the same run")
    parser.add_argument("--case", choices=CASES, nargs="+", default=list(CASES), help="(all)")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve)
        return
    BUILD.mkdir(parents=True, exist_ok=True)
    print(f"one thread of {os.cpu_count()} cores")
    if not find_spec("decord"):
        print("decord is not installed (pip install decord): left out")
    for case in args.case:
        measure(case, args.rounds, args.old and args.old.resolve())


if __name__ == "__main__":
    main()

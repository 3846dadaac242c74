"""How much time does the cache save? Loads every clip as in training, with and without it.

    python benchmarks/cache.py [FOLDER] [--reader ravdess] [--size 112] [--crop face] ...

Both ways are timed in turn, several times in one run, and the ratio of each pair is printed: an
epoch with decoding over an epoch with the cache, from file to uint8 frames. The last line includes
normalisation, which no cache can avoid. Filling the cache is timed once, because it happens once.
Files are read beforehand, so that the disk counts for neither.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from r3d_helpers import datasets
from r3d_helpers.apply import crops
from r3d_helpers.apply.runs import Shape
from r3d_helpers.doctor import SAMPLES


def load(dataset: datasets.ClipDataset, normalized: bool = False) -> float:
    """Seconds to fetch every clip once: read, crop, sample."""
    began = time.perf_counter()
    for number, clip in enumerate(dataset.clips):
        dataset[number] if normalized else dataset.fetch(clip.path)
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, nargs="?", default=SAMPLES, help="(the samples)")
    parser.add_argument("--reader", choices=("ravdess", "crema_d", "folder"), default="ravdess")
    parser.add_argument("--clip-len", type=int, default=16, help="(%(default)s)")
    parser.add_argument("--size", type=int, default=112, help="(%(default)s)")
    parser.add_argument("--crop", choices=("none", "face"), default="none")
    parser.add_argument("--clips", type=int, default=200, help="at most (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="pairs (%(default)s)")
    args = parser.parse_args()

    clips = getattr(datasets, args.reader)(args.root)
    clips = clips[:: max(1, len(clips) // args.clips)][: args.clips]
    crop = crops.FaceCrop(no_face="centre") if args.crop == "face" else None
    with tempfile.TemporaryDirectory() as folder:
        plain, cached = (
            Shape(args.clip_len, args.size, crop, place).dataset(clips)
            for place in (None, Path(folder))
        )
        load(plain)
        print(
            f"{len(clips)} clips, {args.clip_len} frames of {args.size} x {args.size}, {args.crop}"
        )
        print(f"filling the cache: {load(cached):.2f} s")
        print(f"on disk: {sum(p.stat().st_size for p in Path(folder).iterdir()) / 1e6:.0f} MB")
        ratios = []
        for _ in range(args.rounds):
            pair = load(plain), load(cached)
            ratios.append(pair[0] / pair[1])
            print(f"decoding {pair[0]:.3f} s, cached {pair[1]:.3f} s: {ratios[-1]:.1f} times")
        print(f"median: {statistics.median(ratios):.1f} times cheaper")
        whole = [load(plain, True) / load(cached, True) for _ in range(args.rounds)]
        print(f"with normalisation: {statistics.median(whole):.1f} times cheaper")


if __name__ == "__main__":
    main()

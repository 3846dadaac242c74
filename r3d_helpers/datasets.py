"""Find labelled clips on disk, look them over, split them by subject, serve them to a model."""

import os
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from . import sampler as samplers
from . import video
from .cache import ClipCache
from .crops import FaceCrop

RAVDESS_EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
CREMA_D_EMOTIONS = {
    "ANG": "angry",
    "DIS": "disgust",
    "FEA": "fearful",
    "HAP": "happy",
    "NEU": "neutral",
    "SAD": "sad",
}
# Reported by users of CREMA-D; they decode, at least in part.
CREMA_D_DOUBTFUL = {
    "1076_MTI_NEU_XX": "reported as damaged",
    "1076_MTI_SAD_XX": "reported as damaged",
    "1064_TIE_SAD_XX": "reported as damaged",
    "1064_IEO_DIS_MD": "a minute long, where a sentence takes three seconds",
}
VIDEO_ENDINGS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".flv", ".m4v", ".mpg")

# Mean and standard deviation of Kinetics-400, RGB in [0, 1]; torchvision's r3d_18 weights use them.
MEAN = (0.43216, 0.394666, 0.37645)
STD = (0.22803, 0.22145, 0.216989)


@dataclass(frozen=True)
class Clip:
    """One labelled video file.

    Attributes:
        path: the file.
        label: the emotion's name, such as ``"happy"``.
        subject: who is seen, such as ``"07"``; clips are only ever split by subject.
    """

    path: Path
    label: str
    subject: str


def ravdess(root: str | os.PathLike, *, channel: str = "speech") -> list[Clip]:
    """List the videos of a RAVDESS copy, or of anything named like it.

    The full-AV file and the video-only file of one performance show the same frames: only one
    is kept. Audio-only files are no videos.

    Args:
        root: the folder that holds ``Actor_01`` and so on, at any depth.
        channel: ``"speech"``, or ``"song"``, which has neither disgust nor surprised.

    Returns:
        Clips ordered by actor and name.

    Raises:
        FileNotFoundError: ``root`` is not a folder.
        ValueError: no such video below ``root``, or an unknown channel.

    Source: Livingstone and Russo 2018, https://zenodo.org/records/1188976.
    """
    channels = {"speech": "01", "song": "02"}
    if channel not in channels:
        raise ValueError(f"channel must be 'speech' or 'song', got {channel!r}")
    pattern = rf"0[12]-({channels[channel]}-(0[1-8])-\d\d-\d\d-\d\d-(\d\d))"
    performances = {}
    for path, match in _matches(root, pattern, "02-01-03-01-01-01-07.mp4"):
        name, emotion, actor = match.groups()
        performances.setdefault(name, Clip(path, RAVDESS_EMOTIONS[emotion], actor))
    return sorted(performances.values(), key=lambda clip: (clip.subject, clip.path.name))


def crema_d(root: str | os.PathLike) -> list[Clip]:
    """List the videos of a CREMA-D copy (``AAAA_SSS_EEE_LL.flv``).

    Labels have the same names as RAVDESS's.

    Args:
        root: the folder that holds the videos, at any depth.

    Returns:
        Clips ordered by actor and name.

    Raises:
        FileNotFoundError: ``root`` is not a folder.
        ValueError: no such video below ``root``.

    Source: Cao et al. 2014, https://github.com/CheyneyComputerScience/CREMA-D.
    """
    pattern = r"((\d{4})_[A-Z]{3}_(ANG|DIS|FEA|HAP|NEU|SAD)_(?:LO|MD|HI|XX?))"
    clips = {}
    for path, match in _matches(root, pattern, "1001_IEO_HAP_MD.flv"):
        name, actor, emotion = match.groups()
        clips.setdefault(name, Clip(path, CREMA_D_EMOTIONS[emotion], actor))
    return sorted(clips.values(), key=lambda clip: (clip.subject, clip.path.name))


def folder(root: str | os.PathLike) -> list[Clip]:
    """List your own videos, laid out as ``root/<label>/<subject>_<anything>.mp4``.

    Args:
        root: the folder that holds one folder per label, or a folder around that one.

    Returns:
        Clips ordered by path.

    Raises:
        FileNotFoundError: ``root`` is not a folder.
        ValueError: no video below ``root``, or one that is out of place or has no subject.
    """
    paths = [path for path, _ in _matches(root, ".+", "happy/anna_01.mp4")]
    # A zip may have been unpacked into folders of its own: then what all labels lie in is the root.
    root, around = Path(root), {path.parent.parent for path in paths}
    if len(around) == 1 and root in next(iter(around)).parents:
        (root,) = around
    clips = []
    for path in paths:
        subject, underscore, _ = path.stem.partition("_")
        if not (subject and underscore and len(path.relative_to(root).parts) == 2):
            raise ValueError(f"{path}: expected {root}/<label>/<subject>_<anything>{path.suffix}")
        clips.append(Clip(path, path.parent.name, subject))
    return clips


@dataclass(frozen=True)
class Description:
    """What `describe` found; ``print`` shows it as a table.

    Attributes:
        clips: those that can be read, in order.
        frames: of each, the number of frames that decode.
        seconds: of each, its length; 0.0 where the file does not state its frame rate.
        unreadable: the other clips, each with the error.
        doubtful: clips that can be read and still deserve a look, each with the reason.
    """

    clips: list[Clip]
    frames: list[int]
    seconds: list[float]
    unreadable: list[tuple[Clip, video.VideoError]]
    doubtful: list[tuple[Clip, str]]

    def __str__(self) -> str:
        lines = [f"{len(self.clips)} clips of {len({c.subject for c in self.clips})} subjects"]
        if self.clips:
            lines += [
                f"frames:  {_range(self.frames, '.0f')}",
                f"seconds: {_range(self.seconds, '.1f')}",
                "",
                *_table(self.clips),
            ]
        for name in ("unreadable", "doubtful"):
            if found := getattr(self, name):
                # The reason names the file wherever the error did.
                lines += ["", f"{len(found)} {name}:", *(f"  {reason}" for _, reason in found)]
        return "\n".join(lines)


def describe(clips: Iterable[Clip], *, progress: bool = False) -> Description:
    """Decode every clip once, count, and list what cannot be read, with the reason.

    Nothing is left out anywhere unless you go on with the ``clips`` of the result.

    Args:
        clips: what to look at.
        progress: show a progress bar.

    Returns:
        Counts by emotion and subject, lengths, and troubles.
    """
    good, unreadable = readable(clips, video.probe, progress=progress)
    infos = [info for _, info in good]
    return Description(
        clips=[clip for clip, _ in good],
        frames=[info.num_frames for info in infos],
        seconds=[info.num_frames / info.fps if info.fps > 0 else 0.0 for info in infos],
        unreadable=unreadable,
        doubtful=[(clip, doubt) for clip, info in good if (doubt := _doubt(clip, info))],
    )


def readable(
    clips: Iterable[Clip], read: Callable[[Path], Any], *, progress: bool = False
) -> tuple[list[tuple[Clip, Any]], list[tuple[Clip, video.VideoError]]]:
    """Try to read every clip, several at a time.

    Args:
        clips: what to try.
        read: how, such as `video.probe`; or `ClipDataset.fetch`, which looks for a face and fills
            the cache, where the data set has these.
        progress: show a progress bar.

    Returns:
        The clips that could be read, with what ``read`` returned; and the others, with the error.
    """
    clips = list(clips)

    def attempt(clip: Clip) -> Any:  # noqa: ANN401 (what `read` returns)
        try:
            return read(clip.path)
        except video.VideoError as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        bar = tqdm(pool.map(attempt, clips), total=len(clips), unit="clip", disable=not progress)
        found = list(zip(clips, bar, strict=True))
    return (
        [(clip, result) for clip, result in found if not isinstance(result, video.VideoError)],
        [(clip, result) for clip, result in found if isinstance(result, video.VideoError)],
    )


def split_by_subject(
    clips: Iterable[Clip], val_fraction: float = 0.25, seed: int = 0
) -> tuple[list[Clip], list[Clip]]:
    """Split clips in two so that nobody is seen on both sides.

    Args:
        clips: what to split.
        val_fraction: share of the *subjects* on the second side, between 0 and 1; at least one
            subject lands on each side.
        seed: which subjects.

    Returns:
        ``(train, val)``, each in the order of ``clips``.

    Raises:
        ValueError: the fraction is not between 0 and 1, or there is only one subject.
    """
    clips = list(clips)
    if not 0 < val_fraction < 1:
        raise ValueError(f"val_fraction must lie between 0 and 1, got {val_fraction!r}")
    subjects = _subjects(clips)
    random.Random(seed).shuffle(subjects)
    count = min(max(1, round(val_fraction * len(subjects))), len(subjects) - 1)
    return _part(clips, set(subjects[:count]))


def train_val_test(
    clips: Iterable[Clip], test_fraction: float = 0.2, val_fraction: float = 0.15, seed: int = 0
) -> tuple[list[Clip], list[Clip], list[Clip]]:
    """Split clips in three: to learn from, to choose the epoch by, to be scored on once.

    Args:
        clips: what to split, of three subjects or more.
        test_fraction: share of the subjects to test on.
        val_fraction: share of the remaining subjects to validate on.
        seed: which subjects.

    Returns:
        ``(train, val, test)``, no subject in two of them, each in the order of ``clips``.

    Raises:
        ValueError: a fraction is not between 0 and 1, or there are too few subjects.
    """
    if len(subjects := _subjects(clips := list(clips))) < 3:
        raise ValueError(f"to train, validate and test takes 3 subjects or more, got {subjects}")
    rest, test = split_by_subject(clips, test_fraction, seed)
    return *split_by_subject(rest, val_fraction, seed), test


def subject_folds(clips: Iterable[Clip], k: int) -> list[tuple[list[Clip], list[Clip]]]:
    """Cut the subjects, in order, into ``k`` runs; each run is once the validation side.

    With RAVDESS and ``k=6`` these are the usual folds of four consecutive actors.

    Args:
        clips: what to split.
        k: number of folds, from 2 to the number of subjects.

    Returns:
        ``k`` pairs ``(train, val)``, each side in the order of ``clips``.

    Raises:
        ValueError: ``k`` is out of range.
    """
    clips = list(clips)
    subjects = _subjects(clips)
    n = len(subjects)
    if not 2 <= k <= n:
        raise ValueError(f"k must lie between 2 and the number of subjects, {n}, got {k!r}")
    return [_part(clips, set(subjects[i * n // k : (i + 1) * n // k])) for i in range(k)]


class ClipDataset(Dataset):
    """Clips as a model wants them: decoded, sampled, augmented and normalised.

    An item is ``(video, label)``: float32 ``[T, C, H, W]``, normalised with Kinetics' mean and
    standard deviation, and the index of the label in ``classes``.

    Args:
        clips: what to serve.
        clip_len: frames per clip, ``T``.
        size: height and width in pixels; a frame that is not square is cut around its centre.
        sampler: ``(num_frames, clip_len) -> indices``, such as `sampler.uniform`.
        transform: uint8 ``[T, C, H, W]`` to the same, such as `augment.preset`.
        classes: the label names in order; None takes those of ``clips``, sorted. Give the
            training set's to the other sets.
        crop: cuts every clip to its face; None keeps the frame.
        cache: a folder in which decoded clips are kept, see `ClipCache`; None decodes each time.
        in_memory: keep every clip that was decoded once, see `video.Remembered`.

    Attributes:
        clips: the clips, as a list.
        classes: label names; an item's label indexes it.
        crop: as given.
        targets: the label index of every clip.

    Raises:
        ValueError: no clips, a label that is not in ``classes``, or a number below 1.
        VideoError: on access, a file that cannot be read.
    """

    def __init__(
        self,
        clips: Iterable[Clip],
        clip_len: int = 16,
        size: int = 112,
        sampler: Callable[[int, int], Sequence[int]] = samplers.uniform,
        transform: Callable[[Tensor], Tensor] | None = None,
        classes: Sequence[str] | None = None,
        crop: FaceCrop | None = None,
        cache: str | os.PathLike | None = None,
        in_memory: bool = False,
    ) -> None:
        self.clips = list(clips)
        if not self.clips:
            raise ValueError("no clips: the list is empty")
        if clip_len < 1 or size < 1:
            raise ValueError(f"clip_len and size must be 1 or more, got {clip_len!r} and {size!r}")
        self.clip_len = clip_len
        self.size = size
        self.sampler = sampler
        self.transform = transform
        labels = {clip.label for clip in self.clips}
        self.classes = sorted(labels) if classes is None else list(classes)
        if unknown := sorted(labels.difference(self.classes)):
            raise ValueError(
                f"labels {unknown} are not among the classes {self.classes}: leave these clips "
                "out, or fine-tune the model on the new labels"
            )
        self.crop = crop
        if cache is not None:
            self._read = ClipCache(cache, crop).read
        else:
            self._read = video.read if crop is None else crop.read
        if in_memory:
            self._read = video.Remembered(self._read)
        self.targets = [self.classes.index(clip.label) for clip in self.clips]

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        frames = self.fetch(self.clips[index].path)
        if self.transform is not None:
            frames = self.transform(frames)
        return normalize(frames), self.targets[index]

    def fetch(self, path: str | os.PathLike) -> Tensor:
        """The frames of any video as this set serves them, before transform: uint8 [T, C, H, W]."""
        return self._read(
            path,
            indices=lambda num_frames: self.sampler(num_frames, self.clip_len),
            size=(self.size, self.size),
        )


def normalize(frames: Tensor) -> Tensor:
    """Map uint8 RGB ``[T, C, H, W]`` to float32 with Kinetics' mean 0 and deviation 1."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (frames / 255 - mean) / std


def _matches(
    root: str | os.PathLike, pattern: str, example: str
) -> list[tuple[Path, re.Match[str]]]:
    """Videos below ``root`` whose name without its ending is ``pattern``, in order of path."""
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder")
    found = [
        (path, match)
        for path in sorted(root.rglob("*"))
        if path.suffix.lower() in VIDEO_ENDINGS
        and not path.name.startswith(".")  # "._name.mp4" is what macOS leaves in zips
        and (match := re.fullmatch(pattern, path.stem))
        and path.is_file()
    ]
    if not found:
        raise ValueError(f"{root}: no video below it is named like {example}; is the reader right?")
    return found


def _doubt(clip: Clip, info: video.Info) -> str | None:
    if info.missing:
        return f"{clip.path}: cut short, {info.missing} frames after {info.num_frames} are missing"
    if known := CREMA_D_DOUBTFUL.get(clip.path.stem.upper()):
        return f"{clip.path}: {known}"
    return None


def _range(values: Sequence[float], how: str) -> str:
    return f"{min(values):{how}} to {max(values):{how}}, median {median(values):{how}}"


def _table(clips: Sequence[Clip]) -> list[str]:
    """Clips by subject (down) and label (across); neighbours with equal counts share a row."""
    counts = Counter((clip.subject, clip.label) for clip in clips)
    labels = sorted({clip.label for clip in clips})
    rows = [
        (subject, [counts[subject, label] for label in labels])
        for subject in sorted({clip.subject for clip in clips})
    ]
    table = [("subject", labels)]
    for row, group in groupby(rows, key=lambda item: item[1]):
        names = [subject for subject, _ in group]
        name = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]} ({len(names)}), each"
        table.append((name, row))
    table.append(("all", [sum(column) for column in zip(*(row for _, row in rows), strict=True)]))
    first = max(len(name) for name, _ in table)
    width = max(5, *map(len, labels)) + 2
    return [f"{name:<{first}}" + "".join(f"{n:>{width}}" for n in row) for name, row in table]


def _subjects(clips: Sequence[Clip]) -> list[str]:
    subjects = sorted({clip.subject for clip in clips})
    if len(subjects) < 2:
        raise ValueError(f"a split by subject needs 2 subjects or more, got {subjects}")
    return subjects


def _part(clips: Sequence[Clip], val: set[str]) -> tuple[list[Clip], list[Clip]]:
    return (
        [clip for clip in clips if clip.subject not in val],
        [clip for clip in clips if clip.subject in val],
    )

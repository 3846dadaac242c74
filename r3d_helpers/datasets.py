"""Find labelled clips on disk, split them by subject, and load them for a model."""

import os
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset

from . import _moved, video
from . import sampler as samplers
from .listing import LeftOut, Listing, nothing, unlike, videos
from .names import composed

__getattr__ = _moved.names(
    __name__, describe="apply.overview.describe", readable="apply.overview.readable"
)

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

# Mean and standard deviation of Kinetics-400, RGB in [0, 1]; torchvision's r3d_18 weights use them.
MEAN = (0.43216, 0.394666, 0.37645)
STD = (0.22803, 0.22145, 0.216989)


@dataclass(frozen=True)
class Clip:
    """One labelled video file.

    Attributes:
        path: the file.
        label: the emotion's name, such as ``"happy"``, in composed letters (NFC).
        subject: who is seen, such as ``"07"``, likewise; clips are split by subject only.
    """

    path: Path
    label: str
    subject: str

    def __post_init__(self) -> None:
        # Disks may store the same name in different characters.
        object.__setattr__(self, "label", composed(self.label))
        object.__setattr__(self, "subject", composed(self.subject))


def ravdess(root: str | os.PathLike, *, channel: str = "speech") -> Listing:
    """List the videos of a RAVDESS copy, or of files named in the same way.

    The full-AV file and the video-only file of one performance show the same frames: only one
    is kept. Audio-only files are left out.

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
    other = "song" if channel == "speech" else "speech"

    def look(modality: str, name: str, spoken: str, emotion: str, actor: str) -> tuple | str:
        if spoken != channels[channel]:
            return f"{other}, not {channel}: see --channel {other}"
        return "sound alone" if modality == "03" else (name, RAVDESS_EMOTIONS[emotion], actor)

    pattern = r"(0[123])-((0[12])-(0[1-8])-\d\d-\d\d-\d\d-(\d\d))"
    return _performances(root, pattern, "02-01-03-01-01-01-07.mp4", look)


def crema_d(root: str | os.PathLike) -> Listing:
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

    def look(name: str, actor: str, emotion: str) -> tuple:
        return name, CREMA_D_EMOTIONS[emotion], actor

    pattern = r"((\d{4})_[A-Z]{3}_(ANG|DIS|FEA|HAP|NEU|SAD)_(?:LO|MD|HI|XX?))"
    return _performances(root, pattern, "1001_IEO_HAP_MD.flv", look)


def folder(root: str | os.PathLike) -> Listing:
    """List your own videos, laid out as ``root/<label>/<subject>_<anything>.mp4``.

    Args:
        root: the folder that holds one folder per label, or a folder around that one.

    Returns:
        Clips ordered by path.

    Raises:
        FileNotFoundError: ``root`` is not a folder.
        ValueError: no video below ``root``, or one that is out of place or has no subject.
    """
    given = Path(root)
    paths, left_out = videos(given)
    if not paths:
        raise nothing(given, "happy/anna_01.mp4", left_out)
    # A zip may unpack into extra folders: the root is the folder that holds all labels.
    root, around = given, {path.parent.parent for path in paths}
    if len(around) == 1 and root in next(iter(around)).parents:
        (root,) = around
    clips = []
    for path in paths:
        subject, underscore, _ = path.stem.partition("_")
        if not (subject and underscore and len(path.relative_to(root).parts) == 2):
            raise ValueError(f"{path}: expected {root}/<label>/<subject>_<anything>{path.suffix}")
        clips.append(Clip(path, path.parent.name, subject))
    return Listing(clips, given, left_out)


def split_by_subject(
    clips: Iterable[Clip], val_fraction: float = 0.25, seed: int = 0
) -> tuple[list[Clip], list[Clip]]:
    """Split clips in two so that no subject is on both sides.

    Args:
        clips: what to split.
        val_fraction: share of the *subjects* on the second side, between 0 and 1; at least one
            subject is on each side.
        seed: of the choice of subjects.

    Returns:
        ``(train, val)``, each in the order of ``clips``.

    Raises:
        ValueError: the fraction is not between 0 and 1, or there is only one subject.
    """
    clips = list(clips)
    if not 0 < val_fraction < 1:
        raise ValueError(f"val_fraction must lie between 0 and 1, got {val_fraction!r}")
    subjects = _two_or_more(clips)
    random.Random(seed).shuffle(subjects)
    count = min(max(1, round(val_fraction * len(subjects))), len(subjects) - 1)
    return _part(clips, set(subjects[:count]))


def train_val_test(
    clips: Iterable[Clip], test_fraction: float = 0.2, val_fraction: float = 0.15, seed: int = 0
) -> tuple[list[Clip], list[Clip], list[Clip]]:
    """Split clips in three: to train on, to choose the epoch, and to score the model once.

    Args:
        clips: what to split, of three subjects or more.
        test_fraction: share of the subjects to test on.
        val_fraction: share of the remaining subjects to validate on.
        seed: of the choice of subjects.

    Returns:
        ``(train, val, test)``, no subject in two of them, each in the order of ``clips``.

    Raises:
        ValueError: a fraction is not between 0 and 1, or there are too few subjects.
    """
    if len(subjects := _two_or_more(clips := list(clips))) < 3:
        raise ValueError(f"training, validation and test need 3 subjects or more, got {subjects}")
    rest, test = split_by_subject(clips, test_fraction, seed)
    return *split_by_subject(rest, val_fraction, seed), test


def subject_folds(clips: Iterable[Clip], k: int) -> list[tuple[list[Clip], list[Clip]]]:
    """Divide the subjects, in order, into ``k`` folds; each fold is once the validation side.

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
    subjects = _two_or_more(clips)
    n = len(subjects)
    if not 2 <= k <= n:
        raise ValueError(f"k must lie between 2 and the number of subjects, {n}, got {k!r}")
    return [_part(clips, set(subjects[i * n // k : (i + 1) * n // k])) for i in range(k)]


class Reader(Protocol):
    """What `ClipDataset` needs of an object that decodes clips."""

    def read(
        self,
        path: str | os.PathLike,
        indices: Sequence[int] | Callable[[int], Sequence[int]] | None = None,
        size: tuple[int, int] | None = None,
    ) -> Tensor:
        """Frames as `video.read` gives them: uint8 RGB ``[T, C, H, W]``."""


class InMemory:
    """A reader that decodes each file once, and keeps its frames: ``T * 3 * H * W`` bytes a clip.

    For small clips that are read in every epoch. Each process keeps its own frames, and a file
    that changes later is not noticed.

    Args:
        reader: how to decode.
    """

    def __init__(self, reader: Reader = video) -> None:
        self._read = reader.read
        self.settings = getattr(reader, "settings", None)
        self.frames: dict[tuple, Tensor] = {}

    def read(
        self,
        path: str | os.PathLike,
        indices: Sequence[int] | Callable[[int], Sequence[int]] | None = None,
        size: tuple[int, int] | None = None,
    ) -> Tensor:
        """Return frames as the reader does: uint8 ``[T, C, H, W]``, a copy."""
        if (key := (str(path), size)) not in self.frames:
            self.frames[key] = self._read(path, size=size)
        frames = self.frames[key]
        if indices is None:
            return frames.clone()
        return frames[video.listed(path, indices, len(frames))]


class ClipDataset(Dataset):
    """Clips as a model takes them: decoded, sampled, augmented and normalised.

    An item is ``(video, label)``: float32 ``[T, C, H, W]``, normalised with Kinetics' mean and
    standard deviation, and the index of the label in ``classes``.

    Args:
        clips: the clips to load.
        clip_len: frames per clip, ``T``.
        size: height and width in pixels; a frame that is not square is cut around its centre.
        sampler: ``(num_frames, clip_len) -> indices``, such as `sampler.uniform`.
        transform: uint8 ``[T, C, H, W]`` to the same, such as `augment.preset`.
        classes: the label names in order; None takes those of ``clips``, sorted. Give the
            training set's to the other sets.
        reader: what decodes a clip: anything with a function ``read`` like `video.read`, such as
            `InMemory`, a `FaceCrop` or a `ClipCache`.

    Attributes:
        clips: the clips, as a list.
        classes: label names; an item's label indexes it.
        crop: the settings of the reader's face crop, as a checkpoint keeps them; None without.
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
        reader: Reader = video,
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
        self.crop = getattr(reader, "settings", None)
        self._read = reader.read
        self.targets = [self.classes.index(clip.label) for clip in self.clips]

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        frames = self.fetch(self.clips[index].path)
        if self.transform is not None:
            frames = self.transform(frames)
        return normalize(frames), self.targets[index]

    def fetch(self, path: str | os.PathLike) -> Tensor:
        """The frames of any video as this set loads them, before transform: uint8 [T, C, H, W]."""
        return self._read(
            path,
            indices=lambda num_frames: self.sampler(num_frames, self.clip_len),
            size=(self.size, self.size),
        )


def normalize(frames: Tensor) -> Tensor:
    """Map uint8 RGB ``[T, C, H, W]`` to float32, with Kinetics' mean and standard deviation."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (frames / 255 - mean) / std


def _performances(
    root: str | os.PathLike, pattern: str, example: str, look: Callable[..., tuple | str]
) -> Listing:
    """List one clip of each performance.

    From the groups of ``pattern``, ``look`` makes the performance's name, the label and the
    subject, or the reason to leave the file out.
    """
    root = Path(root)
    paths, left_out = videos(root)
    clips = {}
    for path in paths:
        match = re.fullmatch(pattern, path.stem)
        seen = look(*match.groups()) if match else unlike(example)
        if isinstance(seen, tuple) and seen[0] in clips:
            seen = "another file of a performance that is there"
        if isinstance(seen, str):
            left_out.append(LeftOut(path, seen))
        else:
            name, label, subject = seen
            clips[name] = Clip(path, label, subject)
    if not clips:
        raise nothing(root, example, left_out)
    ordered = sorted(clips.values(), key=lambda clip: (clip.subject, clip.path.name))
    return Listing(ordered, root, left_out)


def _two_or_more(clips: Sequence[Clip]) -> list[str]:
    subjects = sorted({clip.subject for clip in clips})
    if len(subjects) < 2:
        raise ValueError(f"a split by subject needs 2 subjects or more, got {subjects}")
    return subjects


def _part(clips: Sequence[Clip], val: set[str]) -> tuple[list[Clip], list[Clip]]:
    return (
        [clip for clip in clips if clip.subject not in val],
        [clip for clip in clips if clip.subject in val],
    )

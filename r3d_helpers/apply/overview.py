"""Check a data set before using it: counts, lengths, and what cannot be read."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from tqdm.auto import tqdm

from .. import video
from ..datasets import Clip
from ..listing import Listing
from ..names import alike, counted, printable
from .crops import FaceCrop, Sighting

# Reported by users of CREMA-D; they decode, at least in part.
CREMA_D_DOUBTFUL = {
    "1076_MTI_NEU_XX": "reported as damaged",
    "1076_MTI_SAD_XX": "reported as damaged",
    "1064_TIE_SAD_XX": "reported as damaged",
    "1064_IEO_DIS_MD": "a minute long, where a sentence takes three seconds",
}
RENAME = "rename if they are: now a person may be in training and test, or a label count as two"


@dataclass(frozen=True)
class Description:
    """What `describe` found; ``print`` shows it as a table.

    Attributes:
        clips: those that can be read, in order.
        frames: the number of frames of each.
        seconds: the length of each; 0.0 if its file states no frame rate.
        unreadable: the other clips, each with the error.
        doubtful: clips that can be read but should be looked at, each with the reason.
        alike: names of subjects, or of labels, that may mean the same.
        left_out: the other files of the folder: a line for each reason, with number and names.
        faces: how often the face of each clip was seen; empty without ``crop``.
    """

    clips: list[Clip]
    frames: list[int]
    seconds: list[float]
    unreadable: list[tuple[Clip, video.VideoError]]
    doubtful: list[tuple[Clip, str]]
    alike: list[list[str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    faces: list[Sighting] = field(default_factory=list)

    def __str__(self) -> str:
        people = counted(len({clip.subject for clip in self.clips}), "subject")
        lines = [f"{counted(len(self.clips), 'clip')} of {people}"]
        if self.clips:
            lines += [
                f"frames:  {_range(self.frames, '.0f')}",
                f"seconds: {_range(self.seconds, '.1f')}",
                "",
                *_table(self.clips),
            ]
        for name in ("unreadable", "doubtful"):
            if found := getattr(self, name):
                lines += ["", f"{len(found)} {name}:", *(f"  {reason}" for _, reason in found)]
        if self.faces:
            lines += ["", *_faces(self.clips, self.faces)]
        if self.alike:
            lines += ["", "perhaps the same, and counted as different:"]
            clips = [*self.clips, *(clip for clip, _ in self.unreadable)]
            lines += [f"  {line}" for line in told_alike(self.alike, clips)]
            lines += [f"  {RENAME}"]
        if self.left_out:
            lines += ["", "left out:", *(f"  {line}" for line in self.left_out)]
        return "\n".join(lines)


def describe(
    clips: Iterable[Clip], *, crop: FaceCrop | None = None, progress: bool = False
) -> Description:
    """Decode every clip, count, and list what cannot be read, with the reason.

    The files stay as they are: to use only the readable clips, use the ``clips`` of the result.

    Args:
        clips: what to look at, such as the list of `datasets.folder`, which knows what it left out.
        crop: also report how often this face crop finds the face of each clip.
        progress: show a progress bar.
    """
    left_out = clips.told() if isinstance(clips, Listing) else []
    clips = list(clips)

    def look(path: Path) -> tuple[video.Info, Sighting | None]:
        return video.probe(path), None if crop is None else crop.sighting(crop.track(path))

    looked, unreadable = readable(clips, look, progress=progress)
    good = [(clip, info) for clip, (info, _) in looked]
    infos = [info for _, info in good]
    return Description(
        clips=[clip for clip, _ in good],
        frames=[info.num_frames for info in infos],
        seconds=[info.num_frames / info.fps if info.fps > 0 else 0.0 for info in infos],
        unreadable=unreadable,
        doubtful=[(clip, doubt) for clip, info in good if (doubt := _doubt(clip, info))],
        alike=[*alike(c.subject for c in clips), *alike(c.label for c in clips)],
        left_out=left_out,
        faces=[] if crop is None else [face for _, (_, face) in looked],
    )


def readable(
    clips: Iterable[Clip], read: Callable[[Path], Any], *, progress: bool = False
) -> tuple[list[tuple[Clip, Any]], list[tuple[Clip, video.VideoError]]]:
    """Try to read every clip, several at a time.

    Args:
        clips: what to try.
        read: such as `video.probe`; or `ClipDataset.fetch`, which also searches for the face and
            fills the cache, if the data set has these.
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
        how = {"desc": "reading", "unit": "clip", "disable": not progress}
        bar = tqdm(pool.map(attempt, clips), total=len(clips), **how)
        found = list(zip(clips, bar, strict=True))
    return (
        [(clip, result) for clip, result in found if not isinstance(result, video.VideoError)],
        [(clip, result) for clip, result in found if isinstance(result, video.VideoError)],
    )


def told_alike(groups: Iterable[Sequence[str]], clips: Sequence[Clip]) -> list[str]:
    """A line for each group of names that `alike` found, with one file of each name."""
    files: dict[str, Path] = {}
    for clip in clips:
        files.setdefault(clip.subject, clip.path)
        files.setdefault(clip.label, clip.path)
    return [printable(", ".join(f"{name} ({files[name]})" for name in names)) for names in groups]


def _doubt(clip: Clip, info: video.Info) -> str | None:
    if info.missing:
        return printable(
            f"{clip.path}: cut short, {info.missing} frames after {info.num_frames} are missing"
        )
    if info.damaged:
        return printable(f"{clip.path}: damaged, some of its frames show errors")
    if known := CREMA_D_DOUBTFUL.get(clip.path.stem.upper()):
        return printable(f"{clip.path}: {known}")
    return None


def _faces(clips: Sequence[Clip], faces: Sequence[Sighting]) -> list[str]:
    """How sure the face crop is, clip by clip, the least sure first."""
    order = sorted(range(len(clips)), key=lambda i: (faces[i].share, -faces[i].elsewhere))
    sure = sum(face.sure for face in faces)
    return [
        f"the face crop is sure of {sure} of {counted(len(clips), 'clip')}:",
        *(f"  {printable(clips[i].path)}: {faces[i]}" for i in order),
    ]


def _range(values: Sequence[float], how: str) -> str:
    return f"{min(values):{how}} to {max(values):{how}}, median {median(values):{how}}"


def _table(clips: Sequence[Clip]) -> list[str]:
    """Clips by subject (down) and label (across); neighbours with equal counts share a row."""
    counts = Counter((clip.subject, clip.label) for clip in clips)
    labels = sorted({clip.label for clip in clips})
    rows = [
        (printable(subject), [counts[subject, label] for label in labels])
        for subject in sorted({clip.subject for clip in clips})
    ]
    table: list[tuple[str, list]] = [("subject", [printable(label) for label in labels])]
    for row, group in groupby(rows, key=lambda item: item[1]):
        names = [subject for subject, _ in group]
        name = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]} ({len(names)}), each"
        table.append((name, row))
    table.append(("all", [sum(column) for column in zip(*(row for _, row in rows), strict=True)]))
    first = max(len(name) for name, _ in table)
    width = max(5, *map(len, table[0][1])) + 2
    return [f"{name:<{first}}" + "".join(f"{n:>{width}}" for n in row) for name, row in table]

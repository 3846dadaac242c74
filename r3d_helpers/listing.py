"""Find every video below a folder, and list what is left out, with the reason."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .names import printable

VIDEO_ENDINGS = (
    *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v"),
    *(".mkv", ".webm", ".avi", ".divx", ".flv", ".wmv", ".asf", ".ogv", ".ogm", ".rm", ".rmvb"),
    *(".mpg", ".mpeg", ".mpe", ".m1v", ".m2v", ".mpv", ".vob"),
    *(".ts", ".mts", ".m2ts", ".m2t", ".mod", ".tod", ".dv", ".dif", ".mxf", ".wtv"),  # cameras, TV
    *(".h264", ".264", ".h265", ".265", ".hevc", ".ivf", ".obu", ".mjpeg", ".mjpg", ".y4m"),
    *(".nut", ".gif"),
)
# Besides names that start with a dot: deleted files, thumbnails, what a Mac adds to a zip.
HIDDEN = {
    *("$recycle.bin", "recycler", "system volume information", "lost+found"),
    *("@eadir", "#recycle", "@recycle", "#snapshot", "@recently-snapshot", "__macosx"),
}
_NO_VIDEO = "no ending of a video"
_SHOWN = 3  # names shown of many


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that is not used.

    Attributes:
        path: its path.
        reason: why; equal reasons have equal texts, so that they can be counted.
    """

    path: Path
    reason: str


class Listing(list):
    """What was found in a folder: a list, with what was left out.

    Attributes:
        root: the folder.
        left_out: the other files, each with the reason.
    """

    def __init__(self, found: Iterable, root: Path, left_out: Iterable[LeftOut]) -> None:
        super().__init__(found)
        self.root = root
        self.left_out = list(left_out)

    def told(self) -> list[str]:
        """What is left out: one line for each reason, with the number and some names."""
        groups = defaultdict(list)
        for each in self.left_out:
            groups[each.reason].append(each.path)
        return [
            f"{reason}: {len(paths)} ({_named(reason, paths, self.root)})"
            for reason, paths in groups.items()
        ]


def nothing(root: Path, example: str, left_out: Iterable[LeftOut]) -> ValueError:
    """The error for a folder without usable videos; says what is there instead."""
    left_out = list(left_out)
    there = "; ".join(Listing([], root, left_out).told()) or "nothing"
    own = any(each.reason == unlike(example) and "_" in each.path.stem for each in left_out)
    hint = ": of <label>/<subject>_... it is --reader folder" if own else ""
    return ValueError(
        f"{root}: no video below it is named like {example} (see --reader{hint}); there is {there}"
    )


def unlike(example: str) -> str:
    """The reason to leave a video out whose name is of another form than the example."""
    return f"not named like {example}"


def videos(root: str | os.PathLike) -> tuple[list[Path], list[LeftOut]]:
    """Find videos, at any depth.

    Links are followed, to folders too; each folder is read once. A link to a missing file is
    listed as well, so that reading it raises an error that names it.

    Returns:
        The videos, and what is left out, each in order of path.

    Raises:
        FileNotFoundError: ``root`` is not a folder.
        OSError: it cannot be opened.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder")
    found: list[Path] = []
    left_out: list[LeftOut] = []
    read: set[str] = set()
    # Real folders first, then links to folders, hidden folders last.
    folders, links, hidden = [root], [], []
    while folders or links or hidden:
        unseen = not (folders or links)
        folder = (folders or links or hidden).pop(0)
        place = os.path.realpath(folder)
        around = folder != root and _is_around(place, folder)
        if place in read or around:
            goal = "around it" if around else "that is read anyway"
            if not unseen:
                left_out.append(LeftOut(folder, f"a link to a folder {goal}"))
            continue
        read.add(place)
        try:
            names = sorted(os.listdir(folder))
        except OSError as error:
            if folder == root:
                raise
            left_out.append(LeftOut(folder, f"cannot be opened ({error.strerror})"))
            continue
        for name in names:
            path, is_video = folder / name, os.path.splitext(name)[1].lower() in VIDEO_ENDINGS
            is_hidden = unseen or name.startswith(".") or name.lower() in HIDDEN
            if os.path.isdir(path):
                is_link = os.path.realpath(path) != os.path.join(place, name)
                (hidden if is_hidden else links if is_link else folders).append(path)
            elif is_hidden and name.endswith(".icloud"):
                left_out.append(LeftOut(path, "in iCloud and not on this disk; download it"))
            elif is_hidden:
                left_out += [LeftOut(path, "hidden or deleted")] if is_video else []
            elif not is_video:
                left_out.append(LeftOut(path, _NO_VIDEO))
            elif os.path.isfile(path) or os.path.islink(path):
                found.append(path)
            else:
                left_out.append(LeftOut(path, "not a regular file"))
    return sorted(found), sorted(left_out, key=lambda each: each.path)


def _is_around(place: str, link: Path) -> bool:
    """Whether a link leads to a folder that contains the link, which would never end."""
    return Path(os.path.realpath(link.parent)).is_relative_to(place)


def _named(reason: str, paths: list[Path], root: Path) -> str:
    if reason == _NO_VIDEO and len(paths) > _SHOWN:
        endings = Counter(path.suffix.lower() or "without any" for path in paths)
        return ", ".join(f"{count} {printable(ending)}" for ending, count in endings.most_common())
    names = [printable(os.path.relpath(path, root)) for path in paths[:_SHOWN]]
    more = [f"{len(paths) - _SHOWN} more"] if len(paths) > _SHOWN else []
    return ", ".join([*names, *more])

"""Names of files and people: show any name, and find different spellings of the same one."""

import hashlib
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

# Control characters, line breaks, changes of writing direction, bytes that are no UTF-8.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

_LONGEST = 200  # bytes of a file's name; disks take 255, and endings are added


def printable(text: object) -> str:
    r"""The text as one line of valid UTF-8.

    A character that cannot be shown is replaced by its code: a line break by ``\n``.
    """
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def counted(number: int, noun: str) -> str:
    """A number with its noun, such as "1 clip" or "2 clips"."""
    return f"{number} {noun}{'s' * (number != 1)}"


def composed(name: str) -> str:
    """The name in composed letters (NFC): a Mac's disk stores "ö" as two characters."""
    return unicodedata.normalize("NFC", name)


def alike(names: Iterable[str]) -> list[list[str]]:
    """Groups of different names that may mean the same.

    They differ only in capitals, spaces, width of letters, or zeros before a number.
    """
    groups = defaultdict(set)
    for name in names:
        key = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        groups[re.sub(r"(?<!\d)0+(?=\d)", "", key)].add(name)
    return [sorted(group) for group in groups.values() if len(group) > 1]


def distinct(paths: Sequence[Path]) -> list[str]:
    """A name for each file's output, different for each file on any disk.

    It is the stem; where stems are equal, with the ending, or with folders. Names that differ only
    in capitals or in composed letters count as equal, because they are on some disks.
    """
    places = [Path(os.path.abspath(path)) for path in paths]
    depth = max((len(place.parts) for place in places), default=0)
    counts = [
        Counter(_same(_name(place, folders)) for place in set(places)) for folders in range(depth)
    ]
    taken: dict[str, Path] = {}
    names: dict[Path, str] = {}
    for place in places:
        for folders in range(len(place.parts)):
            name = _name(place, folders)
            if counts[folders][_same(name)] == 1 and taken.get(_same(name), place) == place:
                break
        else:
            name = f"{_name(place, 0)}-{_digest(place)}"
        taken[_same(name)] = place
        names[place] = name
    return [names[place] for place in places]


def _name(place: Path, folders: int) -> str:
    """The stem, or the last ``folders`` parts of the path; shortened if too long."""
    name = "-".join(place.parts[-folders:]) if folders else place.stem
    if len(os.fsencode(name)) <= _LONGEST:
        return name
    return f"{os.fsencode(name)[:_LONGEST].decode(errors='ignore')}-{_digest(place)}"


def _same(name: str) -> str:
    return composed(composed(name).casefold())


def _digest(place: Path) -> str:
    return hashlib.sha256(os.fsencode(place)).hexdigest()[:8]

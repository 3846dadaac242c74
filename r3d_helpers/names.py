"""What files and people are called: any name can be shown, and the same one is known again."""

import hashlib
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

# Control characters and line breaks, what turns the direction of writing, bytes that are no UTF-8.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

_LONGEST = 200  # bytes of a file's name; disks take 255, and endings are added


def printable(text: object) -> str:
    r"""The text in one line that can be written as UTF-8, whatever names are in it.

    What cannot be shown appears by its code: a line break as ``\n``.
    """
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def counted(number: int, noun: str) -> str:
    """A number with its noun, such as "1 clip" or "2 clips"."""
    return f"{number} {noun}{'s' * (number != 1)}"


def composed(name: str) -> str:
    """The name in composed letters: a Mac's disk spells "ö" with two, others with one."""
    return unicodedata.normalize("NFC", name)


def alike(names: Iterable[str]) -> list[list[str]]:
    """Different names that may be meant to be the same.

    They differ only in capitals, spaces, width of letters, or zeros before a number.
    """
    groups = defaultdict(set)
    for name in names:
        key = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        groups[re.sub(r"(?<!\d)0+(?=\d)", "", key)].add(name)
    return [sorted(group) for group in groups.values() if len(group) > 1]


def distinct(paths: Sequence[Path]) -> list[str]:
    """A name for what is made of each file: another name for each file, on any disk.

    Files of one name get their ending, or their folders, too. Capitals and spelling do not count,
    because some disks know no difference.
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
    """The stem; or the last parts of the path, so many; not too long."""
    name = "-".join(place.parts[-folders:]) if folders else place.stem
    if len(os.fsencode(name)) <= _LONGEST:
        return name
    return f"{os.fsencode(name)[:_LONGEST].decode(errors='ignore')}-{_digest(place)}"


def _same(name: str) -> str:
    return composed(composed(name).casefold())


def _digest(place: Path) -> str:
    return hashlib.sha256(os.fsencode(place)).hexdigest()[:8]

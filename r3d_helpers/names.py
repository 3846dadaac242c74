"""What files and people are called: any name can be shown, and the same one is known again."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

# Control characters and line breaks, what turns the direction of writing, bytes that are no UTF-8.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


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

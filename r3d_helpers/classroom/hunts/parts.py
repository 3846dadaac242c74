"""The parts of a hunt: a correct program in pieces, and the bugs that each piece may have."""

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from string import Template

from torch import nn

from .probes import CLASSES

FAMILIES = {  # kinds of bugs, in words for learners
    "axes": "axes that are mixed up",
    "learning": "modules without effect",
    "time": "no time left",
    "batch": "dependence on others",
    "frames": "lost frames",
    "people": "people in train and test",
    "mode": "the wrong mode",
    "copies": "hooks that remember",
    "builds": "a model that cannot be built",
}


AND = "\n...\n"


@dataclass(frozen=True)
class Bug:
    """A bug: the right text of a program, and the wrong text instead.

    Attributes:
        family: one of `FAMILIES`; the complaints of this family show the bug.
        sound: the right text, which occurs once in the program; `AND` separates several places.
        broken: the wrong text.
        look: the first hint, a question that a measurement answers.
        where: the second hint, the part of the program to read.
        why: what was wrong, for the solution.
    """

    family: str
    sound: str
    broken: str
    look: str
    where: str
    why: str

    @property
    def places(self) -> list[tuple[str, str]]:
        """The right and the wrong text of each place."""
        return list(zip(self.sound.split(AND), self.broken.split(AND), strict=True))

    def filled(self, values: Mapping[str, object]) -> "Bug":
        """The same bug with sizes and names filled in."""
        texts = {key: _fill(getattr(self, key), values) for key in ("sound", "broken", "where")}
        return replace(self, **texts)


@dataclass(frozen=True)
class Piece:
    """A part of a program, and the bugs that it may have.

    Attributes:
        text: with ``$name`` for names and sizes that vary.
        bugs: of this part; at most one of each family is used.
        imports: the import lines that it needs.
    """

    text: str
    bugs: tuple[Bug, ...] = ()
    imports: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hunt:
    """A program in pieces.

    Attributes:
        name: unique among the hunts.
        pieces: of the correct program, from top to bottom.
        count: how many bugs it has, each of another family.
        values: names and sizes from which a seed chooses; at least ``Model``, the class, and
            ``frames``, the length of a clip.
        size: height and width of a clip, in pixels.
        make: creates a model of the program's class.
    """

    name: str
    pieces: tuple[Piece, ...]
    count: int
    values: Mapping[str, tuple]
    size: tuple[int, int] = (16, 24)
    make: Callable[[type], nn.Module] = lambda kind: kind(CLASSES)


@dataclass(frozen=True)
class Case:
    """A hunt as one learner gets it.

    Attributes:
        hunt: the hunt.
        seed: the learner's number.
        values: the chosen names and sizes.
        sound: the correct program.
        bugs: from top to bottom.
    """

    hunt: Hunt
    seed: int
    values: Mapping[str, object]
    sound: str
    bugs: tuple[Bug, ...]

    @property
    def text(self) -> str:
        """The program as the learner gets it."""
        return self.broken(*self.bugs)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of a clip, ``[T, C, H, W]``."""
        return (int(str(self.values["frames"])), 3, *self.hunt.size)

    @property
    def functions(self) -> list[str]:
        """The names of the program's functions, which must stay."""
        return re.findall(r"^def (\w+)", self.sound, re.MULTILINE)

    def broken(self, *bugs: Bug) -> str:
        """The program with some of its bugs."""
        text = self.sound
        for bug in bugs:
            for sound, broken in bug.places:
                text = _put(text, sound, broken)
        return text


def deal(hunt: Hunt, seed: int) -> Case:
    """Choose names, sizes and bugs; the same seed gives the same program."""
    random_ = random.Random(f"{hunt.name} {seed}")
    values = {key: random_.choice(options) for key, options in hunt.values.items()}
    imports = {line for piece in hunt.pieces for line in piece.imports}
    head = "\n".join(sorted(imports, key=lambda line: ("torch" in line, line[:4] != "impo", line)))
    body = "\n\n\n".join(piece.text.strip("\n") for piece in hunt.pieces)
    sound = _fill(f"{head}\n\n\n{body}\n", values)
    pool = [bug.filled(values) for piece in hunt.pieces for bug in piece.bugs]
    random_.shuffle(pool)
    chosen: list[Bug] = []
    for bug in pool:
        if len(chosen) < hunt.count and not any(_clash(sound, bug, other) for other in chosen):
            chosen.append(bug)
    chosen.sort(key=lambda bug: _spans(sound, bug)[-1])
    return Case(hunt, seed, values, sound, tuple(chosen))


def _clash(program: str, one: Bug, other: Bug) -> bool:
    return one.family == other.family or any(
        begin < stop and start < end
        for begin, end in _spans(program, one)
        for start, stop in _spans(program, other)
    )


def _spans(program: str, bug: Bug) -> list[tuple[int, int]]:
    begins = [(program.index(sound), len(sound)) for sound, _ in bug.places]
    return [(begin, begin + length) for begin, length in begins]


def _fill(text: str, values: Mapping[str, object]) -> str:
    return Template(text).substitute(values)


def _put(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise ValueError(f"{old!r} occurs {text.count(old)} times, not once, in\n{text}")
    return text.replace(old, new)

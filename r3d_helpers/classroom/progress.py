"""A learner's guesses, exercises and hunts, in one file beside the learner's copies, sent nowhere.

In other folders (such as the repository's ``notebooks/``, and in tests) nothing is read or written:
each kernel starts with "no guess yet".
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock

from ..files import replacing
from . import course

FILE = "progress.json"
HIDDEN = ".r3d"  # the folder that marks a folder of learner's copies
SOLUTIONS = "solutions.json"  # in `HIDDEN`: solutions as HTML, by the name of the check


class DamagedError(Exception):
    """A file holds no valid record; the message names the file and says what is wrong."""


@dataclass
class Guessed:
    """A stored guess.

    Attributes:
        option: its letter.
        answered: whether the answer has been shown; then the guess cannot be changed.
    """

    option: str
    answered: bool = False


@dataclass
class Tried:
    """Work on an exercise.

    Attributes:
        tries: number of checked answers, up to the first right one.
        solved: whether one of them was right.
        looked: whether the solution was shown before that.
    """

    tries: int = 0
    solved: bool = False
    looked: bool = False


@dataclass
class Hunted:
    """Work on a hunt.

    Attributes:
        seed: the learner's number, which chose the program.
        of: number of bugs in the program.
        tries: number of checked programs, up to the one without a bug.
        found: the largest number of bugs found in one of them.
        alone: the same before the first hint; this number is compared.
        hints: number of hints and solutions that were shown.
    """

    seed: int
    of: int
    tries: int = 0
    found: int = 0
    alone: int = 0
    hints: int = 0


@dataclass
class Progress:
    """Guesses, exercises and hunts by name."""

    guesses: dict[str, Guessed] = field(default_factory=dict)
    exercises: dict[str, Tried] = field(default_factory=dict)
    hunts: dict[str, Hunted] = field(default_factory=dict)


_OF_THIS_KERNEL = Progress()


def home() -> Path | None:
    """The folder of the learner's copies, if the kernel runs in one."""
    return Path.cwd() if Path(HIDDEN).is_dir() else None


def solution(check: str) -> str:
    """The solution of an exercise as HTML; empty if there is none to show."""
    try:
        return json.loads(Path(HIDDEN, SOLUTIONS).read_text(encoding="utf-8")).get(check, "")
    except (OSError, ValueError, AttributeError):
        return ""


def read(path: Path) -> Progress:
    """Read the record in a file; an empty one if there is no file.

    Raises:
        DamagedError: it cannot be read, or is no record.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Progress(
            {name: Guessed(**kept) for name, kept in content["guesses"].items()},
            {name: Tried(**kept) for name, kept in content["exercises"].items()},
            # a file from before there were hunts has none
            {name: Hunted(**kept) for name, kept in content.get("hunts", {}).items()},
        )
    except FileNotFoundError:
        return Progress()
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedError(f"{path.name} is no record of progress ({error})") from error


def load() -> Progress:
    """Read the learner's record. A damaged file is renamed, and a printed line says so."""
    folder = home()
    if folder is None:
        return _OF_THIS_KERNEL
    try:
        return read(folder / FILE)
    except DamagedError as error:
        aside = _aside(folder)
        (folder / FILE).replace(aside)
        print(f"{error}: it was renamed to {aside.name}, and a new file is started.")
        return Progress()


@contextmanager
def change() -> Iterator[Progress]:
    """Yield the learner's record to be changed, and save it at the end.

    Raises:
        OSError: the file cannot be written.
    """
    folder = home()
    if folder is None:
        yield _OF_THIS_KERNEL
        return
    with FileLock(folder / HIDDEN / "progress.lock"):  # two lessons may be open
        record = load()
        yield record
        with replacing(folder / FILE) as draft:
            draft.write_text(json.dumps(asdict(record), indent=1), encoding="utf-8")


def table(record: Progress, *lessons: str) -> str:
    """What a learner did, as text with a line for each guess, exercise and hunt.

    Args:
        record: of the learner.
        lessons: numbers of the lessons to show, such as ``"00"``; without any, all. ``"05"`` has
            all hunts, also the first one; the name of a hunt shows only this hunt.
    """
    lines = []
    for guess in course.GUESSES:
        said = guess_in_words(guess, record.guesses.get(guess.name))
        lines.append((guess.lesson[:2], "guess", guess.about, said))
    for exercise in course.EXERCISES:
        said = exercise_in_words(record.exercises.get(exercise.name))
        lines.append((exercise.lesson[:2], "exercise", exercise.title, said))
    for hunt in course.HUNTS:
        if lessons and "05" not in lessons and hunt.name not in lessons:
            continue
        said = hunt_in_words(record.hunts.get(hunt.name))
        lines.append((hunt.lesson[:2], "hunt", hunt.title, said))
    lines = sorted(
        (line for line in lines if not lessons or line[0] in lessons or line[1] == "hunt"),
        key=lambda line: line[0],
    )
    wide = max((len(what) for _, _, what, _ in lines), default=0)
    return "\n".join(f"{n}  {kind:<9} {what:<{wide}}  {said}" for n, kind, what, said in lines)


def show(*lessons: str) -> None:
    """Print the learner's own table."""
    print(table(load(), *lessons))


def guess_in_words(guess: course.Guess, kept: Guessed | None) -> str:
    """The state of a guess; the right answer is named only after the lesson has shown it."""
    if kept is None:
        return "no guess yet"
    if not kept.answered:
        return f"you said {kept.option}"
    right = "right" if kept.option == guess.right else f"it was {guess.right}"
    return f"you said {kept.option}, {right}"


def exercise_in_words(kept: Tried | None) -> str:
    """The state of an exercise."""
    if kept is None:
        return "not tried yet"
    if not kept.solved:
        return f"tried {kept.tries} times" if kept.tries != 1 else "tried once"
    return "solved, after looking at the solution" if kept.looked else f"solved at try {kept.tries}"


def hunt_in_words(kept: Hunted | None) -> str:
    """The state of a hunt."""
    if kept is None:
        return "not begun"
    alone = f", {kept.alone} before the first hint" if kept.hints else ""
    return f"{kept.found} of {kept.of} found{alone}"


def _aside(folder: Path) -> Path:
    """A name that no file has yet."""
    number = 1
    while (place := folder / f"progress-damaged-{number}.json").exists():
        number += 1
    return place

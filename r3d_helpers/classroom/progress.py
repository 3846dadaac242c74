"""What a learner has guessed and solved: one file beside the learner's copies, sent nowhere.

Elsewhere than beside a learner's copies (in the repository's own ``notebooks/``, under the tests)
nothing is read or written: a kernel begins with "no guess yet", and forgets at its end.
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
SOLUTIONS = "solutions.json"  # in `HIDDEN`: solutions as HTML, by the name of their check


class DamagedError(Exception):
    """A file that is no record of progress; the message names it and says what is wrong."""


@dataclass
class Guessed:
    """A guess that was kept.

    Attributes:
        option: its letter.
        answered: the answer has been shown, and the guess can no longer be changed.
    """

    option: str
    answered: bool = False


@dataclass
class Tried:
    """Work on an exercise.

    Attributes:
        tries: answers that were checked, up to the first right one.
        solved: one of them was right.
        looked: the solution was looked at before that.
    """

    tries: int = 0
    solved: bool = False
    looked: bool = False


@dataclass
class Hunted:
    """Work on a hunt.

    Attributes:
        seed: the learner's number, which chose the program.
        of: how many bugs the program has.
        tries: programs that were checked, up to the one in which all were found.
        found: the most bugs that were gone in one of them.
        alone: the same before the first hint; the number that is compared.
        hints: hints and solutions that were looked at.
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
    """The solution of an exercise as HTML; empty where there is none to show."""
    try:
        return json.loads(Path(HIDDEN, SOLUTIONS).read_text(encoding="utf-8")).get(check, "")
    except (OSError, ValueError, AttributeError):
        return ""


def read(path: Path) -> Progress:
    """The record in a file; an empty one where there is no file.

    Raises:
        DamagedError: it cannot be read, or is something else.
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
    """The learner's record. A damaged file is set aside, and a line says so."""
    folder = home()
    if folder is None:
        return _OF_THIS_KERNEL
    try:
        return read(folder / FILE)
    except DamagedError as error:
        aside = _aside(folder)
        (folder / FILE).replace(aside)
        print(f"{error}: it was set aside as {aside.name}, and a new one begins.")
        return Progress()


@contextmanager
def change() -> Iterator[Progress]:
    """Give the learner's record to be changed, and keep it.

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
    """What a learner did, a line for each guess, each exercise and each hunt.

    Args:
        record: of the learner.
        lessons: the numbers of those to show, such as ``"00"``; all without any. ``"05"`` has all
            hunts, also the one before; a hunt's name shows that one.
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
    """How a guess stands; the right answer is named only after the lesson has shown it."""
    if kept is None:
        return "no guess yet"
    if not kept.answered:
        return f"you said {kept.option}"
    right = "right" if kept.option == guess.right else f"it was {guess.right}"
    return f"you said {kept.option}, {right}"


def exercise_in_words(kept: Tried | None) -> str:
    """How an exercise stands."""
    if kept is None:
        return "not tried yet"
    if not kept.solved:
        return f"tried {kept.tries} times" if kept.tries != 1 else "tried once"
    return "solved, with the solution in sight" if kept.looked else f"solved at try {kept.tries}"


def hunt_in_words(kept: Hunted | None) -> str:
    """How a hunt stands."""
    if kept is None:
        return "not begun"
    alone = f", {kept.alone} before the first hint" if kept.hints else ""
    return f"{kept.found} of {kept.of} found{alone}"


def _aside(folder: Path) -> Path:
    """A name that is free."""
    number = 1
    while (place := folder / f"progress-damaged-{number}.json").exists():
        number += 1
    return place

"""A table of a class, from the progress files of its learners."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from . import course, progress
from .progress import Progress


class EmptyError(Exception):
    """There is no file for a table; the message names the folder."""


def of(folder: Path) -> str:
    """A table of the class, the guesses with the most wrong ones first, and the exercises.

    Args:
        folder: with a ``.json`` file for each learner, named after the learner.

    Raises:
        EmptyError: there is no such folder, or no file in it that can be read.
    """
    records, damaged = {}, []
    for path in sorted(folder.glob("*.json")):
        try:
            records[path.stem] = progress.read(path)
        except progress.DamagedError as error:
            damaged.append(f"left out: {error}")
    if not records:
        raise EmptyError("\n".join([f"{folder}: no learner's .json file can be read", *damaged]))
    parts = [
        learners(records),
        guesses(records),
        exercises(records),
        hunts(records),
        "\n".join(damaged),
    ]
    return "\n\n".join(filter(None, parts))


def learners(records: Mapping[str, Progress]) -> str:
    """A line for each learner."""
    wide = max(7, *map(len, records))
    lines = [f"{'learner':<{wide}}  guesses  right  exercises tried  solved"]
    for name, record in records.items():
        right = sum(_is_right(g, record) for g in course.GUESSES)
        solved = sum(tried.solved for tried in record.exercises.values())
        lines.append(
            f"{name:<{wide}}  {len(record.guesses):>7}  {right:>5}  "
            f"{len(record.exercises):>15}  {solved:>6}"
        )
    return "\n".join(lines)


def guesses(records: Mapping[str, Progress]) -> str:
    """The guesses, most often wrong first, each with its most frequent wrong option."""
    found = []
    for guess in course.GUESSES:
        options = [
            r.guesses[guess.name].option for r in records.values() if guess.name in r.guesses
        ]
        wrong = Counter(option for option in options if option != guess.right)
        if options:
            found.append((wrong.total() / len(options), guess, len(options), wrong))
    lines = []
    for _, guess, made, wrong in sorted(found, key=lambda entry: -entry[0]):
        most = f", most often {wrong.most_common(1)[0][0]}" if wrong else ""
        lines.append(
            f"{guess.lesson[:2]}  {guess.about}: {wrong.total()} of {made} wrong{most}; "
            f"right is {guess.right}"
        )
    return "\n".join(["guessed wrong, most often first", *lines]) if lines else ""


def exercises(records: Mapping[str, Progress]) -> str:
    """The exercises in order: how many solved each, and how many after seeing the solution."""
    lines = []
    for exercise in course.EXERCISES:
        tried = [
            r.exercises[exercise.name] for r in records.values() if exercise.name in r.exercises
        ]
        if tried:
            solved, looked = (sum(getattr(t, n) for t in tried) for n in ("solved", "looked"))
            lines.append(
                f"{exercise.lesson[:2]}  {exercise.title}: {solved} of {len(tried)} solved it; "
                f"{looked} looked at the solution before"
            )
    return "\n".join(["exercises", *lines]) if lines else ""


def _is_right(guess: course.Guess, record: Progress) -> bool:
    kept = record.guesses.get(guess.name)
    return kept is not None and kept.option == guess.right


def hunts(records: Mapping[str, Progress]) -> str:
    """The hunts before and after the lessons, for learners who did both."""
    lines, changes = [], []
    for name, record in records.items():
        before, after = (record.hunts.get(hunt) for hunt in ("before", "after"))
        if before and after and before.tries and after.tries:
            lines.append(f"{name}: {_alone(before)} before, {_alone(after)} after")
            changes.append(after.alone - before.alone)
    if not lines:
        return ""
    more, same = sum(c > 0 for c in changes), changes.count(0)
    mean = sum(changes) / len(changes)
    said = f"{len(changes)} did both: {more} found more after, {same} as many, "
    said += f"{len(changes) - more - same} fewer; {mean:+.1f} on average"
    return "\n".join(["bugs found in the hunts, without a hint", *lines, said])


def _alone(kept: progress.Hunted) -> str:
    return f"{kept.alone} of {kept.of}"

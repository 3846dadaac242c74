"""The parts of a lesson that learners answer: guesses, exercises, hunts."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Guess:
    """A question that learners answer before they can see the answer.

    The question and its options are in the text of the lesson.

    Attributes:
        lesson: its file, without the ending.
        name: unique among all lessons.
        about: the topic in a few words, for tables.
        right: the letter of the right option.
        replies: for the letter of each option, the reply to it.
    """

    lesson: str
    name: str
    about: str
    right: str
    replies: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.right not in self.replies:
            raise ValueError(f"guess {self.name!r}: no reply to the right option {self.right!r}")


@dataclass(frozen=True)
class Exercise:
    """An exercise of a lesson, with a check.

    Attributes:
        lesson: its file, without the ending.
        name: of the check.
        title: its heading in the lesson.
        difficulty: 1, follow the pattern; 2, think; 3, use the hints.
        minutes: that it takes, for the lesson and for the instructor's timetables.
    """

    lesson: str
    name: str
    title: str
    difficulty: int
    minutes: int

    def __post_init__(self) -> None:
        if self.difficulty not in (1, 2, 3):
            raise ValueError(f"exercise {self.name!r}: difficulty {self.difficulty}, not 1 to 3")

    @property
    def line(self) -> str:
        """The line below the heading in the lesson."""
        return f"*Difficulty {self.difficulty} of 3 · {self.minutes} minutes*"


@dataclass(frozen=True)
class Hunt(Exercise):
    """A program in which bugs have to be found; ``name`` is that of the hunt."""

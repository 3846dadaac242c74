"""What a guess is, and an exercise."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Guess:
    """A question of a lesson that is answered before the answer can be seen.

    The question and its options are text of the lesson. Here is what comes back.

    Attributes:
        lesson: its file, without the ending.
        name: unique among all lessons.
        about: what is asked, in a few words, for tables.
        right: the letter of the right option.
        replies: by letter of the option, what is said to those who chose it.
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
    """Something to do in a lesson, which a check looks at.

    Attributes:
        lesson: its file, without the ending.
        name: the check's.
        title: its heading in the lesson.
        difficulty: 1, follow the pattern; 2, think; 3, allow yourself the hints.
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
        """What is written below the heading."""
        return f"*Difficulty {self.difficulty} of 3 · {self.minutes} minutes*"


@dataclass(frozen=True)
class Hunt(Exercise):
    """A program in which bugs have to be found; ``name`` is that of the hunt."""

"""Lesson 05, The bug hunt, and the hunt before the lessons."""

from .parts import Hunt

LESSON = "05_bug_hunt"
FIRST = "00_try_a_hunt"
HUNTS = (
    Hunt(FIRST, "before", "The hunt before", 3, 15),
    Hunt(LESSON, "team", "The team's program", 2, 10),
    Hunt(LESSON, "signs", "1 · Signs", 1, 4),
    Hunt(LESSON, "gait", "2 · Gait", 1, 6),
    Hunt(LESSON, "doors", "3 · Doors", 1, 6),
    Hunt(LESSON, "lips", "4 · Lips", 2, 10),
    Hunt(LESSON, "cooking", "5 · Cooking", 2, 10),
    Hunt(LESSON, "falls", "6 · Falls", 2, 10),
    Hunt(LESSON, "traffic", "7 · Traffic", 3, 15),
    Hunt(LESSON, "mice", "8 · Mice", 3, 15),
    Hunt(LESSON, "after", "The hunt after", 3, 15),
)

"""Lesson 00: Meet the clip."""

from .parts import Exercise, Guess

LESSON = "00_meet_the_clip"
GUESSES: tuple[Guess, ...] = ()
EXERCISES: tuple[Exercise, ...] = ()

"""Guesses, exercises and hunts of all lessons, for lessons, guide and progress table."""

from typing import TypeVar

from . import (
    augmentation,
    bug_hunt,
    clip_size,
    explanations,
    hooks_and_weights,
    meet_the_clip,
    own_videos,
    permute,
    redundant_lstm,
    scale_out,
    se_access,
    short_clips_and_gates,
    train,
    tuning,
)
from .parts import Exercise, Guess, Hunt

__all__ = ["EXERCISES", "GUESSES", "HUNTS", "Exercise", "Guess", "Hunt", "exercise", "guess"]

Part = TypeVar("Part", Guess, Exercise)

HUNTS: tuple[Hunt, ...] = bug_hunt.HUNTS
GUESSES: tuple[Guess, ...] = (
    *meet_the_clip.GUESSES,
    *bug_hunt.GUESSES,
    *permute.GUESSES,
    *se_access.GUESSES,
    *redundant_lstm.GUESSES,
    *train.GUESSES,
    *hooks_and_weights.GUESSES,
    *short_clips_and_gates.GUESSES,
    *clip_size.GUESSES,
    *augmentation.GUESSES,
    *tuning.GUESSES,
    *own_videos.GUESSES,
    *explanations.GUESSES,
    *scale_out.GUESSES,
)
EXERCISES: tuple[Exercise, ...] = (
    *meet_the_clip.EXERCISES,
    *permute.EXERCISES,
    *se_access.EXERCISES,
    *redundant_lstm.EXERCISES,
    *train.EXERCISES,
    *hooks_and_weights.EXERCISES,
    *short_clips_and_gates.EXERCISES,
    *clip_size.EXERCISES,
    *augmentation.EXERCISES,
    *tuning.EXERCISES,
    *own_videos.EXERCISES,
    *explanations.EXERCISES,
    *scale_out.EXERCISES,
)


def guess(name: str) -> Guess:
    """The guess with this name.

    Raises:
        KeyError: there is no such guess.
    """
    return _one(GUESSES, name)


def exercise(name: str) -> Exercise:
    """The exercise whose check has this name.

    Raises:
        KeyError: there is no such exercise.
    """
    return _one(EXERCISES, name)


def _one(parts: tuple[Part, ...], name: str) -> Part:
    for part in parts:
        if part.name == name:
            return part
    raise KeyError(f"{name!r} is not one of {', '.join(part.name for part in parts)}")

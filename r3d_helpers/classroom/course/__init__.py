"""What the lessons ask: their guesses and exercises, once, for lessons, guide and progress."""

from typing import TypeVar

from . import (
    bug_hunt,
    explanations,
    hooks_and_weights,
    meet_the_clip,
    own_videos,
    permute,
    redundant_lstm,
    scale_out,
    se_access,
    short_clips_and_gates,
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
    *hooks_and_weights.GUESSES,
    *short_clips_and_gates.GUESSES,
    *own_videos.GUESSES,
    *explanations.GUESSES,
    *scale_out.GUESSES,
)
EXERCISES: tuple[Exercise, ...] = (
    *meet_the_clip.EXERCISES,
    *permute.EXERCISES,
    *se_access.EXERCISES,
    *redundant_lstm.EXERCISES,
    *hooks_and_weights.EXERCISES,
    *short_clips_and_gates.EXERCISES,
    Exercise("08_clip_size", "frames_needed", "1 · Enough frames", 2, 8),
    Exercise("08_clip_size", "quiz_clip", "2 · One question", 1, 3),
    Exercise("09_augmentation", "one_draw", "1 · Fix it", 2, 8),
    Exercise("09_augmentation", "quiz_label", "2 · One question", 1, 3),
    Exercise("10_tuning", "honest", "1 · The honest number", 2, 8),
    Exercise("10_tuning", "quiz_tuning", "2 · One question", 1, 3),
    *own_videos.EXERCISES,
    *explanations.EXERCISES,
    *scale_out.EXERCISES,
)


def guess(name: str) -> Guess:
    """The guess of this name.

    Raises:
        KeyError: there is none.
    """
    return _one(GUESSES, name)


def exercise(name: str) -> Exercise:
    """The exercise whose check has this name.

    Raises:
        KeyError: there is none.
    """
    return _one(EXERCISES, name)


def _one(parts: tuple[Part, ...], name: str) -> Part:
    for part in parts:
        if part.name == name:
            return part
    raise KeyError(f"{name!r} is none of {', '.join(part.name for part in parts)}")

"""Lesson 13: Scale out."""

from .parts import Exercise, Guess

LESSON = "13_scale_out"
EXERCISES = (
    Exercise(LESSON, "gather", "1 · Unequal parts", 3, 10),
    Exercise(LESSON, "quiz_scale", "2 · One question", 1, 3),
)
GUESSES = (
    Guess(
        LESSON,
        "halves",
        "two halves behind a batch norm",
        "b",
        {
            "a": "the averaging is right. But what is averaged is no longer the same: each half "
            "was normalised in its own way.",
            "b": "mean and variance are taken over the clips that are seen together, and a half "
            "has other ones than the whole.",
            "c": "its weights are the same. Mean and variance are no weights: they come from the "
            "clips.",
        },
    ),
    Guess(
        LESSON,
        "cut",
        "a run of two, ended by one",
        "c",
        {
            "a": "the epochs that are finished are saved, and `--resume` goes on from the last.",
            "b": "with `--micro-batch=4` one process normalises four clips at a time, as each of "
            "two does. Averages over the same parts are the same.",
            "c": "same parts, same statistics, same order of clips: it does not matter who "
            "computes them.",
            "d": "one process goes through the second epoch in the same parts of four clips as "
            "two would have.",
        },
    ),
)

"""Lesson 10: Tuning."""

from .parts import Exercise, Guess

LESSON = "10_tuning"
EXERCISES = (
    Exercise(LESSON, "honest", "1 · The honest number", 2, 8),
    Exercise(LESSON, "quiz_tuning", "2 · One question", 1, 3),
)
GUESSES = (
    Guess(
        LESSON,
        "luck",
        "the best of twelve equal settings",
        "b",
        {
            "a": "that would need answers that agree on every clip: then all twelve scores are "
            "one and the same, and there is no best one.",
            "b": "some clips are hard for all of them, which moves all scores together. The clips "
            "on which they differ let the best one stand out.",
            "c": "that would need twelve settings that have nothing in common. They are asked "
            "about the same clips, and hard ones are hard for most of them.",
            "d": "with 98 clips, 0.95 for a setting that is right in 85 of 100 cases is rare: "
            "about one in a thousand, and twelve tries are not a thousand.",
        },
    ),
    Guess(
        LESSON,
        "judges",
        "what the judges say of the winners",
        "c",
        {
            "a": "that would need a score without luck; the winner was chosen for a high score.",
            "b": "this is often so: a part of the gain is real. Here nothing of it can be seen.",
            "c": "the means even point the other way; and with two splits that differ, nobody can "
            "tell whether the winners are better or worse.",
        },
    ),
)

"""Lesson 07: Review: short clips and gates."""

from .parts import Exercise, Guess

LESSON = "07_review_short_clips_and_gates"
EXERCISES = (
    Exercise(LESSON, "even", "1 · Find it elsewhere", 2, 8),
    Exercise(LESSON, "loses", "2 · A rule on trial", 1, 5),
    Exercise(LESSON, "quiz_review", "3 · One question", 1, 3),
)
GUESSES = (
    Guess(
        LESSON,
        "late",
        "short clips with a late expression",
        "c",
        {
            "a": "the rule repeats frames, that is true. But it repeats the first ones and cuts "
            "off the last ones, and there the expression was.",
            "b": "that is what happens to a mixed test set, where most clips are longer or show "
            "their expression early. These clips are all of the bad kind.",
            "c": "what tells the emotions apart is cut off before the network can look.",
            "d": "an error would be easy to notice. Sixteen frames come out, as always.",
        },
    ),
    Guess(
        LESSON,
        "fresh",
        "fresh gates in a trained network",
        "b",
        {
            "a": "in training mode that is so, and it is why nobody notices. In evaluation mode "
            "batch norm uses its stored statistics, which are those of a network without gates.",
            "b": "in training mode batch norm uses the statistics of the batch, so what was "
            "halved is doubled again. In evaluation mode it uses its stored statistics.",
            "c": "training mode hides it: batch norm takes its statistics from the batch itself.",
            "d": "it is the other way round: training mode is the one that hides it.",
        },
    ),
)

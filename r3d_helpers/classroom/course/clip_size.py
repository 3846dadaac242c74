"""Lesson 08: How many frames?"""

from .parts import Exercise, Guess

LESSON = "08_clip_size"
EXERCISES = (
    Exercise(LESSON, "frames_needed", "1 · Enough frames", 2, 8),
    Exercise(LESSON, "quiz_clip", "2 · One question", 1, 3),
)
GUESSES = (
    Guess(
        LESSON,
        "steps",
        "what eight frames are in layer4",
        "d",
        {
            "a": "that would need layers that keep time whole. The stem and `layer1` do; each of "
            "the three stages after them halves it.",
            "b": "that is what `layer2` works on. There are two more halvings behind it.",
            "c": "that is what `layer3` works on. `layer4` halves once more, before its filters.",
            "d": "eight, four, two, one: three halvings, and nothing is left for a filter of three "
            "steps to compare.",
        },
    ),
    Guess(
        LESSON,
        "sixteen",
        "what the table says of 16 frames",
        "c",
        {
            "a": "that would need three pairs well above zero. One is zero and two are below it: "
            "more weights that learn are an argument, not a score.",
            "b": "two of three pairs are below zero, so the thought is fair. But the interval "
            "reaches far to both sides.",
            "c": "the mean is below zero, the interval reaches far to both sides. That does not "
            "mean that both are equally good.",
        },
    ),
)

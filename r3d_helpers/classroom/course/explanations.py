"""Lesson 12: Explanations."""

from .parts import Exercise, Guess

LESSON = "12_explanations"
EXERCISES = (
    Exercise(LESSON, "weigh", "1 · The map yourself", 2, 8),
    Exercise(LESSON, "quiz_map", "2 · One question", 1, 3),
)
GUESSES = (
    Guess(
        LESSON,
        "moments",
        "a model along a long video",
        "c",
        {
            "a": "it learned from clips that show a whole expression, from calm to its height. A "
            "window may hold any piece of that.",
            "b": "it is wrong there, too, as anybody would be. But also in the middle of an act.",
            "c": "a window that holds the calm beginning of an act, or only its held end, is "
            "another kind of clip than those it learned from.",
            "d": "it has no such word. Its seven probabilities always add up to one.",
        },
    ),
    Guess(
        LESSON,
        "map",
        "hiding the bright places",
        "d",
        {
            "a": "that is what the map is meant for. But neither difference is larger than what "
            "twelve people leave open: both intervals contain zero.",
            "b": "on average its bright patch does cost more. But the interval contains zero: "
            "twelve people are too few to be sure.",
            "c": "it is the usual choice, for pictures of 224 pixels. With 2 x 2 places there is "
            "little to choose from.",
            "d": "both intervals contain zero. In layer3 the bright patch costs more on average, "
            "and of twelve people that is not enough to tell.",
        },
    ),
)

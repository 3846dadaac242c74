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
        "b",
        {
            "a": "it is what the map is meant for, and for layer3 it holds. The map of layer4 has "
            "so few places here that its bright patch is nearly any patch.",
            "b": "layer4 has 2 x 2 places left at this size of clip, too coarse to localise "
            "anything.",
            "c": "it is the usual choice, for pictures of 224 pixels. With 2 x 2 places there is "
            "little to choose from.",
            "d": "for layer3 a difference can be seen: compare person by person.",
        },
    ),
)

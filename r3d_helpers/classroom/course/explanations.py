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
            "b": "it is wrong there, too, as a person would be. But also in the middle of an act.",
            "c": "a window that holds the calm beginning of an act, or only its held end, is "
            "another kind of clip than those it learned from.",
            "d": "it has no such label. Its seven probabilities always add up to one.",
        },
    ),
    Guess(
        LESSON,
        "map",
        "hiding the bright places",
        "b",
        {
            "a": "that is what the map is meant for. In layer4 it is not so: there the bright "
            "patch costs less than the others.",
            "b": "in layer3 the bright patch costs more on average. With 2 x 2 places, the map of "
            "layer4 is too coarse to say where the answer comes from.",
            "c": "it is the usual choice, for pictures of 224 pixels. Here layer4 has 2 x 2 "
            "places, and its bright patch costs less than the others.",
            "d": "that would need a map that has nothing to do with the answer. In layer3 the "
            "bright patch costs more on average, and in layer4 less.",
        },
    ),
)

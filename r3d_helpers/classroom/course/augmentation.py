"""Lesson 09: Augmentation."""

from .parts import Exercise, Guess

LESSON = "09_augmentation"
EXERCISES = (
    Exercise(LESSON, "one_draw", "1 · Fix it", 2, 8),
    Exercise(LESSON, "quiz_label", "2 · One question", 1, 3),
)
GUESSES = (
    Guess(
        LESSON,
        "flicker",
        "flicker beside real motion",
        "c",
        {
            "a": "each draw of `light` is small, that is true. But from one frame to the next two "
            "draws differ, and all pixels of the picture move, the background too.",
            "b": "an expression moves a few places of a face. A draw moves and lights the whole "
            "picture.",
            "c": "an expression moves brows and mouth; a new draw moves, turns and lights all "
            "pixels, from one frame to the next.",
        },
    ),
    Guess(
        LESSON,
        "upside_down",
        "which change costs the network most",
        "c",
        {
            "a": "darkness leaves every edge of brows and mouth where it was.",
            "b": "a patch hides a tenth of the picture. Most of the face is still there.",
            "c": "brows are at the bottom and a smile points down: no face that it knows "
            "looks like this.",
            "d": "this would matter for labels with a direction. These expressions rise, hold and "
            "fall, and backwards they do the same.",
        },
    ),
    Guess(
        LESSON,
        "eight",
        "of which of eight comparisons we are sure",
        "d",
        {
            "a": "all three pairs are above zero, which is a hint. But three pairs that share "
            "most people are hardly more than one.",
            "b": "they lie lowest, and alone each would be likely. Among eight of three "
            "splits even that is not enough.",
            "c": "every sign looks right. The intervals show how little three overlapping splits "
            "can promise.",
            "d": "three splits that test 36 of the same 60 people, and eight comparisons: no "
            "interval leaves out zero.",
        },
    ),
)

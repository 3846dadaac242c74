"""Lesson 01: The permute that met four axes."""

from .parts import Exercise, Guess

LESSON = "01_bug_permute"
EXERCISES = (
    Exercise(LESSON, "from_frames", "1 · Back from the pile", 2, 9),
    Exercise(LESSON, "to_tokens", "2 · Find it elsewhere", 2, 10),
    Exercise(LESSON, "quiz_permute", "3 · One question", 1, 3),
)
GUESSES = (
    Guess(
        LESSON,
        "four",
        "the tensor with four axes",
        "b",
        {
            "a": "that would need a batch without one of the five. It has B, T, C, H and W; the "
            "`reshape` leaves four.",
            "b": "the `reshape` has made one axis of B and T: with C, H and W there are four. The "
            "error comes one line later, where five are asked for.",
            "c": "that would need a program that reaches the network. It stops before, in the "
            "`permute`; and a weight of a 3-D convolution has five axes anyway.",
            "d": "that would need a check of the kind of tensor. The message begins like this for "
            "every tensor, and what it compares is two counts.",
        },
    ),
    Guess(
        LESSON,
        "view",
        "the first frame after view",
        "c",
        {
            "a": "that would need a cut that begins right and slips later. Of the first frame only "
            "the red is where it belongs; its green is a plane of frame 5 already.",
            "b": "that would need all three planes to come from frame 0. The red does; green is "
            "taken from frame 5, and blue from frame 10.",
            "c": "red is plane 0 of the row, green plane 16 and blue plane 32, and a frame has "
            "three planes: frames 0, 5 and 10.",
            "d": "that would need H and W to be cut as well. They are the last axes and keep their "
            "sizes, so whole planes stay whole: that is why a face can still be seen.",
        },
    ),
    Guess(
        LESSON,
        "passes",
        "the wrong repair that passes once",
        "c",
        {
            "a": "that would need numbers that happen to be alike. `view` has the right shape "
            "everywhere, and its numbers are in the wrong place everywhere.",
            "b": "that would need T = 1, a video of one frame. With more it has another shape in "
            "every trial.",
            "c": "with one person, everybody's frames in one video are that person's video. Only a "
            "second person shows the mistake.",
            "d": "that would need T = C and frames that are alike in all colours. At T = 3 its "
            "shape is right, and that is all.",
        },
    ),
)

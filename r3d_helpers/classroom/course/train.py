"""Lesson 04: Train the fixed model."""

from .parts import Exercise, Guess

LESSON = "04_train_the_fixed_model"
EXERCISES = (
    Exercise(LESSON, "leaks", "1 · Who is on both sides?", 1, 5),
    Exercise(LESSON, "by_hand", "2 · The score by hand", 2, 9),
)
GUESSES = (
    Guess(
        LESSON,
        "weights",
        "where the weights are",
        "d",
        {
            "a": "that would need large filters or many channels there. The first filters are "
            "large, 3 x 7 x 7, but they connect 3 colours to 64 channels: 28,352 weights.",
            "b": "that would need as many channels in every stage. Each stage has twice the "
            "channels of the one before, and its filters connect all of them to all of them.",
            "c": "that would need a classifier as wide as in older networks. Here it is one matrix "
            "of 512 x 7, and 7 biases: 3,591 weights.",
            "d": "filters that connect 512 channels to 512 have 64 times the weights of those that "
            "connect 64 to 64. Three quarters of all weights are there.",
        },
    ),
    Guess(
        LESSON,
        "order",
        "what frames in a random order cost",
        "b",
        {
            "a": "that would need a model that never compares two frames. It has all four pictures "
            "in both cases, but its filters are three frames deep, and look at neighbours.",
            "b": "each picture alone says much, so the score stays far above chance; the filters "
            "also look at what changes from frame to frame, so it falls.",
            "c": "that would need a model that knows the emotion from movement alone. The faces "
            "are still there, and one frame at the apex says a lot.",
        },
    ),
)

"""Lesson 03: The LSTM that had nothing to remember."""

from .parts import Exercise, Guess

LESSON = "03_bug_redundant_lstm"
EXERCISES = (
    Exercise(LESSON, "keep_time", "1 · Keep the time", 2, 8),
    Exercise(LESSON, "voice", "2 · Find it elsewhere", 2, 10),
    Exercise(LESSON, "quiz_lstm", "3 · One question", 1, 3),
)
GUESSES = (
    Guess(
        LESSON,
        "alone",
        "one clip, asked alone or with others",
        "c",
        {
            "a": "it should be so: nothing here is random, and no clip should depend on another. "
            "That it does is the bug of this lesson.",
            "b": "that would need dropout or batch norm, and the class has neither: an LSTM and a "
            "linear layer, no more. Something else makes the difference.",
            "c": "they differ by more than half of the largest logit. How can an answer for one "
            "clip know which other clips are in the batch? Read on.",
            "d": "that would need a model that takes only one batch size. Both calls run without "
            "an error.",
        },
    ),
    Guess(
        LESSON,
        "whose",
        "whose answers change with one clip",
        "c",
        {
            "a": "that is how it should be, and how it is in the fixed model. Here the LSTM passes "
            "something on from one clip to the next.",
            "b": "that would need an LSTM that works in both directions. This one works forwards "
            "only, so clip 2 cannot change the answers before it.",
            "c": "the LSTM takes the clips for the steps of one sequence. Clip 2 is remembered by "
            "all that follow; the two before it have been answered already.",
            "d": "that would need an LSTM that works from end to start. It starts at clip 0.",
        },
    ),
    Guess(
        LESSON,
        "idle",
        "the share of the LSTM that cannot learn",
        "c",
        {
            "a": "that would need something to remember. At the first step hidden state and memory "
            "are zero, and whatever is multiplied by zero gets no gradient.",
            "b": "the forget gate is a part of it, but not all: the weights from the hidden state "
            "are multiplied by zero as well, in all four parts.",
            "c": "the forget gate has nothing to keep, and the weights from the hidden state have "
            "nothing to read. Together they are 49.9 % of the parameters.",
            "d": "that would need an output that does not depend on the input. The input gate, the "
            "candidate and the output gate do read the features, and learn.",
        },
    ),
)

"""Lesson 02: Reaching into the block."""

from .parts import Exercise, Guess

LESSON = "02_bug_se_access"
EXERCISES = (
    Exercise(LESSON, "gate_layer", "1 · Any layer", 2, 10),
    Exercise(LESSON, "gated_unet", "2 · Find it elsewhere", 2, 8),
    Exercise(LESSON, "quiz_se", "3 · One question", 1, 3),
)
GUESSES = (
    Guess(
        LESSON,
        "norm",
        "what `block.bn2` gives",
        "c",
        {
            "a": "that would need a batch norm with a name of its own, as in the 2-D block. The "
            "message says that `conv2` is a `Sequential`: it took the batch norm in.",
            "b": "that would need a `bn2` that is a list of modules, too. A batch norm is a single "
            "module; it is not there at all under this name.",
            "c": "the list `conv2` holds the convolution *and* its batch norm, so nothing is "
            "left that could be called `bn2`. Now the block itself says that it lacks a name.",
            "d": "that would need an attribute that exists and is empty. PyTorch raises an error "
            "for a name that a module does not have.",
        },
    ),
    Guess(
        LESSON,
        "worst",
        "the repair that does most harm",
        "c",
        {
            "a": "that would need modules that disturb the others. These four are never called, so "
            "the rest of the network trains as if they were not there.",
            "b": "that would need a hook that changes something. It computes the gated features "
            "and drops them; the network trains as if there were no gates.",
            "c": "the others train a network without gates, which still works. Here no gradient "
            "gets past the last gate: backbone and gates stay as random as at the start, and only "
            "the last linear layer learns.",
            "d": "that would need a gradient that does harm. This one is zero for the gates, and "
            "the features themselves pass untouched.",
        },
    ),
    Guess(
        LESSON,
        "shut",
        "where a shut gate lets gradients through",
        "b",
        {
            "a": "that would need a shortcut that is cut by every gate. A gate on one of the two "
            "ways leaves the other one open.",
            "b": "there are two ways through a block. A gate on one of them shuts that one, and "
            "the gradient takes the other. Behind the addition both have become one.",
            "c": "that is true of the branch, but the shortcut is only one of two ways, too: with "
            "a gate of zero there, the gradient goes through the convolutions.",
            "d": "that would need a third way around the gate. Behind the addition there is only "
            "one, and its factor is zero, for the gradient as well.",
        },
    ),
)

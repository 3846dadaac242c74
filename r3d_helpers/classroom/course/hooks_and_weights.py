"""Lesson 06: Review: hooks and weights."""

from .parts import Exercise, Guess

LESSON = "06_review_hooks_and_weights"
EXERCISES = (
    Exercise(LESSON, "stands_alone", "1 · A guard to keep", 3, 12),
    Exercise(LESSON, "comes_back", "2 · It comes back", 2, 10),
)
GUESSES = (
    Guess(
        LESSON,
        "copy",
        "the gates of a copy",
        "b",
        {
            "a": "it has them, that is true, and the state dict of the copy shows them. But the "
            "hook that is called leads to the gates of the original.",
            "b": "the copy's blocks are its own, but what comes out of them is multiplied by the "
            "gates of the original, and these are shut.",
            "c": "the copy's own gates would do that. They are never called.",
            "d": "an error would be easier to find. The original's gates are there and work, so "
            "nothing fails.",
        },
    ),
    Guess(
        LESSON,
        "twice",
        "SE that is added twice",
        "c",
        {
            "a": "that would need a second attribute. `block.se` is overwritten, so the count is "
            "as before, and it is what most people look at.",
            "b": "a module may be assigned again, and any number of hooks registered: PyTorch "
            "raises nothing.",
            "c": "there is one new gate in `block.se`; two hooks are registered, and both call it.",
            "d": "the gate is replaced, that is right. The hook is not: now there are two.",
        },
    ),
    Guess(
        LESSON,
        "strict",
        "a strict load without hooks",
        "c",
        {
            "a": "loading compares names and shapes, not whether a weight is ever used.",
            "b": "the weights are the same. But a network is weights and code, and this code never "
            "calls the gates.",
            "c": "strict means that no name is missing and none is left over. It says nothing "
            "about `forward`.",
        },
    ),
)

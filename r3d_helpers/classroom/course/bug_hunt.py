"""Lesson 05, The bug hunt, and the hunt before the lessons."""

from .parts import Guess, Hunt

LESSON = "05_bug_hunt"
FIRST = "00_try_a_hunt"
HUNTS = (
    Hunt(FIRST, "before", "The hunt before", 3, 15),
    Hunt(LESSON, "team", "The team's program", 2, 10),
    Hunt(LESSON, "signs", "1 · Signs", 1, 4),
    Hunt(LESSON, "gait", "2 · Gait", 1, 6),
    Hunt(LESSON, "doors", "3 · Doors", 1, 6),
    Hunt(LESSON, "lips", "4 · Lips", 2, 10),
    Hunt(LESSON, "cooking", "5 · Cooking", 2, 10),
    Hunt(LESSON, "falls", "6 · Falls", 2, 10),
    Hunt(LESSON, "traffic", "7 · Traffic", 3, 15),
    Hunt(LESSON, "mice", "8 · Mice", 3, 15),
    Hunt(LESSON, "after", "The hunt after", 3, 15),
)
GUESSES = (
    Guess(
        LESSON,
        "red",
        "bugs of the team that turn red",
        "c",
        {
            "a": "that would need three bugs that raise no error. But the last line of the first "
            "red box names one of them.",
            "b": "that would need an error that hides all others for ever. It hides them only "
            "until it is fixed: then the program gets to the second one.",
            "c": "the gate stops the constructor, the permute stops the first forward pass, and "
            "the LSTM stops nothing: it works along the batch, and training continues.",
            "d": "that would need an LSTM that raises for features without time. It takes them "
            "for one long sequence, as lesson 03 shows.",
        },
    ),
    Guess(
        LESSON,
        "silent",
        "what a silent guard means",
        "b",
        {
            "a": "that would need a guard that sees the whole program. It gets a model and a "
            "video, and cannot know how frames and people were chosen.",
            "b": "the guard checks the model, and only the model. Check frames, people, and the "
            "modes of training and evaluation one by one.",
            "c": "that would need a guard that misses a scrambled video or an idle gate. It was "
            "tested on dozens of broken models; but `pick` and `split` are not models.",
        },
    ),
)

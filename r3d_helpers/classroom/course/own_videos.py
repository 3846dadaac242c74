"""Lesson 11: Your own videos."""

from .parts import Exercise, Guess

LESSON = "11_your_own_videos"
EXERCISES = (
    Exercise(LESSON, "over_people", "1 · Draw people", 2, 10),
    Exercise(LESSON, "quiz_faces", "2 · One question", 1, 3),
)
GUESSES = (
    Guess(
        LESSON,
        "detector",
        "clips without a face",
        "d",
        {
            "a": "for you they are. The cascade learned from photographs of other faces, and some "
            "of these are too unlike them.",
            "b": "light and dark lie where the cascade looks for them: eyes darker than cheeks. "
            "That is drawn, too, for most.",
            "c": "that would make it harmless. But all clips of a person have the same face, so "
            "they are missed together.",
            "d": "all clips of a person have the same face, and so they are missed together.",
        },
    ),
    Guess(
        LESSON,
        "margin",
        "a looser cut",
        "c",
        {
            "a": "more context helps a model that has learned from it. This one has seen faces "
            "that fill the picture, and nothing else.",
            "b": "it is, for you. For the model the face is smaller, and mouth and brows lie at "
            "other places.",
            "c": "it has learned from faces of one size, and has seen no other.",
        },
    ),
)

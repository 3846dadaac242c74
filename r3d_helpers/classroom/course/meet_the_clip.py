"""Lesson 00: Meet the clip."""

from .parts import Exercise, Guess

LESSON = "00_meet_the_clip"
EXERCISES = (
    Exercise(LESSON, "green", "1 · The green of every frame", 1, 5),
    Exercise(LESSON, "keep_all", "2 · Lose no frame", 2, 8),
)
GUESSES = (
    Guess(
        LESSON,
        "axes",
        "the axes of one clip",
        "b",
        {
            "a": "that would need one number for each pixel of each frame: a grey film. This one "
            "has three, red, green and blue, and they get an axis of their own.",
            "b": "a clip is a row of pictures, so time comes first; and each picture is stored as "
            "`[C, H, W]`, the way PyTorch wants it.",
            "c": "that would need pictures with the colour last. OpenCV and NumPy have them like "
            "this, `[H, W, C]`; PyTorch needs C before H and W. And a film is a list of pictures, "
            "so time comes first.",
            "d": "that would need several clips: the first axis would count them. This comes in a "
            "minute. Here it is one clip alone.",
        },
    ),
    Guess(
        LESSON,
        "lost",
        "frames of 15 that are lost",
        "c",
        {
            "a": "that would need a rule that knows how many are missing, and repeats just one. "
            "`uniform` does. The published rule repeats all of them first, and cuts afterwards.",
            "b": "that would need 17 frames to cut from. Each of the 15 is repeated, so there are "
            "30 when the rule cuts.",
            "c": "every frame twice makes 30, and of these the first 16 are frames 0 to 7. Frames "
            "8 to 14 are seven: the whole second half.",
            "d": "an error would be easy to notice. But 30 is more than 16, so the rule has enough "
            "frames to return, and returns them.",
        },
    ),
)

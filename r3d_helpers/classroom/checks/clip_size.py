"""Lesson 08: How many frames?"""

import operator
from itertools import count, product

from ... import sampler
from .grading import Wrong, check, grade, run_answer


@check
def frames_needed(answer: object) -> str:
    """``answer(num_frames, length)``: the fewest uniform frames that see every burst."""
    for num_frames, length in product((1, 7, 16, 30, 45), (1, 2, 3, 5, 8)):
        if length > num_frames:
            continue
        result = run_answer(answer, num_frames, length)
        of = f"for {num_frames} frames and bursts of {length}"
        try:
            n = operator.index(result)
        except TypeError:
            raise Wrong(f"{of}: expected a whole number, got {result!r:.60}.") from None
        if n < 1:
            raise Wrong(f"{of}: {n}; a clip has one frame or more.")
        if (missed := _missed(num_frames, length, n)) is not None:
            raise Wrong(
                f"{of}: {n} frames are too few: {sampler.uniform(num_frames, n)} sees nothing of "
                f"the burst that begins at frame {missed}."
            )
        fewest = next(k for k in count(1) if _missed(num_frames, length, k) is None)
        if n != fewest:
            raise Wrong(f"{of}: {n} frames are enough, and so are {fewest}. The fewest, please.")
    return "no burst is missed, and no frame is wasted."


def _missed(num_frames: int, length: int, clip_len: int) -> int | None:
    """The first frame of the first burst that uniform sampling misses; None if there is none."""
    kept = set(sampler.uniform(num_frames, clip_len))
    begins = range(num_frames - length + 1)
    return next((b for b in begins if kept.isdisjoint(range(b, b + length))), None)


@check
def quiz_clip(answer: object) -> str:
    """Eight frames and a question of direction: what follows from T' = 1 in layer4?"""
    reasons = {
        "a": "the features are the same for a clip and for itself backwards only if nothing before "
        "`layer4` looks along time; but the stem and the first layers do.",
        "b": "the count of parameters says what there is, not what learns: two thirds of most "
        "filters in `layer4` meet padding alone.",
        "c": "the first layers still see several steps and can tell the order; what `layer4` gets "
        "is one step that knows about it.",
        "d": "nothing raises: padding makes a step where there is none.",
        "e": "then sixteen frames would be surely better in the table; it says 'cannot tell'.",
        "f": "weights that never learn take the same time: they are multiplied with zeros.",
    }
    return grade(answer, "c", reasons)

"""Lesson 07: Review: short clips and gates."""

import operator
from itertools import product

from ... import sampler
from .grading import Wrong, check, grade, run_answer


@check
def even(answer: object) -> str:
    """``answer(num_words, n)`` must give ``n`` indices, in order, and every word its share."""
    for num_words, n in product((1, 2, 3, 7, 9, 12, 15, 40), (1, 4, 12, 16)):
        result = run_answer(answer, num_words, n)
        of = f"for {num_words} words and n = {n}"
        try:
            kept = [operator.index(i) for i in result]
        except TypeError:
            raise Wrong(f"{of}: expected a list of whole numbers, got {result!r:.60}.") from None
        if len(kept) != n:
            raise Wrong(f"{of}: {len(kept)} indices instead of {n}.")
        if kept != sorted(kept) or kept[0] < 0 or kept[-1] >= num_words:
            raise Wrong(f"{of}: {kept} is out of order, or outside of 0 to {num_words - 1}.")
        counts = [kept.count(word) for word in range(num_words)]
        if num_words <= n and min(counts) == 0:
            raise Wrong(f"{of}: words {[w for w in range(num_words) if not counts[w]]} are lost.")
        if max(counts) - min(counts) > 1:
            raise Wrong(f"{of}: the words are taken {counts} times; some much more than others.")
        step = num_words / n
        if any(abs(i - (k + 0.5) * step) > 1 + step / 2 for k, i in enumerate(kept)):
            raise Wrong(f"{of}: {kept} is not spread over the whole sentence.")
    return "no word is lost, all count the same, and long sentences are covered to their end."


@check
def loses(answer: object) -> str:
    """``answer(rule)``: the lengths from 1 to 16 at which sixteen frames leave one out."""
    rules = {
        "sampler.published": sampler.published,
        "sampler.uniform": sampler.uniform,
        "a rule that never takes the first frame": lambda T: [
            max(i, min(1, T - 1)) for i in range(T)
        ],
        "a rule that never takes the fifth frame": lambda T: [i for i in range(T) if i != 4],
    }
    for name, rule in rules.items():
        result = run_answer(answer, rule)
        try:
            told = sorted(map(operator.index, result))
        except TypeError:
            raise Wrong(f"{name}: expected a list of lengths, got {result!r:.60}.") from None
        right = [T for T in range(1, 17) if {*range(T)} - {*rule(T)}]
        if missed := sorted({*right} - {*told}):
            raise Wrong(
                f"{name} leaves a frame out at the lengths {missed}; yours does not say so."
            )
        if told != right:
            raise Wrong(f"{name} leaves a frame out at the lengths {right}, and you say {told}.")
    return "no length escapes, and it does not matter which frame is lost."


@check
def quiz_review(answer: object) -> str:
    """Why is accuracy on the same clips 0.9 in training mode and 0.6 in evaluation mode?"""
    both = "it is the same in training and in evaluation mode"
    reasons = {
        "a": "that concerns a copy, such as a moving average; here it is one and the same network.",
        "b": f"the same frames are lost both times: {both}.",
        "c": f"{both}, though it is bad.",
        "d": "in training mode batch norm uses the statistics of the batch; in evaluation mode "
        "those from the time before there were gates.",
        "e": f"{both}, and for 16 frames there is nothing wrong with it.",
        "f": "a batch of one tiny clip is an error in training; it does not explain a difference "
        "between the modes.",
    }
    return grade(answer, "d", reasons)

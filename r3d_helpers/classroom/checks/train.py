"""Lesson 04: Train the fixed model."""

from pathlib import Path

import torch

from ...datasets import Clip
from .grading import Wrong, check, run_answer


def _clips(*names: str) -> list[Clip]:
    """Clips whose names are label and subject."""
    return [Clip(Path(f"{n}-{i}.mp4"), *n.split("-")) for i, n in enumerate(names)]


@check
def leaks(answer: object) -> str:
    """``answer(train, test)`` must give the people who have clips in both lists, sorted, once."""
    train = _clips("happy-09", "sad-09", "happy-02", "angry-11", "sad-11")
    test = _clips("sad-11", "angry-03", "happy-09", "happy-11")
    _expect_people(run_answer(answer, train, test), ["09", "11"])
    _expect_people(run_answer(answer, test[1:2], train), [])
    return "each person with clips on both sides, once, in order; nobody when the split is clean."


def _expect_people(found: object, right: list[str]) -> None:
    try:
        people = list(found)  # pyrefly: ignore[no-matching-overload]
    except TypeError:
        raise Wrong(f"expected a list of subjects, got a {type(found).__name__}.") from None
    if people == right and isinstance(found, list):
        return
    if any(isinstance(person, Clip) for person in people):
        raise Wrong(
            "these are clips. No *clip* is in both lists, and people still are: compare `subject`."
        )
    if people and not right:
        raise Wrong(f"here nobody has clips on both sides, and you name {people}.")
    if set(people) == set(right):
        what = "more than once" if len(people) > len(right) else "in no order"
        if not isinstance(found, list):
            what = f"as a {type(found).__name__}, not as a list"
        raise Wrong(f"the right people, but {what}: {people}. Expected {right}.")
    if {"02", "03"} <= set(people):
        raise Wrong("these are the people of either list. Who is in *both*?")
    if set(people) == {"02"} or set(people) == {"03"}:
        raise Wrong("these are the people of one list alone. Who is in *both*?")
    if {"happy", "sad", "angry"} & set(people):
        raise Wrong("these are labels. The same emotion may be on both sides; a person may not.")
    raise Wrong(f"expected the subjects {right}, got {people}.")


@check
def by_hand(answer: object) -> str:
    """``answer(confusion [K, K])`` must give the UAR; rows are true classes, each with clips."""
    confusion = torch.tensor([[8, 2, 0], [1, 3, 0], [5, 5, 10]])
    right = (8 / 10 + 3 / 4 + 10 / 20) / 3
    result = run_answer(answer, confusion)
    try:
        score = float(result)
    except (TypeError, ValueError, RuntimeError):
        raise Wrong(f"expected one number, got {result}. Average over the classes.") from None
    if abs(score - right) < 1e-4:
        return f"the mean of the three recalls, {score:.2f}; the accuracy would have been 0.62."
    others = {
        "the accuracy: classes with more clips count more": 21 / 34,
        "the mean over the *columns*, which is precision: divide by the sums of the rows": (
            8 / 14 + 3 / 10 + 1
        )
        / 3,
        "the sum of the recalls. Divide by the number of classes": 3 * right,
    }
    for what, wrong in others.items():
        if abs(score - wrong) < 1e-4:
            raise Wrong(f"{score:.3f} is {what}.")
    raise Wrong(f"got {score:.3f}, expected {right:.3f} for\n{confusion}.")

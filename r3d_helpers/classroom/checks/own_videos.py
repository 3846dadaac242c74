"""Lesson 11: Your own videos."""

from itertools import product

import torch

from .grading import Wrong, check, grade, run_answer


@check
def over_people(answer: object) -> str:
    """``answer(right [N] bool, subjects, draws)``: one WAR per draw of people."""
    generator = torch.Generator().manual_seed(0)
    people, clips, draws = 20, 16, 600
    subjects = [f"{person:02}" for person in range(people) for _ in range(clips)]
    sure = torch.rand(people, generator=generator) < 0.6  # all clips of a person alike
    right = sure.repeat_interleave(clips)
    mixed = torch.randperm(len(right), generator=generator)
    torch.manual_seed(0)
    result = run_answer(answer, right[mixed], [subjects[i] for i in mixed], draws)
    try:
        scores = torch.as_tensor(result, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise Wrong(f"expected {draws} numbers, got {result!r:.60}.") from None
    if scores.shape != (draws,):
        raise Wrong(f"expected {draws} numbers, one per draw, got the shape {list(scores.shape)}.")
    share = right.double().mean()
    wide = (share * (1 - share) / people).sqrt()  # as if each person were one clip
    spread = scores.std() / wide
    if scores.min() < 0 or scores.max() > 1:
        raise Wrong("a WAR is a share of clips: it lies between 0 and 1.")
    if spread < 0.02:
        raise Wrong(
            "every draw has the same score. Draw with replacement: some people twice, some never."
        )
    if spread < 0.6:
        raise Wrong(
            f"your draws spread {spread:.0%} of what they should. Did you draw clips, or rely on "
            "their order? The clips of one person succeed or fail together; draw people, and take "
            "all clips of each."
        )
    if spread > 1.3:
        raise Wrong(
            f"your draws spread {spread:.0%} of what they should: draw as many people as there "
            "are, no fewer."
        )
    if abs(scores.mean() - share) > 0.03:
        raise Wrong("on average the draws should have the score of the whole set.")
    # Three people of 1, 2 and 4 clips, with 1, 0 and 1 of them right: what three draws can give.
    clips, hits = (1, 2, 4), (1, 0, 1)
    right = torch.tensor(
        [n < hit for number, hit in zip(clips, hits, strict=True) for n in range(number)]
    )
    subjects = ["a"] + ["b"] * 2 + ["c"] * 4
    possible = {
        round(sum(hits[i] for i in trio) / sum(clips[i] for i in trio), 6)
        for trio in product(range(3), repeat=3)
    }
    seen = {round(float(score), 6) for score in run_answer(answer, right, subjects, 400)}
    if not seen <= possible:
        raise Wrong(
            "with people who have 1, 2 and 4 clips, some of your scores cannot come from drawing "
            "three people and taking all their clips. A score is all hits over all clips."
        )
    if not seen >= possible:
        raise Wrong(
            "with three people, some draws never come up, such as one person twice. A person who "
            "is drawn twice counts twice."
        )
    return "a person who is drawn twice counts twice, with every clip."


@check
def quiz_faces(answer: object) -> str:
    """The detector misses many laughing faces, and these clips are left out: what follows?"""
    reasons = {
        "a": "only if the clips that are left out were like the others; these are not.",
        "b": "the number of clips is not the problem; a tenth of them, drawn at random, would do.",
        "c": "the score is then one for clips that the detector finds easy. Report with it how "
        "many were left out, of which labels and people.",
        "d": "the mean over classes corrects for classes of different size, but not for the choice "
        "of clips within a class.",
        "e": "it may rise or fall: the laughing faces that are left may be the easy ones.",
        "f": "a larger margin changes what is cut, not what is found.",
    }
    return grade(answer, "c", reasons)

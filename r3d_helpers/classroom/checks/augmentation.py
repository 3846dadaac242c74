"""Lesson 09: Augmentation."""

import torch

from .grading import Wrong, check, expect_tensor, grade, run_answer


@check
def one_draw(answer: object) -> str:
    """``answer(frames [T, C, H, W] uint8)`` must make a whole clip brighter or darker."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(256, (5, 3, 4, 6), dtype=torch.uint8, generator=generator)
    still = noise[:1].expand(5, -1, -1, -1)
    draws = []
    for seed in range(20):
        before = noise.clone()
        torch.manual_seed(seed)
        result = expect_tensor(run_answer(answer, noise), {"T": 5, "C": 3, "H": 4, "W": 6})
        if result.dtype != torch.uint8:
            raise Wrong(f"uint8 goes in, and {result.dtype} comes out.")
        if not noise.equal(before):
            raise Wrong("the clip that was passed in has changed; leave it as it was.")
        change = result.int() - noise.int()
        if change.min() < 0 < change.max():
            raise Wrong(
                f"seed {seed}: some values rise and others fall. Do all frames get the same "
                "shift? And is it added in a type that can hold 300 and -40, then clamped?"
            )
        if change.abs().max() > 40:
            raise Wrong(f"seed {seed}: a value moves by {change.abs().max()}; at most 40, please.")
        torch.manual_seed(seed)
        if not answer(noise).equal(result):
            raise Wrong(
                "the same `torch.manual_seed` gives another draw. Draw with torch, so that a seed "
                "repeats it."
            )
        torch.manual_seed(seed)
        quiet = answer(still)
        if not quiet.equal(quiet[:1].expand_as(quiet)):
            raise Wrong(
                "a still clip flickers: its frames differ afterwards. One draw per clip, please."
            )
        draws.append(change.float().mean().item())
    if len(set(draws)) < 10 or not min(draws) < 0 < max(draws):
        raise Wrong(
            f"twenty clips are changed by {min(draws):.0f} to {max(draws):.0f} on average, in "
            f"{len(set(draws))} ways. Draw again for every clip, both brighter and darker."
        )
    return "one draw per clip, another for the next, and no value overflows."


@check
def quiz_label(answer: object) -> str:
    """Which augmentation makes labels false for a model that tells whether a door opens?"""
    reasons = {
        "a": "a door in a mirror still opens.",
        "b": "an opening door in bad light still opens.",
        "c": "seen from closer, it still opens, unless the door is cut away.",
        "d": "faster or slower, it opens.",
        "e": "played backwards, a door that opens closes; and the label says 'opens'.",
        "f": "a camera that loses a frame still sees it open.",
    }
    return grade(answer, "e", reasons)

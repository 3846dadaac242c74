"""Lesson 12: Explanations."""

import torch

from .grading import Wrong, check, expect_tensor, grade, run_answer


@check
def weigh(answer: object) -> str:
    """``answer(features, gradient)``, both ``[C, T, H, W]``: the Grad-CAM map, ``[T, H, W]``."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(6, 2, 4, 5, generator=generator)
    gradient = torch.randn(6, 2, 4, 5, generator=generator)
    given = features.clone(), gradient.clone()
    found = run_answer(answer, *given)
    found = expect_tensor(found, {"T": 2, "H": 4, "W": 5}, C=6)
    if not (given[0].equal(features) and given[1].equal(gradient)):
        raise Wrong("the features or the gradient have changed; leave them as they were.")
    weights = gradient.mean((1, 2, 3), keepdim=True)
    right = (weights * features).sum(0)
    if found.allclose(right.relu(), atol=1e-5):
        return "one weight for each channel, summed, and cut at zero."
    others = {
        "this map is below zero at some places: what speaks against the answer is set to zero at "
        "the end": right,
        "the gradient is used place by place. A channel has one weight: the mean over T, H and W": (
            gradient * features
        )
        .sum(0)
        .relu(),
        "each product is cut at zero, and then summed. Sum first: channels may cancel": (
            (weights * features).relu().sum(0)
        ),
        "the absolute value turns what speaks against the answer into what speaks for it": (
            right.abs()
        ),
        "the map was averaged over the channels; Grad-CAM sums": right.relu() / 6,
        "the weight is a sum over places, not the mean": right.relu() * 40,
        "the features are summed without the gradient, so the answer has no influence": (
            features.sum(0).relu()
        ),
    }
    for reason, wrong in others.items():
        if found.allclose(wrong, atol=1e-4):
            raise Wrong(f"{reason}.")
    raise Wrong(
        "the shape is right, but these are other numbers: weigh each channel by its mean gradient, "
        "sum over C, cut at zero."
    )


@check
def quiz_map(answer: object) -> str:
    """A map is bright at the mouth and dark at the eyes: what does it support?"""
    reasons = {
        "a": "the map names places. That it is the smile, and that the eyes do not count, is an "
        "interpretation.",
        "b": "it says where, and only the test by hiding says whether the place matters.",
        "c": "dark is zero, and what speaks against the answer is set to zero, too. Hide the eyes "
        "to find out.",
        "d": "it says where, not what is there. Change the light, and leave the smile.",
        "e": "some of them pass the test by hiding; this one has not been tested yet.",
        "f": "a right answer does not show which part of the picture it is based on.",
    }
    return grade(answer, "b", reasons)

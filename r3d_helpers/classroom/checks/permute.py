"""Lesson 01: The permute that met four axes."""

import torch
from einops import rearrange
from torch import Tensor

from .grading import Wrong, check, expect_tensor, grade, run_answer


@check
def quiz_permute(answer: object) -> str:
    """Which of six changes to the model runs at T = 3 and scrambles the video without an error?"""
    reasons = {
        "a": "`permute` with five axes on a four-axis tensor raises at once, whatever the sizes "
        "are. A bug that raises is easy to find.",
        "b": "with one picture per video the model gives B*T rows of logits, and the loss raises, "
        "because there are only B labels. The bug is found, though late.",
        "c": "one long video gives one row of logits. The library's loss raises; only your own "
        "loss, if it broadcasts, would not. But no frame is scrambled.",
        "d": "`view` gives exactly the shape that is expected, for every T, and puts planes of "
        "different frames together. No shape check can see it.",
        "e": "this is the right one: it moves an axis and takes the planes along.",
        "f": "without any permute the T = 16 frames are where the 3 colours should be, and the "
        "first convolution raises. Only T = 3 hides it, and then for that size alone.",
    }
    return grade(answer, "d", reasons)


@check
def from_frames(answer: object) -> str:
    """``answer(frames [B*T, C, H, W], B, T)`` must give ``[B, C, T, H, W]``."""
    shape = {"B": 2, "C": 7, "T": 5, "H": 4, "W": 6}
    video = torch.arange(2 * 5 * 7 * 4 * 6.0).view(2, 5, 7, 4, 6)  # every number only once
    result = expect_tensor(run_answer(answer, video.flatten(0, 1), 2, 5), shape)
    for b, c, t in torch.cartesian_prod(*map(torch.arange, (2, 7, 5))).tolist():
        if result[b, c, t].equal(video[b, t, c]):
            continue
        _explain_plane(result[b, c, t], video, b, t, c)
    return "every plane is where its video, frame and channel say, in 70 of 70 places."


def _explain_plane(plane: Tensor, video: Tensor, b: int, t: int, c: int) -> None:
    """Say which plane of ``video`` is in the place of video ``b``, frame ``t``, channel ``c``."""
    should = f"result[{b}, {c}, {t}] should be video {b}, frame {t}, channel {c}"
    found = [
        place
        for place in torch.cartesian_prod(*map(torch.arange, video.shape[:3])).tolist()
        if plane.equal(video[*place])
    ]
    if not found:
        raise Wrong(f"the shape is right, but {should}, and it is no plane of the input at all.")
    ob, ot, oc = found[0]
    raise Wrong(
        f"the shape is right, but {should}, and it is video {ob}, frame {ot}, channel {oc}. `view` "
        "and `reshape` only cut the row of numbers; they never move an axis. Use them to "
        "split B*T, in the order in which it was merged, and `permute` to move."
    )


@check
def to_tokens(answer: object) -> str:
    """``answer(features [B, D, h, w])`` must give patch tokens ``[B, N = h*w, D]``, row by row."""
    B, D, h, w = 6, 5, 3, 4
    features = torch.arange(float(B * D * h * w)).view(B, D, h, w)
    result = expect_tensor(run_answer(answer, features), {"B": B, "N": h * w, "D": D})
    right = rearrange(features, "b d h w -> b (h w) d")
    if result.equal(rearrange(features, "b d h w -> b (w h) d")):
        raise Wrong(
            "every token is whole, but they come column by column; the position embedding counts "
            "row by row. Keep h before w."
        )
    if result.equal(features.reshape(B, h * w, D)):
        raise Wrong(
            "this still cuts the numbers without moving an axis, as the program did: token 0 "
            f"holds {D} patches of channel 0 instead of {D} channels of patch 0."
        )
    for n in range(h * w):
        if not result[:, n].equal(right[:, n]):
            raise Wrong(
                f"token {n} should hold the {D} channels of the patch in row {n // w}, column "
                f"{n % w}: features[:, :, {n // w}, {n % w}]. It holds something else. Move "
                "the channels last; then merge h and w."
            )
    return "each token is one patch with all its channels, row by row."

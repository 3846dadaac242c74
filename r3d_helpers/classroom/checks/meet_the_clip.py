"""Lesson 00: Meet the clip."""

from collections import Counter

import torch

from .grading import Wrong, check, expect_tensor, run_answer


@check
def green(answer: object) -> str:
    """``answer(batch [B, T, C, H, W], b)`` must give the mean green of each frame of ``b``."""
    batch = torch.rand(4, 7, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    result = expect_tensor(run_answer(answer, batch, 2), {"T": 7}, B=4, C=3, H=5, W=6)
    planes = batch.mean((3, 4))  # [B, T, C]
    if result.allclose(planes[2, :, 1]):
        return "one number for each frame, from the green of the clip that was asked for."
    others = {
        "red, which is colour 0": planes[2, :, 0],
        "blue: colours are counted from 0, red, green, blue": planes[2, :, 2],
        "all three colours together. Choose colour 1 before you average": planes[2].mean(1),
        "clip 0. Which clip was asked for?": planes[0, :, 1],
        "all clips together. Choose clip `b` before you average": planes[:, :, 1].mean(0),
    }
    for what, wrong in others.items():
        if result.allclose(wrong):
            raise Wrong(f"the shape is right, but this is {what}")
    if result.allclose(30 * planes[2, :, 1]):
        raise Wrong("this is the sum of all pixels: a larger picture would look greener. Average.")
    raise Wrong(
        "the shape is right, but these are other numbers: for each frame, the mean over H and W of "
        "colour 1 of clip `b`."
    )


@check
def keep_all(answer: object) -> str:
    """``answer(num_frames, clip_len)`` must show every frame of a short clip, in order, and evenly.

    A short clip has at most ``clip_len`` frames.
    """
    for clip_len in (16, 5):
        for num_frames in range(clip_len, 0, -1):
            _expect_all(run_answer(answer, num_frames, clip_len), num_frames, clip_len)
    return "every frame of every short clip is shown, in order, and none much more than another."


def _expect_all(indices: object, num_frames: int, clip_len: int) -> None:
    asked = f"{num_frames} frames shown as {clip_len}"
    try:
        kept = [int(i) for i in indices]  # pyrefly: ignore[not-iterable]
        whole = all(i == k for i, k in zip(indices, kept, strict=True))
    except (TypeError, ValueError):
        kind = type(indices).__name__
        raise Wrong(f"expected a list of frame numbers, got a {kind}.") from None
    if not whole:
        raise Wrong(
            f"{asked}: {list(indices)} are not all whole numbers; try `//` in place of `/`."
        )
    if len(kept) != clip_len:
        raise Wrong(f"{asked}: the list has {len(kept)} entries, and the model wants {clip_len}.")
    if outside := sorted({i for i in kept if not 0 <= i < num_frames}):
        raise Wrong(f"{asked}: there is no frame {outside[0]}; they are 0 to {num_frames - 1}.")
    if lost := sorted(set(range(num_frames)) - set(kept)):
        raise Wrong(f"{asked}: frames {lost} are never seen. Your list is {kept}.")
    if kept != sorted(kept):
        raise Wrong(f"{asked}: {kept} goes back in time. Repeat a frame beside itself.")
    counts = Counter(kept)
    often, seldom = max(counts, key=counts.get), min(counts, key=counts.get)
    if counts[often] > 2 * counts[seldom]:
        few = "once" if counts[seldom] == 1 else f"{counts[seldom]} times"
        raise Wrong(
            f"{asked}: nothing is lost, but frame {often} is shown {counts[often]} times and frame "
            f"{seldom} {few}: the film stops there. Spread the repeats."
        )

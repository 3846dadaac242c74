"""Which frames of a video make the clip, in integer arithmetic.

Every function takes the number of frames ``T`` that a video has and returns the indices of the
``n`` frames to keep, in order, each in ``[0, T)``. No float is used (except in `published`), so
the result is the same on every machine.
"""

from itertools import pairwise
from numbers import Integral

import torch


def uniform(num_frames: int, clip_len: int = 16) -> list[int]:
    """Take the middle frame of each of ``clip_len`` equal segments.

    A video of at most ``clip_len`` frames keeps all of them, some repeated, spread evenly.

    Args:
        num_frames: frames in the video, ``T`` >= 1.
        clip_len: frames to keep, ``n`` >= 1.

    Returns:
        ``n`` indices, non-decreasing.

    Raises:
        ValueError: a number below 1.

    Source: segment midpoints as in TSN (Wang et al. 2016), in integers.

    >>> uniform(8, 4)
    [1, 3, 5, 7]
    >>> uniform(3, 6)
    [0, 0, 1, 1, 2, 2]
    """
    _check(num_frames=num_frames, clip_len=clip_len)
    return [(2 * i + 1) * num_frames // (2 * clip_len) for i in range(clip_len)]


def jitter(
    num_frames: int, clip_len: int = 16, *, generator: torch.Generator | None = None
) -> list[int]:
    """Take one random frame from each of ``clip_len`` equal segments: `uniform` for training.

    A segment shorter than one frame gives the frame it starts in, so that a video of at most
    ``clip_len`` frames keeps all of them.

    Args:
        num_frames: frames in the video, ``T`` >= 1.
        clip_len: frames to keep, ``n`` >= 1.
        generator: where the randomness comes from; None is torch's global generator.

    Returns:
        ``n`` indices, non-decreasing.

    Raises:
        ValueError: a number below 1.

    Source: TSN's training-time sampling (Wang et al. 2016), in integers.

    >>> jitter(4, 4)
    [0, 1, 2, 3]
    """
    _check(num_frames=num_frames, clip_len=clip_len)
    edges = [i * num_frames // clip_len for i in range(clip_len + 1)]
    return [
        first + int(torch.randint(max(1, end - first), (), generator=generator))
        for first, end in pairwise(edges)
    ]


def dense(num_frames: int, clip_len: int = 16, *, stride: int = 1, start: int = 0) -> list[int]:
    """Take every ``stride``-th frame from ``start`` on; past the end, repeat the last frame.

    Args:
        num_frames: frames in the video, ``T`` >= 1.
        clip_len: frames to keep, ``n`` >= 1.
        stride: frames from one index to the next, >= 1.
        start: the first index, in ``[0, T)``.

    Returns:
        ``n`` indices, non-decreasing.

    Raises:
        ValueError: a number out of its range.

    >>> dense(10, 4, stride=2, start=3)
    [3, 5, 7, 9]
    >>> dense(5, 4, stride=2)
    [0, 2, 4, 4]
    """
    _check(num_frames=num_frames, clip_len=clip_len, stride=stride)
    if not isinstance(start, Integral) or not 0 <= start < num_frames:
        raise ValueError(f"start must be an integer in [0, {num_frames}), got {start!r}")
    return [min(start + i * stride, num_frames - 1) for i in range(clip_len)]


def multi(
    num_frames: int, clip_len: int = 16, *, stride: int = 1, num_clips: int = 3
) -> list[list[int]]:
    """Take several dense clips whose starts are spread evenly from the first frame to the last.

    Args:
        num_frames: frames in the video, ``T`` >= 1.
        clip_len: frames in each clip, ``n`` >= 1.
        stride: frames from one index to the next, >= 1.
        num_clips: number of clips, >= 1; a single clip is centred.

    Returns:
        ``num_clips`` lists of ``n`` indices.

    Raises:
        ValueError: a number below 1.

    Source: multi-view testing (Feichtenhofer et al. 2019).

    >>> multi(10, 4, num_clips=3)
    [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    >>> multi(10, 4, num_clips=1)
    [[3, 4, 5, 6]]
    """
    _check(num_frames=num_frames, clip_len=clip_len, stride=stride, num_clips=num_clips)
    spare = max(0, num_frames - (clip_len - 1) * stride - 1)
    gaps = num_clips - 1
    starts = [i * spare // gaps for i in range(num_clips)] if gaps else [spare // 2]
    return [dense(num_frames, clip_len, stride=stride, start=start) for start in starts]


def published(num_frames: int, clip_len: int = 16) -> list[int]:
    """Sample by the published fix's rule. It loses the end of short videos; the lessons show why.

    A short video repeats each frame equally often and is then cut to length; a longer one takes a
    float ``linspace``, rounded down.

    Args:
        num_frames: frames in the video, ``T`` >= 1.
        clip_len: frames to keep, ``n`` >= 1.

    Returns:
        ``n`` indices, non-decreasing.

    Raises:
        ValueError: a number below 1.

    Source: the published fix, section "Input Dimension Handling".

    >>> published(3, 4)
    [0, 0, 1, 1]
    """
    _check(num_frames=num_frames, clip_len=clip_len)
    if num_frames < clip_len:
        repeated = torch.arange(num_frames).repeat_interleave(clip_len // num_frames + 1)
        return repeated[:clip_len].tolist()
    return torch.linspace(0, num_frames - 1, clip_len).long().tolist()


document = published  # its name in version 1.0


def _check(**at_least_one: int) -> None:
    for name, value in at_least_one.items():
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name} must be an integer of 1 or more, got {value!r}")

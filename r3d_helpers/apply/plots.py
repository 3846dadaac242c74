"""Figures for a video: its frames, the predictions over time, and heat maps.

All figures are grey, so that they can be printed and need no colour vision.
"""

import math
import os
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .._extras import needed
from ..files import replacing
from ..names import printable
from .explain import Timeline

with needed("apply"):
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure


def film_strip(strips: Mapping[str, Tensor], *, title: str) -> Figure:
    """Draw clips as rows of frames.

    Args:
        strips: uint8 ``[T, C, H, W]`` by the text left of its row.
        title: above the figure.
    """
    longest = max(len(frames) for frames in strips.values())
    figure, axes = plt.subplots(
        len(strips),
        longest,
        figsize=(9, 0.4 + len(strips) * 9 / longest),
        squeeze=False,
        layout="constrained",
    )
    for row, (name, frames) in zip(axes, strips.items(), strict=True):
        for axis in row:
            axis.axis("off")
        for axis, frame in zip(row, frames, strict=False):
            axis.imshow(frame.permute(1, 2, 0).numpy())
        row[0].text(
            *(-0.1, 0.5, _fitting(name, 30)),
            transform=row[0].transAxes,
            ha="right",
            va="center",
            parse_math=False,
        )
    figure.suptitle(_fitting(title), parse_math=False)
    return figure


def timeline(line: Timeline, classes: Sequence[str], *, title: str) -> Figure:
    """Draw the probability of each class (down) over the time of a video (across)."""
    figure, axis = plt.subplots(figsize=(9, 0.34 * len(classes) + 1.5), layout="constrained")
    edges, columns = [line.begin[0]], []
    for number, (end, answers) in enumerate(zip(line.end, line.probabilities, strict=True)):
        columns.append(answers)
        if number + 1 == len(line.end):
            edges.append(end if end > edges[-1] else edges[-1] + 1)  # a single frame gets 1 s
        elif (begin := line.begin[number + 1]) <= end:  # windows overlap: the edge is halfway
            edges.append((line.begin[number] + end + begin + line.end[number + 1]) / 4)
        else:  # a gap without frames
            columns.append(torch.full_like(answers, math.nan))
            edges += [end, begin]
    rows = range(len(classes) + 1)
    shares = torch.stack(columns).T.numpy()
    shown = axis.pcolormesh(edges, rows, shares, cmap="Greys", vmin=0, vmax=1)
    names = [_fitting(name, 30) for name in classes]
    axis.set_yticks([row + 0.5 for row in rows[:-1]], names, parse_math=False)
    axis.invert_yaxis()
    axis.set_xlabel("time (s)")
    axis.set_title(_fitting(title), parse_math=False)
    figure.colorbar(shown, label="probability")
    return figure


def heat(clip: Tensor, maps: Mapping[str, Tensor], *, title: str) -> Figure:
    """Draw a clip, and below it for each map the same frames, dark where the map is low.

    Args:
        clip: uint8 ``[T, C, H, W]``.
        maps: ``[T, H, W]`` from 0 (dark) to 1 (as it is), by the text left of its row.
        title: above the figure.
    """
    strips = {"clip": clip}
    for name, values in maps.items():
        strips[name] = (clip * (0.15 + 0.85 * values[:, None])).byte()
    return film_strip(strips, title=title)


def save(figure: Figure, path: str | os.PathLike) -> None:
    """Write a figure, whole or not at all, and close it.

    Raises:
        OSError: it cannot be written.
    """
    try:
        with replacing(path) as part:
            figure.savefig(part, dpi=120)
    finally:
        plt.close(figure)


def _fitting(text: str, longest: int = 90) -> str:
    """The text in one line; a text that is too long for the figure loses its middle."""
    text = printable(text)
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]} … {text[-half:]}"

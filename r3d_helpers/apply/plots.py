"""Figures of what a model says of a video: its frames, its answers over time, what speaks for them.

All figures are grey: they can be printed, and read by everybody.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from .explain import Timeline


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
        row[0].text(-0.1, 0.5, name, transform=row[0].transAxes, ha="right", va="center")
    figure.suptitle(title)
    return figure


def timeline(line: Timeline, classes: Sequence[str], *, title: str) -> Figure:
    """Draw the probability of each class (down) over the time of a video (across)."""
    figure, axis = plt.subplots(figsize=(9, 0.34 * len(classes) + 1.5), layout="constrained")
    middles = [(b + e) / 2 for b, e in zip(line.begin, line.end, strict=True)]
    edges = [line.begin[0], *((a + b) / 2 for a, b in pairwise(middles)), line.end[-1]]
    if edges[-1] <= edges[0]:  # a single frame
        edges[-1] = edges[0] + 1
    rows = range(len(classes) + 1)
    shown = axis.pcolormesh(edges, rows, line.probabilities.T.numpy(), cmap="Greys", vmin=0, vmax=1)
    axis.set_yticks([row + 0.5 for row in rows[:-1]], classes)
    axis.invert_yaxis()
    axis.set(xlabel="time (s)", title=title)
    figure.colorbar(shown, label="probability")
    return figure


def heat(clip: Tensor, maps: Mapping[str, Tensor], *, title: str) -> Figure:
    """Draw a clip and below it, for each map, the same frames lit by it.

    Args:
        clip: uint8 ``[T, C, H, W]``.
        maps: ``[T, H, W]`` from 0 (dark) to 1 (as it is), by the text left of its row.
        title: above the figure.
    """
    strips = {"clip": clip}
    for name, values in maps.items():
        strips[name] = (clip * (0.15 + 0.85 * values[:, None])).byte()
    return film_strip(strips, title=title)

"""Figures of the lessons. Each is readable in greyscale and returns the matplotlib figure."""

from collections import Counter
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor
from torchvision.utils import make_grid

from ..apply.plots import film_strip, heat, timeline
from ..studies.compare import Comparison

__all__ = [
    "bars",
    "confusion",
    "curves",
    "differences",
    "dots",
    "film_strip",
    "filters",
    "gates",
    "heat",
    "influence",
    "kept_frames",
    "people",
    "sizes",
    "spread",
    "timeline",
]


def kept_frames(num_frames: int, choices: Mapping[str, Sequence[int]]) -> Figure:
    """Draw which frames of a video each sampler keeps; a frame kept twice is stacked higher."""
    figure, axes = plt.subplots(
        len(choices), 1, figsize=(9, 1.1 * len(choices) + 0.6), sharex=True, layout="constrained"
    )
    for axis, (name, indices) in zip(np.atleast_1d(axes), choices.items(), strict=True):
        counts = np.bincount(indices, minlength=num_frames)
        axis.bar(range(num_frames), counts, color=["0.25" if c else "0.9" for c in counts])
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set_ylim(0, max(2, counts.max()) + 0.3)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("frame of the video")
    figure.suptitle(f"How often each of {num_frames} frames is kept")
    return figure


def curves(history: Sequence[Mapping[str, float]], *, chance: float) -> Figure:
    """Draw loss and validation UAR over the epochs."""
    epochs = [record["epoch"] for record in history]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
    left.plot(epochs, [r["train_loss"] for r in history], "o-", color="0.1", label="training")
    left.plot(epochs, [r["val_loss"] for r in history], "s--", color="0.5", label="validation")
    left.set(xlabel="epoch", ylabel="cross-entropy", title="Loss")
    left.legend()
    right.plot(epochs, [r["val_uar"] for r in history], "s--", color="0.5", label="validation")
    right.axhline(chance, color="0.1", linestyle=":", label="chance")
    right.set(xlabel="epoch", ylabel="UAR", ylim=(0, 1), title="Score on people not trained on")
    right.legend()
    for axis in (left, right):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def confusion(
    matrix: Tensor,
    classes: Sequence[str],
    *,
    title: str = "Clips by true and predicted emotion",
) -> Figure:
    """Draw a confusion matrix ``[K, K]`` of counts: true classes down, predicted ones across."""
    share = matrix / matrix.sum(1, keepdim=True).clamp(min=1)
    figure, axis = plt.subplots(figsize=(5.6, 4.8), layout="constrained")
    axis.imshow(share, cmap="Greys", vmin=0, vmax=1)
    for row, column in np.ndindex(*matrix.shape):
        colour = "white" if share[row, column] > 0.5 else "black"
        axis.text(column, row, int(matrix[row, column]), ha="center", va="center", color=colour)
    axis.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    axis.set_yticks(range(len(classes)), classes)
    axis.set(xlabel="predicted", ylabel="true", title=title)
    return figure


def bars(values: Mapping[str, float], *, chance: float, title: str) -> Figure:
    """Compare scores in [0, 1] as horizontal bars, with a line at chance."""
    names = list(values)
    figure, axis = plt.subplots(figsize=(8, 0.45 * len(names) + 1), layout="constrained")
    drawn = axis.barh(names, list(values.values()), color="0.45")
    axis.bar_label(drawn, fmt="%.2f", padding=3)
    axis.axvline(chance, color="0.1", linestyle=":", label="chance")
    axis.invert_yaxis()
    axis.set(xlim=(0, 1.08), xlabel="UAR on people the model has never seen", title=title)
    axis.legend(loc="lower right")
    return figure


def gates(values: Mapping[str, Tensor]) -> Figure:
    """Draw gates ``[C]`` as bars, one row per name."""
    figure, axes = plt.subplots(
        len(values), 1, figsize=(8, 1.7 * len(values) + 0.4), squeeze=False, layout="constrained"
    )
    for axis, (name, gate) in zip(axes[:, 0], values.items(), strict=True):
        axis.bar(range(len(gate)), gate.detach().numpy(), width=1, color="0.45", edgecolor="0.2")
        axis.axhline(1, color="0.1", linestyle=":")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set(title=name, ylabel="gate", ylim=(0, max(1.1, float(gate.max()) + 0.1)))
    axes[-1, 0].set_xlabel("channel")
    return figure


def sizes(values: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw the size of features after each layer, by network, with a reference of 1."""
    figure, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
    for (name, ratios), style in zip(values.items(), ("o-", "s--", "^:", "D-."), strict=False):
        axis.plot(list(ratios), list(ratios.values()), style, color="0.2", label=name)
    axis.set(ylabel="norm, gates at 1 being 1", ylim=(0, 1.15))
    axis.set(xlabel="after", title="How much is left of the features")
    axis.legend(loc="lower left")
    return figure


def filters(weights: Mapping[str, Tensor]) -> Figure:
    """Draw the last 36 filters of each of ``weights [N, 3, T, H, W]``, frame by frame."""
    strips = {}
    for name, of_all in weights.items():
        shown = of_all.detach()[-36:].flip(0)
        shown = 127 + 127 * shown / shown.abs().amax((1, 2, 3, 4), keepdim=True)
        frames = [make_grid(frame, 6, 1, pad_value=255) for frame in shown.unbind(2)]
        strips[name] = torch.stack(frames).byte()
    return film_strip(strips, title="36 filters, frame by frame")


def influence(matrices: Mapping[str, Tensor]) -> Figure:
    """Draw bool ``[B, B]`` by name: does clip ``i`` (down) change the answer for ``j`` (across)?"""
    figure, axes = plt.subplots(
        1, len(matrices), figsize=(3.2 * len(matrices), 3.4), squeeze=False, layout="constrained"
    )
    for axis, (name, matrix) in zip(axes[0], matrices.items(), strict=True):
        axis.imshow(matrix, cmap="Greys", vmin=0, vmax=1.3)
        axis.set(title=name, xlabel="answer for clip", ylabel="clip that is changed")
        for which in (axis.xaxis, axis.yaxis):
            which.set_major_locator(MaxNLocator(integer=True))
    return figure


def spread(values: Mapping[str, Sequence[float]], *, chance: float, title: str) -> Figure:
    """Draw repeated scores: a dot for each run, a bar at the mean; runs are joined.

    A comma in a name breaks the line.
    """
    names = [name.replace(", ", "\n") for name in values]
    width = max(6, 0.95 * len(names))
    figure, axis = plt.subplots(figsize=(width, 3.4), layout="constrained")
    for scores in zip(*values.values(), strict=True):
        axis.plot(names, scores, "o-", color="0.55", linewidth=0.8)
    axis.plot(names, [sum(v) / len(v) for v in values.values()], "_", color="0", markersize=40)
    axis.axhline(chance, color="0.1", linestyle=":", label="chance")
    axis.margins(x=0.3 if len(names) < 4 else 0.1)
    axis.set(ylabel="UAR on people not trained on", ylim=(0, None), title=title)
    axis.legend(loc="lower right")
    return figure


def people(splits: Mapping[str, Mapping[str, Sequence[int]]], *, title: str) -> Figure:
    """Draw splits of people: a row for each split, a box for each person, a grey for each part.

    Args:
        splits: by name, each the numbers of the people of its parts, by the name of the part.
        title: above the figure.
    """
    figure, axis = plt.subplots(figsize=(10, 0.5 * len(splits) + 1.2), layout="constrained")
    greys = ("0.9", "0.6", "0.1")
    for row, parts in enumerate(splits.values()):
        for (part, numbers), grey in zip(parts.items(), greys, strict=True):
            label = part if row == 0 else None
            axis.bar(numbers, 0.8, 0.9, row - 0.4, color=grey, edgecolor="0.3", lw=0.5, label=label)
    axis.set_yticks(range(len(splits)), splits)
    axis.set_ylim(len(splits) - 0.5, -0.5)
    axis.margins(x=0.01)
    axis.set(xlabel="person", title=title)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def differences(comparisons: Mapping[str, Comparison], *, title: str, unit: str = "UAR") -> Figure:
    """Draw differences with their intervals and verdicts, one below the other; pairs are dots.

    A comma in a name breaks the line.
    """
    figure, axis = plt.subplots(figsize=(9, 0.5 * len(comparisons) + 1.1), layout="constrained")
    for row, found in enumerate(comparisons.values()):
        colour = {"sure": "0", "likely": "0.3", "cannot tell": "0.45"}[found.verdict]
        axis.hlines(row, found.low, found.high, color=colour, linewidth=2)
        axis.plot(found.pairs, [row] * len(found.pairs), "o", color="0.45", markersize=4, alpha=0.7)
        axis.plot(found.mean, row, "|", color=colour, markersize=16, markeredgewidth=2.5)
        place = {"xycoords": ("axes fraction", "data"), "va": "center", "color": colour}
        axis.annotate(found.verdict, (1.02, row), **place, annotation_clip=False)
    names = [name.replace(", ", "\n") for name in comparisons]
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.axvline(0, color="0", linewidth=0.8)
    dots = "; dots are pairs" if any(found.pairs for found in comparisons.values()) else ""
    axis.set(xlabel=f"difference in {unit}, with its interval{dots}", title=title)
    return figure


def dots(values: Mapping[str, Sequence[float]], *, title: str) -> Figure:
    """Draw scores in [0, 1] as rows of dots, one for each person, with a bar at the mean."""
    figure, axis = plt.subplots(figsize=(8, 0.9 * len(values) + 1), layout="constrained")
    for row, scores in enumerate(values.values()):
        many = Counter(scores)
        apart = min(0.12, 0.8 / max(many.values()))  # equal scores are stacked, within the row
        seen = Counter()
        for score in scores:
            place = row + apart * (seen[score] - (many[score] - 1) / 2)
            axis.plot(score, place, "o", color="0.45", markersize=5)
            seen[score] += 1
        axis.plot([sum(scores) / len(scores)], [row], "|", color="0", markersize=26)
    axis.set_yticks(range(len(values)), list(values))
    axis.set(xlim=(-0.03, 1.03), ylim=(len(values) - 0.5, -0.5), title=title)
    axis.set_xlabel("share of the person's clips that were found")
    return figure

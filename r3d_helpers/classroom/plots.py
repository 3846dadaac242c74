"""Figures of the lessons. Each is readable in greyscale and returns the matplotlib figure."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor


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
            axis.imshow(frame.permute(1, 2, 0))
        row[0].text(-0.1, 0.5, name, transform=row[0].transAxes, ha="right", va="center")
    figure.suptitle(title)
    return figure


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
    left.set(xlabel="epoch", ylabel="cross-entropy (nats)", title="Loss")
    left.legend()
    right.plot(epochs, [r["val_uar"] for r in history], "s--", color="0.5", label="validation")
    right.axhline(chance, color="0.1", linestyle=":", label="chance")
    right.set(xlabel="epoch", ylabel="UAR", ylim=(0, 1), title="Score on people not trained on")
    right.legend()
    for axis in (left, right):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def confusion(matrix: Tensor, classes: Sequence[str]) -> Figure:
    """Draw a confusion matrix ``[K, K]`` of counts: true classes down, predicted ones across."""
    share = matrix / matrix.sum(1, keepdim=True).clamp(min=1)
    figure, axis = plt.subplots(figsize=(5.6, 4.8), layout="constrained")
    axis.imshow(share, cmap="Greys", vmin=0, vmax=1)
    for row, column in np.ndindex(*matrix.shape):
        colour = "white" if share[row, column] > 0.5 else "black"
        axis.text(column, row, int(matrix[row, column]), ha="center", va="center", color=colour)
    axis.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    axis.set_yticks(range(len(classes)), classes)
    axis.set(xlabel="predicted", ylabel="true", title="Clips by true and predicted emotion")
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

"""Diagrams of programs: which part computes what, and with which weights.

They use the parts of `schematics`, in grey: what is never used is pale and dashed.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from .schematics import INK, PALE, box, canvas

PALE_INK = "0.55"  # dark enough to read, and still paler than the rest


def _frame(axis: Axes, x: float, y: float, width: float, height: float, name: str) -> None:
    """A dashed frame around what belongs together, with its name above it."""
    axis.add_patch(
        Rectangle((x, y), width, height, fill=False, edgecolor=PALE_INK, linestyle=(0, (4, 3)))
    )
    axis.text(x + 0.08, y + height + 0.04, name, ha="left", va="bottom", color=INK)


def _idle(axis: Axes, x: float, y: float, width: float, height: float, text: str) -> None:
    """A box that is there and not used."""
    dashes = (0, (2, 2))
    axis.add_patch(
        Rectangle((x, y), width, height, fill=False, edgecolor=PALE_INK, linestyle=dashes)
    )
    axis.text(x + width / 2, y + height / 2, text, ha="center", va="center", color=PALE_INK)


def _arrow(
    axis: Axes, start: tuple[float, float], end: tuple[float, float], thick: bool = False
) -> None:
    """An arrow from one part to another; thick where it is the main point of the drawing."""
    axis.add_patch(
        FancyArrowPatch(
            *(start, end),
            arrowstyle="-|>",
            mutation_scale=14 if thick else 11,
            color=INK,
            linewidth=2.2 if thick else 1,
            shrinkA=0,
            shrinkB=0,
        )
    )


def hook_of_a_copy() -> Figure:
    """Draw what a deep copy shares with its original, with gates in a hook and with modules."""
    figure, axis = canvas(9, 3.3, "Who asks whose gate?")
    for left, name in ((0.2, "a gate in a hook"), (5.0, "a gate as a module")):
        axis.text(left, 2.86, name, ha="left", va="center", color=INK, fontweight="bold")
    for bottom, whose in ((1.65, "the original"), (0.25, "its deep copy")):
        _frame(axis, 0.2, bottom, 3.9, 0.75, whose)
        box(axis, 0.35, bottom + 0.17, 0.8, 0.42, "block")
        box(axis, 1.55, bottom + 0.17, 0.9, 0.42, "hook")
        _arrow(axis, (1.15, bottom + 0.38), (1.55, bottom + 0.38))
        _frame(axis, 5.0, bottom, 3.6, 0.75, whose)
        box(axis, 5.2, bottom + 0.17, 0.8, 0.42, "block")
        box(axis, 6.6, bottom + 0.17, 0.8, 0.42, "gate")
        _arrow(axis, (6.0, bottom + 0.38), (6.6, bottom + 0.38))
        _arrow(axis, (7.4, bottom + 0.38), (8.0, bottom + 0.38))
    box(axis, 3.0, 1.82, 0.9, 0.42, "gate")
    _arrow(axis, (2.45, 2.03), (3.0, 2.03))
    _idle(axis, 3.0, 0.42, 0.9, 0.42, "gate")
    _arrow(axis, (2.3, 0.84), (3.3, 1.82), thick=True)
    return figure


def grad_cam() -> Figure:
    """Draw how Grad-CAM is computed, from a layer's features to a map."""
    figure, axis = canvas(9, 3.0, "Grad-CAM, step by step")
    for number, weight in enumerate(("+0.6", "-0.2", "+0.1")):
        bottom = 1.95 - 0.62 * number
        box(axis, 0.3, bottom, 1.5, 0.5, f"channel {number}", fill=PALE)
        box(axis, 3.0, bottom, 0.8, 0.5, weight)
        axis.text(2.4, bottom + 0.25, "times", ha="center", va="center", color=INK)
        _arrow(axis, (3.8, bottom + 0.25), (4.6, 1.58))
    texts = [(1.05, "features"), (3.4, "mean of the gradient\nover time and places")]
    for x, text in [*texts, (5.0, "sum over\nchannels"), (6.4, "ReLU: what is\nbelow 0 is 0")]:
        axis.text(x, 0.3, text, ha="center", va="center", color=INK)
    box(axis, 4.6, 1.33, 0.8, 0.5, "sum")
    _arrow(axis, (5.4, 1.58), (6.0, 1.58))
    box(axis, 6.0, 1.33, 0.8, 0.5, "max(0, ·)")
    _arrow(axis, (6.8, 1.58), (7.4, 1.58))
    box(axis, 7.4, 1.33, 1.3, 0.5, "enlarged map")
    axis.text(8.05, 0.3, "as large as\nthe clip", ha="center", va="center", color=INK)
    return figure


def shared_step() -> Figure:
    """Draw what each of two processes computes in one step."""
    figure, axis = canvas(9, 3.4, "One step of eight clips, shared by two processes")
    _frame(axis, 3.0, 0.3, 1.9, 2.55, "batch norm: each on its own")
    for bottom, number in ((1.85, 0), (0.5, 1)):
        box(axis, 0.3, bottom, 1.1, 0.8, f"clips\n{4 * number} to {4 * number + 3}", fill=PALE)
        box(axis, 1.65, bottom, 1.2, 0.8, f"process {number}\nsame weights")
        box(axis, 3.2, bottom, 1.5, 0.8, "mean, variance\nof 4 clips")
        box(axis, 5.2, bottom, 1.0, 0.8, "gradient\nof 4 clips")
        box(axis, 7.6, bottom, 1.1, 0.8, "the same\nstep")
        for start, end in ((1.4, 1.65), (2.85, 3.2), (4.7, 5.2)):
            _arrow(axis, (start, bottom + 0.4), (end, bottom + 0.4))
        _arrow(axis, (6.2, bottom + 0.4), (6.5, 1.58), thick=True)
        _arrow(axis, (7.3, 1.58), (7.6, bottom + 0.4), thick=True)
    box(axis, 6.5, 1.2, 0.8, 0.75, "mean of\nboth")
    axis.text(6.9, 0.72, "gradients travel", ha="center", va="center", color=INK, fontsize=9)
    return figure

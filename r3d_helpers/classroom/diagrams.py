"""Diagrams of programs: which part computes what, and with whose weights.

They are made of the parts of `schematics`, in grey: what is never used is pale and dashed.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from .schematics import INK, box, canvas

PALE_INK = "0.55"  # dark enough to read, light enough to stand back


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
    """From one part to another; thick where it is the point of the drawing."""
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

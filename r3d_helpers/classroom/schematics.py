"""Schematics: drawings of tensors and their way through a network, with a colour for each axis.

The colours are the same in every lesson. Colour-blind readers can tell them apart, they are dark
enough for text on white, and each axis also has its letter.
"""

import math
from collections.abc import Mapping

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle

AXES = {
    "B": "#524602",  # videos of a batch
    "T": "#cd481a",  # frames of a video
    "C": "#8a3fe0",  # colours, or channels
    "H": "#14147a",  # rows of pixels
    "W": "#2b7f85",  # columns of pixels
    "K": "#3a0512",  # classes
}
INK, PALE = "0.15", "0.93"  # greys for everything else


def canvas(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    """An empty drawing, measured in inches from the lower left corner."""
    figure = plt.figure(figsize=(width, height))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, width), ylim=(0, height))
    axis.set_axis_off()
    axis.text(width / 2, height - 0.12, title, ha="center", va="top", fontsize=12, color=INK)
    return figure, axis


def box(
    axis: Axes, x: float, y: float, width: float, height: float, text: str = "", fill: str = "white"
) -> None:
    """A box with its lower left corner at ``x, y``, with a text in its middle."""
    axis.add_patch(Rectangle((x, y), width, height, facecolor=fill, edgecolor=INK, linewidth=0.8))
    axis.text(x + width / 2, y + height / 2, text, ha="center", va="center", color=INK)


def shape(
    axis: Axes, x: float, y: float, sizes: Mapping[str, int | str], tile: float = 0.42
) -> float:
    """A tile in its colour for each axis, with the size below; returns where the last one ends.

    Args:
        axis: to draw on.
        x: of the left end.
        y: of the lower edge of the tiles.
        sizes: by letter; a letter of two axes that were merged, such as ``"BT"``, is half and half.
        tile: width and height of one.
    """
    for letters, size in sizes.items():
        part = tile / len(letters)
        for number, letter in enumerate(letters):
            left = x + number * part
            fill = AXES[letter]
            axis.add_patch(Rectangle((left, y), part, tile, facecolor=fill, linewidth=0))
            axis.text(
                *(left + part / 2, y + tile / 2, letter),
                ha="center",
                va="center",
                color="white",
                fontweight="bold",
            )
        axis.text(x + tile / 2, y - 0.05, str(size), ha="center", va="top", color=INK)
        x += tile + 0.06
    return x


def along(axis: Axes, letter: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """An arrow along an axis in its colour, with its letter at the tip."""
    colour = AXES[letter]
    axis.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, color=colour, linewidth=2)
    )
    (x0, y0), (x1, y1) = start, end
    far = 0.14 / max(abs(x1 - x0), abs(y1 - y0))
    place = x1 + far * (x1 - x0), y1 + far * (y1 - y0)
    axis.text(
        *place, letter, ha="center", va="center", color=colour, fontweight="bold", fontsize=12
    )


def flow(axis: Axes, start: tuple[float, float], end: tuple[float, float], text: str = "") -> None:
    """A thin arrow from one part of the drawing to the next, with a word above it."""
    axis.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=10, color="0.4", linewidth=1)
    )
    middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 0.06
    axis.text(*middle, text, ha="center", va="bottom", color=INK, fontsize=9)


def batch(B: int, T: int, C: int, H: int, W: int) -> Figure:
    """Draw what a batch ``[B, T, C, H, W]`` is made of, from the batch down to a row of pixels."""
    figure, axis = canvas(9, 3.0, "One batch, five axes")
    shape(axis, 3.32, 2.15, {"B": B, "T": T, "C": C, "H": H, "W": W})
    names = [(1.0, f"{B} videos"), (3.55, f"{T} frames"), (5.9, f"{C} colours")]
    names += [(7.95, f"{H} rows, {W} columns")]
    for x, name in names:
        axis.text(x, 0.12, name, ha="center", va="center", color=INK)
    rows = min(B, 5)
    for row in range(rows):  # a batch: one video below the other
        for column in range(5):
            box(axis, 0.55 + 0.22 * column, 1.44 - 0.22 * row, 0.2, 0.17, fill=PALE)
    along(axis, "B", (0.36, 1.62), (0.36, 1.4 - 0.22 * (rows - 1)))
    flow(axis, (1.78, 1.46), (2.3, 1.3))
    for frame in range(5):  # a video: one frame after the other
        box(axis, 2.4 + 0.48 * frame, 0.92, 0.44, 0.56, "…" if frame == 4 else "", fill=PALE)
    along(axis, "T", (2.4, 0.72), (4.6, 0.72))
    flow(axis, (4.86, 1.2), (5.3, 1.2))
    for plane in range(3):  # a frame: one colour behind the other
        box(axis, 5.76 - 0.16 * plane, 1.02 - 0.16 * plane, 0.66, 0.72, fill=PALE)
    along(axis, "C", (6.2, 0.62), (6.6, 1.02))
    flow(axis, (6.9, 1.2), (7.3, 1.2))
    for row in range(5):  # a plane: rows and columns of numbers
        for column in range(6):
            box(axis, 7.6 + 0.15 * column, 1.3 - 0.15 * row, 0.15, 0.15, fill="white")
    along(axis, "H", (7.46, 1.46), (7.46, 0.64))
    along(axis, "W", (7.6, 1.6), (8.56, 1.6))
    return figure


def funnel(stages: Mapping[str, Mapping[str, int]], emphasise: str = "") -> Figure:
    """Draw how frames of a clip get smaller and fewer in a network, stage by stage.

    Args:
        stages: in order; for each, its sizes by the letter of the axis. A letter that a stage does
            not have is an axis that is gone there, such as T, H and W after the average.
        emphasise: the letters of axes that are meant; the others are pale then. All without any.
    """
    letters = list(next(iter(stages.values())))
    meant = emphasise or "".join(letters)
    wide, row = 1.3, 0.31  # inches for a stage, and for an axis in the table
    low = 0.2 + row * len(letters)  # where the names of the stages are
    said = " and ".join(emphasise) or "the axes"
    figure, axis = canvas(
        0.75 + wide * len(stages), low + 2.15, f"What becomes of {said}, from stage to stage"
    )
    largest = max(max(sizes.get("H", 0), sizes.get("W", 0)) for sizes in stages.values())
    for number, letter in enumerate(letters):
        y, fill = low - 0.08 - row * (number + 1), AXES[letter] if letter in meant else "0.45"
        box(axis, 0.2, y, 0.28, 0.27, fill=fill)
        axis.text(
            *(0.34, y + 0.135, letter), ha="center", va="center", color="white", fontweight="bold"
        )
    for number, (name, sizes) in enumerate(stages.items()):
        middle = 0.75 + wide * (number + 0.5)
        _frames(axis, middle, low + 0.32, sizes, largest, AXES["T"] if "T" in emphasise else PALE)
        axis.text(middle, low + 0.08, name, ha="center", va="center", color=INK, fontsize=11)
        for place, letter in enumerate(letters):
            axis.text(
                *(middle, low + 0.055 - row * (place + 1), str(sizes.get(letter, "gone"))),
                ha="center",
                va="center",
                color=AXES[letter] if letter in meant else "0.45",
                fontweight="bold" if letter in meant else "normal",
                fontsize=12,
            )
    return figure


def _frames(
    axis: Axes, middle: float, y: float, sizes: Mapping[str, int], largest: int, fill: str
) -> None:
    """A card for each time step, one behind the other; a bar of numbers if no time is left."""
    if not {"T", "H", "W"} <= set(sizes):
        box(axis, middle - 0.04, y, 0.08, 1.0, fill="white")
        return
    # The square root, so that the last stages can still be seen.
    tall, across = (0.8 * (sizes[letter] / largest) ** 0.5 for letter in "HW")
    left = middle - (across + 0.035 * (sizes["T"] - 1)) / 2
    edge = INK if fill == PALE else "white"
    for t in reversed(range(sizes["T"])):
        corner = left + 0.035 * t, y + 0.035 * t
        axis.add_patch(Rectangle(corner, across, tall, facecolor=fill, edgecolor=edge, lw=0.8))


def loop() -> Figure:
    """Draw the loop of a bug hunt: symptom, localise, fix, guard, and again."""
    steps = {
        "Symptom": "what is odd?\nask something with\na known answer",
        "Localise": "where does it begin?\nprint shapes, stage\nby stage",
        "Repair": "change one thing",
        "Guard": "ask everything again:\nis it gone? is anything\nelse broken?",
    }
    figure, axis = canvas(9, 2.6, "The loop")
    for number, (name, said) in enumerate(steps.items()):
        x = 0.15 + 2.25 * number
        box(axis, x, 0.9, 1.9, 1.2, fill=PALE)
        axis.text(x + 0.95, 1.9, name, ha="center", va="center", color=INK, fontweight="bold")
        axis.text(x + 0.95, 1.36, said, ha="center", va="center", color=INK, fontsize=9)
        if number:
            flow(axis, (x - 0.35, 1.5), (x, 1.5))
    axis.plot((7.85, 7.85, 1.1), (0.9, 0.45, 0.45), color="0.4", linewidth=1)
    flow(axis, (1.1, 0.45), (1.1, 0.9))
    axis.text(4.5, 0.38, "until nothing is found any more", ha="center", va="top", color=INK)
    return figure


def people(groups: Mapping[str, int]) -> Figure:
    """Draw groups of people as rings with a dot for each person; no person is in two rings.

    Args:
        groups: how many there are to train, to validate and to test with, from outside inwards.
    """
    figure, axis = canvas(9, 3.7, "Nobody is in two rings")
    axis.set_aspect("equal")
    roles = {
        "0.75": "their clips change the weights",
        "0.45": "their score chooses the epoch",
        "0.1": "asked when all is decided",
    }
    middle, rings = (2.1, 1.7), zip(roles.items(), groups.items(), strict=True)
    for ring, ((shade, role), (name, number)) in enumerate(rings):
        radius = 1.5 - 0.5 * ring
        axis.add_patch(Circle(middle, radius, facecolor="none", edgecolor="0.85", linewidth=1))
        for person in range(number):
            turn = 2 * math.pi * person / number
            at = middle[0] + radius * math.cos(turn), middle[1] + radius * math.sin(turn)
            axis.add_patch(Circle(at, 0.085, facecolor=shade, edgecolor=INK, linewidth=0.6))
        y = 2.65 - 0.95 * ring
        axis.add_patch(Circle((4.6, y), 0.085, facecolor=shade, edgecolor=INK, linewidth=0.6))
        said = f"{name}: {number} people"
        axis.text(4.85, y, said, ha="left", va="center", color=INK, fontweight="bold", fontsize=12)
        axis.text(4.85, y - 0.3, role, ha="left", va="center", color=INK, fontsize=11)
    return figure

"""Drawings of how a signal passes through a block, a gate and an LSTM cell.

They use the parts of `schematics`, with its colours for the axes. Idle parts are pale and dashed;
nothing is shown by colour alone.
"""

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle

from .schematics import INK, PALE, along, canvas, shape

IDLE, IDLE_TEXT = "0.7", "0.45"
TIMES = "\N{MULTIPLICATION SIGN}"
Point = tuple[float, float]


def _wire(axis: Axes, *points: Point, idle: bool = False, arrow: bool = True) -> None:
    """A line through some points, with an arrow at its end."""
    colour, style = (IDLE, (0, (3, 2))) if idle else (INK, "-")
    for start, end in pairwise(points):
        last = arrow and end == points[-1]
        axis.add_patch(
            FancyArrowPatch(
                *(start, end),
                arrowstyle="-|>" if last else "-",
                mutation_scale=12,
                color=colour,
                linestyle=style,
                linewidth=1.4,
                shrinkA=0,
                shrinkB=0,
            )
        )


def _part(
    axis: Axes, x: float, y: float, width: float, height: float, text: str, idle: bool = False
) -> None:
    """A box around its middle ``x, y``."""
    axis.add_patch(
        Rectangle(
            (x - width / 2, y - height / 2),
            *(width, height),
            facecolor="white",
            edgecolor=IDLE if idle else INK,
            linestyle=(0, (3, 2)) if idle else "-",
            linewidth=1.2,
        )
    )
    _say(axis, x, y, text, color=IDLE_TEXT if idle else INK)


def _dot(axis: Axes, x: float, y: float, text: str, idle: bool = False) -> None:
    """An operation on two numbers."""
    edge = IDLE if idle else INK
    axis.add_patch(Circle((x, y), 0.15, facecolor="white", edgecolor=edge, linewidth=1.2))
    _say(axis, x, y, text, color=IDLE_TEXT if idle else INK)


def _say(axis: Axes, x: float, y: float, text: str, **options: object) -> None:
    axis.text(
        x, y, text, **{"ha": "center", "va": "center", "color": INK, "fontsize": 11, **options}
    )


def _name(axis: Axes, x: float, y: float, text: str) -> None:
    """A name from a program."""
    _say(axis, x, y, text, family="monospace", fontweight="bold")


STEPS = ("conv", "norm", "ReLU", "conv", "norm")  # what both blocks do, in this order
_COLUMNS = tuple(1.2 + 1.14 * number for number in range(len(STEPS)))
_HALF = 0.48  # of the width of a part
_ADD = _COLUMNS[-1] + 1.1  # where the addition is


def _block(axis: Axes, y: float, kinds: Sequence[str]) -> None:
    """A residual block from left to right, its branch at the height ``y``."""
    _wire(axis, (0.15, y), (_COLUMNS[0] - _HALF, y))
    for x, kind in zip(_COLUMNS, kinds, strict=True):
        _part(axis, x, y, 2 * _HALF, 0.46, kind)
    for left, right in pairwise(_COLUMNS):
        _wire(axis, (left + _HALF, y), (right - _HALF, y))
    _wire(axis, (_COLUMNS[-1] + _HALF, y), (_ADD - 0.15, y))
    _wire(axis, (0.35, y), (0.35, y + 0.95), (_ADD, y + 0.95), (_ADD, y + 0.15))
    _dot(axis, _ADD, y, "+")
    _wire(axis, (_ADD + 0.15, y), (_ADD + 0.4, y))
    _part(axis, _ADD + 0.72, y, 0.64, 0.46, "ReLU")
    _wire(axis, (_ADD + 1.04, y), (_ADD + 1.95, y))


def blocks() -> Figure:
    """Draw the residual block of ``resnet18`` above that of ``r3d_18``: equal, with other names."""
    figure, axis = canvas(9, 4.6, "The same block, with other names")
    for y, title in ((2.6, "resnet18, for pictures"), (0.7, "r3d_18, for videos")):
        d = "2d" if y > 1 else "3d"
        _block(axis, y, (f"Conv{d}", f"Batch\nNorm{d}", "ReLU", f"Conv{d}", f"Batch\nNorm{d}"))
        _say(axis, 0.15, y + 1.15, title, ha="left", fontsize=12, fontweight="bold")
        _say(axis, 4.4, y + 1.1, "shortcut")
    for x, name in zip(_COLUMNS, ("conv1", "bn1", "relu", "conv2", "bn2"), strict=True):
        _name(axis, x, 3.0, name)
    for first, last, name in ((0, 2, "conv1"), (3, 4, "conv2")):
        left, right = _COLUMNS[first] - 0.54, _COLUMNS[last] + 0.54
        around = Rectangle(
            (left, 0.41), right - left, 0.58, facecolor=(0, 0, 0, 0), edgecolor=INK, linewidth=2
        )
        axis.add_patch(around)
        _name(axis, (left + right) / 2, 1.17, f"{name} = Sequential")
        for number, x in enumerate(_COLUMNS[first : last + 1]):
            _name(axis, x, 0.22, f"{name}[{number}]")
    return figure


PLACES = ("on the branch", "on the shortcut", "after the addition")


def places() -> Figure:
    """Draw the three places of a residual block where a gate can sit."""
    figure, axis = canvas(9, 3.2, "Three places for a gate")
    y = 1.05
    _block(axis, y, STEPS)
    spots = ((_ADD - 0.4, y), (4.4, y + 0.95), (_ADD + 1.4, y))
    for number, (x, height) in enumerate(spots, 1):
        axis.add_patch(Circle((x, height), 0.18, facecolor=INK, edgecolor=INK, zorder=3))
        _say(axis, x, height, str(number), color="white", fontweight="bold", zorder=4)
    _say(axis, 4.4, y + 1.32, f"2  {PLACES[1]}")
    under = {"va": "top", "linespacing": 1.4}
    _say(axis, _ADD - 0.15, y - 0.42, f"1  {PLACES[0]}:\nthe SE paper", ha="right", **under)
    _say(axis, _ADD + 0.25, y - 0.42, f"3  {PLACES[2]}:\nthe published fix", ha="left", **under)
    return figure


def squeeze_excite_scale(C: int, T: int, H: int, W: int, reduction: int = 16) -> Figure:
    """Draw how a feature map ``[B, C, T, H, W]`` becomes one gate for each channel."""
    figure, axis = canvas(9, 3.4, "Squeeze, excite, scale")
    size, low, high, times = 0.36, 0.75, 2.2, 6.1
    whole = {"C": C, "T": T, "H": H, "W": W}
    shape(axis, 0.2, high, whole, size)
    shape(axis, 7.25, high, whole, size)
    _wire(axis, (1.93, high + 0.18), (times - 0.15, high + 0.18))
    _dot(axis, times, high + 0.18, TIMES)
    _wire(axis, (times + 0.15, high + 0.18), (7.2, high + 0.18))
    _say(axis, 4.0, high + 0.4, "the features themselves")
    _wire(axis, (0.38, high - 0.32), (0.38, low + 0.45))
    _say(axis, 0.55, 1.52, "squeeze: mean over T, H, W", ha="left")
    for number, width in enumerate((C, C // reduction, C)):
        end = shape(axis, 0.2 + 2.55 * number, low, {"C": width, "T": 1, "H": 1, "W": 1}, size)
        if number < 2:
            _wire(axis, (end + 0.03, low + 0.18), (end + 0.82, low + 0.18))
            step = ("linear,\nReLU", "linear,\nsigmoid")[number]
            _say(axis, end + 0.42, low + 0.28, step, va="bottom")
    _wire(axis, (times, low + size + 0.05), (times, high + 0.03))
    _say(axis, 3.6, 0.22, "excite: two layers, narrow in the middle")
    _say(axis, times + 0.15, 1.52, "scale: one gate, from 0 to 1,\nfor each channel", ha="left")
    return figure


def _cell(axis: Axes, left: float, base: float, step: int, last: bool) -> None:
    """One step of an LSTM; the first one gets nothing from an earlier step."""
    fresh = step == 1
    memory, middle, hidden, given = base + 1.9, base + 0.95, base + 0.45, base + 0.2
    frame = Rectangle((left, base), 3.5, 2.25, facecolor=PALE, edgecolor=INK, linewidth=1)
    axis.add_patch(frame)
    forget, gate_in, candidate, gate_out = (left + x for x in (0.55, 1.25, 1.95, 2.6))
    add, out = (gate_in + candidate) / 2, left + 3.15
    # The memory: what was there, times f, plus i times g.
    _wire(axis, (left - (0.55 if fresh else 0), memory), (forget - 0.15, memory), idle=fresh)
    _dot(axis, forget, memory, TIMES, idle=fresh)
    _wire(axis, (forget, middle + 0.2), (forget, memory - 0.15), idle=fresh)
    _wire(axis, (forget + 0.15, memory), (add - 0.15, memory), idle=fresh)
    _dot(axis, add, memory, "+")
    product = memory - 0.45
    _dot(axis, add, product, TIMES)
    _wire(axis, (add, product + 0.15), (add, memory - 0.15))
    _wire(axis, (gate_in, middle + 0.2), (gate_in, product), (add - 0.15, product))
    _wire(axis, (candidate, middle + 0.2), (candidate, product), (add + 0.15, product))
    _wire(axis, (add + 0.15, memory), (left + 4.05, memory), arrow=last)
    # The output: tanh of the memory, times o.
    _wire(axis, (out, memory), (out, memory - 0.3))
    _part(axis, out, memory - 0.45, 0.52, 0.3, "tanh")
    _wire(axis, (out, memory - 0.6), (out, middle + 0.15))
    _wire(axis, (gate_out + 0.23, middle), (out - 0.15, middle))
    _dot(axis, out, middle, TIMES)
    ends = [(left + 4.0, middle)]
    if not last:  # the next step reads it
        ends = [(left + 3.77, middle), (left + 3.77, hidden), (left + 4.05, hidden)]
    _wire(axis, (out + 0.15, middle), *ends, arrow=last)
    # What the four parts read: the hidden state of the step before, and this step's input.
    _wire(
        axis,
        (left - (0.55 if fresh else 0), hidden),
        (gate_out - 0.08, hidden),
        idle=fresh,
        arrow=False,
    )
    _wire(
        axis, (gate_out + 0.08, base - 0.3), (gate_out + 0.08, given), (forget, given), arrow=False
    )
    for name, x in zip("figo", (forget, gate_in, candidate, gate_out), strict=True):
        idle = fresh and name == "f"
        _part(axis, x, middle, 0.46, 0.4, name, idle)
        _wire(axis, (x - 0.08, hidden), (x - 0.08, middle - 0.2), idle=fresh)
        _wire(axis, (x + 0.08, given), (x + 0.08, middle - 0.2), idle=idle)
    _say(axis, gate_out + 0.2, base - 0.3, f"features $x_{step}$", ha="left")


def lstm() -> Figure:
    """Draw an LSTM with one step and with two; idle parts are pale and dashed."""
    figure, axis = canvas(9, 6.6, "An LSTM, and what of it is idle")
    for base, steps, title in ((3.85, 1, "one step"), (0.85, 2, "two steps")):
        _say(axis, 0.1, base + 2.45, title, ha="left", fontweight="bold", fontsize=12)
        for step in range(1, steps + 1):
            _cell(axis, 0.75 + 4.05 * (step - 1), base, step, last=step == steps)
        end, side = 0.75 + 4.05 * steps, "left" if steps == 1 else "right"
        for height, text in ((1.9, "memory"), (0.95, "output")):
            _say(axis, end + 0.1, base + height + (0 if steps == 1 else 0.2), text, ha=side)
        for height, text in ((1.9, "$c_0 = 0$"), (0.45, "$h_0 = 0$")):
            _say(axis, 0.12, base + height + 0.18, text, ha="left", color=IDLE_TEXT)
    names = "f  forget gate\ni  input gate\ng  candidate\no  output gate"
    _say(axis, 6.4, 5.0, names, ha="left", family="monospace", linespacing=1.5)
    along(axis, "T", (2.5, 0.22), (7.6, 0.22))
    return figure

"""Make an explorer work without a kernel: all states are computed before, a script shows them.

The pictures of all states are cut into tiles, and equal tiles are stored once, which keeps an
explorer of frames small.
"""

import base64
import io
import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import ipywidgets
from PIL import Image

ACROSS = 8  # tiles in a row, on the page and in the sheet
_SCRIPT = Path(__file__).with_name("explorer.js")


def page(
    controls: Sequence[ipywidgets.ValueWidget],
    text: ipywidgets.HTML,
    picture: ipywidgets.Image,
    tile: int,
) -> str:
    """The HTML of an explorer that needs no kernel; its controls keep their values.

    Args:
        controls: menus and sliders; all combinations of their values are computed.
        text: changes with them.
        picture: changes with them.
        tile: width of a tile of its pictures, in pixels.
    """
    sheet, number, states = [], {}, []
    names = [(control.description, list(_values(control))) for control in controls]
    start = [values.index(c.value) for c, (_, values) in zip(controls, names, strict=True)]
    with ExitStack() as stack:
        for widget in (*controls, text, picture):
            stack.enter_context(widget.hold_sync())  # without sending each state to the browser
        for values in itertools.product(*(values for _, values in names)):
            _set(controls, values)
            tiles = []
            for part in _cut(picture.value, tile):
                key = part.tobytes()
                if key not in number:
                    number[key] = len(sheet)
                    sheet.append(part)
                tiles.append(number[key])
            states.append([text.value, tiles])
        _set(controls, [values[at] for (_, values), at in zip(names, start, strict=True)])
    told = [[name, [str(value) for value in values]] for name, values in names]
    size = sheet[0].size if sheet else (1, 1)
    data = {"controls": told, "start": start, "states": states, "across": ACROSS, "size": size}
    script = _SCRIPT.read_text(encoding="utf-8").replace("DATA", json.dumps(data))
    still = f'<img alt="All that this explorer can show, in pieces" src="{_uri(sheet, size)}">'
    return f'<div class="r3d-explorer">{still}<script>\n{script}</script></div>'


def _values(control: ipywidgets.ValueWidget) -> Iterator:
    """The values of a control."""
    if isinstance(control, ipywidgets.Dropdown | ipywidgets.SelectionSlider):
        yield from control.options
        return
    steps = round((control.max - control.min) / control.step)
    yield from (control.min + i * control.step for i in range(steps + 1))


def _set(controls: Sequence[ipywidgets.ValueWidget], values: Sequence) -> None:
    for control, value in zip(controls, values, strict=True):
        control.value = value


def _cut(png: bytes, width: int) -> Iterator[Image.Image]:
    """The tiles of a picture from left to right; none if it is narrower than one."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for x in range(0, picture.width - width + 1, width):
        yield picture.crop((x, 0, x + width, picture.height))


def _uri(sheet: Sequence[Image.Image], size: tuple[int, int]) -> str:
    """All tiles as one picture, in the address of an image."""
    width, height = size
    rows = max(1, -(-len(sheet) // ACROSS))
    whole = Image.new("RGB", (min(ACROSS, max(1, len(sheet))) * width, rows * height), "white")
    for number, part in enumerate(sheet):
        whole.paste(part, (number % ACROSS * width, number // ACROSS * height))
    file = io.BytesIO()
    few = whole.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(file, "png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()

"""Films: moving frames, with a still picture for pages without scripts.

A film is two outputs. The first is a picture of all frames, a PNG that every viewer of notebooks
shows. The second is a small script that finds this picture and plays it, with buttons and a
slider; where scripts do not run, the picture stays.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from IPython.display import display
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

SMALLEST = 160  # pixels, the least width of a film on the screen
ACROSS = 10  # frames in a row of the still, at most
_LABEL = 20  # pixels above each film of the still, for its name
_PLAYER = Path(__file__).with_name("player.js")


def play(films: Mapping[str, Tensor], *, fps: float = 15) -> None:
    """Show films side by side, in step.

    Args:
        films: by name, uint8 ``[T, C, H, W]`` of one shape, RGB.
        fps: frames per second.

    Raises:
        ValueError: there is no film, or they differ in shape, or are not uint8.
    """
    shape = _shape(films)
    picture, geometry = _still(films, shape)
    words = ", ".join(f"{name} {_code(frames)}" for name, frames in films.items())
    said = f"film of {shape[0]} frames, {shape[3]} x {shape[2]} pixels: {words}"
    display({"image/png": _png(picture), "text/plain": said}, raw=True)
    script = _PLAYER.read_text(encoding="utf-8").replace(
        "FILM", json.dumps({**geometry, "fps": fps})
    )
    html = f'<div class="r3d-film"><script>\n{script}</script></div>'
    display({"text/html": html, "text/plain": "(the same, with buttons)"}, raw=True)


def of_channel(channel: Tensor, like: Tensor) -> Tensor:
    """One channel of a network's features as a film, grey, to be shown beside the video.

    Args:
        channel: float ``[T', h, w]``, of any size; scaled to the size of ``like`` by repeating.
        like: uint8 ``[T, C, H, W]``, the video.

    Returns:
        uint8 ``[T, 3, H, W]``: black is the smallest number, white the largest.
    """
    size = (len(like), *like.shape[2:])
    held = F.interpolate(channel.detach()[None, None], size, mode="nearest")[0, 0]
    low, high = held.aminmax()
    shares = (held - low) / (high - low) if high > low else torch.full_like(held, 0.5)
    return (255 * shares).round().byte()[:, None].expand(-1, 3, -1, -1)


def _shape(films: Mapping[str, Tensor]) -> torch.Size:
    """Check that all films have one shape, and return it."""
    if not films:
        raise ValueError("a film needs frames: pass at least one by name")
    first = next(iter(films.values())).shape
    for name, frames in films.items():
        if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[1] != 3:
            raise ValueError(
                f"film {name!r}: expected uint8 [T, 3, H, W], got {frames.dtype} "
                f"{list(frames.shape)}"
            )
        if not len(frames) or frames.shape != first:
            raise ValueError(
                f"film {name!r} is {list(frames.shape)}, the first is {list(first)}: films are "
                "played in step, so they need one shape and at least one frame"
            )
    return first


def _still(films: Mapping[str, Tensor], shape: torch.Size) -> tuple[Image.Image, dict]:
    """All frames of all films as one picture, and where in it each is."""
    num_frames, _, height, width = shape
    rows = -(-num_frames // ACROSS)
    across = -(-num_frames // rows)
    times = max(1, round(SMALLEST / 1.5 / width))  # large enough to look at as a still
    w, h = times * width, times * height
    block = _LABEL + rows * h
    picture = Image.new("RGB", (across * w, len(films) * block), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    for number, (name, frames) in enumerate(films.items()):
        draw.text((2, number * block + 1), name, fill="black", font=font)
        for t, frame in enumerate(frames):
            tile = Image.fromarray(frame.permute(1, 2, 0).numpy())
            place = (t % across * w, number * block + _LABEL + t // across * h)
            picture.paste(tile.resize((w, h), Image.Resampling.NEAREST), place)
    tops = [number * block + _LABEL for number in range(len(films))]
    shown = width * -(-SMALLEST // width)
    where = {"names": list(films), "tops": tops, "frames": num_frames, "across": across}
    size = {"width": picture.width, "height": picture.height, "w": w, "h": h, "shown": shown}
    return picture, {**where, **size}


def _png(picture: Image.Image) -> bytes:
    """Encode with 256 colours, a third of the bytes."""
    file = io.BytesIO()
    few = picture.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(file, "png", optimize=True)
    return file.getvalue()


def _code(frames: Tensor) -> str:
    """A short code of the pixels, which changes with any of them."""
    return hashlib.sha256(frames.contiguous().numpy().tobytes()).hexdigest()[:8]

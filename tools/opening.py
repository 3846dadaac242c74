"""The film at the top of the README: a clip, and what a repair that raises no error makes of it.

``python -m tools.opening`` writes it into ``docs/learn/``, and a still beside it for readers who
asked their system for less motion.
"""

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from r3d_helpers import sampler, video

from .notebooks import ROOT

CLIP = ROOT / "data_samples" / "Actor_32" / "02-01-08-01-01-01-32.mp4"  # as in lessons 00 and 01
FILM, STILL = (ROOT / "docs" / "learn" / name for name in ("scrambled.webp", "scrambled.png"))
NAMES = ("permute: the video", "view: no error, and scrambled")
FPS = 6  # the colours go round in three frames: two flashes a second, where three are allowed
PLAYED = 2  # times: what moves by itself should end within five seconds
SHOWN = 14  # frames of 16: it stands still where the mouth is open and the colours are wrong
_LABEL = 24  # pixels above each film


def pair() -> tuple[Tensor, Tensor]:
    """The true and the scrambled film of `CLIP`, each uint8 ``[T, C, H, W]``."""
    frames = video.read(CLIP, sampler.uniform)
    length, channels, height, width = frames.shape
    scrambled = frames.view(channels, length, height, width)  # should be permute(1, 0, 2, 3)
    return frames, scrambled.transpose(0, 1)


def film() -> list[Image.Image]:
    """Both side by side, a picture for each frame."""
    steps = zip(*(frames[:SHOWN] for frames in pair()), strict=True)
    return [_picture([[one] for one in step], across=True) for step in steps]


def still() -> Image.Image:
    """A few frames of both, one film a row."""
    few = sampler.uniform(16, 5)
    return _picture([list(frames[few]) for frames in pair()], across=False)


def _picture(films: list[list[Tensor]], *, across: bool) -> Image.Image:
    """Films as rows of frames below their names, beside each other or one below the other."""
    times = 5 if across else 2
    side = times * films[0][0].shape[-1]
    width, height = side * len(films[0]), side + _LABEL
    size = (2 * width + 8, height) if across else (width, 2 * height)
    picture = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(16)
    for number, (name, frames) in enumerate(zip(NAMES, films, strict=True)):
        left, top = (number * (width + 8), 0) if across else (0, number * height)
        draw.text((left + 2, top + 2), name, fill="black", font=font)
        for column, frame in enumerate(frames):
            tile = Image.fromarray(frame.permute(1, 2, 0).numpy())
            large = tile.resize((side, side), Image.Resampling.NEAREST)
            picture.paste(large, (left + column * side, top + _LABEL))
    return picture


def main() -> None:
    """Write both files."""
    first, *others = film()
    timing = {"duration": round(1000 / FPS), "loop": PLAYED}
    first.save(FILM, append_images=others, save_all=True, lossless=True, method=6, **timing)
    still().save(STILL, optimize=True)
    for path in (FILM, STILL):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

"""Clip-consistent augmentation: one draw per clip, the same for each of its frames.

A ``torchvision.transforms.v2`` transform treats the leading axes of ``[T, C, H, W]`` as a batch
of one image and draws its parameters once. A video needs this: a face that is flipped or lit
differently in every frame flickers, and flicker is not an expression.

MixUp and CutMix change the target as well; see `TrainConfig.mix`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2

PRESETS = ("none", "light", "strong")
GREY = 128  # fills what a move or a cut leaves empty


def preset(name: str) -> v2.Transform:
    """Make an augmentation after which an emotion's label is still right.

    No preset turns a clip upside down or reverses its frames: a smile upside down is another
    face, and an expression played backwards may be another emotion.

    Args:
        name: ``"none"``: the clip as it is. ``"light"``: mirror; turn, move and scale a little;
            change brightness, contrast and saturation a little. ``"strong"``: the same, 1.5 times
            as much; some clips also lose their colour, a patch of at most a tenth of the picture,
            or some of their frames.

    Returns:
        A transform from uint8 ``[T, C, H, W]`` to the same; it draws from torch's global
        generator.

    Raises:
        ValueError: an unknown name.
    """
    if name == "none":
        return v2.Identity()
    if name == "light":
        return v2.Compose([v2.RandomHorizontalFlip(), _move(1), _light(1)])
    if name == "strong":
        cut = v2.RandomErasing(p=0.25, scale=(0.02, 0.1), value=GREY)
        few = [v2.RandomGrayscale(p=0.1), cut, FrameDrop(0.1)]
        return v2.Compose([v2.RandomHorizontalFlip(), _move(1.5), _light(1.5), *few])
    raise ValueError(f"unknown preset {name!r}: choose one of {', '.join(PRESETS)}")


def _move(amount: float) -> v2.Transform:
    return v2.RandomAffine(
        degrees=5 * amount,
        translate=(0.06 * amount, 0.06 * amount),
        scale=(1 - 0.1 * amount, 1 + 0.1 * amount),
        interpolation=v2.InterpolationMode.BILINEAR,
        fill=GREY,
    )


def _light(amount: float) -> v2.Transform:
    strength = 0.2 * amount
    return v2.ColorJitter(brightness=strength, contrast=strength, saturation=strength)


class FrameDrop(v2.Transform):
    """Lose frames, as a slow camera does: the frame before a lost one is shown again.

    Args:
        p: probability to lose a frame, in ``[0, 1]``; the first one is never lost.

    Raises:
        ValueError: ``p`` is out of range.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = _share("p", p)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Which frame each frame shows, ``[T]``."""
        num_frames = flat_inputs[0].shape[-4]
        kept = torch.rand(num_frames) >= self.p
        return {"shown": torch.where(kept, torch.arange(num_frames), 0).cummax(0).values}

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        """``[T, C, H, W]`` to the same."""
        return inpt[params["shown"]]


class Reverse(v2.Transform):
    """Play some clips backwards. In no preset, because some labels depend on the direction.

    Args:
        p: probability to reverse a clip, in ``[0, 1]``.

    Raises:
        ValueError: ``p`` is out of range.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = _share("p", p)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Whether this clip is reversed."""
        return {"reversed": bool(torch.rand(()) < self.p)}

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        """``[T, C, H, W]`` to the same."""
        return inpt.flip(-4) if params["reversed"] else inpt


class Speed:
    """Play more slowly: sample from a random stretch of the video instead of all of it.

    Args:
        sampler: ``(num_frames, clip_len) -> indices``, such as `sampler.uniform`.
        shortest: the smallest share of the video that a stretch has, in ``[0, 1]``: the shorter
            it is, the slower the clip seems. 1 changes nothing.

    Raises:
        ValueError: ``shortest`` is out of range.
    """

    def __init__(
        self, sampler: Callable[[int, int], Sequence[int]], shortest: float = 0.75
    ) -> None:
        self.sampler = sampler
        self.shortest = _share("shortest", shortest)

    def __call__(self, num_frames: int, clip_len: int) -> list[int]:
        """Indices as the sampler gives them, all within one random stretch."""
        least = max(1, round(self.shortest * num_frames))
        length = int(torch.randint(least, num_frames + 1, ()))
        start = int(torch.randint(num_frames - length + 1, ()))
        return [start + index for index in self.sampler(length, clip_len)]


def _share(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must lie in [0, 1], got {value!r}")
    return value

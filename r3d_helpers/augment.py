"""Clip-consistent augmentation: one draw per clip, the same for each of its frames.

A ``torchvision.transforms.v2`` transform treats the leading axes of ``[T, C, H, W]`` as a batch
of one image and draws its parameters once. That is what a video needs: a face that is flipped or
lit anew from frame to frame flickers, and flicker is not an expression.
"""

from torchvision.transforms import v2

PRESETS = ("none", "light")


def preset(name: str) -> v2.Transform:
    """Make an augmentation that keeps an emotion's label true.

    Args:
        name: ``"none"``: the clip as it is. ``"light"``: mirror, move and scale a little, change
            brightness, contrast and saturation a little.

    Returns:
        A transform from uint8 ``[T, C, H, W]`` to the same; it draws from torch's global
        generator.

    Raises:
        ValueError: an unknown name.
    """
    if name == "none":
        return v2.Identity()
    if name == "light":
        return v2.Compose(
            [
                v2.RandomHorizontalFlip(),
                v2.RandomAffine(
                    degrees=5,
                    translate=(0.06, 0.06),
                    scale=(0.9, 1.1),
                    interpolation=v2.InterpolationMode.BILINEAR,
                    fill=128,
                ),
                v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
            ]
        )
    raise ValueError(f"unknown preset {name!r}: choose one of {', '.join(PRESETS)}")

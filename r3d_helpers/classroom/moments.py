"""Frames of a film that shows a video beside the model's predictions over time."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from ..apply.explain import Timeline

_ROW, _NAMES, _BARS = 23, 100, 150  # pixels: height of a bar, width of its name, longest bar
_INK, _PAPER, _PALE = 40, 255, 200  # grey levels


def beside(
    frames: Tensor, seconds: Sequence[float], line: Timeline, classes: Sequence[str]
) -> Tensor:
    """Draw a bar for each probability to the right of each frame.

    A frame is shown with the window whose middle is nearest to it, that is, with the prediction
    *for* this moment. The longest bar is dark.

    Args:
        frames: uint8 ``[T, 3, H, W]``.
        seconds: times of the frames.
        line: the predictions for the same video.
        classes: the labels, in order.

    Returns:
        uint8 ``[T, 3, H', W']``, frames and bars.
    """
    middles = (torch.tensor(line.begin) + torch.tensor(line.end)) / 2
    side = _ROW * len(classes)
    pictures = []
    for frame, second in zip(frames, seconds, strict=True):
        shares = line.probabilities[int((middles - second).abs().argmin())]
        large = cv2.resize(
            *(frame.permute(1, 2, 0).numpy(), (side, side)), interpolation=cv2.INTER_NEAREST
        )
        pictures.append(np.concatenate([large, _bars(shares.tolist(), classes)], 1))
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


def _bars(shares: Sequence[float], classes: Sequence[str]) -> np.ndarray:
    """Bars with their names, ``[H, W, 3]``."""
    picture = np.full((_ROW * len(classes), _NAMES + _BARS + 4, 3), _PAPER, np.uint8)
    for number, (share, name) in enumerate(zip(shares, classes, strict=True)):
        top = number * _ROW
        fill = _INK if share == max(shares) else _PALE
        end = _NAMES + round(share * _BARS)
        cv2.rectangle(picture, (_NAMES, top + 3), (end, top + _ROW - 4), (fill,) * 3, -1)
        where, font = (6, top + 16), cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(picture, name, where, font, 0.5, (_INK,) * 3, 1, cv2.LINE_AA)
    return picture

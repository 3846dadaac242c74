"""Videos as people make them: the drawn actors again, smaller and anywhere in a wide picture."""

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from .. import video
from ..datasets import Clip

HEIGHT, WIDTH = 136, 264  # pixels
FACE = 112  # the samples' frames, enlarged


def film(clips: Sequence[Clip], root: str | os.PathLike) -> None:
    """Write each clip as a wide video, named as RAVDESS names its files and folders.

    Every person sits in a place of their own, before a wall of their own.

    Args:
        clips: of the samples.
        root: folder to write to.
    """
    for clip in clips:
        rng = np.random.default_rng(int(clip.subject))
        wall = cv2.resize(
            *(rng.integers(90, 180, (6, 9, 3), np.uint8), (WIDTH, HEIGHT)),
            interpolation=cv2.INTER_CUBIC,
        )
        top, left = rng.integers(0, HEIGHT - FACE + 1), rng.integers(0, WIDTH - FACE + 1)
        frames = []
        for frame in video.read(clip.path).permute(0, 2, 3, 1).numpy():
            scene = wall.copy()
            scene[top : top + FACE, left : left + FACE] = cv2.resize(frame, (FACE, FACE))
            frames.append(scene)
        folder = Path(root, f"Video_Speech_Actor_{clip.subject}", f"Actor_{clip.subject}")
        video.write(
            folder / clip.path.name, torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2), 15
        )

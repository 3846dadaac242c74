"""A few seconds from the camera of this machine, if it has one."""

import os
import time
from pathlib import Path

import cv2
import numpy as np

from .. import video


def record(path: str | os.PathLike, seconds: float = 3.0, camera: int = 0) -> Path:
    """Record a video without sound; nothing is stored except the file.

    Args:
        path: where to write, ending in ``.mp4``.
        seconds: how long.
        camera: its number, from 0.

    Raises:
        ValueError: ``seconds`` is not above 0.
        VideoError: no such camera, or it gives no picture.
    """
    if not seconds > 0:
        raise ValueError(f"seconds must be above 0, got {seconds!r}")
    capture = cv2.VideoCapture(camera)
    frames = []
    try:
        end = time.monotonic() + seconds
        while capture.isOpened() and time.monotonic() < end:
            ok, frame = capture.read()
            if not ok:
                break
            frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    finally:
        capture.release()
    if not frames:
        raise video.VideoError(
            f"camera {camera}: there is none, another program uses it, or this program is not "
            "allowed to; upload a video instead"
        )
    height, width = (side - side % 2 for side in frames[0].shape[:2])
    array = np.stack(frames)[:, :height, :width].transpose(0, 3, 1, 2)
    video.write(path, array, len(frames) / seconds)
    return Path(path)

"""Read video files into frames with PyAV, and write frames to video files with OpenCV."""

import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

# OpenCV and its FFmpeg print nothing: what is wrong with a file is said by VideoError.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

import cv2  # reads both variables once, at import

from ._decoder import (
    Box,
    Decoder,
    Picture,
    VideoError,
    centre_cut,
    count_packets,
    opened,
    scale,
)
from .names import printable

_ENOUGH = 0.9  # after this share of a file, the remaining frames are counted, not decoded


class CutShort(UserWarning):
    """A video has fewer frames than its file states; names the file.

    A warning, or an error where the whole video is required.
    """


@dataclass(frozen=True)
class Info:
    """What `probe` finds out about a file.

    Attributes:
        num_frames: frames that can be decoded, ``T``.
        fps: frames per second, as the file states it (0.0 where it does not).
        height: ``H``, in square pixels, after the rotation stated in the file.
        width: ``W``, likewise.
        missing: frames that the file states and that do not decode, because it is cut short or
            damaged.
        damaged: whether some frames show errors.
    """

    num_frames: int
    fps: float
    height: int
    width: int
    missing: int = 0
    damaged: bool = False


def probe(path: str | os.PathLike) -> Info:
    """Count the frames of a video by decoding it, because a header can be wrong.

    Raises:
        VideoError: the file is missing, unreadable or has no frames.
    """
    with opened(path) as file:
        height = width = 0
        for picture in file:
            if file.num_frames == 1:
                height, width = picture.shape
        _warn(file)
        damaged = bool(file.damaged or file.torn)
        return Info(file.num_frames, file.fps, height, width, file.missing(), damaged)


def read(
    path: str | os.PathLike,
    indices: Sequence[int] | Callable[[int], Sequence[int]] | None = None,
    size: tuple[int, int] | None = None,
    box: Box | None = None,
    *,
    whole: bool = False,
) -> Tensor:
    """Decode a video as FFmpeg's command line does.

    The picture is turned and mirrored as the file says. Pixels become square: where the file's
    are not, the picture is stretched along their longer side. A file that is cut short or damaged
    gives the frames it has, and a warning.

    Args:
        path: anything that FFmpeg decodes: MP4, MOV, AVI, FLV, WebM, MPEG, ...
        indices: the frames to return, as a sampler gives them, repeats allowed; or a function
            that returns them, given the number of frames; or None for every frame. The function
            is called again if the file has more or fewer frames than it states.
        size: ``(H, W)`` in pixels. A frame of another shape is cut to it around the centre,
            then scaled, so that a face is never stretched. None keeps the video's own size.
        box: the part of each frame to take, before ``size``: top, left, height, width in pixels;
            None takes all of it.
        whole: raise `CutShort` instead of the warning.

    Returns:
        ``[T, C, H, W]``, uint8, RGB, with ``T = len(indices)``.

    Raises:
        VideoError: the file is missing, unreadable or has no frames.
        IndexError: an index is outside the video.
        ValueError: ``size`` is not two positive integers, or ``indices`` is empty.
    """
    if size is not None and not _is_size(size):
        raise ValueError(f"size must be (height, width), two integers of 1 or more, got {size!r}")
    guess, named = None, None if indices is None or callable(indices) else _named(indices)
    with opened(path) as file:
        if callable(indices) and (guess := file.stated or count_packets(path)):
            named = _named(indices(guess))
        kept = _keep(file, named, size, box)
        if sure := file.finish():
            _warn(file, whole)
    if not sure:
        with opened(path) as file:
            for _ in file:
                pass
            _warn(file, whole)
    if indices is None:
        wanted = list(kept)
    else:
        wanted = listed(path, named if guess == file.num_frames else indices, file.num_frames)
    if not kept.keys() >= set(wanted):  # the guess was wrong
        with opened(path) as file:
            kept = _keep(file, wanted, size, box)
    kept = {index: kept[index] for index in wanted}
    if len(shapes := {frame.shape for frame in kept.values()}) > 1:
        sizes = ", ".join(sorted(f"{h}x{w}" for h, w, _ in shapes))
        raise VideoError(f"{path}: the frame size changes on the way ({sizes}); pass size=(H, W)")
    frames = np.stack([kept[index] for index in wanted])
    # Channels first, in NumPy: torch would start several threads for this small copy.
    return torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2)))


def stream(path: str | os.PathLike) -> Iterator[tuple[float, np.ndarray]]:
    """Decode a video frame by frame, so that it need not fit into memory.

    Yields:
        The time at which the frame is shown, in seconds from the first one's, and the frame:
        ``[H, W, C]``, uint8, RGB. Times are the file's own, so they are right for a variable
        frame rate too; a time that does not rise is wrong, and the frame rate replaces it.

    Raises:
        VideoError: the file is missing, unreadable or has no frames.
    """
    with opened(path) as file:
        for picture in file:
            yield picture.seconds, picture.pixels()
        _warn(file)


def pictures(path: str | os.PathLike) -> Iterator[Picture]:
    """Decode as `stream` does, but convert the pixels of a frame only if asked for them.

    Yields:
        Frames with ``seconds``, ``shape`` (height and width) and ``pixels(size, box)``.

    Raises:
        VideoError: the file is missing, unreadable or has no frames.
    """
    with opened(path) as file:
        yield from file
        _warn(file)


def write(path: str | os.PathLike, frames: Tensor | np.ndarray, fps: float) -> None:
    """Encode frames as VP9 in ``.mp4``, which `read` and every browser can play.

    The file appears whole or not at all: it is written under another name and then moved.

    Args:
        path: where to write, ending in ``.mp4``; missing folders are created.
        frames: ``[T, C, H, W]``, uint8, RGB, tensor or array; H and W even, as VP9's colour
            planes are half as large.
        fps: frames per second, above 0.

    Raises:
        ValueError: shape, dtype, size, rate or ending are not as above.
        VideoError: the file cannot be written.
    """
    path = Path(path)
    array = frames.cpu().numpy() if isinstance(frames, Tensor) else np.asarray(frames)
    if path.suffix.lower() != ".mp4":
        raise ValueError(f"{path}: the name must end in .mp4")
    if array.ndim != 4 or array.shape[0] < 1 or array.shape[1] != 3 or array.dtype != np.uint8:
        raise ValueError(
            f"frames must be uint8 [T, 3, H, W] with T >= 1, got {array.dtype} {array.shape}"
        )
    height, width = array.shape[2:]
    if height % 2 or width % 2 or not height or not width:
        raise ValueError(f"height and width must be even, got {height}x{width}: crop or pad first")
    if not 0 < fps < np.inf:  # OpenCV hangs on an infinite one
        raise ValueError(f"fps must be a number above 0, got {fps!r}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _draft(path) as part:
            codec = cv2.VideoWriter.fourcc(*"vp09")
            writer = cv2.VideoWriter(str(part), cv2.CAP_FFMPEG, codec, fps, (width, height))
            if not writer.isOpened():
                raise VideoError(f"{path}: OpenCV cannot write VP9 here; run `doctor`")
            for frame in array.transpose(0, 2, 3, 1)[..., ::-1]:
                writer.write(np.ascontiguousarray(frame))
            writer.release()  # OpenCV does not report errors, so count
            if _count(part) != len(array):
                raise OSError(None, "frames are missing in it; is the disk full?")
            shutil.move(part, path, copy_function=shutil.copyfile)  # some drives refuse chmod
    except OSError as error:
        raise VideoError(f"{path}: cannot be written ({error.strerror})") from error


def resize(frame: np.ndarray, size: tuple[int, int] | None, box: Box | None = None) -> np.ndarray:
    """Take ``box`` from ``[H, W, C]``, cut it around its centre to the shape of ``size``, scale."""
    if box is not None:
        top, left, height, width = box
        frame = frame[top : top + height, left : left + width]
    top, left, height, width = centre_cut((0, 0, *frame.shape[:2]), size)
    return scale(frame[top : top + height, left : left + width], size)


def _is_size(size: object) -> bool:
    return (
        isinstance(size, Sequence)
        and len(size) == 2
        and all(isinstance(side, Integral) and side >= 1 for side in size)
    )


def listed(
    path: str | os.PathLike,
    indices: Sequence[int] | Callable[[int], Sequence[int]],
    num_frames: int,
) -> list[int]:
    """The frames that ``indices`` names, as in `read`, each of them in the video.

    Raises:
        IndexError: an index is outside the video.
        ValueError: ``indices`` is empty.
    """
    wanted = _named(indices(num_frames) if callable(indices) else indices)
    for index in wanted:
        if not 0 <= index < num_frames:
            raise IndexError(f"{path}: no frame {index}; it has frames 0 to {num_frames - 1}")
    return wanted


def _named(indices: Sequence[int]) -> list[int]:
    if len(indices) == 0:
        raise ValueError("indices is empty: name one frame or more, or None for all of them")
    return np.asarray(indices).tolist()


def _keep(
    file: Decoder,
    indices: Sequence[int] | None,
    size: tuple[int, int] | None,
    box: Box | None,
) -> dict[int, np.ndarray]:
    """The pixels of some frames, ``[H, W, C]``, or of all, by index."""
    wanted = None if indices is None else set(indices)
    enough = _ENOUGH * file.stated if wanted and file.stated else float("inf")
    kept = {}
    for index, picture in enumerate(file):
        if wanted is None or index in wanted:
            if box is not None and not _is_inside(box, picture.shape):
                raise VideoError(f"{file.path}: box {box} is not inside {picture.shape} pixels")
            kept[index] = picture.pixels(size, box)
            if index >= enough and len(kept) == len(wanted):
                break
    return kept


def _is_inside(box: Box, shape: tuple[int, int]) -> bool:
    top, left, height, width = box
    inside = top + height <= shape[0] and left + width <= shape[1]
    return inside and top >= 0 and left >= 0 and height >= 1 and width >= 1


def _warn(file: Decoder, whole: bool = False) -> None:
    if trouble := file.trouble():
        message = printable(f"{file.path}: {trouble}")
        if file.missing() and whole:
            raise CutShort(message)
        warnings.warn(message, CutShort if file.missing() else UserWarning, stacklevel=3)


def _count(path: Path) -> int:
    with suppress(VideoError):
        return count_packets(path)
    return 0


@contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path``, or where OpenCV can handle the folder's name."""
    folder = path.absolute().parent
    try:
        str(folder).encode()
    except UnicodeEncodeError:  # a folder whose name is not UTF-8
        folder = Path(tempfile.gettempdir())
    part = folder / f".{uuid.uuid4().hex}.part.mp4"
    part.touch()  # raises the reason, which OpenCV would not tell
    try:
        yield part
    finally:
        with suppress(OSError):  # already moved, or never created
            part.unlink()

"""A video file becomes frames, and frames become a video file: OpenCV with its own FFmpeg."""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

# What FFmpeg has to say about a damaged file ends in VideoError, not on the screen.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

import cv2  # reads both variables once, at import

Box = tuple[int, int, int, int]  # top, left, height, width, in pixels

_TIMEOUT_MS = 2000  # to open, and for one frame: a damaged file can keep FFmpeg searching
_LFS = b"version https://git-lfs"


class VideoError(Exception):
    """A video file is missing, unreadable or has no frames; names the file and the reason."""


@dataclass(frozen=True)
class Info:
    """What `probe` finds out about a file.

    Attributes:
        num_frames: frames that really decode, ``T``.
        fps: frames per second, as the file states it (0.0 where it does not).
        height: pixels, ``H``, after the rotation the file asks for.
        width: pixels, ``W``, likewise.
        missing: frames that the file promises and that do not decode, where it is cut short.
    """

    num_frames: int
    fps: float
    height: int
    width: int
    missing: int = 0


def probe(path: str | os.PathLike) -> Info:
    """Count the frames of a video by decoding it; a header can lie.

    Raises:
        VideoError: the file is missing, unreadable or has no frames.
    """
    with _open(path) as capture:
        fps = capture.get(cv2.CAP_PROP_FPS)
        num_frames = 0
        for frame in _frames(capture):
            if not num_frames:
                height, width = frame.shape[:2]
            num_frames += 1
        missing = _check_count(path, capture, num_frames)
    return Info(num_frames, fps, height, width, missing)


def read(
    path: str | os.PathLike,
    indices: Sequence[int] | Callable[[int], Sequence[int]] | None = None,
    size: tuple[int, int] | None = None,
    box: Box | None = None,
) -> Tensor:
    """Decode a video.

    A file cut short gives the frames it has, and a warning.

    Args:
        path: anything that OpenCV's FFmpeg decodes: MP4, MOV, AVI, FLV, WebM, ...
        indices: the frames to return, as a sampler gives them, repeats allowed; or a function
            that names them, given the number of frames; or None for every frame.
        size: ``(H, W)`` in pixels. A frame of another shape is cut to it around the centre,
            then scaled, so that a face is never stretched. None keeps the video's own size.
        box: the part of each frame to take, before ``size``; None takes all of it.

    Returns:
        ``[T, C, H, W]``, uint8, RGB, with ``T = len(indices)``.

    Raises:
        VideoError: the file is missing, unreadable or has no frames.
        IndexError: an index is outside the video.
        ValueError: ``size`` is not two positive integers, or ``indices`` is empty.
    """
    if size is not None and not _is_size(size):
        raise ValueError(f"size must be (height, width), two integers of 1 or more, got {size!r}")
    named = None if indices is None or callable(indices) else set(_named(indices))
    kept: dict[int, np.ndarray] = {}
    with _open(path) as capture:
        num_frames = 0
        for frame in _frames(capture):
            if named is None or num_frames in named:
                if box is not None and not _is_inside(box, frame):
                    raise VideoError(f"{path}: box {box} is not inside {frame.shape[:2]} pixels")
                kept[num_frames] = resize(frame, size, box)
            num_frames += 1
        _check_count(path, capture, num_frames)
    wanted = list(kept) if indices is None else listed(path, indices, num_frames)
    if len(shapes := {frame.shape for frame in kept.values()}) > 1:
        sizes = ", ".join(sorted(f"{h}x{w}" for h, w, _ in shapes))
        raise VideoError(f"{path}: the frame size changes on the way ({sizes}); pass size=(H, W)")
    frames = np.stack([kept[index] for index in wanted])
    # BGR to RGB, and channels first: in NumPy, for small copies are no work for several threads.
    return torch.from_numpy(np.ascontiguousarray(frames[..., ::-1].transpose(0, 3, 1, 2)))


def stream(path: str | os.PathLike) -> Iterator[tuple[float, np.ndarray]]:
    """Decode a video frame by frame: what is too long for memory can be gone through.

    Yields:
        The time at which the frame is shown, in seconds from the first one's, and the frame:
        ``[H, W, C]``, uint8, RGB. Times are the file's own where it has them, so they are right
        for a variable frame rate too.

    Raises:
        VideoError: the file is missing, unreadable or has no frames.
    """
    with _open(path) as capture:
        fps = capture.get(cv2.CAP_PROP_FPS)
        num_frames, begin, seconds = 0, 0.0, 0.0
        for frame in _frames(capture):
            stated = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if num_frames == 0:
                begin = stated
            elif stated - begin > seconds:
                seconds = stated - begin
            elif fps > 0:
                seconds += 1 / fps
            yield seconds, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            num_frames += 1
        _check_count(path, capture, num_frames)


def write(path: str | os.PathLike, frames: Tensor | np.ndarray, fps: float) -> None:
    """Encode frames as VP9 in ``.mp4``, which `read` and every browser can play.

    The file appears whole or not at all: it is written beside its place and then moved there.

    Args:
        path: where to write, ending in ``.mp4``; missing folders are made.
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
    part = path.absolute().with_name(f".{path.stem}.{os.getpid()}.part.mp4")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        codec = cv2.VideoWriter.fourcc(*"vp09")
        writer = cv2.VideoWriter(str(part), cv2.CAP_FFMPEG, codec, fps, (width, height))
        if not writer.isOpened():
            raise VideoError(f"{path}: OpenCV cannot write VP9 here; run `doctor`")
        for frame in array.transpose(0, 2, 3, 1)[..., ::-1]:
            writer.write(np.ascontiguousarray(frame))
        writer.release()
        part.replace(path)
    except OSError as error:
        raise VideoError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        with suppress(OSError):  # never made, where its folder could not be
            part.unlink()


def resize(frame: np.ndarray, size: tuple[int, int] | None, box: Box | None = None) -> np.ndarray:
    """Take ``box`` from ``[H, W, C]``, cut it around its centre to the shape of ``size``, scale."""
    if box is not None:
        top, left, height, width = box
        frame = frame[top : top + height, left : left + width]
    if size is None:
        return frame
    height, width = frame.shape[:2]
    cut_h = min(height, max(1, round(width * size[0] / size[1])))
    cut_w = min(width, max(1, round(height * size[1] / size[0])))
    top, left = (height - cut_h) // 2, (width - cut_w) // 2
    frame = frame[top : top + cut_h, left : left + cut_w]
    shrinks = size[0] < cut_h or size[1] < cut_w
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(frame, (size[1], size[0]), interpolation=how)


def _is_size(size: object) -> bool:
    return (
        isinstance(size, Sequence)
        and len(size) == 2
        and all(isinstance(side, Integral) and side >= 1 for side in size)
    )


class Remembered:
    """Decode each file once, and keep its frames in memory: ``T * 3 * H * W`` bytes.

    For small clips that are read again in every epoch. Processes do not share what they remember,
    and a file that changes later is not noticed.

    Args:
        read: how to decode, such as `read`.
    """

    def __init__(self, read: Callable[..., Tensor]) -> None:
        self.read = read
        self.frames: dict[tuple, Tensor] = {}

    def __call__(
        self,
        path: str | os.PathLike,
        indices: Sequence[int] | Callable[[int], Sequence[int]] | None = None,
        size: tuple[int, int] | None = None,
    ) -> Tensor:
        """Return frames as ``read`` does: uint8 ``[T, C, H, W]``, a copy."""
        if (key := (str(path), size)) not in self.frames:
            self.frames[key] = self.read(path, size=size)
        frames = self.frames[key]
        return frames.clone() if indices is None else frames[listed(path, indices, len(frames))]


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


def _is_inside(box: Box, frame: np.ndarray) -> bool:
    top, left, height, width = box
    inside = top + height <= frame.shape[0] and left + width <= frame.shape[1]
    return inside and top >= 0 and left >= 0 and height >= 1 and width >= 1


@contextmanager
def _open(path: str | os.PathLike) -> Iterator[cv2.VideoCapture]:
    path = Path(path)
    try:
        if path.is_dir():
            raise VideoError(f"{path}: is a folder, not a video file")
        if not path.is_file():
            raise VideoError(f"{path}: no such file")
        path.open("rb").close()
    except OSError as error:
        raise VideoError(f"{path}: cannot be opened ({error.strerror})") from error
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC]
    options = [value for limit in limits for value in (limit, _TIMEOUT_MS)]
    options += [cv2.CAP_PROP_N_THREADS, 1]  # the data loader's workers run side by side already
    # Absolute, as in `write`: FFmpeg takes "take:1.mp4" for a network protocol.
    capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG, options)
    try:
        if not capture.isOpened():
            raise VideoError(f"{path}: {_reason(path)}")
        yield capture
    except (cv2.error, MemoryError) as error:
        raise VideoError(f"{path}: cannot be decoded ({error})") from error
    finally:
        capture.release()


def _frames(capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
    while True:
        ok, frame = capture.read()
        if not ok:
            return
        yield frame


def _check_count(path: str | os.PathLike, capture: cv2.VideoCapture, num_frames: int) -> int:
    """How many frames are missing; warns where some are."""
    if num_frames == 0:
        raise VideoError(f"{path}: no frame could be decoded; the file is damaged or only audio")
    stated = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    # A count that a container derives from its duration can be off by a few frames.
    if num_frames < stated - max(1, stated // 20):
        warnings.warn(
            f"{path}: cut short or damaged, {num_frames} of {stated} frames decode", stacklevel=3
        )
        return stated - num_frames
    return 0


def _reason(path: Path) -> str:
    if path.stat().st_size == 0:
        return "the file is empty"
    with path.open("rb") as file:
        if file.read(len(_LFS)) == _LFS:
            return "a Git LFS pointer, not the video itself; fetch it with `git lfs pull`"
    return "cannot be opened; the file is damaged or not a video"

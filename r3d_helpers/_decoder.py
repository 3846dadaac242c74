"""One video file, decoded by FFmpeg through PyAV: its frames, their times and their pixels.

Other modules use `video`. This one does what FFmpeg leaves to its callers: it chooses the stream,
turns the frames, makes their pixels square, and checks that the file has the frames it states.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
from av.codec.context import Flags
from av.sidedata.sidedata import Type
from av.stream import Discard, Disposition
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from .names import printable

Box = tuple[int, int, int, int]  # top, left, height, width, in pixels

_LFS = b"version https://git-lfs"
_MOST_OBLONG = 4  # a larger ratio of a pixel's sides is taken for damage
_WHOLE_DURATION = ("matroska,webm", "flv", "asf")  # state the file's duration, not a stream's
_UNKNOWN_COLORS = {3, 8} | set(range(10, 256))  # matrices that swscale refuses: BT.601 instead
_AREA = Interpolation.AREA | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND
_ERRORS = (av.FFmpegError, MemoryError, ValueError, AssertionError)  # what PyAV raises on damage


class VideoError(Exception):
    """A video file is missing, unreadable or has no frames; names the file and the reason."""

    def __init__(self, message: str) -> None:
        if " in DataLoader worker process " in message:  # a traceback, with our message at its end
            message = message.strip().splitlines()[-1].partition("Error: ")[2]
        super().__init__(printable(message))


@contextmanager
def opened(path: str | os.PathLike) -> Iterator["Decoder"]:
    """Open a file, and close it at the end.

    Raises:
        VideoError: the file is missing, or FFmpeg finds no video in it.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise VideoError(f"{path}: is a folder, not a video file")
        if not path.is_file():
            goal = f"; it is a link to {os.readlink(path)}" if path.is_symlink() else ""
            raise VideoError(f"{path}: no such file{goal}")
        with path.open("rb") as file:
            begin = file.read(len(_LFS))
    except OSError as error:
        raise VideoError(f"{path}: cannot be opened ({error.strerror})") from error
    try:
        # Without "file:", FFmpeg takes the name "take:1.mp4" for a network protocol.
        container = av.open(f"file:{path.absolute()}", metadata_errors="replace")
    except _ERRORS as error:
        raise VideoError(f"{path}: {_reason(begin)}") from error
    with container:
        yield Decoder(path, container)


class Decoder:
    """The frames of an open file, in the order in which they are shown; iterate once.

    Attributes:
        fps: frames per second, as the file states it; 0.0 where it does not.
        num_frames: how many frames were decoded so far.
        stated: how many frames the file's index lists; 0 where it has no complete index.
    """

    def __init__(self, path: Path, container: av.container.InputContainer) -> None:
        self.path = path
        self.container = container
        if (stream := _choose(container)) is None:
            raise VideoError(
                f"{path}: cannot be opened; it has no pictures: the file is damaged or not a video"
            )
        self.stream = stream
        if self.stream.codec_context is None:
            raise VideoError(f"{path}: FFmpeg has no decoder for this video")
        self.stream.codec_context.thread_count = 1  # the data loader has processes of its own
        if self.stream.codec_context.name == "hevc":  # H.265 would hide damaged frames
            self.stream.codec_context.flags |= Flags.output_corrupt
        self.whole = container.format.name in _WHOLE_DURATION
        if not self.whole:
            for other in container.streams:
                if other is not self.stream:
                    other.discard = Discard.all
        self.fps = float(self.stream.average_rate or 0)
        self.tick = self.stream.time_base  # seconds
        self.square = _square(self.stream.sample_aspect_ratio)
        self.turn = False, False, False
        self.stated = _stated(self.stream)
        self.reformatter = VideoReformatter()
        self.num_frames = 0
        self.lost = self.damaged = 0  # packets that do not decode; frames with visible errors
        self.num_packets = 0  # complete ones; a file cut short ends with a part of one
        self.torn = False
        self.packets = self._packets()
        self.waiting: list[av.VideoFrame] = []  # decoded, not yet returned
        self.ended = False  # whether the whole file has been decoded
        self.begin = self.end = 0.0  # start of the first frame and end of the last, in seconds
        self.pause = 0.0  # the longest time from one frame to the next

    def __iter__(self) -> Iterator["Picture"]:
        tick, ticks = self.tick.numerator, self.tick.denominator
        seconds = previous = 0.0
        for frame in self._decoded():
            stamp = frame.dts if frame.pts is None else frame.pts
            time = previous if stamp is None else stamp * tick / ticks
            if self.num_frames == 0:
                self.begin = time
                self.turn = _turn(frame)
            elif time - self.begin > seconds:
                self.pause = max(self.pause, time - self.begin - seconds)
                seconds = time - self.begin
            elif self.fps > 0:
                seconds += 1 / self.fps
            previous = time
            self.end = max(self.end, time + frame.duration * tick / ticks)
            self.damaged += frame.is_corrupt
            self.num_frames += 1
            yield Picture(self, frame, seconds)
        self.ended = True
        if self.num_frames == 0:
            raise VideoError(f"{self.path}: no frame could be decoded; the file is damaged")

    def finish(self) -> bool:
        """Count the frames that are left, if any, by their packets, without decoding them.

        Returns:
            Whether the count is sure. If anything is unusual, only decoding can tell.
        """
        sent = self.num_packets
        for _ in self.packets:
            pass
        if not self.ended:
            self.num_frames += len(self.waiting)
            with suppress(*_ERRORS):
                self.num_frames += len(self.stream.codec_context.decode(None))
            self.ended = self.num_frames == sent and self.num_packets == self.stated
            self.ended &= not (self.lost or self.damaged or self.torn)
            self.num_frames += self.num_packets - sent
        return self.ended

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """The frames that FFmpeg's command line shows: it also goes on after a broken frame."""
        for packet in chain(self.packets, [None]):
            try:
                frames = self.stream.codec_context.decode(packet)
            except av.EOFError:
                return
            except _ERRORS:
                self.lost += 1
            else:
                self.waiting = frames[::-1]
                while self.waiting:
                    yield self.waiting.pop()

    def _packets(self) -> Iterator[av.Packet]:
        try:
            for packet in self.container.demux(*([] if self.whole else [self.stream])):
                if packet.stream_index != self.stream.index:
                    if packet.pts is not None:
                        end = (packet.pts + (packet.duration or 0)) * packet.time_base
                        self.end = max(self.end, float(end))
                elif packet.size > 0:  # to a decoder, an empty packet means the end
                    self.num_packets += not packet.is_discard
                    self.torn = packet.is_corrupt
                    yield packet
        except _ERRORS:  # for example, the file is cut short
            self.lost += 1
        except IndexError:  # PyAV raises it at the end if a stream appeared after the start
            pass

    def missing(self) -> int:
        """How many stated frames did not decode; to be called after all others did.

        The index states them, if there is one; otherwise the duration, which is compared with the
        times of the frames. The number of frames in a header may be a guess.
        """
        if self.stated:
            return max(0, self.stated - self.num_packets) + self.lost
        if self.whole:
            promised = (self.container.duration or 0) / av.time_base
        elif self.stream.frames and self.fps:  # an AVI that is cut short and so has no index
            promised = self.begin + self.stream.frames / self.fps
        else:
            return self.lost
        left = promised - self.end
        seen = self.end - self.begin
        # Times in a file are rounded, and the duration of the last frame is not known.
        if left <= max(1.5 * self.pause, 0.05 * seen):
            return self.lost
        return max(1, self.lost, round(self.fps * left))

    def trouble(self) -> str | None:
        """What is wrong with the decoded file, as text for a warning; None if nothing is."""
        if missing := self.missing():
            promised = self.num_frames + missing
            return f"cut short or damaged, {self.num_frames} of {promised} frames decode"
        if self.damaged or self.torn:
            return "damaged, some of its frames show errors"
        return None


def count_packets(path: str | os.PathLike) -> int:
    """How many frames a file without an index should have: one for each packet of its video."""
    with opened(path) as file:
        return sum(1 for _ in file.packets)


@dataclass
class Picture:
    """One decoded frame; its pixels are converted when they are asked for.

    Attributes:
        file: the file that it comes from.
        frame: the frame as FFmpeg decodes it.
        seconds: when it is shown, counted from the first frame.
    """

    file: Decoder
    frame: av.VideoFrame
    seconds: float

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in square pixels, after the rotation stated in the file."""
        return self._swapped(self._stored_shape)

    def pixels(self, size: tuple[int, int] | None = None, box: Box | None = None) -> np.ndarray:
        """The picture, or a part of it, as `video.read` describes it: ``[H, W, C]``, uint8, RGB."""
        box = centre_cut(box or (0, 0, *self.shape), size)
        try:
            return np.ascontiguousarray(self._pixels(size or box[2:], box))
        except _ERRORS as error:
            raise VideoError(f"{self.file.path}: cannot be converted to RGB ({error})") from error

    def _pixels(self, size: tuple[int, int], box: Box) -> np.ndarray:
        frame = self.frame
        top, left, height, width = box
        grows = size[0] > height or size[1] > width
        if size == (height, width) or grows or self.file.square != 1:
            if frame.interlaced_frame or frame.height % 2 or frame.format.components[0].bits > 8:
                frame = _copy(frame, 0, 0, frame.height, frame.width)
            whole = self._turned(self._rgb(frame, self._stored_shape, Interpolation.BICUBIC))
            return scale(whole[top : top + height, left : left + width], size)
        # Convert less: cut first, and scale in the same pass.
        top, left, height, width = self._stored(box)
        frame, top, left = _cut(frame, top, left, height, width)
        shape = frame.height, frame.width
        if shape == (height, width):
            return self._turned(self._rgb(frame, self._swapped(size), _AREA))
        pixels = self._rgb(frame, shape, Interpolation.BICUBIC)
        return scale(self._turned(pixels[top : top + height, left : left + width]), size)

    @property
    def _stored_shape(self) -> tuple[int, int]:
        """Height and width in square pixels, before turning."""
        height, width, square = self.frame.height, self.frame.width, self.file.square
        if square >= 1:
            return height, round(width * square)
        return round(height / square), width

    def _swapped(self, shape: tuple[int, int]) -> tuple[int, int]:
        return shape[::-1] if self.file.turn[0] else shape

    def _turned(self, pixels: np.ndarray) -> np.ndarray:
        swap, down, right = self.file.turn
        pixels = pixels.swapaxes(0, 1) if swap else pixels
        return pixels[:: -1 if down else 1, :: -1 if right else 1]

    def _stored(self, box: Box) -> Box:
        """The place of a part of the picture in the frame, before it is turned."""
        top, left, height, width = box
        swap, down, right = self.file.turn
        top = self.shape[0] - top - height if down else top
        left = self.shape[1] - left - width if right else left
        return (left, top, width, height) if swap else (top, left, height, width)

    def _rgb(self, frame: av.VideoFrame, shape: tuple[int, int], how: int) -> np.ndarray:
        color = Colorspace.ITU601 if frame.colorspace in _UNKNOWN_COLORS else None
        frame = self.file.reformatter.reformat(
            frame, shape[1], shape[0], "rgb24", src_colorspace=color, interpolation=how, threads=1
        )
        return frame.to_ndarray()


def centre_cut(box: Box, size: tuple[int, int] | None) -> Box:
    """The largest part around the centre of ``box`` that has the shape of ``size``."""
    if size is None:
        return box
    top, left, height, width = box
    cut_h = min(height, max(1, round(width * size[0] / size[1])))
    cut_w = min(width, max(1, round(height * size[1] / size[0])))
    return top + (height - cut_h) // 2, left + (width - cut_w) // 2, cut_h, cut_w


def scale(pixels: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """Scale ``[H, W, C]``; to a smaller size by means of areas, which avoids aliasing."""
    if size in (None, pixels.shape[:2]):
        return pixels
    shrinks = size[0] < pixels.shape[0] or size[1] < pixels.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(pixels, (size[1], size[0]), interpolation=how)


def _choose(container: av.container.InputContainer) -> av.VideoStream | None:
    """The stream that FFmpeg's command line takes: no cover image, the default, the largest."""

    def rank(stream: av.VideoStream) -> tuple:
        kind = stream.disposition
        area = 0 if stream.codec_context is None else stream.width * stream.height
        return not kind & Disposition.attached_pic, bool(kind & Disposition.default), area

    return max(container.streams.video, key=rank, default=None)


def _turn(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """Whether to swap rows with columns; then, to reverse the rows, and the columns."""
    data = frame.side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(data, np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        return True, b < 0, c < 0
    return False, d < 0, a < 0


def _stated(stream: av.VideoStream) -> int:
    index = stream.index_entries
    if not 0 < stream.frames <= len(index):
        return 0
    return sum(not entry.is_discard for entry in index)  # an edit list hides frames


def _square(ratio: Fraction | None) -> float:
    """Width of a pixel divided by its height; 1 if the file states none, or an absurd one."""
    return float(ratio) if ratio and 1 / _MOST_OBLONG <= ratio <= _MOST_OBLONG else 1.0


def _cut(
    frame: av.VideoFrame, top: int, left: int, height: int, width: int
) -> tuple[av.VideoFrame, int, int]:
    """Copy a part of a frame, and what is needed to start at a sample of every colour plane.

    Returns:
        The copy, and the top and left of the part in it.
    """
    kind = frame.format
    if len(kind.components) != len(frame.planes) or kind.has_palette or kind.is_bit_stream:
        return _copy(frame, 0, 0, frame.height, frame.width), top, left
    down, right = top % (16 // kind.chroma_height(16)), left % (16 // kind.chroma_width(16))
    copy = _copy(frame, top - down, left - right, height + down, width + right)
    return copy, down, right


def _copy(frame: av.VideoFrame, top: int, left: int, height: int, width: int) -> av.VideoFrame:
    """Copy a part of a frame, without its marks for interlacing and for the place of colours.

    With them, swscale scales the two fields of interlaced video separately, and moves colours by
    a quarter of a pixel in some formats and sizes. FFmpeg's command line up to 7 does neither.
    """
    kind = frame.format
    copy = av.VideoFrame(width, height, kind.name)
    copy.colorspace, copy.color_range = frame.colorspace, frame.color_range
    for number, (source, target) in enumerate(zip(frame.planes, copy.planes, strict=True)):
        part = kind.components[min(number, len(kind.components) - 1)]
        y = top * kind.chroma_height(16) // 16 if part.is_chroma else top
        x = left * kind.chroma_width(16) // 16 if part.is_chroma else left
        x *= (part.bits + 7) // 8
        rows = _rows(source)[y : y + target.height, x : x + abs(target.line_size)]
        _rows(target)[:, : rows.shape[1]] = rows
    return copy


def _rows(plane: av.video.plane.VideoPlane) -> np.ndarray:
    """The bytes of a plane, ``[H, bytes]``, from the top; some files store them upside down."""
    content = np.frombuffer(plane, np.uint8)
    rows = content.reshape(-1, abs(plane.line_size) or len(content))  # 0: a palette
    return rows[::-1] if plane.line_size < 0 else rows


def _reason(begin: bytes) -> str:
    if not begin:
        return "the file is empty"
    if begin == _LFS:
        return "a Git LFS pointer, not the video itself; fetch it with `git lfs pull`"
    return "cannot be opened; the file is damaged or not a video"

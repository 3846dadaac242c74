"""Keep decoded clips on disk, so that later epochs only read the frames they need."""

import hashlib
import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import video
from ..files import make_folder, remove_parts, replacing, sync
from .crops import FaceCrop

_STALE = 3600  # seconds; older temporary files are left over from killed processes
_SETTLED = 3  # seconds after which a new change gets a new time; FAT has steps of 2 s
_FORMAT = 2  # part of every key; raise it with another layout, or a reader with other pixels


class ClipCache:
    """Videos decoded, cropped and resized, one file for each.

    A clip is found by the content of its video and by the settings, not by its name: a moved
    video is found again, and a changed one is decoded again. The digest of a video's content is
    stored with its size and times, so that the whole file is read only once. A video with fewer
    frames than its file states is not stored, because the next reading may find more. Several
    processes may share a folder, and may be killed: a clip appears whole or not at all. You can
    delete the folder at any time.

    Args:
        folder: where to store clips; created if needed. A clip takes ``T * 3 * H * W`` bytes.
        crop: the face crop to apply; None keeps the whole frame.

    Raises:
        OSError: the folder cannot be created.
    """

    def __init__(self, folder: str | os.PathLike, crop: FaceCrop | None = None) -> None:
        self.folder = make_folder(folder)
        remove_parts(self.folder, older_than=_STALE)
        self.decode = video.read if crop is None else crop.read
        self.settings = None if crop is None else crop.settings
        self._key = f"{_FORMAT} {None if crop is None else crop.key}"

    def read(
        self,
        path: str | os.PathLike,
        indices: Sequence[int] | Callable[[int], Sequence[int]] | None = None,
        size: tuple[int, int] | None = None,
    ) -> Tensor:
        """Return frames as `video.read` does, decoding only videos that are not stored yet.

        Raises:
            VideoError: as `video.read`, or `NoFaceError`; no clip is stored then.
            OSError: the folder cannot be written.
        """
        try:
            stored = self.place(path, size)
        except OSError:  # `video.read` raises a better message
            return self.decode(path, indices, size)
        with suppress(OSError), stored.open("rb") as file:
            if shape := _shape(file):
                wanted = None if indices is None else video.listed(path, indices, shape[0])
                return _frames(file, shape, wanted)
        try:
            frames = self.decode(path, size=size, whole=True)
        except video.CutShort:  # perhaps a slow drive: try once more; if it fails again, this warns
            return self.decode(path, indices, size)
        _write(stored, frames.numpy())
        return frames if indices is None else frames[video.listed(path, indices, len(frames))]

    def place(self, path: str | os.PathLike, size: tuple[int, int] | None) -> Path:
        """The file in which a clip is, or will be, stored.

        Raises:
            OSError: the video cannot be read.
        """
        name = _digest(f"{self._key} {size} {self._content(path)}".encode())
        return self.folder / f"{name}.npy"

    def _content(self, path: str | os.PathLike) -> str:
        """The digest of a video's content; computed only if it is not stored yet."""
        stat = os.stat(path)
        times = stat.st_mtime_ns, stat.st_ctime_ns
        settled = all(abs(time.time() - each / 1e9) > _SETTLED for each in times)
        state = f"{stat.st_ino} {stat.st_size} {times} {os.path.abspath(path)}"
        known = self.folder / f"{_digest(os.fsencode(state))}.content"
        with suppress(OSError, ValueError):  # missing, or half written
            content = known.read_text()
            if len(bytes.fromhex(content)) == hashlib.sha256().digest_size:
                return content
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        if settled:
            with suppress(OSError):  # writing the clip itself will raise the error
                known.write_text(content)
        return content


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _shape(file: BufferedReader) -> tuple[int, ...] | None:
    """Read the header of a stored clip: ``T, C, H, W``; None if the clip is damaged."""
    try:
        np.lib.format.read_magic(file)
        shape, by_columns, _ = np.lib.format.read_array_header_1_0(file)
    except Exception:  # NumPy raises many kinds of errors for damaged files
        return None
    whole = os.fstat(file.fileno()).st_size == file.tell() + math.prod(shape)
    return shape if whole and len(shape) == 4 and not by_columns else None


def _frames(file: BufferedReader, shape: tuple[int, ...], wanted: Sequence[int] | None) -> Tensor:
    """Read frames of a stored clip, without memory mapping, which some drives do not support."""
    begin = file.tell()
    wanted = range(shape[0]) if wanted is None else wanted
    frames = np.empty((len(wanted), *shape[1:]), np.uint8)
    for index, frame in zip(wanted, frames, strict=True):
        file.seek(begin + index * frame.nbytes)
        if file.readinto(frame) < frame.nbytes:
            raise OSError("a stored clip is cut short")
    return torch.from_numpy(frames)


def _write(path: Path, frames: np.ndarray) -> None:
    with replacing(path) as part, part.open("wb") as file:
        np.save(file, frames)
        sync(file)

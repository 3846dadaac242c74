"""Decode once: finished clips on disk, so that later epochs only copy the frames they need."""

import hashlib
import os
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import video
from .crops import FaceCrop

_STALE = 3600  # seconds after which nobody is writing a file any more
_FORMAT = 1  # part of every key; another layout gets another number


class ClipCache:
    """Videos decoded, cropped and resized, one memory-mapped file for each.

    A clip is found by the content of its file and by the settings, not by its name: a moved file
    is still known, and a changed one is decoded anew. Several processes may share a folder, and
    may be killed at any moment: a clip appears whole or not at all. Delete the folder whenever
    you like.

    Args:
        folder: where; made if need be. A clip takes ``T * 3 * H * W`` bytes.
        crop: the face crop to apply; None keeps the whole frame.

    Raises:
        OSError: the folder cannot be made.
    """

    def __init__(self, folder: str | os.PathLike, crop: FaceCrop | None = None) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        for part in self.folder.glob("*.part"):  # what a killed process left
            with suppress(FileNotFoundError):
                if time.time() - part.stat().st_mtime > _STALE:
                    part.unlink()
        self.decode = video.read if crop is None else crop.read
        self.settings = None if crop is None else crop.settings
        self._key = f"{_FORMAT} {None if crop is None else crop.key}"

    def read(
        self,
        path: str | os.PathLike,
        indices: Sequence[int] | Callable[[int], Sequence[int]] | None = None,
        size: tuple[int, int] | None = None,
    ) -> Tensor:
        """Return frames as `video.read` does, decoding only what is not there yet.

        Raises:
            VideoError: as `video.read`, or `NoFaceError`; nothing is stored then.
            OSError: the folder cannot be written.
        """
        stored = self.place(path, size)
        frames = _load(stored)
        if frames is None:
            frames = self.decode(path, size=size).numpy()
            _write(stored, frames)
        if indices is None:
            return torch.from_numpy(np.array(frames))
        listed = video.listed(path, indices, len(frames))
        return torch.from_numpy(frames[listed])  # a copy of these frames alone

    def place(self, path: str | os.PathLike, size: tuple[int, int] | None) -> Path:
        """The file in which a clip is, or will be, stored."""
        try:
            content = Path(path).read_bytes()
        except OSError:  # `video.read` says best what is wrong
            content = b""
        key = hashlib.sha256(f"{self._key} {size} ".encode() + content)
        return self.folder / f"{key.hexdigest()}.npy"


def _load(path: Path) -> np.ndarray | None:
    """Map a stored clip; None where there is none yet, or a damaged one."""
    try:
        frames = np.load(path, mmap_mode="r")
    except Exception:  # missing; or damaged: np.load raises nearly anything then
        return None
    whole = isinstance(frames, np.memmap) and frames.dtype == np.uint8 and frames.ndim == 4
    return frames if whole and path.stat().st_size == frames.offset + frames.nbytes else None


def _write(path: Path, frames: np.ndarray) -> None:
    part = path.with_name(f"{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.save(file, frames)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise OSError(
            f"{path.parent}: cannot store a clip ({error.strerror or error}); make room, or use "
            "another cache folder"
        ) from error
    finally:
        with suppress(OSError):  # moved away; or never made
            part.unlink()

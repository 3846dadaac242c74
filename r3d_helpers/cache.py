"""Decode once: finished clips on disk, so that later epochs only copy the frames they need."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import video
from .crops import FaceCrop

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
        self.decode = video.read if crop is None else crop.read
        self.settings = f"{_FORMAT} {None if crop is None else crop.key}"

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
        try:
            frames = np.load(stored, mmap_mode="r")
        except (OSError, ValueError, EOFError):  # not there yet; or damaged: made anew
            frames = self.decode(path, size=size).numpy()
            _write(stored, frames)
        if callable(indices):
            indices = indices(len(frames))
        if indices is None:
            return torch.from_numpy(np.array(frames))
        return torch.from_numpy(frames[np.asarray(indices)])  # a copy of these frames alone

    def place(self, path: str | os.PathLike, size: tuple[int, int] | None) -> Path:
        """The file in which a clip is, or will be, stored."""
        key = hashlib.sha256(f"{self.settings} {size} ".encode())
        try:
            key.update(Path(path).read_bytes())
        except OSError:  # missing, or a folder: `video.read` says it best
            self.decode(path, size=size)
            raise
        return self.folder / f"{key.hexdigest()}.npy"


def _write(path: Path, frames: np.ndarray) -> None:
    handle, part = tempfile.mkstemp(suffix=".part", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            np.save(file, frames)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise OSError(
            f"{path.parent}: cannot store a clip ({error.strerror}); free some space, "
            "or use another cache folder"
        ) from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(part)

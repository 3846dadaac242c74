"""A file is whole or as it was, whatever happens while it is written."""

import errno
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TextIO

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_NOTHING = 100e3  # bytes free on a disk that is full
# On Windows, a virus scanner or a program that synchronises may hold a file for a moment: seconds.
_HELD = (0.1, 0.4, 1.6) if os.name == "nt" else ()
_CANNOT = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}  # what a drive says that has no such call


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Give a place to write to, and move what was written there to ``path`` at the end.

    The place has the name of ``path``, in a folder of its own beside it: libraries that look at
    the ending or keep temporary files of their own may write there, and so may several processes.
    Where writing fails, ``path`` stays as it was and nothing is left beside it.

    Args:
        path: the file; its folder is made if need be.

    Raises:
        OSError: it cannot be written; names it, and the reason.
    """
    path = Path(path)
    folder = _part(path)
    try:
        folder.mkdir(parents=True)
        try:
            yield folder / path.name
            _move(folder / path.name, path)
        except OSError as error:  # not every library says why
            if shutil.disk_usage(folder).free < _NOTHING:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise unwritten(path, error) from error


@contextmanager
def writing(path: str | os.PathLike) -> Iterator[TextIO]:
    """Open a text file to be written as `replacing` does; names that are no UTF-8 stay as they are.

    Raises:
        OSError: as there.
    """
    text = {"newline": "", "encoding": "utf-8", "errors": "surrogateescape"}
    with replacing(path) as part, part.open("w", **text) as file:
        yield file


def make_folder(path: str | os.PathLike) -> Path:
    """Make a folder, where it is not there yet.

    Raises:
        OSError: it cannot be made; names it, and the reason.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritten(path, error) from error
    return Path(path)


def check_writable(path: str | os.PathLike) -> None:
    """Raise now, before the work, what `replacing` would raise after it; as far as one can know.

    Raises:
        OSError: as there.
    """
    path = Path(path)
    folder = _part(path)
    try:
        if path.is_dir():
            raise OSError(errno.EISDIR, "it is a folder")
        folder.mkdir(parents=True)
        try:
            (folder / path.name).touch()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise unwritten(path, error) from error


def unwritten(path: str | os.PathLike, error: OSError) -> OSError:
    """The error where something cannot be written: what, why, and what to do."""
    room = "make room, or name" if error.errno in _FULL else "name"
    return OSError(f"{path}: cannot be written ({error.strerror or error}); {room} another place")


def sync(file: IO) -> None:
    """Have a file written to the disk itself, where the drive has a way to say so."""
    file.flush()
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _CANNOT:
            raise


def _part(path: Path) -> Path:
    # Short, because a whole path may have 260 letters on Windows.
    return path.parent / f"{uuid.uuid4().hex[:12]}.part"


def _move(source: Path, target: Path) -> None:
    for seconds in _HELD:
        with suppress(PermissionError):
            source.replace(target)
            return
        time.sleep(seconds)
    source.replace(target)


def remove_parts(folder: Path, older_than: float = 0.0) -> None:
    """Delete what killed processes left of `replacing` more than ``older_than`` seconds ago."""
    for part in folder.glob("*.part"):
        with suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime < older_than:
                continue
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:  # of version 1.0
                part.unlink()

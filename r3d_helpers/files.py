"""Write files so that each is either complete or unchanged."""

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
_NOTHING = 100e3  # bytes; with less than this free, a disk counts as full
# On Windows, a virus scanner or a sync program may lock a file briefly: waits in seconds.
_HELD = (0.1, 0.4, 1.6) if os.name == "nt" else ()
_CANNOT = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}  # the drive does not support the call


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path to write to, and move what was written there to ``path`` at the end.

    The temporary file has the name of ``path`` and a folder of its own beside it. So libraries
    that look at the ending or write temporary files work, and several processes may write at the
    same time. If writing fails, ``path`` stays as it was and nothing is left beside it.

    Args:
        path: the file; its folder is created if needed.

    Raises:
        OSError: it cannot be written; names the file and the reason.
    """
    path = Path(path)
    folder = _part(path)
    try:
        folder.mkdir(parents=True)
        try:
            yield folder / path.name
            _move(folder / path.name, path)
        except OSError as error:  # some libraries do not give the reason
            if shutil.disk_usage(folder).free < _NOTHING:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise unwritten(path, error) from error


@contextmanager
def writing(path: str | os.PathLike) -> Iterator[TextIO]:
    """Open a UTF-8 text file for writing, as `replacing` does; other bytes in names are kept.

    Raises:
        OSError: it cannot be written.
    """
    text = {"newline": "", "encoding": "utf-8", "errors": "surrogateescape"}
    with replacing(path) as part, part.open("w", **text) as file:
        yield file


def make_folder(path: str | os.PathLike) -> Path:
    """Create a folder if it does not exist, and return its path.

    Raises:
        OSError: it cannot be created; names the folder and the reason.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritten(path, error) from error
    return Path(path)


def check_writable(path: str | os.PathLike) -> None:
    """Check before a long computation that `replacing` will probably be able to write.

    Raises:
        OSError: it cannot be written; names the file and the reason.
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
    """The error for a file that cannot be written: its path, the reason, and what to do."""
    room = "make room, or name" if error.errno in _FULL else "name"
    return OSError(f"{path}: cannot be written ({error.strerror or error}); {room} another place")


def sync(file: IO) -> None:
    """Flush a file to the disk itself, if the drive supports it."""
    file.flush()
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _CANNOT:
            raise


def _part(path: Path) -> Path:
    # Short, because Windows allows 260 characters in a path.
    return path.parent / f"{uuid.uuid4().hex[:12]}.part"


def _move(source: Path, target: Path) -> None:
    for seconds in _HELD:
        with suppress(PermissionError):
            source.replace(target)
            return
        time.sleep(seconds)
    source.replace(target)


def remove_parts(folder: Path, older_than: float = 0.0) -> None:
    """Delete temporary files that killed processes left, older than ``older_than`` seconds."""
    for part in folder.glob("*.part"):
        with suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime < older_than:
                continue
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:  # of version 1.0
                part.unlink()

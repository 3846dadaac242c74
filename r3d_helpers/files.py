"""A file is whole or as it was, whatever happens while it is written."""

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Give a place to write to, and move what was written there to ``path`` at the end.

    The place has the name of ``path``, in a folder of its own beside it: libraries that look at
    the ending or keep temporary files of their own may write there, and so may several processes.
    Where writing fails, ``path`` stays as it was and nothing is left beside it.

    Args:
        path: the file; its folder is made if need be.

    Raises:
        OSError: the folder cannot be made, or nothing was written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = path.parent / f"{uuid.uuid4().hex}.part"
    folder.mkdir()
    try:
        yield folder / path.name
        (folder / path.name).replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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

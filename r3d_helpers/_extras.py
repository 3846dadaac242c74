"""Libraries that only a part of the package needs; a missing one is reported in one line."""

from collections.abc import Iterator
from contextlib import contextmanager


class MissingExtraError(ImportError):
    """A library of an extra is not installed."""


@contextmanager
def needed(extra: str) -> Iterator[None]:
    """Import in this context what an extra of pyproject.toml installs.

    Args:
        extra: ``"apply"``, ``"studies"`` or ``"lessons"``.

    Raises:
        MissingExtraError: a library is not installed; says how to install it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "a library").partition(".")[0]
        remedy = f"pip install 'r3d-helpers[{extra}]'"
        raise MissingExtraError(f"{name} is not installed: {remedy}", name=name) from None

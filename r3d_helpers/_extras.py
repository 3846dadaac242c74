"""Libraries that only a part of the package needs: one that is missing is told in one line."""

from collections.abc import Iterator
from contextlib import contextmanager


class MissingExtraError(ImportError):
    """A library of an extra is not installed."""


@contextmanager
def needed(extra: str) -> Iterator[None]:
    """Import in here what comes with ``apply``, ``studies`` or ``lessons``, see pyproject.toml.

    Raises:
        MissingExtraError: it is not installed; says what installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "a library").partition(".")[0]
        remedy = f"pip install 'r3d-helpers[{extra}]'"
        raise MissingExtraError(f"{name} is not installed: {remedy}", name=name) from None

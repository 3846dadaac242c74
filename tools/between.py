"""Pages written by hand with parts made by a command: each part is between two comments."""

from pathlib import Path


def put(page: str, begin: str, end: str, part: str, name: str) -> str:
    """The text of a page with ``part`` between the comments ``begin`` and ``end``.

    Raises:
        ValueError: the page, called ``name``, has no place for it.
    """
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{name} needs the two lines {begin} and {end}")
    return f"{before}{begin}\n\n{part}\n\n{end}{after}"


def rewrite(path: Path, begin: str, end: str, part: str) -> None:
    """The same in a file."""
    text = put(path.read_text(encoding="utf-8"), begin, end, part, path.name)
    path.write_text(text, encoding="utf-8", newline="\n")

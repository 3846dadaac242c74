"""A page that people write, with parts that a command makes: each lies between two comments."""

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
    """Do so in a file."""
    text = put(path.read_text(encoding="utf-8"), begin, end, part, path.name)
    path.write_text(text, encoding="utf-8", newline="\n")

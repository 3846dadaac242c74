"""The learner's copies of the lessons: without outputs and solutions, and never overwritten.

nbconvert removes the cells with the tag ``solution``. Beside the copies, the folder ``.r3d/`` holds
the solutions for the buttons, and for each copy the version that it was made from, so that an
update can see whether a learner has changed it.
"""

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import nbformat
from nbconvert.filters import markdown2html
from nbconvert.preprocessors import (
    ClearMetadataPreprocessor,
    ClearOutputPreprocessor,
    TagRemovePreprocessor,
)
from nbformat import NotebookNode

from r3d_helpers.classroom.progress import HIDDEN, SOLUTIONS
from r3d_helpers.files import replacing

SOLUTION = "solution"  # the tag of a cell that learners see only if they ask for it
MADE = "copies.json"  # in `HIDDEN`: by file name, the version that a copy was made from
_CHECK = re.compile(r"^(?:checks\.|hunts\.start\(\")(\w+)", re.MULTILINE)
_FOLD = re.compile(r"<details>\s*<summary>.*?</summary>\s*(.*?)\s*</details>", re.DOTALL)


def renew(originals: Path, folder: Path, book: str = "") -> list[str]:
    """Bring the learner's copies up to date.

    Missing copies are made, and unchanged ones are replaced. A copy that the learner has changed
    stays, and the newer lesson is put beside it. Running a lesson does not count as a change.

    Args:
        originals: the folder of the published lessons.
        folder: the folder of the copies; created if needed.
        book: the address of the book, for a link in each copy; empty for none.

    Returns:
        Messages, one for each lesson that was put beside a changed copy.
    """
    made, solutions, news = _versions(folder), {}, []
    for path in sorted(originals.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        solutions |= answers(notebook)
        copy = stripped(notebook)
        if book:
            _link(copy, f"{book}/notebooks/{path.stem}.html")
        made_from = version(copy)
        place = _place(folder, path.stem, made_from, made)
        if place is None:
            continue
        with replacing(place) as draft:
            nbformat.write(copy, draft)
        made[place.name] = made_from
        if place.name != path.name:
            news.append(f"{path.name} is your work and stays; the new one is {place.name}")
    for name, content in ((MADE, made), (SOLUTIONS, solutions)):
        with replacing(folder / HIDDEN / name) as draft:
            draft.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return news


def stripped(notebook: NotebookNode) -> NotebookNode:
    """A lesson without its outputs and without the cells that are tagged `SOLUTION`."""
    copy, resources = nbformat.from_dict(notebook), {}
    for step in (
        ClearOutputPreprocessor(),
        TagRemovePreprocessor(remove_cell_tags={SOLUTION}),
        ClearMetadataPreprocessor(
            clear_cell_metadata=False,
            preserve_nb_metadata_mask={"kernelspec", "language_info", "lesson"},
        ),
    ):
        copy, resources = step.preprocess(copy, resources)
    return copy


def answers(notebook: NotebookNode) -> dict[str, str]:
    """The solutions of a lesson as HTML, by the name of the check above them."""
    found, check = {}, None
    for cell in notebook.cells:
        if cell.cell_type == "code" and (calls := _CHECK.findall(cell.source)):
            check = calls[-1]
        elif SOLUTION in cell.metadata.get("tags", ()):
            found[check] = markdown2html("\n\n".join(_FOLD.findall(cell.source)))
    return found


def version(notebook: NotebookNode) -> str:
    """A short code of a notebook's cells, which changes with them, but not with outputs."""
    cells = [(cell.cell_type, cell.source.strip()) for cell in notebook.cells]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:16]


def _link(copy: NotebookNode, page: str) -> None:
    title, _, rest = copy.cells[0].source.partition("\n")
    link = f"*Your own copy, to change and to run.* [This lesson in the book]({page})"
    copy.cells[0].source = f"{title}\n\n{link}\n{rest}"


def _versions(folder: Path) -> dict[str, str]:
    """The version that each copy was made from; empty if the file cannot be read."""
    try:
        return dict(json.loads((folder / HIDDEN / MADE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _place(folder: Path, name: str, new: str, made: Mapping[str, str]) -> Path | None:
    """Where to put the version ``new`` of a lesson; None if it is there already."""
    for place in _names(folder, name):
        known = made.get(place.name)
        if not place.exists():
            thrown_away = known == new and place.stem != name
            return None if thrown_away else place
        if known == new:
            return None
        if _reads(place) == (known or new):
            return place  # the learner has not changed it
    raise AssertionError("the names do not end")


def _names(folder: Path, name: str) -> Iterator[Path]:
    """Paths for a lesson: its own name first, then numbered ones."""
    yield folder / f"{name}.ipynb"
    yield folder / f"{name}-new.ipynb"
    for number in itertools.count(2):
        yield folder / f"{name}-new-{number}.ipynb"


def _reads(path: Path) -> str:
    """The version of a file; empty if it is no longer a notebook."""
    try:
        return version(nbformat.read(path, as_version=4))
    except (OSError, ValueError, AttributeError, KeyError, nbformat.ValidationError):
        return ""

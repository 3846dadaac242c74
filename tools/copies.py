"""The learner's copy of the lessons: no outputs, no solutions, and never written over.

The tag ``solution`` says what is taken out, nbconvert takes it. Beside the copies a folder,
``.r3d/``, keeps the solutions for those who ask, and of each copy the version that it was made
from, so that an update can tell whether somebody has worked in it.
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

SOLUTION = "solution"  # the tag of a cell that learners see when they ask for it
MADE = "copies.json"  # in `HIDDEN`: by name of the file, the version it was made from
_CHECK = re.compile(r"^(?:checks\.|hunts\.start\(\")(\w+)", re.MULTILINE)
_FOLD = re.compile(r"<details>\s*<summary>.*?</summary>\s*(.*?)\s*</details>", re.DOTALL)


def renew(originals: Path, folder: Path, book: str = "") -> list[str]:
    """Bring the learner's copies up to date.

    What is missing is copied, and what nobody has worked in is renewed. Where somebody has, the
    copy stays, and the newer lesson lies beside it. To run a lesson is no work in this sense.

    Args:
        originals: the folder of the lessons as they are published.
        folder: the folder of the copies; made if need be.
        book: the address of the book, for a link in each copy; empty for none.

    Returns:
        What there is to say, a line for each lesson that now lies beside somebody's own.
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
    """What a notebook says, as a short code: another one after any change but of outputs."""
    cells = [(cell.cell_type, cell.source.strip()) for cell in notebook.cells]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:16]


def _link(copy: NotebookNode, page: str) -> None:
    title, _, rest = copy.cells[0].source.partition("\n")
    link = f"*Your own copy, to change and to run.* [This lesson in the book]({page})"
    copy.cells[0].source = f"{title}\n\n{link}\n{rest}"


def _versions(folder: Path) -> dict[str, str]:
    """What each copy was made from; what cannot be read counts as worked in."""
    try:
        return dict(json.loads((folder / HIDDEN / MADE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _place(folder: Path, name: str, new: str, made: Mapping[str, str]) -> Path | None:
    """Where the version ``new`` of a lesson belongs; ``None`` where it has been delivered."""
    for place in _names(folder, name):
        known = made.get(place.name)
        if not place.exists():
            thrown_away = known == new and place.stem != name
            return None if thrown_away else place
        if known == new:
            return None
        if _reads(place) == (known or new):
            return place  # nobody has worked in it
    raise AssertionError("the names do not end")


def _names(folder: Path, name: str) -> Iterator[Path]:
    """The lesson's own name, then those beside it."""
    yield folder / f"{name}.ipynb"
    yield folder / f"{name}-new.ipynb"
    for number in itertools.count(2):
        yield folder / f"{name}-new-{number}.ipynb"


def _reads(path: Path) -> str:
    """The version of a file; empty where it is no notebook any more."""
    try:
        return version(nbformat.read(path, as_version=4))
    except (OSError, ValueError, AttributeError, KeyError, nbformat.ValidationError):
        return ""

"""The list of lessons: ``python -m tools.lessons`` writes the table in the README.

The metadata of each notebook has, under ``lesson``, its kind, order, minutes, the lessons to do
before, and its question. Every list of lessons is made from this.
"""

from dataclasses import dataclass
from pathlib import Path

import nbformat

from .between import rewrite
from .notebooks import NOTEBOOKS, ROOT

README = ROOT / "README.md"
KINDS = ("start", "bug", "training", "review", "experiment", "practice", "hunt")
BEGIN = "<!-- lessons: made by `python -m tools.lessons` from the metadata of the notebooks -->"
END = "<!-- end: lessons -->"


@dataclass(frozen=True)
class Lesson:
    """One notebook.

    Attributes:
        path: the file.
        title: its first line.
        kind: one of `KINDS`; a bug lesson keeps the ten headings.
        order: its number.
        minutes: to read and do it.
        needs: names of the lessons to do before.
        after: names of the lessons whose results its kernel uses; it is executed after them.
        question: the question that it answers.
    """

    path: Path
    title: str
    kind: str
    order: int
    minutes: int
    needs: tuple[str, ...]
    question: str
    after: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem


def read(path: Path) -> Lesson:
    """Read the metadata of a notebook.

    Raises:
        ValueError: something is missing, or its kind is not known.
    """
    notebook = nbformat.read(path, as_version=4)
    title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
    try:
        about = notebook.metadata["lesson"]
        lists = {name: tuple(about.get(name, ())) for name in ("needs", "after")}
        lesson = Lesson(path, title, **{**about, **lists})
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{path.name}: its metadata need `lesson` with kind, order, minutes, needs, question "
            f"({error})"
        ) from error
    if lesson.kind not in KINDS:
        raise ValueError(f"{path.name}: kind must be one of {', '.join(KINDS)}, got {lesson.kind}")
    return lesson


def lessons(*kinds: str) -> list[Lesson]:
    """All lessons in order, or those of some kinds."""
    found = sorted(map(read, NOTEBOOKS.glob("*.ipynb")), key=lambda lesson: lesson.name)
    return [lesson for lesson in found if not kinds or lesson.kind in kinds]


def table() -> str:
    """The lessons as Markdown."""
    rows = ["| lesson | the question it answers | minutes |", "|---|---|---|"]
    for lesson in lessons():
        link = f"[{lesson.title}](notebooks/{lesson.path.name})"
        rows.append(f"| {link} | {lesson.question} | {lesson.minutes} |")
    return "\n".join(rows)


if __name__ == "__main__":
    rewrite(README, BEGIN, END, table())

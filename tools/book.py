"""The book: every lesson as a page, the bug lessons as slides too, from their stored outputs.

Sphinx and myst-nb do the work, with the settings of ``docs/conf.py``; nothing is executed. This
file prepares the notebooks for them. ``python -m tools.book [NOTEBOOKS [OUT]]`` builds the book
from ``notebooks/`` or from other executed copies.
"""

import os
import re
import shutil
import sys
import zipfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from r3d_helpers.classroom import course, guesses

from .lessons import lessons
from .notebooks import BUILD, NOTEBOOKS, ROOT, WIDGET_VIEW, widgets

DOCS = ROOT / "docs"
BOOK = BUILD / "book"
SLIDE, MORE = "slide", "slide-more"  # tags: a cell starts a slide, or continues it
GUESS, REPLY, PROGRESS = ASKED = "guess", "reply", "progress"  # tags: they need a kernel
NO_PROGRESS = "*(JupyterLab shows yours here. The book does not know you.)*"
_BAR = re.compile(r"%\|.*\| \d+/\d+ \[")
_ASK = re.compile(r'guesses\.ask\("(\w+)"\)')
_FIGURE = re.compile(r"\*(The (?:first )?(?:figure|film) .+?)\*(?:\n\n|$)", re.DOTALL)


def build(executed: Path = NOTEBOOKS, out: Path = BOOK) -> int:
    """Build pages and slides.

    Args:
        executed: the folder of the executed notebooks to show.
        out: the folder of the book; its old contents are deleted.

    Returns:
        0, or 1 if Sphinx warns about anything.
    """
    from sphinx.cmd.build import build_main

    shutil.rmtree(out, ignore_errors=True)
    settings = ["-W", "--keep-going", "--quiet", "-D", f"lessons={executed.resolve()}"]
    folders = ["-c", str(DOCS), "-d", str(out.parent / "doctrees"), str(ROOT), str(out)]
    if build_main([*settings, *folders]):
        return 1
    shutil.copy(out / "README.html", out / "index.html")
    print(f"The book: {os.path.relpath(out / 'index.html')}")
    return 0


def readable(notebook: NotebookNode) -> NotebookNode:
    """Prepare an executed notebook, in place, for readers without a kernel.

    The answer to a guess is folded below the question. Progress bars are left out: they are stored
    at zero. The text below a figure becomes its alternative text. Explorers that have all their
    states need no widget; the controls of other widgets are disabled, because without a kernel
    they change nothing.

    Raises:
        ValueError: a figure has no description below it.
    """
    notebook.cells = [_readable(cell) for cell in notebook.cells if not _is_tagged(cell, REPLY)]
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if WIDGET_VIEW in data and "text/html" in data:
                del data[WIDGET_VIEW]  # the HTML answers without a kernel
            if "image/png" in data:
                below = "\n\n".join(later.source for later in notebook.cells[index + 1 :])
                found = _FIGURE.search(below)
                if found is None:
                    raise ValueError(
                        f"no text '*The figure ...*' or '*The film ...*' below the cell "
                        f"{cell.source!r}"
                    )
                alt = " ".join(found[1].replace("`", "").split())
                cell.metadata["mystnb"] = {"image": {"alt": alt}}
                output.metadata["alt"] = alt
    for model in widgets(notebook).values():
        if "disabled" in model["state"]:
            model["state"]["disabled"] = True
    return notebook


def _readable(cell: NotebookNode) -> NotebookNode:
    """Words instead of a cell that asks for a guess or counts what was done."""
    if _is_tagged(cell, PROGRESS):
        return nbformat.v4.new_markdown_cell(NO_PROGRESS, id=cell.id)
    if _is_tagged(cell, GUESS):
        answer = guesses.folded(course.guess(_ASK.search(cell.source)[1]))
        return nbformat.v4.new_markdown_cell(answer, id=cell.id)
    if "outputs" in cell:
        cell.outputs = [output for output in cell.outputs if not _is_bar(output)]
    return cell


def _is_bar(output: NotebookNode) -> bool:
    """Whether an output is a progress bar of tqdm, whose stored text is that of its first step."""
    return bool(_BAR.search(output.get("data", {}).get("text/plain", "")))


def _is_tagged(cell: NotebookNode, *tags: str) -> bool:
    return not set(tags).isdisjoint(cell.metadata.get("tags", ()))


def slides(notebook: NotebookNode) -> str:
    """Render the cells tagged ``slide`` and ``slide-more`` of a readable notebook as HTML slides.

    The page wants ``reveal.js`` beside it.
    """
    from nbconvert import SlidesExporter

    for cell in notebook.cells:
        tags = cell.metadata.get("tags", ())
        kind = "slide" if SLIDE in tags else "-" if MORE in tags else "skip"
        cell.metadata["slideshow"] = {"slide_type": kind}
        cell.source = re.sub(r"\]\((\w+)\.ipynb", r"](../notebooks/\1.html", cell.source)
        cell.source = re.sub(r"(\]\(\.\./docs/[\w/-]+)\.md", r"\1.html", cell.source)
    title = notebook.cells[0].source.partition("\n")[0].lstrip("# ")
    exporter = SlidesExporter(
        template_name="slides", extra_template_basedirs=[str(DOCS)], exclude_anchor_links=True
    )
    return exporter.from_notebook_node(notebook, {"metadata": {"name": title}})[0]


def unpack(package: str, folder: Path) -> None:
    """Put the browser scripts of a package in ``docs/vendor.zip`` into ``folder``."""
    with zipfile.ZipFile(DOCS / "vendor.zip") as archive:
        wanted = [name for name in archive.namelist() if name.startswith(f"{package}/")]
        archive.extractall(folder, wanted)


def write_slides(folder: Path, executed: Path) -> None:
    """Write the slides of every bug lesson, and what they need, into ``folder``."""
    folder.mkdir(parents=True)
    unpack("reveal.js", folder)
    for lesson in lessons("bug"):
        notebook = readable(nbformat.read(executed / lesson.path.name, as_version=4))
        (folder / f"{lesson.name}.html").write_text(slides(notebook), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(build(*map(Path, sys.argv[1:3])))

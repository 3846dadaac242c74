"""Find the cells of a lesson by their tags, and run them as a learner would."""

import contextlib
import re

import matplotlib
import nbformat

from tools import book, copies, notebooks
from tools.lessons import lessons as listed

matplotlib.use("agg")


def named(*kinds):
    """Names of the lessons of some kinds, in order."""
    return tuple(lesson.name for lesson in listed(*kinds))


TOOLS = (notebooks.UNCOMPARED, book.SLIDE, book.MORE, *book.ASKED, copies.SOLUTION)
NOT_OURS = ("raises-exception", *TOOLS)
START = named("start")
BUG_LESSONS = named("bug")
WITH_EXERCISES = named("bug", "review")
EXPERIMENTS = named("experiment")
PRACTICE = named("practice")
HUNTS = named("hunt")


def load(name):
    return nbformat.read(notebooks.NOTEBOOKS / f"{name}.ipynb", as_version=4)


def tags(cell):
    """The tags of a cell that are ours, not the tools'."""
    return [tag for tag in cell.metadata.get("tags", ()) if tag not in NOT_OURS]


def cell(name, tag):
    """The one code cell with this tag."""
    (found,) = [c for c in load(name).cells if c.cell_type == "code" and tag in tags(c)]
    return found


def run(name, *, skip=(), **given):
    """Run the tagged cells of a lesson in order.

    Returns:
        What they defined, and by tag what the cells tagged ``raises-exception`` raised.
    """
    space, errors = {"__name__": "__main__", **given}, {}
    with contextlib.chdir(notebooks.NOTEBOOKS):
        for code in load(name).cells:
            if code.cell_type != "code" or not tags(code) or set(tags(code)) & set(skip):
                continue
            if "raises-exception" not in code.metadata.tags:
                exec(code.source, space)
                continue
            try:
                exec(code.source, space)
            except Exception as error:
                errors[tags(code)[0]] = error
    return space, errors


def stored_error(name, tag):
    """Name and text of the error that the page shows under a cell."""
    (error,) = [o for o in cell(name, tag).outputs if o.output_type == "error"]
    return error.ename, error.evalue


def stored_text(name, tag):
    """What the page shows as printed by a cell."""
    return "".join(o.text for o in cell(name, tag).outputs if o.output_type == "stream")


def solutions(name):
    """By tag of the exercise, its stub and the code of the folded solution below it."""
    found, exercise = {}, None
    for part in load(name).cells:
        if part.cell_type == "code":
            exercise = part if any(tag.startswith("exercise-") for tag in tags(part)) else None
        elif exercise and "<summary>Solution</summary>" in part.source:
            (code,) = re.findall(r"```python\n(.*?)```", part.source, re.DOTALL)
            found[tags(exercise)[0]] = exercise.source, code
    return found

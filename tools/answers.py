"""``python -m tools.answers`` writes the page of answers, from the tests of the checks."""

import contextlib
import io
import itertools
import re
import sys

import nbformat

from r3d_helpers.classroom import checks, course, hunts
from r3d_helpers.classroom.hunts.parts import FAMILIES
from r3d_helpers.classroom.hunts.programs import HUNTS

from .copies import SOLUTION
from .notebooks import NOTEBOOKS, ROOT

sys.path.append(str(ROOT / "tests"))
import lessons
from test_checks import CASES, told

PAGE = ROOT / "docs" / "teach" / "answers.md"
FOLD = re.compile(r"<details>.*?</details>", re.DOTALL)
STARTS = re.compile(r'^hunts\.start\("(\w+)"', re.MULTILINE)
INTRODUCTION = """\
# Answers, and what to ask

For the moment when a learner's screen says "Not yet" and you are asked for help. Find the words of
the check on the left; on the right is what the learner probably did and, if one helps, a question
to ask. Ask it and wait; do not take the keyboard. Numbers in a message may differ; if two rows
differ in nothing else, look at the numbers. A right answer is folded above each table. Learners get
the same one with the button *Show the solution*, which comes with a check's first "Not yet".

The checks are tested with these answers. `python -m tools.answers` writes this page; a test fails
when it is out of date. The [instructor's guide](instructor.md) says what to do around the
exercises.
"""


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    kinds = (
        *(lessons.START, lessons.WITH_EXERCISES, lessons.EXPERIMENTS, lessons.PRACTICE),
        lessons.HUNTS,
    )
    for name in sorted(itertools.chain(*kinds)):
        cells = lessons.load(name).cells
        title = cells[0].source.splitlines()[0].removeprefix("# ")
        parts.append(f"## {title}\n\n[The lesson](../../notebooks/{name}.ipynb)\n")
        for index, cell in enumerate(cells):
            if found := STARTS.search(cell.source):
                parts.append(hunt(found[1]))
            last = cell.source.rstrip().rpartition("\n")[2]
            if cell.cell_type != "code" or not (found := re.match(r"checks\.(\w+)\(", last)):
                continue
            above = [c.source for c in cells[:index] if re.search("^### ", c.source, re.MULTILINE)]
            heading, _, task = above[-1][above[-1].index("### ") :].partition("\n\n")
            if found[1].startswith("quiz"):
                about = quiz(found[1], FOLD.sub("", task))
            else:
                below = (c for c in cells[index:] if SOLUTION in c.metadata.get("tags", ()))
                about = exercise(found[1], next(below).source)
            parts.append(f"{heading}\n\n{about}")
    return "\n".join(parts)


def exercise(name: str, solution: str) -> str:
    """What a check asks for, a right answer, and for each message the answers that get it."""
    messages: dict[str, list[str]] = {}
    for i, (_, _, *about) in enumerate(CASES[name][2]):
        if about:
            messages.setdefault(bare(told(name, i)), []).extend(about)
    asked = " ".join(getattr(checks, name).__doc__.split("\n\n")[0].replace("``", "`").split())
    rows = [
        f"| {cell(message)} | {'<br>'.join(map(cell, who))} |" for message, who in messages.items()
    ]
    table = ["| not yet: | what they did, what to ask |", "|---|---|", *rows, ""]
    return "\n".join([f"{asked}\n", f"{solution}\n", *table])


def hunt(name: str) -> str:
    """All bugs that a program may have, and what to ask."""
    (title,) = [task.title for task in course.HUNTS if task.name == name]
    made = HUNTS[name]
    rows = [
        f"| {FAMILIES[bug.family]} | {cell(bug.why)} | {cell(bug.look)} |"
        for piece in made.pieces
        for bug in piece.bugs
    ]
    command = f"python -m r3d_helpers.classroom hunt {name} NUMBER"
    head = f"{made.count} of these, chosen by the learner's number; `{command}` tells which."
    table = ["| family | what is wrong | what to ask |", "|---|---|---|", *rows, ""]
    return "\n".join([f"### {title}\n", f"{head}\n", *table])


def write_solutions() -> None:
    """Write the hints and solutions of number 0 below the hunts of the lessons."""
    for name in lessons.HUNTS:
        path = NOTEBOOKS / f"{name}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        for above, below in itertools.pairwise(notebook.cells):
            if SOLUTION in below.metadata.get("tags", ()):
                below.source = hunts.folded(hunts.case(STARTS.search(above.source)[1]))
        nbformat.write(notebook, path)


def quiz(name: str, task: str) -> str:
    """The options of a quiz, and what the check says to each."""
    question, options = re.split(r" (?:- )?a\) ", " ".join(task.split()), maxsplit=1)
    rows = []
    for letter, option in zip("abcdef", re.split(r" [·-] [b-f]\) ", options), strict=True):
        # pyrefly: ignore[missing-attribute]
        right = letter in [answer.strip(" )").lower() for answer in CASES[name][0]]
        mark = f"**{letter}, right**" if right else letter
        with contextlib.redirect_stdout(io.StringIO()) as out:
            getattr(checks, name)(letter)
        rows.append(f"| {mark}: {cell(option)} | {cell(bare(out.getvalue()))} |")
    return "\n".join([f"{question}\n", "| answer | the check says |", "|---|---|", *rows, ""])


def bare(said: str) -> str:
    """The text that a check has printed, without its first words."""
    return re.sub(r"^(Not yet|Right): ", "", said.strip())


def cell(text: str) -> str:
    """Text for a cell of a table, with stars escaped outside of code."""
    parts = text.replace("|", r"\|").split("`")
    parts[::2] = [re.sub(r"([*<_])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


if __name__ == "__main__":
    write_solutions()
    PAGE.write_text(page(), encoding="utf-8", newline="\n")

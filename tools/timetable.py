"""Timetables from measured cells: ``python -m tools.timetable measure | write``.

``measure`` executes the notebooks and writes each cell's seconds to ``docs/teach/timings.csv``.
``write`` computes the timetables of ``docs/teach/plans.toml`` from it and writes them to the guide.
"""

import csv
import math
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate

import nbformat

from r3d_helpers.classroom import course

from .between import put
from .notebooks import NOTEBOOKS, ROOT, execute

TIMINGS = ROOT / "docs" / "teach" / "timings.csv"
GUIDE = ROOT / "docs" / "teach" / "instructor.md"
PLANS = ROOT / "docs" / "teach" / "plans.toml"

SLOW = 2  # a learner's laptop may need twice the measured seconds
WORDS = 140  # a minute: an unhurried talk; telling takes no longer than reading aloud
LINES = 15  # of code a minute: four seconds to point at one and say what it is for
LOOK = 1 / 6  # minutes for each code cell: everybody runs it and looks at its output
PREDICT = 3  # minutes: one in silence, one for the vote, one for the reasons
QUICK = 1  # minute: hands up at once, if the answer is already on the screen
RESERVE = 5  # minutes that a timetable must leave free, for questions

START = "Start"  # the name of the part above a lesson's first heading


@dataclass(frozen=True)
class Cell:
    """A code cell, or the words between two; ``id`` is empty for words."""

    section: str
    id: str = ""
    tags: tuple[str, ...] = ()
    words: int = 0
    lines: int = 0

    @property
    def minutes(self) -> float:
        """Minutes to tell and show it, without the computing."""
        return self.words / WORDS + self.lines / LINES + (LOOK if self.id else 0)


@dataclass(frozen=True)
class Part:
    """A section up to the cell with the tag ``before``; ``note`` says in words where that is."""

    section: str
    before: str
    note: str


@dataclass(frozen=True)
class Block:
    """A line of a timetable: fixed ``minutes``, or the minutes that its sections need."""

    what: str
    lesson: str = ""
    together: tuple[str | Part, ...] = ()
    predict: dict[str, int] = field(default_factory=dict)  # which have a vote, and its minutes
    told: dict[str, float] = field(default_factory=dict)  # which are told, in how many minutes
    past: tuple[str, ...] = ()  # which are run without a stop; what is told is not run otherwise
    alone: dict[str, int] = field(default_factory=dict)  # what people do alone, and its minutes
    late: tuple[str, ...] = ()  # what to leave out if there is too little time
    minutes: int = 0
    learners: str = ""  # what they do meanwhile

    @property
    def parts(self) -> list[str]:
        """The names of its sections."""
        return [*map(_name, self.together), *self.alone]


@dataclass(frozen=True)
class Plan:
    """A timetable of ``length`` minutes."""

    name: str
    length: int
    blocks: tuple[Block, ...]

    @property
    def doing(self) -> int:
        """Minutes in which learners work on their own: exercises, hunts, things to move."""
        return sum(sum(block.alone.values()) for block in self.blocks)

    @property
    def guessing(self) -> int:
        """Minutes of votes."""
        return sum(sum(block.predict.values()) for block in self.blocks)


def plans() -> tuple[Plan, ...]:
    """Read the timetables from the file."""
    file = tomllib.loads(PLANS.read_text(encoding="utf-8"))
    return tuple(
        Plan(plan["name"], plan["length"], tuple(map(_block, plan["block"])))
        for plan in file["plan"]
    )


def _block(entry: dict) -> Block:
    parts = [Part(**p) if isinstance(p, dict) else p for p in entry.get("together", ())]
    alone = dict(_alone(entry["lesson"], part) for part in entry.get("alone", ()))
    late, past = (tuple(entry.get(key, ())) for key in ("late", "past"))
    rest = {"together": tuple(parts), "alone": alone, "late": late, "past": past}
    return Block(**{**entry, **rest})


def _alone(lesson: str, part: str | dict) -> tuple[str, int]:
    """What people do alone, and its minutes; those of exercises come from the course."""
    if isinstance(part, dict):
        return part["section"], part["minutes"]
    minutes = exercises(lesson)
    if part not in minutes:
        raise ValueError(f"{lesson} has no exercise {part!r}: see r3d_helpers/classroom/course/")
    return part, minutes[part]


def exercises(lesson: str) -> dict[str, int]:
    """The minutes of a lesson's exercises and hunts, by heading, as the course has them."""
    every = (*course.EXERCISES, *course.HUNTS)
    return {exercise.title: exercise.minutes for exercise in every if exercise.lesson == lesson}


def cells(lesson: str) -> Iterator[Cell]:
    """The cells of a lesson in order, without hints and solutions; text is cut at headings."""
    section = START
    for cell in nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", as_version=4).cells:
        if cell.cell_type == "code":
            lines = sum(bool(line.strip()) for line in cell.source.splitlines())
            yield Cell(section, cell.id, tuple(cell.metadata.get("tags", ())), lines=lines)
            continue
        text = re.sub(r"<details>.*?</details>", "", cell.source, flags=re.DOTALL)
        for piece in re.split(r"^(?=###? )", text, flags=re.MULTILINE):
            if heading := re.match(r"###? (.+)", piece):
                section = heading[1]
            yield Cell(section, words=len(piece.split()))


def timings() -> dict[tuple[str, str], float]:
    """Measured seconds by lesson and id of the cell."""
    with TIMINGS.open(encoding="utf-8", newline="") as file:
        return {
            (row["notebook"], row["cell"]): float(row["seconds"]) for row in csv.DictReader(file)
        }


def measure() -> None:
    """Execute every lesson in a fresh kernel and write the seconds of each code cell."""
    rows = []
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        print(f"{path.stem} ...", flush=True)
        notebook = nbformat.read(path, as_version=4)
        execute(notebook, record_timing=True)
        took = {cell.id: _seconds(cell) for cell in notebook.cells if cell.cell_type == "code"}
        for cell in cells(path.stem):
            if cell.id:
                rows.append((path.stem, cell.section, cell.id, f"{took[cell.id]:.1f}"))
    with TIMINGS.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([("notebook", "section", "cell", "seconds"), *rows])


def _seconds(cell: nbformat.NotebookNode) -> float:
    began, ended = (
        datetime.fromisoformat(cell.metadata.execution[f"iopub.status.{status}"])
        for status in ("busy", "idle")
    )
    return (ended - began).total_seconds()


@dataclass(frozen=True)
class Row:
    """A block with its minutes, measured seconds, minutes saved by leaving parts out, and jumps."""

    block: Block
    minutes: float
    seconds: float
    saved: dict[str, int]
    jumps: list[str]  # the sections that are reached by one


def rows(plan: Plan, seconds: dict[tuple[str, str], float]) -> list[Row]:
    """Compute every block of a plan.

    A section needs all sections above it to have run. If some were left out, people choose Run All
    Above, which runs everything above, also cells that have run before. An exercise needs only the
    start of its lesson, and what is told is not run, unless it is run past. Explorers that are
    moved are reached like any section.

    Raises:
        ValueError: a section or tag is not in its lesson, or a cell has no measured time.
    """
    worked_out, ran = [], defaultdict(int)  # ran: how many cells of each lesson so far
    for block in plan.blocks:
        lesson = list(cells(block.lesson)) if block.lesson else []
        parts = _parts(block, lesson)
        try:
            costs = [seconds[block.lesson, cell.id] if cell.id else 0.0 for cell in lesson]
        except KeyError as missing:
            raise ValueError(f"{TIMINGS.name} lacks {missing}: measure again") from None
        computing, jumps, ran[block.lesson] = _computing(
            block, parts, lesson, costs, ran[block.lesson]
        )
        needs = {
            name: sum(lesson[i].minutes for i in part) + block.predict.get(name, 0)
            for name, part in parts.items()
        }
        needs |= dict.fromkeys(block.past, 0)
        needs |= block.told | block.alone
        minutes = block.minutes or sum(needs.values()) + SLOW * computing / 60
        saved = {name: round(needs[name]) for name in block.late}
        worked_out.append(Row(block, minutes, computing, saved, jumps))
    return worked_out


def _computing(
    block: Block, parts: dict[str, list[int]], lesson: list[Cell], costs: list[float], ran: int
) -> tuple[float, list[str], int]:
    """A block's seconds if the first ``ran`` cells have run, its jumps, and how many ran after."""
    computing, jumps, short = 0.0, [], exercises(block.lesson)
    for name, part in parts.items():
        code = [i for i in part if lesson[i].id]
        if name in short and name in block.alone:
            computing += sum(costs[i] for i in code)
        elif code and (name not in block.told or name in block.past):
            begin, end = code[0], code[-1] + 1
            if any(cell.id for cell in lesson[ran:begin]):  # left out: a jump
                computing += sum(costs[:begin])
                jumps.append(name)
            computing += sum(costs[max(begin, ran) : end])
            ran = max(end, ran)
    return computing, jumps, ran


def _parts(block: Block, lesson: list[Cell]) -> dict[str, list[int]]:
    """The sections of a block by name, and the places of their cells in the lesson."""
    parts = {}
    for part in (*block.together, *block.alone):
        name = _name(part)
        parts[name] = [i for i, cell in enumerate(lesson) if cell.section == name]
        if not parts[name]:
            raise ValueError(f"{block.lesson} has no section {name!r}, named in {block.what!r}")
        if isinstance(part, Part):
            ends = [i for i in parts[name] if part.before in lesson[i].tags]
            if not ends:
                raise ValueError(f"{name!r} of {block.lesson} has no cell tagged {part.before}")
            parts[name] = [i for i in parts[name] if i < ends[0]]
    return parts


def _name(part: str | Part) -> str:
    return part.section if isinstance(part, Part) else part


def table(plan: Plan, seconds: dict[tuple[str, str], float]) -> str:
    """The timetable as Markdown, with its sums and with what it leaves out."""
    worked_out = rows(plan, seconds)
    lines = ["| start | min | what | learners | late? leave out |", "|---|---|---|---|---|"]
    # The clock is rounded, not the blocks: ten of them, each rounded up, would cost five minutes.
    ends = [math.ceil(end) for end in accumulate(row.minutes for row in worked_out)]
    for start, end, row in zip([0, *ends], ends, worked_out, strict=False):
        cells = (_clock(start), end - start, _what(row), row.block.learners, _late(row))
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines.append(f"| {_clock(ends[-1])} | {plan.length - ends[-1]} | in reserve | | |")
    ends_at = {row.block.lesson[:2]: end for end, row in zip(ends, worked_out, strict=True)}
    leave = [f"{number} at {_clock(end)}" for number, end in ends_at.items() if number]
    lines += ["", f"**Checkpoints:** you leave lesson {', '.join(leave)}."]
    doing = f"on their own for {plan.doing} of the {plan.length} minutes"
    lines += ["", f"**Doing:** learners work {doing}; votes take {plan.guessing} more."]
    summary = f"Left out of the {plan.length} minutes"
    lines += ["", f"<details><summary>{summary}</summary>", ""]
    for lesson in dict.fromkeys(block.lesson for block in plan.blocks if block.lesson):
        left = "; ".join(left_out(plan, lesson))
        lines.append(f"- {_link(lesson)}: {left}")
    return "\n".join([*lines, "", "</details>"])


def left_out(plan: Plan, lesson: str) -> list[str]:
    """The sections of a lesson that a plan does not name."""
    named = {name for block in plan.blocks if block.lesson == lesson for name in block.parts}
    sections = dict.fromkeys(cell.section for cell in cells(lesson))
    return [section for section in sections if section not in {*named, START, "Exercise"}]


def _what(row: Row) -> str:
    block = row.block
    shown = []
    for part in block.together:
        note = ["jump"] * (_name(part) in row.jumps) + ["run past"] * (_name(part) in block.past)
        note += [part.note] if isinstance(part, Part) else []
        if minutes := block.predict.get(_name(part)):
            note.append("quick vote" if minutes == QUICK else "vote")
        if minutes := block.told.get(_name(part)):
            note.append(f"told, {minutes} min")
        shown.append(_name(part) + (f" *({'; '.join(note)})*" if note else ""))
    for name, minutes in block.alone.items():
        jump = "jump; " * (name in row.jumps)
        shown.append(f"{name} *({jump}on their own, {minutes} min)*")
    text = f"**{block.what}**"
    if shown:
        text += f"<br>{_link(block.lesson)}: {'; '.join(shown)}"
    if row.seconds:
        text += f"<br>computes {math.ceil(row.seconds)} s"
    return text


def _late(row: Row) -> str:
    if row.saved and set(row.saved) == set(row.block.parts):
        return "all of it"
    return "; ".join(f"{section} ({saved} min)" for section, saved in row.saved.items())


def _link(lesson: str) -> str:
    return f"[{lesson[:2]}](../../notebooks/{lesson}.ipynb)"


def _clock(minutes: int) -> str:
    return f"{minutes // 60}:{minutes % 60:02}"


def rates() -> str:
    """How the minutes are computed, as Markdown."""
    return f"""\
- **Telling:** {WORDS} words a minute, a slow talk. You will tell the text in your own words, and
  that takes no longer.
- **Code:** {LINES} lines a minute: {60 // LINES} seconds to point at one and say what it is for.
- **Looking:** {round(60 * LOOK)} seconds for each code cell: everybody runs it and looks.
- **A vote:** {PREDICT} minutes: one in silence, one for the vote, one for two people's reasons. A
  quick vote: {QUICK} minute.
- **Computing:** the measured seconds, times {SLOW} for a slow laptop. A jump counts in full,
  because it runs everything above again; running past a section takes its computing and no more.
  The tables show the seconds as measured.
- **Working on their own:** an exercise and a hunt have the minutes that the lesson names. Those for
  moving something are in `plans.toml`, and so are those for telling something from the board. All
  of them are a guess.
- **Doing** is the sum of what people do on their own. Votes are counted separately, and running a
  cell together is not counted.
- **Reserve:** {RESERVE} minutes or more, for questions. A test fails when there are fewer."""


def renewed(guide: str) -> str:
    """The guide with its computed parts made again, each between its two comments.

    Raises:
        ValueError: the guide has no place for one of them.
    """
    seconds = timings()
    parts = {plan.name: table(plan, seconds) for plan in plans()} | {"rates": rates()}
    for name, text in parts.items():
        begin, end = f"<!-- timetable: {name} -->", f"<!-- end: {name} -->"
        guide = put(guide, begin, end, text, GUIDE.name)
    return guide


def write() -> None:
    """Renew the timetables in the guide."""
    text = renewed(GUIDE.read_text(encoding="utf-8"))
    GUIDE.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    commands = {"measure": measure, "write": write}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]]()

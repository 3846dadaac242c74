"""The instructor's guide: its timetables fit, its code does what it says, its pages are new."""

import contextlib
import csv
import dataclasses
import io
import re

import lessons
import pytest

from tools import notebooks, timetable
from tools.lessons import lessons as listed

PLANS = {plan.name: plan for plan in timetable.plans()}
USED = sorted({block.lesson for plan in timetable.plans() for block in plan.blocks if block.lesson})
GUIDE = timetable.GUIDE.read_text(encoding="utf-8")


def total(plan, seconds):
    return sum(row.minutes for row in timetable.rows(plan, seconds))


def test_the_guide_is_what_write_would_write():
    assert timetable.renewed(GUIDE) == GUIDE, "renew it: -m tools.timetable write"


@pytest.mark.parametrize("name", PLANS)
def test_a_timetable_fits_and_leaves_a_reserve(name):
    """Without it: the guide says 90 minutes, and the lessons have grown."""
    plan = PLANS[name]
    assert total(plan, timetable.timings()) <= plan.length - timetable.RESERVE


@pytest.mark.parametrize("name", PLANS)
def test_what_runs_during_a_break_is_done_when_it_ends(name):
    for row in timetable.rows(PLANS[name], timetable.timings()):
        if row.block.computes:
            assert timetable.SLOW * row.seconds <= 60 * row.minutes


@pytest.mark.parametrize("lesson", USED)
def test_every_cell_has_a_time_under_its_section(lesson):
    with timetable.TIMINGS.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        timed = [(r["section"], r["cell"]) for r in rows if r["notebook"] == lesson]
    assert timed == [(c.section, c.id) for c in timetable.cells(lesson) if c.id]


@pytest.mark.parametrize("name", PLANS)
def test_a_vote_is_on_a_question_that_the_section_asks(name):
    for block in PLANS[name].blocks:
        together = {getattr(part, "section", part) for part in block.together}
        assert {*block.predict, *block.told} <= together
        for section in block.predict:
            assert re.search(r"\*\*[^*]+[.?]\*\*", text_of(block.lesson, section)), section


def text_of(lesson, section):
    prose = "\n".join(c.source for c in lessons.load(lesson).cells if c.cell_type == "markdown")
    return re.split(rf"^###? {re.escape(section)}$", prose, flags=re.MULTILINE)[1].split("\n##")[0]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"together": ("Sympton",)}, "no section 'Sympton'"),
        ({"alone": {"4 · Another": 5}}, "no section '4 · Another'"),
        ({"together": (timetable.Part("Guard", "gard", ""),)}, "no cell tagged gard"),
    ],
)
def test_a_plan_cannot_name_what_is_not_there(change, complaint):
    block = dataclasses.replace(PLANS["90 minutes"].blocks[2], **change, predict={}, late=())
    with pytest.raises(ValueError, match=complaint):
        timetable.rows(timetable.Plan("wrong", 90, (block,)), timetable.timings())


def test_a_cell_that_was_not_measured_is_named():
    seconds = timetable.timings()
    del seconds["01_bug_permute", "cell-06"]
    with pytest.raises(ValueError, match=r"lacks .+01_bug_permute.+cell-06"):
        timetable.rows(PLANS["90 minutes"], seconds)


def test_minutes_grow_with_the_seconds_of_all_cells_above():
    block = timetable.Block("x", "01_bug_permute", ("Guard",))
    plan = timetable.Plan("one block", 90, (block,))
    none = dict.fromkeys(timetable.timings(), 0.0)
    first = next(cell.id for cell in timetable.cells("01_bug_permute") if cell.id)
    slow = none | {("01_bug_permute", first): 600.0}
    assert total(plan, slow) == pytest.approx(total(plan, none) + timetable.SLOW * 10)


def seconds_of(*blocks):
    """The computing of lesson 01's blocks, where its very first cell takes a minute."""
    seconds = dict.fromkeys(timetable.timings(), 0.0) | {("01_bug_permute", "cell-01"): 60.0}
    plan = timetable.Plan("some", 90, tuple(blocks))
    return [row.seconds for row in timetable.rows(plan, seconds)]


def block(*together, **options):
    return timetable.Block("x", "01_bug_permute", together, **options)


def test_a_jump_runs_everything_above_once_more():
    """Without it: the timetable promises minutes that the jumps take away."""
    assert seconds_of(block(timetable.START), block("Symptom", "Predict", "Reproduce")) == [60, 0]
    assert seconds_of(block(timetable.START), block("Reproduce")) == [60, 60]
    assert seconds_of(block(timetable.START, "Reproduce", "Guard")) == [180]


def test_what_is_told_takes_its_minutes_and_does_not_run():
    told = block(timetable.START, told={timetable.START: 2})
    assert seconds_of(told, block("Symptom")) == [0, 60]
    assert total(timetable.Plan("told", 90, (told,)), timetable.timings()) == 2


def test_an_exercise_is_reached_without_a_jump():
    alone = block(alone={"1 · Back from the pile": 9})
    assert seconds_of(block(timetable.START), alone, block("Symptom")) == [60, 0, 0]


EXERCISES = {
    (block.lesson, name) for p in timetable.plans() for block in p.blocks for name in block.alone
}


@pytest.mark.parametrize(("lesson", "section"), sorted(EXERCISES))
def test_an_exercise_needs_only_the_beginning_of_its_lesson(lesson, section):
    wanted = {c.id for c in timetable.cells(lesson) if c.section in (timetable.START, section)}
    space = {"__name__": "__main__"}
    with contextlib.chdir(notebooks.NOTEBOOKS):
        for cell in lessons.load(lesson).cells:
            if cell.cell_type == "code" and cell.id in wanted:
                exec(cell.source, space)


def test_a_section_up_to_a_tag_ends_in_front_of_it():
    lesson = list(timetable.cells("01_bug_permute"))
    part = timetable.Part("Guard", "guard-package", "the test")
    whole, first = (timetable.Block("x", "01_bug_permute", (p,)) for p in ("Guard", part))
    seconds = dict.fromkeys(timetable.timings(), 0.0) | {
        ("01_bug_permute", c.id): 60.0 for c in lesson if "guard-package" in c.tags
    }
    worked_out = timetable.rows(timetable.Plan("two", 90, (first, whole)), seconds)
    assert [row.seconds for row in worked_out] == [0.0, 60.0]


def test_every_lesson_has_its_paragraph_and_every_bug_its_take_home():
    for path in notebooks.NOTEBOOKS.glob("*.ipynb"):
        title = lessons.load(path.stem).cells[0].source.splitlines()[0].removeprefix("# ")
        part = GUIDE.partition(f"\n### {title}\n")[2].partition("\n### ")[0]
        for words in ("*Objectives:*", "**Do not skip**", "**Predict", "**Discuss:**"):
            assert words in part, (title, words)
        assert ("**Take home.**" in part and "<summary>Solution</summary>" in part) == (
            path.stem < "07" and path.stem not in lessons.HUNTS  # hunts are taken home themselves
        )


def test_every_block_of_the_90_minutes_is_described_with_its_vote():
    described = GUIDE.partition("\n### Block by block\n")[2].partition("\n## ")[0]
    _, *parts = re.split(r"^\*\*(.+)\.\*\*", described, flags=re.MULTILINE)
    _, *planned = PLANS["90 minutes"].blocks
    assert parts[::2] == [block.what.partition(":")[0] for block in planned]
    for block, text in zip(planned, parts[1::2], strict=True):
        options = re.search(r"^\|.*\*\*[a-d]", text, re.MULTILINE)
        assert bool(options) == bool(block.predict), block.what


def blocks(kind, text):
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "part",
    [part for part in re.split(r"^##+ ", GUIDE, flags=re.MULTILINE) if "```python" in part],
    ids=lambda part: part.partition("\n")[0],
)
def test_code_in_the_guide_prints_what_stands_below_it(part):
    code, printed = blocks("python", part), blocks("text", part)
    space = {"__name__": "__main__"}
    for source, expected in zip(code, printed, strict=True):
        out = io.StringIO()
        with contextlib.chdir(notebooks.NOTEBOOKS), contextlib.redirect_stdout(out):
            exec(source, space)
        assert out.getvalue() == expected


def test_the_guide_states_the_minutes_of_the_bug_lessons():
    stated = re.search(r"lessons 01 to 03 say (\d+), (\d+) and (\d+) minutes", GUIDE).groups()
    assert [int(minutes) for minutes in stated] == [lesson.minutes for lesson in listed("bug")]

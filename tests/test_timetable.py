"""The instructor's guide: its timetables fit, its code does what it says, nothing is stale."""

import contextlib
import csv
import dataclasses
import io
import math
import re

import lessons
import pytest

from r3d_helpers.classroom import course
from tools import notebooks, timetable
from tools.lessons import lessons as listed

PLANS = {plan.name: plan for plan in timetable.plans()}
USED = sorted({block.lesson for plan in timetable.plans() for block in plan.blocks if block.lesson})
GUIDE = timetable.GUIDE.read_text(encoding="utf-8")
EACH = timetable.GUIDE.with_name("lesson-by-lesson.md").read_text(encoding="utf-8")


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
def test_learners_do_something_for_a_third_of_the_time(name):
    """Without it: the guide becomes a talk with nine minutes of exercises."""
    plan = PLANS[name]
    breaks = sum(block.minutes for block in plan.blocks if block.what == "Break")
    assert 3 * plan.doing >= plan.length - breaks
    assert all(block.learners for block in plan.blocks)
    assert timetable.plans()[0].doing >= 30


def test_what_people_do_on_their_own_adds_up():
    alone = {"1 · Back from the pile": 9, "The row of memory": 5}
    votes = {"Predict": 3}
    some = timetable.Plan("some", 90, (block("Predict", alone=alone, predict=votes), block()))
    assert (some.doing, some.guessing) == (14, 3)
    assert "on their own for 14 of the 90 minutes; votes take 3 more" in timetable.table(
        some, timetable.timings()
    )


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
        assert {*block.predict, *block.told, *block.past} <= together
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
    """Without it: the timetable leaves out the minutes of the jumps."""
    assert seconds_of(block(timetable.START), block("Symptom", "Predict", "Reproduce")) == [60, 0]
    assert seconds_of(block(timetable.START), block("Reproduce")) == [60, 60]
    assert seconds_of(block(timetable.START, "Reproduce", "Guard")) == [180]


def test_what_is_told_takes_its_minutes_and_does_not_run():
    told = block(timetable.START, told={timetable.START: 2})
    assert seconds_of(told, block("Symptom")) == [0, 60]
    assert total(timetable.Plan("told", 90, (told,)), timetable.timings()) == 2


def test_a_jump_is_marked_and_running_past_saves_it():
    """Without it: learners meet a section in the middle that nobody has announced."""
    start, jump = block(timetable.START), block("Reproduce")
    past = block("Symptom", "Predict", "Reproduce", past=("Symptom", "Predict"))
    assert seconds_of(start, past) == [60, 0]
    for blocks, words in (((start, jump), "Reproduce *(jump)*"), ((start, past), "run past")):
        plan = timetable.Plan("some", 90, blocks)
        text = timetable.table(plan, timetable.timings())
        assert words in text
        assert ("jump" in text) == (words != "run past")
    none = dict.fromkeys(timetable.timings(), 0.0)
    for said in ({}, {timetable.START: 1}):
        passed = block(timetable.START, past=(timetable.START,), told=said)
        assert total(timetable.Plan("some", 90, (passed,)), none) == sum(said.values())
        assert seconds_of(passed) == [60]


def test_an_exercise_is_reached_without_a_jump_and_what_is_moved_is_not():
    exercise, moved = (
        block(alone={name: 5}) for name in ("1 · Back from the pile", "The row of memory")
    )
    assert seconds_of(block(timetable.START), exercise, block("Symptom")) == [60, 0, 0]
    assert seconds_of(block(timetable.START), moved) == [60, 60]


def test_what_may_be_left_out_is_named_with_what_that_saves():
    late = ("Symptom", "Predict")
    some, every = (
        timetable.Plan("some", 90, (block("Symptom", "Predict", late=late[:count]),))
        for count in (1, 2)
    )
    saved = round(timetable.rows(some, timetable.timings())[0].saved["Symptom"])
    assert f"| Symptom ({saved} min) |" in timetable.table(some, timetable.timings())
    assert "| all of it |" in timetable.table(every, timetable.timings())


EXERCISES = {
    (block.lesson, name)
    for plan in timetable.plans()
    for block in plan.blocks
    for name in block.alone
    if name in timetable.exercises(block.lesson)
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
        part = EACH.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
        for words in ("*Objectives:*", "**Do not skip**", "**Predict", "**Discuss:**"):
            assert words in part, (title, words)
        assert ("**Take home.**" in part and "<summary>Solution</summary>" in part) == (
            path.stem < "07" and path.stem not in lessons.HUNTS  # hunts are taken home themselves
        )


def test_every_block_of_the_90_minutes_is_described_with_its_vote():
    described = GUIDE.partition("\n### Block by block\n")[2].partition("\n## ")[0]
    _, *parts = re.split(r"^\*\*(.+?)\.?\*\*", described, flags=re.MULTILINE)
    _, *planned = PLANS["90 minutes"].blocks
    assert parts[::2] == [block.what for block in planned]
    for block, text in zip(planned, parts[1::2], strict=True):
        options = re.search(r"^\|.*\*\*[a-d]", text, re.MULTILINE)
        assert bool(options) == bool(block.predict), block.what


def blocks(kind, text):
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "part",
    [part for part in re.split(r"^##+ ", GUIDE + EACH, flags=re.MULTILINE) if "```python" in part],
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
    stated = re.search(r"lessons 01\s+to 03\s+say (\d+), (\d+) and (\d+) minutes", GUIDE).groups()
    assert [int(minutes) for minutes in stated] == [lesson.minutes for lesson in listed("bug")]


def sections(lesson):
    """The code cells of a lesson as text, each with the section it is in."""
    found = {cell.id: cell.section for cell in timetable.cells(lesson)}
    return [(found[c.id], c.source) for c in lessons.load(lesson).cells if c.cell_type == "code"]


def asked(lesson):
    """The sections of a lesson that ask for a guess, with the letter of the right answer."""
    for section, source in sections(lesson):
        if found := re.search(r'guesses\.ask\("(\w+)"\)', source):
            yield section, course.guess(found[1]).right


def part_of(lesson):
    """What the page of lessons says of one."""
    title = lessons.load(lesson).cells[0].source.splitlines()[0].removeprefix("# ")
    return EACH.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


ALL = sorted(path.stem for path in notebooks.NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize("lesson", ALL)
def test_the_page_of_lessons_names_sections_that_are_there(lesson):
    """Without it: "leave out this section when late", and nobody finds it."""
    there = {cell.section for cell in timetable.cells(lesson)}
    prose = re.sub(r"```.+?```", "", part_of(lesson), flags=re.DOTALL)
    assert {*re.findall(r"(?<!\*)\*([A-Z0-9][^*\n]+[^*\n:])\*(?!\*)", prose)} <= there


@pytest.mark.parametrize("lesson", ALL)
def test_the_page_of_lessons_has_every_guess_and_its_right_letter(lesson):
    """Without it: an instructor prepares for questions that no lesson asks any more."""
    part = part_of(lesson)
    _, *parts = re.split(r"^\*\*Predict, \*(.+?)\*:\*\*", part, flags=re.MULTILINE)
    right = [re.search(r"\*\*([a-d]), right\*\*", text)[1] for text in parts[1::2]]
    assert list(zip(parts[::2], right, strict=True)) == list(asked(lesson))


@pytest.mark.parametrize(
    "lesson", sorted({block.lesson for block in PLANS["90 minutes"].blocks} - {""})
)
def test_a_vote_of_the_90_minutes_has_the_right_letter(lesson):
    described = GUIDE.partition("\n### Block by block\n")[2].partition("\n## ")[0]
    answers = dict(asked(lesson))
    for block in PLANS["90 minutes"].blocks:
        for section in block.predict if block.lesson == lesson else ():
            text = described.partition(f"**{block.what}.**")[2].partition("\n**")[0]
            assert re.search(r"\*\*([a-d]), right", text)[1] == answers[section], section


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_table_of_films_has_everything_that_plays_or_can_be_moved():
    """Without it: a new film has no question, and is played without a purpose."""
    shows = re.compile(r"films\.play\(|(Explorer|Picker|Asker|RowOfMemory)\(")
    there = [
        (path.name, slug(section))
        for path in sorted(notebooks.NOTEBOOKS.glob("*.ipynb"))
        for section, source in sections(path.stem)
        if shows.search(source)
    ]
    table = GUIDE.partition("\n## Films and things to move\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| \[.+?\]\(\.\./\.\./notebooks/(.+?)#(.+?)\)", table, re.MULTILINE)
    assert rows == there
    marked = re.findall(
        r"^\| \[(\d+) · (.+?)\]\(\S+\) \*\*\(90 minutes\)\*\* \|", table, re.MULTILINE
    )
    assert marked
    assert {*marked} <= {(b.lesson[:2], p) for b in PLANS["90 minutes"].blocks for p in b.parts}


def test_how_many_must_have_found_more_is_computed():
    """Without it: a class is told that it has learned something, and the result is chance."""
    part = GUIDE.partition("\n### The hunt before and the hunt after\n")[2].partition("\n## ")[0]
    changed, more = (
        list(map(int, re.findall(r"\d+", re.search(rf"^\| {row}.*$", part, re.MULTILINE)[0])))
        for row in ("learners who changed", "of these, found more")
    )

    def by_chance(least, of):
        return sum(math.comb(of, k) for k in range(least, of + 1)) / 2**of

    for of, least in zip(changed, more, strict=True):
        assert by_chance(least, of) < 1 / 20 <= by_chance(least - 1, of)

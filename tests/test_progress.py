"""Guesses and progress: stored before the answer, answered one by one, without crashes."""

import json
import re

import lessons
import pytest

from r3d_helpers.classroom import __main__ as commands
from r3d_helpers.classroom import course, guesses, printed, progress, survey
from r3d_helpers.classroom.checks import grading
from r3d_helpers.classroom.course import Exercise, Guess
from r3d_helpers.classroom.reveal import Reveal
from tools.lessons import KINDS

EVERY_GUESS, EVERY_EXERCISE = course.GUESSES, course.EXERCISES
WITH_GUESSES = {guess.lesson for guess in EVERY_GUESS}  # these have the line below every exercise

AXES = Guess("00_one", "axes", "how many axes", "b", {"a": "count.", "b": "yes.", "c": "no."})
FRAMES = Guess("01_two", "frames", "which are lost", "a", {"a": "yes.", "b": "no."})
SEVEN = Exercise("00_one", "seven", "1 · Seven", 1, 5)


@pytest.fixture(autouse=True)
def small_course(monkeypatch):
    monkeypatch.setattr(course, "GUESSES", (AXES, FRAMES))
    monkeypatch.setattr(course, "EXERCISES", (SEVEN,))
    monkeypatch.setattr(course, "HUNTS", ())
    monkeypatch.setattr(progress, "_OF_THIS_KERNEL", progress.Progress())


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder of learner's copies, and the kernel is there."""
    (tmp_path / progress.HIDDEN).mkdir()
    (tmp_path / progress.HIDDEN / progress.SOLUTIONS).write_text('{"seven": "<p>seven</p>"}')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@grading.check
def seven(answer):
    if answer != 7:
        raise grading.Wrong("it is more.")
    return "seven it is."


def said(widget):
    return widget.text.value.removeprefix('<div role="status">').removesuffix("</div>")


def test_without_a_guess_there_is_no_reply(mine, capsys):
    assert said(guesses.ask("axes")) == "No guess yet: press a letter, then go on."
    guesses.reply("axes")
    assert capsys.readouterr().out.startswith("No guess yet, so there is no reply")
    assert progress.load().guesses == {}


@pytest.mark.parametrize(
    ("letter", "words"),
    [
        ("a", "You said a, but it is not so: count."),
        ("b", "You said b, and that is right: yes."),
        ("c", "You said c, but it is not so: no."),
    ],
)
def test_each_option_has_its_own_reply(mine, capsys, letter, words):
    guesses.ask("axes").buttons.value = letter
    guesses.reply("axes")
    assert capsys.readouterr().out == f"{words}\n"


def test_a_guess_brings_the_page_its_style(mine):
    """Without it: JupyterLab breaks replies inside words, and figures on a phone are too small."""
    (style,) = [part for part in guesses.ask("axes").children if part.value == printed.STYLE]
    assert style.layout.display == "none"


def test_a_guess_may_change_until_the_answer_is_shown(mine, capsys):
    """Without it: a learner reads the answer, and then changes the guess."""
    asked = guesses.ask("axes")
    asked.buttons.value = "a"
    asked.buttons.value = "c"
    assert said(asked) == "Kept: c. You may change it until the answer is shown."
    guesses.reply("axes")
    asked.buttons.value = "b"
    assert asked.buttons.value == "c"
    assert asked.buttons.disabled
    assert said(asked) == "You said c, and the answer has been shown since."
    again = guesses.ask("axes")  # after a restart
    assert (again.buttons.value, again.buttons.disabled) == ("c", True)
    assert progress.load().guesses["axes"] == progress.Guessed("c", answered=True)


def test_elsewhere_a_guess_lasts_as_long_as_the_kernel(tmp_path, monkeypatch, capsys):
    """Without it: nbval and `make run` write files, and their outputs depend on them."""
    monkeypatch.chdir(tmp_path)
    guesses.ask("axes").buttons.value = "b"
    seven(7)
    guesses.reply("axes")
    assert "You said b" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_a_guess_that_cannot_be_kept_says_so(mine, monkeypatch):
    def full(path):
        raise OSError("no space left")

    asked = guesses.ask("axes")
    monkeypatch.setattr(progress, "replacing", full)
    asked.buttons.value = "b"
    assert said(asked) == "Your guess could not be saved: no space left"
    seven(7)  # goes on


def test_an_unknown_guess_is_named():
    with pytest.raises(KeyError, match="'axis' is not one of axes, frames"):
        guesses.ask("axis")


def test_the_folded_answer_has_every_reply():
    text = guesses.folded(AXES)
    assert "- **a**: count." in text
    assert "- **b**, right: yes." in text
    assert text.startswith("<details><summary>Answer</summary>\n\n")


def test_a_guess_without_a_reply_to_the_right_option_is_an_error():
    with pytest.raises(ValueError, match="'axes': no reply to the right option 'd'"):
        Guess("00_one", "axes", "", "d", {"a": ""})


def test_tries_are_counted_up_to_the_first_right_one(mine, capsys):
    for answer in (..., 1, "seven", 7, 7, 1):
        seven(answer)
    assert progress.load().exercises["seven"] == progress.Tried(tries=3, solved=True)


def test_the_solution_is_seen_by_those_who_ask(mine):
    """Without it: the solution is always visible, or cannot be opened."""
    reveal = Reveal("seven", progress.solution("seven"))
    assert reveal.text.value == ""
    reveal.button.click()
    assert reveal.text.value == '<div role="status"><p>seven</p></div>'
    assert progress.load().exercises["seven"].looked
    reveal.button.click()
    assert reveal.text.value == ""
    assert reveal.button.description == "Show the solution"


def test_a_look_after_the_right_answer_does_not_count(mine):
    seven(7)
    Reveal("seven", "").button.click()
    assert not progress.load().exercises["seven"].looked


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"guesses": [], "exercises": {}}', '{"guesses": {"axes": {"x": 1}}}'],
)
def test_a_damaged_file_is_set_aside(mine, capsys, content):
    """Without it: a lesson stops with an error, or the record is lost."""
    for number in (1, 2):
        (mine / progress.FILE).write_text(content)
        seven(7)
        assert f"renamed to progress-damaged-{number}.json" in capsys.readouterr().out
        assert (mine / f"progress-damaged-{number}.json").read_text() == content
        assert progress.load().exercises["seven"].solved


def test_the_table_says_how_things_stand(mine, capsys):
    progress.show("00")
    assert capsys.readouterr().out.splitlines() == [
        "00  guess     how many axes  no guess yet",
        "00  exercise  1 · Seven      not tried yet",
    ]
    guesses.ask("axes").buttons.value = "a"
    seven(1)
    assert "you said a\n" in progress.table(progress.load())
    assert "tried once" in progress.table(progress.load())
    guesses.reply("axes")
    seven(7)
    assert "you said a, it was b" in progress.table(progress.load())
    assert "solved at try 2" in progress.table(progress.load(), "00")
    assert "which are lost" not in progress.table(progress.load(), "00")


def hand_in(folder, name, axes=None, **tried):
    guessed = {"axes": {"option": axes, "answered": True}} if axes else {}
    record = {"guesses": guessed, "exercises": {"seven": tried} if tried else {}}
    (folder / f"{name}.json").write_text(json.dumps(record))


def test_a_class_shows_what_was_most_often_guessed_wrong(tmp_path, capsys):
    """Without it: an instructor does not see what learners misunderstood."""
    hand_in(tmp_path, "ada", "a", tries=1, solved=True)
    hand_in(tmp_path, "bo", "c", tries=2, solved=True, looked=True)
    hand_in(tmp_path, "cy", "c")
    hand_in(tmp_path, "di", "b")
    (tmp_path / "ed.json").write_text("oops")
    assert commands.main(["class", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "00  how many axes: 3 of 4 wrong, most often c; right is b" in out
    assert "which are lost" not in out  # nobody was asked
    assert "00  1 · Seven: 2 of 2 solved it; 1 looked at the solution before" in out
    assert "di             1      1                0       0" in out
    assert "left out: ed.json is no record of progress" in out


def test_what_most_got_wrong_comes_first(tmp_path):
    progress_of = progress.Progress
    right, wrong = progress.Guessed("b"), progress.Guessed("b")
    table = survey.guesses({"ada": progress_of({"axes": right, "frames": wrong})}).splitlines()
    assert [line[:6] for line in table[1:]] == ["01  wh", "00  ho"]


def test_a_folder_without_files_is_named(tmp_path, capsys):
    assert commands.main(["class", str(tmp_path / "nobody")]) == 1
    assert "nobody: no learner's .json file" in capsys.readouterr().err


def test_a_learner_finds_the_own_table(mine, capsys):
    assert commands.main(["progress"]) == 1
    assert "no progress.json in ., playground, notebooks" in capsys.readouterr().err
    guesses.ask("axes").buttons.value = "a"
    assert commands.main(["progress"]) == 0
    assert "how many axes   you said a" in capsys.readouterr().out
    assert commands.main(["progress", "missing.json"]) == 1
    assert "missing.json: there is no such file" in capsys.readouterr().err


# The course and the lessons


def asked(name):
    """The checks of a lesson, with the heading above each and what stands there."""
    found, heading, below = {}, "", ""
    for cell in lessons.load(name).cells:
        if cell.cell_type == "markdown" and "\n### " in f"\n{cell.source}":
            heading, _, below = f"\n{cell.source}".rpartition("\n### ")[2].partition("\n\n")
        last = cell.source.rstrip().rpartition("\n")[2]
        if cell.cell_type == "code" and (call := re.match(r"checks\.(\w+)\(", last)):
            found[call[1]] = heading, below
    return found


@pytest.mark.parametrize("name", lessons.named(*KINDS))
def test_the_exercises_are_those_of_the_lessons(name):
    """Without it: the progress table counts exercises that do not exist, and the guide has other
    minutes.
    """
    of_lesson = {e.name: e for e in EVERY_EXERCISE if e.lesson == name}
    found = asked(name)
    assert {check: heading for check, (heading, _) in found.items()} == {
        check: exercise.title for check, exercise in of_lesson.items()
    }
    for check, (_, below) in found.items():
        if "*Difficulty" in below or name in WITH_GUESSES:
            assert below.startswith(f"{of_lesson[check].line}\n\n")


@pytest.mark.parametrize("guess", EVERY_GUESS, ids=lambda guess: guess.name)
def test_a_guess_is_asked_answered_and_replied_to(guess):
    """Without it: a letter without a reply, or a reply before the answer."""
    cells = lessons.load(guess.lesson).cells
    at = {cell.source.rpartition("\n")[2]: number for number, cell in enumerate(cells)}
    ask, reply = (at[f'guesses.{verb}("{guess.name}")'] for verb in ("ask", "reply"))
    assert [cells[ask].metadata.tags, cells[reply].metadata.tags] == [["guess"], ["reply"]]
    assert any(cell.cell_type == "code" for cell in cells[ask + 1 : reply])
    letters = re.findall(r"^- \*\*(\w)\)\*\* ", cells[ask - 1].source, re.MULTILINE)
    assert letters == list(guess.replies)
    assert len(letters) >= 3
    for said in guess.replies.values():
        assert said[0].islower()  # it goes on after a colon
        assert said.endswith(".")


def test_names_are_used_once():
    for parts in (EVERY_GUESS, EVERY_EXERCISE):
        assert len({part.name for part in parts}) == len(parts)


def test_the_solution_is_offered_after_a_try(mine, monkeypatch):
    offered = []
    monkeypatch.setattr(grading.reveal, "offer", offered.append)
    seven(...)
    assert offered == []
    seven(1)
    seven(7)
    assert offered == ["seven", "seven"]

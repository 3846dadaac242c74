"""The hunts: every bug shows, every fix counts, and a wrong fix gets its reason."""

import itertools
import json
import re
from string import Template

import lessons
import pytest

from r3d_helpers import guards
from r3d_helpers.classroom import __main__ as commands
from r3d_helpers.classroom import course, hunts, progress, survey
from r3d_helpers.classroom.hunts import desk
from r3d_helpers.classroom.hunts.judge import complaints, judge
from r3d_helpers.classroom.hunts.parts import FAMILIES
from r3d_helpers.classroom.hunts.programs import HUNTS

SEEDS = (0, 1)
RESHAPED = "slides along the colours of the video"
COMPANY = "depends on who else is in the batch"
THROWN_AWAY = "computes something, and gets no gradient"
SAME_PEOPLE = "the same people are on both sides"

# Five wrong repairs, or more: what should stand there, what does, and the reason given.
WRONG = {
    "team": [
        ("block.conv2[0].out_channels", "64", "It stops in line"),
        ("block.conv2.append(Gate(channels))", "block.gate = Gate(channels)", "never used"),
        ("block.conv2.append(Gate(channels))", "pass", "fewer weights"),
        (
            "video.permute(0, 2, 1, 3, 4)",
            "video.reshape(len(video), 3, -1, *video.shape[3:])",
            RESHAPED,
        ),
        ("return self.head(x)", "return self.head(x - x.mean(0))", COMPANY),
        ("scores.sigmoid()", "scores.sigmoid().round()", "a gradient of exactly zero"),
    ],
    "signs": [
        ("video.permute(0, 2, 1, 3, 4)", "video.reshape(B, C, T, H, W)", RESHAPED),
        ("video.permute(0, 2, 1, 3, 4)", "video.permute(0, 2, 1, 4, 3)", "height and width"),
        ("(2 * i + 1) * num_frames // (2 * length)", "num_frames - length + i", "nothing before"),
        ("for i in range(length)]", "for i in range(length - 1)]", "7 come back"),
        ("3d($width)", "3d($width, track_running_stats=False)", COMPANY),
    ],
    "gait": [
        ("people[::4]", "people[:0]", "the test set has no clip"),
        ("[clip for clip in clips if clip not in test], test", "clips, test", SAME_PEOPLE),
        (", batch_first=True", ", batch_first=False", COMPANY),
        (
            "view(B, T, -1)",
            "view(B, T, -1).mean(1, True).expand(B, T, -1)",
            "a repeated input adds no information",
        ),
        ("outputs[:, -1]", "outputs[:, 0]", "never looks at frame 1 to"),
        ("self.head(outputs[:, -1])", "self.head(steps[:, -1] + steps.mean(1))", THROWN_AWAY),
    ],
    "doors": [
        ("places.round()", "places.flip(0).round()", "out of order"),
        ("(0, num_frames - 1, length)", "(0, num_frames, length)", "is not in the video"),
        ("steps.transpose(1, 2)", "steps.contiguous().view(B, -1, T)", "slides along channels"),
        ("moves.amax(2)", "steps.amax(1)", THROWN_AWAY),
        ("steps.transpose(1, 2)", "steps.mean(1, True).transpose(1, 2)", "averaged away"),
    ],
    "lips": [
        ("i * num_frames // length", "i % num_frames", "out of order"),
        ("return layer.gate(output)", "layer.gate(output)", THROWN_AWAY),
        ("scores.sigmoid()", "scores.softmax(dim=0)", COMPANY),
        ("scores.sigmoid()", "scores.sigmoid().round()", "a gradient of exactly zero"),
        (
            "    layer.register_forward_hook(hook)",
            "    layer.register_forward_hook(lambda *given, g=layer.gate: g(given[2]))",
            "a copy of the model still computes",
        ),
    ],
    "cooking": [
        ("x.flatten(2).transpose(1, 2)", "x.reshape(len(x), -1, $width)", "along channels"),
        (", batch_first=True", ", batch_first=False", COMPANY),
        ("nn.Parameter(torch.zeros(1, 18, $width))", "torch.zeros(1, 18, $width)", "fewer weights"),
        (" + self.place", "", "registered and never used"),
        ("        model.train()\n", "", "trained in evaluation mode"),
        ("model.eval()", "model.train()", "evaluated in training mode"),
    ],
    "falls": [
        ("video.transpose(1, 2)", "video.view(len(video), 3, -1, *video.shape[3:])", RESHAPED),
        ("[looks, moves]", "[moves, moves]", THROWN_AWAY),
        ("int(person) % 3 == 0", "int(take) % 2 == 0", SAME_PEOPLE),
        ("int(person) % 3 == 0", "int(person) > 0", "the training set has no clip"),
        (
            "torch.cat([looks, moves], dim=1)",
            "torch.cat([looks, moves], dim=1).softmax(0)",
            COMPANY,
        ),
    ],
    "traffic": [
        ("self.score(steps).softmax(1)", "self.score(steps).softmax(dim=0)", COMPANY),
        ("self.score(steps).softmax(1)", "self.score(steps).softmax(2)", "exactly zero"),
        ("            optimizer.step()\n", "", "training moves no weight"),
        ("x.transpose(1, 2)", "x.contiguous().view(B, -1, T)", "slides along channels"),
        ("        model.train()\n", "", "trained in evaluation mode"),
    ],
    "mice": [
        ("video.transpose(1, 2)", "video.permute(0, 2, 1, 4, 3)", "height and width"),
        ("x.mean((3, 4), keepdim=True)", "x.mean((4, 3, 2), keepdim=True)", "averaged away"),
        ("self.skip(x.mean((2, 3, 4)))", "x.mean((2, 3, 4)).relu()", "registered and never used"),
        ("people[len(people) // 4 :]", "people[-1:]", "most people are held out"),
        ("total += len(labels)", "total += 1", "does not say 0.8"),
    ],
    "before": [
        (", batch_first=True", ", batch_first=False", COMPANY),
        ("view(B, T, -1).transpose(1, 2)", "reshape(B, -1, T)", "slides along channels"),
        ("x = x * self.gate(x).sigmoid()", "y = x * self.gate(x).sigmoid()", THROWN_AWAY),
        ("places.round()", "places.div(2).round()", "nothing after frame 7"),
        ("[clip for clip in clips if clip not in test], test", "clips, test", SAME_PEOPLE),
    ],
    "after": [
        ("video.permute(0, 2, 1, 3, 4)", "video.view(B, C, T, H, W)", RESHAPED),
        (", batch_first=True", ", batch_first=False", COMPANY),
        ("steps + self.extra(steps).relu()", "steps", "registered and never used"),
        ("i * num_frames // length", "i // 2", "that nobody sees"),
        ("clip.person in seen", "clip.person in people", SAME_PEOPLE),
    ],
}


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder of learner's copies, and the kernel is there."""
    (tmp_path / progress.HIDDEN).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(desk, "_LEVELS", {})
    monkeypatch.setattr(desk, "_FOUND", {})
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(("name", "seed"), list(itertools.product(HUNTS, SEEDS)))
def test_the_right_answer_is_right_and_an_untouched_copy_is_not(name, seed):
    """Without it: a hunt cannot be finished, or is finished before it begins."""
    case = desk.case(name, seed)
    assert str(judge(case, case.sound)).startswith("Right: ")
    verdict = judge(case, case.text)
    assert not any(verdict.found)
    ways = "one way" if len(case.bugs) == 1 else f"{len(case.bugs)} ways"
    runs = "stops" if name == "team" else "runs and trains"
    assert f"as you got it. It {runs}, and is wrong in {ways}." in str(verdict)
    assert name == "team" or not complaints(case, case.text)["learns"]


@pytest.mark.slow
# The team's program stops at first. In gait 3 a recurrent layer along the batch loses frames, too.
@pytest.mark.parametrize(
    ("name", "seed"), [*((name, 0) for name in HUNTS if name != "team"), ("gait", 3)]
)
def test_each_repair_counts_whatever_is_left(name, seed):
    """Without it: a bug is fixed, and the count does not change."""
    case = desk.case(name, seed)
    for left in itertools.chain(itertools.combinations(case.bugs, 1),
                                itertools.combinations(case.bugs, len(case.bugs) - 1)):  # fmt: skip
        verdict = judge(case, case.broken(*left))
        assert verdict.found == tuple(bug not in left for bug in case.bugs)
        assert not verdict.reasons


@pytest.mark.slow
@pytest.mark.parametrize("name", HUNTS)
def test_a_wrong_repair_is_refused_with_its_own_reason(name):
    """Without it: different wrong fixes get the same message, or are praised."""
    case = desk.case(name, 0)
    assert len(WRONG[name]) >= 5
    assert len({(old, reason) for old, _, reason in WRONG[name]}) == len(WRONG[name])
    for old, new, reason in WRONG[name]:
        old, new = (Template(text).substitute(case.values) for text in (old, new))
        assert case.sound.count(old) == 1
        verdict = judge(case, case.sound.replace(old, new))
        assert not verdict.right
        assert reason in str(verdict), (new, str(verdict))


def follow(text, hint):
    """Do what the last hint says, to the letter."""
    for right, wrong in re.findall(
        r"Write\n\n```python\n(.*?)\n```\n\nin place of\n\n```python\n(.*?)\n```", hint, re.DOTALL
    ):
        assert text.count(wrong) == 1
        text = text.replace(wrong, right)
    return text


@pytest.mark.slow
@pytest.mark.parametrize(("name", "seed"), list(itertools.product(HUNTS, (0, 2))))
def test_the_hints_lead_to_the_right_answer(mine, capsys, name, seed):
    """Without it: a hint is wrong, or names a place that does not exist."""
    case, text = desk.case(name, seed), desk.case(name, seed).text
    for number in range(1, len(case.bugs) + 1):
        for step in range(1, desk.STEPS + 1):
            hunts.hint(name, seed)
            hint = capsys.readouterr().out
            assert hint.startswith(f"**Hint {step} of 3**")
        text = follow(text, hint)
        hunts.check(text, name, seed)
        said = capsys.readouterr().out
        assert said.startswith("Right" if number == len(case.bugs) else f"{number} of ")
    assert follow(case.text, desk.answer(case)) == case.sound  # and so does the solution
    kept = progress.load().hunts[name]
    assert (kept.found, kept.alone) == (len(case.bugs), 0)


def test_there_are_eight_hunts_and_no_two_alike():
    given = {name: desk.case(name) for name in HUNTS}
    assert len(HUNTS) - len(("team", "before", "after")) >= 8
    assert list(WRONG) == list(HUNTS)
    assert {hunt.name for hunt in course.HUNTS} == set(HUNTS)
    easy, middle, hard = (
        [len(given[h.name].bugs) for h in course.HUNTS[2:-1] if h.difficulty == level]
        for level in (1, 2, 3)
    )
    assert (max(easy), max(middle), max(hard)) == (2, 3, 5)
    families = {name: tuple(sorted(bug.family for bug in c.bugs)) for name, c in given.items()}
    assert families["before"] == families["after"]
    models = [c.sound[c.sound.index("class ") :] for c in given.values()]
    assert len(set(models)) == len(models)
    for case in given.values():
        assert len(case.text.splitlines()) <= 40
    every = {bug.family for hunt in HUNTS.values() for piece in hunt.pieces for bug in piece.bugs}
    assert every == set(FAMILIES)


def test_a_room_does_not_copy():
    """Without it: two neighbours have the same program."""
    for name in set(HUNTS) - {"team"}:
        texts = {desk.case(name, seed).text for seed in range(20)}
        assert len(texts) >= 7, name
    assert len({tuple(b.family for b in desk.case("mice", seed).bugs) for seed in range(20)}) > 2


def test_what_stops_is_named_with_its_line():
    case = desk.case("signs", 0)
    cases = {
        case.sound.replace("return self", "retrun self"): "It stops in line 22",
        case.sound.replace("def pick", "def take"): "no longer has a function `pick`",
        case.sound.replace(case.values["Model"], "Renamed"): "no longer has a class",
        "import os\nos.nothing": "It stops in line 3, `os.nothing`",
        case.sound.replace("super().__init__()", "1 / 0"): "division by zero",
    }
    for text, words in cases.items():
        said = str(judge(case, text))
        assert words in said
        assert len(set(re.findall(r"line \d+", said))) <= 1  # Python's count is without %%hunt


def test_a_repair_that_breaks_something_else_is_noticed():
    """Without it: a model without the gate counts as a solution."""
    case = desk.case("doors", 1)  # its layer along time is not used
    text = case.sound.replace("head(moves.amax(2))", "head(steps.amax(1))")
    text = re.sub(r".*self\.move.*\n", "", text)
    verdict = judge(case, text)
    assert all(verdict.found)
    assert "fewer weights" in str(verdict)


def test_the_number_counts_what_was_found_before_a_hint(mine, capsys):
    case = desk.case("gait", 3)
    hunts.check(case.text, "gait", "3")  # untouched, no try
    assert progress.load().hunts == {}
    hunts.check(case.broken(case.bugs[0]), "gait", "3")
    hunts.hint("gait", 3)
    hunts.check(case.sound, "gait", "3")
    assert progress.load().hunts["gait"] == progress.Hunted(3, 2, 2, 2, 1, 1)
    assert "2 of 2 found, 1 before the first hint" in progress.table(progress.load(), "05")
    assert "hunt" not in progress.table(progress.load(), "00")
    hunts.check(desk.case("gait", 4).text + "\n# mine", "gait", "4")
    assert progress.load().hunts["gait"] == progress.Hunted(4, 2, tries=1)


def test_a_repair_that_breaks_something_is_not_the_full_number(mine, capsys):
    case = desk.case("signs", 0)
    hunts.check(case.sound.replace("video.permute(0, 2, 1", "video.permute(0, 1, 2"), "signs")
    hunts.check(case.sound.replace("3, 4)", "4, 3)"), "signs")
    assert progress.load().hunts["signs"].found == 0


def test_a_first_line_that_is_wrong_is_told(capsys):
    for line in ("sings", "signs seven", ""):
        hunts.check("", *line.split())
        assert "The first line has to be %%hunt, a name and your number" in capsys.readouterr().out
    with pytest.raises(ValueError, match="no hunt 'sings'; there are team, signs"):
        hunts.start("sings")


def test_a_copy_is_handed_out_once(mine, monkeypatch, capsys):
    """Without it: Run All puts a fresh copy above the learner's work."""
    cells = []
    shell = type("Shell", (), {"set_next_input": lambda self, text: cells.append(text)})
    monkeypatch.setattr(desk, "get_ipython", lambda: shell())
    hunts.start("signs", 7)
    hunts.start("signs", 7)
    assert cells == [f"%%hunt signs 7\n{desk.case('signs', 7).text.rstrip()}"]
    assert 'hunts.start("signs", seed=7, again=True)' in capsys.readouterr().out
    hunts.start("signs", 7, again=True)
    hunts.start("signs", 8)
    assert len(cells) == 3


def test_the_buttons_show_a_hint_and_the_solution(mine):
    help_ = desk.Help(desk.case("signs", 0))
    help_.hint.click()
    assert "Hint 1 of 3" in help_.text.value
    help_.solution.click()
    assert "in place of" in help_.text.value
    assert progress.load().hunts["signs"].hints == 2


def test_a_class_is_compared_with_itself(tmp_path):
    """Without it: an instructor cannot tell whether the lessons did anything."""
    for name, before, after in (("ada", 1, 4), ("bo", 2, 2), ("cy", 3, None)):
        kept = {"before": {"seed": 0, "of": 5, "tries": 3, "found": 5, "alone": before, "hints": 1}}
        if after:
            kept["after"] = kept["before"] | {"alone": after}
        record = {"guesses": {}, "exercises": {}, "hunts": kept}
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    said = survey.of(tmp_path)
    assert "ada: 1 of 5 before, 4 of 5 after" in said
    assert "2 did both: 1 found more after, 1 as many, 0 fewer; +1.5 on average" in said
    assert "cy: " not in said


def test_a_record_from_before_there_were_hunts_is_read(mine):
    (mine / progress.FILE).write_text('{"guesses": {}, "exercises": {}}')
    assert progress.load() == progress.Progress()


@pytest.mark.parametrize("name", lessons.HUNTS)
def test_the_hunts_of_a_lesson_are_those_of_the_course(name):
    """Without it: the table counts hunts that do not exist, or a solution belongs to an older
    program.
    """
    cells, found = lessons.load(name).cells, []
    for number, cell in enumerate(cells):
        if call := re.search(r'^hunts\.start\("(\w+)"', cell.source, re.MULTILINE):
            (task,) = [hunt for hunt in course.HUNTS if hunt.name == call[1]]
            above = cells[number - 1].source
            assert f"### {task.title}\n\n{task.line}\n\n" in above
            below = cells[number + 1]
            if task.name in ("before", "after"):  # nobody should see these by chance
                assert "<details>" not in below.source
            else:
                assert below.source == hunts.folded(hunts.case(task.name))
                assert below.metadata.tags == ["solution"]
            found.append(task)
    assert found == [hunt for hunt in course.HUNTS if hunt.lesson == name]


def test_a_program_can_be_asked_in_the_version_that_was_checked_last(mine, monkeypatch):
    """Without it: a learner fixes a bug, and the guard still checks the old program."""
    monkeypatch.setattr(desk, "_TEXTS", {})
    case = desk.case("signs", 0)
    assert hunts.program("signs").pick(30, 8)[-1] == 7
    hunts.check(case.sound, "signs")
    program = hunts.program("signs")
    assert program.pick(30, 8)[-1] == 28
    assert guards.check(program.model, program.video).ok
    with pytest.raises(AttributeError, match="'Sequential' object has no attribute"):
        hunts.program("team")


def test_an_instructor_sees_what_is_wrong_in_a_program(capsys):
    assert commands.main(["hunt", "gait", "3"]) == 0
    assert desk.case("gait", 3).bugs[0].why in capsys.readouterr().out
    assert commands.main(["hunt", "gate"]) == 1
    assert "there is no hunt 'gate'" in capsys.readouterr().err

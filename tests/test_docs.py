"""Pages, and the template of a lesson: what they state is run or compared with its source."""

import ast
import doctest
import functools
import importlib
import importlib.util
import inspect
import math
import re
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import lessons
import nbformat
import pytest
import test_notebooks
import torch
import yaml
from einops import rearrange
from torch import nn
from torchvision.models import resnet18
from torchvision.models.video import r3d_18

import r3d_helpers
from r3d_helpers import R3DEmotion, TrainConfig, _moved, recommended, sampler
from r3d_helpers.classroom import checks, course
from r3d_helpers.config import STAGES
from r3d_helpers.model import SqueezeExcitation3d
from tools import between, drawings, guard_table

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    *DOCS.glob("*/*.md"),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    ROOT / "data_samples" / "README.md",
]
NOTEBOOKS = [*(ROOT / "notebooks").glob("*.ipynb"), DOCS / "maintain" / "template.ipynb"]
SHEET = (DOCS / "learn" / "cheat-sheet.md").read_text()
MAINTAINERS = (DOCS / "maintain" / "maintainers.md").read_text()
TEMPLATE = DOCS / "maintain" / "template.ipynb"
NAME = "../docs/maintain/template"  # as `lessons` counts from notebooks/


def prose(path):
    """The text of a page or a notebook."""
    if path.suffix == ".md":
        return path.read_text()
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


@pytest.mark.parametrize(
    "page", [*PAGES, *NOTEBOOKS], ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_links_lead_somewhere(page):
    """Without it: dead links on a code host. (The book's test also follows anchors.)"""
    for target in re.findall(r"\]\(([^)#]+)", prose(page)):
        assert target.startswith("https://") or (page.parent / target).exists(), target


# The cheat sheet

SIZES = {"B": 2, "T": 5, "C": 3, "H": 16, "W": 24, "N": 2 * 5, "F": 7}
NAMES = {
    "R3DEmotion": R3DEmotion,
    "nn": nn,
    "r3d_18": r3d_18,
    "rearrange": rearrange,
    "resnet18": resnet18,
    "sampler": sampler,
    **SIZES,
}


def table(heading):
    """The rows of the table below a heading of the cheat sheet."""
    section = SHEET.partition(f"\n## {heading}")[2].partition("\n## ")[0]
    rows = [line[2:-2].split(" | ") for line in section.splitlines() if line.startswith("|")]
    return rows[2:]


def code(cell):
    """The first piece of code in a cell."""
    return re.search(r"`(.+?)`", cell).group(1)


def value(cell, **names):
    """What that code is, ``[B, 7]`` in numbers."""
    return eval(code(cell), NAMES | names)


EXAMPLES = sorted(
    p for p in Path(r3d_helpers.__file__).parent.rglob("*.py") if ">>>" in p.read_text("utf-8")
)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_gives_what_its_docstring_shows(path):
    """Without it: people try an example, and get another result."""
    parts = path.relative_to(Path(r3d_helpers.__file__).parents[1]).with_suffix("").parts
    done = doctest.testmod(importlib.import_module(".".join(parts)))
    assert done.attempted > 0
    assert done.failed == 0


@pytest.mark.parametrize(("module", "takes", "gives"), table("Who wants which order"))
def test_a_module_wants_the_order_on_the_sheet(module, takes, gives):
    net = value(module).eval()

    def answer(x):
        with torch.no_grad():
            out = net(x)
        return out[0] if isinstance(net, nn.LSTM) else out

    x = torch.rand(value(takes))
    before = answer(x)
    assert list(before.shape) == value(gives)
    # Other orders may run, too. In this one, nobody's answer depends on another clip or picture.
    axis = re.findall(r"\w", code(takes)).index("N" if "N" in code(takes) else "B")
    x.select(axis, 0).zero_()
    pairs = zip(before.unbind(axis), answer(x).unbind(axis), strict=True)
    changed = [not old.allclose(new, atol=1e-6) for old, new in pairs]
    assert changed == [True] + [False] * (len(changed) - 1)


def test_the_ledger_is_what_r3d_18_computes():
    """Without it: a printed sheet loses its end, or states wrong sizes."""
    rows = table("Sixteen frames of 112")
    net = r3d_18().eval()
    x = torch.rand(value(rows[0][2], B=1))  # [B, T, C, H, W]
    found = {"permute": x.permute(0, 2, 1, 3, 4)}
    with torch.no_grad():
        x = found["permute"]
        for name in STAGES:
            x = found[name] = getattr(net, name)(x)
        found["flatten"] = net.avgpool(x).flatten(1)
    stated = {name: row for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert set(stated) == set(found)
    for name, (_, axes, sizes) in stated.items():
        assert value(sizes, B=1) == list(found[name].shape), name
        assert len(value(axes)) == len(value(sizes)), name
    drawn = drawings.sizes()
    for name in STAGES:
        assert [*drawn[name].values()] == list(found[name].shape), name


@pytest.mark.parametrize(("line", "gives", "does"), table("What a line does"))
def test_a_line_moves_cuts_or_adds(line, gives, does):
    dims = [SIZES[letter] for letter in "BTCHW"]
    x = torch.arange(math.prod(dims)).view(dims)
    out = value(line, x=x)
    assert list(out.shape) == value(gives)
    moved = x.permute(0, 2, 1, 3, 4)
    if does.startswith("moves"):
        assert out.equal(moved)
    else:
        assert does.startswith("adds" if out.ndim > x.ndim else "cuts")
        assert out.flatten().equal(x.flatten())
    assert ("scrambled" in does) == (out.shape == moved.shape and not out.equal(moved))


@pytest.mark.parametrize(("rule", "of_5", "of_40"), table("Where frames are lost"))
def test_a_rule_loses_the_frames_on_the_sheet(rule, of_5, of_40):
    def lost(num_frames):
        kept = torch.tensor(value(rule)(num_frames)).unique().tolist()
        gone = sorted({*range(num_frames)} - {*kept})
        if not gone:
            return "none"
        if gone[0] > kept[-1]:
            return "the last" if len(gone) == 1 else f"the last {len(gone)}"
        assert {b - a for a, b in pairwise(kept)} <= {2, 3}
        return f"{len(gone)}, evenly spread"

    assert (lost(5), lost(40)) == (of_5, of_40)


# The glossary


def slug(heading):
    """The anchor of a heading, as code hosts and the book make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@functools.cache
def sections(path):
    """The text of each section of a page or a notebook, code too, by its anchor."""
    if path.suffix == ".md":
        whole = path.read_text(encoding="utf-8")
    else:
        whole = "\n\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    pieces = re.split(r"^##+ (.+)$", whole, flags=re.MULTILINE)
    found = defaultdict(str, {"": whole})
    for heading, text in zip(pieces[1::2], pieces[2::2], strict=True):
        found[slug(heading)] += f"{heading}\n{text}"
    return dict(found)


GLOSSARY = DOCS / "learn" / "glossary.md"
SUBJECTS = re.split(r"^## .+$", GLOSSARY.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
TERMS = [
    term
    for subject in SUBJECTS
    for term in re.findall(r"^### (.+)\n\n(.+?)$", subject, flags=re.MULTILINE)
]


@pytest.mark.parametrize(("term", "text"), TERMS, ids=[term for term, _ in TERMS])
def test_a_term_is_used_where_the_glossary_says(term, text):
    """Without it: readers who look a word up are sent to a section without it."""
    shown = re.findall(r"\]\((?!https:)([^)#]+)#?([^)]*)\)", text)
    assert shown
    for target, anchor in shown:
        there = sections((GLOSSARY.parent / target).resolve())
        assert anchor in there, (target, anchor)
        used = there[anchor].lower()
        assert any(name in used for name in term.lower().split(", ")), (target, anchor)


PAPERS = {  # a method or a data set, and where its paper has to be
    "notebooks/00_meet_the_clip.ipynb": ["10.1371/journal.pone.0196391"],  # RAVDESS
    "notebooks/01_bug_permute.ipynb": ["1711.11248"],  # R3D-18
    "notebooks/02_bug_se_access.ipynb": ["1709.01507"],  # SE
    "notebooks/03_bug_redundant_lstm.ipynb": ["10.1162/neco.1997.9.8.1735"],  # LSTM
    "notebooks/09_augmentation.ipynb": ["1710.09412", "1905.04899"],  # MixUp, CutMix
    "notebooks/12_explanations.ipynb": ["1610.02391"],  # Grad-CAM
    "docs/learn/how-sure.md": ["10.1023/A:1024068626366"],  # corrected resampled t test
    "docs/learn/glossary.md": ["1711.07240", "1709.01507", "1711.11248"],  # SyncBatchNorm, SE, R3D
    "docs/reference/own-videos.md": ["10.1371/journal.pone.0196391", "10.1109/TAFFC.2014.2336244"],
}


@pytest.mark.parametrize("page", PAPERS)
def test_a_page_links_the_papers_of_its_methods(page):
    for paper in PAPERS[page]:
        host = "doi.org" if paper.startswith("10.") else "arxiv.org/abs"
        assert f"](https://{host}/{paper})" in prose(ROOT / page)


def test_the_glossary_is_in_order_and_has_each_term_once():
    for subject in SUBJECTS:
        terms = re.findall(r"^### (.+)$", subject, re.MULTILINE)
        assert terms == sorted(terms, key=str.lower)
    assert len({term for term, _ in TERMS}) == len(TERMS) == GLOSSARY.read_text().count("\n### ")


# What moved


MOVED = (DOCS / "reference" / "moved.md").read_text()


def moved(heading):
    """The rows of the table below a heading of the page, without its first two lines."""
    section = MOVED.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def named(name):
    """What a module has under a name of the page; FutureWarning says where it is now."""
    module, _, name = f"r3d_helpers.{name}".rpartition(".")
    return getattr(importlib.import_module(module), name)


def test_every_module_that_moved_is_on_the_page():
    tools = {old: f"tools.{new}" for old, new in _moved.TOOLS.items()}
    assert {code(old): code(new) for old, new in moved("Modules")} == _moved.MOVED | tools


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(("old", "new", "said"), moved("Names"))
def test_a_name_that_moved_does_what_the_page_says(old, new, said):
    """Without it: a program of 1.0 stops, and the page says that it works."""
    now = named(code(new))
    if said.startswith("works, and says so"):
        with pytest.warns(FutureWarning, match=rf"{code(old)} is now r3d_helpers.{code(new)}"):
            assert named(code(old)) is now
    elif said == "works":
        assert named(code(old)) is now
    else:
        assert said.startswith("is gone")
        with pytest.raises(AttributeError):
            named(code(old))


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_every_name_of_version_1_works_or_is_on_the_page():
    """Without it: a name is removed, and its users are not told."""
    gone = {code(old) for old, _, said in moved("Names") if said.startswith("is gone")}
    for line in (ROOT / "tests" / "data" / "names_1.0.txt").read_text().split():
        name = line.removeprefix("r3d_helpers.")
        if name not in gone:
            named(name)


def test_the_commands_of_the_page_are_there():
    for _, new in moved("Commands"):
        for module in re.findall(r"python -m ([\w.]+)", new):
            assert importlib.util.find_spec(module), module


def test_the_lessons_of_the_page_are_all_there_are_from_05_on():
    old, new = zip(*moved("Lessons"), strict=True)
    for name in re.findall(r"`(\w+)`", " ".join(old)):
        assert not (ROOT / "notebooks" / f"{name}.ipynb").exists()
    there = {path.stem for path in NOTEBOOKS} - {"template"}
    assert {*re.findall(r"\[(\w+)\]", " ".join(new))} == {
        name for name in there if name > "05" or name in lessons.HUNTS
    }


def test_the_page_states_the_defaults_of_today():
    rows = {what: now for what, _, now, _ in moved("What gives other numbers")}
    assert float(rows["`TrainConfig().lr`"]) == TrainConfig().lr
    assert ("--lean" in rows["`python -m r3d_helpers train` makes"]) == recommended.LEAN


# The published fix


def program(sign):
    """One side of the diff on the page: its class, defined."""
    page = (DOCS / "learn" / "published-fix.md").read_text()
    (diff,) = re.findall(r"```diff\n(.+?)```", page, re.DOTALL)
    text = "\n".join(line[1:] for line in diff.splitlines() if line[:1] in (" ", sign, ""))
    space = {"nn": nn, "r3d_18": r3d_18, "sampler": sampler}
    space["SqueezeExcitation3d"] = SqueezeExcitation3d
    exec(text, space)
    return space["EmotionModel"], diff


def test_the_broken_lines_of_the_diff_are_those_of_the_lessons():
    """Without it: the page shows another broken program than the lessons do."""
    tags = ("bug-permute", "bug-access", "bug-batch-as-time")
    cells = [lessons.cell(*named) for named in zip(lessons.BUG_LESSONS, tags, strict=True)]
    shown = "\n".join(cell.source for cell in cells)
    for line in re.findall(r"^- +(.+)$", program("-")[1], re.MULTILINE):
        assert line.replace("features = ", "return ") in shown


def test_the_broken_side_of_the_diff_fails_three_times(monkeypatch):
    broken, _ = program("-")
    with pytest.raises(AttributeError, match="no attribute 'out_channels'"):
        broken()
    monkeypatch.setattr(nn.Sequential, "out_channels", 256, raising=False)
    model = broken().eval()
    video = torch.rand(2, 16, 3, 16, 16)
    with pytest.raises(RuntimeError, match=r"input.dim\(\) = 4 is not equal to len"):
        model(video)
    features = torch.rand(3, 512)  # what is left of three videos
    alone, beside = (model.lstm(x)[0][-1] for x in (features[2:], features))
    assert not alone.allclose(beside)  # the last one depends on the others


def test_the_right_side_of_the_diff_is_the_package_with_the_published_sampler():
    right, _ = program("+")
    model, package = right().eval(), R3DEmotion(7).eval()
    mine, theirs = model.state_dict(), package.state_dict()
    assert [list(v.shape) for v in mine.values()] == [list(v.shape) for v in theirs.values()]
    package.load_state_dict(dict(zip(theirs, mine.values(), strict=True)))
    video = torch.rand(2, 5, 3, 16, 16)
    with torch.no_grad():
        assert model(video).equal(package(video[:, sampler.published(5)]))


# The template


# What `test_notebooks` asks of one lesson; but the template has one exercise, not three.
RULES = [
    rule
    for name, rule in vars(test_notebooks).items()
    if name.startswith("test_") and [*inspect.signature(rule).parameters] == ["path"]
]
RULES.remove(test_notebooks.test_every_exercise_has_a_folded_solution_below)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_template_keeps_the_rules_of_a_lesson(rule):
    """Without it: new lessons start from a pattern that breaks the rules."""
    rule(TEMPLATE)


def test_the_bug_of_the_template_is_real():
    space, errors = lessons.run(NAME)
    assert set(errors) == {"symptom", "reproduce"}
    for tag, error in errors.items():
        assert "The size of tensor a (5) must match the size of tensor b (3)" in str(error)
        assert lessons.stored_error(NAME, tag) == (type(error).__name__, str(error))
    space["guard"](space["fixed"])
    with pytest.raises(AssertionError, match="does not average to zero"):
        space["guard"](space["over_people"])


def test_the_exercise_of_the_template_has_a_stub_two_hints_and_a_solution(capsys):
    ((tag, (stub, solution)),) = lessons.solutions(NAME).items()
    assert lessons.stored_text(NAME, tag).startswith("Not attempted: ")
    text = "".join(cell.source for cell in lessons.load(NAME).cells)
    assert re.findall(r"<summary>(Hint.*?)</summary>", text) == [
        "Hint 1: a direction",
        "Hint 2: a step",
    ]
    assert f"\n\n{course.exercise('keep_time').line}\n\n" in text
    exec(f"{solution}\n{stub.splitlines()[-1]}", {"checks": checks})
    assert capsys.readouterr().out.startswith("Right: ")


# The page for maintainers


def test_every_test_on_the_page_exists():
    named = re.findall(r"`(test_\w+)\.(test_\w+)`", MAINTAINERS)
    assert named
    for module, test in named:
        tree = ast.parse((ROOT / "tests" / f"{module}.py").read_text())
        assert test in {getattr(node, "name", None) for node in tree.body}, f"{module}.{test}"


def test_the_tables_of_guards_are_those_of_the_tests():
    text = guard_table.PAGE.read_text(encoding="utf-8")
    made = between.put(text, guard_table.BEGIN, guard_table.END, guard_table.table(), "page")
    assert made == text, "renew it: python -m tools.guard_table"


def test_every_file_of_tests_goes_with_a_file_or_has_guards():
    folders = ("r3d_helpers", "tools", "benchmarks")
    sources = {path.stem.strip("_") for name in folders for path in (ROOT / name).rglob("*")}
    for path in (ROOT / "tests").glob("test_*.py"):
        about = path.stem.removeprefix("test_")
        named = {about, about.partition("_")[0]} & {*sources, *folders}
        assert named or guard_table.guards(path), path.name


def test_the_script_on_the_page_makes_a_notebook(tmp_path, monkeypatch):
    (script,) = re.findall(r"```python\n(.+?)```", MAINTAINERS, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(inspect.cleandoc(script), {})
    made = nbformat.read("14_my_lesson.ipynb", as_version=4)
    assert test_notebooks.problems(made) == []


# Versions and commands


def test_the_newest_version_is_that_of_the_package():
    """Without it: a release without a list of its changes."""
    newest, *_ = re.findall(r"^## (\d\S+) · ", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest == r3d_helpers.__version__


def test_every_command_on_the_pages_is_one():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for page in PAGES:
        assert set(re.findall(r"\bmake ([a-z]+)`", page.read_text())) <= set(targets), page


def test_the_citation_is_of_the_newest_version():
    """Without it: people cite a release that is not the one they used."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    newest = re.search(r"^## (\S+) · (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert (cited["version"], cited["date-released"]) == newest.groups()
    assert {"cff-version", "message", "title", "authors"} <= set(cited)

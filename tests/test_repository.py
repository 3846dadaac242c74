"""The repository keeps its rules: versions written once, imports one way, small files, style."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import sharing
import torch

from r3d_helpers import _moved
from tools.lessons import lessons

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "r3d_helpers"

UNEXPLAINED = ("start", "training", "hunt")  # lessons that no symptom leads to
DRAWING = {"r3d_helpers/classroom/actors.py"}


def lint_imports(folder):
    """What import-linter says of the package and the tools in ``folder``; empty if all is well."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert "Contracts:" in done.stdout, done.stdout + done.stderr
    return "" if done.returncode == 0 else done.stdout


@pytest.mark.slow  # `make check` asks it itself, and what two tests below ask
def test_the_law_over_imports_holds():
    """Without it a file imports from a folder above it, and cannot be read alone."""
    assert lint_imports(ROOT) == ""
    assert "ignore_imports" not in (ROOT / "pyproject.toml").read_text()


AGAINST_IT = {  # an import that a file must not have, and what is said of it
    ("video", "from .apply import cache"): "video -> r3d_helpers.apply.cache",
    ("apply/crops", "from ..studies import sweep"): "crops -> r3d_helpers.studies.sweep",
    ("__main__", "from .classroom import plots"): "__main__ -> r3d_helpers.classroom.plots",
    ("studies/sweep", "from ..classroom import actors"): "sweep -> r3d_helpers.classroom.actors",
    ("apply/cache", "from tools import book"): "cache -> tools.book",
    ("apply/plots", "from . import runs"): "No cycles are allowed in r3d_helpers.apply",
    ("../tools/wheels", "from . import workshop"): "No cycles are allowed in tools",
    ("../tools/notebooks", "from . import book"): "notebooks is not allowed to import tools.book",
}


def copy_of_sources(folder):
    for name in ("r3d_helpers", "tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.fixture(scope="module")
def complaints(tmp_path_factory):
    """What is said of a copy with every import that is against the law."""
    folder = copy_of_sources(tmp_path_factory.mktemp("copy"))
    for file, line in AGAINST_IT:
        with (folder / "r3d_helpers" / f"{file}.py").open("a") as source:
            source.write(f"\n\ndef _late():\n    {line}\n")
    return lint_imports(folder)


@pytest.mark.parametrize("words", AGAINST_IT.values())
def test_the_law_sees_an_import_against_it(complaints, words):
    assert words in complaints


def test_the_law_sees_a_file_without_a_place(tmp_path):
    (copy_of_sources(tmp_path) / "r3d_helpers" / "newcomer.py").touch()
    assert "not listed as layers:\n\n- r3d_helpers.newcomer" in lint_imports(tmp_path)


@pytest.mark.parametrize("name", ["r3d_helpers", "tools"])
def test_every_file_can_be_read_at_one_sitting(name):
    """Without it files grow until nobody reads one as a whole."""
    for path in (ROOT / name).rglob("*.py"):
        if path.relative_to(ROOT).as_posix() not in DRAWING:
            assert len(path.read_text().splitlines()) <= 400, path


OLD_PATHS = {
    "import r3d_helpers.cache": "r3d_helpers.apply.cache",
    "from r3d_helpers import faces": "r3d_helpers.classroom.actors",
    "from r3d_helpers.crops import FaceCrop": "r3d_helpers.apply.crops",
    "r3d_helpers.tuning.SPACE": "r3d_helpers.studies.tuning",
    "from r3d_helpers.trainer import load": "r3d_helpers.checkpoint.load",
    "from r3d_helpers.datasets import describe": "r3d_helpers.apply.overview.describe",
}


@pytest.fixture(scope="module")
def answered():
    """The one warning of each old path, in order."""
    command = [sys.executable, "-c", "\n".join(OLD_PATHS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    return [line for line in lines if "Warning: " in line]  # Python 3.13 shows the code, too


@pytest.mark.parametrize("line", OLD_PATHS)
def test_an_old_import_path_works_and_answers_with_the_new_one(answered, line):
    assert len(answered) == len(OLD_PATHS)
    warning = answered[list(OLD_PATHS).index(line)]
    assert "FutureWarning: r3d_helpers." in warning
    assert warning.endswith(f" is now {OLD_PATHS[line]}")


def test_old_and_new_path_are_one_module():
    with pytest.warns(FutureWarning, match=r"r3d_helpers\.crops is now r3d_helpers\.apply\.crops"):
        sys.modules.pop("r3d_helpers.crops", None)
        old = importlib.import_module("r3d_helpers.crops")
    assert old is importlib.import_module("r3d_helpers.apply.crops")
    assert old.__spec__.name == old.__name__ == "r3d_helpers.apply.crops"


def test_an_old_path_of_a_tool_says_where_it_is():
    with pytest.raises(ImportError, match=r"notebooks is now tools\.notebooks, in the repository$"):
        exec("from r3d_helpers.classroom import notebooks", {})


def test_every_old_import_path_leads_somewhere():
    for new in _moved.MOVED.values():
        importlib.import_module(new)
    for name in _moved.TOOLS.values():
        importlib.import_module(f"tools.{name}")


def test_the_permute_happens_in_one_place():
    """Without it: two places move the axes: the bug of lesson 01, in the package that fixes it."""
    text = "".join((PACKAGE / f"{name}.py").read_text() for name in ("model", "trainer"))
    assert text.count(".permute(") == 1


@pytest.mark.slow
def test_ruff_finds_nothing():
    """Without it: style is discussed in reviews."""
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_pyrefly_finds_nothing():
    """Without it: users find the call that names an argument wrongly."""
    command = [str(Path(sys.executable).with_name("pyrefly")), "check"]
    command += ["--python-interpreter-path", sys.executable]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_quick_check_leaves_out_what_is_slow(request):
    """Without it: `make check` takes minutes, and people stop using it."""
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").glob("test_*.py")}
    lessons = {path.relative_to(ROOT).as_posix() for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert files | lessons >= sharing.SLOW
    assert all(map(sharing.slow, lessons))
    fast = {name for name in files if not sharing.slow(name)}
    assert {f"tests/test_{name}.py" for name in ("sampler", "trainer", "video", "guards")} <= fast
    for name in fast - {"tests/test_repository.py"}:  # these words are slow wherever they are
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"distributed\.run|NotebookClient", text), name
    for item in request.session.items:
        if "chromium" in getattr(item, "fixturenames", ()):
            assert item.get_closest_marker("slow"), item.nodeid
    assert '-m "not slow"' in (ROOT / "Makefile").read_text()


def test_make_clean_removes_what_make_made_and_nothing_else(tmp_path):
    """Without it: `make clean` deletes a week's runs."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    stays = {"runs/04/best", "playground/a.ipynb", ".venv/x", "cache/a", "figures/a", "my.mp4"}
    goes = {"build/book/a", ".ruff_cache/a", ".hypothesis/a", "tests/__pycache__/a"}
    for name in ("benchmarks/a", "docs/a", "r3d_helpers/a", "tests/a", "tools/a"):
        stays.add(name)
    stays |= {"playground/__pycache__/a"}
    for name in (*stays, *goes):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True)
    left = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert left == {*stays, "Makefile"}


def test_constraints_pin_every_dependency_within_its_range():
    """Without it: a fresh clone installs versions that nobody has tested."""
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    pins = {name.lower(): version for name, version in pins.items()}
    extras = project["optional-dependencies"].values()
    for text in [*project["dependencies"], *(text for extra in extras for text in extra)]:
        requirement = Requirement(text)
        if requirement.name == project["name"]:  # one extra asks for another
            continue
        assert requirement.specifier.contains(pins[requirement.name.lower()]), text


def test_conda_installs_through_the_same_two_files():
    """Without it: conda users get another set."""
    text = (ROOT / "environment.yml").read_text()
    assert "-c constraints.txt" in text
    assert "-e .[test]" in text
    assert "==" not in text


@pytest.mark.skipif("PYTEST_XDIST_WORKER_COUNT" not in os.environ, reason="one process has it all")
def test_processes_side_by_side_share_the_cores():
    """Without it: two processes with two threads each take four times as long."""
    assert torch.get_num_threads() == int(os.environ["OMP_NUM_THREADS"])


def test_the_longest_tests_begin_and_lessons_follow_what_they_load():
    """Without it: a file is renamed and begins last, or a lesson finds no model."""
    assert all((ROOT / name).is_file() for name in sharing.LONGEST)
    trains = {sharing.group(f"notebooks/{lesson.name}.ipynb") for lesson in lessons()}
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        after = json.loads(path.read_text(encoding="utf-8"))["metadata"]["lesson"].get("after", ())
        groups = {sharing.group(f"notebooks/{name}.ipynb") for name in (path.stem, *after)}
        assert len(groups) == 1, path.stem
    assert 1 < len(trains) < len(lessons())


def test_make_lists_its_commands():
    """Without it: a command exists that `make` does not name."""
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    commands = ("setup", "run", "test", "check", "lab", "book", "workshop", "timings", "refresh")
    for command in (*commands, "clean"):
        assert f"make {command}" in done.stdout


def test_symptom_index_leads_to_a_section_that_has_the_words():
    """Without it: a reader looks up an error, and the section does not explain it."""
    page = ROOT / "docs" / "learn" / "symptoms.md"
    index = page.read_text()
    row = r"^\| (.+) \| \[(\d\d)\]\((.+)#.+\) · (.+) \|$"  # the book's test follows the anchor
    rows = re.findall(row, index, re.MULTILINE)
    explained = {f"{lesson.order:02}" for lesson in lessons() if lesson.kind not in UNEXPLAINED}
    assert {number for _, number, _, _ in rows} == explained
    assert len(rows) == index.count("notebooks/")
    for symptom, number, target, section in rows:
        assert target.startswith(f"../../notebooks/{number}_")
        notebook = json.loads((page.parent / target).read_text())
        prose = "\n".join("".join(cell["source"]) for cell in notebook["cells"])
        assert re.search(rf"^###? {re.escape(section)}$", prose, re.MULTILINE), section
        errors = [o.get("evalue", "") for c in notebook["cells"] for o in c.get("outputs", ())]
        words = " ".join([prose, *errors, json.dumps(notebook)]).replace("\n", " ")
        for quoted in re.findall(r"`([^`]+)`", symptom):
            assert quoted in words, quoted


def test_committed_files_are_small():
    """Without it: a checkpoint gets into git, and every clone carries it for ever."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    for name in done.stdout.splitlines():
        assert (ROOT / name).stat().st_size < 1.5e6, name

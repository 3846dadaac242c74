"""The house keeps its rules: versions written once, no arrow up, small files, tidy code."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "r3d_helpers"

# What each room may import of ours (relative names); anything left out may import all below.
MAY_IMPORT = {
    "_torchvision": set(),
    "sampler": set(),
    "video": set(),
    "augment": set(),
    "crops": {"video"},
    "cache": {"video", "crops"},
    "datasets": {"video", "sampler", "crops", "cache"},
    "model": {"sampler"},
    "trainer": {"model"},
    "explain": {"model", "datasets", "video", "sampler", "crops"},
    "faces": {"video", "datasets"},
    "doctor": {"_torchvision", "video"},
}
TOOLS = {"_torchvision", "doctor", "faces"}  # beside a clip's way from file to score


def imports_of_ours(path):
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            found |= {node.module} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("r3d_helpers"):
            module = node.module.partition(".")[2]
            found |= {module} if module else {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_no_arrow_runs_up(room):
    assert imports_of_ours(PACKAGE / f"{room}.py") <= MAY_IMPORT[room]


def test_the_permute_happens_in_one_place():
    text = "".join((PACKAGE / f"{room}.py").read_text() for room in ("model", "trainer"))
    assert text.count(".permute(") == 1


def test_what_a_clip_passes_through_stays_small():
    lines = 0
    for room in MAY_IMPORT.keys() - TOOLS:
        source = (PACKAGE / f"{room}.py").read_text()
        tree = ast.parse(source)
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
        docstrings = set()
        for node in ast.walk(tree):
            if isinstance(node, documented) and ast.get_docstring(node):
                docstrings |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
        for number, line in enumerate(source.splitlines(), 1):
            code = line.strip() and not line.strip().startswith("#")
            lines += bool(code and number not in docstrings)
    assert lines < 1500


def test_ruff_finds_nothing():
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_constraints_pin_every_dependency_within_its_range():
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    pins = {name.lower(): version for name, version in pins.items()}
    extras = project["optional-dependencies"]
    for text in [*project["dependencies"], *extras["book"], *extras["test"]]:
        requirement = Requirement(text)
        if requirement.name == project["name"]:  # one extra asks for another
            continue
        assert requirement.specifier.contains(pins[requirement.name.lower()]), text


def test_conda_installs_through_the_same_two_files():
    text = (ROOT / "environment.yml").read_text()
    assert "-c constraints.txt" in text
    assert "-e .[test]" in text
    assert "==" not in text


def test_make_lists_its_commands():
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    for command in ("setup", "run", "test", "lab", "book", "workshop", "timings", "refresh"):
        assert f"make {command}" in done.stdout


def test_readme_links_lead_somewhere():
    text = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_symptom_index_leads_to_a_section_that_has_the_words():
    page = ROOT / "docs" / "learn" / "symptoms.md"
    index = page.read_text()
    row = r"^\| (.+) \| \[(\d\d)\]\((.+)#.+\) · (.+) \|$"  # the book's test follows the anchor
    rows = re.findall(row, index, re.MULTILINE)
    assert {number for _, number, _, _ in rows} == {
        *("01", "02", "03", "05", "06", "07", "08", "09", "10")
    }
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
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    for name in done.stdout.splitlines():
        assert (ROOT / name).stat().st_size < 1.5e6, name

"""The zip for a room without a network: what is in it, and what its start.py says."""

import ast
import contextlib
import ensurepip
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import lessons
import nbformat
import packaging
import pytest

from tools import copies, notebooks, wheels, workshop
from tools.learner import run, start

LESSONS = sorted(notebooks.NOTEBOOKS.glob("*.ipynb"))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The zip's content without the wheels."""
    folder = tmp_path_factory.mktemp("workshop") / "tree"
    workshop.assemble(folder)
    return folder


def read(tree, path):
    return nbformat.read(tree / "notebooks" / path.name, as_version=4)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_loses_outputs_and_solutions_and_nothing_else(tree, path):
    """Without it: learners can read what they are asked to guess, or miss a cell."""
    before, after = nbformat.read(path, as_version=4), read(tree, path)
    nbformat.validate(after)
    assert all(c.outputs == [] and c.execution_count is None for c in code_cells(after))
    assert [c.source for c in code_cells(after)] == [c.source for c in code_cells(before)]
    assert "widgets" not in after.metadata
    text = prose(after)
    folds = re.findall(r"<summary>(.*?)</summary>", text)
    assert {fold.split()[0].rstrip(":") for fold in folds} <= {"Hint", "Answer"}
    hints = [fold for fold in folds if fold.startswith("Hint")]
    kept = [cell for cell in before.cells if copies.SOLUTION not in cell.metadata.get("tags", ())]
    assert len(hints) == sum(cell.source.count("<summary>Hint") for cell in kept)
    for _, code in lessons.solutions(path.stem).values():
        assert code.strip() not in text
    folded = sum("<summary>Solution" in cell.source for cell in before.cells)
    assert len(before.cells) - len(after.cells) == folded


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook):
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def test_every_exercise_to_take_home_is_there_and_runs(tree):
    """Without it: learners go home without an exercise, or with its solution."""
    page = (workshop.ROOT / "docs" / "teach" / "lesson-by-lesson.md").read_text(encoding="utf-8")
    notebook = nbformat.read(tree / "notebooks" / "take_home.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert prose(notebook).count("**Take home.**") == page.count("\n**Take home.**") == 6
    assert len(code_cells(notebook)) == 6
    for part in re.split(r"^## ", page, flags=re.MULTILINE):
        if "\n**Take home.**" in part:
            assert f"\n## {part.splitlines()[0]}\n\n**Take home.**" in f"\n{prose(notebook)}"
            _, *hidden = re.findall(r"^```\w+\n(.*?)^```$", part, re.DOTALL | re.MULTILINE)
            for text in hidden:  # what it prints, the solution, what that prints
                assert text not in "\n".join(cell.source for cell in notebook.cells)
    assert "Solution" not in prose(notebook)
    space = {"__name__": "__main__"}
    with contextlib.chdir(tree / "notebooks"):
        for cell in code_cells(notebook):
            exec(cell.source, space)


def test_links_of_the_lessons_lead_somewhere(tree):
    for path in LESSONS:
        for target in re.findall(r"\]\(([^)#]+)", prose(read(tree, path))):
            assert target.startswith("https://") or (tree / "notebooks" / target).exists(), target


def test_the_zip_holds_what_is_needed_and_no_litter(tree, tmp_path):
    for litter in ("notebooks/.ipynb_checkpoints", "r3d_helpers/__pycache__"):
        assert not (tree / litter).exists()
    workshop.pack(tree, tmp_path / "a.zip")
    workshop.pack(tree, tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as a, zipfile.ZipFile(tmp_path / "b.zip") as b:
        names = a.namelist()
        assert names == b.namelist() == sorted(names)
    assert all(name.startswith("r3d-workshop/") for name in names)
    litter = r"__pycache__|/\.(?!r3d/)|\.pyc|runs/|playground|tests/"
    assert not [name for name in names if re.search(litter, name)]
    assert sum(name.endswith(".mp4") for name in names) == 840
    sheet = "docs/learn/cheat-sheet.md"
    assert not [n for n in names if n.startswith("r3d-workshop/tools")]
    for name in (workshop.READ_FIRST, "start.py", "run.py", "LICENSE", "constraints.txt", sheet):
        assert f"r3d-workshop/{name}" in names


def test_the_zip_names_no_folder_of_this_machine(tree):
    for path in tree.rglob("*"):
        if path.suffix in (".py", ".ipynb", ".md", ".txt", ".toml", ".csv"):
            assert str(workshop.ROOT) not in path.read_text(encoding="utf-8"), path


def test_doctor_knows_where_it_is(tree):
    code = "from r3d_helpers import doctor; print(doctor.SAMPLES, doctor.INSTALL)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tree, capture_output=True, text=True)
    assert done.stdout == f"{tree / 'data_samples'} delete `.venv` and run `start.py` again\n"


def test_what_is_read_first_names_what_there_is(tree):
    """Without it: learners look for files that are not there, or read the page for a clone."""
    assert {path.name for path in tree.glob("*.txt")} == {"START-HERE.txt", "constraints.txt"}
    for name in re.findall(r"^(\S+[/.]\S*)  ", workshop.STEPS, re.MULTILINE):
        assert (tree / name).exists() or name == "notebooks/progress.json", name


# Which wheels


def wheel(folder, name, *requires, tag="py3-none-any", version="1.0"):
    """A wheel that has metadata and no code."""
    path = folder / f"{name}-{version}-{tag}.whl"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{info}/METADATA", "\n".join(lines) + "\n")
        file.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        file.writestr(f"{info}/RECORD", "")


REGISTRY = {
    "click": [
        'colorama; sys_platform == "win32"',
        'pexpect; sys_platform != "win32"',
        'turbo; extra == "fast"',
    ],
    "colorama": [],
    "pexpect": ['old; python_version < "3.12"'],
    "old": [],
    "jupyter": ['click[fast]; platform_system != "Java"', 'pytest; extra == "test"'],
    "turbo": ["click"],
}


@pytest.fixture
def registry(monkeypatch, tmp_path):
    """Instead of pip, a registry of a few wheels; the project needs one of them."""

    def download(requirements, target, folder, *options):
        for requirement in requirements:
            name = re.match(r"\w+", requirement)[0]
            wheel(folder, name, *REGISTRY.get(name, []))

    monkeypatch.setattr(wheels, "_download", download)
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "kit"\ndependencies = ["turbo"]\n[project.optional-dependencies]\n'
        'lessons = ["kit[more]"]\nmore = ["jupyter>=1"]\n'
    )
    (tmp_path / "constraints.txt").write_text("torch==2.13.0\ntorchvision==0.28.0\n")
    monkeypatch.setattr(wheels, "ROOT", tmp_path)


@pytest.mark.parametrize(
    ("platform", "python", "more"),
    [
        ("win_amd64", "3.12", {"colorama"}),
        ("macosx_14_0_arm64", "3.12", {"pexpect"}),
        ("manylinux_2_28_x86_64", "3.11", {"pexpect", "old"}),
    ],
)
def test_wheels_are_those_that_the_other_machine_needs(registry, tmp_path, platform, python, more):
    wheels.gather(wheels.Target(platform, python), tmp_path)
    always = {"torch", "torchvision", "pip", "setuptools", "jupyter", "click", "turbo"}
    assert {path.name.split("-")[0] for path in tmp_path.glob("*.whl")} == always | more


def test_linux_gets_the_cpu_build_of_torch(monkeypatch):
    def asked(platform, installed="2.13.0"):
        monkeypatch.setattr(wheels.importlib.metadata, "version", lambda _: installed)
        wanted, index = wheels._torch(wheels.Target(platform, "3.12"))
        return wanted[0].partition("==")[2].partition("+")[2], index

    index = "https://download.pytorch.org/whl/"
    assert asked("manylinux_2_28_x86_64") == ("cpu", f"{index}cpu")
    assert asked("win_amd64") == asked("macosx_14_0_arm64") == ("", None)
    assert asked(None) == ("", None)
    assert asked(None, "2.13.0+cpu") == ("cpu", f"{index}cpu")
    assert asked(None, "2.13.0+cu130") == ("cu130", f"{index}cu130")


def test_wheels_for_an_older_glibc_are_accepted():
    options = wheels.Target("manylinux_2_28_x86_64", "3.12").pip_options()
    assert "--platform=manylinux_2_17_x86_64" in options
    assert "--platform=manylinux_2_29_x86_64" not in options


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--platform", "windows"], "'windows' is none of win_amd64"),
        (["--platform", "win_amd64", "--python", "3.10"], "'3.10' is no version such as 3.12"),
        (["--python", "3.12"], "--python goes with --platform"),
    ],
)
def test_a_bad_argument_is_named(capsys, argv, words):
    with pytest.raises(SystemExit) as stopped:
        workshop.main(argv)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


@pytest.fixture
def build(tmp_path, monkeypatch):
    monkeypatch.setattr(workshop, "BUILD", tmp_path)
    monkeypatch.setattr(workshop, "FOLDER", tmp_path / "workshop")
    monkeypatch.setattr(workshop, "ZIP", tmp_path / "workshop.zip")
    return tmp_path


def test_too_little_disk_is_said_first(build, monkeypatch, capsys):
    monkeypatch.setattr(workshop.shutil, "disk_usage", lambda _: SimpleNamespace(free=2e8))
    assert workshop.main([]) == 1
    assert re.search(r"error: 0\.2 GB free in build/; this takes \d", capsys.readouterr().err)
    assert not any(build.iterdir())


@pytest.mark.parametrize(
    ("index", "network"),
    [("--no-index", ""), ("--index-url=http://127.0.0.1:9/", "the network failed; ")],
)
def test_what_pip_cannot_find_is_named(monkeypatch, tmp_path, index, network):
    for name in ("EXTRA_INDEX_URL", "FIND_LINKS"):
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(wheels.WheelError) as error:
        target = wheels.Target("win_amd64", "3.12")
        wheels._download(["no-such-thing==1.0"], target, tmp_path, index)
    assert str(error.value) == (
        f"no wheels for win_amd64, Python 3.12: {network}pip says: "
        "Could not find a version that satisfies the requirement no-such-thing==1.0"
    )


def test_a_zip_that_does_not_work_is_not_left(build, monkeypatch, capsys):
    monkeypatch.setattr(workshop, "_leave_room", lambda _: None)
    monkeypatch.setattr(workshop, "gather", lambda *_: None)
    assert workshop.main([]) == 1  # there are no wheels in it
    assert "start.py --check failed" in capsys.readouterr().err
    assert not workshop.ZIP.exists()


def test_the_proof_sees_no_network_but_its_own():
    """Without it: the test of the zip uses the network without noticing."""
    without, _ = workshop._without_network()
    if not without:
        pytest.skip("the network cannot be taken away here")
    code = (
        "import socket; server = socket.create_server(('127.0.0.1', 0)); "
        "socket.create_connection(server.getsockname(), 5); "
        "print([name for _, name in socket.if_nameindex()])"
    )
    done = subprocess.run([*without, sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "['lo']\n"


def test_a_cell_that_should_fail_must(monkeypatch, tmp_path, capsys):
    cell = nbformat.v4.new_code_cell("1 + 1", metadata={"tags": ["raises-exception"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "odd.ipynb")
    monkeypatch.setattr(run, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["run.py", "odd"])
    assert run.main() == 1
    assert "did not fail as it should: 1 + 1" in capsys.readouterr().out


def test_a_cell_that_should_not_fail_must_not(monkeypatch, tmp_path, capsys):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    nbformat.write(notebook, tmp_path / "odd.ipynb")
    monkeypatch.setattr(run, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["run.py", "odd"])
    assert run.main() == 1
    assert "ZeroDivisionError" in capsys.readouterr().out


# start.py


# A package of a few lines in the place of ours, which says that it was called and with what.
BACKEND = """
import pathlib, zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    name, info = "r3d_helpers-1.0-py3-none-any.whl", "r3d_helpers-1.0.dist-info"
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as file:
        file.writestr("r3d.pth", str(pathlib.Path.cwd()))
        metadata = "Metadata-Version: 2.1\\nName: r3d-helpers\\nVersion: 1.0\\nRequires-Dist: torch"
        file.writestr(f"{info}/METADATA", metadata)
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true")
        file.writestr(f"{info}/RECORD", "")
    return name
"""
PACKAGE = """
import importlib.metadata, sys
print("called with", *sys.argv[1:], "and torch", importlib.metadata.version("torch"))
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


@pytest.fixture
def unpacked(tmp_path):
    """A folder like the zip's, with wheels of a few bytes."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    bundled = [*(Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl")]
    if not bundled:
        pytest.skip("this Python comes without pip's wheel")
    shutil.copy(bundled[0], wheels)
    with zipfile.ZipFile(wheels / "packaging-0-py3-none-any.whl", "w") as file:
        for source in Path(packaging.__file__).parent.glob("*.py"):
            file.write(source, f"packaging/{source.name}")
    wheel(wheels, "torch")
    shutil.copy(start.__file__, tmp_path)
    for name, text in {
        "backend.py": BACKEND,
        "constraints.txt": "torch==1.0",
        "pyproject.toml": PROJECT,
        "r3d_helpers.py": PACKAGE,
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def begin(folder, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "start.py", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_start_installs_from_the_wheels_alone_and_once(unpacked):
    (unpacked / ".venv").mkdir()
    (unpacked / ".venv" / "installed.txt").write_text("another folder, before it was moved")
    (unpacked / "pip.ini").write_text("[global]\nindex-url = http://127.0.0.1:9\nuser = true\n")
    settings = {"PIP_CONFIG_FILE": str(unpacked / "pip.ini"), "PIP_REQUIRE_HASHES": "1"}
    first = begin(unpacked, "--check", **settings)
    assert first.returncode == 0, first.stdout + first.stderr
    said = "called with doctor --room and torch 1.0\n"
    assert first.stdout.partition("...\n")[2] == said
    shutil.rmtree(unpacked / "wheels")
    assert begin(unpacked, "--check").stdout == said


def not_ready(done):
    """The one line that start.py ends in."""
    assert done.returncode == 1
    assert done.stderr == ""
    line = done.stdout.splitlines()[-1]
    assert line.startswith("Not ready. ")
    return line


def test_start_says_what_pip_missed(unpacked):
    (unpacked / "constraints.txt").write_text("torch==2.0")
    assert "The installation failed: ERROR: " in not_ready(begin(unpacked, "--check"))
    assert not (unpacked / ".venv" / "installed.txt").exists()


def test_start_explains_a_folder_where_no_program_may_run(unpacked, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(start, "WHEELS", unpacked / "wheels")
    monkeypatch.setattr(start, "VENV", unpacked / ".venv")
    monkeypatch.setattr(subprocess, "run", refuse)
    assert re.search(r"No \.venv .+Permission denied.+ where programs may run", start.install())


def test_start_without_wheels_asks_to_unpack_all(unpacked):
    shutil.rmtree(unpacked / "wheels")
    assert "unpack the whole zip" in not_ready(begin(unpacked))


def test_start_names_both_sides_where_the_wheels_do_not_fit(unpacked):
    (torch,) = unpacked.glob("wheels/torch-*.whl")
    torch.rename(torch.with_name("torch-1.0-cp399-cp399-win_amd64.whl"))
    line = not_ready(begin(unpacked))
    assert (
        "made for cp399-cp399-win_amd64; this is Python {}.{} on".format(*sys.version_info) in line
    )


def test_start_is_clear_about_an_old_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert re.fullmatch(r"Python 3\.10 \(.+\) is too old: install Python 3\.11.*", start.misfit())


def test_an_old_python_can_read_start():
    ast.parse(Path(start.__file__).read_text(), feature_version=(3, 7))


def test_start_knows_no_other_option(unpacked):
    done = begin(unpacked, "--chekc")
    assert done.returncode == 2
    assert "--check" in done.stdout
    assert not (unpacked / ".venv").exists()

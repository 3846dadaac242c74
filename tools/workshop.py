"""Pack a zip for a room of learners; test that it installs and runs without a network.

``python -m tools.workshop`` leaves ``build/workshop.zip``: the notebooks without
outputs and solutions, the exercises to take home, the samples, the cheat sheet, this package, and
the wheels of everything it needs. ``start.py`` in it does the rest on a learner's machine.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from . import copies, notebooks
from .notebooks import BUILD, ROOT
from .wheels import PLATFORM, Target, WheelError, gather

FOLDER = BUILD / "workshop"
ZIP = BUILD / "workshop.zip"
LEARNER = Path(__file__).parent / "learner"  # the only files of tools/ in the zip
INSIDE = "r3d-workshop"  # the folder that the zip unpacks to
COPIED = (
    "LICENSE",
    "README.md",
    "constraints.txt",
    "data_samples",
    "docs/learn/cheat-sheet.md",
    "docs/learn/drawings",
    "docs/learn/glossary.md",
    "docs/learn/guards.md",
    "docs/learn/how-sure.md",
    "docs/learn/published-fix.md",
    "docs/learn/scrambled.png",
    "docs/learn/scrambled.webp",
    "docs/learn/symptoms.md",
    "docs/learn/trouble.md",
    "docs/reference/ethics.md",
    "docs/reference/own-videos.md",
    "docs/reference/several-machines.md",
    "pyproject.toml",
    "r3d_helpers",
)
READ_FIRST = "START-HERE.txt"  # README.md is the page for a clone; installing needs it
STEPS = """\
Three bugs in an emotion recogniser: the workshop
=================================================

You need Python 3.11 or newer, and no network.

1. Unpack the whole zip to your disk, with a short path on Windows: C:\\r3d, say.
2. Open a terminal in this folder and type

       python start.py          (on Windows: py start.py)

   It installs into .venv in this folder, which takes a minute or more the first time,
   says in one line whether the machine is ready, and opens JupyterLab with the first lesson.
   The same command opens it again later.

If it says "Not ready", it also says what to do. If that does not help, show the line to your
instructor.

notebooks/                   the lessons; what you change and run there is yours
notebooks/progress.json      written with your first guess: your guesses and solutions, only for you
notebooks/take_home.ipynb    a small program to fix for each of the lessons 00 to 06
docs/learn/cheat-sheet.md    axes, gates and an LSTM on a sheet of paper
docs/learn/symptoms.md       from what you see to where it is explained
docs/learn/glossary.md       what the words mean
docs/learn/trouble.md        when something is wrong
docs/reference/own-videos.md commands for your own videos
README.md                    about the whole project, for work without this zip

To remove it, delete this folder: nothing is installed anywhere else. (JupyterLab stores a few
settings in your home folder.)
"""
TAKE_HOME = """\
# Take home

A small program for each lesson, to fix in your own time. There is no check here: write a test that
fails before and passes after. Your instructor has the solutions."""
PROVED = "01_bug_permute"
_TAKE_HOME = re.compile(
    r"^(\*\*Take home\.\*\*.+?)\n\n```python\n(.+?)\n```$", re.DOTALL | re.MULTILINE
)
_NOWHERE = "http://127.0.0.1:9"
# Run under `unshare`, where at first even the loopback is down, which Jupyter's kernels need.
_LOOPBACK_ALONE = """
import fcntl, os, socket, struct, sys
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
fcntl.ioctl(socket.socket(), SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))
os.execvp(sys.argv[1], sys.argv[1:])
"""


class WorkshopError(Exception):
    """No zip was made; says why, and what to do."""


def take_home(page: str) -> NotebookNode:
    """The exercises of the page *lesson by lesson*, without what they print or answer."""
    cells = [nbformat.v4.new_markdown_cell(TAKE_HOME)]
    for part in re.split("^## ", page, flags=re.MULTILINE):
        if found := _TAKE_HOME.search(part):
            task = f"## {part.splitlines()[0]}\n\n{found[1]}"
            cells += [nbformat.v4.new_markdown_cell(task), nbformat.v4.new_code_cell(found[2])]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def assemble(folder: Path) -> None:
    """Write everything except the wheels into ``folder``, which must not exist.

    Raises:
        FileNotFoundError: a file for the zip is missing in this checkout.
    """
    junk = shutil.ignore_patterns(".*", "__pycache__")
    (folder / "notebooks").mkdir(parents=True)
    for name in COPIED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=junk)
        else:
            shutil.copy(source, target)
    for name in ("start.py", "run.py"):
        shutil.copy(LEARNER / name, folder)
    (folder / READ_FIRST).write_text(STEPS, encoding="utf-8")
    copies.renew(notebooks.NOTEBOOKS, folder / "notebooks")
    page = (ROOT / "docs" / "teach" / "lesson-by-lesson.md").read_text(encoding="utf-8")
    nbformat.write(take_home(page), folder / "notebooks" / "take_home.ipynb")


def pack(folder: Path, path: Path) -> None:
    """Zip ``folder``, sorted by name, as the one folder ``r3d-workshop``."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for source in sorted(p for p in folder.rglob("*") if p.is_file()):
            packed = source.suffix in (".whl", ".mp4", ".png")
            kind = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
            file.write(source, f"{INSIDE}/{source.relative_to(folder).as_posix()}", kind)


def prove(path: Path, lesson: str) -> str:
    """Unpack a workshop's zip, install from it and run a lesson, all without a network.

    Returns:
        What was done, in one line, with the seconds it took.

    Raises:
        WorkshopError: one of them failed; what it printed says why.
    """
    without, how = _without_network()
    # On the disk with enough space: /tmp may be in memory.
    with tempfile.TemporaryDirectory(dir=path.parent) as place:
        with zipfile.ZipFile(path) as file:
            file.extractall(place)
        home = Path(place, INSIDE)
        began = time.perf_counter()
        _must([*without, sys.executable, "start.py", "--check"], home, "start.py --check")
        ready = time.perf_counter()
        script = "Scripts/python.exe" if os.name == "nt" else "bin/python"
        python = str(home / ".venv" / script)
        _must([*without, python, "run.py", lesson], home, f"lesson {lesson}")
        done = time.perf_counter()
    return (
        f"Proved with {how}: installed and checked in {ready - began:.0f} s, "
        f"lesson {lesson[:2]} run as a learner does in {done - ready:.0f} s."
    )


def main(argv: list[str] | None = None) -> int:
    """Pack and test; the exit status is 1 if that fails, 2 for a bad argument."""
    here = "{}.{}".format(*sys.version_info)
    parser = argparse.ArgumentParser(
        prog="python -m tools.workshop",
        description="Pack build/workshop.zip for machines like this one, and prove it here.",
    )
    parser.add_argument(
        "--platform",
        action="append",
        default=[],
        type=_platform,
        help="also for win_amd64, macosx_14_0_arm64, manylinux_2_28_x86_64 ...; repeatable",
    )
    parser.add_argument(
        "--python", action="append", type=_python, help=f"of those machines; repeatable ({here})"
    )
    args = parser.parse_args(argv)
    if args.python and not args.platform:
        parser.error("--python goes with --platform")
    others = [Target(name, python) for name in args.platform for python in args.python or [here]]
    began = time.perf_counter()
    try:
        _leave_room(len(others))
        shutil.rmtree(FOLDER, ignore_errors=True)
        ZIP.unlink(missing_ok=True)
        assemble(FOLDER)
        (FOLDER / "wheels").mkdir()
        for target in [Target(None, here), *others]:
            print(f"Wheels for {target} ...", flush=True)
            with tempfile.TemporaryDirectory(dir=BUILD) as place:
                gather(target, Path(place))
                wheels = list(Path(place).iterdir())
                size = sum(wheel.stat().st_size for wheel in wheels) / 1e6
                print(f"  {len(wheels)} wheels, {size:.0f} MB", flush=True)
                for wheel in wheels:
                    wheel.replace(FOLDER / "wheels" / wheel.name)
        draft = ZIP.with_stem("workshop-unproved")
        pack(FOLDER, draft)
        print("Proving it ...", flush=True)
        proved = prove(draft, PROVED)
        draft.rename(ZIP)
    except (WheelError, WorkshopError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(proved)
    size, minutes = ZIP.stat().st_size / 1e6, (time.perf_counter() - began) / 60
    print(f"{ZIP.relative_to(ROOT)}: {size:.0f} MB, made in {minutes:.1f} min")
    return 0


def _platform(text: str) -> str:
    if not PLATFORM.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is none of win_amd64, macosx_14_0_arm64, manylinux_2_28_x86_64 or alike"
        )
    return text


def _python(text: str) -> str:
    if not re.fullmatch(r"3\.\d+", text) or int(text[2:]) < 11:
        raise argparse.ArgumentTypeError(f"{text!r} is no version such as 3.12, 3.11 or newer")
    return text


def _leave_room(others: int) -> None:
    """Check the disk: the wheels are there three times (folder, zip, unpacked), then the test."""
    BUILD.mkdir(exist_ok=True)
    packages = Path(sysconfig.get_path("purelib"))
    installed = sum(p.lstat().st_size for p in packages.rglob("*") if not p.is_dir()) / 1e9
    need, free = installed * (3 + others), shutil.disk_usage(BUILD).free / 1e9
    if free < need:
        raise WorkshopError(f"{free:.1f} GB free in build/; this takes {need:.1f} GB: make room")


def _without_network() -> tuple[list[str], str]:
    """A prefix for a command that runs it without a network, and how it does so, in words."""
    isolated = ["unshare", "-rn", sys.executable, "-c", _LOOPBACK_ALONE]
    probe = [*isolated, sys.executable, "-c", "pass"]
    if shutil.which("unshare") and not subprocess.run(probe, capture_output=True).returncode:
        return isolated, "no network but this machine's own loopback"
    return [], "every proxy leading nowhere (the network cannot be taken away here)"


def _must(command: list[str], home: Path, what: str) -> None:
    ours = ("PIP_", "PYTHON", "NO_PROXY")
    environment = {k: v for k, v in os.environ.items() if not k.upper().startswith(ours)}
    for scheme in ("http", "https", "all"):
        environment |= {f"{scheme}_proxy": _NOWHERE, f"{scheme.upper()}_PROXY": _NOWHERE}
    if subprocess.run(command, cwd=home, env=environment).returncode:
        raise WorkshopError(f"the zip does not work: {what} failed, as said above")


if __name__ == "__main__":
    sys.exit(main())

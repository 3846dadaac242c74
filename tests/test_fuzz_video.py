"""`tools/fuzz_video.py`: the same seed gives the same damage, and every failure is reported."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOL = ROOT / "tools" / "fuzz_video.py"
BROKEN = """
import os, time
class VideoError(Exception): pass
def read(path, *_):
    if path.suffix in {suffixes} and not path.name.startswith("whole"):
        {what}
def stream(path): return []
"""


def fuzz(tmp_path, *args, python_path=ROOT):
    """The command, in a copy of the files that it needs."""
    for part in ("tools/fuzz_video.py", "tests/data/h264.mp4"):
        (tmp_path / part).parent.mkdir(parents=True)
        shutil.copy(ROOT / part, tmp_path / part)
    return subprocess.run(
        [sys.executable, tmp_path / "tools" / TOOL.name, "--jobs", "1", *args],
        env={**os.environ, "PYTHONPATH": str(python_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def broken(tmp_path, suffixes, what):
    """A reader that does worse on some files."""
    package = tmp_path / "broken" / "r3d_helpers"
    package.mkdir(parents=True)
    for name, text in {"__init__": "", "sampler": "", "video": BROKEN}.items():
        (package / f"{name}.py").write_text(text.format(suffixes=suffixes, what=what))
    return package.parent


def test_our_reader_passes(tmp_path):
    done = fuzz(tmp_path, "--files", "50")
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"\.\w+ \| (\d+) \| (\d+) \| 0 \| 0 \| 0 \|", done.stdout)
    assert len(rows) == 5
    assert sum(int(number) for row in rows for number in row) == 50
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize(
    ("verdict", "what"),
    [
        ("exception", "raise KeyError(path)"),
        ("crash", "os._exit(0)"),
        ("crash", "os.abort()"),
        ("hang", "time.sleep(60)"),
    ],
)
def test_a_reader_that_does_worse_is_found_out(tmp_path, verdict, what):
    reader = broken(tmp_path, [".webm"], what)
    done = fuzz(tmp_path, "--files", "10", "--limit", "2", python_path=reader)
    assert done.returncode == 1
    assert "worse than VideoError" in done.stderr
    assert done.stdout.count(" | 2 | 0 | 0 | 0 | 0 |") == 4  # the others are read all the same
    kept = sorted(path.name for path in (tmp_path / "build" / "fuzz").iterdir())
    assert kept == [f"{verdict}-0-{number}-vp9.webm" for number in (1, 6)]


def test_damage_that_tests_little_is_found_out(tmp_path):
    reader = broken(tmp_path, [".webm", ".avi", ".flv"], "raise VideoError")
    done = fuzz(tmp_path, "--files", "10", python_path=reader)
    assert done.returncode == 1
    assert "fewer than half" in done.stderr


def test_the_same_seed_makes_the_same_files():
    spec = importlib.util.spec_from_file_location("fuzz_video", TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    for name in tool.CONTAINERS:
        files = [tool.damaged_file(name, 0, number) for number in range(20)]
        tool.whole_file.cache_clear()
        assert files == [tool.damaged_file(name, 0, number) for number in range(20)]
        assert len({*files, tool.whole_file(name), tool.damaged_file(name, 1, 0)}) == 22

"""`benchmarks/reading.py`: the arms read the same frames."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_arms_read_the_same_frames():
    command = [sys.executable, ROOT / "benchmarks" / "reading.py", "--case", "small"]
    done = subprocess.run(
        [*command, "--rounds", "1", "--old", ROOT],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    rows = re.findall(r"^\| ([\w., ]+) \|.* (\d+\.\d\d) \|$", done.stdout, re.MULTILINE)
    apart = {name: float(difference) for name, difference in rows}
    assert {"video.read", "video.read, old", "PyAV", "OpenCV"} <= apart.keys()
    assert apart["video.read"] == apart["video.read, old"] == 0
    assert all(0.5 < apart[name] < 4 for name in ("PyAV", "OpenCV"))  # another way of scaling

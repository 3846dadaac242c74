"""The benchmarks run, their arms take turns, and torchvision's recipe is torchvision's."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import thin
import torch
from torch import nn

from r3d_helpers import model as model_module

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture(scope="module")
def training():
    return SimpleNamespace(**runpy.run_path(str(BENCHMARKS / "training.py")))


def test_arms_take_turns_and_the_median_counts(training):
    seconds, order = iter([1.0, 9.0, 3.0, 7.0, 2.0, 8.0]), []

    def arm(name):
        order.append(name)
        return next(seconds)

    found = training.in_turn({"a": lambda: arm("a"), "b": lambda: arm("b")}, 3)
    assert order == list("ababab")
    assert found == {"a": 2.0, "b": 8.0}


@pytest.mark.parametrize(
    ("uars", "right"), [([0.5, 0.9, 0.8], (2, 0.8, 3)), ([0.5], (float("inf"), 0.5, 1))]
)
def test_time_counts_to_the_first_epoch_that_is_good_enough(training, uars, right):
    assert training.seconds_to(0.9, enumerate(uars, start=1)) == right


def test_the_other_recipe_warms_up_for_ten_epochs_then_steps(training, monkeypatch):
    rates = []
    step = torch.optim.SGD.step
    monkeypatch.setattr(
        torch.optim.SGD,
        "step",
        lambda self, *args: rates.append(self.param_groups[0]["lr"]) or step(self, *args),
    )
    scope = training.torchvision_recipe.__globals__
    tiny = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(3, 7))
    monkeypatch.setitem(scope, "r3d_18", lambda num_classes: tiny)
    clips = training.noise(48, 1, 2)
    scores = list(training.torchvision_recipe(41, 0, clips, clips))
    assert len(scores) == 41
    assert rates[0] == pytest.approx(1e-5)
    assert rates[10] == pytest.approx(0.00505, rel=0.01)  # two steps an epoch
    by_epoch = rates[::2]
    assert [by_epoch[i] for i in (10, 19, 20, 29, 30, 39, 40)] == pytest.approx(
        [1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4, 1e-5]
    )


@pytest.mark.parametrize(
    ("command", "rows"),
    [("step", 6), ("gates", 3), ("cost --clip-lens 4 --sizes 8 16", 2)],
)
def test_each_prints_a_table_against_its_baseline(training, monkeypatch, capsys, command, rows):
    monkeypatch.setattr(model_module, "r3d_18", thin.thin_r3d_18)
    monkeypatch.setitem(training.step.__globals__, "r3d_18", thin.thin_r3d_18)
    name, *options = command.split()
    size = [] if name == "cost" else ["--size", "8", "--clip-len", "4"]
    tiny = ["--batch-size", "4", "--steps", "1", "--rounds", "1"]
    threads = ["--threads", str(torch.get_num_threads())]
    training.main([*threads, name, *size, *tiny, *options])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 2 + rows
    assert " 1.00" in lines[2]


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

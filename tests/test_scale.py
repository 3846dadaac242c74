"""Two processes share a run: the same result, and a clear error when one of them dies.

Real processes, started by torchrun as a user would, on a real but tiny model.
"""

import csv
import os
import shutil
import subprocess
import sys
import time

import psutil
import pytest
from safetensors.torch import load_file

from r3d_helpers.classroom import actors

MODEL = ("--clip-len", "2", "--size", "16", "--lean", "--dropout", "0", "--augment", "light")
STEPS = ("--epochs", "3", "--batch-size", "8", "--micro-batch", "4")
TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Six drawn actors, seven clips each."""
    folder = tmp_path_factory.mktemp("faces")
    actors.generate(folder, actors=6, takes=1)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """For runs of 530 MB each; removed afterwards."""
    folder = tmp_path_factory.mktemp("runs")
    yield folder
    shutil.rmtree(folder)


def command(samples, out, *options, processes=1):
    start = [sys.executable, *(TWO if processes == 2 else ())]
    return [*start, "-m", "r3d_helpers", "train", samples, "--out", out, *MODEL, *STEPS, *options]


def begin(*args, **options):
    # Alike in all, for the order of a sum is part of its result.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*map(str, command(*args, **options))],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    out, _ = process.communicate(timeout=300)
    return process.returncode, out


def history(folder):
    with (folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: float(v) for k, v in row.items() if k != "seconds"} for row in rows]


def distance(one, other):
    """The largest difference of a weight or statistic of the last epoch."""
    one, other = (load_file(folder / "last.safetensors") for folder in (one, other))
    assert one.keys() == other.keys()
    names = [name for name in one if one[name].is_floating_point()]
    return max((one[name] - other[name]).abs().max().item() for name in names)


@pytest.fixture(scope="module")
def alone(samples, runs):
    code, out = finish(begin(samples, runs / "alone"))
    assert code == 0, out
    return runs / "alone"


@pytest.fixture(scope="module")
def shared(samples, runs):
    """A run that one process begins, and two go on with; and what each said."""
    folder = runs / "shared"
    process = begin(samples, folder)
    while process.poll() is None and not (folder / "best.safetensors").exists():
        time.sleep(0.05)
    process.terminate()  # as a cluster's scheduler does
    return folder, finish(process), finish(begin(samples, folder, "--resume", processes=2))


def test_two_processes_end_as_one_that_gathers_the_same_micro_batches(shared, alone):
    """Without it: a shared run gives another result.

    Frames and augmentation are drawn at random, and both runs draw the same.
    """
    together, _, (code, out) = shared
    assert code == 0, out
    assert out.count(" to train\n") == 1  # one process speaks
    assert out.count("subject: UAR") == 1
    assert distance(alone, together) < 1e-5
    for one, other in zip(history(alone), history(together), strict=True):
        assert other == pytest.approx(one, rel=1e-5)


def test_a_killed_process_ends_the_run_clearly_and_one_process_can_go_on(samples, runs, alone):
    """And ends as a run that was never stopped, nor ever shared, though two began it."""
    cut = runs / "cut"
    process = begin(samples, cut, processes=2)
    while process.poll() is None and not (cut / "last.safetensors").exists():
        time.sleep(0.05)
    psutil.Process(process.pid).children()[-1].kill()
    code, out = finish(process)
    assert code != 0
    assert "are saved: give the same command again with --resume" in out
    assert "Signal 9 (SIGKILL)" in out
    code, out = finish(begin(samples, cut, "--resume"))
    assert code == 0, out
    assert distance(alone, cut) < 1e-5


def test_two_processes_go_on_with_the_run_of_one(shared):
    _, (code, out), (resumed, _) = shared
    assert code == 2
    assert " of 3 epochs are finished; the epochs that are finished are saved" in out
    assert "a process had" not in out
    assert resumed == 0


def test_a_step_that_two_cannot_share_is_refused(samples, runs):
    out_dir = runs / "odd"
    code, out = finish(begin(samples, out_dir, "--micro-batch", "8", processes=2))
    assert code != 0
    assert "batch_size 8 is no multiple of 16: 2 processes with 8 clips" in out
    assert not out_dir.exists()

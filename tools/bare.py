"""Does the wheel work without the clone? ``python -m tools.bare``, takes some minutes.

Builds the wheel, installs it and its dependencies, without any extra, into a fresh environment
outside of the clone, and tries there what the README says about the package.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from .notebooks import ROOT
from .wheels import Target, WheelError, gather

SOURCES = ("LICENSE", "README.md", "pyproject.toml", "r3d_helpers")
PROGRAM = """
import importlib.util, sys
import r3d_helpers
from r3d_helpers import R3DEmotion, TrainConfig, Trainer, datasets, recommended

assert r3d_helpers.__file__.startswith(sys.prefix), r3d_helpers.__file__
extras = [n for n in ("captum", "matplotlib", "optuna", "IPython") if importlib.util.find_spec(n)]
assert not extras, extras
clips = datasets.ravdess("clips")
train, val, test = datasets.train_val_test(clips)
shape = {"clip_len": 4, "size": 32, "classes": sorted({clip.label for clip in clips})}
train_set = recommended.train_set(train, **shape)
val_set, test_set = (datasets.ClipDataset(part, **shape) for part in (val, test))
trainer = Trainer(recommended.model(7, clip_len=4), TrainConfig(epochs=1, progress=False), "mine")
trainer.fit(train_set, val_set)
print("a program:", f"{trainer.evaluate(test_set).uar:.2f}", "on", len(test_set), "clips")
published = R3DEmotion(7)
assert sum(p.numel() for p in published.parameters()) == 33_253_415
"""
RUN = ("--checkpoint", "run/best.safetensors")
COMMANDS = (  # arguments of `python -m r3d_helpers`, and the missing extra that it should name
    (("doctor",), None),
    (("describe", "clips"), None),
    (("train", "clips", "--out", "run", "--clip-len=4", "--size=32", "--epochs=1"), None),
    (("evaluate", "clips", *RUN), None),
    (("export", "hub", *RUN, "--out", "hub"), None),
    (("predict", "clip.mp4", *RUN, "--figures", "figures"), "apply"),
    (("export", "onnx", *RUN, "--out", "model.onnx"), "apply"),
    (("experiment", "tuning"), "studies"),
)


def main() -> int:
    """Build, install, use; the exit status is 1 if a step failed."""
    with tempfile.TemporaryDirectory() as place:
        try:
            python = install(Path(place))
        except (WheelError, subprocess.CalledProcessError) as error:
            print(f"not installed: {error}")
            return 1
        home = Path(place, "home")
        home.mkdir()
        for actor in ("Actor_01", "Actor_02", "Actor_03"):
            shutil.copytree(ROOT / "data_samples" / actor, home / "clips" / actor)
        shutil.copy(next((home / "clips").rglob("*.mp4")), home / "clip.mp4")
        failed = 0
        for given, extra in (((), None), *COMMANDS):
            command = ["-m", "r3d_helpers", *given] if given else ["-c", PROGRAM]
            done = _run([python, *command], home)
            told = done.stderr.strip().endswith(f"pip install 'r3d-helpers[{extra}]'")
            right = told and done.returncode == 2 if extra else done.returncode == 0
            name = " ".join(given[:2]) or "a program"
            print(f"{'ok ' if right else 'BAD'} {name}{f', without [{extra}]' if extra else ''}")
            if not right:
                failed += 1
                print(done.stdout + done.stderr)
    return 1 if failed else 0


def install(place: Path) -> str:
    """Build the wheel and install it into ``place``; return the path of its Python.

    Raises:
        WheelError, CalledProcessError: a dependency or the wheel itself cannot be installed.
    """
    sources, wheels, environment = place / "sources", place / "wheels", place / "environment"
    sources.mkdir()
    for name in SOURCES:  # copied, because building writes files beside them
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, sources / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", str(wheels), str(sources)], check=True)
    gather(Target(None, "{}.{}".format(*sys.version_info)), wheels, extra=None)
    venv.create(environment)
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    alone = ["--python", str(python), "install", "--no-index", "--find-links", str(wheels)]
    subprocess.run([*pip, *alone, "r3d-helpers"], check=True)
    return str(python)


def _run(command: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in ``home``, where neither the clone nor other Pythons' packages are found."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL"))}
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)


if __name__ == "__main__":
    sys.exit(main())

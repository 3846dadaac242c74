"""What works without any extra: run by test_extras.py, in a Python that finds nothing else.

Prints JSON: of every file of the package what importing it says, and of some commands exit status
and output.
"""

import contextlib
import importlib
import io
import json
import pkgutil
import shutil
import sys
from importlib.machinery import PathFinder
from pathlib import Path

MODULES, DISTRIBUTIONS = map(set, json.loads(sys.stdin.read()))  # what there is not


class Bare(PathFinder):
    """Finds what the dependencies of the bare package bring, and nothing else."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = name.partition(".")[0] in MODULES
        return None if hidden else PathFinder.find_spec(name, path, target)

    @classmethod
    def find_distributions(cls, *args):
        return (d for d in PathFinder.find_distributions(*args) if d.name not in DISTRIBUTIONS)


sys.meta_path = [Bare if finder is PathFinder else finder for finder in sys.meta_path]

from thin import thin_r3d_18  # noqa: E402

import r3d_helpers  # noqa: E402
from r3d_helpers import doctor  # noqa: E402
from r3d_helpers import model as model_module  # noqa: E402
from r3d_helpers.__main__ import main  # noqa: E402

folder = Path(sys.argv[1])
said = {}
for module in pkgutil.walk_packages(r3d_helpers.__path__, "r3d_helpers.", onerror=lambda _: None):
    try:
        importlib.import_module(module.name)
        said[module.name] = ""
    except ImportError as error:
        said[module.name] = f"{type(error).__name__}: {error}"

model_module.r3d_18 = thin_r3d_18
doctor.LESSONS = False
for person in ("anna", "ben", "carl"):
    for label in ("calm", "happy"):
        (folder / "own" / label).mkdir(parents=True, exist_ok=True)
        video = Path(__file__).parent / "data" / "h264.mp4"
        shutil.copy(video, folder / "own" / label / f"{person}_1.mp4")
run, own = str(folder / "run"), str(folder / "own")
tiny = ("--clip-len", "2", "--size", "16", "--epochs", "1", "--batch-size", "2")
known = ("--checkpoint", run)
commands = {
    "train": ("train", own, "--reader", "folder", "--out", run, "--crop", "face", *tiny),
    "evaluate": ("evaluate", own, "--reader", "folder", "--all", "--views", "3", *known),
    "predict": ("predict", str(video), *known),
    "describe": ("describe", own, "--reader", "folder"),
    "export hub": ("export", "hub", *known, "--out", str(folder / "hub")),
    "export torch": ("export", "torch", *known, "--out", str(folder / "model.pt2")),
    "doctor": ("doctor",),
    "predict --figures": ("predict", str(video), *known, "--figures", str(folder / "figures")),
    "export onnx": ("export", "onnx", *known, "--out", str(folder / "model.onnx")),
    "experiment se": ("experiment", "se"),
    "experiment tuning": ("experiment", "tuning"),
}
done = {}
for name, argv in commands.items():
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        status = main([*argv])
    done[name] = [status, out.getvalue()]
print(json.dumps({"modules": said, "commands": done}))

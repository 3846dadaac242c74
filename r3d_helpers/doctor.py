"""Is this machine ready? Every check says what is wrong and what to do about it.

Each package is imported in its own check, so that a missing or broken one is reported and does not
end the report.
"""

import importlib
import importlib.metadata
import importlib.util
import os
import shutil
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import _torchvision

PACKAGES = ("accelerate", "av", "numpy", "safetensors", "torchmetrics", "tqdm")
EXTRAS = {  # the lessons need all of them; without lessons each is optional
    "apply": ("captum", "matplotlib", "onnxruntime", "onnxscript"),
    "studies": ("filelock", "optuna", "scipy"),
    "lessons": ("einops", "ipywidgets", "jupyterlab"),
}
FREE_GB = 3.0  # a run's checkpoints take about 1 GB, twice while they are replaced
MEMORY_GB = 2.0  # the kernels of lessons 00 to 03 took at most 1.5 GB
HOME = Path(__file__).parents[1]
SAMPLES = HOME / "data_samples"
LESSONS = (HOME / "notebooks").is_dir()  # in a clone, or unpacked from a workshop's zip
if (HOME / "start.py").exists():
    INSTALL = "delete `.venv` and run `start.py` again"
elif LESSONS:
    INSTALL = "install again with `make setup`, or `pip install -c constraints.txt -e .[test]`"
else:
    INSTALL = "install again with `pip install r3d-helpers`"


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        name: what was checked.
        ok: whether it is as it should be.
        detail: what was found; if it is not ok, also what to do.
    """

    name: str
    ok: bool
    detail: str


class Trouble(Exception):
    """A check failed; the message says what is wrong and what to do."""


def checks() -> list[Check]:
    """Check Python, the packages, video, the samples and the disk."""
    return [
        _run("Python", _python),
        _run("torch", _torch),
        _run("torchvision", _check_torchvision),
        _run("OpenCV", _opencv),
        _run("video", _video),
        *(_run(name, lambda name=name: _package(name)) for name in _packages()),
        *([] if LESSONS else [_run(name, lambda name=name: _extra(name)) for name in EXTRAS]),
        _run("samples", _samples),
        _run("disk", _disk),
    ]


def summary() -> str:
    """One line: the machine is ready, or what is wrong."""
    return _trouble(checks()) or "This machine is ready."


def room() -> int:
    """Print in one line whether a course can start on this machine; the exit status is 1 if not."""
    results = [
        *checks(),
        _run("memory", _memory),
        _run("port", _port),
        _run("kernel", _kernel),
        _run("browser", _browser),
    ]
    found = {check.name: check.detail for check in results}
    said = ("samples", "disk", "memory", "video", "port", "kernel", "browser")
    ready = f"Ready: Python {found['Python']}, torch {found['torch']}, "
    line = _trouble(results)
    print(line or ready + ", ".join(found[name] for name in said))
    return 1 if line else 0


def main() -> int:
    """Print every check; the exit status is 1 if one fails."""
    results = checks()
    for check in results:
        print(f"{'ok ' if check.ok else 'BAD'}  {check.name:<12} {check.detail}")
    failed = sum(not check.ok for check in results)
    print("This machine is ready." if not failed else f"{failed} of {len(results)} checks failed.")
    return 1 if failed else 0


def _trouble(results: list[Check]) -> str:
    """What failed, in one line; empty if nothing did."""
    failed = [f"{check.name}: {check.detail}." for check in results if not check.ok]
    return " ".join(["Not ready.", *failed]) if failed else ""


def _run(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, True, check())
    except Trouble as trouble:
        return Check(name, False, str(trouble))
    except Exception as error:  # a broken package can raise anything while it is imported
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        return Check(name, False, f"{reason}; {INSTALL}")


def _package(name: str) -> str:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise Trouble(f"{error.name} is not installed; {INSTALL}") from error
    return importlib.metadata.version(name)


def _packages() -> list[str]:
    return [*PACKAGES, *(name for names in EXTRAS.values() for name in names if LESSONS)]


def _extra(name: str) -> str:
    if all(importlib.util.find_spec(package) for package in EXTRAS[name]):
        return "installed"
    return f"not installed, optional: `pip install 'r3d-helpers[{name}]'`"


def _python() -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < (3, 11):  # noqa: UP036 (run from a checkout, nothing checked it)
        raise Trouble(f"{version} is too old; 3.11 or newer is needed")
    return version


def _torch() -> str:
    version = _package("torch")
    torch = importlib.import_module("torch")
    if torch.cuda.is_available():
        return f"{version}, GPU {torch.cuda.get_device_name()}"
    apple = "; Apple's GPU is not used" if torch.backends.mps.is_available() else ""
    return f"{version}, CPU with {torch.get_num_threads()} threads{apple}"


def _check_torchvision() -> str:
    version = _package("torchvision")
    importlib.import_module("torchvision.models.video")
    if _torchvision.repaired():
        return (
            f"{version}, a CUDA build beside a CPU torch: its compiled operators are missing, "
            "and nothing here needs them"
        )
    return version


def _opencv() -> str:
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError as error:
        if ".so" in str(error):
            raise Trouble(
                f"{error}; a bare Linux server lacks OpenCV's graphics libraries: "
                "`apt install libgl1 libglib2.0-0`, or `pip install opencv-python-headless` "
                "instead of opencv-python"
            ) from error
        raise Trouble(f"{error}; {INSTALL}") from error
    if not hasattr(cv2, "CascadeClassifier"):
        raise Trouble(f"{cv2.__version__} has no face cascades; 4.10 or newer 4.x is needed")
    return cv2.__version__


def _video() -> str:
    import numpy as np

    from . import video

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "test.mp4")
        video.write(path, np.zeros((3, 3, 16, 16), np.uint8), 15)
        found = video.probe(path).num_frames
    if found != 3:
        raise Trouble(f"VP9 in MP4 was written with 3 frames and read with {found}; {INSTALL}")
    return "VP9 in MP4 can be written and read"


def _samples() -> str:
    if not LESSONS:
        return "in the repository, as are the lessons"
    found = len(list(SAMPLES.glob("Actor_*/*.mp4")))
    if not found:
        raise Trouble(
            "data_samples/ has no videos; draw them: `python -m r3d_helpers.classroom.actors`"
        )
    return f"{found} videos in data_samples/"


def _disk() -> str:
    free = shutil.disk_usage(os.getcwd()).free / 1e9
    if free < FREE_GB:
        raise Trouble(f"{free:.1f} GB free; training needs {FREE_GB:.0f} GB: make room")
    return f"{free:.0f} GB free"


def _memory() -> str:
    import psutil

    free = psutil.virtual_memory().available / 1e9
    if free < MEMORY_GB:
        raise Trouble(
            f"{free:.1f} GB of memory free; a lesson needs {MEMORY_GB:.0f} GB: close other programs"
        )
    return f"{free:.0f} GB of memory free"


def _port() -> str:
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=5).close()
    except OSError as error:
        raise Trouble(
            f"programs cannot talk to each other on 127.0.0.1 ({error}), as Jupyter does: "
            "allow Python in the firewall"
        ) from error
    return "a port can be opened for Jupyter"


def _kernel() -> str:
    from jupyter_client.manager import run_kernel

    printed = []
    with run_kernel(startup_timeout=20, extra_arguments=["--log-level=40"]) as client:
        client.execute_interactive(  # pyrefly: ignore[missing-attribute]
            "import sys; print(sys.prefix)",
            timeout=10,
            output_hook=lambda message: printed.append(message["content"].get("text", "")),
        )
    prefix = "".join(printed).strip()
    if prefix != sys.prefix:
        raise Trouble(
            f"Jupyter starts another Python, {prefix or 'which does not answer'}; "
            "remove that kernel: `jupyter kernelspec remove python3`"
        )
    return "a kernel starts and answers"


def _browser() -> str:
    try:
        webbrowser.get()
    except webbrowser.Error:  # for example on a server; another machine's browser will do
        return "no browser found: open the address that JupyterLab prints"
    return "a browser opens"

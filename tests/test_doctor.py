"""`doctor`: any problem of the machine is reported, with what to do."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import webbrowser
from pathlib import Path
from types import SimpleNamespace

import pytest
from jupyter_client.launcher import launch_kernel
from jupyter_client.provisioning import local_provisioner

from r3d_helpers import doctor

ROOT = Path(__file__).parents[1]
DOCTOR = "from r3d_helpers.__main__ import main; sys.exit(main(['doctor']))"
# Without the packages that take seconds to import and are not what the test is about.
WITHOUT = "doctor.PACKAGES, doctor.EXTRAS = ('numpy',), {}"
BRIEF = f"from r3d_helpers import doctor; {WITHOUT}; {DOCTOR}"


@pytest.fixture(autouse=True)
def ordinary_kernels(monkeypatch):
    """Started as for a user, and not as for the other tests."""
    monkeypatch.setattr(local_provisioner, "launch_kernel", launch_kernel)


def python(code, path=()):
    """Run code in a fresh Python, with shim folders in front of the real packages."""
    return subprocess.run(
        [sys.executable, "-c", f"import sys; {code}"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
    )


def bad(output):
    """The lines of the report that name something wrong, by what they name."""
    lines = [line.split(maxsplit=2) for line in output.splitlines() if line.startswith("BAD")]
    return {name: detail for _, name, detail in lines}


def assert_reported(result, name, *words):
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert all(word in bad(result.stdout)[name] for word in words), result.stdout
    assert result.stdout.splitlines()[-1].endswith("checks failed.")


def test_a_healthy_machine_is_ready():
    result = python(DOCTOR)
    assert result.returncode == 0, result.stdout
    assert result.stdout.splitlines()[-1] == "This machine is ready."
    assert not bad(result.stdout)


@pytest.mark.parametrize(("module", "name"), [("torch", "torch"), ("cv2", "OpenCV")])
def test_a_missing_package_is_named_with_the_remedy(module, name):
    result = python(f"sys.modules[{module!r}] = None; {BRIEF}")
    assert_reported(result, name, module, "make setup")


def test_a_missing_graphics_library_is_explained(tmp_path):
    (tmp_path / "cv2.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file')"
    )
    result = python(BRIEF, [tmp_path])
    assert_reported(result, "OpenCV", "libGL.so.1", "apt install libgl1", "headless")


def test_a_broken_torchvision_is_reported(tmp_path):
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('no kernel image')")
    result = python(BRIEF, [tmp_path])
    assert_reported(result, "torchvision", "no kernel image", "make setup")


def test_too_little_disk_is_reported(monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1.2e9))
    assert doctor.main() == 1
    assert bad(capsys.readouterr().out) == {"disk": "1.2 GB free; training needs 3 GB: make room"}


def test_missing_samples_are_reported(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(doctor, "SAMPLES", tmp_path)
    assert doctor.main() == 1
    (detail,) = bad(capsys.readouterr().out).values()
    assert "python -m r3d_helpers.classroom.actors" in detail


def test_an_old_python_is_reported(monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert doctor.main() == 1
    assert "3.10.4 is too old; 3.11" in bad(capsys.readouterr().out)["Python"]


def test_a_codec_that_loses_frames_is_reported(monkeypatch):
    monkeypatch.setattr("r3d_helpers.video.probe", lambda _: SimpleNamespace(num_frames=2))
    check = next(check for check in doctor.checks() if check.name == "video")
    assert not check.ok
    assert "3 frames and read with 2" in check.detail


def test_the_summary_names_what_failed(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    assert doctor.summary().startswith("Not ready. disk: 0.0 GB free")


def test_a_room_reads_one_line():
    result = python("from r3d_helpers.__main__ import main; sys.exit(main(['doctor', '--room']))")
    assert result.returncode == 0, result.stdout
    (line,) = result.stdout.splitlines()
    assert line.startswith(f"Ready: Python {'.'.join(map(str, sys.version_info[:3]))}, torch 2.")
    for words in ("840 videos", "GB free", "GB of memory", "a port can", "a kernel starts"):
        assert words in line


@pytest.fixture(autouse=True)
def memory(monkeypatch):
    """Enough of it, whatever else runs on this machine."""
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=8e9))


def not_ready(capsys):
    """What `doctor --room` says in its one line of a machine that is not ready."""
    assert doctor.room() == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("Not ready. ")
    return line.removeprefix("Not ready. ")


def test_a_room_needs_memory(monkeypatch, capsys):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=1.4e9))
    wanted = "memory: 1.4 GB of memory free; a lesson needs 2 GB: close other programs."
    assert not_ready(capsys) == wanted


def test_a_room_needs_a_port(monkeypatch, capsys):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("socket.create_server", refuse)
    line = not_ready(capsys)
    assert line.startswith("port: programs cannot talk to each other on 127.0.0.1")
    assert "Permission denied" in line
    assert "firewall" in line


def test_a_room_needs_the_kernel_of_this_python(monkeypatch, capsys):
    kernels = sys.prefix
    monkeypatch.setattr(sys, "prefix", "elsewhere")
    assert not_ready(capsys).startswith(f"kernel: Jupyter starts another Python, {kernels}; remove")


def test_a_room_needs_a_kernel_that_lives(monkeypatch, capsys, tmp_path):
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    about = {"argv": [sys.executable, "-c", "pass"], "display_name": "dead", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(about))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    line = not_ready(capsys)
    assert line.startswith("kernel: RuntimeError: Kernel died")
    assert "make setup" in line


def test_a_room_without_a_browser_says_so(monkeypatch, capsys):
    def none():
        raise webbrowser.Error

    monkeypatch.setattr(webbrowser, "get", none)
    assert doctor.room() == 0
    assert "no browser found: open the address" in capsys.readouterr().out


def test_a_room_needs_what_every_machine_needs(monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    assert not_ready(capsys).startswith("disk: 0.0 GB free")


def test_a_cuda_torchvision_beside_a_cpu_torch_is_repaired():
    alone = python("import torchvision")
    if "torchvision::nms does not exist" not in alone.stderr:
        pytest.skip("torch and torchvision are of one kind here")
    repaired = python(
        "from r3d_helpers import _torchvision; from torchvision.models.video import r3d_18; "
        "from torchvision.transforms import v2; print(_torchvision.repaired())"
    )
    assert (repaired.returncode, repaired.stdout) == (0, "True\n"), repaired.stderr


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """The package alone, installed from a wheel, without any extra."""
    monkeypatch.setattr(doctor, "LESSONS", False)
    monkeypatch.setattr(doctor, "SAMPLES", tmp_path)
    find = importlib.util.find_spec
    extras = {name for names in doctor.EXTRAS.values() for name in names}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *_: None if name in extras else find(name, *_)
    )


def test_the_bare_package_is_ready_and_names_what_can_be_added(bare, capsys):
    """Without it: people who install the package without lessons are told to draw samples."""
    assert doctor.main() == 0
    out = capsys.readouterr().out
    for extra in ("apply", "studies", "lessons"):
        assert f"`pip install 'r3d-helpers[{extra}]'`" in out
    assert "captum" not in out
    assert "make setup" not in out


def test_the_lessons_need_every_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "einops", None)
    assert "einops is not installed; install again with `make setup`" in doctor.summary()


def test_the_packages_are_those_of_the_project():
    """Without it: a package is added, and a machine without it passes the check."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {"": project["dependencies"], **project["optional-dependencies"]}
    for extra, names in {"": doctor.PACKAGES, **doctor.EXTRAS}.items():
        assert set(names) <= {re.match(r"[\w-]+", text)[0] for text in asked[extra]}, extra
    named = {re.match(r"[\w-]+", text)[0] for text in asked[""]}
    others = {"torch", "torchvision", "opencv-python"}  # with checks of their own
    assert named == {*doctor.PACKAGES, *others}

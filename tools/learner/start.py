"""Set this folder up without a network, check the machine, and open JupyterLab.

``python start.py``; with ``--check`` it stops before JupyterLab. Needs only Python, and installs
only into ``.venv`` beside itself.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
WHEELS = HERE / "wheels"
VENV = HERE / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
INSTALLED = VENV / "installed.txt"  # names this folder: a .venv that was moved does not work
# Ignore pip's settings on this machine and paths of other Pythons.
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.upper().startswith(("PIP_", "PYTHON"))}
ENVIRONMENT["PIP_CONFIG_FILE"] = os.devnull


def main() -> int:
    """Install if needed, check, open JupyterLab; the exit status is 1 for trouble."""
    if sys.argv[1:] not in ([], ["--check"]):
        print(__doc__)
        return 2
    if not (INSTALLED.exists() and INSTALLED.read_text() == str(HERE)):
        trouble = misfit() or install()
        if trouble:
            print("Not ready. " + trouble)
            return 1
    check = [str(PYTHON), "-m", "r3d_helpers", "doctor", "--room"]
    status = subprocess.call(check, cwd=str(HERE), env=ENVIRONMENT)
    if status or sys.argv[1:]:
        return status
    # From this folder, so that the lessons' links to docs/ work.
    lab = [str(PYTHON), "-m", "jupyterlab", "--ServerApp.root_dir=" + str(HERE)]
    lab += ["--LabApp.default_url=/lab/tree/notebooks/00_meet_the_clip.ipynb"]
    jupyter = subprocess.Popen(lab, cwd=str(HERE), env=ENVIRONMENT)
    while True:
        try:
            return jupyter.wait()
        except KeyboardInterrupt:  # JupyterLab gets it, too, and asks for confirmation
            pass


def misfit() -> str:
    """Why the wheels in this folder do not fit this Python; empty if they do."""
    version = "{}.{}".format(*sys.version_info[:2])
    if sys.version_info < (3, 11):  # noqa: UP036 (whatever Python a learner has starts this)
        return f"Python {version} ({sys.executable}) is too old: install Python 3.11 or newer."
    found = sorted(WHEELS.glob("torch-*.whl"))
    if not found:
        return "wheels/ is missing beside start.py: unpack the whole zip, then start it there."
    sys.path.insert(0, str(next(WHEELS.glob("packaging-*.whl"))))
    from packaging.tags import sys_tags
    from packaging.utils import parse_wheel_filename

    here = list(sys_tags())
    made_for = [parse_wheel_filename(wheel.name)[3] for wheel in found]
    if any(not tags.isdisjoint(here) for tags in made_for):
        return ""
    names = ", ".join(str(tag) for tags in made_for for tag in tags)
    return (
        f"The wheels were made for {names}; this is Python {version} on {here[0].platform}. "
        "Start with a Python that fits, or ask for a zip made for this one."
    )


def install() -> str:
    """Create ``.venv`` and install into it; returns the reason if that fails, else ``""``."""
    print("Installing into .venv, a minute or more ...", flush=True)
    pip = next(WHEELS.glob("pip-*.whl")) / "pip"
    command = [str(PYTHON), str(pip), "install", "--no-index", "--find-links", str(WHEELS)]
    command += ["--quiet", "-c", str(HERE / "constraints.txt"), "pip", "-e", f"{HERE}[lessons]"]
    try:
        venv.create(str(VENV), clear=True)  # without pip, which Debian keeps in another package
        done = subprocess.run(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    except OSError as error:
        return f"No .venv can be made and used here ({error}): unpack to where programs may run."
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in errors if line.startswith("ERROR:")] or errors
        return f"The installation failed: {errors[-1] if errors else 'pip said nothing'}"
    INSTALLED.write_text(str(HERE))
    return ""


if __name__ == "__main__":
    sys.exit(main())

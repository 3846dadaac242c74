"""JupyterLab on a learner's copy of the lessons, with the book behind a link: ``make lab``.

Arguments after ``python -m tools.lab`` are passed to JupyterLab.
"""

import os
import subprocess
import sys
from pathlib import Path

from . import copies
from .notebooks import BUILD, NOTEBOOKS, ROOT

PLAYGROUND = ROOT / "playground"
FIRST = "00_meet_the_clip.ipynb"
BOOK = "/static/book"  # the address of the book on JupyterLab's server


def main(options: list[str]) -> int:
    """Update the copies and the book, and open the first lesson; the exit status is Jupyter's."""
    for line in copies.renew(NOTEBOOKS, PLAYGROUND, BOOK):
        print(line)
    if _is_old(BUILD / "book" / "index.html"):
        print("Making the book, half a minute. Then JupyterLab opens ...", flush=True)
        subprocess.call([sys.executable, "-m", "tools.book"], cwd=ROOT)  # the lab opens without it
    print(f"Your lessons are in {PLAYGROUND.name}/; an update leaves what you change as it is.")
    jupyter = subprocess.Popen([sys.executable, *command(), *options], cwd=ROOT)
    while True:
        try:
            return jupyter.wait()
        except KeyboardInterrupt:  # JupyterLab gets it, too, and asks for confirmation
            pass


def command() -> list[str]:
    """The command that opens JupyterLab on the first lesson, such that links to ``docs/`` work."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0  # as in most containers
    return [
        *("-m", "jupyterlab", "--LabApp.news_url=None", "--ServerApp.log_level=WARN"),
        *(["--allow-root"] if root else []),
        f"--ServerApp.root_dir={ROOT}",
        f"--ServerApp.extra_static_paths={[str(BUILD)]}",
        f"--LabApp.default_url=/lab/tree/{PLAYGROUND.name}/{FIRST}",
    ]


def _is_old(page: Path) -> bool:
    """Whether a lesson or a page is newer than the book."""
    sources = [*NOTEBOOKS.glob("*.ipynb"), *ROOT.glob("docs/*/*.md"), ROOT / "README.md"]
    return not page.exists() or page.stat().st_mtime < max(s.stat().st_mtime for s in sources)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

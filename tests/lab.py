"""A JupyterLab on a copy of the kit, and a lesson that is open in it."""

import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager

import nbformat

from tools import copies, notebooks

# Every kernel begins with this. What a lesson starts as a process of its own is not cut short.
SHORT = """
from pathlib import Path
from r3d_helpers import doctor, trainer
import torch

def one_epoch(config, check=trainer.TrainConfig.__post_init__):
    check(config)
    object.__setattr__(config, "epochs", 1)

def few_clips(dataset, num_samples, generator, sampler=trainer.RandomSampler):
    return sampler(dataset, num_samples=min(num_samples, 64), generator=generator)

def few_steps(optimizer, *args, init=torch.optim.LBFGS.__init__, **options):
    init(optimizer, *args, **options | {"max_iter": 5})

doctor.SAMPLES = Path("../data_samples").resolve()
trainer.TrainConfig.__post_init__ = one_epoch
trainer.RandomSampler = few_clips
torch.optim.LBFGS.__init__ = few_steps
"""
NO_NEWS = "lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"

PANEL = "window.jupyterapp?.shell.currentWidget"
IDLE = f"{PANEL}?.sessionContext?.session?.kernel?.status === 'idle'"
# All cells have run, or one has failed that must not, or JupyterLab asks something.
ENDED = f"""() => {{
    const cells = {PANEL}.context.model.toJSON().cells.filter(
        cell => cell.cell_type === 'code' && ![].concat(cell.source).join('').startsWith('%%hunt'));
    const failed = cell => cell.outputs.some(output => output.output_type === 'error');
    const mayFail = cell => cell.metadata.tags?.includes('raises-exception');
    return document.querySelector('.jp-Dialog') || ({IDLE} && (
        cells.every(cell => cell.execution_count) ||
        cells.some(cell => failed(cell) && !mayFail(cell))));
}}"""


def code_cells(notebook):
    """All but the copies that a hunt hands out: they come after Run All has begun."""
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return [cell for cell in code if not "".join(cell["source"]).startswith("%%hunt")]


@contextmanager
def serve(home):
    """A JupyterLab that reads nobody's settings and leaves nothing outside the folder ``home``.

    Yields:
        Its address, and the token that it wants.
    """
    _copy_kit(home / "kit")
    _write(home / "IPYTHONDIR/profile_default/startup/short.py", SHORT)
    _write(home / "JUPYTER_CONFIG_DIR" / NO_NEWS, '{"fetchNews": "false"}')
    own = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")}
    environment |= {name: str(home / name) for name in own}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--expose-app-in-browser"]
    command += ["--allow-root", "--ip=127.0.0.1", "--port=0", f"--ServerApp.root_dir={home}/kit"]
    log = home / "log"
    with log.open("w") as out:
        server = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        yield _address(server, log)
    finally:
        server.terminate()
        server.wait()


class Lesson:
    """A notebook, opened in JupyterLab, with Run All chosen from the menu.

    Attributes:
        stored: its code cells as they are committed.
        page: the browser's.
        complaints: the browser's errors, and what was asked of another host.
    """

    def __init__(self, browser, address, token, name):
        self.stored = code_cells(nbformat.read(notebooks.NOTEBOOKS / f"{name}.ipynb", 4))
        self.complaints = []
        self.address = address
        self.page = browser.new_page(viewport={"width": 1400, "height": 900})
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)
        self.page.on("request", self._watch)
        self.page.set_default_timeout(120_000)  # the machine may have other things to do
        # A workspace for each, or JupyterLab would open the lesson before it as well.
        self.page.goto(f"{address}lab/workspaces/{name}/tree/notebooks/{name}.ipynb?{token}")
        self.page.wait_for_function(IDLE)
        for item in ("Run", "Run All Cells"):
            self.page.get_by_role("menuitem", name=item, exact=True).click()
        self.page.wait_for_function(ENDED, polling=250, timeout=900_000)  # as for nbval

    def cells(self):
        """Its code cells as they are now."""
        return code_cells(self.page.evaluate(f"{PANEL}.context.model.toJSON()"))

    def close(self):
        self.page.evaluate(f"{PANEL}.sessionContext.shutdown()")
        self.page.close()

    def _hear(self, message):
        if message.type == "error":
            self.complaints.append(message.text)

    def _watch(self, request):
        if not request.url.startswith((self.address, "blob:", "data:")):
            self.complaints.append(f"asked for {request.url}")


def _copy_kit(folder):
    """The learner's copies, so that no stored output passes for a new one, and few samples."""
    for number in (*range(1, 22), 32, 48, 56):  # 00 shows 21 and 32; 11 finds no face of 48
        actor = f"data_samples/Actor_{number:02}"
        second_takes = shutil.ignore_patterns("*-02-??.mp4")
        shutil.copytree(notebooks.ROOT / actor, folder / actor, ignore=second_takes)
    results = "data_samples/results"
    shutil.copytree(notebooks.ROOT / results, folder / results)
    copies.renew(notebooks.NOTEBOOKS, folder / "notebooks")


def _write(path, text):
    path.parent.mkdir(parents=True)
    path.write_text(text)


def _address(server, log):
    """Address and token, once the server has said them."""
    for _ in range(600):
        if found := re.search(r"(http://127.0.0.1:\d+/)lab\?(token=\w+)", log.read_text()):
            return found.groups()
        if server.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab has not started:\n{log.read_text()}")

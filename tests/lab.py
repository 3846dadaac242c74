"""A JupyterLab on a copy of the kit, and a lesson that is open in it."""

import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import nbformat

from tools import copies, notebooks

HERE = str(Path(__file__).parent)
# Every kernel begins with this: short trainings, and weights that are quick to draw. What a lesson
# starts as a process of its own is not cut short.
SHORT = f"""
import sys
sys.path.append({HERE!r})
import quick
sys.path.remove({HERE!r})

from pathlib import Path
from r3d_helpers import doctor, trainer
import torch

def one_epoch(config, check=trainer.TrainConfig.__post_init__):
    check(config)
    object.__setattr__(config, "epochs", 1)

def few_clips(dataset, num_samples, generator, sampler=trainer.RandomSampler):
    return sampler(dataset, num_samples=min(num_samples, 32), generator=generator)

def few_steps(optimizer, *args, init=torch.optim.LBFGS.__init__, **options):
    init(optimizer, *args, **options | {{"max_iter": 5}})

doctor.SAMPLES = Path("../data_samples").resolve()
trainer.TrainConfig.__post_init__ = one_epoch
trainer.RandomSampler = few_clips
torch.optim.LBFGS.__init__ = few_steps
quick.draw_few()
"""
START = f"""
import sys
sys.path.insert(0, {HERE!r})
import forked
forked.install()
from jupyterlab.labapp import main
main()
"""
NO_NEWS = "lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"

OPEN = """async path => {
    const widget = await window.jupyterapp.commands.execute('docmanager:open', {path});
    window.jupyterapp.shell.activateById(widget.id);
}"""
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
    command = [sys.executable, "-c", START, "--no-browser", "--expose-app-in-browser"]
    command += ["--allow-root", "--ip=127.0.0.1", "--port=0", f"--ServerApp.root_dir={home}/kit"]
    log = home / "log"
    with log.open("w") as out:
        server = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        yield _address(server, log)
    finally:
        server.terminate()
        server.wait()


def visit(browser, address, token):
    """JupyterLab in a page, opened once for all lessons.

    Returns:
        The page, and a list that gets the browser's errors and what it asks of another host.
    """
    complaints = []

    def hear(message):
        if message.type == "error":
            complaints.append(message.text)

    def watch(request):
        if not request.url.startswith((address, "blob:", "data:")):
            complaints.append(f"asked for {request.url}")

    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", hear)
    page.on("request", watch)
    page.set_default_timeout(120_000)  # the machine may have other things to do
    page.goto(f"{address}lab?{token}")
    page.wait_for_function("window.jupyterapp?.shell")
    page.evaluate("window.jupyterapp.restored")
    return page, complaints


class Lesson:
    """A notebook, opened in JupyterLab, with Run All chosen from the menu.

    Attributes:
        stored: its code cells as they are committed.
        page: the browser's.
        complaints: the browser's errors, and what was asked of another host, up to now.
    """

    def __init__(self, page, complaints, name):
        self.stored = code_cells(nbformat.read(notebooks.NOTEBOOKS / f"{name}.ipynb", 4))
        self.page, self.complaints = page, complaints
        page.evaluate(OPEN, f"notebooks/{name}.ipynb")
        page.wait_for_function(IDLE)
        for item in ("Run", "Run All Cells"):
            page.get_by_role("menuitem", name=item, exact=True).click()
        page.wait_for_function(ENDED, polling=250, timeout=900_000)  # as for nbval

    def cells(self):
        """Its code cells as they are now."""
        return code_cells(self.page.evaluate(f"{PANEL}.context.model.toJSON()"))

    def close(self):
        """Without a question whether to save it."""
        self.page.evaluate(f"{PANEL}.sessionContext.shutdown().then(() => {PANEL}.dispose())")
        self.complaints.clear()


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

"""Execute the notebooks: ``python -m tools.notebooks run | refresh``.

``run`` leaves executed copies in ``build/notebooks/``. ``refresh`` executes in place, for a commit:
what differs from run to run without meaning anything is taken out, so that a second refresh on the
same machine changes nothing.
"""

import json
import re
import shutil
import sys
import time
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "notebooks"
BUILD = ROOT / "build"
EXECUTED = BUILD / "notebooks"
TEMPLATE = ROOT / "docs" / "maintain" / "template.ipynb"  # of a lesson
UNCOMPARED = "nbval-ignore-output"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def execute(notebook: NotebookNode, record_timing: bool = False) -> None:
    """Run every cell, in order, in a fresh kernel in ``notebooks/``.

    Args:
        notebook: is changed in place.
        record_timing: note in each cell's metadata when it began and ended.

    Raises:
        CellExecutionError: a cell fails that is not tagged ``raises-exception``.
    """
    client = NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        record_timing=record_timing,
        coalesce_streams=True,
        extra_arguments=["--log-level=40"],  # errors only: it warns of its own local sockets
        resources={"metadata": {"path": str(NOTEBOOKS)}},
    )
    client.execute()


def tidy(notebook: NotebookNode) -> None:
    """Take out of the outputs what names this machine or changes with every run."""
    _drop_uncompared_widgets(notebook)
    text = nbformat.writes(notebook)
    for number, model_id in enumerate(widgets(notebook)):
        text = text.replace(model_id, f"{number:032x}")
    # Tracebacks name files of this machine; what follows the package folder says enough. A path
    # may stand right behind a colour code, which ends in "m".
    path = r"(?:(?<=[\d;]m)|(?<![\w./~+-]))[~/][\w./~+-]{0,200}/site-packages/"
    text = re.sub(path, "site-packages/", text)
    text = text.replace(f"{ROOT}/", "")
    text = re.sub(r"/tmp/ipykernel_\d+/\d+\.py", "cell.py", text)
    notebook.update(nbformat.reads(text, as_version=4))
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)


def keep_uncompared(notebook: NotebookNode, stored: NotebookNode) -> None:
    """Put back the stored output of cells that are not compared, up to the first changed cell."""
    before = {cell.id: cell for cell in stored.cells}
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        old = before.get(cell.id)
        if old is None or old.source != cell.source:
            return
        if _is_uncompared(cell) and old.outputs:
            cell.outputs = old.outputs


def refresh() -> int:
    """Execute every notebook in place, and the template of one."""
    for path in [*sorted(NOTEBOOKS.glob("*.ipynb")), TEMPLATE]:
        print(f"{path.name} ...", flush=True)
        stored = nbformat.read(path, as_version=4)
        notebook = nbformat.read(path, as_version=4)
        execute(notebook)
        tidy(notebook)
        keep_uncompared(notebook, stored)
        nbformat.write(notebook, path)
    return 0


def run() -> int:
    """Execute copies of the notebooks in order, and end with a table."""
    shutil.rmtree(EXECUTED, ignore_errors=True)
    EXECUTED.mkdir(parents=True)
    rows = []
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        print(f"{path.stem} ...", end=" ", flush=True)
        began = time.perf_counter()
        notebook = nbformat.read(path, as_version=4)
        try:
            execute(notebook)
            verdict = "ok"
        except (CellExecutionError, TimeoutError, RuntimeError, NoSuchKernel) as error:
            verdict = "FAILED"
            print(error)
        seconds = time.perf_counter() - began
        print(f"{verdict} after {seconds:.0f} s", flush=True)
        tidy(notebook)
        nbformat.write(notebook, EXECUTED / path.name)
        rows.append((path.stem, seconds, verdict))
    print(f"\n{'notebook':<32}{'seconds':>8}  verdict")
    for name, seconds, verdict in rows:
        print(f"{name:<32}{seconds:>8.0f}  {verdict}")
    print()
    return int(any(verdict != "ok" for _, _, verdict in rows))


def _is_uncompared(cell: NotebookNode) -> bool:
    return UNCOMPARED in cell.metadata.get("tags", ())


def widgets(notebook: NotebookNode) -> dict[str, NotebookNode]:
    """The stored state of every widget by id, in order of creation."""
    return notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})


def _drop_uncompared_widgets(notebook: NotebookNode) -> None:
    """A progress bar's last state is a timing; its view goes, and what no other view needs."""
    views = []
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if WIDGET_VIEW not in data:
                continue
            if _is_uncompared(cell):
                del data[WIDGET_VIEW]
            else:
                views.append(data[WIDGET_VIEW]["model_id"])
    state = widgets(notebook)
    needed = set()
    while views:
        model_id = views.pop()
        if model_id in state and model_id not in needed:
            needed.add(model_id)
            views += re.findall(r"IPY_MODEL_(\w+)", json.dumps(state[model_id]))
    for model_id in [model_id for model_id in state if model_id not in needed]:
        del state[model_id]
    if not state:
        notebook.metadata.pop("widgets", None)


if __name__ == "__main__":
    commands = {"run": run, "refresh": refresh}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    sys.exit(commands[sys.argv[1]]())

"""Execute the notebooks: ``python -m tools.notebooks run | refresh``.

``run`` writes executed copies to ``build/notebooks/``. ``refresh`` executes in place, for a commit:
parts of the outputs that change with every run are removed, so that a second refresh on the same
machine changes nothing.
"""

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from tqdm.auto import tqdm

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "notebooks"
BUILD = ROOT / "build"
EXECUTED = BUILD / "notebooks"
TEMPLATE = ROOT / "docs" / "maintain" / "template.ipynb"  # of a lesson
UNCOMPARED = "nbval-ignore-output"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def execute(
    notebook: NotebookNode,
    record_timing: bool = False,
    after_cell: Callable[..., None] | None = None,
) -> None:
    """Run every cell, in order, in a fresh kernel in ``notebooks/``.

    The kernel computes on one thread, so that outputs do not depend on how many run side by side.

    Args:
        notebook: changed in place.
        record_timing: store the start and end time in each cell's metadata.
        after_cell: called after each cell, with ``cell`` and ``cell_index``.

    Raises:
        CellExecutionError: a cell without the tag ``raises-exception`` fails.
    """
    client = NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        record_timing=record_timing,
        coalesce_streams=True,
        extra_arguments=["--log-level=40"],  # errors only, without warnings about its own sockets
        resources={"metadata": {"path": str(NOTEBOOKS)}},
        on_cell_complete=after_cell,
    )
    client.execute(env={**os.environ, "OMP_NUM_THREADS": "1"})


def tidy(notebook: NotebookNode) -> None:
    """Remove from the outputs what names this machine or changes with every run."""
    _drop_uncompared_widgets(notebook)
    text = nbformat.writes(notebook)
    for number, model_id in enumerate(widgets(notebook)):
        text = text.replace(model_id, f"{number:032x}")
    # Tracebacks name files of this machine: keep only the part after the package folder. A path
    # may come right after a colour code, which ends in "m".
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
    """Execute every notebook and the template of one, in place; exit status 1 for trouble."""
    return _side_by_side([*sorted(NOTEBOOKS.glob("*.ipynb")), TEMPLATE], keep=True)


def run() -> int:
    """Execute copies of the notebooks; the exit status is 1 for trouble."""
    shutil.rmtree(EXECUTED, ignore_errors=True)
    EXECUTED.mkdir(parents=True)
    return _side_by_side(sorted(NOTEBOOKS.glob("*.ipynb")), keep=False)


def _side_by_side(paths: Sequence[Path], keep: bool) -> int:
    """Execute as many notebooks at once as there are cores; end with a table.

    A notebook that says ``after`` in its metadata waits for those that it names.
    """
    after = {path.stem: nbformat.read(path, 4).metadata.lesson.get("after", ()) for path in paths}
    waited_for = {name for names in after.values() for name in names}
    # So that no core is idle: first the notebooks that others wait for, last those that wait.
    order = sorted(paths, key=lambda path: (path.stem not in waited_for, len(after[path.stem])))
    begun: dict[str, Future] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for line, path in enumerate(order):
            others = [begun[name] for name in after[path.stem]]
            begun[path.stem] = pool.submit(_run_one, path, others, line, keep)
    rows = [begun[path.stem].result() for path in paths]
    print(f"\n{'notebook':<32}{'seconds':>8}  verdict")
    for name, seconds, verdict in rows:
        print(f"{name:<32}{seconds:>8.0f}  {verdict}")
    print()
    return int(any(verdict != "ok" for _, _, verdict in rows))


def _run_one(path: Path, others: Sequence[Future], line: int, keep: bool) -> tuple[str, float, str]:
    """Execute a notebook after the ``others``, with a bar in a ``line``.

    Returns:
        Its name, seconds, and a verdict. The outputs are written in place, or else to a copy.
    """
    wait(others)
    began = time.perf_counter()
    notebook = nbformat.read(path, as_version=4)
    total = sum(cell.cell_type == "code" for cell in notebook.cells)
    shown = sys.stderr.isatty()
    with tqdm(desc=path.stem, total=total, position=line, unit="cell", disable=not shown) as bar:
        try:
            execute(notebook, after_cell=lambda **_: bar.update())
            verdict = "ok"
        except (CellExecutionError, TimeoutError, RuntimeError, NoSuchKernel) as error:
            verdict = "FAILED"
            tqdm.write(f"{path.stem}: {error}")
    seconds = time.perf_counter() - began
    if not shown:
        print(f"{path.stem} ... {verdict} after {seconds:.0f} s", flush=True)
    tidy(notebook)
    if not keep:
        nbformat.write(notebook, EXECUTED / path.name)
    elif verdict == "ok":
        keep_uncompared(notebook, nbformat.read(path, as_version=4))
        nbformat.write(notebook, path)
    return path.stem, seconds, verdict


def _is_uncompared(cell: NotebookNode) -> bool:
    return UNCOMPARED in cell.metadata.get("tags", ())


def widgets(notebook: NotebookNode) -> dict[str, NotebookNode]:
    """The stored state of every widget by id, in order of creation."""
    return notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})


def _drop_uncompared_widgets(notebook: NotebookNode) -> None:
    """Remove the views of progress bars, which show timings, and the widgets only they need."""
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

"""Run a lesson from top to bottom, as *Run All Cells* does: ``python run.py 01_bug_permute``.

Says at the end whether every cell did what it should; cells that should fail must fail.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NOTEBOOKS = Path(__file__).resolve().parent / "notebooks"


def main() -> int:
    """Run the named lesson; the exit status is 1 if a cell did not do what it should."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    lesson = sys.argv[1]
    notebook = nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", as_version=4)
    place = {"metadata": {"path": str(NOTEBOOKS)}}
    try:
        NotebookClient(notebook, timeout=900, kernel_name="python3", resources=place).execute()
    except CellExecutionError as error:
        print(error)
        return 1
    for cell in notebook.cells:
        raised = any(output.output_type == "error" for output in cell.get("outputs", ()))
        if raised != ("raises-exception" in cell.metadata.get("tags", ())):
            print(f"lesson {lesson}: a cell did not fail as it should: {cell.source}")
            return 1
    print(f"{lesson}: every cell did what it should")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The outputs that tests compare, and the bounds in them: ``python -m tools.verdicts`` lists them.

No cell can drop out of the comparison, and no bound can become weaker, without a change of this
list: `tests/test_notebooks.py` compares it with the lessons.
"""

import ast
import csv
import io
import sys
from pathlib import Path

import nbformat

from .notebooks import ROOT

LIST = ROOT / "tests" / "data" / "verdicts.csv"
TOLERANCES = ("atol", "rtol")
HEAD = ("lesson", "cell", "bounds")


def verdicts(path: Path) -> list[tuple[str, str, str]]:
    """The cells of a lesson whose output is compared, each with the bounds in its code."""
    rows = []
    for cell in nbformat.read(path, as_version=4).cells:
        compared = "nbval-ignore-output" not in cell.metadata.get("tags", ())
        if cell.cell_type == "code" and cell.outputs and compared:
            rows.append((path.stem, cell.id, " | ".join(_bounds(cell.source))))
    return rows


def table() -> str:
    """The list of all lessons, as it is stored."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        writer.writerows(verdicts(path))
    return text.getvalue()


def _bounds(source: str) -> list[str]:
    """The comparisons in a cell, as source text: smaller, larger, equal to a number, or close."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            ordered = any(isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for op in node.ops)
            bound = ordered or any(map(_is_number, ast.walk(node)))
        else:
            bound = isinstance(node, ast.Call) and any(k.arg in TOLERANCES for k in node.keywords)
        if bound:
            # pyrefly: ignore[missing-attribute]
            found.append((node.lineno, node.col_offset, ast.unparse(node)))
    return [text for *_, text in sorted(found)]


def _is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def main() -> int:
    """Write the list."""
    LIST.write_text(table(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

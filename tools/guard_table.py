"""``python -m tools.guard_table`` writes the maintainers' table of guards, from the tests.

A test that protects the repository or the lessons says in its docstring what goes wrong without
it: ``Without it: ...``. Tests of what a function does have no such line.
"""

import ast
import re
from pathlib import Path

from .between import rewrite
from .notebooks import ROOT

PAGE = ROOT / "docs" / "maintain" / "maintainers.md"
BEGIN, END = "<!-- guards -->", "<!-- end: guards -->"


def guards(path: Path) -> list[tuple[str, str]]:
    """Name and reason of each guard in a file of tests."""
    found = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            words = " ".join((ast.get_docstring(node) or "").split())
            if reason := re.match(r"Without it:? (.+?)\.?$", words):
                found.append((node.name, reason[1]))
    return found


def table() -> str:
    """A table for each file of tests that has guards."""
    parts = []
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        if found := guards(path):
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            about, *_ = (text or "").splitlines()
            rows = [f"| `{name}` | {reason} |" for name, reason in found]
            head = [f"**`tests/{path.name}`**: {about}", "", "| test | without it |", "|---|---|"]
            parts.append("\n".join([*head, *rows]))
    return "\n\n".join(parts)


if __name__ == "__main__":
    rewrite(PAGE, BEGIN, END, table())

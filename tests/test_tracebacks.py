"""Tracebacks of a lesson show the reader's lines and count those of libraries."""

import re

import pytest
from IPython.core import getipython
from IPython.core.interactiveshell import InteractiveShell

from r3d_helpers.classroom import tracebacks

CODE = """
from torch import nn, zeros
def mine(x):
    return nn.Sequential(nn.Linear(2, 3))(x)
mine(zeros(3, 5))
"""


@pytest.fixture
def run(monkeypatch):
    """Run a cell in a shell of its own; what it shows of an error."""
    shell, shown = InteractiveShell(), []
    monkeypatch.setattr(getipython, "get_ipython", lambda: shell)
    monkeypatch.setattr(shell, "_showtraceback", lambda *error: shown.append(error))
    tracebacks.shorten()

    def run(code):
        result = shell.run_cell(code)
        (kind, error, lines), *_ = shown
        shown.clear()
        return result, kind, error, re.sub(r"\x1b\[[\d;]*m", "", "\n".join(lines))

    return run


def test_only_the_readers_own_lines_are_shown(run):
    """Without it: eleven screens of library code are between the reader's line and the message."""
    result, kind, error, text = run(CODE)
    assert result.error_in_exec is error  # the front end knows that the cell has failed
    assert kind is RuntimeError
    assert "mine(zeros(3, 5))" in text
    assert re.search(r"-> \d+ +return nn.Sequential", text)
    assert "site-packages" not in text
    assert re.search(r"\(steps inside of libraries left out: \d; %tb shows them\)", text)
    assert text.rstrip().endswith(f"RuntimeError: {error}")


def test_the_whole_traceback_can_be_asked_for(run):
    run(CODE)
    _, _, _, whole = run("%tb")
    assert "site-packages" in whole
    assert "left out" not in whole


def test_an_error_of_the_readers_own_is_left_alone(run):
    _, kind, _, text = run("1 / 0")
    assert kind is ZeroDivisionError
    assert "left out" not in text


def test_elsewhere_than_in_a_notebook_nothing_changes(monkeypatch):
    monkeypatch.setattr(getipython, "get_ipython", lambda: None)
    tracebacks.shorten()

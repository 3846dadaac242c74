"""Tracebacks in a lesson: they show the reader's own lines, and only count those of libraries."""

import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

_LIBRARIES = tuple({f"{Path(sysconfig.get_path(name))}/" for name in ("purelib", "stdlib")})


def shorten() -> None:
    """Leave out the frames of libraries in a notebook's tracebacks; ``%tb`` shows them."""
    from IPython.core.getipython import get_ipython

    if (shell := get_ipython()) is not None:
        shell.set_custom_exc((Exception,), _show)


def _show(
    shell: Any,  # noqa: ANN401 (IPython's, of any front end)
    kind: type[Exception],
    error: Exception,
    trace: TracebackType,
    tb_offset: int | None = None,
) -> None:
    sys.last_type, sys.last_value, sys.last_traceback = kind, error, trace  # for %tb
    frames = [*_frames(trace)]
    own = [frame for frame in frames if not _is_library(frame)]
    short = None
    for frame in reversed(own):
        short = TracebackType(short, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    lines = shell.InteractiveTB.structured_traceback(kind, error, short, tb_offset=0)
    if folded := len(frames) - len(own) - 1:  # one is IPython's
        lines.insert(-1, f"(steps inside of libraries left out: {folded}; %tb shows them)\n")
    shell._showtraceback(kind, error, lines)


def _frames(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _is_library(frame: TracebackType) -> bool:
    return frame.tb_frame.f_code.co_filename.startswith(_LIBRARIES)

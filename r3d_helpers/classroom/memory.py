"""The row of memory: a tiny video as a row of numbered cells, and which frame reads which cell."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

_SCRIPT = Path(__file__).with_name("memory.js")
COLOURS = ("red", "green", "blue")
SKY, BALL = (110, 180, 230), (250, 150, 40)


def ball() -> Tensor:
    """A ball that flies from left to right in two frames, uint8 ``[1, 2, 3, 2, 3]``."""
    video = torch.tensor(SKY, dtype=torch.uint8).view(1, 1, 3, 1, 1).repeat(1, 2, 1, 2, 3)
    video[0, 0, :, 1, 0] = video[0, 1, :, 0, 2] = torch.tensor(BALL, dtype=torch.uint8)
    return video


class RowOfMemory:
    """Choose how to reorder a video's axes, and see which cells each frame reads.

    It is shown by its own script and needs no kernel. Point at a cell, at a pixel or at the name
    of a frame, or go there with the keyboard: the matching pixels or cells are marked, and a line
    of text says which.

    Args:
        ways: by name, functions from ``[1, T, 3, H, W]`` to what is taken for ``[1, 3, T, H, W]``.
        video: uint8 ``[1, T, 3, H, W]``, small, with T, H and W of 2 or more; None is `ball`.

    Raises:
        ValueError: the video has another shape, or a way gives another shape or loses a number.
    """

    def __init__(
        self, ways: Mapping[str, Callable[[Tensor], Tensor]], video: Tensor | None = None
    ) -> None:
        self.video = ball() if video is None else video
        B, *others = sizes = self.video.shape
        if len(sizes) != 5 or (B, sizes[2]) != (1, 3) or min(others) < 2:
            raise ValueError(f"expected a video [1, T, 3, H, W], got {list(self.video.shape)}")
        _, self.T, _, self.H, self.W = self.video.shape
        cells = torch.arange(self.video.numel()).view(self.video.shape)
        self.reads = {name: self._read(name, way(cells)) for name, way in ways.items()}

    def _read(self, name: str, read: Tensor) -> Tensor:
        """The cell that each number is read from, ``[T, 3, H, W]``."""
        wanted = [1, 3, self.T, self.H, self.W]
        if list(read.shape) != wanted:
            raise ValueError(f"{name!r} gives {list(read.shape)}, expected {wanted}")
        if not read.flatten().sort().values.equal(torch.arange(self.video.numel())):
            raise ValueError(f"{name!r} does not read every cell once")
        return read[0].transpose(0, 1)

    def place(self, at: int) -> str:
        """Which number of the video is in a cell."""
        t, c, row, column = self._unravel(at)
        return f"frame {t}, {COLOURS[c]}, row {row}, column {column}"

    def way(self, name: str) -> str:
        """Which cells each frame reads, and the distance from each cell to the next."""
        reads = self.reads[name]
        steps = reads[1, 0, 0, 0], reads[0, 1, 0, 0], reads[0, 0, 1, 0], reads[0, 0, 0, 1]
        apart = [int(step - reads[0, 0, 0, 0]) for step in steps]
        jumps = ", ".join(f"{letter} {by}" for letter, by in zip("TCHW", apart, strict=True))
        each = [f"frame {t} reads cells {_spans(reads[t])}" for t in range(self.T)]
        right = "Every number is where it belongs."
        wrong = int((reads.flatten() != torch.arange(reads.numel())).sum())
        if wrong:
            right = f"{wrong} of {reads.numel()} numbers are not where they belong."
        return f"{name}: {', '.join(each)}. Cells from one step to the next: {jumps}. {right}"

    def frame(self, name: str, t: int) -> str:
        """From which planes of the video a frame is made."""
        planes = []
        for colour, plane in zip(COLOURS, self.reads[name][t], strict=True):
            sources = {tuple(self._unravel(int(at))[:2]) for at in plane.flatten()}
            said = " and ".join(f"the {COLOURS[c]} of frame {u}" for u, c in sorted(sources))
            planes.append(f"its {colour} is {said}")
        return f"{name}, frame {t}: {', '.join(planes)}."

    def pixel(self, name: str, t: int, colour: str, row: int, column: int) -> str:
        """From which cell a number is read, and which one should be there."""
        at = int(self.reads[name][t, COLOURS.index(colour), row, column])
        here = self._ravel(t, COLOURS.index(colour), row, column)
        said = f"{name}: frame {t}, {colour}, row {row}, column {column} is read from cell {at}"
        if at == here:
            return f"{said}, and that is right."
        return f"{said}: {self.place(at)}. It should be cell {here}."

    def cell(self, name: str, at: int) -> str:
        """Where a cell of the row is read."""
        there = int((self.reads[name].flatten() == at).nonzero())
        said = f"Cell {at} is {self.place(at)}"
        if there == at:
            return f"{said}, and {name} reads it there."
        return f"{said}. {name} reads it as {self.place(there)}."

    def _ravel(self, t: int, c: int, row: int, column: int) -> int:
        return ((t * 3 + c) * self.H + row) * self.W + column

    def _unravel(self, at: int) -> tuple[int, int, int, int]:
        plane, inside = divmod(at, self.H * self.W)
        return (*divmod(plane, 3), *divmod(inside, self.W))

    def __repr__(self) -> str:
        return "\n".join(self.way(name) for name in self.reads)

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, str]:
        every = range(self.video.numel())
        ways = [
            {
                "name": name,
                "reads": reads.flatten().tolist(),
                "way": self.way(name),
                "frames": [self.frame(name, t) for t in range(self.T)],
                "pixels": [self.pixel(name, t, COLOURS[c], row, column)
                           for t, c, row, column in map(self._unravel, every)],
                "cells": [self.cell(name, at) for at in every],
            }
            for name, reads in self.reads.items()
        ]  # fmt: skip
        data = {
            "sizes": [self.T, 3, self.H, self.W],
            "colours": COLOURS,
            "values": self.video.flatten().tolist(),
            "ways": ways,
        }
        script = _SCRIPT.read_text(encoding="utf-8").replace("DATA", json.dumps(data))
        words = "".join(f"<p>{self.way(name)}</p>" for name in self.reads)
        html = f'<div class="r3d-memory">{words}<script>\n{script}</script></div>'
        return {"text/html": html, "text/plain": repr(self)}


def _spans(cells: Tensor) -> str:
    """Numbers in words, ``0 to 5 and 12 to 17``."""
    spans: list[list[int]] = []
    for at in cells.flatten().sort().values.tolist():
        if spans and spans[-1][1] == at - 1:
            spans[-1][1] = at
        else:
            spans.append([at, at])
    said = [str(first) if first == last else f"{first} to {last}" for first, last in spans]
    return _listed(said)


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))

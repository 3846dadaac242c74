"""Guard of time: every frame changes the answer, and layers along time get more than one step."""

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from .bench import Bench, Layer, Listener
from .findings import Finding

GUARD = "time"
KEEP_TIME = (
    "Give it one feature vector for each moment, before any average over time; or take it out."
)
SAME = 1e-5  # relative; sums in another order differ by less


def frames(bench: Bench) -> Iterator[Finding]:
    """Which parts of the video never change the answer, and which layers get no time?"""
    yield from _unseen(bench)
    if bench.num_frames > 1:
        yield from _without_time(bench)


def _unseen(bench: Bench) -> Iterator[Finding]:
    video = bench.clips.clone().requires_grad_()
    answer = bench.run(video, grad=True)[0]
    if not answer.requires_grad:
        return  # the learning guard reports it
    (grad,) = torch.autograd.grad(answer.square().sum(), video, allow_unused=True)
    if grad is None:
        grad = torch.zeros_like(video)
    for axis, what in ((bench.time, "frame"), (bench.colour, "colour"), (3, "row"), (4, "column")):
        silent = grad.abs().amax([a for a in range(5) if a != axis]) == 0
        seen = _confirm(bench, answer.detach(), axis, silent)
        if seen and (lost := _uneven(seen, len(silent), what)):
            yield Finding(
                GUARD,
                "",
                f"never looks at {what} {lost} of {len(silent)} (counted from 0): the answer is "
                "the same whatever is there.",
                "Print the indices that are taken, for a short and a long video. The middles of "
                "equal parts, `(2 * i + 1) * T // (2 * n)`, lose no end.",
                "01",
            )


def _confirm(bench: Bench, answer: Tensor, axis: int, silent: Tensor) -> list[int]:
    """Which indices along an axis change the answer, tried out where the gradient is zero."""

    def matters(indices: list[int]) -> bool:
        changed = bench.clips.clone()
        at = (slice(None),) * axis + (indices,)
        changed[at] = bench.others[at]
        return not bench.run(changed)[0].equal(answer)

    hints = silent.nonzero().flatten().tolist()
    seen = [index for index in range(len(silent)) if index not in hints]
    if hints and matters(hints):
        seen = sorted({*seen, *(index for index in hints if matters([index]))})
    return seen


def _uneven(seen: list[int], size: int, what: str) -> str:
    """The indices that are left out, as text, if they are not spread evenly; else ``""``."""
    lost = [index for index in range(size) if index not in seen]
    head, tail = seen[0], size - 1 - seen[-1]
    if what in ("row", "column"):  # a crop in the middle, or a border that no patch covers
        fine = abs(head - tail) <= size / 4
    elif what == "colour" or not lost:
        fine = not lost
    elif len(seen) == 1:
        fine = abs(head - tail) <= size / 2  # the middle one
    else:
        steps = [b - a for a, b in pairwise(seen)]
        even = max(size / len(seen), (size - 1) / (len(seen) - 1))  # with both ends, or without
        fine = max(steps) <= even + 1 and max(head, tail) < max(steps)
    return "" if fine else _ranges(lost)


def _ranges(numbers: list[int]) -> str:
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{p[0]} to {p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)


class _Given(Listener):
    """Stores the inputs of the layers that work along time."""

    def __init__(self) -> None:
        super().__init__()
        self.layers: list[tuple[tuple[int, ...], str, int, float]] = []  # ids, kind, steps, a mark
        self.kept: list[Tensor] = []  # keeps the weights alive, so that their ids stay unique

    def given(self, layer: Layer) -> None:
        if (axis := layer.time) is None:
            return
        x = layer.x.detach().double()
        weights = tuple(id(weight) for weight in layer.weights)
        self.kept += layer.weights
        mark = torch.linspace(0, 99, x.numel(), dtype=torch.double, device=x.device).cos()
        self.layers.append((weights, layer.kind, x.shape[axis], float(x.flatten() @ mark)))


def _without_time(bench: Bench) -> Iterator[Finding]:
    random_ = torch.Generator().manual_seed(bench.seed)
    order = torch.arange(bench.num_frames).roll(1)
    if bench.num_frames > 3:
        order = torch.randperm(bench.num_frames, generator=random_)
    given = []
    for video in (bench.clips, bench.clips.index_select(bench.time, order), bench.others):
        listener = _Given()
        bench.run(video, listener=listener)
        given.append(listener)
    told = set()
    for as_it_is, shuffled, other in zip(*(listener.layers for listener in given), strict=False):
        weights, kind, steps, mark = as_it_is
        where = bench.where(*(t for t in given[0].kept if id(t) in weights)) or kind
        again = sum(layer[0] == weights for layer in given[0].layers) > 1
        change, scale = abs(shuffled[3] - mark), abs(other[3] - mark)
        message = ""
        if steps == 1 and kind in ("lstm", "gru", "rnn_tanh", "rnn_relu") and not again:
            message = (
                "works along time, and is given a single step: what it would carry from one step "
                "to the next is never used."
            )
        elif kind != "multi_head_attention_forward" and scale and change <= 10 * SAME * scale:
            message = (
                "works along time, and its input does not depend on the order of the frames: time "
                "has been averaged away before it."
            )
        if message and message not in told:  # the first layer is enough; later ones follow from it
            told.add(message)
            yield Finding(GUARD, where, message, KEEP_TIME, "03")

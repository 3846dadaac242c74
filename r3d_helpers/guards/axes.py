"""Guard of the axes: does every layer get its input with the axes in their right places?

Every input number of a layer comes from somewhere: from a frame, a colour and a place of the
video, or, in later layers, from a channel and a place of an earlier layer's output. The gradient
of that one number shows its origin. If a layer sums numbers that do not belong together, or slides
along colours or channels, an axis is not what the program takes it for: for example, `view` was
used instead of `permute`.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from .bench import Bench, Layer, Listener
from .findings import Finding
from .frames import KEEP_TIME

GUARD = "axes"
FAR = 0.3  # of an axis' length: positions that differ by less may be one, blurred by pooling
REMEDY = (
    "Write the letters of the axes behind every line before this layer. `view`, `reshape` and "
    "`flatten` move nothing: use `permute` or `transpose` to move axes, and `flatten` only to "
    "merge neighbours. Then compare with a loop."
)


def axes(bench: Bench) -> Iterator[Finding]:
    """Does every layer get its input with the axes in their right places?"""
    for parameter in bench.model.parameters():  # frozen ones are layers as well
        if parameter.is_floating_point():
            parameter.requires_grad_(True)
    try:  # one clip alone, so that no frames of other clips are mixed in
        listener = _Sources(bench, bench.clips[:1])
        bench.run(listener.video, grad=True, listener=listener)
    except Exception:  # the batch guard reports it
        listener = _Sources(bench, bench.clips)
        bench.run(listener.video, grad=True, listener=listener)
    yield from listener.findings


class _Sources(Listener):
    """Finds the origin of some input numbers of every layer.

    The graph is cut after every layer, so that the gradient of a layer's input passes only through
    operations without weights, back to the video or to outputs of earlier layers.
    """

    def __init__(self, bench: Bench, video: Tensor) -> None:
        super().__init__()
        self.bench, self.video = bench, video.clone().requires_grad_()
        self.sources = [self.video]
        self.channel = {id(self.video): bench.colour}  # of each source
        self.averaged: set[int] = set()  # sources from which time has been averaged away
        self.now_averaged = False  # whether time is averaged away in this layer's input
        self.findings: list[Finding] = []

    def compute(self, func: Callable, args: tuple, kwargs: dict) -> object:
        with torch.enable_grad():  # also where the model asks for none
            if func is Tensor.detach:
                return args[0].view_as(args[0])
            if func in (F.relu, torch.relu, Tensor.relu):  # let the gradient pass, on or off
                x = args[0].clone()
                return x + (func(*args, **kwargs) - x).detach()
            out = func(*args, **kwargs)
            mixes = ("matmul", "bmm", "einsum", "scaled_dot_product_attention", "__matmul__")
            if getattr(func, "__name__", "") in mixes:
                parts = [t for t in [*args, *kwargs.values()] if isinstance(t, Tensor)]
                parts += [t for part in args if isinstance(part, list | tuple) for t in part]
                if sum(isinstance(t, Tensor) and t.requires_grad for t in parts) > 1:
                    return self._cut(out, out.ndim - 1)
            return out

    def given(self, layer: Layer) -> None:
        self.now_averaged = False
        if not (layer.x.requires_grad and layer.x.numel()):
            return
        alike, averaged = [], []
        whole = torch.autograd.grad(
            layer.x.sum(), self.sources, retain_graph=True, allow_unused=True
        )
        for source in [s for s, grad in zip(self.sources, whole, strict=True) if grad is not None]:
            raw = source is self.video
            time = self.bench.time if raw else None
            seen = _Seen(layer, source, self.channel[id(source)], time)
            if not seen.found:
                continue
            alike.append(seen.alike(layer.time))
            averaged.append(id(source) in self.averaged or seen.averages())
            if message := (raw and _of_video(seen, self.bench.time)) or _of_any(seen, raw):
                self._find(GUARD, layer, message, REMEDY, "01")
                self.sources = [s for s in self.sources if s is not source]  # once is enough
        self.now_averaged = bool(averaged) and all(averaged)
        if self.now_averaged and layer.time is not None and layer.x.shape[layer.time] == 1:
            message = (
                "works along time, and time has been averaged away before it: there is one step, "
                "and its neighbours are padding."
            )
            self._find("time", layer, message, KEEP_TIME, "03")
        if alike and all(alike) and self.bench.num_frames > 1:
            message = (
                "works along time, and its input is the same at every step: a repeated input adds "
                "no information."
            )
            self._find("time", layer, message, KEEP_TIME, "03")

    def _find(self, guard: str, layer: Layer, message: str, remedy: str, lesson: str) -> None:
        where = self.bench.where(*layer.weights) or layer.kind
        self.findings.append(Finding(guard, where, message, remedy, lesson))

    def returned(self, layer: Layer, output: object) -> object:
        if not any(weight.requires_grad for weight in layer.weights):
            return output  # a fixed filter belongs to the preprocessing of the video
        is_conv = layer.kind.startswith("conv")
        if isinstance(output, tuple):
            return tuple(self.returned(layer, part) for part in output)
        if not isinstance(output, Tensor):
            return output
        leaf = self._cut(output, layer.feature if is_conv else output.ndim - 1)
        if self.now_averaged:
            self.averaged.add(id(self.sources[-1]))
        return leaf

    def _cut(self, output: Tensor, channel: int) -> Tensor:
        leaf = output.detach().requires_grad_()
        self.sources.append(leaf)
        self.channel[id(leaf)] = channel
        return leaf * 1  # so that the model may change it in place


class _Seen:
    """The origins of a layer's input in one source, along each axis of the input.

    Attributes:
        found: whether any input number comes from this source.
        lines: for each axis of the input, pairs of an index and the origin of the number there.
            An origin has one entry for each axis of the source: the mean position, and for the
            channel axis the channel, or None if the number comes from several.
    """

    def __init__(self, layer: Layer, source: Tensor, channel: int, time: int | None) -> None:
        self.raw, self.time = time is not None, time
        self.reach = dict.fromkeys(range(source.ndim), 0)  # source indices behind one number
        self.layer, self.source, self.channel = layer, source, channel
        self.lines: dict[int, list[tuple[int, list[float | None]]]] = {}
        x = layer.x
        start = self._alive()
        self.found = start is not None
        for axis in range(x.ndim) if self.found else ():
            self.lines[axis] = []
            size = x.shape[axis]
            every = self.raw and axis in layer.places and size <= 32
            for index in range(size) if every else _spread(size):
                at = (*start[:axis], index, *start[axis + 1 :])
                if (origin := self.origin(at)) is not None:
                    self.lines[axis].append((index, origin))
                if not every and len(self.lines[axis]) == 4:
                    break
            self.lines[axis].sort(key=lambda line: line[0])

    def _alive(self) -> tuple[int, ...] | None:
        """The index of an input number that comes from the source; behind a ReLU not all do."""
        x = self.layer.x
        middle = tuple(size // 2 for size in x.shape)
        random_ = torch.Generator().manual_seed(0)
        for attempt in range(12):
            at = middle
            if attempt:
                at = tuple(int(torch.randint(n, (), generator=random_)) for n in x.shape)
            if self.origin(at) is not None:
                return at
        return None

    def origin(self, at: tuple[int, ...]) -> list[float | None] | None:
        x, source = self.layer.x, self.source
        (grad,) = torch.autograd.grad(x[at], source, retain_graph=True, allow_unused=True)
        if grad is None or not grad.any() or not grad.isfinite().all():
            return None
        places = grad.nonzero(as_tuple=True)
        weight = grad[places].abs().double()
        origin: list[float | None] = []
        for axis, (size, index) in enumerate(zip(source.shape, places, strict=True)):
            found = torch.zeros(size, dtype=torch.bool, device=index.device)
            self.reach[axis] = max(self.reach[axis], int(found.index_fill(0, index, True).sum()))
            if axis == self.channel:
                share = weight.new_zeros(size).index_add_(0, index, weight)
                top = share.topk(min(2, size)).values
                clear = size == 1 or bool(top[0] >= 2 * top[1])
                origin.append(float(share.argmax()) if clear else None)
            else:
                origin.append(float((weight * index).sum() / weight.sum()))
        return origin

    def changes(self, what: int, along: int) -> bool:
        """Whether the origin's entry ``what`` changes along an axis of the layer's input."""
        values = [at for _, origin in self.lines[along] if (at := origin[what]) is not None]
        far = 0 if what == self.channel else FAR * (self.source.shape[what] - 1)
        if self.raw:  # nothing has pooled it yet
            far = min(far, 0.9)
        return bool(values) and max(values) - min(values) > far

    def alike(self, along: int | None) -> bool:
        """Whether all numbers along an axis have the same origin."""
        if along is None or len(self.lines[along]) < 2:
            return False
        (_, first), *others = self.lines[along]
        pairs = [pair for _, other in others for pair in zip(first, other, strict=True)]
        return all(a == b if None in (a, b) else abs(a - b) < 1e-3 for a, b in pairs)

    def averages(self) -> bool:
        """Whether each number averages three or more time steps, and only one step is left."""
        x, first = self.layer.x, self.layer.feature + 1
        if not (self.layer.kind == "conv3d" and x.shape[first] == 1):
            return False
        time = self.time if self.raw else 2
        return self.source.ndim == 5 and 3 <= self.source.shape[time] == self.reach[time]

    def goes_back(self, what: int, along: int) -> bool:
        values = [origin[what] for _, origin in self.lines[along]]
        return any(b < a - 0.25 for a, b in pairwise(values))


def _spread(size: int) -> list[int]:
    """Some indices of an axis: both ends and the middle first, and some neighbours."""
    wanted = (0, size - 1, size // 2, 1, size // 4, 3 * size // 4, size - 2, size // 3)
    return list(dict.fromkeys(index for index in wanted if 0 <= index < size)) if size > 1 else []


def _of_video(seen: _Seen, time: int) -> str:
    """What is wrong with the input of one of the first layers, or ``""``."""
    layer, colour = seen.layer, seen.channel
    height, width = 3, 4
    for axis in layer.sliding:
        if seen.changes(colour, axis) and layer.x.shape[layer.feature] > 1:
            return (
                "slides along the colours of the video as if they were moments or places: the "
                "axes of time and colour are not where this layer takes them to be."
            )
    if any(seen.changes(time, axis) and seen.goes_back(time, axis) for axis in layer.places):
        return "gets the frames in another order than that of the video."
    rest = [a for a in range(layer.x.ndim) if a != layer.feature]
    if (
        seen.changes(time, layer.feature)
        and not seen.changes(colour, layer.feature)
        and any(seen.changes(colour, axis) for axis in rest)
    ):
        return "reads time as colour: it gets one colour of several frames where one frame belongs."
    along = {what: [a for a in layer.sliding if seen.changes(what, a)] for what in (height, width)}
    if any(len(axes) > 1 for axes in along.values()):
        return "slides along height or width in two directions: it has been merged with time."
    if along[height] and along[width] and max(along[width]) < min(along[height]):
        return "gets pictures whose height and width have changed places."
    return ""


def _of_any(seen: _Seen, raw: bool) -> str:
    """What is wrong with the input of any layer, or ``""``."""
    layer, channel, feature = seen.layer, seen.channel, seen.layer.feature
    places = [axis for axis in range(seen.source.ndim) if axis != channel]
    rest = [axis for axis in range(layer.x.ndim) if axis != feature]
    spread = [axis for axis in rest if seen.changes(channel, axis)]
    mixed = [place for place in places if seen.changes(place, feature)]
    if not (spread and mixed):
        return ""  # each sum is over all channels of one place, or one channel of all places
    what = ("colours", "frames or places") if raw else ("channels", "places or moments")
    if set(spread) & set(layer.sliding):
        return f"slides along {what[0]} and sums over {what[1]}: two axes have changed places."
    cut = any(seen.changes(place, axis) for place in mixed for axis in rest)
    if seen.changes(channel, feature) or cut:
        return (
            f"gets scrambled numbers: a row that it sums over holds some {what[0]} of some "
            f"{what[1]}, and the next row holds others."
        )
    return ""

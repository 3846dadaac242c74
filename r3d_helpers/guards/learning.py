"""Guard of learning: every weight that should learn gets a gradient, and what it computes counts.

A gradient of exactly zero has several reasons. Some pass: a last layer that starts at zero, a ReLU
that happens to be off, a random path that was not taken. So a weight is accused only if it is
still zero in other draws, after some steps of training, and when all weights are moved away from
zero and all layers' outputs to values that no activation stops.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .bench import Bench, Layer, Listener
from .findings import Finding

GUARD = "learning"


def learning(bench: Bench) -> Iterator[Finding]:
    """Which weights cannot learn?"""
    trainable = bench.trainable()
    if not trainable:
        return
    listener = _Used(bench)
    answer = bench.run(bench.clips, train=True, grad=True, listener=listener)
    yield from _unregistered(bench, listener)
    if not any(part.requires_grad for part in answer):
        yield Finding(
            GUARD,
            "",
            "no weight gets a gradient: the answer is not connected to the weights.",
            "Look for `no_grad`, `detach`, `item`, `argmax` or NumPy on the way to the answer.",
            "02",
        )
        return
    record = _Record(trainable)
    record.add(answer)
    for number in range(1, 5):  # of training, with other clips and other random paths
        if not (record.missing() or record.zero()):
            break
        record.step()
        clips = bench.made_up(10 + number)
        record.add(bench.run(clips, train=True, grad=True, seed=number))
    bench.found.restore()
    missing = record.missing()
    yield from _no_gradient(bench, missing, listener.used)
    if infinite := [name for name in trainable if name in record.infinite]:
        yield Finding(
            GUARD,
            _places(infinite),
            "gets a gradient that is infinite or not a number: one step destroys the weights.",
            "Look for `log`, `sqrt` or a division that meets zero, and for overflow.",
            "06",
        )
        return
    zero = record.zero() - set(missing)
    if zero or record.slices():
        yield from _zero(bench, record, zero, listener)


def _zero(bench: Bench, record: "_Record", zero: set[str], used: "_Used") -> Iterator[Finding]:
    """Tell zeros apart: which ones stay?"""
    lifted = _Record(record.trainable)  # as it starts, activations out of the way
    free = _Record(record.trainable)  # no start at zero either
    onward = _Record(record.trainable)  # what later layers are given
    for number, sign in enumerate((1, -1) if zero else ()):
        lifted.add(bench.run(bench.clips, grad=True, seed=number, listener=_Lift(sign)))
    with bench.awake(1):
        for number, sign in enumerate((1, -1, 1, -1)):
            lift = _Lift(sign)
            free.add(bench.run(bench.others, grad=True, seed=number, listener=lift), again=True)
            onward.add(lift.given_)
            if not (free.zero() or free.slices()):
                break
    ends = zero & free.zero() & onward.zero()  # where the way to the answer ends
    ends = {n for n in ends if used.biases.get(n) not in set(record.trainable) - zero}  # a bias
    # of a layer that learns may be idle
    few = {n for n, weight in record.trainable.items() if min((*weight.shape[:2], 8)) < 8}
    by_chance = few & (zero - lifted.zero())  # so few units may all happen to be off
    stuck = zero - free.zero() - by_chance
    for name, first in (
        (sorted(ends), "the answer does not depend on it, whatever its value"),
        (sorted(stuck), "it starts where nothing can move it, and is still there after four steps"),
    ):
        if name:
            yield Finding(
                GUARD,
                _places(name),
                f"gets a gradient of exactly zero: {first}.",
                "Follow what it computes to the answer: is it multiplied by zero, replaced by a "
                "constant, given a single step or a single token, or started at zero behind "
                "another zero?",
                "02",
            )
    dead = free.slices() if free.ever else {}
    for name in sorted(used.matrices & set(record.slices()) & set(dead) - zero):
        yield Finding(
            GUARD,
            name,
            f"{dead[name]} can never learn: the gradient there is exactly zero, whatever the "
            "weights. Half a layer does not raise an error, it is only missing.",
            "Look for outputs that are cut off, inputs that are always zero, and layers that are "
            "given a single step or token.",
            "03",
        )


def _unregistered(bench: Bench, listener: "_Used") -> Iterator[Finding]:
    if not listener.strangers:
        return
    again = _Used(bench)
    bench.run(bench.clips, train=True, grad=True, listener=again)
    lasting = [
        tensor
        for key, tensor in listener.strangers.items()
        if isinstance(tensor, torch.nn.Parameter) or key in again.strangers
    ]
    if lasting:
        shapes = ", ".join(str(list(tensor.shape)) for tensor in lasting[:3])
        more = f" and {len(lasting) - 3} more" if len(lasting) > 3 else ""
        yield Finding(
            GUARD,
            "",
            f"computes with {len(lasting)} weights that it does not own (shapes {shapes}{more}): "
            "no optimizer moves them, no checkpoint keeps them, no `to` or `eval` reaches them.",
            "Put modules into `nn.ModuleList` or `nn.ModuleDict` instead of a list or dict, and "
            "tensors into `nn.Parameter`; make them in `__init__`.",
            "02",
        )


def _no_gradient(bench: Bench, names: list[str], used: set[int]) -> Iterator[Finding]:
    unused = [name for name in names if id(bench.trainable()[name]) not in used]
    lost = [name for name in names if name not in unused]
    if unused:
        yield Finding(
            GUARD,
            _places(unused),
            "is registered and never used: it gets no gradient, and the answer does not depend "
            "on it.",
            "Call it in `forward`, or take it out.",
            "02",
        )
    if lost:
        yield Finding(
            GUARD,
            _places(lost),
            "computes something, and gets no gradient: its result is thrown away, or cut from "
            "what is learned.",
            "Use what it returns. A hook has to return the new output. Look for `no_grad`, "
            "`detach` and `data`. If it is frozen on purpose, say so with `requires_grad_(False)`.",
            "02",
        )


def _places(names: list[str]) -> str:
    """Some of the modules that own these weights."""
    modules = list(dict.fromkeys(name.rpartition(".")[0] or name for name in names))
    more = f" and {len(modules) - 3} more" if len(modules) > 3 else ""
    return ", ".join(modules[:3]) + more


class _Record:
    """Which gradients of a model's weights have ever been there, and other than zero."""

    def __init__(self, trainable: dict[str, torch.nn.Parameter]) -> None:
        self.trainable = trainable
        self.ever: dict[str, Tensor] = {}  # where a gradient has been other than zero
        self.last: dict[str, Tensor | None] = {}
        self.infinite: set[str] = set()

    def add(self, answer: list[Tensor], again: bool = False) -> None:
        """Take the gradients of all parts of an answer, mixed at random; more may be asked."""
        random_ = torch.Generator().manual_seed(0)
        loss = sum(
            (part * torch.randn(part.shape, generator=random_).to(part)).sum()
            for part in answer
            if part.requires_grad
        )
        if not isinstance(loss, Tensor):
            return
        weights = list(self.trainable.values())
        grads = torch.autograd.grad(loss, weights, retain_graph=again, allow_unused=True)
        self.last = dict(zip(self.trainable, grads, strict=True))
        for name, grad in self.last.items():
            if grad is None:
                continue
            if not grad.sum().isfinite():
                self.infinite.add(name)
            there = grad != 0
            self.ever[name] = there | self.ever[name] if name in self.ever else there

    def missing(self) -> list[str]:
        return [name for name in self.trainable if name not in self.ever]

    def zero(self) -> set[str]:
        return {
            name for name in self.trainable if not (name in self.ever and self.ever[name].any())
        }

    def slices(self) -> dict[str, str]:
        """Rows and columns of matrices, and of kernels, in which no gradient has ever been.

        Places of a kernel are not asked: on a small video some only ever meet padding.
        """
        found = {}
        for name, there in self.ever.items():
            if there.ndim < 2 or min(there.shape[:2]) < 2 or not there.any():
                continue
            for axis, what in ((0, "outputs"), (1, "inputs")):
                idle = ~there.any([a for a in range(there.ndim) if a != axis])
                if idle.sum() * 32 >= len(idle) and idle.any():
                    found[name] = f"a part ({int(idle.sum())} of its {len(idle)} {what})"
        return found

    def step(self) -> None:
        """A step of training, as Adam's first: the same length for all that has a gradient."""
        for name, grad in self.last.items():
            if grad is not None:
                self.trainable[name].data.sub_(grad.sign(), alpha=1e-3)


class _Used(Listener):
    """Notes which weights take part, and which of them nobody has registered."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.bench = bench
        self.used: set[int] = set()
        self.strangers: dict[int, Tensor] = {}
        self.matrices: set[str] = set()  # of layers; a table of positions may be longer than a clip
        self.biases: dict[str, str] = {}  # of each bias, the name of its layer's weight

    def operands(self, tensors: list[Tensor]) -> None:
        for tensor in tensors:
            if id(tensor) in self.bench.names:
                self.used.add(id(tensor))
            elif tensor.requires_grad and tensor.is_leaf:
                self.strangers[id(tensor)] = tensor

    def given(self, layer: Layer) -> None:
        names = [self.bench.names.get(id(weight)) for weight in layer.weights]
        for name, weight in zip(names, layer.weights, strict=True):
            if name and weight.ndim > 1:
                self.matrices.add(name)
            elif name and names[0]:
                self.biases[name] = names[0]


class _Lift(Listener):
    """Moves what layers and norms return to where activations let it through, above 0 or below.

    The gradient stays as it is.
    """

    def __init__(self, sign: int) -> None:
        super().__init__()
        self.sign = sign
        self.given_: list[Tensor] = []

    def given(self, layer: Layer) -> None:
        self.given_.append(layer.x)

    def compute(self, func: Callable, args: tuple, kwargs: dict) -> object:
        output = super().compute(func, args, kwargs)
        return self._moved(output) if getattr(func, "__name__", "").endswith("_norm") else output

    def returned(self, layer: Layer, output: object) -> object:
        return self._moved(output) if isinstance(output, Tensor) else output

    def _moved(self, output: Tensor) -> Tensor:
        wanted = self.sign * (0.1 + 0.9 * torch.rand_like(output))
        return output + (wanted - output).detach()

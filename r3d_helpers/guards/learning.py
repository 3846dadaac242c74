"""Guard of learning: every trainable weight gets a gradient, and changes the answer.

A gradient of exactly zero has several causes. Some do not last: a last layer that starts at zero,
a ReLU that happens to be off, a random path that was not taken. So a weight is reported only if
its gradient is still zero with other random numbers, after some training steps, and with all
weights moved away from zero and all layers' outputs moved to values that activations let through.
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
            "Look for `no_grad`, `detach`, `item`, `argmax` or NumPy between them and the answer.",
            "02",
        )
        return
    record = _Record(trainable)
    record.add(answer)
    for number in range(1, 5):  # training steps, with other clips and random numbers
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
            "gets a gradient that is infinite or NaN: one step destroys the weights.",
            "Look for `log`, `sqrt` or a division that meets zero, and for overflow.",
            "06",
        )
        return
    zero = record.zero() - set(missing)
    if zero or record.slices():
        yield from _zero(bench, record, zero, listener)


def _zero(bench: Bench, record: "_Record", zero: set[str], used: "_Used") -> Iterator[Finding]:
    """Find the zero gradients that stay zero."""
    lifted = _Record(record.trainable)  # with the first weights, activations let all through
    free = _Record(record.trainable)  # also with all weights moved away from zero
    onward = _Record(record.trainable)  # gradients of later layers' inputs, not of the answer
    for number, sign in enumerate((1, -1) if zero else ()):
        lifted.add(bench.run(bench.clips, grad=True, seed=number, listener=_Lift(sign)))
    with bench.moved_weights(1):
        for number, sign in enumerate((1, -1, 1, -1)):
            lift = _Lift(sign)
            free.add(bench.run(bench.others, grad=True, seed=number, listener=lift), again=True)
            onward.add(lift.given_)
            if not (free.zero() or free.slices()):
                break
    ends = zero & free.zero() & onward.zero()  # reach no later layer
    # A bias may be idle in a layer that learns.
    ends = {n for n in ends if used.biases.get(n) not in set(record.trainable) - zero}
    few = {n for n, weight in record.trainable.items() if min((*weight.shape[:2], 8)) < 8}
    by_chance = few & (zero - lifted.zero())  # all of a few units may be off by chance
    stuck = zero - free.zero() - by_chance
    for name, first in (
        (sorted(ends), "the answer does not depend on it, for any value"),
        (sorted(stuck), "its start gives it no gradient, and four training steps change nothing"),
    ):
        if name:
            yield Finding(
                GUARD,
                _places(name),
                f"gets a gradient of exactly zero: {first}.",
                "Follow its output to the answer: is it multiplied by zero or replaced by a "
                "constant? Does it get a single step or a single token? Do two layers in a row "
                "start at zero?",
                "02",
            )
    dead = free.slices() if free.ever else {}
    for name in sorted(used.matrices & set(record.slices()) & set(dead) - zero):
        yield Finding(
            GUARD,
            name,
            f"{dead[name]} can never learn: the gradient there is exactly zero, whatever the "
            "weights. No error is raised, but this part of the layer does nothing.",
            "Look for outputs that are cut off, inputs that are always zero, and layers that get "
            "a single step or token.",
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
            f"computes with {len(lasting)} weights that are not registered (shapes "
            f"{shapes}{more}): optimizers, checkpoints, `to` and `eval` do not see them.",
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
    """Names of some of the modules that have these weights."""
    modules = list(dict.fromkeys(name.rpartition(".")[0] or name for name in names))
    more = f" and {len(modules) - 3} more" if len(modules) > 3 else ""
    return ", ".join(modules[:3]) + more


class _Record:
    """Which weights have had a gradient, and where it was not zero."""

    def __init__(self, trainable: dict[str, torch.nn.Parameter]) -> None:
        self.trainable = trainable
        # Masks of outputs and inputs (if it has both): True where a gradient was once not zero.
        self.ever: dict[str, list[Tensor]] = {}
        self.last: dict[str, Tensor | None] = {}
        self.infinite: set[str] = set()

    def add(self, answer: list[Tensor], again: bool = False) -> None:
        """Record the gradients of a random mixture of an answer's parts.

        With ``again`` the graph is kept, so that gradients can be taken again.
        """
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
            now = [there]
            if there.ndim > 1:
                now = [there.any([a for a in range(there.ndim) if a != axis]) for axis in (0, 1)]
            before = self.ever.get(name, now)
            self.ever[name] = [old | new for old, new in zip(before, now, strict=True)]

    def missing(self) -> list[str]:
        return [name for name in self.trainable if name not in self.ever]

    def zero(self) -> set[str]:
        return {
            name for name in self.trainable if not (name in self.ever and self.ever[name][0].any())
        }

    def slices(self) -> dict[str, str]:
        """Outputs and inputs of matrices and kernels that never had a gradient, as text.

        Places of a kernel are not checked: on a small video some meet only padding.
        """
        found = {}
        for name, masks in self.ever.items():
            if len(masks) < 2 or min(map(len, masks)) < 2 or not masks[0].any():
                continue
            for there, what in zip(masks, ("outputs", "inputs"), strict=True):
                idle = len(there) - int(there.sum())
                if idle and idle * 32 >= len(there):
                    found[name] = f"a part ({idle} of its {len(there)} {what})"
        return found

    def step(self) -> None:
        """One training step like Adam's first: the sign of the gradient times a constant."""
        for name, grad in self.last.items():
            if grad is not None:
                self.trainable[name].data.sub_(grad.sign(), alpha=1e-3)


class _Used(Listener):
    """Records which weights are used, and which of them are not registered."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.bench = bench
        self.used: set[int] = set()
        self.strangers: dict[int, Tensor] = {}
        self.matrices: set[str] = set()  # of layers; not a position table, which may be too long
        self.biases: dict[str, str] = {}  # from a bias to the name of its layer's weight

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
    """Moves outputs of layers and norms to values, above or below 0, that activations let through.

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

"""Run a model in any mode on any clips, observe its layers, and leave it as it was."""

import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class Bench:
    """A model under test, clips for it, and its state before the test.

    Args:
        model: maps a video batch to ``[B, K]``.
        video: ``[B, T, C, H, W]`` or ``[B, C, T, H, W]``, any dtype.
        layout: ``"BTCHW"`` or ``"BCTHW"``.
        seed: of the random clips, and of every run.

    Attributes:
        time, colour: the index of these axes in ``video``.
        clips: two random clips with the range of ``video``. Every frame, colour and clip has its
            own brightness, so that any confusion of them changes the answer.
        others: two other clips like ``clips``.
        names: of the parameters and buffers, by ``id``.
    """

    def __init__(self, model: nn.Module, video: Tensor, layout: str, seed: int) -> None:
        self.model, self.video, self.seed = model, video, seed
        self.time, self.colour = layout.index("T"), layout.index("C")
        self.clips, self.others = self.made_up(1), self.made_up(2)
        tensors = [*model.named_parameters(), *model.named_buffers()]
        self.changes_video = False
        self.names = {id(tensor): name for name, tensor in tensors}

    @property
    def num_frames(self) -> int:
        """``T`` of the video."""
        return self.video.shape[self.time]

    def made_up(self, number: int) -> Tensor:
        """Two random clips with the range of the video; another ``number`` gives other clips."""
        video = self.video if self.video.is_floating_point() else self.video.float()
        random_ = torch.Generator().manual_seed(self.seed * 1000 + number)
        noise = torch.rand((2, *video.shape[1:]), generator=random_)
        level = torch.rand((2, *video.shape[1:3], 1, 1), generator=random_)
        low, high = video.detach().cpu().aminmax()
        if not (low.isfinite() and high.isfinite() and low < high):
            low, high = torch.tensor(-2.0), torch.tensor(2.0)
        return (low + (high - low) * (level + noise) / 2).to(video)

    def run(
        self,
        video: Tensor,
        *,
        train: bool = False,
        grad: bool = False,
        seed: int = 0,
        before: Tensor | None = None,
        listener: TorchFunctionMode | None = None,
        model: nn.Module | None = None,
        keep: bool = False,
    ) -> list[Tensor]:
        """Run the model from its first state, with the same random numbers.

        Args:
            video: the input.
            train: in training mode.
            grad: record the graph for gradients.
            seed: of random numbers.
            before: another input to run first.
            listener: observes the operations.
            model: a copy to run instead.
            keep: do not reset the state first.

        Returns:
            The floating-point tensors of its output; the first one has the scores.

        Raises:
            TypeError: the output has no floating-point tensor.
        """
        if not keep:
            self.found.tidy()
        model = model or self.model
        model.train(train)
        with torch.set_grad_enabled(grad), listener or nullcontext():
            if before is not None:
                _seed(self.seed * 1000 + seed)
                model(before.clone())
            _seed(self.seed * 1000 + seed)
            given = video.clone()
            answer = list(_tensors(model(given)))
        self.changes_video |= not given.equal(video)
        if not answer:
            raise TypeError("the answer holds no floating-point tensor")
        return answer

    @contextmanager
    def left_as_found(self) -> Iterator[None]:
        """Restore weights, modes, hooks and the rest of the state at the end, also after errors."""
        self.found = _Found(self.model)
        devices = {t.device.index for t in self.model.parameters() if t.is_cuda}
        fast = torch.backends.mha.get_fastpath_enabled()
        states = random.getstate(), np.random.get_state()  # noqa: NPY002
        torch.backends.mha.set_fastpath_enabled(False)  # no listener would see its operations
        try:
            with torch.random.fork_rng(sorted(devices)):
                yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002
            self.found.restore()

    @contextmanager
    def moved_weights(self, number: int = 0) -> Iterator[None]:
        """Move every trainable weight a little, and let batch norms take statistics.

        A layer that starts at zero hides the layers before it, and without statistics the video
        hardly changes the answer.
        """
        random_ = torch.Generator().manual_seed(self.seed * 1000 + number)
        for parameter in self.trainable().values():
            if parameter.is_floating_point():
                size = float(parameter.detach().float().norm()) / max(1, parameter.numel()) ** 0.5
                wide = parameter.numel() / len(parameter) if parameter.ndim > 1 else 1
                step = 0.1 * max(size, wide**-0.5)
                noise = torch.randn(parameter.shape, generator=random_)
                parameter.data.add_(noise.to(parameter), alpha=step)
        try:
            with suppress(Exception):  # the video may be too small for statistics
                self.run(self.clips, train=True, listener=_Statistics())
                self.found.settle()
            finite = False
            with suppress(Exception):
                finite = all(bool(part.isfinite().all()) for part in self.run(self.clips))
            if not finite:
                self.found.restore()  # check the model as it was
            yield
        finally:
            self.found.restore()

    def trainable(self) -> dict[str, nn.Parameter]:
        """The parameters that are not frozen, by name."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def where(self, *tensors: Tensor) -> str:
        """The module that owns the first of these tensors that has a name, or ``""``."""
        for tensor in tensors:
            if id(tensor) in self.names:
                return self.names[id(tensor)].rpartition(".")[0] or self.names[id(tensor)]
        return ""


@dataclass
class Layer:
    """An operation that combines its input with weights.

    Attributes:
        kind: torch's name of the operation, such as ``"conv3d"``.
        x: its input.
        feature: the axis of ``x`` that is summed over, with a different weight for every index.
        sliding: the axes along which it slides: the same weights are used at every place.
        weights: the other tensors.
    """

    kind: str
    x: Tensor
    feature: int
    sliding: tuple[int, ...]
    weights: list[Tensor]

    @property
    def places(self) -> tuple[int, ...]:
        """The axes of time and space, also those along which the kernel has size 1."""
        if self.kind.startswith("conv"):
            return tuple(range(self.feature + 1, self.x.ndim))
        return self.sliding

    @property
    def time(self) -> int | None:
        """The axis that must be time, or tokens, for this kind of layer; None if there is none."""
        if not self.kind.startswith("conv"):
            return self.sliding[0] if self.sliding else None
        along = self.kind.endswith(("3d", "1d")) and self.x.shape[self.feature] > 1
        return self.feature + 1 if along and self.feature + 1 in self.sliding else None


class Listener(TorchFunctionMode):
    """Observes every operation of a forward pass.

    A layer is known by its torch operation. So a convolution counts as a layer in a module, in a
    hook or in a line of ``forward``.
    """

    def operands(self, tensors: list[Tensor]) -> None:
        """Called with the input tensors of every operation."""

    def given(self, layer: Layer) -> None:
        """Called before a layer computes."""

    def returned(self, layer: Layer, output: object) -> object:
        """Called after a layer has computed; the model gets the returned value as its output."""
        return output

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        kwargs = kwargs or {}
        self.operands(list(_tensors([args, kwargs], floating=False)))
        if (layer := _layer(getattr(func, "__name__", ""), args, kwargs)) is None:
            return self.compute(func, args, kwargs)
        self.given(layer)
        return self.returned(layer, self.compute(func, args, kwargs))

    def compute(self, func: Callable, args: tuple, kwargs: dict) -> object:
        """Do the operation."""
        return func(*args, **kwargs)


class _Statistics(Listener):
    """Makes batch norms store the statistics of one batch unchanged."""

    def compute(self, func: Callable, args: tuple, kwargs: dict) -> object:
        if func is F.batch_norm and kwargs.get("training"):
            kwargs = {**kwargs, "momentum": 1.0}
        return func(*args, **kwargs)


def _layer(kind: str, args: tuple, kwargs: dict) -> Layer | None:
    x = args[0] if args else kwargs.get("input")
    others = list(_tensors([args[1:], kwargs]))
    if not (isinstance(x, Tensor) and x.is_floating_point() and x.ndim and others):
        return None
    if match := re.fullmatch(r"conv(?:_transpose)?(\d)d", kind):
        first = x.ndim - int(match[1])
        wide = enumerate(others[0].shape[2:], first)
        return Layer(kind, x, first - 1, tuple(a for a, size in wide if size > 1), others)
    if kind in ("linear", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"):
        return Layer(kind, x, x.ndim - 1, (), others)
    if kind in ("lstm", "gru", "rnn_tanh", "rnn_relu"):
        if x.ndim != 3 or isinstance(args[2], Tensor):  # a packed sequence has no such axes
            return None
        return Layer(kind, x, 2, (1 if args[-1] else 0,), list(args[2]))
    if kind == "multi_head_attention_forward":  # [L, B, E]; the keys are its input here
        key = args[1]
        return Layer(kind, key, key.ndim - 1, (0,), [t for t in others if t is not key])
    if kind in ("matmul", "__matmul__", "mm", "bmm", "__rmatmul__"):
        a, b = (others[0], x) if kind == "__rmatmul__" else (x, others[0])
        if isinstance(b, nn.Parameter):
            return Layer(kind, a, a.ndim - 1, (), [b])
        if isinstance(a, nn.Parameter) and b.ndim > 1:
            return Layer(kind, b, b.ndim - 2, (), [a])
    return None


class _Found:
    """The stored state of a model: tensors, flags and attributes of all that it refers to."""

    def __init__(self, model: nn.Module) -> None:
        self.parameters = {id(p) for p in model.parameters()}
        self.objects, self.tensors = [], []
        self._visit(model, set())
        self.settled: dict[int, Tensor] = {}

    def _visit(self, thing: object, seen: set[int]) -> None:
        if id(thing) in seen:
            return
        seen.add(id(thing))
        if isinstance(thing, Tensor):
            if thing.is_leaf and not nn.parameter.is_lazy(thing):
                kept = thing.detach().clone()
                self.tensors.append((thing, kept, thing.requires_grad, thing.grad))
            return
        if isinstance(thing, nn.Module):
            self.objects.append((vars(thing), dict(vars(thing))))
            within = list(vars(thing).values())
        elif isinstance(thing, dict):
            self.objects.append((thing, dict(thing)))
            within = list(thing.values())
        elif isinstance(thing, list):
            self.objects.append((thing, list(thing)))
            within = thing
        elif isinstance(thing, tuple | set | frozenset):
            within = list(thing)
        elif isinstance(thing, partial):
            within = [thing.func, *thing.args, *thing.keywords.values()]
        elif cells := getattr(thing, "__closure__", None):  # a hook may hold tensors in its closure
            within = [cell.cell_contents for cell in cells if cell != type(cell)()]
        else:
            within = [getattr(thing, "__self__", None)]
        for part in within:
            if isinstance(part, Tensor | nn.Module | dict | list | tuple | set | frozenset) or (
                callable(part) and not isinstance(part, type)
            ):
                self._visit(part, seen)

    def settle(self) -> None:
        """Make `tidy` go back to the present values, until `restore` is called."""
        others = (t for t, *_ in self.tensors if id(t) not in self.parameters)
        self.settled = {id(tensor): tensor.detach().clone() for tensor in others}

    def tidy(self) -> None:
        """Undo what a forward pass may have changed: attributes, and all tensors except weights."""
        for thing, kept in self.objects:
            if isinstance(thing, dict):
                thing.clear()
                thing.update(kept)
            else:
                thing[:] = kept
        for tensor, kept, *_ in self.tensors:
            kept = self.settled.get(id(tensor), kept)
            if id(tensor) not in self.parameters and not tensor.equal(kept):
                tensor.data.copy_(kept)

    def restore(self) -> None:
        self.settled = {}
        self.tidy()
        for tensor, kept, requires_grad, grad in self.tensors:
            if not tensor.equal(kept):
                tensor.data.copy_(kept)
            if tensor.requires_grad != requires_grad:
                tensor.requires_grad_(requires_grad)
            tensor.grad = grad


def _tensors(thing: object, floating: bool = True) -> Iterator[Tensor]:
    if isinstance(thing, Tensor):
        if thing.is_floating_point() or not floating:
            yield thing
    elif isinstance(thing, dict):
        yield from _tensors(list(thing.values()), floating)
    elif isinstance(thing, list | tuple):
        for part in thing:
            yield from _tensors(part, floating)


def _seed(seed: int) -> None:
    if torch.accelerator.is_available():
        torch.manual_seed(seed)
    else:  # the same, but keeps no stack trace for each kind of GPU that is not there
        torch.default_generator.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - models may still use it

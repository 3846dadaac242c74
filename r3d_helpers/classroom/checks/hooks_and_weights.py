"""Lesson 06: Review: hooks and weights."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .grading import Wrong, check, run_answer


class _Gated(nn.Module):
    """A tiny network whose last layer is called from a hook, written as ``hook_of`` writes it."""

    def __init__(self, hook_of: Callable | None) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.block = nn.Linear(4, 4)
        self.block.se = nn.Linear(4, 4)
        self.called = hook_of is None
        if hook_of is not None:
            self.block.register_forward_hook(hook_of(self.block))

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(self.first(x).tanh())
        return x * self.block.se(x) if self.called else x


def _remembers(block: nn.Module) -> Callable:
    return lambda module, inputs, output: output * block.se(output)


def _asks(block: nn.Module) -> Callable:
    return lambda module, inputs, output: output * module.se(output)


def _asked(model: nn.Module, answer: object, *arguments: object) -> bool:
    """Call an answer, which must return a bool and leave the model as it is."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    result = run_answer(answer, *arguments)
    if not isinstance(result, bool):
        raise Wrong(f"expected True or False, got {result!r:.60}.")
    if any(not tensor.equal(before[name]) for name, tensor in model.state_dict().items()):
        raise Wrong("the model has other weights or statistics than before; leave it as it was.")
    return result


@check
def stands_alone(answer: object) -> str:
    """``answer(model, x)`` must tell whether a deep copy of ``model`` works without it."""
    torch.manual_seed(0)
    x = torch.randn(3, 4)
    cases = [
        (None, True, "a model without hooks; its copy is complete"),
        (_remembers, False, "a model whose hook remembers the original's module"),
        (_asks, True, "a model whose hook uses the module that it is given, which is fine"),
    ]
    for hook_of, right, what in cases:
        model = _Gated(hook_of)
        result = _asked(model, answer, model, x)
        if result is not right:
            raise Wrong(f"it says {result} for {what}.")
    return "it finds the copy that needs its original, and leaves harmless hooks alone."


class _Saved(nn.Module):
    """A tiny network; ``factor`` is not in its state dict, ``spare`` is there and never used."""

    def __init__(self, factor: float = 1.0, width: int = 4, spare: bool = False) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.Dropout(0.5))
        self.factor = factor
        if spare:
            self.spare = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * self.layers(x)


@check
def comes_back(answer: object) -> str:
    """``answer(make, model, x)``: is ``make()`` with the weights of ``model`` the same model?

    If the weights do not fit, it is not.
    """
    torch.manual_seed(0)
    x = torch.randn(3, 4)
    cases = [
        (_Saved, _Saved, True, "a model that comes back complete. (It was in training mode.)"),
        (_Saved, lambda: _Saved(2.0), False, "a factor that is not in the state dict"),
        (_Saved, lambda: _Saved(width=5), False, "a network of another width"),
        (
            lambda: _Saved(spare=True),
            _Saved,
            False,
            "weights that do not fit: some belong to no layer. Equal answers do not show it; load "
            "strictly",
        ),
    ]
    for first, make, right, what in cases:
        model = first()
        model(torch.randn(64, 4) + 3)  # gives batch norm statistics
        result = _asked(model, answer, make, model, x)
        if result is not right:
            raise Wrong(f"it says {result} for {what}.")
    return "it loads strictly, and compares answers, not names."

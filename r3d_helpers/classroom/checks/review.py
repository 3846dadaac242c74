"""Lesson 06: Review the fix."""

import operator
from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor, nn

from .grading import Wrong, check, grade, run_answer


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


@check
def stands_alone(answer: object) -> str:
    """``answer(model, x)`` must tell whether a deep copy of ``model`` needs nothing of it."""
    torch.manual_seed(0)
    x = torch.randn(3, 4)
    cases = [
        (None, True, "a model without hooks; its copy is whole"),
        (_remembers, False, "a model whose hook remembers the original's module"),
        (_asks, True, "a model whose hook asks the module that it is given; a hook may do that"),
    ]
    for hook_of, right, what in cases:
        model = _Gated(hook_of)
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        result = run_answer(answer, model, x)
        if not isinstance(result, bool):
            raise Wrong(f"expected True or False, got {result!r:.60}.")
        if any(not tensor.equal(before[name]) for name, tensor in model.state_dict().items()):
            raise Wrong("the model has other weights than before; leave it as it was.")
        if result is not right:
            raise Wrong(f"it says {result} for {what}.")
    return "it finds the copy that needs its original, and leaves harmless hooks alone."


@check
def even(answer: object) -> str:
    """``answer(num_words, n)`` must give ``n`` indices, in order, and every word its share."""
    for num_words, n in product((1, 2, 3, 7, 9, 12, 15, 40), (1, 4, 12, 16)):
        result = run_answer(answer, num_words, n)
        of = f"for {num_words} words and n = {n}"
        try:
            kept = [operator.index(i) for i in result]
        except TypeError:
            raise Wrong(f"{of}: expected a list of whole numbers, got {result!r:.60}.") from None
        if len(kept) != n:
            raise Wrong(f"{of}: {len(kept)} indices instead of {n}.")
        if kept != sorted(kept) or kept[0] < 0 or kept[-1] >= num_words:
            raise Wrong(f"{of}: {kept} is out of order, or outside of 0 to {num_words - 1}.")
        counts = [kept.count(word) for word in range(num_words)]
        if num_words <= n and min(counts) == 0:
            raise Wrong(f"{of}: words {[w for w in range(num_words) if not counts[w]]} are lost.")
        if max(counts) - min(counts) > 1:
            raise Wrong(f"{of}: the words are taken {counts} times; some far more than others.")
        step = num_words / n
        if any(abs(i - (k + 0.5) * step) > 1 + step / 2 for k, i in enumerate(kept)):
            raise Wrong(f"{of}: {kept} is not spread over the whole sentence.")
    return "no word is lost, none is favoured, and long sentences are covered to their end."


@check
def quiz_review(answer: object) -> str:
    """Why is accuracy on the same clips 0.9 in training mode and 0.6 in evaluation mode?"""
    both = "it is the same in training and in evaluation mode"
    reasons = {
        "a": "that concerns a copy, such as a moving average; here it is one and the same network.",
        "b": f"the same frames are lost both times: {both}.",
        "c": f"{both}, bad as it is.",
        "d": "in training mode batch norm divides by what it finds in the batch; in evaluation "
        "mode by what it found when there were no gates.",
        "e": f"{both}, and for 16 frames there is nothing wrong with it.",
        "f": "wrong gradients would spoil training; they do not tell the two modes apart.",
    }
    return grade(answer, "d", reasons)

"""Lesson 13: Scale out."""

import torch
from torch import Tensor, nn

from .grading import Wrong, check, grade, run_answer


@check
def gather(answer: object) -> str:
    """``answer(model, loss, batches)``: one step's gradient from micro-batches of any size."""
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(7, 3, generator=generator), torch.arange(7) % 4
    loss = nn.CrossEntropyLoss()

    def model() -> nn.Linear:
        linear = nn.Linear(3, 4)
        with torch.no_grad():
            linear.weight.copy_(torch.arange(12.0).view(4, 3) / 10)
            linear.bias.zero_()
        return linear

    def gradient(clips: Tensor, targets: Tensor) -> Tensor:
        whole = model()
        loss(whole(clips), targets).backward()
        return whole.weight.grad  # pyrefly: ignore[bad-return]

    sizes = (4, 2, 1)
    micro = list(zip(*(part.split(sizes) for part in batch), strict=True))
    mine = model()
    run_answer(answer, mine, loss, micro)
    found, right = mine.weight.grad, gradient(*batch)
    if found is None:
        raise Wrong(
            "no gradient is left in the model: call `backward` on every micro-batch, and do not "
            "set it to zero afterwards."
        )
    parts = [gradient(*part) for part in micro]
    others = {
        "these are summed. The loss is a mean: weigh each micro-batch by its share of the "
        "clips.": sum(parts),
        "this weighs a micro-batch of one clip like one of four. Weigh by the number of "
        "clips.": sum(parts) / len(parts),
        "only the last micro-batch is left. Do not set the gradient to zero between them.": parts[
            -1
        ],
        "only the last micro-batch is left, with its weight: do not set the gradient to zero "
        "between them.": parts[-1] / 7,
        "each loss is divided by its own number of clips here; it is a mean already.": sum(
            part / size for part, size in zip(parts, sizes, strict=True)
        ),
        "these are sums over clips; divide by the number of all clips.": sum(
            part * size for part, size in zip(parts, sizes, strict=True)
        ),
        "divided by the number of clips twice: the loss of a micro-batch is a mean already, so "
        "multiply it by its number of clips first.": sum(parts) / 7,
    }
    if torch.allclose(found, right, atol=1e-6):
        return "the gradient of the whole step, from parts that need less memory."
    for reason, value in others.items():
        if torch.allclose(found, value, atol=1e-6):
            raise Wrong(reason)
    raise Wrong(
        f"the gradient is wrong by {(found - right).norm() / right.norm():.0%} of its size. Each "
        "micro-batch counts with its share of the clips."
    )


@check
def quiz_scale(answer: object) -> str:
    """Two GPUs, the same batch_size per step: what is not the same as on one GPU?"""
    reasons = {
        "a": "gradients are averaged over the processes, so the step is that of all its clips.",
        "b": "the number of steps stays: a step still sees batch_size clips.",
        "c": "each process normalises with the clips it has: eight instead of sixteen. With "
        "micro_batch=8 on one GPU, both normalise in the same way.",
        "d": "every process starts from the same weights and takes the same steps.",
        "e": "the learning rate belongs to the step, and the step sees as many clips as before.",
        "f": "only the first process writes it, and it holds the model, not a process.",
    }
    return grade(answer, "c", reasons)

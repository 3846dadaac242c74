"""What makes a run the same run, however many processes or micro-batches share it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset


class SeedPerClip(Dataset):
    """A data set in which each clip has its own random seed.

    What a clip draws depends on ``seed`` and its index, not on who loads it, or when.

    Args:
        dataset: whose items draw from torch's global generator.

    Attributes:
        seed: of the epoch; set it before each.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.seed = 0

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with torch.random.fork_rng(devices=()):
            torch.default_generator.manual_seed(self.seed + index)
            return self.dataset[index]


def statistics(*modules: nn.Module | None) -> list[Tensor]:
    """Batch norm's running means and variances."""
    return [b for m in modules if m is not None for b in m.buffers() if b.is_floating_point()]


@contextmanager
def averaging(tensors: list[Tensor], count: int) -> Iterator[Callable[[], None]]:
    """Let each of ``count`` parts start from the same values, and leave the mean of their ends.

    Micro-batches one after the other then move the statistics as processes side by side do.

    Yields:
        A function to call after each part.
    """
    before = [tensor.clone() for tensor in tensors]
    means = [torch.zeros_like(tensor) for tensor in tensors]

    def next_one() -> None:
        for tensor, old, mean in zip(tensors, before, means, strict=True):
            mean += tensor / count
            tensor.copy_(old)

    yield next_one
    for tensor, mean in zip(tensors, means, strict=True):
        tensor.copy_(mean)

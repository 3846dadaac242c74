"""Devices and processes: a run gives the same result, however many processes share it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import patch_environment
from torch import Tensor, nn
from torch.utils.data import Dataset

# `accelerate config` sets environment variables; here the run's own configuration decides.
_ANSWERS = {
    "ACCELERATE_MIXED_PRECISION": "no",
    "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": 1,
    "ACCELERATE_DYNAMO_BACKEND": "no",
    "ACCELERATE_USE_DEEPSPEED": "false",
    "ACCELERATE_USE_FSDP": "false",
    "ACCELERATE_USE_MEGATRON_LM": "false",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "false",
}


def use_cpu() -> bool:
    """Whether to use the CPU. Of GPUs only CUDA's are used: the others were never tested."""
    return not torch.cuda.is_available()


def device_note() -> str | None:
    """A note where Apple's GPU is there, which is not used; else None."""
    if use_cpu() and torch.backends.mps.is_available():
        return "on the CPU: Apple's GPU is not used, because nobody has compared its results"
    return None


def process() -> PartialState:
    """Accelerate's state of this process, one of those that ``torchrun`` may have started."""
    with patch_environment(**_ANSWERS):
        return PartialState(cpu=use_cpu())


def accelerator() -> Accelerator:
    """Accelerate's object that divides a training among these processes, in float32.

    Raises:
        ValueError: Accelerate was used with another precision before, in this process.
    """
    with patch_environment(**_ANSWERS):
        return Accelerator(cpu=use_cpu(), mixed_precision="no")


def trouble(error: Exception) -> str | None:
    """Why the processes that load clips stopped, if the machine is the cause, and what to do."""
    said = str(error).lower()
    if "shared memory" in said or "bus error" in said or "/torch_" in said:
        return (
            "the processes that load clips ran out of shared memory (/dev/shm): use "
            "--num-workers 0, or allow more, in Docker with --shm-size 2g"
        )
    if "too many open files" in said or "ancdata" in said:
        return (
            "the processes that load clips ran out of open files: use --num-workers 0, or allow "
            "more with ulimit -n 4096"
        )
    if "dataloader worker" in said and ("killed" in said or "exited" in said):
        return (
            "a process that loads clips was killed, perhaps because memory is full: use fewer "
            "--num-workers, or a smaller --batch-size"
        )
    return None


def lost_connection(error: RuntimeError) -> bool:
    """Whether a collective operation failed, as it does when another process has ended."""
    words = ("gloo", "nccl", "connection closed by peer", "connection reset")
    several = int(os.environ.get("WORLD_SIZE", 1)) > 1
    return several and any(word in str(error).lower() for word in words)


class SeedPerClip(Dataset):
    """A data set in which each clip has its own random seed.

    A clip's random numbers depend on ``seed`` and its index, not on the process that loads it.

    Args:
        dataset: a data set that draws from torch's global generator.

    Attributes:
        seed: of the epoch; set it before each epoch.
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
    """Start each of ``count`` parts from the same values; afterwards the tensors have their mean.

    So micro-batches one after the other change the statistics as parallel processes do.

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

"""What makes a run the same run, wherever it computes and however many processes share it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import patch_environment
from torch import Tensor, nn
from torch.utils.data import Dataset

# `accelerate config` leaves its answers in the environment. Here a run's own configuration decides.
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
    """Whether to leave what is no CUDA GPU alone: this package was tried on nothing else."""
    return not torch.cuda.is_available()


def device_note() -> str | None:
    """A word on a GPU that is there and not used, Apple's; None where there is none."""
    if use_cpu() and torch.backends.mps.is_available():
        return "on the CPU: Apple's GPU is not used, because nobody has compared its results"
    return None


def process() -> PartialState:
    """This process among those that torchrun or ``accelerate launch`` may have started."""
    with patch_environment(**_ANSWERS):
        return PartialState(cpu=use_cpu())


def accelerator() -> Accelerator:
    """What spreads a training over these processes, in float32.

    Raises:
        ValueError: Accelerate was used with another precision before, in this process.
    """
    with patch_environment(**_ANSWERS):
        return Accelerator(cpu=use_cpu(), mixed_precision="no")


def trouble(error: Exception) -> str | None:
    """What stopped the processes that load clips, and what to do, where the machine is to blame."""
    said = str(error).lower()
    if "shared memory" in said or "bus error" in said or "/torch_" in said:
        return (
            "the processes that load clips ran out of shared memory (/dev/shm): --num-workers 0, "
            "or more of it, in Docker with --shm-size 2g"
        )
    if "too many open files" in said or "ancdata" in said:
        return (
            "the processes that load clips ran out of open files: --num-workers 0, or more of "
            "them, with ulimit -n 4096"
        )
    if "dataloader worker" in said and ("killed" in said or "exited" in said):
        return (
            "a process that loads clips was killed, perhaps because memory is full: fewer "
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

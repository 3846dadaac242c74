"""Checks before a run starts, so that a mistake shows in seconds and not after hours."""

import copy
import shutil
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from .checkpoint import Metadata

GradientsIn = Callable[[str], AbstractContextManager]  # from a precision's name to its autocast


def check_sets(train_set: Dataset, val_set: Dataset, num_classes: int, least: int) -> None:
    """Check that the two sets fit the model and each other.

    Warns if a subject is in both sets, or if a class has no clip in one of them.

    Args:
        train_set: the training set; its ``classes`` and ``clips`` are checked if it has them.
        val_set: the validation set, likewise.
        num_classes: of the model.
        least: the number of clips that one step needs.

    Raises:
        ValueError: they do not fit.
    """
    classes = getattr(train_set, "classes", None)
    if classes is not None and len(classes) != num_classes:
        raise ValueError(
            f"the model has {num_classes} classes, the training set {len(classes)}: {classes}"
        )
    if (other := getattr(val_set, "classes", classes)) != classes:
        raise ValueError(
            f"training and validation set number their classes differently ({classes} and "
            f"{other}): give both the same `classes`"
        )
    if len(train_set) < least:
        raise ValueError(
            f"the training set has {len(train_set)} clips, fewer than one step of batch_size "
            f"{least}: lower batch_size"
        )
    for name, dataset, so in (
        ("training", train_set, "the model cannot learn it"),
        ("validation", val_set, "the best epoch is chosen without it"),
    ):
        if names := absent(dataset):
            warnings.warn(f"no clip of {names} in the {name} set: {so}", stacklevel=4)
    if both := sorted(subjects(train_set) & subjects(val_set)):
        warnings.warn(
            f"subjects {both} are in training and validation set: the score says nothing "
            "about people the model has never seen; use datasets.split_by_subject",
            stacklevel=4,
        )


def check_batch(batch_size: int, micro_batch: int, num_processes: int) -> None:
    """Check that the processes can divide a step into equal forward passes.

    Raises:
        ValueError: they cannot.
    """
    if batch_size % (together := micro_batch * num_processes):
        raise ValueError(
            f"batch_size {batch_size} is no multiple of {together}: {num_processes} processes with "
            f"{micro_batch} clips each"
        )


def absent(dataset: Dataset) -> str:
    """The classes that have no clip in a data set, as text; "" if it does not state classes."""
    classes, targets = getattr(dataset, "classes", ()), getattr(dataset, "targets", ())
    shown = set(targets)
    return ", ".join(name for i, name in enumerate(classes or ()) if shown and i not in shown)


def subjects(dataset: Dataset) -> set[str]:
    """The subjects of a data set; none if it does not state them."""
    return {clip.subject for clip in getattr(dataset, "clips", ())}


def check_unused(folder: Path) -> None:
    """Check that ``folder`` holds no run yet.

    Raises:
        FileExistsError: it holds a checkpoint.
    """
    if any(folder.glob("*.safetensors")):
        raise FileExistsError(
            f"{folder} already holds a run: go on with it (--resume, Trainer.resume), or choose "
            "another folder"
        )


def check_same(folder: Path, now: Metadata, begun: Metadata) -> None:
    """Check that a run is resumed with the sets that it was started with.

    Raises:
        ValueError: it is not.
    """
    for name in ("classes", "size", "subjects", "clips", "crop", "steps_per_epoch"):
        if (here := getattr(now, name)) != (there := getattr(begun, name)):
            raise ValueError(
                f"{folder}: the run was begun with {name} {there}, not {here}: go on with the "
                "same sets"
            )


def check_space(folder: Path, model: nn.Module, copies: int) -> None:
    """Check that the disk has space for some copies of the model's weights, and 100 MB more.

    Raises:
        OSError: it has less.
    """
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    needed = copies * size + 100e6
    if (free := shutil.disk_usage(folder).free) < needed:
        raise OSError(
            f"{folder}: the checkpoints need {needed / 1e9:.1f} GB, and only "
            f"{free / 1e9:.1f} GB are free: make room or choose another folder"
        )


@torch.no_grad()
def check_lone_clip(model: nn.Module, video: Tensor) -> None:
    """Check that batch norm can train on one clip ``[T, C, H, W]``.

    It cannot if the clip is so small that layer4 has a single value per channel.

    Raises:
        ValueError: it cannot.
    """
    try:
        copy.deepcopy(model).train()(video[None])
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ValueError(
            f"batch norm cannot train on a batch of one clip [T, C, H, W] = {list(video.shape)}: "
            "give batch_size and the training set 2 clips or more, or use larger frames"
        ) from error


def check_gradients(
    model: nn.Module,
    criterion: Callable[[Tensor, Tensor], Tensor],
    video: Tensor,
    target: Tensor,
    precision: str,
    autocast: GradientsIn,
    seed: int = 0,
) -> None:
    """Compare the gradients in ``precision`` with those in float32, on a copy of the model.

    Args:
        model: what is to be trained.
        criterion: from logits ``[B, K]`` and targets to the loss.
        video: ``[B, T, C, H, W]`` float, on the model's device.
        target: ``[B]`` int64, likewise.
        precision: such as ``"bfloat16"``.
        autocast: from the name of a precision to its autocast context.
        seed: of dropout, which must drop the same values both times.

    Raises:
        FloatingPointError: a gradient differs by half of its norm or more.
    """

    def gradients(precision: str) -> dict[str, Tensor]:
        trained = copy.deepcopy(model).train()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            with autocast(precision):
                loss = criterion(trained(video), target)
        loss.backward()
        named = trained.named_parameters()
        return {name: p.grad for name, p in named if p.ndim > 1 and p.grad is not None}

    lower = gradients(precision)
    for name, right in gradients("float32").items():
        error = ((lower[name] - right).norm() / right.norm()).item()
        # Rounding alone changes it by about a third in the first layers; a wrong kernel, wholly.
        if right.any() and not error < 0.5:
            raise FloatingPointError(
                f"in {precision} the gradient of {name} is wrong by "
                f"{error:.0%} of its size on this machine: train in float32"
            )

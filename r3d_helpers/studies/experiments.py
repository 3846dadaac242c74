"""The experiments behind lessons 06, 08 and 09."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import datasets
from .recipe import AUGMENTATIONS, Recipe, score_views, train
from .sweep import command_of, sweep

SE_SETTINGS = (
    {"se": "none", "se_init": "default"},
    {"se": "output", "se_init": "default"},
    {"se": "output", "se_init": "identity"},
    {"se": "residual", "se_init": "default"},
    {"se": "residual", "se_init": "identity"},
)
CLIP_SIZES = (  # a cross, not a grid
    {"clip_len": 4, "size": 32, "sampling": "uniform"},
    {"clip_len": 8, "size": 32, "sampling": "uniform"},
    {"clip_len": 16, "size": 32, "sampling": "uniform"},
    {"clip_len": 32, "size": 32, "sampling": "uniform"},
    {"clip_len": 4, "size": 48, "sampling": "uniform"},
    {"clip_len": 8, "size": 32, "sampling": "dense"},
)


def se(
    root: str | os.PathLike,
    path: str | os.PathLike,
    *,
    settings: Sequence[Mapping[str, str]] = SE_SETTINGS,
    work: str | os.PathLike = "runs",
    seeds: int = 3,
    epochs: int = Recipe.epochs,
    clip_len: int = Recipe.clip_len,
    size: int = Recipe.size,
    lr: float = Recipe.lr,
) -> list[dict[str, str]]:
    """Compare where the gates sit and how they start, on people never seen.

    Each seed is another split of the people and another start, the same for all settings.

    Args:
        root: samples as `datasets.ravdess` reads them.
        path: the result file.
        settings: those of `SE_SETTINGS` to run.
        work: folder for the run in progress, half a gigabyte.
        seeds: runs per setting.
        epochs: of training.
        clip_len: frames, ``T``.
        size: pixels, ``H`` = ``W``.
        lr: highest learning rate.

    Returns:
        One row per run: the setting, ``seed`` and what `score_views` says.

    Raises:
        ValueError: ``path`` holds the results of another command.
    """
    options = {"epochs": epochs, "clip_len": clip_len, "size": size, "lr": lr}
    command = command_of("se", seeds=seeds, **options)
    return _compare(root, path, settings, seeds, options, command=command, work=work)


def clip_size(
    root: str | os.PathLike,
    path: str | os.PathLike,
    *,
    settings: Sequence[Mapping[str, str | int]] = CLIP_SIZES,
    work: str | os.PathLike = "runs",
    seeds: int = 3,
    epochs: int = 5,
    lr: float = 6e-4,
) -> list[dict[str, str]]:
    """Compare clip lengths, sizes and ways of sampling, on people never seen.

    Args:
        root: samples as `datasets.ravdess` reads them.
        path: the result file.
        settings: those of `CLIP_SIZES` to run.
        work: folder for the run in progress, half a gigabyte.
        seeds: runs per setting, each with another split of the people.
        epochs: of training.
        lr: highest learning rate.

    Returns:
        One row per run: the setting, ``seed`` and what `score_views` says.

    Raises:
        ValueError: ``path`` holds the results of another command.
    """
    options = {"epochs": epochs, "lr": lr}
    command = command_of("clip-size", seeds=seeds, **options)
    return _compare(root, path, settings, seeds, options, command=command, work=work)


def augmentation(
    root: str | os.PathLike,
    path: str | os.PathLike,
    *,
    settings: Sequence[str] = AUGMENTATIONS,
    work: str | os.PathLike = "runs",
    seeds: int = 3,
    epochs: int = 15,
    clip_len: int = Recipe.clip_len,
    size: int = Recipe.size,
    lr: float = Recipe.lr,
) -> list[dict[str, str]]:
    """Compare augmentations where they are needed: with few people to learn from.

    Three fifths of the people are tested on, which makes the scores finer, and a third of the
    others is validated on.

    Args:
        root: samples as `datasets.ravdess` reads them.
        path: the result file.
        settings: those of `AUGMENTATIONS` to run.
        work: folder for the run in progress, half a gigabyte.
        seeds: runs per setting, each with another split of the people.
        epochs: of training.
        clip_len: frames, ``T``.
        size: pixels, ``H`` = ``W``.
        lr: highest learning rate.

    Returns:
        One row per run: the setting, ``seed`` and what `score_views` says.

    Raises:
        ValueError: ``path`` holds the results of another command, or an unknown setting.
    """
    options = {"epochs": epochs, "clip_len": clip_len, "size": size, "lr": lr}
    command = command_of("augmentation", seeds=seeds, **options)
    if tuple(settings) != AUGMENTATIONS:
        command = " ".join([command, "--settings", *settings])
    options |= {"test_fraction": 0.6, "val_fraction": 0.33}
    named = [{"augment": name} for name in settings]
    return _compare(root, path, named, seeds, options, command=command, work=work)


def _compare(
    root: str | os.PathLike,
    path: str | os.PathLike,
    settings: Sequence[Mapping],
    seeds: int,
    options: Mapping,
    *,
    command: str,
    work: str | os.PathLike,
) -> list[dict[str, str]]:
    """Every setting with every seed."""
    clips = datasets.ravdess(root)

    def one(setting: Mapping, folder: Path) -> dict[str, float]:
        return score_views(*train(Recipe(**options, **setting), clips, folder))

    for setting in settings:  # rather now than after hours
        Recipe(**options, **setting)
    grid = [{**setting, "seed": seed} for seed in range(seeds) for setting in settings]
    return sweep(Path(path), grid, one, command=command, work=Path(work))

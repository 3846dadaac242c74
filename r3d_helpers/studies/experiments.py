"""The experiments behind lessons 07, 08 and 09."""

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
    """Compare places and starts of the gates, scored on people not seen in training.

    Each seed gives another split of the people and other first weights, the same for all settings.

    Args:
        root: samples as `datasets.ravdess` reads them.
        path: the result file.
        settings: which of `SE_SETTINGS` to run.
        work: folder for the run in progress, 0.5 GB.
        seeds: runs per setting.
        epochs: of training.
        clip_len: frames, ``T``.
        size: pixels, ``H`` = ``W``.
        lr: highest learning rate.

    Returns:
        One row per run: the setting, ``seed`` and the result of `score_views`.

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
    """Compare clip lengths, sizes and ways of sampling, on people not seen in training.

    Args:
        root: samples as `datasets.ravdess` reads them.
        path: the result file.
        settings: which of `CLIP_SIZES` to run.
        work: folder for the run in progress, 0.5 GB.
        seeds: runs per setting, each with another split of the people.
        epochs: of training.
        lr: highest learning rate.

    Returns:
        One row per run: the setting, ``seed`` and the result of `score_views`.

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
    """Compare augmentations in training on few people, where augmentation matters most.

    60 % of the people are for the test, which makes the scores more exact, and a third of the
    others is for validation.

    Args:
        root: samples as `datasets.ravdess` reads them.
        path: the result file.
        settings: which of `AUGMENTATIONS` to run.
        work: folder for the run in progress, 0.5 GB.
        seeds: runs per setting, each with another split of the people.
        epochs: of training.
        clip_len: frames, ``T``.
        size: pixels, ``H`` = ``W``.
        lr: highest learning rate.

    Returns:
        One row per run: the setting, ``seed`` and the result of `score_views`.

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
    """Run every setting with every seed."""
    clips = datasets.ravdess(root)

    def one(setting: Mapping, folder: Path) -> dict[str, float]:
        return score_views(*train(Recipe(**options, **setting), clips, folder))

    for setting in settings:  # checks all settings before the first run
        Recipe(**options, **setting)
    grid = [{**setting, "seed": seed} for seed in range(seeds) for setting in settings]
    return sweep(Path(path), grid, one, command=command, work=Path(work))
